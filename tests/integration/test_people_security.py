"""A person's own account at the people's door: recovery codes, sign-ins and their ends, a changed password, alerts."""

import concurrent.futures
import unittest

import case
import lab

PHONE = ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
         "Version/17.5 Mobile/15E148 Safari/604.1")


class AccountCase(case.HubCase):
    # generous, so that the wrong attempts of these tests are judged; throttling has hubs of its own
    settings = {"people_free_attempts_account": 1000, "people_free_attempts_address": 10000, "signer_totp_free_tries": 1000}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.owner = cls.hub.person().become_owner("robin")
        cls.codes = iter(cls.owner.recovery)

    def login(self, agent=None, **changes):
        """Another browser of robin's; signs in with a recovery code unless told otherwise: those need no waiting."""
        person = self.hub.person()
        data = {"name": "robin", "password": lab.Person.PASSWORD, **changes}
        if "code" not in data:
            data["code"] = next(self.codes)
        return person, person.ask("POST", "/api/v1/login", data, {"User-Agent": agent} if agent else None)


class Recovery(AccountCase):
    def test_1_a_code_signs_in_once(self):
        before = self.owner.must("GET", "/api/v1/recovery-codes")["left"]
        code = next(self.codes)
        person, answer = self.login(code=code)
        self.assertEqual(answer.status, 200)
        self.assertEqual(person.must("GET", "/api/v1/me")["user"]["name"], "robin")
        self.logged("login.accepted", "recovery code")
        self.assertEqual(self.owner.must("GET", "/api/v1/recovery-codes")["left"], before - 1)
        _, again = self.login(code=code)
        _, wrong = self.login(code="000000")
        self.assertEqual((again.status, again.body), (401, wrong.body))
        self.logged("login.refused", "spent recovery code")

    def test_2_new_ones_want_password_and_code_and_end_the_old(self):
        # who came in with a recovery code makes no further ones, however fresh it is
        person, _ = self.login()
        answer = person.ask("POST", "/api/v1/recovery-codes", {"password": lab.Person.PASSWORD})
        self.assertEqual((answer.status, answer.json()["type"]), (403, "urn:porchlight:problem:step-up-app"))
        self.assertEqual(person.ask("POST", "/api/v1/step-up", {"code": "000000"}).status, 403)
        self.logged("step-up.refused", "robin")
        person.must("POST", "/api/v1/step-up", {"code": self.owner.next_code()})
        answer = person.ask("POST", "/api/v1/recovery-codes", {"password": "x"})
        self.assertEqual((answer.status, answer.json()["type"]), (403, "urn:porchlight:problem:wrong-password"))
        self.logged("password.refused", "recovery-codes")
        self.assertEqual(self.hub.person().ask("POST", "/api/v1/recovery-codes", {"password": "x"}).status, 401)
        old = next(self.codes)
        fresh = person.must("POST", "/api/v1/recovery-codes", {"password": lab.Person.PASSWORD})["recovery_codes"]
        self.assertEqual(len(set(fresh)), 10)
        self.assertEqual(self.login(code=old)[1].status, 401)
        self.assertEqual(self.login(code=fresh[0])[1].status, 200)
        self.logged("recovery.renewed", "robin")


