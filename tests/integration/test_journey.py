"""The journey on real video, and what it leaves behind; and what must survive a kill at any moment."""

import json
import os
import random
import re
import select
import signal
import unittest

import case
import lab


class Journey(case.HubCase):
    def test_pedestrians_are_notified_and_leaves_are_not(self):
        person = self.hub.person().become_owner()
        stream = person.stream()
        self.addCleanup(stream.close)
        films = lab.videos()

        garden = lab.Camera(self.hub.device("garden"), films / "tree.avi")
        self.addCleanup(garden.stop)
        self.assertIsNotNone(stream.next("motion", 60), "moving leaves are motion")
        self.assertEqual(garden.process.wait(180), 0, garden.err.text())

        door = lab.Camera(self.hub.device("front-door"), films / "vtest.avi")
        self.addCleanup(door.stop)
        data, _, _ = stream.next("person", 120)
        self.assertEqual(data["notification"]["device"], "front-door")
        trace = data["notification"]["trace"]
        for hop in ("motion_at_ms", "event_received_ms", "event_durable_ms", "clip_first_byte_ms", "person_found_ms", "notification_durable_ms"):
            self.assertGreater(trace[hop], 1600000000000, hop)
        picture = person.ask("GET", data["event"]["person"]["picture"])
        self.assertEqual((picture.status, picture.headers["Content-Type"], picture.body[:2]), (200, "image/jpeg", b"\xff\xd8"))
        thumbnail = person.ask("GET", data["event"]["thumbnail"])
        self.assertEqual((thumbnail.status, thumbnail.body[:2]), (200, b"\xff\xd8"))

        # every clip of the garden was analysed, and none showed a person
        events = person.must("GET", "/api/v1/events?limit=200")["events"]
        self.assertTrue([event for event in events if event["device"] == "garden" and event["clip"]])
        self.assertFalse([event for event in events if event["device"] == "garden" and event["person"]])


