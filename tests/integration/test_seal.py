"""Keys that a thief cannot use. The thief copies files, looks through every byte of them for the secrets that the hub
was given and for the shapes that private keys have, and tries to run what he has on a machine of his own."""

import base64
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import case
import lab
import test_backup
import test_trust

SEALS = ("file", "tpm", "systemd")

# PKCS#8, SEC 1 and Ed25519 private keys in DER, and their armours.
KEY_SHAPES = [
    re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----"),
    re.compile(rb"\x30.{1,2}\x02\x01\x00\x30.\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", re.DOTALL),  # PKCS#8, EC
    re.compile(rb"\x02\x01\x01\x04\x20.{32}(\xa0|\xa1)", re.DOTALL),  # SEC 1, P-256
    re.compile(rb"\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20", re.DOTALL),  # PKCS#8, Ed25519
]


def private_number(pem):
    """The private number of a P-256 key, as bytes."""
    text = subprocess.run(["openssl", "pkey", "-noout", "-text"], input=pem, capture_output=True, check=True).stdout.decode()
    hexes = re.search(r"priv:\s*((?:[0-9a-f]{2}[:\s]*)+)pub", text).group(1)
    return bytes.fromhex(re.sub(r"[^0-9a-f]", "", hexes)).lstrip(b"\0")


class SealedHub(lab.Hub):
    """A hub under one seal, with the TPM or the credential that belongs to its machine."""

    def __init__(self, seal, folder=None):
        super().__init__(folder)
        self.seal = seal
        self.tpm = None
        self.credentials = self.top / "credentials"  # what systemd would mount for this service alone
        self.environment = dict(os.environ)
        self.environment.pop("CREDENTIALS_DIRECTORY", None)
        if seal == "tpm":
            self.tpm = lab.Tpm().start()
        if seal == "systemd":
            self.credentials.mkdir(parents=True)
            (self.credentials / "porchlight-seal").write_bytes(os.urandom(48))
            self.environment["CREDENTIALS_DIRECTORY"] = str(self.credentials)

    def options(self):
        return ["--seal", self.seal] + (["--tpm", self.tpm.tcti] if self.tpm else [])

    def make(self):
        self.made = self.init(*self.options())
        found = re.search(r"^    ([0-9a-f-]{71})$", self.made, re.MULTILINE)
        self.recovery = found.group(1) if found else None
        return self

    def remove(self):
        super().remove()
        if self.tpm:
            self.tpm.remove()


class WithHubs(unittest.TestCase):
    def hub(self, seal, folder=None):
        hub = SealedHub(seal, folder)
        self.addCleanup(hub.remove)
        return hub

    def refused(self, hub, *words):
        """The hub does not start, and says why."""
        with self.assertRaises(lab.LabError):
            hub.start(60)
        self.assertEqual(hub.process.wait(60), 1)
        for word in words:
            self.assertIn(word, hub.log.text())


