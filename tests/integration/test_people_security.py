"""Recovery codes at the people's door: each signs in once, wrong ones look like wrong codes, new ones end the old."""

import unittest

import case
import lab


class Recovery(case.HubCase):
    settings = {"people_free_attempts_account": 1000, "people_free_attempts_address": 10000}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.owner = cls.hub.person().become_owner("robin")

    def login(self, **changes):
        person = self.hub.person()
        data = {"name": "robin", "password": lab.Person.PASSWORD, "code": "000000", **changes}
        return person, person.ask("POST", "/api/v1/login", data)

    def test_1_a_code_signs_in_once(self):
        before = self.owner.must("GET", "/api/v1/recovery-codes")["left"]
        person, answer = self.login(code=self.owner.recovery[0])
        self.assertEqual(answer.status, 200)
        self.assertEqual(person.must("GET", "/api/v1/me")["user"]["name"], "robin")
        self.logged("login.accepted", "recovery code")
        self.assertEqual(self.owner.must("GET", "/api/v1/recovery-codes")["left"], before - 1)
        _, again = self.login(code=self.owner.recovery[0])
        _, wrong = self.login()
        self.assertEqual((again.status, again.body), (401, wrong.body))
        self.logged("login.refused", "spent recovery code")

    def test_2_new_ones_want_password_and_code_and_end_the_old(self):
        for wrong in ({"password": "x", "code": self.owner.recovery[1]}, {"password": lab.Person.PASSWORD, "code": "000000"}):
            answer = self.owner.ask("POST", "/api/v1/recovery-codes", wrong)
            self.assertEqual(answer.status, 403)
            self.assertIn("step-up", answer.json()["type"])
        self.logged("step-up.refused", "recovery-codes")
        self.assertEqual(self.hub.person().ask("POST", "/api/v1/recovery-codes", {"password": "x", "code": "1"}).status, 401)
        fresh = self.owner.must("POST", "/api/v1/recovery-codes", {"password": lab.Person.PASSWORD, "code": self.owner.next_code()})
        self.assertEqual(len(set(fresh["recovery_codes"])), 10)
        self.assertEqual(self.login(code=self.owner.recovery[2])[1].status, 401)
        self.assertEqual(self.login(code=fresh["recovery_codes"][0])[1].status, 200)
        self.logged("recovery.renewed", "robin")


if __name__ == "__main__":
    unittest.main()
