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


def marked():
    """(method, path) of each operation with x-step-up: true."""
    path = method = None
    for line in (lab.ROOT / "docs" / "openapi.yaml").read_text().splitlines():
        if found := re.match(r"  (/\S+):$", line):
            path = found[1]
        elif found := re.match(r"    (get|put|post|patch|delete):$", line):
            method = found[1].upper()
        elif re.match(r"      x-step-up: true$", line):
            yield method, path


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
        for method, path in marked():
            with self.subTest(f"{method} {path}"):
                body = BODIES.get(f"{method} {path}", {} if method in ("POST", "PUT", "PATCH") else None)
                answer = owner.ask(method, re.sub(r"\{[^}]*\}", "0" * 32, path), body)
                self.assertEqual(answer.status, 403, answer.body)
                self.assertEqual(answer.json()["type"], "urn:porchlight:problem:step-up")
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


if __name__ == "__main__":
    unittest.main()
