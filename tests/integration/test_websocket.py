"""MQTT over WebSocket at the devices' port: a client that we did not write exchanges messages, identities are judged as on the
MQTT port, and what breaks the rules is closed with its code."""

import base64
import json
import os
import queue
import socket
import struct
import threading
import unittest

import paho.mqtt.client as paho

import case
import lab
from mqtt import Closed
from mqtt import Client as PlainClient


class Frames:
    """A WebSocket by hand: one client frame a call, and what the hub's frames say."""

    def __init__(self, hub, context, path="/mqtt", port="device", headers=(), protocol="mqtt"):
        raw = socket.create_connection(("localhost", hub.ports[port]), timeout=30)
        self.socket = context.wrap_socket(raw, server_hostname="localhost")
        lines = [f"GET {path} HTTP/1.1", f"Host: localhost:{hub.ports[port]}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}", "Sec-WebSocket-Version: 13", *headers]
        if protocol:
            lines.append(f"Sec-WebSocket-Protocol: {protocol}")
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.input = b""
        while b"\r\n\r\n" not in self.input:
            self.input += self.more()
        self.head, _, self.input = self.input.partition(b"\r\n\r\n")
        self.status = int(self.head.split()[1])

    def more(self):
        got = self.socket.recv(65536)
        if not got:
            raise Closed()
        return got

    def need(self, count):
        while len(self.input) < count:
            self.input += self.more()

    def send(self, payload, opcode=2, fin=True, masked=True):
        mask = os.urandom(4)
        head = bytes([(0x80 if fin else 0) | opcode])
        head += bytes([len(payload) | 0x80 * masked]) if len(payload) < 126 else struct.pack(">BH", 126 | 0x80 * masked, len(payload))
        self.socket.sendall(head + (mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)) if masked else payload))

    def frame(self):
        """(opcode, payload) of the hub's next frame."""
        self.need(2)
        length, at = self.input[1], 2
        if length == 126:
            self.need(4)
            length, at = struct.unpack(">H", self.input[2:4])[0], 4
        self.need(at + length)
        opcode, payload, self.input = self.input[0] & 15, self.input[at:at + length], self.input[at + length:]
        return opcode, payload

    def closed_with(self):
        """The code of the hub's goodbye, after whatever comes before it."""
        while True:
            opcode, payload = self.frame()
            if opcode == 8:
                return struct.unpack(">H", payload[:2])[0]


def connect_packet(client_id):
    name = client_id.encode()
    body = b"\0\4MQTT\5\2\0\x3c\0" + struct.pack(">H", len(name)) + name
    return bytes([0x10, len(body)]) + body


