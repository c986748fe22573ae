"""`make lint`: imports between our folders go down only, and no modules import each other.

Counted are all imports, also those inside functions and under TYPE_CHECKING.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from dev.comfyui.environment import ROOT

# A folder imports itself and the folders of the rows before its own.
LAYERS = (
    ("geometry",),
    ("nodes", "scenes"),
    ("dev",),
    ("demo",),
    ("study",),
    ("benchmarks", "tests"),
)
HEIGHT = {folder: height for height, row in enumerate(LAYERS) for folder in row}


def main() -> int:
    found = problems(ROOT)
    print("\n".join(found), end="\n" if found else "")
    return int(bool(found))


def problems(root: Path) -> list[str]:
    """A sentence for each import that goes up or sideways; and one for a cycle outside tests."""
    files = {
        ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file
        for folder in HEIGHT
        for file in sorted((root / folder).rglob("*.py"))
    }
    imports = {module: set(imported(module, file)) for module, file in files.items()}
    found = [
        f"{files[module].relative_to(root)} imports {name}: {_folder(module)} may not import "
        f"{_folder(name)}."
        for module, names in imports.items()
        for name in sorted(names)
        if _folder(name) in HEIGHT and not _allowed(_folder(module), _folder(name))
    ]
    # What is no module is a name in one.
    graph = {
        module: {name if name in files else name.rpartition(".")[0] for name in names}
        for module, names in imports.items()
        if _folder(module) != "tests"
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append(f"These modules import each other: {' <- '.join(error.args[1])}.")
    return found


def imported(module: str, file: Path) -> Iterator[str]:
    """What a module imports: `a.b` for `from a import b`, whether `b` is a module or not."""
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_text(), file.name)):
        if isinstance(node, ast.Import):
            yield from (_own(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield from (_own(f"{name}.{alias.name}".lstrip(".")) for alias in node.names)


def _own(name: str) -> str:
    """The pack's modules are the same under the name that ComfyUI gives the pack."""
    return name.removeprefix("geodesic_morph.")


def _folder(module: str) -> str:
    return module.split(".")[0]


def _allowed(importer: str, name: str) -> bool:
    return importer == name or HEIGHT[name] < HEIGHT[importer]


if __name__ == "__main__":
    sys.exit(main())
