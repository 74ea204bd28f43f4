"""MQTT under kill -9: publishers of QoS 1 and 2, a subscriber that comes and goes, and two members of a shared
subscription go on through crashes of the hub at random moments; every third time it is stopped in good order instead.
What was acknowledged must arrive: QoS 2 exactly once, QoS 1 and the shared work at least once. test_mqtt_crash.py runs
three; by hand:

    PORCHLIGHT_BUILD=build/release python3 tests/integration/mqtt_crash.py --crashes 200 [--seed N]
"""

import argparse
import os
import pathlib
import random
import signal
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "lab"))
import lab  # noqa: E402
import mqtt  # noqa: E402
from mqtt import DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL  # noqa: E402

LASTS = b"\x11" + struct.pack(">I", 3600)
GONE = (mqtt.Closed, OSError)


def ack(kind, packet_id):
    return mqtt.packet(kind, 2 if kind == PUBREL else 0, struct.pack(">H", packet_id))


class Peer(threading.Thread):
    """A client with a lasting session that connects again until it is told to stop."""

    def __init__(self, hub, folder, client_id):
        super().__init__(name=client_id, daemon=True)
        self.hub, self.folder, self.client_id = hub, folder, client_id
        self.over, self.wrong, self.connections = threading.Event(), None, 0

    def run(self):
        try:
            while not self.over.is_set():
                try:
                    with mqtt.Client(self.hub, self.hub.device_tls(self.folder), seconds=20) as self.client:
                        welcome = self.client.connect(self.client_id, clean=False, properties=LASTS)
                        if welcome.reason != 0:
                            raise mqtt.Closed(f"refused with {welcome.reason:#x}")
                        if self.connections > 0 and welcome.body[0] != 1:
                            raise AssertionError("the hub has forgotten the session")
                        self.connections += 1
                        self.talk()
                except GONE:
                    self.over.wait(0.02)
        except Exception as error:  # reported by the main thread
            self.wrong = f"{self.client_id}: {error!r}"


    def expect(self, kind):
        """The next packet, which is of that kind unless the hub says goodbye."""
        got = self.client.receive()
        if got.kind == DISCONNECT:
            raise mqtt.Closed("the hub says goodbye")
        if got.kind != kind:
            raise AssertionError(f"expected packet type {kind}, got {got.kind} with body {got.body.hex()}")
        return got


class Publisher(Peer):
    """One publication at a time: number N is QoS 2 when it is odd."""

    def __init__(self, *words, lane):
        super().__init__(*words)
        self.lane, self.next, self.released, self.acknowledged = lane, 0, False, set()

    def talk(self):
        again = True
        while not self.over.is_set():
            number, qos, packet_id = self.next, 1 + self.next % 2, 1 + self.next % 60000
            if not self.released:
                self.client.send(mqtt.publish(f"t/c/{self.lane}", f"{self.lane}:{number}", qos, packet_id, dup=again))
                got = self.expect(PUBACK if qos == 1 else PUBREC)
                if got.reason not in (0, 0x10):
                    raise mqtt.Closed(f"refused with {got.reason:#x}")
                self.acknowledged.add(number)
                self.released = qos == 2
            if self.released:
                self.client.send(ack(PUBREL, packet_id))
                self.expect(PUBCOMP)
            self.released, self.next, again = False, number + 1, False


class Subscriber(Peer):
    def __init__(self, *words, filters, dice):
        super().__init__(*words)
        self.filters, self.dice = filters, dice
        self.subscribed = threading.Event()
        self.known, self.ones, self.twos, self.steady = set(), set(), [], False

    def talk(self):
        if not self.subscribed.is_set():
            self.client.subscribe(*((name, qos) for name, qos in self.filters))
            self.subscribed.set()
        left = self.dice.randrange(20, 400)
        while not self.over.is_set() and (left > 0 or self.steady):
            got = self.client.receive()
            left -= 1
            if got.kind == PUBREL:
                (packet_id,) = struct.unpack_from(">H", got.body)
                self.known.discard(packet_id)
                self.client.send(ack(PUBCOMP, packet_id))
            elif got.kind == PUBLISH:
                self.take(got)

    def take(self, got):
        _, payload, qos, packet_id = got.publication()
        if qos == 1:
            self.ones.add(payload.decode())
            self.client.send(ack(PUBACK, packet_id))
        elif qos == 2:
            if packet_id not in self.known:
                self.known.add(packet_id)
                self.twos.append(payload.decode())
            self.client.send(ack(PUBREC, packet_id))


