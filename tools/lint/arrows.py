"""The include arrows: reads tools/arrows.txt (the same file the build links by) and checks every #include of ours.

  arrows.py [ROOT]      prints one line a finding, exits 1 when there is any

Checked: each include goes along an arrow; no header cycle; products and the SDK's public headers see only
include/porchlight; nothing outside a port folder includes a port; names in arrows.txt exist."""

import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)


def read_arrows(root):
    """{room: set of rooms it may include} from arrows.txt."""
    arrows = {}
    for line in (root / "tools" / "arrows.txt").read_text().splitlines():
        line = line.split("#", 1)[0].split("|", 1)[0].strip()
        if line:
            room, _, deps = line.partition(":")
            arrows[room.strip()] = set(deps.split())
    return arrows


def room_of(path, arrows, is_client):
    """The room that a path below src/ belongs to (the longest that fits), or None."""
    folder = pathlib.PurePosixPath(path).parent
    while str(folder) != ".":
        name = str(folder)
        if f"{name}/client" in arrows and is_client(path):
            return f"{name}/client"
        if name in arrows:
            return name
        folder = folder.parent
    return None


def is_client(path):
    return re.search(r"_(client|ipc)(_test|_fuzz)?\.[ch]$", path) is not None


def includes(path):
    return [(kind, name) for kind, name in INCLUDE.findall(path.read_text(encoding="utf-8", errors="replace"))]


def check_source(path, root, arrows):
    """Findings of one file below src/."""
    inner = path.relative_to(root / "src").as_posix()
    if inner.startswith("programs/"):
        return []
    room = room_of(inner, arrows, is_client)
    if room is None:
        return [f"{inner}: its folder is no room of tools/arrows.txt; add a line there"]
    found = []
    for kind, name in includes(path):
        if kind == "<":
            if name.startswith("porchlight/") and not room.startswith("device"):
                found.append(f"{inner}: includes <{name}>, which only products and the device room may")
            continue
        if not (root / "src" / name).exists():
            if not (path.parent / name).exists():
                found.append(f'{inner}: includes "{name}", which does not exist below src/ (write includes from src/)')
            continue
        target = room_of(name, arrows, is_client)
        if target is None:
            found.append(f'{inner}: includes "{name}" of a folder that is no room')
        elif target != room and target not in arrows[room] and not (inner.endswith(("_test.c", "_fuzz.c")) and test_may(target)):
            found.append(f'{inner}: {room} may not include {target} ("{name}"); arrows.txt has no such arrow')
    return found


def test_may(target):
    """Tests may use what every program links anyway."""
    return target in ("base", "os", "crypto")


def check_products(root):
    """Products and the public headers see the public headers alone."""
    found = []
    for top in ("products", "include"):
        for path in sorted((root / top).rglob("*.[ch]")):
            inner = path.relative_to(root).as_posix()
            for kind, name in includes(path):
                if kind == '"' and not (path.parent / name).exists():
                    found.append(f'{inner}: includes "{name}"; only <porchlight/...> and files beside it are allowed')
                elif top == "include" and kind == "<" and "/" in name and not name.startswith("porchlight/"):
                    found.append(f"{inner}: a public header includes <{name}>")
    return found


def check_cycles(root):
    """Headers that include each other, directly or around a corner."""
    graph = {}
    for path in sorted((root / "src").rglob("*.h")):
        inner = path.relative_to(root / "src").as_posix()
        graph[inner] = [name for kind, name in includes(path) if kind == '"' and (root / "src" / name).exists()]
    found, done = [], set()

    def walk(node, trail):
        if node in trail:
            found.append("header cycle: " + " -> ".join(trail[trail.index(node):] + [node]))
        elif node not in done:
            for after in graph.get(node, []):
                walk(after, trail + [node])
            done.add(node)

    for node in graph:
        walk(node, [])
    return found


def check(root):
    arrows = read_arrows(root)
    found = [f"arrows.txt: {room} names {dep}, which is no room" for room, deps in arrows.items() for dep in deps if dep not in arrows]
    for path in sorted([*(root / "src").rglob("*.[ch]"), *(root / "src").rglob("*.cc")]):
        found += check_source(path, root, arrows)
    return found + check_products(root) + check_cycles(root)


if __name__ == "__main__":
    findings = check(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve())
    print("\n".join(findings) or "arrows: every include follows the picture")
    sys.exit(1 if findings else 0)
