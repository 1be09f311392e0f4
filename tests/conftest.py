"""What holds for every test."""

from hypothesis import settings

# A time asserted in a test says how busy the machine is, not whether the code is right.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
