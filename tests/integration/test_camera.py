"""What people expect of a camera every day: privacy that closes the source, zones that are ignored, and a source that comes
from a network, ends and comes back."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

import case
import lab
import mqtt

HERE = pathlib.Path(__file__).resolve().parent
WHOLE = "0,0,10000,10000"


def open_files(pid):
    found = []
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(entry))
        except OSError:
            continue
    return found


class CameraCase(case.HubCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.person = cls.hub.person().become_owner()
        cls.film = lab.videos() / "vtest.avi"

    def camera(self, folder, source=None, *options):
        camera = lab.Camera(folder, source or self.film, *options)
        self.addCleanup(camera.stop)
        return camera

    def has_film(self, camera):
        """Whether a decoder lives; where its descriptors may be looked at (root), it is asked for the film itself."""
        decoder = camera.decoder()
        self.assertNotIn(str(self.film), open_files(camera.process.pid), "the camera itself never opens what it films")
        if decoder is not None and os.geteuid() == 0:
            self.assertIn(str(self.film), open_files(decoder))
        return decoder is not None

    def captures(self, camera, state, start=0, seconds=60):
        """Waits for the camera's own word on what it does; the index of the line after it."""
        line = camera.out.wait_for(lambda text: '"hop":"capture"' in text and f'"state":"{state}"' in text, seconds, start)
        self.assertIsNotNone(line, f"the camera is not {state}: {camera.out.all[-5:]} {camera.err.text()[-1500:]}")
        return len(camera.out.all)

    def settings_of(self, device):
        return self.person.must("GET", f"/api/v1/devices/{device}/settings")

    def until(self, stream, device, holds):
        """The device's settings once they are as wanted; each look follows news of the device."""
        while True:
            now = self.settings_of(device)
            if holds(now):
                return now
            self.assertIsNotNone(stream.next("device", 60), f"nothing is told of {device} any more: {now}")

    def put(self, device, what, **body):
        answer = self.person.ask("PUT", f"/api/v1/devices/{device}/{what}", body)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()


