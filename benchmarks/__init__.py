"""Speed and memory as ratios against what one would use otherwise, measured in one run."""
