"""Clips over the device listener: resumable, whole or refused with a reason, and nobody else's."""

import base64
import hashlib
import json
import os
import ssl
import unittest

import case
import lab
import mqtt


def digest(raw):
    return "sha-256=:" + base64.b64encode(hashlib.sha256(raw).digest()).decode() + ":"


class Uploads(case.HubCase):
    settings = {"media_clip_bytes": 400000, "media_household_bytes": 1000000}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.hub.cli("household", "add", "next-door")
        cls.front = cls.hub.device("front-door")
        cls.back = cls.hub.device("back-door")
        cls.foreign = cls.hub.device("gate", household="next-door")
        cls.person = cls.hub.person().become_owner()
        cls.numbers = iter(range(1000000))

    def ask(self, method, path, body=None, folder=None, **headers):
        names = {key.replace("_", "-"): value for key, value in headers.items()}
        return lab.request(self.hub.ports["device"], self.hub.device_tls(folder or self.front), method, path, body, names)

    def begin(self, folder=None):
        """A new clip's path; its event is published first, as a camera does."""
        name = f"event-{next(self.numbers)}"
        folder = folder or self.front
        device = folder.name.removeprefix("device-")
        event = {"v": 1, "id": name, "kind": "motion", "at_ms": 1790000000000, "score": 0.5, "box": [0.1, 0.2, 0.3, 0.4], "clip": True}
        with mqtt.Client(self.hub, self.hub.device_tls(folder)) as client:
            client.connect(device)
            self.assertEqual(client.publish(f"d/{device}/event/motion", json.dumps(event), 1).reason, 0)
        answer = self.ask("POST", "/api/v1/device/clips", b"", folder, Porchlight_Event=name, Upload_Complete="?0")
        self.assertEqual(answer.status, 201, answer.body)
        return answer.headers["Location"], name

    def patch(self, path, offset, body, folder=None, final=None, **more):
        headers = {"Upload_Offset": str(offset), "Content_Type": "application/partial-upload",
                   "Upload_Complete": "?1" if final is not None else "?0", **more}
        if final is not None:
            headers["Repr_Digest"] = final
        return self.ask("PATCH", path, body, folder, **headers)

    def offset(self, path, folder=None):
        answer = self.ask("HEAD", path, None, folder)
        self.assertIn(answer.status, (200, 204))
        return int(answer.headers["Upload-Offset"])

    def problem(self, answer, status):
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
        problem = answer.json()
        self.assertEqual(problem["status"], status)
        self.assertTrue(problem["type"].startswith("urn:porchlight:problem:"), problem)
        self.assertTrue(problem["detail"])
        return problem["type"].rsplit(":", 1)[1]

    def seen(self, name, device="front-door"):
        for event in self.person.must("GET", "/api/v1/events?limit=200")["events"]:
            if event["id"] == hashlib.sha256(f"{device}\0{name}".encode()).hexdigest()[:32]:
                return event
        return None

    def test_a_clip_sent_in_pieces_arrives_whole_and_reads_back_in_ranges(self):
        raw = os.urandom(200001)
        path, name = self.begin()
        at = 0
        for size in (1, 65535, 65536, 3, 60000):
            answer = self.patch(path, at, raw[at:at + size])
            self.assertEqual(answer.status, 204, answer.body)
            at = int(answer.headers["Upload-Offset"])
            self.assertEqual(self.offset(path), at)
        self.assertEqual(self.patch(path, at, raw[at:], final=digest(raw)).status, 204)
        clip = self.seen(name)["clip"]
        self.assertEqual((clip["state"], clip["bytes"], clip["sha256"]), ("complete", len(raw), hashlib.sha256(raw).hexdigest()))
        whole = self.person.ask("GET", clip["url"])
        self.assertEqual((whole.status, whole.body), (200, raw))
        for first, last in ((0, 0), (65535, 65536), (100000, 200000), (131071, 131072)):
            part = self.person.ask("GET", clip["url"], headers={"Range": f"bytes={first}-{last}"})
            self.assertEqual(part.status, 206)
            self.assertEqual(part.headers["Content-Range"], f"bytes {first}-{last}/{len(raw)}")
            self.assertEqual(part.body, raw[first:last + 1])
        tail = self.person.ask("GET", clip["url"], headers={"Range": "bytes=-5"})
        self.assertEqual(tail.body, raw[-5:])
        self.assertEqual(self.person.ask("GET", clip["url"], headers={"Range": "bytes=999999-"}).status, 416)
        # at rest it is not readable
        stored = b"".join(path.read_bytes() for path in self.hub.file("clips").rglob("*") if path.is_file())
        self.assertNotIn(raw[:64], stored)
        self.assertNotIn(raw[-64:], stored)

    def test_beginning_twice_gives_the_same_clip(self):
        path, name = self.begin()
        again = self.ask("POST", "/api/v1/device/clips", b"", Porchlight_Event=name, Upload_Complete="?0")
        self.assertIn(again.status, (200, 201))
        self.assertEqual(again.headers["Location"], path)

    def test_a_wrong_offset_is_refused_and_told_the_right_one(self):
        path, _ = self.begin()
        self.assertEqual(self.patch(path, 0, b"x" * 1000).status, 204)
        for wrong in (0, 999, 1001):
            answer = self.patch(path, wrong, b"y")
            self.problem(answer, 409)
            self.assertEqual(answer.headers["Upload-Offset"], "1000")
        self.logged("clip", "offset")

    def test_a_wrong_hash_is_refused_and_the_clip_can_be_sent_again(self):
        raw = os.urandom(5000)
        path, _ = self.begin()
        self.problem(self.patch(path, 0, raw, final=digest(b"something else")), 422)
        self.logged("clip", "hash")
        self.assertEqual(self.offset(path), 0)
        self.assertEqual(self.patch(path, 0, raw, final=digest(raw)).status, 204)

    def test_a_clip_past_its_limit_is_refused(self):
        path, _ = self.begin()
        answer = self.patch(path, 0, os.urandom(400001))
        self.problem(answer, 413)
        self.logged("clip", "front-door")

    def test_an_upload_past_the_households_quota_is_refused(self):
        raw = os.urandom(390000)
        answers = []
        for _ in range(3):
            name = f"event-{next(self.numbers)}"
            begun = self.ask("POST", "/api/v1/device/clips", b"", self.foreign, Porchlight_Event=name, Upload_Complete="?0")
            if begun.status == 201:
                begun = self.patch(begun.headers["Location"], 0, raw, self.foreign, final=digest(raw))
            answers.append(begun)
        self.assertEqual([answer.status for answer in answers[:2]], [204, 204])
        self.problem(answers[2], 507)
        self.logged("quota", "next-door")

    def test_another_devices_clip_is_refused(self):
        path, _ = self.begin()
        self.problem(self.patch(path, 0, b"x", self.back), 403)
        self.assertEqual(self.ask("HEAD", path, None, self.back).status, 403)
        self.logged("clip", "back-door")

    def test_a_clip_of_another_household_is_refused_to_people(self):
        raw = os.urandom(100)
        path, name = self.begin(self.foreign)
        self.assertEqual(self.patch(path, 0, raw, self.foreign, final=digest(raw)).status, 204)
        self.assertIsNone(self.seen(name, "gate"))
        clip_id = path.rsplit("/", 1)[1]
        self.problem(self.person.ask("GET", f"/api/v1/clips/{clip_id}"), 403)
        self.logged("household")
        uid = hashlib.sha256(f"gate\0{name}".encode()).hexdigest()[:32]
        self.assertIn(self.person.ask("GET", f"/api/v1/events/{uid}").status, (403, 404))
        self.assertNotIn("gate", [device["id"] for device in self.person.must("GET", "/api/v1/devices")["devices"]])

    def test_without_a_certificate_nothing_is_uploaded(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.front / "ca.pem")
        answer = lab.request(self.hub.ports["device"], context, "POST", "/api/v1/device/clips", b"",
                             {"Porchlight-Event": "x", "Upload-Complete": "?0"})
        self.problem(answer, 403)

    def test_a_service_uploads_nothing(self):
        service = self.hub.service("uploader", allow=["publish,subscribe:#"])
        answer = self.ask("POST", "/api/v1/device/clips", b"", service, Porchlight_Event="x", Upload_Complete="?0")
        self.problem(answer, 403)

    def test_wrong_headers_are_named(self):
        path, _ = self.begin()
        for headers in ({"Upload_Offset": "-1"}, {"Upload_Offset": "01"}, {"Upload_Offset": "99999999999999999999"},
                        {"Upload_Complete": "yes"}):
            answer = self.ask("PATCH", path, b"x", **{"Upload_Offset": "0", "Content_Type": "application/partial-upload",
                                                       "Upload_Complete": "?0", **headers})
            self.problem(answer, 400)
        self.problem(self.patch(path, 0, b"x", final="sha-256=:AAAA:"), 400)
        self.problem(self.ask("POST", "/api/v1/device/clips", b"", Porchlight_Event="../x", Upload_Complete="?0"), 400)
        self.problem(self.ask("POST", "/api/v1/device/clips", b""), 400)


if __name__ == "__main__":
    unittest.main()
