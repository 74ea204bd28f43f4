"""A few of the clips that `make sweep` sends by the thousand: each is reported, and nothing but its own analysis suffers."""

import os
import unittest

import case
import hostile_media


class HostileMedia(case.HubCase):
    settings = hostile_media.SETTINGS

    def test_each_clip_is_reported_and_the_hub_goes_on(self):
        ends = hostile_media.run(self.hub, mutated=10, made=20, seed=os.environ.get("MEDIA_SEED", "porch"))
        self.assertEqual(ends["done"] + ends["failed"], 30, ends)
        self.assertGreater(ends["failed"], 5, ends)


if __name__ == "__main__":
    unittest.main()
