"""The hub beside Debian's mosquitto, on this machine, in one call: throughput, full handshakes, memory of an idle
connection. Each broker is pinned to core 0 and the load (bench/mqtt_load.c) to core 1; both have their access checks on,
TLS 1.3 with P-256 certificates on both sides and a chain of leaf and issuing CA. `make bench-mqtt` runs it; prints a
table of medians and ratios, --json the raw figures. Only the loopback interface is used."""

import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "lab"))
import lab  # noqa: E402

LOAD = lab.BUILD / "bench" / "mqtt_load"
IDLE_FIRST, IDLE_MORE = 50, 500

# name, arguments of mqtt_load, figure, brokers (None: both)
CASES = [
    ("fan-in 100 to 1, QoS 0", ["fan-in", "--clients", 100], "delivered_s", None),
    ("fan-in 100 to 1, QoS 1, routed", ["fan-in", "--clients", 100, "--qos", 1], "delivered_s", None),
    ("fan-in 100 to 1, QoS 1, stored", ["fan-in", "--clients", 100, "--qos", 1, "--topic", "d/bench/telemetry"],
     "acknowledged_s", "hub"),
    ("fan-out 1 to 100, QoS 0", ["fan-out", "--clients", 100], "delivered_s", None),
    ("fan-out 1 to 500, QoS 0", ["fan-out", "--clients", 500], "delivered_s", None),
    ("pairs 100 x 100, QoS 0", ["pairs", "--clients", 100], "delivered_s", None),
    ("pairs 100 x 100, QoS 1", ["pairs", "--clients", 100, "--qos", 1], "delivered_s", None),
    ("full handshakes", ["connect"], "connected_s", None),
    ("handshakes of clients that come back", ["reconnect"], "connected_s", None),
    ("of these resumed", None, "resumed_s", None),  # from the run before
    ("latency at 5,000/s, p50, us", ["pairs", "--clients", 100, "--rate", 5000], "p50_us", None),
    ("latency at 5,000/s, p99, us", None, "p99_us", None),  # from the run before
]
CPU = ", CPU"  # microseconds of the broker's processor time for each, of the whole run
IDLE = "idle connection, bytes"
EMPTY = "before the first connection, KiB"


def proportional_set_size(pid):
    """Bytes of memory that this process accounts for, shared pages split among their users."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pid):
    """Processor time that this process has used, in the kernel for it included."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class HubBroker:
    """porchlightd with its rate limits lifted for the one service that plays all the clients."""

    name = "hub"

    def __init__(self, pin, shards=0):
        self.hub = lab.Hub()
        self.hub.init()
        self.hub.set(hub_shards=1 if pin else shards, broker_messages_s=0, broker_bytes_s=0, broker_sessions=20000,
                     listener_per_address=20000)
        self.hub.start(wrapper=pin)
        self.folder = self.hub.service("bench", allow=["publish,subscribe:bench/#", "publish,subscribe:d/bench/#"])
        self.port = self.hub.ports["mqtt"]
        self.pid = self.hub.children()["hub"]

    def close(self):
        self.hub.remove()


class Mosquitto:
    """Debian's mosquitto with the same grants in its access file, and limits of queue and window as high as the hub's."""

    name = "mosquitto"

    def __init__(self, pin):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-bench-"))
        self.process = None
        try:
            make_certificates(self.folder)
            self.port = free_port()
            (self.folder / "acl").write_text("user bench\ntopic readwrite bench/#\ntopic readwrite d/bench/#\n")
            (self.folder / "conf").write_text("\n".join([
                "per_listener_settings false", f"listener {self.port} 127.0.0.1", "allow_anonymous false",
                f"cafile {self.folder}/ca.pem", f"certfile {self.folder}/server.pem", f"keyfile {self.folder}/server-key.pem",
                "require_certificate true", "use_identity_as_username true", "tls_version tlsv1.3",
                f"acl_file {self.folder}/acl", "persistence false", "log_dest none", "max_queued_messages 65536",
                "max_inflight_messages 512", "set_tcp_nodelay true", ""] + (["user root"] if os.getuid() == 0 else []) + [""]))
            self.process = subprocess.Popen([*pin, mosquitto_program(), "-c", str(self.folder / "conf")],
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.wait()
            self.pid = self.process.pid
        except BaseException:
            self.close()
            raise

    def wait(self):
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.02)
        raise lab.LabError("mosquitto does not serve")

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


def mosquitto_program():
    path = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not path:
        raise lab.LabError("mosquitto is missing: run tools/setup test")
    return path


