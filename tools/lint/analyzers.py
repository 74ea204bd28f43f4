"""The tools that read C for us: clang-format, clang-tidy, cppcheck and gcc -fanalyzer, each with the switches that the
tree stands by, so that `make lint` and the test of the checks (selftest.py) call the very same thing.

  analyzers.py format|tidy|cppcheck|analyzer [BUILD]     from the root of the tree; exits 1 when there is a finding

BUILD holds compile_commands.json for tidy (build/clang)."""

import os
import pathlib
import subprocess
import sys

JOBS = os.environ.get("JOBS", "2")
ROOT = pathlib.Path(__file__).resolve().parents[2]
CLASSES = "warning,performance,portability"
# Two checks of cppcheck 2.10 that take an address handed out to be written for a read (each finding of theirs in this tree was looked at);
# its newer check of the same thing, uninitvar, stays on, as do those of clang and of gcc.
CRIED_WOLF = ["--suppress=legacyUninitvar", "--suppress=ctuuninitvar"]
KNOWN = ROOT / "tools/lint/analysis.h"  # what is told to those that read file by file ...
TEACHER = "src/base/error.c"  # ... and the file that says it
# A test's assertions end it by a way that the analyzer does not know, so it goes on with what was just asserted not to be; and sizes
# in tests are small numbers. Bytes without an end are what many tests are about, and long texts are written in pieces.
NOT_OF_TESTS = ("-clang-analyzer-*,-bugprone-implicit-widening-of-multiplication-result,-bugprone-misplaced-widening-cast,"
                "-bugprone-not-null-terminated-result,-bugprone-suspicious-missing-comma")


def tracked(*patterns, leave=()):
    """Files that git knows or would add, as paths from the root; names that end like one of `leave` are left out."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout.split()
    return sorted({name for name in listed if not name.endswith(tuple(leave)) and (ROOT / name).is_file()})


def shared_out(command, files, each):
    """Runs `command FILE...` over the files, `each` at a time, JOBS at once; what it says goes through. True when all is well."""
    if not files:
        print("no file to look at", file=sys.stderr)
        return False
    done = subprocess.run(["xargs", "-P", JOBS, "-n", str(each), *map(str, command)], input="\n".join(map(str, files)), text=True, check=False)
    return done.returncode == 0


def clang_format(files):
    return shared_out(["clang-format", f"--style=file:{ROOT}/.clang-format", "--dry-run", "-Werror"], files, 40)


def clang_tidy(files, build, *switches):
    said = " ".join([f"--config-file={ROOT}/.clang-tidy", *switches])
    return shared_out(["sh", "-c", f'exec clang-tidy {said} -p {build} --quiet "$@" 2>/dev/null', "tidy"], files, 8)


def cppcheck(places):
    return subprocess.run(["cppcheck", "--quiet", "--inline-suppr", f"--enable={CLASSES}", "--error-exitcode=1", "--std=c11", "-j", JOBS,
                           "--suppress=missingIncludeSystem", "--suppress=varFuncNullUB", *CRIED_WOLF, f"-I{ROOT}/src", f"-I{ROOT}/include",
                           *map(str, places)], check=False).returncode == 0


# Files in which gcc's analyzer loses the thread, each with the check that is left out there and why.
LOST_THREAD = {
    "src/access/index.c": "null-argument",  # bytes with a length have a place
    "src/cloud/broker/broker_share.c": "malloc-leak",  # a group hangs in the shard's list
    "src/cloud/rollout/updates_check.c": "malloc-leak",  # the names are freed behind the loop
    "src/device/port/linux/device_enrol.c": "use-of-uninitialized-value",  # the challenge points into what was just decoded
    "src/ota/client/tuf_json.c": "use-of-uninitialized-value",  # bytes that come back by value
}


def gcc_analyzer(files):
    flags = subprocess.run(["pkg-config", "--cflags", "jansson", "sqlite3", "libcurl", "libssl", "cmocka", "libnghttp2", "p11-kit-1", "tss2-esys"],
                           capture_output=True, text=True, check=True).stdout.split()
    command = ["gcc", "-std=c17", "-D_GNU_SOURCE", "-DOPENSSL_NO_DEPRECATED", '-DPORCH_VERSION="0"', "-O1", "-fanalyzer",
               "-Werror", f"-I{ROOT}/src", f"-I{ROOT}/include", "-include", str(KNOWN), *flags, "-o", "/dev/null", "-c"]
    left = [name for name in files if str(name) in LOST_THREAD]
    sound = [shared_out([*command, f"-Wno-analyzer-{LOST_THREAD[str(name)]}"], [name], 1) for name in left]
    return shared_out(command, [name for name in files if name not in left], 1) and all(sound)


def main(tool, build="build/clang"):
    os.chdir(ROOT)
    if tool == "format":
        return clang_format(tracked("*.c", "*.h", "*.cc"))
    if tool == "tidy":
        sound = clang_tidy(tracked("src/*.c", "products/*.c", leave=["_test.c", "_fuzz.c", TEACHER]), build, f"--extra-arg=-include{KNOWN}")
        return clang_tidy([TEACHER], build) and clang_tidy(tracked("src/*_test.c", "products/*_test.c"), build, f"--checks={NOT_OF_TESTS}") and sound
    if tool == "cppcheck":
        return cppcheck(["src", "products"])
    if tool == "analyzer":
        return gcc_analyzer(tracked("src/*.c", "products/*.c", leave=["_test.c", "_fuzz.c", TEACHER]))
    raise SystemExit(__doc__)


if __name__ == "__main__":
    sys.exit(0 if len(sys.argv) > 1 and main(*sys.argv[1:3]) else 1)
