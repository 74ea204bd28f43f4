"""Libraries that a test preloads into a program: another clock (clock_shim.c), a power cut at a chosen call (cut_shim.c), a silent name
service (names_shim.c)."""

import os
import pathlib
import struct
import subprocess

import lab


def build(top, name):
    """The words for LD_PRELOAD: the sanitizer's library comes first where the programs have one."""
    out = pathlib.Path(top) / f"{name}.so"
    if not out.exists():
        source = pathlib.Path(__file__).with_name(f"{name}.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(out), str(source), "-ldl"], check=True)
    words = [str(out)]
    if b"libasan" in subprocess.run(["ldd", lab.program("porchlightd")], capture_output=True, check=True).stdout:
        words.insert(0, subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip())
    return words


class Clock:
    """Real time as a test sets it, for the programs that run with its environment."""

    def __init__(self, top, name):
        self.preload = build(top, "clock_shim")
        self.offset = pathlib.Path(top) / f"clock-{name}"
        self.offset.write_bytes(bytes(8))

    def set(self, seconds):
        """So many seconds away from the machine's time."""
        with open(self.offset, "r+b") as f:
            f.write(struct.pack("<q", int(seconds) * 1000))

    @property
    def words(self):
        return [f"LD_PRELOAD={' '.join(self.preload)}", f"PORCH_TEST_CLOCK={self.offset}"]

    @property
    def wrapper(self):
        return ["env", *self.words]

    def environment(self, base=None):
        return dict(base or os.environ, **dict(word.split("=", 1) for word in self.words))


def cutting(top, number, base=None):
    """An environment in which the power goes at that call."""
    return dict(base or os.environ, LD_PRELOAD=" ".join(build(top, "cut_shim")), PORCH_TEST_CUT=str(number))
