"""People under the policy: what the members of a household hear over MQTT (WebSocket, by their sign-in) and in live streams, what
they read over HTTP, what `can` says about it, and that nobody of another household gets anything by any way."""

import io
import json
import pathlib
import struct
import subprocess
import time
import unittest
import zipfile

import case
import lab
import mqtt
from mqtt import Closed
from test_household import send_clip, send_event
from test_websocket import Frames

REFUSED = 0x87


class App:
    """A page's MQTT session over its WebSocket."""

    def __init__(self, person, client_id="", will=None, cookie=True):
        port = person.hub.ports["https"]
        headers = [f"Origin: https://localhost:{port}"] + ([f"Cookie: {person.cookie}"] if cookie else [])
        self.frames = Frames(person.hub, person.hub.people_tls(), "/api/v1/mqtt", "https", headers)
        self.input, self.connack, self.id = b"", None, 0
        if self.frames.status == 101:
            self.frames.send(mqtt.connect(client_id, will=will))
            self.connack = self.packet().reason

    def packet(self):
        while True:
            if len(self.input) > 1:
                length, used = mqtt.read_varint(self.input[1:]) if any(b < 128 for b in self.input[1:5]) else (1 << 30, 0)
                if len(self.input) >= 1 + used + length:
                    first, body = self.input[0], self.input[1 + used:1 + used + length]
                    self.input = self.input[1 + used + length:]
                    return mqtt.Packet(first >> 4, first & 15, body, 5)
            opcode, payload = self.frames.frame()
            if opcode == 8:
                raise Closed()
            if opcode == 2:
                self.input += payload
            elif opcode == 9:
                self.frames.send(payload, opcode=10)

    def answer(self, kind):
        """The next packet of that kind; publications that come before it are kept."""
        while (got := self.packet()).kind != kind:
            if got.kind == mqtt.PUBLISH:
                self.heard.append(got.publication()[0])
        return got

    heard = ()

    def subscribe(self, *filters):
        self.heard, self.id = list(self.heard), self.id + 1
        self.frames.send(mqtt.subscribe([(one, 0) for one in filters], self.id))
        return self.answer(mqtt.SUBACK).reason

    def publish(self, topic, retain=False):
        self.heard, self.id = list(self.heard), self.id + 1
        self.frames.send(mqtt.publish(topic, "x", 1, self.id, retain=retain))
        return self.answer(mqtt.PUBACK).reason

    def until(self, topic):
        """The topics of all that came, up to the first message of that one."""
        self.heard = list(self.heard)
        while topic not in self.heard:
            got = self.packet()
            if got.kind == mqtt.PUBLISH:
                self.heard.append(got.publication()[0])
        return self.heard

    def ended(self):
        """The reason of the DISCONNECT with which the hub ends it; None when it just closes."""
        reason = None
        try:
            while True:
                got = self.packet()
                if got.kind == mqtt.DISCONNECT:
                    reason = got.reason
        except (Closed, ConnectionError, OSError):
            return reason


class Say:
    """A device that says what it is told to."""

    def __init__(self, hub, name, folder):
        self.name, self.client = name, mqtt.Client(hub, hub.device_tls(folder), seconds=60)
        self.client.send(mqtt.connect(name))
        self.client.expect(mqtt.CONNACK)

    def say(self, what, retain=False):
        return self.client.publish(f"d/{self.name}/{what}", "{}", 1, retain=retain).reason