class Sessions(AccountCase):
    def sessions(self, person):
        return person.must("GET", "/api/v1/sessions")["sessions"]

    def test_1_a_person_sees_the_own_sign_ins_and_ends_one_or_all_others(self):
        phone, answer = self.login(agent=PHONE, installed="yes")
        self.assertIn("Max-Age=2592000", answer.headers["Set-Cookie"])
        tablet, answer = self.login(agent="<script>alert(1)</script>")
        self.assertIn("Max-Age=86400", answer.headers["Set-Cookie"])
        rows = {row["id"]: row for row in self.sessions(self.owner)}
        self.assertEqual(len(rows), 3)
        self.assertEqual([row["own"] for row in rows.values()].count(True), 1)
        on_phone = next(row for row in self.sessions(phone) if row["own"])
        self.assertEqual(rows[on_phone["id"]]["agent"], "Safari on iPhone")
        self.assertEqual((on_phone["address"], on_phone["installed"]), ("127.0.0.1", True))
        self.assertEqual(on_phone["expires_ms"] - on_phone["created_ms"], 30 * 86400 * 1000)
        on_tablet = next(row for row in self.sessions(tablet) if row["own"])
        self.assertEqual(on_tablet["agent"], "an unknown program", "nothing of a foreign header is kept")
        self.assertEqual(on_tablet["expires_ms"] - on_tablet["created_ms"], 86400 * 1000)
        # one, and its live stream with it
        stream = phone.stream()
        self.addCleanup(stream.close)
        self.assertEqual(self.owner.ask("DELETE", f"/api/v1/sessions/{on_phone['id']}").status, 204)
        self.assertEqual(phone.ask("GET", "/api/v1/me").status, 401)
        self.assertIsNone(stream.next("nothing", 30), "the stream ends with the sign-in")
        self.assertEqual(self.owner.ask("DELETE", f"/api/v1/sessions/{on_phone['id']}").status, 404)
        self.logged("session.ended", "robin")
        # all others; not from another page
        self.assertEqual(self.owner.ask("DELETE", "/api/v1/sessions", origin=False).status, 403)
        self.assertEqual(self.owner.must("DELETE", "/api/v1/sessions"), {"ended": 1})
        self.assertEqual(tablet.ask("GET", "/api/v1/me").status, 401)
        self.assertEqual(len(self.sessions(self.owner)), 1)

    def test_2_signing_in_again_in_one_browser_leaves_no_orphan(self):
        person, _ = self.login()
        old = person.cookie
        self.assertEqual(person.ask("POST", "/api/v1/login", {"name": "robin", "password": lab.Person.PASSWORD,
                                                              "code": next(self.codes)}).status, 200)
        self.assertNotEqual(person.cookie, old, "a sign-in takes no token that was there before it")
        stale = self.hub.person()
        stale.cookie = old
        self.assertEqual(stale.ask("GET", "/api/v1/me").status, 401)

    def test_3_one_code_that_many_send_at_once_signs_one_of_them_in(self):
        for code in (self.owner.next_code(), next(self.codes)):
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda _: self.login(code=code)[1].status, range(8)))
            self.assertEqual(sorted(set(answers) - {503}), [200, 401], answers)
            self.assertEqual(answers.count(200), 1, answers)

    def test_4_a_changed_password_ends_every_other_sign_in_and_every_copy_of_this_one(self):
        other, _ = self.login()
        copy = self.hub.person()
        copy.cookie = self.owner.cookie
        new = "Pond-frog-Ladder-sings-9-maps"
        change = {"password": lab.Person.PASSWORD, "new_password": new}
        wrong = self.owner.ask("POST", "/api/v1/password", {**change, "password": "x"})
        self.assertEqual((wrong.status, wrong.json()["type"]), (403, "urn:porchlight:problem:wrong-password"))
        weak = self.owner.ask("POST", "/api/v1/password", {**change, "new_password": "Robin-robin-robin"})
        self.assertEqual((weak.status, weak.json()["type"]), (422, "urn:porchlight:problem:weak-password"))
        self.assertEqual(self.owner.ask("POST", "/api/v1/password", change, origin=False).status, 403)
        answer = self.owner.ask("POST", "/api/v1/password", change)
        self.assertEqual(answer.status, 200)
        self.assertGreaterEqual(answer.json()["ended"], 1)
        for word in ("__Host-porchlight=", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
            self.assertIn(word, answer.headers["Set-Cookie"])
        self.assertEqual(other.ask("GET", "/api/v1/me").status, 401)
        self.assertEqual(copy.ask("GET", "/api/v1/me").status, 401)
        self.assertEqual(self.owner.ask("GET", "/api/v1/me").status, 200)
        self.assertEqual(self.login()[1].status, 401)
        self.assertEqual(self.login(password=new)[1].status, 200)
        self.logged("password.changed", "robin")


class Alerts(AccountCase):
    def alerts(self, person):
        return person.must("GET", "/api/v1/alerts")["alerts"]

    def test_a_sign_in_and_a_half_finished_one_reach_the_other_pages_once(self):
        stream = self.owner.stream()
        self.addCleanup(stream.close)
        thief, answer = self.login(agent=PHONE)
        self.assertEqual(answer.status, 200)
        news, _, _ = stream.next("alert", 30)
        (first,) = self.alerts(self.owner)
        self.assertEqual(news["alert"], first)
        self.assertEqual((first["kind"], first["agent"], first["address"]), ("sign-in", "Safari on iPhone", "127.0.0.1"))
        self.assertEqual((first["own"], first["session_lives"], first["answer"]), (False, True, None))
        self.assertTrue(self.alerts(thief)[0]["own"])
        # the password, and no second factor: told once, counted after
        for code in ("000000", "AAAA-AAAA-AAAA-AAAA", "000001"):
            self.assertEqual(self.login(code=code)[1].status, 401)
        self.assertEqual(self.login(code="000000", password="wrong")[1].status, 401)
        news, _, _ = stream.next("alert", 30)
        self.assertEqual((news["alert"]["kind"], news["alert"]["count"]), ("half", 1))
        half = self.alerts(self.owner)[0]
        self.assertEqual((half["id"], half["count"], half["session_lives"]), (news["alert"]["id"], 3, False))
        # a thief must not wave the own alert away; the owner ends that sign-in with one touch
        refused = thief.ask("POST", f"/api/v1/alerts/{first['id']}", {"answer": "mine"})
        self.assertEqual((refused.status, refused.json()["type"]), (409, "urn:porchlight:problem:state"))
        self.assertEqual(self.owner.ask("POST", f"/api/v1/alerts/{first['id']}", {"answer": "mine"}, origin=False).status, 403)
        self.assertEqual(self.owner.must("POST", f"/api/v1/alerts/{first['id']}", {"answer": "not-mine"}), {"ended": True})
        self.assertEqual(thief.ask("GET", "/api/v1/me").status, 401)
        self.assertEqual(self.owner.ask("POST", f"/api/v1/alerts/{first['id']}", {"answer": "mine"}).status, 409)
        self.assertEqual(self.owner.ask("POST", f"/api/v1/alerts/{'0' * 32}", {"answer": "mine"}).status, 404)
        self.logged("alert.answered", "not mine")
        # nothing more was told
        self.assertEqual(self.owner.must("POST", f"/api/v1/alerts/{half['id']}", {"answer": "mine"}), {"ended": False})
        self.login()
        news, _, _ = stream.next("alert", 30)
        self.assertEqual(news["alert"]["kind"], "sign-in")


class Throttled(case.HubCase):
    def test_a_restart_of_the_hub_forgives_no_wrong_sign_in(self):
        self.hub.person().become_owner("robin")
        wrong = {"name": "robin", "password": "wrong", "code": "000000"}

        def try_once():
            return self.hub.person().ask("POST", "/api/v1/login", wrong)

        for _ in range(40):
            answer = try_once()
            if answer.status == 429 and int(answer.headers["Retry-After"]) >= 8:
                break
            if answer.status == 429:
                self.hub.log.wait_for(lambda text: False, int(answer.headers["Retry-After"]))  # its wait passes
        self.assertEqual(answer.status, 429)
        self.hub.stop()
        self.hub.start()
        self.assertEqual(try_once().status, 429)


if __name__ == "__main__":
    unittest.main()
