"""The model families that people use, as tiny models, and what each node does there."""