def check(peers):
    for peer in peers:
        if peer.wrong:
            raise AssertionError(peer.wrong)


def acknowledged(publishers):
    return sum(len(p.acknowledged) for p in publishers)


def until(holds, peers, what, seconds=120):
    """Waits; AssertionError with the sentence `what` when it takes too long, or with a peer's own."""
    end = time.monotonic() + seconds
    while not holds():
        check(peers)
        if time.monotonic() > end:
            raise AssertionError(what)
        time.sleep(0.002)


def check_arrived(everything, twos, subscriber, workers, peers):
    """AssertionError unless all that was acknowledged, QoS 2 in `twos`, arrives in the end."""
    def missing():
        return {"QoS 1": everything - twos - subscriber.ones, "QoS 2": twos - set(subscriber.twos),
                "shared": everything - set().union(*(w.ones for w in workers))}

    end = time.monotonic() + 120
    until(lambda: not any(missing().values()) or time.monotonic() > end, peers, "it takes too long", 180)
    for kind, items in missing().items():
        if items:
            raise AssertionError(f"{len(items)} acknowledged messages lost ({kind}), first {sorted(items)[:5]}")


def end(hub, in_good_order):
    """The hub ends and is there again."""
    if in_good_order:
        hub.stop()
        hub.start()
        return
    start = len(hub.out.all)
    os.kill(hub.children()["hub"], signal.SIGKILL)
    hub.wait_ready(start=start)


def crashes(count, seed, tell=lambda line: None):
    """Runs it; returns figures, or raises AssertionError that names what was lost or given twice."""
    dice = random.Random(seed)
    hub = lab.Hub()
    try:
        hub.init()
        hub.set(supervisor_restart_most_ms=200)  # it dies more often than a hub does
        hub.start()
        folder = hub.service("app", allow=["publish,subscribe:t/#"])
        subscriber = Subscriber(hub, folder, "app/s", filters=[("t/c/#", 2)], dice=random.Random(seed + 1))
        workers = [Subscriber(hub, folder, f"app/w{i}", filters=[("$share/w/t/c/#", 1)], dice=random.Random(seed + 2 + i))
                   for i in range(2)]
        publishers = [Publisher(hub, folder, f"app/p{i}", lane=i) for i in range(3)]
        peers = [subscriber, *workers, *publishers]
        for peer in (subscriber, *workers):
            peer.start()
            if not peer.subscribed.wait(30):
                raise AssertionError(f"{peer.client_id} could not subscribe")
        for peer in publishers:
            peer.start()
        for n in range(count):
            target = acknowledged(publishers) + dice.randrange(1, 300)
            until(lambda target=target: acknowledged(publishers) >= target, peers, "nothing is acknowledged any more", 60)
            in_good_order = n % 3 == 2
            end(hub, in_good_order)
            tell(f"{'stop' if in_good_order else 'crash'} {n + 1} of {count}: {target} acknowledged")
        for peer in publishers:
            peer.over.set()
        for peer in publishers:
            peer.join(60)
        everything = {f"{p.lane}:{n}" for p in publishers for n in p.acknowledged}
        twos = {item for item in everything if int(item.split(":")[1]) % 2 == 1}
        for peer in (subscriber, *workers):
            peer.steady = True
        check_arrived(everything, twos, subscriber, workers, peers)
        twice = len(subscriber.twos) - len(set(subscriber.twos))
        if twice:
            raise AssertionError(f"{twice} QoS 2 messages came twice")
        for peer in (subscriber, *workers):
            peer.over.set()
        return {"crashes": count, "seed": seed, "acknowledged": len(everything), "qos2": len(twos), "lost": 0, "twice": 0,
                "connections": sum(p.connections for p in peers)}
    finally:
        hub.remove()


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--crashes", type=int, default=200)
    words.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    given = words.parse_args()
    print(f"mqtt crashes: seed {given.seed}", flush=True)
    try:
        print(crashes(given.crashes, given.seed, lambda line: print(line, flush=True)))
    except AssertionError as wrong:
        print(f"mqtt crashes: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
