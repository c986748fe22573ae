"""The workshop: what builds, checks and shows the pack. Never shipped; imports nothing itself."""
