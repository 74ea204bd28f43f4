"""Clients that we did not write exchange messages through the hub: mosquitto's tools and the Python paho client."""

import json
import pathlib
import queue
import subprocess
import threading
import unittest

import paho.mqtt.client as paho

import case
import lab


class Clients(case.HubCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.alice = cls.hub.service("alice", allow=["publish,subscribe:lab/#"])
        cls.bob = cls.hub.service("bob", allow=["publish,subscribe:lab/#"])

    def tls_words(self, folder):
        return ["-h", "localhost", "-p", str(self.hub.ports["mqtt"]), "--cafile", str(folder / "ca.pem"), "--cert",
                str(folder / "cert.pem"), "--key", str(folder / "key.pem")]

    def subscriber(self, version, qos, count):
        """A running mosquitto_sub that has subscribed; ends by itself after `count` messages."""
        process = subprocess.Popen(["stdbuf", "-oL", "mosquitto_sub", "-d", *self.tls_words(self.bob), "-V", version, "-i", "bob/sub", "-q", str(qos),
                                    "-t", "lab/+/x", "-C", str(count), "-W", "60", "-F", "MSG %t %q %p"],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        lines = lab.Lines(process.stdout)
        self.assertIsNotNone(lines.wait_for(lambda text: "SUBACK" in text or "Subscribed" in text, 20), lines.text())
        return process, lines

    def test_mosquitto_exchanges_qos_0_and_1_in_both_versions(self):
        for version in ("mqttv311", "mqttv5"):
            for qos in (0, 1):
                with self.subTest(version=version, qos=qos):
                    process, lines = self.subscriber(version, qos, 3)
                    text = "".join(f"message {i}\n" for i in range(3))
                    done = subprocess.run(["mosquitto_pub", *self.tls_words(self.alice), "-V", version, "-i", "alice/pub", "-q",
                                           str(qos), "-t", "lab/room/x", "-l"], input=text, text=True, capture_output=True, timeout=60)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertEqual(process.wait(60), 0)
                    lines.wait_for(lambda text: False, 5)
                    got = [line for line in lines.all if line.startswith("MSG ")]
                    self.assertEqual(got, [f"MSG lab/room/x {qos} message {i}" for i in range(3)])

    def test_mosquitto_is_told_that_a_subscription_is_refused(self):
        done = subprocess.run(["mosquitto_sub", *self.tls_words(self.bob), "-V", "mqttv5", "-i", "bob/no", "-t", "d/#", "-W", "20"],
                              capture_output=True, text=True, timeout=60)
        self.assertIn("denied", (done.stdout + done.stderr).lower())

    def paho_client(self, folder, name, version, inbox=None):
        client = paho.Client(client_id=name, protocol=version)
        client.tls_set(str(folder / "ca.pem"), str(folder / "cert.pem"), str(folder / "key.pem"))
        ready = threading.Event()
        client.on_connect = lambda c, userdata, flags, code, *rest: ready.set() if code == 0 else None
        if inbox is not None:
            client.on_message = lambda c, userdata, message: inbox.put((message.topic, message.payload, message.qos))
        client.connect("localhost", self.hub.ports["mqtt"], keepalive=30)
        client.loop_start()
        self.addCleanup(client.loop_stop)
        self.addCleanup(client.disconnect)
        self.assertTrue(ready.wait(20), "paho did not connect")
        return client

    def test_paho_exchanges_qos_0_and_1_in_both_versions(self):
        for version in (paho.MQTTv311, paho.MQTTv5):
            inbox, subscribed = queue.Queue(), threading.Event()
            bob = self.paho_client(self.bob, "bob/paho", version, inbox)
            bob.on_subscribe = lambda *_: subscribed.set()
            bob.subscribe("lab/#", 1)
            self.assertTrue(subscribed.wait(20))
            alice = self.paho_client(self.alice, "alice/paho", version)
            for qos in (0, 1):
                for i in range(20):
                    info = alice.publish(f"lab/paho/{qos}", json.dumps({"n": i}), qos)
                    if qos:
                        info.wait_for_publish(20)
                for i in range(20):
                    self.assertEqual(inbox.get(timeout=20), (f"lab/paho/{qos}", json.dumps({"n": i}).encode(), qos))


if __name__ == "__main__":
    unittest.main()
