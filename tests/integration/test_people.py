"""The people's door: setup, sign-in with a second factor, sessions, and what a browser must not be tricked into."""

import socket
import ssl
import unittest
import urllib.parse

import case
import lab

CSP = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; connect-src 'self'; "
       "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
       "require-trusted-types-for 'script'; trusted-types porchlight-sw")


class People(case.HubCase):
    # generous, so that the many wrong attempts of these tests are judged; throttling has its own hub below
    settings = {"people_free_attempts_account": 1000, "people_free_attempts_address": 10000}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.owner = cls.hub.person().become_owner("robin")

    def refused_login(self, **changes):
        """The answer to a login in which some fields are wrong; uses no good code unless told to."""
        stranger = self.hub.person()
        data = {"name": "robin", "password": lab.Person.PASSWORD, "code": "000000", **changes}
        return stranger, stranger.ask("POST", "/api/v1/login", data)

    def test_every_wrong_login_is_answered_alike(self):
        wrong = [{}, {"password": "wrong"}, {"name": "nobody"}, {"name": "nobody", "password": "x"}, {"code": "abcdef"}]
        answers = [self.refused_login(**changes)[1] for changes in wrong]
        for answer in answers:
            self.assertEqual(answer.status, 401)
            self.assertEqual(answer.body, answers[0].body)
            self.assertIsNone(answer.headers["Set-Cookie"])
        self.logged("login", "robin")
        self.logged("login.refused", "name=-", "unknown name")  # it may be a password in the wrong field

    def test_a_code_is_accepted_once(self):
        first = self.hub.person()
        first.name, first.secret, first._last_step = self.owner.name, self.owner.secret, self.owner._last_step
        code = first.next_code()
        self.owner._last_step = first._last_step
        good = {"name": "robin", "password": lab.Person.PASSWORD, "code": code}
        self.assertEqual(first.ask("POST", "/api/v1/login", good).status, 200)  # one step ahead is allowed
        again = self.hub.person().ask("POST", "/api/v1/login", good)
        self.assertEqual(again.status, 401)
        self.logged("login", "used")
        self.assertEqual(first.must("GET", "/api/v1/me")["user"]["name"], "robin")
        self.assertEqual(first.ask("POST", "/api/v1/logout", {}).status, 204)
        self.assertEqual(first.ask("GET", "/api/v1/me").status, 401)

    def test_the_cookie_is_bound_to_this_host_and_hidden_from_scripts(self):
        fresh = lab.Hub()
        self.addCleanup(fresh.remove)
        fresh.init()
        fresh.start()
        token = urllib.parse.urlparse(fresh.cli("setup-link")["url"]).fragment
        person = fresh.person()
        made = person.must("POST", "/api/v1/setup", {"token": token, "name": "kim", "password": lab.Person.PASSWORD})
        answer = person.ask("POST", "/api/v1/setup/confirm", {"token": token, "code": lab.totp(made["totp_secret"])})
        cookie = answer.headers["Set-Cookie"]
        self.assertTrue(cookie.startswith("__Host-porchlight="), cookie)
        for word in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
            self.assertIn(word, cookie)
        self.assertNotIn("Domain", cookie)
        # the link is spent, and no further one is issued
        again = fresh.person().ask("POST", "/api/v1/setup", {"token": token, "name": "eve", "password": lab.Person.PASSWORD})
        self.assertEqual(again.status, 401)
        code, _, error = fresh.cli("setup-link", check=False)
        self.assertEqual(code, 1)
        self.assertIn("owner", error)

    def test_an_expired_setup_link_is_refused(self):
        fresh = lab.Hub()
        self.addCleanup(fresh.remove)
        fresh.init()
        fresh.set(people_setup_life_s=1)
        fresh.start()
        token = urllib.parse.urlparse(fresh.cli("setup-link")["url"]).fragment
        fresh.log.wait_for(lambda text: False, 2)  # the link's whole life passes
        answer = fresh.person().ask("POST", "/api/v1/setup", {"token": token, "name": "kim", "password": lab.Person.PASSWORD})
        self.assertIn(answer.status, (401, 410))
        self.assertIn("expired", answer.json()["type"])
        self.assertIsNotNone(fresh.log.wait_for(lambda text: "setup" in text and "expired" in text.lower(), 20))

    def test_weak_passwords_are_refused_with_tips(self):
        for password, missing in (("Short-1x", "long_enough"), ("no-capital-letters-here-77", "capital"),
                                  ("NoSymbolsInThisOneAtAll77", "symbol"), ("Password-1234", "strong"), ("Robin-robin-robin", "strong")):
            advice = self.owner.must("POST", "/api/v1/password-check", {"password": password, "name": "robin"})
            self.assertFalse(advice["ok"], password)
            self.assertFalse(advice[missing], password)
            self.assertTrue(advice["tips"], password)
        self.assertTrue(self.owner.must("POST", "/api/v1/password-check", {"password": lab.Person.PASSWORD, "name": "robin"})["ok"])

    def test_other_origins_change_nothing(self):
        for origin in (None, "https://evil.example", "null", f"http://localhost:{self.hub.ports['https']}",
                       f"https://localhost:{self.hub.ports['device']}", f"https://localhost:{self.hub.ports['https']}.evil.example"):
            headers = {} if origin is None else {"Origin": origin}
            answer = self.owner.ask("POST", "/api/v1/logout", {}, headers, origin=False)
            self.assertEqual(answer.status, 403, origin)
        self.assertEqual(self.owner.ask("GET", "/api/v1/me").status, 200)
        for site in ("cross-site", "same-site"):
            answer = self.owner.ask("GET", "/api/v1/events/stream", headers={"Sec-Fetch-Site": site})
            self.assertEqual(answer.status, 403)
        self.logged("origin")

    def test_every_page_carries_the_policy_and_the_other_guards(self):
        for path in ("/", "/devices", "/api/v1/me", "/nothing.js", "/healthz"):
            answer = self.owner.ask("GET", path, headers={"Accept": "text/html"})
            self.assertEqual(answer.headers["Content-Security-Policy"], CSP, path)
            self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
            self.assertIsNone(answer.headers["Strict-Transport-Security"], "HSTS would bind every port of a private name")

    def test_the_app_is_served_compressed_and_its_parts_for_ever(self):
        page = self.owner.ask("GET", "/", headers={"Accept": "text/html"})
        self.assertEqual(page.status, 200)
        self.assertIn("no-cache", page.headers["Cache-Control"])
        script = page.body.decode().split('src="', 1)[1].split('"', 1)[0]
        packed = self.owner.ask("GET", script, headers={"Accept-Encoding": "br, gzip"})
        self.assertEqual(packed.headers["Content-Encoding"], "br")
        self.assertIn("immutable", packed.headers["Cache-Control"])
        plain = self.owner.ask("GET", script, headers={"Accept-Encoding": "identity"})
        self.assertIsNone(plain.headers["Content-Encoding"])
        self.assertGreater(len(plain.body), len(packed.body))
        self.assertIn(self.owner.ask("GET", "/assets/../../hub.conf").status, (400, 404))

    def test_nobody_reads_without_signing_in(self):
        stranger = self.hub.person()
        for path in ("/api/v1/me", "/api/v1/events", "/api/v1/events/stream", "/api/v1/devices", "/api/v1/clips/" + "0" * 32,
                     "/api/v1/events/" + "0" * 32, "/api/v1/events/" + "0" * 32 + "/picture"):
            self.assertEqual(stranger.ask("GET", path).status, 401, path)
        stranger.cookie = "__Host-porchlight=" + "A" * 43
        self.assertEqual(stranger.ask("GET", "/api/v1/me").status, 401)

    def test_bad_bodies_get_a_clear_problem(self):
        for body in (b"", b"{", b"[]", b'"x"', b'{"name":1,"password":2,"code":3}', b"\xff", b'{"name":"a","name":"b"}', b"{}" + b" " * 70000):
            port = self.hub.ports["https"]
            answer = lab.request(port, self.hub.people_tls(), "POST", "/api/v1/login", body,
                                 {"Origin": f"https://localhost:{port}", "Content-Type": "application/json"})
            self.assertIn(answer.status, (400, 413), body[:40])
            self.assertEqual(answer.headers["Content-Type"], "application/problem+json")

    def raw_http(self, raw):
        with socket.create_connection(("127.0.0.1", self.hub.ports["https"]), timeout=20) as plain:
            with self.hub.people_tls().wrap_socket(plain, server_hostname="localhost") as tls:
                tls.sendall(raw)
                answer = b""
                try:
                    while piece := tls.recv(65536):
                        answer += piece
                except (ConnectionError, ssl.SSLError):
                    pass
                return answer

    def test_smuggling_shapes_are_refused(self):
        host = b"Host: localhost\r\n"
        shapes = [
            b"POST /api/v1/login HTTP/1.1\r\n" + host + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST /api/v1/login HTTP/1.1\r\n" + host + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
            b"GET / HTTP/1.1\r\n" + host + b"X: a\r\n b\r\n\r\n",
            b"GET / HTTP/1.1\n" + b"Host: localhost\n\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + host + host + b"\r\n",
            b"GET  / HTTP/1.1\r\n" + host + b"\r\n",
            b"GET / HTTP/1.1\r\n" + host + b"X : y\r\n\r\n",
            b"POST /api/v1/login HTTP/1.1\r\n" + host + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            b"POST /api/v1/login HTTP/1.1\r\n" + host + b"Content-Length: +4\r\n\r\nabcd",
        ]
        for raw in shapes:
            with self.subTest(raw[:60]):
                answer = self.raw_http(raw)
                self.assertRegex(answer, rb"^HTTP/1\.1 (400|501|505) ")
                self.assertEqual(answer.count(b"HTTP/1.1 "), 1)

    def test_huge_heads_are_refused(self):
        answer = self.raw_http(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"y" * 100000 + b"\r\n\r\n")
        self.assertRegex(answer, rb"^HTTP/1\.1 431 ")


