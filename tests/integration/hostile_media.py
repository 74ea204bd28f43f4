"""Clips that strangers may shape, for the analyst: a good one with bytes changed, and ones made to hurt a reader of its kind.
Everything follows from a seed. Run as a program it sends them through a hub (see `make sweep`); test_hostile_media.py sends
a few in `make test`."""

import argparse
import base64
import collections
import hashlib
import json
import random
import re
import struct
import sys
import time
import zlib

import case  # noqa: F401 (finds lab)
import lab
import mqtt

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf", b"mvex", b"edts", b"dinf"}


def box(kind, payload=b""):
    return struct.pack(">I", len(payload) + 8) + kind + payload


def full(kind, payload=b"", version=0, flags=0):
    return box(kind, struct.pack(">I", version << 24 | flags) + payload)


def boxes(data, start=0, end=None):
    """(place of the header, size, kind) of every box inside, containers opened."""
    end = len(data) if end is None else end
    at = start
    while at + 8 <= end:
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        if size < 8 or at + size > end:
            return
        yield at, size, kind
        if kind in CONTAINERS:
            yield from boxes(data, at + 8, at + size)
        at += size


# ---- a good clip, changed ----

def mutate(clip, rng):
    data = bytearray(clip)
    places = list(boxes(clip))
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        way = rng.randrange(8)
        if not data:
            break
        if way == 0:  # single bits
            for _ in range(rng.randint(1, 64)):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif way == 1:  # a box that lies about its size
            at = rng.choice(places)[0]
            data[at:at + 4] = struct.pack(">I", rng.choice((0, 1, 7, 8, 9, 0x7fffffff, 0xffffffff, rng.getrandbits(32))))
        elif way == 2:  # a field inside a header
            at, size, kind = rng.choice([p for p in places if p[2] != b"mdat"] or places)
            field = at + 8 + 4 * rng.randrange(max(1, min(size, 120) // 4))
            data[field:field + 4] = struct.pack(">I", rng.choice((0, 1, 0x7fffffff, 0x80000000, 0xffffffff, rng.getrandbits(32))))
        elif way == 3:  # cut short
            del data[rng.randrange(len(data)):]
        elif way == 4:  # a piece twice
            a, n = rng.randrange(len(data)), rng.randint(1, 60000)
            data[a:a] = data[a:a + n]
        elif way == 5:  # a piece away
            a = rng.randrange(len(data))
            del data[a:a + rng.randint(1, 2000)]
        elif way == 6:  # the pictures' own bytes
            pictures = [p for p in places if p[2] == b"mdat"] or places
            at, size, _ = rng.choice(pictures)
            for _ in range(rng.randint(1, 200)):
                where = at + 8 + rng.randrange(max(1, size - 8))
                if where < len(data):
                    data[where] = rng.randrange(256)
        else:  # another kind of box
            at = rng.choice(places)[0]
            data[at + 4:at + 8] = rng.choice((b"moov", b"moof", b"cmov", b"trun", b"uuid", b"free", b"meta", b"stsd", bytes(4)))
    return bytes(data)


# ---- made to hurt ----

class Bits:
    def __init__(self):
        self.text = ""

    def u(self, n, value):
        self.text += f"{value:0{n}b}"
        return self

    def ue(self, value):
        word = f"{value + 1:b}"
        self.text += "0" * (len(word) - 1) + word
        return self

    def se(self, value):
        return self.ue(2 * value - 1 if value > 0 else -2 * value)

    def bytes(self):
        text = self.text + "1"
        text += "0" * (-len(text) % 8)
        raw = int(text, 2).to_bytes(len(text) // 8, "big")
        return re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", raw)


def sps(width_mbs, height_mbs, refs=1, poc=2, profile=66, frame_num=0):
    b = Bits().u(8, profile).u(8, 0xc0).u(8, 51).ue(0).ue(frame_num).ue(poc)
    if poc == 0:
        b.ue(12)
    b.ue(refs).u(1, 1).ue(width_mbs - 1).ue(height_mbs - 1).u(1, 1).u(1, 1).u(1, 0).u(1, 0)
    return b"\x67" + b.bytes()


def pps(groups=0):
    return b"\x68" + Bits().ue(0).ue(0).u(1, 0).u(1, 0).ue(groups).ue(0).ue(0).u(1, 0).u(2, 0).se(0).se(0).se(0).u(1, 1).u(1, 0).u(1, 0).bytes()


def idr(number):
    return b"\x65" + Bits().ue(0).ue(7).ue(0).u(4, 0).ue(number % 2).u(1, 0).u(1, 0).se(0).ue(1).bytes()


def skipped(number, macroblocks):
    """A P slice in which every macroblock is skipped: a few bytes, a whole picture."""
    return b"\x61" + Bits().ue(0).ue(5).ue(0).u(4, number % 16).u(1, 0).u(1, 0).u(1, 0).se(0).ue(1).ue(macroblocks).bytes()


def avcc(sets=None, pictures=None, length_size=4, set_count=None):
    sets, pictures = sets or [sps(4, 4)], pictures or [pps()]
    out = bytes((1, 66, 0xc0, 51, 0xfc | length_size - 1, 0xe0 | (len(sets) if set_count is None else set_count)))
    out += b"".join(struct.pack(">H", len(s)) + s for s in sets) + bytes([len(pictures)])
    return box(b"avcC", out + b"".join(struct.pack(">H", len(p)) + p for p in pictures))


def entry(kind=b"avc1", width=64, height=64, config=None):
    return box(kind, bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">HH", width, height) +
               struct.pack(">III", 0x480000, 0x480000, 0) + struct.pack(">H", 1) + bytes(32) + struct.pack(">Hh", 24, -1) +
               (avcc() if config is None else config))


def movie(sample=None, timescale=1000, tables=b"", edits=b"", dref=None, width=64, height=64, handler=b"vide", tracks=1):
    sample = entry() if sample is None else sample
    dref = full(b"dref", struct.pack(">I", 1) + full(b"url ", flags=1)) if dref is None else dref
    empty = full(b"stts", bytes(4)) + full(b"stsc", bytes(4)) + full(b"stsz", bytes(8)) + full(b"stco", bytes(4))
    stbl = box(b"stbl", full(b"stsd", struct.pack(">I", 1) + sample) + (tables or empty))
    out = full(b"mvhd", struct.pack(">IIII", 0, 0, timescale, 0) + struct.pack(">IH", 0x10000, 0x100) + bytes(70) + struct.pack(">I", 2))
    for number in range(1, tracks + 1):
        minf = box(b"minf", full(b"vmhd", bytes(8), flags=1) + box(b"dinf", dref) + stbl)
        mdia = box(b"mdia", full(b"mdhd", struct.pack(">IIII", 0, 0, timescale, 0) + bytes(4)) + full(b"hdlr", bytes(4) + handler + bytes(13)) + minf)
        tkhd = full(b"tkhd", struct.pack(">IIIII", 0, 0, number, 0, 0) + bytes(52) + struct.pack(">II", width << 16, height << 16), flags=7)
        out += box(b"trak", tkhd + edits + mdia)
    out += box(b"mvex", b"".join(full(b"trex", struct.pack(">IIIII", n, 1, 40, 0, 0)) for n in range(1, tracks + 1)))
    return box(b"ftyp", b"iso5\0\0\0\1iso5avc1") + box(b"moov", out)


def fragment(number, samples, count=None, size=None, offset=None):
    table = b"".join(struct.pack(">I", len(s) if size is None else size) for s in samples)
    trun_bytes = 12 + 4 + 4 + len(table)
    traf = full(b"tfhd", struct.pack(">I", 1), flags=0x20000) + full(b"tfdt", struct.pack(">I", number * 1000))
    moof_bytes = 8 + 16 + 8 + len(traf) + trun_bytes
    trun = full(b"trun", struct.pack(">Ii", len(samples) if count is None else count, moof_bytes + 8 if offset is None else offset) + table, flags=0x201)
    return box(b"moof", full(b"mfhd", struct.pack(">I", number)) + box(b"traf", traf + trun)) + box(b"mdat", b"".join(samples))


def sample(*units):
    return b"".join(struct.pack(">I", len(u)) + u for u in units)


def nested(depth, kinds, rng):
    """Boxes in boxes; each says it goes to the end."""
    return b"".join(struct.pack(">I", 8 * (depth - i)) + rng.choice(kinds) for i in range(depth))


def sized_movie(width, height, frames, rng):
    w, h = (width + 15) // 16, (height + 15) // 16
    head = movie(entry(width=min(width, 65535), height=min(height, 65535), config=avcc([sps(w, h)])), width=min(width, 65535), height=min(height, 65535))
    first = [sample(idr(0))] + [sample(skipped(n, w * h)) for n in range(1, min(frames, 200))]
    return head + b"".join(fragment(n, first) for n in range(max(1, frames // 200)))


def crafted(number, rng):
    """(name, bytes) of the number-th of them; the kinds take turns."""
    big = 1 << rng.randrange(8, 17)
    kinds = [
        ("dimensions in the entry", lambda: movie(entry(width=65535, height=rng.choice((1, 65535)))) + fragment(0, [sample(idr(0))])),
        ("dimensions in the track", lambda: movie(width=65535, height=65535) + fragment(0, [sample(idr(0))])),
        ("dimensions in the sequence", lambda: sized_movie(rng.choice((8192, 16384, 65520, 1 << 20)), rng.choice((16, 8192, 65520)), 3, rng)),
        ("whole pictures of a few bytes", lambda: sized_movie(4096, 2304, rng.choice((400, 4000, 20000)), rng)),
        ("many small pictures", lambda: sized_movie(16, 16, rng.choice((5000, 50000)), rng)),
        ("more pictures than parameters allow", lambda: movie(entry(config=avcc([sps(16, 16, refs=16, poc=0, frame_num=12)] * 31, [pps()] * 255))) +
         fragment(0, [sample(*[idr(n) for n in range(300)])])),
        ("parameters that are cut", lambda: movie(entry(config=box(b"avcC", avcc()[8:8 + rng.randrange(40)]))) + fragment(0, [sample(idr(0))])),
        ("slice groups", lambda: movie(entry(config=avcc([sps(64, 64)], [pps(rng.choice((1, 7, 200)))]))) + fragment(0, [sample(idr(0))])),
        ("new sequences all the time", lambda: movie() + b"".join(fragment(n, [sample(sps(1 + n % 120, 1 + n % 70), pps(), idr(n))]) for n in range(500))),
        ("boxes in boxes", lambda: box(b"ftyp", b"iso5\0\0\0\1") + nested(rng.choice((50, 5000, 500000)), [b"moov", b"trak", b"mdia", b"moof", b"traf", b"udta", b"meta", b"edts"], rng)),
        ("boxes of no size", lambda: movie() + struct.pack(">I", rng.choice((0, 1, 2, 7))) + rng.choice((b"moof", b"mdat", b"free")) + struct.pack(">Q", rng.choice((0, 15, 1 << 62, (1 << 64) - 1)))),
        ("a run that never ends", lambda: movie() + fragment(0, [sample(idr(0))], count=rng.choice((0x7fffffff, 0xffffffff, 1 << 24)))),
        ("samples larger than the file", lambda: movie() + fragment(0, [sample(idr(0))] * 9, size=rng.choice((0x7fffffff, 0xffffffff, 1 << 28)))),
        ("samples elsewhere", lambda: movie() + fragment(0, [sample(idr(0))], offset=rng.choice((-0x80000000, 0x7fffffff, -8, 0)))),
        ("tables without end", lambda: movie(tables=full(b"stts", struct.pack(">I", 0xffffffff) + struct.pack(">II", 0xffffffff, 0) * 4) + full(b"stsc", struct.pack(">I", 0x0fffffff) + struct.pack(">III", 1, 0x7fffffff, 1)) +
                                             full(b"stsz", struct.pack(">II", rng.choice((0, 1)), 0x7fffffff)) + full(b"stco", struct.pack(">I", 0x3fffffff))) + fragment(0, [sample(idr(0))])),
        ("time that stands still", lambda: movie(timescale=rng.choice((0, 1, 0x7fffffff, 0xffffffff))) + b"".join(fragment(rng.choice((0, 4000000)), [sample(idr(0))]) for _ in range(50))),
        ("edits", lambda: movie(edits=box(b"edts", full(b"elst", struct.pack(">I", big) + struct.pack(">Iii", 0xffffffff, rng.choice((-1, 0x7fffffff)), 0x10000) * big))) + fragment(0, [sample(idr(0))])),
        ("a head that is a zip bomb", lambda: box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"moov", box(b"cmov", box(b"dcom", b"zlib") + box(b"cmvd", struct.pack(">I", rng.choice((0xffffffff, 1 << 30, 1 << 28))) + zlib.compress(bytes(1 << 24), 9))))),
        ("data of other files", lambda: movie(dref=full(b"dref", struct.pack(">I", 1) + full(b"url ", rng.choice((b"file:///etc/passwd\0", b"http://127.0.0.1/\0", b"/proc/self/mem\0"))))) + fragment(0, [sample(idr(0))])),
        ("aliases of other files", lambda: movie(dref=full(b"dref", struct.pack(">I", 1) + full(b"alis", bytes(10) + b"\5Macin" + bytes(400) + b"etc/passwd"))) + fragment(0, [sample(idr(0))])),
        ("other codecs", lambda: movie(entry(kind=rng.choice((b"hev1", b"av01", b"vp09", b"mp4v", b"jpeg", b"svq3", b"rle ", b"cvid", b"ap4h", b"dvc ")), width=4096, height=2304)) + fragment(0, [rng.randbytes(4000)])),
        ("other handlers", lambda: movie(handler=rng.choice((b"soun", b"text", b"tmcd", b"\0\0\0\0"))) + fragment(0, [sample(idr(0))])),
        ("many tracks", lambda: movie(tracks=rng.choice((2, 200, 5000))) + fragment(0, [sample(idr(0))])),
        ("playlists and lists", lambda: rng.choice((b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n", b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 9 RTP/AVP 96\n"))),
        ("other containers", lambda: rng.choice((b"RIFF\xff\xff\xff\x7fAVI LIST", b"\x1a\x45\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xff", b"FLV\1\5\0\0\0\x09", b"OggS\0\2", b"\x47" + bytes(187), b"\xff\xd8\xff\xe0", b"GIF89a\xff\xff\xff\xff")) + rng.randbytes(rng.choice((0, 200, 100000)))),
        ("hardly anything", lambda: rng.choice((b"\0", b"moov", bytes(1 << 20), box(b"ftyp"), movie(), rng.randbytes(50000)))),
        ("as long as a clip may be", lambda: (lambda one: movie(entry(config=avcc([sps(40, 30)]))) + one * (30_000_000 // len(one)))(fragment(0, [sample(idr(0))] + [sample(skipped(n, 1200)) for n in range(1, 200)]))),
    ]
    name, make = kinds[number % len(kinds)]
    return name, make()


# ---- through a hub ----

class Sender:
    """Uploads clips as one device and waits for the analyst's word on each."""

    def __init__(self, hub, name="front-door"):
        self.hub, self.name = hub, name
        self.folder = hub.device(name)
        self.context = hub.device_tls(self.folder)
        self.mqtt = mqtt.Client(hub, self.context)
        self.mqtt.connect(name, keep_alive=3600)
        self.sent = 0
        self.clips = {}

    def ask(self, method, path, body, **headers):
        names = {key.replace("_", "-"): value for key, value in headers.items()}
        return lab.request(self.hub.ports["device"], self.context, method, path, body, names)

    def send(self, what, data):
        """The clip's id."""
        event = {"v": 1, "id": f"hostile-{self.sent}", "kind": "motion", "at_ms": int(time.time() * 1000), "score": 0.5,
                 "box": [0.1, 0.2, 0.3, 0.4], "clip": True}
        self.sent += 1
        if self.mqtt.publish(f"d/{self.name}/event/motion", json.dumps(event), 1).reason != 0:
            raise lab.LabError("the event was refused")
        begun = self.ask("POST", "/api/v1/device/clips", b"", Porchlight_Event=event["id"], Upload_Complete="?0")
        path = begun.headers["Location"]
        digest = "sha-256=:" + base64.b64encode(hashlib.sha256(data).digest()).decode() + ":"
        done = self.ask("PATCH", path, data, Upload_Offset="0", Content_Type="application/partial-upload",
                        Upload_Complete="?1", Repr_Digest=digest)
        if done.status != 204:
            raise lab.LabError(f"the upload of '{what}' was answered {done.status}")
        clip = path.rsplit("/", 1)[1]
        self.clips[clip] = what
        return clip

    def word(self, clip, seconds=300):
        """The hub's log line that says how the clip's analysis ended."""
        return self.hub.log.wait_for(lambda line: f"clip={clip}" in line and ("analysis.done" in line or "analysis.failed" in line), seconds)


def good_clip(hub, device="garden"):
    """A whole clip of a real camera, as it was sent."""
    camera = lab.Camera(hub.device(device), lab.videos() / "vtest.avi", "--loop")
    try:
        line = camera.out.wait_for(lambda text: "clip-complete" in text, 240)
        if line is None:
            raise lab.LabError(f"the camera sent no clip: {camera.err.text()[-1000:]}")
    finally:
        camera.stop()
    person = hub.person().become_owner()
    sha = json.loads(line)["sha256"]
    for event in person.must("GET", "/api/v1/events?limit=200")["events"]:
        if event["clip"] and event["clip"].get("sha256") == sha:
            return person.ask("GET", event["clip"]["url"]).body
    raise lab.LabError("the camera's clip is not among the events")


def clips(base, mutated, made, seed):
    """(what it is, bytes), a pure function of the seed."""
    for i in range(mutated):
        yield f"mutated {i}", mutate(base, random.Random(f"{seed}-mutated-{i}"))
    for i in range(made):
        name, data = crafted(i, random.Random(f"{seed}-crafted-{i}"))
        yield f"crafted {i}: {name}", data


SETTINGS = {"media_make_index": "false", "media_analysis_cpu_s": 8, "media_analysis_wall_s": 30, "media_household_bytes": 100000000000,
            "broker_messages_s": 0, "broker_bytes_s": 0}


def run(hub, mutated, made, seed, ahead=8):
    """Sends them all. Returns a Counter of ends and deaths; raises LabError when one of the promises breaks."""
    before = hub.children()
    base = good_clip(hub)
    sender = Sender(hub)
    waiting = collections.deque()
    ends = collections.Counter()

    def settle(most):
        while len(waiting) > most:
            clip = waiting.popleft()
            line = sender.word(clip)
            if line is None:
                raise lab.LabError(f"nothing was said about '{sender.clips[clip]}'")
            ends["done" if "analysis.done" in line else "failed"] += 1

    for what, data in clips(base, mutated, made, seed):
        if data:
            waiting.append(sender.send(what, data))
        settle(ahead)
    settle(0)
    last = sender.word(sender.send("a good one behind them all", base))
    if last is None or "analysis.done" not in last:
        raise lab.LabError(f"a good clip was not analysed any more: {last}")
    after = hub.children()
    for role in ("hub", "analyst", "signer", "courier"):
        if before[role] != after[role]:
            raise lab.LabError(f"the {role} died on the way")
    health = lab.request(hub.ports["https"], hub.people_tls(), "GET", "/healthz")
    if health.status != 200:
        raise lab.LabError(f"the hub's health is {health.status}")
    for line in hub.log.all:
        if "analysis.child_died" in line:
            ends["died of signal " + re.search(r"signal=(\d+)", line).group(1)] += 1
    if ends["died of signal 31"]:
        raise lab.LabError("an analysis tried a system call that its sandbox does not have (SIGSYS)")
    return ends


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(":", 1)[0])
    parser.add_argument("--mutated", type=int, default=1000)
    parser.add_argument("--crafted", type=int, default=200)
    parser.add_argument("--seed", default=str(int(time.time())))
    options = parser.parse_args()
    print(f"hostile media: {options.mutated} mutated and {options.crafted} crafted clips, --seed {options.seed}", flush=True)
    hub = lab.Hub()
    try:
        hub.init()
        hub.set(**SETTINGS)
        hub.start()
        begun = time.monotonic()
        ends = run(hub, options.mutated, options.crafted, options.seed)
        print(f"hostile media: {dict(ends)}; hub, analyst, signer and courier as before; {time.monotonic() - begun:.0f} s")
    finally:
        hub.remove()


if __name__ == "__main__":
    sys.exit(main())
