"""The load generator of make bench-mqtt against a hub: its counts can be trusted, and a refusal ends it with a reason."""

import json
import subprocess
import unittest

import case
import lab


class Load(case.HubCase):
    settings = {"broker_messages_s": 0, "broker_bytes_s": 0, "broker_sessions": 200}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bench = cls.hub.service("bench", allow=["publish,subscribe:bench/#", "publish,subscribe:d/bench/#"])

    def run_load(self, folder, *words):
        return subprocess.run([str(lab.BUILD / "bench" / "mqtt_load"), str(folder), str(self.hub.ports["mqtt"]), *words],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)

    def figures(self, *words):
        done = self.run_load(self.bench, *words, "--clients", "5", "--seconds", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_each_traffic_arrives_whole(self):
        for kind in ("fan-in", "fan-out", "pairs"):
            for qos in ("0", "1"):
                with self.subTest(kind=kind, qos=qos):
                    seen = self.figures(kind, "--qos", qos)
                    self.assertGreater(seen["delivered_s"], 0)
                    self.assertEqual(seen["lost"], 0)
                    self.assertEqual(seen["acknowledged_s"] > 0, qos == "1")

    def test_stored_messages_are_in_the_database_as_often_as_they_were_acknowledged(self):
        seen = self.figures("fan-in", "--qos", "1", "--rate", "200", "--topic", "d/bench/telemetry")
        rows = int(subprocess.run(["sqlite3", "-readonly", str(self.hub.file("hub.db")),
                                   "SELECT count(*) FROM message WHERE topic LIKE 'd/bench/telemetry/%'"],
                                  check=True, capture_output=True, text=True).stdout)
        self.assertGreater(seen["acknowledged_s"], 0)
        self.assertGreaterEqual(rows, int(seen["acknowledged_s"] * seen["seconds"]) - 1)

    def test_a_rate_is_kept(self):
        seen = self.figures("pairs", "--rate", "100")
        self.assertGreater(seen["delivered_s"], 0)
        self.assertLess(seen["delivered_s"], 200)

    def test_handshakes_are_counted(self):
        self.assertGreater(self.figures("connect")["connected_s"], 0)

    def test_without_permission_it_ends_with_the_reason(self):
        done = self.run_load(self.hub.service("stranger"), "fan-in", "--clients", "1")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("CONNECT was refused: 0x85", done.stderr)

    def test_a_topic_that_is_not_granted_is_refused(self):
        done = self.run_load(self.bench, "fan-in", "--clients", "1", "--topic", "other")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("SUBSCRIBE was refused: 0x87", done.stderr)


if __name__ == "__main__":
    unittest.main()
