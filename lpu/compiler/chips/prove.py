"""The proof that a system's programs fit together: every chip's schedule, and every word sent against every word taken."""

from __future__ import annotations

import itertools

from lpu.compiler.builder import ScheduleError
from lpu.compiler.check import check_program
from lpu.compiler.expand import Expansion, expand
from lpu.compiler.lower.machine import HOST, TOKEN, TOKENS
from lpu.program import Program
from lpu.system import SystemProgram
from lpu.timing import link_cycles, link_latency
from lpu.topology import End


def prove_system(system: SystemProgram) -> None:
    """Raise ScheduleError if a round breaks any rule, at the first position or at the last.

    Each chip's run is checked by :mod:`lpu.compiler.check` and ends when the slots say; links are never busy when a word is
    sent, and each word is taken when it is due, before the next one is. All of it from the timing declarations alone.
    """
    model = system.symbols["model"]
    for position in (0, model["positions"] - 1):
        runs = []
        for chip, program in enumerate(system.programs):
            loaded = loads(program, position, model["vocabulary"] - 1)
            arguments = {"registers": {TOKENS: 1}, "loaded": loaded}
            for fault in check_program(program, "decode", **arguments):  # type: ignore[arg-type]
                raise _error(f"chip {chip} at position {position}: {fault}")
            runs.append(expand(program, "decode", (), **arguments))  # type: ignore[arg-type]
            if runs[-1].cycles != runs[0].cycles:
                raise _error(f"chip {chip} takes {runs[-1].cycles} cycles, chip 0 {runs[0].cycles}")
        if not position and runs[0].cycles != system.slots.cycles(1, 0):
            raise _error(f"a round takes {runs[0].cycles} cycles, {system.slots.cycles(1, 0)} are predicted")
        _links(system, runs)


def loads(program: Program, position: int, token: int) -> list[int]:
    """What LDX finds, in order: positions, and tokens."""
    words = program.queues[f"{HOST}.port"]
    return [token if w.args["x"] == TOKEN else position for w in words if w.op == "LDX"]


def _links(system: SystemProgram, runs: list[Expansion]) -> None:
    config, topology = system.config, system.topology
    occupied, latency = link_cycles(config), link_latency(config)
    for chip in range(system.chips):
        for port, name in enumerate(config.ports):
            end = End(chip, port)
            sent, _ = _times(runs[chip], name)
            for before, after in itertools.pairwise(sent):
                if after - before < occupied:
                    raise _error(f"{end}: a SEND in cycle {after}, the link is busy from {before} on")
            peer = topology.peer(end)
            if peer is None:
                if sent:
                    raise _error(f"{end}: a SEND in cycle {sent[0]}, and no cable")
                continue
            _, taken = _times(runs[peer.chip], config.ports[peer.port])
            if len(taken) != len(sent):
                raise _error(f"{end} sends {len(sent)} words, {peer} takes {len(taken)}")
            due = [cycle + latency for cycle in sent]
            for n, cycle in enumerate(taken):
                if cycle < due[n] or (n + 1 < len(due) and cycle >= due[n + 1]):
                    raise _error(f"{peer}: a RECEIVE in cycle {cycle}, its word is due in {due[n]}")


def _times(run: Expansion, name: str) -> tuple[list[int], list[int]]:
    """Cycles of a port's SENDs and RECEIVEs."""
    found = sorted(
        (d.cycle + k * d.instruction.interval, d.instruction.op)
        for d in run.dispatches
        if d.queue == f"{name}.link"
        for k in range(d.instruction.count)
    )
    return tuple([cycle for cycle, op in found if op == wanted] for wanted in ("SEND", "RECEIVE"))  # type: ignore[return-value]


def _error(text: str) -> ScheduleError:
    return ScheduleError(f"{text}; this is an error of the compiler")
