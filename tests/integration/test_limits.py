"""One stranger with many connections does not shut the door for others."""

import resource
import socket
import unittest

import case  # noqa: F401 (finds lab)
import lab
import mqtt


def setUpModule():
    """A crowd needs more descriptors here than an ordinary user has at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unittest.addModuleCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Strangers(unittest.TestCase):
    def setUp(self):
        self.hub = lab.Hub()
        self.addCleanup(self.hub.remove)
        self.hub.init()
        self.sockets = []
        self.addCleanup(lambda: [one.close() for one in self.sockets])

    def crowd(self, count):
        for _ in range(count):
            self.sockets.append(socket.create_connection(("127.0.0.1", self.hub.ports["https"])))

    def device_connects(self, folder, source):
        raw = socket.create_connection(("127.0.0.1", self.hub.ports["mqtt"]), timeout=15, source_address=(source, 0))
        with self.hub.device_tls(folder).wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(mqtt.connect("front-door"))
            return tls.recv(2)[0] >> 4 == mqtt.CONNACK

    def test_a_low_soft_limit_of_open_files_is_raised(self):
        self.hub.start(wrapper=["prlimit", "--nofile=1024:4096", "--"])
        device = self.hub.device("front-door")
        self.crowd(1100)
        self.assertTrue(self.device_connects(device, "127.0.0.1"))

    def test_with_few_descriptors_one_address_does_not_get_them_all(self):
        self.hub.start(wrapper=["prlimit", "--nofile=800:800", "--"])
        device = self.hub.device("front-door")
        self.crowd(700)
        self.assertIsNotNone(self.hub.log.wait_for(lambda line: "listener.per_address" in line, 20))
        self.assertIsNotNone(self.hub.log.wait_for(lambda line: "listener.few_descriptors" in line, 20))
        self.assertTrue(self.device_connects(device, "127.0.0.2"))


if __name__ == "__main__":
    unittest.main()
