"""What was deleted reaches nobody over MQTT: neither who subscribes anew, nor a session that was away, nor after a restart."""

import os
import shutil
import signal
import unittest

import case  # noqa: F401  (finds the lab)
import lab
import mqtt
from mqtt import PINGREQ, PINGRESP, PUBLISH
from test_delete import motion
from test_mqtt_sessions import ack, expiry

TOPIC = "d/front-door/event/motion"


class Forgetting(unittest.TestCase):
    def setUp(self):
        self.hub = lab.Hub()
        self.addCleanup(self.hub.remove)
        self.hub.init()
        self.hub.start()
        self.owner = self.hub.person().become_owner()
        self.device = self.hub.device("front-door")
        self.app = self.hub.service("app", allow=["publish,subscribe:d/+/event/#", "publish,subscribe:d/+/telemetry/#"])

    def listen(self, client_id, clean=True, filters=(), folder=None, options=0):
        client = mqtt.Client(self.hub, self.hub.device_tls(folder or self.app))
        self.addCleanup(client.socket.close)
        welcome = client.connect(client_id, clean=clean, properties=b"" if clean else expiry(3600))
        self.assertEqual(welcome.reason, 0)
        if filters:
            client.subscribe(*filters, options=options)
        client.present = welcome.body[0] == 1
        return client

    def go_away(self, client_id, *filters):
        """A lasting session whose client is not there, and that has been given nothing retained."""
        client = self.listen(client_id, clean=False, filters=filters, options=1 | 2 << 4)
        client.send(mqtt.packet(mqtt.DISCONNECT, 0, b""))
        client.socket.close()

    def publish(self, *messages, name="front-door", folder=None):
        with mqtt.Client(self.hub, self.hub.device_tls(folder or self.device)) as client:
            self.assertEqual(client.connect(name).reason, 0)
            for topic, payload in messages:
                self.assertEqual(client.publish(topic, payload, qos=1, retain=True).reason, 0)

    def heard(self, client):
        """Topics of all that is on its way: a ping is answered behind it."""
        topics = []
        client.send(mqtt.packet(PINGREQ, 0, b""))
        while True:
            packet = client.receive()
            self.assertIsNotNone(packet)
            if packet.kind == PINGRESP:
                return topics
            if packet.kind != PUBLISH:
                continue
            topic, _, qos, packet_id = packet.publication()
            topics.append(topic)
            if qos == 1:
                client.send(ack(mqtt.PUBACK, packet_id))

    def retain_end(self, name="other"):
        """Something that stays: retained messages come in turns of the hub, these few in one."""
        with mqtt.Client(self.hub, self.hub.device_tls(self.app)) as client:
            self.assertEqual(client.connect("app/end").reason, 0)
            self.assertEqual(client.publish(f"d/{name}/telemetry/end", "end", qos=1, retain=True).reason, 0)

    def crash(self):
        start = len(self.hub.out.all)
        os.kill(self.hub.children()["hub"], signal.SIGKILL)
        self.hub.wait_ready(start=start)

    def hears_only(self, client, *topics):
        """The last one of `topics` is what retain_end has said."""
        heard = self.heard(client)
        while topics[-1] not in heard:
            heard += self.heard(client)
        self.assertEqual(sorted(set(heard + self.heard(client))), sorted(topics))

    def has_nothing(self, name, folder):
        """A device that is new finds nothing below its name."""
        self.retain_end(name)
        client = self.listen(name, filters=(f"d/{name}/#",), folder=folder)
        self.hears_only(client, f"d/{name}/telemetry/end")
        client.socket.close()

    def test_a_deleted_event_is_given_to_nobody(self):
        for name in ("app/away", "app/away-2"):
            self.go_away(name, "d/+/event/#", "d/+/telemetry/#")
        self.publish((TOPIC, motion("gone-1")))
        self.retain_end()
        before = self.listen("app/before", filters=("d/+/event/#", "d/+/telemetry/#"))
        self.hears_only(before, TOPIC, "d/other/telemetry/end")
        event = self.owner.must("GET", "/api/v1/events")["events"][0]
        answer = self.owner.ask("DELETE", f"/api/v1/events/{event['id']}")
        self.assertEqual((answer.status, answer.json()["scrubbed"]), (200, True))
        new = self.listen("app/new", filters=("d/+/event/#", "d/+/telemetry/#"))
        self.hears_only(new, "d/other/telemetry/end")
        away = self.listen("app/away", clean=False)
        self.assertTrue(away.present)
        self.hears_only(away, "d/other/telemetry/end")
        self.crash()
        away = self.listen("app/away-2", clean=False)
        self.assertTrue(away.present)
        self.hears_only(away, "d/other/telemetry/end")

    def test_a_removed_devices_messages_are_not_the_next_ones(self):
        self.hub.cli("household", "add", "Next door")
        for name in ("app/away", "app/away-2"):
            self.go_away(name, "d/+/event/#", "d/+/telemetry/#")
        self.publish((TOPIC, motion("theirs-1")), ("d/front-door/telemetry/room", "theirs"))
        self.retain_end()
        self.hub.cli("device", "remove", "front-door")
        self.hears_only(self.listen("app/new", filters=("d/+/event/#", "d/+/telemetry/#")), "d/other/telemetry/end")
        shutil.rmtree(self.device)
        self.device = self.hub.device("front-door", household="next-door")
        away = self.listen("app/away", clean=False)
        self.assertTrue(away.present)
        self.hears_only(away, "d/other/telemetry/end")
        self.crash()
        away = self.listen("app/away-2", clean=False)
        self.assertTrue(away.present)
        self.hears_only(away, "d/other/telemetry/end")
        self.has_nothing("front-door", self.device)
        # the new one is as any other
        self.publish(("d/front-door/telemetry/room", "ours"))
        new = self.listen("app/new", filters=("d/front-door/telemetry/#",))
        self.hears_only(new, "d/front-door/telemetry/room", "d/front-door/telemetry/end")

    def test_the_next_family_hears_nothing_of_the_one_before(self):
        self.go_away("app/away", "d/+/event/#", "d/+/telemetry/#")
        self.publish((TOPIC, motion("theirs-1")), ("d/front-door/telemetry/room", "theirs"))
        former = self.hub.device("garden")
        self.publish(("d/garden/event/motion", motion("theirs-2")), name="garden", folder=former)
        self.hub.cli("device", "remove", "garden")
        with mqtt.Client(self.hub, self.hub.device_tls(self.app)) as client:  # said where no device is any more
            self.assertEqual(client.connect("app/late").reason, 0)
            self.assertEqual(client.publish("d/garden/telemetry/room", "theirs", qos=1, retain=True).reason, 0)
        self.retain_end()
        home = self.owner.must("GET", "/api/v1/household")["name"]
        self.assertEqual(self.owner.ask("POST", "/api/v1/household/erase", {"confirm": home}).status, 204)
        self.hub.person().become_owner("kim")
        shutil.rmtree(self.device)
        shutil.rmtree(former)
        self.hears_only(self.listen("app/new", filters=("d/+/event/#", "d/+/telemetry/#")), "d/other/telemetry/end")
        away = self.listen("app/away", clean=False)
        self.assertTrue(away.present)
        self.hears_only(away, "d/other/telemetry/end")
        for name in ("front-door", "garden"):
            self.has_nothing(name, self.hub.device(name))


if __name__ == "__main__":
    unittest.main()
