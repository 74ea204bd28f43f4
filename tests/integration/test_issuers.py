"""The authority that issues certificates gets a successor while the hub serves: its key is made in the signer, the root signs it elsewhere,
both count for a while, devices renew into the new one, and the old one is retired with all that hangs on it. And what a kill leaves."""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

import case
import lab
import mqtt
from test_keys import device_program

LOUD = "--cut-off-live-certificates"


def openssl(*words, input=None):
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, input=input).stdout.decode()


def blocks(text):
    return re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", text, re.S)


class Steps:
    """A hub and its rotation, step by step."""

    def __init__(self, hub, top):
        self.hub, self.top, self.count = hub, pathlib.Path(tempfile.mkdtemp(prefix="steps-", dir=top)), 0

    def path(self, name):
        self.count += 1
        return self.top / f"{self.count}-{name}"

    def rotate(self):
        request = self.path("request.pem")
        return request, self.hub.cli("ca", "rotate", "--out", request)["key_sha256"]

    def sign(self, request, root=None, check=True):
        out = self.path("issuing.pem")
        done = subprocess.run([lab.program("porchlight"), "ca", "sign-issuing", str(request), "--root",
                               str(root or self.hub.file("OFFLINE", "root.key")), "--out", str(out), "--json"],
                              capture_output=True, text=True, cwd=self.top)
        if check and done.returncode != 0:
            raise lab.LabError(done.stderr)
        return out if check else (done.returncode, done.stderr)

    def next(self):
        """The whole of it; the certificate's file."""
        cert = self.sign(self.rotate()[0])
        self.hub.cli("ca", "activate", cert)
        return cert

    def issuers(self):
        return self.hub.cli("ca", "list")["issuers"]

    def kinds(self):
        return [r["kind"] for r in self.hub.cli("trust-log", "list")["rows"]]


