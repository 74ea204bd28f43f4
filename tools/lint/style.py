"""The mechanical part of the style guide.

  style.py [ROOT] [--objects BUILD]     one line a finding, exits 1 when there is any

Checked in the sources: the first include of x.c is x.h; headers compile alone, and their macros carry the prefix; banned
calls and real time; a story at the top of each header; a test beside each source and a fuzz target beside each parser; no unfinished places.
Checked in a build (--objects): exported symbols carry the prefix; rooms that promise no heap and no OS use neither;
generated files reproduce, byte for byte, from another folder.
Exceptions stand in tools/lint/exceptions.txt (CHECK PATH reason). One that is no longer needed is a finding, and so is one
that the first version of the file did not have: the list may only shrink."""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|rand|srand|system|alloca|mktemp|tmpnam)\s*\(")
# Real time is set by people, batteries and NTP: who waits by it may wait for years. os/clock.c alone tells it, and where certificates
# are judged.
REAL_TIME = re.compile(r"\bCLOCK_REALTIME\b")
MAY_TELL_TIME = ("src/os/clock.c", "src/crypto/port/")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)

MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", re.MULTILINE)

# A parser: what others call with bytes of any content, porch_..._parse, _read or _decode.
PARSER = re.compile(r"^(?!static\b)[\w *]*?\b(porch_\w*_(?:parse|read|decode)(?:_\w+)?)\(([^;{}]*?)\)\s*\{", re.MULTILINE)
TAKES_BYTES = re.compile(r"\bporch_bytes\s+\w")

# Rooms whose archives promise: no heap, no operating system.
PURE = ["base", "wire", "access", "ota_client", "device"]
CPLUSPLUS = ["cloud_analyst"]  # wraps OpenCV: the templates it instantiates are named by the compiler
PURE_ALLOWED = re.compile(r"^(mem(cpy|move|set|cmp|chr|mem)|str(len|cmp|ncmp|chr|nlen)|v?snprintf|abort|"
                          r"__(memcpy|memset|memmove|snprintf|vsnprintf|strncpy)_chk|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|"
                          r"__(asan|ubsan|tsan|sanitizer|sancov)_.*|(lround|llround|floor|ceil|fabs|isfinite|__isinf.*|__isnan.*)f?)$")


def code_only(text):
    """The text with comments and strings blanked, line numbers kept."""
    return COMMENT_OR_STRING.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


class Exceptions:
    """tools/lint/exceptions.txt; remembers which lines were needed."""

    def __init__(self, root):
        self.rows, self.used = {}, set()
        path = root / "tools" / "lint" / "exceptions.txt"
        for line in path.read_text().splitlines() if path.exists() else []:
            if line.strip() and not line.startswith("#"):
                words = line.split(None, 2)
                if len(words) < 3:
                    raise SystemExit(f"exceptions.txt: '{line}' has no reason")
                self.rows[(words[0], words[1])] = words[2]

    def __call__(self, check, path):
        if (check, path) in self.rows:
            self.used.add((check, path))
            return True
        return False

    def added(self, root):
        """Rows that the file did not have when it began, as far as git's history reaches."""
        name = "tools/lint/exceptions.txt"
        log = subprocess.run(["git", "log", "--format=%H", "--diff-filter=A", "--", name], cwd=root, capture_output=True, text=True)
        born = log.stdout.split()
        if log.returncode or not born:
            return []
        first = subprocess.run(["git", "show", f"{born[-1]}:{name}"], cwd=root, capture_output=True, text=True, check=True).stdout
        known = {tuple(line.split(None, 2)[:2]) for line in first.splitlines()}
        return [f"exceptions.txt: '{check} {path}' is new; the list may only shrink" for check, path in self.rows if (check, path) not in known]

    def unused(self):
        return [f"exceptions.txt: '{check} {path}' is no longer needed; remove it" for check, path in self.rows if (check, path) not in self.used]


