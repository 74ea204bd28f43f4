"""One encrypted file holds the hub: made while it runs, it becomes the same hub in another directory."""

import base64
import fcntl
import hashlib
import json
import os
import resource
import signal
import subprocess
import unittest

import case
import lab
import mqtt


def digest(raw):
    return "sha-256=:" + base64.b64encode(hashlib.sha256(raw).digest()).decode() + ":"


class Backup(case.HubCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.front = cls.hub.device("front-door")
        cls.lost = cls.hub.device("lost-one")
        cls.lights = cls.hub.service("lights", allow=["subscribe:d/+/event/#"])
        cls.hub.cli("device", "revoke", "lost-one")
        cls.person = cls.hub.person().become_owner()
        cls.raw = os.urandom(150000)
        cls.send_clip(cls.raw)
        cls.file = cls.hub.top / "hub.backup"
        cls.made = cls.hub.cli("backup", "--out", cls.file)

    @classmethod
    def send_clip(cls, raw):
        event = {"v": 1, "id": "one", "kind": "motion", "at_ms": 1790000000000, "score": 0.5, "box": [0.1, 0.2, 0.3, 0.4], "clip": True}
        with mqtt.Client(cls.hub, cls.hub.device_tls(cls.front)) as client:
            client.connect("front-door")
            client.publish("d/front-door/event/motion", json.dumps(event), 1)
        tls, port = cls.hub.device_tls(cls.front), cls.hub.ports["device"]
        begun = lab.request(port, tls, "POST", "/api/v1/device/clips", b"", {"Porchlight-Event": "one", "Upload-Complete": "?0"})
        done = lab.request(port, tls, "PATCH", begun.headers["Location"], raw,
                           {"Upload-Offset": "0", "Upload-Complete": "?1", "Repr-Digest": digest(raw),
                            "Content-Type": "application/partial-upload"})
        if done.status != 204:
            raise lab.LabError(f"the clip was answered {done.status}")

    def restored(self, name):
        hub = lab.Hub(self.hub.top / name)
        hub.top.mkdir()
        self.addCleanup(hub.stop)
        hub.cli("restore", self.file, input=self.made["recovery_key"] + "\n")
        return hub

    def test_a_restored_hub_is_the_same_hub(self):
        hub = self.restored("second")
        late = hub.file("clips", "0123456789abcdef" * 2 + ".clip")  # one that came in behind the copy of the database
        late.write_bytes(b"nobody would ever remove it")
        hub.start()
        self.assertFalse(late.exists())
        self.assertEqual([device["state"] for device in hub.cli("device", "list")["devices"]], ["enrolled", "revoked"])
        self.assertEqual(hub.cli("service", "list")["services"][0]["allow"], ["subscribe:d/+/event/#"])
        # the owner signs in with what she knew, and the clip opens with the restored keys
        self.person.hub = hub
        self.addCleanup(setattr, self.person, "hub", self.hub)
        self.person.login()
        event = self.person.must("GET", "/api/v1/events")["events"][0]
        self.assertEqual(self.person.ask("GET", event["clip"]["url"] + "?copy=original").body, self.raw)
        # a device needs nothing but the new port; the revoked one stays out
        with mqtt.Client(hub, hub.device_tls(self.front)) as client:
            self.assertEqual(client.connect("front-door").reason, 0)
        with mqtt.Client(hub, hub.device_tls(self.lost)) as client:
            self.assertNotEqual(client.connect("lost-one").reason, 0)
        # what identifies new devices still works: the issuing CA came along
        hub.device("new-one")

    def test_the_root_key_is_not_in_it(self):
        hub = self.restored("third")
        self.assertFalse(hub.file("OFFLINE").exists())
        self.assertTrue(self.hub.file("OFFLINE", "root.key").exists())

    def test_the_recovery_key_is_shown_once_and_kept_nowhere(self):
        again = self.hub.cli("backup", "--out", self.hub.top / "again.backup")
        self.assertNotIn("recovery_key", again)
        secret = self.made["recovery_key"].replace("-", "")
        for path in self.hub.dir.rglob("*"):
            if path.is_file():
                raw = path.read_bytes()
                self.assertNotIn(secret.encode(), raw)
                self.assertNotIn(bytes.fromhex(secret), raw)
        self.assertFalse(self.hub.file("run", "backup.db").exists())

    def test_another_key_or_a_changed_file_restores_nothing(self):
        hub = lab.Hub(self.hub.top / "fourth")
        hub.top.mkdir()
        code, _, err = hub.cli("restore", self.file, check=False, input="0" * 63 + "1\n")
        self.assertEqual(code, 1)
        self.assertIn("recovery key", err)
        raw = bytearray(self.file.read_bytes())
        raw[len(raw) // 2] ^= 1
        changed = self.hub.top / "changed.backup"
        changed.write_bytes(raw)
        code, _, err = hub.cli("restore", changed, check=False, input=self.made["recovery_key"])
        self.assertEqual(code, 1)
        self.assertIn("changed", err)
        self.assertEqual(list(hub.top.iterdir()), [])

    def test_a_directory_that_holds_something_is_left_alone(self):
        code, _, err = self.hub.cli("restore", self.file, check=False, input=self.made["recovery_key"])
        self.assertEqual(code, 1)
        self.assertIn("not an empty directory", err)

    def test_two_backups_do_not_meet(self):
        out = self.hub.top / "second.backup"
        with open(self.hub.file("run", "backup.lock"), "a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            code, _, err = self.hub.cli("backup", "--out", out, check=False)
            self.assertEqual(code, 1)
            self.assertIn("another backup", err)
            self.assertFalse(out.exists())
        self.hub.cli("backup", "--out", out)

    def test_a_backup_needs_no_running_hub(self):
        hub = self.restored("fifth")
        made = hub.cli("backup", "--out", hub.top / "offline.backup")
        self.assertGreater(made["files"], 5)


class Interrupted(case.HubCase):
    """Killed in the middle by the kernel, at a byte that the test chooses (a limit on the size of files, SIGXFSZ)."""

    settings = {"trust_head_s": 86400}  # else the hub looks by itself in between

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.file = cls.hub.top / "whole.backup"
        for _ in range(3):
            cls.hub.file("clips", os.urandom(16).hex() + ".clip").write_bytes(os.urandom(6 << 20))
        cls.key = cls.hub.cli("backup", "--out", cls.file)["recovery_key"]

    def cut(self, limit, *words, text=""):
        """Runs the command line until a file of its would pass `limit` bytes."""
        done = subprocess.run([lab.program("porchlight"), *map(str, words)], input=text.encode(), capture_output=True, timeout=120,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        self.assertEqual(done.returncode, -signal.SIGXFSZ, done.stderr)

    def test_a_backup_that_was_killed_leaves_nothing(self):
        before = sorted(path.name for path in self.hub.top.iterdir())
        out = self.hub.top / "cut.backup"
        for limit in (1, 70000, 5 << 20, 17 << 20):
            self.cut(limit, "-C", self.hub.dir, "backup", "--out", out)
            self.assertEqual(sorted(path.name for path in self.hub.top.iterdir()), before)
        self.hub.cli("backup", "--out", out)
        self.assertGreater(out.stat().st_size, 18 << 20)
        out.unlink()

    def test_the_hubs_copy_of_the_database_does_not_outlive_a_killed_backup(self):
        copy = self.hub.file("run", "backup.db")
        for look in (lambda: self.hub.cli("trust-log", "verify"), lambda: (self.hub.stop(), self.hub.start())):
            self.cut(1, "-C", self.hub.dir, "backup", "--out", self.hub.top / "cut.backup")
            self.assertTrue(copy.exists())
            look()
            self.assertFalse(copy.exists())

    def test_a_restore_that_was_killed_leaves_no_hub_and_the_next_one_is_whole(self):
        new = lab.Hub(self.hub.top / "new")
        new.top.mkdir()
        self.addCleanup(new.stop)
        for limit in (1, 70000, 5 << 20):
            self.cut(limit, "-C", new.dir, "restore", self.file, text=self.key + "\n")
            self.assertFalse(new.dir.exists())
            half = lab.Hub(new.top)
            half.dir = new.top / "hub.restoring"
            with self.assertRaises(lab.LabError):
                half.start(60)
        new.cli("restore", self.file, input=self.key + "\n")
        self.assertEqual([path.name for path in new.top.iterdir()], ["hub"])
        for clip in self.hub.file("clips").iterdir():
            self.assertEqual(clip.read_bytes(), new.file("clips", clip.name).read_bytes())
        new.start()

    def test_two_restores_into_one_place_do_not_meet(self):
        new = lab.Hub(self.hub.top / "two")
        new.top.mkdir()
        part = new.top / "hub.restoring"
        part.mkdir()
        with open(part / "lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            code, _, err = new.cli("restore", self.file, check=False, input=self.key + "\n")
            self.assertEqual(code, 1)
            self.assertIn("another restore", err)
            self.assertTrue(part.exists())
        new.cli("restore", self.file, input=self.key + "\n")
        self.assertEqual([path.name for path in new.top.iterdir()], ["hub"])

    def test_a_bar_is_drawn_on_a_terminal_and_nowhere_else(self):
        ours, theirs = os.openpty()
        out = self.hub.top / "bar.backup"
        words = [lab.program("porchlight"), "-C", str(self.hub.dir), "backup", "--out", str(out)]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        seen = b""
        try:
            while chunk := os.read(ours, 65536):
                seen += chunk
        except OSError:
            pass  # the terminal's other side has closed
        os.close(ours)
        self.assertEqual(process.wait(60), 0)
        self.assertRegex(seen.decode(), r"\d+% \[[=> ]{30}\] \d+\.\d of \d+\.\d GB, \d+ MB/s, \d+ s left")
        self.assertTrue(seen.endswith(b"\r\x1b[K"), seen[-40:])
        out.unlink()
        quiet = subprocess.run(words, capture_output=True, check=True)
        self.assertEqual(quiet.stderr, b"")


if __name__ == "__main__":
    unittest.main()
