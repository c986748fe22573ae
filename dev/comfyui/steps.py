"""Steps of the set-up: run a program, install a Debian package, say what takes long."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


class SetupError(Exception):
    """A problem that a person must fix, in one sentence."""


def ensure_debian(*packages: str, program: str | None = None) -> None:
    """Install Debian packages unless `program` is there already."""
    if program and shutil.which(program):
        return
    names = " ".join(packages)
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise SetupError(f"{names} is missing and can't be installed from here; install it first.")
    say(f"installing Debian's {names}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", "-qq", *command], env=quiet, check=False, stdout=subprocess.DEVNULL
        )
        if done.returncode:
            raise SetupError(f"apt-get {command[0]} failed for {names}; see its message above.")


def run(program: Path | str, *arguments: str) -> None:
    """Run a step of the set-up; raise SetupError naming it when it fails."""
    done = subprocess.run([str(program), *arguments], check=False)
    if done.returncode:
        raise SetupError(f"this step failed, see its message above: {' '.join(arguments)}")


def say(text: str) -> None:
    print(f"[set-up] {text}", file=sys.stderr, flush=True)
