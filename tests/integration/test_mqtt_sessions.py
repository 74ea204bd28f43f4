"""MQTT sessions against the built hub: QoS 2 both ways, sessions that outlive their connection, retained messages,
wills, aliases and identifiers; and all of it again after the hub was killed."""

import os
import signal
import struct
import unittest

import case
import mqtt
from mqtt import (CONNACK, DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, UNSUBACK,
                  UNSUBSCRIBE)


def expiry(seconds):
    return b"\x11" + struct.pack(">I", seconds)


def u16(number, value):
    return bytes([number]) + struct.pack(">H", value)


def ack(kind, packet_id, reason=None):
    return mqtt.packet(kind, 2 if kind == PUBREL else 0,
                       struct.pack(">H", packet_id) + (bytes([reason]) if reason is not None else b""))


def properties_of(packet):
    """Property id to list of raw values, of a PUBLISH or CONNACK of version 5; only the kinds that these tests use."""
    body = packet.body
    if packet.kind == PUBLISH:
        (n,) = struct.unpack_from(">H", body)
        body = body[2 + n + (2 if packet.flags & 6 else 0):]
    else:
        body = body[2:]
    length, used = mqtt.read_varint(body)
    body, found = body[used:used + length], {}
    sizes = {0x01: 1, 0x02: 4, 0x11: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x23: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1,
             0x2a: 1}
    while body:
        number, body = body[0], body[1:]
        if number == 0x0b:
            value, size = mqtt.read_varint(body)
        elif number in sizes:
            size = sizes[number]
            value = int.from_bytes(body[:size], "big")
        elif number == 0x26:
            (a,) = struct.unpack_from(">H", body)
            (b,) = struct.unpack_from(">H", body, 2 + a)
            size = 4 + a + b
            value = (body[2:2 + a].decode(), body[4 + a:size].decode())
        else:
            (a,) = struct.unpack_from(">H", body)
            size = 2 + a
            value = body[2:size]
        found.setdefault(number, []).append(value)
        body = body[size:]
    return found


class SessionCase(case.HubCase):
    settings = {"broker_will_grace_s": 1}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folders = {"cam": cls.hub.device("cam"), "bell": cls.hub.device("bell", product="bell"),
                       "app": cls.hub.service("app", allow=["publish,subscribe:t/#", "publish,subscribe:d/+/telemetry/#",
                                                            "subscribe:d/+/state/#"]),
                       "half": cls.hub.service("half", allow=["publish,subscribe:t/#"], deny=["receive:t/secret/#"])}

    def online(self, who, client_id=None, version=5, clean=True, **options):
        client = mqtt.Client(self.hub, self.hub.device_tls(self.folders[who]), version=version)
        self.addCleanup(client.socket.close)
        client.welcome = client.connect(client_id or who, clean=clean, **options)
        self.assertEqual(client.welcome.reason, 0)
        return client

    def present(self, client):
        return client.welcome.body[0] == 1

    def hard_stop(self, client):
        """The connection is gone without a word, and the hub has noticed."""
        client.socket.close()

    def goodbye(self, client, reason=None, properties=b""):
        body = b"" if reason is None else bytes([reason]) + mqtt.varint(len(properties)) + properties
        client.send(mqtt.packet(DISCONNECT, 0, body))
        client.socket.close()

    def publish2(self, client, topic, payload, packet_id):
        client.send(mqtt.publish(topic, payload, 2, packet_id, client.version))
        self.assertEqual(client.expect(PUBREC).reason, 0)
        client.send(ack(PUBREL, packet_id))
        self.assertEqual(client.expect(PUBCOMP).reason, 0)

    def take2(self, client):
        """Receives one QoS 2 message to its end; its topic and payload."""
        got = client.expect(PUBLISH)
        topic, payload, qos, packet_id = got.publication()
        self.assertEqual(qos, 2)
        client.send(ack(PUBREC, packet_id))
        client.expect(PUBREL)
        client.send(ack(PUBCOMP, packet_id))
        return topic, payload.decode()

    def nothing_more(self, client):
        """Nothing is on its way: a ping is answered first."""
        client.send(mqtt.packet(PINGREQ, 0, b""))
        client.expect(PINGRESP)

    def crash(self):
        start = len(self.hub.out.all)
        os.kill(self.hub.children()["hub"], signal.SIGKILL)
        self.hub.wait_ready(start=start)


