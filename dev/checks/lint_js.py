"""`make lint`: oxlint and oxfmt over our JavaScript; both are programs from a wheel."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

from dev.comfyui.environment import ROOT

FOLDERS = ("js", "tests/js")


def main() -> int:
    programs = Path(sysconfig.get_path("scripts"))
    files = [str(path) for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.js"))]
    checks = ([programs / "oxlint", *FOLDERS], [programs / "oxfmt", "--check", *files])
    results = [subprocess.run(check, cwd=ROOT, check=False) for check in checks]
    return int(any(result.returncode for result in results))


if __name__ == "__main__":
    sys.exit(main())
