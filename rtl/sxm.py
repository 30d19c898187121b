"""SXM: lane moves, lane maps, the transpose buffer, and reduction across lanes."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import TileConfig
from lpu.isa import layout
from lpu.runtime.machine import ViolationKind
from lpu.timing import reduce_result
from rtl.moves import Crossbar, Rotator, Transposer
from rtl.reduce import Reducer
from rtl.sram import RegisterFile
from rtl.streams import (
    VIOLATION,
    Hop,
    Sampler,
    delayed,
    destinations,
    fields,
    instruction_port,
    report,
    slice_streams,
    through,
)

#: Bit of a lane map's byte that says: zero.
MAP_ZERO = 7


class Sxm(wiring.Component):
    """An SXM slice.

    Moves: cycle 1 sample (and lane map), cycle 2 move, cycle 3 on the slice's output. LDMAP and TLOAD write in cycle 2.
    Words turn in the rotator, bytes cross the crossbar, which also brings rows to and columns from the transpose buffer's
    diagonals. REDUCE: see :class:`Reducer`; result on the output in cycle reduce_result.

    Parameters
    ----------
    config, name : the tile and the slice's name in it.

    Members
    -------
    east_in, west_in, east_out, west_out : streams.
    move, reduce : In, instruction ports. masks : In, as visible in the dispatch cycle.
    violation : Out, one cycle after the event's cycle.
    """

    def __init__(self, config: TileConfig, name: str):
        self._config, self._name = config, name
        super().__init__(
            {
                **slice_streams(config),
                "move": In(instruction_port(config, f"{name}.move")),
                "reduce": In(instruction_port(config, f"{name}.reduce")),
                "masks": In(data.ArrayLayout(config.lanes, config.masks)),
                "violation": Out(VIOLATION),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.hop = hop = Hop(self._config, self._name, injections=1, early=True)
        through(m, self._config, self, hop)
        missing = self._moves(m, hop.inject0) | self._reductions(m, hop.early)
        report(m, self.violation, {ViolationKind.CONFLICT: hop.conflict, ViolationKind.NO_OPERAND: missing})
        return m

    def _is(self, unit: str, op: str) -> Value:
        port = getattr(self, unit)
        return port.valid & (port.op == layout(self._config, f"{self._name}.{unit}").ops[op].code)

    def _fields(self, unit: str, op: str) -> dict[str, Value]:
        return fields(self._config, f"{self._name}.{unit}", getattr(self, unit).payload, op)

    def _moves(self, m: Module, inject) -> Value:
        """All of the move queue. Returns whether an operand was missing."""
        config, lanes = self._config, self._config.lanes
        word_args, byte_args = self._fields("move", "ROTATE"), self._fields("move", "PERMUTE")
        n, lane_map = word_args["n"], byte_args["map"]
        rotate, down, up, spread = (
            self._is("move", op) for op in ("ROTATE", "SHIFTD", "SHIFTU", "BROADCAST")
        )
        permute, load_map = self._is("move", "PERMUTE"), self._is("move", "LDMAP")
        load_row, read_column = self._is("move", "TLOAD"), self._is("move", "TREAD")

        # Cycle 0.
        m.submodules.word = word = Sampler(config, self._name, word=True, hold=False)
        m.submodules.byte = byte = Sampler(config, self._name, word=False, hold=False)
        through(m, config, self, word)
        through(m, config, self, byte)
        m.d.comb += [
            word.enable.eq(rotate | down | up | spread),
            word.code.eq(word_args["src"]),
            byte.enable.eq(permute | load_map | load_row),
            byte.code.eq(byte_args["src"]),
        ]
        is_word = rotate | down | up | spread
        # Without src before it, TREAD's dst stands elsewhere.
        dst = Mux(read_column, self._fields("move", "TREAD")["dst"], word_args["dst"])
        enable = Mux(
            is_word | permute | read_column, destinations(config, dst, narrow=permute | read_column), 0
        )

        # Cycle 1: controls.
        m.submodules.maps = maps = RegisterFile(depth=config.permute_maps, width=lanes * (len(n) + 1))
        m.submodules.rotator = rotator = Rotator(config)
        m.submodules.crossbar = crossbar = Crossbar(config)
        m.submodules.transposer = transposer = Transposer(config)
        turn = Signal(len(n), reset_less=True)
        m.d.sync += turn.eq(Mux(up | load_row, -n, n))
        n1, permute1, read1 = delayed(m, n, 1), delayed(m, permute, 1), delayed(m, read_column, 1)
        load_row1 = delayed(m, load_row, 1, reset_less=False)
        m.d.comb += [
            rotator.amount.eq(turn),
            rotator.spread.eq(delayed(m, spread, 1)),
            rotator.down.eq(delayed(m, down, 1)),
            rotator.up.eq(delayed(m, up, 1)),
            maps.read_address0.eq(delayed(m, lane_map, 1)),
            transposer.read.eq(read1),
            transposer.column.eq(n1),
        ]
        for lane in range(lanes):
            entry = maps.read_data0.word_select(lane, len(n) + 1)
            m.d.comb += [
                crossbar.source[lane].eq(Mux(permute1, entry[:-1], (turn + lane)[: len(n)])),
                crossbar.enable[lane].eq(Mux(permute1, ~entry[-1], read1 | load_row1)),
            ]

        result = Signal.like(inject.data, reset_less=True)
        # Cycle 2: move. Of rotator and crossbar, the one that has nothing to do gives zero.
        m.d.comb += [
            rotator.value.eq(word.data),
            # Of sampled bytes and a column of the transpose buffer, one is zero.
            crossbar.value.eq(byte.data | delayed(m, transposer.values.as_value(), 1)),
            transposer.write.eq(delayed(m, load_row1, 1, reset_less=False)),
            transposer.row.eq(delayed(m, n1, 1)),
            transposer.written.eq(crossbar.result),
            maps.write_address.eq(delayed(m, lane_map, 2)),
            maps.write_enable.eq(delayed(m, load_map, 2, reset_less=False)),
            inject.enable.eq(delayed(m, enable, 3, reset_less=False)),
            inject.data.eq(result),
        ]
        for lane in range(lanes):
            mapped = byte.data.word_select(lane, 8)
            m.d.comb += [
                maps.write_data.word_select(lane, len(n) + 1).eq(Cat(mapped[: len(n)], mapped[MAP_ZERO])),
            ]
            # Empty lanes by the synchronous reset of flip-flops: clearing them before the OR would take a LUT a bit.
            moved = rotator.result[lane] | crossbar.result[lane].replicate(4)
            m.d.sync += result.word_select(lane, 32).eq(Mux(rotator.keep[lane], moved, 0))
        return word.missing | byte.missing

    def _reductions(self, m: Module, early) -> Value:
        """REDUCE; its result is one word for all lanes. Returns whether an operand was missing."""
        config = self._config
        args = self._fields("reduce", "REDUCE")
        reducing = self._is("reduce", "REDUCE")
        m.submodules.operand = operand = Sampler(config, self._name, word=True, split=True)
        through(m, config, self, operand)
        m.submodules.reducer = reducer = Reducer(config)
        enable = Mux(reducing & args["emit"], destinations(config, args["dst"], narrow=0), 0)
        m.d.comb += [
            operand.enable.eq(reducing),
            operand.code.eq(args["src"]),
            reducer.valid.eq(reducing),
            reducer.how.eq(args["how"]),
            reducer.acc.eq(args["acc"]),
            reducer.clear.eq(args["clear"]),
            reducer.mask.eq(self.masks[args["mask"]]),
            reducer.value.eq(reduce(or_, operand.parts)),
            early.data.eq(reducer.result),
            early.enable.eq(delayed(m, enable, reduce_result(config) - 1, reset_less=False)),
        ]
        return operand.missing
