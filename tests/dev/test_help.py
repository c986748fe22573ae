"""The help pages and their pictures."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from dev.pictures.help.catalogue import EXAMPLES
from dev.pictures.help.interface import BELOW, BESIDE, PAGES, arrange
from dev.pictures.help.tiles import Tile
from dev.workflows.graph import Graph

SECTIONS = ["Inputs", "Outputs", "How to use", "The idea", "Good to know"]
WIDEST, HEAVIEST, TOGETHER = 1000, 90_000, 1_800_000


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_a_help_page_has_its_sections_and_one_picture(name: str) -> None:
    """First what people say who need the node, then what it does, then a picture.

    The picture says in words what is seen, and loads quickly.
    """
    text = (PAGES / f"{name}.md").read_text()
    title, symptom, summary, picture, *_ = text.split("\n\n")
    assert title.startswith("# ")
    assert re.fullmatch(r'> "[A-Z].{15,100}[.?]"', symptom)
    assert summary
    assert len(re.findall(r"!\[", text)) == 1
    found = re.fullmatch(r"!\[(.+)\]\((\S+)\)", picture)
    assert found
    assert len(found[1]) > 30
    assert found[2] == f"{name}.jpg"
    with Image.open(PAGES / found[2]) as opened:
        opened.load()
        assert opened.width <= WIDEST
    assert (PAGES / found[2]).stat().st_size <= HEAVIEST

    heads = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [head for head in heads if head in SECTIONS] == SECTIONS
    assert set(heads) <= {*SECTIONS, "In the node"}
    for head, body in zip(heads, re.split(r"^## .+$", text, flags=re.MULTILINE)[1:], strict=True):
        assert body.strip(), head
        assert head != "The idea" or "](https://arxiv.org/abs/" in body


def test_every_page_is_drawn_and_nothing_else_lies_there() -> None:
    """A page and a picture for each example, and none without; together they stay small."""
    assert {path.stem for path in PAGES.glob("*.md")} == set(EXAMPLES)
    pictures = [path for path in PAGES.iterdir() if path.suffix != ".md"]
    assert {path.name for path in pictures} == {f"{name}.jpg" for name in EXAMPLES}
    assert sum(path.stat().st_size for path in pictures) < TOGETHER


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_an_example_shows_its_node(name: str) -> None:
    """The node of a page is shown unfolded and under its own name."""
    example = EXAMPLES[name]()
    shown = [tile for tile in example.tiles if tile.node.type == name]
    assert shown
    assert not any(tile.folded or tile.title for tile in shown)
    assert {tile.node for tile in example.tiles} <= set(example.graph.nodes)


def test_no_two_pages_cure_the_same_symptom() -> None:
    """What people say leads to one node."""
    symptoms = [(PAGES / f"{name}.md").read_text().split("\n\n")[1] for name in EXAMPLES]
    assert len(set(symptoms)) == len(EXAMPLES)


def test_tiles_stand_in_columns() -> None:
    """Below each other without touching; the narrow one at the right of its column."""
    graph = Graph()
    wide, narrow, other = (Tile(graph.add("PreviewAny")) for _ in range(3))
    sizes = {1: (300.0, 100.0), 2: (225.0, 30.0), 3: (250.0, 80.0)}
    assert arrange([[wide, narrow], [other]], sizes) == {
        1: (0, 0),
        2: (75, 100 + BELOW),
        3: (300 + BESIDE, 0),
    }
