"""The second act: a product team signs releases where no hub has the keys, and two cameras follow.

Version 2 is signed for one of the two cameras at first, and for both after some seconds of their own powered-on time; each takes it as a
delta into its other slot, films, and keeps it. Version 3 cannot film: the first camera finds that out itself, runs version 2 again, and the
hub ends the rollout before the other one has tried it."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))
import lab  # noqa: E402

CAMERAS = ("front-door", "garden")
PASSPHRASE = "demo: twelve or more"
PATIENCE_S = 180
DWELL_S = 12


class ActFailed(Exception):
    pass


def say(text=""):
    print(text, file=sys.stderr, flush=True)


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ActFailed(f"{' '.join(str(word) for word in words[:4])}: {done.stderr.strip()}")
    return done.stdout


class Slotted:
    """A camera with power: porchlight-launch is started again whenever the program ends, as a service manager does it."""

    def __init__(self, name, folder, slots, video):
        self.name, self.folder, self.slots, self.video = name, folder, slots, video
        self.on, self.process, self.states, self.changed = True, None, [], threading.Condition()
        self.complaints = []
        self.thread = threading.Thread(target=self._power, daemon=True)
        self.thread.start()

    def _power(self):
        while self.on:
            self.process = subprocess.Popen([lab.program("porchlight-launch"), self.slots, "--", self.folder, "--source", self.video, "--loop", "--json",
                                             "--slots", self.slots, "--hardware", "rev-a"],
                                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
            threading.Thread(target=self._complain, args=(self.process.stderr,), daemon=True).start()
            for line in self.process.stdout:
                self._hear(line)
            self.process.wait()
            time.sleep(0.2)  # what a service manager waits before it starts a program again

    def _complain(self, pipe):
        self.complaints.extend(line.strip() for line in pipe)

    def _hear(self, line):
        try:
            said = json.loads(line)
        except ValueError:
            return
        if said.get("hop") != "update":
            return
        say(f"  {self.name:10} {said['state']:12} {said['version'] or said['running']}  (runs {said['running']})")
        with self.changed:
            self.states.append(said)
            self.changed.notify_all()

    def wait(self, state, version, seconds=PATIENCE_S):
        def there():
            return next((each for each in self.states if each["state"] == state and each["version"] == version), None)
        with self.changed:
            if not self.changed.wait_for(lambda: there() is not None, seconds):
                raise ActFailed(f"{self.name} did not come to '{state}' with version {version}: {self.states[-3:]} {' / '.join(self.complaints[-5:])}")
            return there()

    def reached(self, state, version):
        with self.changed:
            return any(each["state"] == state and each["version"] == version for each in self.states)

    def stop(self):
        self.on = False
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.thread.join(30)


class Team:
    """`porchlight ota` on a folder that no hub can read."""

    def __init__(self, hub):
        self.hub, self.folder, self.secret = hub, hub.top / "fleet", hub.top / "passphrase"
        self.secret.write_text(PASSPHRASE + "\n")
        self.secret.chmod(0o600)
        keys = hub.top / "online.json"
        hub.cli("ota", "keys", "--out", keys, json_output=False)
        self.ota("init", "--product", "camera", "--online-keys", keys)

    def ota(self, command, *words):
        return run(lab.program("porchlight"), "ota", command, self.folder, *words, "--passphrase-file", self.secret)

    def release(self, version, image, *words):
        self.ota("release", "--product", "camera", "--version", version, "--image", image, "--hardware", "rev-a", *words)
        self.hub.cli("ota", "publish", self.folder, json_output=False)
        return hashlib.sha256(pathlib.Path(image).read_bytes()).hexdigest()


def cohort(name, image_sha256):
    """As each device computes it for itself: below the share, it is its turn."""
    first = hashlib.sha256(name.encode() + bytes.fromhex(image_sha256)).digest()[:4]
    return int.from_bytes(first, "big") * 10000 >> 32


def image(number):
    name = {1: "porchlight-camera", 2: "porchlight-camera-2", 3: "porchlight-camera-3"}[number]
    where = pathlib.Path(lab.program("porchlight-camera")).parent
    path = where / name if number == 1 else where.parent / "demo" / name
    if not path.is_file():
        raise ActFailed(f"{path} is not built; run make demo ACT=update")
    return path


def stages(sha256):
    """(first camera, the other one, words for `release`): the first stage reaches one of the two."""
    first, other = sorted(CAMERAS, key=lambda name: cohort(name, sha256))
    share = max(1, cohort(first, sha256) + 1)
    return first, other, ["--stage", f"{share}:{DWELL_S}s", "--stage", "10000"]


class Act:
    def __init__(self, hub, video):
        self.hub, self.video = hub, video
        self.person = hub.person().become_owner()
        self.team = Team(hub)
        self.cameras = {}

    def set_up(self):
        """Both cameras run version 1 from a slot, as they left the factory."""
        first = self.team.release("1.0", image(1))
        for name in CAMERAS:
            folder = self.hub.device(name)
            shutil.copy(self.team.folder / "repository/metadata/1.root.json", folder / "update-root.json")
            slots = self.hub.top / f"slots-{name}"
            slots.mkdir()
            run(lab.program("porchlight-launch"), slots, "init", "--image", image(1), "--counter", 1)
            self.cameras[name] = Slotted(name, folder, slots, self.video)
        self.shown({name: "1.0" for name in CAMERAS})
        return first

    def shown(self, wanted, seconds=60):
        """Waits until the app's list of devices shows these versions."""
        until = time.monotonic() + seconds
        while True:
            listed = self.person.must("GET", "/api/v1/devices")["devices"]
            running = {each["id"]: (each.get("update") or {}).get("running") for each in listed}
            if all(running.get(name) == version for name, version in wanted.items()):
                return
            if time.monotonic() > until:
                raise ActFailed(f"the app shows {running}, not {wanted}")
            time.sleep(0.5)

    def rollout(self, version, number):
        """The hub asks one of the two first; the next stage needs the first one's success."""
        low, high = sorted(cohort(name, hashlib.sha256(image(number).read_bytes()).hexdigest()) for name in CAMERAS)
        return self.hub.cli("ota", "rollout", "start", "--product", "camera", "--version", version, "--stages", f"{(low + high) / 200:.2f},100",
                            "--attempts", 1)["id"]

    def rollout_state(self, wanted, number, seconds=60):
        until = time.monotonic() + seconds
        while True:
            found = next(each for each in self.hub.cli("ota", "rollout", "status")["rollouts"] if each["id"] == number)
            if found["state"] == wanted:
                return found
            if time.monotonic() > until:
                raise ActFailed(f"rollout {number} is {found['state']} and not {wanted}: {found}")
            time.sleep(0.5)

    def spread(self):
        """Version 2, in two signed stages."""
        sha256 = hashlib.sha256(image(2).read_bytes()).hexdigest()
        first, other, words = stages(sha256)
        say(f"\nVersion 2.0 is signed: {first} first, {other} after {DWELL_S} s of its own powered-on time.")
        self.team.release("2.0", image(2), *words, "--severity", "high")
        delta = next((self.team.folder / "repository/targets/camera/2.0").glob("*.delta-from-*")).stat().st_size
        whole = image(2).stat().st_size
        say(f"Its delta from version 1.0 has {delta:,} bytes, the image {whole:,}.")
        began = time.monotonic()
        number = self.rollout("2.0", 2)
        took = {}
        for name in (first, other):
            self.cameras[name].wait("good", "2.0")
            took[name] = round(time.monotonic() - began, 1)
        if took[other] < DWELL_S:
            raise ActFailed(f"{other} did not wait for its stage: {took}")
        self.shown({name: "2.0" for name in CAMERAS})
        self.rollout_state("done", number)
        fetched = {name: self.fetched(name) for name in CAMERAS}
        if max(fetched.values()) >= whole:
            raise ActFailed(f"a camera fetched as much as the whole image: {fetched}")
        return {"first": first, "seconds": took, "delta_bytes": delta, "image_bytes": whole, "fetched_bytes": fetched}

    def fetched(self, name):
        """Bytes that the camera has fetched for its update, metadata and all, as the app tells."""
        listed = self.person.must("GET", "/api/v1/devices")["devices"]
        return next(each["update"]["bytes"] for each in listed if each["id"] == name)

    def breaks(self):
        """Version 3 cannot film; nobody needs to notice."""
        say("\nVersion 3.0 is signed for everybody. It cannot film.")
        self.team.release("3.0", image(3))
        number = self.rollout("3.0", 3)
        ended = self.rollout_state("aborted", number, PATIENCE_S)
        tried = [name for name in CAMERAS if self.cameras[name].reached("trial", "3.0")]
        if len(tried) != 1:
            raise ActFailed(f"{tried} tried version 3.0; one should have")
        back = self.cameras[tried[0]].wait("rolled-back", "3.0")
        self.shown({name: "2.0" for name in CAMERAS})
        reason = next(each["reason"] for each in self.hub.cli("ota", "history", tried[0])["history"] if each["state"] == "rolled-back")
        say(f"{tried[0]} runs 2.0 again: {reason}\nThe rollout ended by itself: {ended['why']}")
        return {"tried": tried[0], "runs": "2.0", "state": back["state"], "reason": reason, "why": ended["why"]}

    def close(self):
        for camera in self.cameras.values():
            camera.stop()


def play(hub, video, hold=None):
    act = Act(hub, video)
    try:
        act.set_up()
        result = {"act": "update", "spread": act.spread(), "broken": act.breaks()}
        if hold:
            hold()
        return result
    finally:
        act.close()