def descendants(pid):
    """{pid: descriptor that says when it has ended} of all processes below that one."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as stat:
                    parents[int(entry)] = int(stat.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                pass  # it has just ended
    found, front = {}, {pid}
    while front:
        front = {child for child, parent in parents.items() if parent in front}
        for child in front:
            try:
                found[child] = os.pidfd_open(child)
            except ProcessLookupError:
                pass
    return found


def kill_moments(default):
    return int(os.environ.get("KILL_MOMENTS", default))


class Killed(unittest.TestCase):
    """One process at a time is killed with SIGKILL while the camera works; afterwards all that was acknowledged
    is there, whole, and nobody was told twice."""

    def setUp(self):
        self.hub = lab.Hub()
        self.addCleanup(self.hub.remove)
        self.hub.init()
        self.hub.set(supervisor_restart_most_ms=2000)  # many kills in a row: the pause need not grow to half a minute
        self.hub.start()
        self.person = self.hub.person().become_owner()
        self.folder = self.hub.device("front-door")
        self.film = lab.videos() / "vtest.avi"
        self.acknowledged, self.complete = {}, {}
        self.struck = None
        self.random = random.Random(os.environ.get("KILL_SEED", "porch"))

    def remember(self, camera):
        for record in camera.records("event-acknowledged"):
            self.acknowledged[record["event"]] = record
        for record in camera.records("clip-complete"):
            self.complete[record["event"]] = record

    def camera(self):
        camera = lab.Camera(self.folder, self.film, "--loop")
        self.addCleanup(camera.stop)
        return camera

    def wait_for_restart(self, victim):
        """The victim of the strike before runs again: the pauses between restarts grow."""
        if self.struck is not None:
            line = self.hub.log.wait_for(lambda text: "helper.restarted" in text and f"role={victim}" in text, 120, self.struck)
            self.assertIsNotNone(line, f"the {victim} was not started again")

    def strike(self, victim, camera):
        """Kills the victim a random time after the camera's next sign of life; returns the camera that runs then."""
        start = len(camera.out.all)
        self.assertIsNotNone(camera.out.wait_for(lambda text: '"hop"' in text, 120, start), f"no sign of life of the camera: {camera.err.text()[-2000:]}")
        camera.out.wait_for(lambda text: False, self.random.uniform(0, 3))
        if victim == "camera":
            camera.process.send_signal(signal.SIGKILL)
            camera.process.wait()
            self.remember(camera)
            return self.camera()
        self.wait_for_restart(victim)
        ready, self.struck = len(self.hub.out.all), len(self.hub.log.all)
        os.kill(self.hub.children()[victim], signal.SIGKILL)
        if victim == "hub":
            self.hub.wait_ready(180, ready)
        return camera

    def keep_ports(self):
        """The hub begun anew must be found where it was: as an operator's hub, it gets fixed ports."""
        conf = self.hub.file("hub.conf")
        text = conf.read_text()
        for key, port in (("mqtt_port", "mqtt"), ("device_port", "device"), ("https_port", "https")):
            text = re.sub(rf"(?m)^hub\.{key} = 0$", f"hub.{key} = {self.hub.ports[port]}", text)
        conf.write_text(text)

    def strike_supervisor(self, camera):
        """Kills the process above all others; the others must go with it. Then starts it again, as systemd would."""
        start = len(camera.out.all)
        self.assertIsNotNone(camera.out.wait_for(lambda text: '"hop"' in text, 120, start), f"no sign of life of the camera: {camera.err.text()[-2000:]}")
        camera.out.wait_for(lambda text: False, self.random.uniform(0, 3))
        below = descendants(self.hub.process.pid)
        self.assertGreaterEqual(len(below), 4)
        os.kill(self.hub.process.pid, signal.SIGKILL)
        self.hub.process.wait()
        for pid, handle in below.items():
            self.assertTrue(select.select([handle], [], [], 30)[0], f"process {pid} outlived its supervisor")
            os.close(handle)
        self.hub.start()

    def check(self):
        events = {}
        cursor = ""
        while True:
            page = self.person.must("GET", f"/api/v1/events?limit=200{cursor}")
            for event in page["events"]:
                events[event["id"]] = event
            if not page["next"]:
                break
            cursor = f"&before={page['next']}"
        hashes = {event["clip"]["sha256"] for event in events.values() if event["clip"] and event["clip"]["state"] == "complete"}
        self.assertGreaterEqual(len(events), len(self.acknowledged), "an acknowledged event is missing")
        for record in self.complete.values():
            self.assertIn(record["sha256"], hashes, "a completed clip is missing")
        for event in events.values():
            if event["clip"] and event["clip"]["state"] == "complete":
                answer = self.person.ask("GET", event["clip"]["url"])
                self.assertEqual((answer.status, len(answer.body) > 0), (200, True))
        return events

    def run_for(self, victim):
        stream = self.person.stream()
        camera = self.camera()
        for _ in range(kill_moments(3)):
            camera = self.strike(victim, camera)
        start = len(camera.out.all)
        self.assertIsNotNone(camera.out.wait_for(lambda text: "clip-complete" in text, 120, start),
                             f"no clip was completed after the last kill of {victim}: {camera.err.text()[-2000:]}")
        camera.stop()
        self.remember(camera)
        self.assertTrue(self.acknowledged)
        self.check()
        stream.close()
        notified = self.hub.cli("notification", "list", check=False)
        if notified[0] == 0:
            ids = [row["id"] for row in json.loads(notified[1])["notifications"]]
            self.assertEqual(len(ids), len(set(ids)))

    def test_killing_the_supervisor_loses_nothing_and_leaves_nobody_behind(self):
        self.keep_ports()
        camera = self.camera()
        for _ in range(int(os.environ.get("KILL_SUPERVISOR", "2"))):
            self.strike_supervisor(camera)
        start = len(camera.out.all)
        self.assertIsNotNone(camera.out.wait_for(lambda text: "clip-complete" in text, 120, start),
                             f"no clip was completed after the last kill: {camera.err.text()[-2000:]}")
        camera.stop()
        self.remember(camera)
        self.assertTrue(self.acknowledged)
        self.check()

    def test_killing_the_hub_loses_nothing(self):
        self.run_for("hub")

    def test_killing_the_signer_loses_nothing(self):
        self.run_for("signer")

    def test_killing_the_analyst_loses_nothing(self):
        self.run_for("analyst")

    def test_killing_the_courier_loses_nothing(self):
        self.run_for("courier")

    def test_killing_the_camera_loses_nothing(self):
        self.run_for("camera")


if __name__ == "__main__":
    unittest.main()
