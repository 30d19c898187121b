"""What the report shows, collected from a program: plain data, small enough for a page.

The queue words are there once, as text; a run is for every queue a list of visits, (word, cycle) as differences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lpu.arch import format_floorplan
from lpu.asm import format_instruction
from lpu.compiler.check import check_program, register_names
from lpu.compiler.expand import expand
from lpu.compiler.report import symbols
from lpu.compiler.report.charge import charges, occupancy, passes
from lpu.isa import queue_names
from lpu.program import Program, ProgramError
from lpu.runtime.cycles import evaluate

#: Problems of a run that the page spells out.
_SHOWN = 20
#: What the check says where it cannot know; see lpu.compiler.check.
_UNKNOWN = ("depends on data", "cannot be ruled out")


@dataclass(frozen=True)
class Start:
    """One run that the report shows: its name, contents of index registers, what POP and LDX find."""

    name: str
    registers: Mapping[int, int] = field(default_factory=dict)
    tokens: Sequence[int] = ()
    loaded: Sequence[int] = ()


def starts(
    program: Program, positions: Sequence[int], registers: Mapping[int, int] | None = None
) -> list[Start]:
    """A start for each position, with ``registers`` besides; one without a position if there is none.

    The token FIFO is taken to be full, of token 0: time does not depend on what the tokens are. A program that generates as
    many tokens as a register says generates one.

    Raises ProgramError if the program does not say which register the position is (lpu.compiler.report.symbols).
    """
    tokens = (0,) * program.config.token_fifo
    if not positions:
        return [Start("as started", dict(registers or {}), tokens)]
    x = symbols.register(program, "position")
    if x is None:
        raise ProgramError(
            "the program does not say which index register holds the position; give it by number, as in --register X2=5"
        )
    count = symbols.register(program, "tokens")
    once = {} if count is None else {count: 1}
    return [Start(f"position {p}", {**once, **(registers or {}), x: p}, tokens) for p in positions]


def collect(program: Program, entry: str, runs: Sequence[Start]) -> dict[str, Any]:
    """Everything the page shows, as JSON types. Raises ProgramError for an unknown entry or an impossible register."""
    config = program.config
    names, words = symbols.labels(program)
    used = [q for q in queue_names(config) if program.queues.get(q)]
    return {
        "config": _config(program),
        "entry": entry,
        "entries": program.entries,
        "formula": program.cycles.get(entry),
        "model": symbols.model(program),
        "labels": names,
        "queues": [
            {
                "name": queue,
                "words": [
                    [format_instruction(config, queue, x), x.count, x.interval] for x in program.queues[queue]
                ],
                "labels": words[queue],
            }
            for queue in used
        ],
        "fill": [[q, len(program.queues.get(q, ()))] for q in queue_names(config)],
        "contexts": symbols.contexts(program),
        "memory": symbols.memory(program),
        "runs": [_run(program, entry, start, used, names, words) for start in runs],
    }


def _config(program: Program) -> dict[str, Any]:
    config = program.config
    number = config.float_format
    return {
        "name": config.name,
        "lanes": config.lanes,
        "vector lanes": config.vxm_lanes,
        "contexts": config.contexts,
        "streams": config.streams,
        "queue depth": config.queue_depth,
        "float": f"1 + {number.exponent} + {number.mantissa} bits",
        "floorplan": format_floorplan(config.floorplan),
        "fingerprint": config.fingerprint,
    }


def _run(
    program: Program,
    entry: str,
    start: Start,
    used: Sequence[str],
    names: Sequence[str],
    words: Mapping[str, Sequence[int]],
) -> dict[str, Any]:
    """One run: figures, visits, charges, occupancy, and what the schedule check says of it."""
    run = expand(program, entry, start.tokens, registers=start.registers, loaded=start.loaded)
    visits: dict[str, list[int]] = {queue: [] for queue in used}
    before = {queue: (0, 0) for queue in used}
    for d in sorted(run.dispatches, key=lambda d: d.cycle):
        word, cycle = before[d.queue]
        visits[d.queue] += (d.word - word, d.cycle - cycle)
        before[d.queue] = d.word, d.cycle
    groups = run.groups()
    problems = check_program(
        program,
        entry,
        registers=start.registers,
        tokens=start.tokens,
        loaded=start.loaded,
        vectors_in=program.config.vector_fifo,
        shown=None,
    )
    unknown = [p for p in problems if any(text in p for text in _UNKNOWN)]
    wrong = [p for p in problems if p not in set(unknown)]
    return {
        "name": start.name,
        "registers": {f"X{x}": value for x, value in sorted(start.registers.items())},
        "cycles": run.cycles,
        "predicted": _predicted(program, entry, start),
        "passes": passes(run),
        "dispatches": sum(d.instruction.count for d in run.dispatches),
        "visits": visits,
        "charges": charges(program.config, groups, run.cycles, names, words) if names else [],
        "occupancy": occupancy(program.config, groups, run.cycles),
        "wrong": [len(wrong), wrong[:_SHOWN]],
        "unknown": [len(unknown), unknown[:_SHOWN]],
    }


def _predicted(program: Program, entry: str, start: Start) -> int | None:
    """The program's own cycle count, if it has one and all its names are known."""
    try:
        return evaluate(program.cycles[entry], **register_names(program, start.registers))
    except (KeyError, ProgramError):
        return None
