"""The timeline of a long past: a hub whose database was filled with EVENTS events (with the pictures of a camera that ran before),
asked over its API at the top and 90 % down, and looked at by a headless Chromium of phone size. Prints first contentful paint, the
time until 20 cards stand, each API page's p50 and p99, and the longest frame while 5,000 events are scrolled through. As a peer in
the same call, the same page of events is read by SQL alone. --json prints the raw figures."""

import argparse
import json
import pathlib
import sqlite3
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "lab"))
import fill  # noqa: E402
import lab  # noqa: E402

FILTERS = {"all": "", "camera": "&device=garden", "person": "&person=1", "camera and person": "&device=garden&person=1"}


def filled(events):
    """A hub with real pictures and a long past, its owner, and where 90 % of the events are newer."""
    hub = lab.Hub()
    hub.init()
    hub.set(media_keep_days=0, people_session_idle_s=86400)
    hub.start()
    owner = hub.person().become_owner()
    folder = hub.device("front-door")
    for name in ("garden", "garage", "side-gate"):
        hub.device(name)
    stream = owner.stream()
    camera = lab.Camera(folder, lab.videos() / "vtest.avi", "--loop")
    for _ in range(3):
        stream.next("person", 120)
    camera.stop()
    stream.close()
    hub.stop()
    begun = time.monotonic()
    fill.fill(hub.dir, events, days=365)
    print(f"filled {events} events in {time.monotonic() - begun:.0f} s; hub.db has {hub.file('hub.db').stat().st_size / 1e6:.0f} MB", file=sys.stderr)
    db = sqlite3.connect(f"file:{hub.file('hub.db')}?mode=ro", uri=True)
    deep = db.execute("select at_ms, seq from event where household = 'home' order by at_ms desc, seq desc limit 1 offset ?", (events * 9 // 10,)).fetchone()
    db.close()
    hub.start()
    return hub, owner, f"&before={deep[0]}-{deep[1]}", deep


def percentiles(values):
    ordered = sorted(values)
    return {"p50": statistics.median(ordered), "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]}


class Client:
    """One connection, as a page has: what is measured is the hub and not the handshake."""

    def __init__(self, hub, owner):
        import http.client
        self.connection = http.client.HTTPSConnection("localhost", hub.ports["https"], context=hub.people_tls(), timeout=60)
        self.cookie = owner.cookie

    def ask(self, path):
        begun = time.perf_counter()
        self.connection.request("GET", path, headers={"Cookie": self.cookie, "Accept": "application/json"})
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise lab.LabError(f"{path} answered {answer.status}")
        return (time.perf_counter() - begun) * 1000, body


def api(hub, owner, deep, runs):
    client = Client(hub, owner)
    results = {}
    for where, place in (("top", ""), ("deep", deep)):
        for name, words in FILTERS.items():
            path = f"/api/v1/events?limit=50{words}{place}"
            client.ask(path)
            results[f"{name}, {where}"] = percentiles([client.ask(path)[0] for _ in range(runs)])
    return results


def held_back(hub, deep, runs):
    """A child for whom the policy hides one of the four cameras, then three of them."""
    results = {}
    child = hub.person().join("kim@example.org", "child")
    for hidden in (["garden"], ["garden", "garage", "side-gate"]):
        denies = [word for name in hidden for word in ("--deny", f"receive:d/{name}/#")]
        hub.cli("group", "add", "quiet", "--member", "every child", *denies)
        for name, each in api(hub, child, deep, runs).items():
            results[f"{len(hidden)} of 4 hidden, {name}"] = each
        hub.cli("group", "remove", "quiet")
    return results


def sql(hub, deep, runs):
    """The peer: the same fifty rows without a hub around them."""
    db = sqlite3.connect(f"file:{hub.file('hub.db')}?mode=ro", uri=True)
    question = ("select e.*, c.id, p.score from event e left join clip c on c.event = e.uid left join person p on p.event = e.uid "
                "where e.household = 'home' and (e.at_ms, e.seq) < (?, ?) order by e.at_ms desc, e.seq desc limit 51")
    results = {}
    for where, place in (("top", (2 ** 62, 2 ** 62)), ("deep", deep)):
        times = []
        for _ in range(runs):
            begun = time.perf_counter()
            db.execute(question, place).fetchall()
            times.append((time.perf_counter() - begun) * 1000)
        results[where] = percentiles(times)
    db.close()
    return results


def page(hub, owner, events, runs):
    done = subprocess.run(["node", str(ROOT / "bench" / "timeline_page.mjs"), str(hub.top), str(hub.dir), str(hub.ports["https"]),
                           owner.cookie, str(events), str(runs)], capture_output=True, text=True, timeout=1200)
    if done.returncode != 0:
        raise lab.LabError("the browser ended with " + done.stderr[-2000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--events", type=int, default=100000)
    parser.add_argument("--scrolled", type=int, default=5000, help="events that the browser scrolls through")
    parser.add_argument("--runs", type=int, default=200, help="pages asked for of each kind")
    parser.add_argument("--loads", type=int, default=5, help="times that the browser opens the page anew; 0: no browser")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    hub, owner, deep, place = filled(options.events)
    try:
        results = {"events": options.events, "api": api(hub, owner, deep, options.runs),
                   "held_back": held_back(hub, deep, options.runs), "sql": sql(hub, place, options.runs),
                   "page": page(hub, owner, options.scrolled, options.loads) if options.loads else None}
    finally:
        hub.remove()
    if options.json:
        print(json.dumps(results))
        return
    print(f"{options.events} events; one page is 50 of them")
    for name, each in results["api"].items():
        print(f"  API, {name:24s} p50 {each['p50']:6.1f} ms   p99 {each['p99']:6.1f} ms")
    for name, each in results["held_back"].items():
        print(f"  API, {name:40s} p50 {each['p50']:6.1f} ms   p99 {each['p99']:6.1f} ms")
    for name, each in results["sql"].items():
        print(f"  SQL alone, {name:18s} p50 {each['p50']:6.1f} ms   p99 {each['p99']:6.1f} ms")
    print(f"  deep / top over the API: {results['api']['all, deep']['p50'] / results['api']['all, top']['p50']:.2f}")
    seen = results["page"]
    if seen is None:
        return
    print(f"  first contentful paint   median {seen['paint_ms']:.0f} ms; 20 cards median {seen['cards_ms']:.0f} ms")
    print(f"  scrolled {seen['scrolled']} events: longest frame {seen['longest_frame_ms']:.0f} ms, p99 {seen['frame_p99_ms']:.0f} ms, "
          f"most elements {seen['most_elements']}, JavaScript heap {seen['heap_mb']:.0f} MB")


if __name__ == "__main__":
    main()
