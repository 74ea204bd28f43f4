"""A device renews its certificate by itself and by hand, with its key in a file, a TPM or a token; the power may go at any call, the
hub may die at any moment, and the hub may know less than it did."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import unittest

import case
import lab
import mqtt
import shims
from test_keys import Token, device_program

DAY = 86400


def fingerprint(path):
    der = subprocess.run(["openssl", "x509", "-in", str(path), "-outform", "DER"], check=True, capture_output=True).stdout
    return hashlib.sha256(der).hexdigest()


def public_key(path):
    return subprocess.run(["openssl", "x509", "-in", str(path), "-noout", "-pubkey"], check=True, capture_output=True).stdout


class Running:
    """porchlight-device FOLDER run --json as a child; its statuses."""

    def __init__(self, folder, environment=None):
        self.process = subprocess.Popen([lab.program("porchlight-device"), str(folder), "run", "--json"], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment)
        self.out, self.err = lab.Lines(self.process.stdout), lab.Lines(self.process.stderr)

    def status(self, word, *more, seconds=120, start=0):
        line = self.out.wait_for(lambda text: f'"status":"{word}"' in text and all(m in text for m in more), seconds, start)
        if line is None:
            raise lab.LabError(f"no status {word} {more}:\n{self.out.text()}\n{self.err.text()}")
        return json.loads(line)

    def saw(self, word):
        return f'"status":"{word}"' in self.out.text()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


class Renewing(case.HubCase):
    settings = {"store_tick_ms": 3600000}  # what must be durable is so without housekeeping

    @classmethod
    def setUpClass(cls):
        cls.hub = lab.Hub()
        cls.addClassCleanup(cls.hub.remove)
        cls.hub.init()
        cls.hub.set(**cls.settings)
        cls.clock = shims.Clock(cls.hub.top, "hub")
        cls.hub.start(wrapper=cls.clock.wrapper)

    def connack(self, folder, name, cert="cert.pem"):
        context = self.hub.device_tls()
        context.load_cert_chain(folder / cert, folder / "key.pem")
        with mqtt.Client(self.hub, context) as client:
            return client.connect(name).reason

    def publish(self, folder, name, **options):
        return device_program(folder, "publish", f"d/{name}/telemetry/one", "21", **options)

    def keep_old(self, folder):
        shutil.copy(folder / "cert.pem", folder / "old.pem")
        return fingerprint(folder / "cert.pem")

    def renewed_by_hand(self, folder, name, environment=None):
        before = self.keep_old(folder)
        done = device_program(folder, "renew", "--json", environment=environment)
        self.assertIn('"status":"certificate-in-use"', done.stdout)
        self.assertNotEqual(fingerprint(folder / "cert.pem"), before)
        self.assertEqual(public_key(folder / "cert.pem"), public_key(folder / "old.pem"))
        self.publish(folder, name, environment=environment)

    def enrolled(self, name, uri, *tpm, environment=None):
        made = self.hub.top / f"made-{name}"
        device_program(made, "make-key", uri, *tpm, environment=environment)
        options = {"csr": made / "request.pem", "key": uri}
        if tpm:
            options["tpm"] = tpm[1]
        return self.hub.device(name, **options)


class ByItself(Renewing):
    """A hub of its own: one whose clock went on for weeks has a newer certificate, from the future once it goes back."""

    def forget_the_time_key(self, folder):
        """The hub's signed time outdoes the system's clock for a day, and it is that clock which is turned here."""
        conf = folder / "device.conf"
        kept = [line for line in conf.read_text().splitlines() if not line.startswith("hub.time_key")]
        conf.write_text("\n".join(kept) + "\n")

    def test_at_two_thirds_of_its_life_the_certificate_is_renewed_while_the_device_runs(self):
        folder = self.hub.device("by-itself")
        self.forget_the_time_key(folder)
        before = self.keep_old(folder)
        clock = shims.Clock(self.hub.top, "by-itself")
        device = Running(folder, clock.environment())
        self.addCleanup(device.stop)
        device.status("connected")
        self.assertFalse(device.saw("renewed"))
        self.clock.set(68 * DAY)  # of 90; two thirds and all of the jitter are behind
        self.assertTrue(self.hub.cli("clock", "confirm")["believed"])
        clock.set(68 * DAY)
        told = device.status("renewed")
        self.assertRegex(told["text"], r"holds until \d{4}-\d\d-\d\dT")
        device.status("certificate-in-use")
        after = fingerprint(folder / "cert.pem")
        self.assertNotEqual(after, before)
        self.assertEqual(public_key(folder / "cert.pem"), public_key(folder / "old.pem"))
        self.assertFalse((folder / "cert.next.pem").exists())
        self.assertEqual(self.connack(folder, "by-itself", "old.pem"), 0x87)
        self.assertEqual(self.hub.cli("device", "show", "by-itself")["certificate_sha256"], after)
        device.stop()


class Renewal(Renewing):
    def test_by_hand_with_the_key_in_a_file(self):
        folder = self.hub.device("in-file")
        self.renewed_by_hand(folder, "in-file")
        self.assertEqual(self.connack(folder, "in-file", "old.pem"), 0x87)

    def test_by_hand_with_the_key_in_a_tpm(self):
        tpm = lab.Tpm().start()
        self.addCleanup(tpm.remove)
        self.renewed_by_hand(self.enrolled("in-tpm", "tpm2:0x81000010", "--tpm", tpm.tcti), "in-tpm")

    def test_by_hand_with_the_key_in_a_token(self):
        token = Token()
        self.addCleanup(token.remove)
        folder = self.enrolled("in-token", token.uri("in-token"), environment=token.environment)
        self.renewed_by_hand(folder, "in-token", environment=token.environment)

    def test_a_product_that_demands_the_channel_binding_gets_it(self):
        self.hub.cli("product", "set", "bound", "--channel-binding", "required")
        folder = self.hub.device("bound-1", product="bound")
        self.renewed_by_hand(folder, "bound-1")

    def test_wherever_the_power_goes_one_certificate_is_good(self):
        folder = self.hub.device("cut-off")
        cuts = 0
        while True:
            environment = shims.cutting(self.hub.top, cuts)
            done = device_program(folder, "renew", environment=environment, check=False)
            self.publish(folder, "cut-off")
            self.assertFalse((folder / "cert.next.pem").exists(), f"cut {cuts}: the next start leaves it tidy")
            if done.returncode == 0:
                break
            self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
            cuts += 1
        self.assertGreater(cuts, 5, "the cuts reach the files of the certificate")

    def test_a_hub_that_is_killed_right_after_the_first_use_does_not_take_the_old_one_again(self):
        folder = self.hub.device("crash")
        self.keep_old(folder)
        device_program(folder, "renew")
        os.kill(self.hub.children()["hub"], signal.SIGKILL)
        start = len(self.hub.out.all)
        self.hub.wait_ready(60, start)
        self.assertEqual(self.connack(folder, "crash", "old.pem"), 0x87)
        self.assertEqual(self.connack(folder, "crash"), 0)

    def test_a_hub_that_does_not_know_the_new_certificate_gets_the_old_one(self):
        folder = self.hub.device("restored")
        before = self.keep_old(folder)
        self.hub.stop()
        saved = self.hub.top / "saved"
        saved.mkdir()
        for path in self.hub.dir.glob("hub.db*"):
            shutil.copy(path, saved / path.name)
        self.hub.start(wrapper=self.clock.wrapper)
        self.set_ports(folder)
        device_program(folder, "renew")
        os.rename(folder / "cert.pem", folder / "cert.next.pem")
        shutil.copy(folder / "old.pem", folder / "cert.pem")
        self.hub.stop()
        for path in self.hub.dir.glob("hub.db*"):
            path.unlink()
        for path in saved.iterdir():
            shutil.copy(path, self.hub.dir / path.name)
        self.hub.start(wrapper=self.clock.wrapper)
        self.set_ports(folder)
        device = Running(folder)
        self.addCleanup(device.stop)
        device.status("disconnected", '"code":135')
        device.status("warning", "does not know the renewed certificate")
        device.stop()
        self.assertEqual(fingerprint(folder / "cert.pem"), before)
        self.assertFalse((folder / "cert.next.pem").exists())
        self.renewed_by_hand(folder, "restored")

    def set_ports(self, folder):
        """A hub that was started anew listens elsewhere."""
        conf = folder / "device.conf"
        text = conf.read_text()
        for key, port in (("mqtt_port", "mqtt"), ("device_port", "device")):
            text = re.sub(rf"hub\.{key} = \d+", f"hub.{key} = {self.hub.ports[port]}", text)
        conf.write_text(text)

    def test_a_revoked_device_is_told_and_keeps_what_it_has(self):
        folder = self.hub.device("revoked")
        before = fingerprint(folder / "cert.pem")
        self.hub.cli("device", "revoke", "revoked")
        done = device_program(folder, "renew", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("renewal-delayed", done.stderr)
        self.assertIn("revoked", done.stderr)
        self.assertEqual(fingerprint(folder / "cert.pem"), before)

    def test_a_services_clients_go_by_the_new_certificate_once_one_of_them_does(self):
        old, new = self.hub.service("clock", allow=["publish:d/+/command/#"]), self.hub.top / "service-clock-again"
        said = subprocess.run([lab.program("porchlight"), "-C", self.hub.dir, "service", "add", "clock", "--renew", "--out", new],
                              capture_output=True, text=True, check=True).stdout
        self.assertIn("before the first of them goes by it", said)
        with mqtt.Client(self.hub, self.hub.device_tls(old)) as stays:
            self.assertEqual(stays.connect("clock/1").reason, 0)
            for folder, name, reason in ((old, "clock/2", 0), (new, "clock/2", 0), (old, "clock/2", 0x87), (new, "clock/3", 0)):
                with mqtt.Client(self.hub, self.hub.device_tls(folder)) as client:
                    answer = client.connect(name)
                    self.assertEqual(answer.reason, reason)
                    self.assertEqual(reason == 0x87, b"copy that one's folder" in answer.body)
            self.assertEqual(stays.publish("d/lamp/command/on/request", "1", 1).reason, 0, "a connection that stands goes on")
        self.assertIn("service.replace", [r["kind"] for r in self.hub.cli("trust-log", "list")["rows"]])

    def test_a_service_is_told_who_renews(self):
        folder = self.hub.service("lights")
        done = device_program(folder, "renew", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("by its operator", done.stderr)


if __name__ == "__main__":
    unittest.main()
