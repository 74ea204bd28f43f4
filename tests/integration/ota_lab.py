"""What tests of the hub's update repository share: a team's folder, releases into it, the hub that takes it, a device that fetches."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import case
import lab

UPDATES = "/api/v1/device/updates"


class OtaCase(case.HubCase):
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

    def files(self):
        top = self.repo / "repository"
        return {str(path.relative_to(top)): path.stat().st_size for path in top.rglob("*") if path.is_file()}

    def newest(self):
        """The versions of camera that the served repository names, from timestamp.json down, each file there and whole."""
        status, _, text = self.get("metadata/timestamp.json")
        self.assertEqual(status, 200)
        meta = json.loads(text)["signed"]["meta"]["snapshot.json"]
        snapshot = self.get(f"metadata/{meta['version']}.snapshot.json")[2]
        self.assertEqual(hashlib.sha256(snapshot).hexdigest(), meta["hashes"]["sha256"])
        meta = json.loads(snapshot)["signed"]["meta"]["camera.json"]
        role = self.get(f"metadata/{meta['version']}.camera.json")[2]
        self.assertEqual(hashlib.sha256(role).hexdigest(), meta["hashes"]["sha256"])
        targets = json.loads(role)["signed"]["targets"]
        for path, target in targets.items():
            (folder, name), sha256 = path.rsplit("/", 1), target["hashes"]["sha256"]
            self.assertEqual(hashlib.sha256(self.get(f"targets/{folder}/{sha256}.{name}")[2]).hexdigest(), sha256)
        return {path.split("/")[1] for path in targets}
