"""Push messages as a browser and its push service see them: an HTTPS server of ours takes what the courier
sends, checks the VAPID token, and opens the message with the subscription's keys."""

import base64
import hashlib
import hmac
import json
import pathlib
import subprocess
import tempfile
import time
import unittest

import case
import lab
from test_webhooks import Receiver, server_certificate

PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")  # SubjectPublicKeyInfo of a P-256 point


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def openssl(*words, data=None):
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, input=data).stdout


def hkdf(salt, secret, info, length):
    key = hmac.new(salt, secret, hashlib.sha256).digest()
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()[:length]


class Browser:
    """What a browser keeps of one subscription: its key pair, its secret, and how to open a message (RFC 8291)."""

    def __init__(self, folder, name):
        self.folder, self.key = folder, folder / f"{name}.key"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.key)
        self.point = openssl("pkey", "-in", self.key, "-pubout", "-outform", "DER")[len(PREFIX):]
        self.auth = hashlib.sha256(name.encode()).digest()[:16]

    def agree(self, point):
        peer = self.folder / "peer.der"
        peer.write_bytes(PREFIX + point)
        return openssl("pkeyutl", "-derive", "-inkey", self.key, "-peerkey", peer, "-peerform", "DER")

    def open(self, body):
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender, sealed = body[21:21 + length], body[21 + length:]
        assert (size, length) == (4096, 65) and len(sealed) <= size
        secret = hkdf(self.auth, self.agree(sender), b"WebPush: info\0" + self.point + sender, 32)
        key, nonce = hkdf(salt, secret, b"Content-Encoding: aes128gcm\0", 16), hkdf(salt, secret, b"Content-Encoding: nonce\0", 12)
        # GCM's cipher text is counter mode from block 2 on; the tag is judged by recomputing it, below.
        plain = openssl("enc", "-d", "-aes-128-ctr", "-K", key.hex(), "-iv", (nonce + b"\0\0\0\x02").hex(), data=sealed[:-16])
        assert gcm_tag(key, nonce, sealed[:-16]) == sealed[-16:], "the tag does not fit"
        assert plain[-1:] == b"\x02"
        return json.loads(plain[:-1])


def gcm_tag(key, nonce, sealed):
    """NIST SP 800-38D, 6.4 and 7.1, without additional data."""
    def block(data):
        return openssl("enc", "-aes-128-ecb", "-nopad", "-K", key.hex(), data=data)

    def multiply(x, y):
        z = 0
        for bit in range(127, -1, -1):
            if x >> bit & 1:
                z ^= y
            y = y >> 1 ^ (0xe1 << 120 if y & 1 else 0)
        return z

    subkey, y = int.from_bytes(block(bytes(16)), "big"), 0
    padded = sealed + bytes(-len(sealed) % 16) + (0).to_bytes(8, "big") + (8 * len(sealed)).to_bytes(8, "big")
    for at in range(0, len(padded), 16):
        y = multiply(y ^ int.from_bytes(padded[at:at + 16], "big"), subkey)
    return (y ^ int.from_bytes(block(nonce + b"\0\0\0\x01"), "big")).to_bytes(16, "big")


