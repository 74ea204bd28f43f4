"""The updater of the SDK: real devices, a real hub for their messages, and an update server that this test plays itself, so that it can be
slow, cut, lying or stolen. Whatever it does, a device installs only what its team signed for it, when it was signed for it."""

import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import case
import lab
import tuf_repo

SCRIPT = """#!/bin/sh
exec "{program}" "{folder}" run --json --slots "{slots}" --version "{version}" --hardware rev-a {more}
# {filling}
"""


class Repository:
    """What a product team has: `porchlight ota` on a folder."""

    def __init__(self, top):
        self.folder, self.secret, self.top = top / "repo", top / "passphrase", top
        self.secret.write_text("correct horse battery\n")
        self.secret.chmod(0o600)
        self.run("init", "--product", "camera", "--product", "door")

    def run(self, command, *words):
        done = subprocess.run([lab.program("porchlight"), "ota", command, self.folder, *map(str, words), "--passphrase-file", self.secret],
                              capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return done.stdout


class Server:
    """GET with byte ranges over mutual TLS. `cut`: bytes after which a target's connection dies, once; with `refuse` everything is answered
    with 403 from then on, as a hub answers a device that it does not admit, until `refusing` is taken back."""

    def __init__(self, root, forge, device_ca):
        self.root, self.asked, self.cut, self.sent, self.gone = root, [], None, 0, set()
        self.refuse, self.refusing, self.refusals = False, threading.Event(), threading.Semaphore(0)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or each answer waits 40 ms for the reader's delayed ACK

            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*forge)
        context.load_verify_locations(device_ca)
        context.verify_mode = ssl.CERT_REQUIRED
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def answer(self, h):
        prefix = "/api/v1/device/updates/"
        path = self.root / h.path[len(prefix):]
        start = int(re.match(r"bytes=(\d+)-$", h.headers.get("Range", "bytes=0-"))[1])
        if self.refusing.is_set():
            body = b'{"status":403,"detail":"the device is not admitted"}'
            h.send_response(403)
            h.send_header("Content-Type", "application/problem+json")
            h.send_header("Content-Length", str(len(body)))
            h.end_headers()
            h.wfile.write(body)
            self.refusals.release()
            return
        self.asked.append((h.path[len(prefix):], start))
        if not h.path.startswith(prefix) or not path.is_file() or any(word in h.path for word in self.gone):
            h.send_response(404)
            h.send_header("Content-Length", "0")
            h.end_headers()
            return
        data = path.read_bytes()
        h.send_response(206 if start else 200)
        if start:
            h.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        h.send_header("Content-Length", str(len(data) - start))
        h.end_headers()
        body = data[start:]
        if "/targets/" in h.path:
            cut, self.cut = self.cut, None
            body = body[:cut] if cut else body
            self.sent += len(body)
            if cut:
                h.close_connection = True
                if self.refuse:
                    self.refusing.set()
        h.wfile.write(body)

    def targets(self):
        return [name for name, _ in self.asked if name.startswith("targets/")]

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class Box:
    """A device with power: starts porchlight-launch again whenever the program ends, as a service manager does."""

    def __init__(self, slots):
        self.slots, self.lines, self.on, self.process = slots, [], True, None
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def start(self):
        return subprocess.Popen([lab.program("porchlight-launch"), self.slots], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env={**os.environ, "PORCHLIGHT_BUILD": os.environ.get("PORCHLIGHT_BUILD", "")})

    def _run(self):
        while self.on:
            self.process = self.start()
            for line in self.process.stdout:
                with self.changed:
                    self.lines.append(line.strip())
                    self.changed.notify_all()
            self.process.stdout.close()
            self.process.wait()

    def wait(self, *words, seconds=120):
        with self.changed:
            if self.changed.wait_for(lambda: any(all(word in line for word in words) for line in self.lines), seconds):
                return
        raise AssertionError(f"the device never said {words}:\n" + "\n".join(self.lines))

    def kill(self):
        self.process.kill()

    def stop(self):
        self.on = False
        self.process.kill()
        self.thread.join(30)


