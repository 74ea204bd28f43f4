"""Enrolment by EST with nothing but curl and openssl: first certificates by claim token, by factory certificate and by both,
renewal, what is refused and why, and the channel binding of RFC 9266 made by `openssl s_client`."""

import base64
import json
import pathlib
import re
import subprocess
import tempfile
import unittest

import case
import lab
import mqtt

EST = "/.well-known/est/"


class Device:
    """What a device has: a folder with a key, a request and, later, a certificate. Everything by openssl and curl."""

    def __init__(self, hub, top, name, curve="P-256"):
        self.hub = hub
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=top))
        self.key, self.cert, self.request = (self.folder / n for n in ("key.pem", "cert.pem", "request.pem"))
        self.ca = hub.file("tls", "device-root.pem")
        self.new_key(curve)

    def openssl(self, *words, **options):
        return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, **options).stdout

    def new_key(self, curve="P-256"):
        self.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-out", self.key)

    def csr(self, *more, key=None):
        words = more or ("-subj", "/CN=somebody-else")
        self.openssl("req", "-new", "-key", key or self.key, "-out", self.request, *words)
        return base64.encodebytes(self.openssl("req", "-in", self.request, "-outform", "DER"))

    def post(self, route, body, *more, kind="application/pkcs10"):
        """(status, problem type or '', body) as curl got it."""
        out = self.folder / "answer"
        out.unlink(missing_ok=True)
        done = subprocess.run(["curl", "-sS", "--cacert", str(self.ca), "-o", str(out), "-w", "%{http_code} %{content_type}",
                               "-H", f"Content-Type: {kind}", "--data-binary", "@-", *map(str, more),
                               f"https://localhost:{self.hub.ports['device']}{EST}{route}"],
                              input=body, capture_output=True, timeout=60)
        if done.returncode:
            return 0, done.stderr.decode(), b""
        status = int(done.stdout.split()[0])
        answer = out.read_bytes()
        slug = json.loads(answer)["type"].rsplit(":", 1)[1] if status >= 300 else ""
        return status, slug, answer

    def take(self, answer):
        """PKCS#7 in base64 to cert.pem; returns the leaf's names."""
        p7 = self.folder / "answer.p7"
        p7.write_bytes(b"-----BEGIN PKCS7-----\n" + answer.replace(b"\r", b"") + b"-----END PKCS7-----\n")
        self.cert.write_bytes(self.openssl("pkcs7", "-in", p7, "-print_certs"))
        return self.openssl("x509", "-in", self.cert, "-noout", "-ext", "subjectAltName").decode()

    def own(self):
        return "--cert", self.cert, "--key", self.key

    def connects(self, name):
        context = self.hub.device_tls()
        context.load_cert_chain(self.cert, self.key)
        with mqtt.Client(self.hub, context) as client:
            return client.connect(name).reason


