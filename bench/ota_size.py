"""Flash, stack and RAM of the update core on a Cortex-M4: metadata, manifest, slots, delta, policy, and what of base they stand on, as
Debian's arm-none-eabi-gcc makes them (-Os); without crypto and without sentences for people (porch_fail is its value alone). The stack is
that of the deepest chain of calls from one of the core's doors, by the compiler's own call graph; what the device's port and its crypto
take below that is theirs. RAM is what a device holds that reads the manifest and applies small deltas: all of it is the caller's."""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
PARTS = {
    "metadata": ["ota/client/tuf_client", "ota/client/tuf_find", "ota/client/tuf_json", "ota/client/tuf_name", "ota/client/tuf_role"],
    "manifest": ["ota/client/manifest", "ota/client/cbor", "crypto/p256_der"],
    "slots": ["ota/client/slot", "ota/client/slot_record"],
    "delta": ["ota/client/delta", "ota/client/delta_head", "ota/client/delta_coder", "ota/client/delta_syntax"],
    "policy": ["ota/client/policy"],
    "base": ["base/bytes", "base/cursor", "base/text"],
}
GOAL, RAM_GOAL, BLOCK, SLOT_BITS = 24 * 1024, 16 * 1024, 4096, 11
DOORS = {"metadata": ["porch_tuf_refresh", "porch_tuf_find"], "manifest": ["porch_manifest_read"],
         "slots": ["porch_slots_boot", "porch_slots_stage"], "delta": ["porch_delta_open", "porch_delta_step"], "policy": ["porch_policy_decide"]}
LEVELS = {"value": 17}  # the one function that calls itself, and how often: JSON has at most 16 levels, then it refuses
# What stands in a small device's RAM while it updates: what the manifest said, and the applier with its coder and one block. The
# manifest's text lies in the applier's memory: it is read before the first byte is applied, and nothing is needed of it afterwards.
RAM = {"manifest": "sizeof(porch_manifest)", "slots": "sizeof(porch_slots)", "applier": "sizeof(porch_delta)",
       "applier's memory": f"sizeof(porch_delta_place) + (1u << {SLOT_BITS}) * 4 + 32 + {BLOCK}"}


def deepest(graphs):
    """{function: bytes of its deepest chain of calls}; refuses what calls itself."""
    own, calls, done, open_ = {}, {}, {}, set()
    for text in graphs:
        for name, label in re.findall(r'node: \{ title: "([^"]+)" label: "([^"]*)"', text):
            found = re.search(r"(\d+) bytes \((?:static|dynamic,bounded)\)", label)
            if found:
                own[name] = int(found[1])
        for caller, callee in re.findall(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', text):
            calls.setdefault(caller, set()).add(callee)

    def depth(name):
        short = name.rsplit(":", 1)[-1]
        if name in open_ and short in LEVELS:
            return 0
        if name in open_:
            raise SystemExit(f"bench-ota: {name} calls itself: its stack has no bound")
        if name not in done:
            open_.add(name)
            done[name] = own.get(name, 0) + max((depth(each) for each in calls.get(name, ())), default=0)
            done[name] *= LEVELS.get(short, 1)
            open_.discard(name)
        return done[name]
    return {name.rsplit(":", 1)[-1]: depth(name) for name in list(own)}


def ram(where):
    """{part: bytes}, by the compiler."""
    source = where / "ram.c"
    source.write_text('#include "ota/client/delta.h"\n#include "ota/client/manifest.h"\n#include "ota/client/slot.h"\n' +
                      "".join(f"char part_{i}[{size}];\n" for i, size in enumerate(RAM.values())))
    subprocess.run(["arm-none-eabi-gcc", "-std=c11", "-Os", "-mcpu=cortex-m4", "-mthumb", "-I", ROOT / "src", "-c", source, "-o", where / "ram.o"], check=True)
    text = subprocess.run(["arm-none-eabi-nm", "-S", where / "ram.o"], capture_output=True, text=True, check=True).stdout
    sizes_ = {name: int(size, 16) for size, name in re.findall(r"^[0-9a-f]+ ([0-9a-f]+) \w (\w+)$", text, re.M)}
    return {part: sizes_[f"part_{i}"] for i, part in enumerate(RAM)}


def sizes(options, where):
    """{part: bytes}, the largest stack frame with its function, and the deepest chain from each function."""
    frames, found, graphs = [], {}, []
    for part, sources in PARTS.items():
        found[part] = 0
        for source in sources:
            out = where / (source.replace("/", "_") + ".o")
            subprocess.run(["arm-none-eabi-gcc", "-std=c11", "-Os", "-mcpu=cortex-m4", "-mthumb", "-fstack-usage", "-fcallgraph-info=su", "-I", ROOT / "src", *options,
                            "-c", ROOT / "src" / f"{source}.c", "-o", out], check=True)
            text = subprocess.run(["arm-none-eabi-size", out], capture_output=True, text=True, check=True).stdout.splitlines()[1].split()
            if int(text[1]) or int(text[2]):
                raise SystemExit(f"bench-ota: {source} has static data: {text[1]} + {text[2]} bytes")
            found[part] += int(text[0])
            graphs.append(out.with_suffix(".ci").read_text())
            for line in out.with_suffix(".su").read_text().splitlines():
                place, bytes_, kind = line.split("\t")
                if not re.search("static|bounded", kind):
                    raise SystemExit(f"bench-ota: {place} has a stack frame of no fixed size")
                frames.append((int(bytes_), place.rsplit(":", 1)[-1]))
    return found, max(frames), deepest(graphs)


def main():
    with tempfile.TemporaryDirectory() as folder:
        quiet = pathlib.Path(folder, "quiet.h")
        quiet.write_text('#include "base/error.h"\n#define porch_fail(why, e, ...) ((void)(why), (e))\n')
        bare, frame, chains = sizes(["-include", quiet], pathlib.Path(folder))
        spoken, _, _ = sizes([], pathlib.Path(folder))
        held = ram(pathlib.Path(folder))
    stack = {part: max(chains[door] for door in doors) for part, doors in DOORS.items()}
    print("\n| Cortex-M4, -Os | flash | with sentences | stack |\n|---|---|---|---|")
    for part in PARTS:
        print(f"| {part} | {bare[part]:,} | {spoken[part]:,} | {f'{stack[part]:,}' if part in stack else ''} |")
    total = sum(bare.values())
    print(f"| together | {total:,} | {sum(spoken.values()):,} | |\n\nLargest stack frame: {frame[0]:,} bytes ({frame[1]}). No static data.")
    json_, cbor = total - bare["manifest"], total - bare["metadata"]
    deep = max(stack["manifest"], stack["delta"], stack["slots"])
    needed = sum(held.values()) + deep
    print(f"A device reads metadata ({json_:,} bytes of flash in all) or the manifest ({cbor:,}). RAM with the manifest: " +
          ", ".join(f"{part} {size:,}" for part, size in held.items()) + f", stack {deep:,}: {needed:,} bytes.")
    if max(json_, cbor) > GOAL:
        sys.exit(f"bench-ota: {max(json_, cbor)} bytes of flash, the goal is {GOAL}")
    if needed > RAM_GOAL:
        sys.exit(f"bench-ota: {needed} bytes of RAM, the goal is {RAM_GOAL}")


if __name__ == "__main__":
    main()
