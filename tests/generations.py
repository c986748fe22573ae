"""Which tests run on both ComfyUIs: all of a file that has `pytestmark = BOTH`.

`make test` runs them in the one and then, in a process of its own, in the other; by hand:

    COMFYUI_NEXT=1 .comfyui/venv/bin/python -m pytest -m generations
"""

from __future__ import annotations

import os

import pytest

BOTH = pytest.mark.generations
# What was written with the older one, whose core nodes have fewer inputs and outputs.
OLDER_ONLY = pytest.mark.skipif(
    bool(os.environ.get("COMFYUI_NEXT")), reason="written with ComfyUI 0.3.75"
)
