"""porchlight-rauc, and the SDK's updater over it, against a real RAUC: its service on a message bus of the test's own, bundles that it mounts
and verifies, slots that are files, and a boot loader of a few lines of shell, which the test restarts as a device would."""

import hashlib
import json
import os
import pathlib
import shutil
import re
import subprocess
import tempfile
import time
import unittest

import case  # noqa: F401 (finds lab)
import lab
import test_update_agent

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={top}/bus</listen><auth>EXTERNAL</auth><policy context="default"><allow user="*"/><allow own="*"/>
<allow send_type="method_call"/><allow send_type="signal"/><allow send_type="method_return"/><allow send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="signal"/><allow receive_type="method_return"/><allow receive_type="error"/></policy></busconfig>
"""
# GRUB and U-Boot: a slot has so many starts until it is marked good; a start takes one, and none left is "bad", also of the slot that runs.
BOOT = """#!/bin/sh
case "$1" in
get-primary) cat {top}/boot/primary;;
set-primary) echo "$2" > {top}/boot/primary; echo {starts} > {top}/boot/left.$2;;
get-state) [ $(cat {top}/boot/left.$2) -gt 0 ] && echo good || echo bad;;
set-state) [ $3 = good ] && echo {starts} > {top}/boot/left.$2 || echo 0 > {top}/boot/left.$2;;
esac
"""
# EFI: what RAUC installs is started once, by BootNext, and is good when it stands in BootOrder.
EFI = """#!/bin/sh
case "$1" in
get-primary) cat {top}/boot/next {top}/boot/order | head -n 1;;
set-primary) echo "$2" > {top}/boot/next;;
get-state) grep -q $2 {top}/boot/order && echo good || echo bad;;
set-state) grep -v $2 {top}/boot/order > {top}/boot/rest
    ([ $3 = bad ] || echo $2; cat {top}/boot/rest) > {top}/boot/order;;
