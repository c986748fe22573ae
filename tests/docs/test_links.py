"""The targets of links and pictures in Markdown files exist; the list of papers is complete."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
SKIPPED = {".git", ".comfyui", "output", "node_modules"}
ARXIV = re.compile(r"\b(\d{4}\.\d{5})\b")


def files(*endings: str) -> list[Path]:
    """The project's own files with one of these endings."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in SKIPPED]
        found += [Path(folder, name) for name in names if name.endswith(endings)]
    return sorted(found)


PAGES = files(".md")


def prose(text: str) -> str:
    """The text without code, in which links and headings do not count."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda found: "" if "](" in found[0] else found[0], text)


def links(text: str) -> list[str]:
    """Targets of all links and pictures, those of pictures inside links included."""
    return re.findall(r"\]\(\s*<?([^)\s>]+)", prose(text))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives a page's headings: small letters, hyphens for spaces."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", prose(text), re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        same = sum(1 for other in found if re.fullmatch(re.escape(slug) + r"(-\d+)?", other))
        found.add(f"{slug}-{same}" if same else slug)
    return found


def broken(page: Path, text: str) -> list[str]:
    """The links in a page's text without a target; addresses on the web are not checked."""
    wrong = []
    for link in links(text):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = unquote(link).partition("#")
        target = (page.parent / place).resolve() if place else page
        known = target == page or (target.exists() and target.is_relative_to(ROOT))
        if known and anchor:
            known = anchor in anchors(text if target == page else target.read_text("utf-8"))
        if not known:
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    """Files, pictures, folders, and headings in this page or another."""
    assert broken(page, page.read_text("utf-8")) == []


def test_a_wrong_link_is_found() -> None:
    """A missing file, a missing heading, a missing picture; code and the web are left alone."""
    text = "# One: *two*\n[a](nowhere.md) ![b](no.jpg) [c](#one-two) [d](#one) [e](README.md#no)\n"
    text += "[f](https://example.org/x) [g](README.md)\n```\n[h](gone.md)\n```\n`[i](gone.md)`\n"
    assert broken(ROOT / "page.md", text) == ["nowhere.md", "no.jpg", "#one", "README.md#no"]


def test_every_paper_that_the_project_names_is_in_the_list() -> None:
    """Each arXiv number in code, tests and pages stands in docs/references.md, and no other."""
    listed = ROOT / "docs" / "references.md"
    named = {
        number
        for path in files(".py", ".js", ".md")
        if path != listed
        for number in ARXIV.findall(path.read_text("utf-8"))
        if 1 <= int(number[2:4]) <= 12
    }
    assert "2511.12757" in named
    assert set(ARXIV.findall(listed.read_text("utf-8"))) == named