class Live(SessionCase):
    def test_qos_2_both_ways_once_each(self):
        for version in (4, 5):
            sub, pub = self.online("app", "app/s", version), self.online("app", "app/p", version)
            self.assertEqual(sub.subscribe(("t/two", 2)).reason, [2])
            pub.send(mqtt.publish("t/two", "a", 2, 7, version))
            pub.expect(PUBREC)
            pub.send(mqtt.publish("t/two", "a", 2, 7, version, dup=True))
            pub.expect(PUBREC)
            pub.send(ack(PUBREL, 7))
            self.assertEqual(pub.expect(PUBCOMP).reason, 0)
            pub.send(ack(PUBREL, 7))
            self.assertEqual(pub.expect(PUBCOMP).reason, 0x92 if version == 5 else 0)
            self.assertEqual(self.take2(sub), ("t/two", "a"))
            self.publish2(pub, "t/two", "b", 7)
            self.assertEqual(self.take2(sub), ("t/two", "b"))
            self.nothing_more(sub)

    def test_a_session_waits_for_its_client(self):
        for version in (4, 5):
            options = {} if version == 4 else {"properties": expiry(600)}
            sub = self.online("app", "app/wait", version, clean=True, **options)
            if version == 4:
                sub = self.online("app", "app/wait", version, clean=False)
            self.assertFalse(self.present(sub))
            sub.subscribe(("t/wait/#", 2), ("t/zero", 0))
            self.hard_stop(sub)
            pub = self.online("app", "app/p", version)
            for i in range(20):
                pub.publish(f"t/wait/{i}", str(i), 1, 1 + i)
            self.publish2(pub, "t/wait/two", "2", 100)
            pub.publish("t/zero", "x", 1, 101)
            sub = self.online("app", "app/wait", version, clean=False, **options)
            self.assertTrue(self.present(sub))
            for i in range(20):
                topic, payload, qos, packet_id = sub.expect(PUBLISH).publication()
                self.assertEqual((topic, payload, qos), (f"t/wait/{i}", str(i).encode(), 1))
                if i < 19:
                    sub.send(ack(PUBACK, packet_id))
            got = sub.expect(PUBLISH)
            two = got.publication()[3]
            sub.send(ack(PUBREC, two))
            sub.expect(PUBREL)
            self.hard_stop(sub)  # one PUBACK and one PUBCOMP are owed
            sub = self.online("app", "app/wait", version, clean=False, **options)
            again = sub.expect(PUBLISH)
            self.assertEqual(again.publication()[0], "t/wait/19")
            self.assertTrue(again.flags & 8, "DUP")
            self.assertEqual(again.publication()[3], packet_id)
            sub.send(ack(PUBACK, packet_id))
            self.assertEqual(sub.expect(PUBREL).body[:2], struct.pack(">H", two))
            sub.send(ack(PUBCOMP, two))
            self.nothing_more(sub)
            sub = self.online("app", "app/wait", version, clean=True)
            self.assertFalse(self.present(sub))
            self.nothing_more(sub)

    def test_a_session_ends_with_its_expiry(self):
        sub = self.online("app", "app/brief", properties=expiry(1))
        sub.subscribe("t/brief")
        expired = self.metric("porchlight_mqtt_sessions_expired_total")
        self.goodbye(sub)
        while self.metric("porchlight_mqtt_sessions_expired_total") == expired:
            self.nothing_more(self.online("app", "app/clock"))
        again = self.online("app", "app/brief", clean=False, properties=expiry(1))
        self.assertFalse(self.present(again))
        # An expiry of 0 in DISCONNECT ends it at once; one above 0 after none was agreed is an error.
        self.goodbye(again, 0, expiry(0))
        third = self.online("app", "app/brief", clean=False)
        self.assertFalse(self.present(third))
        third.send(mqtt.packet(DISCONNECT, 0, bytes([0]) + mqtt.varint(5) + expiry(5)))
        self.assertEqual(third.ended(), 0x82)

    def metric(self, name):
        if not hasattr(type(self), "prometheus"):
            type(self).prometheus = self.hub.service("prometheus", allow=["read:metrics"])
        import lab
        reply = lab.request(self.hub.ports["device"], self.hub.device_tls(self.prometheus), "GET", "/metrics")
        for line in reply.body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        self.fail(f"no metric {name}")

    def test_retained_messages_greet_a_new_subscriber(self):
        pub = self.online("app", "app/p")
        for topic, payload in (("t/r/a", "1"), ("t/r/a", "2"), ("t/r/b", "3"), ("t/r/b/c", "4"), ("t/r/gone", "5")):
            self.assertEqual(pub.publish(topic, payload, 1, 1, retain=True).reason, 0)
        pub.publish("t/r/gone", "", 1, 1, retain=True)
        sub = self.online("app", "app/s")
        sub.subscribe(("t/r/#", 1))
        got = {}
        for _ in range(3):
            packet = sub.expect(PUBLISH)
            topic, payload, qos, packet_id = packet.publication()
            self.assertTrue(packet.flags & 1, "the retain flag")
            got[topic] = payload.decode()
            sub.send(ack(PUBACK, packet_id))
        self.assertEqual(got, {"t/r/a": "2", "t/r/b": "3", "t/r/b/c": "4"})
        pub.publish("t/r/a", "live", 1, 1, retain=True)
        live = sub.expect(PUBLISH)
        self.assertFalse(live.flags & 1, "a live copy has no retain flag")
        # Retain handling 1 (only when new) and 2 (never); retain as published keeps the flag.
        sub.send(ack(PUBACK, live.publication()[3]))
        sub.subscribe("t/r/#", options=1 | 8 | 1 << 4)
        pub.publish("t/r/a", "flagged", 1, 1, retain=True)
        self.assertTrue(sub.expect(PUBLISH).flags & 1)
        other = self.online("app", "app/o")
        other.subscribe("t/r/#", options=2 << 4)
        self.nothing_more(other)

    def test_what_is_denied_is_not_delivered_retained_either(self):
        pub = self.online("app", "app/p")
        pub.publish("t/secret/x", "hidden", 1, 1, retain=True)
        pub.publish("t/open/x", "seen", 1, 2, retain=True)
        sub = self.online("half")
        sub.subscribe(("t/secret/+", 0), ("t/open/+", 0))
        self.assertEqual(sub.expect(PUBLISH).publication()[0], "t/open/x")
        self.nothing_more(sub)

    def test_a_will_is_spoken_when_the_connection_breaks_and_not_after_a_goodbye(self):
        watch = self.online("app", "app/w")
        watch.subscribe(("t/will/#", 1))
        will = {"topic": "t/will/a", "payload": "gone", "qos": 1}
        self.hard_stop(self.online("app", "app/x", will=will))
        self.assertEqual(watch.expect(PUBLISH).publication()[:2], ("t/will/a", b"gone"))
        self.goodbye(self.online("app", "app/x", will=will))
        self.goodbye(self.online("app", "app/x", will=dict(will, payload="anyway")), 4)
        self.assertEqual(watch.expect(PUBLISH).publication()[1], b"anyway")
        # Taken over: the old connection's will is spoken.
        self.online("app", "app/x", will=dict(will, payload="taken"))
        self.online("app", "app/x")
        self.assertEqual(watch.expect(PUBLISH).publication()[1], b"taken")
        # One that must not be said is refused at CONNECT.
        client = mqtt.Client(self.hub, self.hub.device_tls(self.folders["cam"]))
        self.addCleanup(client.socket.close)
        refused = client.connect("cam", will={"topic": "d/bell/event/x", "payload": "forged"})
        self.assertEqual(refused.reason, 0x87)
        self.logged("mqtt.refused", "CONNECT", "will")

    def test_identifiers_of_all_matching_subscriptions_come_with_one_copy(self):
        sub, pub = self.online("app", "app/s"), self.online("app", "app/p")
        sub.subscribe(("t/id/#", 0), properties=b"\x0b" + mqtt.varint(5))
        sub.subscribe(("t/id/+", 2), properties=b"\x0b" + mqtt.varint(300))
        sub.subscribe(("t/id/a", 1))
        pub.publish("t/id/a", "x", 1)
        got = sub.expect(PUBLISH)
        self.assertEqual(got.publication()[2], 1)
        self.assertEqual(sorted(properties_of(got)[0x0b]), [5, 300])
        self.nothing_more(sub)

    def test_topic_aliases_in_both_directions(self):
        sub = self.online("app", "app/s", properties=u16(0x22, 10))
        pub = self.online("app", "app/p")
        self.assertIn(0x22, properties_of(pub.welcome))
        sub.subscribe(("t/alias/#", 0))
        pub.publish("t/alias/long/topic", "1", 1, 1, properties=u16(0x23, 3))
        pub.publish("", "2", 1, 2, properties=u16(0x23, 3))
        first, second = sub.expect(PUBLISH), sub.expect(PUBLISH)
        self.assertEqual(first.publication()[:2], ("t/alias/long/topic", b"1"))
        self.assertEqual(second.publication()[:2], ("", b"2"))
        self.assertEqual(properties_of(first)[0x23], properties_of(second)[0x23])
        for bad, code in ((u16(0x23, 9999), 0x94), (u16(0x23, 4), 0x82)):
            client = self.online("app", "app/bad")
            client.send(mqtt.publish("" if code == 0x82 else "t/alias/x", "x", 0, properties=bad))
            self.assertEqual(client.ended(), code)

    def test_no_local_and_payload_format_and_message_expiry(self):
        both = self.online("app", "app/both")
        both.subscribe("t/own", options=1 | 4)
        self.assertEqual(both.publish("t/own", "x", 1).reason, 0)
        self.nothing_more(both)
        self.assertEqual(both.publish("t/own", b"\xff\xfe", 1, properties=b"\x01\x01").reason, 0x99)
        sub = self.online("app", "app/s", properties=expiry(600))
        sub.subscribe(("t/exp", 1))
        self.hard_stop(sub)
        both.publish("t/exp", "lives", 1, properties=b"\x02" + struct.pack(">I", 600))
        sub = self.online("app", "app/s", clean=False, properties=expiry(600))
        left = properties_of(sub.expect(PUBLISH))[0x02][0]
        self.assertTrue(0 < left <= 600)

    def test_31s_name_is_accepted(self):
        client = mqtt.Client(self.hub, self.hub.device_tls(self.folders["cam"]), version=4)
        self.addCleanup(client.socket.close)
        client.send(mqtt.packet(1, 0, mqtt.text("MQIsdp") + bytes([3, 2]) + b"\0\x3c" + mqtt.text("cam")))
        self.assertEqual(client.expect(CONNACK).reason, 0)
        self.assertEqual(client.publish("d/cam/telemetry/x", "1", 1).kind, PUBACK)

    def test_receive_maximum_is_kept_towards_the_client(self):
        sub = self.online("app", "app/slow", properties=u16(0x21, 2))
        sub.subscribe(("t/window", 1))
        pub = self.online("app", "app/p")
        for i in range(5):
            pub.publish("t/window", str(i), 1, 1 + i)
        ids = [sub.expect(PUBLISH).publication()[3] for _ in range(2)]
        self.nothing_more(sub)
        sub.send(ack(PUBACK, ids[0]))
        self.assertEqual(sub.expect(PUBLISH).publication()[1], b"2")
        self.nothing_more(sub)

    def test_unsubscribed_is_unsubscribed(self):
        sub, pub = self.online("app", "app/s", properties=expiry(60)), self.online("app", "app/p")
        sub.subscribe(("t/un", 1))
        sub.send(mqtt.packet(UNSUBSCRIBE, 2, struct.pack(">H", 5) + b"\0" + mqtt.text("t/un") + mqtt.text("t/never")))
        self.assertEqual(sub.expect(UNSUBACK).reason, [0, 0x11])
        pub.publish("t/un", "x", 1)
        self.nothing_more(sub)