class Seals(WithHubs):
    def test_each_seal_serves_across_restarts_and_doctor_names_it(self):
        for seal in SEALS:
            with self.subTest(seal):
                hub = self.hub(seal).make()
                for _ in range(2):
                    hub.start()
                    self.assertTrue(hub.cli("status")["signer"])
                    report = hub.cli("doctor", check=False)
                    self.assertIn(f'"seal":"{seal}"', report[1])
                    hub.stop()
                self.assertEqual(hub.file("signer", "vault").exists(), seal != "file")
                self.assertEqual(hub.file("signer", "issuing.key").exists(), seal == "file")
                self.assertEqual(hub.file("tls", "hub.key").exists(), seal == "file")
                self.assertEqual("supervisor.keys-unsealed" in hub.log.text(), seal == "file")

    def test_without_its_tpm_or_credential_the_hub_refuses_with_a_sentence(self):
        hub = self.hub("tpm").make()
        hub.tpm.stop()
        self.refused(hub, "sealed by a TPM", "there is no TPM at", "restore a backup with the recovery key")
        code, _, err = hub.cli("status", check=False)
        self.assertEqual(code, 1)
        self.assertIn("there is no TPM at", err)
        hub = self.hub("systemd").make()
        (hub.credentials / "porchlight-seal").unlink()
        self.refused(hub, "systemd gave no credential 'porchlight-seal'", "LoadCredentialEncrypted=porchlight-seal")

    def test_init_without_them_makes_nothing(self):
        hub = self.hub("file")
        for words, sentence in ((["--seal", "tpm", "--tpm", "swtpm:path=/nonexistent"], "there is no TPM at"),
                                (["--seal", "systemd"], "systemd gave no credential"),
                                (["--seal", "paper"], "there is no seal 'paper'")):
            with self.assertRaisesRegex(lab.LabError, sentence):
                hub.init(*words)
            self.assertFalse(hub.dir.exists())

    def test_the_recovery_key_is_shown_before_anything_else_can_fail(self):
        hub = self.hub("systemd").make()
        self.assertLess(hub.made.index(hub.recovery), hub.made.index("Get the setup link"))

    def test_init_hands_its_recovery_key_over_although_it_is_interrupted(self):
        hub = self.hub("systemd")
        words = [lab.program("porchlight"), "init", str(hub.dir), "--https-port", "8443", "--bind", "127.0.0.1", "--json", *hub.options()]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=hub.environment) as process:
            while not hub.file("recovery.pub").exists():
                self.assertIsNone(process.poll())
            process.send_signal(signal.SIGINT)
            out = process.stdout.read()
        key = json.loads(out)["recovery_key"]
        made = hub.cli("backup", "--out", hub.top / "hub.backup")
        self.assertNotIn("recovery_key", made)
        new = self.hub("file", hub.top / "new")
        new.top.mkdir()
        new.cli("restore", hub.top / "hub.backup", "--seal", "file", input=key + "\n")

    def test_a_recovery_key_that_nobody_has_seen_is_not_remembered(self):
        hub = self.hub("file").make()
        hub.credentials.mkdir(parents=True)
        (hub.credentials / "porchlight-seal").write_bytes(os.urandom(48))
        hub.environment["CREDENTIALS_DIRECTORY"] = str(hub.credentials)
        for words in (["backup", "--out", hub.top / "unread.backup"], ["seal", "systemd"]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([lab.program("porchlight"), "-C", str(hub.dir), *map(str, words)], stdout=full,
                                      stderr=subprocess.PIPE, env=hub.environment, timeout=120)
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"the recovery key could not be shown", done.stderr)
            self.assertFalse(hub.file("recovery.pub").exists())
        self.assertIn("recovery_key", hub.cli("seal", "systemd"))
        hub.start()

    def test_the_seal_can_be_changed_while_no_hub_runs(self):
        hub = self.hub("file").make()
        hub.tpm = lab.Tpm().start()
        hub.credentials.mkdir(parents=True)
        (hub.credentials / "porchlight-seal").write_bytes(os.urandom(48))
        hub.start()
        person = hub.person().become_owner()
        code, _, err = hub.cli("seal", "tpm", check=False)
        self.assertEqual(code, 1)
        self.assertIn("a hub is running", err)
        hub.stop()
        with open(hub.file("hub.conf"), "a", encoding="utf-8") as conf:
            conf.write("# the operator's own words stay\n")
        numbers = [private_number(hub.file("signer", name).read_bytes()) for name in ("issuing.key", "web-ca.key", "vapid.key")]
        plain = hub.file("signer", "seal.key").read_bytes()
        done = hub.cli("seal", "tpm", "--tpm", hub.tpm.tcti)
        self.assertEqual((done["from"], done["to"]), ("file", "tpm"))
        self.assertIn("recovery_key", done)
        for path in hub.dir.rglob("*"):
            raw = path.read_bytes() if path.is_file() else b""
            for secret in (plain, *numbers):
                self.assertNotIn(secret, raw, path)
        hub.environment["CREDENTIALS_DIRECTORY"] = str(hub.credentials)
        for to in ("tpm", "systemd", "file", "systemd"):
            done = hub.cli("seal", to)
            self.assertEqual(done["to"], to)
            self.assertNotIn("recovery_key", done)
            hub.start()
            person.must("GET", "/api/v1/events")
            hub.stop()
        hub.start()
        person.login()
        self.assertIn("# the operator's own words stay", hub.file("hub.conf").read_text())

    def test_a_retired_issuers_key_leaves_the_vault_at_once(self):
        from test_issuers import Steps  # which itself needs this file
        for seal in ("tpm", "systemd"):
            with self.subTest(seal):
                hub = self.hub(seal).make()
                hub.start()
                first = hub.cli("ca", "list")["issuers"][0]["sha256"]
                Steps(hub, hub.top).next()
                before = hub.file("signer", "vault").read_bytes()
                self.assertIs(hub.cli("ca", "retire", first, "--cut-off-live-certificates")["key_destroyed"], True)
                self.assertNotEqual(hub.file("signer", "vault").read_bytes(), before, "written anew, while the hub serves")
                hub.device("front-door")
                last = hub.cli("trust-log", "list")["rows"]
                self.assertIn("ca.key-destroyed", [row["kind"] for row in last])
                hub.stop()
                hub.start()  # by the vault without it
                hub.device("garden")
                hub.stop()
                hub.cli("seal", "file")
                self.assertFalse(hub.file("signer", "issuing.key").exists(), "nobody has it any more")
                self.assertTrue(hub.file("signer", "web-ca.key").exists())

    def test_a_new_web_ca_stays_under_the_seal(self):
        hub = self.hub("tpm").make()
        before = hub.file("tls", "web-ca.pem").read_bytes()
        hub.cli("ca", "renew-web")
        self.assertNotEqual(hub.file("tls", "web-ca.pem").read_bytes(), before)
        self.assertEqual(sorted(path.name for path in hub.file("signer").iterdir()), ["issuers", "journal", "root.pem", "vault"])
        hub.start()
        hub.person().become_owner()

    def test_a_change_that_was_interrupted_is_told_and_completed(self):
        hub = self.hub("file").make()
        hub.tpm = lab.Tpm().start()
        before = hub.file("hub.conf").read_bytes()
        shutil.copytree(hub.file("signer"), hub.top / "signer-before")
        hub.cli("seal", "tpm", "--tpm", hub.tpm.tcti)
        # as if the power went after the vault was written: the key files still there, hub.conf not changed yet
        for path in (hub.top / "signer-before").iterdir():
            if path.name != "journal":
                shutil.copy(path, hub.file("signer"))
        hub.file("hub.conf").write_bytes(before)
        self.refused(hub, "hub.seal = file, but the keys are sealed by tpm")
        hub.file("hub.conf").write_bytes(before + f"hub.tpm = {hub.tpm.tcti}\n".encode())
        hub.cli("seal", "tpm")
        self.assertFalse(hub.file("signer", "issuing.key").exists())
        hub.start()


