"""Templates and the teller who fills them in.

A template is English with two kinds of gaps. ``[a|b|c]`` is one of its alternatives, which may hold further gaps;
``{hero}``, ``{hero.his}`` or ``{thing.noun}`` is a slot, the same for the whole story: that is what keeps names, pronouns and
objects together. Small letters are written throughout; sentences and speech get their capitals, "a" becomes "an" before a vowel.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiouAEIOU])(?!one\b)")
_ME = re.compile(r"\bi\b")
_START = re.compile(r'(^|(?<=[.!?] )|(?<=\." )|(?<= ")|^")([a-z])')


@dataclass(frozen=True)
class Character:
    """Someone with a name; ``kind`` is a noun such as "girl" or "rabbit", ``female`` sets the pronouns."""

    name: str
    kind: str
    female: bool

    def __str__(self) -> str:
        return self.name

    @property
    def he(self) -> str:
        return "she" if self.female else "he"

    @property
    def him(self) -> str:
        return "her" if self.female else "him"

    @property
    def his(self) -> str:
        return "her" if self.female else "his"

    @property
    def himself(self) -> str:
        return self.him + "self"

    @property
    def full(self) -> str:
        """The name, and for an animal what it is."""
        return self.name if self.kind in ("girl", "boy") else f"{self.name} the {self.kind}"

    @property
    def common(self) -> str:
        """As in "his mom"."""
        return self.name.lower()


@dataclass(frozen=True)
class Thing:
    """Something to hold: a noun, the adjective it goes by in this story, and what one does with it."""

    noun: str
    adjective: str
    use: str

    def __str__(self) -> str:
        return f"{self.adjective} {self.noun}"


@dataclass(frozen=True)
class Place:
    """Somewhere to go: ``{place}`` is "the park", ``{place.at}`` "in the park"; ``spots`` are where things hide there."""

    name: str
    at: str
    spots: tuple[str, ...]
    sights: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


def fill(template: str, slots: dict[str, Any], rng: random.Random) -> str:
    """One reading of a template, without capitals."""
    while "[" in template:
        template = _CHOICE.sub(lambda m: rng.choice(m.group(1).split("|")), template)
    return template.format(**slots)


def expand(template: str, slots: dict[str, Any], rng: random.Random) -> str:
    """One reading of a template as sentences, with capitals and articles."""
    text = fill(template, slots, rng)
    text = _ARTICLE.sub(r"\1n ", text)
    text = _ME.sub("I", text)
    return _START.sub(lambda m: m.group(1) + m.group(2).upper(), text).strip()


class Teller:
    """One story in the making.

    Attributes
    ----------
    rng : the only source of chance.
    slots : what the gaps stand for; ``teller["hero"] = ...`` sets one.
    brevity : 0 tells at length; each step leaves out more of what may be left out and prefers shorter readings.
    sentences : what has been told.
    """

    def __init__(self, rng: random.Random, brevity: int = 0):
        self.rng = rng
        self.brevity = brevity
        self.slots: dict[str, Any] = {}
        self.sentences: list[str] = []

    def __setitem__(self, key: str, value: Any) -> None:
        self.slots[key] = value

    def __getitem__(self, key: str) -> Any:
        return self.slots[key]

    def pick(self, options: Sequence[T]) -> T:
        return self.rng.choice(options)

    def two(self, options: Sequence[T]) -> list[T]:
        return self.rng.sample(options, 2)

    def likely(self, chance: float) -> bool:
        return self.rng.random() < chance

    def say(self, *templates: str) -> None:
        """Tell one of the templates."""
        readings = [expand(self.pick(templates), self.slots, self.rng) for _ in range(1 + self.brevity // 2)]
        self.sentences.append(min(readings, key=len))

    def maybe(self, chance: float, *templates: str) -> None:
        """Tell one of the templates, or none."""
        if self.likely(chance * 0.7**self.brevity):
            self.say(*templates)

    def text(self) -> str:
        return " ".join(self.sentences)
