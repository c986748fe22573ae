"""`make lint`: pyright, with the Python and the ComfyUI that the set-up uses."""

import sys

from pyright.cli import main

if __name__ == "__main__":
    sys.exit(main(["--pythonpath", sys.executable, *sys.argv[1:]]))
