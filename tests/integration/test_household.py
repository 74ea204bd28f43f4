"""A household's data in its own hands: how long it is kept, all of it in one file, and its end without a trace."""

import base64
import contextlib
import hashlib
import http.client
import io
import json
import os
import shutil
import signal
import subprocess
import unittest
import zipfile

import case
import lab
import mqtt
import test_metrics

PICTURE = b"\xff\xd8\xff\xe0 a picture of canary-thumbnail-5d3a \xff\xd9"
SECRETS = [b"canary-camera-7f31", b"canary-thumbnail-5d3a", b"canary-clip-91be", b"canary.owner@house.example", b"Canary House",
           b"canary-house", b"canary-telemetry-22c0", b"203.0.113.77", b"canary-removed-8c1d", b"canary-note-40f2"]


def digest(raw):
    return "sha-256=:" + base64.b64encode(hashlib.sha256(raw).digest()).decode() + ":"


def send_event(client, device, name, at_ms, thumbnail=PICTURE, clip=True, retain=False):
    event = {"v": 1, "id": name, "kind": "motion", "at_ms": at_ms, "score": 0.5, "box": [0.1, 0.2, 0.3, 0.4], "clip": clip}
    if thumbnail:
        event["thumbnail"] = base64.b64encode(thumbnail).decode()
    client.publish(f"d/{device}/event/motion", json.dumps(event), 1, retain=retain)


def send_clip(hub, folder, name, raw):
    tls, port = hub.device_tls(folder), hub.ports["device"]
    begun = lab.request(port, tls, "POST", "/api/v1/device/clips", b"", {"Porchlight-Event": name, "Upload-Complete": "?0"})
    done = lab.request(port, tls, "PATCH", begun.headers["Location"], raw,
                       {"Upload-Offset": "0", "Upload-Complete": "?1", "Repr-Digest": digest(raw), "Content-Type": "application/partial-upload"})
    if done.status != 204:
        raise lab.LabError(f"the clip was answered {done.status}")


def seed(hub, folder, device, clips, thumbnail=PICTURE):
    """Events of one day each, the first the oldest, with a picture and a clip."""
    with mqtt.Client(hub, hub.device_tls(folder)) as client:
        client.connect(device)
        for number, raw in enumerate(clips):
            send_event(client, device, f"e{number}", 1790000000000 + number * 86400000, thumbnail)
    for number, raw in enumerate(clips):
        send_clip(hub, folder, f"e{number}", raw)


def fits(value, schema, root, path="$"):
    """The part of JSON Schema that schema.json uses; a list of what does not fit."""
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].split("/")[-1]], root, path)
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None)}
    wanted = schema.get("type")
    if wanted and not any(isinstance(value, kinds[kind]) for kind in (wanted if isinstance(wanted, list) else [wanted])):
        return [f"{path} is {type(value).__name__}"]
    wrong = [] if "const" not in schema or value == schema["const"] else [f"{path} is {value!r}"]
    if isinstance(value, dict):
        wrong += [f"{path} lacks {name}" for name in schema.get("required", []) if name not in value]
        for name, part in schema.get("properties", {}).items():
            if name in value:
                wrong += fits(value[name], part, root, f"{path}.{name}")
    if isinstance(value, list) and "items" in schema:
        for index, each in enumerate(value):
            wrong += fits(each, schema["items"], root, f"{path}[{index}]")
    return wrong


