"""The pictures of README, docs, example workflows and help pages."""
