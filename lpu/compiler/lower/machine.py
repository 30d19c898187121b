"""What all lowerings share: the tile's units by role, registers and buffers by use, constants, and the timeline."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from lpu.arch import TileConfig, clog2
from lpu.compiler.flow import Flow, Step
from lpu.compiler.graph import GraphError
from lpu.compiler.place import Axis, Space, float_words
from lpu.compiler.scheduler import Timeline
from lpu.isa import Reduction

MXM, VXM, SXM, HOST = "mxm0", "vxm0", "sxm0", "host0"

#: Index registers: current token and position; position in blocks of lanes and its rest; two for what is needed shortly;
#: how many tokens a run generates.
TOKEN, POSITION, BLOCK, REST, BRIEF, TOKENS = 1, 2, 3, 4, (5, 6), 7


@dataclass(frozen=True)
class Float:
    """A float vector of one position in memory: ``word`` is the first, padding lanes zero."""

    axis: Axis
    word: int


@dataclass(frozen=True)
class Bytes:
    """An int8 vector of one position in the activation buffer, from entry ``act`` on; ``step`` register or None."""

    axis: Axis
    act: int
    step: int | None


@dataclass
class Lowering:
    """One entry being lowered: ``count`` positions at once, from ``timeline`` cycle 0 on.

    Parameters
    ----------
    config, space : the tile and its places. count : positions computed by a run, 1 to decode.
    """

    config: TileConfig
    space: Space
    count: int = 1
    timeline: Timeline = field(init=False)
    label: str = ""
    polite: bool = False
    _temporary: int = 0
    _accumulator: int = 0

    def __post_init__(self) -> None:
        self.timeline = Timeline(self.config)
        self.lanes, self.format = self.config.lanes, self.config.float_format
        self.west, self.east = f"{self.space.west.slice}.read", f"{self.space.east.slice}.read"
        self.west_write, self.east_write = f"{self.space.west.slice}.write", f"{self.space.east.slice}.write"
        self.beats = self.config.beats
        # Query heads handled as one group, at most: each wants a register and accumulators of its own.
        registers, running = self.config.vxm_registers, self.config.reduce_accumulators
        self.rows = min(8, (running - 3) // 2, self.config.accumulators // 4)
        # Vector registers: three for a norm in the making, two for a rotation, a step a position, one a row, a ring.
        self.recip, self.step_size, self.square, self.cosine, self.sine = range(5)
        self.row_registers = range(5 + self.count, 5 + self.count + self.rows)
        self.ring = range(self.row_registers.stop, registers)
        if not self.ring or self.rows < 1:
            raise GraphError(
                f"{self.config.name}: the compiler needs 7 vxm_registers and one a position and row, 5 reduce_accumulators and "
                f"4 accumulators; it has {registers}, {running} and {self.config.accumulators}"
            )
        if self.config.index_registers < 8 or self.config.loop_depth < 2:
            raise GraphError(
                f"{self.config.name}: the compiler needs 8 index_registers and a loop_depth of 2; "
                f"it has {self.config.index_registers} and {self.config.loop_depth}"
            )
        # Groups whose weighted sums are under way at once.
        self.result_sets = max(
            1, min(4, (running - 3 - self.rows) // self.rows, self.config.accumulators // 2 // self.rows)
        )
        # Running accumulators: rows' maxima, rows' sums, and the last three for norms and arg-max.
        self.maxima, self.sums = 0, self.rows
        self.absmax, self.squares, self.argmax = range(running - 3, running)
        # MXM accumulators: a ring for single columns, a group's scores, and the upper ones for sums over many passes.
        self.upper = self.config.accumulators - self.rows * self.result_sets
        self.scores = self.upper - self.rows

    # Allocation ----------------------------------------------------------------------------------

    def step(self, m: int) -> int:
        """Register of position m's norm step."""
        return 5 + m

    def temporary(self) -> int:
        """Next register of the ring."""
        self._temporary = (self._temporary + 1) % len(self.ring)
        return self.ring[self._temporary]

    def accumulator(self) -> int:
        """Next MXM accumulator of the ring for single columns."""
        self._accumulator = (self._accumulator + 1) % self.scores
        return self._accumulator

    # Constants -----------------------------------------------------------------------------------

    def scalar(self, name: str, value: float) -> int:
        """East word with a float constant in every lane."""
        return self.space.east.constant(name, np.tile(float_words(self.format, [value]), (1, self.lanes)))

    def scales(self, name: str, axis: Axis, values: np.ndarray) -> int:
        """First east word of a vector of float constants, padding zero."""
        return self.space.east.constant(name, axis.spread(self.lanes, float_words(self.format, values)))

    def neutral(self, value: int) -> int:
        """West word with an integer in every lane."""
        return self.space.west.constant("neutral", np.full((1, self.lanes), value & 0xFFFFFFFF, np.uint32))

    # Flows ---------------------------------------------------------------------------------------

    def flow(self, what: str, *, chained: bool = True) -> Flow:
        """A new flow; ``chained``: its run goes through the VXM, which takes ``beats`` cycles an element."""
        return Flow(self.config, f"{self.label} / {what}", self.beats if chained else 1, self.polite)

    def place(self, flow: Flow, *, not_before: int = 0) -> int:
        return self.timeline.place(flow, not_before=not_before)

    def passes(self, what: str, context: int, count: int, act: int, acc: int) -> None:
        """One output column: ``count`` contexts times as many activation entries into ``acc``."""
        flow = self.flow(what, chained=False)
        flow.step(f"{MXM}.passes", "PASS", at=0, ctx=context, act=act, acc=acc, clear=1)
        if count > 1:
            flow.step(
                f"{MXM}.passes",
                "PASS",
                at=1,
                count=count - 1,
                strides={"ctx": 1, "act": 1},
                ctx=context + 1,
                act=act + 1,
                acc=acc,
                clear=0,
            )
        self.place(flow)

    def reduce(
        self,
        flow: Flow,
        how: Reduction,
        acc: int,
        total: int,
        *,
        start: int = 0,
        count: int | None = None,
        mask: int = 0,
    ) -> tuple[list[Step], Step | None]:
        """REDUCE steps for elements ``start`` .. of a run over ``total`` vectors: (all steps, the one that emits or None).

        ``mask``: lanes of the very last vector that count.
        """
        count = total - start if count is None else count
        steps: list[Step] = []
        emitting = None
        for first, length in _parts(start, count, total):
            last = first + length == total
            made = flow.step(
                f"{SXM}.reduce",
                "REDUCE",
                first=first - start,
                count=length,
                acc=acc,
                how=int(how),
                clear=int(first == 0),
                emit=int(last),
                src=0,
                dst=0,
                mask=mask if last else 0,
            )
            steps.append(made)
            if last:
                emitting = made
        return steps, emitting

    def again(self, flow: Flow, how: Reduction, acc: int, neutral: int, count: int = 1) -> Step:
        """A REDUCE that emits running accumulators ``acc`` .. once more, by reducing a word that changes nothing."""
        read = flow.step(self.west, "READ", count=count, addr=self.neutral(neutral), dst=0)
        step = flow.step(
            f"{SXM}.reduce",
            "REDUCE",
            count=count,
            strides={"acc": 1},
            acc=acc,
            how=int(how),
            clear=0,
            emit=1,
            src=0,
            dst=0,
            mask=0,
        )
        flow.net(read, (step, "src"))
        return step

    def constant(
        self,
        flow: Flow,
        chain: Step,
        name: str,
        word: int,
        *,
        count: int = 1,
        stride: int = 1,
        paired: bool = True,
    ) -> None:
        """Feed operand ``name`` of a chain from east words."""
        read = flow.step(
            self.east, "READ", count=count, first=chain.first, strides={"addr": stride}, addr=word, dst=0
        )
        flow.net(read, (chain, name, paired))

    def load_bytes(self, flow: Flow, chain: Step, act: int, *, count: int = 1, mask: int = 0) -> None:
        """Lead a chain's int8 result to activation entries."""
        load = flow.step(f"{MXM}.load", "LA", count=count, strides={"act": 1}, act=act, src=0, mask=mask)
        flow.net(chain, (load, "src"), bytes=1)


def _parts(start: int, count: int, total: int) -> Iterator[tuple[int, int]]:
    """A stretch of a run cut behind its first and before its last vector."""
    end = start + count
    cuts = sorted({start, end, *(c for c in (1, total - 1) if start < c < end)})
    yield from ((a, b - a) for a, b in itertools.pairwise(cuts))


def log2(n: int) -> int:
    """Bits of a shift that divides by the power of two ``n``."""
    return clog2(n)
