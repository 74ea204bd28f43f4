"""What a delta costs: size, time to make and to apply, and the most memory of applying, beside bsdiff, xdelta3 and zstd.

The images are the files of Debian packages in two versions that apt can fetch, each as one tar: real programs and libraries,
relinked. Every delta is applied and compared before its row counts. Memory is the peak resident size of the applying process, libraries and all;
`own` is what our applier itself asks for, which is all that a microcontroller would give it."""

import argparse
import filecmp
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BENCH = ROOT / "build/release/bench/delta"
PACKAGES = ["libssl3", "libc6", "libcurl4", "openssh-server", "git"]


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(words):
    """(seconds, peak MiB, standard output)"""
    start = time.monotonic()
    done = subprocess.run([str(word) for word in (BENCH, "peak", *words)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"bench-ota: {' '.join(map(str, words))}: {done.stderr}")
    return time.monotonic() - start, int(done.stderr.splitlines()[-1]) / 1024, done.stdout


def versions_of(package):
    """The oldest and the newest version that apt knows, or None."""
    text = subprocess.run(["apt-cache", "madison", package], capture_output=True, text=True, check=True).stdout
    found = list(dict.fromkeys(line.split("|")[1].strip() for line in text.splitlines() if "|" in line))
    older = {v: sum(subprocess.run(["dpkg", "--compare-versions", v, "gt", other]).returncode == 0 for other in found) for v in found}
    return (min(found, key=older.get), max(found, key=older.get)) if len(found) > 1 else None


def image_of(package, version, where):
    folder = where / f"{package}-{version.replace(':', '_')}"
    folder.mkdir()
    subprocess.run(["apt-get", "download", "-qq", f"{package}={version}"], cwd=folder, check=True, stderr=subprocess.DEVNULL)
    deb = next(folder.glob("*.deb"))
    tar = folder / "image"
    with tar.open("wb") as out:
        subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], stdout=out, check=True)
    return tar


def rows(old, new, where):
    delta, back = where / "delta", where / "back"
    bench = BENCH
    tools = [
        ("porchlight", [bench, "make", old, new, delta, "large"], [bench, "apply", old, delta, back]),
        ("porchlight, small", [bench, "make", old, new, delta, "small"], [bench, "apply", old, delta, back]),
        ("bsdiff", ["bsdiff", old, new, delta], ["bspatch", old, back, delta]),
        ("xdelta3 -9 -S lzma", ["xdelta3", "-e", "-9", "-S", "lzma", "-f", "-s", old, new, delta], ["xdelta3", "-d", "-f", "-s", old, delta, back]),
        ("zstd -19 --patch-from", ["zstd", "-q", "-f", "-19", "--long=27", f"--patch-from={old}", new, "-o", delta],
         ["zstd", "-q", "-d", "-f", "--long=27", f"--patch-from={old}", delta, "-o", back]),
    ]
    for name, make, apply in tools:
        made_s, _, _ = run(make)
        size = delta.stat().st_size
        applied_s, peak, said = run(apply)
        if not filecmp.cmp(new, back, shallow=False):
            raise SystemExit(f"bench-ota: {name} does not give the new image back")
        yield name, size, made_s, applied_s, peak, int(said) if name.startswith("porchlight") else None
        delta.unlink(), back.unlink()


def main():
    parser = argparse.ArgumentParser(description="deltas beside bsdiff, xdelta3 and zstd")
    parser.add_argument("--package", action="append", help=f"default: {' '.join(PACKAGES)}")
    options = parser.parse_args()
    missed = []
    for package in options.package or PACKAGES:
        found = versions_of(package)
        if not found:
            say(f"bench-ota: apt has one version of {package} only; left out")
            continue
        with tempfile.TemporaryDirectory(prefix="porchlight-bench-") as folder:
            where = pathlib.Path(folder)
            old, new = (image_of(package, version, where) for version in found)
            print(f"\n{package} {found[0]} -> {found[1]}, {new.stat().st_size:,} bytes\n")
            print("| | delta | of bsdiff's | make | apply | peak | own |\n|---|---|---|---|---|---|---|")
            table = list(rows(old, new, where))
            beside = next(row[1] for row in table if row[0] == "bsdiff")
            for name, size, made_s, applied_s, peak, own in table:
                print(f"| {name} | {size:,} | {size / beside:.2f} | {made_s:.1f} s | {applied_s:.2f} s | {peak:.1f} MiB | {f'{own / 1024:.1f} KiB' if own else ''} |",
                      flush=True)
            large, small = table[0], table[1]
            if large[1] > beside or small[1] > 1.3 * beside:
                missed.append(package)
            if large[5] > 4 << 20 or small[5] > 16 << 10:
                missed.append(f"{package} (memory)")
    if missed:
        raise SystemExit(f"bench-ota: the goal (at most bsdiff's size and 4 MiB; small: 1.3 times and 16 KiB) is missed by {', '.join(missed)}")


if __name__ == "__main__":
    main()