class PeopleAccess(case.HubCase):
    settings = {"people_free_attempts_account": 1000, "people_free_attempts_address": 10000}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        hub = cls.hub
        hub.cli("household", "add", "south")
        cls.folders = {"n-cam": hub.device("n-cam"), "s-cam": hub.device("s-cam", household="south")}
        cls.people = {"owner": hub.person().become_owner("Robin")}
        for role in ("adult", "child", "guest"):
            words = ("--days", "7") if role == "guest" else ()
            cls.people[role] = hub.person().join(f"{role}@example.org", role, *words)
        cls.eve = hub.person().join("eve@example.org", "adult", "--household", "south")

    def device(self, name):
        one = Say(self.hub, name, self.folders[name])
        self.addCleanup(one.client.socket.close)
        return one

    def can(self, *words):
        return self.hub.cli("can", *words, check=False)[0] == 0

    def test_each_role_hears_its_own_household_and_can_says_so(self):
        apps = {role: App(person) for role, person in self.people.items()}
        cam = self.device("n-cam")
        for role, app in apps.items():
            name = self.people[role].name
            self.assertEqual(app.connack, 0, role)
            wanted = ["d/n-cam/event/#", "d/n-cam/state/reported", "$porchlight/device/n-cam/#"]
            self.assertEqual(app.subscribe(*wanted), [0, 0, 0], role)
            for one in wanted:
                self.assertTrue(self.can(name, "subscribe", one), (name, one))
            for one in ("d/+/event/#", "d/s-cam/event/#", "d/n-cam/telemetry/#", "#", "${household.device}/#"):
                self.assertEqual(app.subscribe(one), [REFUSED], (role, one))
                self.assertFalse(self.can(name, "subscribe", one), (name, one))
            self.assertEqual(app.publish("d/n-cam/command/light/request"), REFUSED)
        self.assertEqual(cam.say("event/ring"), 0)
        for role, app in apps.items():
            self.assertEqual(app.until("d/n-cam/event/ring"), ["d/n-cam/event/ring"], role)
        answer = self.hub.cli("can", "adult@example.org", "receive", "d/n-cam/event/ring")
        self.assertEqual((answer["kind"], answer["role"], answer["household"], answer["group"]), ("person", "adult", "home", "people"))
        self.assertEqual(answer["statement"], "allow subscribe,receive d/${household.device}/event/#")
        who = self.hub.cli("who-can", "receive", "d/n-cam/event/ring")["who"]
        self.assertEqual({row["name"] for row in who if row["kind"] == "person"},
                         {"robin", "adult@example.org", "child@example.org", "guest@example.org"})
        self.assertTrue(self.hub.cli("prove", "isolation")["proved"])
        self.assertTrue(self.hub.cli("prove", "nobody but people can receive $porchlight/device/#")["proved"])

    def test_nobody_of_another_household_gets_anything_by_any_way(self):
        cam, own = self.device("n-cam"), self.device("s-cam")
        self.assertEqual(cam.say("state/reported", retain=True), 0)
        topics = [f"{top}{rest}" for top in ("d/n-cam", "$porchlight/device/n-cam")
                  for rest in ("", "/event/motion", "/event/person", "/state/reported", "/state/desired", "/telemetry/t", "/log/a",
                               "/command/x/request", "/command/x/response", "/update/desired")]
        filters = topics + [f"{topic}/#" for topic in topics] + [f"$share/g/{topic}" for topic in topics]
        filters += ["#", "+/#", "+/+/#", "d/#", "d/+/#", "d/+/event/#", "d/+/event/motion", "+/n-cam/#", "d/n-cam/+/+", "$porchlight/#",
                    "$porchlight/device/+/#", "$share/g/#", "$share/g/d/+/event/#", "d/${household.device}/event/#",
                    "d/n-cam /event/#", "d//n-cam/event/#", "D/n-cam/event/#", "$SYS/#"]
        ids = ("", "eve@example.org", "n-cam", "robin", "Robin", "robin/x", "../n-cam", "n-cam/event")
        apps = []
        for number, name in enumerate(ids):
            app = App(self.eve, name)
            apps.append(app)
            self.assertEqual(app.connack, 0, name)
            self.assertEqual(app.subscribe("d/s-cam/event/#"), [0])
            if number > 1:
                continue
            for one in filters:
                self.assertGreaterEqual(app.subscribe(one)[0], 0x80, one)
            for one in topics:
                for retain in (False, True):
                    self.assertEqual(app.publish(one, retain), REFUSED, one)
        will = {"topic": "d/n-cam/event/ring", "payload": "x"}
        self.assertEqual(App(self.eve, "w", will).connack, REFUSED)
        live = self.eve.stream()
        self.addCleanup(live.close)
        motion = {"v": 1, "kind": "motion", "at_ms": int(time.time() * 1000), "score": 0.5, "box": [0.1, 0.2, 0.3, 0.4], "clip": False}
        for what in ("event/ring", "state/reported", "telemetry/t", "log/a"):
            self.assertEqual(cam.say(what), 0)
        for one in (cam, own):
            text = json.dumps({**motion, "id": f"of-{one.name}"})
            self.assertEqual(one.client.publish(f"d/{one.name}/event/motion", text, 1).reason, 0)
        for app, name in zip(apps, ids):
            self.assertEqual(app.until("d/s-cam/event/motion"), ["d/s-cam/event/motion"], name)
        self.assertEqual(live.next("motion", 30)[0]["device"], "s-cam")
        self.assertEqual(self.hub.cli("who-can", "publish", "d/n-cam/event/ring")["who"][0]["name"], "n-cam")

    def test_without_a_sign_in_or_from_another_page_there_is_no_session(self):
        stranger = self.hub.person()
        self.assertEqual(App(stranger, cookie=False).frames.status, 401)
        stranger.cookie = "__Host-porchlight=" + "A" * 43
        self.assertEqual(App(stranger).frames.status, 401)
        port = self.hub.ports["https"]
        for origin in ([], ["Origin: https://evil.example"], [f"Origin: http://localhost:{port}"]):
            frames = Frames(self.hub, self.hub.people_tls(), "/api/v1/mqtt", "https", [f"Cookie: {self.eve.cookie}", *origin])
            self.assertEqual(frames.status, 403, origin)

    def test_what_changes_acts_on_live_sessions(self):
        child, adult = App(self.people["child"]), App(self.people["adult"])
        stream = self.people["child"].stream()
        self.addCleanup(stream.close)
        cam = self.device("n-cam")
        self.assertEqual(child.subscribe("d/n-cam/event/#") + adult.subscribe("d/n-cam/event/#"), [0, 0])
        # a device that comes later is heard by the session that was there
        self.assertEqual(adult.subscribe("d/late/event/#"), [REFUSED])
        self.folders["late"] = self.hub.device("late")
        deadline = time.monotonic() + 30
        while adult.subscribe("d/late/event/#") != [0]:
            self.assertLess(time.monotonic(), deadline)
        # the policy holds the child back: what was subscribed brings nothing any more, nor does the live stream
        self.hub.cli("group", "add", "quiet", "--member", "every child", "--deny", "receive:d/n-cam/#")
        self.addCleanup(self.hub.cli, "group", "remove", "quiet")
        late = self.device("late")
        motion = {"v": 1, "kind": "motion", "at_ms": int(time.time() * 1000), "score": 0.5, "box": [0.1, 0.2, 0.3, 0.4], "clip": False}
        self.assertEqual(child.subscribe("d/late/event/#"), [0])
        for one in (cam, late):
            text = json.dumps({**motion, "id": f"then-{one.name}"})
            self.assertEqual(one.client.publish(f"d/{one.name}/event/motion", text, 1).reason, 0)
        self.assertEqual(adult.until("d/late/event/motion"), ["d/n-cam/event/motion", "d/late/event/motion"])
        self.assertEqual(child.until("d/late/event/motion"), ["d/late/event/motion"])
        self.assertEqual(stream.next("motion", 30)[0]["device"], "late")
        self.assertFalse(self.can("child@example.org", "receive", "d/n-cam/event/motion"))

    def test_signing_out_ends_the_session(self):
        person = self.hub.person().join("kim@example.org", "adult")
        other = App(self.people["adult"])
        app, waiting = App(person), Frames(self.hub, self.hub.people_tls(), "/api/v1/mqtt", "https",
                                           [f"Origin: https://localhost:{self.hub.ports['https']}", f"Cookie: {person.cookie}"])
        self.assertEqual((app.connack, waiting.status), (0, 101))
        person.must("POST", "/api/v1/logout", {})
        self.assertEqual(app.ended(), REFUSED)
        with self.assertRaises((Closed, ConnectionError, OSError)):  # had not said CONNECT yet
            waiting.send(mqtt.connect("late"))
            while True:
                waiting.frame()
        self.assertEqual(other.subscribe("d/n-cam/event/#"), [0])


