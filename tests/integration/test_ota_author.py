"""A product team's repository: made, released into, keys changed and lost, and each time judged by a client that trusts nothing
but its first root."""

import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

import cbor2
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

import case  # noqa: F401 (finds lab)
import lab

IMAGE = 40_000  # the maker of deltas is slow under the sanitizers


class OtaAuthor(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """One repository as `init` leaves it: each test gets a copy, since locking keys takes its time on purpose."""
        cls.fresh = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-ota-"))
        cls.addClassCleanup(shutil.rmtree, cls.fresh)
        secret = cls.fresh / "passphrase"
        secret.write_text("correct horse battery\n")
        secret.chmod(0o600)
        done = subprocess.run([lab.program("porchlight"), "ota", "init", cls.fresh / "repo", "--product", "camera", "--product", "door",
                               "--passphrase-file", secret], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise AssertionError(done.stderr)

    def setUp(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-ota-"))
        self.addCleanup(shutil.rmtree, self.top)
        self.repo, self.secret = self.top / "repo", self.top / "passphrase"
        self.write_passphrase("correct horse battery")
        self.image = self.top / "camera.bin"
        self.image.write_bytes(os.urandom(IMAGE))
        shutil.copytree(self.fresh / "repo", self.repo)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Quiet", (http.server.SimpleHTTPRequestHandler,), {
            "log_message": lambda *_: None, "__init__": lambda h, *a: http.server.SimpleHTTPRequestHandler.__init__(h, *a, directory=str(self.repo / "repository"))}))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.device = self.new_device()

    def write_passphrase(self, text):
        self.secret.write_text(text + "\n")
        self.secret.chmod(0o600)

    def run_ota(self, *words, passphrase=True):
        *command, = words
        at = next((i for i, word in enumerate(command) if str(word).startswith("--")), len(command))
        extra = ["--passphrase-file", self.secret] if passphrase else []
        done = subprocess.run([lab.program("porchlight"), "ota", *map(str, command[:at]), self.repo, *map(str, command[at:]), *extra],
                              capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, start_new_session=True)
        self.assertNotIn("Sanitizer", done.stderr)
        return done

    def ota(self, *words, **how):
        done = self.run_ota(*words, **how)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def refused(self, word, *words, **how):
        done = self.run_ota(*words, **how)
        self.assertIn(done.returncode, (1, 2))
        self.assertRegex(done.stderr, word)

    def status(self):
        return json.loads(self.ota("status", "--json", passphrase=False))

    def role(self, name):
        return next(each for each in self.status()["roles"] if each["role"] == name)

    def new_device(self):
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.top))
        (folder / "metadata").mkdir(), (folder / "targets").mkdir()
        done = subprocess.run([lab.program("porchlight-tuf"), "--metadata-dir", folder / "metadata", "init", self.repo / "repository/metadata/1.root.json"])
        self.assertEqual(done.returncode, 0)
        return folder

    def update(self, *targets, device=None):
        device = device or self.device
        url = f"http://127.0.0.1:{self.server.server_address[1]}"
        wanted = [word for name in targets for word in ("--target-name", name)]
        command = [*wanted, "--target-dir", device / "targets", "--target-base-url", url + "/targets", "download"] if targets else ["refresh"]
        done = subprocess.run([lab.program("porchlight-tuf"), "--metadata-dir", device / "metadata", "--metadata-url", url + "/metadata", *map(str, command)],
                              capture_output=True, text=True, timeout=120)
        return done.returncode, done.stderr

    def assertUpdates(self, *targets, **how):
        code, said = self.update(*targets, **how)
        self.assertEqual(code, 0, said)

    def release(self, version, product="camera", image=None):
        self.ota("release", "--product", product, "--version", version, "--image", image or self.image, "--hardware", "rev-a", "--hardware", "rev-b",
                 "--severity", "high", "--notes", "caf\u00e9 \"fixed\"", "--supported-until", "2031-12-31")

    def test_a_release_reaches_a_device_that_trusts_the_first_root_alone(self):
        self.assertUpdates()
        self.release("1.0")
        self.assertUpdates("camera/1.0/image")
        self.assertEqual([path.read_bytes() for path in (self.device / "targets").iterdir()], [self.image.read_bytes()])
        custom = self.status()["releases"][0]["custom"]
        self.assertEqual((custom["hardware"], custom["severity"], custom["notes"], custom["supported_until"]),
                         (["rev-a", "rev-b"], "high", "caf\u00e9 \"fixed\"", "2031-12-31"))
        self.release("1.1")
        self.assertUpdates("camera/1.1/image", "camera/1.0/image")

    def test_a_release_says_the_same_in_cbor_to_devices_too_small_for_json(self):
        self.ota("release", "--product", "camera", "--version", "1.2", "--image", self.image, "--hardware", "rev-a", "--hardware", "rev-b", "--raise-floor",
                 "--stage", "1%:24h", "--stage", "100%", "--min-battery", "30", "--window", "02:00-05:00", "--byte-budget", "4000000", "--schema-least", "3")
        self.assertUpdates("camera/1.2/image", "camera/1.2/manifest")  # a target by length and hash, as the image is
        text = (self.device / "targets/camera%2F1.2%2Fmanifest").read_bytes()
        image = hashlib.sha256(self.image.read_bytes()).digest()
        envelope = cbor2.loads(text)
        self.assertEqual((envelope.tag, sorted(envelope.value)), (107, [2, 3]))
        digest, *signatures = cbor2.loads(envelope.value[2])
        wrapped = cbor2.dumps(envelope.value[3])
        self.assertEqual(cbor2.loads(digest), [-16, hashlib.sha256(wrapped).digest()])
        manifest = cbor2.loads(envelope.value[3])
        common = cbor2.loads(manifest[3])
        override, parameters = cbor2.loads(common[4])
        self.assertEqual((common[2], override, cbor2.loads(parameters[3]), parameters[14], cbor2.loads(manifest[7])),
                         ([[b"\0"]], 20, [-16, image], IMAGE, [3, 15]))
        self.assertEqual({key: value for key, value in manifest.items() if key not in (3, 7)},
                         {1: 1, 2: 1, -1: "camera", -2: "1.2", -3: ["rev-a", "rev-b"], -4: 1,
                          -5: {1: [[100, 86400], [10000, 0]], 2: 30, 3: [120, 300], 4: 4_000_000, 5: 3}})
        # one form only: another encoder's deterministic form is the same, byte for byte
        for part in (text, envelope.value[2], envelope.value[3], manifest[3], common[4], digest):
            self.assertEqual(cbor2.dumps(cbor2.loads(part), canonical=True), part)
        # COSE_Sign1 by the product's own key, as its role names it
        role = json.loads(next((self.repo / "repository/metadata").glob("1.targets.json")).read_text())["signed"]["delegations"]
        keyid, = next(each["keyids"] for each in role["roles"] if each["name"] == "camera")
        key = serialization.load_pem_public_key(role["keys"][keyid]["keyval"]["public"].encode())
        self.assertEqual(len(signatures), 1)
        sign1 = cbor2.loads(signatures[0])
        protected, unprotected, payload, raw = sign1.value
        spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.assertEqual((sign1.tag, cbor2.loads(protected), unprotected, payload), (18, {1: -7, 4: hashlib.sha256(spki).digest()}, {}, None))
        signature = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        key.verify(signature, cbor2.dumps(["Signature1", protected, b"", digest]), ec.ECDSA(hashes.SHA256()))
        # withdrawn, it goes with the image
        self.ota("revoke", "--product", "camera", "--version", "1.2")
        code, said = self.update("camera/1.2/manifest", device=self.new_device())
        self.assertEqual(code, 1, said)

    def test_what_will_be_signed_is_shown_and_a_dry_run_signs_nothing(self):
        before = self.status()
        said = self.ota("release", "--product", "camera", "--version", "1.0", "--image", self.image, "--hardware", "a", "--dry-run")
        self.assertRegex(said, r"camera/1.0/image\n  length 40000\n  sha256 [0-9a-f]{64}\n")
        self.assertIn("Nothing was signed", said)
        self.assertEqual(self.status(), before)

    def test_a_release_is_refused_before_anything_is_copied(self):
        self.release("1.0")
        held = sorted((self.repo / "repository/targets").rglob("*"))
        words = ["--image", self.image, "--hardware", "a"]
        self.refused("released already", "release", "--product", "camera", "--version", "1.0", *words)
        self.refused("no product", "release", "--product", "lamp", "--version", "1.0", *words)
        self.refused("a version is", "release", "--product", "camera", "--version", "../1", *words)
        self.refused("severity", "release", "--product", "camera", "--version", "2", "--severity", "awful", *words)
        self.refused("supported-until", "release", "--product", "camera", "--version", "2", "--supported-until", "soon", *words)
        self.refused("no file", "release", "--product", "camera", "--version", "2", "--hardware", "a", "--image", self.top / "nothing")
        self.assertEqual([path for path in sorted((self.repo / "repository/targets").rglob("*")) if path.is_file()],
                         [path for path in held if path.is_file()])
        self.assertUpdates("camera/1.0/image")

    def test_a_withdrawn_release_is_not_installed_any_more(self):
        self.release("1.0")
        self.ota("revoke", "--product", "camera", "--version", "1.0")
        code, said = self.update("camera/1.0/image")
        self.assertEqual(code, 1)
        self.assertIn("no role", said)

    def test_what_follows_a_withdrawn_release_counts_above_it(self):
        words = ["--product", "camera", "--image", self.image, "--hardware", "a", "--no-delta"]

        def numbers(version):
            custom = next(each["custom"] for each in self.status()["releases"] if each["custom"]["version"] == version)
            return custom["counter"], custom["serial"]

        self.ota("release", "--version", "1", *words)
        self.ota("release", "--version", "2", *words, "--raise-floor")
        self.assertEqual((numbers("1"), numbers("2")), ((1, 1), (2, 2)))
        self.ota("revoke", "--product", "camera", "--version", "2")
        self.ota("release", "--version", "3", *words)  # devices that confirmed 2 take nothing below its counter
        self.assertEqual(numbers("3"), (2, 3))
        self.ota("revoke", "--product", "camera", "--version", "1")  # takes nothing of that back
        self.ota("revoke", "--product", "camera", "--version", "3")
        self.ota("release", "--version", "3", *words, "--raise-floor")
        self.assertEqual(numbers("3"), (3, 4))
        self.assertUpdates("camera/3/image")  # whose verifier skips what it does not know

    def test_a_release_brings_deltas_from_the_newest_releases_in_the_field(self):
        old = bytearray(self.image.read_bytes())
        shas = {}
        for version in ("1.0", "1.1", "1.2", "1.3"):
            old[1000 * len(shas):1000 * len(shas) + 20] = os.urandom(20)
            self.image.write_bytes(old)
            shas[version] = hashlib.sha256(old).hexdigest()
            self.release(version)
        old[5000:5000] = b"inserted " * 10
        self.image.write_bytes(old)
        self.release("2.0")
        for version in ("1.1", "1.2", "1.3"):
            self.assertUpdates(f"camera/2.0/delta-from-{shas[version]}")
        code, said = self.update(f"camera/2.0/delta-from-{shas['1.0']}")  # the newest three alone
        self.assertEqual(code, 1, said)
        sizes = [path.stat().st_size for path in (self.device / "targets").iterdir()]
        self.assertEqual(len(sizes), 3)
        self.assertLess(max(sizes), 600)
        self.assertEqual([each["target"] for each in self.status()["releases"]], [f"camera/{v}/image" for v in ("1.0", "1.1", "1.2", "1.3", "2.0")])
        said = self.ota("release", "--product", "camera", "--version", "2.1", "--image", self.image, "--hardware", "rev-a", "--delta-from", "1.0")
        self.assertRegex(said, r"delta from 1.0: \d+ bytes, 0.\d % of the image")
        self.assertUpdates(f"camera/2.1/delta-from-{shas['1.0']}")
        self.ota("revoke", "--product", "camera", "--version", "2.0")
        code, said = self.update(f"camera/2.0/delta-from-{shas['1.3']}", device=self.new_device())
        self.assertEqual(code, 1)
        self.image.write_bytes(os.urandom(IMAGE))
        said = self.ota("release", "--product", "camera", "--version", "3.0", "--image", self.image, "--hardware", "rev-a", "--delta-from", "2.1")
        self.assertIn("too little saved, left out", said)
        self.refused("no release 9", "release", "--product", "camera", "--version", "3.1", "--image", self.image, "--hardware", "a", "--delta-from", "9")

    def test_a_rollout_s_stages_are_signed_and_only_ever_widened(self):
        self.ota("release", "--product", "camera", "--version", "1.0", "--image", self.image, "--hardware", "a", "--stage", "1%:24h", "--stage", "2500:2d",
                 "--stage", "100%", "--min-battery", "30", "--window", "22:00-05:30", "--byte-budget", "1000000", "--schema-least", "2")
        custom = self.status()["releases"][0]["custom"]
        self.assertEqual(custom["rollout"]["stages"], [{"share": 100, "dwell_s": 86400}, {"share": 2500, "dwell_s": 172800}, {"share": 10000}])
        self.assertEqual((custom["rollout"]["battery"], custom["rollout"]["bytes"], custom["schema_least"]), (30, 1000000, 2))
        words = ["release", "--product", "camera", "--version", "2.0", "--image", self.image, "--hardware", "a"]
        self.refused("needs a dwell", *words, "--stage", "1%", "--stage", "100%")
        self.refused("rises", *words, "--stage", "2%:1h", "--stage", "1%")
        self.ota("widen", "--product", "camera", "--version", "1.0", "--share", "50%")
        self.refused("as wide as that already", "widen", "--product", "camera", "--version", "1.0", "--share", "10%")
        self.refused("no release 9", "widen", "--product", "camera", "--version", "9", "--share", "10%")
        self.assertUpdates("camera/1.0/image")
        newest = max((self.repo / "repository/metadata").glob("*.rollout.json"), key=lambda path: int(path.name.split(".")[0]))
        self.assertEqual(json.loads(newest.read_text())["signed"]["targets"]["rollout/camera/1.0"]["custom"]["share"], 5000)

    def test_every_role_gets_a_new_key_and_devices_follow(self):
        self.release("1.0")
        self.assertUpdates("camera/1.0/image")
        for role in ("root", "targets", "snapshot", "timestamp", "camera"):
            old = self.role(role)["keys"]
            self.ota("rotate", "--role", role)
            self.assertEqual(len(self.role(role)["keys"]), 1)
            self.assertNotEqual(self.role(role)["keys"], old)
            self.assertUpdates("camera/1.0/image")
        self.assertUpdates("camera/1.0/image", device=self.new_device())

    def test_a_stolen_key_is_revoked_and_signs_nothing_any_more(self):
        self.release("1.0")
        thief = self.top / "thief"
        shutil.copytree(self.repo, thief)
        stolen = self.role("camera")["keys"][0]
        self.ota("key", "add", "--role", "camera")
        self.ota("key", "revoke", "--role", "camera", "--id", stolen)
        self.assertUpdates("camera/1.0/image")
        good, self.repo = self.repo, thief
        (self.top / "evil").write_bytes(b"evil")
        self.release("6.6", image=self.top / "evil")
        for _ in range(4):
            self.ota("renew")
        self.repo = good
        shutil.copytree(thief / "repository", good / "repository", dirs_exist_ok=True)
        code, said = self.update("camera/6.6/image")
        self.assertEqual(code, 1)
        self.assertEqual([path.name for path in (self.device / "targets").iterdir()], ["camera%2F1.0%2Fimage"])

    # ---- several people sign: two folders on two machines, between which everything but keys/ travels ----

    def people(self):
        """The first person's folder is self.repo; the second's has no key of it."""
        self.first, self.second = self.repo, self.top / "second"
        self.travel(self.first, self.second)

    @staticmethod
    def travel(start, end):
        (end / "keys").mkdir(parents=True, exist_ok=True)
        for name in ("repository", "online", "waiting"):
            shutil.rmtree(end / name, ignore_errors=True)
            if (start / name).exists():
                shutil.copytree(start / name, end / name)
        shutil.copy(start / "keys.json", end / "keys.json")

    def as_second(self, *words, code=0, **how):
        """What the second person does in a folder that came, and brings back."""
        self.travel(self.first, self.second)
        self.repo = self.second
        try:
            done = self.run_ota(*words, **how)
        finally:
            self.repo = self.first
        self.assertEqual(done.returncode, code, done.stderr)
        self.travel(self.second, self.first)
        return done.stdout + done.stderr

    def test_two_people_on_two_machines_sign_a_release_one_after_the_other(self):
        self.people()
        # The second person's key is made where it stays; root and targets, whose keys are the first one's, take it up.
        said = self.as_second("key", "add", "--role", "camera")
        self.assertIn("targets: 0 of 1", said)
        self.assertEqual(len(self.role("camera")["keys"]), 1)
        self.ota("sign")
        self.assertEqual(len(self.role("camera")["keys"]), 2)
        self.ota("threshold", "--role", "camera", "--signatures", "2")  # not enough yet: both must sign the role anew
        self.assertIn("camera: 1 of 2", self.status()["waiting"])
        self.assertIn("Enough have signed", self.as_second("sign"))
        self.assertEqual((self.role("camera")["threshold"], self.status()["waiting"]), (2, ""))
        self.assertUpdates()

        said = self.ota("release", "--product", "camera", "--version", "1.0", "--image", self.image, "--hardware", "rev-a")
        self.assertIn("waits for signatures (camera: 1 of 2)", said)
        self.assertEqual(self.update("camera/1.0/image")[0], 1)  # devices see nothing of it
        self.assertIn("waiting for signatures: camera: 1 of 2", self.ota("status", passphrase=False))
        # Nothing else is begun meanwhile, and the same person cannot sign twice.
        self.refused(r"waits for signatures \(camera: 1 of 2\)", "release", "--product", "camera", "--version", "1.1", "--image", self.image,
                     "--hardware", "a")
        self.assertIn("waits for signatures (camera: 1 of 2)", self.ota("sign"))
        # Who signs sees it whole, and signs no other bytes.
        self.assertRegex(self.as_second("sign", "--dry-run"), r'"camera/1.0/image": \{')
        image = next((self.first / "repository/targets/camera/1.0").glob("*.image"))
        good = image.read_bytes()
        image.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        self.assertIn("not what the change says", self.as_second("sign", code=1))
        image.write_bytes(good)
        self.assertIn("Enough have signed", self.as_second("sign"))
        self.assertUpdates("camera/1.0/image")
        self.refused("nothing waits", "sign")

        # A change of what waits undoes the first signature; a drop undoes all of it.
        self.ota("release", "--product", "camera", "--version", "2.0", "--image", self.image, "--hardware", "rev-a")
        waiting, = (self.first / "waiting").glob("*.camera.json")
        waiting.write_text(waiting.read_text().replace('"rev-a"', '"rev-b"'))
        self.assertIn("camera: 1 of 2", self.as_second("sign"))
        self.ota("sign", "--drop", passphrase=False)
        self.assertEqual(self.status()["waiting"], "")
        self.assertUpdates("camera/1.0/image", device=self.new_device())

    def test_a_new_root_is_signed_by_as_many_old_and_new_keys_as_they_ask_for(self):
        self.people()
        self.as_second("key", "add", "--role", "root")
        self.ota("sign")
        self.refused("fewer than 3 signatures", "threshold", "--role", "root", "--signatures", "3")
        self.ota("threshold", "--role", "root", "--signatures", "2")  # of the old root one, of the new one both
        self.assertIn("root: 1 of 2", self.status()["waiting"])
        self.as_second("sign")
        self.assertEqual(self.role("root")["threshold"], 2)
        self.assertUpdates()
        # The first one's key is replaced: two of the old root must say so, and two of the new.
        old = self.role("root")["keys"]
        mine, = [key for key in old if (self.first / f"keys/{key[:16]}.pem").exists()]
        self.ota("key", "add", "--role", "root")
        self.as_second("sign")
        fresh, = [key for key in self.role("root")["keys"] if key not in old]
        self.ota("key", "revoke", "--role", "root", "--id", mine)
        self.assertIn("root: 1 of 2", self.status()["waiting"])
        self.as_second("sign")
        self.assertEqual(sorted(self.role("root")["keys"]), sorted([fresh] + [key for key in old if key != mine]))
        self.assertUpdates()
        self.assertUpdates(device=self.new_device())  # the whole chain, from the first root

    def test_a_repository_may_begin_with_several_signatures(self):
        self.repo = self.top / "other"
        self.refused("targets=2", "init", "--product", "camera", "--threshold", "targets")
        self.repo = self.top / "third"
        self.refused("one key", "init", "--product", "camera", "--threshold", "timestamp=2")
        self.repo = self.top / "several"
        self.ota("init", "--product", "camera", "--threshold", "root=2", "--threshold", "camera=3")
        self.assertEqual([(self.role(name)["threshold"], len(self.role(name)["keys"])) for name in ("root", "targets", "camera")],
                         [(2, 2), (1, 1), (3, 3)])
        # All keys are here still: one command signs. With one of them away it waits.
        self.release("1.0")
        away = self.role("camera")["keys"][1]
        (self.repo / f"keys/{away[:16]}.pem").rename(self.top / "away.pem")
        self.ota("release", "--product", "camera", "--version", "1.1", "--image", self.image, "--hardware", "a", "--no-delta")
        self.assertEqual(self.status()["waiting"], "camera: 2 of 3")
        (self.top / "away.pem").rename(self.repo / f"keys/{away[:16]}.pem")
        self.ota("sign")
        self.assertEqual(self.status()["waiting"], "")

    def test_the_last_key_of_a_role_cannot_be_revoked(self):
        self.refused("add one first", "key", "revoke", "--role", "root", "--id", self.role("root")["keys"][0])
        self.refused("no role or product", "key", "add", "--role", "nobody")

    def test_offline_keys_open_with_the_passphrase_alone(self):
        self.write_passphrase("a wrong passphrase")
        self.refused("does not open", "release", "--product", "camera", "--version", "1.0", "--image", self.image, "--hardware", "a")
        self.ota("renew")  # online keys need none
        for path in (self.repo / "keys").iterdir():
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)
            self.assertIn("BEGIN ENCRYPTED PRIVATE KEY", path.read_text())
            opened = subprocess.run(["openssl", "pkey", "-in", path, "-passin", "pass:correct horse battery", "-noout"], capture_output=True)
            self.assertEqual(opened.returncode, 0, opened.stderr)
        self.secret.chmod(0o644)
        self.refused("chmod", "release", "--product", "camera", "--version", "1.0", "--image", self.image, "--hardware", "a")
        self.refused("terminal", "release", "--product", "camera", "--version", "1.0", "--image", self.image, "--hardware", "a", passphrase=False)

    def test_a_short_passphrase_guards_nothing(self):
        self.write_passphrase("short")
        self.repo = self.top / "other"
        self.refused("12 characters", "init", "--product", "camera")

    def test_a_folder_is_made_once(self):
        self.refused("already", "init", "--product", "camera")
        self.repo = self.top / "nothing"
        self.refused("ota init", "status", passphrase=False)

    def test_people_see_roles_keys_and_releases(self):
        self.release("1.0")
        said = self.ota("status", passphrase=False)
        self.assertRegex(said, r"root +version 1 +good until 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ, 1 signature")
        self.assertIn("release camera/1.0/image, 40000 bytes", said)
        self.assertEqual(len(re.findall(r"^    [0-9a-f]{64}$", said, re.M)), 7)  # root, targets, rollout, two products, snapshot, timestamp


if __name__ == "__main__":
    unittest.main()
