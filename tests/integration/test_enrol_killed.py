"""Kill -9 of the signer and of the hub in the middle of enrolments: each device ends with exactly one certificate that works,
or its clean retry does. ENROL_KILLS devices (default 50; `make sweep` 1,000), seed ENROL_SEED."""

import base64
import http.client
import os
import random
import signal
import ssl
import sqlite3
import threading
import time
import unittest

import case
import lab
import mqtt
from test_est import Device


class Killed(case.HubCase):
    settings = {"supervisor_restart_first_ms": 20, "supervisor_restart_most_ms": 200, "signer_device_issues_per_minute": 100000}

    def post(self, body, token):
        """One try as a device makes it: the answer, or None when it did not come whole."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.hub.file("tls", "device-root.pem"))
        connection = http.client.HTTPSConnection("localhost", self.hub.ports["device"], context=context, timeout=20)
        try:
            connection.request("POST", "/.well-known/est/simpleenroll", body=body, headers={
                "Content-Type": "application/pkcs10", "Authorization": "Basic " + token})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def enrolled(self, device, body, token, seconds=90):
        """Tries until it has its certificate, as a device does: the same proof, the same key. Returns how often it tried."""
        until = time.monotonic() + seconds
        for tries in range(1, 10000):
            answer = self.post(body, token)
            if answer is not None and answer[0] == 200:
                device.take(answer[1])
                return tries
            if answer is not None:
                self.assertIn(answer[0], (503, 500), answer)  # "try again", never a spent token
            self.assertLess(time.monotonic(), until, f"no certificate after {tries} tries")
            time.sleep(0.02)  # a device's pause, not a wait for anything
        return None

    def test_each_device_ends_with_exactly_one_certificate(self):
        count = int(os.environ.get("ENROL_KILLS", "50"))
        seed = int(os.environ.get("ENROL_SEED", str(int(time.time()))))
        dice = random.Random(seed)
        print(f"(ENROL_SEED={seed}) ", end="", flush=True)
        jobs = []
        for i in range(count):
            token = self.hub.cli("device", "claim-token", f"k-{i}", "--product", "camera")["token"]
            device = Device(self.hub, self.hub.top, f"k-{i}")
            jobs.append((f"k-{i}", device, device.csr(), base64.b64encode(f"x:{token}".encode()).decode()))
        kills = {"hub": 0, "signer": 0}

        def kill(role, after_s):
            time.sleep(after_s)  # the moment is the point: anywhere in the exchange
            pid = self.hub.children().get(role)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                kills[role] += 1

        tries = []
        for _, device, body, token in jobs:
            killer = threading.Thread(target=kill, args=(dice.choice(("hub", "signer")), dice.uniform(0, 0.08)))
            killer.start()
            tries.append(self.enrolled(device, body, token))
            killer.join(60)
        self.assertGreater(kills["hub"], 0)
        self.assertGreater(kills["signer"], 0)
        self.hub.stop()
        self.hub.start()
        for name, device, _, _ in jobs:
            self.assertEqual(device.connects(name), 0, name)
        self.hub.stop()
        db = sqlite3.connect(self.hub.file("hub.db"))
        alive = dict(db.execute("select name, count(*) from certificate where kind = 'device' and revoked_ms is null and "
                                "replaced_ms is null group by name"))
        db.close()
        self.assertEqual(alive, {name: 1 for name, *_ in jobs})
        self.hub.start()
        self.assertEqual(self.hub.cli("trust-log", "verify", check=False)[0], 0)
        print(f"{count} devices, {sum(tries)} tries, killed hub {kills['hub']} and signer {kills['signer']} times ", end="", flush=True)


if __name__ == "__main__":
    unittest.main()
