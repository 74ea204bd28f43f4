"""MQTT while the disk fails: publishers of QoS 1 and 2, one of retained messages, a subscriber that comes and goes, and two
members of a shared subscription go on while the disk is full, or while nothing can be made lasting (fsync fails), again and again
at random moments. Refusals are clear (0x97, or 0x80 for fsync, in PUBACK, PUBREC, CONNACK or, where none of these is due, DISCONNECT), what was acknowledged arrives, QoS 2 exactly once,
and the hub goes on by itself when the disk does; every third time it is killed as well. test_mqtt_disk.py runs a few; by hand:

    PORCHLIGHT_BUILD=build/release python3 tests/integration/mqtt_disk.py --faults 100 [--kind full|fsync] [--seed N]
"""

import argparse
import collections
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import mqtt_crash
from mqtt_crash import ack, acknowledged, check_arrived, lab, mqtt, until

KINDS = ("full", "fsync")
# What a client may be told while the disk fails: a full one is a quota, one that cannot make lasting "unspecified" (the log says).
REFUSALS = {"full": {0x97}, "fsync": {0x97, 0x80}}
DISK_BYTES = 96 << 20


class Publisher(mqtt_crash.Publisher):
    """As in mqtt_crash, but a refusal is an answer: the number is sent anew, as a publication of its own."""

    def __init__(self, *words, lane, allowed, retain=False):
        super().__init__(*words, lane=lane)
        self.allowed, self.retain, self.refusals = allowed, retain, collections.Counter()

    def topic(self):
        return f"t/r/{self.lane}" if self.retain else f"t/c/{self.lane}"

    def answer(self, kind):
        """The packet of that kind; the end of the connection, told with its reason, is a refusal, too."""
        got = self.client.receive()
        if got.kind == mqtt.DISCONNECT:
            self.refused(got.reason)
            raise mqtt.Closed(f"ended with {got.reason:#x}")
        if got.kind != kind:
            raise AssertionError(f"expected packet type {kind}, got {got.kind}")
        return got

    def refused(self, reason):
        self.refusals[reason] += 1
        if reason not in self.allowed:
            raise AssertionError(f"refused with {reason:#x}")

    def talk(self):
        again = True
        while not self.over.is_set():
            number, qos, packet_id = self.next, 1 + self.next % 2, 1 + self.next % 60000
            if not self.released:
                self.client.send(mqtt.publish(self.topic(), f"{self.lane}:{number}", qos, packet_id, dup=again, retain=self.retain))
                got = self.answer(mqtt.PUBACK if qos == 1 else mqtt.PUBREC)
                if got.reason >= 0x80:
                    self.refused(got.reason)
                    again = False
                    self.over.wait(0.02)
                    continue
                self.acknowledged.add(number)
                self.released = qos == 2
            if self.released:
                self.client.send(ack(mqtt.PUBREL, packet_id))
                self.answer(mqtt.PUBCOMP)
            self.released, self.next, again = False, number + 1, False


