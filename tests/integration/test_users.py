"""Started as root, each process is a user of its own, and the keys are out of the hub's reach."""

import os
import pathlib
import pwd
import select
import shutil
import signal
import subprocess
import tempfile
import unittest

import case  # noqa: F401  (finds the lab)
import lab

HUB = f"porch{os.getpid()}"
ROLES = ("hub", "signer", "analyst", "courier")
SETUID_SETGID_KILL = 1 << 7 | 1 << 6 | 1 << 5


def user_of(role):
    return HUB if role == "hub" else f"{HUB}-{role}"


def add_user(role):
    subprocess.run(["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", user_of(role)],
                   check=True, capture_output=True)


def remove_user(role):
    if user_of(role) in (entry.pw_name for entry in pwd.getpwall()):
        subprocess.run(["userdel", user_of(role)], check=True, capture_output=True)


def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.split() for key, value in (line.split(":", 1) for line in lines)}


def can_read(user, path):
    """Whether the user reads the file or lists the folder, tried by a process that is that user."""
    entry = pwd.getpwnam(user)
    done = subprocess.run(["ls" if path.is_dir() else "cat", str(path)], capture_output=True, user=entry.pw_uid,
                          group=entry.pw_gid, extra_groups=[])
    return done.returncode == 0


def setUpModule():
    """Programs that every user can reach: a checkout may lie below a home that others cannot enter."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="porchlight-programs-"))
    unittest.addModuleCleanup(shutil.rmtree, folder, True)
    unittest.addModuleCleanup(setattr, lab, "BUILD", lab.BUILD)
    os.chmod(folder, 0o755)
    for part in ("bin", "libexec", "share"):
        if (lab.BUILD / part).exists():
            shutil.copytree(lab.BUILD / part, folder / part)
    lab.BUILD = folder


@unittest.skipIf(os.geteuid() != 0, "needs root: it makes system users and starts the hub as root")
@unittest.skipIf(shutil.which("useradd") is None, "needs useradd")
class Users(unittest.TestCase):
    roles = ROLES

    def setUp(self):
        for role in ROLES:
            self.addCleanup(remove_user, role)  # the last to be done: after the hub's end
        for role in self.roles:
            add_user(role)
        top = tempfile.mkdtemp(prefix="porchlight-")
        self.addCleanup(shutil.rmtree, top, True)
        os.chmod(top, 0o711)  # others must reach the hub's directory
        self.hub = lab.Hub(top)
        self.addCleanup(self.hub.stop)
        self.hub.init("--user", HUB)

    def refusal(self, hub):
        """The reason for which a start is refused."""
        with self.assertRaises(lab.LabError):
            hub.start()
        line = hub.log.wait_for(lambda text: "supervisor.failed" in text, 10)
        self.assertIsNotNone(line, hub.log.text())
        return line.split('reason="', 1)[1].rstrip('"')

    def uids(self):
        return {role: status(pid)["Uid"] for role, pid in self.hub.children().items()}

    def wait_for_other(self, role, pid, start, seconds=30):
        """The role's new process, once the supervisor has told (in a log line from index `start` on) that it runs."""
        line = self.hub.log.wait_for(lambda text: "helper.restarted" in text and f"role={role}" in text, seconds, start)
        now = self.hub.children().get(role)
        if line is None or now in (None, pid):
            self.fail(f"the {role} did not come back:\n" + "\n".join(self.hub.log.all[-15:]))
        self.assertEqual(status(now)["Uid"][0], str(pwd.getpwnam(user_of(role)).pw_uid))
        return now

    def check_signer(self):
        """The signer answers: a certificate is made. The hub itself waits a while for one that is away."""
        self.made = getattr(self, "made", 0) + 1
        self.hub.cli("device", "add", f"one-{self.made}", "--product", "camera", "--out", self.hub.top / f"device-{self.made}")

    def test_each_process_has_its_user_and_no_rights(self):
        self.hub.start()
        wanted = {role: [str(pwd.getpwnam(user_of(role)).pw_uid)] * 4 for role in ROLES}
        self.assertEqual(self.uids(), wanted)
        self.assertEqual(len({uids[0] for uids in wanted.values()}), 4)
        for role, pid in self.hub.children().items():
            found = status(pid)
            self.assertEqual(found["Gid"], [str(pwd.getpwnam(user_of(role)).pw_gid)] * 4)
            self.assertEqual(found["Groups"], [])
            for rights in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                self.assertEqual(int(found[rights][0], 16), 0, f"{role} {rights}")
        # the supervisor: no root, and three rights
        found = status(self.hub.process.pid)
        self.assertEqual(found["Uid"], wanted["hub"])
        self.assertEqual(int(found["CapPrm"][0], 16), SETUID_SETGID_KILL)
        self.assertEqual(int(found["CapEff"][0], 16), SETUID_SETGID_KILL)
        self.assertNotIn("supervisor.shares-user", self.hub.log.text())

    def test_the_keys_are_out_of_the_hubs_reach(self):
        self.hub.start()
        folder = self.hub.file("signer")
        self.assertEqual(folder.stat().st_mode & 0o7777, 0o700)
        for path in (folder, *folder.iterdir()):
            self.assertEqual(path.stat().st_uid, pwd.getpwnam(user_of("signer")).pw_uid, path)
            self.assertFalse(can_read(HUB, path), path)
        self.assertTrue(can_read(HUB, self.hub.file("hub.conf")))  # the way of asking works
        for role in ("signer", "analyst", "courier"):
            self.assertFalse(can_read(user_of(role), self.hub.file("hub.db")), role)
        socket = self.hub.file("run", "admin.sock").stat()
        self.assertEqual((socket.st_uid, socket.st_mode & 0o777), (pwd.getpwnam(HUB).pw_uid, 0o600))

    def test_each_process_that_is_killed_comes_back_as_its_user(self):
        self.hub.start()
        for role in ("signer", "analyst", "courier"):
            pid, start = self.hub.children()[role], len(self.hub.log.all)
            os.kill(pid, signal.SIGKILL)
            self.wait_for_other(role, pid, start)
            self.check_signer()
        before, lines, start = self.hub.children(), len(self.hub.out.all), len(self.hub.log.all)
        os.kill(before["hub"], signal.SIGKILL)
        self.hub.wait_ready(start=lines)
        for role in ROLES:
            self.wait_for_other(role, before[role], start)
        self.check_signer()
        pids = list(self.hub.children().values())
        self.assertEqual(self.hub.stop(), 0)
        self.assertEqual([pid for pid in pids if pathlib.Path(f"/proc/{pid}").exists()], [])

    def test_no_process_outlives_the_supervisor(self):
        self.hub.start()
        handles = {role: os.pidfd_open(pid) for role, pid in self.hub.children().items()}
        self.hub.process.kill()
        self.hub.process.wait()
        for role, handle in handles.items():
            self.assertTrue(select.select([handle], [], [], 30)[0], f"the {role} lives on")  # readable once it has ended
            os.close(handle)

    def test_backup_and_restore(self):
        self.hub.start()
        self.check_signer()
        made = self.hub.cli("backup", "--out", self.hub.top / "hub.backup")
        self.hub.stop()
        self.hub.start()  # what root wrote into DIR is the hub's
        self.hub.stop()
        other = lab.Hub(self.hub.top / "second")
        other.top.mkdir(mode=0o711)
        os.chmod(other.top, 0o711)
        self.addCleanup(other.stop)
        other.cli("restore", self.hub.top / "hub.backup", input=made["recovery_key"] + "\n")
        # it belongs to root still: each refusal names the command that mends it
        for _ in range(2):
            command = self.refusal(other).split("run: ")[1]
            self.assertTrue(command.startswith("chown -R "), command)
            subprocess.run(command.split(), check=True)
        self.hub = other.start()
        self.assertEqual(self.uids()["signer"][0], str(pwd.getpwnam(user_of("signer")).pw_uid))
        self.assertEqual(len(other.cli("device", "list")["devices"]), 1)
        # what no backup has (OFFLINE) is missed by nobody
        other.stop()
        before = other.file("tls", "web-ca.pem").read_bytes()
        other.cli("ca", "renew-web")
        self.assertNotEqual(other.file("tls", "web-ca.pem").read_bytes(), before)
        other.start()

    def test_a_user_that_is_named_must_be_there(self):
        self.hub.set(hub_courier_user="porch-no-such-user")
        self.assertIn("useradd --system porch-no-such-user", self.refusal(self.hub))


