"""Revocation and quarantine act on what is connected now: MQTT, WebSocket and uploads end or are narrowed at the moment of
the decision, and stay so for every later handshake, resumed ones too. Nothing is restarted."""

import json
import os
import socket
import unittest

import case
import lab
import mqtt
from mqtt import Client
from test_websocket import Frames, connect_packet


class LiveSessions(case.HubCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.monitor = cls.hub.service("monitor", allow=["publish,subscribe:d/+/#"])

    def client(self, folder, name, **options):
        client = Client(self.hub, self.hub.device_tls(folder), **options)
        self.addCleanup(client.socket.close)
        self.assertEqual(client.connect(name).reason, 0)
        return client

    def begin_upload(self, folder, name):
        """A connection in the middle of a clip: its head and a part of its body are with the hub."""
        with Client(self.hub, self.hub.device_tls(folder)) as client:
            client.connect(name)
            event = {"v": 1, "id": "e-1", "kind": "motion", "at_ms": 1790000000000, "score": 0.5, "box": [0.1, 0.2, 0.3, 0.4],
                     "clip": True}
            self.assertEqual(client.publish(f"d/{name}/event/motion", json.dumps(event), 1).reason, 0)
        answer = self.ask(folder, "POST", "/api/v1/device/clips", b"", Porchlight_Event="e-1", Upload_Complete="?0")
        self.assertEqual(answer.status, 201, answer.body)
        raw = socket.create_connection(("127.0.0.1", self.hub.ports["device"]), timeout=30)
        upload = self.hub.device_tls(folder).wrap_socket(raw, server_hostname="localhost")
        self.addCleanup(upload.close)
        upload.sendall(f"PATCH {answer.headers['Location']} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n"
                       f"Content-Type: application/partial-upload\r\nUpload-Offset: 0\r\nUpload-Complete: ?0\r\n\r\n".encode()
                       + os.urandom(70000))
        return upload

    def ask(self, folder, method, path, body=None, **headers):
        names = {key.replace("_", "-"): value for key, value in headers.items()}
        return lab.request(self.hub.ports["device"], self.hub.device_tls(folder), method, path, body, names)

    def assert_cut(self, connection):
        """It ends without an answer that says the body was taken."""
        try:
            got = connection.recv(4096)
        except ConnectionError:
            got = b""
        self.assertNotIn(b" 204 ", got)

    def test_a_revoked_devices_mqtt_websocket_and_upload_are_all_cut_and_stay_out(self):
        folder, other = self.hub.device("spare"), self.hub.device("stays")
        upload = self.begin_upload(folder, "spare")
        plain = self.client(folder, "spare")
        plain.subscribe("d/spare/#")
        session = plain.socket.session
        context = plain.socket.context
        bystander = self.client(other, "stays")
        self.hub.cli("device", "revoke", "spare")
        self.assertEqual(plain.ended(), 0x87)
        self.assert_cut(upload)
        bystander.subscribe("d/stays/#")  # nobody else feels it
        again = Client(self.hub, context, session=session)
        self.addCleanup(again.socket.close)
        self.assertTrue(again.socket.session_reused)
        self.assertEqual(again.connect("spare").reason, 0x87)
        answer = self.ask(folder, "HEAD", "/api/v1/device/clips/0000")
        self.assertEqual(answer.status, 403)
        self.hub.stop()
        self.hub.start()
        with Client(self.hub, self.hub.device_tls(folder)) as later:
            self.assertEqual(later.connect("spare").reason, 0x87)

    def test_a_revoked_devices_websocket_is_told_and_closed(self):
        folder = self.hub.device("web-one")
        frames = Frames(self.hub, self.hub.device_tls(folder))
        self.addCleanup(frames.socket.close)
        frames.send(connect_packet("web-one"))
        opcode, payload = frames.frame()
        self.assertEqual((opcode, payload[0] >> 4, payload[3]), (2, mqtt.CONNACK, 0))
        self.hub.cli("device", "revoke", "web-one")
        opcode, payload = frames.frame()
        self.assertEqual((opcode, payload[0] >> 4, payload[2]), (2, mqtt.DISCONNECT, 0x87))
        self.assertEqual(frames.frame()[0], 8)

    def test_quarantine_narrows_a_live_session_to_diagnostics_and_the_update(self):
        folder = self.hub.device("sick")
        upload = self.begin_upload(folder, "sick")
        device = self.client(folder, "sick")
        device.subscribe("d/sick/#")
        monitor = self.client(self.monitor, "monitor")
        self.hub.cli("device", "quarantine", "sick")
        self.assert_cut(upload)
        state = [d for d in self.hub.cli("device", "list")["devices"] if d["id"] == "sick"][0]["state"]
        self.assertEqual(state, "quarantined")
        # what it says: 0x87 but for diagnostics and the update
        said = {"telemetry/t": 0x87, "event/motion": 0x87, "command/x/response": 0x87, "state/other": 0x87, "log/a/b": 0,
                "state/reported": 0, "update/state": 0}
        for number, (topic, reason) in enumerate(said.items(), 1):
            body = '{"v":1}' if topic == "state/reported" else "x"
            self.assertIn(device.publish(f"d/sick/{topic}", body, 1, packet_id=number).reason, {reason, 0x10} if reason == 0 else {reason},
                          topic)
        self.logged("mqtt.refused", "sick", "quarantine")
        # what it hears: of the wide filter that it has, the update only
        monitor.publish("d/sick/command/x/request", "unlock", 1, packet_id=1)
        monitor.publish("d/sick/update/offer", "signed", 1, packet_id=2)
        heard = device.expect(mqtt.PUBLISH).publication()
        while heard[0] in ("d/sick/log/a/b", "d/sick/state/reported", "d/sick/update/state"):
            heard = device.expect(mqtt.PUBLISH).publication()
        self.assertEqual(heard[:2], ("d/sick/update/offer", b"signed"))
        self.assertEqual(device.subscribe("d/sick/#", "d/sick/command/#", "d/sick/update/#", packet_id=9).reason[:2], [0x87, 0x87])
        # and HTTP
        self.assertEqual(self.ask(folder, "HEAD", "/api/v1/device/clips/0000").status, 403)
        # a new connection is as narrow, a will included; also after a restart
        self.hub.stop()
        self.hub.start()
        with Client(self.hub, self.hub.device_tls(folder)) as later:
            self.assertEqual(later.connect("sick", will={"topic": "d/sick/event/gone", "payload": "x"}).reason, 0x87)
        later = self.client(folder, "sick")
        self.assertEqual(later.publish("d/sick/telemetry/t", "x", 1).reason, 0x87)
        self.hub.cli("device", "readmit", "sick")
        self.assertIn(later.publish("d/sick/telemetry/t", "x", 1).reason, (0, 0x10))
        self.hub.cli("device", "quarantine", "sick")
        self.assertEqual(self.hub.cli("device", "quarantine", "sick", check=False)[0], 1)
        self.assertEqual(self.hub.cli("device", "quarantine", "nobody", check=False)[0], 1)


if __name__ == "__main__":
    unittest.main()
