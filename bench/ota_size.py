"""Flash and stack of the update core on a Cortex-M4: metadata, slots, delta, policy, and what of base they stand on, as Debian's
arm-none-eabi-gcc makes them (-Os); without crypto and without sentences for people (porch_fail is its value alone)."""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
PARTS = {
    "metadata": ["ota/client/tuf_client", "ota/client/tuf_find", "ota/client/tuf_json", "ota/client/tuf_name", "ota/client/tuf_role"],
    "slots": ["ota/client/slot", "ota/client/slot_record"],
    "delta": ["ota/client/delta", "ota/client/delta_head", "ota/client/delta_coder", "ota/client/delta_syntax"],
    "policy": ["ota/client/policy"],
    "base": ["base/bytes", "base/cursor", "base/text"],
}
GOAL = 24 * 1024


def sizes(options, where):
    """{part: bytes}, and the largest stack frame with its function."""
    frames, found = [], {}
    for part, sources in PARTS.items():
        found[part] = 0
        for source in sources:
            out = where / (source.replace("/", "_") + ".o")
            subprocess.run(["arm-none-eabi-gcc", "-std=c11", "-Os", "-mcpu=cortex-m4", "-mthumb", "-fstack-usage", "-I", ROOT / "src", *options,
                            "-c", ROOT / "src" / f"{source}.c", "-o", out], check=True)
            text = subprocess.run(["arm-none-eabi-size", out], capture_output=True, text=True, check=True).stdout.splitlines()[1].split()
            if int(text[1]) or int(text[2]):
                raise SystemExit(f"bench-ota: {source} has static data: {text[1]} + {text[2]} bytes")
            found[part] += int(text[0])
            for line in out.with_suffix(".su").read_text().splitlines():
                place, bytes_, kind = line.split("\t")
                if not re.search("static|bounded", kind):
                    raise SystemExit(f"bench-ota: {place} has a stack frame of no fixed size")
                frames.append((int(bytes_), place.rsplit(":", 1)[-1]))
    return found, max(frames)


def main():
    with tempfile.TemporaryDirectory() as folder:
        quiet = pathlib.Path(folder, "quiet.h")
        quiet.write_text('#include "base/error.h"\n#define porch_fail(why, e, ...) ((void)(why), (e))\n')
        bare, frame = sizes(["-include", quiet], pathlib.Path(folder))
        spoken, _ = sizes([], pathlib.Path(folder))
    print("\n| Cortex-M4, -Os | flash | with sentences |\n|---|---|---|")
    for part in PARTS:
        print(f"| {part} | {bare[part]:,} | {spoken[part]:,} |")
    total = sum(bare.values())
    print(f"| together | {total:,} | {sum(spoken.values()):,} |\n\nLargest stack frame: {frame[0]:,} bytes ({frame[1]}). No static data.")
    if total > GOAL:
        sys.exit(f"bench-ota: {total} bytes of flash, the goal is {GOAL}")


if __name__ == "__main__":
    main()