class Issuers(case.HubCase):
    def ports(self, folder):
        """A restarted hub listens elsewhere."""
        conf = folder / "device.conf"
        text = re.sub(r"(?m)^hub.mqtt_port = .*$", f"hub.mqtt_port = {self.hub.ports['mqtt']}", conf.read_text())
        conf.write_text(re.sub(r"(?m)^hub.device_port = .*$", f"hub.device_port = {self.hub.ports['device']}", text))

    def issuer_of(self, folder):
        """The second certificate of what the device shows."""
        return openssl("x509", "-noout", "-subject", input=blocks((folder / "cert.pem").read_text())[1].encode()).strip()

    def connack(self, folder, name):
        with mqtt.Client(self.hub, self.hub.device_tls(folder)) as client:
            return client.connect(name).reason

    def refused_at_the_handshake(self, folder, name):
        """TLS 1.3: the client hears of it with what it reads first."""
        with self.assertRaises((ssl.SSLError, ConnectionError, mqtt.Closed)) as caught:
            self.connack(folder, name)
        return caught.exception

    def served_issuers(self):
        done = subprocess.run(["curl", "-sSf", "--cacert", self.hub.file("tls", "device-root.pem"),
                               f"https://localhost:{self.hub.ports['device']}/.well-known/est/cacerts"], capture_output=True, check=True)
        p7 = b"-----BEGIN PKCS7-----\n" + done.stdout.replace(b"\r", b"") + b"-----END PKCS7-----\n"
        return len(blocks(openssl("pkcs7", "-print_certs", input=p7)))

    def own_issuer(self):
        """Who issued the certificate that the hub shows to devices, by its whole chain."""
        shown = openssl("s_client", "-connect", f"localhost:{self.hub.ports['device']}", "-CAfile", self.hub.file("tls", "device-root.pem"),
                        "-verify_return_error", "-showcerts", input=b"")
        return openssl("x509", "-noout", "-subject", input=blocks(shown)[1].encode()).strip()

    def test_a_rotation_from_the_request_to_the_end_of_the_old_issuer(self):
        steps = Steps(self.hub, self.hub.top)
        stays, renews, live = (self.hub.device(name) for name in ("stays-1", "renews-1", "live-1"))
        service = self.hub.service("watch", allow=["subscribe:d/+/telemetry/#"])
        old = self.issuer_of(stays)
        self.assertEqual([i["state"] for i in steps.issuers()], ["in force"])
        first = steps.issuers()[0]
        self.assertEqual(first["live"], 4)

        # the next key: the same request until it is in force, and no key in it
        request, print_1 = steps.rotate()
        again, print_2 = steps.rotate()
        self.assertEqual(print_1, print_2)
        self.assertEqual(request.read_text().count("BEGIN"), 2)
        self.assertNotIn("PRIVATE", request.read_text())
        self.assertEqual(self.hub.cli("ca", "rotate", "--out", request, check=False)[0], 1)

        # only this hub's root signs it, only what it signed for this hub's key comes into force
        stranger = self.hub.top / "stranger.key"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", stranger)
        code, err = steps.sign(request, stranger, check=False)
        self.assertEqual((code, "not the key of the root" in err), (1, True), err)
        forge = case.Forge(self.hub.top / "forge")
        code, _, err = self.hub.cli("ca", "activate", forge.ca_certificate, check=False)
        self.assertEqual((code, "does not vouch" in err), (1, True), err)
        foreign = self.hub.top / "foreign.csr"
        openssl("req", "-new", "-key", stranger, "-subj", "/", "-out", foreign)
        mixed = self.hub.top / "mixed.pem"
        mixed.write_text(foreign.read_text() + blocks(request.read_text())[0])
        code, _, err = self.hub.cli("ca", "activate", steps.sign(mixed), check=False)
        self.assertEqual((code, "for no key of this hub" in err), (1, True), err)
        leaf = self.hub.cli("ca", "activate", stays / "cert.pem", check=False)
        self.assertEqual((leaf[0], "does not vouch" in leaf[2] or "authority" in leaf[2]), (1, True), leaf[2])
        self.assertEqual(len(steps.issuers()), 1)

        # in force, and no healthy connection notices
        cert = steps.sign(request)
        with mqtt.Client(self.hub, self.hub.device_tls(live)) as held, mqtt.Client(self.hub, self.hub.device_tls(renews)) as other:
            self.assertEqual((held.connect("live-1").reason, other.connect("renews-1").reason), (0, 0))
            answer = self.hub.cli("ca", "activate", cert)
            self.assertEqual(self.hub.cli("ca", "activate", cert)["sha256"], answer["sha256"], "asked again")
            new = self.hub.device("new-1")
            self.assertNotEqual(self.issuer_of(new), old)
            self.assertEqual(held.publish("d/live-1/telemetry/one", "1", 1).reason, 0)
            self.assertEqual(other.publish("d/renews-1/telemetry/one", "1", 1).reason, 0)
        for folder, name in ((stays, "stays-1"), (new, "new-1")):
            self.assertEqual(self.connack(folder, name), 0)
        self.assertEqual(self.served_issuers(), 3)
        self.logged("certificate.issued", "hub-cert.pem")
        self.assertEqual(self.own_issuer(), self.issuer_of(new))

        # the hub restarts in the middle
        self.hub.stop()
        self.hub.start()
        self.log_start = 0
        self.assertFalse(self.hub.file("signer", "issuing.key").exists(), "the old key is gone")
        for folder, name in ((stays, "stays-1"), (new, "new-1"), (live, "live-1")):
            self.assertEqual(self.connack(folder, name), 0)
        another = self.hub.device("new-2")
        self.assertEqual(self.issuer_of(another), self.issuer_of(new))

        # the SDK takes the hub's new chain, and renews into the new issuer
        self.ports(renews)
        device_program(renews, "publish", "d/renews-1/telemetry/one", "21")
        device_program(renews, "renew")
        device_program(renews, "publish", "d/renews-1/telemetry/one", "22")
        self.assertEqual(self.issuer_of(renews), self.issuer_of(new))
        states = [(i["state"], i["live"], i["ended"]) for i in steps.issuers()]
        self.assertEqual(states, [("overlap", 3, 0), ("in force", 3, 0)])

        # retired: refused while something hangs on it, never the one in force, loud else
        code, _, err = self.hub.cli("ca", "retire", first["sha256"][:11], check=False)
        self.assertEqual((code, "3 live certificates" in err, LOUD in err), (1, True, True), err)
        code, _, err = self.hub.cli("ca", "retire", answer["sha256"], LOUD, check=False)
        self.assertEqual((code, "today's certificates" in err), (1, True), err)
        with mqtt.Client(self.hub, self.hub.device_tls(live)) as cut, mqtt.Client(self.hub, self.hub.device_tls(new)) as held:
            self.assertEqual((cut.connect("live-1").reason, held.connect("new-1").reason), (0, 0))
            gone = self.hub.cli("ca", "retire", first["sha256"], LOUD)
            self.assertEqual((gone["cut_off"], gone["key_destroyed"]), (3, True))
            self.assertEqual(cut.ended(), 0x87)
            self.assertEqual(held.publish("d/new-1/telemetry/one", "1", 1).reason, 0)
        self.assertEqual(self.hub.cli("ca", "retire", first["sha256"], LOUD)["cut_off"], 0, "asked again")
        self.logged("issuer.retired")
        for restarted in (False, True):
            if restarted:
                self.hub.stop()
                self.hub.start()
            self.assertEqual(self.served_issuers(), 2)
            self.refused_at_the_handshake(stays, "stays-1")
            with self.assertRaises((ssl.SSLError, ConnectionError, mqtt.Closed)), mqtt.Client(self.hub, self.hub.device_tls(service)) as client:
                client.connect("watch")
            for folder, name in ((new, "new-1"), (renews, "renews-1")):
                self.assertEqual(self.connack(folder, name), 0)

        # by hand it comes back, with the key that it has
        key = stays / "key.pem"
        openssl("req", "-new", "-key", key, "-subj", "/", "-out", stays / "again.csr")
        back = self.hub.top / "stays-again"
        self.hub.cli("device", "add", "stays-1", "--renew", "--csr", stays / "again.csr", "--out", back)
        shutil.copy(key, back / "key.pem")
        self.assertEqual(self.connack(back, "stays-1"), 0)
        code, _, err = self.hub.cli("ca", "activate", self.hub.file("tls", "device-root.pem"), check=False)
        self.assertEqual(code, 1)

        kinds = steps.kinds()
        for kind in ("ca.rotate", "ca.activate", "ca.retire"):
            self.assertIn(kind, kinds)
        self.assertEqual(kinds.count("ca.key-destroyed"), 1)
        self.hub.cli("trust-log", "verify")


