"""A hub, its people and its devices, as a script drives them: the demo, the integration tests and the
benchmarks all use this file. Python's standard library only; the programs under test are the built ones
and everything goes through their public doors (command line, TLS ports, HTTP API)."""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import queue
import shutil
import signal
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PORCHLIGHT_BUILD", ROOT / "build" / "release"))


class LabError(Exception):
    """Something that the lab drives did not do what it should; the text says what."""


def program(name):
    path = BUILD / "bin" / name
    if not path.exists():
        raise LabError(f"{path} is missing: run 'make build'")
    return str(path)


def totp(secret_base32, at=None, step=30):
    """RFC 6238 with SHA-1 and 6 digits, what authenticator apps do."""
    key = base64.b32decode(secret_base32 + "=" * (-len(secret_base32) % 8))
    counter = int((time.time() if at is None else at) // step)
    digest = hmac.new(key, struct.pack(">Q", counter), hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset:offset + 4])[0] & 0x7fffffff) % 1000000:06d}"


class Lines:
    """Collects a pipe's lines on a thread; wait_for() blocks until one satisfies a test."""

    def __init__(self, pipe, echo=None):
        self.all = []
        self._news = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, args=(pipe, echo), daemon=True)
        self._thread.start()

    def _run(self, pipe, echo):
        for raw in pipe:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            if echo:
                echo(line)
            with self._news:
                self.all.append(line)
                self._news.notify_all()
        with self._news:
            self._closed = True
            self._news.notify_all()

    def wait_for(self, test, seconds, start=0):
        """The first line (from index `start`) for which test(line) is true; None when the time is over or the pipe ends."""
        deadline = time.monotonic() + seconds
        at = start
        with self._news:
            while True:
                while at < len(self.all):
                    if test(self.all[at]):
                        return self.all[at]
                    at += 1
                left = deadline - time.monotonic()
                if self._closed or left <= 0:
                    return None
                self._news.wait(left)

    def text(self):
        with self._news:
            return "\n".join(self.all)


class Tpm:
    """A TPM of its own: Debian's swtpm on a Unix socket. start() returns when it serves; a new one is a new chip."""

    def __init__(self, folder=None):
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="porchlight-tpm-"))
        self.temporary = folder is None
        self.pid = None

    @property
    def tcti(self):
        return f"swtpm:path={self.folder / 's'}"

    def start(self):
        self.folder.mkdir(exist_ok=True)
        done = subprocess.run(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}",
                               "--server", f"type=unixio,path={self.folder / 's'}",
                               "--ctrl", f"type=unixio,path={self.folder / 's.ctrl'}",
                               "--flags", "not-need-init,startup-clear", "--daemon", "--pid", f"file={self.folder / 'pid'}"],
                              capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise LabError(f"swtpm did not start: {done.stderr.strip()}")
        self.pid = int((self.folder / "pid").read_text())
        return self

    def stop(self):
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            self.pid = None
        for name in ("s", "s.ctrl", "pid"):
            (self.folder / name).unlink(missing_ok=True)

    def remove(self):
        self.stop()
        if self.temporary:
            shutil.rmtree(self.folder, ignore_errors=True)


