"""A name service that falls silent, as a router's does that has lost its uplink: a device that has met its hub finds it, one that
has not says what is missing, and neither stands still for it."""

import os
import unittest

import case
import lab
import shims
from test_renewal import Running


class Names(case.HubCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.person = cls.hub.person().become_owner()
        cls.film = lab.videos() / "vtest.avi"

    def setUp(self):
        super().setUp()
        self.switch = self.hub.top / "names"
        self.switch.write_bytes(b"\0")
        self.environment = dict(os.environ, LD_PRELOAD=" ".join(shims.build(self.hub.top, "names_shim")), PORCH_TEST_NAMES=str(self.switch))

    def silence(self, on):
        with open(self.switch, "r+b") as f:
            f.write(b"\1" if on else b"\0")

    def privacy(self, device, on):
        answer = self.person.ask("PUT", f"/api/v1/devices/{device}/privacy", {"on": "yes" if on else "no"})
        self.assertEqual(answer.status, 200, answer.body)

    def test_a_person_is_found_and_told_of_while_no_name_resolves(self):
        folder = self.hub.device("front-door")
        self.assertIn("hub.host = localhost", (folder / "device.conf").read_text(), "the hub is known by a name")
        self.privacy("front-door", True)
        stream = self.person.stream()
        self.addCleanup(stream.close)
        camera = lab.Camera(folder, self.film, environment=self.environment)
        self.addCleanup(camera.stop)
        self.assertIsNotNone(camera.out.wait_for(lambda text: '"state":"stopped"' in text, 60), camera.err.text())
        self.assertIsNotNone(stream.next("device", 60), "it has said so to the hub")
        # From here on each new connection would wait for ever; the clip needs one.
        self.silence(True)
        self.addCleanup(self.silence, False)
        self.privacy("front-door", False)
        found = stream.next("person", 120)
        self.assertIsNotNone(found, camera.err.text()[-2000:])
        self.assertEqual(found[0]["notification"]["device"], "front-door")
        self.assertEqual(camera.stop(), 0, camera.err.text()[-2000:])

    def test_a_device_that_never_met_its_hub_says_what_is_missing_and_stops_when_told(self):
        folder = self.hub.device("porch")
        self.silence(True)
        self.addCleanup(self.silence, False)
        device = Running(folder, self.environment)
        self.addCleanup(device.stop)
        device.status("disconnected", "the name service did not answer in time")
        self.assertEqual(device.stop(), 0)
        again = Running(folder, self.environment)
        self.addCleanup(again.stop)
        again.status("disconnected", "the name service did not answer in time")
        self.silence(False)
        again.status("connected")


if __name__ == "__main__":
    unittest.main()
