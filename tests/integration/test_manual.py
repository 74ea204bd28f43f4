"""What the programs say of themselves: help, manual pages that man reads without a warning, completion as bash runs it."""

import re
import shutil
import subprocess
import unittest

import case  # noqa: F401  (finds the lab)
import lab

COMMON = {"--json", "--help"}


def output(*words):
    return subprocess.run([lab.program(words[0]), *words[1:]], check=True, capture_output=True, text=True).stdout


def commands():
    return [line[2:].split("  ")[0] for line in output("porchlight", "--help").splitlines() if re.match(r"  \S", line)]


def help_options(command):
    """The options that `porchlight COMMAND --help` lists."""
    return set(re.findall(r"^  (--[a-z-]+)", output("porchlight", *command.split(), "--help"), re.M))


def complete(*words):
    """What bash offers for the last word."""
    script = ('source <("$1" completion bash); shift; COMP_WORDS=(porchlight "$@"); COMP_CWORD=$#; _porchlight; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "--norc", "-c", script, "bash", lab.program("porchlight"), *words],
                          check=True, capture_output=True, text=True)
    return set(done.stdout.split())


class Completion(unittest.TestCase):
    def test_every_command_is_offered_word_by_word(self):
        self.assertEqual(complete(""), {each.split()[0] for each in commands()})
        for command in commands():
            *before, last = command.split()
            self.assertIn(last, complete(*before, last[:2]), command)

    def test_every_option_of_every_command_is_offered(self):
        for command in commands():
            offered = complete(*command.split(), "--")
            self.assertEqual(offered, help_options(command) | COMMON, command)

    def test_options_before_the_command_do_not_confuse_it(self):
        self.assertIn("add", complete("-C", "/tmp", "--json", "device", "a"))
        self.assertIn("--product", complete("-C", "/tmp", "device", "add", "front-door", "--out", "x", "--pro"))

    def test_a_folder_is_completed_where_one_is_expected(self):
        self.assertIn("/usr", complete("-C", "/us"))
        self.assertIn("/usr", complete("device", "add", "x", "--out", "/us"))
        self.assertNotIn("/usr", complete("device", "add", "x", "--product", "/us"))


class Manual(unittest.TestCase):
    pages = {"porchlight": ("porchlight", "manual"), "porchlightd": ("porchlightd", "--manual"),
             "porchlight-hub.conf": ("porchlight", "manual", "hub.conf")}

    @unittest.skipUnless(shutil.which("man"), "man-db is not installed")
    def test_man_reads_every_page_without_a_warning(self):
        for name, words in self.pages.items():
            done = subprocess.run(["man", "--warnings", "-P", "cat", "-l", "-"], input=output(*words), check=True,
                                  capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "MANWIDTH": "100", "LC_ALL": "C.UTF-8"})
            self.assertEqual(done.stderr, "", name)
            self.assertIn("FILES", done.stdout, name)
            self.assertIn("NAME", done.stdout, name)

    def test_pages_of_programs_say_exit_status_files_and_environment(self):
        for name in ("porchlight", "porchlightd"):
            page = output(*self.pages[name])
            for heading in ("EXIT STATUS", "ENVIRONMENT", "FILES"):
                self.assertIn(f".SH {heading}", page, name)

    def test_an_unknown_page_or_shell_is_wrong_usage(self):
        for words in (("manual", "nonsense"), ("completion", "fish")):
            done = subprocess.run([lab.program("porchlight"), *words], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertIn("porchlight:", done.stderr)

    def test_every_setting_stands_in_both_lists(self):
        page = output("porchlight", "manual", "hub.conf").replace("\\-", "-")
        for line in output("porchlightd", "--settings").splitlines():
            if " = " in line and not line.startswith(" "):
                self.assertIn(f"\\fB{line.split(' = ')[0]}\\fR", page)


class Directory(unittest.TestCase):
    """Which hub is meant when -C does not say."""

    @classmethod
    def setUpClass(cls):
        cls.hub = lab.Hub()
        cls.addClassCleanup(cls.hub.remove)
        cls.hub.init()

    def id_of(self, *words, **options):
        done = subprocess.run([lab.program("porchlight"), *words, "status", "--json"], capture_output=True, text=True, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return re.search(r'"hub":"([^"]+)"', done.stdout).group(1)

    def test_the_environment_and_the_current_directory_name_it(self):
        meant = self.id_of("-C", str(self.hub.dir))
        self.assertEqual(self.id_of(env={"PORCHLIGHT_DIR": str(self.hub.dir)}), meant)
        self.assertEqual(self.id_of(cwd=self.hub.dir), meant)

    def test_init_without_any_directory_is_wrong_usage(self):
        done = subprocess.run([lab.program("porchlight"), "init"], capture_output=True, text=True, cwd="/")
        if not lab.pathlib.Path("/var/lib/porchlight").exists():
            self.assertEqual(done.returncode, 2, done.stdout)
            self.assertIn("needs a DIR", done.stderr)


if __name__ == "__main__":
    unittest.main()
