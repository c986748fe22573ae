"""Paths between two prompts, compared in five experiments; study/design.md says which and why."""
