"""Groups and statements: edited as text and by command, in force for live sessions, asked about, and never reached around."""

import json
import os
import shutil
import subprocess
import unittest

import case
import lab
import mqtt
import shims

DEVICES = int(os.environ.get("PORCHLIGHT_ACCESS_DEVICES", "12"))


class Text(case.HubCase):
    """What is written is what is in force."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.door = cls.hub.device("front-door")
        cls.lamp = cls.hub.device("lamp", product="lamp")
        cls.lights = cls.hub.service("lights", allow=["subscribe:d/+/event/#"])

    def export(self):
        return self.hub.cli("policy", "export", json_output=False)

    def apply(self, text, *options, check=True):
        return self.hub.cli("policy", "apply", "-", *options, input=text, check=check)

    def test_the_text_comes_back_as_it_was_applied_and_history_remembers_who_and_why(self):
        before = self.export()
        self.assertIn("group service-lights\n    member service lights\n    allow subscribe d/+/event/#\n", before)
        text = before + "\ngroup watchers\n member product lamp\n allow subscribe watch/#\n"
        answer = self.apply(text, "--note", "lamps may watch")
        self.assertTrue(answer["changed"])
        self.assertFalse(self.apply(self.export())["changed"])
        newest = self.hub.cli("policy", "history")["versions"][0]
        self.assertEqual((newest["version"], newest["who"], newest["note"]), (answer["version"], "operator", "lamps may watch"))
        older = self.hub.cli("policy", "export", "--version", str(answer["version"] - 1))
        self.assertEqual(older["text"], before)
        self.apply(before)

    def test_a_wrong_text_is_refused_with_its_place_and_changes_nothing(self):
        before = self.export()
        with self.assertRaises(lab.LabError) as caught:
            self.apply("group a\n  member device x\n  alow publish y\n")
        self.assertIn("line 3, column 3: expected member, allow, deny, group or tag, found 'alow'", str(caught.exception))
        self.assertEqual(self.export(), before)

    def test_a_change_from_an_older_version_is_refused(self):
        version = self.hub.cli("policy", "export")["version"]
        self.hub.cli("group", "add", "other", "--member", "device lamp")
        with self.assertRaises(lab.LabError) as caught:
            self.apply("group a\n", "--base", str(version))
        self.assertIn("export, change and apply again", str(caught.exception))
        self.hub.cli("group", "remove", "other")

    def test_groups_are_edited_line_by_line(self):
        self.hub.cli("group", "add", "watchers", "--member", "device lamp", "--allow", "subscribe:watch/#")
        self.assertEqual(self.hub.cli("can", "lamp", "subscribe", "watch/+")["group"], "watchers")
        self.hub.cli("group", "change", "watchers", "--deny", "receive:watch/secret", "--drop", "member device lamp",
                     "--member", "tag outdoor")
        self.assertEqual(self.hub.cli("group", "show", "watchers", json_output=False),
                         "group watchers\n    member tag outdoor\n    allow subscribe watch/#\n    deny receive watch/secret\n")
        with self.assertRaises(lab.LabError):
            self.hub.cli("group", "change", "watchers", "--drop", "member device lamp")
        self.hub.cli("group", "remove", "watchers")

    def ask(self, *words):
        done = subprocess.run([lab.program("porchlight"), "-C", str(self.hub.dir), *words, "--json"], capture_output=True, text=True,
                              timeout=60, check=False)
        return done.returncode, json.loads(done.stdout)

    def test_a_service_keeps_what_it_may_do_when_it_is_renewed(self):
        before = self.export()
        answer = self.hub.cli("service", "add", "lights", "--renew", "--out", self.hub.top / "lights-again")
        self.assertEqual((answer["allow"], answer["deny"]), (["subscribe:d/+/event/#"], []))
        self.assertEqual(self.export(), before)

    def test_can_names_the_deciding_statement(self):
        self.assertEqual(self.ask("can", "front-door", "publish", "d/front-door/event/motion"),
                         (0, {"kind": "device", "name": "front-door", "known": True, "allowed": True, "group": "devices",
                              "statement": "allow publish d/${device.id}/+/#"}))
        self.assertEqual(self.ask("can", "front-door", "publish", "d/lamp/x"),
                         (1, {"kind": "device", "name": "front-door", "known": True, "allowed": False}))
        self.assertEqual(self.ask("can", "lights", "subscribe", "$share/a/d/+/event/#")[0], 0)
        self.assertEqual(self.ask("can", "lights", "subscribe", "$share/a/d/#")[0], 1)
        self.assertEqual(self.ask("can", "device:not-there", "publish", "d/not-there/x/y")[0], 0)
        self.assertEqual(self.ask("can", "front-door", "publish", "$porchlight/x")[0], 1)

    def test_both_know_of_a_quarantine(self):
        self.hub.device("suspect")
        words = ("suspect", "publish", "d/suspect/event/motion")
        self.assertTrue(self.hub.cli("can", *words)["allowed"])
        self.hub.cli("device", "quarantine", "suspect")
        try:
            code, out, _ = self.hub.cli("can", *words, check=False)
            self.assertEqual((code, json.loads(out)["quarantine"]), (1, True))
            self.assertIn("under quarantine", self.hub.cli("can", *words, check=False, json_output=False)[1])
            self.assertTrue(self.hub.cli("can", "suspect", "publish", "d/suspect/log/x")["allowed"])
            self.assertTrue(self.hub.cli("can", "suspect", "subscribe", "d/suspect/update/#")["allowed"])
            self.assertEqual(self.hub.cli("can", "suspect", "subscribe", "d/suspect/#", check=False)[0], 1)
            self.assertEqual(self.hub.cli("who-can", "publish", words[2])["who"], [])
        finally:
            self.hub.cli("device", "readmit", "suspect")
        self.assertTrue(self.hub.cli("can", *words)["allowed"])

    def test_who_can_names_everybody(self):
        who = self.hub.cli("who-can", "receive", "d/lamp/event/motion")["who"]
        self.assertEqual([(one["kind"], one["name"], one["group"]) for one in who],
                         [("device", "lamp", "devices"), ("service", "lights", "service-lights")])
        self.assertEqual(self.hub.cli("who-can", "publish", "elsewhere")["who"], [])


class Denials(case.HubCase):
    """Whoever is refused is told that it was permission; the operator is told which and what would help."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.door = cls.hub.device("front-door")
        cls.lights = cls.hub.service("lights", allow=["subscribe:d/+/event/#"], deny=["publish,receive:d/front-door/event/secret"])

    def rows(self):
        return {(one["name"], one["action"], one["topic"]): one for one in self.hub.cli("denials")["denials"]}

    def test_a_refusal_names_statement_or_grant_and_counts(self):
        with mqtt.Client(self.hub, self.hub.device_tls(self.door)) as client:
            client.connect("front-door")
            for _ in range(20):
                answer = client.publish("d/lamp/x", "1", 1)
            self.assertEqual(answer.reason, 0x87)
            self.assertEqual(answer.body[3:], b"\x25\x1f\x00\x22this topic is not permitted to you")
            self.assertEqual(client.publish("d/front-door/event/own", "1", 1).reason, 0)
            granted = client.subscribe("d/lamp/#", "d/front-door/#")
            self.assertEqual(granted.reason, [0x87, 1])
            self.assertIn(b"a filter is not permitted to you", granted.body)
        row = self.rows()["front-door", "publish", "d/lamp/x"]
        self.assertEqual((row["count"], row["grant"]), (20, "allow publish d/lamp/x"))
        self.assertEqual(self.rows()["front-door", "subscribe", "d/lamp/#"]["grant"], "allow subscribe d/lamp/#")
        lines = [line for line in self.hub.log.all[self.log_start:] if "d/lamp/x" in line]
        self.assertEqual(len(lines), 8)
        self.assertIn("no statement allows it; grant allow publish d/lamp/x", lines[0])

    def test_what_a_deny_holds_back_is_told_by_its_statement(self):
        with mqtt.Client(self.hub, self.hub.device_tls(self.lights)) as client, \
                mqtt.Client(self.hub, self.hub.device_tls(self.door)) as door:
            client.connect("lights")
            door.connect("front-door")
            self.assertEqual(client.subscribe("d/+/event/#").reason, [1])
            self.assertEqual(client.publish("d/front-door/event/secret", "1", 1).reason, 0x87)
            door.publish("d/front-door/event/secret", "1", 1)
            door.publish("d/front-door/event/open", "marker", 1)
            self.assertEqual(client.expect(mqtt.PUBLISH).publication()[1], b"marker")
        rows = self.rows()
        for action in ("publish", "receive"):
            self.assertEqual(rows["lights", action, "d/front-door/event/secret"]["statement"],
                             "service-lights: deny publish,receive:d/front-door/event/secret")
        self.logged("mqtt.refused", "lights", "service-lights: deny publish,receive")

    def test_a_refused_will_tells_the_peer_nothing_of_statements(self):
        with mqtt.Client(self.hub, self.hub.device_tls(self.door)) as client:
            answer = client.connect("front-door", will={"topic": "d/lamp/will", "payload": "x"})
            self.assertEqual(answer.reason, 0x87)
            self.assertNotIn(b"grant", answer.body)
            self.assertIn(b"not permitted", answer.body)
        self.assertEqual(self.rows()["front-door", "publish", "d/lamp/will"]["count"], 1)