class Renewed(case.HubCase):
    """Who has renewed has nothing to do with the old issuer's end."""

    LASTS = b"\x11" + (3600).to_bytes(4, "big")

    def renewed(self, folder, name):
        """A folder with the same key and a new certificate."""
        out = self.hub.top / f"{name}-again"
        openssl("req", "-new", "-key", folder / "key.pem", "-subj", "/", "-out", folder / "again.csr")
        self.hub.cli("device", "add", name, "--renew", "--csr", folder / "again.csr", "--out", out)
        shutil.copy(folder / "key.pem", out / "key.pem")
        return out

    def come(self, client, name):
        """Whether its session was there."""
        answer = client.connect(name, clean=False, properties=self.LASTS)
        self.assertEqual(answer.reason, 0)
        return answer.body[0] == 1

    def test_sessions_of_who_has_renewed_outlive_the_old_issuer(self):
        steps = Steps(self.hub, self.hub.top)
        old = steps.issuers()[0]["sha256"]
        away, linked = self.hub.device("away-1"), self.hub.device("linked-1")
        with mqtt.Client(self.hub, self.hub.device_tls(linked)) as link:
            self.assertFalse(self.come(link, "linked-1"))
            steps.next()
            new_away, new_linked = self.renewed(away, "away-1"), self.renewed(linked, "linked-1")
            with mqtt.Client(self.hub, self.hub.device_tls(new_away)) as client:
                self.assertFalse(self.come(client, "away-1"))
                client.subscribe("d/away-1/command/#")
            # the first use of the new one is a request: the link runs on with the old one
            subprocess.run(["curl", "-sS", "-o", self.hub.top / "answer", "--cacert", self.hub.file("tls", "device-root.pem"),
                            "--cert", new_linked / "cert.pem", "--key", new_linked / "key.pem",
                            f"https://localhost:{self.hub.ports['device']}/api/v1/device/update"], check=True)
            service = self.hub.service("chief", allow=["publish:d/+/command/#"])
            with mqtt.Client(self.hub, self.hub.device_tls(service)) as chief:
                chief.connect("chief")
                self.assertEqual(chief.publish("d/away-1/command/look/request", "kept", 1).reason, 0)
            self.assertEqual(self.hub.cli("ca", "retire", old)["cut_off"], 0)
            self.assertEqual(link.ended(), 0x98)
        with mqtt.Client(self.hub, self.hub.device_tls(new_away)) as client:
            self.assertTrue(self.come(client, "away-1"))
            self.assertEqual(client.expect(mqtt.PUBLISH).publication()[:2], ("d/away-1/command/look/request", b"kept"))
        with mqtt.Client(self.hub, self.hub.device_tls(new_linked)) as client:
            self.assertTrue(self.come(client, "linked-1"))