class Push(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="porchlight-push-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        certificate, key = server_certificate(self.folder)
        self.service = Receiver(certificate, key)
        self.service.script = []
        self.addCleanup(self.service.close)
        self.hub = lab.Hub()
        self.addCleanup(self.hub.remove)
        self.hub.init()
        self.hub.set(courier_allow=f"localhost:{self.service.port}", courier_ca_file=certificate, notify_retry_first_ms=100,
                     push_test_wait_s=0, push_subscriptions=3, push_cooldown_s=86400)
        self.hub.start()
        self.person = self.hub.person().become_owner()

    def endpoint(self, path="/wpush/one"):
        return f"https://localhost:{self.service.port}{path}"

    def subscribe(self, browser, endpoint=None):
        return self.person.ask("POST", "/api/v1/push/subscriptions", {
            "endpoint": endpoint or self.endpoint(), "p256dh": b64(browser.point), "auth": b64(browser.auth)})

    def received(self, seconds=60):
        path, headers, body, status = self.service.got.get(timeout=seconds)
        return path, {name.lower(): value for name, value in headers.items()}, body, status

    def camera(self, name="front-door"):
        camera = lab.Camera(self.hub.device(name), lab.videos() / "vtest.avi")
        self.addCleanup(camera.stop)
        return camera

    def verify_token(self, authorization):
        scheme, _, rest = authorization.partition(" ")
        self.assertEqual(scheme, "vapid")
        fields = dict(part.strip().split("=", 1) for part in rest.split(","))
        self.assertEqual(fields["k"], self.person.must("GET", "/api/v1/push")["key"])
        head, claims, signature = fields["t"].split(".")
        raw = unb64(signature)
        self.assertEqual(len(raw), 64)
        numbers = b""
        for part in (raw[:32], raw[32:]):
            part = part.lstrip(b"\0")
            part = (b"\0" if not part or part[0] & 0x80 else b"") + part
            numbers += b"\x02" + bytes([len(part)]) + part
        der, key = self.folder / "token.der", self.folder / "vapid.der"
        der.write_bytes(b"\x30" + bytes([len(numbers)]) + numbers)
        key.write_bytes(PREFIX + unb64(fields["k"]))
        pem = self.folder / "vapid.pem"
        openssl("pkey", "-pubin", "-inform", "DER", "-in", key, "-out", pem)
        verdict = openssl("dgst", "-sha256", "-verify", pem, "-signature", der, data=f"{head}.{claims}".encode())
        self.assertIn(b"Verified OK", verdict)
        self.assertEqual(json.loads(unb64(head)), {"typ": "JWT", "alg": "ES256"})
        return json.loads(unb64(claims))

    def test_a_person_at_the_door_reaches_a_browser_sealed_and_only_once_a_cooldown(self):
        browser = Browser(self.folder, "phone")
        self.assertEqual(self.subscribe(browser).status, 201)
        self.assertEqual(self.subscribe(browser).status, 200, "the same browser is the same subscription")
        self.service.script = [503, 429, 201]
        stream = self.person.stream()
        self.addCleanup(stream.close)
        self.camera()
        tries = [self.received(120) for _ in range(3)]
        self.assertEqual([status for *_, status in tries], [503, 429, 201])
        path, headers, body, _ = tries[-1]
        self.assertEqual(path, "/wpush/one")
        self.assertEqual((headers["content-encoding"], headers["urgency"]), ("aes128gcm", "high"))
        self.assertTrue(290 <= int(headers["ttl"]) <= 300, headers["ttl"])
        self.assertRegex(headers["topic"], "^[A-Za-z0-9_-]{1,32}$")
        self.assertEqual(len({h["topic"] for _, h, *_ in tries}), 1)
        self.assertLessEqual(len(body), 4096)
        self.assertNotIn(b"front-door", body)
        claims = self.verify_token(headers["authorization"])
        self.assertEqual(claims["aud"], f"https://localhost:{self.service.port}")
        self.assertTrue(time.time() < claims["exp"] <= time.time() + 86400)
        self.assertRegex(claims["sub"], "^(mailto:|https://)")
        message = browser.open(body)
        self.assertEqual((message["kind"], message["device"]), ("person", "front-door"))
        news, _, _ = stream.next("person", 60)
        self.assertEqual(message["page"], f"/events/{news['event']['id']}")
        self.assertEqual(self.person.ask("GET", message["picture"]).status, 200)
        self.assertRegex(message["at"], r"[+]0[12]:00$", "the household's clock")
        # more people walk by, and the household is told live, but the phone not again
        self.assertIsNotNone(stream.next("person", 120))
        self.assertIsNotNone(self.hub.log.wait_for(lambda text: "notify.push" in text and "outcome=delivered" in text, 20))
        self.assertTrue(self.service.got.empty(), "the camera cools down")
        (row,) = self.person.must("GET", "/api/v1/push")["subscriptions"]
        self.assertEqual((row["delivered"], row["last_status"]), (1, 201))
        journal = self.hub.file("signer", "journal").read_text()
        self.assertEqual(journal.count(f"https://localhost:{self.service.port}"), 1, "one token serves all")

    def test_whom_the_policy_denies_a_camera_is_not_pushed_to(self):
        guest = self.hub.person().join("gus@example.org", "guest", "--days", "7")
        self.hub.cli("group", "add", "quiet", "--member", "people home guest", "--deny", "receive:$porchlight/device/front-door/#")
        phones = {person: Browser(self.folder, person.name) for person in (self.person, guest)}
        for person, phone in phones.items():
            answer = person.ask("POST", "/api/v1/push/subscriptions", {
                "endpoint": self.endpoint(f"/{person.name}"), "p256dh": b64(phone.point), "auth": b64(phone.auth)})
            self.assertEqual(answer.status, 201)
        self.camera()
        path, _, body, _ = self.received(120)
        self.assertEqual((path, phones[self.person].open(body)["kind"]), ("/robin", "person"))
        self.assertIsNotNone(self.hub.log.wait_for(lambda text: "notify.push" in text and "outcome=withheld" in text, 60))
        guest.must("POST", "/api/v1/push/test", {})  # what is the person's own arrives, and nothing before it
        path, _, body, _ = self.received(60)
        self.assertEqual((path, phones[guest].open(body)["kind"]), ("/gus@example.org", "test"))
        row = next(one for one in self.hub.cli("denials")["denials"] if one["name"] == guest.name)
        self.assertEqual((row["topic"], row["statement"]), ("$porchlight/device/front-door/event/person",
                                                            "quiet: deny receive:$porchlight/device/front-door/#"))
        # the event itself may be seen, who was in it may not
        event = self.person.must("GET", "/api/v1/events?person=1")["events"][0]
        self.assertEqual(self.person.ask("GET", event["person"]["picture"]).status, 200)
        self.assertEqual(guest.ask("GET", event["person"]["picture"]).status, 403)
        self.assertIsNone(guest.must("GET", f"/api/v1/events/{event['id']}")["person"])
        self.assertEqual(guest.must("GET", "/api/v1/events?person=1")["events"], [])

    def test_a_test_message_arrives_and_a_gone_browser_is_forgotten(self):
        phone, tablet = Browser(self.folder, "phone"), Browser(self.folder, "tablet")
        self.subscribe(phone, self.endpoint("/phone"))
        self.subscribe(tablet, self.endpoint("/tablet"))
        self.assertEqual(self.person.must("POST", "/api/v1/push/test", {}), {"queued": 2})
        got = {path: (headers, body) for path, headers, body, _ in (self.received(), self.received())}
        self.assertEqual(phone.open(got["/phone"][1])["kind"], "test")
        self.assertEqual(tablet.open(got["/tablet"][1])["kind"], "test")
        self.assertEqual(got["/phone"][0]["urgency"], "normal", "only persons are urgent")
        with self.assertRaises(AssertionError):
            phone.open(got["/tablet"][1])
        for status in (410, 404):
            self.service.script = [status, 201]
            rows = len(self.person.must("GET", "/api/v1/push")["subscriptions"])
            start = len(self.hub.log.all)
            self.person.must("POST", "/api/v1/push/test", {})
            self.assertIsNotNone(self.hub.log.wait_for(lambda text: "outcome=gone" in text and f"status={status}" in text, 30, start))
            self.received()
            deadline = time.monotonic() + 20
            while len(self.person.must("GET", "/api/v1/push")["subscriptions"]) != rows - 1:
                self.assertLess(time.monotonic(), deadline, "the subscription is still there")
        self.assertEqual(self.person.ask("POST", "/api/v1/push/test", {}).status, 404)

    def test_a_sign_in_reaches_each_browser_once_whatever_the_hour(self):
        phone, tablet = Browser(self.folder, "phone"), Browser(self.folder, "tablet")
        self.subscribe(phone, self.endpoint("/phone"))
        self.subscribe(tablet, self.endpoint("/tablet"))
        self.person.must("PUT", "/api/v1/push/quiet", {"begins": "00:00", "ends": "23:59"})
        login = {"name": "robin", "password": lab.Person.PASSWORD}

        def attempt(code):
            return self.hub.person().ask("POST", "/api/v1/login", {**login, "code": code}).status

        for code in ("000000", "AAAA-AAAA-AAAA-AAAA"):  # twice the password, and no second factor
            self.assertEqual(attempt(code), 401)
        self.assertEqual(attempt(self.person.recovery[0]), 200)
        got = sorted((self.received() for _ in range(4)), key=lambda one: one[0])
        told = {"/phone": [], "/tablet": []}
        for path, headers, body, _ in got:
            message = (phone if path == "/phone" else tablet).open(body)
            told[path].append(message["what"])
            self.assertEqual((message["kind"], message["page"], message["address"]), ("security", "/security", "127.0.0.1"))
            self.assertEqual(headers["urgency"], "high")
            self.assertTrue(86000 <= int(headers["ttl"]) <= 86400, headers["ttl"])
        self.assertEqual({path: sorted(what) for path, what in told.items()}, {"/phone": ["half", "sign-in"], "/tablet": ["half", "sign-in"]})
        self.assertEqual(len({headers["topic"] for _, headers, *_ in got}), 4, "no alert takes another's place")
        # what was told is not told again by a restart
        ids = {alert["id"] for alert in self.person.must("GET", "/api/v1/alerts")["alerts"]}
        self.assertEqual(len(ids), 2)
        self.hub.stop()
        self.hub.start()
        self.person.must("POST", "/api/v1/push/test", {})
        kinds = {(phone if path == "/phone" else tablet).open(body)["kind"] for path, _, body, _ in (self.received(), self.received())}
        self.assertEqual(kinds, {"test"})

    def test_a_browser_whose_sign_in_was_ended_is_muted_until_it_signs_in_again(self):
        owner, phone, thief = self.person, Browser(self.folder, "phone"), Browser(self.folder, "thief")
        self.subscribe(phone, self.endpoint("/phone"))
        other = self.hub.person()
        login = {"name": "robin", "password": lab.Person.PASSWORD}
        other.must("POST", "/api/v1/login", {**login, "code": owner.recovery[0]})
        self.assertEqual(phone.open(self.received()[2])["what"], "sign-in")
        self.person = other
        self.subscribe(thief, self.endpoint("/thief"))
        self.person = owner

        def muted():
            return sorted(row["muted"] for row in owner.must("GET", "/api/v1/push")["subscriptions"])

        self.assertEqual(muted(), [False, False])
        (alert,) = owner.must("GET", "/api/v1/alerts")["alerts"]
        owner.must("POST", f"/api/v1/alerts/{alert['id']}", {"answer": "not-mine"})
        self.assertEqual(muted(), [False, True])
        self.assertEqual(owner.must("POST", "/api/v1/push/test", {}), {"queued": 1})
        self.assertEqual(self.received()[0], "/phone")
        # alerts about the account still go to both; a new password mutes whatever is not this sign-in's
        owner.must("POST", "/api/v1/password", {"password": lab.Person.PASSWORD, "new_password": "Pond-frog-Ladder-sings-9-maps"})
        told = {path: (phone if path == "/phone" else thief).open(body)["what"] for path, _, body, _ in (self.received(), self.received())}
        self.assertEqual(told, {"/phone": "password", "/thief": "password"})
        self.assertEqual(muted(), [False, True])
        # signing out here mutes this browser, too; subscribing after the next sign-in ends it
        owner.must("POST", "/api/v1/logout", {})
        login = {"name": "robin", "password": "Pond-frog-Ladder-sings-9-maps", "code": owner.recovery[1]}
        owner.must("POST", "/api/v1/login", login)
        self.assertEqual(muted(), [True, True])
        self.assertEqual(self.subscribe(phone, self.endpoint("/phone")).status, 200)
        self.assertEqual(muted(), [False, True])

    def test_a_browser_whose_sign_in_ended_by_itself_is_muted_with_it_or_with_all_others(self):
        owner = self.person
        login = {"name": "robin", "password": lab.Person.PASSWORD}
        for number, name in enumerate(("first", "second")):
            self.person = self.hub.person()
            self.person.must("POST", "/api/v1/login", {**login, "code": owner.recovery[number]})
            self.assertEqual(self.subscribe(Browser(self.folder, name), self.endpoint(f"/{name}")).status, 201)
        self.person = owner
        self.assertEqual(self.subscribe(Browser(self.folder, "phone"), self.endpoint("/phone")).status, 201)
        sessions = {row["id"] for row in owner.must("GET", "/api/v1/sessions")["sessions"] if not row["own"]}
        self.assertEqual(len(sessions), 2)
        self.hub.stop()
        gone = ", ".join(f"'{one}'" for one in sorted(sessions))  # as they are swept when they were idle for too long
        subprocess.run(["sqlite3", self.hub.dir / "hub.db", f"delete from session where id in ({gone})"], check=True)
        self.hub.start()

        def muted():
            return sum(row["muted"] for row in owner.must("GET", "/api/v1/push")["subscriptions"])

        self.assertEqual(muted(), 0, "by its age it ends without a word")
        alert = owner.must("GET", "/api/v1/alerts")["alerts"][0]
        owner.must("POST", f"/api/v1/alerts/{alert['id']}", {"answer": "not-mine"})
        self.assertEqual(muted(), 1)
        owner.must("DELETE", "/api/v1/sessions")
        self.assertEqual(muted(), 2, "all but the own one")

    def test_a_browser_with_a_new_address_stays_with_its_person(self):
        phone, guest = Browser(self.folder, "phone"), self.hub.person().join("gus@example.org", "guest", "--days", "7")
        self.assertEqual(self.subscribe(phone, self.endpoint("/old")).status, 201)
        moved = {"endpoint": self.endpoint("/new"), "was": self.endpoint("/old"), "p256dh": b64(phone.point), "auth": b64(phone.auth)}
        self.assertEqual(guest.ask("POST", "/api/v1/push/subscriptions", moved).status, 404, "somebody else is signed in there")
        self.assertEqual(guest.must("GET", "/api/v1/push")["subscriptions"], [])
        self.assertEqual(self.person.ask("POST", "/api/v1/push/subscriptions", moved).status, 201)
        self.assertEqual(len(self.person.must("GET", "/api/v1/push")["subscriptions"]), 1)
        self.person.must("POST", "/api/v1/push/test", {})
        self.assertEqual(self.received()[0], "/new")

    def test_hostile_endpoints_are_refused_by_form_and_by_address(self):
        browser = Browser(self.folder, "phone")
        port = self.service.port
        for endpoint in ("http://push.example/x", "https://127.0.0.1/x", f"https://127.0.0.1:{port}/x", "https://[::1]/x",
                         "https://localhost/x", "https://printer/x", "https://push.example:8443/x", "https://user@push.example/x",
                         "https://push.example", "https://push.example/a b", "https://PUSH.example/x", "https://10.0.0.1/x",
                         "https://push.example/x#y", "https://push.example\\@localhost/x", "file:///etc/passwd",
                         f"https://localhost:{port}@push.example/x", "https://push.example/" + "x" * 2040):
            answer = self.subscribe(browser, endpoint)
            self.assertIn(answer.status, (400, 422), endpoint)
        self.assertEqual(self.person.must("GET", "/api/v1/push")["subscriptions"], [])
        for field, value in (("p256dh", b64(b"\x04" + bytes(64))), ("p256dh", b64(browser.point[:-1])), ("auth", b64(bytes(15))),
                             ("auth", "!")):
            data = {"endpoint": self.endpoint(), "p256dh": b64(browser.point), "auth": b64(browser.auth), field: value}
            self.assertEqual(self.person.ask("POST", "/api/v1/push/subscriptions", data).status, 422, field)
        self.assertEqual(self.subscribe(browser).status, 201)
        self.assertEqual(self.subscribe(Browser(self.folder, "thief")).status, 409, "known with other keys")
        # an answer that leads elsewhere is not followed, and not repeated
        self.service.script = [302]
        self.person.must("POST", "/api/v1/push/test", {})
        self.received()
        self.assertIsNotNone(self.hub.log.wait_for(lambda text: "notify.push" in text and "outcome=given-up" in text and "status=302" in text, 20))
        self.assertTrue(self.service.got.empty())
        for number in (2, 3):
            self.assertEqual(self.subscribe(browser, self.endpoint(f"/{number}")).status, 201)
        self.assertEqual(self.subscribe(browser, self.endpoint("/4")).status, 409, "push.subscriptions")

    def test_a_person_sets_and_ends_times_of_rest(self):
        self.hub.device("front-door")
        before = int(time.time() * 1000)
        for minutes in (15, 30, 60):
            until = self.person.must("PUT", "/api/v1/push/snoozes/front-door", {"minutes": str(minutes)})["until_ms"]
            self.assertTrue(before + minutes * 60000 <= until <= time.time() * 1000 + minutes * 60000)
        self.assertEqual(self.person.must("GET", "/api/v1/push")["snoozes"], [{"device": "front-door", "until_ms": until}])
        for minutes in ("14", "x", ""):
            self.assertEqual(self.person.ask("PUT", "/api/v1/push/snoozes/front-door", {"minutes": minutes}).status, 422)
        self.assertEqual(self.person.ask("PUT", "/api/v1/push/snoozes/nobody", {"minutes": "15"}).status, 404)
        self.assertIsNone(self.person.must("PUT", "/api/v1/push/snoozes/front-door", {"minutes": "0"})["until_ms"])
        self.person.must("PUT", "/api/v1/push/quiet", {"begins": "22:30", "ends": "07:00"})
        view = self.person.must("GET", "/api/v1/push")
        self.assertEqual((view["snoozes"], view["quiet"]), ([], {"begins": "22:30", "ends": "07:00"}))
        for begins in ("24:00", "7:00", "07:60", "ab:cd"):
            self.assertEqual(self.person.ask("PUT", "/api/v1/push/quiet", {"begins": begins, "ends": "07:00"}).status, 422)
        self.person.must("PUT", "/api/v1/push/quiet", {"begins": "07:00", "ends": "07:00"})
        self.assertIsNone(self.person.must("GET", "/api/v1/push")["quiet"])
        # nothing of it without signing in, or from another page
        self.assertEqual(self.person.ask("PUT", "/api/v1/push/quiet", {"begins": "01:00", "ends": "02:00"}, origin=False).status, 403)
        stranger = self.hub.person()
        for method, path in (("GET", "/api/v1/push"), ("POST", "/api/v1/push/test"), ("PUT", "/api/v1/push/quiet"),
                             ("DELETE", "/api/v1/push/subscriptions/x")):
            self.assertEqual(stranger.ask(method, path).status, 401, path)
        self.assertEqual(self.person.ask("DELETE", "/api/v1/push/subscriptions/x").status, 404)


if __name__ == "__main__":
    unittest.main()