class WhatIsRead(case.HubCase):
    """The timeline, clips, pictures, live streams and exports ask the same policy as the broker does."""

    settings = {"people_free_attempts_account": 1000, "people_free_attempts_address": 10000}
    EVENTS = 6

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        hub = cls.hub
        hub.cli("household", "add", "south")
        cls.people = {"owner": hub.person().become_owner("Robin")}
        for role in ("adult", "child", "guest"):
            words = ("--days", "7") if role == "guest" else ()
            cls.people[role] = hub.person().join(f"{role}@example.org", role, *words)
        cls.eve = hub.person().join("eve@example.org", "guest", "--household", "south", "--days", "7")
        cls.folders = {name: hub.device(name, household=home)
                       for name, home in (("n-cam", "home"), ("n-two", "home"), ("s-cam", "south"))}
        for turn in range(cls.EVENTS):
            for number, name in enumerate(cls.folders):
                with mqtt.Client(hub, hub.device_tls(cls.folders[name])) as client:
                    client.connect(name)
                    send_event(client, name, f"e{turn}", 1790000000000 + (turn * 3 + number) * 1000)
        for name, folder in cls.folders.items():
            send_clip(hub, folder, "e0", f"a film of {name}".encode() * 100)

    def timeline(self, person, limit, words=""):
        """All pages of that many events: their devices, newest first. Each page but the last is full."""
        devices, place = [], ""
        while True:
            page = person.must("GET", f"/api/v1/events?limit={limit}{words}{place}")
            devices += [event["device"] for event in page["events"]]
            if page["next"] is None:
                return devices
            self.assertEqual(len(page["events"]), limit)
            place = f"&before={page['next']}"

    def things(self, device):
        """The paths of one event with a clip, by the eyes of one who sees them."""
        reader = self.eve if device == "s-cam" else self.people["adult"]
        event = next(one for one in reader.must("GET", f"/api/v1/events?limit=50&device={device}")["events"] if one["clip"])
        return [f"/api/v1/events/{event['id']}", event["thumbnail"], event["clip"]["url"]]

    def expect(self, person, paths, status, kind=None):
        for path in paths:
            answer = person.ask("GET", path)
            self.assertEqual(answer.status, status, path)
            if kind:
                self.assertEqual(answer.json()["type"], f"urn:porchlight:problem:{kind}", path)

    def test_a_deny_for_one_reaches_all_that_is_read_and_nobody_else(self):
        hidden, shown, theirs = self.things("n-cam"), self.things("n-two"), self.things("s-cam")
        both = ["n-two", "n-cam"] * self.EVENTS
        for person in self.people.values():  # as it is by default: the household's own, for each role
            self.assertEqual(self.timeline(person, 5), both)
            self.expect(person, hidden + shown, 200)
            self.expect(person, theirs, 403, "household")
            # how much there is tells when something happened, on every camera
            self.assertEqual("now" in person.must("GET", "/api/v1/household"), person is self.people["owner"])
        self.assertEqual(self.timeline(self.eve, 4), ["s-cam"] * self.EVENTS)
        self.expect(self.eve, hidden + shown, 403, "household")

        guest, child = self.people["guest"], self.people["child"]
        stream = guest.stream()
        self.addCleanup(stream.close)
        self.hub.cli("group", "add", "quiet", "--member", "people home guest", "--deny", "receive:d/n-cam/#")
        self.addCleanup(self.hub.cli, "group", "remove", "quiet", check=False)
        for limit in (1, 4, 5, 200):
            self.assertEqual(self.timeline(guest, limit), ["n-two"] * self.EVENTS, limit)
        self.assertEqual(self.timeline(guest, 5, "&device=n-cam"), [])
        self.assertEqual(self.timeline(guest, 5, "&device=n-two"), ["n-two"] * self.EVENTS)
        self.expect(guest, hidden, 403, "policy")
        self.expect(guest, shown, 200)
        self.assertIsNone(guest.must("GET", "/api/v1/devices/n-cam/settings")["picture"])
        self.assertIsNotNone(guest.must("GET", "/api/v1/devices/n-two/settings")["picture"])
        for role in ("owner", "adult", "child"):
            self.assertEqual(self.timeline(self.people[role], 5), both)
            self.expect(self.people[role], hidden, 200)
        self.assertEqual(self.timeline(self.eve, 4), ["s-cam"] * self.EVENTS)

        # the stream that was open before tells the one and not the other, and so does a page that comes back for what it missed
        for name in ("n-cam", "n-two"):
            with mqtt.Client(self.hub, self.hub.device_tls(self.folders[name])) as client:
                client.connect(name)
                send_event(client, name, "after", 1780000000000)
        self.assertEqual(stream.next("motion", 30)[0]["device"], "n-two")
        self.assertEqual(child.must("GET", "/api/v1/events?limit=2&before=1785000000000-1")["events"][1]["device"], "n-cam")
        again = guest.stream("1-0")
        self.addCleanup(again.close)
        self.assertEqual({again.next("motion", 30)[0]["device"] for _ in range(self.EVENTS + 1)}, {"n-two"})

        # and whoever asks why is told the same
        self.assertEqual(self.hub.cli("can", guest.name, "receive", "d/n-cam/event/motion", check=False)[0], 1)
        self.assertEqual(self.hub.cli("can", child.name, "receive", "d/n-cam/event/motion", check=False)[0], 0)
        row = next(one for one in self.hub.cli("denials")["denials"] if one["name"] == guest.name)
        self.assertEqual((row["kind"], row["action"], row["statement"]), ("person", "receive", "quiet: deny receive:d/n-cam/#"))
        self.assertGreaterEqual(row["count"], 9)
        self.logged("people.refused", f"name={guest.name}", "wanted=clip")

        self.hub.cli("group", "remove", "quiet")
        self.assertEqual(self.timeline(guest, 5)[-2:], ["n-two", "n-cam"])
        self.expect(guest, hidden, 200)

    def devices(self, person):
        return [one["id"] for one in person.must("GET", "/api/v1/devices")["devices"]]

    def test_a_device_of_which_nothing_may_be_heard_is_not_there_for_that_person(self):
        guest, adult, owner, path = self.people["guest"], self.people["adult"], self.people["owner"], "/api/v1/devices/n-cam"
        with mqtt.Client(self.hub, self.hub.device_tls(self.folders["n-cam"])) as client:
            client.connect("n-cam")
            report = {"v": 1, "version": 0, "state": {"privacy": False, "ignore": [], "capture": "open"}}
            self.assertEqual(client.publish("d/n-cam/state/reported", json.dumps(report), 1, retain=True).reason, 0)
        for person in self.people.values():
            self.assertEqual(self.devices(person), ["n-cam", "n-two"])
        self.assertEqual(self.devices(self.eve), ["s-cam"])
        deadline = time.monotonic() + 30
        while guest.must("GET", f"{path}/settings")["reported"] is None:  # until the hub has stored it
            self.assertLess(time.monotonic(), deadline)

        # without its state: it is there, and what it reported is not
        self.hub.cli("group", "add", "quiet", "--member", "people home guest", "--member", "people home adult", "--member", "people home owner",
                     "--deny", "receive:d/n-cam/state/#")
        self.addCleanup(self.hub.cli, "group", "remove", "quiet", check=False)
        for person in (guest, adult, owner):
            self.assertEqual(self.devices(person), ["n-cam", "n-two"])
            seen = person.must("GET", f"{path}/settings")
            self.assertEqual((seen["reported"], seen["picture"] is None), (None, False))
        self.assertIsNotNone(self.people["child"].must("GET", f"{path}/settings")["reported"])
        self.assertIsNone(adult.must("PUT", f"{path}/privacy", {"on": "no"})["reported"])

        # nothing of it: only who administers it has it in the list, and nobody changes what they may not see
        self.hub.cli("group", "change", "quiet", "--deny", "receive:d/n-cam/#", "--deny", "receive:$porchlight/device/n-cam/#")
        for person in (guest, adult):
            self.assertEqual(self.devices(person), ["n-two"])
        self.assertEqual(self.devices(owner), ["n-cam", "n-two"])
        self.assertEqual(self.devices(self.people["child"]), ["n-cam", "n-two"])
        self.expect(guest, [f"{path}/settings"], 403, "policy")
        for person in (adult, owner):
            self.expect(person, [f"{path}/settings"], 403, "policy")
            for what, body in (("privacy", {"on": "yes"}), ("zones", {"ignore": ""})):
                answer = person.ask("PUT", f"{path}/{what}", body)
                self.assertEqual((answer.status, answer.json()["type"]), (403, "urn:porchlight:problem:policy"))
        self.assertFalse(self.people["child"].must("GET", f"{path}/settings")["desired"]["privacy"])
        self.logged("people.refused", f"name={adult.name}", "wanted=device")
        self.expect(self.eve, [f"{path}/settings"], 403, "household")
        self.hub.cli("group", "remove", "quiet")
        self.assertEqual(self.devices(guest), ["n-cam", "n-two"])

    def test_who_may_not_see_a_thing_may_not_change_it(self):
        adult = self.people["adult"]
        event, _, clip = self.things("n-cam")
        self.hub.cli("group", "add", "blind", "--member", "person adult@example.org", "--deny", "receive:d/n-cam/event/#")
        self.addCleanup(self.hub.cli, "group", "remove", "blind", check=False)
        for method, path, body in (("DELETE", event, None), ("DELETE", clip, None), ("PUT", f"{event}/feedback", {"verdict": "none"})):
            answer = adult.ask(method, path, body)
            self.assertEqual((answer.status, answer.json()["type"]), (403, "urn:porchlight:problem:policy"), path)
        self.expect(self.people["owner"], [event, clip], 200)

    def test_an_export_holds_what_the_owner_may_see(self):
        owner = self.people["owner"]
        self.hub.cli("group", "add", "discreet", "--member", "people home owner", "--deny", "receive:d/n-cam/#")
        self.addCleanup(self.hub.cli, "group", "remove", "discreet", check=False)
        answer = owner.ask("GET", owner.must("POST", "/api/v1/household/export", {})["url"])
        self.assertEqual(answer.status, 200)
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            events = json.loads(archive.read("events.json"))
            summary = json.loads(archive.read("summary.json"))
            self.assertEqual({event["device"] for event in events}, {"n-two"})
            self.assertEqual([name for name in archive.namelist() if "n-cam" in name], [])
            self.assertEqual(len([name for name in archive.namelist() if name.startswith("clips/")]), 1)
            self.assertGreaterEqual(summary["withheld"], self.EVENTS)

    def test_without_the_default_group_people_read_nothing(self):
        version = self.hub.cli("policy", "export")
        self.assertTrue(version)
        self.hub.cli("group", "remove", "people")
        self.addCleanup(self.hub.cli, "group", "add", "people", *[word for role in ("owner", "adult", "child", "guest")
                                                                for word in ("--member", f"every {role}")],
                        "--allow", "subscribe,receive:d/${household.device}/event/#",
                        "--allow", "subscribe,receive:d/${household.device}/state/reported",
                        "--allow", "subscribe,receive:$porchlight/device/${household.device}/#")
        for person in self.people.values():
            self.assertEqual(person.must("GET", "/api/v1/events")["events"], [])


