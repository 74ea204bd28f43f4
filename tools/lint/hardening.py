"""Whether the built programs are as hard as they should be, read off the files themselves.

  hardening.py BUILD     one line a finding, exits 1 when there is any

Checked in each program of BUILD/bin and BUILD/libexec: position independent, full RELRO with immediate binding, no
executable stack, stack protector, fortified calls, and branch tracking on x86."""

import pathlib
import platform
import subprocess
import sys


def readelf(path, *words):
    return subprocess.run(["readelf", "-W", *words, str(path)], capture_output=True, text=True, check=True).stdout


def begins_with_endbr(path, function):
    """Whether an indirect call may only land at the function's first instruction."""
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", f"--disassemble={function}", str(path)], capture_output=True, text=True).stdout
    lines = code.split(f"<{function}>:\n", 1)
    return len(lines) == 2 and "endbr" in lines[1].split("\n", 1)[0]


def check(path):
    header, segments, dynamic, symbols = readelf(path, "-h"), readelf(path, "-l"), readelf(path, "-d"), readelf(path, "--dyn-syms")
    stack = next((line for line in segments.splitlines() if "GNU_STACK" in line), "")
    rows = [
        ("position independent", "DYN (Position-Independent Executable file)" in header),
        ("read-only relocations", "GNU_RELRO" in segments),
        ("immediate binding", "BIND_NOW" in dynamic or "NOW" in dynamic),
        ("no executable stack", "RW " in stack and "RWE" not in stack),
        ("stack protector", "__stack_chk_fail" in symbols),
        ("fortified calls", "_chk@" in symbols),
        ("no run path", "RUNPATH" not in dynamic and "RPATH" not in dynamic),
    ]
    if platform.machine() == "x86_64":
        # The mark of the whole file is lost to startup files that Debian builds without it; our own functions carry theirs.
        rows.append(("branch tracking", begins_with_endbr(path, "main")))
    return [f"{path.name}: {name} is missing" for name, good in rows if not good]


def main():
    build = pathlib.Path(sys.argv[1])
    programs = [path for folder in ("bin", "libexec") for path in sorted((build / folder).glob("porchlight*")) if path.is_file()]
    findings = [finding for path in programs for finding in check(path)]
    if not programs:
        findings = [f"{build}: no programs there; build first"]
    print("\n".join(findings) or f"hardening: {len(programs)} programs are as hard as they should be")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
