"""When: the time of every frame on a path, and its ways to and from other nodes' numbers."""