class Thief(WithHubs):
    """What is known of one hub's secrets, and where the thief may look for them."""

    def lived_in(self, seal):
        """A hub that has one of each: owner, second factor, recovery codes, webhook, device, clip, public name."""
        hub = self.hub(seal).make()
        hub.start()
        person = hub.person().become_owner()
        webhook = hub.cli("webhook", "add", "https://hooks.example/one")
        front = hub.device("front-door")
        mover = test_backup.Backup
        mover.hub, mover.front = hub, front
        mover.raw = os.urandom(150000)
        mover.send_clip(mover.raw)
        certificate, self.public_key = test_trust.Public(hub.top / "public").pair("public")
        hub.cli("https-cert", "--cert", certificate, "--key", self.public_key)
        return hub, person, webhook

    def secrets_of(self, person, webhook):
        """{name: bytes} of everything that must not be found."""
        secrets = {"the session's token": person.cookie.split("=", 1)[1].split(";")[0].encode(),
                   "the TOTP secret": base64.b32decode(person.secret + "=" * (-len(person.secret) % 8)),
                   "the TOTP secret's text": person.secret.encode(),
                   "the password": person.PASSWORD.encode(),
                   "the clip": test_backup.Backup.raw[1000:1064]}
        for number, code in enumerate(person.recovery):
            secrets[f"recovery code {number}"] = code.encode()
            secrets[f"recovery code {number}, bare"] = code.replace("-", "").encode()
        pem = self.public_key.read_bytes()
        secrets["the public name's key"] = private_number(pem)
        secrets["the public name's key as text"] = pem.split(b"\n")[1]
        text = webhook["secret"]
        secrets["the webhook's secret"] = text.encode()
        secrets["the webhook's secret, raw"] = base64.b64decode(text.removeprefix("whsec_"))
        return secrets

    def find(self, folder, secrets, shapes=True):
        """Names of what a thief finds in the files below."""
        found = set()
        for path in [folder] if folder.is_file() else folder.rglob("*"):
            if not path.is_file():
                continue
            raw = path.read_bytes()
            found |= {f"{name} in {path.name}" for name, secret in secrets.items() if secret in raw}
            found |= {f"a private key in {path.name}" for shape in KEY_SHAPES if shapes and shape.search(raw)}
        return found

    def steal(self, hub, *names):
        loot = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-loot-"))
        self.addCleanup(shutil.rmtree, loot, ignore_errors=True)
        for name in names:
            path = hub.file(name) if name else hub.dir
            if path.is_dir():
                shutil.copytree(path, loot / "hub" if not name else loot / name, ignore=shutil.ignore_patterns("*.sock"))
            else:
                shutil.copy(path, loot)
        return loot

    def test_database_clips_and_backup_alone_give_nothing_under_any_seal(self):
        for seal in SEALS:
            with self.subTest(seal):
                hub, *known = self.lived_in(seal)
                backup = hub.top / "hub.backup"
                made = hub.cli("backup", "--out", backup)
                hub.stop()
                secrets = self.secrets_of(*known)
                secrets["the recovery key"] = bytes.fromhex((hub.recovery or made["recovery_key"]).replace("-", ""))
                loot = self.steal(hub, "hub.db", "clips")
                shutil.copy(backup, loot)
                self.assertEqual(self.find(loot, secrets), set())
                self.assertGreater(sum(1 for path in loot.rglob("*") if path.is_file()), 2)

    def test_the_search_would_find_them(self):
        """Under `file`, the whole directory does give the keys: the thief's eyes are good."""
        hub, *known = self.lived_in("file")
        hub.cli("ca", "export-root", "--out", hub.top / "root.key")
        hub.stop()
        loot = self.steal(hub, "")
        found = self.find(loot, {})
        for name in ("issuing.key", "web-ca.key", "vapid.key", "hub.key", "web.key"):
            self.assertIn(f"a private key in {name}", found)
        # and a copy of it runs elsewhere: this is what `file` means
        stolen = self.hub("file", loot)
        stolen.start()
        stolen.stop()

    def test_the_whole_directory_gives_nothing_under_tpm_and_systemd(self):
        for seal in ("tpm", "systemd"):
            with self.subTest(seal):
                hub, *known = self.lived_in(seal)
                hub.cli("ca", "export-root", "--out", hub.top / "root.key")
                hub.stop()
                secrets = self.secrets_of(*known)
                if seal == "systemd":
                    secrets["the credential"] = (hub.credentials / "porchlight-seal").read_bytes()
                secrets["the recovery key"] = bytes.fromhex(hub.recovery.replace("-", ""))
                # what the vault holds, taken out by the owner, must stand nowhere in it
                plain = self.hub("file")
                plain.environment = hub.environment
                shutil.copytree(hub.dir, plain.dir)
                plain.cli("seal", "file")
                for name in ("issuing.key", "web-ca.key", "vapid.key"):
                    pem = plain.file("signer", name).read_bytes()
                    secrets[name] = private_number(pem)
                    secrets[f"{name}'s text"] = pem.split(b"\n")[1]
                secrets["seal.key"] = plain.file("signer", "seal.key").read_bytes()
                self.assertIn("seal.key in seal.key", self.find(plain.dir, secrets))
                loot = self.steal(hub, "")
                self.assertEqual(self.find(loot, secrets), set())
                # the thief has a machine of his own, with a TPM and credentials of his own
                stolen = SealedHub(seal, loot)
                self.addCleanup(stolen.remove)
                if stolen.tpm:
                    with open(stolen.file("hub.conf"), "a", encoding="utf-8") as conf:
                        text = stolen.file("hub.conf").read_text()
                        stolen.file("hub.conf").write_text(text.replace(hub.tpm.tcti, stolen.tpm.tcti))
                    self.refused(stolen, "not the TPM that sealed it")
                else:
                    self.refused(stolen, "sealed with another secret")
                # nor does saying `file` help
                code, _, err = stolen.cli("seal", "file", check=False)
                self.assertEqual(code, 1, err)
                self.assertEqual(self.find(loot, secrets), set())
                # while the owner's own goes on
                hub.start()


