"""What a borrowed sign-in must not do: every operation that docs/openapi.yaml marks with x-step-up wants a fresh code."""

import re
import time
import unittest

import case
import lab

# what a request of each kind needs besides, so that nothing but the missing code can be its fault
BODIES = {
    "POST /api/v1/password": {"password": lab.Person.PASSWORD, "new_password": "Pond-frog-Ladder-sings-9-maps"},
    "POST /api/v1/recovery-codes": {"password": lab.Person.PASSWORD},
}


ROLES = ("owner", "adult", "child", "guest")


def operations():
    """(method, path, roles) of each operation that says which people it is for."""
    path = method = None
    for line in (lab.ROOT / "docs" / "openapi.yaml").read_text().splitlines():
        if found := re.match(r"  (/\S+):$", line):
            path = found[1]
        elif found := re.match(r"    (get|put|post|patch|delete):$", line):
            method = found[1].upper()
        elif found := re.match(r"      x-roles: \[(.*)\]$", line):
            yield method, path, found[1].split(", ")


def marked():
    """(method, path, problem) of each operation with x-step-up."""
    path = method = None
    for line in (lab.ROOT / "docs" / "openapi.yaml").read_text().splitlines():
        if found := re.match(r"  (/\S+):$", line):
            path = found[1]
        elif found := re.match(r"    (get|put|post|patch|delete):$", line):
            method = found[1].upper()
        elif found := re.match(r"      x-step-up: (true|app)$", line):
            yield method, path, "step-up-app" if found[1] == "app" else "step-up"


class StepUp(case.HubCase):
    settings = {"people_step_up_s": 2, "people_free_attempts_account": 1000, "people_free_attempts_address": 10000}

    def stale(self, person):
        """Until the last code of this sign-in is fresh no more; the hub says when."""
        deadline = time.monotonic() + 60
        while person.must("GET", "/api/v1/sessions")["step_up_left_s"] > 0:
            self.assertLess(time.monotonic(), deadline)

    def test_marked_operations_want_a_fresh_code(self):
        owner = self.hub.person().become_owner("robin")
        self.assertGreaterEqual(len(list(marked())), 3)
        self.stale(owner)
        for method, path, problem in marked():
            with self.subTest(f"{method} {path}"):
                body = BODIES.get(f"{method} {path}", {} if method in ("POST", "PUT", "PATCH") else None)
                answer = owner.ask(method, re.sub(r"\{[^}]*\}", "0" * 32, path), body)
                self.assertEqual(answer.status, 403, answer.body)
                self.assertEqual(answer.json()["type"], f"urn:porchlight:problem:{problem}")
                self.assertEqual(self.hub.person().ask(method, re.sub(r"\{[^}]*\}", "0" * 32, path), body).status, 401)
        # wrong ones prove nothing, a code does, a recovery code, too; each once
        self.assertEqual(owner.ask("POST", "/api/v1/step-up", {"code": "000000"}).json()["type"], "urn:porchlight:problem:wrong-code")
        self.assertEqual(owner.ask("DELETE", "/api/v1/sessions").status, 403)
        code = owner.recovery[0]
        self.assertEqual(owner.must("POST", "/api/v1/step-up", {"code": code}), {"step_up_left_s": 2})
        self.assertEqual(owner.must("DELETE", "/api/v1/sessions"), {"ended": 0})
        self.stale(owner)
        self.assertEqual(owner.ask("POST", "/api/v1/step-up", {"code": code}).status, 403)
        self.assertEqual(owner.ask("POST", "/api/v1/step-up", {"code": owner.recovery[1]}, origin=False).status, 403)
        owner.must("POST", "/api/v1/step-up", {"code": owner.next_code()})
        owner.must("POST", "/api/v1/password", BODIES["POST /api/v1/password"])
        self.logged("step-up.accepted", "robin")


class Roles(case.HubCase):
    """Every operation as every role: who may not is told so before anything else is looked at, who may is not."""

    settings = {"people_free_attempts_account": 1000, "people_free_attempts_address": 10000, "people_streams_per_session": 2}
    # what would end the very sign-in that the next question needs
    LAST = ("POST /api/v1/logout", "POST /api/v1/household/erase")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.people = {"owner": cls.hub.person().become_owner("robin")}
        for role in ROLES[1:]:
            cls.people[role] = cls.hub.person().join(f"the-{role}", role)

    def test_every_operation_as_every_role(self):
        asked = refused = 0
        for method, path, roles in operations():
            if f"{method} {path}" in self.LAST or path == "/api/v1/events/stream":
                continue
            target = re.sub(r"\{[^}]*\}", "0" * 32, path)
            body = {} if method in ("POST", "PUT", "PATCH") else None
            # a WebSocket is asked for by GET, and from the hub's own pages only, like a change
            own_page = {"Origin": f"https://localhost:{self.hub.ports['https']}"} if path == "/api/v1/mqtt" else None
            self.assertEqual(self.hub.person().ask(method, target, body, own_page).status, 401, path)
            for role in ROLES:
                with self.subTest(f"{method} {path} as {role}"):
                    answer = self.people[role].ask(method, target, body, own_page)
                    kind = answer.json()["type"].rpartition(":")[2] if answer.status >= 400 else ""
                    asked += 1
                    if role in roles:
                        self.assertNotIn(kind, ("role", "owner", "unauthenticated"))
                    else:
                        refused += 1
                        self.assertEqual((answer.status, kind), (403, "owner" if roles == ["owner"] else "role"))
        self.assertGreater(asked, 100)
        self.assertGreater(refused, 20)

    def test_a_child_deletes_nothing_and_an_adult_with_a_code(self):
        missing = "/api/v1/events/" + "0" * 32
        self.assertEqual(self.people["child"].ask("DELETE", missing).status, 403)
        self.logged("people.refused", "the-child")
        self.people["adult"].must("POST", "/api/v1/step-up", {"code": self.people["adult"].next_code()})
        self.assertEqual(self.people["adult"].ask("DELETE", missing).status, 404)

    def test_the_erasure_is_the_owner_s(self):
        for role in ROLES[1:]:
            answer = self.people[role].ask("POST", "/api/v1/household/erase", {"confirm": "Home"})
            self.assertEqual((answer.status, answer.json()["type"].rpartition(":")[2]), (403, "owner"))

    def test_what_is_listed_and_what_is_refused_at_the_invitation(self):
        rows = {u["name"]: u for u in self.hub.cli("user", "list")["users"]}
        self.assertEqual(rows["the-adult"]["role"], "adult")
        self.assertIsNone(rows["the-child"]["expires_ms"])
        self.assertAlmostEqual(rows["the-guest"]["expires_ms"] - rows["the-guest"]["created_ms"], 7 * 86400 * 1000, delta=1000)
        for words in (("lodger",), ("owner",), ("adult", "--days", "3"), ("guest", "--days", "0"), ("child", "--household", "none")):
            with self.subTest(words), self.assertRaises(lab.LabError):
                self.hub.cli("user", "invite", *words)
        self.assertEqual(self.people["guest"].must("GET", "/api/v1/me")["user"]["role"], "guest")


if __name__ == "__main__":
    unittest.main()
