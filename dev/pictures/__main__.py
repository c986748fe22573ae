"""`make pictures`: the pictures of README, example workflows and help pages (small checkpoint)."""

from __future__ import annotations

import argparse
import sys

from dev.comfyui.server import ServerError
from scenes.weights import WeightsError

from . import drawn, readme
from .help import interface

if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m dev.pictures", description=__doc__).parse_args()
    try:
        drawn.draw()
        readme.draw()
        interface.draw()
    except (ServerError, WeightsError) as error:
        sys.exit(f"pictures: {error}")
