"""The same tour by clients that we did not write: QoS 0, 1 and 2, retained messages, a will, a shared subscription, and a session
that goes on. Python's and C's paho and mosquitto's tools, each in MQTT 3.1.1 and 5.0 (MQTT.js: tests/e2e/mqttjs.test.mjs)."""

import os
import pathlib
import queue
import shutil
import subprocess
import threading
import unittest

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

import case
import lab

PATIENCE = 60


class Tour:
    """The tour in the words of a client; each kind of client fills in `open`, whose result can `subscribe`, `publish`, `get`
    (the next message as (topic, qos, retained, payload)), `leave` with a goodbye and `die` without; `present` says whether the
    hub had its session (None: the client does not tell)."""

    versions = (4, 5)

    def tour(self, step):
        for version in self.versions:
            with self.subTest(version=version):
                step(version)

    def test_every_quality(self):
        def step(v):
            bob, alice = self.open("bob", f"q{v}", v), self.open("alice", f"q{v}", v)
            bob.subscribe(f"lab/q{v}/#", 2)
            for i in range(5):
                for qos in (0, 1, 2):
                    alice.publish(f"lab/q{v}/{qos}", qos, f"{i}")
            got = [bob.get() for _ in range(15)]
            for qos in (0, 1, 2):  # in their order, each once
                self.assertEqual([m for m in got if m[1] == qos], [(f"lab/q{v}/{qos}", qos, False, f"{i}") for i in range(5)])
            alice.leave(), bob.leave()
        self.tour(step)

    def test_retained_messages(self):
        def step(v):
            alice, topic = self.open("alice", f"r{v}", v), f"lab/r{v}"
            for text in ("old", "new"):
                alice.publish(topic, 1, text, retain=True)
            bob = self.open("bob", f"r{v}", v)
            bob.subscribe(topic, 1)
            self.assertEqual(bob.get(), (topic, 1, True, "new"))
            alice.publish(topic, 1, "", retain=True)
            self.assertEqual(bob.get(), (topic, 1, False, ""))
            bob.leave()
            late = self.open("bob", f"late{v}", v)
            late.subscribe(topic, 1)
            alice.publish(topic, 1, "only this")
            self.assertEqual(late.get(), (topic, 1, False, "only this"))
            alice.leave(), late.leave()
        self.tour(step)

    def test_a_will(self):
        def step(v):
            bob = self.open("bob", f"w{v}", v)
            bob.subscribe("lab/will", 1)
            for dies in (False, True):
                client = self.open("alice", f"w{v}", v, will=True)
                client.die() if dies else client.leave()
            self.assertEqual(bob.get(), ("lab/will", 1, False, "gone"))
            speaker = self.open("alice", f"s{v}", v)
            speaker.publish("lab/will", 1, "end")
            self.assertEqual(bob.get(), ("lab/will", 1, False, "end"))  # there was one will
            speaker.leave(), bob.leave()
        self.tour(step)

    def test_a_shared_subscription(self):
        def step(v):
            members = [self.open("bob", f"m{i}-{v}", v) for i in range(2)]
            for member in members:
                member.subscribe(f"$share/crew/lab/s{v}/#", 1)
            alice = self.open("alice", f"s{v}", v)
            for i in range(10):
                alice.publish(f"lab/s{v}/work", 1, f"{i}")
            parts = [[member.get()[3] for _ in range(5)] for member in members]
            self.assertEqual(sorted(parts[0] + parts[1]), [f"{i}" for i in range(10)])
            alice.leave(), [member.leave() for member in members]
        self.tour(step)

    def test_a_session_goes_on(self):
        def step(v):
            bob = self.open("bob", f"l{v}", v, lasts=True)
            self.assertIn(bob.present, (False, None))
            bob.subscribe(f"lab/l{v}", 2)
            bob.die()
            alice = self.open("alice", f"l{v}", v)
            for qos in (1, 2):
                alice.publish(f"lab/l{v}", qos, f"{qos}")
            bob = self.open("bob", f"l{v}", v, lasts=True)
            self.assertIn(bob.present, (True, None))
            self.assertEqual([bob.get(), bob.get()], [(f"lab/l{v}", qos, False, f"{qos}") for qos in (1, 2)])
            alice.publish(f"lab/l{v}", 1, "live")
            self.assertEqual(bob.get()[3], "live")
            alice.leave(), bob.leave()
        self.tour(step)


