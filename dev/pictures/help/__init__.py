"""The pictures of the help pages: every node at work."""
