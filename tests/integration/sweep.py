"""The long form of what `make test` samples: RUNS kills of each process (see test_journey.Killed) with a new seed
each time, printed so that a finding can be played again with KILL_SEED."""

import argparse
import os
import sys
import time
import unittest


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(":", 1)[0])
    parser.add_argument("--runs", type=int, default=10, help="kills of each process")
    parser.add_argument("--only", help="hub, signer, analyst, courier or camera")
    options = parser.parse_args()
    os.environ["KILL_MOMENTS"] = str(options.runs)
    os.environ.setdefault("KILL_SEED", str(int(time.time())))
    print(f"sweep: {options.runs} kills of each process, KILL_SEED={os.environ['KILL_SEED']}")
    import test_journey

    names = ["hub", "signer", "analyst", "courier", "camera"]
    suite = unittest.TestSuite(test_journey.Killed(f"test_killing_the_{name}_loses_nothing")
                               for name in names if options.only in (None, name))
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    sys.exit(0 if result.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