class FullDisk:
    """The hub's directory on a small file system of its own, and a file that takes what is left of it."""

    def __init__(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-disk-"))
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", str(self.top)], capture_output=True, text=True)
        if done.returncode != 0:
            self.top.rmdir()
            raise PermissionError(f"no small file system can be mounted here: {done.stderr.strip()}")
        self.filler = self.top / "filler"

    wrapper = ()

    def fail(self):
        with open(self.filler, "wb") as filler:
            while True:  # what the hub frees meanwhile is taken, too
                left = os.statvfs(self.top)
                if left.f_bavail == 0:
                    return
                try:
                    filler.write(bytes(left.f_bavail * left.f_frsize))
                    filler.flush()
                except OSError:
                    return

    def mend(self):
        self.filler.unlink(missing_ok=True)

    def remove(self):
        subprocess.run(["umount", "-l", str(self.top)], check=False, capture_output=True)
        self.top.rmdir()


class FailingSync:
    def __init__(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-sync-"))
        self.switch, shim = self.top / "switch", self.top / "shim.so"
        self.switch.write_bytes(bytes(1))
        source = pathlib.Path(__file__).with_name("sync_shim.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(shim), str(source)], check=True)
        preload = [str(shim)]
        if b"libasan" in subprocess.run(["ldd", lab.program("porchlightd")], capture_output=True).stdout:
            preload.insert(0, subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip())
        self.wrapper = ["env", f"LD_PRELOAD={' '.join(preload)}", f"PORCH_TEST_SYNC={self.switch}"]

    def set(self, byte):
        with open(self.switch, "r+b") as switch:
            switch.write(bytes([byte]))

    def fail(self):
        self.set(1)

    def mend(self):
        self.set(0)

    def remove(self):
        subprocess.run(["rm", "-rf", str(self.top)], check=False)


def one_fault(hub, disk, publishers, peers, dice, kill):
    target = acknowledged(publishers) + dice.randrange(1, 300)
    until(lambda: acknowledged(publishers) >= target, peers, "nothing is acknowledged any more")
    before = sum(sum(p.refusals.values()) for p in publishers)
    disk.fail()
    until(lambda: sum(sum(p.refusals.values()) for p in publishers) > before + 2, peers, "the disk fails and nobody is refused")
    disk.mend()
    if kill:
        start = len(hub.out.all)
        os.kill(hub.children()["hub"], signal.SIGKILL)
        hub.wait_ready(start=start)
    target = acknowledged(publishers) + 20
    until(lambda: acknowledged(publishers) >= target, peers, "the disk is well again and the hub does not go on")


def check_retained(hub, folder, publisher):
    with mqtt.Client(hub, hub.device_tls(folder), seconds=60) as client:
        client.connect("app/look")
        client.subscribe((publisher.topic(), 0))
        kept = int(client.expect(mqtt.PUBLISH).publication()[1].decode().split(":")[1])
    if not max(publisher.acknowledged) <= kept <= publisher.next:
        raise AssertionError(f"retained is {kept}, the last acknowledged {max(publisher.acknowledged)}")


def faults(kind, count, seed, tell=lambda line: None):
    """Runs it; returns figures, or raises AssertionError that names what was lost or given twice."""
    dice = random.Random(seed)
    disk = FullDisk() if kind == "full" else FailingSync()
    hub = lab.Hub(disk.top / "lab")
    try:
        hub.top.mkdir()
        hub.init()
        hub.set(supervisor_restart_most_ms=200)  # it dies more often than a hub does
        hub.start(wrapper=disk.wrapper)
        folder = hub.service("app", allow=["publish,subscribe:t/#"])
        subscriber = mqtt_crash.Subscriber(hub, folder, "app/s", filters=[("t/c/#", 2)], dice=random.Random(seed + 1))
        workers = [mqtt_crash.Subscriber(hub, folder, f"app/w{i}", filters=[("$share/w/t/c/#", 1)], dice=random.Random(seed + 2 + i))
                   for i in range(2)]
        publishers = [Publisher(hub, folder, f"app/p{i}", lane=i, allowed=REFUSALS[kind]) for i in range(3)]
        keeper = Publisher(hub, folder, "app/k", lane=9, allowed=REFUSALS[kind], retain=True)
        peers = [subscriber, *workers, *publishers, keeper]
        for peer in (subscriber, *workers):
            peer.start()
            if not peer.subscribed.wait(60):
                raise AssertionError(f"{peer.client_id} could not subscribe")
        for peer in (*publishers, keeper):
            peer.start()
        for n in range(count):
            one_fault(hub, disk, publishers, peers, dice, n % 3 == 2)
            tell(f"{kind} {n + 1} of {count}: {acknowledged(publishers)} acknowledged, "
                 f"{sum(sum(p.refusals.values()) for p in publishers)} refused")
        for peer in (*publishers, keeper):
            peer.over.set()
        for peer in (*publishers, keeper):
            peer.join(60)
        everything = {f"{p.lane}:{n}" for p in publishers for n in p.acknowledged}
        twos = {item for item in everything if int(item.split(":")[1]) % 2 == 1}
        for peer in (subscriber, *workers):
            peer.steady = True
        check_arrived(everything, twos, subscriber, workers, peers)
        twice = len(subscriber.twos) - len(set(subscriber.twos))
        if twice:
            raise AssertionError(f"{twice} QoS 2 messages came twice")
        check_retained(hub, folder, keeper)
        for peer in (subscriber, *workers):
            peer.over.set()
        refusals = sum((p.refusals for p in (*publishers, keeper)), collections.Counter())
        return {"kind": kind, "faults": count, "kills": count // 3, "seed": seed, "acknowledged": len(everything), "qos2": len(twos),
                "refused": {f"{code:#x}": n for code, n in refusals.items()}, "lost": 0, "twice": 0}
    finally:
        disk.mend()
        for peer in locals().get("peers", ()):
            peer.over.set()
        try:
            hub.stop()
        finally:
            disk.remove()


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--faults", type=int, default=100)
    words.add_argument("--kind", choices=KINDS, action="append")
    words.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    given = words.parse_args()
    print(f"mqtt disk: seed {given.seed}", flush=True)
    try:
        for kind in given.kind or KINDS:
            print(faults(kind, given.faults, given.seed, lambda line: print(line, flush=True)))
    except (AssertionError, PermissionError) as wrong:
        print(f"mqtt disk: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
