"""From a product team's release to a running program: signed offline, chosen by the device for its own product and hardware, put
into the other slot, tried, confirmed or rolled back; and what a thief of the server and of every online key can not do."""

import json
import subprocess
import threading
import unittest

import case  # noqa: F401 (finds lab)
import lab
import test_launch
import test_ota_author


class Update(test_ota_author.OtaAuthor):
    def setUp(self):
        super().setUp()
        self.slots = self.top / "slots"
        self.slots.mkdir()
        self.launch("init", "--image", self.program("1"), "--counter", 1)

    def program(self, version, healthy=True, code=0):
        path = self.top / f"camera-{version}"
        then = f'"{lab.program("porchlight-launch")}" "{self.slots}" {"confirm" if healthy else "reject"} 2>/dev/null; true'
        path.write_text(test_launch.SCRIPT.format(version=version, then=then, code=code, filling="x" * 100_000))
        return path

    def launch(self, *words):
        done = subprocess.run([lab.program("porchlight-launch"), self.slots, *map(str, words)], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split(" slot")[0].strip()

    def status(self):
        done = subprocess.run([lab.program("porchlight-launch"), self.slots, "status"], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def agent(self, *more, hardware="rev-a", product="camera"):
        url = f"http://127.0.0.1:{self.server.server_address[1]}"
        done = subprocess.run([lab.program("porchlight-tuf"), "--metadata-dir", self.device / "metadata", "--metadata-url", url + "/metadata",
                               "--target-base-url", url + "/targets", "--slots", self.slots, "--product", product, "--hardware", hardware, *map(str, more), "update"],
                              capture_output=True, text=True, timeout=120)
        self.assertNotIn("Sanitizer", done.stderr)
        return done.returncode, (done.stdout + done.stderr).strip()

    def release(self, version, *more, hardware="rev-a", product="camera", **how):
        self.ota("release", "--product", product, "--version", version, "--image", self.program(version, **how), "--hardware", hardware, *more)

    def test_a_release_runs_on_the_device_and_a_broken_one_is_rolled_back_by_itself(self):
        self.release("2")
        self.assertEqual(self.agent(), (0, "staged camera/2/image"))
        self.assertEqual([self.launch(), self.launch()], ["version 2", "version 2"])
        self.assertEqual(self.agent(), (0, "current camera/2/image"))
        self.release("3", healthy=False)
        self.assertEqual(self.agent(), (0, "staged camera/3/image"))
        self.assertEqual([self.launch(), self.launch()], ["version 3", "version 2"])
        code, said = self.agent()
        self.assertEqual(code, 1)
        self.assertIn("camera/3/image was tried and rolled back: it found itself unhealthy", said)
        self.release("4")
        self.assertEqual(self.agent(), (0, "staged camera/4/image"))
        self.assertEqual([self.launch(), self.launch()], ["version 4", "version 4"])

    def test_a_server_that_stalls_keeps_no_product_from_starting_and_confirming(self):
        self.release("2")
        self.assertEqual(self.agent(), (0, "staged camera/2/image"))
        self.release("3")
        stalled, go_on = threading.Event(), threading.Event()
        self.addCleanup(go_on.set)
        self.serve_stalling(stalled, go_on)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.agent()))
        thread.start()
        self.addCleanup(thread.join)
        self.assertTrue(stalled.wait(60))
        # in the middle of the image: the product starts on trial, and confirms
        self.assertEqual(self.launch(), "version 2")
        self.assertEqual((self.status()["active"], self.status()["other"]), (1, "old"))
        go_on.set()
        thread.join()
        self.assertEqual(answers, [(0, "staged camera/3/image")])
        self.assertEqual([self.launch(), self.launch()], ["version 3", "version 3"])

    def serve_stalling(self, stalled, go_on):
        """The first image stops in its middle until it may go on."""
        handler = self.server.RequestHandlerClass

        class Stalling(handler):
            def copyfile(self, source, outputfile):
                if not self.path.endswith(".image") or stalled.is_set():
                    return super().copyfile(source, outputfile)
                outputfile.write(source.read(1000))
                outputfile.flush()
                stalled.set()
                go_on.wait(60)
                return super().copyfile(source, outputfile)

        self.server.RequestHandlerClass = Stalling

    def test_a_device_takes_its_own_product_and_hardware_alone(self):
        self.release("2", hardware="rev-b")
        code, said = self.agent()
        self.assertEqual(code, 1)
        self.assertIn("no release of camera is signed for hardware rev-a", said)
        self.release("9", product="door")
        self.assertEqual(self.agent()[0], 1)
        self.release("3")
        self.release("4", hardware="rev-b")
        self.assertEqual(self.agent(), (0, "staged camera/3/image"))
        self.assertEqual(self.launch(), "version 3")

    def test_what_was_signed_for_some_devices_or_for_later_is_held_to(self):
        self.release("2", "--stage", "0.01%:1000d", "--stage", "100%")
        code, said = self.agent()
        self.assertEqual(code, 1)
        self.assertIn("say --id", said)
        code, said = self.agent("--id", "cam-1")
        self.assertEqual(code, 0)
        self.assertIn("waiting camera/2/image: the signed rollout has not reached this device", said)
        self.assertEqual(self.status()["other"], "empty")
        self.assertEqual(self.agent("--id", "cam-1", "--powered", 86400_000), (0, "staged camera/2/image"))
        self.release("3", "--stage", "0.01%:1000d", "--stage", "100%", "--schema-least", "3")
        self.ota("widen", "--product", "camera", "--version", "3", "--share", "100%")
        self.assertIn("say --schema", self.agent("--id", "cam-1")[1])
        code, said = self.agent("--id", "cam-1", "--schema", 2)
        self.assertEqual(code, 1)
        self.assertIn("camera/3/image: the release does not read data as old as this device's", said)
        self.assertEqual(self.agent("--id", "cam-1", "--schema", 3), (0, "staged camera/3/image"))

    def test_a_raised_floor_keeps_older_releases_out(self):
        self.release("2")
        self.release("3", "--raise-floor")
        self.assertEqual(self.agent(), (0, "staged camera/3/image"))
        self.launch()
        self.assertEqual(self.status()["floor"], 2)
        self.ota("revoke", "--product", "camera", "--version", "3")  # leaves the weak one as the newest
        code, said = self.agent()
        self.assertEqual(code, 1)
        self.assertIn("older than this device's floor", said)
        self.assertEqual(self.launch(), "version 3")

    def test_a_thief_of_server_and_online_keys_installs_nothing(self):
        self.release("2")
        self.assertEqual(self.agent()[0], 0)
        self.launch()
        honest = self.repo / "repository"
        evil = self.program("66").read_bytes()
        # 1: another image under the signed name
        self.release("3")
        image = next((honest / "targets/camera/3").glob("*.image"))
        good = image.read_bytes()
        image.write_bytes(evil.ljust(len(good), b"#")[:len(good)])
        code, said = self.agent()
        self.assertEqual(code, 1)
        self.assertIn("length and hash", said)
        image.write_bytes(good)
        # 2: metadata of the product signed by the online keys
        newest = max((honest / "metadata").glob("*.camera.json"), key=lambda path: int(path.name.split(".")[0]))
        text = json.loads(newest.read_text())
        text["signed"]["version"] += 1
        text["signed"]["targets"]["camera/66/image"] = {**text["signed"]["targets"]["camera/2/image"], "length": len(evil)}
        newest.with_name(f"{text['signed']['version']}.camera.json").write_text(json.dumps(text))
        snapshot = max((honest / "metadata").glob("*.snapshot.json"), key=lambda path: int(path.name.split(".")[0]))
        said_snapshot = json.loads(snapshot.read_text())
        said_snapshot["signed"]["meta"]["camera.json"] = {"version": text["signed"]["version"]}
        snapshot.write_text(json.dumps(said_snapshot))
        self.ota("renew")  # the thief has the online keys: snapshot and timestamp are good
        code, said = self.agent()
        self.assertEqual(code, 1)
        self.assertRegex(said, "signatures")
        self.assertEqual(self.launch(), "version 2")


# The author's own tests run in their own file, not here again.
for name in [each for each in dir(test_ota_author.OtaAuthor) if each.startswith("test_")]:
    setattr(Update, name, None)

if __name__ == "__main__":
    unittest.main()