def sources(root):
    for top in ("src", "include", "products"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in (".c", ".h", ".cc") and path.is_file():
                yield path


def check_text(path, name, excepted):
    text = path.read_text(encoding="utf-8")
    code = code_only(text)
    found = []
    for number, line in enumerate(code.splitlines(), 1):
        banned = BANNED.search(line)
        if banned and not excepted("banned", name):
            found.append(f"{name}:{number}: calls {banned.group(1)}, which is banned (see docs in tools/lint/style.py)")
        if REAL_TIME.search(line) and name.startswith("src/") and not name.startswith(MAY_TELL_TIME):
            found.append(f"{name}:{number}: asks for real time; wait by CLOCK_MONOTONIC (porch_clock_mono_after), ask porch_clock_ms for dates")
    for number, line in enumerate(text.splitlines(), 1):
        if UNFINISHED.search(line):
            found.append(f"{name}:{number}: an unfinished place: {line.strip()[:80]}")
    if path.suffix == ".h" and not text.lstrip().startswith("/*") and not excepted("story", name):
        found.append(f"{name}: a header begins with its story (what it owns, who calls it, what it promises)")
    if path.suffix == ".h":
        for macro in MACRO.findall(code):
            if not macro.startswith(("PORCH_", "PORCHLIGHT_", "_")) and not excepted("macro", name):
                found.append(f"{name}: defines {macro}, which lacks the prefix PORCH_")
    return found


def check_first_include(path, name, excepted):
    header = path.with_suffix(".h")
    if path.suffix != ".c" or not header.exists():
        return []
    first = re.search(r'^\s*#\s*include\s+["<]([^">]+)[">]', path.read_text(), re.MULTILINE)
    if first and (first.group(1) == header.name or name.endswith("/" + first.group(1).removesuffix(".h") + ".c")):
        return []
    return [] if excepted("first-include", name) else [f"{name}: its first include is not its own header"]


def is_companion(name):
    return name.endswith(("_test.c", "_fuzz.c"))


def prefixes(stem):
    """mqtt_publish -> mqtt_publish, mqtt: a test or a fuzz target may stand for a feature's files together."""
    return [stem.rsplit("_", n)[0] for n in range(0, stem.count("_") + 1)]


def check_companions(path, name, excepted):
    """A test beside each source, of its own name or of its feature's."""
    if path.suffix != ".c" or is_companion(name) or not name.startswith("src/") or "/programs/" in name:
        return []
    names = {p.name for p in path.parent.iterdir()}
    if any(f"{prefix}_test.c" in names for prefix in prefixes(path.stem)) or excepted("test", name):
        return []
    return [f"{name}: no test beside it ({path.stem}_test.c)"]


def parsers(text):
    """Names of the functions that take bytes of any content apart."""
    return [name for name, parameters in PARSER.findall(text) if TAKES_BYTES.search(parameters)]


def check_fuzzed(root, excepted):
    """A fuzz target beside each source of wire/ and beside each parser of the other rooms; one that any fuzz target calls by name
    is fuzzed there."""
    found = []
    every = [path for path in sources(root) if path.suffix == ".c"]
    fuzzed = "\n".join(path.read_text() for path in every if path.name.endswith("_fuzz.c"))
    for path in every:
        name = path.relative_to(root).as_posix()
        if is_companion(name) or "/programs/" in name or not name.startswith("src/"):
            continue
        names = {p.name for p in path.parent.iterdir()}
        if any(f"{prefix}_fuzz.c" in names for prefix in prefixes(path.stem)):
            continue
        for parser in ["this file"] if name.startswith("src/wire/") else parsers(code_only(path.read_text())):
            if not re.search(rf"\b{parser}\(", fuzzed) and not excepted("fuzz", name):
                found.append(f"{name}: no fuzz target beside it ({path.stem}_fuzz.c) and none that calls {parser}")
    return found


def check_headers_alone(root, compiler="cc"):
    """Every header compiles by itself."""
    found = []
    headers = [p for p in sources(root) if p.suffix == ".h"]
    flags = subprocess.run(["pkg-config", "--cflags", "jansson", "sqlite3", "libcurl"], capture_output=True, text=True).stdout.split()
    for path in headers:
        name = path.relative_to(root).as_posix()
        done = subprocess.run([compiler, "-std=c17", "-D_GNU_SOURCE", "-fsyntax-only", "-x", "c", *flags, "-I", str(root / "src"), "-I", str(root / "include"),
                               "-include", str(path), "/dev/null"], capture_output=True, text=True)
        if done.returncode:
            found.append(f"{name}: does not compile alone: {done.stderr.strip().splitlines()[0][:160]}")
    return found


def symbols(archive):
    """(defined global, undefined) symbol names of an archive."""
    defined, undefined = set(), set()
    out = subprocess.run(["nm", "-g", str(archive)], capture_output=True, text=True).stdout
    for line in out.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] in "Uw":
            undefined.add(words[1])
        elif len(words) == 3 and words[1] in "TDBRSVWC":
            defined.add(words[2])
    return defined, undefined


