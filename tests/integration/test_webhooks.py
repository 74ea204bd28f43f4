"""Webhooks as a receiver sees them: signed, once for each id, to no address that was not meant."""

import base64
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import queue
import signal
import ssl
import tempfile
import threading
import unittest

import case
import lab


class Receiver:
    """An HTTPS server that keeps what it is sent and answers with the next status of its script, then 204."""

    def __init__(self, certificate, key):
        receiver = self
        self.got = queue.Queue()
        self.script = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.script.pop(0) if receiver.script else 204
                receiver.got.put((self.path, dict(self.headers.items()), body, status))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"https://localhost:{receiver.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def server_certificate(folder):
    """A certificate for localhost that is its own authority."""
    certificate, key = folder / "receiver.pem", folder / "receiver.key"
    case.Forge.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
                   "-subj", "/CN=receiver", "-days", "30", "-addext", "subjectAltName=DNS:localhost")
    return certificate, key


class Webhooks(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="porchlight-webhooks-")
        self.addCleanup(scratch.cleanup)
        certificate, key = server_certificate(pathlib.Path(scratch.name))
        self.receiver = Receiver(certificate, key)
        self.addCleanup(self.receiver.close)
        self.hub = lab.Hub()
        self.addCleanup(self.hub.remove)
        self.hub.init()
        self.hub.set(courier_allow=f"localhost:{self.receiver.port}", courier_ca_file=certificate, notify_retry_first_ms=100)
        self.hub.start()

    def webhook(self, path="/porch", host="localhost"):
        made = self.hub.cli("webhook", "add", f"https://{host}:{self.receiver.port}{path}")
        return base64.b64decode(made["secret"].removeprefix("whsec_"))

    def verified(self, secret, seconds=120):
        """The next request: (path, headers, body as JSON, status answered), its signature checked."""
        path, headers, body, status = self.receiver.got.get(timeout=seconds)
        headers = {name.lower(): value for name, value in headers.items()}
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
        self.assertIn(expected, headers["webhook-signature"].split())
        return path, headers, json.loads(body), status

    def listed(self):
        return self.hub.cli("webhook", "list")["webhooks"]

    def camera(self):
        camera = lab.Camera(self.hub.device("front-door"), lab.videos() / "vtest.avi")
        self.addCleanup(camera.stop)
        return camera

    def test_a_person_reaches_the_receiver_signed_and_again_until_it_is_taken(self):
        secret = self.webhook()
        self.receiver.script = [500, 302]
        self.camera()
        tries = [self.verified(secret) for _ in range(3)]
        self.assertEqual([status for *_, status in tries], [500, 302, 204])
        self.assertEqual({path for path, *_ in tries}, {"/porch"}, "no redirect is followed")
        self.assertEqual(len({headers["webhook-id"] for _, headers, *_ in tries}), 1)
        data = tries[-1][2]["data"]
        self.assertEqual((data["device"], data["product"], data["household"]), ("front-door", "camera", "home"))
        self.assertTrue(data["why"])
        self.assertEqual(len(data["box"]), 4)
        self.assertTrue(data["picture"].startswith(f"https://localhost:{self.hub.ports['https']}/api/v1/events/"))
        self.assertIn("motion_at_ms", data["trace"])

    def test_a_private_address_is_reached_only_when_it_is_allowed(self):
        self.webhook(host="127.0.0.1")
        self.camera()
        line = self.hub.log.wait_for(lambda text: "notify.webhook" in text and "not public" in text, 120)
        self.assertIsNotNone(line, self.hub.log.text()[-2000:])
        self.assertTrue(self.receiver.got.empty())

    def test_a_courier_killed_at_work_delivers_the_same_id_after_its_return(self):
        secret = self.webhook()
        self.receiver.script = [503] * 3
        self.camera()
        first = self.verified(secret)[1]["webhook-id"]
        os.kill(self.hub.children()["courier"], signal.SIGKILL)
        self.assertIsNotNone(self.hub.log.wait_for(lambda text: "helper.restarted" in text and "role=courier" in text, 30))
        answers = {first: [503]}
        while 204 not in answers[first]:
            _, headers, _, status = self.verified(secret)
            answers.setdefault(headers["webhook-id"], []).append(status)
        for statuses in answers.values():
            self.assertLessEqual(statuses.count(204), 1, "taken once, sent no more")

    def test_webhooks_are_listed_and_removed(self):
        self.webhook()
        (row,) = self.listed()
        self.assertEqual(row["url"], f"https://localhost:{self.receiver.port}/porch")
        self.assertNotIn("secret", row)
        self.hub.cli("webhook", "remove", row["id"])
        self.assertEqual(self.listed(), [])
        code, _, error = self.hub.cli("webhook", "add", "http://localhost/", check=False)
        self.assertEqual(code, 2)
        self.assertIn("https", error)


if __name__ == "__main__":
    unittest.main()
