"""`porchlight doctor`: silent about a hub that is well, and each thing amiss is told with what mends it."""

import json
import os
import shlex
import socket
import subprocess
import time
import unittest

import case  # noqa: F401 (finds lab)
import lab


class Doctor(unittest.TestCase):
    def setUp(self):
        self.hub = lab.Hub()
        self.addCleanup(self.hub.remove)
        self.hub.init()

    def look(self):
        code, out, err = self.hub.cli("doctor", check=False)
        report = json.loads(out)
        self.assertEqual(code, 0 if report["well"] else 1, err)
        self.assertEqual(report["well"], not report["findings"])
        for finding in report["findings"]:
            self.assertTrue(finding["text"] and finding["mend"], finding)
        return report

    def found(self, check):
        return [finding for finding in self.look()["findings"] if finding["check"] == check]

    def make_well(self):
        """As an operator follows the advice: what cannot be changed here (root as the user, the disk) is left out."""
        self.hub.cli("ca", "export-root", "--out", self.hub.top / "root.key")
        self.hub.cli("backup", "--out", self.hub.top / "backup.porch")

    def left(self):
        return [finding for finding in self.look()["findings"] if finding["check"] not in ("user", "disk")]

    def test_a_new_hub_is_told_of_root_key_and_backup_and_then_is_well(self):
        checks = {finding["check"] for finding in self.look()["findings"]}
        self.assertLessEqual({"root-key", "backup"}, checks)
        self.assertLessEqual(checks, {"root-key", "backup", "user", "disk"})
        self.make_well()
        self.assertEqual(self.left(), [])
        self.assertFalse(self.look()["running"])
        self.hub.start()
        self.assertEqual(self.left(), [])
        self.assertTrue(self.look()["running"])

    def test_a_wrong_mode_is_mended_by_the_command_it_names(self):
        for name, mode in (("signer", 0o755), ("signer/issuing.key", 0o644), ("hub.conf", 0o666), (".", 0o711)):
            path = self.hub.file(name)
            os.chmod(path, mode)
            findings = self.found("modes")
            self.assertEqual(len(findings), 1, (name, findings))
            subprocess.run(shlex.split(findings[0]["mend"]), check=True)
            self.assertEqual(self.found("modes"), [])

    def test_a_port_that_another_has_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            conf = self.hub.file("hub.conf")
            conf.write_text(conf.read_text().replace("hub.device_port = 0", f"hub.device_port = {port}"))
            findings = self.found("ports")
            self.assertEqual(len(findings), 1)
            self.assertIn(str(port), findings[0]["mend"])
        self.assertEqual(self.found("ports"), [])

    def test_an_old_backup_is_told(self):
        self.make_well()
        self.hub.file("last-backup").write_text(str(int((time.time() - 9 * 86400) * 1000)))
        self.assertIn("9 days", self.found("backup")[0]["text"])

    def test_certificates_that_end_soon_and_names_they_lack_are_told(self):
        self.hub.set(hub_certificate_days=10)
        self.hub.start()
        self.hub.device("front-door")
        self.hub.service("lights", allow=["subscribe:#"])
        self.hub.device("gone")
        self.hub.cli("device", "revoke", "gone")
        conf = self.hub.file("hub.conf")
        conf.write_text(conf.read_text() + "hub.name = localhost 127.0.0.1 elsewhere.example\n"
                        if "\nhub.name = " not in conf.read_text() else
                        conf.read_text().replace("\nhub.name = ", "\nhub.name = elsewhere.example "))
        ends = {finding["text"]: finding["mend"] for finding in self.found("certificates")}
        self.assertEqual(len(ends), 2, ends)
        self.assertIn("device add front-door --renew", " ".join(ends.values()))
        self.assertIn("service add lights --renew", " ".join(ends.values()))
        names = self.found("names")
        self.assertEqual(len(names), 2, names)
        self.assertTrue(all("elsewhere.example" in finding["text"] for finding in names))
        self.hub.stop()
        self.hub.start()
        left = self.found("names")  # the hub made its own anew; its web CA is bound to the names of init
        self.assertEqual(len(left), 1, left)
        self.assertIn("web-cert.pem", left[0]["text"])
        self.assertIn("ca renew-web", left[0]["mend"])

    def sign_for(self, days, name):
        """An issuing certificate for the hub's next key that lives so long."""
        request, ext, out = (self.hub.top / f"{name}.{kind}" for kind in ("request", "ext", "pem"))
        self.hub.cli("ca", "rotate", "--out", request)
        ext.write_text("basicConstraints = critical,CA:TRUE,pathlen:0\nkeyUsage = critical,keyCertSign,cRLSign\n"
                       "subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n")
        subprocess.run(["openssl", "x509", "-req", "-in", request, "-CA", self.hub.file("tls", "device-root.pem"),
                        "-CAkey", self.hub.file("OFFLINE", "root.key"), "-subj", f"/CN={name}", "-days", str(days), "-extfile", ext,
                        "-out", out], check=True, capture_output=True)
        return out

    def test_an_issuer_that_nears_its_end_is_told_while_there_is_time(self):
        self.hub.set(hub_certificate_days=10)
        self.hub.start()
        self.assertEqual([one for one in self.found("certificates") if "issues" in one["text"]], [])
        self.hub.cli("ca", "activate", self.sign_for(13, "short"))
        (finding,) = self.found("certificates")
        self.assertIn("the authority that issues (tls/issuing.pem) ends in 12 days", finding["text"])
        self.assertIn("ca rotate", finding["mend"])
        self.hub.stop()
        self.hub.start()
        self.assertIsNotNone(self.hub.log.wait_for(lambda text: "certificate.ends certificate=issuing days=12" in text, 30))
        # the next one is in force: what counts now is what still hangs on the one that ends
        self.hub.device("front-door")
        self.hub.cli("ca", "activate", self.sign_for(400, "long"))
        (finding,) = [one for one in self.found("certificates") if "issue" in one["text"]]
        self.assertIn("on which", finding["text"])
        self.assertIn("ca list", finding["mend"])
        self.hub.cli("device", "revoke", "front-door")
        self.assertEqual([one for one in self.found("certificates") if "issue" in one["text"]], [])

    def test_a_line_of_hub_conf_that_is_wrong_is_told(self):
        self.hub.set(hub_mqtt_prot=1)
        self.assertIn("hub.mqtt_port", self.found("settings")[0]["text"])

    def test_what_is_no_hub_is_refused(self):
        self.hub.file("hub.conf").unlink()
        code, _, err = self.hub.cli("doctor", check=False)
        self.assertEqual(code, 1)
        self.assertIn("not a hub's directory", err)


if __name__ == "__main__":
    unittest.main()
