"""A device that comes back after years, its certificate ended and its clock at 1970: the hub's signed time and the renewal are open to
it and nothing else, for est.renew_only_days; it gets through by itself. A revoked one does not."""

import base64
import collections
import hashlib
import http.client
import json
import re
import subprocess
import time
import unittest

import case  # noqa: F401 (finds lab)
import lab
import mqtt
import shims
from test_clock import DAY, YEAR, ClockIsSet
from test_est import Device
from test_keys import device_program
from test_renewal import Running, fingerprint

NONCE = "0123456789abcdef" * 4


class Return(ClockIsSet):
    test_jumps_lose_nothing_and_time_is_judged_by_the_new_clock = None  # that one's own business

    def device(self, folder):
        """A device of test_est that has the key and certificate of a folder."""
        d = Device(self.hub, self.hub.top, "came-back")
        d.key, d.cert = folder / "key.pem", folder / "cert.pem"
        return d

    def connack(self, device, name):
        context = self.hub.device_tls()
        context.load_cert_chain(device.cert, device.key)
        with mqtt.Client(self.hub, context) as client:
            return client.connect(name).reason

    def ask(self, method, path, folder=None):
        return lab.request(self.hub.ports["device"], self.hub.device_tls(folder), method, path)

    def signed_time(self, folder=None, nonce=NONCE):
        """The answer's lines as a dictionary, its signature verified by openssl with the key of device.conf."""
        answer = self.ask("GET", f"/.well-known/porchlight/time?nonce={nonce}", folder)
        self.assertEqual(answer.status, 200)
        text = answer.body.decode()
        statement = text[:text.index("signature ")]
        values = dict(line.split(" ", 1) for line in text.splitlines()[1:])
        key = re.search(r"hub\.time_key = (\S+)", (self.folder / "device.conf").read_text())[1]
        files = {name: self.hub.top / name for name in ("statement", "signature", "key.der")}
        files["statement"].write_text(statement)
        files["signature"].write_bytes(base64.b64decode(values["signature"]))
        files["key.der"].write_bytes(bytes.fromhex("302a300506032b6570032100") + base64.b64decode(key))
        subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", files["key.der"], "-rawin",
                        "-in", files["statement"], "-sigfile", files["signature"]], check=True, capture_output=True)
        return values

    def test_an_ended_certificate_opens_its_renewal_and_the_time_and_nothing_else_for_a_bounded_time(self):
        back = self.device(self.folder)
        late, revoked = self.device(self.other), self.device(self.hub.device("revoked"))
        self.hub.cli("device", "revoke", "revoked")
        self.assertEqual(self.connack(back, "front-door"), 0)
        self.set_clock(YEAR)
        self.assertEqual(self.connack(back, "front-door"), 0x87)
        for method, path in (("HEAD", "/api/v1/device/clips/00"), ("POST", "/api/v1/device/clips"), ("PATCH", "/api/v1/device/clips/00")):
            self.assertEqual(self.ask(method, path, self.folder).status, 403, path)
        # A clock that jumped by a year tells devices nothing until a person has looked at it.
        answer = self.ask("GET", f"/.well-known/porchlight/time?nonce={NONCE}", self.folder)
        self.assertEqual(answer.status, 503, answer.body)
        self.assertIn("does not believe the hub's clock", answer.body.decode())
        self.assertEqual(back.post("simplereenroll", back.csr(), *back.own())[:2], (503, "try-again"))
        self.assertIsNotNone(self.hub.log.wait_for(lambda line: "signer.clock-not-believed" in line, 30))
        findings = json.loads(self.hub.cli("doctor", check=False)[1])["findings"]
        self.assertEqual([f["mend"].endswith("clock confirm") for f in findings if f["check"] == "clock"], [True])
        self.assertFalse(self.hub.cli("clock")["believed"])
        self.assertTrue(self.hub.cli("clock", "confirm")["believed"])
        self.assertIn("clock.confirm", [row["kind"] for row in self.hub.cli("trust-log", "list")["rows"]])
        values = self.signed_time(self.folder)
        self.assertEqual((values["nonce"], values["timestamp"]), (NONCE, "-"))
        metadata = self.hub.file("updates", "metadata")
        metadata.mkdir(parents=True, exist_ok=True)
        (metadata / "timestamp.json").write_bytes(b"{}")  # whatever the newest one says
        self.assertEqual(self.signed_time(self.folder)["timestamp"], hashlib.sha256(b"{}").hexdigest())
        self.assertLess(abs(int(values["time"]) / 1000 - (time.time() + YEAR)), 120)
        self.assertEqual(self.ask("GET", "/.well-known/porchlight/time", self.folder).status, 400)
        self.assertEqual(self.ask("GET", "/.well-known/porchlight/time?nonce=00", self.folder).status, 400)
        # strangers could use up signer.times_per_minute
        self.assertEqual(self.ask("GET", f"/.well-known/porchlight/time?nonce={NONCE}").status, 403)
        # nor does one that counts no more
        answer = self.ask("GET", f"/.well-known/porchlight/time?nonce={NONCE}", revoked.cert.parent)
        self.assertEqual((answer.status, "revoked" in answer.body.decode()), (403, True), answer.body)
        self.assertEqual(revoked.post("simplereenroll", revoked.csr(), *revoked.own())[:2], (403, "revoked"))
        status, slug, answer = back.post("simplereenroll", back.csr(), *back.own())
        self.assertEqual((status, slug), (200, ""))
        back.cert = back.folder / "renewed.pem"
        back.take(answer)
        self.assertEqual(self.connack(back, "front-door"), 0)
        # 90 days of life and 730 more to renew in
        self.set_clock(90 * DAY + 730 * DAY - 3600)
        self.hub.cli("clock", "confirm")
        self.assertEqual(late.post("simplereenroll", late.csr(), *late.own())[0], 200)
        self.set_clock(3 * YEAR)
        self.assertEqual(late.post("simplereenroll", late.csr(), *late.own())[:2], (403, "expired"))

    def years_pass(self, years):
        """The hub is started anew after them, so its own certificate begins long after the device's last sight of it."""
        self.set_clock(years * YEAR)
        self.hub.stop()
        self.hub.start(wrapper=["env", f"LD_PRELOAD={' '.join(shims.build(self.hub.top, 'clock_shim'))}",
                                f"PORCH_TEST_CLOCK={self.offset}"])
        self.assertTrue(self.hub.cli("clock", "confirm")["believed"])
        conf = self.folder / "device.conf"
        text = conf.read_text()
        for key, port in (("mqtt_port", "mqtt"), ("device_port", "device")):
            text = re.sub(rf"hub\.{key} = \d+", f"hub.{key} = {self.hub.ports[port]}", text)
        conf.write_text(text)

    def comes_back(self, folder, clock):
        device = Running(folder, clock.environment())
        self.addCleanup(device.stop)
        return device

    def test_a_device_with_its_clock_at_1970_comes_back_by_itself(self):
        before = fingerprint(self.folder / "cert.pem")
        self.years_pass(2)
        clock = shims.Clock(self.hub.top, "front-door")
        clock.set(-time.time() + 3600)
        device = self.comes_back(self.folder, clock)
        year = time.gmtime(time.time() + 2 * YEAR).tm_year
        self.assertIn(f"it is {year}", device.status("clock-set")["text"])
        device.status("renewed")
        device.status("certificate-in-use")
        told = device.status("connected")
        self.assertLess(abs(told["at_ms"] / 1000 - (time.time() + 2 * YEAR)), 600)
        self.assertNotEqual(fingerprint(self.folder / "cert.pem"), before)
        device.stop()
        floor = int((self.folder / "state" / "time").read_text())
        self.assertLess(abs(floor / 1000 - (time.time() + 2 * YEAR)), 600)
        # from now on it needs no renewal, with its clock at 1970 as before
        done = device_program(self.folder, "publish", "d/front-door/telemetry/one", "21", environment=clock.environment())
        self.assertNotIn("renewed", done.stderr)

    def test_a_clock_that_runs_years_ahead_is_put_right_too(self):
        clock = shims.Clock(self.hub.top, "front-door")
        clock.set(5 * YEAR)
        device = self.comes_back(self.folder, clock)
        device.status("clock-set")
        device.status("connected")
        device.stop()
        self.assertFalse(device.saw("renewed"), "by the hub's time the certificate is young")

    def test_a_time_before_one_that_was_believed_is_not_believed(self):
        device_program(self.folder, "publish", "d/front-door/telemetry/one", "21")
        floor = self.folder / "state" / "time"
        device = self.comes_back(self.folder, shims.Clock(self.hub.top, "plain"))
        device.status("connected")
        device.stop()
        floor.write_text(f"{int((time.time() + 30 * DAY) * 1000)}\n")
        device = self.comes_back(self.folder, shims.Clock(self.hub.top, "plain"))
        self.assertIn("before one that it told earlier", device.status("renewal-delayed")["text"])
        device.stop()
        self.assertGreater(int(floor.read_text()), (time.time() + 29 * DAY) * 1000)

    def test_a_time_signed_by_another_key_moves_nothing_and_a_device_that_depends_on_it_stays_out(self):
        self.years_pass(2)
        conf = self.folder / "device.conf"
        other = base64.b64encode(bytes(range(32))).decode()
        conf.write_text(re.sub(r"hub\.time_key = \S+", f"hub.time_key = {other}", conf.read_text()))
        clock = shims.Clock(self.hub.top, "front-door")
        clock.set(-time.time() + 3600)
        device = self.comes_back(self.folder, clock)
        self.assertIn("not signed by our hub", device.status("renewal-delayed")["text"])
        device.stop()
        self.assertFalse(device.saw("renewed") or device.saw("clock-set") or device.saw("connected"))


class TimeForAll(case.HubCase):
    settings = {"signer_times_per_minute": 200, "est_times_per_minute": 5}

    def test_one_certificate_that_asks_without_end_leaves_the_time_to_the_others(self):
        greedy, modest = self.hub.device("greedy"), self.hub.device("modest")
        path = f"/.well-known/porchlight/time?nonce={NONCE}"
        connection = http.client.HTTPSConnection("localhost", self.hub.ports["device"], context=self.hub.device_tls(greedy), timeout=30)
        self.addCleanup(connection.close)
        answers = collections.Counter()
        for _ in range(1000):
            connection.request("GET", path)
            response = connection.getresponse()
            text = response.read().decode()
            answers[response.status] += 1
            if response.status == 503:
                self.assertIn("est.times_per_minute", text)
        self.assertEqual(set(answers), {200, 503})
        self.assertGreater(answers[503], answers[200])
        self.assertEqual(lab.request(self.hub.ports["device"], self.hub.device_tls(modest), "GET", path).status, 200)


if __name__ == "__main__":
    unittest.main()