class Proof(case.HubCase):
    """What is said about everybody is so, and a counterexample can be carried out."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.hub.device("front-door")

    def ask(self, *words, input=None):
        code, out, err = self.hub.cli(*words, check=False, input=input)
        self.assertIn(code, (0, 1), err)
        return code, json.loads(out)

    def test_a_new_hub_is_isolated(self):
        code, answer = self.ask("prove", "isolation")
        self.assertEqual((code, answer["proved"], answer["counterexamples"]), (0, True, []))
        text = self.hub.cli("prove", "isolation", json_output=False)
        self.assertTrue(text.startswith("PROVED") and "every device id of the grammar" in text, text)

    def with_more(self, more):
        path = self.hub.top / "policy.txt"
        path.write_text(self.hub.cli("policy", "export", json_output=False) + more)
        return path

    def test_a_counterexample_goes_through_on_a_scratch_hub(self):
        for more, expected in (
                ("group c\nmember product cam\nallow subscribe d/+/event/+\n", ("receive", "d/victim/event/x")),
                ("group c\nmember product cam\nallow publish d/lamp/x\n", ("publish", "d/lamp/x")),
                ("group c\nmember every device\nallow subscribe $porchlight/device/+/#\n", ("receive", "$porchlight/device/victim"))):
            with self.subTest(more):
                code, answer = self.ask("prove", "isolation", "--policy", self.with_more(more))
                first = answer["counterexamples"][0]
                self.assertEqual((code, first["action"], first["topic"]), (1, *expected))
                self.assertEqual(answer["replay"], "it went through")

    def test_nobody_but_a_group(self):
        code, answer = self.ask("prove", "nobody but devices can publish d/+/event/#")
        self.assertEqual((code, answer["proved"]), (0, True))
        code, answer = self.ask("prove", "nobody can publish d/+/event/#")
        self.assertEqual((code, answer["counterexamples"][0]["group"]), (1, "devices"))

    def test_a_difference_names_each_access_that_changes(self):
        answer = self.hub.cli("policy", "diff", self.with_more("group w\nmember product lamp\nallow publish w/+\n"))
        self.assertEqual([(one["name"], one["action"], one["topic"]) for one in answer["newly_allowed"]], [("stranger", "publish", "w/x")])
        self.assertEqual(answer["newly_denied"], [])
        empty = self.hub.top / "empty.txt"
        empty.write_text("")
        answer = self.hub.cli("policy", "diff", empty)
        self.assertEqual({one["statement"] for one in answer["newly_denied"]},
                         {"allow publish d/${device.id}/+/#", "allow subscribe,receive d/${device.id}/#",
                          "allow subscribe,receive d/${household.device}/event/#",
                          "allow subscribe,receive d/${household.device}/state/reported",
                          "allow subscribe,receive $porchlight/device/${household.device}/#"})
        people = [one for one in answer["newly_denied"] if one["kind"] == "person"]
        self.assertEqual({(one["name"], one["role"]) for one in people}, {("somebody", "adult")})


class Replay(unittest.TestCase):
    """A counterexample is tried by whom it names: people sign in as people do, at a hub that has the policy in question."""

    WENT, REFUSED = "it went through", "it was refused; please report this: the proof and the hub differ"
    DEVICES = "group devices\nmember every device\nallow publish d/${device.id}/+/#\nallow subscribe,receive d/${device.id}/#\n"
    PEOPLE = "group people\nmember every adult\nallow subscribe,receive d/${household.device}/event/#\n"

    def setUp(self):
        self.hub = lab.Hub()  # a directory that holds no hub
        self.addCleanup(self.hub.remove)

    def prove(self, more, question="isolation", program=None):
        """The answer, not proved."""
        path = self.hub.top / "policy"
        path.write_text(self.DEVICES + more)
        done = subprocess.run([program or lab.program("porchlight"), "prove", question, "--policy", str(path), "--json"], capture_output=True,
                              text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        return json.loads(done.stdout)

    def check(self, more, question, kind, action, topic, replay, **members):
        with self.subTest(more=more, question=question):
            answer = self.prove(more, question)
            first = answer["counterexamples"][0]
            self.assertEqual((first["kind"], first["action"], first["topic"]), (kind, action, topic))
            self.assertEqual({name: first.get(name) for name in members}, members)
            self.assertEqual(answer["replay"], replay)

    def test_a_person_reaches_another_household_s_device(self):
        for who, does, action, topic, members in (
                ("every adult", "subscribe d/+/event/+", "receive", "d/victim/event/x", {"role": "adult", "household": "any-household"}),
                ("every guest", "publish d/lamp/x", "publish", "d/lamp/x", {"role": "guest", "victim": "lamp"}),
                ("people home owner", "publish d/+/command/+", "publish", "d/victim/command/x", {"role": "owner", "household": "home"}),
                ("people north child", "subscribe $porchlight/device/+/#", "receive", "$porchlight/device/victim",
                 {"role": "child", "household": "north"}),
                ("every adult", "subscribe d/+/event/+\ndeny receive d/${household.device}/#", "receive", "d/victim/event/x", {"role": "adult"}),
                ("person anna@example.org", "subscribe d/+/${household.device}", "receive", "d/victim/housemate", {"name": "anna@example.org"})):
            self.check(f"group c\nmember {who}\nallow {does}\n", "isolation", "person", action, topic, self.WENT, **members)

    def test_who_could_do_what_nobody_should_is_tried_whoever_it_is(self):
        self.check(self.PEOPLE, "nobody but devices can receive d/+/event/#", "person", "receive", "d/housemate/event", self.WENT, role="adult")
        self.check(self.PEOPLE + "group c\nmember every person\nallow publish lamp/+\n", "nobody but devices can publish lamp/on", "person",
                   "publish", "lamp/on", self.WENT, role="owner")
        self.check("", "nobody can publish d/+/event/#", "device", "publish", "d/stranger/event", self.WENT)
        self.check("group service-lights\nmember service lights\nallow subscribe d/+/event/#\n", "nobody but devices can receive d/+/event/#",
                   "service", "receive", "d/x/event", self.WENT, name="lights")

    def test_what_is_no_topic_is_not_tried(self):
        self.assertNotIn("replay", self.prove("group c\nmember every adult\nmember service m\nallow read metrics\n", "nobody can read metrics"))

    def test_a_false_alarm_shows_itself(self):
        # the proof knows no limit of topics, and takes who may receive for one who can
        deep = "d/lamp/" + "a/" * 40 + "z"
        for who, kind in (("every adult", "person"), ("product cam", "device")):
            self.check(f"group c\nmember {who}\nallow publish {deep}\n", "isolation", kind, "publish", deep, self.REFUSED)
            self.check(f"group c\nmember {who}\nallow receive d/+/event/+\n", "isolation", kind, "receive", "d/victim/event/x", self.REFUSED)
            self.check(f"group c\nmember {who}\nallow receive $porchlight/device/+/#\n", "isolation", kind, "receive", "$porchlight/device/victim",
                       self.REFUSED)
            self.check(f"group c\nmember {who}\nallow subscribe {deep}\n", "isolation", kind, "receive", deep, self.REFUSED)
        words = subprocess.run([lab.program("porchlight"), "prove", "isolation", "--policy", str(self.hub.top / "policy")], capture_output=True,
                               text=True, timeout=300, check=False).stdout
        self.assertIn(f"The first one on a scratch hub: {self.REFUSED}", words)

    def with_another(self, name, script):
        """The command in a folder where the program of that name does this first."""
        folder = self.hub.top / "programs"
        folder.mkdir()
        shutil.copy(lab.program("porchlight"), folder)
        for one in ("porchlightd", "porchlight-device"):
            (folder / one).symlink_to(lab.program(one))
        (folder / name).unlink()
        (folder / name).write_text(f"#!/bin/sh\n{script}\nexec {lab.program(name)} \"$@\"\n")
        (folder / name).chmod(0o755)
        return str(folder / "porchlight")

    REACHES = "group c\nmember every adult\nallow subscribe d/+/event/+\n"

    def test_what_was_not_heard_did_not_go_through(self):
        program = self.with_another("porchlight-device", '[ "$2" != publish ] || exit 0')
        self.assertEqual(self.prove(self.REACHES, program=program)["replay"], self.REFUSED)

    def test_what_a_person_says_must_be_heard_by_somebody(self):
        program = self.with_another("porchlight-device", '[ "$2" != subscribe ] || exit 1')
        self.assertEqual(self.prove("group c\nmember every adult\nallow publish d/lamp/x\n", program=program)["replay"], self.REFUSED)

    def test_a_hub_that_does_not_start_takes_nothing_from_the_counterexample(self):
        says = "2026-01-01T00:00:00Z error hub.failed reason=\"the moon stands wrong\""
        program = self.with_another("porchlightd", f"[ $# != 1 ] || {{ echo '{says}' >&2; exit 1; }}")
        answer = self.prove(self.REACHES, program=program)
        self.assertEqual(answer["counterexamples"][0]["topic"], "d/victim/event/x")
        self.assertEqual(answer["replay"], "it could not be carried out: the scratch hub did not start: the moon stands wrong")

    def test_a_refused_sign_in_is_told_with_the_hub_s_reason(self):
        clock = shims.Clock(self.hub.top, "daemon")
        clock.set(200)  # no code of ours fits then
        program = self.with_another("porchlightd", "[ $# != 1 ] || export " + " ".join(f"'{word}'" for word in clock.words))
        answer = self.prove(self.REACHES, program=program)
        self.assertIn("it could not be carried out: the scratch hub answered 403 to /api/v1/setup/confirm: the code does not fit", answer["replay"])


class Foreign(unittest.TestCase):
    """Policies of other systems, judged by the command itself; no hub is there."""

    MOSQUITTO = (("pattern readwrite devices/%c/#\n", False), ("pattern readwrite devices/%u/state\n", True),
                 ("user bridge\ntopic readwrite #\n", True))
    AWS = (([{"Effect": "Allow", "Action": "iot:*", "Resource": "*"},
             {"Effect": "Deny", "Action": "iot:Subscribe", "Resource": "arn:aws:iot:eu-west-1:1:topicfilter/secret/#"}], False),
           ([{"Effect": "Allow", "Action": "iot:Publish",
              "Resource": "arn:aws:iot:eu-west-1:1:topic/d/${iot:Connection.Thing.ThingName}/x"}], True))

    def setUp(self):
        self.hub = lab.Hub()  # a directory that holds no hub
        self.addCleanup(self.hub.remove)

    def judge(self, option, text):
        path = self.hub.top / "policy"
        path.write_text(text)
        code, out, err = self.hub.cli("prove", "isolation", option, path, check=False)
        self.assertIn(code, (0, 1), err)
        answer = json.loads(out)
        self.assertEqual(answer["proved"] if "proved" in answer else not answer["found"], code == 0, answer)
        words = self.hub.cli("prove", "isolation", option, path, check=False, json_output=False)[1]
        return code == 0, words

    def test_access_files_of_mosquitto(self):
        for text, clean in self.MOSQUITTO:
            with self.subTest(text):
                proved, words = self.judge("--mosquitto", text)
                self.assertEqual(proved, clean, words)
                if not clean:
                    self.assertIn("devices/", words)

    def test_policies_of_aws(self):
        for statements, clean in self.AWS:
            with self.subTest(statements):
                proved, words = self.judge("--aws", json.dumps({"Version": "2012-10-17", "Statement": statements}))
                self.assertEqual(proved, clean, words)
                if not clean:
                    self.assertIn("secret/", words)

    def test_what_cannot_be_read_is_refused_with_a_sentence(self):
        for option, text in (("--aws", "{"), ("--aws", "[]"), ("--mosquitto", "shout devices/#\n")):
            with self.subTest(option):
                path = self.hub.top / "policy"
                path.write_text(text)
                code, _, err = self.hub.cli("prove", "isolation", option, path, check=False)
                self.assertNotEqual(code, 0)
                self.assertTrue(err.strip(), text)
        code, _, err = self.hub.cli("prove", "isolation", "--aws", self.hub.top / "none", check=False)
        self.assertEqual(code, 1)
        self.assertIn("none", err)


class Api(case.HubCase):
    """The policy in the owner's hands."""

    PATH = "/api/v1/policy"
    MORE = "group weather\n    member every device\n    allow publish weather/${device.id}/now\n"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.owner = cls.hub.person().become_owner()
        cls.front = cls.hub.device("front-door")

    def refused(self, person, status, kind, method, path, body=None):
        answer = person.ask(method, path, body)
        self.assertEqual((answer.status, answer.json()["type"].rpartition(":")[2]), (status, kind))
        return answer.json()["detail"]

    def test_it_is_read_judged_and_put_in_force_with_who_and_why(self):
        now = self.owner.must("GET", self.PATH)
        self.assertEqual(now["text"], self.hub.cli("policy", "export", json_output=False))
        text = now["text"] + self.MORE
        found = self.owner.must("POST", self.PATH + "/diff", {"text": text})
        self.assertEqual([(one["action"], one["topic"].split("/")[0]) for one in found["newly_allowed"]], [("publish", "weather")])
        self.assertEqual((found["newly_denied"], found["version"]), ([], now["version"]))
        self.assertEqual(self.owner.must("GET", self.PATH), now, "looking changes nothing")
        with mqtt.Client(self.hub, self.hub.device_tls(self.front)) as client:
            client.connect("front-door")
            self.assertEqual(client.publish("weather/front-door/now", "x", 1, 1).reason, 0x87)
            made = self.owner.must("PUT", self.PATH, {"text": text, "base": str(now["version"]), "note": "the weather"})
            self.assertEqual(made["version"], now["version"] + 1)
            self.assertEqual(client.publish("weather/front-door/now", "x", 1, 2).reason, 0)
        newest = self.hub.cli("policy", "history")["versions"][0]
        self.assertEqual((newest["who"], newest["note"]), (f"user:{self.owner.name}", "the weather"))
        self.refused(self.owner, 409, "state", "PUT", self.PATH, {"text": now["text"], "base": str(now["version"])})
        self.owner.must("PUT", self.PATH, {"text": now["text"], "base": str(made["version"])})

    def test_a_wrong_text_is_refused_with_its_place(self):
        now = self.owner.must("GET", self.PATH)
        body = {"text": "group a\n    allow shout x\n"}
        for method, path, more in (("POST", self.PATH + "/diff", {}), ("PUT", self.PATH, {"base": str(now["version"])})):
            self.assertIn("line 2", self.refused(self.owner, 400, "malformed", method, path, body | more))
        self.refused(self.owner, 400, "malformed", "PUT", self.PATH, {"text": "", "base": "none"})
        self.assertEqual(self.owner.must("GET", self.PATH), now)

    def test_it_is_the_business_of_the_first_household_s_owner(self):
        self.hub.cli("household", "add", "next-door")
        neighbour = self.hub.person().join("nell", "owner", "--household", "next-door")
        for method, path, body in (("GET", self.PATH, None), ("POST", self.PATH + "/diff", {"text": ""}),
                                   ("PUT", self.PATH, {"text": "", "base": "1"})):
            self.refused(neighbour, 403, "household", method, path, body)


