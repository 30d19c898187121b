"""The row of slices: kinds, specs, and floorplans as text. Standard library only.

Import these names from :mod:`lpu.arch`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ConfigError(ValueError):
    """A configuration that cannot be built; the message names the parameter, the limit and the remedy."""


class SliceKind(StrEnum):
    """Kinds of functional slice."""

    #: Host port: token and vector FIFOs, index registers, lane masks.
    HOST = "host"
    #: SRAM words of `lanes` x 32 bit.
    MEM = "mem"
    #: Weight-resident systolic array.
    MXM = "mxm"
    #: Vector lanes.
    VXM = "vxm"
    #: Lane moves, transpose, reduction.
    SXM = "sxm"
    #: One end of a chip-to-chip link, both directions.
    C2C = "c2c"


@dataclass(frozen=True)
class SliceSpec:
    """One slice of the floorplan.

    ``inject`` and ``tap`` name the word streams the slice may drive and consume, as ``"e0"``, ``"w1"`` (direction and
    number of the aligned group of four byte streams); ``None`` means all of them. Every one left out saves a multiplexer.
    """

    kind: SliceKind
    depth: int = 0
    inject: tuple[str, ...] | None = None
    tap: tuple[str, ...] | None = None


def parse_floorplan(text: str) -> tuple[SliceSpec, ...]:
    """Specs from text, west to east: ``"host mem:512 mxm vxm"``.

    A number after ``mem:`` is its depth in words. ``vxm<e0,e1>w1`` taps word streams e0 and e1 and injects on w1 alone; a
    slice without ``<`` may use every stream.
    """
    specs = []
    for word in text.split():
        head, routed, inject = word.partition(">")
        head, _, tap = head.partition("<")
        name, _, depth = head.partition(":")
        try:
            kind = SliceKind(name)
        except ValueError:
            known = ", ".join(k.value for k in SliceKind)
            raise ConfigError(f"floorplan names the unknown slice {name!r}: use one of {known}") from None
        if depth and not depth.isdigit():
            raise ConfigError(f"floorplan: {word!r} has no number of words after the colon")
        if ("<" in word) != bool(routed):
            raise ConfigError(
                f"floorplan: {word!r} has only one of < and >: write taps between, injections behind"
            )
        routes = (
            (tuple(filter(None, inject.split(","))), tuple(filter(None, tap.split(","))))
            if routed
            else (None, None)
        )
        specs.append(SliceSpec(kind, int(depth or 0), *routes))
    return tuple(specs)


def format_floorplan(floorplan: tuple[SliceSpec, ...]) -> str:
    """Inverse of :func:`parse_floorplan`, for specs that restrict both or neither of taps and injections."""
    words = []
    for s in floorplan:
        word = s.kind.value + (f":{s.depth}" if s.depth else "")
        if s.tap is not None or s.inject is not None:
            word += f"<{','.join(s.tap or ())}>{','.join(s.inject or ())}"
        words.append(word)
    return " ".join(words)
