"""What a message costs the hub beside much that it does not concern: 10 to 1,000,000 subscriptions of other clients, 10 to
10,000 quiet connections, and two shards instead of one. Processor time of the hub's process for each delivered message, pairs
of clients, QoS 0 and 1; medians of --rounds. A ratio to the smallest case of the same call says how flat it is.
`make bench-mqtt-scale` runs it. Only the loopback interface is used."""

import argparse
import contextlib
import os
import resource
import statistics
import subprocess
import sys

import mqtt

SUBSCRIPTIONS = [(1, 10), (10, 100), (100, 1000), (1000, 1000)]  # clients, filters of each
CONNECTIONS = [10, 1000, 10000]
OWN_FILES = 1000  # of the hub and the load beside connections
GOAL_FLAT, GOAL_SHARDS = 1.5, 1.18
CASES = [("QoS 0", ["pairs", "--clients", 50]), ("QoS 1", ["pairs", "--clients", 50, "--qos", 1])]


@contextlib.contextmanager
def ballast(broker, clients, filters, pin):
    """Quiet clients that are connected and subscribed while the body runs."""
    holder = subprocess.Popen([*pin, str(mqtt.LOAD), str(broker.folder), str(broker.port), "idle", "--topic", "bench/quiet",
                               "--clients", str(clients), "--filters", str(filters)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        if not holder.stdout.readline():
            raise mqtt.lab.LabError(f"quiet clients: {holder.stderr.read().strip()}")
        yield
    finally:
        holder.communicate()


def cpu_each(broker, words, seconds, pin):
    """Microseconds of the hub's processor time for each delivery, and deliveries a second."""
    before = mqtt.cpu_seconds(broker.pid)
    result = mqtt.load(broker, [*words, "--seconds", seconds], pin)
    spent = mqtt.cpu_seconds(broker.pid) - before
    if result["lost"]:
        print(f"{result['lost']} deliveries did not arrive", file=sys.stderr)
    return spent * 1e6 / result["delivered"], result["delivered_s"]


def measure(rows, label, broker, args, pin):
    for name, words in CASES:
        measured = [cpu_each(broker, words, args.seconds, pin) for _ in range(args.rounds)]
        each, rate = (statistics.median(column) for column in zip(*measured))
        rows.setdefault(name, []).append((label, each, rate))
    print(f"{label}: done", file=sys.stderr)


def show(title, rows, goal):
    print(f"\n{title} (goal: at most {goal} times the first)")
    for name, lines in rows.items():
        for label, each, rate in lines:
            print(f"  {name}  {label:28}{each:8.2f} us of CPU each{rate:12,.0f} /s{each / lines[0][1]:8.2f}")


def quiet_counts():
    """CONNECTIONS, the last as far as open files allow: the hub gives one address half of what it has."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    reach = (most - OWN_FILES) // 2 - 200
    if reach < CONNECTIONS[-1]:
        print(f"{most:,} open files (ulimit -Hn) allow {reach:,} connections, not {CONNECTIONS[-1]:,}", file=sys.stderr)
    return [min(count, reach) for count in CONNECTIONS]


def run(args):
    pins = (["taskset", "-c", "0"], ["taskset", "-c", "1"]) if len(os.sched_getaffinity(0)) > 1 else ([], [])
    shown = []
    if args.part in (None, "flat"):
        shown += flat(args, pins)
    if args.part in (None, "shards"):
        shown.append(("Shards", measure_shards(args), GOAL_SHARDS))
    for title, rows, goal in shown:
        show(title, rows, goal)


def flat(args, pins):
    """Beside other subscriptions and beside quiet connections."""
    counts, subscriptions, connections = quiet_counts(), {}, {}
    broker = mqtt.HubBroker(pins[0])
    try:
        for clients, filters in SUBSCRIPTIONS:
            with ballast(broker, clients, filters, pins[1]):
                measure(subscriptions, f"{clients * filters:,} subscriptions", broker, args, pins[1])
        for clients in counts:
            with ballast(broker, clients, 0, pins[1]):
                measure(connections, f"{clients:,} quiet connections", broker, args, pins[1])
    finally:
        broker.close()
    return [("Subscriptions of others", subscriptions, GOAL_FLAT), ("Quiet connections", connections, GOAL_FLAT)]


def measure_shards(args):
    """Both hubs at once and by turns: a machine that grows slower meanwhile does so for both. Twice the rounds, since the load
    and the shards share the cores."""
    rows, measured = {}, {}
    with contextlib.ExitStack() as stack:
        brokers = {}
        for count in (1, 2):
            brokers[count] = mqtt.HubBroker([], shards=count)
            stack.callback(brokers[count].close)
        for round_ in range(2 * args.rounds):
            for name, words in CASES:
                for count in ((1, 2) if round_ % 2 == 0 else (2, 1)):
                    measured.setdefault((name, count), []).append(cpu_each(brokers[count], words, args.seconds, []))
        for (name, count), turns in sorted(measured.items()):
            each, rate = (statistics.median(column) for column in zip(*turns))
            rows.setdefault(name, []).append((f"{count} shard{'s' if count > 1 else ''}, not pinned", each, rate))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=["flat", "shards"], help="only this (default: both)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2, help="of measuring, for each case (default 2)")
    args = parser.parse_args()
    if not mqtt.LOAD.exists():
        raise SystemExit(f"{mqtt.LOAD} is missing: run tools/build release programs")
    run(args)


if __name__ == "__main__":
    main()
