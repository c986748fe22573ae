"""The page of Morph Attention's measurement; what counts as a win was written before the run."""

from __future__ import annotations

MOST_STRAYS = 0.01  # mean difference from "off"
LEAST_ENDS, NOTICED = -0.5, 45.0  # dB: mean difference from "off", where they are below `NOTICED`

RULES = """\
Written before the run. By place or by transport wins on a model and a kind of film if, against
*off*,

1. the largest step is smaller: the 95 % bootstrap interval of the mean difference lies below 0, and
   q (Wilcoxon's signed-rank test, after Benjamini and Hochberg over all comparisons of the largest
   step with *off* by place and by transport) is below 0.05;
2. strays are not more: their mean is at most 1 percentage point higher (not judged on photographs);
3. the ends are kept: their mean PSNR is at most 0.5 dB lower, or still above 45 dB.
"""
