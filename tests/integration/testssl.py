"""testssl.sh (Debian) against the three listeners of a hub: what it finds above 'info' and is not the private CA fails.

  make testssl            prints each finding once; ends with 1 when there is one that docs/security.md does not explain"""

import concurrent.futures
import json
import pathlib
import subprocess
import sys
import tempfile

import case  # noqa: F401 (finds lab)
import lab

# What a hub with a CA of its own cannot have, and what the people's listener leaves to docs/security.md: id -> why.
EXPECTED = {
    "cert_trust": "the private CA and its names",
    "cert_chain_of_trust": "the private CA is in no browser's store",
    "cert_crlDistributionPoints": "revocation is judged by the registry after each handshake",
    "cert_ocspURL": "revocation is judged by the registry after each handshake",
    "cert_revocation": "revocation is judged by the registry after each handshake",
    "OCSP_stapling": "a private CA has no OCSP service",
    "DNS_CAArecord": "no public CA issues for these names",
    "HSTS": "only with --https-cert: it would bind every port of that host",
    "security_headers": "they are on the people's listener; the others serve no browser",
    "BREACH": "only the files of the app are compressed, the same for everybody; no answer that holds a secret is",
    "optimal_proto": "the tool speaks HTTP, and without a client's certificate",
}
GRAVE = ("LOW", "MEDIUM", "HIGH", "CRITICAL", "FATAL", "WARN")


def scan(port, starttls_name, extra=()):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out.json"
        done = subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "off", "--jsonfile", str(out), "--ip", "one",
                               "--nodns", "min", "-p", "-s", "-f", "-S", "-P", "-h", "-U", *extra, f"localhost:{port}"], capture_output=True, text=True, timeout=1800, stdin=subprocess.DEVNULL)
        if not out.exists():
            raise lab.LabError(f"testssl said nothing about {starttls_name}: {done.stdout[-1000:]} {done.stderr[-500:]}")
        return json.loads(out.read_text())


def scan_whole(*words):
    """Once more when a check did not come about: the tool hangs up on its first connection at once, on a busy machine before
    the ticket came that its second one is to bring."""
    rows = scan(*words)
    return scan(*words) if any("because of connect problem" in row["finding"] for row in rows) else rows


def judge(name, rows):
    """Prints what is above info; how much of it is not expected."""
    bad = 0
    for row in rows:
        if row["severity"] not in GRAVE:
            continue
        why = next((text for key, text in EXPECTED.items() if row["id"].startswith(key)), None)
        print(f"{name:7} {row['severity']:8} {row['id']}: {row['finding'][:150]}" + (f"   [{why}]" if why else "   <-- not expected"))
        bad += why is None
    print(f"{name:7} {len(rows)} rows looked at")
    return bad


def main():
    hub = lab.Hub()
    bad = 0
    try:
        hub.init()
        hub.start()
        device = hub.device("front-door")
        both = hub.top / "both.pem"
        both.write_bytes((device / "cert.pem").read_bytes() + (device / "key.pem").read_bytes())
        certificate = ("--mtls", str(both)) if supports_mtls() else ()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            scans = {name: pool.submit(scan_whole, hub.ports[name], name, certificate if name == "mqtt" else ()) for name in ("mqtt", "device", "https")}
        for name, rows in scans.items():
            bad += judge(name, rows.result())
    finally:
        hub.remove()
    print("testssl: nothing beyond the private CA" if bad == 0 else f"testssl: {bad} findings")
    sys.exit(1 if bad else 0)


def supports_mtls():
    return "--mtls" in subprocess.run(["testssl", "--help"], capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
