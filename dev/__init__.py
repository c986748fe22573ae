"""The workshop: builds, checks and illustrates the pack. Never shipped. No imports in this file."""