class Bare(Box):
    """Its program is started without the launcher, again and again: it waits with the restart that an update asks for."""

    def start(self):
        return subprocess.Popen([self.slots / "slot.0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class UpdateAgent(case.HubCase):
    count = 0

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.hub_voice = cls.hub.service("voice", allow=["publish:d/+/update/desired"])
        cls.hub_ear = cls.hub.service("ear", allow=["subscribe:d/+/update/status"])

    def setUp(self):
        super().setUp()
        type(self).count += 1
        self.id = f"camera-{self.count}"
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-agent-"))
        self.addCleanup(shutil.rmtree, self.top)
        self.folder = self.hub.device(self.id)
        self.repo = Repository(self.top)
        device_ca = self.top / "device-ca.pem"
        device_ca.write_bytes((self.folder / "ca.pem").read_bytes())
        self.server = Server(self.repo.folder / "repository", self.certificate(), device_ca)
        self.addCleanup(self.server.close)
        broker = self.broker(device_ca)
        self.voice, self.ear = (pathlib.Path(shutil.copytree(folder, self.top / folder.name)) for folder in (self.hub_voice, self.hub_ear))
        for folder in (self.folder, self.voice, self.ear):
            with (folder / "ca.pem").open("a") as ca:
                ca.write((self.top / "forge/ca.pem").read_text())
            conf = re.sub(r"hub.device_port = \d+", f"hub.device_port = {self.server.port}", (folder / "device.conf").read_text())
            (folder / "device.conf").write_text(re.sub(r"hub.mqtt_port = \d+", f"hub.mqtt_port = {broker}", conf))
        shutil.copy(self.first_root(), self.folder / "update-root.json")
        self.slots = self.top / "slots"
        self.make_slots()
        self.release("1")
        listener = subprocess.Popen([lab.program("porchlight-device"), self.ear, "subscribe", f"d/{self.id}/update/status", "--json"],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(listener.wait)
        self.addCleanup(listener.kill)
        self.heard = lab.Lines(listener.stdout)
        lab.Lines(listener.stderr)
        self.assertIsNotNone(self.heard.wait_for(lambda line: '"subscribed"' in line, 120))
        self.box = self.make_box()
        self.addCleanup(self.box.stop)

    def make_slots(self):
        self.slots.mkdir()
        subprocess.run([lab.program("porchlight-launch"), self.slots, "init", "--image", self.program("1"), "--counter", "1"], check=True)

    def make_box(self):
        return Box(self.slots)

    def first_root(self):
        """The root that devices come with."""
        return self.repo.folder / "repository/metadata/1.root.json"

    def broker(self, device_ca):
        """Another broker: the hub itself would take a rollout back that it has not begun."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        forge = self.top / "forge"
        (self.top / "mosquitto.conf").write_text(f"user root\nallow_anonymous true\nlistener {port} 127.0.0.1\ncafile {device_ca}\ncertfile {forge}/server.pem\n"
                                                 f"keyfile {forge}/server.key\nrequire_certificate true\ntls_version tlsv1.3\n")
        self.start_broker()
        return port

    def start_broker(self):
        self.mosquitto = subprocess.Popen(["/usr/sbin/mosquitto", "-c", self.top / "mosquitto.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.mosquitto.wait)
        self.addCleanup(self.mosquitto.kill)

    def certificate(self):
        """An authority and a server's certificate under it, for localhost."""
        forge = case.Forge(self.top / "forge")
        out = self.top / "forge"
        (out / "ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature\n")
        forge.run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", out / "server.key", "-out", out / "server.csr",
                  "-subj", "/CN=x")
        forge.run("x509", "-req", "-in", out / "server.csr", "-CA", out / "ca.pem", "-CAkey", out / "ca.key", "-CAcreateserial", "-days", "30",
                  "-extfile", out / "ext", "-out", out / "server.pem")
        return out / "server.pem", out / "server.key"

    def program(self, version, more="", filling=None):
        path = self.top / f"program-{version}"
        filling = filling or "\n# ".join(hashlib.sha256(bytes([i % 251, i // 251])).hexdigest() for i in range(3000))
        path.write_text(SCRIPT.format(program=lab.program("porchlight-device"), folder=self.folder, slots=self.slots, version=version, more=more, filling=filling))
        return path

    def release(self, version, *words, more="", filling=None, product="camera", hardware="rev-a"):
        image = self.program(version, more, filling)
        self.repo.run("release", "--product", product, "--version", version, "--image", image, "--hardware", hardware, *words)
        return hashlib.sha256(image.read_bytes()).hexdigest()

    def turn(self, version, sha256, attempt=1, product="camera"):
        """The hub's word: it is your turn."""
        word = json.dumps({"v": 1, "rollout": "r1", "product": product, "version": version, "sha256": sha256, "attempt": attempt}, separators=(",", ":"))
        self.say(word)

    def say(self, word):
        subprocess.run([lab.program("porchlight-device"), self.voice, "publish", f"d/{self.id}/update/desired", word], check=True, timeout=60,
                       capture_output=True)

    def connected(self):
        self.box.wait("subscribed", "update/desired")

    def restart_broker(self):
        """Everybody loses the connection; the device finds the way back after who listens to it. Where its new reports begin."""
        start = len(self.heard.all)
        self.box.process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.box.process.send_signal, signal.SIGCONT)
        self.mosquitto.kill()
        self.mosquitto.wait()
        self.start_broker()
        self.assertIsNotNone(self.heard.wait_for(lambda line: '"subscribed"' in line, 120, start))
        self.box.process.send_signal(signal.SIGCONT)
        return start

    def reported(self, state, seconds=120, start=0, **more):
        """Waits for a status of that state."""
        def fits(line):
            try:
                said = json.loads(json.loads(line)["payload"])
            except (ValueError, KeyError, TypeError):
                return False
            return said.get("state") == state and all(word in said.get(key, "") if key == "reason" else word == said.get(key) for key, word in more.items())
        line = self.heard.wait_for(fits, seconds, start)
        if line is None:
            self.fail(f"no report {state} {more}; heard:\n" + "\n".join(self.heard.all) + "\nthe device:\n" + "\n".join(self.box.lines))
        return json.loads(json.loads(line)["payload"])

    def slot_status(self):
        while True:  # the updater may have the folder for a moment
            done = subprocess.run([lab.program("porchlight-launch"), self.slots, "status"], capture_output=True, text=True)
            if done.returncode == 0:
                return json.loads(done.stdout)
            self.assertIn("another process", done.stderr)

    def running(self):
        status = self.slot_status()
        return re.search(r'--version "(.*?)"', (self.slots / f"slot.{status['active']}").read_text())[1]

    def test_a_device_updates_by_delta_and_confirms(self):
        sha256 = self.release("2")
        self.connected()
        self.turn("2", sha256)
        good = self.reported("good", target="2", running="2")
        self.assertEqual(good["rollout"], "r1")
        self.assertEqual(self.reported("downloading")["way"], "delta")
        self.reported("staged", target="2")
        self.reported("trial", running="2")
        self.assertEqual(self.running(), "2")
        self.assertEqual(len(self.server.targets()), 1)
        self.assertIn(".delta-from-", self.server.targets()[0])
        self.assertLess(self.server.sent, 1000)

    def test_a_broken_version_is_rolled_back_and_says_why(self):
        sha256 = self.release("2", more="--unhealthy 'the lens is upside down'")
        self.connected()
        self.turn("2", sha256)
        said = self.reported("rolled-back", target="2", running="1")
        self.assertIn("the lens is upside down", said["reason"])
        self.assertEqual(self.running(), "1")
        asked = len(self.server.targets())
        self.turn("2", sha256, attempt=2)  # it is not tried again, whatever the hub says
        self.box.wait("rolled-back")
        sha256 = self.release("3")
        self.turn("3", sha256)
        self.reported("good", target="3", running="3")
        self.assertEqual(len(self.server.targets()), asked + 1)

    def test_a_download_goes_on_at_its_byte_after_breaks_refusals_and_kills(self):
        filling = os.urandom(4_000_000).hex()
        sha256 = self.release("2", "--no-delta", filling=filling)
        size = (self.top / "program-2").stat().st_size
        self.server.cut, self.server.refuse = 3_000_000, True
        self.connected()
        self.turn("2", sha256)
        # in the middle of it the hub admits the device no more: it says so, and keeps what it has, whatever happens meanwhile
        said = self.reported("waiting", target="2", reason="refuses this device's certificate")
        self.assertIn("403", said["reason"])
        self.assertGreater(said["bytes"], 2_900_000)
        self.assertEqual(self.slot_status()["other"], "being written")
        self.box.kill()
        for _ in range(3):
            self.assertTrue(self.server.refusals.acquire(timeout=60), "it does not try again")
        self.assertEqual(self.running(), "1")
        self.server.refusing.clear()
        self.reported("good", target="2", running="2")
        self.assertEqual(self.reported("downloading")["way"], "full")
        starts = [start for name, start in self.server.asked if name.startswith("targets/")]
        self.assertEqual(starts[0], 0)
        self.assertTrue(all(start > 0 for start in starts[1:]) and len(starts) > 1, starts)
        self.assertLessEqual(self.server.sent, size + 1)

    def test_a_delta_that_is_of_no_use_leads_to_the_whole_image_only_within_the_budget(self):
        sha256 = self.release("2", "--byte-budget", "150000")
        self.server.gone.add("delta-from")
        self.connected()
        self.turn("2", sha256)
        self.assertIn("whole image is more", self.reported("refused", target="2")["reason"])
        self.assertEqual(self.running(), "1")
        sha256 = self.release("3")
        self.turn("3", sha256)
        said = self.reported("downloading", target="3", reason="the delta cannot be used")
        self.assertIn("the hub has no", said["reason"])
        self.reported("good", target="3", running="3")

    def test_a_stage_holds_whatever_the_hub_says_and_widens_by_its_own_key_or_time(self):
        sha256 = self.release("2", "--stage", "0.01%:1000d", "--stage", "100%")
        self.connected()
        self.turn("2", sha256)
        self.assertIn("has not reached this device", self.reported("waiting", target="2")["reason"])
        self.assertEqual(self.server.targets(), [])
        self.repo.run("widen", "--product", "camera", "--version", "2", "--share", "100%")
        self.reported("good", target="2", running="2")
        sha256 = self.release("3", "--stage", "0.01%:2s", "--stage", "100%")
        self.turn("3", sha256)
        self.reported("waiting", target="3")
        self.reported("good", target="3", running="3")

    def test_a_stolen_hub_installs_nothing_that_was_not_signed_for_this_device(self):
        evil = self.program("66")
        first = self.release("1.5", "--raise-floor")
        other = self.release("2", hardware="rev-b")
        door = self.release("9", product="door")
        self.connected()
        self.turn("66", hashlib.sha256(evil.read_bytes()).hexdigest())
        self.reported("refused", target="66")
        self.turn("2", other)
        self.assertIn("not for hardware rev-a", self.reported("unfit", target="2")["reason"])
        self.turn("9", door, product="door")
        self.assertIn("another product", self.reported("refused", target="9")["reason"])
        self.turn("1.5", hashlib.sha256(evil.read_bytes()).hexdigest())
        self.assertIn("another image", self.reported("refused", target="1.5")["reason"])
        # the server gives other bytes under the signed name: neither the delta's nor the image's
        for path in (self.repo.folder / "repository/targets/camera/1.5").iterdir():
            good = path.read_bytes()
            path.write_bytes(evil.read_bytes()[:len(good)].ljust(len(good), b"#"))
        self.turn("1.5", first)
        self.reported("failed", target="1.5")
        self.assertEqual(self.running(), "1")
        image = next(path for path in (self.repo.folder / "repository/targets/camera/1.5").iterdir() if path.name.endswith(".image"))
        image.write_bytes((self.top / "program-1.5").read_bytes())
        self.turn("1.5", first, attempt=2)
        self.reported("good", target="1.5", running="1.5")
        floor = self.slot_status()["floor"]
        old = hashlib.sha256((self.top / "program-1").read_bytes()).hexdigest()
        self.turn("1", old)
        self.assertIn("older than this device's floor", self.reported("refused", target="1")["reason"])
        self.assertEqual((self.running(), self.slot_status()["floor"]), ("1.5", floor))

    def test_it_reports_again_after_each_connection(self):
        self.connected()
        self.reported("good", running="1")
        self.assertNotIn("rollout", self.reported("good", start=self.restart_broker(), running="1"))
        sha256 = self.release("2", "--stage", "0.01%:1000d", "--stage", "100%")
        self.turn("2", sha256)
        self.reported("waiting", target="2", reason="has not reached this device")
        said = self.reported("waiting", start=self.restart_broker(), target="2", reason="has not reached this device")
        self.assertEqual((said["rollout"], said["attempt"]), ("r1", 1))
        self.repo.run("widen", "--product", "camera", "--version", "2", "--share", "100%")
        self.reported("good", target="2", running="2")
        self.reported("good", start=self.restart_broker(), target="2", running="2")

    def test_an_abort_reaches_what_is_staged_and_a_resumption_fetches_nothing(self):
        sha256 = self.release("2")
        self.box.stop()
        subprocess.run([lab.program("porchlight-launch"), self.slots, "install", "--image", self.top / "program-2", "--counter", "1", "--sha256", sha256],
                       check=True)
        self.box = Bare(self.slots)  # it does not become what was staged
        self.addCleanup(self.box.stop)
        self.connected()
        self.assertEqual(self.slot_status()["other"], "staged")
        start = len(self.heard.all)
        self.say('{"v":1}')
        self.reported("good", start=start, running="1")
        self.assertEqual(self.slot_status()["other"], "being written")
        self.box.stop()
        self.box = Box(self.slots)
        self.addCleanup(self.box.stop)
        self.connected()
        self.assertEqual(self.running(), "1")
        self.turn("2", sha256)
        self.reported("good", target="2", running="2")
        self.assertEqual(self.server.targets(), [])

    def expire(self):
        """The timestamp as it is after a week in which nobody signed it anew."""
        known = json.loads((self.repo.folder / "keys.json").read_text())
        keyid, each = next((keyid, each) for keyid, each in known.items() if each["role"] == "timestamp")
        key = serialization.load_pem_private_key((self.repo.folder / each["at"]).read_bytes(), None)
        path = self.repo.folder / "repository/metadata/timestamp.json"
        signed = {**json.loads(path.read_text())["signed"], "expires": "2024-01-01T00:00:00Z"}
        sig = key.sign(tuf_repo.canonical(signed).encode(), ec.ECDSA(hashes.SHA256())).hex()
        path.write_text(json.dumps({"signatures": [{"keyid": keyid, "sig": sig}], "signed": signed}))

    def test_what_heals_by_itself_is_waited_for(self):
        sha256 = self.release("2")
        before = self.top / "backup"
        shutil.copytree(self.repo.folder / "repository", before)
        self.expire()
        self.connected()
        self.turn("2", sha256)
        self.reported("waiting", target="2", reason="timestamp metadata has expired")
        self.assertEqual((self.running(), self.server.targets()), ("1", []))
        self.repo.run("renew")
        self.reported("good", target="2", running="2")
        # a hub that came back from a backup serves what was before
        sha256 = self.release("3")
        self.server.root = before
        self.turn("3", sha256)
        self.reported("waiting", target="3", reason="was seen before")
        self.server.root = self.repo.folder / "repository"
        self.reported("good", target="3", running="3")


if __name__ == "__main__":
    unittest.main()