class TakenOver(case.HubCase):
    """What a hub that was taken over can do to its signer: it writes DIR/tls and ends its own processes, and has another root's word."""

    settings = {"supervisor_restart_first_ms": 20, "supervisor_restart_most_ms": 200}

    def forged(self, steps):
        """An authority over the signer's next key, below a root of the thief's own."""
        request, _ = steps.rotate()
        key, root = steps.path("root.key"), steps.path("root.pem")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", root,
                "-subj", "/CN=thief", "-days", "3650", "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        rules = steps.path("rules")
        rules.write_text("basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n")
        return openssl("x509", "-req", "-in", request, "-CA", root, "-CAkey", key, "-days", "3000", "-extfile", rules), root.read_text()

    def test_another_roots_authority_is_not_taken_up_and_destroys_no_key(self):
        steps = Steps(self.hub, self.hub.top)
        before = self.hub.device("mine-1")
        bundle, root = self.hub.file("tls", "issuing.pem"), self.hub.file("tls", "device-root.pem")
        genuine, own_root = bundle.read_text(), root.read_text()
        cert, their_root = self.forged(steps)
        bundle.write_text(cert + genuine)
        root.write_text(their_root)
        os.kill(self.hub.children()["signer"], signal.SIGKILL)
        self.logged("signer.failed", "DIR/signer/root.pem")
        self.assertTrue(self.hub.file("signer", "issuing.key").exists())
        bundle.write_text(genuine)
        root.write_text(own_root)
        self.logged("signer.started")
        after = self.hub.device("mine-2")
        for folder, name in ((before, "mine-1"), (after, "mine-2")):
            with mqtt.Client(self.hub, self.hub.device_tls(folder)) as client:
                self.assertEqual(client.connect(name).reason, 0)

    def test_a_hub_from_before_has_its_root_kept_and_goes_on(self):
        self.hub.stop()
        self.hub.file("signer", "root.pem").unlink()
        self.hub.start()
        self.log_start = 0
        self.logged("signer.root-kept")
        self.assertEqual(self.hub.file("signer", "root.pem").read_text(), self.hub.file("tls", "device-root.pem").read_text())
        Steps(self.hub, self.hub.top).next()