def check_objects(build):
    """Archives of a build: prefix of what they export; purity of what promises it."""
    found = []
    archives = {path.name.removeprefix("libporch_").removesuffix(".a"): path for path in sorted(build.glob("libporch_*.a"))}
    if not archives:
        return [f"{build}: no archives there; build first"]
    for room, path in archives.items():
        for name in sorted(symbols(path)[0]):
            if not re.match(r"^(porch_|__|DW\.ref\.__)" if room not in CPLUSPLUS else r"^(porch_|_Z|__|DW\.ref\.__)", name):
                found.append(f"lib {room}: exports {name}, which lacks the prefix porch_")
    own = set().union(*(symbols(archives[room])[0] for room in [*PURE, "crypto"] if room in archives))
    for room in PURE:
        if room in archives:
            for name in sorted(symbols(archives[room])[1] - own):
                if not PURE_ALLOWED.match(name) and not name.startswith("porch_"):
                    found.append(f"lib {room}: uses {name}; this room promises no heap and no operating system")
    return found


def check_generated(root, build):
    """What the build generated comes out the same again, made from another folder: no clock, no path, no order of chance."""
    found = []
    made = sorted((build / "generated").glob("*"))
    known = {"store_migrations.c": ["-DFOLDER=src/cloud/store/migrations", "-P", "src/cloud/store/embed.cmake"]}
    if not made:
        return [f"{build}: nothing generated there; build first"]
    for path in made:
        if path.name not in known:
            found.append(f"{path.name}: generated by what? tools/lint/style.py knows no command for it")
            continue
        with tempfile.TemporaryDirectory() as folder:
            again = pathlib.Path(folder) / path.name
            words = [str(root / word) if word.startswith("src/") else word.replace("=src/", f"={root}/src/") for word in known[path.name]]
            subprocess.run(["cmake", f"-DOUT={again}", *words], cwd=folder, check=True, capture_output=True)
            if again.read_bytes() != path.read_bytes():
                found.append(f"{path.name}: made again it is another")
    return found


def check(root, build=None, headers=True):
    excepted = Exceptions(root)
    found = []
    for path in sources(root):
        name = path.relative_to(root).as_posix()
        found += check_text(path, name, excepted) + check_first_include(path, name, excepted) + check_companions(path, name, excepted)
    found += check_fuzzed(root, excepted)
    if headers:
        found += check_headers_alone(root)
    if build:
        found += check_objects(build) + check_generated(root, build.resolve())
    return found + excepted.unused() + excepted.added(root)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("root", nargs="?", default=".", type=pathlib.Path)
    parser.add_argument("--objects", type=pathlib.Path)
    options = parser.parse_args()
    findings = check(options.root.resolve(), options.objects)
    print("\n".join(findings) or "style: nothing found")
    sys.exit(1 if findings else 0)
