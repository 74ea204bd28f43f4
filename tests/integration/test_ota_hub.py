"""The hub as the update repository: it announces what the team signed, verifies what comes, and serves devices."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import cbor2

import case
import lab

UPDATES = "/api/v1/device/updates"


class OtaHub(case.HubCase):
    settings = {"ota_timestamp_hours": 1, "trust_head_s": 1}

    def setUp(self):
        super().setUp()
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-ota-hub-"))
        self.addCleanup(shutil.rmtree, self.top)
        self.repo, self.secret = self.top / "repo", self.top / "passphrase"
        self.secret.write_text("correct horse battery\n")
        self.secret.chmod(0o600)
        self.device = self.hub.top / "device-camera"
        if not self.device.exists():
            self.hub.cli("device", "add", "porch-cam", "--product", "camera", "--out", self.device)
            self.hub.cli("service", "add", "reader", "--out", self.hub.top / "service")

    def ota(self, *words, code=0, passphrase=True):
        extra = ["--passphrase-file", self.secret] if passphrase else []
        done = subprocess.run([lab.program("porchlight"), "-C", self.hub.dir, "ota", *map(str, words), *extra],
                              capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        self.assertNotIn("Sanitizer", done.stderr)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout if code == 0 else done.stderr

    def make(self, repo=None):
        keys = self.top / "hub-keys.json"
        self.ota("keys", "--out", keys, passphrase=False)
        self.ota("init", repo or self.repo, "--product", "camera", "--online-keys", keys)

    def files(self):
        top = self.repo / "repository"
        return {str(path.relative_to(top)): path.stat().st_size for path in top.rglob("*") if path.is_file()}

    def release(self, version, repo=None, old=None, more=()):
        """Random bytes, or those of `old` but for a few: then with a delta."""
        image = self.top / f"image-{version}"
        image.write_bytes(os.urandom(100_000) if old is None else old[:-4] + os.urandom(4))
        self.ota("release", repo or self.repo, "--product", "camera", "--version", version, "--image", image, "--hardware", "rev-a",
                 *(["--no-delta"] if old is None else []), *more)
        return image.read_bytes()

    def publish(self, repo=None, **how):
        return self.ota("publish", repo or self.repo, passphrase=False, **how)

    def get(self, path, *more, who=None):
        """(status, headers, body) as curl got it."""
        folder, body, head = who or self.device, self.top / "body", self.top / "head"
        done = subprocess.run(["curl", "-sS", "--cacert", folder / "ca.pem", "--cert", folder / "cert.pem", "--key", folder / "key.pem",
                               "-o", body, "-D", head, "-w", "%{http_code}", *more, f"https://localhost:{self.hub.ports['device']}{UPDATES}/{path}"],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return int(done.stdout), head.read_text().lower(), body.read_bytes() if body.exists() else b""

    def address(self, who=None):
        """What porchlight-tuf needs to fetch from the hub's port for devices, with the device's certificate."""
        folder = who or self.device
        return ["--metadata-url", f"https://localhost:{self.hub.ports['device']}{UPDATES}/metadata", "--ca", folder / "ca.pem",
                "--cert", folder / "cert.pem", "--key", folder / "key.pem"]

    def tuf(self, *words):
        done = subprocess.run([lab.program("porchlight-tuf"), "--metadata-dir", self.top / "device", *map(str, words)],
                              capture_output=True, text=True, timeout=60)
        self.assertNotIn("Sanitizer", done.stderr)
        return done.returncode, done.stderr

    # One hub keeps one repository, so what needs a fresh one is one walk.
    def test_a_release_comes_to_the_hub_and_devices_fetch_it_and_nothing_false_gets_in(self):
        # A folder that was not made for this hub is refused before the signer remembers any of its roles.
        foreign = self.top / "foreign"
        self.ota("init", foreign, "--product", "doorbell")
        self.assertIn("does not name this hub's", self.publish(foreign, code=1))
        self.make()
        image = self.release("1")
        self.assertEqual(self.get("metadata/timestamp.json")[0], 404)
        self.assertIn("1 new release", self.publish())
        for version in ("--http1.1", "--http2"):
            status, head, text = self.get("metadata/timestamp.json", version)
            self.assertEqual((status, "no-store" in head), (200, True))
        timestamp = json.loads(text)["signed"]
        snapshot = json.loads(self.get(f"metadata/{timestamp['meta']['snapshot.json']['version']}.snapshot.json")[2])["signed"]
        self.assertEqual(sorted(snapshot["meta"]), ["camera.json", "rollout.json", "targets.json"])
        camera = json.loads(self.get(f"metadata/{snapshot['meta']['camera.json']['version']}.camera.json")[2])["signed"]
        sha256 = camera["targets"]["camera/1/image"]["hashes"]["sha256"]
        path = f"targets/camera/1/{sha256}.image"
        for version in ("--http1.1", "--http2"):
            self.assertEqual(self.get(path, version)[::2], (200, image))
            status, head, part = self.get(path, version, "-r", "1000-1999")
            self.assertEqual((status, part), (206, image[1000:2000]))
            self.assertIn("content-range: bytes 1000-1999/100000", head)
            self.assertEqual(self.get(path, version, "-r", "100000-")[0], 416)
            status, head, _ = self.get(path, version, "-I")
            self.assertEqual((status, "content-length: 100000" in head), (200, True))
        self.assertEqual(self.get("metadata/timestamp.json", who=self.hub.top / "service")[0], 403)
        self.assertEqual(self.get("metadata/..%2f..%2fhub.db")[0], 400)

        # The client core itself, from the root that came with the product.
        (self.top / "device").mkdir()
        (self.top / "images").mkdir()
        self.assertEqual(self.tuf("init", self.repo / "repository/metadata/1.root.json")[0], 0)
        targets = f"https://localhost:{self.hub.ports['device']}{UPDATES}/targets"
        self.assertEqual(self.tuf(*self.address(), "--target-name", "camera/1/image", "--target-name", "camera/1/manifest", "--target-dir",
                                  self.top / "images", "--target-base-url", targets, "download"), (0, ""))
        self.assertEqual((self.top / "images/camera%2F1%2Fimage").read_bytes(), image)
        self.assertEqual(cbor2.loads((self.top / "images/camera%2F1%2Fmanifest").read_bytes()).tag, 107)
        # who is refused is told so, and does not take it for "there is no newer root"
        code, said = self.tuf(*self.address(self.hub.top / "service"), "refresh")
        self.assertEqual(code, 1)
        self.assertIn("refuses our certificate (HTTP status 403)", said)

        # A device under quarantine still reaches its update.
        self.hub.cli("device", "quarantine", "porch-cam")
        self.assertEqual(self.get(path)[0], 200)
        self.hub.cli("device", "readmit", "porch-cam")

        # Only what is new travels, and versions of snapshot and timestamp rise.
        before = self.files()
        self.release("2", old=image, more=["--stage", "1%:24h", "--stage", "100%"])
        self.ota("widen", self.repo, "--product", "camera", "--version", "2", "--share", "100%")
        new = self.files()
        self.assertEqual(len([name for name in new if "delta-from" in name]), 1)
        said = self.publish()
        self.assertIn("1 new release", said)
        sent = int(re.search(r"(\d+) bytes sent", said).group(1))
        self.assertEqual(sent, sum(size for name, size in new.items() if name not in before and "snapshot" not in name), said)
        after = json.loads(self.get("metadata/timestamp.json")[2])["signed"]
        self.assertGreater(after["version"], timestamp["version"])
        self.assertIn("0 new release", self.publish())

        # Every release is in the trust log.
        log = json.dumps(self.hub.cli("trust-log", "list"))
        self.assertIn("release:camera/1", log)
        self.assertIn("release:camera/2", log)

        # Another team's folder, an older folder, a changed image, a changed role: refused, and what is published stays.
        before = self.get("metadata/timestamp.json")[2]
        other = self.top / "other"
        self.make(other)
        self.release("3", other)
        self.publish(other, code=1)
        older = self.top / "older"
        shutil.copytree(self.repo, older)
        self.release("4")
        newest = self.publish()
        self.assertIn("1 new release", newest)
        self.assertIn("only", self.publish(older, code=1))
        self.release("5")
        changed = next((self.repo / "repository/targets/camera/5").iterdir())
        good = changed.read_bytes()
        changed.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        self.assertIn("not those that were signed", self.publish(code=1))
        changed.write_bytes(good)
        role = max((self.repo / "repository/metadata").glob("*.camera.json"), key=lambda p: int(p.name.split(".")[0]))
        text = role.read_text()
        role.write_text(text.replace('"rev-a"', '"rev-b"', 1))
        self.assertIn("not signed by its keys", self.publish(code=1))
        role.write_text(text)
        self.assertNotIn("camera/5", json.dumps(json.loads(self.get("metadata/timestamp.json")[2])))
        self.assertNotEqual(before, self.get("metadata/timestamp.json")[2])

        # Wrong bytes were found by their hash and are not kept: the repeat sends the right ones.
        self.assertIn("1 new release", self.publish())

        # After a restart the hub goes on where it was, and renews by itself before the timestamp ends.
        last = json.loads(self.get("metadata/timestamp.json")[2])["signed"]["version"]
        self.hub.stop()
        self.hub.start()
        self.assertEqual(json.loads(self.get("metadata/timestamp.json")[2])["signed"]["version"], last)
        self.release("6")
        # What only stands beside a name is no signature: nobody is said to have signed who has not.
        role = max((self.repo / "repository/metadata").glob("*.camera.json"), key=lambda p: int(p.name.split(".")[0]))
        document = json.loads(role.read_text())
        real = document["signatures"][0]["keyid"]
        document["signatures"].append({"keyid": "ab" * 32, "sig": "cd" * 64})
        role.write_text(json.dumps(document))
        self.publish()
        signed = json.dumps(self.hub.cli("ota", "audit")) + json.dumps(self.hub.cli("trust-log", "list"))
        self.assertIn(real, signed)
        self.assertNotIn("ab" * 32, signed)
        self.assertGreater(json.loads(self.get("metadata/timestamp.json")[2])["signed"]["version"], last)
        self.assertEqual(self.tuf(*self.address(), "refresh"), (0, ""))


if __name__ == "__main__":
    unittest.main()
