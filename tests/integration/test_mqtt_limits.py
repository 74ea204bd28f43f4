"""Each limit of the MQTT engine, passed: the client gets its reason code, the operator a log line that names the setting, and a
counter moves. The settings are small here; docs/operations.md lists them."""

import socket
import ssl
import unittest

import case
import lab
import mqtt
import test_metrics
from mqtt import DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBLISH


class MqttLimits(case.HubCase):
    settings = {"broker_packet_bytes": 4096, "broker_subscriptions": 3, "broker_topic_bytes": 64, "broker_topic_levels": 6,
                "broker_receive_maximum": 4, "broker_inflight": 4, "broker_queue_messages": 16, "broker_queue_bytes": 65536,
                "broker_retained_messages": 2, "broker_retained_bytes": 600, "broker_retained_device_messages": 1, "broker_sessions": 3, "broker_session_expiry_s": 2,
                "broker_topic_aliases": 2, "broker_connect_ms": 500, "broker_keep_alive_s": 60, "listener_handshake_ms": 500,
                "listener_per_address": 40}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reader = cls.hub.service("prometheus", allow=["read:metrics"])
        cls.alice = cls.hub.service("alice", allow=["publish,subscribe:lab/#"])
        cls.bob = cls.hub.service("bob", allow=["publish,subscribe:lab/#"])

    def setUp(self):
        super().setUp()
        self.before = self.read()

    def read(self):
        answer = lab.request(self.hub.ports["device"], self.hub.device_tls(self.reader), "GET", "/metrics")
        return test_metrics.parse(answer.body.decode())

    def moved(self, name, by=1):
        """The counter has moved since the test began, by so much at least. It is written at the end of a shard's turn."""
        name = f"porchlight_{name}"
        self.assertIn(name, self.before)
        after = self.read()
        self.assertGreaterEqual(after[name], self.before[name] + by, name)

    def client(self, who, name, version=5, **options):
        client = mqtt.Client(self.hub, self.hub.device_tls(getattr(self, who)), version=version)
        self.addCleanup(client.socket.close)
        self.connack = client.connect(f"{who}/{name}", **options)
        return client

    def online(self, who, name, version=5, **options):
        client = self.client(who, name, version, **options)
        self.assertEqual(self.connack.reason, 0)
        return client

    def refused(self, setting, counter, packet=None):
        self.logged(*([packet] if packet else []), setting)
        self.moved(counter)

    def test_packet_bytes(self):
        client = self.online("alice", "p")
        client.send(bytes([PUBLISH << 4]) + mqtt.varint(5000))
        self.assertEqual(client.ended(), 0x95)
        self.refused("broker.packet_bytes", "mqtt_protocol_errors_total")

    def test_subscriptions(self):
        client = self.online("alice", "s")
        self.assertEqual(client.subscribe("lab/1", "lab/2", "lab/3", "lab/4").reason, [1, 1, 1, 0x97])
        self.assertEqual(client.subscribe("lab/2").reason, [1])  # one that is there is no more
        self.refused("broker.subscriptions", "mqtt_subscribes_refused_total", "SUBSCRIBE")

    def test_length_and_depth_of_topics(self):
        client = self.online("alice", "t")
        for topic in ("lab/" + "x" * 61, "lab/1/2/3/4/5/6"):
            self.assertEqual(client.publish(topic, "x", 1).reason, 0x90)
            self.assertEqual(client.subscribe(topic).reason, [0x8f])
        self.assertEqual(client.publish("lab/" + "x" * 60, "x", 1).reason, 0)
        self.assertEqual(client.publish("lab/1/2/3/4/5", "x", 1).reason, 0)
        self.refused("broker.topic_bytes, broker.topic_levels", "mqtt_publishes_refused_total", "PUBLISH")
        self.refused("broker.topic_bytes, broker.topic_levels", "mqtt_subscribes_refused_total", "SUBSCRIBE")
        other = self.client("bob", "t", will={"topic": "lab/1/2/3/4/5/6", "payload": "x"})
        self.assertEqual(self.connack.reason, 0x90)
        self.assertIsNone(other.ended())
        self.refused("broker.topic_levels", "mqtt_connects_refused_total", "CONNECT")

    def test_unacknowledged_publications(self):
        client = self.online("alice", "r")
        for i in range(1, 5):
            client.send(mqtt.publish("lab/r", "x", 2, i))
            self.assertEqual(client.expect(mqtt.PUBREC).reason, 0)
        client.send(mqtt.publish("lab/r", "x", 2, 5))
        self.assertEqual(client.ended(), 0x93)
        self.refused("broker.receive_maximum", "mqtt_protocol_errors_total")

    def test_topic_aliases(self):
        client = self.online("alice", "a")
        client.send(mqtt.publish("lab/a", "x", properties=b"\x23\0\x03"))
        self.assertEqual(client.ended(), 0x94)
        self.refused("alias", "mqtt_protocol_errors_total")

    def test_deliveries_under_way(self):
        bob, alice = self.online("bob", "f"), self.online("alice", "f")
        bob.subscribe("lab/f")
        for i in range(1, 7):
            alice.publish("lab/f", f"{i}", 1, i)
        ids = [bob.expect(PUBLISH).publication()[3] for _ in range(4)]
        bob.send(mqtt.packet(PINGREQ, 0, b""))
        bob.expect(PINGRESP)  # and no fifth before it
        bob.send(mqtt.packet(PUBACK, 0, ids[0].to_bytes(2, "big")))
        self.assertEqual(bob.expect(PUBLISH).publication()[1], b"5")

    def test_what_waits_for_an_absent_session(self):
        bob = self.online("bob", "q", clean=False, properties=b"\x11\0\0\0\x02")
        bob.subscribe("lab/q")
        bob.socket.close()
        alice = self.online("alice", "q")
        for i in range(20):
            alice.publish("lab/q", f"{i}", 1, i + 1)
        bob = self.online("bob", "q", clean=False, properties=b"\x11\0\0\0\x02")
        self.assertEqual(bob.expect(PUBLISH).publication()[1], b"4")  # the oldest four went
        self.refused("broker.queue_messages", "mqtt_dropped_full_total")
        self.moved("mqtt_dropped_full_total", 4)

    def test_one_device_takes_no_others_room_for_retained_messages(self):
        device = mqtt.Client(self.hub, self.hub.device_tls(self.hub.device("kept")))
        self.addCleanup(device.socket.close)
        self.assertEqual(device.connect("kept").reason, 0)
        for text in ("x", "y"):  # one in the other's place
            self.assertEqual(device.publish("d/kept/telemetry/a", text, 1, retain=True).reason, 0)
        self.assertEqual(device.publish("d/kept/telemetry/b", "x", 1, retain=True).reason, 0x97)
        self.refused("broker.retained_device_messages", "mqtt_publishes_refused_total")
        client = self.online("alice", "room")
        self.assertEqual(client.publish("lab/room", "x", 1, retain=True).reason, 0)
        client.publish("lab/room", "", 1, retain=True)
        device.publish("d/kept/telemetry/a", "", 1, retain=True)
        self.assertEqual(device.publish("d/kept/telemetry/b", "x", 1, retain=True).reason, 0)
        device.publish("d/kept/telemetry/b", "", 1, retain=True)

    def test_retained_messages_by_count_and_bytes(self):
        client = self.online("alice", "k")
        self.addCleanup(lambda: [client.publish(f"lab/k{i}", "", 1, retain=True) for i in range(3)])
        for i in range(2):
            self.assertEqual(client.publish(f"lab/k{i}", "x", 1, retain=True).reason, 0)
        self.assertEqual(client.publish("lab/k2", "x", 1, retain=True).reason, 0x97)
        self.refused("broker.retained_messages", "mqtt_publishes_refused_total")
        client.publish("lab/k1", "", 1, retain=True)
        self.assertEqual(client.publish("lab/k2", "x" * 600, 1, retain=True).reason, 0x97)
        other = self.client("bob", "k", will={"topic": "lab/k2", "payload": "x" * 600, "retain": True})
        self.assertEqual(self.connack.reason, 0x97)
        self.assertIsNone(other.ended())
        self.moved("mqtt_connects_refused_total")

    def test_sessions_of_one_principal(self):
        held = [self.online("bob", f"n{i}") for i in range(3)]
        self.client("bob", "n3")
        self.assertEqual(self.connack.reason, 0x97)
        self.refused("broker.sessions", "mqtt_connects_refused_total", "CONNECT")
        self.client("bob", "n4", version=4)
        self.assertEqual(self.connack.reason, 3)
        held[0].send(mqtt.packet(DISCONNECT, 0, b""))
        self.assertIsNone(held[0].ended())
        self.online("bob", "n5")

    def test_a_session_without_its_client(self):
        self.online("bob", "e", clean=False, properties=b"\x11\xff\xff\xff\xff").socket.close()
        length = self.connack.body[2]
        self.assertIn(b"\x11\0\0\0\x02", self.connack.body[3:3 + length])  # told: no longer than two seconds
        deadline = lab.time.monotonic() + 60
        while self.read()["porchlight_mqtt_sessions_expired_total"] == self.before["porchlight_mqtt_sessions_expired_total"]:
            self.assertLess(lab.time.monotonic(), deadline)
        self.online("bob", "e", clean=False)
        self.assertEqual(self.connack.body[0], 0)

    def test_silence(self):
        for version, reason in ((5, 0x8d), (4, None)):
            with self.subTest(version=version):
                self.before = self.read()
                self.assertEqual(self.online("alice", f"z{version}", version, keep_alive=1).ended(), reason)
                self.refused("broker.keep_alive_s", "mqtt_keep_alive_ended_total")

    def test_time_for_connect(self):
        client = mqtt.Client(self.hub, self.hub.device_tls(self.alice))
        self.addCleanup(client.socket.close)
        self.assertIsNone(client.ended())
        self.refused("broker.connect_ms", "mqtt_connects_refused_total")

    def test_time_for_the_handshake(self):
        with socket.create_connection(("127.0.0.1", self.hub.ports["mqtt"]), timeout=30) as raw:
            raw.sendall(b"\x16\x03\x01")
            self.assertEqual(raw.recv(1), b"")
        self.logged("listener.handshake_ms")
        self.moved("timeouts_total")

    def test_connections_of_one_address(self):
        sockets = []
        try:
            for _ in range(45):
                sockets.append(socket.create_connection(("127.0.0.1", self.hub.ports["mqtt"]), timeout=30, source_address=("127.0.0.9", 0)))
            self.logged("listener.per_address")
            with self.assertRaises((OSError, ssl.SSLError)):  # it is full for this address
                raw = socket.create_connection(("127.0.0.1", self.hub.ports["mqtt"]), timeout=30, source_address=("127.0.0.9", 0))
                self.hub.device_tls(self.alice).wrap_socket(raw, server_hostname="localhost")
            self.online("alice", "other-address")  # and for no other
            self.moved("connections_over_limit_total")
        finally:
            for one in sockets:
                one.close()


