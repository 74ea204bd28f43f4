"""A release over the devices' port: our hub beside Debian's nginx, the same file over the same mutual TLS 1.3, in one call and by turns.
One server on one core, curl on the other; compared is what a server gives for a second of its processor's time. --json prints the raw figures."""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from peer import by_turns, cpu_seconds, lab, nginx, pin  # noqa: E402

SERVER = "ssl_client_certificate {ca}; ssl_verify_client on; ssl_verify_depth 3; location /api/v1/device/updates/ {{ alias {updates}/; }}"


def release(hub, top, mib):
    """The path on the hub of a release of so many random MiB."""
    def ota(*words, secret=True):
        extra = ["--passphrase-file", top / "passphrase"] if secret else []
        done = subprocess.run([lab.program("porchlight"), "-C", hub.dir, "ota", *map(str, words), *map(str, extra)], capture_output=True, text=True)
        if done.returncode != 0:
            raise lab.LabError(done.stderr)
    (top / "passphrase").write_text("correct horse battery\n")
    (top / "passphrase").chmod(0o600)
    (top / "image").write_bytes(os.urandom(mib << 20))
    ota("keys", "--out", top / "keys.json", secret=False)
    ota("init", top / "repo", "--product", "camera", "--online-keys", top / "keys.json")
    ota("release", top / "repo", "--product", "camera", "--version", "1", "--image", top / "image", "--hardware", "a", "--no-delta")
    ota("publish", top / "repo", secret=False)
    image = next((top / "repo/repository/targets/camera/1").glob("*.image"))
    return f"targets/camera/1/{image.name}"


def fetch(device, port, path, times, core):
    url = f"https://localhost:{port}/api/v1/device/updates/{path}"
    done = subprocess.run(["taskset", "-c", str(core), "curl", "-sS", "--http1.1", "--fail", "--cacert", device / "ca.pem", "--cert", device / "cert.pem", "--key",
                           device / "key.pem", "-w", "%{size_download} %{time_total}\\n", *[word for _ in range(times) for word in ("-o", "/dev/null", url)]],
                          capture_output=True, text=True)
    rows = [tuple(map(float, line.split())) for line in done.stdout.split("\n") if line]
    if done.returncode != 0 or len(rows) != times:
        raise lab.LabError(done.stderr)
    return sum(row[0] for row in rows) / 1048576, sum(row[1] for row in rows)


def run(options):
    top, hub, rows = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-bench-")), lab.Hub(), []
    try:
        hub.init()
        hub.start()
        device = hub.device("front-door")
        path = release(hub, top, options.mib)
        server = SERVER.format(ca=device / "ca.pem", updates=hub.file("updates"))
        with nginx(top, hub, ("hub-cert.pem", "hub.key"), server) as theirs:
            ours = hub.children()["hub"], hub.ports["device"]
            for pid, _ in (ours, theirs):
                pin(pid, 0)
            for name, pid, port in by_turns(options.runs, ours, theirs):
                before = cpu_seconds([pid])
                mib, seconds = fetch(device, port, path, options.times, 1)
                rows.append({"server": name, "mib_s": mib / seconds, "mib_per_cpu_s": mib / max(cpu_seconds([pid]) - before, 0.01)})
    finally:
        hub.remove()
        shutil.rmtree(top, ignore_errors=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(":", 1)[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--mib", type=int, default=32, help="of the image")
    parser.add_argument("--times", type=int, default=8, help="it is fetched in a run")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = run(options)
    if options.json:
        print(json.dumps(rows))
        return
    print(f"\n| a release of {options.mib} MiB by mutual TLS 1.3 | MiB per CPU-second of the server | MiB/s |\n|---|---|---|")
    median = {}
    for name in ("hub", "nginx"):
        mine = [row for row in rows if row["server"] == name]
        median[name] = statistics.median(row["mib_per_cpu_s"] for row in mine)
        print(f"| {name} | {median[name]:.0f} ({min(row['mib_per_cpu_s'] for row in mine):.0f} to {max(row['mib_per_cpu_s'] for row in mine):.0f}) | "
              f"{statistics.median(row['mib_s'] for row in mine):.0f} |")
    print(f"\nhub / nginx: {median['hub'] / median['nginx']:.2f}")


if __name__ == "__main__":
    main()
