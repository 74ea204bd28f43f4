"""Debian's nginx as the peer that the hub's HTTPS is measured beside, by turns, and what a server's processor time is."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "lab"))
import lab  # noqa: E402

CONF = """
daemon off; master_process off; worker_processes 1; pid {top}/nginx.pid; error_log {top}/error.log;
events {{ worker_connections 1024; }}
http {{
    include /etc/nginx/mime.types; access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
    client_body_temp_path {top}/b; proxy_temp_path {top}/p; fastcgi_temp_path {top}/f; uwsgi_temp_path {top}/u; scgi_temp_path {top}/s;
    {http}
    server {{
        listen 127.0.0.1:{port} ssl {protocol}; server_name localhost; ssl_protocols TLSv1.3; ssl_certificate {cert}; ssl_certificate_key {key};
        {server}
    }}
}}
"""


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def pin(pid, core):
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {core})


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process):
    for _ in range(200):
        if process.poll() is not None:
            raise lab.LabError("nginx ended at once")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise lab.LabError("nginx does not listen")


@contextlib.contextmanager
def nginx(top, hub, certificate, server, http="", protocol=""):
    """(process id, port) of one that has the hub's pair of that name in tls/; ended behind the block."""
    port = free_port()
    cert, key = (hub.file("tls", name) for name in certificate)
    (top / "nginx.conf").write_text(CONF.format(top=top, port=port, cert=cert, key=key, server=server, http=http, protocol=protocol))
    process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(top / "nginx.conf"), "-p", str(top), "-e", str(top / "error.log")])
    try:
        wait_for_port(port, process)
        yield process.pid, port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def by_turns(runs, hub, nginx_):
    """("hub" | "nginx", process id, port), each as often, who is first by turns; each is (process id, port)."""
    pair = [("hub", *hub), ("nginx", *nginx_)]
    for turn in range(runs):
        yield from pair if turn % 2 == 0 else reversed(pair)
