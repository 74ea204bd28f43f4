"""A person says that it was no person: the event, its notification, other pages and the metrics say so."""

import unittest

import case
import lab


class Feedback(case.HubCase):
    def notification(self, event):
        return [row for row in self.hub.cli("notification", "list")["notifications"] if row["event"] == event][0]

    def metrics(self, folder):
        text = lab.request(self.hub.ports["device"], self.hub.device_tls(folder), "GET", "/metrics").body.decode()
        return {line.split()[0]: int(line.split()[1]) for line in text.splitlines() if line and not line.startswith("#")}

    def test_not_a_person_is_kept_shown_counted_and_can_be_taken_back(self):
        person = self.hub.person().become_owner()
        page = person.stream()
        self.addCleanup(page.close)
        reader = self.hub.service("grafana", allow=["read:metrics"])
        door = lab.Camera(self.hub.device("front-door"), lab.videos() / "vtest.avi")
        self.addCleanup(door.stop)
        found, _, _ = page.next("person", 120)
        event = found["event"]["id"]
        self.assertEqual((found["event"]["person"]["held_back"], found["event"]["person"]["feedback"]), (False, None))
        door.stop()

        path = f"/api/v1/events/{event}/feedback"
        said = person.ask("PUT", path, {"verdict": "not-a-person"})
        self.assertEqual(said.status, 200, said.body)
        feedback = said.json()["person"]["feedback"]
        self.assertEqual((feedback["verdict"], feedback["by"]), ("not-a-person", "robin"))
        news, _, _ = page.next("event", 30)
        self.assertEqual((news["id"], news["person"]["feedback"]["by"]), (event, "robin"))
        self.assertEqual(self.notification(event)["verdict"], "not-a-person")
        self.assertEqual(self.metrics(reader)["porchlight_feedback_not_a_person"], 1)
        self.logged("event.feedback", "name=robin", "verdict=not-a-person")

        self.assertEqual(person.ask("PUT", path, {"verdict": "none"}).json()["person"]["feedback"], None)
        self.assertNotIn("verdict", self.notification(event))
        self.assertEqual(self.metrics(reader)["porchlight_feedback_not_a_person"], 0)

        # what is no feedback
        for body, status in (({"verdict": "a-cat"}, 400), ({}, 400)):
            self.assertEqual(person.ask("PUT", path, body).status, status, body)
        self.assertEqual(person.ask("PUT", path, {"verdict": "none"}, origin=False).status, 403)
        self.assertEqual(self.hub.person().ask("PUT", path, {"verdict": "none"}).status, 401)
        self.assertEqual(person.ask("PUT", "/api/v1/events/0123456789abcdef0123456789abcdef/feedback", {"verdict": "none"}).status, 404)


if __name__ == "__main__":
    unittest.main()
