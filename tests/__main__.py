"""`make test` and `make check`: the tests, with lint and types, and how long all of it took.

    python -m tests [options of pytest]         everything
    python -m tests check [options of pytest]   what needs no ComfyUI; fewer examples of each law,
                                                and nothing that takes many seconds

Two workers share the tests; `-n 0` (the last one counts) runs them in one process. A third process
runs those that are for both ComfyUIs on the newer one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence

WORKERS = 2
# Pytest's answer where no test is chosen, as with `-k` for one that is not for both ComfyUIs.
NOTHING_CHOSEN = 5
LINT = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("dev.checks.lint_js",),
    ("dev.checks.layers",),
)
QUICK = ("-m", "not comfyui and not slow", "--hypothesis-profile=quick")
TYPES = ("dev.checks.typecheck",)


def main(arguments: Sequence[str]) -> int:
    start = time.monotonic()
    check = list(arguments[:1]) == ["check"]
    chosen = [*QUICK, *arguments[1:]] if check else arguments
    # Pyright takes half a minute on one core: beside the tests, and shown after them.
    beside = {"pyright": begin(TYPES)}
    failed = [name for name, *more in LINT if subprocess.run(python(name, *more)).returncode]
    if not failed:
        if not check and not os.environ.get("COMFYUI_PATH"):
            newer = ("pytest", "-q", "-n0", "-m", "generations", *chosen)
            beside["pytest on the newer ComfyUI"] = begin(newer, COMFYUI_NEXT="1")
        if subprocess.run(python("pytest", "-q", f"-n{WORKERS}", *chosen)).returncode:
            failed.append("pytest")
    for what, process in beside.items():
        told, _ = process.communicate()
        print(f"{what}:\n{told}", end="")
        if process.returncode not in (0, NOTHING_CHOSEN):
            failed.append(what)
    name = "make check" if check else "make test"
    outcome = f"failed ({', '.join(failed)})" if failed else "passed"
    print(f"{name}: {outcome} in {in_words(time.monotonic() - start)}")
    return int(bool(failed))


def begin(arguments: Sequence[str], **variables: str) -> subprocess.Popen[str]:
    """A process beside this one, whose output is shown at its end."""
    return subprocess.Popen(
        python(*arguments),
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def in_words(seconds: float) -> str:
    """For example "9 minutes 5 seconds"."""
    minutes, rest = divmod(round(seconds), 60)
    parts = [(minutes, "minute"), (rest, "second")]
    told = [f"{n} {unit}{'s' * (n != 1)}" for n, unit in parts if n or unit == "second"]
    return " ".join(told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
