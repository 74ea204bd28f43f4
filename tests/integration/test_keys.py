"""Where a device's private key lies: in a TPM (swtpm), in a PKCS#11 token (SoftHSM), or in a file, which must be said."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import case
import lab
from test_seal import private_number

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
HANDLE = "tpm2:0x81000010"


class Token:
    """A SoftHSM token in a folder of its own."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-hsm-"))
        (self.folder / "tokens").mkdir()
        (self.folder / "softhsm2.conf").write_text(f"directories.tokendir = {self.folder / 'tokens'}\n")
        (self.folder / "pin").touch(0o600)
        (self.folder / "pin").write_text("1234\n")
        self.environment = dict(os.environ, SOFTHSM2_CONF=str(self.folder / "softhsm2.conf"))
        subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "factory", "--pin", "1234", "--so-pin", "87654321"],
                       check=True, capture_output=True, env=self.environment)

    def uri(self, name):
        return f"pkcs11:token=factory;object={name}?module-path={MODULE}&pin-source={self.folder / 'pin'}"

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def device_program(folder, *words, environment=None, check=True):
    done = subprocess.run([lab.program("porchlight-device"), str(folder), *words], capture_output=True, text=True, timeout=120,
                          env=environment)
    if check and done.returncode != 0:
        raise lab.LabError(f"porchlight-device {' '.join(words)} ended with {done.returncode}: {done.stderr}")
    return done


