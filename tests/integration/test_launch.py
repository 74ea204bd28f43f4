"""porchlight-launch: an update becomes the running program, a broken one is rolled back by itself, nothing older than the floor
comes back, and a kill at any call that changes the disk leaves a device that starts and finishes."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import case  # noqa: F401 (finds lab)
import lab

SCRIPT = """#!/bin/sh
echo "version {version} slot $PORCHLIGHT_SLOT trial $PORCHLIGHT_TRIAL words $*"
{then}
exit {code}
# {filling}
"""


class Launch(unittest.TestCase):
    def setUp(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-launch-"))
        self.addCleanup(shutil.rmtree, self.top)
        self.folder = self.top / "device"
        self.folder.mkdir()
        self.env = dict(os.environ)

    def launch(self, *words, env=None):
        done = subprocess.run([lab.program("porchlight-launch"), str(self.folder), *map(str, words)], capture_output=True, text=True, timeout=60,
                              env=env or self.env)
        self.assertNotIn("Sanitizer", done.stderr)
        return done

    def ok(self, *words):
        done = self.launch(*words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def image(self, version, then="", code=0, filling=""):
        path = self.top / f"image{version}"
        path.write_text(SCRIPT.format(version=version, then=then, code=code, filling=filling))
        return path

    def healthy(self, version, **how):
        return self.image(version, then=f'[ "$PORCHLIGHT_TRIAL" = 0 ] || [ -n "$HOLD" ] || "{lab.program("porchlight-launch")}" "{self.folder}" confirm', **how)

    def install(self, path, counter, env=None):
        return self.launch("install", "--image", path, "--counter", counter, "--sha256", hashlib.sha256(path.read_bytes()).hexdigest(), env=env)

    def status(self):
        return json.loads(self.ok("status"))

    def begin(self):
        self.ok("init", "--image", self.image(1), "--counter", 1)

    def test_an_update_is_tried_confirmed_and_stays(self):
        self.begin()
        self.assertEqual(self.ok("--", "a", "b c"), "version 1 slot 0 trial 0 words a b c\n")
        self.assertEqual(self.install(self.healthy(2), 2).returncode, 0)
        self.assertEqual(self.status()["other"], "staged")
        self.assertIn("version 2 slot 1 trial 1", self.ok())
        self.assertIn("version 2 slot 1 trial 0", self.ok())
        self.assertEqual((self.status()["active"], self.status()["floor"], self.status()["other"]), (1, 2, "old"))

    def test_a_tpm_keeps_the_floor_when_all_of_yesterdays_files_are_put_back(self):
        tpm = lab.Tpm().start()
        self.addCleanup(tpm.remove)
        keep = ["--tpm", tpm.tcti, "--floor-at", "0x01800010"]
        self.ok("init", "--image", self.image(1), "--counter", 1, *keep)
        yesterday = self.top / "yesterday"
        shutil.copytree(self.folder, yesterday)
        self.install(self.healthy(2), 2)  # the image confirms without a word to the TPM
        self.assertIn("version 2 slot 1 trial 1", self.ok(*keep))
        self.assertIn("version 2 slot 1 trial 0", self.ok(*keep))  # from this start on the TPM knows
        shutil.rmtree(self.folder)
        shutil.copytree(yesterday, self.folder)
        done = self.launch(*keep)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("not below the floor", done.stderr)
        self.assertEqual(json.loads(self.ok("status", *keep))["floor"], 2)
        # nor is a folder begun anew with the old image; with the new one it is
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        self.assertIn("below the floor 2 in the key store", self.launch("init", "--image", self.image(1), "--counter", 1, *keep).stderr)
        self.ok("init", "--image", self.healthy(2), "--counter", 2, *keep)
        self.assertIn("version 2", self.ok(*keep))
        # a TPM that is away, or another chip, starts nothing
        tpm.stop()
        self.assertIn("the floor in the key store cannot be read", self.launch(*keep).stderr)
        other = lab.Tpm().start()
        self.addCleanup(other.remove)
        self.assertIn("has no counter at 0x01800010", self.launch("--tpm", other.tcti, "--floor-at", "0x01800010").stderr)

    def test_a_program_that_never_confirms_is_rolled_back_after_three_starts(self):
        self.begin()
        self.assertEqual(self.install(self.image(2, code=1), 2).returncode, 0)
        said = [self.launch().stdout.split(" slot")[0] for _ in range(5)]
        self.assertEqual(said, ["version 2"] * 3 + ["version 1"] * 2)
        self.assertEqual((self.status()["other"], self.status()["floor"]), ("rolled back", 1))
        self.assertIn("did not confirm", self.status()["reason"])

    def test_a_program_that_finds_itself_unhealthy_is_rolled_back_at_once(self):
        self.begin()
        self.install(self.image(3, then=f'"{lab.program("porchlight-launch")}" "{self.folder}" reject'), 3)
        self.assertIn("version 3", self.ok())
        self.assertIn("version 1", self.ok())
        self.assertIn("unhealthy", self.status()["reason"])

    def test_nothing_below_the_floor_is_installed_or_started(self):
        self.begin()
        self.install(self.healthy(5), 5)
        self.ok()
        refused = self.install(self.image(4), 4)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("below this device's floor 5", refused.stderr)
        with open(self.folder / "slot.1", "a") as slot:
            slot.write("evil")
        refused = self.launch()
        self.assertEqual(refused.returncode, 1)
        self.assertIn("no slot holds", refused.stderr)
        self.assertEqual(refused.stdout, "")

    def test_what_is_not_the_announced_image_is_not_installed(self):
        self.begin()
        refused = self.launch("install", "--image", self.image(2), "--counter", 2, "--sha256", "00" * 32)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("the hash that was signed", refused.stderr)
        self.assertEqual(self.launch("install", "--image", self.image(2), "--counter", 2).returncode, 2)
        self.assertEqual(self.launch("confirm").returncode, 1)

    def cutting(self):
        shim = self.top / "cut.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", shim, pathlib.Path(__file__).with_name("cut_shim.c")], check=True)
        preload = [str(shim)]
        if b"libasan" in subprocess.run(["ldd", lab.program("porchlight-launch")], capture_output=True).stdout:
            preload.insert(0, subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip())
        return {**self.env, "LD_PRELOAD": " ".join(preload)}

    def finish(self, path):
        """What the device does after a cut, until the update is good."""
        versions = []
        for _ in range(4):
            if self.status()["other"] in ("empty", "being written"):
                self.assertEqual(self.install(path, 2).returncode, 0)
            done = self.launch()
            self.assertEqual(done.returncode, 0, done.stderr)
            versions.append(done.stdout.split(" slot")[0])
            if self.status()["other"] == "old":
                return versions
        self.fail(f"the update did not finish: {versions} {self.status()}")

    def test_a_kill_at_any_call_that_changes_the_disk_leaves_a_device_that_finishes(self):
        env = self.cutting()
        path = self.healthy(2, filling="x" * (2 * 1024 * 1024 + 300_000))  # three steps of the journal
        cuts = 0
        for words in ("install", "start", "confirm"):
            for cut in range(200):
                shutil.rmtree(self.folder)
                self.folder.mkdir()
                self.begin()
                if words != "install":
                    self.assertEqual(self.install(path, 2).returncode, 0)
                if words == "confirm":
                    self.assertIn("trial 1", self.launch(env={**self.env, "HOLD": "1"}).stdout)
                    self.assertEqual(self.status()["other"], "on trial")
                with_cut = {**env, "PORCH_TEST_CUT": str(cut)}
                if words == "install":
                    done = self.install(path, 2, env=with_cut)
                else:
                    done = self.launch(*([] if words == "start" else ["confirm"]), env=with_cut)
                if done.returncode >= 0:
                    break
                cuts += 1
                self.finish(path)
            self.assertLess(cut, 199)
        print(f"{cuts} kills, 0 bricked", flush=True)
        self.assertGreater(cuts, 40)


if __name__ == "__main__":
    unittest.main()
