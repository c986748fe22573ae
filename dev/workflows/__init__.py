"""The example workflows and the blueprint, each written once."""
