"""Who is refused at the MQTT door: each refusal has a reason for the peer and a log line for the operator."""

import datetime
import socket
import ssl
import struct
import unittest

import case
import mqtt
from mqtt import Client


def utc(days):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return at.strftime("%Y%m%d%H%M%SZ")


class MqttRefusals(case.HubCase):
    settings = {"broker_packet_bytes": 65536}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.front = cls.hub.device("front-door")
        cls.back = cls.hub.device("back-door")
        cls.monitor = cls.hub.service("monitor", allow=["publish,subscribe:d/+/telemetry/#"])
        cls.other_service = cls.hub.service("other", allow=["publish,subscribe:d/+/telemetry/#"])

    def client(self, folder=None, **options):
        client = Client(self.hub, self.hub.device_tls(folder or self.front), **options)
        self.addCleanup(client.socket.close)
        return client

    def refused_handshake(self, context):
        """TLS 1.3 lets the client finish first: the refusal arrives with the first read."""
        with self.assertRaises((ssl.SSLError, ConnectionError, mqtt.Closed)) as caught:
            client = Client(self.hub, context)
            self.addCleanup(client.socket.close)
            client.connect("front-door")
        return str(caught.exception)

    # certificates

    def test_no_certificate_is_refused_in_the_handshake(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.front / "ca.pem")
        self.refused_handshake(context)
        self.logged("tls.refused", "certificate")

    def test_another_authoritys_certificate_is_refused_in_the_handshake(self):
        forge = case.Forge(self.hub.top / "forge-other")
        folder = forge.leaf("leaf", "urn:porchlight:device:front-door", utc(-1), utc(1))
        self.refused_handshake(self.hub.device_tls(folder, ca=self.front / "ca.pem"))
        self.logged("tls.refused")

    def own_forge(self, name):
        return case.Forge(self.hub.top / f"forge-{name}", self.hub.file("tls", "issuing.pem"),
                          self.hub.file("signer", "issuing.key"))

    def assert_connack_refusal(self, folder, word):
        for version, code in ((5, 0x87), (4, 5)):
            context = self.hub.device_tls(folder, ca=self.front / "ca.pem")
            client = Client(self.hub, context, version=version)
            self.addCleanup(client.socket.close)
            self.assertEqual(client.connect("front-door").reason, code)
            with self.assertRaises(mqtt.Closed):
                client.receive()
        return self.logged("mqtt", word)

    def test_an_expired_certificate_is_answered_with_not_authorised(self):
        folder = self.own_forge("expired").leaf("leaf", "urn:porchlight:device:front-door", utc(-30), utc(-1))
        self.assert_connack_refusal(folder, "expired")

    def test_a_certificate_that_is_not_yet_valid_is_answered_with_not_authorised(self):
        folder = self.own_forge("early").leaf("leaf", "urn:porchlight:device:front-door", utc(1), utc(30))
        self.assert_connack_refusal(folder, "yet")

    def test_a_certificate_that_the_registry_never_issued_is_answered_with_not_authorised(self):
        folder = self.own_forge("unknown").leaf("leaf", "urn:porchlight:device:front-door", utc(-1), utc(30))
        self.assert_connack_refusal(folder, "certificate")

    def test_a_revoked_device_is_cut_off_and_refused_also_on_resumption(self):
        folder = self.hub.device("gone")
        context = self.hub.device_tls(folder)
        client = Client(self.hub, context)
        self.addCleanup(client.socket.close)
        self.assertEqual(client.connect("gone").reason, 0)
        client.subscribe("d/gone/#")  # the answer brings TLS 1.3's session ticket along
        session = client.socket.session
        self.assertTrue(session.has_ticket)
        self.hub.cli("device", "revoke", "gone")
        self.assertIn(client.ended(), (0x87, 0x98))
        again = Client(self.hub, context, session=session)
        self.addCleanup(again.socket.close)
        self.assertTrue(again.socket.session_reused)
        self.assertEqual(again.connect("gone").reason, 0x87)
        self.logged("mqtt", "revoked", "gone")
        fresh = Client(self.hub, self.hub.device_tls(folder))
        self.addCleanup(fresh.socket.close)
        self.assertFalse(fresh.socket.session_reused)
        self.assertEqual(fresh.connect("gone").reason, 0x87)

    # the wire below MQTT

    def test_tls_1_1_and_1_2_are_refused(self):
        for version in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2):
            context = self.hub.device_tls(self.front)
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            self.refused_handshake(context)
        self.logged("tls.refused", "version")

    def test_plaintext_on_the_tls_port_is_refused_and_named(self):
        for raw in (mqtt.connect("front-door"), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.hub.ports["mqtt"]), timeout=15) as plain:
                plain.sendall(raw)
                answer = b""
                try:
                    while piece := plain.recv(4096):
                        answer += piece
                except ConnectionError:
                    pass
            self.assertNotIn(b"MQTT", answer)
            self.assertLess(len(answer), 16)  # at most a TLS alert
        self.logged("tls.refused", "plaintext")

    # names

    def test_another_client_identifier_than_the_devices_is_refused(self):
        for version, code in ((5, 0x85), (4, 2)):
            for wrong in ("back-door", "front-door2", "Front-Door", "front-door/x"):
                with self.subTest(version=version, client_id=wrong):
                    self.assertEqual(self.client(version=version).connect(wrong).reason, code)
        self.logged("mqtt", "front-door", "back-door")

    def test_an_empty_client_identifier_is_assigned_the_devices_id(self):
        answer = self.client().connect("")
        self.assertEqual(answer.reason, 0)
        self.assertIn(mqtt.text("front-door"), answer.body)

    def test_a_service_cannot_take_over_another_principals_session(self):
        held = self.client()
        self.assertEqual(held.connect("front-door").reason, 0)
        for wrong in ("front-door", "other", "other/1", "monitorx"):
            self.assertEqual(self.client(self.monitor).connect(wrong).reason, 0x85)
        self.assertEqual(held.publish("d/front-door/telemetry/t", "still here", 1).reason, 0)
        mine = self.client(self.monitor)
        self.assertEqual(mine.connect("monitor/1").reason, 0)
        successor = self.client(self.monitor)
        self.assertEqual(successor.connect("monitor/1").reason, 0)
        self.assertEqual(mine.ended(), 0x8e)

    # topics

    def test_another_devices_topics_cannot_be_published(self):
        topics = ("d/back-door/telemetry/t", "d/back-door/event/motion", "d/front-doors/telemetry/t", "d/front-door",
                  "other", "$porchlight/device/front-door/event/person", "$SYS/x")
        for topic in topics:
            with self.subTest(topic=topic):
                client = self.client()
                client.connect("front-door")
                self.assertEqual(client.publish(topic, "x", 1).reason, 0x87)
        self.logged("mqtt", "d/back-door/telemetry/t")

    def test_a_refused_publish_of_3_1_1_is_acknowledged_and_dropped(self):
        watcher = self.client(self.monitor)
        watcher.connect("monitor")
        watcher.subscribe("d/+/telemetry/#")
        client = self.client(version=4)
        client.connect("front-door")
        client.publish("d/back-door/telemetry/t", "forged", 1)
        client.send(mqtt.publish("d/back-door/telemetry/t", "forged too", 0, version=4))
        client.publish("d/front-door/telemetry/t", "own", 1, packet_id=2)
        self.assertEqual(watcher.expect(mqtt.PUBLISH).publication()[:2], ("d/front-door/telemetry/t", b"own"))
        self.logged("mqtt", "d/back-door/telemetry/t")

    def test_another_devices_topics_cannot_be_subscribed_by_name_or_wildcard(self):
        filters = ("d/back-door/#", "d/back-door/command/+/request", "d/+/telemetry/#", "d/#", "#", "+/front-door/#", "d/+",
                   "$porchlight/#", "$porchlight/device/back-door/event/person", "d/front-doo+/x"[:11] + "/#")
        for version, code in ((5, 0x87), (4, 0x80)):
            client = self.client(version=version)
            client.connect("front-door")
            for name in filters:
                with self.subTest(version=version, filter=name):
                    self.assertEqual(client.subscribe(name).reason, [code])
            self.assertEqual(client.subscribe("d/front-door/#").reason, [1])
        self.logged("mqtt", "d/back-door/#")

    def test_a_service_reaches_what_it_was_granted_and_nothing_else(self):
        client = self.client(self.monitor)
        client.connect("monitor")
        self.assertEqual(client.subscribe("d/+/telemetry/#", "d/+/event/#", "d/front-door/telemetry/x").reason, [1, 0x87, 1])
        self.assertEqual(client.publish("d/front-door/event/motion", "{}", 1).reason, 0x87)

    # what is not offered is refused by its own code, never half done

    def test_what_is_not_offered_is_refused_by_its_own_code(self):
        other = self.client()
        method = b"\x15" + mqtt.text("SCRAM-SHA-256")
        self.assertEqual(other.connect("front-door", properties=method).reason, 0x8c)

    # sizes and shapes

    def test_an_oversize_packet_is_refused_by_its_own_code(self):
        client = self.client()
        client.connect("front-door")
        client.send(bytes([mqtt.PUBLISH << 4]) + mqtt.varint(70000) + mqtt.text("d/front-door/telemetry/t"))
        self.assertEqual(client.ended(), 0x95)
        self.logged("mqtt", "front-door", "65536")

    MALFORMED = {
        "CONNECT twice": mqtt.connect("front-door"),
        "CONNACK from a client": mqtt.packet(mqtt.CONNACK, 0, b"\0\0\0"),
        "PUBLISH of QoS 3": mqtt.packet(mqtt.PUBLISH, 6, mqtt.text("d/front-door/telemetry/t") + b"\0\1\0"),
        "PUBLISH with a wildcard": mqtt.publish("d/front-door/telemetry/#", "x"),
        "PUBLISH with packet identifier 0": mqtt.publish("d/front-door/telemetry/t", "x", 1, packet_id=0),
        "PUBLISH with a topic that ends too soon": mqtt.packet(mqtt.PUBLISH, 0, b"\0\x50abc"),
        "PUBLISH with a topic that is not UTF-8": mqtt.packet(mqtt.PUBLISH, 0, mqtt.text(b"d/\xff") + b"\0"),
        "PUBACK with flags": mqtt.packet(mqtt.PUBACK, 1, b"\0\1"),
        "PUBREC without a publish": mqtt.packet(mqtt.PUBREC, 0, b"\0"),
        "PUBREL with wrong flags": mqtt.packet(mqtt.PUBREL, 0, b"\0\1"),
        "PUBCOMP cut short": mqtt.packet(mqtt.PUBCOMP, 0, b""),
        "SUBSCRIBE without a filter": mqtt.packet(mqtt.SUBSCRIBE, 2, b"\0\1\0"),
        "SUBSCRIBE with wrong flags": mqtt.packet(mqtt.SUBSCRIBE, 0, b"\0\1\0" + mqtt.text("d/front-door/#") + b"\1"),
        "SUBSCRIBE with reserved options": mqtt.packet(mqtt.SUBSCRIBE, 2, b"\0\1\0" + mqtt.text("d/front-door/#") + b"\xc1"),
        "SUBACK from a client": mqtt.packet(mqtt.SUBACK, 0, b"\0\1\0\0"),
        "UNSUBSCRIBE without a filter": mqtt.packet(mqtt.UNSUBSCRIBE, 2, b"\0\1\0"),
        "UNSUBACK from a client": mqtt.packet(mqtt.UNSUBACK, 0, b"\0\1\0\0"),
        "PINGREQ with a body": mqtt.packet(mqtt.PINGREQ, 0, b"x"),
        "PINGRESP from a client": mqtt.packet(mqtt.PINGRESP, 0, b""),
        "DISCONNECT with flags": mqtt.packet(mqtt.DISCONNECT, 1, b""),
        "AUTH without a method": mqtt.packet(mqtt.AUTH, 0, b"\x18\0"),
        "packet type 0": mqtt.packet(0, 0, b""),
        "a length of five bytes": bytes([mqtt.PUBLISH << 4, 0xff, 0xff, 0xff, 0xff, 0x7f]),
    }

    def test_a_malformed_packet_of_each_type_ends_the_connection_with_its_code(self):
        for name, raw in self.MALFORMED.items():
            with self.subTest(name):
                client = self.client()
                client.connect("front-door")
                client.send(raw)
                self.assertIn(client.ended(), (0x81, 0x82, 0x90, 0x8c))
        self.logged("mqtt", "front-door", "malformed")

    def test_a_connection_that_does_not_begin_with_connect_is_closed(self):
        for raw in (mqtt.publish("d/front-door/telemetry/t", "x"), mqtt.packet(mqtt.PINGREQ, 0, b""),
                    mqtt.packet(mqtt.CONNECT, 0, mqtt.text("MQTX") + b"\5\2\0\0\0" + mqtt.text("front-door")),
                    mqtt.packet(mqtt.CONNECT, 1, mqtt.text("MQTT") + b"\5\2\0\0\0" + mqtt.text("front-door"))):
            client = self.client()
            client.send(raw)
            try:
                answer = client.receive()
                self.assertIn(answer.kind, (mqtt.CONNACK, mqtt.DISCONNECT))
                self.assertGreaterEqual(answer.reason, 1)
            except mqtt.Closed:
                pass

    def test_an_unknown_protocol_version_is_answered_by_its_own_code(self):
        client = self.client()
        client.send(mqtt.packet(mqtt.CONNECT, 0, mqtt.text("MQTT") + b"\6\2" + struct.pack(">H", 60) + b"\0" + mqtt.text("front-door")))
        self.assertIn(client.expect(mqtt.CONNACK).reason, (0x84, 1))


if __name__ == "__main__":
    unittest.main()
