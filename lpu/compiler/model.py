"""From a quantised graph to a program: place, lower, schedule, encode, check."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lpu.arch import TileConfig
from lpu.compiler.builder import QueueOverflow, ScheduleError
from lpu.compiler.check import check_program
from lpu.compiler.graph import GraphError
from lpu.compiler.lower.machine import BLOCK, HOST, POSITION, TOKEN, TOKENS, log2
from lpu.compiler.lower.model import Model
from lpu.compiler.lower.program import Entry
from lpu.compiler.phases import Words, emit
from lpu.compiler.quantised import Quantised
from lpu.isa import Instruction, queue_names
from lpu.program import Program, ProgramError
from lpu.timing import LOOP_CYCLES

#: Positions of a prefill run, the best first. Each divides the lanes, so that a run stays within one block of them.
CHUNKS = (8, 4, 2, 1)

Progress = Callable[[str, int, int], None]


def compile_model(
    graph: Quantised,
    config: TileConfig,
    *,
    chunk: int | None = None,
    progress: Progress = lambda what, done, of: None,
    check: bool = True,
) -> Program:
    """A program with entries ``state``, ``decode`` and, where there is room for it, ``prefill``.

    Parameters
    ----------
    chunk : positions of a prefill run; 1 for none, None for the most of CHUNKS that registers, masks and queues hold.
    progress : is told what is under way, steps done and how many there are.
    check : prove the schedule by :mod:`lpu.compiler.check` for the fewest and the most iterations of its loops.

    Raises GraphError (FitError where a memory is too small), QueueOverflow or ScheduleError, each in one line.
    """
    program = _fitting(graph, config, CHUNKS if chunk is None else (chunk,), progress)
    if check:
        prove(program, progress)
    return program


def _fitting(graph: Quantised, config: TileConfig, chunks: Sequence[int], progress: Progress) -> Program:
    """With the first chunk that fits. What does not fit without prefill does not fit at all: its error is the one to tell."""
    for chunk in chunks[:-1]:
        try:
            return _compile(graph, config, chunk, progress)
        except (GraphError, QueueOverflow, ProgramError):
            continue
    return _compile(graph, config, chunks[-1], progress)


def prove(program: Program, progress: Progress = lambda what, done, of: None) -> None:
    """Raise ScheduleError if the schedule check finds anything, at the first position or at the last."""
    model = program.symbols["model"]
    last, chunk = model["positions"] - 1, model["chunk"]
    runs: list[tuple[str, dict[int, int], list[int], list[int]]] = [
        ("decode", {POSITION: position, TOKENS: 1}, [], [model["vocabulary"] - 1]) for position in (0, last)
    ]
    if chunk:
        starts = (0, last // chunk * chunk)
        runs += [
            ("prefill", {POSITION: position}, [model["vocabulary"] - 1] * chunk, []) for position in starts
        ]
    for n, (entry, registers, tokens, loaded) in enumerate(runs):
        progress("checking", n, len(runs))
        faults = check_program(program, entry, registers=registers, tokens=tokens, loaded=loaded)
        if faults:
            raise ScheduleError(
                f"{entry} at position {registers[POSITION]}: {faults[0]}; this is an error of the compiler"
            )


def _compile(graph: Quantised, config: TileConfig, chunk: int, progress: Progress) -> Program:
    if chunk < 1 or config.lanes % chunk:
        raise GraphError(
            f"prefill of {chunk} positions: {config.name} takes divisors of its {config.lanes} lanes"
        )
    model = Model(graph, config, chunk)
    entries = {"state": _state(config)}
    shapes = {"decode": (1, True)} | ({"prefill": (chunk, False)} if chunk > 1 else {})
    timelines = {}
    for name, (count, predicts) in shapes.items():
        entry = Entry(model, count, predicts)
        timelines[name] = entry.lower(lambda n, name=name: progress(name, n, len(graph.ops)))  # type: ignore[misc]
    # Lowering gives out constants and masks, too: only now is it known what has no room.
    model.space.check(graph.source)
    for name, (_, predicts) in shapes.items():
        entries[name] = emit(timelines[name], TOKENS if predicts else None)
    program = Program(config, entries={})
    labels = link_entries(program, entries)
    space = model.space
    program.images = memory_images(model)
    program.symbols = {
        "model": {
            "source": graph.source,
            "vocabulary": graph.vocabulary,
            "positions": graph.positions,
            "chunk": chunk if chunk > 1 else 0,
            "logits": {
                "slice": space.west.slice,
                "word": model.logits.word,
                "count": model.logits.axis.vectors,
            },
            "registers": {"token": TOKEN, "position": POSITION, "tokens": TOKENS},
        },
        "labels": labels,
        "contexts": [list(entry) for entry in space.contexts.map],
        "memory": {m.slice: [list(entry) for entry in m.map] for m in (space.west, space.east)},
    }
    program.check()
    return program


def _state(config: TileConfig) -> Words:
    """Token, position, and how many tokens a run generates, from the token FIFO."""
    words = [*(Instruction("POP", {"x": x}) for x in (TOKEN, POSITION, TOKENS)), Instruction("HALT")]
    return Words({f"{HOST}.port": words}, {f"{HOST}.port": [""] * 4}, 3, ())


def memory_images(model: Model) -> dict[str, bytes]:
    """What a placed model has in memories, contexts and masks."""
    space, lanes = model.space, model.config.lanes
    return {
        space.west.slice: space.west.image(),
        space.east.slice: space.east.image(),
        "mxm0": space.contexts.image(),
        "masks": b"".join(m.to_bytes((lanes + 7) // 8, "little") for m in space.masks),
    }


def link_entries(program: Program, entries: dict[str, Words]) -> dict[str, list[list]]:
    """Put the entries one behind the other, each at one word in all queues; returns labels as [first, words, label]."""
    config = program.config
    labels: dict[str, list[list]] = {}
    at = 0
    for name, entry in entries.items():
        program.entries[name] = at
        once = entry.cycles + (LOOP_CYCLES if name == "decode" else 0)
        terms = [str(once)]
        period = sum(p for select, p in entry.loops if select == BLOCK)
        if period:
            terms.append(f"{period} * (position // {1 << log2(config.lanes)})")
        program.cycles[name] = " + ".join(terms) if len(terms) > 1 else once
        for queue in queue_names(config):
            words = entry.queues.get(queue, [Instruction("HALT")])
            here = program.queues.setdefault(queue, [])
            here += [Instruction("HALT")] * (at - len(here)) + list(words)
            names = entry.labels.get(queue, [""])
            found = labels.setdefault(queue, [])
            for n, label in enumerate(names):
                if found and label and found[-1][2] == label and found[-1][0] + found[-1][1] == at + n:
                    found[-1][1] += 1
                elif label:
                    found.append([at + n, 1, label])
        at = max(len(w) for w in program.queues.values())
    return labels
