"""An owner gives a device away: nothing of it stays below the hub's directory, its credentials are dead, others keep theirs, and the
next owner claims it with the key that it has. Claim tokens and quarantine by owners."""

import json
import sqlite3
import unittest

import case
import lab
import mqtt
from test_est import Device


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
