"""Kill -9 of the real updater at random moments of an update: under the launcher, while it fetches, applies a delta, stages, starts
the trial, confirms, and once more while it recovers. After each kill the device runs a whole image that its team signed, never below
its floor, and in the end it has the release. UPDATE_KILLS updates (default 3; `make sweep` 50), seed UPDATE_SEED."""

import collections
import hashlib
import json
import os
import random
import re
import time
import unittest

import test_update_agent


class Killed(test_update_agent.UpdateAgent):
    def said(self, line):
        try:
            return json.loads(json.loads(line)["payload"])
        except (ValueError, KeyError, TypeError):
            return {}

    def good(self, old, new, sha256, start, seconds=180):
        """Plays the hub until the device is good with the new version: who reports that it has nothing to do is asked (again)."""
        until = time.monotonic() + seconds
        while True:
            line = self.heard.wait_for(lambda text: self.said(text).get("state") in ("good", "failed", "refused", "rolled-back"),
                                       max(until - time.monotonic(), 0), start)
            if line is None:
                self.fail(f"{new} never became good; heard:\n" + "\n".join(self.heard.all) + "\nthe device:\n" + "\n".join(self.box.lines[-40:]))
            start = self.heard.all.index(line, start) + 1
            report = self.said(line)
            self.assertEqual(report["state"], "good", report)
            self.assertIn(report["running"], (old, new), report)
            if report["running"] == new and report.get("target") == new:
                return
            self.turn(new, sha256)

    def whole(self, floor):
        """What would run now is signed, and nothing below the floor; returns the floor."""
        status = self.slot_status()
        self.assertGreaterEqual(status["floor"], floor)
        active = status["active"]
        self.assertIn(hashlib.sha256((self.slots / f"slot.{active}").read_bytes()).hexdigest(), self.signed)
        self.assertGreaterEqual(status["counters"][active], status["floor"])
        return status["floor"]

    def last_word(self, start=0):
        """What the program said last about an update, since a line of its output."""
        states = [re.match(r'{"update":"([a-z-]+)"', line) for line in self.box.lines[start:]]
        return next((found[1] for found in reversed(states) if found), "nothing")

    def kill_once(self, after, pause, start):
        """Kills behind what the program says then, or, for None, at any time."""
        if after is not None:
            with self.box.changed:
                self.box.changed.wait_for(lambda: self.last_word(start) in (after, "good"), 60)
        time.sleep(pause)  # the moment is the point: anywhere in the update
        word = self.last_word(start)
        self.box.kill()
        return word

    def test_each_update_ends_well_whenever_the_program_is_killed(self):
        count = int(os.environ.get("UPDATE_KILLS", "3"))
        seed = int(os.environ.get("UPDATE_SEED", str(int(time.time()))))
        dice = random.Random(seed)
        print(f"(UPDATE_SEED={seed}) ", end="", flush=True)
        self.signed = {hashlib.sha256((self.top / "program-1").read_bytes()).hexdigest()}
        self.connected()
        old, floor, span, kills, phases = "1", 1, 0.0, 0, collections.Counter()
        for number in range(count + 1):
            new = str(number + 2)
            whole = number % 2 == 1  # megabytes in one piece, or a delta of some ten thousand bytes
            more = (["--no-delta"] if whole else ["--delta-from", old]) + (["--raise-floor"] if number % 3 == 1 else [])
            common = "\n# ".join(hashlib.sha256(f"{i}".encode()).hexdigest() for i in range(3000))
            filling = common + "\n# " + dice.randbytes(2_000_000 if whole else 10_000).hex()
            sha256 = self.release(new, *more, filling=filling)
            self.signed.add(sha256)
            start, lines, begun = len(self.heard.all), len(self.box.lines), time.monotonic()
            self.turn(new, sha256)
            for _ in range(dice.choice((1, 2)) if number > 0 else 0):
                after = dice.choice((None, "downloading", "staged", "trial"))
                phases[self.kill_once(after, dice.uniform(0, span if after is None else 0.3), lines)] += 1
                kills += 1
                floor = self.whole(floor)
            self.good(old, new, sha256, start)
            span = span or time.monotonic() - begun  # the first one is not killed: it says how long an update takes
            floor = self.whole(floor)
            self.assertEqual(self.running(), new)
            old = new
        self.assertGreaterEqual(kills, count)
        print(f"{count} updates, {kills} kills over {span:.1f} s, after these words: {dict(phases)} ", end="", flush=True)


# The updater's own tests run in their own file, not here again.
for name in [each for each in dir(test_update_agent.UpdateAgent) if each.startswith("test_")]:
    setattr(Killed, name, None)

if __name__ == "__main__":
    unittest.main()
