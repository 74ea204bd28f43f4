"""SIGKILL while a repository is published: of the hub, its signer or the publishing command, at moments spread over a publish. Devices
see the old repository or the new one, whole, and the same command again brings the new one. OTA_KILLS (4) moments of each, OTA_SEED
to play one again."""

import json
import os
import random
import signal
import subprocess
import time
import unittest

import case  # noqa: F401 (finds lab)
import lab
import ota_lab


class OtaKilled(ota_lab.OtaCase):
    settings = {"signer_updates_per_minute": 1000}

    def test_who_is_killed_while_a_repository_comes_leaves_the_old_or_the_new_one(self):
        seed = int(os.environ.get("OTA_SEED", time.time()))
        dice, kills = random.Random(seed), int(os.environ.get("OTA_KILLS", 4))
        self.make()
        self.release("0")
        began = time.monotonic()
        self.publish()
        whole_s = time.monotonic() - began
        known, cut = {"0"}, 0
        for number, victim in enumerate(["hub", "signer", "command"] * kills, 1):
            version = str(number)
            with self.subTest(version=version, victim=victim, seed=seed):
                self.release(version)
                start = len(self.hub.log.all)
                publish = subprocess.Popen([lab.program("porchlight"), "-C", self.hub.dir, "ota", "publish", self.repo],
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
                try:
                    publish.wait(dice.uniform(0, 1.2 * whole_s))
                except subprocess.TimeoutExpired:
                    cut += 1
                if victim == "command":
                    publish.kill()
                else:
                    os.kill(self.hub.children()[victim], signal.SIGKILL)
                publish.wait(60)
                if victim == "hub":
                    self.assertIsNotNone(self.hub.log.wait_for(lambda line: "hub.serving" in line, 60, start))
                if victim == "signer":
                    self.await_signer()
                self.assertIn(self.newest(), (known, known | {version}))
                self.publish()
                known |= {version}
                self.assertEqual(self.newest(), known)
                self.assertEqual(self.hub.cli("ota", "status")["damage"], "")
        self.assertGreater(cut, 0, "no moment fell into a publish")
        log = json.dumps(self.hub.cli("trust-log", "list"))
        for version in known:
            self.assertEqual(log.count(f'"release:camera/{version}"'), 1)
        (self.top / "device").mkdir()
        self.assertEqual(self.tuf("init", self.repo / "repository/metadata/1.root.json")[0], 0)
        self.assertEqual(self.tuf(*self.address(), "refresh"), (0, ""))

    def await_signer(self):
        """It answers again."""
        until = time.monotonic() + 60
        while self.hub.cli("ota", "keys", check=False)[0] != 0:
            self.assertLess(time.monotonic(), until, "the signer did not come back")


if __name__ == "__main__":
    unittest.main()
