"""An update repository in the format of The Update Framework, made and served from memory, well or badly as a test asks.
It shares no code with what it tests: canonical JSON, keys and signatures are its own, by python3-cryptography."""

import contextlib
import copy
import datetime
import hashlib
import http.server
import json
import threading
import urllib.parse

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

TOP = ("root", "timestamp", "snapshot", "targets")


def canonical(value):
    """Canonical JSON: members by code point, no blanks, only two characters escaped."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(canonical(each) for each in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(canonical(name) + ":" + canonical(value[name]) for name in sorted(value)) + "}"
    raise TypeError(value)


def when(days):
    return (datetime.datetime.utcnow() + datetime.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Key:
    """A key of one of the kinds that metadata may name."""

    KINDS = {"ed25519": ("ed25519", "ed25519"), "ecdsa": ("ecdsa", "ecdsa-sha2-nistp256"), "rsa": ("rsa", "rsassa-pss-sha256")}

    def __init__(self, kind="ed25519", **extra):
        self.kind = kind
        if kind == "ed25519":
            self.secret = ed25519.Ed25519PrivateKey.generate()
            public = self.secret.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()
        else:
            self.secret = ec.generate_private_key(ec.SECP256R1()) if kind == "ecdsa" else rsa.generate_private_key(65537, 2048)
            public = self.pem()
        keytype, scheme = self.KINDS[kind]
        self.public = {"keytype": keytype, "scheme": scheme, "keyval": {"public": public}, **extra}

    def pem(self):
        return self.secret.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def id(self):
        return hashlib.sha256(canonical(self.public).encode()).hexdigest()

    def sign(self, data):
        if self.kind == "ed25519":
            return self.secret.sign(data).hex()
        if self.kind == "ecdsa":
            return self.secret.sign(data, ec.ECDSA(hashes.SHA256())).hex()
        return self.secret.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()).hex()


class Repo:
    """Change `signed` as you like, then publish(): the version rises, the role's keys sign, and clients may fetch it."""

    def __init__(self, kind="ed25519"):
        self.kind = kind
        self.keys = {role: [Key(kind)] for role in TOP}  # who signs
        self.published = {}  # role: [bytes of version 1, 2, ...]
        self.files = {}  # path below targets/: bytes
        self.answers = {}  # path: what is served instead: bytes, a status, or a function of the handler
        self.asked = []  # paths, in order
        self.announce_hashes = False
        common = {"spec_version": "1.0.34", "version": 0, "expires": when(30)}
        self.signed = {
            "root": {"_type": "root", **common, "consistent_snapshot": True, "keys": {}, "roles": {}},
            "timestamp": {"_type": "timestamp", **common, "meta": {}},
            "snapshot": {"_type": "snapshot", **common, "meta": {}},
            "targets": {"_type": "targets", **common, "targets": {}},
        }
        for role in TOP:
            self.trust(role, self.keys[role])
        self.publish("root", "targets", "snapshot", "timestamp")

    # ---- changing it ----

    def trust(self, role, keys, threshold=1):
        """Root says that these keys speak for the role; the role is signed with them from now on."""
        root = self.signed["root"]
        self.keys[role] = list(keys)
        root["roles"][role] = {"keyids": [key.id for key in keys], "threshold": threshold}
        root["keys"].update({key.id: key.public for key in keys})
        named = {keyid for each in root["roles"].values() for keyid in each["keyids"]}
        root["keys"] = {keyid: key for keyid, key in root["keys"].items() if keyid in named}

    def delegate(self, parent, name, keys=None, threshold=1, **how):
        """A delegation, last in the parent's list; `how` has paths or path_hash_prefixes, and terminating."""
        keys = [Key(self.kind)] if keys is None else keys
        how = how or {"paths": ["*"]}
        part = self.signed[parent].setdefault("delegations", {"keys": {}, "roles": []})
        part["keys"].update({key.id: key.public for key in keys})
        part["roles"].append({"name": name, "keyids": [key.id for key in keys], "threshold": threshold, "terminating": False, **how})
        if name not in self.signed:
            self.keys[name] = list(keys)
            self.signed[name] = {"_type": "targets", "spec_version": "1.0.34", "version": 0, "expires": when(30), "targets": {}}
        return keys

    def add(self, role, path, content, algorithms=("sha256",)):
        hashed = {name: hashlib.new(name, content).hexdigest() for name in algorithms}
        self.signed[role]["targets"][path] = {"length": len(content), "hashes": hashed}
        folder, _, name = path.rpartition("/")
        for digest in hashed.values():
            self.files[f"{folder}/{digest}.{name}".lstrip("/")] = content
        self.files[path] = content

    def sign(self, role, keys=None):
        """The metadata as an object with signatures, not yet published."""
        signed = copy.deepcopy(self.signed[role])
        data = canonical(signed).encode()
        return {"signatures": [{"keyid": key.id, "sig": key.sign(data)} for key in (self.keys[role] if keys is None else keys)], "signed": signed}

    def publish(self, *roles, keys=None, version=None, change=None):
        """Versions rise by one unless one is given. `change` gets the signed object and may break it; when it returns bytes or
        text, those are served."""
        for role in roles:
            self.signed[role]["version"] = version if version is not None else self.signed[role]["version"] + 1
            made = self.sign(role, keys)
            answer = change(made) if change else None
            data = answer if answer is not None else json.dumps(made, indent=1)
            data = data.encode() if isinstance(data, str) else data
            self.published.setdefault(role, []).append(data)
            self.announce(role, data)

    def announce(self, role, data):
        entry = {"version": self.signed[role]["version"]}
        if self.announce_hashes:
            entry.update(length=len(data), hashes={"sha256": hashlib.sha256(data).hexdigest()})
        if role == "snapshot":
            self.signed["timestamp"]["meta"]["snapshot.json"] = entry
        elif role not in ("root", "timestamp"):
            self.signed["snapshot"]["meta"][f"{role}.json"] = entry

    def rotate(self, *roles):
        for role in roles:
            self.trust(role, [Key(self.kind) for _ in self.keys[role]], self.signed["root"]["roles"][role]["threshold"])

    # ---- serving it ----

    def find(self, path):
        """The bytes at a path, or None."""
        folder, _, name = path.partition("/")
        if folder == "targets":
            return self.files.get(urllib.parse.unquote(name))
        name = name.removesuffix(".json")
        if not self.signed["root"]["consistent_snapshot"] and not name.endswith(".root"):
            versions = self.published.get(urllib.parse.unquote(name), [])
            return versions[-1] if versions else None
        if name == "timestamp":
            return self.published["timestamp"][-1]
        version, _, role = name.partition(".")
        versions = self.published.get(urllib.parse.unquote(role), [])
        return versions[int(version) - 1] if version.isdigit() and 0 < int(version) <= len(versions) else None


class Server:
    """Serves a Repo on the loopback: /metadata/..., /targets/..."""

    def __init__(self, repo):
        self.repo = repo
        self.over = threading.Event()  # set at the end: what hangs on purpose lets go

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or each answer waits 40 ms for the reader's delayed ACK

            def do_GET(handler):
                path = handler.path.lstrip("/")
                self.repo.asked.append(path)
                answer = self.repo.answers.get(path, self.repo.find(path))
                with contextlib.suppress(OSError):
                    if callable(answer):
                        handler.close_connection = True
                        answer(handler)
                    elif isinstance(answer, bytes):
                        handler.send_response(200)
                        handler.send_header("Content-Length", str(len(answer)))
                        handler.end_headers()
                        handler.wfile.write(answer)
                    else:
                        handler.send_response(answer or 404)
                        handler.send_header("Content-Length", "0")
                        handler.end_headers()

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def close(self):
        self.over.set()
        self.http.shutdown()
        self.http.server_close()


def endless(handler):
    """A file that never ends."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b" " * 65536)


def stalled(server, first=b"{"):
    """A file that begins and does not go on."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(first)
        handler.wfile.flush()
        server.over.wait()

    return answer
