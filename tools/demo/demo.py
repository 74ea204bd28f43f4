"""The journey, shown: a hub in a fresh directory, a camera that plays a film of real pedestrians, and the phone
page that is told of a person. `make demo` runs it; `make demo ONCE=1` runs it headless and prints one JSON line.

Every hop's time is read off the parts themselves: the camera's own lines, the notification's trace as the hub
recorded it, and the moment the event stream delivered it here. All clocks are this machine's."""

import argparse
import json
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))
import lab  # noqa: E402
import update  # noqa: E402

DEVICE = "front-door"
KEY = "tpm2:0x81000010"

# (hop's name, the moment that ends it): each starts where the one before it ended. Order is the journey's.
MOMENTS = [
    ("motion", "motion_at_ms", "the camera sees motion"),
    ("event", "event_received_ms", "the event reaches the hub"),
    ("durable", "event_durable_ms", "the event is on the hub's disk"),
    ("upload", "clip_first_byte_ms", "the clip's first bytes reach the hub"),
    ("analysis", "analysis_first_frame_ms", "the analysis decodes the first frame"),
    ("person", "person_found_ms", "the analysis is sure of a person"),
    ("notify", "notification_durable_ms", "the notification is on the hub's disk"),
    ("phone", "phone_ms", "the phone's page has it"),
]


class HopFailed(Exception):
    """The journey stopped: `hop` names where, `text` says what was seen."""

    def __init__(self, hop, text):
        super().__init__(f"{hop}: {text}")
        self.hop = hop


def say(text=""):
    print(text, file=sys.stderr, flush=True)


def hops_of(trace):
    """Milliseconds of each hop, in the journey's order; a hop whose moment is unknown is left out."""
    hops, before = {}, trace["motion_at_ms"]
    for name, key, _ in MOMENTS[1:]:
        if trace.get(key):
            hops[name + "_ms"] = trace[key] - before
            before = trace[key]
    return hops


def show(trace):
    start = trace["motion_at_ms"]
    for _, key, text in MOMENTS:
        if trace.get(key):
            say(f"  {trace[key] - start:6d} ms  {text}")


def wait_for_person(hub, camera, stream, seconds):
    """The person notification, or HopFailed with the first hop that did not happen."""
    found = stream.next("person", seconds)
    if found:
        return found
    seen = {record.get("hop") for record in camera.records()}
    ended = camera.process.poll()
    if ended not in (None, 0):
        raise HopFailed("camera", f"the camera ended with {ended}: {' / '.join(camera.err.all[-3:])}")
    for hop, text in (("motion", "the camera saw no motion"),
                      ("event-published", "the camera published no event"),
                      ("event-acknowledged", "the hub did not acknowledge the event"),
                      ("clip-first-byte", "no clip byte was sent")):
        if hop not in seen:
            raise HopFailed(hop, text)
    if not any("analysis" in line for line in hub.log.all):
        raise HopFailed("analysis", "the analyst did not report on the clip")
    raise HopFailed("notification", f"no person was notified within {seconds} s")


def clip_hash(person, event_id, seconds):
    """The finished clip's SHA-256 as the hub recorded it; waits for the upload to end."""
    deadline = time.monotonic() + seconds
    stream = person.stream()
    try:
        while True:
            clip = person.must("GET", f"/api/v1/events/{event_id}")["clip"]
            if clip and clip["state"] == "complete":
                return clip["sha256"]
            left = deadline - time.monotonic()
            if left <= 0 or stream.next("clip", left) is None:
                raise HopFailed("clip", f"the clip was not complete within {seconds} s")
    finally:
        stream.close()


