"""ComfyUI in this process, on a machine that has torch but not all that ComfyUI asks for.

Only what the measurements use must be there. ComfyUI's server is left out. Packages in `NOT_USED`
are imported by modules of ComfyUI, but nothing measured here calls them: where they are absent, an
empty module stands in, and the table says so.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from dev.comfyui.environment import FOLDER, ensure_base, locate
from dev.comfyui.in_process import import_comfyui

# Video files, text encoders, sound, and checks of downloads.
NOT_USED = (
    *("av", "transformers", "tokenizers", "sentencepiece", "torchaudio"),
    *("blake3", "requests", "aiohttp", "kornia", "spandrel", "pydantic"),
)
# Packages that `--pack` copies, beside ComfyUI's own folder.
CARRIED = FOLDER / "site"


class StandIns(MetaPathFinder, Loader):
    """Finds `NOT_USED` packages that nothing else finds. modules: those that it had to find."""

    def __init__(self) -> None:
        self.modules: set[str] = set()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        parent, _, _ = fullname.rpartition(".")
        # Below a package that is there nothing is replaced.
        if fullname not in NOT_USED and parent not in self.modules:
            return None
        self.modules.add(fullname)
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> None:  # noqa: ARG002
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__

        def stand_in(attribute: str) -> Any:
            if attribute.startswith("__"):
                raise AttributeError(f"{name} is not installed, so it has no {attribute}")
            return type(attribute, (), {})

        module.__dict__["__getattr__"] = stand_in


def start(cpu: bool, dynamic: bool = False) -> list[str]:
    """Import ComfyUI and the pack; returns the names of packages that stand-ins replace.

    dynamic: with dynamic VRAM, which newer ComfyUIs switch on by themselves where they can. Raises
    RuntimeError where that is not possible.
    """
    stand_ins = StandIns()
    sys.meta_path.append(stand_ins)
    # As in `Environment.variables`; what was carried along comes last, after the machine's own.
    sys.path[:0] = map(str, locate().libraries)
    sys.path.append(str(CARRIED))
    ensure_base(locate())
    if dynamic:
        # Before torch is imported, as in ComfyUI's main.py.
        importlib.import_module("comfy_aimdo.control").init()
    import_comfyui(cpu, server=False)
    if dynamic:
        _switch_on_dynamic_vram()
    # All that is imported stays. Looking through it again before every measurement takes seconds.
    gc.freeze()
    return sorted(name for name in stand_ins.modules if "." not in name)


def _switch_on_dynamic_vram() -> None:
    """What ComfyUI's main.py does after its imports."""
    import comfy.model_management as management
    from comfy import model_patcher

    control = importlib.import_module("comfy_aimdo.control")
    memory: Any = importlib.import_module("comfy.memory_management")
    device = management.get_torch_device()
    if not control.init_devices([(device.index or 0, 0)]):
        raise RuntimeError(
            "dynamic VRAM: expected comfy_aimdo to take over this card, but it refused. Look at "
            "ComfyUI's own start-up log on this machine."
        )
    patchers: Any = model_patcher
    patchers.CoreModelPatcher = patchers.ModelPatcherDynamic
    memory.aimdo_enabled = True


def core_version() -> str:
    """ComfyUI's version."""
    return importlib.import_module("comfyui_version").__version__
