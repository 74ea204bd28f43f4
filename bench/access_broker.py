"""What access costs a running broker, beside Debian's mosquitto with its dynamic-security plugin where that has the same thing.

  messages   pairs of clients through a broker whose policy says 10, 10,000, ... things about them: messages and processor time of each
  engine     the same messages through the hub and through one that was built to allow everything (bench/allow_all.c), by turns:
             what the engine costs of a message's processor time, as devices are and when each message is judged twice
  change     N live sessions: how long `policy apply` takes until the last of them is judged anew, and how many messages pass that
             were published after it was acknowledged and that it refuses
  enrol      certificates for devices per second, by the hub's signer
  keys       full handshakes per second of clients whose key is a file, in a SoftHSM token, in a software TPM (swtpm)

`make bench-access` runs all of it after bench/access.c (the engine alone). Each broker is pinned to core 0 and the load to core 1."""

import argparse
import contextlib
import importlib.util
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools" / "lab"), str(ROOT / "tests" / "integration")]
import lab  # noqa: E402


def module(name, *path):
    """Two files are called mqtt.py: the brokers and the load of bench/, the packets of tests/integration/."""
    spec = importlib.util.spec_from_file_location(name, ROOT.joinpath(*path))
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


beside = module("beside", "bench", "mqtt.py")
wire = module("wire", "tests", "integration", "mqtt.py")

DYNSEC = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"


# ---- messages ------------------------------------------------------------------------------------------------------------------------

def filters(count):
    """`count` filters that have nothing to do with the load, then the one that allows it."""
    kinds = ("d/device-{}/shared/+", "home/room-{}/#", "d/+/part-{}/x", "weather/+/{}/+/now")
    return [kinds[i % 4].format(i) for i in range(count - 1)] + ["bench/#"]