class WhatIsKept(case.HubCase):
    """A camera that is no more: who asks the policy is told what the hub does with what is left of it."""

    def test_can_says_what_the_hub_does_about_a_camera_that_is_gone(self):
        hub = self.hub
        hub.person().become_owner("robin")
        child = hub.person().join("child@example.org", "child")
        folder = hub.device("old-cam")
        with mqtt.Client(hub, hub.device_tls(folder)) as client:
            client.connect("old-cam")
            send_event(client, "old-cam", "e0", 1790000000000)
        path = "/api/v1/events/" + child.must("GET", "/api/v1/events")["events"][0]["id"]
        question = ("can", "person:child@example.org", "receive", "d/old-cam/event/motion")

        def who_can():
            return [one["name"] for one in hub.cli("who-can", *question[2:])["who"]]

        self.assertEqual((hub.cli(*question)["allowed"], child.ask("GET", path).status), (True, 200))
        self.assertIn("old-cam", who_can())
        hub.cli("device", "revoke", "old-cam")
        self.assertEqual((hub.cli(*question)["allowed"], child.ask("GET", path).status), (True, 200))
        self.assertIn("child@example.org", who_can())
        self.assertNotIn("old-cam", who_can())
        status, answer = hub.cli("can", "device:old-cam", "publish", "d/old-cam/event/motion", check=False)[:2]
        self.assertEqual(status, 1, answer)
        hub.cli("device", "remove", "old-cam")
        status, answer = hub.cli(*question, check=False)[:2]
        self.assertEqual((status, child.ask("GET", path).status), (1, 200))
        self.assertIn("kept", str(answer))
        hub.cli("group", "add", "quiet", "--member", "person child@example.org", "--deny", "receive:d/old-cam/#")
        status, answer = hub.cli(*question, check=False)[:2]
        self.assertEqual((status, child.ask("GET", path).status), (1, 403))
        self.assertNotIn("kept", str(answer))


