"""How long a revoked device still has: from the start of `porchlight device revoke` (the program's own start included) until
the last of its connections is cut, while the hub holds many others.

  N other MQTT sessions open ─► 1 MQTT session and 20 HTTPS connections of one device ─► revoke ─► all of these ended
                                                                             goal: 1 s; 100 ms at 10,000 connections"""

import argparse
import pathlib
import selectors
import socket
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "lab"))
sys.path.insert(0, str(ROOT / "tests" / "integration"))
import lab  # noqa: E402
import mqtt  # noqa: E402


def https(hub, context):
    """A connection that has made one request and waits for the next."""
    raw = socket.create_connection(("127.0.0.1", hub.ports["device"]), timeout=30)
    tls = context.wrap_socket(raw, server_hostname="localhost")
    tls.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    while b"ok\n" not in tls.recv(65536):
        pass
    return tls


def cut(hub, name):
    """(ms until the last connection of a fresh device was cut, ms until the command had returned, connections)."""
    folder = hub.device(name)
    context = hub.device_tls(folder)
    session = mqtt.Client(hub, context)
    if session.connect(name).reason != 0:
        raise lab.LabError("the device was refused")
    open_ones = [session.socket] + [https(hub, context) for _ in range(20)]
    watch = selectors.DefaultSelector()
    for one in open_ones:
        one.setblocking(False)
        watch.register(one, selectors.EVENT_READ)
    begun = time.perf_counter()
    hub.cli("device", "revoke", name)
    returned = (time.perf_counter() - begun) * 1000
    left = len(open_ones)
    last = returned
    while left:
        ready = watch.select(10)
        if not ready:
            raise lab.LabError(f"{left} connections were not cut within 10 s")
        for key, _ in ready:
            try:
                ended = not key.fileobj.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                ended = True
            if ended:
                watch.unregister(key.fileobj)
                key.fileobj.close()
                left -= 1
                last = (time.perf_counter() - begun) * 1000
    return last, returned, len(open_ones)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(":", 1)[0])
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    hub = lab.Hub()
    try:
        hub.init()
        hub.set(broker_sessions=options.connections + 16, listener_per_address=options.connections + 512)
        hub.start()
        context = hub.device_tls(hub.service("crowd", allow=["subscribe:t/#"]))
        crowd = []
        for i in range(options.connections):
            client = mqtt.Client(hub, context)
            if client.connect(f"crowd/{i}", keep_alive=600).reason != 0:
                raise lab.LabError("a session of the crowd was refused")
            crowd.append(client)
        times = sorted(cut(hub, f"gone-{i}") for i in range(options.rounds))
        last, returned, count = times[len(times) // 2]
        print(f"{options.connections} other sessions; {count} connections of the device, {options.rounds} rounds: all cut "
              f"{last:.1f} ms after the command's start (worst {times[-1][0]:.1f} ms); the command itself takes {returned:.1f} ms")
        for client in crowd:
            client.socket.close()
    finally:
        hub.remove()


if __name__ == "__main__":
    main()
