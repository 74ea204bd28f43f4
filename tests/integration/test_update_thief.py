"""A thief has the hub: its messages, its server's key and files, and every key that is online (snapshot, timestamp and time). He signs
with them whatever he likes, and serves it. No device installs anything that is not signed, older, for other hardware, or outside of
the signed stage; and what is honest still installs afterwards. Where the time key lies elsewhere, he does not even get so far."""

import hashlib
import json
import shutil
import unittest

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

import test_update_agent
import test_update_fresh
import tuf_repo


class Loot:
    """The server's files, to be changed, and signatures by every stolen key under whatever id is asked for."""

    def __init__(self, repo, top):
        self.honest, self.root = repo / "repository", top / "loot"
        known = json.loads((repo / "keys.json").read_text())
        self.keys = {keyid: serialization.load_pem_private_key((repo / each["at"]).read_bytes(), None)
                     for keyid, each in known.items() if each["at"].startswith("online/")}
        self.role = {keyid: known[keyid]["role"] for keyid in self.keys}
        self.seen, self.epoch = {}, 0  # what devices have seen announced: less would be a rollback
        self.reset()

    def reset(self):
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.honest, self.root)

    def newest(self, role):
        """What the newest version of a role says."""
        paths = (self.root / "metadata").glob(f"*.{role}.json") if role != "timestamp" else [self.root / "metadata/timestamp.json"]
        return max((json.loads(path.read_text())["signed"] for path in paths), key=lambda signed: signed["version"])

    def sign(self, signed, ids=None):
        """By each stolen key, under its own id; or all of them under the ids of those who may sign."""
        data = tuf_repo.canonical(signed).encode()
        ids = ids or list(self.keys)
        keys = list(self.keys.values())
        return {"signatures": [{"keyid": keyid, "sig": self.keys.get(keyid, keys[i % len(keys)]).sign(data, ec.ECDSA(hashes.SHA256())).hex()}
                               for i, keyid in enumerate(ids)], "signed": signed}

    def put(self, role, signed, ids=None):
        """The next version of a role."""
        if role not in ("snapshot", "timestamp"):
            signed["version"] = max(signed["version"], self.seen.get(role, 0)) + 1
            self.seen[role] = signed["version"]
        name = "timestamp.json" if role == "timestamp" else f"{signed['version']}.{role}.json"
        (self.root / "metadata" / name).write_text(json.dumps(self.sign(signed, ids)))
        return signed

    def announce(self, **versions):
        """A new snapshot of what was put, and the timestamp over it, both as good as the hub's."""
        snapshot, timestamp = self.newest("snapshot"), self.newest("timestamp")
        self.epoch += 100
        snapshot["version"] += self.epoch
        for role, version in {**{role: version for role, version in self.seen.items() if role != "root"}, **versions}.items():
            snapshot["meta"][f"{role}.json"] = {"version": version}
        self.put("snapshot", snapshot, [keyid for keyid, role in self.role.items() if role == "snapshot"])
        timestamp["version"] += self.epoch
        timestamp["meta"] = {"snapshot.json": {"version": snapshot["version"]}}
        self.put("timestamp", timestamp, [keyid for keyid, role in self.role.items() if role == "timestamp"])

    def add(self, image, name):
        digest = hashlib.sha256(image).hexdigest()
        folder, _, last = name.rpartition("/")
        (self.root / "targets" / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "targets" / folder / f"{digest}.{last}").write_bytes(image)
        return digest