class Wishes(CameraCase):
    def test_privacy_closes_the_source_and_holds_through_a_restart_without_the_hub(self):
        folder = self.hub.device("hall")
        stream = self.person.stream()
        self.addCleanup(stream.close)
        camera = self.camera(folder, None, "--loop")
        at = self.captures(camera, "running")
        self.assertTrue(self.has_film(camera))
        said = self.put("hall", "privacy", on="yes")
        self.assertTrue(said["desired"]["privacy"])
        self.assertTrue(said["pending"], "nothing is so before the camera has said it")
        at = self.captures(camera, "stopped", at)
        now = self.until(stream, "hall", lambda s: not s["pending"])
        self.assertEqual((now["reported"]["privacy"], now["reported"]["capture"]), (True, "stopped"))
        self.assertFalse(self.has_film(camera), "the film is closed, not only unsent")
        reads = lambda pid: int([line for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines() if line.startswith("rchar")][0].split()[1])
        before = reads(camera.process.pid)

        # killed and started again while the hub is away: private before any connection
        camera.process.send_signal(signal.SIGKILL)
        camera.process.wait()
        self.assertGreater(before, 0)
        self.hub.process.send_signal(signal.SIGSTOP)
        try:
            again = self.camera(folder, None, "--loop")
            self.captures(again, "stopped")
            self.assertFalse(self.has_film(again))
            self.assertFalse(again.records("motion"))
            self.assertNotIn("connected", again.err.text().replace("disconnected", ""))
        finally:
            self.hub.process.send_signal(signal.SIGCONT)
        self.put("hall", "privacy", on="no")
        self.captures(again, "running", 0, 90)
        now = self.until(stream, "hall", lambda s: not s["pending"] and s["reported"]["capture"] == "running")
        self.assertFalse(now["reported"]["privacy"])
        self.assertIsNotNone(again.out.wait_for(lambda text: '"hop":"motion"' in text, 60), "it sees again")

    def test_a_zone_over_all_of_the_picture_means_no_event_until_it_is_taken_back(self):
        folder = self.hub.device("yard")
        stream = self.person.stream()
        self.addCleanup(stream.close)
        wished = self.put("yard", "zones", ignore=WHOLE)  # the camera has never been there
        self.assertTrue(wished["pending"])
        self.assertIsNone(wished["reported"])
        camera = self.camera(folder, None, "--loop")
        now = self.until(stream, "yard", lambda s: not s["pending"] and s["reported"] is not None)
        self.assertEqual(now["reported"]["ignore"], [[0, 0, 10000, 10000]])
        kept = json.loads((folder / "state" / "twin").read_text())
        self.assertEqual(kept["state"]["ignore"], [0, 0, 10000, 10000])
        # from here on the zones are on its disk: a new start ignores from the first frame on
        camera.stop()
        camera = self.camera(folder, None, "--loop")
        self.captures(camera, "running")
        self.put("yard", "zones", ignore="")
        self.assertIsNotNone(camera.out.wait_for(lambda text: '"hop":"motion"' in text, 60), camera.err.text())
        hops = [record for record in camera.records() if record["hop"] in ("capture", "motion")]
        self.assertEqual([(hop["hop"], hop.get("wish")) for hop in hops[:3]], [("capture", 1), ("capture", 2), ("motion", None)],
                         "the film moves from its first second on, and counts once the zone is gone")
        self.until(stream, "yard", lambda s: not s["pending"] and s["reported"]["ignore"] == [])
        log = self.hub.cli("trust", "log", check=False)
        if log[0] == 0:
            self.assertIn("device.zones", log[1])

    def test_a_report_by_qos_0_is_answered_with_the_wish_that_was_missed(self):
        """What the SDK says before all that waits in its spool."""
        folder = self.hub.device("porch")
        self.put("porch", "privacy", on="yes")
        with mqtt.Client(self.hub, self.hub.device_tls(folder)) as client:
            client.connect("porch")
            client.subscribe("d/porch/state/desired")
            client.publish("d/porch/state/reported", '{"v":1,"version":0,"state":{}}')
            topic, payload = client.expect(mqtt.PUBLISH).publication()[:2]
        self.assertEqual(topic, "d/porch/state/desired")
        self.assertTrue(json.loads(payload)["state"]["privacy"])

    def test_zones_made_from_what_somebody_else_has_changed_are_refused(self):
        self.hub.device("barn")
        mine = self.put("barn", "zones", ignore="1,1,1,1", base="0")
        base = str(mine["desired"]["version"])
        self.put("barn", "zones", ignore="1,1,1,1;2,2,2,2", base=base)
        late = self.person.ask("PUT", "/api/v1/devices/barn/zones", {"ignore": "1,1,1,1;3,3,3,3", "base": base})
        self.assertEqual((late.status, late.json()["type"]), (409, "urn:porchlight:problem:state"))
        self.assertEqual(self.settings_of("barn")["desired"]["ignore"], [[1, 1, 1, 1], [2, 2, 2, 2]])
        self.put("barn", "zones", ignore="")  # whatever is there
        for base in ("", "x", "-1", "1.0"):
            answer = self.person.ask("PUT", "/api/v1/devices/barn/zones", {"ignore": "", "base": base})
            self.assertEqual(answer.status, 400, base)

    def test_what_is_no_setting_is_refused(self):
        self.hub.device("shed")
        for what, body in (("privacy", {"on": "maybe"}), ("privacy", {}), ("zones", {"ignore": "1,2,3"}), ("zones", {"ignore": "0,0,10001,1"}),
                           ("zones", {"ignore": ";".join(["1,1,1,1"] * 17)}), ("zones", {"ignore": [1, 2, 3, 4]})):
            self.assertEqual(self.person.ask("PUT", f"/api/v1/devices/shed/{what}", body).status, 400, (what, body))
        self.assertEqual(self.person.ask("PUT", "/api/v1/devices/nobody/privacy", {"on": "yes"}).status, 404)
        self.assertEqual(self.person.ask("PUT", "/api/v1/devices/shed/privacy", {"on": "yes"}, origin=False).status, 403)
        self.assertEqual(self.hub.person().ask("PUT", "/api/v1/devices/shed/privacy", {"on": "yes"}).status, 401)
        self.assertIsNone(self.settings_of("shed")["desired"])


