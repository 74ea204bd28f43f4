"""Secrets of a device on its own disk: nobody who has the folder alone reads them."""

import shutil
import subprocess
import unittest

import case
import lab
from test_keys import HANDLE, Token, device_program

SECRET = b"correct-horse-battery-staple"


class Secrets(case.HubCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tpm = lab.Tpm().start()
        cls.addClassCleanup(cls.tpm.remove)

    def enrolled(self, name, uri, *tpm, environment=None):
        made = self.hub.top / f"made-{name}"
        device_program(made, "make-key", uri, *tpm, environment=environment)
        options = {"csr": made / "request.pem", "key": uri}
        if tpm:
            options["tpm"] = tpm[1]
        return self.hub.device(name, **options)

    def secret(self, folder, *words, value=b"", environment=None):
        return subprocess.run([lab.program("porchlight-device"), str(folder), "secret", *words], input=value, capture_output=True,
                              timeout=60, env=environment)

    def walk(self, folder, environment=None):
        """Set, get, list, change and remove; the folder holds nothing that reads like the secret."""
        ask = lambda *words, **more: self.secret(folder, *words, environment=environment, **more)  # noqa: E731
        self.assertEqual(ask("set", "wifi", value=SECRET).returncode, 0)
        self.assertEqual(ask("set", "token", value=bytes(range(256)) * 16).returncode, 0)
        self.assertEqual(ask("get", "wifi").stdout, SECRET)
        self.assertEqual(ask("get", "token").stdout, bytes(range(256)) * 16)
        self.assertEqual(sorted(ask("list").stdout.split()), [b"token", b"wifi"])
        for path in folder.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"horse", path.read_bytes(), path)
        self.assertEqual(ask("set", "wifi", value=b"another").returncode, 0)
        self.assertEqual(ask("get", "wifi").stdout, b"another")
        done = ask("set", "large", value=bytes(4097))
        self.assertEqual((done.returncode, b"1 to 4096 bytes" in done.stderr), (1, True))
        for name in ("../cert", "WiFi", ""):
            self.assertEqual(ask("set", name, value=b"x").returncode, 1, name)
        # one secret in another's place opens nowhere
        shutil.copy(folder / "secrets" / "token", folder / "secrets" / "wifi")
        done = ask("get", "wifi")
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn(b"was changed", done.stderr)
        self.assertEqual(ask("remove", "token").returncode, 0)
        self.assertEqual(ask("get", "token").returncode, 1)
        self.assertEqual(ask("remove", "token").returncode, 1)

    def test_with_the_key_in_a_tpm(self):
        folder = self.enrolled("in-tpm", HANDLE, "--tpm", self.tpm.tcti)
        self.walk(folder)
        self.secret(folder, "set", "wifi", value=SECRET)
        device_program(folder, "renew")  # the same key: nothing is lost
        self.assertEqual(self.secret(folder, "get", "wifi").stdout, SECRET)
        # the thief of the disk has another TPM, with a key at that handle even
        other = lab.Tpm().start()
        self.addCleanup(other.remove)
        device_program(self.hub.top / "elsewhere", "make-key", HANDLE, "--tpm", other.tcti)
        stolen = self.hub.top / "stolen"
        shutil.copytree(folder, stolen)
        conf = stolen / "device.conf"
        conf.write_text(conf.read_text().replace(self.tpm.tcti, other.tcti))
        done = self.secret(stolen, "get", "wifi")
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn(b"not the TPM that sealed it", done.stderr)

    def test_with_the_key_in_a_token(self):
        token = Token()
        self.addCleanup(token.remove)
        self.walk(self.enrolled("in-token", token.uri("in-token"), environment=token.environment), token.environment)

    def test_with_the_key_in_a_file(self):
        self.walk(self.hub.device("in-file"))

    def test_words_that_are_none(self):
        folder = self.hub.device("words")
        self.assertEqual(self.secret(folder, "shout", "wifi").returncode, 2)
        self.assertEqual(self.secret(folder, "set").returncode, 2)


if __name__ == "__main__":
    unittest.main()