class Thief(test_update_fresh.Timed):
    def vouch(self, nonce):
        """The thief has the time key, too: whatever he serves is the newest."""
        served = (self.server.root / "metadata/timestamp.json").read_bytes()
        return self.statement(nonce, timestamp=hashlib.sha256(served).hexdigest())

    def steal(self, time_key=True):
        self.loot = Loot(self.repo.folder, self.top)
        self.server.root = self.loot.root
        self.word = self.vouch if time_key else self.honest
        self.attempts = getattr(self, "attempts", 0)

    def give_back(self):
        """The team takes the stolen keys out of its root, and the honest repository is served again."""
        for role in ("snapshot", "timestamp"):
            self.repo.run("rotate", "--role", role)
        self.server.root = self.loot.honest

    def order(self, version, sha256, state, words="", product="camera"):
        """The thief orders; the device answers with that state."""
        self.attempts += 1
        self.turn(version, sha256, attempt=self.attempts, product=product)
        said = self.reported(state, target=version, attempt=self.attempts)
        self.assertRegex(said.get("reason", ""), words)
        return said

    def test_online_keys_sign_nothing_that_is_installed(self):
        self.connected()
        self.steal()
        evil = self.program("66").read_bytes()
        honest = self.loot.newest("camera")
        sample = honest["targets"]["camera/1/image"]
        target = {**sample, "length": len(evil), "hashes": {"sha256": hashlib.sha256(evil).hexdigest()},
                  "custom": {**sample["custom"], "version": "66", "serial": 66}}
        may_sign = {role["name"]: role["keyids"] for role in self.loot.newest("targets")["delegations"]["roles"]}
        root = self.loot.newest("root")

        def product_role(ids):
            sha256 = self.loot.add(evil, "camera/66/image")
            role = self.loot.newest("camera")
            role["targets"]["camera/66/image"] = target
            self.loot.put("camera", role, ids)
            self.loot.announce()
            return sha256

        # the product's role, signed by the stolen keys under their own ids, and under the ids of those who may
        sha256 = product_role(None)
        self.order("66", sha256, "refused", "signatures")
        self.loot.reset()
        self.order("66", product_role(may_sign["camera"]), "refused", "signatures")
        # the top of all targets, without any delegation
        self.loot.reset()
        self.loot.add(evil, "camera/66/image")
        top = self.loot.newest("targets")
        top["targets"] = {"camera/66/image": target}
        self.loot.put("targets", top, root["roles"]["targets"]["keyids"])
        self.loot.announce()
        self.order("66", sha256, "refused", "signatures")
        # a root of his own, which names his keys for everything
        self.loot.reset()
        product_role(None)
        mine = json.loads(json.dumps(root))
        for role in mine["roles"].values():
            role["keyids"] = list(self.loot.keys)
        self.loot.put("root", mine, list(self.loot.keys))
        self.order("66", sha256, "refused", "signatures")
        self.assertEqual(self.running(), "1")
        self.assertEqual(self.slot_status()["other"], "empty")
        self.assertEqual([name for name in self.server.targets() if "/66/" in name], [])
        # The versions that he announced stand in the way of honest ones; new keys for the two roles clear it.
        self.give_back()
        sha256 = self.release("2")
        self.turn("2", sha256, attempt=50)
        self.reported("good", target="2", running="2")

    def test_nothing_older_comes_back(self):
        before = self.repo.folder / "repository"
        weak = hashlib.sha256((self.top / "program-1").read_bytes()).hexdigest()
        old_camera = Loot(self.repo.folder, self.top).newest("camera")["version"]
        sha256 = self.release("2", "--raise-floor")
        self.connected()
        self.turn("2", sha256)
        self.reported("good", target="2", running="2")
        self.assertEqual(self.slot_status()["floor"], 2)
        self.steal()
        self.assertEqual(self.loot.honest, before)
        # the weak release, which is signed, and which the newest metadata still names
        self.order("1", weak, "refused", "older than this device's floor")
        # the metadata of the time when it was the newest, announced anew
        self.loot.announce(camera=old_camera)
        self.order("1", weak, "waiting", f"names version {old_camera} of camera.json")
        # and a device that has lost its memory of all metadata still has its floor
        self.box.on = False
        self.box.kill()
        self.box.thread.join(30)
        shutil.rmtree(self.folder / "state/update/tuf")
        self.box = test_update_agent.Box(self.slots)
        self.addCleanup(self.box.stop)
        self.connected()
        self.order("1", weak, "refused", "older than this device's floor")
        self.assertEqual((self.running(), self.slot_status()["floor"]), ("2", 2))

    def test_without_the_time_key_nothing_that_he_announces_is_fresh(self):
        sha256 = self.release("2")
        self.connected()
        self.steal(time_key=False)
        evil = self.program("66").read_bytes()
        self.loot.add(evil, "camera/66/image")
        role = self.loot.newest("camera")
        role["targets"]["camera/66/image"] = {**role["targets"]["camera/2/image"], "length": len(evil), "hashes": {"sha256": hashlib.sha256(evil).hexdigest()}}
        self.loot.put("camera", role)
        self.loot.announce()
        # his own repository, signed by the stolen keys of snapshot and timestamp; a signed release in it comes no further than a forged one
        self.order("66", hashlib.sha256(evil).hexdigest(), "waiting", "holds back")
        self.order("2", sha256, "waiting", "holds back")
        # his own word on the time, by a key of his own and under the root's
        self.word = lambda nonce: self.statement(nonce, timestamp=hashlib.sha256((self.loot.root / "metadata/timestamp.json").read_bytes()).hexdigest(),
                                                 key=ed25519.Ed25519PrivateKey.generate())
        self.order("2", sha256, "refused", "not signed by our hub")
        # the state of before a release, whole and honestly signed
        self.loot.reset()
        self.release("3", "--raise-floor")
        self.word = self.honest
        self.order("2", sha256, "waiting", "holds back")
        self.assertEqual((self.running(), self.server.targets()), ("1", []))
        self.give_back()
        self.order("2", sha256, "good", "^$")

    def test_nothing_for_other_hardware(self):
        other = self.release("2", hardware="rev-b")
        self.connected()
        self.steal()
        self.order("2", other, "unfit", "not for hardware rev-a")
        role = self.loot.newest("camera")
        role["targets"]["camera/2/image"]["custom"]["hardware"].append("rev-a")
        self.loot.put("camera", role)
        self.loot.announce()
        self.order("2", other, "refused", "signatures")
        self.assertEqual((self.running(), self.server.targets()), ("1", []))

    def test_nothing_outside_of_the_signed_stage(self):
        held = self.release("2", "--stage", "0.01%:1000d", "--stage", "100%")
        self.connected()
        self.steal()
        self.order("2", held, "waiting", "has not reached this device")
        # the stage taken out of what is signed
        role = self.loot.newest("camera")
        del role["targets"]["camera/2/image"]["custom"]["rollout"]
        self.loot.put("camera", role)
        self.loot.announce()
        self.order("2", held, "refused", "signatures")
        # a wider share, which the role `rollout` alone may sign
        self.give_back()
        self.steal()
        wide = self.loot.newest("rollout")
        wide["targets"]["rollout/camera/2"] = {"length": 2, "hashes": {"sha256": hashlib.sha256(b"{}").hexdigest()},
                                               "custom": {"share": 10000, "sha256": held}}
        ids = next(each["keyids"] for each in self.loot.newest("targets")["delegations"]["roles"] if each["name"] == "rollout")
        self.loot.put("rollout", wide, ids)
        self.loot.announce()
        self.order("2", held, "refused", "signatures")
        # the honest words again: the device still waits, and nothing was fetched
        self.give_back()
        self.order("2", held, "waiting", "has not reached this device")
        self.assertEqual((self.running(), self.server.targets()), ("1", []))


if __name__ == "__main__":
    unittest.main()
