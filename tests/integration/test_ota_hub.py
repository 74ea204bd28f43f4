"""The hub as the update repository: it announces what the team signed, verifies what comes, and serves devices."""

import contextlib
import json
import re
import shutil
import sqlite3
import subprocess
import time
import unittest

import cbor2

import case  # noqa: F401 (finds lab)
import lab
import ota_lab


class OtaHub(ota_lab.OtaCase):
    def say(self, *words):
        """What the hub's machine says to an operator, and how it ends."""
        done = subprocess.run([lab.program("porchlight"), "-C", self.hub.dir, *words], capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout

    def pruned(self):
        rows = self.hub.cli("trust-log", "list")["rows"]
        return sorted(((row["subject"], row["who"]) for row in rows if row["kind"] == "update.prune"), reverse=True)

    def look_for_old(self, sql):
        """The hub starts with its rows so, and looks once for what may go: release 2, of which nothing is left, is marked then."""
        self.hub.stop()
        with contextlib.closing(sqlite3.connect(self.hub.file("hub.db"))) as db:
            db.executescript(sql)
        self.hub.start()
        until = time.monotonic() + 60
        while True:
            with contextlib.closing(sqlite3.connect(f"file:{self.hub.file('hub.db')}?mode=ro", uri=True)) as db:
                if db.execute("select pruned_ms from update_release where version = '2'").fetchone()[0] > 0:
                    return
            self.assertLess(time.monotonic(), until, "it never looked")
            time.sleep(0.05)  # looks again; how long it takes is nobody's claim

    # One hub keeps one repository, so what needs a fresh one is one walk.
    def test_a_release_comes_to_the_hub_and_devices_fetch_it_and_nothing_false_gets_in(self):
        # A folder that was not made for this hub is refused before the signer remembers any of its roles.
        foreign = self.top / "foreign"
        self.ota("init", foreign, "--product", "doorbell")
        self.assertIn("does not name this hub's", self.publish(foreign, code=1))
        self.make()
        image = self.release("1")
        self.assertEqual(self.get("metadata/timestamp.json")[0], 404)
        self.assertIn("1 new release", self.publish())
        for version in ("--http1.1", "--http2"):
            status, head, text = self.get("metadata/timestamp.json", version)
            self.assertEqual((status, "no-store" in head), (200, True))
        timestamp = json.loads(text)["signed"]
        snapshot = json.loads(self.get(f"metadata/{timestamp['meta']['snapshot.json']['version']}.snapshot.json")[2])["signed"]
        self.assertEqual(sorted(snapshot["meta"]), ["camera.json", "rollout.json", "targets.json"])
        camera = json.loads(self.get(f"metadata/{snapshot['meta']['camera.json']['version']}.camera.json")[2])["signed"]
        sha256 = camera["targets"]["camera/1/image"]["hashes"]["sha256"]
        path = f"targets/camera/1/{sha256}.image"
        for version in ("--http1.1", "--http2"):
            self.assertEqual(self.get(path, version)[::2], (200, image))
            status, head, part = self.get(path, version, "-r", "1000-1999")
            self.assertEqual((status, part), (206, image[1000:2000]))
            self.assertIn("content-range: bytes 1000-1999/100000", head)
            self.assertEqual(self.get(path, version, "-r", "100000-")[0], 416)
            status, head, _ = self.get(path, version, "-I")
            self.assertEqual((status, "content-length: 100000" in head), (200, True))
        self.assertEqual(self.get("metadata/timestamp.json", who=self.hub.top / "service")[0], 403)
        self.assertEqual(self.get("metadata/..%2f..%2fhub.db")[0], 400)

        # The client core itself, from the root that came with the product.
        (self.top / "device").mkdir()
        (self.top / "images").mkdir()
        self.assertEqual(self.tuf("init", self.repo / "repository/metadata/1.root.json")[0], 0)
        targets = f"https://localhost:{self.hub.ports['device']}{ota_lab.UPDATES}/targets"
        self.assertEqual(self.tuf(*self.address(), "--target-name", "camera/1/image", "--target-name", "camera/1/manifest", "--target-dir",
                                  self.top / "images", "--target-base-url", targets, "download"), (0, ""))
        self.assertEqual((self.top / "images/camera%2F1%2Fimage").read_bytes(), image)
        self.assertEqual(cbor2.loads((self.top / "images/camera%2F1%2Fmanifest").read_bytes()).tag, 107)
        # who is refused is told so, and does not take it for "there is no newer root"
        code, said = self.tuf(*self.address(self.hub.top / "service"), "refresh")
        self.assertEqual(code, 1)
        self.assertIn("refuses our certificate (HTTP status 403)", said)

        # A device under quarantine still reaches its update.
        self.hub.cli("device", "quarantine", "porch-cam")
        self.assertEqual(self.get(path)[0], 200)
        self.hub.cli("device", "readmit", "porch-cam")

        # Only what is new travels, and versions of snapshot and timestamp rise.
        before = self.files()
        self.release("2", old=image, more=["--stage", "1%:24h", "--stage", "100%"])
        self.ota("widen", self.repo, "--product", "camera", "--version", "2", "--share", "100%")
        new = self.files()
        self.assertEqual(len([name for name in new if "delta-from" in name]), 1)
        said = self.publish()
        self.assertIn("1 new release", said)
        sent = int(re.search(r"(\d+) bytes sent", said).group(1))
        self.assertEqual(sent, sum(size for name, size in new.items() if name not in before and "snapshot" not in name), said)
        after = json.loads(self.get("metadata/timestamp.json")[2])["signed"]
        self.assertGreater(after["version"], timestamp["version"])
        self.assertIn("0 new release", self.publish())

        # Every release is in the trust log.
        log = json.dumps(self.hub.cli("trust-log", "list"))
        self.assertIn("release:camera/1", log)
        self.assertIn("release:camera/2", log)

        # Another team's folder, an older folder, a changed image, a changed role: refused, and what is published stays.
        before = self.get("metadata/timestamp.json")[2]
        other = self.top / "other"
        self.make(other)
        self.release("3", other)
        self.publish(other, code=1)
        older = self.top / "older"
        shutil.copytree(self.repo, older)
        self.release("4")
        newest = self.publish()
        self.assertIn("1 new release", newest)
        self.assertIn("only", self.publish(older, code=1))
        self.release("5")
        changed = next((self.repo / "repository/targets/camera/5").iterdir())
        good = changed.read_bytes()
        changed.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        self.assertIn("not those that were signed", self.publish(code=1))
        changed.write_bytes(good)
        role = max((self.repo / "repository/metadata").glob("*.camera.json"), key=lambda p: int(p.name.split(".")[0]))
        text = role.read_text()
        role.write_text(text.replace('"rev-a"', '"rev-b"', 1))
        self.assertIn("not signed by its keys", self.publish(code=1))
        role.write_text(text)
        self.assertNotIn("camera/5", json.dumps(json.loads(self.get("metadata/timestamp.json")[2])))
        self.assertNotEqual(before, self.get("metadata/timestamp.json")[2])

        # Wrong bytes were found by their hash and are not kept: the repeat sends the right ones.
        self.assertIn("1 new release", self.publish())

        # Two copies of the folder went on apart from each other: the later one is told so, and nothing of it comes into force.
        apart = self.top / "apart"
        shutil.copytree(self.repo, apart)
        self.release("5.1")
        self.publish()
        self.ota("revoke", apart, "--product", "camera", "--version", "5")
        self.assertRegex(self.publish(apart, code=1), r"another version \d+ of camera.*fetch the team's newest folder")
        self.assertLessEqual({"5", "5.1"}, self.newest())

        # A publish that breaks off behind the signer is finished by the hub, and told as long as it is not.
        timestamp = self.hub.dir / "updates/metadata/timestamp.json"
        timestamp.unlink()
        timestamp.mkdir()  # nothing can be renamed to it
        self.release("5.2")
        self.assertIn("Is a directory", self.publish(code=1))
        code, said = self.say("ota", "status")
        self.assertEqual(code, 1)
        self.assertRegex(said, r"not in force yet: .*directory\.\n.*folder before \d{4}-")
        self.assertIn("not in force yet", self.say("doctor")[1])
        timestamp.rmdir()
        until = time.monotonic() + 60
        while self.say("ota", "status")[0] != 0:
            self.assertLess(time.monotonic(), until, "the hub never finished it")
            time.sleep(0.05)  # looks again; how long it takes is nobody's claim
        self.assertIn("5.2", self.newest())

        # What waits for a second person's signature is not published, and says so.
        self.ota("key", "add", self.repo, "--role", "camera")
        self.ota("threshold", self.repo, "--role", "camera", "--signatures", "2")
        self.publish()
        spare = sorted((self.repo / "keys").iterdir(), key=lambda path: path.stat().st_mtime)[-1]
        spare.rename(self.top / "spare.pem")
        self.release("7")
        self.assertIn("waits for signatures (camera: 1 of 2)", self.publish(code=1))
        (self.top / "spare.pem").rename(spare)
        self.ota("sign", self.repo)
        self.assertIn("1 new release", self.publish())
        role = [row for row in self.hub.cli("ota", "audit")["roles"] if row["role"] == "camera"][0]
        self.assertEqual((role["threshold"], len(role["signers"].split())), (2, 2))
        # Whose word counts has changed: that is in the trust log, with the keys before and after.
        change, = [row for row in self.hub.cli("trust-log", "list")["rows"] if (row["kind"], row["subject"]) == ("update.keys", "update:camera")]
        detail = json.loads(change["detail"])
        self.assertEqual((len(detail["before"]), len(detail["keys"]), detail["threshold"]), (1, 2, 2))

        # Images of a withdrawn release, and the delta to it, go when they are told to: seen before, and no other with them.
        old, = (self.hub.dir / "updates/targets/camera/2").glob("*.image")
        delta, = (self.hub.dir / "updates/targets/camera/2").glob("*.delta-from-*")
        self.assertEqual(self.hub.cli("ota", "prune")["files"], 0)
        self.ota("revoke", self.repo, "--product", "camera", "--version", "2")
        self.publish()
        seen = self.hub.cli("ota", "prune")
        self.assertEqual((seen["files"] >= 2, seen["bytes"] > 100_000, old.exists(), delta.exists()), (True, True, True, True))
        self.assertEqual(self.hub.cli("ota", "prune", "--yes"), seen)
        self.assertFalse(old.exists() or delta.exists() or old.parent.exists())
        self.assertEqual(self.hub.cli("ota", "prune")["files"], 0)
        self.assertEqual(self.get(path)[0], 200)
        self.newest()

        # By themselves they go after ota.prune_days; not while a device runs the release, and not what a floor needs.
        self.assertEqual(self.pruned(), [("update:images", "operator")])
        self.release("8")
        self.publish()
        self.ota("revoke", self.repo, "--product", "camera", "--version", "7")
        self.publish()
        seven, = (self.hub.dir / "updates/targets/camera/7").glob("*.image")
        long_ago = "update update_release set withdrawn_ms = 1000, pruned_ms = 0 where version in ('2', '7'); "
        runs = "insert into update_device (device, running, target, state, reason, floor, bytes, way, at_ms) select id, '7', '', 'good', '', 1, 0, '', 1 from device"
        with (self.hub.dir / "hub.conf").open("a") as conf:
            conf.write("ota.prune_days = 1\nstore.clock_settle_h = 0\n")
        self.look_for_old(long_ago + "update update_release set counter = counter + 100 where version = '7'")
        self.assertTrue(seven.exists(), "nothing in force reaches its counter")
        self.look_for_old(long_ago + "update update_release set counter = counter - 100 where version = '7'; " + runs)
        self.assertTrue(seven.exists(), "a device runs it")
        self.assertEqual(len(self.pruned()), 1)
        self.look_for_old(long_ago + "update update_device set running = '8'")
        self.assertFalse(seven.exists())
        self.assertEqual(self.pruned(), [("update:images", "operator"), ("release:camera/7", "hub")])
        self.assertEqual(self.get(path)[0], 200)

        # After a restart the hub goes on where it was, and renews by itself before the timestamp ends.
        last = json.loads(self.get("metadata/timestamp.json")[2])["signed"]["version"]
        self.hub.stop()
        self.hub.start()
        self.assertEqual(json.loads(self.get("metadata/timestamp.json")[2])["signed"]["version"], last)
        self.release("6")
        # What only stands beside a name is no signature: nobody is said to have signed who has not.
        role = max((self.repo / "repository/metadata").glob("*.camera.json"), key=lambda p: int(p.name.split(".")[0]))
        document = json.loads(role.read_text())
        real = document["signatures"][0]["keyid"]
        document["signatures"].append({"keyid": "ab" * 32, "sig": "cd" * 64})
        role.write_text(json.dumps(document))
        self.publish()
        signed = json.dumps(self.hub.cli("ota", "audit")) + json.dumps(self.hub.cli("trust-log", "list"))
        self.assertIn(real, signed)
        self.assertNotIn("ab" * 32, signed)
        self.assertGreater(json.loads(self.get("metadata/timestamp.json")[2])["signed"]["version"], last)
        self.assertEqual(self.tuf(*self.address(), "refresh"), (0, ""))


if __name__ == "__main__":
    unittest.main()
