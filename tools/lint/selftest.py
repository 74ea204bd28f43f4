"""Shows that each check of arrows.py and style.py can fail: a small sound tree passes, and each way of breaking it is found."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import arrows  # noqa: E402
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
    ("an unfinished place", "src/base/bytes.c", '#include "base/bytes.h"\n/* TO' + 'DO later */\n', "unfinished"),
    ("a header without its story", "src/base/bytes.h", "#include <stddef.h>\n", "story"),
    ("a foreign first include", "src/base/bytes.c", '#include <stdio.h>\n#include "base/bytes.h"\n', "first include"),
    ("a source without a test", "src/base/lonely.c", "int porch_lonely;\n", "no test"),
    ("a parser without a fuzz target", "src/wire/other.c", "int porch_other;\n", "no fuzz target"),
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
        self.archive(folder, "cloud_store", "int stray(void) { return 1; }")
        text = "\n".join(style.check_objects(folder))
        for word in ("malloc", "getpid", "stray"):
            self.assertIn(word, text)


if __name__ == "__main__":
    unittest.main()
