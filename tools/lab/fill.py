"""Fills a stopped hub's database with a past: events of several cameras over many days, with the pictures of the events that are
there already (a camera that ran before leaves real ones) or with none. For benchmarks and tests of what a long past costs."""

import argparse
import hashlib
import pathlib
import random
import sqlite3
import time

DAY_MS = 86400000


def pictures(db):
    """Real pictures, as (thumbnail, person's picture, its clip, person's box); one without all when no camera ran."""
    rows = db.execute("select e.thumbnail, p.picture, p.clip, p.x, p.y, p.w, p.h from event e left join person p on p.event = e.uid "
                      "where e.thumbnail is not null").fetchall()
    return [(row[0], row[1], row[2] or "", row[3:] if row[1] else None) for row in rows] or [(None, None, "", None)]


def fill(folder, count, days=90, cameras=("front-door", "garden", "garage", "side-gate"), household="home", seed="porch", until_ms=None):
    """Adds `count` events that end at `until_ms` (now), one in five with a person; returns when the oldest one happened."""
    dice = random.Random(seed)
    db = sqlite3.connect(pathlib.Path(folder) / "hub.db")
    db.execute("pragma journal_mode = wal")
    known = pictures(db)
    with_person = [each for each in known if each[1]]
    end = until_ms or int(time.time() * 1000)
    times = sorted(end - int(days * DAY_MS * dice.random()) for _ in range(count))
    with db:
        for number, at in enumerate(times):
            camera = dice.choice(cameras)
            name = f"fill-{seed}-{number}"
            uid = hashlib.sha256(camera.encode() + b"\0" + name.encode()).hexdigest()[:32]
            person = dice.random() < 0.2
            thumbnail, picture, clip, box = dice.choice(with_person) if person and with_person else dice.choice(known)
            db.execute("insert into event (uid, device, product, household, device_event, kind, at_ms, received_ms, score, x, y, w, h, "
                       "thumbnail, person) values (?, ?, 'camera', ?, ?, 'motion', ?, ?, ?, 0.3, 0.3, 0.4, 0.4, ?, ?)",
                       (uid, camera, household, name, at, at + 40, dice.random(), thumbnail, int(person)))
            if person:
                db.execute("insert into person (event, clip, score, x, y, w, h, agreeing, at_ms, found_ms, picture) "
                           "values (?, ?, 1.4, ?, ?, ?, ?, 3, ?, ?, ?)", (uid, clip, *(box or (0.3, 0.3, 0.2, 0.5)), at, at + 300, picture))
    db.execute("pragma wal_checkpoint(truncate)")
    db.close()
    return times[0] if times else end


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("dir")
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--days", type=float, default=90)
    parser.add_argument("--household", default="home")
    parser.add_argument("--cameras", default="front-door,garden,garage,side-gate")
    options = parser.parse_args()
    fill(options.dir, options.events, options.days, options.cameras.split(","), options.household)


if __name__ == "__main__":
    main()
