#!/usr/bin/env python3
"""Runs the integration tests, two files at a time: most of their time is waiting, each file has hubs, ports and
folders of its own. Prints one line for each file as it ends, then whatever failed, then what `unittest` prints
last. The longest files go first, by the last run's times (build/test-logs/integration-times.json) or, in a fresh clone, by LONG.

    tests/integration/run.py [--jobs N] [PATTERN]...      default: 2 at a time, test_*.py
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TIMES = HERE.parent.parent / "build/test-logs/integration-times.json"

LONG = ("test_tuf.py", "test_journey.py", "test_update_agent.py", "test_access.py", "test_launch.py",
        "test_household.py")  # minutes, of which much is waiting


def run(path):
    """(path, seconds, tests run, tests skipped, passed, output) of one file."""
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "unittest", "-v", path.stem], cwd=HERE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    ran = re.search(r"^Ran (\d+) test", done.stdout, re.M)
    skipped = re.search(r"^(?:OK|FAILED) \(.*?skipped=(\d+)", done.stdout, re.M)
    count = int(ran[1]) if ran else 0
    return path, time.monotonic() - begun, count, int(skipped[1]) if skipped else 0, done.returncode == 0 and count > 0, done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--jobs", type=int, default=2, help="files at a time (default 2)")
    parser.add_argument("patterns", nargs="*", default=["test_*.py"], help="files to run (default: test_*.py)")
    args = parser.parse_args()
    paths = sorted({p for pattern in args.patterns for p in HERE.glob(pattern)})
    if not paths:
        sys.exit(f"no file of tests/integration is called {' or '.join(args.patterns)}")
    times = json.loads(TIMES.read_text()) if TIMES.exists() else {}
    paths.sort(key=lambda p: -times.get(p.name, 2e9 if p.name in LONG else 1e9))
    begun, tests, skipped, failed = time.monotonic(), 0, 0, []
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for future in concurrent.futures.as_completed([pool.submit(run, p) for p in paths]):
            path, seconds, count, left_out, passed, output = future.result()
            times[path.name] = round(seconds, 1)
            tests += count
            skipped += left_out
            if not passed:
                failed.append((path, output))
            print(f"{'ok' if passed else 'FAILED':6} {path.name:28} {count:4} tests {seconds:6.1f} s"
                  f"{f', {left_out} skipped' if left_out else ''}", flush=True)
    TIMES.parent.mkdir(parents=True, exist_ok=True)
    TIMES.write_text(json.dumps(times, indent=1, sort_keys=True))
    for path, output in failed:
        print(f"\n===== {path.name}\n{output}")
    print(f"Ran {tests} tests in {time.monotonic() - begun:.0f} s, {skipped} skipped, {len(failed)} of {len(paths)} files failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    main()