def enrol(hub, tpm):
    """The camera's folder. With a TPM the key is made there and stays there; the hub sees a request."""
    if not tpm:
        return hub.device(DEVICE)
    made = hub.top / "camera"
    done = subprocess.run([lab.program("porchlight-device"), str(made), "make-key", KEY, "--tpm", tpm.tcti],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise lab.LabError(f"the camera's key was not made: {done.stderr.strip()}")
    say(f"The camera's private key is in a TPM ({KEY}); its folder holds none.")
    return hub.device(DEVICE, csr=made / "request.pem", key=KEY, tpm=tpm.tcti)


def journey(hub, video, tpm, seconds=60):
    """Owner, camera, motion, person, notification; returns the result that ONCE prints."""
    person = hub.person().become_owner()
    folder = enrol(hub, tpm)
    stream = person.stream()
    camera = lab.Camera(folder, video)
    try:
        data, arrived_ms, _ = wait_for_person(hub, camera, stream, seconds)
        trace = dict(data["notification"]["trace"], phone_ms=arrived_ms)
        if not trace.get("motion_at_ms"):
            raise HopFailed("notification", "the notification carries no capture time")
        show(trace)
        return {
            "notification": "person",
            "device": data["notification"]["device"],
            "motion_to_notification_ms": arrived_ms - trace["motion_at_ms"],
            "hops": hops_of(trace),
            "key": "tpm" if tpm else "file",
            "clip_sha256": clip_hash(person, data["event"]["id"], 60),
        }
    finally:
        stream.close()
        camera.stop()


def act_update(hub, video, headless):
    """The second act (update.py); the same with eyes and without."""
    def hold():
        if headless:
            return
        say(f"\nLook at the devices page, https://localhost:{hub.ports['https']}/ (owner robin). Ctrl-C ends everything.")
        while hub.process.poll() is None:
            time.sleep(1)
    try:
        hub.init()
        hub.start()
        result = update.play(hub, video, hold)
        if headless:
            print(json.dumps(result), flush=True)
        return 0
    except (update.ActFailed, lab.LabError, OSError, KeyError, ValueError) as failed:
        say(f"demo: the update failed: {failed}")
    for line in (hub.log.all[-20:] if hub.log else []):
        say("  hub: " + line)
    return 1


def once(hub, video, tpm):
    stage = "init"
    try:
        hub.init()
        stage = "hub"
        hub.start()
        stage = "journey"
        print(json.dumps(journey(hub, video, tpm)), flush=True)
        return 0
    except HopFailed as failed:
        say(f"demo: the journey failed at hop '{failed.hop}': {failed}")
    except (lab.LabError, OSError, KeyError, ValueError) as failed:
        say(f"demo: the journey failed at hop '{stage}': {failed}")
    for line in (hub.log.all[-20:] if hub.log else []):
        say("  hub: " + line)
    return 1


def follow(hub, camera, done):
    """Prints the hops as they happen, until the camera ends."""
    shown = 0
    while not done() and camera.process.poll() is None:
        line = camera.out.wait_for(lambda text: True, 1, start=shown)
        if line is None:
            continue
        shown += 1
        try:
            record = json.loads(line)
        except ValueError:
            continue
        at = time.strftime("%H:%M:%S", time.localtime(record.get("at_ms", 0) / 1000))
        extra = f" ({record['bytes']} bytes, sha256 {record['sha256'][:16]}...)" if "sha256" in record else ""
        say(f"  {at}.{record.get('at_ms', 0) % 1000:03d}  camera  {record.get('hop')} {record.get('event', '')}{extra}")


def interactive(hub, video, tpm):
    def hub_line(text):
        if any(word in text for word in (" media.", " analysis.", " notify.", " accounts.", " warn ", " error ")):
            say("  hub: " + text)

    hub.init()
    hub.echo = hub_line
    hub.start()
    say(f"\nThe hub serves: mqtt {hub.ports['mqtt']}, devices {hub.ports['device']}, people {hub.ports['https']}.")
    say(f"Its directory: {hub.dir}\n")
    say(subprocess.run([lab.program("porchlight"), "-C", str(hub.dir), "setup-link"], capture_output=True, text=True,
                       check=False).stdout)
    say("Open the link in a browser on this machine, choose a name and a password, and scan the code with an\n"
        f"authenticator app. The browser must trust {hub.file('tls', 'web-ca.pem')} (or you accept it once).\n"
        "Then stay on the timeline: the camera at the front door plays real pedestrians. Ctrl-C ends everything.\n")
    camera = lab.Camera(enrol(hub, tpm), video, "--loop")
    stopped = []
    try:
        follow(hub, camera, lambda: bool(stopped))
        if camera.process.poll() not in (None, 0):
            say("demo: the camera ended: " + " / ".join(camera.err.all[-3:]))
            return 1
    finally:
        camera.stop()
    return 0


def main():
    parser = argparse.ArgumentParser(description="a camera, a hub and a phone page on this machine")
    parser.add_argument("--once", action="store_true", help="headless: wait for one notification, print one JSON line")
    parser.add_argument("--video", type=pathlib.Path, help="film to play (default: real pedestrians, vtest.avi)")
    parser.add_argument("--keep", type=pathlib.Path, help="make the hub below this folder and leave it there")
    parser.add_argument("--key", choices=("file", "tpm"), default="file", help="where the camera's private key lies; tpm: an emulated TPM")
    parser.add_argument("--act", choices=("person", "update"), default="person", help="update: releases that spread, and one that is rolled back")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    hub = tpm = None
    try:
        video = options.video or lab.videos() / "vtest.avi"
        hub = lab.Hub(options.keep)
        if options.act == "update":
            return act_update(hub, video, options.once)
        tpm = lab.Tpm().start() if options.key == "tpm" else None
        return once(hub, video, tpm) if options.once else interactive(hub, video, tpm)
    except KeyboardInterrupt:
        say("demo: ending")
        return 0
    except (lab.LabError, OSError) as failed:
        say(f"demo: {failed}")
        return 1
    finally:
        if hub:
            hub.remove()
        if tpm:
            tpm.remove()


if __name__ == "__main__":
    sys.exit(main())