class Base(case.HubCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folders = {name: cls.hub.service(name, allow=["publish,subscribe:lab/#"]) for name in ("alice", "bob")}


class PythonPahoClient:
    transport, door = "tcp", "mqtt"

    def __init__(self, test, who, name, version, lasts=False, will=False):
        folder, self.inbox, ready, self.acks = test.folders[who], queue.Queue(), threading.Event(), queue.Queue()
        clean = {} if version == 5 else {"clean_session": not lasts}
        self.client = paho.Client(client_id=f"{who}/{name}", protocol=paho.MQTTv5 if version == 5 else paho.MQTTv311,
                                  transport=self.transport, **clean)
        if self.transport == "websockets":
            self.client.ws_set_options(path="/mqtt")
        self.client.tls_set(str(folder / "ca.pem"), str(folder / "cert.pem"), str(folder / "key.pem"))
        if will:
            self.client.will_set("lab/will", "gone", 1)

        def connected(client, userdata, flags, code, *rest):
            self.present = bool(flags["session present"])
            ready.set()
        self.client.on_connect = connected
        self.client.on_subscribe = lambda client, userdata, mid, codes, *rest: self.acks.put(codes)
        self.client.on_message = lambda c, userdata, m: self.inbox.put((m.topic, m.qos, bool(m.retain), m.payload.decode()))
        options = {}
        if version == 5:
            options = {"clean_start": not lasts, "properties": Properties(PacketTypes.CONNECT)}
            if lasts:
                options["properties"].SessionExpiryInterval = 3600
        self.client.connect("localhost", test.hub.ports[self.door], keepalive=30, **options)
        self.client.loop_start()
        test.addCleanup(self.client.loop_stop)
        test.assertTrue(ready.wait(PATIENCE), "paho did not connect")

    def subscribe(self, topic, qos):
        self.client.subscribe(topic, qos)
        granted = self.acks.get(timeout=PATIENCE)[0]
        if getattr(granted, "value", granted) != qos:
            raise AssertionError(f"granted {granted}")

    def publish(self, topic, qos, text, retain=False):
        self.client.publish(topic, text, qos, retain).wait_for_publish(PATIENCE)

    def get(self):
        return self.inbox.get(timeout=PATIENCE)

    def leave(self):
        self.client.disconnect()
        self.client.loop_stop()

    def die(self):
        self.client.loop_stop()
        self.client.socket().close()


class PythonPahoWebSocketClient(PythonPahoClient):
    transport, door = "websockets", "device"

    def die(self):  # the socket beneath the frames: no close frame and no DISCONNECT
        self.client.loop_stop()
        self.client.socket()._socket.close()


class PythonPaho(Tour, Base):
    def open(self, *words, **options):
        return PythonPahoClient(self, *words, **options)


class PythonPahoOverWebSocket(Tour, Base):
    def open(self, *words, **options):
        return PythonPahoWebSocketClient(self, *words, **options)


class Process:
    """A client that is a process and prints a line `TOPIC QOS RETAINED PAYLOAD` for each message."""

    def __init__(self, test, words):
        direct = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}  # C's paho would take it, even if empty
        self.process = subprocess.Popen([str(word) for word in words], env=direct, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.test = test
        for end in (self.process.stdout.close, self.process.stdin.close, self.process.wait, self.process.kill):
            test.addCleanup(end)
        self.lines, self.read = lab.Lines(self.process.stdout), 0

    def line(self, begins):
        """The next line that begins so."""
        seen = []

        def ours(text):
            if text.startswith(begins):
                seen.append(text)
            return len(seen) > self.read
        self.lines.wait_for(ours, PATIENCE)
        found = [text for text in self.lines.all if text.startswith(begins)]
        self.test.assertGreater(len(found), self.read, self.lines.text())
        self.read += 1
        return found[self.read - 1]

    def get(self):
        topic, qos, retained, *payload = self.line("lab/").split(" ", 3)
        return topic, int(qos), retained == "1", payload[0] if payload else ""

    def ended(self):
        code = self.process.wait(PATIENCE)
        self.test.assertEqual(code, 0, self.lines.text())

    def die(self):
        self.process.kill()
        self.process.wait()


class CPahoClient(Process):
    """A process that does what it is told, line by line; see paho_tour.c."""

    def __init__(self, test, who, name, version, lasts=False, will=False):
        flags = ("l" if lasts else "") + ("w" if will else "") or "-"
        super().__init__(test, [test.tool, test.folders[who], test.hub.ports["mqtt"], f"{who}/{name}", version, flags])
        found = self.lines.wait_for(lambda text: text.startswith("present "), PATIENCE)
        test.assertIsNotNone(found, self.lines.text())
        self.present, self.done = {"1": True, "0": False}.get(found.strip()[-1]), 0

    def order(self, *words):
        self.process.stdin.write(("\t".join(str(word) for word in words) + "\n").encode())
        self.process.stdin.flush()
        self.done += 1
        self.test.assertIsNotNone(self.lines.wait_for(lambda text: text.strip() == f"done {self.done}", PATIENCE), self.lines.text())

    def subscribe(self, topic, qos):
        self.order("sub", topic, qos)

    def publish(self, topic, qos, text, retain=False):
        self.order("pub", topic, qos, int(retain), text)

    def get(self):
        self.order("get")
        return super().get()

    def leave(self):
        self.order("bye")
        self.process.stdin.close()
        self.ended()


class CPaho(Tour, Base):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        source = pathlib.Path(__file__).with_name("paho_tour.c")
        cls.tool = cls.hub.top / "paho_tour"
        subprocess.run([shutil.which("cc") or "gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", cls.tool, source, "-lpaho-mqtt3cs"], check=True)

    def open(self, *words, **options):
        return CPahoClient(self, *words, **options)


class MosquittoClient:
    """mosquitto_sub for what listens, mosquitto_pub for each word. It connects when it has something to do."""

    def __init__(self, test, who, name, version, lasts=False, will=False):
        folder = test.folders[who]
        self.test, self.lasts, self.process = test, lasts, None
        self.words = ["-h", "localhost", "-p", test.hub.ports["mqtt"], "--cafile", folder / "ca.pem", "--cert", folder / "cert.pem",
                      "--key", folder / "key.pem", "-V", "mqttv5" if version == 5 else "mqttv311", "-i", f"{who}/{name}"]
        self.keeps = (["-c", "-x", "3600"] if version == 5 else ["-c"]) if lasts else []
        self.will = ["--will-topic", "lab/will", "--will-payload", "gone", "--will-qos", "1"] if will else []
        self.known = (who, name, version) in test.lasting
        self.present = self.known
        if self.known:  # it goes on with the subscription that it has
            self.listen(*test.lasting[who, name, version])
        elif lasts:
            self.key = (who, name, version)
        self.farewell = f"lab/farewell/{who}/{name}" if will else None
        if will:  # mosquitto_sub says goodbye when it has had its one message
            self.listen(self.farewell, 0, "-C", 1)

    def listen(self, topic, qos, *more):
        self.process = Process(self.test, ["stdbuf", "-oL", "mosquitto_sub", "-d", *self.words, *self.keeps, *self.will, "-q", qos, "-t", topic,
                                           "-F", "%t %q %r %p", *more])
        self.test.assertIsNotNone(self.process.lines.wait_for(lambda text: "SUBACK" in text or "Subscribed" in text, PATIENCE), self.process.lines.text())

    def subscribe(self, topic, qos):
        if self.lasts:
            self.test.lasting[self.key] = (topic, qos)
        self.listen(topic, qos)

    def publish(self, topic, qos, text, retain=False):
        words = ["mosquitto_pub", *self.words, "-q", qos, "-t", topic, *(["-r"] if retain else []), *(["-m", text] if text else ["-n"])]
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=PATIENCE)
        self.test.assertEqual(done.returncode, 0, done.stderr)

    def get(self):
        return self.process.get()

    def leave(self):
        if self.farewell is not None:
            MosquittoClient(self.test, "bob", "farewell", 5).publish(self.farewell, 0, "go")
            self.process.ended()
        elif self.process is not None:
            self.process.die()

    def die(self):
        self.process.die()


class Mosquitto(Tour, Base):
    def open(self, *words, **options):
        return MosquittoClient(self, *words, **options)

    def setUp(self):
        super().setUp()
        self.lasting = {}


if __name__ == "__main__":
    unittest.main()