class Kept(case.HubCase):
    settings = {"media_clip_bytes": 65536, "media_household_bytes": 400000}

    def test_a_limit_is_previewed_kept_and_takes_everything_of_the_oldest(self):
        owner = self.hub.person().become_owner()
        folder = self.hub.device("front-door")
        clips = [os.urandom(60000) for _ in range(5)]
        seed(self.hub, folder, "front-door", clips)
        with mqtt.Client(self.hub, self.hub.device_tls(folder)) as client:
            client.connect("front-door")
            send_event(client, "front-door", "e0", 1790000000000, retain=True)
        self.await_retained(1)
        home = owner.must("GET", "/api/v1/household")
        self.assertEqual((home["now"]["clips"], home["now"]["events"], home["now"]["bytes"]), (5, 5, 300000))
        self.assertEqual(home["keep"], {"days": 0, "bytes": 0})
        wish = {"days": "0", "bytes": "200000"}
        preview = owner.must("POST", "/api/v1/household/keep/preview", wish)
        self.assertEqual((preview["clips"], preview["events"], preview["bytes"]), (2, 2, 120000))
        self.assertEqual(owner.must("GET", "/api/v1/household")["now"]["clips"], 5, "a preview deletes nothing")
        uids = [event["id"] for event in owner.must("GET", "/api/v1/events")["events"]]
        self.assertEqual(owner.must("PUT", "/api/v1/household/keep", wish), {"days": 0, "bytes": 200000})
        self.await_clips(owner, 3)
        self.await_retained(0)
        left = [event["id"] for event in owner.must("GET", "/api/v1/events")["events"]]
        self.assertEqual(left, uids[:3], "the oldest two have left")
        for gone in uids[3:]:
            for path in (f"/api/v1/events/{gone}", f"/api/v1/events/{gone}/thumbnail"):
                self.assertEqual(owner.ask("GET", path).status, 404)
        # from now on a new clip makes its own room
        with mqtt.Client(self.hub, self.hub.device_tls(folder)) as client:
            client.connect("front-door")
            send_event(client, "front-door", "late", 1790900000000)
        send_clip(self.hub, folder, "late", os.urandom(60000))
        home = owner.must("GET", "/api/v1/household")
        self.assertLessEqual(home["now"]["bytes"], 200000)
        self.assertEqual(len(list(self.hub.file("clips").glob("*.clip"))), home["now"]["clips"])
        for wrong in ({"days": "x", "bytes": "0"}, {"days": "-1", "bytes": "0"}, {"days": "0"}, {"days": "1", "bytes": "1", "more": "1"}):
            self.assertEqual(owner.ask("PUT", "/api/v1/household/keep", wrong).status, 400, wrong)
        for wrong in ({"days": "0", "bytes": "1000"}, {"days": "0", "bytes": "500000"}, {"days": "31", "bytes": "0"}):
            self.assertEqual(owner.ask("PUT", "/api/v1/household/keep", wrong).status, 422, wrong)
        self.assertEqual(self.hub.person().ask("GET", "/api/v1/household").status, 401)

    def await_retained(self, count):
        reader = self.hub.device_tls(self.hub.service(f"reader-{count}", allow=["read:metrics"]))
        self.await_count(count, "retained messages", lambda: test_metrics.parse(
            lab.request(self.hub.ports["device"], reader, "GET", "/metrics").body.decode())["porchlight_mqtt_retained_messages"])

    def await_clips(self, owner, count):
        self.await_count(count, "clips", lambda: owner.must("GET", "/api/v1/household")["now"]["clips"])

    def await_count(self, count, what, ask):
        """The keeper works beside us: asked again until it is through."""
        for _ in range(600):
            if ask() == count:
                return
            self.hub.log.wait_for(lambda text: False, 0.05)
        self.fail(f"the keeper never came to {count} {what}")