esac
"""
SYSTEM = """[system]
compatible=camera
bootloader=custom
mountprefix={top}/mnt
statusfile={top}/status.raucs
bundle-formats=plain verity
[handlers]
bootloader-custom-backend={top}/boot.sh
[keyring]
path={top}/team.pem
[slot.rootfs.0]
device={top}/slot.A
type=raw
bootname=A
[slot.rootfs.1]
device={top}/slot.B
type=raw
bootname=B
"""


needs_rauc = unittest.skipUnless(os.geteuid() == 0 and os.path.exists("/dev/loop-control"), "RAUC mounts bundles: root and loop devices")


class Slots:
    """Two slots that RAUC keeps, their boot loader, and porchlight-rauc's folder beside them; for a test case that has a folder `top`."""

    more = ()  # words for each call of porchlight-rauc
    loader, starts = BOOT, 1  # as GRUB

    def lay_out(self):
        self.record, self.service = self.top / "folder", None
        for name in ("folder", "mnt", "boot"):
            (self.top / name).mkdir()
        for name, text in (("bus.conf", BUS), ("boot.sh", self.loader), ("system.conf", SYSTEM)):
            (self.top / name).write_text(text.format(top=self.top, starts=self.starts))
        (self.top / "boot.sh").chmod(0o755)
        for name, text in (("primary", "A\n"), ("next", ""), ("order", "A\n"), ("left.A", self.starts), ("left.B", 0)):
            (self.top / "boot" / name).write_text(str(text))
        for slot in "AB":
            (self.top / f"slot.{slot}").write_bytes(bytes(2 << 20))
        self.team, self.stranger = self.signer("team"), self.signer("stranger")
        bus = subprocess.Popen(["dbus-daemon", f"--config-file={self.top / 'bus.conf'}", "--nofork", "--nopidfile", "--print-address"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
        self.addCleanup(bus.stdout.close)
        self.addCleanup(bus.wait)
        self.addCleanup(bus.terminate)
        self.bus = f"unix:path={self.top / 'bus'}"
        self.assertIn(b"unix:", bus.stdout.readline())
        self.env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.bus}
        self.addCleanup(self.off)
        self.restart()
        self.first = self.bundle(1)
        self.ok("init", "--bundle", self.first, "--counter", 1)
        self.assertEqual(self.ok("booted"), "good")

    def signer(self, name):
        """(certificate, key) of somebody who signs bundles."""
        out = self.top / f"{name}.pem", self.top / f"{name}.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", out[1], "-out", out[0],
                        "-subj", f"/CN={name}", "-days", "30", "-addext", "extendedKeyUsage=emailProtection"], check=True, capture_output=True)
        return out

    def bundle(self, version, signer=None):
        content, path = self.top / f"content-{version}", self.top / f"{version}.raucb"
        content.mkdir(exist_ok=True)
        (content / "rootfs.img").write_bytes(f"version {version} ".encode() * 50_000)
        (content / "manifest.raucm").write_text(f"[update]\ncompatible=camera\nversion={version}\n[bundle]\nformat=plain\n[image.rootfs]\nfilename=rootfs.img\n")
        certificate, key = signer or self.team
        path.unlink(missing_ok=True)
        subprocess.run(["rauc", "--cert", certificate, "--key", key, "bundle", content, path], check=True, capture_output=True)
        return path

    def off(self):
        if self.service is not None:
            self.service.terminate()
            self.service.wait(60)
            self.service = None

    def start(self, slot):
        """The device starts that slot."""
        self.off()
        log = (self.top / "rauc.log").open("ab")
        self.service = subprocess.Popen(["rauc", "--conf", self.top / "system.conf", f"--override-boot-slot={slot}", "service"], env=self.env, cwd="/", stdout=log,
                                        stderr=log)
        log.close()
        until = time.monotonic() + 60
        while subprocess.run(["rauc", "status"], env=self.env, capture_output=True).returncode != 0:
            self.assertTrue(self.service.poll() is None and time.monotonic() < until, (self.top / "rauc.log").read_text())
            time.sleep(0.05)  # until the service has its name on the bus

    def restart(self):
        """The boot loader: the primary slot, if it may be started."""
        boot = self.top / "boot"
        if self.loader is EFI:
            slot = ((boot / "next").read_text() + (boot / "order").read_text())[0]
            (boot / "next").write_text("")
        else:
            slot = (boot / "primary").read_text().strip()
            if int((boot / f"left.{slot}").read_text()) == 0:
                slot = {"A": "B", "B": "A"}[slot]
            left = int((boot / f"left.{slot}").read_text())
            (boot / f"left.{slot}").write_text(str(max(left - 1, 0)))
        self.start(slot)
        return slot

    def run_tool(self, *words):
        done = subprocess.run([lab.program("porchlight-rauc"), self.record, *map(str, words), "--bus", self.bus, *self.more], capture_output=True, text=True, timeout=120)
        self.assertNotIn("Sanitizer", done.stderr)
        return done

    def ok(self, *words):
        done = self.run_tool(*words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def install(self, bundle, counter):
        return self.run_tool("install", "--bundle", os.path.relpath(bundle), "--counter", counter, "--sha256", hashlib.sha256(bundle.read_bytes()).hexdigest())

    def status(self):
        return json.loads(self.ok("status"))


@needs_rauc
class Rauc(Slots, unittest.TestCase):
    def setUp(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-rauc-"))
        self.addCleanup(shutil.rmtree, self.top)
        self.lay_out()

    def lay_out_anew(self, loader, starts):
        self.off()
        self.loader, self.starts, self.top = loader, starts, self.top / "anew"
        self.top.mkdir()
        self.lay_out()

    def test_an_update_is_tried_confirmed_and_stays(self):
        done = self.install(self.bundle(2), 2)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((self.top / "slot.B").read_bytes().startswith(b"version 2 version 2 "))
        self.assertEqual(self.status()["other"], "staged")
        self.assertEqual((self.restart(), self.ok("booted")), ("B", "trial"))
        self.assertEqual(self.status()["floor"], 1)
        self.ok("confirm")
        self.assertEqual((self.restart(), self.ok("booted")), ("B", "good"))
        said = self.status()
        self.assertEqual((said["active"], said["booted"], said["floor"], said["other"]), (1, 1, 2, "old"))
        # also an ordinary start, of which RAUC still says "bad"
        self.assertEqual((self.restart(), self.ok("booted"), self.status()["active"]), ("B", "good", 1))
        # nothing below the floor reaches RAUC any more
        done = self.install(self.first, 1)
        self.assertEqual(done.returncode, 1)
        self.assertIn("below this device's floor 2", done.stderr)
        self.assertNotIn(b"version 1", (self.top / "slot.A").read_bytes()[:100])

    def test_what_finds_itself_unhealthy_and_what_the_boot_loader_gives_up_is_rolled_back(self):
        self.assertEqual(self.install(self.bundle(2), 2).returncode, 0)
        self.assertEqual((self.restart(), self.ok("booted")), ("B", "trial"))
        self.ok("reject")
        self.assertEqual((self.restart(), self.ok("booted")), ("A", "good"))
        self.assertEqual((self.status()["other"], self.status()["floor"]), ("rolled back", 1))
        self.assertEqual(self.install(self.bundle(3), 3).returncode, 0)
        self.restart()  # its boot loader tries the other one, in vain: it does not come so far as to be asked
        self.assertEqual((self.restart(), self.ok("booted")), ("A", "good"))
        self.assertEqual((self.status()["other"], self.status()["floor"]), ("rolled back", 1))

    def test_a_trial_that_never_confirms_is_over_after_its_tries(self):
        self.lay_out_anew(BOOT, 100)  # of a boot loader that does not count
        self.assertEqual(self.install(self.bundle(2), 2).returncode, 0)
        for _ in range(3):
            self.assertEqual((self.restart(), self.ok("booted")), ("B", "trial"))
        self.restart()
        done = self.run_tool("booted")
        self.assertEqual(done.returncode, 3)
        self.assertIn("rootfs.0 must run and rootfs.1 does: start the device again", done.stderr)
        self.assertEqual((self.restart(), self.ok("booted")), ("A", "good"))

    def test_a_boot_loader_that_counts_gives_up_by_itself(self):
        for starts in (1, 3):
            self.lay_out_anew(BOOT, starts)
            self.assertEqual(self.ok("booted"), "good")
            self.assertEqual(self.install(self.bundle(2), 2).returncode, 0)
            for _ in range(starts):
                self.assertEqual((self.restart(), self.ok("booted")), ("B", "trial"))
            self.assertEqual((self.restart(), self.ok("booted")), ("A", "good"))
            self.assertEqual((self.status()["other"], self.status()["floor"]), ("rolled back", 1))

    def test_what_efi_starts_once_is_tried_confirmed_and_stays(self):
        self.lay_out_anew(EFI, 1)
        self.assertEqual(self.install(self.bundle(2), 2).returncode, 0)
        self.assertEqual((self.restart(), self.ok("booted")), ("B", "trial"))
        self.ok("confirm")
        self.assertEqual((self.restart(), self.ok("booted")), ("B", "good"))
        self.assertEqual(self.install(self.bundle(3), 3).returncode, 0)
        self.assertEqual((self.restart(), self.ok("booted")), ("A", "trial"))
        self.assertEqual((self.restart(), self.ok("booted")), ("B", "good"))  # it was never confirmed
        self.assertEqual((self.status()["active"], self.status()["other"]), (1, "rolled back"))

    def test_a_bundle_of_strangers_and_one_that_was_not_announced_change_nothing(self):
        stranger = self.bundle(66, self.stranger)
        done = self.install(stranger, 2)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "RAUC: .*(signature|certificate)")
        good = self.bundle(2)
        done = self.run_tool("install", "--bundle", good, "--counter", 2, "--sha256", "ab" * 32)
        self.assertIn("has not the hash that was signed", done.stderr)
        self.assertEqual((self.restart(), self.ok("booted"), self.status()["active"]), ("A", "good", 0))
        self.assertEqual(self.install(good, 2).returncode, 0)
        self.assertEqual((self.restart(), self.ok("booted")), ("B", "trial"))


class RaucBox(test_update_agent.Box):
    """A device with power: its boot loader chooses a slot, `porchlight-rauc booted` counts the start, then the product runs that lies there. What
    the product calls a restart is one of the device."""

    def __init__(self, bench):
        self.bench, self.unhealthy = bench, {}
        super().__init__(None)

    def start(self):
        for _ in range(3):
            slot = self.bench.restart()
            done = self.bench.run_tool("booted")
            if done.returncode != 3:
                break
        self.bench.assertEqual(done.returncode, 0, done.stderr)
        return self.run(slot)

    def run(self, slot):
        version = re.match(rb"version (\S+) ", (self.bench.top / f"slot.{slot}").read_bytes())
        version = version[1].decode() if version else "1"  # the factory's
        why = self.unhealthy.get(version)
        return subprocess.Popen([lab.program("porchlight-device"), self.bench.folder, "run", "--json", "--slots", self.bench.record, "--rauc", self.bench.bus,
                                 "--version", version, "--hardware", "rev-a", *self.bench.more, *(("--unhealthy", why) if why else ())],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class RaucBare(RaucBox):
    """Its product ends and begins, and the device runs on in its first slot: nobody makes the restart that an update asks for."""

    def start(self):
        return self.run("A")


@needs_rauc
class RaucUpdater(Slots, test_update_agent.UpdateAgent):
    """The SDK's updater takes its turn from the hub, and its images as bundles."""

    def make_slots(self):
        self.by = None
        self.tpm = lab.Tpm(self.top / "tpm")
        self.tpm.start()
        self.addCleanup(self.tpm.stop)
        self.more = ("--tpm", self.tpm.tcti, "--floor-at", "0x01800010")
        self.lay_out()

    def make_box(self):
        return RaucBox(self)

    def program(self, version, more="", filling=None):
        return self.bundle(version, self.by)

    def status(self):
        while True:  # the updater may have the folder for a moment
            done = self.run_tool("status")
            if done.returncode == 0:
                return json.loads(done.stdout)
            self.assertIn("another process", done.stderr)

    def test_a_bundle_comes_through_a_break_is_tried_confirmed_and_raises_the_floor_in_the_tpm(self):
        self.server.cut = 1_000
        self.connected()
        shutil.copytree(self.record, self.top / "yesterday")
        sha256 = self.release("2", "--raise-floor")
        self.turn("2", sha256)
        self.reported("good", target="2", running="2")
        self.assertEqual(self.reported("downloading")["way"], "full")
        self.reported("trial", running="2")
        starts = [start for name, start in self.server.asked if name.startswith("targets/")]
        self.assertEqual(starts, [0, 1000])
        said = self.status()
        self.assertEqual((said["active"], said["booted"], said["floor"]), (1, 1, 2))
        # what the floor forbids never reaches RAUC, also when the whole folder of an earlier day is put back: the TPM remembers
        self.turn("1", hashlib.sha256(self.first.read_bytes()).hexdigest())
        self.assertRegex(self.reported("refused", target="1")["reason"], "older than this device's floor")
        self.box.stop()
        shutil.rmtree(self.record)
        shutil.copytree(self.top / "yesterday", self.record)
        self.assertEqual(self.status()["floor"], 2)
        self.assertNotIn(b"version 1", (self.top / "slot.A").read_bytes()[:100])

    def test_what_is_unhealthy_and_what_raucs_keyring_does_not_know_is_told_and_the_slot_before_runs_on(self):
        self.box.unhealthy["2"] = "the lens is upside down"
        self.connected()
        sha256 = self.release("2")
        self.turn("2", sha256)
        said = self.reported("rolled-back", target="2", running="1")
        self.assertIn("the lens is upside down", said["reason"])
        self.by = self.stranger
        sha256 = self.release("3")
        self.turn("3", sha256)
        self.assertRegex(self.reported("failed", target="3", running="1")["reason"], "RAUC: .*(signature|certificate)")
        self.by = self.team
        sha256 = self.release("4")
        self.turn("4", sha256)
        self.reported("good", target="4", running="4")
        self.assertEqual((self.status()["active"], self.status()["booted"]), (1, 1))


    def test_an_abort_reaches_what_is_staged_and_its_boot_loader(self):
        sha256 = self.release("2")
        self.box.stop()
        self.assertEqual(self.install(self.top / "2.raucb", 1).returncode, 0)
        self.assertEqual((self.status()["other"], (self.top / "boot/primary").read_text()), ("staged", "B\n"))
        self.box = RaucBare(self)
        self.addCleanup(self.box.stop)
        self.connected()
        start = len(self.heard.all)
        self.say('{"v":1}')
        self.reported("good", start=start, running="1")
        self.assertEqual((self.status()["other"], (self.top / "boot/primary").read_text()), ("being written", "A\n"))
        self.box.stop()
        self.box = RaucBox(self)
        self.addCleanup(self.box.stop)
        self.connected()
        self.assertEqual((self.status()["booted"], self.status()["active"]), (0, 0))
        self.turn("2", sha256)
        self.reported("good", target="2", running="2")


# The updater's own tests run in their own file, not here again.
for name in [each for each in dir(test_update_agent.UpdateAgent) if each.startswith("test_")]:
    setattr(RaucUpdater, name, None)

if __name__ == "__main__":
    unittest.main()
