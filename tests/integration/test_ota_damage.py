"""The hub's copy of the update repository is damaged, gone, older than it was, or comes back with a backup: the hub starts and serves
everything else, says what is amiss, lets no device have it, and is well again once the team's folder was published."""

import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import case  # noqa: F401 (finds lab)
import lab
import mqtt
import ota_lab


class OtaDamage(ota_lab.OtaCase):
    def restart(self):
        self.hub.stop()
        self.log_start = 0
        self.hub.start()

    def updates(self):
        return self.hub.dir / "updates"

    def only(self, pattern):
        found, = self.updates().glob(pattern)
        return found

    def assertDamaged(self, word):
        self.logged("update.damaged", word)
        code, said, _ = self.hub.cli("ota", "status", check=False, json_output=False)
        self.assertEqual(code, 1)
        self.assertIn(word, said)
        self.assertIn("ota publish FOLDER", said)
        findings = json.loads(self.hub.cli("doctor", check=False)[1])["findings"]
        finding, = [each for each in findings if each["check"] == "updates"]
        self.assertIn(word, finding["text"])
        self.assertIn("ota publish FOLDER", finding["mend"])
        status, _, body = self.get("metadata/timestamp.json")
        self.assertEqual((status, json.loads(body)["type"].rsplit("/", 1)[-1].rsplit(":", 1)[-1]), (503, "updates-damaged"))
        self.assertEqual(self.get(self.image)[0], 503)
        code, _, said = self.hub.cli("ota", "rollout", "start", "--product", "camera", "--version", "1", check=False)
        self.assertEqual((code, "damaged" in said), (1, True))
        # Everything else is served.
        with mqtt.Client(self.hub, self.hub.device_tls(self.device)) as client:
            client.connect("porch-cam")

    def assertWell(self):
        self.assertEqual(self.hub.cli("ota", "status")["damage"], "")
        self.assertNotIn("updates", [each["check"] for each in json.loads(self.hub.cli("doctor", check=False)[1])["findings"]])
        return self.newest()

    def test_1_damage_keeps_only_updates_from_being_served_and_publishing_again_mends_it(self):
        self.make()
        self.release("1")
        self.publish()
        role = json.loads(next(self.updates().glob("metadata/*.camera.json")).read_text())["signed"]
        self.image = f"targets/camera/1/{role['targets']['camera/1/image']['hashes']['sha256']}.image"
        early = self.top / "early"
        shutil.copytree(self.updates(), early)
        self.release("2")
        self.publish()
        announced = json.loads(self.get("metadata/timestamp.json")[2])["signed"]["version"]
        self.assertEqual(self.assertWell(), {"1", "2"})

        def cut_an_image():
            with (self.updates() / self.image).open("r+b") as image:
                image.truncate(1000)

        def change_a_role():
            role = max(self.updates().glob("metadata/*.camera.json"), key=lambda path: int(path.name.split(".")[0]))
            role.write_bytes(role.read_bytes().replace(b"rev-a", b"rev-b"))

        def cut_the_root():
            self.only("metadata/1.root.json").write_bytes(b"{")

        def lose_everything():
            shutil.rmtree(self.updates())

        def go_back():
            shutil.rmtree(self.updates())
            shutil.copytree(early, self.updates())

        for damage, word in ((cut_an_image, "has 1000 bytes"), (change_a_role, "not the file that was published"),
                             (cut_the_root, "1.root.json"), (lose_everything, "timestamp.json is missing"), (go_back, "was in force")):
            with self.subTest(damage=damage.__name__):
                self.hub.stop()
                damage()
                self.log_start = 0
                self.hub.start()
                self.assertDamaged(word)
                self.publish()
                self.assertEqual(self.assertWell(), {"1", "2"})
                now = json.loads(self.get("metadata/timestamp.json")[2])["signed"]["version"]
                self.assertGreater(now, announced)  # devices that have seen the one before take it
                announced = now

        self.one_image_that_changed_in_its_length_is_found_by_its_hash()

        # What was in force still counts: another team's folder does not come in through the damage.
        other = self.top / "other"
        self.make(other)
        self.release("9", other)
        self.hub.stop()
        lose_everything()
        self.hub.start()
        self.publish(other, code=1)
        self.assertEqual(self.get("metadata/timestamp.json")[0], 503)
        self.publish()
        self.assertEqual(self.assertWell(), {"1", "2"})
        log = json.dumps(self.hub.cli("trust-log", "list"))
        self.assertEqual(log.count('"release:camera/1"'), 1)

    def one_image_that_changed_in_its_length_is_found_by_its_hash(self):
        self.hub.stop()
        with (self.updates() / self.image).open("r+b") as image:
            image.seek(50_000)
            byte = image.read(1)
            image.seek(50_000)
            image.write(bytes([byte[0] ^ 1]))
        self.log_start = 0
        self.hub.start()
        self.logged("update.image-damaged", self.image)
        self.logged("update.checked", "images=")
        code, said, _ = self.hub.cli("ota", "status", check=False, json_output=False)
        self.assertEqual((code, self.image in said, "ota publish FOLDER" in said), (1, True, True), said)
        told = json.loads(self.hub.cli("ota", "status", check=False)[1])
        self.assertEqual((told["damaged_images"], told["damage"], told["images_checked"]), ([self.image], "", True))
        finding, = [each for each in json.loads(self.hub.cli("doctor", check=False)[1])["findings"] if each["check"] == "updates"]
        self.assertIn(self.image, finding["text"])
        # No device gets it; all else of the repository is served.
        status, _, body = self.get(self.image)
        self.assertEqual((status, b"updates-damaged" in body), (503, True))
        self.assertEqual(self.get("metadata/timestamp.json")[0], 200)
        self.publish()
        self.assertEqual(self.assertWell(), {"1", "2"})
        self.assertEqual(self.hub.cli("ota", "status")["damaged_images"], [])

    def restore(self, backup, key):
        top = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-restored-", dir=self.top))
        hub = lab.Hub(top)
        done = subprocess.run([lab.program("porchlight"), "-C", hub.dir, "restore", backup], input=key + "\n", capture_output=True, text=True,
                              timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return hub

    def test_2_a_backup_brings_what_is_published_along_unless_it_is_told_not_to(self):
        # The folder of the first test is gone; what the hub serves is all there is.
        before = self.get("metadata/timestamp.json")[2]
        key = self.hub.cli("backup", "--out", self.top / "whole")["recovery_key"]
        self.hub.cli("backup", "--no-updates", "--out", self.top / "lean")
        self.assertGreater((self.top / "whole").stat().st_size, (self.top / "lean").stat().st_size + 200_000)
        whole, lean = self.restore(self.top / "whole", key), self.restore(self.top / "lean", key)
        self.assertTrue(any((whole.dir / "updates/targets/camera").rglob("*.image")))
        self.assertFalse((lean.dir / "updates").exists())
        self.hub.stop()
        mine = self.hub
        try:
            for hub in (whole, lean):
                self.hub = hub
                hub.start()
                try:
                    if hub is whole:
                        self.assertEqual(self.get("metadata/timestamp.json")[2], before)
                        self.assertEqual(self.assertWell(), {"1", "2"})
                    else:
                        self.image = "targets/camera/1/aa.image"
                        self.log_start = 0
                        self.assertDamaged("timestamp.json is missing")
                finally:
                    hub.stop()
        finally:
            self.hub = mine
            self.hub.start()


if __name__ == "__main__":
    unittest.main()
