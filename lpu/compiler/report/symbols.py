"""What a program says of itself in ``Program.symbols``, read with care: a report shows what there is.

``labels`` : queue -> list of [first word, words, label]; a label reads ``"layer 2 / attention / scores"``.
``contexts`` : list of [first, count, name]. ``memory`` : MEM slice -> list of [first word, words, name].
``model`` : what else is known of the model, name -> value; its ``registers`` : name -> index register, such as the
position's (or ``symbols["registers"]`` in a program that is no model's).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lpu.arch import SliceKind
from lpu.program import Program, ProgramError, image_room

Ranges = list[tuple[int, int, str]]


def ranges(entries: Any, what: str) -> Ranges:
    """``[first, count, name]`` entries in order. Raises ProgramError where they are something else."""
    try:
        found = [(int(first), int(count), str(name)) for first, count, name in entries]
    except (TypeError, ValueError):
        raise ProgramError(f"symbols: {what} has to be a list of [first, count, name]") from None
    if any(first < 0 or count < 0 for first, count, _ in found):
        raise ProgramError(f"symbols: {what} has a negative first or count")
    return sorted(found)


def labels(program: Program) -> tuple[list[str], dict[str, list[int]]]:
    """Label names, in order of their first word in a queue, and for every queue the label of each word (-1: none)."""
    names: dict[str, int] = {}
    words: dict[str, list[int]] = {}
    wanted = _mapping(program, "labels")
    for queue, instructions in program.queues.items():
        of = [-1] * len(instructions)
        for first, count, label in ranges(wanted.get(queue, []), f"labels of {queue}"):
            number = names.setdefault(label, len(names))
            for word in range(first, min(first + count, len(of))):
                of[word] = number
        words[queue] = of
    return list(names), words


def contexts(program: Program) -> list[dict[str, Any]]:
    """Maps of weight contexts, one for each MXM that has any; without symbols, what its image fills."""
    config = program.config
    maps: list[dict[str, Any]] = []
    given = program.symbols.get("contexts")
    for name in _slices(program, SliceKind.MXM):
        parts = ranges(given, "contexts") if given and not maps else _image(program, name)
        maps.append({"name": name, "size": config.contexts, "unit": "contexts", "parts": parts})
    return maps


def memory(program: Program) -> list[dict[str, Any]]:
    """Maps of the MEM slices in words; without symbols, what their images fill."""
    given, maps = _mapping(program, "memory"), []
    for name in _slices(program, SliceKind.MEM):
        parts = ranges(given[name], f"memory of {name}") if name in given else _image(program, name)
        maps.append({"name": name, "size": program.config.spec(name).depth, "unit": "words", "parts": parts})
    return maps


def model(program: Program) -> dict[str, str]:
    """What is known of the model, as text."""
    known = {n: v for n, v in _mapping(program, "model").items() if isinstance(v, str | int | float)}
    return {str(name): str(value) for name, value in known.items()}


def positions(program: Program) -> list[int]:
    """The first, middle and last position of a model whose program names the position's register; else none."""
    if register(program, "position") is None:
        return []
    count = _mapping(program, "model").get("positions")
    return sorted({0, count // 2, count - 1}) if isinstance(count, int) and count > 0 else [0]


def register(program: Program, name: str) -> int | None:
    """The index register that a program calls ``name``, or None."""
    for place in (_mapping(program, "model"), program.symbols):
        named = place.get("registers")
        if isinstance(named, dict) and isinstance(named.get(name), int):
            return named[name]
    return None


def _mapping(program: Program, name: str) -> dict[str, Any]:
    value = program.symbols.get(name)
    return value if isinstance(value, dict) else {}


def _slices(program: Program, kind: SliceKind) -> Sequence[str]:
    config = program.config
    return [n for n, s in zip(config.slice_names, config.floorplan, strict=True) if s.kind is kind]


def _image(program: Program, name: str) -> Ranges:
    data = program.images.get(name, b"")
    _, unit = image_room(program.config, name)
    return [(0, len(data) // unit, "image")] if data else []
