"""A hub for hours in minutes: thousands of connections that come, use everything that the broker has, and go in good or bad
order, beside people's and devices' HTTP. Prints the hub's memory for each quarter.

    PORCHLIGHT_BUILD=build/release python3 tests/integration/soak.py --minutes 20 [--connections 5000] [--seed N]
    PORCHLIGHT_BUILD=build/asan    python3 tests/integration/soak.py --minutes 1 --connections 300 --leaks

Ends with 1 when the memory of the last quarter is more than 2 % above the second's (from 10 minutes on), when the hub died or a
client saw what must not be, or, with --leaks, when AddressSanitizer finds at the hub's end what nobody freed.
"""

import argparse
import asyncio
import json
import os
import pathlib
import random
import re
import resource
import ssl
import statistics
import struct
import sys
import time

import case  # noqa: F401 (finds lab)
import lab
import mqtt
from mqtt import packet

SESSIONS_EACH = 40  # of one service; broker.sessions is above
STREET = 3  # services that share topics: what one says to all reaches hundreds, and not everybody
CONNECTS_A_SECOND = 50  # lives are so long that this many begin in a second, whatever the number of connections
HANDSHAKES_AT_ONCE = 16
GONE = (OSError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.TimeoutError, mqtt.Closed, EOFError)
EXPIRY, ALIASES, SUBSCRIPTION_ID, MESSAGE_EXPIRY, ALIAS = 0x11, 0x22, 0x0B, 0x02, 0x23


def number(identifier, value, size):
    return bytes([identifier]) + value.to_bytes(size, "big")


def memory_of(pid):
    """What is the process's own, in KiB: proportional set size without files, whose share rises when another program that has the
    same library open goes away."""
    own = 0
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
            own += int(line.split()[1])
    if own == 0:
        raise lab.LabError("no memory is told")
    return own