@unittest.skipIf(os.geteuid() != 0, "needs root: it makes system users and starts the hub as root")
@unittest.skipIf(shutil.which("useradd") is None, "needs useradd")
class WithoutUsers(Users):
    """Only hub.user is there: the hub serves, and one line says how to do better."""

    roles = ("hub",)
    # of the inherited ones only these say something here
    test_each_process_has_its_user_and_no_rights = None
    test_the_keys_are_out_of_the_hubs_reach = None
    test_each_process_that_is_killed_comes_back_as_its_user = None
    test_backup_and_restore = None
    test_no_process_outlives_the_supervisor = None
    test_a_user_that_is_named_must_be_there = None

    def test_all_are_the_hubs_user_and_one_line_names_the_command(self):
        self.hub.start()
        self.assertEqual({uids[0] for uids in self.uids().values()}, {str(pwd.getpwnam(HUB).pw_uid)})
        self.assertEqual(int(status(self.hub.process.pid)["CapPrm"][0], 16), 0)
        lines = [line for line in self.hub.log.all if "supervisor.shares-user" in line]
        self.assertEqual(len(lines), 1)
        command = lines[0].split('command="')[1].split('"')[0]
        self.hub.stop()
        for role in ("signer", "analyst", "courier"):
            self.assertIn(f"useradd --system {user_of(role)}", command)
        subprocess.run(command, shell=True, check=True, capture_output=True)
        self.hub.start()
        self.assertEqual(len({uids[0] for uids in self.uids().values()}), 4)

    def test_a_folder_of_another_is_refused_with_the_command_that_mends_it(self):
        add_user("signer")
        wanted = f"run: chown -R {pwd.getpwnam(user_of('signer')).pw_uid} {self.hub.file('signer')}"
        self.assertIn(wanted, self.refusal(self.hub))


if __name__ == "__main__":
    unittest.main()
