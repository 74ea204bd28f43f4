"""The hub's clock is set by a day and by ten years, forwards and backwards, while it runs: nothing falls, nothing that was
acknowledged is lost, and what depends on time is judged by the new time."""

import json
import pathlib
import sqlite3
import ssl
import struct
import subprocess
import time
import unittest

import case  # noqa: F401 (finds lab)
import lab
import mqtt

DAY = 86400
YEAR = 365 * DAY


class ClockIsSet(unittest.TestCase):
    def setUp(self):
        self.hub = lab.Hub()
        self.addCleanup(self.hub.remove)
        self.hub.init()
        self.hub.set(store_tick_ms=100)
        shim = self.hub.top / "shim.so"
        source = pathlib.Path(__file__).with_name("clock_shim.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(shim), str(source)], check=True)
        self.offset = self.hub.top / "offset"
        self.offset.write_bytes(bytes(8))
        preload = [str(shim)]
        if b"libasan" in subprocess.run(["ldd", lab.program("porchlightd")], capture_output=True).stdout:
            preload.insert(0, subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip())
        self.hub.start(wrapper=["env", f"LD_PRELOAD={' '.join(preload)}", f"PORCH_TEST_CLOCK={self.offset}"])
        self.person = self.hub.person().become_owner()
        self.folder, self.other = self.hub.device("front-door"), self.hub.device("back-door")
        self.shift = 0
        self.sent = 0

    def set_clock(self, seconds):
        """Sets it and waits until the store has seen the jump."""
        start = len(self.hub.log.all)
        with open(self.offset, "r+b") as f:
            f.write(struct.pack("<q", seconds * 1000))
        self.shift = seconds
        self.assertIsNotNone(self.hub.log.wait_for(lambda line: "clock.jumped" in line, 60, start))

    def publish(self, client):
        event = {"v": 1, "id": f"e{self.sent}", "kind": "motion", "at_ms": int((time.time() + self.shift) * 1000), "score": 0.5,
                 "box": [0.1, 0.2, 0.3, 0.4], "clip": False}
        self.assertEqual(client.publish("d/front-door/event/motion", json.dumps(event), 1).reason, 0)
        self.sent += 1

    def stored(self):
        with sqlite3.connect(f"file:{self.hub.file('hub.db')}?mode=ro", uri=True) as db:
            return db.execute("select count(*) from message").fetchone()[0]

    def login(self, at):
        """The status of a sign-in with the code of that moment; the cookie stays with a person of its own."""
        guest = self.hub.person()
        guest.name, guest.secret = self.person.name, self.person.secret
        answer = guest.ask("POST", "/api/v1/login", {"name": guest.name, "password": guest.PASSWORD,
                                                       "code": lab.totp(guest.secret, at)})
        return answer.status, guest

    def admitted(self):
        """What a device that connects now is told: its CONNACK's reason; "alert" when the handshake is refused, as it is by a
        clock at which the hub's own authority is not valid yet."""
        try:
            with mqtt.Client(self.hub, self.hub.device_tls(self.other), seconds=60) as fresh:
                fresh.send(mqtt.connect("back-door"))
                return fresh.expect(mqtt.CONNACK).reason
        except ssl.SSLError as refused:
            self.assertIn("ALERT_BAD_CERTIFICATE", str(refused))
            return "alert"

    def test_jumps_lose_nothing_and_time_is_judged_by_the_new_clock(self):
        before = self.hub.children()
        with mqtt.Client(self.hub, self.hub.device_tls(self.folder), seconds=60) as kept:
            kept.connect("front-door", keep_alive=3600)
            self.publish(kept)
            for seconds, reason in ((DAY, 0), (10 * YEAR, 0x87), (-10 * YEAR, "alert"), (-DAY, "alert")):
                with self.subTest(seconds=seconds):
                    self.set_clock(seconds)
                    self.publish(kept)  # a session that stands goes on
                    self.assertEqual(self.admitted(), reason)
            start = len(self.hub.log.all)
            self.set_clock(10 * YEAR)
            self.publish(kept)
            self.assertEqual(self.admitted(), 0x87)
            self.assertIsNotNone(self.hub.log.wait_for(lambda line: "expired" in line, 30, start))
            # A session of ten years ago is over; a code of then is none, one of now is.
            self.assertEqual(self.person.ask("GET", "/api/v1/me").status, 401)
            self.assertEqual(self.login(time.time())[0], 401)
            status, ahead = self.login(time.time() + 10 * YEAR)
            self.assertEqual(status, 200)
            self.assertEqual(ahead.ask("GET", "/api/v1/me").status, 200)
            self.set_clock(0)
            self.publish(kept)
        self.assertEqual(ahead.ask("GET", "/api/v1/me").status, 401, "a session from the future")
        self.assertEqual(self.admitted(), 0)
        self.assertEqual(self.stored(), self.sent, "an acknowledged event is gone")
        self.assertEqual(self.hub.children(), before, "a process has fallen")


if __name__ == "__main__":
    unittest.main()