class Wire:
    """One MQTT 5.0 connection of an asyncio loop."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def send(self, raw):
        self.writer.write(raw)

    async def receive(self, seconds=60):
        head = await asyncio.wait_for(self.reader.readexactly(2), seconds)
        raw = head[1:]
        while raw[-1] & 0x80:
            raw += await self.reader.readexactly(1)
        length, _ = mqtt.read_varint(raw)
        return mqtt.Packet(head[0] >> 4, head[0] & 15, await self.reader.readexactly(length), 5)

    def answer(self, got):
        """What a good client answers; True when it was something that asks for an answer."""
        if got.kind == mqtt.PUBLISH:
            _, _, qos, packet_id = got.publication()
            if qos == 1:
                self.send(packet(mqtt.PUBACK, 0, struct.pack(">H", packet_id)))
            elif qos == 2:
                self.send(packet(mqtt.PUBREC, 0, struct.pack(">H", packet_id)))
            return True
        if got.kind == mqtt.PUBREL:
            self.send(packet(mqtt.PUBCOMP, 0, got.body[:2]))
            return True
        return False

    async def until(self, kind):
        while True:
            got = await self.receive()
            if not self.answer(got):
                if got.kind == kind:
                    return got
                if got.kind == mqtt.DISCONNECT:
                    raise mqtt.Closed(f"disconnected with {got.reason:#x}")

    def cut(self):
        self.writer.transport.abort()


class Soak:
    def __init__(self, hub, services, dice, connections):
        self.hub, self.services, self.dice, self.connections = hub, services, dice, connections
        self.gate = asyncio.Semaphore(HANDSHAKES_AT_ONCE)
        self.over, self.open = asyncio.Event(), 0
        self.count = dict.fromkeys(("connections", "resumed", "published", "received", "taken_over", "cut", "wrong"), 0)
        self.contexts = [hub.device_tls(folder) for _, folder in services]

    async def connect(self, which, client_id, lasting, dice):
        name, _ = self.services[which]
        will = None
        if dice.random() < 0.3:
            will = {"topic": f"soak/{name}/will", "payload": "gone", "qos": dice.randrange(3), "retain": dice.random() < 0.3}
        properties = (number(EXPIRY, 120, 4) if lasting else b"") + number(ALIASES, 8, 2)
        async with self.gate:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(
                "127.0.0.1", self.hub.ports["mqtt"], ssl=self.contexts[which], server_hostname="localhost",
                local_addr=(f"127.0.0.{2 + which % 40}", 0)), 60)
            wire = Wire(reader, writer)
            try:
                wire.send(mqtt.connect(client_id, clean=not lasting, keep_alive=300, properties=properties, will=will))
                welcome = await wire.receive()
            except BaseException:
                wire.cut()
                raise
        if welcome.reason != 0:
            wire.cut()
            raise mqtt.Closed(f"refused with {welcome.reason:#x}")
        self.count["connections"] += 1
        self.count["resumed"] += welcome.body[0]
        return wire

    async def talk(self, wire, which, dice):
        """A life: subscriptions of each kind, publications of each kind, a while of listening."""
        name, street = self.services[which][0], f"soak/all/{which // STREET}"
        filters = dice.sample([f"soak/{name}/#", f"soak/{name}/+", f"{street}/news", f"$share/g{dice.randrange(4)}/{street}/work",
                               f"soak/{name}/will", f"{street}/+"], dice.randrange(1, 4))
        properties = bytes([SUBSCRIPTION_ID]) + mqtt.varint(dice.randrange(1, 300)) if dice.random() < 0.5 else b""
        wire.send(mqtt.subscribe([(text, dice.randrange(3)) for text in filters], 1, properties=properties))
        await wire.until(mqtt.SUBACK)
        for turn in range(dice.randrange(1, 8)):
            qos, size = dice.randrange(3), dice.choice((0, 20, 200, 3000))
            topic, = dice.choices((f"soak/{name}/a", f"soak/{name}/{dice.randrange(20)}", f"{street}/news", f"{street}/work"), (8, 8, 1, 2))
            more = number(MESSAGE_EXPIRY, dice.randrange(1, 60), 4) if dice.random() < 0.3 else b""
            if qos == 0 and dice.random() < 0.4:
                more += number(ALIAS, dice.randrange(1, 8), 2)
            retain = topic.startswith(f"soak/{name}/") and dice.random() < 0.2
            payload = "" if retain and dice.random() < 0.5 else "x" * size
            wire.send(mqtt.publish(topic, payload, qos, 10 + turn, retain=retain, properties=more))
            self.count["published"] += 1
            if qos == 1:
                await wire.until(mqtt.PUBACK)
            elif qos == 2:
                if (await wire.until(mqtt.PUBREC)).reason < 0x80:
                    wire.send(packet(mqtt.PUBREL, 2, struct.pack(">H", 10 + turn)))
                    await wire.until(mqtt.PUBCOMP)
        if dice.random() < 0.3:
            wire.send(packet(mqtt.UNSUBSCRIBE, 2, struct.pack(">H", 2) + b"\0" + mqtt.text(filters[0])))
            await wire.until(mqtt.UNSUBACK)
        end = time.monotonic() + dice.expovariate(CONNECTS_A_SECOND / self.connections)
        while time.monotonic() < end and not self.over.is_set():
            try:
                if wire.answer(await wire.receive(max(0.05, end - time.monotonic()))):
                    self.count["received"] += 1
            except asyncio.TimeoutError:
                break

    async def one(self, place, dice):
        """One place among the connections: a client after the other."""
        which = place % len(self.services)
        name = self.services[which][0]
        client_id = f"{name}/{place // len(self.services)}"
        while not self.over.is_set():
            wire = None
            try:
                wire = await self.connect(which, client_id, dice.random() < 0.5, dice)
                self.open += 1
                try:
                    await self.talk(wire, which, dice)
                finally:
                    self.open -= 1
                end = dice.random()
                if end < 0.2:
                    wire.cut()
                    self.count["cut"] += 1
                elif end < 0.3:  # another takes the session over
                    other = await self.connect(which, client_id, True, dice)
                    self.count["taken_over"] += 1
                    other.cut()
                else:
                    wire.send(packet(mqtt.DISCONNECT, 0, b"\4\0" if dice.random() < 0.3 else b""))
                    await wire.writer.drain()
            except GONE:
                await asyncio.sleep(0.1 + dice.random())
            except Exception as wrong:  # told at the end
                self.count["wrong"] += 1
                print(f"soak: {client_id}: {wrong!r}", file=sys.stderr, flush=True)
            finally:
                if wire is not None:
                    wire.cut()

    def http(self, person):
        """A glance of a person and one of Prometheus; on a thread."""
        for path in ("/api/v1/devices", "/api/v1/events", "/api/v1/household", "/"):
            person.ask("GET", path)
        lab.request(self.hub.ports["device"], self.hub.device_tls(self.services[0][1]), "GET", "/metrics")

    async def glances(self, person):
        while not self.over.is_set():
            await asyncio.get_running_loop().run_in_executor(None, self.http, person)
            await asyncio.sleep(1)

    async def run(self, seconds, person, tell):
        pid = self.hub.children()["hub"]
        seeds = [self.dice.randrange(1 << 30) for _ in range(self.connections)]
        tasks = [asyncio.create_task(self.one(place, random.Random(seed))) for place, seed in enumerate(seeds)]
        tasks.append(asyncio.create_task(self.glances(person)))
        ready = time.monotonic() + 300
        while self.open < self.connections * 0.6 and time.monotonic() < ready:
            await asyncio.sleep(0.2)
        tell(f"{self.open} of {self.connections} connections are open; the clock starts")
        samples, begin = [], time.monotonic()
        while time.monotonic() - begin < seconds:
            await asyncio.sleep(1)
            samples.append(memory_of(pid))
            if len(samples) % 60 == 0:
                tell(f"{len(samples)} s: {samples[-1]} KiB, {self.open} open, {json.dumps(self.count)}")
        self.over.set()
        await asyncio.wait(tasks, timeout=60)
        if self.hub.children().get("hub") != pid:
            raise AssertionError("the hub was restarted")
        return samples


def quarters(samples):
    size = max(1, len(samples) // 4)
    return [round(statistics.median(samples[i * size:(i + 1) * size] or samples[-1:])) for i in range(4)]


def soak(minutes, connections, seed, leaks=False, tell=print):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    hub = lab.Hub()
    if leaks:
        hub.environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:disable_coredump=1:exitcode=77")
    try:
        hub.init()
        hub.set(signer_service_issues_per_minute=100000)  # all the services come into being at once
        hub.start(120)
        person = hub.person().become_owner()
        services = []
        for i in range(max(1, -(-connections // SESSIONS_EACH))):
            name = f"s{i}"
            allow = [f"publish,subscribe:soak/{name}/#", "publish,subscribe:soak/all/#"] + (["read:metrics"] if i == 0 else [])
            services.append((name, hub.service(name, allow=allow)))
        work = None

        async def all_of_it():
            nonlocal work
            work = Soak(hub, services, random.Random(seed), connections)
            return await work.run(minutes * 60, person, tell)
        samples = asyncio.run(all_of_it())
        code = hub.stop(120)
        found = quarters(samples)
        figures = {"minutes": minutes, "connections": connections, "seed": seed, "hub_kib_by_quarter": found,
                   "last_over_second": round(found[3] / found[1], 4), **work.count}
        if leaks:
            leak = [line for line in hub.log.all if re.search(r"LeakSanitizer|SUMMARY: AddressSanitizer", line)]
            figures["leaks"] = leak
            if leak:
                raise AssertionError(f"{json.dumps(figures)}\n" + "\n".join(hub.log.all[-60:]))
        if code != 0 or work.count["wrong"] > 0:
            raise AssertionError(f"the hub ended with {code}: {json.dumps(figures)}")
        if minutes >= 10 and found[3] > found[1] * 1.02:
            raise AssertionError(f"memory grows: {json.dumps(figures)}")
        return figures
    finally:
        hub.remove()


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--minutes", type=float, default=20)
    words.add_argument("--connections", type=int, default=5000)
    words.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    words.add_argument("--leaks", action="store_true", help="for a build with AddressSanitizer: what is not freed at the end is told")
    given = words.parse_args()
    try:
        print(json.dumps(soak(given.minutes, given.connections, given.seed, given.leaks, lambda line: print(f"soak: {line}", flush=True))))
    except AssertionError as wrong:
        print(f"soak: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
