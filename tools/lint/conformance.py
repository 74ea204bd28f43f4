"""Whether docs/mqtt-conformance.md is whole and true: each numbered statement of MQTT 5.0 and 3.1.1 has one row, in the order of
the standard; each function that a row names is defined in the file that it names; each test that it names is a test.

  conformance.py [ROOT]     one line a finding, exits 1 when there is any

The numbers are in mqtt_statements.txt beside this file. A row says `file.c function` (the file by its name alone, which must be
the only one under src) and the names of tests, many of either parted by semicolons. Only what a client has to do may go without
a test, and then the place begins with 'client: not ours'."""

import pathlib
import re
import sys

DOC = "docs/mqtt-conformance.md"
ROW = re.compile(r"^\| MQTT-(\S+) \| (.*) \| (.*) \| (.*) \|$")
PLACE = re.compile(r"\b([a-z0-9_]+\.c) ([a-z_0-9]+)\b")


def statements(text):
    """{version: [number]}, from lines such as '5.0 3.1.2 1-30'."""
    ret = {}
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        version, section, numbers = line.split()
        first, _, last = numbers.partition("-")
        ret.setdefault(version, []).extend(f"{section}-{n}" for n in range(int(first), int(last or first) + 1))
    return ret


def rows(text):
    """{version: [(number, words, place, tests)]} of the document."""
    ret, version = {}, None
    for line in text.splitlines():
        if line.startswith("## "):
            version = line[3:].removeprefix("MQTT ").strip()
        elif line.startswith("| MQTT-"):
            row = ROW.match(line)
            ret.setdefault(version, []).append(row.groups() if row else (line.split()[1].removeprefix("MQTT-"), "", "", ""))
    return ret


class Tree:
    """What is in the sources: functions by file, tests by name."""

    def __init__(self, root):
        self.files, self.tests, self.texts = {}, set(), {}
        for path in root.glob("src/**/*.c"):
            if path.name.endswith(("_test.c", "_fuzz.c")):
                self.tests.update(re.findall(r"^static void ([a-z0-9_]+)\(void \*\*state\)", path.read_text(), re.M))
            else:
                self.files.setdefault(path.name, []).append(path)
        for path in root.glob("tests/integration/*.py"):
            self.tests.update(re.findall(r"^    def (test_[a-z0-9_]+)\(self", path.read_text(), re.M))

    def fault(self, file, function):
        places = self.files.get(file, [])
        if len(places) != 1:
            return f"{file} is {'not there' if not places else 'the name of many files'}"
        text = self.texts.setdefault(places[0], places[0].read_text())
        return None if re.search(rf"^[a-z][^\n;]*\b{function}\(", text, re.M) else f"{file} does not define {function}"


def judge_row(tree, row):
    number, words, place, tests = row
    if not (words and place):
        yield f"MQTT-{number}: a row has four columns: statement, place and test behind the number"
        return
    named = PLACE.findall(place)
    if not named and not place.startswith("client:"):
        yield f"MQTT-{number}: no place in the code"
    yield from (f"MQTT-{number}: {fault}" for fault in (tree.fault(*each) for each in named) if fault)
    names = [name.strip(" `") for name in tests.split(";") if name.strip(" `")]
    if not names and not place.startswith("client: not ours"):
        yield f"MQTT-{number}: no test"
    yield from (f"MQTT-{number}: there is no test {name}" for name in names if name not in tree.tests)


def check(root, numbers=None):
    tree = Tree(root)
    numbers = numbers or (pathlib.Path(__file__).parent / "mqtt_statements.txt").read_text()
    found, findings = rows((root / DOC).read_text()), []
    for version, wanted in statements(numbers).items():
        have = [row[0] for row in found.get(version, [])]
        findings += [f"MQTT-{n} of {version} has no row" for n in wanted if n not in have]
        findings += [f"MQTT-{n} of {version} is no statement of the standard" for n in have if n not in wanted]
        findings += [f"MQTT-{n} of {version} has two rows" for n in sorted({n for n in have if have.count(n) > 1})]
        if not findings and have != wanted:
            findings.append(f"the rows of {version} are not in the standard's order")
        for row in found.get(version, []):
            findings += [f"{version}: {each}" for each in judge_row(tree, row)]
    return findings


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    findings = check(root)
    count = {version: len(each) for version, each in statements((pathlib.Path(__file__).parent / "mqtt_statements.txt").read_text()).items()}
    print("\n".join(findings) or "conformance: " + ", ".join(f"{n} statements of MQTT {version}" for version, n in count.items()) + ", each with its place and test")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