class Rates(case.HubCase):
    settings = {"broker_messages_s": 5}

    def test_messages_a_second(self):
        alice = self.hub.service("alice", allow=["publish,subscribe:lab/#"])
        with mqtt.Client(self.hub, self.hub.device_tls(alice), seconds=60) as client:
            self.assertEqual(client.connect("alice").reason, 0)
            client.send(b"".join(mqtt.publish("lab/r", "x", 1, i) for i in range(1, 16)))
            self.assertEqual([client.expect(PUBACK).reason for _ in range(15)], [0] * 15)  # slower, never lost
        self.logged("mqtt.rate_limited", "broker.messages_s")
        reader = self.hub.service("prometheus", allow=["read:metrics"])
        answer = lab.request(self.hub.ports["device"], self.hub.device_tls(reader), "GET", "/metrics")
        self.assertGreater(test_metrics.parse(answer.body.decode())["porchlight_mqtt_rate_limited_total"], 0)


class Bytes(case.HubCase):
    """Limits of bytes where no limit of messages is near."""

    settings = {"broker_bytes_s": 40000, "broker_messages_s": 0, "broker_queue_bytes": 65536, "broker_inflight": 2}

    def setUp(self):
        super().setUp()
        if not hasattr(type(self), "alice"):
            type(self).alice = self.hub.service("alice", allow=["publish,subscribe:lab/#"])
            type(self).bob = self.hub.service("bob", allow=["publish,subscribe:lab/#"])
            type(self).carol = self.hub.service("carol", allow=["publish,subscribe:lab/#"])
            type(self).reader = self.hub.service("prometheus", allow=["read:metrics"])

    read = MqttLimits.read

    def online(self, who, **options):
        client = mqtt.Client(self.hub, self.hub.device_tls(getattr(self, who)), seconds=120)
        self.addCleanup(client.socket.close)
        self.assertEqual(client.connect(who, **options).reason, 0)
        return client

    def test_bytes_a_second(self):
        client = self.online("alice")
        client.send(b"".join(mqtt.publish("lab/r", "x" * 8000, 1, i) for i in range(1, 11)))
        self.assertEqual([client.expect(PUBACK).reason for _ in range(10)], [0] * 10)  # slower, never lost
        self.logged("mqtt.rate_limited", "broker.bytes_s")
        self.assertGreater(self.read()["porchlight_mqtt_rate_limited_total"], 0)

    def test_bytes_that_wait_for_an_absent_session(self):
        lasting = {"clean": False, "properties": b"\x11\0\0\0\x3c"}
        bob, carol = self.online("bob", **lasting), self.online("carol")
        bob.subscribe("lab/absent")
        bob.socket.close()
        before = self.read()["porchlight_mqtt_dropped_full_total"]
        for i in range(12):
            carol.publish("lab/absent", f"{i:02}" + "x" * 7998, 1, i + 1)
        bob = self.online("bob", **lasting)
        first = int(bob.expect(PUBLISH).publication()[1][:2])
        self.assertGreater(first, 0)  # the oldest went
        self.assertGreater(12 - first, 5)  # and no more of them than had to
        self.logged("mqtt.slow", "queue_bytes")
        self.assertGreaterEqual(self.read()["porchlight_mqtt_dropped_full_total"], before + first)

    def test_bytes_that_wait_for_a_slow_subscriber(self):
        """Two are under way and unacknowledged; what waits behind them is more than the queue's bytes."""
        bob, carol = self.online("bob"), self.online("carol")
        bob.subscribe("lab/slow")
        before = self.read()["porchlight_mqtt_disconnected_slow_total"]
        for i in range(12):
            carol.publish("lab/slow", "x" * 8000, 1, i + 1)
        for _ in range(2):
            bob.expect(PUBLISH)
        self.assertEqual(bob.ended(), 0x97)
        self.logged("broker.queue_bytes")
        self.assertGreater(self.read()["porchlight_mqtt_disconnected_slow_total"], before)


class Total(case.HubCase):
    settings = {"listener_connections": 30}

    def test_connections_in_all(self):
        sockets = []
        self.addCleanup(lambda: [one.close() for one in sockets])
        for i in range(40):
            sockets.append(socket.create_connection(("127.0.0.1", self.hub.ports["mqtt"]), timeout=30, source_address=(f"127.0.0.{i + 2}", 0)))
        self.logged("listener.connections")


if __name__ == "__main__":
    unittest.main()
