"""Keys that prove where they live: swtpm with an endorsement certificate of its own maker (swtpm_setup), real porchlight-device
enrolments against a real hub, and everything that must be refused."""

import base64
import hashlib
import os
import pathlib
import subprocess
import unittest

import case
import lab
from test_est import Device
from test_keys import Token, device_program

HANDLE = "tpm2:0x81000010"


def block(data):
    return len(data).to_bytes(2, "big") + data


def blocks(raw):
    """The parts of one of the three messages of wire/attestation.h."""
    assert raw[0] == 1, raw
    at, parts = 1, []
    while at < len(raw):
        size = int.from_bytes(raw[at:at + 2], "big")
        parts.append(raw[at + 2:at + 2 + size])
        at += 2 + size
    return parts


class Tools:
    """The same walk by tpm2-tools, a second opinion on every step, and a way to do each of them wrong."""

    def __init__(self, tpm, folder):
        self.tpm, self.folder = tpm, pathlib.Path(folder)
        self.folder.mkdir()

    def run(self, *words):
        environment = dict(os.environ, TPM2TOOLS_TCTI=self.tpm.tcti)
        done = subprocess.run([str(w) for w in words], cwd=self.folder, env=environment, capture_output=True)
        if done.returncode != 0:
            raise lab.LabError(f"{words[0]}: {done.stderr.decode()}")
        subprocess.run(["tpm2_flushcontext", "-t"], cwd=self.folder, env=environment, capture_output=True)
        return done.stdout

    def read(self, name):
        return (self.folder / name).read_bytes()

    def attester(self):
        """An AK under the endorsement key, as tpm2-tools make it; the question to the hub."""
        self.run("tpm2_createek", "-c", "ek.ctx", "-G", "rsa", "-u", "ek.pub")
        self.run("tpm2_createak", "-C", "ek.ctx", "-c", "ak.ctx", "-G", "ecc", "-g", "sha256", "-s", "ecdsa", "-u", "ak.pub", "-n", "ak.name")
        self.run("tpm2_nvread", "0x01c00002", "-o", "ek.der")
        return b"\x01" + block(self.certificate()) + block(self.read("ak.pub")[2:])  # TPM2B_PUBLIC without its size

    def certificate(self):
        der = self.read("ek.der")
        return der[:4 + int.from_bytes(der[2:4], "big")]

    def secret(self, credential, seed):
        """TPM2_ActivateCredential."""
        sealed = b"\xba\xdc\xc0\xde" + (1).to_bytes(4, "big") + block(credential) + block(seed)
        (self.folder / "cred").write_bytes(sealed)
        self.run("tpm2_startauthsession", "--policy-session", "-S", "session")
        self.run("tpm2_policysecret", "-S", "session", "-c", "e")
        try:
            self.run("tpm2_activatecredential", "-c", "ak.ctx", "-C", "ek.ctx", "-i", "cred", "-o", "secret", "-P", "session:session")
        finally:
            self.run("tpm2_flushcontext", "session")
        return self.read("secret")

    def key(self, attributes="fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign"):
        self.run("tpm2_createprimary", "-C", "o", "-G", "ecc", "-c", "primary.ctx")
        self.run("tpm2_create", "-C", "primary.ctx", "-G", "ecc", "-u", "key.pub", "-r", "key.priv", "-a", attributes)
        self.run("tpm2_load", "-C", "primary.ctx", "-u", "key.pub", "-r", "key.priv", "-c", "key.ctx")
        self.run("tpm2_readpublic", "-c", "key.ctx", "-f", "pem", "-o", "key.pem")

    def statement(self, challenge):
        """TPM2_Certify of key.ctx by ak.ctx over a challenge, as raw bytes: tpm2_certify of Debian 12 takes no challenge."""
        handles = {"key.ctx": 0x81000031, "ak.ctx": 0x81000032}
        for name, handle in handles.items():
            self.run("tpm2_evictcontrol", "-C", "o", "-c", name, hex(handle))
        no_password = bytes.fromhex("400000090000000000")
        body = b"".join(handle.to_bytes(4, "big") for handle in handles.values())
        body += (2 * len(no_password)).to_bytes(4, "big") + 2 * no_password + block(challenge) + b"\x00\x10"
        (self.folder / "command").write_bytes(b"\x80\x02" + (10 + len(body)).to_bytes(4, "big") + (0x148).to_bytes(4, "big") + body)
        self.run("tpm2_send", "command", "-o", "response")
        for handle in handles.values():
            self.run("tpm2_evictcontrol", "-C", "o", "-c", hex(handle))
        answer = self.read("response")
        assert answer[6:10] == bytes(4), answer[:10].hex()
        at, parts = 14, []
        for skip in (0, 4, 0):  # the statement; r behind the two algorithms of the signature; s
            at += skip
            size = int.from_bytes(answer[at:at + 2], "big")
            parts.append(answer[at + 2:at + 2 + size])
            at += 2 + size
        numbers = b""
        for number in parts[1:]:
            number = number.lstrip(b"\0")
            number = (b"\0" if number[0] & 0x80 else b"") + number
            numbers += b"\x02" + bytes([len(number)]) + number
        return parts[0], b"\x30" + bytes([len(numbers)]) + numbers