class Decoder(CameraCase):
    """The process that takes apart what strangers may have shaped."""

    def status(self, pid):
        return dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)

    def test_it_has_a_filter_and_nothing_but_the_source_and_its_channel(self):
        camera = self.camera(self.hub.device("walled"), None, "--loop")
        self.captures(camera, "running")
        decoder = camera.decoder()
        status = self.status(decoder)
        self.assertEqual((status["Seccomp"].strip(), status["NoNewPrivs"].strip()), ("2", "1"))
        if os.geteuid() != 0:
            self.skipTest("descriptors of a process that is not dumpable are root's to see")
        kinds = sorted(re.sub(r":.*", "", name) for name in open_files(decoder))
        self.assertEqual([kind for kind in kinds if kind != "/dev/null"], [str(self.film), "socket"])

    def test_one_that_is_killed_is_told_and_started_anew_with_pauses(self):
        camera = self.camera(self.hub.device("stricken"), None, "--loop")
        at = self.captures(camera, "running")
        for _ in range(2):
            decoder = camera.decoder()
            if os.geteuid() != 0:
                self.skipTest("a process that is not dumpable can be killed, but not found again, by others than root")
            os.kill(decoder, signal.SIGKILL)
            line = camera.err.wait_for(lambda text: "the decoder died of signal 9; opened anew in" in text, 60)
            self.assertIsNotNone(line, camera.err.text()[-1500:])
            at = self.captures(camera, "running", at)
            self.assertNotIn(camera.decoder(), (None, decoder))
        self.assertIsNone(camera.process.poll())

    def test_one_that_hangs_does_not_keep_the_camera_from_its_end(self):
        camera = self.camera(self.hub.device("stuck"), None, "--loop")
        self.captures(camera, "running")
        decoder = camera.decoder()
        os.kill(decoder, signal.SIGSTOP)
        camera.process.send_signal(signal.SIGTERM)
        camera.process.wait(60)
        self.assertFalse(pathlib.Path(f"/proc/{decoder}").exists())

    def test_a_camera_that_is_killed_leaves_no_process(self):
        camera = self.camera(self.hub.device("orphaned"), None, "--loop")
        self.captures(camera, "running")
        left = [*lab.children(camera.process.pid), camera.decoder()]
        self.assertEqual(len(left), 2)
        camera.process.kill()
        camera.process.wait()
        deadline = time.monotonic() + 30
        while any(pathlib.Path(f"/proc/{pid}").exists() for pid in left):
            self.assertLess(time.monotonic(), deadline)

    def test_a_film_that_is_none_is_told(self):
        film = self.hub.top / "broken.mp4"
        film.write_bytes(b"\0\0\0\x20ftypisom" + os.urandom(5000))
        camera = self.camera(self.hub.device("puzzled"), film)
        self.assertEqual(camera.process.wait(60), 1)
        self.assertIn("cannot be played", camera.err.text())


class RtspServer:
    def __init__(self, port="0"):
        self.process = subprocess.Popen(["/usr/bin/python3", str(HERE / "rtsp_server.py"), str(port)], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        self.out = lab.Lines(self.process.stdout)
        ready = self.out.wait_for(lambda text: text.startswith("ready"), 60)
        if ready is None:
            raise lab.LabError("the RTSP server did not start")
        self.port = int(ready.split("=")[1])

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Network(CameraCase):
    def test_an_rtsp_camera_is_seen_survives_its_servers_end_and_keeps_its_password(self):
        server = RtspServer()
        self.addCleanup(server.stop)
        folder = self.hub.device("gate")
        url = f"rtsp://viewer:open-sesame@127.0.0.1:{server.port}/live"
        camera = self.camera(folder, url)
        self.captures(camera, "running")
        self.assertIsNotNone(camera.out.wait_for(lambda text: '"hop":"clip-complete"' in text, 120), camera.err.text())
        self.assertNotIn(b"open-sesame", pathlib.Path(f"/proc/{camera.process.pid}/cmdline").read_bytes())
        at = len(camera.out.all)

        port = server.port
        server.stop()
        self.assertIsNotNone(camera.err.wait_for(lambda text: "opened anew in" in text, 60), camera.err.text())
        at = self.captures(camera, "waiting", at)
        self.assertIsNotNone(camera.err.wait_for(lambda text: "cannot be opened" in text and "opened anew in" in text, 60))
        server = RtspServer(port)
        self.addCleanup(server.stop)
        at = self.captures(camera, "running", at, 120)

        # privacy hangs up: the server has nobody to send pictures to
        seen = len(server.out.all)
        self.put("gate", "privacy", on="yes")
        self.captures(camera, "stopped", at)
        self.assertIsNotNone(server.out.wait_for(lambda text: text == "gone", 60, seen))
        self.assertFalse([target for target in open_files(camera.process.pid) if "memfd" in target])
        camera.stop()
        for text in (camera.err.text(), "\n".join(camera.out.all)):
            self.assertNotIn("open-sesame", text)
            self.assertNotIn("viewer:", text)

    def test_a_wrong_password_is_told_and_tried_again_without_showing_it(self):
        server = RtspServer()
        self.addCleanup(server.stop)
        folder = self.hub.device("cellar")
        secret = folder / "source"
        secret.write_text(f"rtsp://viewer:not-this-one@127.0.0.1:{server.port}/live\n")
        camera = subprocess.Popen([lab.program("porchlight-camera"), str(folder), "--source-from", str(secret), "--json"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        err = lab.Lines(camera.stderr)
        try:
            line = err.wait_for(lambda text: "cannot be opened" in text, 60)
            self.assertIsNotNone(line, err.text())
            self.assertIn(f"rtsp://127.0.0.1:{server.port}/live", line)
            self.assertIn("401", line)
            self.assertIsNotNone(err.wait_for(lambda text: "cannot be opened" in text, 60, len(err.all)), "it tries again")
        finally:
            camera.terminate()
            camera.wait(30)
        self.assertNotIn("not-this-one", err.text())
        self.assertEqual(camera.returncode, 0)


if __name__ == "__main__":
    unittest.main()