class Change(case.HubCase):
    """What a change takes away has ended when the command says so."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.door = cls.hub.device("front-door")
        cls.lights = cls.hub.service("lights", allow=["subscribe:d/+/event/#"])

    def test_nothing_passes_after_the_change_is_acknowledged(self):
        text = self.hub.cli("policy", "export", json_output=False)
        shut = text.replace("    allow subscribe d/+/event/#\n", "    allow subscribe d/+/event/#\n    deny receive d/+/event/secret\n")
        self.assertNotEqual(text, shut)
        with mqtt.Client(self.hub, self.hub.device_tls(self.lights)) as hears, \
                mqtt.Client(self.hub, self.hub.device_tls(self.door)) as says:
            hears.connect("lights")
            says.connect("front-door")
            hears.subscribe("d/+/event/#")
            for round_number in range(10):
                says.publish("d/front-door/event/secret", f"open {round_number}", 1)
                self.assertEqual(hears.expect(mqtt.PUBLISH).publication()[1], f"open {round_number}".encode())
                self.hub.cli("policy", "apply", "-", input=shut)
                says.publish("d/front-door/event/secret", "must not arrive", 1)
                says.publish("d/front-door/event/other", "marker", 1)
                self.assertEqual(hears.expect(mqtt.PUBLISH).publication()[1], b"marker")
                self.hub.cli("policy", "apply", "-", input=text)


class Isolation(case.HubCase):
    """Everybody tries all of everybody else's topics in every way; nothing passes."""

    settings = {"broker_messages_s": 0, "broker_bytes_s": 0}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.names = [f"dev-{i}" for i in range(DEVICES)]
        cls.folders = {name: cls.hub.device(name) for name in cls.names}

    def refused_wills(self, attacker, victim):
        with mqtt.Client(self.hub, self.hub.device_tls(self.folders[attacker])) as client:
            answer = client.connect(attacker, will={"topic": f"d/{victim}/event/will", "payload": "x", "qos": 1, "retain": True})
            self.assertNotEqual(answer.reason, 0)

    def refused_names(self, attacker, victim):
        with mqtt.Client(self.hub, self.hub.device_tls(self.folders[attacker])) as client:
            self.assertNotEqual(client.connect(victim).reason, 0)

    def subscriptions(self, victim):
        plain = [f"d/{victim}/#", f"d/{victim}/event/x", f"d/{victim}", f"+/{victim}/#", f"+/{victim}/event/+"]
        return plain + [f"$share/g/{one}" for one in plain] + [f"$porchlight/device/{victim}/#"]

    def test_no_device_reaches_another(self):
        passed, tried = [], 0
        everything = ["#", "d/#", "d/+/#", "+/+/event/#", "$share/g/d/+/#", "$share/g/#", "$porchlight/#", "+/#", "d/+"]
        listeners = {}
        for name in self.names:
            client = mqtt.Client(self.hub, self.hub.device_tls(self.folders[name]))
            self.addCleanup(client.__exit__)
            client.connect(name, keep_alive=0)  # who comes last says nothing until all others have tried
            self.assertEqual(client.subscribe(f"d/{name}/#").reason, [1])
            listeners[name] = client
        for attacker in self.names:
            client = listeners[attacker]
            for number, victim in enumerate(one for one in self.names if one != attacker):
                filters = self.subscriptions(victim) + (everything if number == 0 else [])
                granted = client.subscribe(*filters).reason
                tried += len(filters)
                passed += [f"{attacker} subscribed {f}" for f, code in zip(filters, granted) if code < 0x80]
                for retain in (False, True):
                    tried += 1
                    answer = client.publish(f"d/{victim}/event/x", f"from {attacker}", 1, retain=retain)
                    if answer.reason < 0x80:
                        passed.append(f"{attacker} published to {victim}, retain {retain}")
                client.send(mqtt.publish(f"d/{victim}/event/x", f"from {attacker} at 0"))
                # a topic alias set by a refused publish must not lead there later
                alias = b"\x23" + (7).to_bytes(2, "big")
                first = client.publish(f"d/{victim}/event/alias", "x", 1, properties=alias)
                second = client.publish("", "y", 1, properties=alias)
                tried += 3
                if first.reason < 0x80 or second.reason < 0x80:
                    passed.append(f"{attacker} reached {victim} by an alias")
            # its own words still arrive, and nothing else has
            client.publish(f"d/{attacker}/event/own", "own")
            self.assertEqual(client.expect(mqtt.PUBLISH).publication()[:2], (f"d/{attacker}/event/own", b"own"))
        for attacker in self.names:
            for victim in self.names[:3]:
                if victim != attacker:
                    tried += 2
                    self.refused_names(attacker, victim)
        for attacker in self.names:  # after the take-over attempts everybody is still there, with nothing in between
            listeners[attacker].publish(f"d/{attacker}/event/last", "last")
            self.assertEqual(listeners[attacker].expect(mqtt.PUBLISH).publication()[1], b"last")
        for attacker in self.names:
            victim = self.names[(self.names.index(attacker) + 1) % len(self.names)]
            listeners[attacker].__exit__()
            self.refused_wills(attacker, victim)
            tried += 1
        self.assertEqual(passed, [])
        print(f"\n{len(self.names)} devices, {tried} attempts, {len(passed)} passed")


if __name__ == "__main__":
    unittest.main()
