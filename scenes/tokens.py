"""The scene language's words as CLIP's tokens, without CLIP's tokenizer.

All its words are one token each, "cyan" is two. A caption is START, its tokens, and END up to 77.
"""

from __future__ import annotations

import re

START, END, POSITIONS = 49406, 49407, 77

# Token numbers of openai/clip-vit-large-patch14's vocabulary.
TOKENS: dict[str, tuple[int, ...]] = {
    ",": (267,),
    "a": (320,),
    "above": (4348,),
    "an": (550,),
    "and": (537,),
    "at": (536,),
    "background": (5994,),
    "below": (3788,),
    "big": (1205,),
    "black": (1449,),
    "blue": (1746,),
    "bottom": (5931,),
    "center": (2119,),
    "circle": (7117,),
    "cyan": (1470, 550),
    "green": (1901,),
    "heart": (1936,),
    "in": (530,),
    "large": (3638,),
    "left": (1823,),
    "little": (1274,),
    "middle": (3694,),
    "of": (539,),
    "on": (525,),
    "one": (637,),
    "orange": (4287,),
    "over": (962,),
    "pink": (3360,),
    "purple": (5496,),
    "red": (736,),
    "right": (1155,),
    "ring": (2540,),
    "size": (3235,),
    "small": (2442,),
    "square": (3999,),
    "star": (1565,),
    "the": (518,),
    "to": (531,),
    "top": (1253,),
    "triangle": (14615,),
    "under": (1798,),
    "white": (1579,),
    "yellow": (4481,),
}
# All tokens that a caption can hold.
KNOWN = tuple(sorted({START, END, *(token for of_word in TOKENS.values() for token in of_word)}))


def tokens(caption: str) -> list[int]:
    """The 77 tokens of a caption of the scene language, as CLIP's tokenizer gives them.

    Raises KeyError for a word that the language does not have.
    """
    words = spoken(caption)
    return [*words, *[END] * (POSITIONS - len(words))]


def spoken(caption: str) -> list[int]:
    """The tokens before the end of a caption."""
    return [START, *(token for word in re.findall(r"\w+|,", caption) for token in TOKENS[word])]
