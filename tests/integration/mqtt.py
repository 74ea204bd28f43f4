"""A small MQTT client that shows each packet as it is on the wire: for tests that must send what a good client
never would, and see the very code that comes back. Versions 4 (3.1.1) and 5; one thread, blocking with a limit."""

import socket
import ssl
import struct

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = 8, 9, 10, 11, 12, 13, 14, 15


def text(value):
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(raw)) + raw


def varint(value):
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(out)


def packet(kind, flags, body):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def connect(client_id, version=5, clean=True, keep_alive=60, properties=b"", will=None, username=None):
    flags = 2 if clean else 0
    payload = text(client_id)
    if will:
        flags |= 4 | will.get("qos", 0) << 3 | (32 if will.get("retain") else 0)
        payload += (b"\0" if version == 5 else b"") + text(will["topic"]) + text(will["payload"])
    if username is not None:
        flags |= 128
        payload += text(username)
    body = text("MQTT") + bytes([version, flags]) + struct.pack(">H", keep_alive)
    if version == 5:
        body += varint(len(properties)) + properties
    return packet(CONNECT, 0, body + payload)


def publish(topic, payload, qos=0, packet_id=1, version=5, retain=False, dup=False, properties=b""):
    body = text(topic)
    if qos:
        body += struct.pack(">H", packet_id)
    if version == 5:
        body += varint(len(properties)) + properties
    raw = payload.encode() if isinstance(payload, str) else payload
    return packet(PUBLISH, (8 if dup else 0) | qos << 1 | (1 if retain else 0), body + raw)


def subscribe(filters, packet_id=1, version=5, properties=b"", options=None):
    body = struct.pack(">H", packet_id) + (varint(len(properties)) + properties if version == 5 else b"")
    for item in filters:
        name, qos = item if isinstance(item, tuple) else (item, 1)
        body += text(name) + bytes([qos if options is None else options])
    return packet(SUBSCRIBE, 2, body)


class Closed(Exception):
    """The hub ended the connection."""


class Packet:
    def __init__(self, kind, flags, body, version):
        self.kind, self.flags, self.body, self.version = kind, flags, body, version

    @property
    def reason(self):
        """The reason (or return) code of an acknowledgement; for SUBACK the list of them."""
        if self.kind == CONNACK:
            return self.body[1]
        if self.kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            return self.body[2] if len(self.body) > 2 else 0
        if self.kind in (SUBACK, UNSUBACK):
            rest = self.body[2:]
            if self.version == 5:
                length, used = read_varint(rest)
                rest = rest[used + length:]
            return list(rest)
        if self.kind in (DISCONNECT, AUTH):
            return self.body[0] if self.body else 0
        raise ValueError(f"packet {self.kind} has no reason code")

    def publication(self):
        """(topic, payload, qos, packet id) of a PUBLISH."""
        qos = self.flags >> 1 & 3
        (n,) = struct.unpack_from(">H", self.body)
        topic, at = self.body[2:2 + n].decode(), 2 + n
        packet_id = None
        if qos:
            (packet_id,) = struct.unpack_from(">H", self.body, at)
            at += 2
        if self.version == 5:
            length, used = read_varint(self.body[at:])
            at += used + length
        return topic, self.body[at:], qos, packet_id


def read_varint(raw):
    value = shift = 0
    for used, byte in enumerate(raw[:4], 1):
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, used
    raise ValueError("a variable byte integer of more than four bytes")


class Client:
    """One TLS connection. Use as a context manager; receive() raises Closed at the end of the stream."""

    def __init__(self, hub, context, version=5, seconds=15, session=None, port=None):
        raw = socket.create_connection(("127.0.0.1", port or hub.ports["mqtt"]), timeout=seconds)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the second of two small writes would wait for the hub's delayed ACK
        try:
            self.socket = context.wrap_socket(raw, server_hostname="localhost", session=session)
        except BaseException:
            raw.close()
            raise
        self.version = version
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, raw):
        self.socket.sendall(raw)

    def _more(self):
        try:
            piece = self.socket.recv(65536)
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as gone:
            raise Closed(str(gone)) from gone
        if not piece:
            raise Closed("end of stream")
        self.pending += piece

    def receive(self):
        while True:
            if len(self.pending) >= 2:
                try:
                    length, used = read_varint(self.pending[1:5])
                except ValueError:
                    length = None
                if length is not None and len(self.pending) >= 1 + used + length:
                    first = self.pending[0]
                    body = self.pending[1 + used:1 + used + length]
                    self.pending = self.pending[1 + used + length:]
                    return Packet(first >> 4, first & 15, body, self.version)
            self._more()

    def expect(self, kind):
        got = self.receive()
        if got.kind != kind:
            raise AssertionError(f"expected packet type {kind}, got {got.kind} with body {got.body[:40].hex()}")
        return got

    def connect(self, client_id, **options):
        self.send(connect(client_id, version=self.version, **options))
        return self.expect(CONNACK)

    def publish(self, topic, payload, qos=0, packet_id=1, **options):
        self.send(publish(topic, payload, qos, packet_id, self.version, **options))
        return self.expect(PUBACK) if qos == 1 else None

    def subscribe(self, *filters, packet_id=1, **options):
        self.send(subscribe(filters, packet_id, self.version, **options))
        return self.expect(SUBACK)

    def ended(self):
        """Reads until the hub closes; the reason code of its DISCONNECT, or None when it closed without one."""
        reason = None
        try:
            while True:
                got = self.receive()
                if got.kind == DISCONNECT:
                    reason = got.reason
        except Closed:
            return reason
