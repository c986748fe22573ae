"""Names, tooltips and the texts of our panels, in every language of the pack."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.comfyui.environment import ROOT
from dev.comfyui.server import Server
from dev.locales import ENGLISH, LOCALES, as_text, node_definitions

from ..generations import BOTH

pytestmark = BOTH

LANGUAGES = sorted(path.name for path in LOCALES.iterdir())
TRANSLATIONS = [language for language in LANGUAGES if language != "en"]
FILES = ("nodeDefs.json", "main.json")


def read(language: str, file: str) -> dict[str, Any]:
    return json.loads((LOCALES / language / file).read_text())


def texts(tree: dict[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """Every text with the path of its keys."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from texts(value, f"{place}/{key}")
        else:
            yield f"{place}/{key}", value


def test_english_is_what_the_schemas_say(server: Server) -> None:
    """`make locales` writes it anew."""
    assert ENGLISH.read_text() == as_text(node_definitions(server.get("object_info")))


def test_there_is_a_translation() -> None:
    assert TRANSLATIONS


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_is_complete(language: str, file: str) -> None:
    """The same keys as English, none empty, and most of them different words."""
    english, translated = (dict(texts(read(x, file))) for x in ("en", language))
    assert list(translated) == list(english)
    assert all(text.strip() for text in translated.values())
    same = [place for place in english if translated[place] == english[place]]
    assert len(same) < 0.1 * len(english), same


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_trips_the_interface(language: str) -> None:
    """The interface compiles these: braces, @ and | would be its syntax."""
    for place, text in texts(read(language, "nodeDefs.json")):
        assert not re.search(r"[{}@|]", re.sub(r"\{'.'\}", "", text)), place


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_fills_in_the_same_values(language: str) -> None:
    """{frame} and the like are the same in every language."""
    english, translated = (read(x, "main.json")["geodesicMorph"] for x in ("en", language))
    for key, text in english.items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(
            re.findall(r"\{\w+\}", translated[key])
        ), key


def test_every_word_is_said_and_every_said_word_exists() -> None:
    """The keys of main.json are those that our JavaScript names, no more and no fewer."""
    sources = [path.read_text() for path in Path(ROOT, "js").rglob("*.js")]
    named = {key for text in sources for key in re.findall(r'"([a-z]+[A-Z]\w*)"', text)}
    named |= {f"{key}Tip" for key in named}  # what a number means, beside its name
    keys = set(read("en", "main.json")["geodesicMorph"])
    assert keys <= named, keys - named
    said = {key for text in sources for key in re.findall(r'say\(\s*"(\w+)"', text)}
    assert said <= keys, said - keys


def test_the_server_hands_them_to_the_page(server: Server) -> None:
    found = server.get("i18n")
    for language in LANGUAGES:
        ours = read(language, "nodeDefs.json")
        assert {key: found[language]["nodeDefs"][key] for key in ours} == ours
        assert found[language]["geodesicMorph"] == read(language, "main.json")["geodesicMorph"]
