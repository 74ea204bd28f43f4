"""The long form of what `make test` samples: RUNS kills of each process and 20 of the supervisor (see test_journey.Killed),
1,000 changed and 200 hostile clips (hostile_media.py), with new seeds each time, printed so that a finding can be played again
with KILL_SEED and `hostile_media.py --seed`."""

import argparse
import os
import pathlib
import subprocess
import sys
import time
import unittest


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(":", 1)[0])
    parser.add_argument("--runs", type=int, default=10, help="kills of each process")
    parser.add_argument("--only", help="hub, signer, analyst, courier, camera, supervisor or media")
    parser.add_argument("--supervisor", type=int, default=20, help="kills of the supervisor")
    parser.add_argument("--clips", type=int, default=1000, help="changed clips; a fifth as many hostile ones")
    options = parser.parse_args()
    os.environ["KILL_MOMENTS"] = str(options.runs)
    os.environ["KILL_SUPERVISOR"] = str(options.supervisor)
    os.environ.setdefault("KILL_SEED", str(int(time.time())))
    print(f"sweep: {options.runs} kills of each process, KILL_SEED={os.environ['KILL_SEED']}")
    import test_journey

    names = ["hub", "signer", "analyst", "courier", "camera"]
    suite = unittest.TestSuite(test_journey.Killed(f"test_killing_the_{name}_loses_nothing")
                               for name in names if options.only in (None, name))
    if options.only in (None, "supervisor"):
        suite.addTest(test_journey.Killed("test_killing_the_supervisor_loses_nothing_and_leaves_nobody_behind"))
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    if options.only in (None, "media"):
        folder = pathlib.Path(__file__).resolve().parent
        media = subprocess.run([sys.executable, str(folder / "hostile_media.py"), "--mutated", str(options.clips), "--crafted",
                                str(options.clips // 5), "--seed", os.environ["KILL_SEED"]])
        if media.returncode != 0:
            sys.exit(1)
    sys.exit(0 if result.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