class Keys(case.HubCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tpm = lab.Tpm().start()
        cls.addClassCleanup(cls.tpm.remove)

    def enrolled(self, name, uri, *tpm, environment=None):
        """The walk of docs/device-guide.md: a key in the store, its request to the hub, the answer to the device."""
        folder = self.hub.top / f"made-{name}"
        device_program(folder, "make-key", uri, *tpm, environment=environment)
        options = {"csr": folder / "request.pem", "key": uri}
        if tpm:
            options["tpm"] = tpm[1]
        out = self.hub.device(name, **options)
        self.assertFalse((out / "key.pem").exists())
        return out

    def test_a_key_in_a_tpm_speaks_for_its_device(self):
        folder = self.enrolled("in-tpm", HANDLE, "--tpm", self.tpm.tcti)
        conf = (folder / "device.conf").read_text()
        self.assertIn(f"key.uri = {HANDLE}\nkey.tpm = {self.tpm.tcti}\n", conf)
        self.assertNotIn("development", conf)
        done = device_program(folder, "publish", "d/in-tpm/telemetry/one", "21")
        self.assertNotIn("development", done.stderr)
        again = device_program(self.hub.top / "again", "make-key", HANDLE, "--tpm", self.tpm.tcti, check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn("choose another handle", again.stderr)
        self.assertFalse((self.hub.top / "again" / "request.pem").exists())

    def test_a_key_in_a_token_speaks_for_its_device(self):
        token = Token()
        self.addCleanup(token.remove)
        uri = token.uri("in-token")
        folder = self.enrolled("in-token", uri, environment=token.environment)
        self.assertIn(f"key.uri = {uri}\n", (folder / "device.conf").read_text())
        device_program(folder, "publish", "d/in-token/telemetry/one", "21", environment=token.environment)
        (token.folder / "pin").write_text("0000\n")
        done = device_program(folder, "publish", "d/in-token/telemetry/one", "21", environment=token.environment, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("PIN", done.stderr)

    def test_a_camera_s_fence_lets_it_use_a_key_in_a_token_that_is_kept_in_files(self):
        token = Token()
        self.addCleanup(token.remove)
        folder = self.enrolled("fenced", token.uri("fenced"), environment=token.environment)
        shut = lab.Camera(folder, lab.videos() / "vtest.avi", environment=token.environment)
        self.addCleanup(shut.stop)
        said = shut.err.wait_for(lambda text: "--allow-file" in text or "no Landlock" in text, 60)
        self.assertIsNotNone(said, shut.err.text())
        if "no Landlock" not in said:
            self.assertEqual(shut.process.wait(60), 1)
        shut.stop()
        camera = lab.Camera(folder, lab.videos() / "vtest.avi", "--loop", "--allow-file", token.folder, environment=token.environment)
        self.addCleanup(camera.stop)
        line = camera.out.wait_for(lambda text: '"event-acknowledged"' in text, 120)
        self.assertIsNotNone(line, "\n".join(camera.err.all))

    def test_a_key_in_a_file_must_be_said_and_is_told_at_every_start(self):
        folder = self.hub.device("in-file")
        conf = folder / "device.conf"
        self.assertIn("key.file_for_development = true", conf.read_text())
        for _ in range(2):
            self.assertIn("for development only", device_program(folder, "publish", "d/in-file/telemetry/one", "21").stderr)
        conf.write_text(conf.read_text().replace("key.file_for_development = true\n", ""))
        done = device_program(folder, "publish", "d/in-file/telemetry/one", "21", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("key.file_for_development = true", done.stderr)
        self.assertIn("make-key", done.stderr)

    def test_another_key_than_the_certificate_s_is_refused(self):
        other = lab.Tpm().start()
        self.addCleanup(other.remove)
        uri = "tpm2:0x81000011"
        folder = self.enrolled("moved", uri, "--tpm", self.tpm.tcti)
        device_program(self.hub.top / "elsewhere", "make-key", uri, "--tpm", other.tcti)
        conf = folder / "device.conf"
        conf.write_text(conf.read_text().replace(self.tpm.tcti, other.tcti))
        done = device_program(folder, "publish", "d/moved/telemetry/one", "21", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another key", done.stderr)
        other.stop()
        done = device_program(folder, "publish", "d/moved/telemetry/one", "21", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no TPM at", done.stderr)

    def test_words_that_do_not_fit_are_refused_before_anything_is_made(self):
        for words, code in ((["--key", HANDLE], 2), (["--csr", "/etc/hostname", "--key", "tpm2:81000010"], 2)):
            done = self.hub.cli("device", "add", "never", "--product", "camera", "--out", self.hub.top / "never", *words, check=False)
            self.assertEqual(done[0], code, done)
            self.assertFalse((self.hub.top / "never").exists())


class Memory(case.HubCase):
    """The camera's process and folder, searched for its private key as a number, in both orders of bytes, and as PEM."""

    RESERVED = 4 << 30  # a span wider than this is address space that a sanitizer keeps for its shadow, not memory

    def parts_of(self, pid):
        """What a process has in memory, piece by piece."""
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for line in maps:
                span, rights = line.split()[:2]
                if "r" not in rights or line.rstrip().endswith(("[vvar]", "[vsyscall]")):
                    continue
                start, end = (int(word, 16) for word in span.split("-"))
                if end - start > self.RESERVED:
                    continue
                at = start
                while at < end:
                    size = min(end - at, 64 << 20)
                    try:
                        memory.seek(at)
                        yield memory.read(size)
                    except (OSError, ValueError):
                        break
                    at += size

    def found(self, pid, folder, number, pem):
        """Where the key is: a set of words."""
        shapes = {"number": number, "number, low byte first": number[::-1], "PEM": pem.split(b"\n")[1]}
        found = {name for part in self.parts_of(pid) for name, shape in shapes.items() if shape in part}
        for path in folder.rglob("*"):
            raw = path.read_bytes() if path.is_file() and path.name != "lock" else b""
            found |= {f"{name} in {path.name}" for name, shape in shapes.items() if shape in raw}
        return found

    def key(self):
        made = subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
                              capture_output=True, check=True).stdout
        return made, private_number(made).rjust(32, b"\0")

    def request(self, pem, name):
        key, request = self.hub.top / f"{name}.key", self.hub.top / f"{name}.csr"
        key.write_bytes(pem)
        subprocess.run(["openssl", "req", "-new", "-key", str(key), "-subj", "/", "-out", str(request)], check=True, capture_output=True)
        key.unlink()
        return request

    def searched(self, folder, number, pem):
        """Runs the camera until it has told the hub something, then searches it."""
        camera = lab.Camera(folder, lab.videos() / "vtest.avi", "--loop")
        try:
            line = camera.out.wait_for(lambda text: '"event-acknowledged"' in text, 120)
            self.assertIsNotNone(line, "\n".join(camera.err.all))
            decoder = camera.decoder()
            self.assertIsNotNone(decoder)
            if os.geteuid() == 0:  # others cannot look into a process that is not dumpable
                self.assertTrue(any(self.parts_of(decoder)))
                self.assertEqual(self.found(decoder, self.hub.top / "nothing", number, pem), set(), "the decoder has the key")
            return self.found(camera.process.pid, folder, number, pem)
        finally:
            camera.stop()

    def put_into_tpm(self, tpm, pem):
        """A key that we know, at the handle: only so can we say that it is not elsewhere."""
        folder = self.hub.top / "import"
        folder.mkdir()
        (folder / "key.pem").write_bytes(pem)
        environment = dict(os.environ, TPM2TOOLS_TCTI=tpm.tcti)
        for words in (["tpm2_createprimary", "-C", "o", "-G", "ecc", "-c", "primary"],
                      ["tpm2_import", "-C", "primary", "-G", "ecc", "-i", "key.pem", "-u", "public", "-r", "private"],
                      ["tpm2_load", "-C", "primary", "-u", "public", "-r", "private", "-c", "loaded"],
                      ["tpm2_evictcontrol", "-C", "o", "-c", "loaded", HANDLE.removeprefix("tpm2:")]):
            for step in (words, ["tpm2_flushcontext", "-t"]):  # a TPM without a resource manager holds three objects
                done = subprocess.run(step, cwd=folder, env=environment, capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, f"{step}: {done.stderr}")
        shutil.rmtree(folder)

    def test_a_key_in_a_file_is_found_in_the_camera(self):
        """The search is worth something: this is what a thief of a running camera gets."""
        pem, number = self.key()
        folder = self.hub.device("open-door", csr=self.request(pem, "open-door"), key="file:key.pem")
        with open(folder / "device.conf", "a", encoding="utf-8") as conf:
            conf.write("key.file_for_development = true\n")
        (folder / "key.pem").touch(0o600)
        (folder / "key.pem").write_bytes(pem)
        found = self.searched(folder, number, pem)
        self.assertIn("number, low byte first", found)
        self.assertIn("PEM in key.pem", found)

    def test_a_key_in_a_tpm_is_neither_in_the_camera_s_memory_nor_in_its_folder(self):
        tpm = lab.Tpm().start()
        self.addCleanup(tpm.remove)
        pem, number = self.key()
        self.put_into_tpm(tpm, pem)
        folder = self.hub.device("closed-door", csr=self.request(pem, "closed-door"), key=HANDLE, tpm=tpm.tcti)
        self.assertEqual(self.searched(folder, number, pem), set())


if __name__ == "__main__":
    unittest.main()