class Exported(case.HubCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.owner = cls.hub.person().become_owner()
        cls.folder = cls.hub.device("front-door")
        cls.hub.cli("household", "add", "next-door")
        cls.theirs = cls.hub.device("gate", household="next-door")
        cls.stream = cls.owner.stream()
        camera = lab.Camera(cls.folder, lab.videos() / "vtest.avi")
        cls.person_seen = cls.stream.next("person", 120)
        while cls.stream.next("clip", 60)[0].get("state") != "complete":
            pass
        camera.stop()
        cls.hub.log.wait_for(lambda text: "analysis.done" in text, 60)
        seed(cls.hub, cls.theirs, "gate", [b"not ours" * 1000])

    def order(self):
        return self.owner.must("POST", "/api/v1/household/export", {})["url"]

    def test_everything_is_in_it_and_can_be_read_by_others(self):
        answer = self.owner.ask("GET", self.order())
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"], "application/zip")
        self.assertIn("attachment; filename=\"porchlight-home-", answer.headers["Content-Disposition"])
        path = self.hub.top / "export.zip"
        path.write_bytes(answer.body)
        self.assertIn("No errors", subprocess.run(["unzip", "-t", path], capture_output=True, text=True, check=True).stdout)
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            names = archive.namelist()
            files = {name: json.loads(archive.read(name)) for name in names if name.endswith(".json")}
            schema = files.pop("schema.json")
            for name, value in files.items():
                self.assertEqual(fits(value, schema["$defs"][name], schema), [], name)
            self.assertIn(b"README", b"README" + archive.read("README.txt"))
            events = files["events.json"]
            listed = self.owner.must("GET", "/api/v1/events?limit=200")["events"]
            self.assertEqual({event["id"] for event in events}, {event["id"] for event in listed})
            for event in events:
                for kind, name in event["files"].items():
                    if name is None:
                        continue
                    raw = archive.read(name)
                    if kind == "clip":
                        self.assertEqual(hashlib.sha256(raw).hexdigest(), event["clip"]["sha256"])
                        film = self.hub.top / "film.mp4"
                        film.write_bytes(raw)
                        found = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", film],
                                               capture_output=True, text=True, check=True)
                        self.assertEqual(found.stdout.strip().splitlines()[0], "h264")
                    else:
                        self.assertEqual(raw[:2], b"\xff\xd8", name)
            clips = [name for name in names if name.startswith("clips/")]
            self.assertEqual(len(clips), sum(1 for event in listed if event["clip"] and event["clip"]["state"] == "complete"))
            self.assertTrue(clips)
            self.assertTrue(any(name.endswith("-person.jpg") for name in names))
            self.assertEqual(files["summary.json"]["left_out"], 0)
            self.assertEqual([device["id"] for device in files["devices.json"]], ["front-door"])
            self.assertEqual(files["members.json"][0]["name"], "robin")
            self.assertTrue(files["notifications.json"])
        self.assertNotIn(b"gate", answer.body)
        for secret in (self.owner.secret.encode(), b"argon2", self.owner.cookie.split("=")[1].encode()):
            self.assertNotIn(secret, answer.body)

    def test_a_ticket_works_once_and_for_its_own_sign_in(self):
        url = self.order()
        other = self.hub.person()
        self.assertEqual(other.ask("GET", url).status, 401)
        self.assertEqual(self.owner.ask("GET", url[:-1] + ("0" if url[-1] != "0" else "1")).status, 404)
        self.assertEqual(self.owner.ask("GET", url).status, 200)
        self.assertEqual(self.owner.ask("GET", url).status, 404)
        self.assertEqual(self.owner.must("GET", "/api/v1/household/export")["stage"], "whole")

    def test_without_a_fresh_second_factor_nothing_leaves(self):
        hub = lab.Hub()
        self.addCleanup(hub.remove)
        hub.init()
        hub.set(people_step_up_s=1)
        hub.start()
        owner = hub.person().become_owner()
        hub.log.wait_for(lambda text: False, 2)  # the code of the setup is older than a second then
        for path, body in (("/api/v1/household/export", {}), ("/api/v1/household/erase", {"confirm": "Home"})):
            answer = owner.ask("POST", path, body)
            self.assertEqual(answer.status, 403)
            self.assertIn("step-up", answer.json()["type"])

    def test_no_export_outlives_the_release_of_a_device(self):
        """Whoever releases it: one that waits to be fetched is gone, and so is one that was under way."""
        hub = lab.Hub()
        self.addCleanup(hub.remove)
        hub.init()
        hub.start()
        owner = hub.person().become_owner()
        for name in ("front-door", "garden"):
            seed(hub, hub.device(name), name, [os.urandom(20000)])
        waiting = owner.must("POST", "/api/v1/household/export", {})["url"]
        hub.cli("device", "release", "front-door", input="front-door\n")
        self.assertEqual(owner.ask("GET", waiting).status, 404, "the operator's way")
        waiting = owner.must("POST", "/api/v1/household/export", {})["url"]
        owner.must("POST", "/api/v1/devices/garden/release", {"confirm": "garden"})
        self.assertEqual(owner.ask("GET", waiting).status, 404, "the owner's way")
        whole = owner.ask("GET", owner.must("POST", "/api/v1/household/export", {})["url"])
        self.assertNotIn(b"front-door", whole.body)

    def test_one_at_a_time(self):
        """A download that is not read on keeps the next one out, and breaks off without harm."""
        hub = lab.Hub()
        self.addCleanup(hub.remove)
        hub.init()
        hub.start()
        owner = hub.person().become_owner()
        seed(hub, hub.device("front-door"), "front-door", [os.urandom(24_000_000)])
        slow = http.client.HTTPSConnection("localhost", hub.ports["https"], context=hub.people_tls(), timeout=60)
        self.addCleanup(slow.close)
        slow.request("GET", owner.must("POST", "/api/v1/household/export", {})["url"], headers={"Cookie": owner.cookie})
        response = slow.getresponse()
        self.assertEqual(response.status, 200)
        response.read(10)  # and no more: what is on its way fills the buffers, and the hub waits
        stage = lambda: owner.must("GET", "/api/v1/household/export")["stage"]
        self.assertEqual(stage(), "running")
        self.assertEqual(owner.ask("POST", "/api/v1/household/export", {}).status, 409)
        response.close()
        for _ in range(600):
            if stage() != "running":
                break
            hub.log.wait_for(lambda text: False, 0.05)
        self.assertEqual(stage(), "broken", "not all of it was sent")
        url = owner.must("POST", "/api/v1/household/export", {})["url"]
        self.assertEqual(stage(), "ordered")
        whole = owner.ask("GET", url)
        self.assertEqual(stage(), "whole")
        self.assertEqual(zipfile.ZipFile(io.BytesIO(whole.body)).testzip(), None)
        # A sign-in that is ended takes its download with it.
        taken = http.client.HTTPSConnection("localhost", hub.ports["https"], context=hub.people_tls(), timeout=60)
        self.addCleanup(taken.close)
        taken.request("GET", owner.must("POST", "/api/v1/household/export", {})["url"], headers={"Cookie": owner.cookie})
        response = taken.getresponse()
        self.assertEqual(response.status, 200)
        response.read(10)
        self.assertEqual(owner.ask("POST", "/api/v1/logout", {}).status, 204)
        self.assertLess(len(response.read()), 24_000_000)  # its end is the connection's
        self.assertIsNotNone(hub.log.wait_for(lambda line: "export.broken_off" in line and "sign-in has ended" in line, 30))