def make_certificates(folder):
    """A root, an issuing CA, a server and the client 'bench', all P-256; mosquitto takes the common name for the user."""
    def run(*words):
        done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, cwd=folder)
        if done.returncode != 0:
            raise lab.LabError(f"openssl {words[0]}: {done.stderr.strip()}")

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    (folder / "ca.ext").write_text("basicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n")
    (folder / "server.ext").write_text("subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n")
    (folder / "client.ext").write_text("extendedKeyUsage=clientAuth\n")
    run("req", "-x509", *key, "-keyout", "root-key.pem", "-out", "ca.pem", "-subj", "/CN=bench root", "-days", "2",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    for name, subject, extensions, issuer in [("issuing", "bench issuing", "ca", ("ca.pem", "root-key.pem")),
                                              ("server", "localhost", "server", ("issuing.pem", "issuing-key.pem")),
                                              ("client", "bench", "client", ("issuing.pem", "issuing-key.pem"))]:
        run("req", *key, "-keyout", f"{name}-key.pem", "-out", f"{name}.csr", "-subj", f"/CN={subject}")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", issuer[0], "-CAkey", issuer[1], "-CAcreateserial", "-days", "2",
            "-extfile", f"{extensions}.ext", "-out", f"{name}.pem")
    issuing = (folder / "issuing.pem").read_text()
    for name in ("server", "client"):
        path = folder / f"{name}.pem"
        path.write_text(path.read_text() + issuing)
    (folder / "client.pem").rename(folder / "cert.pem")
    (folder / "client-key.pem").rename(folder / "key.pem")


def load(broker, words, pin):
    done = subprocess.run([*pin, str(LOAD), str(broker.folder), str(broker.port), *map(str, words)],
                          capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise lab.LabError(f"{broker.name}: {' '.join(map(str, words))}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def idle_bytes(broker, pin):
    """Growth of the broker's memory from IDLE_FIRST to IDLE_FIRST + IDLE_MORE connections, for each of them."""
    holders = []
    try:
        sizes = []
        for clients in (IDLE_FIRST, IDLE_MORE):
            holder = subprocess.Popen([*pin, str(LOAD), str(broker.folder), str(broker.port), "idle", "--clients", str(clients)],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            holders.append(holder)
            if not holder.stdout.readline():
                raise lab.LabError(f"{broker.name}: idle: {holder.stderr.read().strip()}")
            time.sleep(1)  # what the broker gives back when a connection is quiet
            sizes.append(proportional_set_size(broker.pid))
        return (sizes[1] - sizes[0]) / IDLE_MORE
    finally:
        for holder in holders:
            holder.communicate()


def one_round(broker, pin, args, figures):
    """Idle memory first, on a fresh broker; then the cases."""
    figures.setdefault((EMPTY, broker.name), []).append(proportional_set_size(broker.pid) / 1024)
    figures.setdefault((IDLE, broker.name), []).append(idle_bytes(broker, pin))
    result = None
    for name, words, figure, only in CASES:
        if only not in (None, broker.name) or (args.only and args.only not in name):
            continue
        if words:
            before = cpu_seconds(broker.pid)
            result = load(broker, [*words, "--seconds", args.seconds], pin)
            spent, count = cpu_seconds(broker.pid) - before, result.get(figure.removesuffix("_s"))
            if count:
                figures.setdefault((name + CPU, broker.name), []).append(spent * 1e6 / count)
            if result["lost"]:
                print(f"{broker.name}: {name}: {result['lost']} deliveries did not arrive", file=sys.stderr)
        figures.setdefault((name, broker.name), []).append(result[figure])


def pair(figures, name, digits):
    """Medians of both brokers and the hub's share of the other's, as three columns; blanks where there is none."""
    ours, theirs = (statistics.median(figures[name, broker]) if figures.get((name, broker)) else None
                    for broker in ("hub", "mosquitto"))
    shown = [f"{value:12,.{digits}f}" if value is not None else f"{'-':>12}" for value in (ours, theirs)]
    return shown[0] + shown[1] + (f"{ours / theirs:8.2f}" if ours is not None and theirs else f"{'-':>8}")


def table(figures):
    lines = [f"{'':38}{'hub':>12}{'mosquitto':>12}{'ratio':>8}   {'CPU us each':>12}{'mosquitto':>12}{'ratio':>8}"]
    for name in [case[0] for case in CASES] + [IDLE, EMPTY]:
        if figures.get((name, "hub")):
            cpu = "   " + pair(figures, name + CPU, 2) if figures.get((name + CPU, "hub")) else ""
            lines.append(f"{name:38}{pair(figures, name, 0)}{cpu}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2, help="of measuring, for each case (default 2)")
    parser.add_argument("--only", help="only cases whose name contains this")
    parser.add_argument("--unpinned", action="store_true", help="let broker and load use every core")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not LOAD.exists():
        raise SystemExit(f"{LOAD} is missing: run tools/build release programs")
    pinned = not args.unpinned and len(os.sched_getaffinity(0)) > 1
    if not pinned and not args.unpinned:
        print("one core only: broker and load share it", file=sys.stderr)
    broker_pin, load_pin = (["taskset", "-c", "0"], ["taskset", "-c", "1"]) if pinned else ([], [])
    figures = {}
    for number in range(args.rounds):
        for kind in (HubBroker, Mosquitto):
            broker = kind(broker_pin)
            try:
                one_round(broker, load_pin, args, figures)
            finally:
                broker.close()
            print(f"round {number + 1}: {broker.name} done", file=sys.stderr)
    if args.json:
        print(json.dumps({f"{name}, {broker}": values for (name, broker), values in figures.items()}, indent=1))
    else:
        print(f"{args.rounds} rounds of {args.seconds} s, medians a second unless said; load average "
              f"{os.getloadavg()[0]:.1f}; {'broker on core 0, load on core 1' if pinned else 'not pinned'}")
        print(table(figures))


if __name__ == "__main__":
    main()