class Est(case.HubCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.factory = case.Forge(cls.hub.top / "factory")
        cls.hub.cli("factory-ca", "add", "works", "--file", cls.factory.ca_certificate, "--product", "camera")

    def device(self, name="d", **options):
        return Device(self.hub, self.hub.top, name, **options)

    def token(self, *words):
        answer = self.hub.cli("device", "claim-token", *words, "--product", "camera")
        return answer["token"], answer["id"]

    def born(self, name, common=None):
        """A device with its factory's certificate."""
        d = self.device(name)
        d.openssl("req", "-new", "-key", d.key, "-subj", f"/O=Works/serialNumber={common or name}", "-out", d.request)
        d.openssl("x509", "-req", "-in", d.request, "-CA", self.factory.ca_certificate, "-CAkey", self.factory.ca_key,
                  "-days", "3650", "-out", d.folder / "birth.pem")
        return d

    def birth(self, d):
        return "--cert", d.folder / "birth.pem", "--key", d.key

    def test_cacerts_and_csrattrs_are_told_to_everybody(self):
        d = self.device()
        port = self.hub.ports["device"]
        for route in ("cacerts", "csrattrs"):
            done = subprocess.run(["curl", "-sSf", "--cacert", str(d.ca), f"https://localhost:{port}{EST}{route}"],
                                  capture_output=True, check=True)
            if route == "cacerts":
                d.take(done.stdout)
                names = d.cert.read_bytes()
                self.assertEqual(names.count(b"BEGIN CERTIFICATE"), 2)
                root = d.openssl("x509", "-in", d.ca, "-outform", "DER")
                self.assertIn(base64.b64encode(root)[:60], names.replace(b"\n", b""))
            else:
                shown = d.openssl("asn1parse", "-inform", "DER", input=base64.b64decode(done.stdout)).decode()
                for word in ("prime256v1", "ecdsa-with-SHA256", "challengePassword"):
                    self.assertIn(word, shown)

    def test_a_claim_token_gives_one_device_its_certificate_once(self):
        token, name = self.token("porch-1")
        d = self.device()
        status, slug, answer = d.post("simpleenroll", d.csr(), "-u", f"anything:{token}")
        self.assertEqual((status, slug), (200, ""))
        self.assertIn("URI:urn:porchlight:device:porch-1", d.take(answer))
        self.assertEqual(name, "porch-1")
        self.assertEqual(d.connects("porch-1"), 0)
        shown = self.hub.cli("device", "show", "porch-1")
        self.assertEqual((shown["product"], shown["household"]), ("camera", "home"))
        other = self.device()
        self.assertEqual(other.post("simpleenroll", other.csr(), "-u", f"x:{token}")[:2], (401, "unauthenticated"))
        # in use: not even its own key gets it again
        self.assertEqual(d.post("simpleenroll", d.csr(), "-u", f"x:{token}")[0], 401)

    def test_an_answer_that_was_lost_is_asked_for_again_with_the_same_key(self):
        token, name = self.token()
        self.assertTrue(name.startswith("camera-"))
        d = self.device()
        lost = d.post("simpleenroll", d.csr(), "-u", f"x:{token}")
        first = d.folder / "first.pem"
        d.take(lost[2])
        first.write_bytes(d.cert.read_bytes())
        status, _, answer = d.post("simpleenroll", d.csr(), "-u", f"x:{token}")
        self.assertEqual(status, 200)
        d.take(answer)
        self.assertEqual(d.connects(name), 0)
        d.cert = first  # exactly one is good
        self.assertEqual(d.connects(name), 0x87)

    def test_what_is_not_proved_is_refused_with_a_reason(self):
        d = self.device()
        self.assertEqual(d.post("simpleenroll", d.csr())[:2], (401, "unauthenticated"))
        self.assertEqual(d.post("simpleenroll", d.csr(), "-u", "x:nonsense")[:2], (401, "unauthenticated"))
        self.assertEqual(d.post("simpleenroll", d.csr(), "-H", "Authorization: Bearer x")[:2], (401, "unauthenticated"))
        self.assertEqual(d.post("simplereenroll", d.csr())[:2], (401, "unauthenticated"))
        token, _ = self.token("refused-1")
        user = ("-u", f"x:{token}")
        self.assertEqual(d.post("simpleenroll", b"AAAA", *user)[:2], (400, "malformed"))
        self.assertEqual(d.post("simpleenroll", b"no base64!", *user)[:2], (400, "malformed"))
        self.assertEqual(d.post("simpleenroll", d.csr(), *user, kind="text/plain")[:2], (400, "malformed"))
        broken = bytearray(base64.b64decode(d.csr()))
        broken[-1] ^= 1
        self.assertEqual(d.post("simpleenroll", base64.b64encode(bytes(broken)), *user)[:2], (400, "no-proof-of-possession"))
        # keys that are not taken: RSA of any size, a standard's example
        rsa = d.folder / "rsa.pem"
        for bits in (1024, 2048):
            d.openssl("genrsa", "-out", rsa, bits)
            self.assertEqual(d.post("simpleenroll", d.csr(key=rsa), *user)[:2], (400, "unfit-key"))
        example = d.folder / "example.pem"
        secret = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"  # RFC 6979, A.2.5
        der = bytes.fromhex("30310201010420" + secret + "a00a06082a8648ce3d030107")
        example.write_bytes(d.openssl("ec", "-inform", "DER", input=der))
        self.assertEqual(d.post("simpleenroll", d.csr(key=example), *user)[:2], (400, "unfit-key"))
        for curve in ("P-384", "P-256"):  # after all that the token still works, once
            other = self.device(curve=curve)
            status = other.post("simpleenroll", other.csr(), *user)[0]
            self.assertEqual(status, 200 if curve == "P-384" else 401)

    def test_renewal_kills_the_old_certificate_at_the_first_use_of_the_new_one(self):
        token, name = self.token("renews")
        d = self.device()
        d.take(d.post("simpleenroll", d.csr(), "-u", f"x:{token}")[2])
        self.assertEqual(d.connects(name), 0)
        old_key, old_cert = d.folder / "old.key", d.folder / "old.pem"
        old_key.write_bytes(d.key.read_bytes())
        old_cert.write_bytes(d.cert.read_bytes())
        fresh = d.folder / "fresh.key"
        d.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", fresh)
        status, slug, answer = d.post("simplereenroll", d.csr(key=fresh), *d.own())
        self.assertEqual((status, slug), (200, ""))
        self.assertEqual(d.connects(name), 0)  # the old one, until
        d.take(answer)
        d.key = fresh
        self.assertEqual(d.connects(name), 0)
        d.key, d.cert = old_key, old_cert
        self.assertEqual(d.connects(name), 0x87)
        self.assertEqual(d.post("simplereenroll", d.csr(), *d.own())[:2], (403, "revoked"))
        self.logged("mqtt.refused", name, "replaced")

    def test_a_revoked_device_renews_nothing(self):
        token, name = self.token("gone-1")
        d = self.device()
        d.take(d.post("simpleenroll", d.csr(), "-u", f"x:{token}")[2])
        self.hub.cli("device", "revoke", name)
        self.assertEqual(d.post("simplereenroll", d.csr(), *d.own())[:2], (403, "revoked"))
        self.assertEqual(d.post("simpleenroll", d.csr(), "-u", f"x:{token}")[:2], (403, "revoked"))

    def test_a_factorys_certificate_enrols_the_device_that_it_names_and_opens_nothing_else(self):
        d = self.born("cam-0001", "CAM-0001")
        status, slug, answer = d.post("simpleenroll", d.csr(), *self.birth(d))
        self.assertEqual((status, slug), (200, ""))
        self.assertIn("URI:urn:porchlight:device:cam-0001", d.take(answer))
        self.assertEqual(d.connects("cam-0001"), 0)
        # another key of the same factory does not take it over
        thief = self.born("cam-0001")
        self.assertEqual(thief.post("simpleenroll", thief.csr(), *self.birth(thief))[:2], (409, "exists"))
        # the factory's certificate itself is nobody at the other doors
        context = self.hub.device_tls()
        context.load_cert_chain(d.folder / "birth.pem", d.key)
        answer = lab.request(self.hub.ports["device"], context, "HEAD", "/api/v1/device/clips/00")
        self.assertEqual(answer.status, 403)
        with self.assertRaises((OSError, mqtt.Closed)):
            with mqtt.Client(self.hub, context) as client:
                client.connect("cam-0001")
        # its own key enrols it again, with a new certificate
        self.assertEqual(d.post("simpleenroll", d.csr(), *self.birth(d))[0], 200)

    def test_factory_and_claim_token_together_name_device_and_household(self):
        self.hub.cli("household", "add", "lake")
        answer = self.hub.cli("device", "claim-token", "--product", "camera", "--household", "lake")
        d = self.born("cam-0002")
        status, _, body = d.post("simpleenroll", d.csr(), *self.birth(d), "-u", f"x:{answer['token']}")
        self.assertEqual(status, 200)
        self.assertIn("device:cam-0002", d.take(body))
        self.assertEqual(self.hub.cli("device", "show", "cam-0002")["household"], "lake")

    def test_an_authority_that_was_removed_vouches_for_nobody(self):
        forge = case.Forge(self.hub.top / "factory-2")
        self.hub.cli("factory-ca", "add", "short", "--file", forge.ca_certificate, "--product", "lamp")
        self.assertIn("short", [f["name"] for f in self.hub.cli("factory-ca", "list")["factories"]])
        self.hub.cli("factory-ca", "remove", "short")
        d = self.device()
        d.openssl("req", "-new", "-key", d.key, "-subj", "/serialNumber=lamp-1", "-out", d.request)
        d.openssl("x509", "-req", "-in", d.request, "-CA", forge.ca_certificate, "-CAkey", forge.ca_key, "-days", "9",
                  "-out", d.folder / "birth.pem")
        self.assertIn(d.post("simpleenroll", d.csr(), *self.birth(d))[0], (0, 401))

    def bound_enrolment(self, d, token, spoil=False):
        """simpleenroll over one `openssl s_client`, whose exporter value goes into the request."""
        process = subprocess.Popen(["openssl", "s_client", "-connect", f"localhost:{self.hub.ports['device']}", "-CAfile", str(d.ca),
                                    "-alpn", "http/1.1", "-ign_eof", "-keymatexport", "EXPORTER-Channel-Binding",
                                    "-keymatexportlen", "32"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(process.stdout.close)
        seen = b""
        while not (found := re.search(rb"Keying material: ([0-9A-F]{64})", seen)):
            piece = process.stdout.readline()
            if not piece:
                self.fail(seen.decode())
            seen += piece
        binding = base64.b64encode(bytes.fromhex(found[1].decode())).decode()
        if spoil:
            binding = base64.b64encode(bytes(32)).decode()
        config = d.folder / "bound.cnf"
        config.write_text(f"[req]\nprompt=no\ndistinguished_name=n\nattributes=a\n[n]\nCN=x\n[a]\nchallengePassword={binding}\n")
        body = d.csr("-config", config)
        user = base64.b64encode(f"x:{token}".encode()).decode()
        process.stdin.write(f"POST {EST}simpleenroll HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {user}\r\n"
                            f"Content-Type: application/pkcs10\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        process.stdin.flush()
        rest = process.stdout.read()
        process.stdin.close()
        process.wait(30)
        status = re.search(rb"HTTP/1.1 (\d+)", rest)
        self.assertIsNotNone(status, rest)
        return int(status[1])

    def test_the_channel_binding_is_verified_when_it_is_there_and_demanded_where_the_product_says_so(self):
        self.hub.cli("product", "set", "bound", "--channel-binding", "required")
        token = self.hub.cli("device", "claim-token", "bound-1", "--product", "bound")["token"]
        d = self.device()
        self.assertEqual(d.post("simpleenroll", d.csr(), "-u", f"x:{token}")[:2], (403, "denied"))
        self.assertEqual(self.bound_enrolment(d, token, spoil=True), 403)
        self.assertEqual(self.bound_enrolment(d, token), 200)
        # of another product it need not be there, but a wrong one is refused
        token, _ = self.token("loose-1")
        self.assertEqual(self.bound_enrolment(d, token, spoil=True), 403)
        self.assertEqual(self.device().post("simpleenroll", self.device().csr(), "-u", f"x:{token}")[0], 200)


if __name__ == "__main__":
    unittest.main()
