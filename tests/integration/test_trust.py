"""What lets people's browsers trust the hub: a public name's certificate that is replaced while the hub runs, the web CA that
phones install, and a new one for new names."""

import hashlib
import http.client
import json
import os
import pathlib
import plistlib
import re
import shutil
import socket
import ssl
import subprocess
import time
import unittest

import case
import lab


def served(hub):
    """The certificate that a handshake on the people's port shows, in DER."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(socket.create_connection(("127.0.0.1", hub.ports["https"]), 30)) as conn:
        return conn.getpeercert(binary_form=True)


def get(hub, path, host="localhost"):
    """The answer to somebody who has not signed in and trusts nothing."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    conn = http.client.HTTPSConnection("127.0.0.1", hub.ports["https"], timeout=30, context=context)
    conn.request("GET", path, headers={"Host": f"{host}:{hub.ports['https']}"})
    answer = conn.getresponse()
    return answer, answer.read()


def der(pem):
    return ssl.PEM_cert_to_DER_cert(pathlib.Path(pem).read_text())


class Public:
    """An authority that is not the hub's, and pairs of it for some name."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
                 "-subj", "/CN=public authority", "-days", "30")

    def run(self, *words):
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def pair(self, name, host="localhost", days="30"):
        (self.folder / "ext").write_text(f"subjectAltName=DNS:{host}\nextendedKeyUsage=serverAuth\n")
        self.run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out", "r.pem",
                 "-subj", f"/CN={host}")
        self.run("x509", "-req", "-in", "r.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", f"{name}.pem",
                 "-days", days, "-extfile", "ext")
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"


def put(source, target):
    """As ACME clients do it: a new file in the old one's place."""
    shutil.copyfile(source, f"{target}.new")
    os.replace(f"{target}.new", target)


