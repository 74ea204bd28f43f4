"""What systemd is told: readiness, the watchdog that only a working hub feeds, the stop. A socket of ours plays systemd."""

import os
import pathlib
import queue
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

import case  # noqa: F401  (finds the lab)
import lab


class Notified:
    """A NOTIFY_SOCKET and what came through it."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="porchlight-notify-")
        self.path = str(pathlib.Path(self.folder.name) / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o777)
        self.words = queue.Queue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                self.words.put(self.socket.recv(4096).decode())
            except OSError:
                return

    def expect(self, word):
        """Takes words until that one comes."""
        while True:
            try:
                if self.words.get(timeout=60) == word:
                    return
            except queue.Empty:
                raise AssertionError(f"{word} never came") from None

    def drain(self):
        got = []
        while not self.words.empty():
            got.append(self.words.get_nowait())
        return got

    def close(self):
        self.socket.close()
        self.folder.cleanup()


class Systemd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.systemd = Notified()
        cls.addClassCleanup(cls.systemd.close)
        cls.hub = lab.Hub()
        cls.addClassCleanup(cls.hub.remove)
        cls.hub.init()
        before = dict(os.environ)
        os.environ.update(NOTIFY_SOCKET=cls.systemd.path, WATCHDOG_USEC="2000000")
        try:
            cls.hub.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        cls.systemd.expect("READY=1")

    def silent(self, start):
        line = self.hub.log.wait_for(lambda text: "hub.silent" in text, 60, start)
        self.assertIsNotNone(line, "the supervisor never found the hub silent")

    def fed_at_most_once(self):
        """Until it was found silent the supervisor asked three times; only what was answered before may have come."""
        self.assertLessEqual(self.systemd.drain().count("WATCHDOG=1"), 1)

    def test_a_working_hub_feeds_the_watchdog(self):
        for _ in range(3):
            self.systemd.expect("WATCHDOG=1")

    def test_a_hub_that_hangs_does_not(self):
        pid = self.hub.children()["hub"]
        self.systemd.expect("WATCHDOG=1")
        start = len(self.hub.log.all)
        os.kill(pid, signal.SIGSTOP)
        try:
            self.systemd.drain()
            self.silent(start)
            self.fed_at_most_once()
        finally:
            os.kill(pid, signal.SIGCONT)
        self.systemd.expect("WATCHDOG=1")

    @unittest.skipUnless(os.geteuid() == 0, "stopping one thread of another process needs root")
    def test_one_shard_that_hangs_is_enough(self):
        self.one_thread("shard-1")

    @unittest.skipUnless(os.geteuid() == 0, "stopping one thread of another process needs root")
    def test_the_stores_writer_that_hangs_is_enough(self):
        self.one_thread("store-writer")

    def one_thread(self, name):
        """Holds the hub's thread of that name by ptrace, from a process of its own."""
        pid = self.hub.children()["hub"]
        thread = next((int(each.name) for each in pathlib.Path(f"/proc/{pid}/task").iterdir()
                       if (each / "comm").read_text().strip() == name), None)
        self.assertIsNotNone(thread, f"no thread {name}")
        self.systemd.expect("WATCHDOG=1")
        start = len(self.hub.log.all)
        holder = subprocess.Popen(["/usr/bin/python3", "-c", HOLD, str(thread)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self.assertEqual(holder.stdout.readline(), b"held\n")
            self.systemd.drain()
            self.silent(start)
            self.fed_at_most_once()
            self.assertIsNone(self.hub.process.poll())
        finally:
            holder.communicate(b"\n")
        self.systemd.drain()
        self.systemd.expect("WATCHDOG=1")


HOLD = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
pid = int(sys.argv[1])
for request in (SEIZE, INTERRUPT):
    if libc.ptrace(request, pid, None, None) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
os.waitpid(pid, 0x40000000)  # __WALL
print("held", flush=True)
sys.stdin.readline()
libc.ptrace(DETACH, pid, None, None)
"""


class Stopping(unittest.TestCase):
    def test_readiness_and_stop_are_told_in_order(self):
        systemd = Notified()
        self.addCleanup(systemd.close)
        hub = lab.Hub()
        self.addCleanup(hub.remove)
        hub.init()
        os.environ["NOTIFY_SOCKET"] = systemd.path
        try:
            hub.start()
        finally:
            del os.environ["NOTIFY_SOCKET"]
        systemd.expect("READY=1")
        self.assertEqual(hub.stop(), 0)
        systemd.expect("STOPPING=1")
        self.assertEqual(systemd.drain(), [], "without a watchdog nothing is fed")


if __name__ == "__main__":
    unittest.main()
