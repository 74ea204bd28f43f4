"""What a person deletes is gone: from the API, from other pages, from the database, its log and the clips folder."""

import base64
import hashlib
import http.client
import json
import time
import unittest

import case
import lab
import mqtt

CANARY = b"\xff\xd8CANARY-in-a-thumbnail-" + b"0123456789abcdef" * 8 + b"\xff\xd9"


def motion(event, thumbnail=CANARY):
    return json.dumps({"v": 1, "id": event, "kind": "motion", "at_ms": 1764012345678, "score": 0.4, "box": [0.1, 0.2, 0.3, 0.4],
                       "clip": True, "thumbnail": base64.b64encode(thumbnail).decode()}, separators=(",", ":")).encode()


class Deleting(case.HubCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.person = cls.hub.person().become_owner()
        cls.folder = cls.hub.device("front-door")
        cls.tls = cls.hub.device_tls(cls.folder)

    def publish(self, event):
        with mqtt.Client(self.hub, self.tls) as client:
            self.assertEqual(client.connect("front-door").reason, 0)
            self.assertEqual(client.publish("d/front-door/event/motion", motion(event), qos=1).reason, 0)

    def begin(self, event):
        return lab.request(self.hub.ports["device"], self.tls, "POST", "/api/v1/device/clips",
                           headers={"Porchlight-Event": event, "Upload-Complete": "?0", "Content-Length": "0"})

    def upload(self, event, body):
        path = self.begin(event).headers["Location"]
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        done = lab.request(self.hub.ports["device"], self.tls, "PATCH", path, body,
                           {"Content-Type": "application/partial-upload", "Upload-Offset": "0", "Upload-Complete": "?1",
                            "Repr-Digest": f"sha-256=:{digest}:"})
        self.assertEqual(done.status, 204)
        return path.rsplit("/", 1)[1]

    def send_without_end(self, path):
        """A request that goes on with the clip; the hub has its first bytes."""
        sending = http.client.HTTPSConnection("localhost", self.hub.ports["device"], context=self.tls, timeout=60)
        sending.putrequest("PATCH", path)
        for name, value in (("Content-Type", "application/partial-upload"), ("Upload-Offset", "0"), ("Upload-Complete", "?0"), ("Transfer-Encoding", "chunked")):
            sending.putheader(name, value)
        sending.endheaders()
        sending.send(b"5\r\nhello\r\n")
        until = time.monotonic() + 60
        while lab.request(self.hub.ports["device"], self.tls, "HEAD", path).headers["Upload-Offset"] != "5":
            self.assertLess(time.monotonic(), until)
        return sending

    def event_of(self, clip):
        for event in self.person.must("GET", "/api/v1/events?limit=200")["events"]:
            if event["clip"] and event["clip"]["id"] == clip:
                return event
        return None

    def on_disk(self):
        """Files of the hub's directory that hold the canary, as it is or as the device's message carries it."""
        text = base64.b64encode(CANARY)[:-4]
        found = []
        for path in self.hub.dir.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                if CANARY in data or text in data:
                    found.append(path.name)
        return found

    def test_a_deleted_clip_is_gone_from_every_file_and_page(self):
        self.publish("gone-1")
        self.publish("gone-1")
        clip = self.upload("gone-1", b"no film, but bytes " * 5000)
        event = self.event_of(clip)
        thumbnail = self.person.ask("GET", event["thumbnail"])
        self.assertEqual((thumbnail.status, thumbnail.body), (200, CANARY))
        self.assertTrue(self.on_disk(), "the canary is there before")
        self.assertTrue(list(self.hub.file("clips").glob(f"{clip}*")))
        page = self.person.stream()
        self.addCleanup(page.close)

        self.hub.file("run", "backup.db").write_bytes(CANARY)  # what a backup that was killed has left
        answer = self.person.ask("DELETE", f"/api/v1/clips/{clip}")
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.json(), {"event": event["id"], "clip": clip, "scrubbed": True})

        self.assertEqual(self.on_disk(), [])
        self.assertEqual(list(self.hub.file("clips").glob(f"{clip}*")), [])
        news, _, _ = page.next("deleted", 30)
        self.assertEqual(news, {"event": event["id"], "clip": clip, "device": "front-door"})
        for path in (f"/api/v1/events/{event['id']}", event["thumbnail"], event["clip"]["url"]):
            self.assertEqual(self.person.ask("GET", path).status, 404, path)
        self.assertEqual(self.person.ask("DELETE", f"/api/v1/clips/{clip}").status, 404)
        self.logged("event.deleted", "name=robin", f"event={event['id']}")

        # the device that sends it again is told, and leaves nothing either
        again = self.begin("gone-1")
        self.assertEqual((again.status, again.json()["type"]), (410, "urn:porchlight:problem:deleted"))
        self.publish("gone-1")
        self.assertIsNone(self.event_of(clip))
        self.assertEqual(self.person.ask("GET", f"/api/v1/events/{event['id']}").status, 404)

    def test_only_the_own_pages_delete_and_nothing_that_is_recording(self):
        self.publish("kept-1")
        path = self.begin("kept-1").headers["Location"]
        event = self.event_of(path.rsplit("/", 1)[1])
        sending = self.send_without_end(path)
        self.addCleanup(sending.close)
        self.assertEqual(self.person.ask("DELETE", f"/api/v1/events/{event['id']}", origin=False).status, 403)
        stranger = self.hub.person()
        self.assertEqual(stranger.ask("DELETE", f"/api/v1/events/{event['id']}").status, 401)
        busy = self.person.ask("DELETE", f"/api/v1/events/{event['id']}")
        self.assertEqual((busy.status, busy.json()["type"]), (409, "urn:porchlight:problem:recording"))
        self.assertEqual(self.person.ask("GET", f"/api/v1/events/{event['id']}").status, 200)
        self.assertEqual(self.person.ask("DELETE", "/api/v1/events/0123456789abcdef0123456789abcdef").status, 404)

        # a camera that is unplugged in the middle never finishes: that keeps nobody from deleting
        sending.close()
        until = time.monotonic() + 60
        while (gone := self.person.ask("DELETE", f"/api/v1/events/{event['id']}")).status == 409:
            self.assertLess(time.monotonic(), until, "the hub does not notice that nobody sends any more")
        self.assertEqual(gone.status, 200, gone.body)
        self.assertEqual(list(self.hub.file("clips").glob(f"{path.rsplit('/', 1)[1]}*")), [])
        self.assertEqual(self.begin("kept-1").status, 410)

    def notified(self):
        return [row["event"] for row in self.hub.cli("notification", "list")["notifications"]]

    def notices_wait(self):
        """How many, once one waits for each notification and none for anything else: a clip that is still analysed adds to both."""
        until = time.monotonic() + 60
        while True:
            before, waiting, after = self.notified(), self.hub.cli("webhook", "list")["webhooks"][0]["waiting"], self.notified()
            if len(before) == waiting == len(after):
                return waiting
            self.assertLess(time.monotonic(), until, f"{waiting} wait, of {after}")

    def test_what_waits_for_a_webhook_goes_with_its_clip(self):
        # nobody listens there: the delivery waits
        self.hub.cli("webhook", "add", "https://receiver.invalid/hook")
        door = lab.Camera(self.folder, lab.videos() / "vtest.avi")
        self.addCleanup(door.stop)
        page = self.person.stream()
        self.addCleanup(page.close)
        data, _, _ = page.next("person", 120)
        self.assertIsNotNone(door.out.wait_for(lambda text: "clip-complete" in text and data["event"]["id"], 120))
        while True:  # this event's own clip
            event = self.person.must("GET", f"/api/v1/events/{data['event']['id']}")
            if event["clip"]["state"] == "complete":
                break
            page.next("clip", 60)
        door.stop()
        self.assertIn(event["id"], self.notified())
        self.assertGreaterEqual(self.notices_wait(), 1)
        picture = self.person.ask("GET", event["person"]["picture"]).body
        self.assertEqual(picture[:2], b"\xff\xd8")
        self.assertEqual(self.person.ask("DELETE", f"/api/v1/events/{event['id']}").status, 200)
        self.assertNotIn(event["id"], self.notified())
        self.notices_wait()
        # a piece from the picture's middle: its ends may look like any other JPEG's
        needle = picture[len(picture) // 2:][:64]
        self.assertFalse([path.name for path in self.hub.dir.rglob("*") if path.is_file() and needle in path.read_bytes()])


if __name__ == "__main__":
    unittest.main()
