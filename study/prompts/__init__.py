"""The experiment of Which Way from B to A (arXiv 2511.12757, section 4), from ten pairs up."""