class WebSocket(case.HubCase):
    settings = {"websocket_frame_bytes": 4096, "websocket_control_frames": 20}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.alice = cls.hub.service("alice", allow=["publish,subscribe:lab/#"])
        cls.bob = cls.hub.service("bob", allow=["publish,subscribe:lab/#"])
        cls.front = cls.hub.device("front-door")

    def open(self, folder=None, **options):
        frames = Frames(self.hub, self.hub.device_tls(folder or self.front), **options)
        self.addCleanup(frames.socket.close)
        return frames

    def paho_client(self, folder, name, version, inbox=None):
        client = paho.Client(client_id=name, protocol=version, transport="websockets")
        client.ws_set_options(path="/mqtt")
        client.tls_set(str(folder / "ca.pem"), str(folder / "cert.pem"), str(folder / "key.pem"))
        ready = threading.Event()
        client.on_connect = lambda c, userdata, flags, code, *rest: ready.set() if code == 0 else None
        if inbox is not None:
            client.on_message = lambda c, userdata, message: inbox.put((message.topic, message.payload, message.qos))
        client.connect("localhost", self.hub.ports["device"], keepalive=30)
        client.loop_start()
        self.addCleanup(client.loop_stop)
        self.addCleanup(client.disconnect)
        self.assertTrue(ready.wait(30), "paho did not connect")
        return client

    def test_paho_exchanges_qos_0_and_1_in_both_versions(self):
        for version in (paho.MQTTv311, paho.MQTTv5):
            inbox, subscribed = queue.Queue(), threading.Event()
            bob = self.paho_client(self.bob, "bob/ws", version, inbox)
            bob.on_subscribe = lambda *_: subscribed.set()
            bob.subscribe("lab/#", 1)
            self.assertTrue(subscribed.wait(30))
            alice = self.paho_client(self.alice, "alice/ws", version)
            for qos in (0, 1):
                for i in range(20):
                    info = alice.publish(f"lab/paho/{qos}", json.dumps({"n": i, "fill": "x" * 300}), qos)
                    if qos:
                        info.wait_for_publish(30)
                for i in range(20):
                    self.assertEqual(inbox.get(timeout=30), (f"lab/paho/{qos}", json.dumps({"n": i, "fill": "x" * 300}).encode(), qos))

    def test_a_packet_may_come_in_many_frames_and_many_packets_in_one(self):
        frames = self.open()
        self.assertEqual(frames.status, 101)
        packet = connect_packet("front-door")
        for i, byte in enumerate(packet):
            frames.send(bytes([byte]), opcode=2 if i == 0 else 0, fin=i == len(packet) - 1)
        opcode, payload = frames.frame()
        self.assertEqual((opcode, payload[0], payload[3]), (2, 0x20, 0))
        frames.send(b"\xc0\0" * 3)
        answers = b""
        while len(answers) < 6:
            opcode, payload = frames.frame()
            self.assertEqual(opcode, 2)
            answers += payload
        self.assertEqual(answers, b"\xd0\0" * 3)

    def test_the_same_identity_takes_its_session_over_from_the_mqtt_port(self):
        plain = PlainClient(self.hub, self.hub.device_tls(self.front))
        self.addCleanup(plain.socket.close)
        self.assertEqual(plain.connect("front-door").reason, 0)
        frames = self.open()
        frames.send(connect_packet("front-door"))
        self.assertEqual(frames.frame()[1][3], 0)
        self.assertEqual(plain.receive().reason, 0x8E)

    def test_a_revoked_certificate_is_told_in_connack(self):
        folder = self.hub.device("soon-gone")
        live = self.open(folder)
        live.send(connect_packet("soon-gone"))
        self.assertEqual(live.frame()[1][3], 0)
        self.hub.cli("device", "revoke", "soon-gone")
        opcode, payload = live.frame()
        self.assertEqual((opcode, payload[0], payload[2]), (2, 0xE0, 0x87))
        self.assertEqual(live.closed_with(), 1000)
        again = self.open(folder)
        self.assertEqual(again.status, 101)
        again.send(connect_packet("soon-gone"))
        self.assertEqual(again.frame()[1][3], 0x87)
        self.assertEqual(again.closed_with(), 1000)
        self.logged("mqtt.refused", "soon-gone", "revoked")

    def test_what_breaks_the_rules_is_closed_with_its_code(self):
        for words, code, reason in (({"payload": b"hello", "opcode": 1}, 1003, "text frame"),
                                    ({"payload": b"x", "masked": False}, 1002, "not masked"),
                                    ({"payload": bytes(4097)}, 1009, "websocket.frame_bytes"),
                                    ({"payload": b"x", "opcode": 0}, 1002, "continues")):
            with self.subTest(reason):
                frames = self.open()
                frames.send(**words)
                self.assertEqual(frames.closed_with(), code)
                self.logged("websocket.closed", reason)

    def test_a_flood_of_pings_is_ended(self):
        frames = self.open()
        try:
            for _ in range(200):
                frames.send(b"", opcode=9)
        except OSError:
            pass
        self.assertEqual(frames.closed_with(), 1008)
        self.logged("websocket.closed", "websocket.control_frames")

    def test_upgrades_that_are_not_ours_are_refused(self):
        self.assertEqual(self.open(protocol=None).status, 400)
        self.assertEqual(self.open(protocol="mqttv3.1").status, 400)
        foreign = self.open(headers=["Origin: https://evil.example"])
        self.assertEqual(foreign.status, 403)
        self.logged("http.refused", "origin")
        nobody = Frames(self.hub, self.hub.device_tls(ca=self.front / "ca.pem"))
        self.addCleanup(nobody.socket.close)
        self.assertEqual(nobody.status, 403)

    def test_people_are_told_that_it_is_not_offered_to_them(self):
        port = self.hub.ports["https"]
        for origin, slug in ((f"https://localhost:{port}", "not-offered"), ("https://evil.example", "origin"), (None, "origin")):
            headers = {} if origin is None else {"Origin": origin}
            answer = lab.request(port, self.hub.people_tls(), "GET", "/mqtt", headers={**headers, "Upgrade": "websocket"})
            self.assertEqual((answer.status, answer.json()["type"]), (403, f"urn:porchlight:problem:{slug}"))

    def test_it_ends_with_the_hub_going_away(self):
        hub = lab.Hub()
        self.addCleanup(hub.remove)
        hub.init()
        hub.start()
        folder = hub.device("last")
        frames = Frames(hub, hub.device_tls(folder))
        self.addCleanup(frames.socket.close)
        frames.send(connect_packet("last"))
        self.assertEqual(frames.frame()[1][3], 0)
        hub.process.terminate()
        opcode, payload = frames.frame()
        self.assertEqual((opcode, payload[0], payload[2]), (2, 0xE0, 0x8B))
        self.assertEqual(frames.closed_with(), 1001)


if __name__ == "__main__":
    unittest.main()
