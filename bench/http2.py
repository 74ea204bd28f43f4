"""The app's largest file over TLS and HTTP/2: our hub beside Debian's nginx, in one call and by turns. `h2load` asks from one core,
the server has another; what is compared is the processor time that the server spends on a request, since the client and not
the server may be what limits the rate. Needs `tools/setup bench`; --json prints the raw figures."""

import argparse
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from peer import by_turns, cpu_seconds, lab, nginx, pin  # noqa: E402

SERVER = """root {app}; gzip_static on; add_header Cache-Control "public, max-age=31536000, immutable"; {headers}"""


def load(port, path, requests, core, streams, clients):
    """Requests answered per second, as h2load tells; all must be answered with 200."""
    done = subprocess.run(["taskset", "-c", str(core), "h2load", "-n", str(requests), "-c", str(clients), "-m", str(streams), "-t", "1",
                           "-H", "accept-encoding: gzip", f"https://localhost:{port}{path}"], capture_output=True, text=True, timeout=300)
    rate = re.search(r"finished in .*?, ([0-9.]+) req/s", done.stdout)
    good = re.search(r"status codes: (\d+) 2xx", done.stdout)
    if not rate or not good or int(good.group(1)) != requests:
        raise lab.LabError("h2load did not get every answer:\n" + done.stdout + done.stderr)
    return float(rate.group(1))


def measure(name, pids, port, path, options):
    before = cpu_seconds(pids)
    rate = load(port, path, options.requests, options.client_core, options.streams, options.clients)
    spent = cpu_seconds(pids) - before
    return {"server": name, "per_second": rate, "per_cpu_second": options.requests / max(spent, 0.01)}


def common_headers(hub, path):
    """The hub's own headers, so that both send the same number of bytes."""
    answer = hub.person().ask("GET", path)
    skip = ("date", "content-type", "content-length", "cache-control", "vary", "etag", "content-encoding", "connection")
    return " ".join(f"add_header {name} \"{value}\";" for name, value in answer.headers.items() if name.lower() not in skip)


def run(options):
    top = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-bench-"))
    hub = lab.Hub()
    results = []
    try:
        hub.init()
        hub.start()
        app = lab.BUILD / "share" / "porchlight" / "app"
        assets = sorted((app / "assets").glob("*.js"), key=lambda file: file.stat().st_size)
        server = SERVER.format(app=app, headers=common_headers(hub, "/assets/" + assets[-1].name))
        with nginx(top, hub, ("web-cert.pem", "web.key"), server, "open_file_cache max=1000 inactive=60s; open_file_cache_valid 60s;", "http2") as theirs:
            ours = hub.children()["hub"], hub.ports["https"]
            for pid, _ in (ours, theirs):
                pin(pid, options.server_core)
            for path in ("/assets/" + assets[-1].name, "/icon.svg"):
                size = (app / (path[1:] + ".gz")).stat().st_size
                for name, pid, port in by_turns(options.runs, ours, theirs):
                    results.append({"path": path, "bytes": size, **measure(name, [pid], port, path, options)})
    finally:
        hub.remove()
        shutil.rmtree(top, ignore_errors=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--streams", type=int, default=10)
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = run(options)
    if options.json:
        print(json.dumps(results))
        return
    for path in dict.fromkeys(row["path"] for row in results):
        rows = [row for row in results if row["path"] == path]
        median = {}
        for name in ("hub", "nginx"):
            mine = [row for row in rows if row["server"] == name]
            median[name] = statistics.median(row["per_cpu_second"] for row in mine)
            spread = f"{min(row['per_cpu_second'] for row in mine):.0f} to {max(row['per_cpu_second'] for row in mine):.0f}"
            print(f"{path} ({rows[0]['bytes']} bytes) {name:6s} {median[name]:8.0f} requests per CPU-second ({spread}); "
                  f"{statistics.median(row['per_second'] for row in mine):.0f} per second")
        print(f"{path} hub / nginx: {median['hub'] / median['nginx']:.2f}")


if __name__ == "__main__":
    main()
