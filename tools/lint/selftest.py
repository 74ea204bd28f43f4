"""Shows that each check of arrows.py, style.py, analyzers.py, conformance.py and hardening.py can fail: a small sound tree passes, and each way of
breaking it is found."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import analyzers  # noqa: E402
import arrows  # noqa: E402
import conformance  # noqa: E402
import hardening  # noqa: E402
import style  # noqa: E402

SOUND = {
    "tools/arrows.txt": "base:\nwire: base\nos: base\ncrypto: base\ncloud/store: base os\ncloud/signer/client: base\ncloud/signer: base cloud/signer/client\ndevice: base\n",
    "src/base/bytes.h": "/* Bytes. */\n#include <stddef.h>\nint porch_bytes_one(void);\n",
    "src/base/bytes.c": '#include "base/bytes.h"\nint porch_bytes_one(void) {\n    return 1;\n}\n',
    "src/base/bytes_test.c": '#include "base/bytes.h"\nint main(void) {\n    return 0;\n}\n',
    "src/wire/frame.h": '/* Frames. */\n#include "base/bytes.h"\n',
    "src/wire/frame.c": '#include "wire/frame.h"\n',
    "src/wire/frame_test.c": "int main(void) {\n    return 0;\n}\n",
    "src/wire/frame_fuzz.c": '#include "wire/frame.h"\n',
    "src/cloud/signer/signer_client.h": "/* Client. */\n",
    "src/cloud/signer/signer.h": '/* Inside. */\n#include "cloud/signer/signer_client.h"\n',
    "include/porchlight/porchlight.h": "/* Public. */\n#include <stddef.h>\n",
    "products/camera/camera.c": "#include <porchlight/porchlight.h>\n",
}

# what breaks it, in which file, with what text, and a word of the finding
BROKEN = [
    ("an arrow that is not drawn", "src/base/bytes.c", '#include "base/bytes.h"\n#include "wire/frame.h"\n', "may not include wire"),
    ("the inside of a helper process", "src/cloud/store/store.h", '/* S. */\n#include "cloud/signer/signer.h"\n', "may not include cloud/signer"),
    ("a folder that is no room", "src/attic/x.h", "/* X. */\n", "no room"),
    ("a header that is not there", "src/wire/frame.c", '#include "wire/frame.h"\n#include "base/gone.h"\n', "does not exist"),
    ("a header cycle", "src/base/bytes.h", '/* B. */\n#include "base/loop.h"\n', "cycle"),
    ("a product that looks inside", "products/camera/camera.c", '#include "base/bytes.h"\n', "products/camera"),
    ("a public header that needs ours", "include/porchlight/porchlight.h", '/* P. */\n#include "base/bytes.h"\n', "include/porchlight"),
    ("a banned call", "src/base/bytes.c", '#include "base/bytes.h"\nvoid porch_x(char *a) {\n    strcpy(a, "x");\n}\n', "strcpy"),
    ("a wait by real time", "src/base/bytes.c", '#include "base/bytes.h"\nint porch_x = CLOCK_REALTIME;\n', "real time"),
    ("an unfinished place", "src/base/bytes.c", '#include "base/bytes.h"\n/* TO' + 'DO later */\n', "unfinished"),
    ("a header without its story", "src/base/bytes.h", "#include <stddef.h>\n", "story"),
    ("a foreign first include", "src/base/bytes.c", '#include <stdio.h>\n#include "base/bytes.h"\n', "first include"),
    ("a source without a test", "src/base/lonely.c", "int porch_lonely;\n", "no test"),
    ("a parser without a fuzz target", "src/wire/other.c", "int porch_other;\n", "no fuzz target"),
    ("a parser of another room without one", "src/base/bytes.c",
     '#include "base/bytes.h"\nint porch_thing_parse(porch_bytes text, int *ret) {\n    return 0;\n}\n', "none that calls porch_thing_parse"),
    ("a macro without the prefix", "src/base/bytes.h", "/* B. */\n#define BYTES_MOST 8\n", "BYTES_MOST"),
    ("a header that needs another first", "src/base/bytes.h", "/* B. */\nsize_t porch_bytes_len(void);\n", "alone"),
    ("an exception that is not needed", "tools/lint/exceptions.txt", "test src/base/bytes.c it has none\n", "no longer needed"),
]


class Lint(unittest.TestCase):
    def tree(self, **changes):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name, text in {**SOUND, "src/base/loop.h": '/* L. */\n#include "base/bytes.h"\n' if changes.get("cycle") else "/* L. */\n",
                           **changes.get("files", {})}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return folder

    def findings(self, folder):
        return arrows.check(folder) + style.check(folder)

    def test_a_sound_tree_passes(self):
        self.assertEqual(self.findings(self.tree()), [])

    def test_each_way_of_breaking_it_is_found(self):
        for name, path, text, word in BROKEN:
            with self.subTest(name):
                findings = self.findings(self.tree(files={path: text}, cycle="cycle" in name))
                self.assertTrue(any(word in finding for finding in findings), (word, findings))

    def test_every_banned_call_is_found_and_its_namesakes_are_not(self):
        calls = "strcpy strcat sprintf vsprintf gets strtok atoi atol rand srand system alloca mktemp tmpnam".split()
        for call in calls:
            path = "src/base/bytes.c"
            with self.subTest(call):
                text = f'#include "base/bytes.h"\nvoid porch_x(void) {{\n    {call}(0);\n}}\n'
                self.assertTrue(any(f"calls {call}," in each for each in self.findings(self.tree(files={path: text}))))
                sound = f'#include "base/bytes.h"\n/* {call}() */\nint porch_{call}(void) {{\n    return porch_{call}() + my_{call}("{call}()");\n}}\n'
                self.assertEqual(style.check(self.tree(files={path: sound}), headers=False), [])

    def test_a_parser_that_some_fuzz_target_calls_is_fuzzed(self):
        parser = '#include "base/bytes.h"\nint porch_thing_parse(porch_bytes text, int *ret) {\n    return 0;\n}\n'
        fuzz = '#include "wire/frame.h"\nint x(void) {\n    return porch_thing_parse(y, 0);\n}\n'
        self.assertEqual(style.check(self.tree(files={"src/base/bytes.c": parser, "src/wire/frame_fuzz.c": fuzz}), headers=False), [])

    def test_the_list_of_exceptions_may_only_shrink(self):
        lonely = {"src/base/lonely.c": "int porch_lonely;\n", "src/base/second.c": "int porch_second;\n"}
        first, second = "test src/base/lonely.c a reason\n", "test src/base/second.c another\n"
        folder = self.tree(files={**lonely, "tools/lint/exceptions.txt": first + second})
        git = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@localhost"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
            subprocess.run([*git, *words], check=True)
        self.assertEqual(style.check(folder, headers=False), [])
        (folder / "src/base/third.c").write_text("int porch_third;\n")
        (folder / "tools/lint/exceptions.txt").write_text(first + second + "test src/base/third.c one more\n")
        self.assertEqual(style.check(folder, headers=False), ["exceptions.txt: 'test src/base/third.c' is new; the list may only shrink"])
        (folder / "tools/lint/exceptions.txt").write_text("test src/base/lonely.c\n")
        with self.assertRaisesRegex(SystemExit, "has no reason"):
            style.check(folder, headers=False)

    def test_a_generated_file_that_is_not_its_sources_is_found(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.assertTrue(style.check_generated(analyzers.ROOT, folder), "an empty build must not pass")
        made = folder / "generated" / "store_migrations.c"
        made.parent.mkdir()
        subprocess.run(["cmake", f"-DOUT={made}", f"-DFOLDER={analyzers.ROOT}/src/cloud/store/migrations", "-P",
                        f"{analyzers.ROOT}/src/cloud/store/embed.cmake"], check=True)
        self.assertEqual(style.check_generated(analyzers.ROOT, folder), [])
        made.write_text(made.read_text() + "/* Nov 28 */\n")
        self.assertIn("made again it is another", style.check_generated(analyzers.ROOT, folder)[0])
        (made.parent / "stray.c").write_text("")
        self.assertIn("stray.c", style.check_generated(analyzers.ROOT, folder)[1])

    # ---- the table of MQTT's statements ----

    STATEMENTS = "# two standards\n5.0 1.1.1 1-2\n3.1.1 1.1.1 3\n"
    PLACES = {"src/wire/frame.c": "int porch_frame(int a) {\n    return find(a);\n}\n",
              "src/wire/frame_test.c": "static void a_frame_is_whole(void **state) {\n}\n",
              "tests/integration/test_x.py": "class X:\n    def test_y(self):\n        pass\n"}
    TABLE = ("# T\n\n## MQTT 5.0\n\n| MQTT-1.1.1-1 | words | frame.c porch_frame | `a_frame_is_whole`; `test_y` |\n"
             "| MQTT-1.1.1-2 | words | client: not ours, there is none |  |\n\n## MQTT 3.1.1\n\n"
             "| MQTT-1.1.1-3 | words | client: as frame.c porch_frame | `test_y` |\n")

    def statements(self, *change, **files):
        table = self.TABLE.replace(*change) if change else self.TABLE
        folder = self.tree(files={**self.PLACES, conformance.DOC: table, **files})
        return conformance.check(folder, self.STATEMENTS)

    def test_a_whole_table_of_statements_passes(self):
        self.assertEqual(self.statements(), [])

    def test_each_lie_in_the_table_of_statements_is_found(self):
        first, second = self.TABLE.splitlines()[4:6]
        for word, old, new in [
            ("1.1.1-2 of 5.0 has no row", second + "\n", ""),
            ("two rows", second, second + "\n" + second),
            ("no statement of the standard", "MQTT-1.1.1-3", "MQTT-1.1.1-4"),
            ("order", first + "\n" + second, second + "\n" + first),
            ("four columns", first, "| MQTT-1.1.1-1 | words |"),
            ("does not define porch_gone", "frame.c porch_frame |", "frame.c porch_gone |"),
            ("does not define find", "frame.c porch_frame |", "frame.c find |"),
            ("gone.c is not there", "as frame.c", "as gone.c"),
            ("no place", "frame.c porch_frame |", "somewhere |"),
            ("no test a_frame_is_half", "a_frame_is_whole", "a_frame_is_half"),
            ("no test test_z", "`test_y` |\n| MQTT-1.1.1-2", "`test_z` |\n| MQTT-1.1.1-2"),
            ("1.1.1-1: no test", "`a_frame_is_whole`; `test_y`", ""),
        ]:
            with self.subTest(word):
                self.assertIn(old, self.TABLE)
                self.assertTrue(any(word in each for each in self.statements(old, new)), self.statements(old, new))
        self.assertIn("many files", self.statements(**{"src/base/frame.c": "int x;\n"})[0])

    # ---- what other people's tools find ----

    def source(self, code, name="planted.c"):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        path = folder / name
        path.write_text(code)
        (folder / "compile_commands.json").write_text(json.dumps([{"directory": str(folder), "file": str(path), "command": f"clang -std=c17 -c {path}"}]))
        return path

    def quiet(self, run, *words):
        """What a check answers, its words kept off the screen."""
        null = os.open(os.devnull, os.O_WRONLY)
        kept = [os.dup(1), os.dup(2)]
        try:
            sys.stdout.flush()
            os.dup2(null, 1), os.dup2(null, 2)
            return run(*words)
        finally:
            os.dup2(kept[0], 1), os.dup2(kept[1], 2)
            for fd in (null, *kept):
                os.close(fd)

    def sound_and_broken(self, run, sound, broken):
        self.assertTrue(self.quiet(run, self.source(sound)), "the sound one must pass")
        self.assertFalse(self.quiet(run, self.source(broken)), "the broken one must not")

    def test_clang_format_finds_a_stray_brace(self):
        self.sound_and_broken(lambda path: analyzers.clang_format([path]), "int porch_x(void) {\n    return 1;\n}\n", "int porch_x(void)\n{ return 1; }\n")

    def test_clang_tidy_finds_a_condition_that_says_the_same_twice(self):
        self.sound_and_broken(lambda path: analyzers.clang_tidy([path], path.parent), "int porch_x(int a, int b) {\n    return a == 1 && b == 1;\n}\n",
                              "int porch_x(int a) {\n    return a == 1 && a == 1;\n}\n")

    def test_cppcheck_finds_a_read_past_the_end(self):
        self.sound_and_broken(lambda path: analyzers.cppcheck([path]), "int porch_x(void) {\n    int a[2] = {1, 2};\n    return a[1];\n}\n",
                              "int porch_x(void) {\n    int a[2] = {1, 2};\n    return a[2];\n}\n")

    def test_the_analyzer_finds_a_second_free(self):
        code = "#include <stdlib.h>\nvoid porch_x(char *a) {\n    free(a);\n%s}\n"
        self.sound_and_broken(lambda path: analyzers.gcc_analyzer([path]), code % "", code % "    free(a);\n")

    def test_a_check_of_no_file_does_not_pass(self):
        self.assertFalse(self.quiet(analyzers.clang_format, []))

    def test_a_program_that_was_built_without_its_armour_is_found(self):
        path = self.source("int main(void) {\n    return 0;\n}\n")
        program = path.with_suffix("")
        subprocess.run(["cc", "-no-pie", "-Wl,-z,norelro,-z,lazy,-z,execstack", path, "-o", program], check=True, capture_output=True)
        text = "\n".join(hardening.check(program))
        for word in ("position independent", "read-only relocations", "no executable stack", "stack protector", "fortified calls"):
            self.assertIn(word, text)

    # ---- archives ----

    def archive(self, folder, room, code):
        source = folder / f"{room}.c"
        source.write_text(code)
        subprocess.run(["cc", "-c", source, "-o", folder / f"{room}.o"], check=True)
        subprocess.run(["ar", "rcs", folder / f"libporch_{room}.a", folder / f"{room}.o"], check=True)

    def test_foreign_symbols_heap_and_os_are_found_in_archives(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.assertTrue(style.check_objects(folder), "an empty build must not pass")
        self.archive(folder, "base", "int porch_base(void) { return 1; }")
        self.assertEqual(style.check_objects(folder), [])
        self.archive(folder, "wire", "#include <stdlib.h>\nvoid *porch_wire(void) { return malloc(1); }")
        self.archive(folder, "device", "#include <unistd.h>\nint porch_device(void) { return getpid(); }")
        self.archive(folder, "cloud_store", "int stray(void) { return 1; } int _Zstray(void) { return 1; }")
        text = "\n".join(style.check_objects(folder))
        for word in ("malloc", "getpid", "exports stray", "_Zstray"):
            self.assertIn(word, text)


if __name__ == "__main__":
    unittest.main()
