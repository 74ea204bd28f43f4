"""A few faults of the disk under MQTT load; mqtt_disk.py says what is checked and runs more of them."""

import random
import unittest

import mqtt_disk


class Faults(unittest.TestCase):
    def run_some(self, kind):
        seed = random.randrange(1 << 30)
        with self.subTest(seed=seed):
            try:
                figures = mqtt_disk.faults(kind, 3, seed)
            except PermissionError as refused:
                self.skipTest(str(refused))
            self.assertGreater(figures["acknowledged"], 0)
            self.assertGreater(sum(figures["refused"].values()), 0)

    def test_a_full_disk_refuses_loses_nothing_and_the_hub_goes_on_by_itself(self):
        self.run_some("full")

    def test_a_disk_that_cannot_make_lasting_refuses_loses_nothing_and_the_hub_goes_on_by_itself(self):
        self.run_some("fsync")


if __name__ == "__main__":
    unittest.main()