class FilesOfAPublicName(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hub = lab.Hub()
        cls.addClassCleanup(cls.hub.remove)
        cls.public = Public(cls.hub.top / "public")
        cls.first, cls.second = cls.public.pair("first"), cls.public.pair("second")
        cls.live = cls.hub.top / "live.pem", cls.hub.top / "live.key"
        cls.install(*cls.first)
        cls.hub.init("--https-cert", str(cls.live[0]), "--https-key", str(cls.live[1]))
        cls.hub.set(hub_certificate_check_s=1)
        cls.hub.start()

    @classmethod
    def install(cls, cert, key):
        put(key, cls.live[1])
        put(cert, cls.live[0])

    def logged(self, word, start):
        line = self.hub.log.wait_for(lambda text: word in text, 60, start)
        self.assertIsNotNone(line, f"no line {word}")
        return line

    def test_a_replaced_pair_is_served_without_a_restart(self):
        self.assertIn(served(self.hub), (der(self.first[0]), der(self.second[0])))
        for pair in (self.second, self.first):
            start = len(self.hub.log.all)
            self.install(*pair)
            self.logged("certificate.reloaded", start)
            self.assertEqual(served(self.hub), der(pair[0]))

    def refused(self, cert, key, reason):
        before, start = served(self.hub), len(self.hub.log.all)
        self.install(cert, key)
        deadline = time.monotonic() + 60
        while True:  # between the two files the pair does not fit, which is told as well
            line = self.logged("certificate.kept", start)
            if reason in line:
                break
            start = self.hub.log.all.index(line, start) + 1
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(served(self.hub), before)

    def restore(self):
        start = len(self.hub.log.all)
        self.install(*self.first)
        self.logged("certificate.reloaded", start)

    def test_a_pair_that_does_not_fit_changes_nothing(self):
        self.addCleanup(self.restore)
        self.refused(self.first[0], self.second[1], "do not belong together")

    def test_a_broken_certificate_changes_nothing(self):
        self.addCleanup(self.restore)
        broken = self.hub.top / "broken.pem"
        broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        self.refused(broken, self.first[1], "certificate")

    def test_a_certificate_of_another_name_changes_nothing(self):
        self.addCleanup(self.restore)
        self.refused(*self.public.pair("other", "elsewhere.example"), "none of the hub's names")

    def test_nothing_is_to_be_trusted_by_hand(self):
        answer, body = get(self.hub, "/api/v1/trust")
        self.assertEqual(json.loads(body), {"public_name": True})
        for path in ("/web-ca.crt", "/porchlight.mobileconfig"):
            self.assertEqual(get(self.hub, path)[0].status, 404)
        self.assertIsNotNone(answer.getheader("Strict-Transport-Security"))


class LinksOfAnAcmeClient(unittest.TestCase):
    """As certbot lays them out: live/NAME/fullchain.pem -> ../../archive/NAME/fullchain1.pem, and a renewal makes it lead to 2."""

    def lead(self, number, pair):
        for name, source in zip(("fullchain", "privkey"), pair):
            shutil.copyfile(source, self.archive / f"{name}{number}.pem")
            new = self.live / f"{name}.new"
            new.symlink_to(f"../../archive/hub.example/{name}{number}.pem")
            os.replace(new, self.live / f"{name}.pem")

    def test_a_link_that_leads_to_the_renewed_pair_is_followed(self):
        hub = lab.Hub()
        self.addCleanup(hub.remove)
        public = Public(hub.top / "public")
        first, second = public.pair("first"), public.pair("second")
        self.live, self.archive = (hub.top / "letsencrypt" / part / "hub.example" for part in ("live", "archive"))
        for folder in (self.live, self.archive):
            folder.mkdir(parents=True)
        self.lead(1, first)
        hub.init("--https-cert", str(self.live / "fullchain.pem"), "--https-key", str(self.live / "privkey.pem"))
        hub.set(hub_certificate_check_s=1)
        hub.start()
        self.assertEqual(served(hub), der(first[0]))
        start = len(hub.log.all)
        self.lead(2, second)
        self.assertIsNotNone(hub.log.wait_for(lambda text: "certificate.reloaded" in text, 60, start))
        self.assertEqual(served(hub), der(second[0]))


class BrokenAtStart(unittest.TestCase):
    def test_devices_are_served_and_people_get_the_hubs_own_until_it_is_mended(self):
        hub = lab.Hub()
        self.addCleanup(hub.remove)
        public = Public(hub.top / "public")
        first, second = public.pair("first"), public.pair("second")
        hub.init("--https-cert", str(first[0]), "--https-key", str(first[1]))
        hub.set(hub_certificate_check_s=1)
        put(second[1], first[1])
        hub.start()
        self.assertIsNotNone(hub.log.wait_for(lambda text: "certificate.unusable" in text, 30))
        self.assertNotEqual(served(hub), der(first[0]))
        put(second[0], first[0])
        self.assertIsNotNone(hub.log.wait_for(lambda text: "certificate.reloaded" in text, 60))
        self.assertEqual(served(hub), der(second[0]))


class HandedOver(unittest.TestCase):
    """`porchlight https-cert`, what a deploy hook runs."""

    def test_it_is_kept_and_served_and_what_is_wrong_is_refused(self):
        hub = lab.Hub()
        self.addCleanup(hub.remove)
        hub.init()
        public = Public(hub.top / "public")
        first, second = public.pair("first"), public.pair("second")
        start = hub.start().log
        answer = hub.cli("https-cert", "--cert", first[0], "--key", first[1])
        self.assertEqual(answer["sha256"].replace(":", "").lower(), hashlib.sha256(der(first[0])).hexdigest())
        self.assertIsNotNone(start.wait_for(lambda text: "certificate.reloaded" in text, 30))
        self.assertEqual(served(hub), der(first[0]))
        self.assertEqual(hub.file("tls", "https.key.sealed").stat().st_mode & 0o777, 0o600)
        self.assertFalse(hub.file("tls", "https.key").exists())
        self.assertNotIn(b"PRIVATE", hub.file("tls", "https.key.sealed").read_bytes())
        code, _, error = hub.cli("https-cert", "--cert", first[0], "--key", second[1], check=False)
        self.assertEqual(code, 1)
        self.assertIn("do not belong together", error)
        self.assertEqual(served(hub), der(first[0]))
        self.assertEqual(hub.stop(), 0)
        hub.start()
        self.assertEqual(served(hub), der(first[0]), "after a restart")

        # the power goes between the two files of the next pair
        key, waiting = hub.file("tls", "https.key.sealed"), hub.file("tls", "https.key.next.sealed")
        former = key.read_bytes()
        hub.cli("https-cert", "--cert", second[0], "--key", second[1])
        self.assertFalse(waiting.exists())
        hub.stop()
        key.rename(waiting)
        key.write_bytes(former)
        key.chmod(0o600)
        hub.start()
        self.assertEqual(served(hub), der(second[0]), "the certificate is in its place, its key waits")
        self.assertFalse(waiting.exists())
        hub.stop()
        waiting.write_bytes(former)
        waiting.chmod(0o600)
        hub.start()
        self.assertEqual(served(hub), der(second[0]), "a key waits, its certificate never came")

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to have a file that the hub's user cannot read")
    def test_init_refuses_files_that_the_hubs_user_cannot_read_and_says_what_to_do(self):
        hub = lab.Hub()
        self.addCleanup(hub.remove)
        first = Public(hub.top / "public").pair("first")
        os.chmod(first[1], 0o600)
        done = subprocess.run([lab.program("porchlight"), "init", str(hub.dir), "--user", "nobody", "--https-cert", str(first[0]),
                               "--https-key", str(first[1])], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot read", done.stderr)
        self.assertIn("https-cert --cert", done.stderr)
        self.assertFalse(hub.dir.exists())


class Phones(case.HubCase):
    """A hub without a public name."""

    def ca(self):
        return der(self.hub.file("tls", "web-ca.pem"))

    def test_the_profile_is_a_property_list_with_the_same_certificate(self):
        answer, body = get(self.hub, "/porchlight.mobileconfig")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.getheader("Content-Type"), "application/x-apple-aspen-config")
        profile = plistlib.loads(body)
        self.assertEqual((profile["PayloadType"], profile["PayloadVersion"]), ("Configuration", 1))
        self.assertEqual(len(profile["PayloadContent"]), 1)
        payload = profile["PayloadContent"][0]
        self.assertEqual(payload["PayloadType"], "com.apple.security.root")
        self.assertEqual(payload["PayloadContent"], self.ca())
        self.assertNotEqual(payload["PayloadUUID"], profile["PayloadUUID"])
        self.assertEqual(get(self.hub, "/porchlight.mobileconfig")[1], body, "the same profile each time")

    def test_page_command_line_and_file_tell_the_same_fingerprint(self):
        expected = hashlib.sha256(self.ca()).hexdigest()
        trust = json.loads(get(self.hub, "/api/v1/trust")[1])
        told = [trust["fingerprint"], self.hub.cli("status")["trust"]["sha256"]]
        self.assertEqual([each.replace(":", "").lower() for each in told], [expected] * 2)
        self.assertEqual(trust["names"], ["localhost", "127.0.0.1", "::1"])
        self.assertIsNone(trust["url"], "no phone reaches localhost")
        text = subprocess.run([lab.program("porchlight"), "-C", str(self.hub.dir), "status"], capture_output=True, text=True).stdout
        self.assertIn(told[0], text)

    def test_the_page_is_there_before_anybody_has_signed_in(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        conn = http.client.HTTPSConnection("127.0.0.1", self.hub.ports["https"], timeout=30, context=context)
        conn.request("GET", "/trust", headers={"Host": f"localhost:{self.hub.ports['https']}", "Accept": "text/html"})
        self.assertEqual(conn.getresponse().status, 200)


class NewNames(unittest.TestCase):
    """A name that was added to hub.conf after init."""

    def reach(self, hub, name):
        """A handshake as a phone does it that trusts the web CA only."""
        context = ssl.create_default_context(cafile=str(hub.file("tls", "web-ca.pem")))
        with context.wrap_socket(socket.create_connection(("127.0.0.1", hub.ports["https"]), 30), server_hostname=name):
            return True

    def test_the_old_names_stay_good_and_a_new_authority_makes_the_new_one_good(self):
        hub = lab.Hub()
        self.addCleanup(hub.remove)
        hub.init("--name", "localhost")
        conf = hub.file("hub.conf")
        conf.write_text(re.sub(r"(?m)^hub.name = .*\n", "", conf.read_text()) + "hub.name = localhost porch.example\n")
        hub.start()
        line = hub.log.wait_for(lambda text: "web-ca.lacks-name" in text, 30)
        self.assertIn("porch.example", line)
        self.assertIn("ca renew-web", line)
        self.assertTrue(self.reach(hub, "localhost"))
        with self.assertRaises(ssl.SSLError):
            self.reach(hub, "porch.example")
        code, _, error = hub.cli("ca", "renew-web", check=False)
        self.assertEqual(code, 1)
        self.assertIn("stop it first", error)
        self.assertEqual(hub.stop(), 0)
        before = der(hub.file("tls", "web-ca.pem"))
        told = hub.cli("ca", "renew-web")["sha256"]
        after = der(hub.file("tls", "web-ca.pem"))
        self.assertNotEqual(before, after)
        self.assertEqual(told.replace(":", "").lower(), hashlib.sha256(after).hexdigest())
        hub.start()
        self.assertTrue(self.reach(hub, "porch.example"))
        self.assertTrue(self.reach(hub, "localhost"))
        self.assertFalse(any("web-ca.lacks-name" in each for each in hub.log.all))


if __name__ == "__main__":
    unittest.main()
