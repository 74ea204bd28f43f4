"""porchlight-tuf against repositories that are well, broken, stale, rolled back, endless or in the hands of a thief: each numbered
step of the client workflow (The Update Framework 1.0.34, section 5) with one case that must pass and one that must not."""

import fcntl
import gzip
import hashlib
import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import unittest

import case  # noqa: F401 (finds lab)
import lab
import tuf_repo
from tuf_repo import Key, Repo, Server, canonical, endless, stalled, when

DAY = 86400
ALL = {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}


class TufCase(unittest.TestCase):
    def setUp(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-tuf-"))
        self.addCleanup(shutil.rmtree, self.top)
        self.metadata, self.targets = self.top / "metadata", self.top / "targets"
        self.metadata.mkdir(), self.targets.mkdir()
        self.said = ""

    def serve(self, repo=None, trust=True):
        """A repository, its server, and a client that trusts its first root."""
        self.repo = repo or Repo()
        self.server = Server(self.repo)
        self.addCleanup(self.server.close)
        if trust:
            self.assertEqual(self.init(self.repo.published["root"][0]), 0, self.said)
        self.repo.asked.clear()
        return self.repo

    def run_client(self, *words, env=None):
        done = subprocess.run([lab.program("porchlight-tuf"), *map(str, words)], capture_output=True, text=True, timeout=240, env=env)
        self.said = done.stderr
        self.assertNotIn("Sanitizer", done.stderr)
        if done.returncode:
            self.assertRegex(done.stderr, r"^porchlight-tuf: .+\n$", "a refusal says why, in one line")
        return done.returncode

    def init(self, root):
        path = self.top / "root"
        path.write_bytes(root)
        return self.run_client("--metadata-dir", self.metadata, "init", path)

    def refresh(self, **how):
        return self.run_client("--metadata-url", self.server.url + "/metadata", "--metadata-dir", self.metadata, "refresh", "--patience", 3, **how)

    def download(self, *names, **how):
        wanted = [word for name in names for word in ("--target-name", name)]
        return self.run_client("--metadata-url", self.server.url + "/metadata/", "--metadata-dir", self.metadata, *wanted, "--target-dir", self.targets,
                               "--target-base-url", self.server.url + "/targets/", "--patience", 3, "download", **how)

    def trusted(self):
        """Versions of what the client keeps."""
        return {path.stem: json.loads(path.read_bytes())["signed"]["version"] for path in self.metadata.glob("*.json")}

    def downloaded(self):
        return sorted(path.read_bytes() for path in self.targets.iterdir())

    def assertAccepted(self, **versions):
        self.assertEqual(self.refresh(), 0, self.said)
        self.assertEqual(self.trusted(), {**self.trusted(), **versions})

    def assertRefused(self, word, **versions):
        before = self.trusted()
        self.assertEqual(self.refresh(), 1)
        self.assertRegex(self.said, word)
        self.assertEqual(self.trusted(), {**before, **versions})

    def later(self, days):
        """The environment in which the client's clock stands so many days ahead."""
        shim, offset = self.top / "shim.so", self.top / "offset"
        if not shim.exists():
            source = pathlib.Path(__file__).with_name("clock_shim.c")
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", shim, source], check=True)
        offset.write_bytes(struct.pack("<q", days * DAY * 1000))
        preload = [str(shim)]
        if b"libasan" in subprocess.run(["ldd", lab.program("porchlight-tuf")], capture_output=True).stdout:
            preload.insert(0, subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip())
        return {**os.environ, "LD_PRELOAD": " ".join(preload), "PORCH_TEST_CLOCK": str(offset)}


class CommandLine(TufCase):
    def test_a_new_client_asks_for_each_file_once_and_keeps_it_as_it_came(self):
        repo = self.serve()
        self.assertAccepted(**ALL)
        self.assertEqual(repo.asked, ["metadata/2.root.json", "metadata/timestamp.json", "metadata/1.snapshot.json", "metadata/1.targets.json"])
        for role in ALL:
            self.assertEqual((self.metadata / f"{role}.json").read_bytes(), repo.published[role][0])
        repo.asked.clear()
        self.assertAccepted(**ALL)
        self.assertEqual(repo.asked, ["metadata/2.root.json", "metadata/timestamp.json"])

    def test_init_asks_nothing_of_the_network_and_refuses_what_is_no_root(self):
        repo = self.serve()
        self.assertEqual(repo.asked, [])
        root = json.loads(repo.published["root"][0])
        broken = {
            "no version": lambda r: r["signed"].pop("version"),
            "a signature of another": lambda r: r["signatures"][0].update(sig="00" * 64),
            "no signature": lambda r: r["signatures"].clear(),
            "a role missing": lambda r: r["signed"]["roles"].pop("snapshot"),
            "another type": lambda r: r["signed"].update(_type="targets"),
            "another format": lambda r: r["signed"].update(spec_version="2.0.0"),
        }
        for name, change in broken.items():
            with self.subTest(name):
                other = json.loads(json.dumps(root))
                change(other)
                (self.metadata / "root.json").unlink(missing_ok=True)
                self.assertEqual(self.init(json.dumps(other).encode()), 1)
                self.assertEqual(self.refresh(), 1)
                self.assertEqual(repo.asked, [])
        self.assertEqual(self.init(b"{}"), 1)
        self.assertEqual(self.init(b" " * 600000), 1)

    def test_a_download_refreshes_first(self):
        repo = self.serve()
        self.assertEqual(self.download("nonexistent artifact"), 1)
        self.assertEqual(len(repo.asked), 4)
        self.assertEqual(self.trusted(), ALL)

    def test_words_that_are_missing_or_too_many_are_named(self):
        for words, complaint in ((["refresh"], "--metadata-dir"), (["--metadata-dir", "x", "refresh"], "--metadata-url"), (["fly"], "a command"),
                                 (["--nonsense"], "--nonsense"), (["--metadata-dir"], "--metadata-dir"), (["init", "a", "b"], "a word too many"),
                                 (["--metadata-dir", "x", "--metadata-url", "y", "download"], "--target-name"),
                                 (["--metadata-dir", self.metadata, "--metadata-url", "ftp://127.0.0.1/", "refresh"], "root")):
            with self.subTest(words=words):
                self.assertEqual(self.run_client(*words), 1)
                self.assertIn(complaint, self.said)

    def test_one_client_a_folder(self):
        self.serve()
        with open(self.metadata / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertRefused("held by another process")

    def test_a_repository_that_is_away_changes_nothing(self):
        self.serve()
        self.assertAccepted(**ALL)
        self.server.close()
        self.assertRefused("2.root.json")


class Step53Root(TufCase):
    """5.2 and 5.3: the trusted root, and the chain from it to the newest."""

    def test_5_2_without_a_trusted_root_nothing_is_asked(self):
        repo = self.serve(trust=False)
        self.assertRefused("no trusted root")
        self.assertEqual(repo.asked, [])

    def test_5_2_a_trusted_root_that_rotted_on_disk_is_not_used(self):
        repo = self.serve()
        whole = (self.metadata / "root.json").read_bytes()
        for rotten in (whole[:-20], whole.replace(b'"version": 1', b'"version": 7'), b"", b"\x00" * 100):
            (self.metadata / "root.json").write_bytes(rotten)
            self.assertEqual(self.refresh(), 1)
        self.assertEqual(repo.asked, [])

    def test_5_3_3_every_root_between_is_fetched(self):
        repo = self.serve()
        for _ in range(4):
            repo.publish("root")
        self.assertAccepted(root=5)
        self.assertEqual(repo.asked[:5], [f"metadata/{n}.root.json" for n in range(2, 7)])

    def test_5_3_3_a_chain_of_a_thousand_roots_with_new_keys_each_is_walked(self):
        repo = self.serve()
        for _ in range(1000):
            before = repo.keys["root"]
            repo.rotate("root")
            repo.publish("root", keys=before + repo.keys["root"])
        self.assertAccepted(root=1001, timestamp=1)

    def test_5_3_3_one_update_takes_1024_roots_and_the_next_goes_on(self):
        repo = self.serve()
        for _ in range(1030):
            repo.publish("root")
        self.assertAccepted(root=1025)
        self.assertAccepted(root=1031)

    def test_5_3_3_only_a_root_that_is_not_there_ends_the_chain(self):
        repo = self.serve()
        for status in (500, 503, 301, 204):
            with self.subTest(status):
                repo.answers["metadata/2.root.json"] = status
                self.assertRefused(str(status))
        for status in (404, 403):
            repo.answers["metadata/2.root.json"] = status
            self.assertAccepted(root=1)

    def test_5_3_4_a_new_root_needs_the_old_and_the_new_threshold(self):
        a, b, c, d, e, f = (Key() for _ in range(6))
        rows = [  # old keys, threshold, new keys, threshold, signers, good
            ([a], 1, [b], 1, [a, b], True),
            ([a], 1, [b], 1, [b], False),
            ([a], 1, [b], 1, [a], False),
            ([a], 1, [b], 1, [c, a, d, b], True),
            ([a], 1, [b], 1, [b, c, d], False),
            ([a, b, c, d, e], 3, [a, b, d, e, f], 3, [a, b, e], True),
            ([a, b, c, d, e], 3, [a, b, d, e, f], 3, [a, c, e], False),
            ([a, b, c, d, e], 3, [a, b, d, e, f], 3, [a, e, f], False),
            ([a, b, c, d, e], 3, [a, b, d, e, f], 3, [a, c, e, f], True),
            ([a, b, c], 1, [a, b, c], 2, [b], False),
            ([a, b, c], 1, [a, b, c], 2, [b, c], True),
            ([a, b, c], 2, [a, b, c], 1, [a], False),
            ([a, b, c], 2, [a, b, c], 1, [a, b], True),
            ([a], 1, [], 1, [a], False),
        ]
        for n, (old, old_threshold, new, new_threshold, signers, good) in enumerate(rows):
            with self.subTest(n):
                repo = Repo()
                repo.trust("root", old, old_threshold)
                repo.published["root"].clear()
                repo.publish("root", version=1)
                self.metadata = self.top / f"metadata{n}"
                self.metadata.mkdir()
                self.serve(repo)
                repo.trust("root", new, new_threshold)
                repo.publish("root", keys=signers)
                if good:
                    self.assertAccepted(root=2)
                    self.assertEqual((self.metadata / "root.json").read_bytes(), repo.published["root"][1])
                else:
                    self.assertRefused("signatures", root=1)
                    self.assertNotIn("timestamp", self.trusted())

    def test_5_3_4_three_rotations_in_a_row_are_followed_in_order(self):
        repo = self.serve()
        for _ in range(3):
            before = repo.keys["root"]
            repo.rotate("root")
            repo.publish("root", keys=before + repo.keys["root"])
            repo.publish("root")
        self.assertAccepted(root=7)

    def test_5_3_5_a_root_of_another_version_than_its_name_is_refused(self):
        for version in (3, 100):
            repo = self.serve(Repo())
            repo.publish("root", version=version)
            self.assertRefused("version", root=1)

    def test_5_3_5_the_trusted_root_under_the_next_name_is_passed_over(self):
        repo = self.serve()
        repo.answers["metadata/2.root.json"] = repo.published["root"][0]
        self.assertAccepted(**ALL)

    def test_5_3_5_an_older_root_is_a_rollback(self):
        repo = self.serve()
        repo.publish("root")
        self.assertAccepted(root=2)
        repo.answers["metadata/3.root.json"] = repo.published["root"][0]
        self.assertRefused("seen before", root=2)

    def test_5_3_6_an_expired_root_between_does_not_matter(self):
        repo = self.serve()
        repo.signed["root"]["expires"] = when(-1)
        repo.publish("root")
        repo.signed["root"]["expires"] = when(30)
        repo.publish("root")
        self.assertAccepted(root=3)

    def test_5_3_8_and_10_an_expired_newest_root_is_kept_and_ends_the_update(self):
        repo = self.serve()
        self.assertAccepted(**ALL)
        repo.signed["root"]["expires"] = when(-1)
        repo.publish("root", "targets", "snapshot", "timestamp")
        self.assertRefused("expired", root=2, timestamp=1, snapshot=1, targets=1)
        repo.signed["root"]["expires"] = when(30)
        repo.publish("root")
        self.assertAccepted(root=3, timestamp=2, snapshot=2, targets=2)

    def test_5_3_10_a_local_root_may_expire_while_the_next_has_not(self):
        repo = self.serve()
        repo.signed["root"]["expires"] = when(7)
        repo.publish("root")
        self.assertAccepted(root=2)
        env = self.later(18)
        self.assertEqual(self.refresh(env=env), 1)
        repo.signed["root"]["expires"] = when(21)
        repo.publish("root")
        self.assertEqual(self.refresh(env=env), 0, self.said)
        self.assertEqual(self.trusted()["root"], 3)

    def test_5_3_11_fast_forwards_are_recovered_from_by_new_keys(self):
        for lost, moved in (("timestamp", "timestamp"), ("snapshot", "targets"), ("snapshot", "snapshot")):
            with self.subTest(lost=lost, moved=moved):
                self.setUp()
                repo = self.serve(Repo())
                repo.published[moved] = [b""] * 99_998  # the thief's numbers
                repo.publish(moved, version=99_999)
                for role in ("snapshot", "timestamp"):
                    if role != moved:
                        repo.publish(role)
                self.assertAccepted(**{moved: 99_999})
                repo.published[moved].clear()
                repo.publish(moved, version=1)
                for role in ("snapshot", "timestamp"):
                    if role != moved:
                        repo.publish(role)
                self.assertEqual(self.refresh(), 1)
                self.assertRegex(self.said, "seen before|old one")
                repo.rotate(lost)
                repo.publish("root")
                for role in ("snapshot", "timestamp"):
                    repo.publish(role)
                self.assertAccepted(root=2)
                self.assertLess(self.trusted()[moved], 99_999)

    def test_5_3_12_without_consistent_snapshots_names_have_no_versions(self):
        repo = Repo()
        repo.signed["root"]["consistent_snapshot"] = False
        repo.published["root"].clear()
        repo.publish("root", version=1)
        repo.add("targets", "dir/a", b"content")
        repo.publish("targets", "snapshot", "timestamp")
        self.serve(repo)
        self.assertEqual(self.download("dir/a"), 0, self.said)
        self.assertEqual(repo.asked, ["metadata/2.root.json", "metadata/timestamp.json", "metadata/snapshot.json", "metadata/targets.json", "targets/dir/a"])


class Step54Timestamp(TufCase):
    def test_5_4_1_a_timestamp_that_never_ends_is_cut(self):
        repo = self.serve()
        repo.answers["metadata/timestamp.json"] = endless
        self.assertRefused("more than the 16384 bytes", root=1)

    def test_5_4_1_a_timestamp_that_is_missing_or_stalls_ends_the_update(self):
        repo = self.serve()
        for answer, word in ((404, "no timestamp.json"), (500, "500"), (stalled(self.server), "slower")):
            repo.answers["metadata/timestamp.json"] = answer
            self.assertRefused(word)

    def test_5_4_2_a_timestamp_that_is_not_signed_by_its_keys_is_refused(self):
        repo = self.serve()
        self.assertAccepted(**ALL)
        for keys in ([], [Key()], repo.keys["snapshot"], repo.keys["root"]):
            repo.publish("timestamp", keys=keys)
            self.assertRefused("signatures")

    def test_5_4_2_metadata_of_another_type_is_no_timestamp_whoever_signed_it(self):
        repo = self.serve()
        repo.publish("snapshot", keys=repo.keys["timestamp"], change=lambda made: made["signed"].update(meta={"snapshot.json": {"version": 1}}))
        made = repo.sign("snapshot", repo.keys["timestamp"])
        made["signed"]["meta"] = {"snapshot.json": {"version": 1}}
        made["signatures"][0]["sig"] = repo.keys["timestamp"][0].sign(canonical(made["signed"]).encode())
        repo.answers["metadata/timestamp.json"] = json.dumps(made).encode()
        self.assertRefused("type timestamp", root=1)

    def test_5_4_3_1_an_older_timestamp_is_a_rollback(self):
        repo = self.serve()
        repo.publish("timestamp")
        self.assertAccepted(timestamp=2)
        repo.answers["metadata/timestamp.json"] = repo.published["timestamp"][0]
        self.assertRefused("version 1, and 2 was seen", timestamp=2)
        self.assertEqual(repo.asked[-1], "metadata/timestamp.json")

    def test_5_4_3_1_another_timestamp_of_equal_version_is_not_taken(self):
        repo = self.serve()
        self.assertAccepted(**ALL)
        kept = (self.metadata / "timestamp.json").read_bytes()
        repo.signed["timestamp"]["meta"]["snapshot.json"] = {"version": 100}
        repo.publish("timestamp", version=1)
        self.assertAccepted(**ALL)
        self.assertEqual((self.metadata / "timestamp.json").read_bytes(), kept)
        self.assertEqual(repo.asked[-1], "metadata/timestamp.json")

    def test_5_4_3_2_a_timestamp_that_announces_an_older_snapshot_is_a_rollback(self):
        for announce in (False, True):
            self.setUp()
            repo = Repo()
            repo.announce_hashes = announce
            repo.publish("snapshot", "timestamp")
            self.serve(repo)
            self.assertAccepted(timestamp=2, snapshot=2)
            repo.signed["timestamp"]["meta"]["snapshot.json"] = {"version": 1}
            repo.publish("timestamp")
            self.assertRefused("seen before", timestamp=2, snapshot=2)
            self.assertEqual(repo.asked[-1], "metadata/timestamp.json")

    def test_5_4_4_an_expired_timestamp_is_not_taken(self):
        repo = self.serve()
        self.assertAccepted(**ALL)
        repo.signed["timestamp"]["expires"] = when(-5)
        repo.publish("timestamp")
        self.assertRefused("expired", **ALL)

    def test_5_4_4_a_repository_that_is_frozen_is_noticed(self):
        repo = self.serve()
        repo.signed["timestamp"]["expires"] = when(7)
        repo.publish("timestamp")
        self.assertAccepted(timestamp=2)
        self.assertEqual(self.refresh(env=self.later(6)), 0, self.said)
        self.assertEqual(self.refresh(env=self.later(8)), 1)
        self.assertIn("expired", self.said)

    def test_5_4_4_an_expired_local_timestamp_gives_way_to_a_new_one(self):
        repo = self.serve()
        repo.signed["timestamp"]["expires"] = when(7)
        repo.publish("timestamp")
        self.assertAccepted(timestamp=2)
        repo.signed["timestamp"]["expires"] = when(21)
        repo.publish("targets", "snapshot", "timestamp")
        self.assertEqual(self.refresh(env=self.later(18)), 0, self.said)
        self.assertEqual(self.trusted(), {"root": 1, "timestamp": 3, "snapshot": 2, "targets": 2})

    def test_5_4_5_the_timestamp_is_kept_although_the_snapshot_is_missing(self):
        repo = self.serve()
        self.assertAccepted(**ALL)
        repo.signed["timestamp"]["meta"]["snapshot.json"]["version"] = 2
        repo.publish("timestamp")
        self.assertRefused("no 2.snapshot.json", timestamp=2, snapshot=1)
        self.assertEqual(repo.asked[-1], "metadata/2.snapshot.json")


class Step55Snapshot(TufCase):
    def test_5_5_1_a_snapshot_that_never_ends_is_cut_where_it_was_announced_to_end(self):
        repo = Repo()
        repo.announce_hashes = True
        repo.publish("targets", "snapshot", "timestamp")
        self.serve(repo)
        repo.answers["metadata/2.snapshot.json"] = endless
        self.assertRefused(f"more than the {len(repo.published['snapshot'][1])} bytes", timestamp=2)
        self.assertNotIn("snapshot", self.trusted())

    def test_5_5_2_a_snapshot_of_another_hash_or_length_is_refused(self):
        repo = Repo()
        repo.announce_hashes = True
        repo.publish("targets", "snapshot", "timestamp")
        self.serve(repo)
        whole = repo.published["snapshot"][1]
        for other in (whole[:-2] + b" }", whole[:-1], whole.replace(b"\n", b" ")):
            repo.answers["metadata/2.snapshot.json"] = other
            self.assertRefused("length or hash", timestamp=2)
        del repo.answers["metadata/2.snapshot.json"]
        self.assertAccepted(snapshot=2)

    def test_5_5_3_a_snapshot_below_its_threshold_is_refused(self):
        repo = Repo()
        keys = [Key(kind) for kind in ("ed25519", "ecdsa", "rsa")]
        repo.trust("snapshot", keys, 3)
        repo.publish("root", "targets", "snapshot", "timestamp")
        self.serve(repo)
        self.assertAccepted(root=2, snapshot=2)
        repo.publish("targets", "snapshot", "timestamp", keys=None)
        self.assertAccepted(snapshot=3)
        for signers in (keys[:2], keys[:2] + [Key()], []):
            repo.publish("snapshot", keys=signers)
            repo.publish("timestamp")
            self.assertRefused("of the 3 signatures", snapshot=3, timestamp=repo.signed["timestamp"]["version"])

    def test_5_5_3_a_threshold_above_the_number_of_keys_is_never_reached(self):
        repo = self.serve()
        repo.trust("snapshot", [Key() for _ in range(5)], 6)
        repo.publish("root", "snapshot", "timestamp")
        self.assertRefused("5 of the 6", root=2, timestamp=2)
        self.assertNotIn("snapshot", self.trusted())

    def test_5_5_4_a_snapshot_of_another_version_than_announced_is_refused(self):
        repo = self.serve()
        self.assertAccepted(**ALL)
        repo.publish("snapshot", version=3)
        repo.signed["timestamp"]["meta"]["snapshot.json"]["version"] = 2
        repo.publish("timestamp")
        self.assertRefused("announces snapshot 2, and this is 3", timestamp=2, snapshot=1)

    def test_5_5_5_a_snapshot_that_names_older_targets_is_a_rollback(self):
        for announce in (False, True):
            self.setUp()
            repo = Repo()
            repo.announce_hashes = announce
            repo.publish("targets", "snapshot", "timestamp")
            self.serve(repo)
            self.assertAccepted(targets=2)
            repo.signed["snapshot"]["meta"]["targets.json"] = {"version": 1}
            repo.publish("snapshot", "timestamp")
            self.assertRefused("version 1 of targets.json, the old one 2", timestamp=3, snapshot=2, targets=2)

    def test_5_5_5_the_rollback_is_seen_although_the_old_snapshot_has_expired(self):
        repo = self.serve()
        repo.signed["snapshot"]["expires"] = when(7)
        repo.publish("targets", "snapshot", "timestamp")
        self.assertAccepted(targets=2)
        repo.signed["snapshot"]["meta"]["targets.json"] = {"version": 1}
        for role in ("snapshot", "timestamp"):
            repo.signed[role]["expires"] = when(40)
        repo.publish("snapshot", "timestamp")
        self.assertEqual(self.refresh(env=self.later(18)), 1)
        self.assertIn("the old one 2", self.said)

    def test_5_5_5_a_file_that_was_listed_must_stay_listed(self):
        repo = Repo()
        repo.delegate("targets", "role1")
        repo.delegate("targets", "zz")
        repo.publish("role1", "zz", "targets", "snapshot", "timestamp")
        self.serve(repo)
        self.assertAccepted(snapshot=2)
        for name in ("role1.json", "zz.json", "targets.json"):
            kept = repo.signed["snapshot"]["meta"].pop(name)
            repo.publish("snapshot", "timestamp")
            self.assertRefused(f"leaves out {name}", snapshot=2, timestamp=repo.signed["timestamp"]["version"])
            repo.signed["snapshot"]["meta"][name] = kept
        repo.signed["snapshot"]["meta"]["another.json"] = {"version": 1}
        repo.publish("snapshot", "timestamp")
        self.assertAccepted(snapshot=6)

    def test_5_5_6_an_expired_snapshot_is_not_taken(self):
        repo = self.serve()
        self.assertAccepted(**ALL)
        repo.signed["snapshot"]["expires"] = when(-5)
        repo.publish("snapshot", "timestamp")
        self.assertRefused("expired", timestamp=2, snapshot=1, targets=1)

    def test_5_5_7_a_snapshot_on_the_server_that_nobody_announces_is_not_asked_for(self):
        repo = self.serve()
        repo.publish("snapshot", "timestamp")
        self.assertAccepted(snapshot=2)
        repo.published["snapshot"][1] = repo.published["snapshot"][0]
        repo.asked.clear()
        self.assertAccepted(snapshot=2)
        self.assertEqual(repo.asked[-1], "metadata/timestamp.json")

    def test_5_5_7_a_snapshot_that_rotted_on_disk_is_fetched_again(self):
        repo = self.serve()
        self.assertAccepted(**ALL)
        for rotten in (b"", b"{", b"\xff" * 10, repo.published["snapshot"][0].replace(b'"version": 1', b'"version": 2')):
            (self.metadata / "snapshot.json").write_bytes(rotten)
            self.assertEqual(self.refresh(), 0, self.said)
            self.assertEqual(self.trusted(), ALL)


class Step56Targets(TufCase):
    def test_5_6_1_targets_that_are_missing_end_the_update(self):
        repo = self.serve()
        self.assertAccepted(**ALL)
        repo.signed["snapshot"]["meta"]["targets.json"]["version"] = 2
        repo.publish("snapshot", "timestamp")
        self.assertRefused("no 2.targets.json", timestamp=2, snapshot=2, targets=1)

    def test_5_6_2_targets_of_another_hash_are_refused(self):
        repo = Repo()
        repo.announce_hashes = True
        repo.publish("targets", "snapshot", "timestamp")
        self.serve(repo)
        self.assertAccepted(targets=2)
        repo.publish("targets")
        repo.signed["snapshot"]["meta"]["targets.json"]["hashes"]["sha256"] = "46" * 32
        repo.publish("snapshot", "timestamp")
        self.assertRefused("length or hash", timestamp=3, snapshot=3, targets=2)

    def test_5_6_2_mixed_files_of_two_times_are_refused(self):
        repo = Repo()
        repo.announce_hashes = True
        repo.publish("targets", "snapshot", "timestamp")
        repo.publish("targets", "snapshot", "timestamp")
        self.serve(repo)
        repo.answers["metadata/3.targets.json"] = repo.published["targets"][1]
        self.assertRefused("length or hash", timestamp=3, snapshot=3)
        repo.answers["metadata/3.snapshot.json"] = repo.published["snapshot"][1]
        (self.metadata / "snapshot.json").unlink()
        self.assertRefused("length or hash")

    def test_5_6_3_targets_not_signed_by_their_keys_are_refused(self):
        repo = self.serve()
        repo.publish("targets", keys=repo.keys["snapshot"])
        repo.publish("snapshot", "timestamp")
        self.assertRefused("signatures", timestamp=2, snapshot=2)
        self.assertNotIn("targets", self.trusted())

    def test_5_6_4_targets_of_another_version_than_announced_are_refused(self):
        repo = self.serve()
        self.assertAccepted(**ALL)
        repo.publish("targets", version=3)
        repo.signed["snapshot"]["meta"]["targets.json"]["version"] = 2
        repo.publish("snapshot", "timestamp")
        self.assertRefused("announces targets 2, and this is 3", timestamp=2, snapshot=2, targets=1)

    def test_5_6_5_expired_targets_are_not_taken(self):
        repo = self.serve()
        self.assertAccepted(**ALL)
        repo.signed["targets"]["expires"] = when(-5)
        repo.publish("targets", "snapshot", "timestamp")
        self.assertRefused("expired", timestamp=2, snapshot=2, targets=1)

    def test_5_6_6_new_keys_for_each_role_are_followed(self):
        for role in ("timestamp", "snapshot", "targets"):
            for keys, threshold, signers, good in (([1], 1, [1], True), ([1], 1, [0, 2], False), ([0, 1, 2, 3, 4], 3, [0, 2, 4], True),
                                                   ([0, 1, 2, 3, 4], 3, [1, 3], False), ([0, 1, 3, 4, 5], 3, [0, 2, 4], False)):
                with self.subTest(role=role, keys=keys, signers=signers):
                    self.setUp()
                    made = [Key() for _ in range(6)]
                    repo = self.serve(Repo())
                    self.assertAccepted(**ALL)
                    repo.trust(role, [made[n] for n in keys], threshold)
                    repo.publish("root")
                    for each in ("targets", "snapshot", "timestamp"):
                        repo.publish(each, keys=[made[n] for n in signers] if each == role else None)
                    self.assertEqual(self.refresh(), 0 if good else 1, self.said)
                    self.assertEqual(self.trusted()["root"], 2)
                    if good:
                        self.assertEqual((self.metadata / f"{role}.json").read_bytes(), repo.published[role][1])
                    else:
                        self.assertNotEqual(self.trusted().get(role), 2)


GRAPHS = {  # name: (delegations as (parent, name, how), visited)
    "one": ([("targets", "A", {})], "A"),
    "two": ([("targets", "A", {}), ("targets", "B", {})], "AB"),
    "two levels": ([("targets", "A", {}), ("targets", "B", {}), ("B", "C", {})], "ABC"),
    "depth first": ([("targets", "A", {}), ("targets", "B", {}), ("A", "C", {}), ("A", "D", {})], "ACDB"),
    "three levels": ([("targets", "A", {}), ("targets", "B", {}), ("A", "C", {}), ("C", "D", {})], "ACDB"),
    "a terminating one below": ([("targets", "A", {}), ("targets", "B", {}), ("A", "C", {"terminating": True}), ("A", "D", {})], "AC"),
    "below a terminating one": ([("targets", "A", {}), ("targets", "B", {}), ("A", "C", {"terminating": True}), ("C", "D", {})], "ACD"),
    "a terminating one that does not match": ([("targets", "A", {"terminating": True, "paths": ["*.py"]}), ("targets", "B", {})], "B"),
    "a path that does not match": ([("targets", "A", {"paths": ["*.py"]}), ("targets", "B", {}), ("A", "C", {})], "B"),
    "a path that does not match below": ([("targets", "A", {}), ("targets", "B", {}), ("A", "C", {"paths": ["*.py"]}), ("C", "D", {})], "AB"),
    "a circle": ([("targets", "A", {}), ("targets", "B", {}), ("B", "C", {}), ("C", "D", {}), ("D", "B", {})], "ABCD"),
    "itself": ([("targets", "A", {}), ("A", "A", {})], "A"),
    "two ways to one": ([("targets", "A", {}), ("targets", "B", {}), ("B", "C", {}), ("A", "C", {})], "ACB"),
    "two ways, one matches": ([("targets", "A", {}), ("targets", "B", {}), ("B", "C", {}), ("A", "C", {"paths": ["*.py"]})], "ABC"),
}


class Step567Search(TufCase):
    def build(self, delegations, **files):
        repo = Repo()
        for parent, name, how in delegations:
            how = {"paths": ["*"], **how} if "path_hash_prefixes" not in how else how
            repo.delegate(parent, name, keys=repo.keys.get(name), **how)
        for role, contents in files.items():
            for path, content in contents.items():
                repo.add(role, path, content)
        repo.publish(*(role for role in repo.signed if role not in tuf_repo.TOP), "targets", "snapshot", "timestamp")
        return self.serve(repo)

    def visited(self):
        return [path.removeprefix("metadata/1.").removesuffix(".json") for path in self.repo.asked if path.startswith("metadata/1.")]

    def test_5_6_7_graphs_are_searched_depth_first_in_order(self):
        for name, (delegations, visited) in GRAPHS.items():
            with self.subTest(name):
                self.setUp()
                self.build(delegations)
                self.assertEqual(self.download("missingpath"), 1)
                self.assertEqual("".join(self.visited()), visited)
                self.repo.asked.clear()
                self.assertEqual(self.download("missingpath"), 1)
                self.assertEqual(self.visited(), [], "what is trusted is not fetched twice")

    TREE = [("targets", "A", {"paths": ["*.doc", "*.md"]}), ("targets", "B", {"paths": ["releases/*/*"]}), ("B", "C", {"paths": ["releases/x/*"]}),
            ("B", "D", {"paths": ["releases/y/*.zip"]})]

    def test_5_6_7_a_target_is_found_where_every_role_on_the_way_may_speak_of_it(self):
        files = {"targets": {"targetfile": b"top"}, "A": {"README.md": b"by A", "other": b"A may not"}, "C": {"releases/x/x_v1": b"by C"},
                 "D": {"releases/y/y_v1.zip": b"by D", "releases/z/z_v1.zip": b"D may not"}}
        for path, visited, content in (("targetfile", "", b"top"), ("README.md", "A", b"by A"), ("releases/x/x_v1", "BC", b"by C"),
                                       ("releases/y/y_v1.zip", "BD", b"by D"), ("releases/z/z_v1.zip", "B", None), ("other", "", None)):
            with self.subTest(path):
                self.setUp()
                self.build(self.TREE, **files)
                self.assertEqual(self.download(path), 0 if content else 1, self.said)
                self.assertEqual("".join(self.visited()), visited)
                self.assertEqual(self.downloaded(), [content] if content else [])

    def test_5_6_7_the_first_role_in_order_wins(self):
        repo = self.build([("targets", "A", {}), ("targets", "B", {})], A={"x": b"by A"}, B={"x": b"by B"})
        repo.files["x"] = None
        self.assertEqual(self.download("x"), 0, self.said)
        self.assertEqual(self.downloaded(), [b"by A"])

    def test_5_6_7_targets_are_spread_over_roles_by_their_hash(self):
        digest = hashlib.sha256(b"some/path").hexdigest()
        low, high = [f"{n:x}" for n in range(8)], [f"{n:x}" for n in range(8, 16)]
        here = "low" if digest[0] in low else "high"
        self.build([("targets", "low", {"path_hash_prefixes": low}), ("targets", "high", {"path_hash_prefixes": high})], **{here: {"some/path": b"binned"}})
        self.assertEqual(self.download("some/path"), 0, self.said)
        self.assertEqual(self.visited(), [here])
        self.assertEqual(self.downloaded(), [b"binned"])

    def test_5_6_7_a_delegation_by_both_or_by_neither_is_refused(self):
        for how in ({"paths": ["*"], "path_hash_prefixes": ["0"]}, {}):
            self.setUp()
            repo = Repo()
            repo.delegate("targets", "A", paths=["*"])
            repo.signed["targets"]["delegations"]["roles"][0].pop("paths")
            repo.signed["targets"]["delegations"]["roles"][0].update(how)
            repo.publish("A", "targets", "snapshot", "timestamp")
            self.serve(repo)
            self.assertEqual(self.download("x"), 1)
            self.assertIn("paths", self.said)

    def test_5_6_7_a_role_is_verified_by_the_keys_of_the_role_that_names_it_now(self):
        """Two parents name one role with different keys: what one trusts does not serve the other, stored or not."""
        repo = Repo()
        mine, other = Key(), Key()
        repo.delegate("targets", "A", paths=["a/*"])
        repo.delegate("targets", "B", paths=["b/*"])
        repo.delegate("A", "shared", [mine], paths=["a/*", "b/*"])
        repo.delegate("B", "shared", [other], paths=["a/*", "b/*"])
        repo.add("shared", "a/1", b"of a")
        repo.add("shared", "b/1", b"of b")
        repo.publish("shared", "A", "B", "targets", "snapshot", "timestamp")
        self.serve(repo)
        self.assertEqual(self.download("a/1"), 0, self.said)
        self.assertEqual(self.download("b/1"), 1)
        self.assertEqual(self.download("a/1", "b/1"), 1)
        self.assertIn("signatures", self.said)
        self.assertEqual(self.downloaded(), [b"of a"])

    def test_5_6_7_a_delegated_role_needs_its_threshold(self):
        repo = Repo()
        keys = [Key(kind) for kind in ("rsa", "ecdsa", "ed25519")]
        repo.delegate("targets", "A", keys, 2)
        repo.add("A", "x", b"content")
        repo.publish("A", keys=keys[1:])
        repo.publish("targets", "snapshot", "timestamp")
        self.serve(repo)
        self.assertEqual(self.download("x"), 0, self.said)
        repo.publish("A", keys=keys[:1])
        repo.publish("snapshot", "timestamp")
        self.assertEqual(self.download("x"), 1)
        self.assertEqual(self.trusted()["A"], 1)

    def test_5_6_7_an_expired_delegated_role_ends_the_search(self):
        repo = Repo()
        repo.delegate("targets", "A")
        repo.signed["A"]["expires"] = when(-1)
        repo.add("A", "x", b"content")
        repo.publish("A", "targets", "snapshot", "timestamp")
        self.serve(repo)
        self.assertEqual(self.refresh(), 0)
        self.assertEqual(self.download("x"), 1)
        self.assertIn("expired", self.said)
        self.assertNotIn("A", self.trusted())
        self.assertEqual(self.downloaded(), [])

    def test_5_6_7_a_delegated_role_that_expired_since_is_used_no_more_and_a_new_one_is_taken(self):
        repo = Repo()
        repo.delegate("targets", "A")
        repo.signed["A"]["expires"] = when(7)
        repo.add("A", "1", b"first")
        repo.add("A", "2", b"second")
        repo.publish("A", "targets", "snapshot", "timestamp")
        self.serve(repo)
        self.assertEqual(self.download("1"), 0, self.said)
        env = self.later(18)
        self.assertEqual(self.download("2", env=env), 1)
        repo.signed["A"]["expires"] = when(21)
        repo.publish("A", "snapshot", "timestamp")
        self.assertEqual(self.download("2", env=env), 0, self.said)
        self.assertEqual(self.downloaded(), [b"first", b"second"])

    def test_5_6_7_a_delegated_role_that_is_missing_or_not_announced_ends_the_search(self):
        repo = self.build([("targets", "A", {}), ("targets", "B", {})], B={"x": b"by B"})
        repo.answers["metadata/1.A.json"] = 404
        self.assertEqual(self.download("x"), 1)
        del repo.answers["metadata/1.A.json"]
        self.assertEqual(self.download("x"), 0, self.said)
        repo = Repo()
        repo.delegate("targets", "A")
        repo.publish("targets", "snapshot", "timestamp")
        self.serve(repo)
        self.assertEqual(self.download("x"), 1)
        self.assertIn("does not name A.json", self.said)

    def test_5_6_7_names_of_roles_are_quoted_in_addresses_and_on_disk(self):
        for name, quoted in (("?", "%3F"), ("#", "%23"), ("/delegatedrole", "%2Fdelegatedrole"), ("../delegatedrole", "..%2Fdelegatedrole"),
                             ("a b\"\\", "a%20b%22%5C"), ("\u00e9\u20ac", "%C3%A9%E2%82%AC"), (".", "."), ("..", "..")):
            with self.subTest(name):
                self.setUp()
                repo = self.build([("targets", name, {})])
                self.assertEqual(self.download("nonexistent target"), 1)
                self.assertIn(f"metadata/1.{quoted}.json", repo.asked)
                self.assertEqual(len(self.trusted()), 5)
                self.assertEqual({path.name for path in self.top.iterdir()}, {"metadata", "targets", "root"})

    def test_5_6_7_a_delegated_role_cannot_take_the_place_of_a_top_level_one(self):
        for name in ("root", "timestamp", "snapshot", "targets", "", "x" * 200):
            with self.subTest(name):
                self.setUp()
                repo = Repo()
                repo.signed["targets"]["delegations"] = {"keys": {}, "roles": [{"name": name, "keyids": [], "threshold": 1, "terminating": False, "paths": ["*"]}]}
                repo.publish("targets", "snapshot", "timestamp")
                self.serve(repo)
                self.assertEqual(self.download("x"), 1)
                self.assertIn("not allowed", self.said)
                self.assertEqual(set(self.trusted()), set(ALL))

    def test_5_6_7_1_a_search_ends_after_32_roles(self):
        chain = [("targets" if n == 0 else f"r{n - 1}", f"r{n}", {}) for n in range(40)]
        self.build(chain, r30={"near": b"near"}, r31={"far": b"far"})
        self.assertEqual(self.download("near"), 0, self.said)
        self.assertEqual(self.download("far"), 1)
        self.assertNotIn("r32", self.trusted())


class Step57Fetch(TufCase):
    def serve_with(self, *files, **how):
        repo = Repo()
        for path, content in files:
            repo.add("targets", path, content, **how)
        repo.publish("targets", "snapshot", "timestamp")
        return self.serve(repo)

    def test_5_7_3_a_target_is_fetched_by_its_hash_and_kept(self):
        repo = self.serve_with(("path/to/a/file.bin", b"content"))
        self.assertEqual(self.refresh(), 0)
        self.assertEqual(self.downloaded(), [])
        self.assertEqual(self.download("path/to/a/file.bin"), 0, self.said)
        self.assertEqual(self.downloaded(), [b"content"])
        self.assertEqual(repo.asked[-1], f"targets/path/to/a/{hashlib.sha256(b'content').hexdigest()}.file.bin")

    def test_5_7_3_a_target_that_is_there_is_not_fetched_again(self):
        repo = self.serve_with(("a", b"content"), ("empty", b""))
        self.assertEqual(self.download("a", "empty"), 0, self.said)
        repo.asked.clear()
        self.assertEqual(self.download("a", "empty"), 0, self.said)
        self.assertFalse([path for path in repo.asked if path.startswith("targets/")])
        (self.targets / "a").write_bytes(b"contenT")
        self.assertEqual(self.download("a"), 0, self.said)
        self.assertEqual(self.downloaded(), [b"", b"content"])

    def test_5_7_3_what_is_not_the_signed_target_never_appears(self):
        repo = self.serve_with(("a", b"content"))
        address = "targets/" + hashlib.sha256(b"content").hexdigest() + ".a"
        for bad, word in ((b"Content", "length and hash"), (b"conten", "length and hash"), (b"content ", "longer than the 7"), (b"", "length and hash"),
                          (404, "no "), (500, "500"), (endless, "longer than the 7"), (stalled(self.server, b"con"), "slower")):
            repo.answers[address] = bad
            self.assertEqual(self.download("a"), 1)
            self.assertIn(word, self.said)
            self.assertEqual(list(self.targets.iterdir()), [])

    def test_5_7_3_a_changed_target_replaces_the_old_one_and_a_false_one_does_not(self):
        repo = self.serve_with(("a", b"one"))
        self.assertEqual(self.download("a"), 0, self.said)
        for n in range(3):
            content = f"legitimate {n}".encode()
            repo.add("targets", "a", content)
            repo.publish("targets", "snapshot", "timestamp")
            self.assertEqual(self.download("a"), 0, self.said)
            self.assertEqual(self.downloaded(), [content])
            repo.answers["targets/" + hashlib.sha256(b"next").hexdigest() + ".a"] = b"evil"
            repo.add("targets", "a", b"next")
            repo.publish("targets", "snapshot", "timestamp")
            self.assertEqual(self.download("a"), 1)
            self.assertEqual(self.downloaded(), [content])

    def test_5_7_3_each_hash_that_is_known_counts_and_one_at_least_must_be(self):
        for algorithms in (["sha256"], ["sha512"], ["sha256", "sha512"]):
            self.setUp()
            repo = self.serve_with(("a", b"content"), algorithms=algorithms)
            self.assertEqual(self.download("a"), 0, self.said)
            self.assertEqual(self.downloaded(), [b"content"])
            for name in algorithms:
                self.targets = pathlib.Path(tempfile.mkdtemp(dir=self.top))
                good = repo.signed["targets"]["targets"]["a"]["hashes"][name]
                repo.signed["targets"]["targets"]["a"]["hashes"][name] = "00" * (len(good) // 2)
                repo.files.update({f"{value}.a": b"content" for value in repo.signed["targets"]["targets"]["a"]["hashes"].values()})
                repo.publish("targets", "snapshot", "timestamp")
                self.assertEqual(self.download("a"), 1)
                self.assertEqual(self.downloaded(), [])
                repo.signed["targets"]["targets"]["a"]["hashes"][name] = good
        hashes = repo.signed["targets"]["targets"]["a"]["hashes"]
        repo.signed["targets"]["targets"]["a"]["hashes"] = {"unknown-hash": hashes["sha512"]}
        repo.publish("targets", "snapshot", "timestamp")
        self.assertEqual(self.download("a"), 1)
        self.assertEqual(self.downloaded(), [])

    def test_5_7_3_a_target_of_many_megabytes_streams(self):
        content = hashlib.shake_128(b"image").digest(24 * 1024 * 1024)
        self.serve_with(("image.bin", content))
        self.assertEqual(self.download("image.bin"), 0, self.said)
        self.assertEqual(self.downloaded(), [content])


class KeysAndForms(TufCase):
    """Section 4: what is written how, and what of it counts."""

    def test_every_kind_of_key_signs_every_role(self):
        for kind in Key.KINDS:
            with self.subTest(kind):
                self.setUp()
                repo = Repo(kind)
                repo.add("targets", "a", b"content")
                repo.publish("targets", "snapshot", "timestamp")
                self.serve(repo)
                self.assertEqual(self.download("a"), 0, self.said)

    def test_a_signature_of_the_right_form_and_the_wrong_content_is_refused(self):
        for kind in Key.KINDS:
            with self.subTest(kind):
                self.setUp()
                repo = self.serve(Repo())
                extra = Key(kind)
                repo.trust("root", repo.keys["root"] + [extra], 2)
                repo.publish("root")
                self.assertAccepted(root=2)
                repo.publish("root", change=lambda made: made["signatures"][1].update(sig=extra.sign(b"something else")))
                self.assertRefused("1 of the 2", root=2)

    def test_a_key_listed_or_named_twice_counts_once(self):
        repo = self.serve()
        key = Key()
        twin = Key()
        twin.secret, twin.public = key.secret, {**key.public, "note": "the same key by another id"}
        for keys in ([key, twin, repo.keys["snapshot"][0]], [key] * 9 + [repo.keys["snapshot"][0]]):
            self.setUp()
            repo = self.serve(Repo())
            repo.trust("snapshot", keys, 3)
            unique = list({each.id: each for each in keys}.values())
            repo.publish("root")
            repo.publish("snapshot", keys=unique)
            repo.publish("timestamp")
            self.assertEqual(self.refresh(), 1)
            self.assertIn("2 of the 3", self.said)
            self.assertNotIn("snapshot", self.trusted())

    def test_two_signatures_by_one_keyid_are_refused(self):
        repo = self.serve()
        repo.publish("snapshot", change=lambda made: made["signatures"].append(made["signatures"][0]))
        repo.publish("timestamp")
        self.assertRefused("two signatures", timestamp=2)
        self.assertNotIn("snapshot", self.trusted())

    def test_signatures_of_strangers_or_of_no_form_do_not_matter_where_enough_fit(self):
        repo = self.serve()
        extra = Key()
        repo.trust("timestamp", repo.keys["timestamp"] + [extra], 1)
        repo.publish("root")
        for sig in ("", "00", "not hex", "ab" * 2000, extra.sign(b"another thing")):
            repo.publish("timestamp", change=lambda made: (made["signatures"].reverse(), made["signatures"][0].update(sig=sig), made["signatures"].insert(
                0, {"keyid": "11" * 32, "sig": "00" * 64}), None)[-1])
            self.assertAccepted(timestamp=repo.signed["timestamp"]["version"])

    def test_fields_that_we_do_not_know_are_signed_like_all_others(self):
        repo = self.serve()
        repo.signed["root"]["custom-field"] = {"\u00e9": ["\u20ac", {"a": -1, "b": None}], "\U0001f600": True, "": "\"\\/\b\n\t"}
        repo.signed["root"]["roles"]["root"]["another-field"] = "value"
        repo.trust("root", repo.keys["root"] + [Key(**{"extra-field": {"b": 2, "a": 1}})], 2)
        repo.publish("root", change=lambda made: made.update({"beside": [1, 2, 3]}))
        self.assertAccepted(root=2)
        repo.publish("root", change=lambda made: made["signed"].update({"custom-field": "changed"}))
        self.assertRefused("signatures", root=2)

    def test_keyid_hash_algorithms_say_nothing(self):
        repo = self.serve()
        repo.trust("snapshot", [Key(keyid_hash_algorithms="md5")])
        repo.publish("root", "snapshot", "timestamp")
        self.assertAccepted(root=2, snapshot=2)

    def test_however_the_json_is_written_the_signature_is_over_one_form(self):
        repo = self.serve()
        repo.signed["timestamp"]["text"] = "\u00e9\u20ac\U0001f600\"\\"
        for write in (lambda made: json.dumps(made), lambda made: json.dumps(made, indent=4, ensure_ascii=False), lambda made: canonical(made),
                      lambda made: "\r\n\t " + json.dumps(made, separators=(" ,", " :\n")) + "  \n", lambda made: json.dumps(made).replace("/", "\\/"),
                      lambda made: json.dumps({name: made[name] for name in reversed(list(made))})):
            repo.publish("timestamp", change=write)
            self.assertAccepted(timestamp=repo.signed["timestamp"]["version"])
            self.assertEqual((self.metadata / "timestamp.json").read_bytes(), repo.published["timestamp"][-1])

    def test_what_is_not_strict_json_is_refused_whoever_signed_it(self):
        repo = self.serve()
        self.assertAccepted(**ALL)

        def twice(made):
            return json.dumps(made)[:-1] + ', "signed": {}}'

        breaks = {
            "a member twice": twice,
            "a member twice, signed": lambda made: json.dumps(made).replace('"version": ', '"version": 9, "version": ', 1),
            "a fraction": lambda made: json.dumps(made).replace('"version": ', '"fraction": 1.0, "version": ', 1),
            "a comment": lambda made: json.dumps(made) + " // end",
            "not UTF-8": lambda made: json.dumps(made).encode().replace(b'"keyid"', b'"\xff": 1, "keyid"', 1),
            "UTF-16": lambda made: json.dumps(made).encode("utf-16"),
            "a byte order mark": lambda made: "\ufeff" + json.dumps(made),
            "a lone surrogate": lambda made: json.dumps(made).replace('"keyid"', '"\\ud800": 1, "keyid"', 1),
            "a zero character": lambda made: json.dumps(made).replace('"keyid"', '"\\u0000": 1, "keyid"', 1),
            "a huge number": lambda made: json.dumps(made).replace('"version": ', '"n": 123456789012345678901234567890, "version": ', 1),
            "cut short": lambda made: json.dumps(made)[:-1],
            "nested too deep": lambda made: json.dumps({**made, "x": json.loads("[" * 40 + "]" * 40)}),
            "nothing": lambda made: "",
            "a list": lambda made: json.dumps([made]),
            "null": lambda made: "null",
            "compressed": lambda made: gzip.compress(json.dumps(made).encode()),
        }
        for name, change in breaks.items():
            with self.subTest(name):
                repo.publish("timestamp", change=change)
                self.assertRefused("JSON|lacks|digits")

    def test_values_of_the_wrong_kind_are_refused_although_signed(self):
        repo = self.serve()
        self.assertAccepted(**ALL)
        good = repo.signed["timestamp"]
        wrong = [("version", value) for value in (0, -1, "1", None, True, [])] + [("expires", value) for value in (
            "2040-01-01", "2040-01-01T00:00:00", "2040-01-01T00:00:00+00:00", "2040-01-01T00:00:00.5Z", "2040-02-30T00:00:00Z", "2040-13-01T00:00:00Z",
            "2040-01-01t00:00:00Z", 2208988800, None)] + [("spec_version", value) for value in ("2.0.0", "1", "one", "1.", "1..0", 1)] + [
                ("_type", value) for value in ("Timestamp", "snapshot", 1)] + [("meta", value) for value in (
                    {}, [], {"snapshot.json": {}}, {"snapshot.json": {"version": 0}}, {"snapshot.json": {"version": 1, "length": -1}},
                    {"snapshot.json": {"version": 1, "length": "1"}}, {"snapshot.json": {"version": 1, "hashes": {}}},
                    {"snapshot.json": {"version": 1, "hashes": {"sha256": "00"}}}, {"snapshot.json": {"version": 1, "hashes": {"sha256": "A" * 64}}},
                    {"snapshot.json": {"version": 1, "hashes": {"md5": "00" * 16}}})]
        for name, value in wrong:
            with self.subTest(name=name, value=value):
                repo.signed["timestamp"] = {**good, "version": 1, name: value}
                made = repo.sign("timestamp")
                repo.published["timestamp"].append(json.dumps(made).encode())
                if name != "version":
                    made["signed"]["version"] = 2
                    made["signatures"][0]["sig"] = repo.keys["timestamp"][0].sign(canonical(made["signed"]).encode())
                    repo.published["timestamp"][-1] = json.dumps(made).encode()
                self.assertRefused("metadata|announces")

    def test_what_is_missing_is_refused_although_signed(self):
        repo = self.serve()
        good = repo.signed["timestamp"]
        for name in list(good):
            with self.subTest(name):
                repo.signed["timestamp"] = {key: value for key, value in good.items() if key != name}
                repo.published["timestamp"].append(json.dumps(repo.sign("timestamp")).encode())
                self.assertRefused("timestamp metadata|type timestamp|\"meta\"")

    def test_signatures_without_a_list_a_keyid_or_an_end_are_refused(self):
        repo = self.serve()
        for change in (lambda made: made.pop("signatures"), lambda made: made.update(signatures={}), lambda made: made["signatures"].append({"keyid": "a"}),
                       lambda made: made["signatures"].append("x"), lambda made: made["signatures"].extend({"keyid": str(n), "sig": ""} for n in range(100))):
            repo.publish("timestamp", change=lambda made: (change(made), None)[1])
            self.assertRefused("signature")

    def test_thresholds_of_zero_or_beyond_reason_are_refused(self):
        for threshold in (0, -1, 17, "1"):
            self.setUp()
            repo = self.serve(Repo())
            repo.signed["root"]["roles"]["timestamp"]["threshold"] = threshold
            repo.publish("root")
            self.assertRefused("role", root=1)

    def test_a_key_of_an_unknown_kind_is_only_a_key_that_does_not_count(self):
        repo = self.serve()
        strange = Key()
        strange.public = {"keytype": "post-quantum", "scheme": "sphincs", "keyval": {"public": "00"}}
        repo.trust("timestamp", [strange, *repo.keys["timestamp"]], 1)
        repo.publish("root", "timestamp")
        self.assertAccepted(root=2, timestamp=2)
        repo.trust("timestamp", [strange], 1)
        repo.publish("root", "timestamp")
        self.assertEqual(self.refresh(), 1)
        self.assertIn("0 of the 1", self.said)
        self.assertEqual(self.trusted(), {"root": 3, "targets": 1}, "a lost key takes along what it signed")


class Thief(TufCase):
    """Somebody holds the repository and some of its keys."""

    def test_the_online_keys_alone_bring_nothing_onto_a_device(self):
        repo = Repo()
        repo.add("targets", "image", b"good")
        repo.publish("targets", "snapshot", "timestamp")
        self.serve(repo)
        self.assertEqual(self.download("image"), 0, self.said)
        repo.add("targets", "image", b"evil")
        repo.publish("targets", keys=repo.keys["timestamp"] + repo.keys["snapshot"])
        repo.publish("snapshot", "timestamp")
        self.assertEqual(self.download("image"), 1)
        self.assertEqual(self.downloaded(), [b"good"])

    def test_old_signed_targets_do_not_come_back_by_the_online_keys(self):
        repo = Repo()
        repo.add("targets", "image", b"old and weak")
        repo.publish("targets", "snapshot", "timestamp")
        repo.add("targets", "image", b"mended")
        repo.publish("targets", "snapshot", "timestamp")
        self.serve(repo)
        self.assertEqual(self.download("image"), 0, self.said)
        repo.signed["snapshot"]["meta"]["targets.json"] = {"version": 2}
        repo.publish("snapshot", "timestamp")
        self.assertEqual(self.download("image"), 1)
        self.assertIn("the old one 3", self.said)
        self.assertEqual(self.downloaded(), [b"mended"])

    def test_after_the_keys_were_changed_the_stolen_ones_open_nothing(self):
        repo = self.serve()
        self.assertAccepted(**ALL)
        stolen = {role: repo.keys[role] for role in ("timestamp", "snapshot", "targets")}
        repo.rotate("timestamp", "snapshot", "targets")
        repo.publish("root", "targets", "snapshot", "timestamp")
        self.assertAccepted(root=2, timestamp=2, snapshot=2, targets=2)
        for role in ("targets", "snapshot", "timestamp"):
            repo.publish(role, keys=stolen[role])
        self.assertRefused("signatures", timestamp=2)


if __name__ == "__main__":
    unittest.main()
