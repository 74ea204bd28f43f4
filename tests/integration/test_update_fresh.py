"""Freshness without a clock: where the team's root names a time key, a device takes an update only with that key's word, to its own
question, on the time and on the newest timestamp metadata. The test plays a server that freezes, repeats, jumps and lies."""

import base64
import hashlib
import re
import shutil
import time
import unittest
import urllib.parse

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

import test_update_agent

YEAR_MS = 365 * 86400 * 1000


class Timed(test_update_agent.UpdateAgent):
    """A team whose root names a time key, and a server that tells the time when it is asked."""

    def setUp(self):
        super().setUp()
        self.hub_id = re.search(r"^hub.id = (\S+)$", (self.folder / "device.conf").read_text(), re.M)[1]
        self.asked, self.word, self.attempts, self.frozen = [], self.honest, 0, None
        served, self.server.answer = self.server.answer, lambda h: self.tell(h) if h.path.startswith("/.well-known/") else served(h)

    def first_root(self):
        """It names the time key already: nobody can show the device a newest root that does not."""
        self.key = ed25519.Ed25519PrivateKey.generate()
        public = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.repo.run("time-key", "--key", public.hex())
        return self.repo.folder / "repository/metadata/2.root.json"

    def broker(self, device_ca):
        """The device has no time key of its own: whatever is asked here the updater asks."""
        conf = self.folder / "device.conf"
        conf.write_text(re.sub(r"^hub.time_key = .*\n", "", conf.read_text(), flags=re.M))
        return super().broker(device_ca)

    def tell(self, h):
        question = urllib.parse.urlsplit(h.path)
        self.assertEqual(question.path, "/.well-known/porchlight/time")
        nonce = urllib.parse.parse_qs(question.query)["nonce"][0]
        self.asked.append(nonce)
        text = self.word(nonce)
        h.send_response(200 if text else 404)
        h.send_header("Content-Length", str(len(text or b"")))
        h.end_headers()
        h.wfile.write(text or b"")

    def statement(self, nonce, at_ms=None, timestamp=None, key=None, hub=None):
        """What the signer of a hub says: the newest timestamp is that of the team's own folder, whatever the server gives out."""
        newest = (self.repo.folder / "repository/metadata/timestamp.json").read_bytes()
        text = (f"porchlight time 1\nhub {hub or self.hub_id}\nnonce {nonce}\ntime {int(time.time() * 1000) if at_ms is None else at_ms}\n"
                f"timestamp {timestamp or hashlib.sha256(newest).hexdigest()}\n").encode()
        return text + b"signature " + base64.b64encode((key or self.key).sign(text)) + b"\n"

    def honest(self, nonce):
        return self.statement(nonce)


class Fresh(Timed):
    def order(self, sha256, state, words="", version="2"):
        self.attempts += 1
        self.turn(version, sha256, attempt=self.attempts)
        said = self.reported(state, target=version, attempt=self.attempts)
        self.assertRegex(said.get("reason", ""), words)

    def test_a_server_that_freezes_repeats_or_lies_is_found_out_and_an_honest_one_serves(self):
        self.connected()
        frozen = self.top / "frozen"
        shutil.copytree(self.repo.folder / "repository", frozen)
        first = self.statement("00" * 32)
        sha256 = self.release("2")
        # an old repository, whole and not expired, served on
        self.server.root = frozen
        self.order(sha256, "waiting", "holds back")
        self.assertGreaterEqual(len(self.asked), 2, "it asks once more, in case that it was signed anew just then")
        self.assertNotEqual(self.asked[0], self.asked[1])
        # the word of then, which fits that repository, played again: it answers another question
        self.word = lambda nonce: first
        self.order(sha256, "refused", "another question")
        # as does a word that was changed to fit
        self.word = lambda nonce: first.replace(b"00" * 32, nonce.encode())
        self.order(sha256, "refused", "not signed by our hub")
        # another hash, another key, another hub
        self.server.root = self.repo.folder / "repository"
        self.word = lambda nonce: self.statement(nonce, timestamp="ab" * 32)
        self.order(sha256, "waiting", "holds back")
        self.word = lambda nonce: self.statement(nonce, key=ed25519.Ed25519PrivateKey.generate())
        self.order(sha256, "refused", "not signed by our hub")
        self.word = lambda nonce: self.statement(nonce, hub="another-hub")
        self.order(sha256, "refused", "that of another hub")
        # before the floor, and far ahead
        self.word = lambda nonce: self.statement(nonce, at_ms=int(time.time() * 1000) - YEAR_MS)
        self.order(sha256, "waiting", "before one that it told earlier")
        self.word = lambda nonce: self.statement(nonce, at_ms=int(time.time() * 1000) + 11 * YEAR_MS)
        self.order(sha256, "refused", "more than ten years ahead")
        self.assertEqual((self.running(), self.server.targets()), ("1", []))
        # nobody who tells the time: no update, but for later
        self.word = lambda nonce: None
        self.attempts += 1
        asked = len(self.asked)
        self.turn("2", sha256, attempt=self.attempts)
        self.wait_until(lambda: len(self.asked) > asked)
        self.assertEqual((self.running(), self.server.targets()), ("1", []))
        self.word = self.honest
        self.reported("good", target="2", running="2")

    def wait_until(self, true, seconds=60):
        until = time.monotonic() + seconds
        while not true():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)  # looks again; how long it takes is nobody's claim

    def test_the_floor_rises_with_each_word_and_outlives_the_process(self):
        self.connected()
        sha256 = self.release("2", "--stage", "0.01%:1000d", "--stage", "100%")
        ahead = int(time.time() * 1000) + 86400 * 1000
        self.word = lambda nonce: self.statement(nonce, at_ms=ahead)
        self.order(sha256, "waiting", "has not reached this device")
        self.assertEqual(int((self.folder / "state/time").read_text()), ahead)
        self.box.on = False
        self.box.kill()
        self.box.thread.join(30)
        self.box = test_update_agent.Box(self.slots)
        self.addCleanup(self.box.stop)
        self.connected()
        self.word = self.honest  # a day behind what was said before
        self.order(sha256, "waiting", "before one that it told earlier")


# The updater's own tests run in their own file, not here again.
for name in [each for each in dir(test_update_agent.UpdateAgent) if each.startswith("test_")]:
    setattr(Timed, name, None)

if __name__ == "__main__":
    unittest.main()