class Shared(SessionCase):
    def members(self, count, qos=1, name="m", **options):
        out = [self.online("app", f"app/{name}{i}", **options) for i in range(count)]
        for member in out:
            self.assertEqual(member.subscribe(("$share/g/t/work/#", qos)).reason, [qos])
        return out

    def test_each_message_goes_to_one_member_and_all_get_their_part(self):
        members, pub = self.members(3), self.online("app", "app/p")
        plain = self.online("app", "app/plain")
        plain.subscribe(("t/work/#", 0))
        for i in range(60):
            pub.publish("t/work/x", str(i), 1, 1 + i)
        got = []
        for member in members:
            mine = []
            for _ in range(20):
                _, payload, qos, packet_id = member.expect(PUBLISH).publication()
                self.assertEqual(qos, 1)
                mine.append(int(payload))
                member.send(ack(PUBACK, packet_id))
            self.nothing_more(member)
            self.assertEqual(mine, sorted(mine))
            got += mine
        self.assertEqual(sorted(got), list(range(60)))
        for i in range(60):
            self.assertEqual(plain.expect(PUBLISH).publication()[1], str(i).encode())

    def test_what_a_dead_member_had_not_acknowledged_goes_to_another(self):
        dying, living = self.members(2)
        pub = self.online("app", "app/p")
        for i in range(10):
            pub.publish("t/work/x", str(i), 1, 1 + i)
        for _ in range(5):
            dying.expect(PUBLISH)
        self.hard_stop(dying)
        got = set()
        while len(got) < 10:
            _, payload, _, packet_id = living.expect(PUBLISH).publication()
            got.add(int(payload))
            living.send(ack(PUBACK, packet_id))
        self.assertEqual(got, set(range(10)))

    def test_members_that_may_not_have_it_are_passed_over(self):
        denied, allowed = [self.online("half", f"half/{i}") for i in range(3)], self.online("app", "app/m")
        for member in (*denied, allowed):
            self.assertEqual(member.subscribe(("$share/s/t/+/deny", 1)).reason, [1])
        pub = self.online("app", "app/p")
        for i in range(60):
            pub.publish("t/secret/deny", str(i), 1, 1 + i)
        for _ in range(60):
            allowed.send(ack(PUBACK, allowed.expect(PUBLISH).publication()[3]))
        for member in denied:
            self.nothing_more(member)
        # A shared subscription opens nothing that a plain one does not.
        cam = self.online("cam")
        self.assertEqual(cam.subscribe(("$share/g/d/bell/#", 1), ("$share/g/#", 1)).reason, [0x87, 0x87])

    def test_retained_messages_do_not_come_and_no_local_is_an_error(self):
        pub = self.online("app", "app/p")
        pub.publish("t/work/kept", "x", 1, 1, retain=True)
        (member,) = self.members(1)
        self.nothing_more(member)
        pub.publish("t/work/kept", "", 1, 1, retain=True)
        member.send(mqtt.subscribe(["$share/g/t/work/#"], options=1 | 4))
        self.assertEqual(member.ended(), 0x82)

    def test_work_waits_for_a_lasting_member_through_a_crash(self):
        members = self.members(2, name="last", properties=expiry(600))
        for member in members:
            self.hard_stop(member)
        pub = self.online("app", "app/p")
        for i in range(30):
            pub.publish("t/work/x", str(i), 1, 1 + i)
        self.crash()
        got = []
        for i in range(2):
            member = self.online("app", f"app/last{i}", clean=False, properties=expiry(600))
            self.assertTrue(self.present(member))
            members[i] = member
        for member in members:
            member.socket.settimeout(60)
        import threading
        lock = threading.Lock()

        def take(member):
            while True:
                try:
                    packet = member.receive()
                except (mqtt.Closed, OSError):
                    return
                if packet.kind != PUBLISH:
                    continue
                _, payload, _, packet_id = packet.publication()
                with lock:
                    got.append(int(payload))
                    done = len(set(got)) == 30
                member.send(ack(PUBACK, packet_id))
                if done:
                    for other in members:
                        other.socket.shutdown(2)
                    return

        threads = [threading.Thread(target=take, args=(member,)) for member in members]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(set(got)), list(range(30)))


