"""Motion to notification: RUNS journeys one after the other, each with a fresh hub, and what the machine pays for
them. Prints a table (median, worst, share of each hop) and the memory and CPU of each process while the camera
works. `make bench` runs it; --json prints the raw figures."""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "lab"))
sys.path.insert(0, str(ROOT / "tools" / "demo"))
import demo  # noqa: E402
import lab  # noqa: E402


def proportional_set_size(pid):
    """KiB of memory that this process accounts for, shared pages split among their users."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def journeys(runs, video):
    results = []
    for run in range(runs):
        hub = lab.Hub()
        try:
            hub.init()
            hub.start()
            results.append(demo.journey(hub, video, None))
            print(f"run {run + 1}: {results[-1]['motion_to_notification_ms']} ms", file=sys.stderr)
        finally:
            hub.remove()
    return results


def footprint(video, seconds):
    """Memory and CPU of each process, measured over `seconds` while the camera plays."""
    hub = lab.Hub()
    try:
        hub.init()
        hub.start()
        person = hub.person().become_owner()
        stream = person.stream()
        camera = lab.Camera(hub.device("front-door"), video, "--loop")
        try:
            stream.next("person", 60)
            pids = {**hub.children(), "supervisor": hub.process.pid, "camera": camera.process.pid}
            before = {name: cpu_seconds(pid) for name, pid in pids.items()}
            begun = time.monotonic()
            peak = {name: 0 for name in pids}
            while time.monotonic() - begun < seconds:
                stream.next("clip", 2)
                for name, pid in pids.items():
                    peak[name] = max(peak[name], proportional_set_size(pid))
            spent = time.monotonic() - begun
            return {name: {"pss_kib": peak[name], "cpu_share": (cpu_seconds(pid) - before[name]) / spent} for name, pid in pids.items()}
        finally:
            camera.stop()
            stream.close()
    finally:
        hub.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30, help="how long memory and CPU are watched")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    video = lab.videos() / "vtest.avi"
    results = journeys(options.runs, video)
    costs = footprint(video, options.seconds)
    if options.json:
        print(json.dumps({"runs": results, "processes": costs}))
        return
    total = [result["motion_to_notification_ms"] for result in results]
    print(f"motion to notification: median {statistics.median(total):.0f} ms, worst {max(total)} ms, {len(total)} runs")
    for name in results[0]["hops"]:
        values = [result["hops"][name] for result in results if name in result["hops"]]
        print(f"  {name:14s} median {statistics.median(values):7.0f} ms   worst {max(values):6d} ms")
    print("process        memory (PSS)      CPU of one core")
    for name, cost in sorted(costs.items()):
        print(f"  {name:12s} {cost['pss_kib'] / 1024:8.1f} MiB   {cost['cpu_share'] * 100:6.1f} %")
    together = sum(costs[name]["pss_kib"] for name in ("hub", "signer", "courier") if name in costs) / 1024
    print(f"  hub + signer + courier: {together:.1f} MiB")


if __name__ == "__main__":
    main()
