"""What verifying an update costs: metadata from nothing, the manifest for small devices and the image, all as a device does it once, beside
the same signatures by `openssl dgst -verify` and the same image by `sha256sum`, in one call and by turns. Compared is processor time of
whole processes; `alone` is the core's own, in one process. --json prints the raw figures."""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
PORCHLIGHT, VERIFY = ROOT / "build/release/bin/porchlight", ROOT / "build/release/bench/ota_verify"


def cpu_ms(*words):
    """Processor time of a process, and what it wrote."""
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen([str(word) for word in words], stdout=out)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise SystemExit(f"bench-ota: {' '.join(map(str, words))} ended with {child.returncode}")
        out.seek(0)
        return (used.ru_utime + used.ru_stime) * 1000, out.read().decode()


def ota(top, *words):
    done = subprocess.run([PORCHLIGHT, "ota", *map(str, words), "--passphrase-file", top / "passphrase"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"bench-ota: {done.stderr}")


def release(top, mib):
    """The image of a signed release in top/repo."""
    (top / "passphrase").write_text("correct horse battery\n")
    (top / "passphrase").chmod(0o600)
    (top / "image").write_bytes(os.urandom(mib << 20))
    ota(top, "init", top / "repo", "--product", "camera")
    ota(top, "release", top / "repo", "--product", "camera", "--version", "1", "--image", top / "image", "--hardware", "a", "--no-delta")
    return next((top / "repo/repository/targets/camera/1").glob("*.image"))


def signatures(top):
    """[(public key, signature, signed bytes)] as files for openssl: each role that a device verifies; the product's key comes last."""
    metadata, keys, found = top / "repo/repository/metadata", {}, []
    for role in ("1.root", "1.targets", "2.snapshot", "timestamp", "2.camera"):
        parts = json.loads((metadata / f"{role}.json").read_text())
        signed = parts["signed"]
        keys |= signed.get("keys", {}) | signed.get("delegations", {}).get("keys", {})
        for each in parts["signatures"]:
            files = [top / f"signature-{len(found)}.{end}" for end in ("key", "sig", "text")]
            # Canonical JSON: of what stands in these files, only a line's end is written otherwise.
            text = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).replace("\\n", "\n").encode()
            for file, content in zip(files, (keys[each["keyid"]]["keyval"]["public"].encode(), bytes.fromhex(each["sig"]), text)):
                file.write_bytes(content)
            found.append(files)
    return found


def run(options, top):
    image = release(top, options.mib)
    signed = signatures(top)
    der = subprocess.run(["openssl", "pkey", "-pubin", "-in", signed[-1][0], "-outform", "DER"], capture_output=True, check=True).stdout
    words = (VERIFY, top / "repo/repository", "camera", "1", der[-65:].hex())
    rows = []
    for turn in range(options.runs):
        row = {}
        for what in ("ours", "theirs") if turn % 2 == 0 else ("theirs", "ours"):
            if what == "ours":
                row["ours_ms"], _ = cpu_ms(*words, 1)
                continue
            # The manifest's signature is one more by the product's key.
            row["openssl_ms"] = sum(cpu_ms("openssl", "dgst", "-sha256", "-verify", key, "-signature", sig, text)[0] for key, sig, text in [*signed, signed[-1]])
            row["sha256sum_ms"], said = cpu_ms("sha256sum", image)
            if said.split()[0] != image.stem:
                raise SystemExit("bench-ota: the image is not what was signed")
        row |= json.loads(cpu_ms(*words, options.rounds)[1])
        rows.append(row)
    return rows, len(signed) + 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(":", 1)[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=200, help="of verifying in one process")
    parser.add_argument("--mib", type=int, default=32, help="of the image")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    top = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-bench-"))
    try:
        rows, count = run(options, top)
    finally:
        shutil.rmtree(top)
    if options.json:
        print(json.dumps(rows))
        return

    def middle(name):
        return statistics.median(row[name] for row in rows)
    ratios = [row["ours_ms"] / (row["openssl_ms"] + row["sha256sum_ms"]) for row in rows]
    print("\n| verifying an update, processor time | |\n|---|---|")
    print(f"| metadata from nothing: five roles, alone | {middle('metadata_us') / 1000:.2f} ms |")
    print(f"| manifest, alone | {middle('manifest_us') / 1000:.2f} ms |")
    print(f"| image of {options.mib} MiB, read and hashed, alone | {middle('image_us') / 1000:.1f} ms |")
    print(f"| all of it, a process | {middle('ours_ms'):.1f} ms |")
    print(f"| {count} times openssl dgst -verify, {count} processes | {middle('openssl_ms'):.1f} ms |")
    print(f"| sha256sum of the image | {middle('sha256sum_ms'):.1f} ms |")
    print(f"\nours / (openssl dgst + sha256sum): {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
