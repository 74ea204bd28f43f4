"""What a backup costs: a running hub with GB of clips is backed up and restored, beside `tar | openssl enc` of the same folder.

The clips are random bytes (nothing can be squeezed out of them), laid into DIR/clips as the hub keeps them. Each part is timed
to the point where it is on the disk; memory is the most that the command itself took (the hub's own stands beside it)."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools" / "lab"))
import lab  # noqa: E402

CLIP_BYTES = 4 << 20


def say(text):
    print(text, file=sys.stderr, flush=True)


def timed(words, **options):
    """(seconds, most MiB) of a command that must succeed."""
    start = time.monotonic()
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
    return process, start


def finish(process, start, text=b""):
    process.stdin.write(text)
    process.stdin.close()
    complaint = process.stderr.read().decode("utf-8", "replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise lab.LabError(f"{process.args[0]} ended with {process.returncode}: {complaint}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


def fill(folder, gigabytes):
    """Clips of AES in counter mode over zeros, under a random key: as random as can be told, and soon made."""
    left = int(gigabytes * 1e9)
    with subprocess.Popen(["openssl", "enc", "-aes-128-ctr", "-nosalt", "-pbkdf2", "-pass", "pass:" + os.urandom(16).hex(),
                           "-in", "/dev/zero"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as stream:
        while left > 0:
            size = min(left, CLIP_BYTES)
            (folder / f"{os.urandom(16).hex()}.clip").write_bytes(stream.stdout.read(size))
            left -= size
        stream.kill()
    os.sync()


def settle(cold):
    """Nothing waits to be written; with --cold nothing is left to be read from memory either (the whole machine's, as root)."""
    os.sync()
    if cold:
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")


def peak_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def main():
    parser = argparse.ArgumentParser(description="backup and restore of a hub with many clips")
    parser.add_argument("--gigabytes", type=float, default=10)
    parser.add_argument("--folder", help="where there is room for four times as much (default: the temporary folder)")
    parser.add_argument("--cold", action="store_true", help="drop the machine's caches before each part (root)")
    options = parser.parse_args()
    top = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-bench-", dir=options.folder))
    hub = lab.Hub(top)
    try:
        hub.init()
        key = hub.cli("backup", "--out", top / "empty.backup")["recovery_key"]
        say(f"writing {options.gigabytes:g} GB of random clips ...")
        fill(hub.file("clips"), options.gigabytes)
        hub.start()
        backup, restored, peer = top / "hub.backup", top / "restored", top / "peer.tar"
        result = {"gigabytes": options.gigabytes, "cold": options.cold}
        settle(options.cold)
        say("backup, while the hub runs ...")
        result["backup_s"], result["backup_mib"] = finish(*timed(
            [lab.program("porchlight"), "-C", str(hub.dir), "backup", "--out", str(backup)]))
        result["hub_mib"] = peak_of(hub.children()["hub"])
        hub.stop()
        settle(options.cold)
        say("restore ...")
        result["restore_s"], result["restore_mib"] = finish(*timed(
            [lab.program("porchlight"), "-C", str(restored), "restore", str(backup)]), (key + "\n").encode())
        same = subprocess.run(["diff", "-rq", str(hub.file("clips")), str(restored / "clips")], capture_output=True, text=True)
        if same.returncode != 0:
            raise lab.LabError("the restored clips differ: " + same.stdout[:300])
        shutil.rmtree(restored)
        backup.unlink()
        settle(options.cold)
        say("tar | openssl enc ...")
        result["tar_s"], _ = finish(*timed(["sh", "-c", f"tar -cf - -C {hub.dir} clips | openssl enc -aes-256-ctr -pbkdf2 -pass pass:x "
                                                        f"-out {peer} && sync {peer}"]))
        result["backup_to_tar"] = result["backup_s"] / result["tar_s"]
        print(json.dumps({key: round(value, 2) if isinstance(value, float) else value for key, value in result.items()}))
    finally:
        hub.stop()
        shutil.rmtree(top, ignore_errors=True)


if __name__ == "__main__":
    main()