class Restart(SessionCase):
    settings = {"broker_will_grace_s": 1, "hub_shards": 2}

    def test_what_waits_for_groups_of_one_is_there_after_an_orderly_restart(self):
        groups = range(8)  # at home on this shard and on that, as their names fall
        for i in groups:
            member = self.online("app", f"app/worker{i}", properties=expiry(600))
            self.assertEqual(member.subscribe((f"$share/g{i}/t/work/{i}", 1)).reason, [1])
            self.goodbye(member)
        pub = self.online("app", "app/p")
        for i in groups:
            for n in range(3):
                self.assertEqual(pub.publish(f"t/work/{i}", str(n), 1, 1 + n).reason, 0)
        self.hub.stop()
        self.hub.start()
        for i in groups:
            member = self.online("app", f"app/worker{i}", clean=False, properties=expiry(600))
            self.assertTrue(self.present(member))
            self.assertEqual([member.expect(PUBLISH).publication()[1] for _ in range(3)], [b"0", b"1", b"2"])
            self.nothing_more(member)


class Crashed(SessionCase):
    def test_a_session_is_whole_after_the_hub_was_killed(self):
        sub = self.online("app", "app/kept", properties=expiry(600))
        sub.subscribe(("t/kept/#", 2), properties=b"\x0b" + mqtt.varint(9))
        pub = self.online("app", "app/p", properties=expiry(600))
        pub.publish("t/kept/first", "0", 1, 1)
        sub.send(ack(PUBACK, sub.expect(PUBLISH).publication()[3]))
        # A delivery of QoS 2 stops half way, after PUBREC; a publication of QoS 2 before PUBREL.
        self.publish2(pub, "t/kept/two", "2", 2)
        half = sub.expect(PUBLISH).publication()[3]
        sub.send(ack(PUBREC, half))
        sub.expect(PUBREL)
        pub.send(mqtt.publish("t/kept/pending", "p", 2, 77))
        pub.expect(PUBREC)
        begun = sub.expect(PUBLISH).publication()[3]  # no PUBREC yet
        self.hard_stop(sub)
        for i in range(50):
            pub.publish("t/kept/n", str(i), 1, 10 + i)
        pub.publish("t/other", "x", 1, 99)
        self.crash()
        pub = self.online("app", "app/p", clean=False, properties=expiry(600))
        self.assertTrue(self.present(pub))
        pub.send(mqtt.publish("t/kept/pending", "p", 2, 77, dup=True))
        pub.expect(PUBREC)
        pub.send(ack(PUBREL, 77))
        self.assertEqual(pub.expect(PUBCOMP).reason, 0)
        sub = self.online("app", "app/kept", clean=False, properties=expiry(600))
        self.assertTrue(self.present(sub))
        numbers, twos, released = [], [], []
        while len(numbers) < 50 or not twos or not released:
            packet = sub.receive()
            if packet.kind == PUBREL:
                (packet_id,) = struct.unpack_from(">H", packet.body)
                released.append(packet_id)
                sub.send(ack(PUBCOMP, packet_id))
                continue
            self.assertEqual(properties_of(packet)[0x0b], [9])
            topic, payload, qos, packet_id = packet.publication()
            if qos == 2:
                twos.append((topic, packet_id))
                sub.send(ack(PUBREC, packet_id))
            else:
                if topic == "t/kept/n":
                    numbers.append(int(payload))
                sub.send(ack(PUBACK, packet_id))
        self.assertEqual(numbers, list(range(50)))
        self.assertEqual(twos, [("t/kept/pending", begun)], "once, with the identifier it had")
        self.assertIn(half, released)

    def test_an_identifier_that_the_client_holds_is_released_before_it_is_given_again(self):
        pub = self.online("app", "app/p")
        pub.publish("t/held/kept", "kept", 2, 1, retain=True)
        pub.expect(PUBREC)
        pub.send(ack(PUBREL, 1))
        pub.expect(PUBCOMP)
        sub = self.online("app", "app/holder", properties=expiry(600))
        held = []

        def begins(got, payload):
            self.assertEqual(got.publication()[1:3], (payload.encode(), 2))
            held.append(got.publication()[3])
            return ack(PUBREC, held[-1])

        sub.send(mqtt.subscribe([("t/held/kept", 2)]))
        first = {got.kind: got for got in (sub.receive(), sub.receive())}  # a SUBACK and what is retained, in any order
        sub.send(begins(first[PUBLISH], "kept"))
        sub.expect(PUBREL)
        sub.subscribe(("$share/held/t/held/shared", 2))
        self.publish2(pub, "t/held/shared", "shared", 2)
        sub.send(begins(sub.expect(PUBLISH), "shared"))
        sub.expect(PUBREL)
        # One that no subscription asks for any more after the start.
        sub.subscribe(("t/held/left", 2))
        self.publish2(pub, "t/held/left", "left", 3)
        begins(sub.expect(PUBLISH), "left")
        sub.send(mqtt.packet(UNSUBSCRIBE, 2, struct.pack(">H", 5) + b"\0" + mqtt.text("t/held/left")))
        sub.expect(UNSUBACK)
        self.crash()
        sub = self.online("app", "app/holder", clean=False, properties=expiry(600))
        self.assertTrue(self.present(sub))
        released = [struct.unpack(">H", sub.expect(PUBREL).body[:2])[0] for _ in held]
        self.assertEqual(sorted(released), sorted(held))
        for packet_id in released:
            sub.send(ack(PUBCOMP, packet_id))

    def test_retained_messages_and_wills_survive(self):
        pub = self.online("app", "app/p")
        pub.publish("t/keep/a", "1", 1, 1, retain=True)
        pub.publish("t/keep/b", "2", 0, retain=True)
        pub.publish("t/keep/b", "3", 1, 2, retain=True)
        pub.publish("t/keep/c", "4", 1, 3, retain=True)
        pub.publish("t/keep/c", "", 1, 4, retain=True)
        watch = self.online("app", "app/watch", properties=expiry(600))
        watch.subscribe(("t/last/#", 1))
        self.online("app", "app/dying", will={"topic": "t/last/words", "payload": "ouch", "qos": 1, "retain": True})
        self.crash()
        watch = self.online("app", "app/watch", clean=False, properties=expiry(600))
        self.assertEqual(watch.expect(PUBLISH).publication()[:2], ("t/last/words", b"ouch"))
        sub = self.online("app", "app/s")
        sub.subscribe(("t/keep/#", 0), ("t/last/#", 0))
        got = dict(sub.expect(PUBLISH).publication()[:2] for _ in range(3))
        self.assertEqual(got, {"t/keep/a": b"1", "t/keep/b": b"3", "t/last/words": b"ouch"})
        self.nothing_more(sub)

    def test_a_revoked_device_leaves_no_session(self):
        cam = self.online("bell", properties=expiry(600))
        cam.subscribe(("d/bell/command/#", 1))
        self.hard_stop(cam)
        self.hub.cli("device", "revoke", "bell")
        import sqlite3
        with sqlite3.connect(f"file:{self.hub.file('hub.db')}?mode=ro", uri=True) as db:
            for _ in range(2000):
                if db.execute("select count(*) from mqtt_session where name = 'bell'").fetchone() == (0,):
                    return
                self.hub.cli("device", "list")
        self.fail("the session is still there")


if __name__ == "__main__":
    unittest.main()
