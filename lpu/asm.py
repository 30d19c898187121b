"""The text form of programs: assembler and disassembler. Standard library only.

A program reads like this; ``#`` starts a comment::

    .config tiny
    .queue mem0.read
    main:
        READ addr=4 dst=E0 x8 every 2 step addr+1 index addr=X1 gap 3
        LOOP count=5 length=1 step=8
        READB addr=0 dst=W3 x4 step addr+1 index addr=I0
        HALT
    .image mem0
        .zero 16
        .bytes 00010203

After an instruction's fields come its ``x`` count, ``every`` interval, ``step`` strides, ``index`` selects (X registers,
or I0 for the innermost loop's index, I1 for the next) and ``gap``. Streams are ``E4`` or ``W0``, enum values go by name.
A label names the queue word behind it as an entry; all queues start an entry at the same word number. ``.entry NAME
WORD`` says the same without a place. Fields left out are zero where that is the plain case: lane masks, flags, unused
parts of a CHAIN, and LOOP's index and step.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from lpu.arch import PRESETS, ConfigError, TileConfig, load_config
from lpu.isa import (
    LOOP_INDEX,
    Destination,
    Field,
    FieldKind,
    Instruction,
    IsaError,
    Op,
    Operand,
    Source,
    encode,
    layout,
    stream_name,
)
from lpu.program import Program, ProgramError, image_room

_STREAM = re.compile(r"([EW])(\d+)$")
_SELECT = re.compile(r"([XI])(\d+)$")
_STRIDE = re.compile(r"(\w+)([+-]\w+)$")
_COUNT = re.compile(r"x(\d+)$")
_LABEL = re.compile(r"([A-Za-z_]\w*):$")
_BYTES_A_LINE = 32
#: Fields that may be left out, besides lane masks and all but the first operand of a CHAIN.
_OPTIONAL = {"LOOP": ("index", "step"), "PASS": ("clear",), "REDUCE": ("clear", "emit")}
#: Kinds of CHAIN operand that come from streams, by the field that says so.
_CHAIN_STREAMS = {
    "a": (Source.INT32, Source.FLOAT, Source.INT8),
    "b": (Operand.STREAM,),
    "c": (Operand.STREAM,),
    "d": (Operand.STREAM,),
    "to": (Destination.STREAM,),
}


class AsmError(ValueError):
    """Text that is no program; the message starts with the line number."""


def optional(op: Op, name: str) -> bool:
    """Whether a field may be left out of the text, and is then zero."""
    if op.name == "CHAIN":
        return name not in ("a", "a_at")
    return name == "mask" or name in _OPTIONAL.get(op.name, ())


def format_instruction(config: TileConfig, queue: str, instruction: Instruction) -> str:
    """One line of text, without the queue."""
    op = layout(config, queue).ops[instruction.op]
    parts = [op.name]
    for f in op.fields:
        value = instruction.args.get(f.name, 0)
        if value or not optional(op, f.name):
            parts.append(f"{f.name}={_value(f, op, instruction, value)}")
    if instruction.count != 1:
        parts.append(f"x{instruction.count}")
    if instruction.interval != 1:
        parts.append(f"every {instruction.interval}")
    if strides := {n: s for n, s in instruction.strides.items() if s}:
        parts += ["step", *(f"{n}{s:+d}" for n, s in strides.items())]
    if selects := {n: s for n, s in instruction.index.items() if s}:
        parts += ["index", *(f"{n}={_select_name(s)}" for n, s in selects.items())]
    if instruction.gap:
        parts.append(f"gap {instruction.gap}")
    return " ".join(parts)


def parse_instruction(config: TileConfig, queue: str, text: str) -> Instruction:
    """Inverse of :func:`format_instruction`. Raises IsaError."""
    words = text.split()
    ops = layout(config, queue).ops
    if words[0] not in ops:
        raise IsaError(f"{queue}: no instruction {words[0]!r}; it has {', '.join(ops)}")
    op = ops[words[0]]
    known = {f.name: f for f in op.fields}
    args: dict[str, int] = {}
    timing = {"count": 1, "every": 1, "gap": 0}
    strides: dict[str, int] = {}
    index: dict[str, int] = {}
    mode = ""
    rest = iter(words[1:])
    for word in rest:
        name, equals, value = word.partition("=")
        if word in ("step", "index"):
            mode = word
        elif word in ("every", "gap"):
            timing[word] = _number(f"{op.name}: {word}", next(rest, "nothing"))
        elif match := _COUNT.match(word):
            timing["count"] = int(match[1])
        elif mode == "step" and (match := _STRIDE.match(word)):
            strides[match[1]] = _number(f"{op.name}: step of {match[1]}", match[2])
        elif mode == "index" and equals:
            index[name] = _select(f"{op.name}: index of {name}", value)
        elif equals and name in known:
            args[name] = _field(op, known[name], value)
        elif equals:
            raise IsaError(f"{queue}: {op.name}: no field {name}; it has {', '.join(known) or 'none'}")
        else:
            raise IsaError(f"{queue}: {op.name}: {word!r} means nothing here")
    for f in op.fields:
        if f.name not in args and optional(op, f.name):
            args[f.name] = 0
    args = {f.name: args[f.name] for f in op.fields if f.name in args}
    instruction = Instruction(
        op.name,
        args,
        count=timing["count"],
        interval=timing["every"],
        gap=timing["gap"],
        strides=strides,
        index=index,
    )
    encode(config, queue, instruction)
    return instruction


def format(program: Program) -> str:
    """A program as text."""
    config = program.config
    preset = PRESETS.get(config.name)
    lines = [f".config {config.name if preset == config else json.dumps(config.to_dict())}"]
    lines += [f".entry {label} {word}" for label, word in program.entries.items()]
    lines += [f".cycles {label} {json.dumps(cycles)}" for label, cycles in program.cycles.items()]
    lines += [f".symbol {name} {json.dumps(value)}" for name, value in program.symbols.items()]
    for queue, words in program.queues.items():
        lines += ["", f".queue {queue}"]
        lines += [f"    {format_instruction(config, queue, word)}" for word in words]
    for name, data in program.images.items():
        lines += ["", f".image {name}", *_image_lines(data)]
    return "\n".join(lines) + "\n"


def parse(text: str) -> Program:
    """The program a text describes. Raises AsmError with the line number."""
    parser = _Parser()
    number = 0
    try:
        for raw in text.splitlines():
            number += 1
            if line := raw.partition("#")[0].strip() if '"' not in raw else raw.strip():
                parser.line(line)
        number += 1
        return parser.program()
    except (IsaError, ProgramError, ConfigError, AsmError) as error:
        raise AsmError(f"line {number}: {error}") from None


class _Parser:
    """State of the assembler between lines."""

    def __init__(self) -> None:
        self._program: Program | None = None
        self._queue: str | None = None
        self._image: str | None = None
        self._entries: dict[str, int] = {}

    def line(self, line: str) -> None:
        """Take one line, free of comments and blanks."""
        name, _, rest = line.partition(" ")
        if name == ".config":
            config = TileConfig.from_dict(_json(rest)) if rest.startswith("{") else load_config(rest.strip())
            self._program = Program(config)
        elif self._program is None:
            raise AsmError("the first line has to be .config")
        elif name.startswith("."):
            self._directive(self._program, name, rest.strip())
        elif self._queue is None:
            raise AsmError(f"{line!r} belongs to no queue; start one with .queue")
        elif label := _LABEL.match(line):
            self._entry(label[1], len(self._program.queues[self._queue]))
        else:
            instruction = parse_instruction(self._program.config, self._queue, line)
            self._program.queues[self._queue].append(instruction)

    def _directive(self, program: Program, name: str, rest: str) -> None:
        first, _, second = rest.partition(" ")
        match name:
            case ".queue":
                layout(program.config, rest)
                if rest in program.queues:
                    raise AsmError(f"queue {rest} is here twice")
                self._queue, program.queues[rest] = rest, []
            case ".image":
                image_room(program.config, rest)
                self._image, program.images[rest] = rest, b""
            case ".entry":
                self._entry(first, _number(".entry", second))
            case ".cycles":
                program.cycles[first] = _json(second)
            case ".symbol":
                program.symbols[first] = _json(second)
            case ".bytes" | ".zero" if self._image is None:
                raise AsmError(f"{name} belongs to no image; start one with .image")
            case ".bytes":
                try:
                    program.images[self._image or ""] += bytes.fromhex(rest)
                except ValueError:
                    raise AsmError(".bytes takes pairs of hexadecimal digits") from None
            case ".zero":
                room, _ = image_room(program.config, self._image or "")
                size = _number(".zero", rest)
                if not 0 <= size <= room:
                    raise AsmError(f".zero {size} is more than the {room} bytes there are")
                program.images[self._image or ""] += bytes(size)
            case _:
                raise AsmError(
                    f"no directive {name}; use .config .queue .entry .cycles .symbol .image .bytes .zero"
                )

    def _entry(self, label: str, word: int) -> None:
        if self._entries.setdefault(label, word) != word:
            raise AsmError(
                f"entry {label} is at word {self._entries[label]} elsewhere, at {word} here; all queues start alike"
            )

    def program(self) -> Program:
        """The finished program."""
        if self._program is None:
            raise AsmError("the text is empty; it starts with .config")
        if self._entries:
            self._program.entries = self._entries
        self._program.check()
        return self._program


def _value(f: Field, op: Op, instruction: Instruction, value: int) -> str:
    if op.name == "LOOP" and f.name == "index":
        return _select_name(value)
    if op.name == "CHAIN" and f.name.endswith("_at"):
        kind = instruction.args.get(f.name.removesuffix("_at"), 0)
        return stream_name(value) if kind in _CHAIN_STREAMS[f.name.removesuffix("_at")] else str(value)
    if f.kind in (FieldKind.STREAM, FieldKind.WORD):
        return stream_name(value)
    if f.kind is FieldKind.ENUM and f.enum is not None and value in list(f.enum):
        return f.enum(value).name
    return str(value)


def _field(op: Op, f: Field, text: str) -> int:
    where = f"{op.name}: {f.name}"
    if match := _STREAM.match(text):
        if f.kind in (FieldKind.STREAM, FieldKind.WORD) or (op.name == "CHAIN" and f.name.endswith("_at")):
            return 2 * int(match[2]) + "EW".index(match[1])
        raise IsaError(f"{where}={text} takes no stream")
    if op.name == "LOOP" and f.name == "index":
        return _select(where, text)
    if f.kind is FieldKind.ENUM and f.enum is not None:
        if text in f.enum.__members__:
            return f.enum[text].value
        if not text.isdigit():
            raise IsaError(f"{where}={text} is none of {', '.join(f.enum.__members__)}")
    return _number(where, text)


def _select_name(select: int) -> str:
    return f"I{select - LOOP_INDEX}" if select >= LOOP_INDEX else f"X{select}"


def _select(where: str, text: str) -> int:
    if match := _SELECT.match(text):
        number = int(match[2])
        if match[1] == "I":
            return LOOP_INDEX + number
        if number < LOOP_INDEX:
            return number
    raise IsaError(
        f"{where}={text} is no index; use X0 to X{LOOP_INDEX - 1}, or I0 for the innermost loop, I1 for the next"
    )


def _number(where: str, text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise IsaError(f"{where}: {text!r} is not a number") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise AsmError(f"{text!r} is not JSON: {error}") from None


def _image_lines(data: bytes) -> Iterator[str]:
    """``.bytes`` and ``.zero`` lines; a run of zero lines becomes one."""
    zeros = 0
    for at in range(0, len(data), _BYTES_A_LINE):
        piece = data[at : at + _BYTES_A_LINE]
        if any(piece):
            if zeros:
                yield f"    .zero {zeros}"
            zeros = 0
            yield f"    .bytes {piece.hex()}"
        else:
            zeros += len(piece)
    if zeros:
        yield f"    .zero {zeros}"