class Interrupted(case.HubCase):
    """ISSUER_KILLS rotations (default 3), seed ISSUER_SEED: hub or signer is killed in each step, and the step is asked for again."""

    settings = {"supervisor_restart_first_ms": 20, "supervisor_restart_most_ms": 200}

    def killed(self, dice, *words):
        """The command, with a process killed somewhere in it, until it answers; its answer, and who was killed."""
        role = dice.choice(("hub", "signer"))

        def kill(after_s):
            time.sleep(after_s)  # the moment is the point: anywhere in the step
            pid = self.hub.children().get(role)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                self.kills[role] += 1

        killer = threading.Thread(target=kill, args=(dice.uniform(0.02, 0.12),))
        killer.start()
        until = time.monotonic() + 60
        while True:
            code, out, err = self.hub.cli(*words, check=False)
            if code == 0:
                break
            self.assertLess(time.monotonic(), until, err)
        killer.join(60)
        return json.loads(out)

    def connack(self, folder, name):
        """A hub that was killed a moment ago is given the time to come back."""
        until = time.monotonic() + 60
        while True:
            try:
                with mqtt.Client(self.hub, self.hub.device_tls(folder)) as client:
                    return client.connect(name).reason
            except (ConnectionError, mqtt.Closed):
                self.assertLess(time.monotonic(), until)

    def counted(self, steps):
        """The file that signer, doors and cacerts go by has those that are not retired, the one in force first."""
        prints = [openssl("x509", "-noout", "-fingerprint", "-sha256", input=one.encode()).strip().split("=")[1]
                  for one in blocks(self.hub.file("tls", "issuing.pem").read_text())]
        all_of_them = steps.issuers()
        self.assertEqual(prints[0], next(i["sha256"] for i in all_of_them if i["state"] == "in force"))
        self.assertEqual(sorted(prints), sorted(i["sha256"] for i in all_of_them if i["state"] != "retired"))

    def test_a_kill_in_any_step_leaves_a_step_that_can_be_asked_for_again(self):
        seed = int(os.environ.get("ISSUER_SEED", str(int(time.time()))))
        dice = random.Random(seed)
        print(f"(ISSUER_SEED={seed}) ", end="", flush=True)
        self.kills = {"hub": 0, "signer": 0}
        steps = Steps(self.hub, self.hub.top)
        for i in range(int(os.environ.get("ISSUER_KILLS", "3"))):
            before = self.hub.device(f"before-{i}")
            old = steps.issuers()[-1]["sha256"]
            request = steps.path("request.pem")
            self.killed(dice, "ca", "rotate", "--out", request)
            new = self.killed(dice, "ca", "activate", steps.sign(request))["sha256"]
            self.assertEqual(self.connack(before, f"before-{i}"), 0)
            after = self.hub.device(f"after-{i}")
            self.assertEqual(self.connack(after, f"after-{i}"), 0)
            self.killed(dice, "ca", "retire", old, LOUD)
            self.assertEqual(self.connack(after, f"after-{i}"), 0)
            self.assertEqual([(o["sha256"], o["state"]) for o in steps.issuers()[-2:]], [(old, "retired"), (new, "in force")])
            with self.assertRaises((ssl.SSLError, ConnectionError, mqtt.Closed)), mqtt.Client(self.hub, self.hub.device_tls(before)) as client:
                client.connect(f"before-{i}")
        self.counted(steps)
        self.hub.cli("trust-log", "verify")
        print(f"killed hub {self.kills['hub']} and signer {self.kills['signer']} times ", end="", flush=True)

    def test_what_a_crash_between_two_writes_leaves_is_mended_at_the_next_start(self):
        steps = Steps(self.hub, self.hub.top)
        old = steps.issuers()[-1]["sha256"]
        bundle = self.hub.file("tls", "issuing.pem")
        device = self.hub.device("between-1")
        cert = steps.sign(steps.rotate()[0])
        # the file has the next one, registry and trust log have not heard of it
        self.hub.stop()
        bundle.write_text(cert.read_text() + bundle.read_text())
        self.hub.start()
        self.assertEqual([i["state"] for i in steps.issuers()[-2:]], ["overlap", "in force"])
        self.assertIn(("ca.activate", "hub"), [(r["kind"], r["who"]) for r in self.hub.cli("trust-log", "list")["rows"]])
        self.hub.cli("ca", "activate", cert)
        both = bundle.read_text()
        # retired, but still in the file
        self.hub.cli("ca", "retire", old, LOUD)
        self.hub.stop()
        bundle.write_text(both)
        self.hub.start()
        self.counted(steps)
        with self.assertRaises((ssl.SSLError, ConnectionError, mqtt.Closed)), mqtt.Client(self.hub, self.hub.device_tls(device)) as client:
            client.connect("between-1")
        # half a line of a key that nobody heard of
        self.hub.stop()
        with open(self.hub.file("signer", "issuers"), "ab") as keys:
            keys.write(b"key 1767225600000 0123456789abcdef")
        self.hub.start()
        fresh = self.hub.device("between-2")
        with mqtt.Client(self.hub, self.hub.device_tls(fresh)) as client:
            self.assertEqual(client.connect("between-2").reason, 0)

    def test_a_backup_holds_both_and_a_seal_that_changes_keeps_the_newer_key(self):
        steps = Steps(self.hub, self.hub.top)
        before = self.hub.device("kept-1")
        steps.next()
        after = self.hub.device("kept-2")
        made = self.hub.cli("backup", "--out", self.hub.top / "all.backup")
        restored = lab.Hub()
        self.addCleanup(restored.remove)
        restored.cli("restore", self.hub.top / "all.backup", input=made["recovery_key"] + "\n")
        restored.start()
        for folder, name in ((before, "kept-1"), (after, "kept-2")):
            with mqtt.Client(restored, restored.device_tls(folder)) as client:
                self.assertEqual(client.connect(name).reason, 0)
        self.assertEqual([i["state"] for i in restored.cli("ca", "list")["issuers"]][-2:], ["overlap", "in force"])
        restored.device("kept-3")
        restored.stop()
        tpm = lab.Tpm().start()
        self.addCleanup(tpm.remove)
        restored.cli("seal", "tpm", "--tpm", tpm.tcti)
        restored.start()
        self.assertEqual([p.name for p in sorted(restored.file("signer").iterdir())], ["issuers", "journal", "root.pem", "vault"])
        folder = restored.device("kept-4")
        with mqtt.Client(restored, restored.device_tls(folder)) as client:
            self.assertEqual(client.connect("kept-4").reason, 0)
        again = Steps(restored, restored.top)
        restored.cli("ca", "activate", again.sign(again.rotate()[0], self.hub.file("OFFLINE", "root.key")))
        folder = restored.device("kept-5")
        with mqtt.Client(restored, restored.device_tls(folder)) as client:
            self.assertEqual(client.connect("kept-5").reason, 0)


if __name__ == "__main__":
    unittest.main()