class Hub:
    """porchlightd with its rate limits lifted for the one service that plays all the clients."""

    def __init__(self, pin, statements, more=""):
        self.hub = lab.Hub()
        self.hub.init()
        self.hub.set(hub_shards=1 if pin else 0, broker_messages_s=0, broker_bytes_s=0, broker_sessions=20000, listener_per_address=20000,
                     grants_statements=1000000, grants_policy_bytes=16777216, admin_line_bytes=16777216)
        self.hub.start(wrapper=pin)
        self.folder = self.hub.service("bench")
        self.port = self.hub.ports["mqtt"]
        self.pid = self.hub.children()["hub"]
        text = self.hub.top / "policy.txt"
        text.write_text("group bench\n    member service bench\n" +
                        "".join(f"    allow publish,subscribe {one}\n" for one in filters(statements)) + more)
        self.hub.cli("policy", "apply", text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hub.remove()


class Mosquitto(beside.Mosquitto):
    """The same filters as the role of the one client, in the plugin's file."""

    def __init__(self, pin, statements):
        self.statements = statements
        super().__init__(pin)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def wait(self):
        """The access file goes, the plugin comes: the broker that the base class started is replaced before it is used."""
        self.process.terminate()
        self.process.wait(10)
        acls = [{"acltype": kind, "topic": one, "allow": True, "priority": 0} for one in filters(self.statements)
                for kind in ("publishClientSend", "publishClientReceive", "subscribePattern")]
        (self.folder / "dynsec.json").write_text(json.dumps({
            "defaultACLAccess": {"publishClientSend": False, "publishClientReceive": False, "subscribe": False, "unsubscribe": True},
            "clients": [{"username": "bench", "roles": [{"rolename": "bench"}]}],
            "groups": [], "roles": [{"rolename": "bench", "acls": acls}]}))
        os.chmod(self.folder, 0o755)
        conf = self.folder / "conf"
        lines = [line for line in conf.read_text().splitlines() if not line.startswith("acl_file")]
        conf.write_text("\n".join([*lines, f"plugin {DYNSEC}", f"plugin_opt_config_file {self.folder}/dynsec.json", ""]))
        command = self.process.args
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        super().wait()


def messages(args, pins):
    rows = []
    for kind, sizes in ((Hub, args.hub_statements), (Mosquitto, args.mosquitto_statements)):
        for statements in sizes:
            with kind(pins[0], statements) as broker:
                rates, costs = [], []
                for _ in range(args.rounds):
                    before = beside.cpu_seconds(broker.pid if kind is Hub else broker.process.pid)
                    result = beside.load(broker, ["pairs", "--clients", 20, "--seconds", args.seconds], pins[1])
                    spent = beside.cpu_seconds(broker.pid if kind is Hub else broker.process.pid) - before
                    rates.append(result["delivered_s"])
                    costs.append(spent * 1e6 / max(result["delivered"], 1))
                rows.append((kind.__name__.lower(), statements, statistics.median(rates), statistics.median(costs)))
                print(f"messages: {rows[-1][0]:10} {statements:>9,} statements: {rows[-1][2]:>10,.0f} messages/s, "
                      f"{rows[-1][3]:8.2f} us of the broker's CPU each", flush=True)
    for name in ("hub", "mosquitto"):
        costs = [row[3] for row in rows if row[0] == name]
        if len(costs) > 1:
            print(f"messages: {name:10} most / least CPU: {max(costs) / min(costs):.2f}")


# ---- engine --------------------------------------------------------------------------------------------------------------------------

ALLOW_ALL = lab.BUILD / "bench" / "allow_all"
ENGINE_GOAL = 1.05
# name, words of the load, the text behind the policy's 10,000 statements
ENGINE_CASES = [
    ("a topic of its own for each publisher", [], ""),
    # Each publication is another topic than the one before, and the deny makes each delivery be judged, too.
    ("26 topics each, every delivery judged", ["--topics", 26], "    deny receive bench/load/+/+/zz\n"),
]


def lay_out_allow_all():
    """A build folder whose porchlightd is the one that allows everything; the rest is the real one's."""
    if not (ALLOW_ALL / "bin" / "porchlightd").exists():
        raise lab.LabError(f"{ALLOW_ALL}/bin/porchlightd is missing: run tools/build release porchlightd_allow_all")
    for link in ("bin/porchlight", "libexec", "share"):
        if not (ALLOW_ALL / link).is_symlink():
            (ALLOW_ALL / link).symlink_to(lab.BUILD / link)


@contextlib.contextmanager
def build_of(folder):
    real = lab.BUILD
    lab.BUILD = folder
    try:
        yield
    finally:
        lab.BUILD = real


def engine(args, pins):
    lay_out_allow_all()
    for name, words, more in ENGINE_CASES:
        with Hub(pins[0], 10000, more) as real, build_of(ALLOW_ALL), Hub(pins[0], 10000, more) as open_:
            costs = {real: [], open_: []}
            for round_ in range(args.rounds * 3):
                for broker in ((real, open_) if round_ % 2 == 0 else (open_, real)):
                    before = beside.cpu_seconds(broker.pid)
                    result = beside.load(broker, ["pairs", "--clients", 20, "--seconds", args.seconds, *words], pins[1])
                    costs[broker].append((beside.cpu_seconds(broker.pid) - before) * 1e6 / max(result["delivered"], 1))
            ratios = [a / b for a, b in zip(costs[real], costs[open_])]
            print(f"engine: {name}: {statistics.median(costs[real]):.2f} us of CPU each, {statistics.median(costs[open_]):.2f} with every "
                  f"answer yes; ratio of turns {statistics.median(ratios):.3f} (goal: at most {ENGINE_GOAL}; "
                  f"{min(ratios):.2f} to {max(ratios):.2f})", flush=True)


# ---- change --------------------------------------------------------------------------------------------------------------------------

OPEN = "group bench\n    member service bench\n    allow publish,subscribe bench/#\n"
SHUT = OPEN + "    deny receive bench/flood\n"


class Listener(threading.Thread):
    """Subscribes, and keeps the numbers of what comes."""

    def __init__(self, hub, context, name):
        super().__init__(daemon=True)
        self.client = wire.Client(hub, context, seconds=600)
        if self.client.connect(name, keep_alive=600).reason != 0:
            raise lab.LabError("a listener was refused")
        self.client.send(wire.subscribe([("bench/flood", 0), ("bench/end", 0)], 1))
        self.client.expect(wire.SUBACK)
        self.numbers, self.ended = [], False

    def run(self):
        while not self.ended:
            got = self.client.receive()
            if got.kind != wire.PUBLISH:
                continue
            topic, payload, _, _ = got.publication()
            self.ended = topic == "bench/end"
            if not self.ended:
                self.numbers.append(int(payload))


class Flood(threading.Thread):
    """Publishes numbers one after the other until it is stopped."""

    def __init__(self, hub, context):
        super().__init__(daemon=True)
        self.client = wire.Client(hub, context, seconds=600)
        self.client.connect("bench/flood", keep_alive=600)
        self.number, self.stopped = 0, threading.Event()

    def run(self):
        while not self.stopped.is_set():
            self.number += 1
            self.client.send(wire.publish("bench/flood", str(self.number)))
            time.sleep(0.0005)
        self.client.publish("bench/end", "", 1)


def change(args, pins):
    hub = lab.Hub()
    try:
        hub.init()
        hub.set(broker_sessions=args.sessions + 64, listener_per_address=args.sessions + 512, broker_messages_s=0, broker_bytes_s=0)
        hub.start()
        folder = hub.service("bench", allow=["publish,subscribe:bench/#"])
        open_text, shut_text = hub.top / "open.txt", hub.top / "shut.txt"
        open_text.write_text(OPEN)
        shut_text.write_text(SHUT)
        holder = subprocess.Popen([str(beside.LOAD), str(folder), str(hub.ports["mqtt"]), "idle", "--clients", str(args.sessions)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if not holder.stdout.readline():
            raise lab.LabError(holder.stderr.read())
        context = hub.device_tls(folder)
        took, wrong, passed = [], 0, 0
        for round_ in range(args.rounds):
            hub.cli("policy", "apply", open_text)
            listeners = [Listener(hub, context, f"bench/l{round_}-{i}") for i in range(8)]
            flood = Flood(hub, context)
            for one in (*listeners, flood):
                one.start()
            time.sleep(0.3)
            took.append(apply_ms(hub, SHUT))
            last = flood.number + 1  # one may be on its way to the socket since before
            time.sleep(0.5)
            flood.stopped.set()
            for one in listeners:
                one.join(60)
                if not one.ended:
                    raise lab.LabError("a listener never came to the end")
                wrong += sum(number > last for number in one.numbers)
                passed += sum(number <= last for number in one.numbers)
                one.client.socket.close()
            flood.join()
            flood.client.socket.close()
        holder.communicate()
        print(f"change: {args.sessions:,} live sessions: the last is judged anew {statistics.median(took):.1f} ms after the order "
              f"(worst {max(took):.1f} ms); of {passed:,} + {wrong} messages {wrong} passed that were published after it was acknowledged")
        if wrong:
            raise SystemExit("change: messages passed that the policy refuses")
    finally:
        hub.remove()


def admin(hub, orders):
    """The answers of the admin socket, one line each; without the command line's own start."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(hub.file("run", "admin.sock")))
        stream = s.makefile("rwb")
        for order in orders:
            stream.write(json.dumps(order).encode() + b"\n")
            stream.flush()
            answer = json.loads(stream.readline())
            if "error" in answer:
                raise lab.LabError(str(answer))
            yield answer


def apply_ms(hub, text):
    begun = time.perf_counter()
    list(admin(hub, [{"do": "policy.apply", "args": {"text": text}}]))
    return (time.perf_counter() - begun) * 1000


# ---- enrol ---------------------------------------------------------------------------------------------------------------------------

def enrol(args, pins):
    hub = lab.Hub()
    try:
        hub.init()
        hub.set(signer_device_issues_per_minute=100000)
        hub.start()
        key, csr = hub.top / "key.pem", hub.top / "csr.pem"
        orders = []
        for i in range(args.devices):
            subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                            "-out", csr, "-subj", "/", "-addext", f"subjectAltName=URI:urn:porchlight:device:e{i}"],
                           check=True, capture_output=True)
            orders.append({"do": "device.add", "args": {"id": f"e{i}", "product": "cam", "csr": csr.read_text()}})
        begun = time.perf_counter()
        count = len(list(admin(hub, orders)))
        spent = time.perf_counter() - begun
        print(f"enrol: {count / spent:.0f} devices a second, one after the other, each durable with its row in the trust log ({count} in {spent:.2f} s)")
    finally:
        hub.remove()


# ---- keys ----------------------------------------------------------------------------------------------------------------------------

def keys(args, pins):
    hub = lab.Hub()
    tpm = lab.Tpm().start()
    token = module("keys", "tests", "integration", "test_keys.py").Token()
    try:
        hub.init()
        hub.set(hub_shards=1 if pins[0] else 0, broker_sessions=20000, listener_per_address=20000)
        hub.start(wrapper=pins[0])
        base = None
        for name, words in (("file", None), ("SoftHSM", ("--key", token.uri("bench"))),
                            ("swtpm", ("--key", "tpm2:0x81000042", "--tcti", tpm.tcti))):
            made = hub.top / f"made-{name}"
            options = {}
            if words:
                make = [lab.program("porchlight-device"), str(made), "make-key", words[1]] + (["--tpm", tpm.tcti] if len(words) > 2 else [])
                subprocess.run(make, check=True, capture_output=True, env=token.environment)
                options["csr"] = made / "request.pem"
            folder = hub.service(f"bench-{name.lower()}", allow=["publish,subscribe:bench/#"], client_ids="any", **options)
            command = [*pins[1], str(beside.LOAD), str(folder), str(hub.ports["mqtt"]), "connect", "--seconds", str(args.seconds), *(words or ())]
            rates = []
            for _ in range(args.rounds):
                done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=token.environment)
                if done.returncode:
                    raise lab.LabError(f"{name}: {done.stderr.strip()}")
                rates.append(json.loads(done.stdout)["connected_s"])
            base = base or statistics.median(rates)
            print(f"keys: {name:8} {statistics.median(rates):8.0f} full handshakes a second with CONNECT, {statistics.median(rates) / base:.2f} of a file's", flush=True)
    finally:
        hub.remove()
        tpm.remove()
        token.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", choices=[[], "messages", "engine", "change", "enrol", "keys"], help="one or more parts (default: all)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--sessions", type=int, default=10000, help="live sessions of `change`")
    parser.add_argument("--devices", type=int, default=200, help="of `enrol`")
    parser.add_argument("--hub-statements", type=int, nargs="*", default=[10, 10000, 100000])
    parser.add_argument("--mosquitto-statements", type=int, nargs="*", default=[10, 1000, 10000])
    args = parser.parse_args()
    pinned = len(os.sched_getaffinity(0)) > 1
    pins = (["taskset", "-c", "0"], ["taskset", "-c", "1"]) if pinned else ([], [])
    parts = {"messages": messages, "engine": engine, "change": change, "enrol": enrol, "keys": keys}
    for part in args.part or parts:
        parts[part](args, pins)


if __name__ == "__main__":
    main()