class Attestation(case.HubCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.maker = lab.TpmMaker(cls.hub.top / "maker")
        cls.hub.cli("product", "set", "vault", "--hardware-keys", "required")
        cls.tpm = cls.maker.tpm()
        cls.addClassCleanup(cls.tpm.remove)
        cls.hub.cli("tpm-ca", "add", "soft", "--file", cls.maker.authorities)

    def token(self, name, product="vault"):
        return self.hub.cli("device", "claim-token", name, "--product", product)["token"]

    def enrol(self, name, token, uri=HANDLE, tpm=None, environment=None, check=True):
        folder = self.hub.top / f"enrolled-{name}"
        words = [lab.program("porchlight-device"), folder, "enrol", "localhost", "--ca", self.hub.file("tls", "device-root.pem"),
                 "--key", uri, "--port", self.hub.ports["device"], "--mqtt-port", self.hub.ports["mqtt"]]
        if tpm:
            words += ["--tpm", tpm.tcti]
        done = subprocess.run([str(w) for w in words], input=token + "\n", capture_output=True, text=True, timeout=120, env=environment)
        if check:
            self.assertEqual(done.returncode, 0, done.stderr)
        return folder, done

    def post(self, body, kind="application/vnd.porchlight.attestation"):
        return lab.request(self.hub.ports["device"], self.hub.device_tls(), "POST", "/.well-known/porchlight/attestation",
                           base64.b64encode(body), {"Content-Type": kind})

    def refused(self, answer, *words):
        self.assertEqual(answer.status, 403, answer.body)
        for word in words:
            self.assertIn(word, answer.json()["detail"])

    def test_a_key_that_proves_to_live_in_a_tpm_is_enrolled_renewed_and_said_to_be_so(self):
        folder, _ = self.enrol("safe-1", self.token("safe-1"), tpm=self.tpm)
        self.logged("est.issued", "safe-1", "proved")
        device_program(folder, "publish", "d/safe-1/telemetry/one", "21")
        self.assertFalse((folder / "key.pem").exists())
        self.assertIn("hub.time_key = ", (folder / "device.conf").read_text())
        device_program(folder, "renew")  # the same key: its proof goes on
        device_program(folder, "publish", "d/safe-1/telemetry/one", "22")
        rows = self.hub.cli("trust-log", "list")["rows"]
        added = [r for r in rows if r["kind"] == "device.add" and r["subject"] == "device:safe-1"]
        self.assertTrue(added and "hardware" in str(added[0]), rows[:3])

    def test_a_device_that_enrolled_itself_knows_what_it_is_and_takes_updates(self):
        folder, _ = self.enrol("safe-2", self.token("safe-2"), uri="tpm2:0x81000013", tpm=self.tpm)
        conf = (folder / "device.conf").read_text().splitlines()
        self.assertIn("device.product = vault", conf)
        self.assertTrue([line for line in self.hub.file("hub.conf").read_text().splitlines() if line.startswith("hub.id") and line in conf], conf)
        slots = self.hub.top / "slots"
        slots.mkdir()
        subprocess.run([lab.program("porchlight-launch"), slots, "init", "--image", "/bin/true", "--counter", "1"], check=True)
        process = subprocess.Popen([lab.program("porchlight-device"), folder, "run", "--json", "--slots", slots, "--version", "1",
                                    "--hardware", "rev-a"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = lab.Lines(process.stdout), lab.Lines(process.stderr)
        try:
            self.assertIsNotNone(out.wait_for(lambda line: '"subscribed"' in line and "update/desired" in line, 60),
                                 f"{out.all} {err.text()}")
            self.assertIsNone(process.poll())
        finally:
            process.terminate()
            process.wait()

    def test_a_key_in_a_token_or_a_file_is_refused(self):
        token = Token()
        self.addCleanup(token.remove)
        _, done = self.enrol("soft-1", self.token("soft-1"), uri=token.uri("soft-1"), environment=token.environment, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("must prove that their key lives in a TPM", done.stderr)
        d = Device(self.hub, self.hub.top, "by-curl")
        self.assertEqual(d.post("simpleenroll", d.csr(), "-u", f"x:{self.token('soft-2')}")[:2], (403, "denied"))
        # the operator's way is no way around it
        request = self.hub.top / "plain.csr"
        d.openssl("req", "-new", "-key", d.key, "-subj", "/", "-out", request)
        for more in ((), ("--csr", request)):
            code, _, err = self.hub.cli("device", "add", "soft-3", "--product", "vault", "--out", self.hub.top / "soft-3", *more, check=False)
            self.assertEqual(code, 1)
            self.assertIn("must prove that their key lives in a TPM", err)
        # a product that does not demand it takes the token's key
        _, done = self.enrol("soft-4", self.token("soft-4", "camera"), uri=token.uri("soft-4"), environment=token.environment)

    def test_a_tpm_that_no_maker_vouches_for_is_refused(self):
        other = lab.TpmMaker(self.hub.top / "other-maker").tpm()
        self.addCleanup(other.remove)
        self.assertEqual(self.post(b"nonsense").status, 400)
        self.logged("http.refused", "/.well-known/porchlight/attestation")
        self.assertFalse([line for line in self.hub.log.all[self.log_start:] if "est.attestation" in line], "one line, with a limit")
        _, done = self.enrol("other-1", self.token("other-1"), tpm=other, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("vouches for this TPM", done.stderr)
        bare = lab.Tpm().start()
        self.addCleanup(bare.remove)
        _, done = self.enrol("bare-1", self.token("bare-1"), tpm=bare, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("must prove", done.stderr)

    def walk(self, name, tpm=None, **key):
        """(tools, ticket, secret): a challenge of the hub, opened by tpm2-tools."""
        tools = Tools(tpm or self.tpm, self.hub.top / f"tools-{name}")
        answer = self.post(tools.attester())
        self.assertEqual(answer.status, 200, answer.body)
        ticket, credential, seed = blocks(base64.b64decode(answer.body))
        secret = tools.secret(credential, seed)
        self.assertEqual(len(secret), 32)
        tools.key(**key)
        return tools, ticket, secret

    def challenge(self, secret):
        return hashlib.sha256(b"porchlight evidence 1\n" + secret).digest()

    def enroll_with(self, name, tools, evidence):
        """simpleenroll by curl with a request of the key in tools' TPM: made by our SDK's own make-key is another key, so the
        request is a file key's; only the evidence's verdict is looked at. Returns (status, slug)."""
        d = Device(self.hub, self.hub.top, name)
        return d.post("simpleenroll", d.csr(), "-u", f"x:{self.token(name)}", "-H", f"Porchlight-Evidence: {base64.b64encode(evidence).decode()}")[:2]

    def test_evidence_about_another_key_is_refused_and_its_ticket_is_spent(self):
        tools, ticket, secret = self.walk("swap")
        statement, signature = tools.statement(self.challenge(secret))
        evidence = b"\x01" + block(ticket) + block(statement) + block(signature)
        self.assertEqual(self.enroll_with("swap-1", tools, evidence), (403, "denied"))
        self.assertEqual(self.enroll_with("swap-2", tools, evidence), (403, "expired"))  # replayed

    def test_a_key_that_was_brought_into_the_tpm_is_refused(self):
        """The statement is genuine and about the request's own key, but that key was made outside: the TPM says so itself."""
        d = Device(self.hub, self.hub.top, "brought")
        tools, ticket, secret = self.walk("brought")
        (tools.folder / "outside.pem").write_bytes(d.key.read_bytes())
        tools.run("tpm2_import", "-C", "primary.ctx", "-G", "ecc", "-i", "outside.pem", "-u", "key.pub", "-r", "key.priv")
        tools.run("tpm2_load", "-C", "primary.ctx", "-u", "key.pub", "-r", "key.priv", "-c", "key.ctx")
        statement, signature = tools.statement(self.challenge(secret))
        evidence = b"\x01" + block(ticket) + block(statement) + block(signature)
        status, slug, body = d.post("simpleenroll", d.csr(), "-u", f"x:{self.token('brought-1')}",
                                    "-H", f"Porchlight-Evidence: {base64.b64encode(evidence).decode()}")
        self.assertEqual((status, slug), (403, "denied"))
        self.assertIn(b"cannot leave it", body)

    def test_a_challenge_opens_in_its_own_tpm_only(self):
        other = self.maker.tpm()
        self.addCleanup(other.remove)
        ours, theirs = Tools(self.tpm, self.hub.top / "tools-ours"), Tools(other, self.hub.top / "tools-theirs")
        question, foreign = ours.attester(), theirs.attester()
        # our endorsement certificate with the other TPM's attester: nobody can open that
        mixed = b"\x01" + block(ours.certificate()) + block(blocks(foreign)[1])
        _, credential, seed = blocks(base64.b64decode(self.post(mixed).body))
        for tools in (ours, theirs):
            with self.assertRaises(lab.LabError):
                tools.secret(credential, seed)
        _, credential, seed = blocks(base64.b64decode(self.post(question).body))
        with self.assertRaises(lab.LabError):
            theirs.secret(credential, seed)
        self.assertEqual(len(ours.secret(credential, seed)), 32)

    def test_attesters_that_could_sign_anything_and_broken_questions_are_refused(self):
        tools = Tools(self.tpm, self.hub.top / "tools-broken")
        question = tools.attester()
        tools.key()
        free = b"\x01" + block(tools.certificate()) + block(tools.read("key.pub")[2:])  # an unrestricted key
        answer = self.post(free)
        self.assertEqual((answer.status, answer.json()["type"].rsplit(":", 1)[1]), (400, "unfit-key"))
        for body in (b"", b"\x01", question[:-1], question + b"x", b"\x02" + question[1:]):
            self.assertEqual(self.post(body).status, 400)
        self.assertEqual(self.post(question, kind="text/plain").status, 400)

    def test_a_tpm_is_believed_beside_many_other_makers(self):
        text = case.Forge(self.hub.top / "others").ca_certificate.read_text()
        others = self.hub.top / "others.pem"
        others.write_text(text * 5)
        names = [f"other-{i}" for i in range(20)]  # 100 authorities, all before "soft"
        try:
            for name in names:
                self.hub.cli("tpm-ca", "add", name, "--file", others)
            self.enrol("crowd-1", self.token("crowd-1"), uri="tpm2:0x81000014", tpm=self.tpm)
        finally:
            for name in names:
                self.hub.cli("tpm-ca", "remove", name, check=False)

    def test_a_maker_that_was_removed_vouches_for_nobody(self):
        self.hub.cli("tpm-ca", "remove", "soft")
        try:
            _, done = self.enrol("late-1", self.token("late-1"), uri="tpm2:0x81000012", tpm=self.tpm, check=False)
            self.assertIn("believes no maker", done.stderr)
        finally:
            self.hub.cli("tpm-ca", "add", "soft", "--file", self.maker.authorities)
        self.assertEqual([m["name"] for m in self.hub.cli("tpm-ca", "list")["makers"]], ["soft"])


if __name__ == "__main__":
    unittest.main()