class GuestsTime(unittest.TestCase):
    """A guest's time ends while the page is open."""

    def test_an_expired_guest_is_cut_and_stays_out(self):
        hub = lab.Hub()
        self.addCleanup(hub.remove)
        hub.init()
        hub.set(store_tick_ms=100, people_heartbeat_ms=1000, people_session_idle_s=30 * 86400, people_session_life_s=60 * 86400)
        shim, offset = hub.top / "shim.so", hub.top / "offset"
        source = pathlib.Path(__file__).with_name("clock_shim.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(shim), str(source)], check=True)
        offset.write_bytes(bytes(8))
        preload = [str(shim)]
        if b"libasan" in subprocess.run(["ldd", lab.program("porchlightd")], capture_output=True).stdout:
            preload.insert(0, subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip())
        hub.start(wrapper=["env", f"LD_PRELOAD={' '.join(preload)}", f"PORCH_TEST_CLOCK={offset}"])
        hub.device("n-cam")
        owner = hub.person().become_owner("robin")
        guest = hub.person().join("gus@example.org", "guest", "--days", "1")
        stays, goes = App(owner), App(guest)
        self.assertEqual(stays.subscribe("d/n-cam/event/#") + goes.subscribe("d/n-cam/event/#"), [0, 0])
        self.assertEqual(hub.cli("can", "gus@example.org", "receive", "d/n-cam/event/x", check=False)[0], 0)
        with open(offset, "r+b") as f:
            f.write(struct.pack("<q", 2 * 86400 * 1000))
        self.assertEqual(goes.ended(), REFUSED)
        self.assertEqual(App(guest).frames.status, 401)
        self.assertEqual(stays.subscribe("d/n-cam/event/#"), [0])


if __name__ == "__main__":
    unittest.main()
