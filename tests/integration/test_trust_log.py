"""The trust log of a running hub: what goes in, the signer's heads, the export checked by somebody else, and an edited
database found out."""

import hashlib
import json
import sqlite3
import struct
import subprocess
import tempfile
import unittest

import case
import lab


class TrustLog(case.HubCase):
    settings = {"trust_head_s": 1}

    def verify(self):
        code, out, err = self.hub.cli("trust-log", "verify", check=False)
        return code, json.loads(out) if code == 0 else err

    def export(self):
        text = self.hub.cli("trust-log", "export", json_output=False)
        rows = [json.loads(line) for line in text.splitlines()]
        return [row for row in rows if "seq" in row], [row for row in rows if "head" in row]

    def edit(self, sql):
        with sqlite3.connect(self.hub.file("hub.db"), timeout=30) as db:
            db.execute(sql)
        db.close()

    def test_decisions_go_in_and_somebody_else_can_check_them_with_openssl(self):
        person = self.hub.person().become_owner()
        person.ask("POST", "/api/v1/login", {"name": person.name, "password": "Wrong-lamp-Otter-rides-8-trams", "code": "000000"})
        person.login()
        self.hub.device("gone")
        self.hub.cli("device", "quarantine", "gone")
        self.hub.cli("device", "revoke", "gone")
        self.hub.service("lights", allow=["subscribe:d/+/event/#"])
        self.hub.cli("device", "claim-token", "new-1", "--product", "camera")
        self.hub.cli("product", "set", "camera", "--channel-binding", "optional")
        code, answer = self.verify()
        self.assertEqual(code, 0, answer)
        self.assertEqual(answer["rows"], answer["signed_rows"])
        self.assertTrue(answer["signer"])
        rows, heads = self.export()
        self.assertEqual([row["seq"] for row in rows], list(range(1, answer["rows"] + 1)))
        kinds = {row["kind"] for row in rows}
        for kind in ("user.add", "user.sign-in", "user.failed", "device.add", "device.quarantine", "device.revoke", "service.add",
                     "device.claim-token", "product.set"):
            self.assertIn(kind, kinds)
        # the chain, by the words of docs/protocol.md
        link = bytes(32)
        links = {}
        for row in rows:
            fields = [b"porchlight trust 2", link, struct.pack(">Q", row["seq"]), struct.pack(">Q", row["at_ms"]),
                      *(row[name].encode() for name in ("kind", "who", "subject", "detail")), bytes.fromhex(row["salt"])]
            link = hashlib.sha256(b"".join(struct.pack(">Q", len(field)) + field for field in fields)).digest()
            self.assertEqual(link.hex(), row["hash"])
            links[row["seq"]] = link
        # the heads, by openssl
        self.assertTrue(heads)
        for head in heads:
            self.assertEqual(head["hash"], links[head["head"]].hex())
            self.assertEqual(head["key"], answer["key"])
            with tempfile.TemporaryDirectory() as folder:
                with open(f"{folder}/key.der", "wb") as file:
                    file.write(bytes.fromhex("302a300506032b6570032100" + head["key"]))
                with open(f"{folder}/text", "wb") as file:
                    file.write(b"porchlight trust head 1\0" + struct.pack(">Q", head["head"]) + bytes.fromhex(head["hash"])
                               + struct.pack(">Q", head["at_ms"]))
                with open(f"{folder}/signature", "wb") as file:
                    file.write(bytes.fromhex(head["signature"]))
                done = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key.der", "-rawin",
                                       "-in", "text", "-sigfile", "signature"], cwd=folder, capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        self.assertIn("device.revoke", self.hub.cli("trust-log", "list", json_output=False))


class Edited(case.HubCase):
    """Each test has a hub of its own, whose database is edited while it runs, as a thief of the disk would."""

    settings = {"trust_head_s": 1}

    edit = TrustLog.edit
    verify = TrustLog.verify

    def setUp(self):
        super().setUp()
        self.hub = lab.Hub()
        self.addCleanup(self.hub.remove)
        self.hub.init()
        self.hub.set(trust_head_s=1)
        self.hub.start()
        for name in ("one", "two", "three", "four"):
            self.hub.device(name)
        self.assertEqual(self.verify()[0], 0)

    def found(self, sql, *words):
        self.edit(sql)
        code, sentence = self.verify()
        self.assertEqual(code, 1)
        for word in words:
            self.assertIn(word, sentence)

    def test_a_changed_entry_is_named(self):
        self.found("update trust set subject = 'device:none' where seq = 2", "row 2 ", "changed")

    def test_an_entry_cut_out_is_named(self):
        self.found("delete from trust where seq = 3", "row 2 to row 4")

    def test_entries_cut_off_the_end_are_missed_and_the_hub_says_so_by_itself(self):
        last = self.verify()[1]["rows"]
        self.found(f"delete from trust where seq = {last}", f"row {last}", "cut")
        self.assertIsNotNone(self.hub.log.wait_for(lambda line: "trust.broken" in line, 30))

    def test_two_entries_that_changed_places_are_named(self):
        self.edit("update trust set seq = 1000 where seq = 2")
        self.edit("update trust set seq = 2 where seq = 3")
        self.found("update trust set seq = 3 where seq = 1000", "row 2 ")

    def test_a_restart_does_not_forget_what_was_signed(self):
        last = self.verify()[1]["rows"]
        self.hub.stop()
        self.edit("delete from trust where seq > 1")
        self.edit("delete from trust_head")
        self.hub.start()
        code, sentence = self.verify()
        self.assertEqual(code, 1)
        self.assertIn(str(last), sentence)


if __name__ == "__main__":
    unittest.main()
