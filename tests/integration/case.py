"""What the integration tests share: one hub per test class, its log, and a certificate authority to forge with."""

import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "lab"))
import lab  # noqa: E402


class HubCase(unittest.TestCase):
    """Starts one hub for the class. Each test may read the log from where it began with logged()."""

    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.hub = lab.Hub()
        cls.addClassCleanup(cls.hub.remove)
        cls.hub.init()
        cls.hub.set(**cls.settings)
        cls.hub.start()

    def setUp(self):
        self.log_start = len(self.hub.log.all)

    def logged(self, *words, seconds=20):
        """Asserts that one log line written since the test began holds all the words; returns it."""
        line = self.hub.log.wait_for(lambda text: all(word in text for word in words), seconds, self.log_start)
        if line is None:
            self.fail(f"no log line with {words}; since the test began:\n" + "\n".join(self.hub.log.all[self.log_start:]))
        return line


class Forge:
    """Certificates as `openssl` makes them, under the hub's issuing CA or one of its own."""

    def __init__(self, folder, ca_certificate=None, ca_key=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        if ca_certificate is None:
            ca_certificate, ca_key = self.folder / "ca.pem", self.folder / "ca.key"
            self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", ca_key,
                     "-out", ca_certificate, "-subj", "/CN=another authority", "-days", "30",
                     "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
        self.ca_certificate, self.ca_key = ca_certificate, ca_key

    @staticmethod
    def run(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)

    def leaf(self, name, uri, start, end):
        """A folder with cert.pem, key.pem and ca.pem; start and end as YYYYMMDDHHMMSSZ."""
        out = self.folder / name
        out.mkdir()
        (out / "index").write_text("")
        (out / "openssl.cnf").write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={out}/index\nnew_certs_dir={out}\ndefault_md=sha256\nrand_serial=yes\n"
            f"policy=p\nunique_subject=no\nx509_extensions=x\n[p]\ncommonName=optional\n"
            f"[x]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n"
            f"subjectAltName=critical,URI:{uri}\nauthorityKeyIdentifier=keyid\n")
        self.run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", out / "key.pem",
                 "-out", out / "request.pem", "-subj", "/CN=x")
        self.run("ca", "-batch", "-config", out / "openssl.cnf", "-cert", self.ca_certificate, "-keyfile", self.ca_key,
                 "-in", out / "request.pem", "-out", out / "cert.pem", "-notext", "-startdate", start, "-enddate", end,
                 "-subj", "/")
        with open(out / "cert.pem", "ab") as chain:
            chain.write(pathlib.Path(self.ca_certificate).read_bytes())
        return out
