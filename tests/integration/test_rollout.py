"""A rollout over the real hub: devices are told when their turn comes, what they report counts, failures end it, and all of it
survives the death of the hub. What the devices do with it is their own business and has its own tests."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import case
import lab
import mqtt


class Device:
    """What the SDK says on the wire, and nothing of what it does."""

    def __init__(self, hub, name):
        self.hub, self.name, self.running, self.packet = hub, name, "1", 10
        self.folder = hub.top / f"device-{name}"
        if not self.folder.exists():
            hub.device(name)
        self.connect()

    def connect(self):
        if hasattr(self, "client"):
            self.close()
        self.client = mqtt.Client(self.hub, self.hub.device_tls(self.folder)).__enter__()
        self.client.connect(self.name)
        self.client.subscribe(f"d/{self.name}/update/desired")
        self.say("good")

    def close(self):
        self.client.__exit__(None, None, None)

    def say(self, state, rollout=None, attempt=0, reason=None):
        """A status, acknowledged: it is on the hub's disk. What the hub says meanwhile is kept."""
        self.packet += 1
        word = {"v": 1, "running": self.running, "state": state, "floor": 1}
        if rollout:
            word.update(rollout=rollout, attempt=attempt)
        if reason:
            word["reason"] = reason
        self.client.send(mqtt.publish(f"d/{self.name}/update/status", json.dumps(word), qos=1, packet_id=self.packet))
        self.heard = getattr(self, "heard", [])
        while True:
            got = self.client.receive()
            if got.kind == mqtt.PUBACK:
                return got.reason
            self._take(got)

    def _take(self, got):
        if got.kind == mqtt.PUBLISH:
            topic, payload, qos, packet_id = self._publication(got)
            if qos:
                self.client.send(mqtt.packet(mqtt.PUBACK, 0, packet_id.to_bytes(2, "big")))
            self.heard.append(json.loads(payload))

    @staticmethod
    def _publication(got):
        qos, length = got.flags >> 1 & 3, int.from_bytes(got.body[:2], "big")
        rest = got.body[2 + length:]
        packet_id = int.from_bytes(rest[:2], "big") if qos else 0
        rest = rest[2:] if qos else rest
        return got.body[2:2 + length].decode(), rest[1 + rest[0]:], qos, packet_id

    def wish(self):
        """The next word of the hub."""
        while not self.heard:
            self._take(self.client.receive())
        return self.heard.pop(0)


