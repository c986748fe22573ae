"""`make lint`: imports between our folders go down only, and no modules import each other.

All imports count, also those inside functions and under TYPE_CHECKING.
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
    sentences = problems(ROOT)
    print("\n".join(sentences), end="\n" if sentences else "")
    return int(bool(sentences))


def problems(root: Path) -> list[str]:
    """A sentence for each import that goes up or sideways; and one for a cycle outside tests."""
    files = {
        ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file
        for folder in HEIGHT
        for file in sorted((root / folder).rglob("*.py"))
    }
    imports = {module: set(imported(module, file)) for module, file in files.items()}
    sentences = [
        f"{files[module].relative_to(root)} imports {name}: {_folder(module)} may not import "
        f"{_folder(name)}."
        for module, names in imports.items()
        for name in sorted(names)
        if _folder(name) in HEIGHT and not _allowed(_folder(module), _folder(name))
    ]
    # A name that is not a module is defined in one.
    graph = {
        module: {name if name in files else name.rpartition(".")[0] for name in names}
        for module, names in imports.items()
        if _folder(module) != "tests"
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        sentences.append(f"These modules import each other: {' <- '.join(error.args[1])}.")
    return sentences


def imported(module: str, file: Path) -> Iterator[str]:
    """The names that a module imports: `a.b` for `from a import b`, even if `b` is no module."""
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_text(), file.name)):
        if isinstance(node, ast.Import):
            yield from (_own(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield from (_own(f"{name}.{alias.name}".lstrip(".")) for alias in node.names)


def _own(name: str) -> str:
    """The name without ComfyUI's name of the pack in front, which means the same module."""
    return name.removeprefix("geodesic_morph.")


def _folder(module: str) -> str:
    return module.split(".")[0]


def _allowed(importer: str, name: str) -> bool:
    return importer == name or HEIGHT[name] < HEIGHT[importer]


if __name__ == "__main__":
    sys.exit(main())
