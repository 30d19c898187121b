"""An instruction as a value: op, fields, repetition; streams by code. Standard library only.

Import these names from :mod:`lpu.isa`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lpu.enums import Destination, Operand, Quantise, Source


class IsaError(ValueError):
    """An instruction that cannot be encoded; the message names queue, instruction, field and range."""


@dataclass(frozen=True)
class Instruction:
    """A queue word. ``args`` holds fields as integers (streams as :func:`east` / :func:`west` make them)."""

    op: str
    args: Mapping[str, int] = field(default_factory=dict)
    count: int = 1
    interval: int = 1
    gap: int = 0
    #: Slot field name -> stride from one dispatch to the next.
    strides: Mapping[str, int] = field(default_factory=dict)
    #: Slot field name -> index select (1..7: X1..X7; 8 + n: loop index of level n, 0 the innermost).
    index: Mapping[str, int] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Cycles from this word's first dispatch to the next word's (SYNC and LOOP: see lpu.timing)."""
        return (self.count - 1) * self.interval + 1 + self.gap


def east(stream: int) -> int:
    """Code of an eastward byte stream, or of the word stream that starts there."""
    return 2 * stream


def west(stream: int) -> int:
    """Code of a westward byte stream, or of the word stream that starts there."""
    return 2 * stream + 1


def stream_name(code: int) -> str:
    """``E4``, ``W0``."""
    return f"{'EW'[code & 1]}{code >> 1}"


def chain_result_is_byte(args: Mapping[str, int]) -> bool:
    """Whether a CHAIN's stream result is an int8 byte stream (else a word)."""
    return args["q"] == Quantise.INT8 and not args["tap"]


def streams_of(instruction: Instruction) -> list[tuple[str, str, int]]:
    """(field, ``"tap"`` or ``"inject"``, stream code) of every stream the instruction really uses."""
    a = instruction.args
    if instruction.op == "CHAIN":
        used = []
        if a["a"] in (Source.INT32, Source.FLOAT, Source.INT8):
            used.append(("a_at", "tap", a["a_at"]))
        used += [(f"{n}_at", "tap", a[f"{n}_at"]) for n in "bcd" if a[n] == Operand.STREAM]
        if a["to"] == Destination.STREAM:
            used.append(("to_at", "inject", a["to_at"]))
        return used
    if instruction.op == "REDUCE" and not a["emit"]:
        return [("src", "tap", a["src"])]
    return [
        (name, attribute, a[name])
        for name, attribute in (("src", "tap"), ("at", "tap"), ("dst", "inject"))
        if name in a and instruction.op not in ("INDEX", "PUSH", "TAIL")
    ]
