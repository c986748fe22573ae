"""One hypothesis profile: the same examples on every machine, none of them timed."""

from hypothesis import settings

settings.register_profile("laws", derandomize=True, deadline=None, max_examples=50, database=None)
settings.load_profile("laws")
