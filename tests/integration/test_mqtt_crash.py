"""Two crashes of the hub under MQTT load and a stop in good order; mqtt_crash.py says what is checked and runs more of them."""

import random
import unittest

import mqtt_crash


class Crashes(unittest.TestCase):
    def test_what_was_acknowledged_survives_kills_and_stops_and_qos_2_comes_once(self):
        seed = random.randrange(1 << 30)
        with self.subTest(seed=seed):
            figures = mqtt_crash.crashes(3, seed)
            self.assertGreater(figures["acknowledged"], 0)


if __name__ == "__main__":
    unittest.main()