class Rollout(case.HubCase):
    # As a hub.conf of before there were updates has it: their reports are stored all the same.
    settings = {"store_tick_ms": 100, "broker_stored": "d/+/telemetry/# d/+/event/#"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.top = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-rollout-"))
        cls.addClassCleanup(shutil.rmtree, cls.top)
        cls.repo, cls.secret = cls.top / "repo", cls.top / "passphrase"
        cls.secret.write_text("correct horse battery\n")
        cls.secret.chmod(0o600)
        cls.hub.cli("ota", "keys", "--out", cls.top / "keys.json")
        cls.ota("init", cls.repo, "--product", "camera", "--online-keys", cls.top / "keys.json")
        for version, more in (("1", []), ("2", ["--severity", "high"]), ("3", []), ("4", []), ("5", [])):
            image = cls.top / f"image-{version}"
            image.write_bytes(os.urandom(50_000))
            cls.ota("release", cls.repo, "--product", "camera", "--version", version, "--image", image, "--hardware", "rev-a", "--no-delta",
                    *more)
        cls.hub.cli("ota", "publish", cls.repo)

    @classmethod
    def ota(cls, *words):
        done = subprocess.run([lab.program("porchlight"), "ota", *map(str, words), "--passphrase-file", cls.secret], capture_output=True,
                              text=True, timeout=120, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise AssertionError(done.stderr)

    def device(self, name):
        device = Device(self.hub, name)
        self.addCleanup(device.close)
        return device

    def rollout(self, **wanted):
        """The newest rollout, once it is so."""
        until = time.monotonic() + 30
        while True:
            newest = self.hub.cli("ota", "rollout", "status")["rollouts"][0]
            if all(newest[key] == value for key, value in wanted.items()):
                return newest
            if time.monotonic() > until:
                self.fail(f"{newest} is not {wanted}")

    def test_1_devices_are_told_in_turn_and_the_end_is_known(self):
        one, two = self.device("cam-1"), self.device("cam-2")
        self.hub.device("cam-3")  # never connected yet
        self.assertIsNotNone(self.hub.log.wait_for(lambda line: "broker.stored_too" in line, 20))
        identifier = self.hub.cli("ota", "rollout", "start", "--product", "camera", "--version", "2", "--stages", "100")["id"]
        wish = one.wish()
        self.assertEqual({key: wish[key] for key in ("v", "rollout", "product", "version", "attempt")},
                         {"v": 1, "rollout": identifier, "product": "camera", "version": "2", "attempt": 1})
        self.assertEqual(two.wish()["rollout"], identifier)
        self.assertEqual(one.say("downloading", identifier, 1), 0)
        self.rollout(asked=2, away=1, good=0)

        # The hub dies: nothing is forgotten, and a device that comes back is told again.
        os.kill(self.hub.children()["hub"], signal.SIGKILL)
        self.assertIsNotNone(self.hub.log.wait_for(lambda line: "hub.serving" in line, 60, self.log_start))
        one.connect()
        self.assertEqual(one.wish(), wish)
        two.connect()
        one.running = two.running = "2"
        one.say("good", identifier, 1)
        two.say("good", identifier, 1)
        self.rollout(good=2, state="done")

        # The late one is told when it comes, and one that was added later.
        for name in ("cam-3", "cam-4"):
            late = self.device(name)
            self.assertEqual(late.wish()["rollout"], identifier)
            late.running = "2"
            late.say("good", identifier, 1)
        self.rollout(good=4, away=0, devices=4)
        audit = self.hub.cli("ota", "audit")
        self.assertEqual([(row["version"], row["devices"], row["fixed"]) for row in audit["fixed"]], [("2", 4, 4)])
        self.assertEqual({row["role"] for row in audit["roles"]}, {"root", "targets", "camera", "rollout"})
        self.assertTrue(all(row["signers"] for row in audit["releases"]))

    def updater(self, name):
        """A real device of the hub whose program can be held still: (its process, its lines). It runs what the first rollout brought:
        the hub would ask a late one, which stages that release and ends for its restart."""
        folder, slots = self.hub.device(name), self.top / f"slots-{name}"
        slots.mkdir()
        subprocess.run([lab.program("porchlight-launch"), slots, "init", "--image", self.top / "image-2", "--counter", "1"], check=True)
        shutil.copy(self.repo / "repository/metadata/1.root.json", folder / "update-root.json")
        process = subprocess.Popen([lab.program("porchlight-device"), folder, "run", "--json", "--slots", slots, "--version", "2", "--hardware", "rev-a"],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, lab.Lines(process.stdout)

    def abort_what_runs(self):
        for each in self.hub.cli("ota", "rollout", "status")["rollouts"]:
            if each["state"] == "running":
                self.hub.cli("ota", "rollout", "abort", each["id"], "--reason", "another test")

    def test_5_other_hardware_is_no_failure(self):
        self.abort_what_runs()
        one = self.device("cam-1")
        identifier = self.hub.cli("ota", "rollout", "start", "--product", "camera", "--version", "5", "--stages", "100")["id"]
        one.wish()
        self.rollout(id=identifier, asked=1)
        one.say("unfit", identifier, 1, "the release is not for hardware rev-b")
        self.rollout(id=identifier, unfit=1, asked=0, failed=0, state="running")

    def test_4_a_device_that_lost_its_hub_is_asked_when_it_is_back(self):
        self.abort_what_runs()
        process, lines = self.updater("cam-real")
        self.assertIsNotNone(lines.wait_for(lambda line: "subscribed" in line and "update/desired" in line, 60), lines.text())
        process.send_signal(signal.SIGSTOP)
        os.kill(self.hub.children()["hub"], signal.SIGKILL)
        self.assertIsNotNone(self.hub.log.wait_for(lambda line: "hub.serving" in line, 60, self.log_start))
        identifier = self.hub.cli("ota", "rollout", "start", "--product", "camera", "--version", "5", "--stages", "100")["id"]
        devices = self.rollout(id=identifier)["devices"]
        self.rollout(id=identifier, away=devices, asked=0)
        process.send_signal(signal.SIGCONT)
        self.rollout(id=identifier, away=devices - 1, asked=1)
        self.assertIsNotNone(lines.wait_for(lambda line: "staged" in line, 60), lines.text())

    def test_2_failures_end_it_by_themselves_with_the_reason_in_words(self):
        one, two = self.device("cam-1"), self.device("cam-2")
        identifier = self.hub.cli("ota", "rollout", "start", "--product", "camera", "--version", "3", "--stages", "100", "--errors", "30")["id"]
        one.wish(), two.wish()
        one.say("trial", identifier, 1)
        one.say("rolled-back", identifier, 1, "its own check said no")
        two.say("rolled-back", identifier, 1, "its own check said no")
        ended = self.rollout(state="aborted")
        self.assertRegex(ended["why"], "of . devices failed, more than 30 %")
        history = self.hub.cli("ota", "history", "cam-1")["history"]
        self.assertEqual((history[0]["state"], history[0]["reason"], history[1]["state"]), ("rolled-back", "its own check said no", "trial"))
        self.assertIn("rollout.abort", json.dumps(self.hub.cli("trust-log", "list")))
        self.logged("rollout.aborted", identifier)

    def test_3_pause_approval_and_what_is_refused(self):
        one = self.device("cam-1")
        start = ["ota", "rollout", "start", "--product", "camera", "--version"]
        self.assertEqual(self.hub.cli(*start, "9", check=False)[0], 1)
        self.assertEqual(self.hub.cli(*start, "4", "--stages", "50,10", check=False)[0], 2)
        identifier = self.hub.cli(*start, "4", "--stages", "100")["id"]
        self.assertEqual(one.wish()["version"], "4")
        code, _, said = self.hub.cli(*start, "3", check=False)
        self.assertEqual((code, "under way" in said), (1, True))
        self.hub.cli("ota", "rollout", "pause", identifier, "--reason", "a call")
        self.assertEqual(one.wish(), {"v": 1})
        self.hub.cli("ota", "rollout", "resume", identifier)
        self.assertEqual(one.wish()["rollout"], identifier)
        self.hub.cli(*start, "2")  # mends something high: it overtakes
        self.rollout(version="2", state="running")
        self.assertEqual(self.hub.cli("ota", "rollout", "status")["rollouts"][1]["state"], "aborted")
        # Nonsense is no report.
        one.client.send(mqtt.publish("d/cam-1/update/status", '{"v":1,"running":"../x","state":"good"}', qos=1, packet_id=999))
        self.logged("running")


if __name__ == "__main__":
    unittest.main()
