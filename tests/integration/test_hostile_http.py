"""Requests that no honest client sends, on both HTTP ports and in both versions: each has one expected answer, and what
follows a malformed request on the same connection is never answered (nothing is smuggled)."""

import gzip
import json
import re
import socket
import ssl
import struct
import unittest

import case

CRLF = b"\r\n"
STATUS = re.compile(rb"HTTP/1\.1 \d{3} ")
HOST = b"Host: localhost\r\n"
SECOND = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Second: 1\r\n\r\n"


def get(path=b"/healthz", *lines, version=b"HTTP/1.1", host=HOST):
    return b"GET " + path + b" " + version + CRLF + host + b"".join(line + CRLF for line in lines) + CRLF


def post(*lines, body=b"", path=b"/api/v1/login"):
    """From the hub's own page; PORT is put in when it is sent."""
    head = b"POST " + path + b" HTTP/1.1\r\nHost: localhost:PORT\r\nOrigin: https://localhost:PORT\r\nContent-Type: application/json\r\n"
    return head + b"".join(line + CRLF for line in lines) + CRLF + body


CHUNKED = b"Transfer-Encoding: chunked"

# What is malformed: the status, and then the end of the connection.
MALFORMED = [
    ("length and coding", post(b"Content-Length: 4", CHUNKED, body=b"0\r\n\r\n"), 400),
    ("coding and length", post(CHUNKED, b"Content-Length: 4", body=b"0\r\n\r\n"), 400),
    ("coding twice", post(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), 400),
    ("coding that is not ours", post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), 501),
    ("coding in a list", post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    ("coding hidden behind another", post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"), 501),
    ("coding with a parameter", post(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"), 501),
    ("coding with a quote", post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), 501),
    ("coding with a control byte", post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), 400),
    ("a blank before the colon", post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), 400),
    ("a tab before the colon", post(b"Content-Length\t: 4", body=b"abcd"), 400),
    ("a blank before the name", post(b" Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    ("a folded line", post(b"X: 1", b"\tTransfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    ("a folded value", post(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"), 400),
    ("coding in HTTP/1.0", b"POST /api/v1/login HTTP/1.0\r\n" + HOST + CHUNKED + CRLF * 2 + b"0\r\n\r\n", 400),
    ("length twice, the same", post(b"Content-Length: 2", b"Content-Length: 2", body=b"{}"), 400),
    ("length twice, different", post(b"Content-Length: 2", b"Content-Length: 4", body=b"{}ab"), 400),
    ("length as a list", post(b"Content-Length: 2, 2", body=b"{}"), 400),
    ("length with a sign", post(b"Content-Length: +2", body=b"{}"), 400),
    ("length below nothing", post(b"Content-Length: -2", body=b"{}"), 400),
    ("length in hexadecimal", post(b"Content-Length: 0x2", body=b"{}"), 400),
    ("length with a blank inside", post(b"Content-Length: 1 2", body=b"{}"), 400),
    ("length with a fraction", post(b"Content-Length: 2.0", body=b"{}"), 400),
    ("length beyond 64 bits", post(b"Content-Length: 18446744073709551618", body=b"{}"), 400),
    ("length that is empty", post(b"Content-Length:", body=b"{}"), 400),
    ("bare LF behind the start line", b"GET /healthz HTTP/1.1\nHost: localhost\r\n\r\n", 400),
    ("bare LF behind a header", b"GET /healthz HTTP/1.1\r\nHost: localhost\nX: 1\r\n\r\n", 400),
    ("bare LF at the end", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\n", 400),
    ("bare CR in a header", get(b"/healthz", b"X: a\rb"), 400),
    ("CR CR LF", b"GET /healthz HTTP/1.1\r\r\nHost: localhost\r\n\r\n", 400),
    ("a zero byte in a header", get(b"/healthz", b"X: a\0b"), 400),
    ("an empty first line", CRLF + get(), 400),
    ("no colon", get(b"/healthz", b"X"), 400),
    ("no name", get(b"/healthz", b": x"), 400),
    ("a name with a blank", get(b"/healthz", b"X Y: 1"), 400),
    ("a name with a high byte", get(b"/healthz", b"X\xe9: 1"), 400),
    ("a control byte in a value", get(b"/healthz", b"X: \x01"), 400),
    ("no host", get(host=b""), 400),
    ("two hosts", get(b"/healthz", b"Host: localhost"), 400),
    ("an empty host", get(host=b"Host:\r\n"), 400),
    ("a host with a user", get(host=b"Host: a@localhost\r\n"), 400),
    ("a host with a path", get(host=b"Host: localhost/x\r\n"), 400),
    ("a host list", get(host=b"Host: localhost, evil\r\n"), 400),
    ("HTTP/2.0 by hand", get(version=b"HTTP/2.0"), 505),
    ("HTTP/1.2", get(version=b"HTTP/1.2"), 505),
    ("HTTP/0.9", b"GET /healthz\r\n\r\n", 400),
    ("http/1.1 in small letters", get(version=b"http/1.1"), 400),
    ("two blanks", b"GET  /healthz HTTP/1.1\r\n" + HOST + CRLF, 400),
    ("a tab for a blank", b"GET\t/healthz HTTP/1.1\r\n" + HOST + CRLF, 400),
    ("something behind the version", get(version=b"HTTP/1.1 x"), 505),
    ("a method with a slash", b"G/T /healthz HTTP/1.1\r\n" + HOST + CRLF, 400),
    ("an endless method", b"A" * 9 + b" /healthz HTTP/1.1\r\n" + HOST + CRLF, 501),
    ("an absolute target", get(b"http://localhost/healthz"), 400),
    ("an absolute target elsewhere", get(b"https://evil.example/"), 400),
    ("CONNECT", b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + CRLF, 400),
    ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\n" + HOST + CRLF, 400),
    ("a fragment", get(b"/healthz#x"), 400),
    ("dots", get(b"/../healthz"), 400),
    ("one dot", get(b"/./healthz"), 400),
    ("dots at the end", get(b"/healthz/.."), 400),
    ("encoded dots", get(b"/%2e%2e/healthz"), 400),
    ("dots encoded twice", get(b"/%252e%252e/healthz"), 400),
    ("an encoded slash", get(b"/..%2fhealthz"), 400),
    ("an encoded backslash", get(b"/..%5chealthz"), 400),
    ("a backslash", get(b"/..\\healthz"), 400),
    ("two slashes", get(b"//healthz"), 400),
    ("two slashes inside", get(b"/a//healthz"), 400),
    ("an encoded zero byte", get(b"/healthz%00.js"), 400),
    ("an overlong dot", get(b"/%c0%ae%c0%ae/healthz"), 400),
    ("raw overlong bytes", get(b"/\xc0\xae\xc0\xae/healthz"), 400),
    ("raw UTF-8", get("/hëalthz".encode()), 400),
    ("a broken percent sequence", get(b"/%zz"), 400),
    ("an empty target", get(b""), 400),
    ("a target that is too long", get(b"/" + b"a" * 5000), 414),
    ("a query that is too long", get(b"/healthz?" + b"a" * 5000), 414),
    ("one huge header", get(b"/healthz", b"X: " + b"a" * 17000), 431),
    ("too many headers", get(b"/healthz", *[b"X: 1"] * 65), 431),
    ("a cookie bomb", get(b"/healthz", *[b"Cookie: " + b"a=" + b"b" * 4000] * 5), 431),
    ("another expectation", post(b"Expect: 200-maybe", b"Content-Length: 2", body=b"{}"), 417),
]

# Bodies, on the people's port: the status, and then the end.
BODIES = [
    ("a chunk size with a sign", b"+2\r\n{}\r\n0\r\n\r\n", 400),
    ("a chunk size with 0x", b"0x2\r\n{}\r\n0\r\n\r\n", 400),
    ("a chunk size that is none", b"z\r\n{}\r\n0\r\n\r\n", 400),
    ("a chunk size behind a blank", b" 2\r\n{}\r\n0\r\n\r\n", 400),
    ("a chunk size that overflows", b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n", 400),
    ("a chunk with bare LF", b"2\n{}\r\n0\r\n\r\n", 400),
    ("a chunk that is longer than it says", b"2\r\n{}}\r\n0\r\n\r\n", 400),
    ("a chunked body without an end of line", b"2\r\n{}0\r\n\r\n", 400),
    ("a chunk larger than the path takes", b"ffffff\r\n" + b" " * 40000, 413),
]

# What is odd and allowed, or refused in good order: the connection may go on. On the people's port.
ORDERLY = [
    ("a method in small letters", b"get /healthz HTTP/1.1\r\n" + HOST + CRLF, 405),
    ("TRACE", b"TRACE /healthz HTTP/1.1\r\n" + HOST + CRLF, 405),
    ("a body where none belongs", b"GET /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n{}", 413),
    ("many small cookies", get(b"/healthz", *[b"Cookie: a=b"] * 50), 200),
    ("blanks around a value", get(b"/healthz", b"X: \t a \t"), 200),
    ("an upgrade to h2c", get(b"/healthz", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"), 200),
    ("an upgrade to websocket", get(b"/healthz", b"Connection: Upgrade", b"Upgrade: websocket"), 200),
    ("proxy words", get(b"/healthz", b"X-Forwarded-For: 127.0.0.1", b"X-Original-URL: /metrics", b"X-HTTP-Method-Override: DELETE"), 200),
]


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def literal(name, value):
    def text(b):
        return (bytes([len(b)]) if len(b) < 127 else b"\x7f" + varint(len(b) - 127)) + b

    return b"\0" + text(name) + text(value)


def varint(n):
    out = b""
    while n >= 128:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def head(*fields, method=b"GET", path=b"/healthz", authority=b"localhost", scheme=b"https"):
    block = b""
    for name, value in ((b":method", method), (b":scheme", scheme), (b":path", path), (b":authority", authority)):
        if value is not None:
            block += literal(name, value)
    return block + b"".join(literal(*field) for field in fields)


HEADERS, DATA, RST, SETTINGS, PUSH, GOAWAY, CONTINUATION = 1, 0, 3, 4, 5, 7, 9
RESET, AWAY = "reset", "goaway"

# Over HTTP/2: a status, the stream's reset, or the connection's end. `body` goes into a DATA frame that ends the stream.
HTTP2 = [
    ("good", head(), None, 200),
    ("a transfer coding", head((b"transfer-encoding", b"chunked")), None, RESET),
    ("a connection header", head((b"connection", b"close")), None, RESET),
    ("te: gzip", head((b"te", b"gzip")), None, RESET),
    ("length and less", head((b"content-length", b"9"), method=b"POST", path=b"/api/v1/login"), b"{}", RESET),
    ("length and more", head((b"content-length", b"1"), method=b"POST", path=b"/api/v1/login"), b"{}", RESET),
    ("two lengths", head((b"content-length", b"2"), (b"content-length", b"2"), method=b"POST", path=b"/api/v1/login"), b"{}", RESET),
    ("a length list", head((b"content-length", b"2, 2"), method=b"POST", path=b"/api/v1/login"), b"{}", RESET),
    ("a capital letter", head((b"X-Y", b"1")), None, RESET),
    ("a name with a blank", head((b"x y", b"1")), None, 400),
    ("a name with a colon", head((b"x:y", b"1")), None, 400),
    ("a value with CR LF", head((b"x", b"1\r\nhost: evil")), None, 400),
    ("a value with a zero byte", head((b"x", b"a\0b")), None, 400),
    ("a method with a line", head(method=b"GET / HTTP/1.1\r\nX: y"), None, RESET),
    ("a path with a line", head(path=b"/ HTTP/1.1\r\nX: y"), None, RESET),
    ("an authority with a line", head(authority=b"localhost\r\nX: y"), None, RESET),
    ("two different hosts", head((b"host", b"evil")), None, 400),
    ("no authority", head(authority=None), None, RESET),
    ("an authority with a user", head(authority=b"a@localhost"), None, 400),
    ("no path", head(path=None), None, RESET),
    ("an empty path", head(path=b""), None, RESET),
    ("an absolute path elsewhere", head(path=b"https://evil.example/"), None, RESET),
    ("the scheme http", head(scheme=b"http"), None, 400),
    ("two paths", literal(b":path", b"/") + head(), None, RESET),
    ("an unknown pseudo header", literal(b":evil", b"1") + head(), None, RESET),
    ("a pseudo header behind the others", head((b"x", b"1"), (b":path", b"/")), None, RESET),
    ("CONNECT", literal(b":method", b"CONNECT") + literal(b":authority", b"evil.example:443"), None, 400),
    ("dots", head(path=b"/../healthz"), None, 400),
    ("encoded dots", head(path=b"/%2e%2e/healthz"), None, 400),
    ("an encoded slash", head(path=b"/..%2fhealthz"), None, 400),
    ("two slashes", head(path=b"//healthz"), None, 400),
    ("an encoded zero byte", head(path=b"/healthz%00"), None, 400),
    ("an overlong dot", head(path=b"/%c0%ae%c0%ae/"), None, 400),
    ("a fragment", head(path=b"/healthz#x"), None, 400),
    ("a target that is too long", head(path=b"/" + b"a" * 5000), None, 414),
    ("one huge header", head((b"x", b"a" * 16000), (b"y", b"a" * 1000)), None, 431),
    ("too many headers", head(*[(b"x", b"1")] * 65), None, 431),
    ("a cookie bomb", head(*[(b"cookie", b"a=" + b"b" * 4000)] * 5), None, 431),
    ("a header list of four times the limit", head(*[(b"x", b"a" * 4000)] * 20), None, AWAY),
]

DIGITS = ("00000", "00001", "00010", "011001", "011010", "011011", "011100", "011101", "011110", "011111")


def status_of(block):
    """The status that an answer's header block begins with: indexed, or a literal in plain digits or Huffman's."""
    while block[0] & 0xe0 == 0x20:
        block = block[1:]  # a change of the table's size
    known = {0x88: 200, 0x89: 204, 0x8a: 206, 0x8b: 304, 0x8c: 400, 0x8d: 404, 0x8e: 500}
    if block[0] in known:
        return known[block[0]]
    length, value = block[1] & 127, block[2:2 + (block[1] & 127)]
    if not block[1] & 128:
        return int(value)
    bits = "".join(f"{byte:08b}" for byte in value)
    digits = ""
    while len(digits) < 3:
        for digit, code in enumerate(DIGITS):
            if bits.startswith(code):
                digits += str(digit)
                bits = bits[len(code):]
                break
        else:
            raise AssertionError(f"no status in {block[:length + 2].hex()}")
    return int(digits)


class Doors(case.HubCase):
    def connect(self, port, alpn="http/1.1"):
        ca = self.hub.file("tls", "web-ca.pem" if port == "https" else "device-root.pem")
        context = ssl.create_default_context(cafile=str(ca))
        context.set_alpn_protocols([alpn])
        raw = socket.create_connection(("127.0.0.1", self.hub.ports[port]), timeout=60)
        return context.wrap_socket(raw, server_hostname="localhost")

    @staticmethod
    def read_all(tls):
        data = b""
        try:
            while piece := tls.recv(65536):
                data += piece
        except (OSError, ssl.SSLError):
            pass
        return data

    @staticmethod
    def send(tls, data):
        try:
            tls.sendall(data)
        except OSError:
            pass  # it may have been refused while we still send


class HostileHttp1(Doors):
    def ask(self, port, data):
        data = data.replace(b"localhost:PORT", b"localhost:%d" % self.hub.ports[port])
        with self.connect(port) as tls:
            self.send(tls, data)
            return self.read_all(tls)

    def test_what_is_malformed_is_refused_and_nothing_behind_it_is_answered(self):
        for port in ("https", "device"):
            for name, data, status in MALFORMED:
                with self.subTest(port=port, row=name):
                    answer = self.ask(port, data + SECOND)
                    self.assertEqual(answer[:13].decode(), f"HTTP/1.1 {status} ", answer[:300])
                    self.assertEqual(len(STATUS.findall(answer)), 1, answer[:600])
                    self.assertIn(b"Connection: close", answer)

    def test_bodies_that_are_malformed_are_refused_and_nothing_behind_them_is_answered(self):
        for name, body, status in BODIES:
            with self.subTest(row=name):
                answer = self.ask("https", post(CHUNKED, body=body) + SECOND)
                self.assertEqual(answer[:13].decode(), f"HTTP/1.1 {status} ", answer[:300])
                self.assertEqual(len(STATUS.findall(answer)), 1, answer[:600])

    def test_what_is_odd_is_answered_in_good_order(self):
        for port in ("https", "device"):
            for name, data, status in ORDERLY:
                with self.subTest(port=port, row=name):
                    answer = self.ask(port, data + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    self.assertEqual(answer[:13].decode(), f"HTTP/1.1 {status} ", answer[:300])
                    self.assertEqual(len(STATUS.findall(answer)), 1 if status == 413 else 2, answer[:600])

    def test_a_request_body_is_never_decompressed(self):
        login = json.dumps({"name": "nobody", "password": "Gate-lamp-Otter-rides-7-trams", "code": "000000"}).encode()
        plain = self.ask("https", post(b"Connection: close", b"Content-Length: %d" % len(login), body=login))
        self.assertEqual(plain[:13], b"HTTP/1.1 401 ", plain)
        for body in (gzip.compress(login), gzip.compress(bytes(10_000_000))):
            answer = self.ask("https", post(b"Connection: close", b"Content-Encoding: gzip",
                                            b"Content-Length: %d" % len(body), body=body))
            self.assertEqual(answer[:13], b"HTTP/1.1 400 ", answer)

    def test_only_what_lies_there_compressed_is_sent_so(self):
        page = self.ask("https", get(b"/", b"Accept-Encoding: gzip", b"Connection: close"))
        told = self.ask("https", get(b"/api/v1/me", b"Accept-Encoding: gzip, deflate, br", b"Connection: close"))
        self.assertIn(b"Content-Encoding: gzip", page.split(CRLF * 2)[0])
        self.assertNotIn(b"Content-Encoding", told)


class HostileHttp2(Doors):
    def outcome(self, port, block, body):
        """The first answer's status, RESET or AWAY."""
        pieces = [block[i:i + 16000] for i in range(0, len(block), 16000)]
        end = 1 if body is None else 0
        frames = frame(HEADERS, end | (4 if len(pieces) == 1 else 0), 1, pieces[0])
        for i, piece in enumerate(pieces[1:], 2):
            frames += frame(CONTINUATION, 4 if i == len(pieces) else 0, 1, piece)
        if body is not None:
            frames += frame(DATA, 1, 1, body)
        with self.connect(port, "h2") as tls:
            self.send(tls, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS) + frames)
            data = b""
            while True:
                while len(data) < 9 or len(data) < 9 + int.from_bytes(data[:3], "big"):
                    try:
                        piece = tls.recv(65536)
                    except OSError:
                        piece = b""
                    if not piece:
                        return AWAY
                    data += piece
                length, kind = int.from_bytes(data[:3], "big"), data[3]
                if kind == HEADERS:
                    return status_of(data[9:9 + length])
                if kind == RST:
                    return RESET
                if kind == GOAWAY:
                    return AWAY
                data = data[9 + length:]

    def test_each_hostile_head_has_its_answer(self):
        for port in ("https", "device"):
            for name, block, body, expected in HTTP2:
                if port == "device" and body is not None:
                    continue  # that path is the people's
                with self.subTest(port=port, row=name):
                    self.assertEqual(self.outcome(port, block, body), expected)


class Slow(Doors):
    settings = {"http_head_ms": 500, "http_body_ms": 500}

    def trickle(self, port, start, piece):
        """Sends `start`, then `piece` again and again until the hub has had enough; what it answered."""
        start = start.replace(b"localhost:PORT", b"localhost:%d" % self.hub.ports[port])
        with self.connect(port) as tls:
            tls.sendall(start)
            tls.settimeout(0.05)
            data = b""
            for _ in range(1200):  # a minute
                try:
                    got = tls.recv(65536)
                    if not got:
                        return data
                    data += got
                except (TimeoutError, socket.timeout):
                    self.send(tls, piece)
                except OSError:
                    return data
            self.fail(f"the hub still listens; so far it said {data[:200]}")

    def test_a_slow_head_is_ended(self):
        for port in ("https", "device"):
            for start, piece in ((b"GET /healthz HTTP/1.1\r\n", b""), (b"GET /healthz HTTP/1.1\r\n", b"X: y\r\n"),
                                 (b"G", b""), (b"GET /healthz HTTP/1.1\r\nX: ", b"y")):
                with self.subTest(port=port, start=start, piece=piece):
                    self.assertTrue(self.trickle(port, start, piece).startswith(b"HTTP/1.1 408 "))
        self.logged("http.refused", "http.head_ms")

    def test_a_slow_body_is_ended(self):
        for piece in (b"", b" "):
            with self.subTest(piece=piece):
                answer = self.trickle("https", post(b"Content-Length: 16000", body=b"{"), piece)
                self.assertTrue(answer.startswith(b"HTTP/1.1 408 "), answer[:200])
        answer = self.trickle("https", post(CHUNKED, body=b"1\r\n{\r\n"), b"1\r\n \r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 408 "), answer[:200])
        self.logged("http.refused", "http.body_ms")


if __name__ == "__main__":
    unittest.main()
