"""An owner gives a device away: nothing of it stays below the hub's directory, its credentials are dead, others keep theirs, and the
next owner claims it with the key that it has. What waits on the device does not reach that one. Claim tokens and quarantine by owners."""

import json
import sqlite3
import subprocess
import unittest

import case
import lab
import mqtt
from test_est import Device
from test_keys import Token, device_program


class Transfer(case.HubCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.owner = cls.hub.person().become_owner()

    def connack(self, folder, name):
        with mqtt.Client(self.hub, self.hub.device_tls(folder)) as client:
            return client.connect(name).reason

    def publish(self, folder, name, canary):
        event = {"v": 1, "id": f"{canary}-event", "kind": "motion", "at_ms": 1767225600000, "score": 0.5, "box": [0.1, 0.2, 0.3, 0.4],
                 "clip": False}
        with mqtt.Client(self.hub, self.hub.device_tls(folder)) as client:
            self.assertEqual(client.connect(name).reason, 0)
            self.assertEqual(client.publish(f"d/{name}/event/motion", json.dumps(event), 1).reason, 0)
            self.assertEqual(client.publish(f"d/{name}/telemetry/one", f"{canary}-telemetry", 1).reason, 0)

    def holds(self, canary):
        """Files below DIR that hold these bytes."""
        word = canary.encode()
        return [str(p.relative_to(self.hub.dir)) for p in self.hub.dir.rglob("*") if p.is_file() and word in p.read_bytes()]

    def count(self, table, device):
        with sqlite3.connect(f"file:{self.hub.file('hub.db')}?mode=ro", uri=True) as db:
            return db.execute(f"select count(*) from {table} where device = ?", (device,)).fetchone()[0]

    def test_a_released_device_leaves_nothing_and_is_claimed_by_the_next_owner(self):
        token = self.hub.cli("device", "claim-token", "sold-1", "--product", "camera")["token"]
        d = Device(self.hub, self.hub.top, "sold-1")
        d.take(d.post("simpleenroll", d.csr(), "-u", f"x:{token}")[2])
        (d.folder / "ca.pem").write_bytes(d.ca.read_bytes())
        kept = self.hub.device("kept-1")
        self.publish(d.folder, "sold-1", "quokka")
        self.publish(kept, "kept-1", "wombat")
        self.assertTrue(self.holds("quokka") and self.holds("wombat"))
        self.assertEqual((self.count("event", "sold-1"), self.count("event", "kept-1")), (1, 1))
        path = "/api/v1/devices/sold-1/release"
        self.assertEqual(self.owner.ask("POST", path, {"confirm": "kept-1"}).status, 422)
        self.assertEqual(self.owner.ask("POST", "/api/v1/devices/nobody/release", {"confirm": "nobody"}).status, 404)
        with mqtt.Client(self.hub, self.hub.device_tls(d.folder)) as live:
            self.assertEqual(live.connect("sold-1").reason, 0)
            self.assertEqual(self.owner.must("POST", path, {"confirm": "sold-1"}), {"device": "sold-1", "scrubbed": True})
            live.ended()
        self.logged("device.released", "sold-1", "user:robin")
        self.assertEqual(self.holds("quokka"), [])
        self.assertTrue(self.holds("wombat"), "the others keep theirs")
        self.assertEqual((self.count("event", "sold-1"), self.count("event", "kept-1")), (0, 1))
        self.assertEqual(self.connack(kept, "kept-1"), 0)
        self.assertEqual([v["id"] for v in self.owner.must("GET", "/api/v1/devices")["devices"]], ["kept-1"])
        self.assertNotIn("released", json.dumps(self.hub.cli("household", "list")))
        # dead, but not burnt: the old certificate is nobody's, the key may be claimed again
        self.assertEqual(self.connack(d.folder, "sold-1"), 0x87)
        self.assertEqual(d.post("simplereenroll", d.csr(), *d.own())[0], 401)
        # and its old household's token, which answers the same key again as long as nobody came in, is no way back there
        self.assertEqual(d.post("simpleenroll", d.csr(), "-u", f"x:{token}")[0], 401)
        self.hub.cli("household", "add", "next")
        token = self.hub.cli("device", "claim-token", "sold-1", "--product", "camera", "--household", "next")["token"]
        status, slug, answer = d.post("simpleenroll", d.csr(), "-u", f"x:{token}")
        self.assertEqual((status, slug), (200, ""))
        d.take(answer)
        self.assertEqual(self.connack(d.folder, "sold-1"), 0)
        self.assertEqual(self.hub.cli("device", "show", "sold-1")["household"], "next")
        self.assertEqual(self.owner.ask("GET", "/api/v1/devices/sold-1/settings").status, 403)
        # the trust log says so, and still verifies
        kinds = [(r["kind"], r["subject"], r["who"]) for r in self.hub.cli("trust-log", "list")["rows"]]
        self.assertIn(("device.release", "device:sold-1", "user:robin"), kinds)
        self.hub.cli("trust-log", "verify")

    def enrol(self, folder, token, key, environment, *words):
        command = [lab.program("porchlight-device"), folder, "enrol", "localhost", "--ca", self.hub.file("tls", "device-root.pem"),
                   "--key", key, "--port", self.hub.ports["device"], "--mqtt-port", self.hub.ports["mqtt"], *words]
        return subprocess.run([str(w) for w in command], input=token + "\n", capture_output=True, text=True, timeout=120, env=environment)

    def test_what_waits_on_the_device_does_not_reach_the_next_owner(self):
        store, folder = Token(), self.hub.top / "sold-4"
        self.addCleanup(store.remove)
        key, environment = store.uri("sold-4"), store.environment
        claim = ("device", "claim-token", "sold-4", "--product", "camera")
        done = self.enrol(folder, self.hub.cli(*claim)["token"], key, environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        device_program(folder, "publish", "d/sold-4/telemetry/one", "first", environment=environment)
        self.hub.cli("device", "release", "sold-4", input="sold-4\n")
        refused = device_program(folder, "publish", "d/sold-4/telemetry/one", "quoll", environment=environment, check=False)
        self.assertEqual(refused.returncode, 1)
        clips, spool, wish, cert = (folder / n for n in ("state/clips", "state/spool", "state/twin", "cert.pem"))
        self.assertTrue(list(spool.iterdir()), "it waits for a hub that lets the device in")
        (clips / "00000001-quoll.mp4").write_bytes(b"quoll")
        wish.write_text('{"v":1,"version":7,"state":{"privacy":true}}')
        cert.unlink()
        self.hub.cli("household", "add", "after")
        token = self.hub.cli(*claim, "--household", "after")["token"]
        done = self.enrol(folder, token, key, environment)
        self.assertEqual((done.returncode, "--waiting clear" in done.stderr), (1, True), done.stderr)
        self.assertEqual(self.enrol(folder, token, key, environment, "--waiting", "burn").returncode, 2)
        self.assertEqual(self.enrol(folder, "wrong", key, environment, "--waiting", "clear").returncode, 1)
        self.assertTrue((clips / "00000001-quoll.mp4").exists(), "the hub has not said yes")
        # what cannot be cleared leaves no certificate, with which it would be sent
        (clips / "00000002-quoll.mp4").mkdir()
        done = self.enrol(folder, token, key, environment, "--waiting", "clear")
        self.assertEqual((done.returncode, "cannot be cleared" in done.stderr), (1, True), done.stderr)
        self.assertFalse(cert.exists())
        (clips / "00000002-quoll.mp4").rmdir()
        (folder / "cert.next.pem").write_text("of the last home's")
        done = self.enrol(folder, token, key, environment, "--waiting", "clear")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((list(clips.iterdir()), list(spool.iterdir()), wish.exists()), ([], [], False))
        self.assertFalse((folder / "cert.next.pem").exists())
        device_program(folder, "publish", "d/sold-4/telemetry/one", "hello", environment=environment)
        self.assertEqual(self.hub.cli("device", "show", "sold-4")["household"], "after")
        self.assertEqual(self.holds("quoll"), [])

    def test_the_operator_releases_by_command(self):
        folder = self.hub.device("sold-2")
        self.assertEqual(self.connack(folder, "sold-2"), 0)
        code, _, err = self.hub.cli("device", "release", "sold-2", check=False, input="sold-3\n")
        self.assertEqual((code, "nothing was released" in err), (1, True))
        self.assertEqual(self.connack(folder, "sold-2"), 0)
        self.hub.cli("device", "release", "sold-2", input="sold-2\n")
        self.assertEqual(self.connack(folder, "sold-2"), 0x87)

    def test_an_owner_makes_claim_tokens_and_puts_devices_under_quarantine(self):
        made = self.owner.must("POST", "/api/v1/devices/claim-tokens", {"product": "camera"})
        d = Device(self.hub, self.hub.top, "claimed")
        status, _, answer = d.post("simpleenroll", d.csr(), "-u", f"x:{made['token']}")
        self.assertEqual(status, 200)
        self.assertIn(f"device:{made['device']}", d.take(answer))
        (d.folder / "ca.pem").write_bytes(d.ca.read_bytes())
        name = made["device"]
        with mqtt.Client(self.hub, self.hub.device_tls(d.folder)) as client:
            self.assertEqual(client.connect(name).reason, 0)
            self.assertEqual(self.owner.must("PUT", f"/api/v1/devices/{name}/quarantine")["state"], "quarantined")
            self.assertEqual(client.publish(f"d/{name}/telemetry/one", "x", 1).reason, 0x87)
            self.assertEqual(self.owner.ask("PUT", f"/api/v1/devices/{name}/quarantine").status, 409)
            self.assertEqual(self.owner.must("DELETE", f"/api/v1/devices/{name}/quarantine")["state"], "active")
            self.assertEqual(client.publish(f"d/{name}/telemetry/one", "x", 1).reason, 0)
            for _ in range(30):  # the answer is given when every shard obeys, not a moment before
                for method, reason in (("PUT", 0x87), ("DELETE", 0)):
                    self.owner.must(method, f"/api/v1/devices/{name}/quarantine")
                    self.assertEqual(client.publish(f"d/{name}/telemetry/one", "x", 1).reason, reason)
        self.assertEqual(self.owner.ask("POST", "/api/v1/devices/claim-tokens", {"product": "No Id"}).status, 400)
        self.hub.cli("household", "add", "others")
        theirs = self.hub.device("theirs-1", household="others")
        for method, path, body in (("PUT", "quarantine", None), ("POST", "release", {"confirm": "theirs-1"})):
            self.assertEqual(self.owner.ask(method, f"/api/v1/devices/theirs-1/{path}", body).status, 403)
        self.assertEqual(self.connack(theirs, "theirs-1"), 0)


if __name__ == "__main__":
    unittest.main()
