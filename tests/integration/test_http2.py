"""HTTP/2 on the people's and the devices' door: clients that we did not write, and frames that no client writes."""

import json
import socket
import ssl
import struct
import subprocess
import time
import unittest

import case
import lab

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
PROTOCOL_ERROR, CALM = 1, 11
END_STREAM, END_HEADERS = 1, 4
# :method GET, :scheme https, :path /, :authority localhost
GET = b"\x82\x87\x84\x01\x09localhost"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


class Http2(case.HubCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.person = cls.hub.person().become_owner("robin")

    def curl(self, *words, port="https"):
        """(version, status, body) as curl tells them."""
        ca = self.hub.file("tls", "web-ca.pem") if port == "https" else self.hub.file("tls", "device-root.pem")
        done = subprocess.run(["curl", "-sS", "--cacert", str(ca), "-w", "\n%{http_version} %{http_code}", *words[:-1],
                               f"https://localhost:{self.hub.ports[port]}{words[-1]}"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        body, _, last = done.stdout.rpartition("\n")
        version, status = last.split()
        return version, int(status), body

    def connect(self, offers=("h2",)):
        context = ssl.create_default_context(cafile=str(self.hub.file("tls", "web-ca.pem")))
        context.set_alpn_protocols(list(offers))
        raw = socket.create_connection(("127.0.0.1", self.hub.ports["https"]), timeout=30)
        return context.wrap_socket(raw, server_hostname="localhost")

    def goaway(self, *frames):
        """The code of the GOAWAY that ends a connection on which these frames were sent."""
        with self.connect() as tls:
            code = None
            data = b""
            try:
                tls.sendall(PREFACE + frame(SETTINGS))
                for one in frames:
                    tls.sendall(one)
            except OSError:
                pass  # it may have been closed while we still send
            try:
                while piece := tls.recv(65536):
                    data += piece
            except OSError:
                pass
        while len(data) >= 9:
            length = int.from_bytes(data[:3], "big")
            if data[3] == GOAWAY:
                code = int.from_bytes(data[13:17], "big")
            data = data[9 + length:]
        return code

    def test_curl_speaks_either_version_on_either_door(self):
        for port in ("https", "device"):
            for option, version in (("--http2", "2"), ("--http1.1", "1.1")):
                with self.subTest(port=port, version=version):
                    got, status, body = self.curl(option, "/nowhere-at-all", port=port)
                    self.assertEqual((got, status), (version, 404))
                    self.assertEqual(json.loads(body)["type"], "urn:porchlight:problem:not-found")
        self.assertEqual(self.curl("--http2", "/")[:2], ("2", 200))
        self.assertEqual(self.curl("--http2", "-H", "Sec-Fetch-Site: cross-site", "-X", "POST", "-d", "{}", "/api/v1/login")[1], 403)

    def test_nghttp_fetches_the_app_on_one_connection(self):
        done = subprocess.run(["nghttp", "-nas", f"https://localhost:{self.hub.ports['https']}/"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.split() for line in done.stdout.splitlines() if line.strip() and line.strip()[0].isdigit()]
        self.assertGreaterEqual(len(rows), 3, done.stdout)
        self.assertTrue(all(row[4] in ("200", "304") for row in rows), done.stdout)

    def test_the_live_stream_stands_beside_a_request(self):
        cookie = self.person.cookie
        url = f"https://localhost:{self.hub.ports['https']}"
        ca = str(self.hub.file("tls", "web-ca.pem"))
        live = subprocess.Popen(["curl", "-sSN", "--http2", "--cacert", ca, "-H", f"Cookie: {cookie}", "-D", "-", url + "/api/v1/events/stream"],
                                stdout=subprocess.PIPE)
        try:
            self.assertTrue(live.stdout.readline().startswith(b"HTTP/2 200"))
            version, status, body = self.curl("--http2", "-H", f"Cookie: {cookie}", "/api/v1/me")
            self.assertEqual((version, status), ("2", 200))
            self.assertEqual(json.loads(body)["user"]["name"], "robin")
        finally:
            live.kill()
            live.wait()
            live.stdout.close()

    def test_floods_end_with_the_right_code_and_one_line(self):
        get = lambda stream: frame(HEADERS, END_STREAM | END_HEADERS, stream, GET)  # noqa: E731
        reset = lambda stream: frame(RST_STREAM, 0, stream, struct.pack(">I", 8))  # noqa: E731
        rows = [
            ("http2.resets", [get(n) + reset(n) for n in range(1, 600, 2)]),
            ("http2.settings", [frame(SETTINGS) * 100]),
            ("http2.pings", [frame(PING, payload=bytes(8)) * 200]),
            ("http2.priorities", [frame(PRIORITY, 0, 1, b"\0\0\0\0\x01") * 1000]),
            ("http2.window_updates", [frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\x01") * 2000]),
            ("http2.empty_frames", [frame(0xbb, payload=b"x") * 1000]),
            ("http2.continuations", [frame(HEADERS, END_STREAM, 1, GET), frame(CONTINUATION, 0, 1) * 1000]),
        ]
        for setting, frames in rows:
            with self.subTest(setting=setting):
                start = len(self.hub.log.all)
                self.assertEqual(self.goaway(*frames), CALM)
                self.logged("http2.closed", setting, "ENHANCE_YOUR_CALM")
                self.assertEqual(self.curl("--http2", "/")[1], 200)
                lines = [line for line in self.hub.log.all[start:] if "http2.closed" in line]
                self.assertEqual(len(lines), 1, lines)

    def test_broken_frames_end_with_the_code_of_the_standard(self):
        rows = [
            (PROTOCOL_ERROR, [frame(HEADERS, END_STREAM | END_HEADERS, 2, GET)]),  # even stream
            (PROTOCOL_ERROR, [frame(DATA, 0, 0, b"x")]),
            (PROTOCOL_ERROR, [frame(HEADERS, 0, 1, GET), frame(PING, payload=bytes(8))]),  # inside a header block
            (6, [frame(PING, payload=b"short")]),
            (6, [frame(DATA, 0, 1, bytes(20000))]),  # above SETTINGS_MAX_FRAME_SIZE
            (9, [frame(HEADERS, END_STREAM | END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff\xff")]),  # COMPRESSION_ERROR
            (3, [frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff")]),  # FLOW_CONTROL_ERROR
        ]
        for code, frames in rows:
            with self.subTest(code=code, frame=frames[0][:12]):
                self.log_start = len(self.hub.log.all)
                self.assertEqual(self.goaway(*frames), code)
                self.logged("http2.closed")


class Impatient(case.HubCase):
    settings = {"http_idle_ms": 500, "http_head_ms": 500, "http_write_ms": 500, "http2_stalls": 2}
    connect, goaway = Http2.connect, Http2.goaway

    def test_idle_ends_without_blame(self):
        self.assertEqual(self.goaway(), 0)

    def test_a_head_that_never_ends_is_refused(self):
        self.assertEqual(self.goaway(frame(HEADERS, END_STREAM, 1, GET)), CALM)
        self.logged("http2.closed", "http.head_ms")

    def test_answers_that_nobody_takes_are_refused(self):
        no_window = frame(SETTINGS, payload=struct.pack(">HI", 4, 0))
        asks = b"".join(frame(HEADERS, END_STREAM | END_HEADERS, n, GET) for n in range(1, 9, 2))
        self.assertEqual(self.goaway(no_window, asks), CALM)
        self.logged("http.write_ms")
        self.logged("http2.closed", "http2.stalls")


class Crowded(case.HubCase):
    """Streams of one connection are requests like any other: their limit is the sign-in's, not the connection's."""
    settings = {"http_open_per_session": 2}

    def lines(self, cookie, *paths, at_once=1):
        """The errors of a curl with all paths at once over one connection: a line for each answer's end, written when it ends."""
        ca = str(self.hub.file("tls", "web-ca.pem"))
        urls = [f"https://localhost:{self.hub.ports['https']}{path}" for path in paths]
        curl = subprocess.Popen(["curl", "-N", "--http2", "--max-time", "60", "--no-progress-meter", "--parallel", "--parallel-max", str(at_once),
                                 "--cacert", ca, "-H", f"Cookie: {cookie}", *["-o", "/dev/null"] * len(urls),
                                 "-w", "%{stderr}%{http_version} %{http_code} %header{retry-after}\n", *urls],
                                stderr=subprocess.PIPE, text=True)
        self.addCleanup(curl.stderr.close)
        self.addCleanup(curl.wait)
        self.addCleanup(curl.kill)
        return curl

    def test_streams_past_the_limit_are_refused_and_others_go_on(self):
        robin = self.hub.person().become_owner("robin")
        live = "/api/v1/events/stream"
        crowd = self.lines(robin.cookie, live, live, live, at_once=3)
        self.assertRegex(crowd.stderr.readline(), r"^2 503 \d+$")
        self.logged("http.refused", "http.open_per_session")
        self.assertIsNone(crowd.poll())  # the two within the limit live on
        self.assertEqual(self.lines(robin.cookie, "/api/v1/me").stderr.readline()[:5], "2 503")
        self.assertEqual(self.lines("", "/").stderr.readline()[:5], "2 200")
        crowd.kill()
        crowd.wait()
        while (line := self.lines(robin.cookie, "/api/v1/me").stderr.readline())[:5] == "2 503":
            pass  # until the hub has seen the connection end
        self.assertEqual(line[:5], "2 200")


if __name__ == "__main__":
    unittest.main()