class Restore(WithHubs):
    def test_a_backup_comes_back_under_any_seal(self):
        for seal in SEALS:
            hub = self.hub(seal).make()
            hub.start()
            person = hub.person().become_owner()
            step = person._last_step
            front = hub.device("front-door")
            backup = hub.top / "hub.backup"
            made = hub.cli("backup", "--out", backup)
            key = hub.recovery or made["recovery_key"]
            hub.stop()
            for other in SEALS:
                with self.subTest(f"{seal} to {other}"):
                    new = self.hub(other)
                    answer = new.cli("restore", backup, *new.options(), input=key + "\n")
                    self.assertEqual(answer["seal"], other)
                    new.start()
                    person.hub, person._last_step = new, step  # it knows what the backup knew
                    person.login()
                    with test_backup.mqtt.Client(new, new.device_tls(front)) as client:
                        self.assertEqual(client.connect("front-door").reason, 0)
                    again = new.cli("backup", "--out", new.top / "again.backup")
                    self.assertNotIn("recovery_key", again)
                    new.stop()

    def test_a_tpm_that_is_not_there_restores_nothing_and_says_what_to_do(self):
        hub = self.hub("tpm").make()
        backup = hub.top / "hub.backup"
        hub.cli("backup", "--out", backup)
        hub.tpm.stop()
        new = self.hub("file")
        code, _, err = new.cli("restore", backup, check=False, input=hub.recovery)
        self.assertEqual(code, 1)
        self.assertIn("choose another with --seal", err)
        self.assertEqual(list(new.top.iterdir()), [])

    def test_a_new_recovery_key_needs_the_vault_wrapped_anew(self):
        hub = self.hub("tpm").make()
        hub.file("recovery.pub").unlink()
        code, _, err = hub.cli("backup", "--out", hub.top / "hub.backup", check=False)
        self.assertEqual(code, 1)
        self.assertIn("seal tpm", err)
        done = hub.cli("seal", "tpm")
        self.assertNotEqual(done["recovery_key"], hub.recovery)
        hub.cli("backup", "--out", hub.top / "hub.backup")
        new = self.hub("file")
        new.cli("restore", hub.top / "hub.backup", "--seal", "file", input=done["recovery_key"])
        new.start()


if __name__ == "__main__":
    unittest.main()