class TpmMaker:
    """A maker of TPMs: swtpm_setup leaves an endorsement certificate of this maker's authority in each."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        (self.folder / "localca.conf").write_text("".join(
            f"{key} = {self.folder / value}\n" for key, value in
            (("statedir", ""), ("signingkey", "signkey.pem"), ("issuercert", "issuercert.pem"), ("certserial", "certserial"))))
        (self.folder / "localca.options").write_text("")
        (self.folder / "setup.conf").write_text(f"create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = {self.folder / 'localca.conf'}\n"
                                                f"create_certs_tool_options = {self.folder / 'localca.options'}\n")

    @property
    def authorities(self):
        """What a hub imports: the issuer, then its root."""
        path = self.folder / "authorities.pem"
        path.write_text((self.folder / "issuercert.pem").read_text() + (self.folder / "swtpm-localca-rootca-cert.pem").read_text())
        return path

    def tpm(self):
        """A new chip of this maker, running."""
        made = Tpm()
        words = ["swtpm_setup", "--tpm2", "--tpmstate", str(made.folder), "--create-ek-cert", "--config", str(self.folder / "setup.conf")]
        if os.geteuid() == 0:
            words += ["--runas", "root"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise LabError(f"swtpm_setup: {done.stdout} {done.stderr}")
        return made.start()


class Hub:
    """One hub in a directory of its own. start() returns when it serves; stop() sends SIGTERM and waits."""

    def __init__(self, folder=None, echo=None):
        self.temporary = folder is None
        self.top = pathlib.Path(folder or tempfile.mkdtemp(prefix="porchlight-"))
        self.dir = self.top / "hub"
        self.echo = echo
        self.process = None
        self.log = None
        self.ports = {}
        self.environment = None  # of its programs; None: ours

    def cli(self, *words, check=True, input=None, json_output=True):
        """Runs `porchlight -C DIR words... --json`; the parsed answer, or (code, out, err) without check."""
        command = [program("porchlight"), "-C", str(self.dir), *map(str, words)]
        if json_output:
            command.append("--json")
        done = subprocess.run(command, capture_output=True, text=True, input=input, timeout=120, env=self.environment)
        if not check:
            return done.returncode, done.stdout, done.stderr
        if done.returncode != 0:
            raise LabError(f"'{' '.join(command[3:])}' ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
        return json.loads(done.stdout) if json_output and done.stdout.strip() else done.stdout

    def init(self, *options):
        command = [program("porchlight"), "init", str(self.dir), "--mqtt-port", "0", "--device-port", "0",
                   "--https-port", "0", "--bind", "127.0.0.1", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=self.environment)
        if done.returncode != 0:
            raise LabError(f"init ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def set(self, **settings):
        """Adds lines to hub.conf: set(media_clip_bytes=1) writes 'media.clip_bytes = 1'."""
        with open(self.dir / "hub.conf", "a", encoding="utf-8") as conf:
            for key, value in settings.items():
                section, _, rest = key.partition("_")
                conf.write(f"{section}.{rest} = {value}\n")

    def start(self, seconds=60, wrapper=()):
        self.process = subprocess.Popen([*wrapper, program("porchlightd"), str(self.dir)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                        env=self.environment)
        self.out = Lines(self.process.stdout)
        self.log = Lines(self.process.stderr, self.echo)
        return self.wait_ready(seconds)

    def wait_ready(self, seconds=60, start=0):
        line = self.out.wait_for(lambda text: text.startswith("ready "), seconds, start)
        if line is None:
            raise LabError("the hub did not become ready; its last lines:\n" + "\n".join(self.log.all[-15:]))
        self.ports = {key: int(value) for key, value in (word.split("=") for word in line.split()[1:])}
        return self

    def stop(self, seconds=30):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise LabError(f"the hub did not end within {seconds} s of SIGTERM")
        return self.process.returncode if self.process else None

    def remove(self):
        try:
            self.stop()
        finally:
            if self.temporary:
                shutil.rmtree(self.top, ignore_errors=True)

    def children(self):
        """{role: pid} of the hub's processes, read from /proc."""
        roles = {}
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except (OSError, IndexError):
                continue
            if parent != self.process.pid:
                continue
            if b"--role" in words:
                roles[words[words.index(b"--role") + 1].decode()] = int(entry.name)
            else:
                name = os.path.basename(words[0].decode())
                roles[name.replace("porchlight-", "")] = int(entry.name)
        return roles

    # what stands on the disk for others
    def file(self, *parts):
        return self.dir.joinpath(*parts)

    def device(self, name, product="camera", **options):
        out = self.top / f"device-{name}"
        words = ["device", "add", name, "--product", product, "--out", out]
        for key, value in options.items():
            words += [f"--{key.replace('_', '-')}", value]
        self.cli(*words)
        return out

    def service(self, name, allow=(), deny=(), **options):
        out = self.top / f"service-{name.replace('/', '_')}"
        words = ["service", "add", name, "--out", out]
        for rule in allow:
            words += ["--allow", rule]
        for rule in deny:
            words += ["--deny", rule]
        for key, value in options.items():
            words += [f"--{key.replace('_', '-')}", value]
        self.cli(*words)
        return out

    def device_tls(self, folder=None, ca=None):
        """A client context as a device uses it: mutual TLS with the key of its folder."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(ca or (folder / "ca.pem" if folder else self.file("tls", "device-root.pem")))
        if folder:
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        return context

    def people_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.file("tls", "web-ca.pem"))
        return context

    def person(self):
        return Person(self)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


def request(port, context, method, path, body=None, headers=None, host="localhost"):
    connection = http.client.HTTPSConnection(host, port, context=context, timeout=30)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


class Person:
    """A browser's view of the people's API: origin, cookie, live stream."""

    PASSWORD = "Gate-lamp-Otter-rides-7-trams"

    def __init__(self, hub):
        self.hub = hub
        self.cookie = None
        self.secret = None
        self.name = None
        self._last_step = None

    def ask(self, method, path, data=None, headers=None, origin=True):
        port = self.hub.ports["https"]
        all_headers = {"Accept": "application/json"}
        if origin and method != "GET":
            all_headers["Origin"] = f"https://localhost:{port}"
        if self.cookie:
            all_headers["Cookie"] = self.cookie
        body = None
        if data is not None:
            body = json.dumps(data).encode()
            all_headers["Content-Type"] = "application/json"
        all_headers.update(headers or {})
        answer = request(port, self.hub.people_tls(), method, path, body, all_headers)
        for value in answer.headers.get_all("Set-Cookie") or []:
            self.cookie = value.split(";", 1)[0]
        return answer

    def must(self, method, path, data=None):
        answer = self.ask(method, path, data)
        if answer.status >= 300:
            raise LabError(f"{method} {path} answered {answer.status}: {answer.body.decode('utf-8', 'replace')[:300]}")
        return answer.json() if answer.body else None

    def next_code(self):
        """A code that has not been used: each step's code is accepted once, and one step ahead is allowed."""
        step = int(time.time() // 30)
        if self._last_step is not None and step <= self._last_step:
            step = self._last_step + 1
        self._last_step = step
        return totp(self.secret, step * 30)

    def become_owner(self, name="robin", password=None, timezone="Europe/Berlin"):
        url = self.hub.cli("setup-link")["url"]
        token = urllib.parse.urlparse(url).fragment
        made = self.must("POST", "/api/v1/setup", {"token": token, "name": name, "password": password or self.PASSWORD,
                                                   "timezone": timezone})
        self.secret, self.name = made["totp_secret"], name
        done = self.must("POST", "/api/v1/setup/confirm", {"token": token, "code": self.next_code()})
        self.recovery = done["recovery_codes"]
        return self

    def join(self, name, role, *words, password=None):
        """By an invitation; `words` are further options of `user invite`."""
        token = urllib.parse.urlparse(self.hub.cli("user", "invite", role, *words)["url"]).fragment
        made = self.must("POST", "/api/v1/setup", {"token": token, "name": name, "password": password or self.PASSWORD})
        self.secret, self.name = made["totp_secret"], name
        self.recovery = self.must("POST", "/api/v1/setup/confirm", {"token": token, "code": self.next_code()})["recovery_codes"]
        return self

    def login(self, password=None):
        self.cookie = None
        return self.must("POST", "/api/v1/login", {"name": self.name, "password": password or self.PASSWORD,
                                                   "code": self.next_code()})

    def stream(self, last_id=None):
        return Stream(self, last_id)


class Stream:
    """Server-sent events on a thread; next(kind) blocks for the next event of that kind."""

    def __init__(self, person, last_id=None):
        self.connection = http.client.HTTPSConnection("localhost", person.hub.ports["https"],
                                                      context=person.hub.people_tls(), timeout=120)
        headers = {"Accept": "text/event-stream", "Cookie": person.cookie, "Sec-Fetch-Site": "same-origin"}
        if last_id is not None:
            headers["Last-Event-ID"] = str(last_id)
        self.connection.request("GET", "/api/v1/events/stream", headers=headers)
        self.response = self.connection.getresponse()
        if self.response.status != 200:
            raise LabError(f"the event stream answered {self.response.status}")
        self.events = queue.Queue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        event = {"event": "message", "data": "", "id": None}
        try:
            for raw in self.response:
                line = raw.decode("utf-8").rstrip("\r\n")
                if line == "":
                    if event["data"]:
                        event["at_ms"] = int(time.time() * 1000)
                        self.events.put(event)
                    event = {"event": "message", "data": "", "id": None}
                elif not line.startswith(":"):
                    field, _, value = line.partition(":")
                    value = value[1:] if value.startswith(" ") else value
                    event[field] = event["data"] + value if field == "data" else value
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass
        self.events.put(None)

    def next(self, kind, seconds):
        """The next event of that kind as (parsed data, arrival in Unix ms, id); None when the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            try:
                event = self.events.get(timeout=left)
            except queue.Empty:
                return None
            if event is None:
                return None
            if event["event"] == kind:
                return json.loads(event["data"]), event["at_ms"], event["id"]

    def close(self):
        self.connection.close()


class Camera:
    """porchlight-camera as a child process; its --json lines are on .out."""

    def __init__(self, folder, video, *options, echo=None, environment=None):
        self.process = subprocess.Popen([program("porchlight-camera"), str(folder), "--source", str(video), "--json", *map(str, options)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment)
        self.out = Lines(self.process.stdout, echo)
        self.err = Lines(self.process.stderr)

    def records(self, kind=None):
        found = []
        for line in list(self.out.all):
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if kind is None or record.get("hop") == kind:
                found.append(record)
        return found

    def decoder(self):
        """The process that decodes now, the spawner's child; None while there is none."""
        for spawner in children(self.process.pid):
            for decoder in children(spawner):
                return decoder
        return None

    def stop(self, seconds=30):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


def children(pid):
    """Of all of a process's threads; one that has ended has none."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(word) for word in task.read_text().split()]
        except OSError:
            continue
    return found


def videos():
    """The folder with vtest.avi and tree.avi (fetched once, kept outside the tree)."""
    done = subprocess.run([str(ROOT / "tools" / "fetch-video")], capture_output=True, text=True)
    if done.returncode != 0:
        raise LabError(f"the test videos could not be fetched: {done.stderr.strip()}")
    return pathlib.Path(done.stdout.strip().splitlines()[-1])