class Loosened(case.HubCase):
    settings = {"hub_tls_12": "true", "courier_allow": "127.0.0.1:9"}

    def test_a_switch_that_loosens_a_guard_is_told_at_every_start(self):
        for setting in ("hub.tls_12", "courier.allow"):
            self.assertIsNotNone(self.hub.log.wait_for(lambda text: "hub.loosened" in text and setting in text, 20), setting)
        context = self.hub.people_tls()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.assertEqual(lab.request(self.hub.ports["https"], context, "GET", "/healthz").status, 200)


class Throttle(case.HubCase):
    def test_guessing_gets_slower(self):
        owner = self.hub.person().become_owner("robin")
        statuses = []
        for _ in range(30):
            answer = self.hub.person().ask("POST", "/api/v1/login", {"name": "robin", "password": "wrong", "code": "000000"})
            statuses.append(answer.status)
            if answer.status == 429:
                self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
                break
        self.assertEqual(statuses[-1], 429, statuses)
        self.assertEqual(owner.ask("GET", "/api/v1/me").status, 200, "who is signed in stays so")
        self.logged("login", "robin")


class ManagedByTheOperator(case.HubCase):
    def test_a_lost_second_factor_is_reset_by_the_operator(self):
        owner = self.hub.person().become_owner("robin")
        answer = self.hub.cli("user", "reset", "robin")
        self.assertEqual(owner.ask("GET", "/api/v1/me").status, 401)
        token = urllib.parse.urlparse(answer["url"]).fragment
        made = owner.must("POST", "/api/v1/setup", {"token": token, "name": "robin", "password": lab.Person.PASSWORD + "!"})
        owner.cookie = None
        owner.secret, owner._last_step = made["totp_secret"], None
        owner.must("POST", "/api/v1/setup/confirm", {"token": token, "code": owner.next_code()})
        self.assertEqual(owner.must("GET", "/api/v1/me")["user"]["role"], "owner")
        self.logged("reset", "robin")

    def test_the_command_line_explains_itself(self):
        for words, code in ((["device", "list"], 0), (["device", "show", "nothing"], 1), (["devise", "list"], 2), (["device", "add"], 2),
                            (["device", "add", "Bad Name", "--product", "camera", "--out", str(self.hub.top / "x")], 1)):
            got, _, error = self.hub.cli(*words, check=False)
            self.assertEqual(got, code, (words, error))
            if code:
                self.assertTrue(error.strip(), words)
        _, _, error = self.hub.cli("devise", "list", check=False)
        self.assertIn("device", error)


if __name__ == "__main__":
    unittest.main()