class Erased(case.HubCase):
    def traces(self, hub, more=()):
        """Every canary that some file of the hub holds."""
        found = []
        secrets = SECRETS + list(more)
        for path in sorted(hub.dir.rglob("*")):
            if not path.is_file() or "OFFLINE" in path.parts:
                continue
            raw = path.read_bytes()
            for secret in secrets + [base64.b64encode(secret[:len(secret) // 3 * 3]) for secret in secrets]:
                if secret in raw:
                    found.append((str(path.relative_to(hub.dir)), secret))
        return found

    def all_rows(self, hub, table):
        return subprocess.run(["sqlite3", f"file:{hub.dir}/hub.db?mode=ro", f"select * from {table}"], capture_output=True, text=True,
                              errors="replace", check=True).stdout

    def settled(self):
        hub = lab.Hub()
        self.addCleanup(hub.remove)
        hub.init()
        hub.start()
        hub.cli("household", "add", "Canary House")
        hub.canary = hub.device("canary-camera-7f31", household="canary-house")
        hub.other = hub.device("other-camera")
        hub.cli("device", "revoke", "canary-camera-7f31")
        hub.cli("device", "remove", "canary-camera-7f31")
        shutil.rmtree(hub.canary)
        hub.canary = hub.device("canary-camera-7f31", household="canary-house")
        # one that never made an event, and was removed: the registry knows it no more
        removed = hub.device("canary-removed-8c1d", household="canary-house")
        with mqtt.Client(hub, hub.device_tls(removed)) as client:
            client.connect("canary-removed-8c1d")
            client.publish("d/canary-removed-8c1d/telemetry/room", "canary-telemetry-22c0", 1, retain=True)
        hub.cli("device", "remove", "canary-removed-8c1d")
        shutil.rmtree(removed)
        forge = case.Forge(hub.top / "factory")
        hub.cli("factory-ca", "add", "works", "--file", forge.ca_certificate, "--product", "camera", "--household", "canary-house")
        seed(hub, hub.canary, "canary-camera-7f31", [b"canary-clip-91be" * 9000, os.urandom(200000)])
        seed(hub, hub.other, "other-camera", [os.urandom(50000)], b"\xff\xd8 another picture \xff\xd9")
        with mqtt.Client(hub, hub.device_tls(hub.canary)) as client:
            client.connect("canary-camera-7f31")
            client.publish("d/canary-camera-7f31/telemetry/room", "canary-telemetry-22c0", 1)
        return hub

    def roll_out(self, hub):
        """A release goes to the household first, its camera fails, and the rollout is aborted; the next one is under way."""
        secret, image = hub.top / "passphrase", hub.top / "image"
        secret.write_text("correct horse battery\n")
        secret.chmod(0o600)
        image.write_bytes(b"an image")
        hub.cli("ota", "keys", "--out", hub.top / "keys.json")
        for words in (["init", hub.top / "repo", "--product", "camera", "--online-keys", hub.top / "keys.json"],
                      ["release", hub.top / "repo", "--product", "camera", "--version", "2", "--image", image, "--hardware", "a"]):
            hub.cli("ota", *words, "--passphrase-file", secret)
        hub.cli("ota", "publish", hub.top / "repo")
        start = ["ota", "rollout", "start", "--product", "camera", "--version", "2", "--stages"]
        identifier = hub.cli(*start, "household=canary-house,household=home,100")["id"]
        with mqtt.Client(hub, hub.device_tls(hub.canary)) as client:
            client.connect("canary-camera-7f31")
            client.publish("d/canary-camera-7f31/update/status", json.dumps(
                {"v": 1, "running": "1", "state": "rolled-back", "rollout": identifier, "attempt": 1, "reason": "canary-telemetry-22c0"}), 1)
        hub.cli("ota", "rollout", "abort", identifier, "--reason", "enough")
        hub.cli(*start, "household=home,household=canary-house,100")

    def test_the_operator_erases_a_household_without_a_trace(self):
        hub = self.settled()
        self.roll_out(hub)
        rows = subprocess.run(["sqlite3", f"file:{hub.dir}/hub.db?mode=ro", "select stages, filled from update_rollout"],
                              capture_output=True, text=True, check=True).stdout
        self.assertIn("household=canary-house,", rows)
        self.assertIn("canary-camera-7f31", self.all_rows(hub, "update_turn") + self.all_rows(hub, "update_history"))
        self.assertTrue(self.traces(hub), "the canaries are there to be found")
        self.assertIn("canary-house", self.all_rows(hub, "factory_ca"))
        self.assertIn("canary-removed-8c1d", self.all_rows(hub, "message"))
        before = hub.cli("status")["store"]["messages"]
        self.assertGreater(before, 0)
        for answer in ("no\n", "canary-hous\n", ""):
            code, _, error = hub.cli("household", "erase", "canary-house", check=False, input=answer)
            self.assertEqual(code, 1)
            self.assertIn("nothing was erased", error)
        self.assertEqual(len(hub.cli("household", "list")["households"]), 2)
        self.assertEqual(hub.cli("household", "erase", "canary-house", input="canary-house\n")["id"], "canary-house")
        self.assertEqual([row["stages"] for row in hub.cli("ota", "rollout", "status")["rollouts"]],
                         ["household=home,household=-,100", "household=-,household=home,100"])
        self.assertEqual(self.traces(hub), [])
        self.gone(hub)
        hub.stop()
        self.assertEqual(self.traces(hub), [], "nor after the hub has ended")
        hub.start()
        self.gone(hub)
        code, _, error = hub.cli("household", "erase", "canary-house", check=False, input="canary-house\n")
        self.assertEqual(code, 1)
        self.assertIn("no household", error)

    def gone(self, hub):
        self.assertEqual([row["id"] for row in hub.cli("household", "list")["households"]], ["home"])
        self.assertEqual([row["id"] for row in hub.cli("device", "list")["devices"]], ["other-camera"])
        with mqtt.Client(hub, hub.device_tls(hub.canary)) as client:
            self.assertNotEqual(client.connect("canary-camera-7f31").reason, 0, "its key is dead")
        with mqtt.Client(hub, hub.device_tls(hub.other)) as client:
            self.assertEqual(client.connect("other-camera").reason, 0, "others go on")
        self.assertEqual(len(list(hub.file("clips").glob("*.clip"))), 1)
        check = subprocess.run([lab.program("porchlight"), "-C", hub.dir, "--help"], capture_output=True, text=True)
        self.assertIn("household erase", check.stdout)

    def test_an_upload_under_way_ends_with_the_household(self):
        hub = self.settled()
        with mqtt.Client(hub, hub.device_tls(hub.canary)) as client:
            client.connect("canary-camera-7f31")
            send_event(client, "canary-camera-7f31", "open", 1790000000000)
        tls, port = hub.device_tls(hub.canary), hub.ports["device"]
        begun = lab.request(port, tls, "POST", "/api/v1/device/clips", b"", {"Porchlight-Event": "open", "Upload-Complete": "?0"})
        part = lab.request(port, tls, "PATCH", begun.headers["Location"], b"canary-clip-91be" * 5000,
                           {"Upload-Offset": "0", "Upload-Complete": "?0", "Content-Type": "application/partial-upload"})
        self.assertEqual(part.status, 204)
        hub.cli("household", "erase", "canary-house", input="canary-house\n")
        self.assertEqual(self.traces(hub), [])
        self.assertEqual(sorted(path.suffix for path in hub.file("clips").iterdir()), [".clip"])

    def test_the_owner_erases_the_own_household(self):
        hub = lab.Hub()
        self.addCleanup(hub.remove)
        hub.init()
        hub.start()
        owner = hub.person().become_owner("canary.owner@house.example")
        folder = hub.device("canary-camera-7f31")
        seed(hub, folder, "canary-camera-7f31", [b"canary-clip-91be" * 9000])
        # what is counted for a person, and who changed the policy and why
        self.assertEqual(owner.ask("POST", "/api/v1/step-up", {"code": "000000"}).status, 403)
        self.assertEqual(hub.person().ask("POST", "/api/v1/login", {"name": owner.name, "password": "x", "code": "000000"}).status, 401)
        policy = owner.must("GET", "/api/v1/policy")
        owner.must("PUT", "/api/v1/policy", {"text": policy["text"] + "\ngroup more\n", "base": str(policy["version"]), "note": "canary-note-40f2"})
        identifier = self.all_rows(hub, "account").split("|")[0]
        counted = [hashlib.sha256(b"n" + owner.name.encode()).digest(), hashlib.sha256(b"s" + identifier.encode()).digest()]
        self.assertTrue({b"canary-note-40f2", *counted} <= {secret for _, secret in self.traces(hub, counted)})
        home = owner.must("GET", "/api/v1/household")["name"]
        wrong = owner.ask("POST", "/api/v1/household/erase", {"confirm": home + "x"})
        self.assertEqual(wrong.status, 422)
        done = owner.ask("POST", "/api/v1/household/erase", {"confirm": home})
        self.assertEqual(done.status, 204)
        self.assertIn("storage", done.headers["Clear-Site-Data"])
        self.assertEqual(owner.ask("GET", "/api/v1/me").status, 401)
        self.assertEqual(self.traces(hub, counted), [])
        # the hub is as new: the next owner may come
        self.assertEqual(hub.cli("device", "list")["devices"], [])
        self.assertEqual(hub.cli("user", "list")["users"], [])
        hub.person().become_owner("kim")

    def crash(self, hub):
        """All processes at once, as without power. A signer that stands still ends, too."""
        for pid in [hub.process.pid, *hub.children().values()]:  # the supervisor first: it would start them again
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        hub.process.wait()

    def change(self, hub, *statements):
        subprocess.run(["sqlite3", hub.dir / "hub.db"], input="pragma foreign_keys = on;" + ";".join(statements) + ";", text=True, check=True)

    def finished(self, hub, count=1):
        done = hub.log.wait_for(lambda text: "household.erased" in text and sum("household.erased" in one for one in hub.log.all) >= count, 60)
        self.assertIsNotNone(done, "the hub finishes what broke off")

    def test_an_owners_erasure_that_breaks_off_is_finished_without_the_owner(self):
        hub = lab.Hub()
        self.addCleanup(hub.remove)
        hub.init()
        hub.start()
        owner = hub.person().become_owner("canary.owner@house.example")
        seed(hub, hub.device("canary-camera-7f31"), "canary-camera-7f31", [b"canary-clip-91be" * 9000])
        os.kill(hub.children()["signer"], signal.SIGSTOP)  # its journal cannot be emptied
        answer = owner.ask("POST", "/api/v1/household/erase", {"confirm": owner.must("GET", "/api/v1/household")["name"]})
        self.assertGreaterEqual(answer.status, 500)
        self.assertEqual(owner.ask("GET", "/api/v1/me").status, 401, "nobody is left to repeat it")
        self.crash(hub)
        self.assertTrue(self.traces(hub))
        hub.start()
        self.finished(hub)
        hub.stop()  # the log is cut by now, or with it
        self.assertEqual(self.traces(hub), [])
        self.assertEqual(self.all_rows(hub, "erasure"), "")
        hub.start()
        hub.person().become_owner("kim")

    def test_what_broke_off_at_its_beginning_or_as_a_release_is_finished_at_the_next_start(self):
        hub = self.settled()
        hub.cli("household", "add", "Released goods")
        hub.cli("device", "release", "other-camera", input="other-camera\n")
        hub.other = hub.device("given-away")
        seed(hub, hub.other, "given-away", [os.urandom(50000)])
        hub.stop()
        gone = "released-0123456789abcdef"
        self.change(hub, "insert into erasure values ('canary-house', 'device', 'canary-camera-7f31')",
                    "insert into erasure values ('gone-before', 'device', 'x')",
                    f"insert into household (id, name, timezone, added_ms) values ('{gone}', 'A released device', 'UTC', 0)",
                    *(f"update {table} set household = '{gone}' where household = 'home'" for table in ("device", "event", "clip")))
        hub.start()
        self.finished(hub, 2)
        self.assertEqual([row["id"] for row in hub.cli("household", "list")["households"]], ["home", "released-goods"])
        self.assertEqual(hub.cli("device", "list")["devices"], [])
        hub.stop()
        self.assertEqual(self.traces(hub), [])
        self.assertEqual(self.all_rows(hub, "erasure"), "")
        self.assertEqual(list(hub.file("clips").glob("*.clip")), [])

    def test_the_log_of_trust_says_that_it_happened_and_still_verifies(self):
        hub = self.settled()
        hub.cli("household", "erase", "canary-house", input="canary-house\n")
        rows = subprocess.run(["sqlite3", "-json", f"file:{hub.dir}/hub.db?mode=ro",
                               "select kind, who, subject, detail from trust order by seq"], capture_output=True, text=True, check=True)
        rows = json.loads(rows.stdout)
        self.assertEqual((rows[-1]["kind"], rows[-1]["who"], rows[-1]["subject"]), ("household.erase", "operator", "household"))
        emptied = [row for row in rows if row["kind"] == "emptied"]
        self.assertGreaterEqual(len(emptied), 6)
        self.assertTrue(all(row["who"] + row["subject"] == "" for row in emptied))
        self.assertTrue(any("other-camera" in row["subject"] for row in rows))
        hub.cli("trust-log", "verify")


if __name__ == "__main__":
    unittest.main()
