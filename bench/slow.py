"""What other clients feel while slowhttptest (Debian) holds a thousand connections open: the 99th percentile of
GET /healthz on a connection of its own each time and on one that stays, quiet and under each attack, in one call.
The attacker has a core of its own, as it would have a machine of its own; the hub and who measures share the other.

  quiet ─► slow heads ─► slow bodies ─► slow reading ─► quiet again      goal: p99 at most twice the quiet one"""

import argparse
import http.client
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools" / "lab"))
import lab  # noqa: E402

ATTACKS = [("slow heads", ["-H"], "/healthz"), ("slow bodies", ["-B", "-s", "16000"], "/api/v1/login"),
           ("slow reading", ["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3"], "the app's largest file")]
HUB_CORE, ATTACK_CORE = 0, 1


def measure(hub, seconds):
    """(requests, p50, p99, worst) in ms, for a connection each and for one that stays."""
    context = hub.people_tls()
    kept = http.client.HTTPSConnection("localhost", hub.ports["https"], context=context, timeout=30)
    times = {"new": [], "kept": []}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for kind in ("kept", "new"):
            begun = time.perf_counter()
            if kind == "new":
                if lab.request(hub.ports["https"], context, "GET", "/healthz").status != 200:
                    raise lab.LabError("the hub's health was not 200")
            else:
                kept.request("GET", "/healthz")
                answer = kept.getresponse()
                answer.read()
            times[kind].append((time.perf_counter() - begun) * 1000)
        time.sleep(0.005)
    kept.close()
    result = {}
    for kind, all_ms in times.items():
        all_ms.sort()
        result[kind] = (len(all_ms), all_ms[len(all_ms) // 2], all_ms[int(len(all_ms) * 0.99)], all_ms[-1])
    return result


def tell(name, figures, quiet):
    for kind, (count, half, p99, worst) in figures.items():
        ratio = "" if quiet is None else f"   p99 / quiet {p99 / quiet[kind][2]:.2f}"
        print(f"{name:14} {kind:5} {count:6} requests   p50 {half:7.2f} ms   p99 {p99:7.2f} ms   worst {worst:7.2f} ms{ratio}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(":", 1)[0])
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    hub = lab.Hub()
    try:
        hub.init()
        os.sched_setaffinity(0, {HUB_CORE})  # what is started from here on inherits it
        hub.start()
        assets = (lab.BUILD / "share" / "porchlight" / "app" / "assets").glob("*.js")
        largest = "/assets/" + max(assets, key=lambda file: file.stat().st_size).name
        quiet = measure(hub, options.seconds)
        tell("quiet", quiet, None)
        for name, words, path in ATTACKS:
            with tempfile.TemporaryDirectory() as folder:
                url = f"https://localhost:{hub.ports['https']}{path if path[0] == '/' else largest}"
                attack = subprocess.Popen(["taskset", "-c", str(ATTACK_CORE), "slowhttptest", *words, "-c", str(options.connections), "-r", "400",
                                           "-i", "2", "-x", "16", "-p", "3", "-l", str(options.seconds + 8), "-u", url],
                                          cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
                said = lab.Lines(attack.stdout)
                said.wait_for(lambda line: False, 6)  # until its connections stand
                figures = measure(hub, options.seconds)
                attack.terminate()
                attack.wait()
            tell(name, figures, quiet)
        tell("quiet again", measure(hub, options.seconds), quiet)
    finally:
        hub.remove()


if __name__ == "__main__":
    main()
