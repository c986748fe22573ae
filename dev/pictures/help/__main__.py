"""Pictures for the help pages: every node at work in ComfyUI's own web interface.

python -m dev.pictures.help                    draws js/docs/*.jpg anew, on the small checkpoint
python -m dev.pictures.help GeodesicTimes …    draws only those
"""

from __future__ import annotations

import sys

from dev.comfyui.server import ServerError
from scenes.weights import WeightsError

from .interface import draw

if __name__ == "__main__":
    try:
        draw(sys.argv[1:])
    except (ServerError, WeightsError) as error:
        sys.exit(f"help pictures: {error}")
