"""VXM: vector lanes that take a stream through convert, multiply, add, special function, multiply, quantise."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import TileConfig
from lpu.runtime.machine import ViolationKind
from rtl.streams import (
    VIOLATION,
    Hop,
    instruction_port,
    report,
    slice_streams,
    through,
)
from rtl.vxm_control import Control
from rtl.vxm_lane import Lane
from rtl.vxm_operand import Operand, Presence, skewed


class Vxm(wiring.Component):
    """A VXM slice.

    Cycle 0: dispatch. Cycle 1: A. From then on as lpu.timing.chain says. Vectors longer than the lanes take a beat for
    each part, and take their operands part by part; their results leave together.

    Parameters
    ----------
    config, name : the tile and the slice's name in it.

    Members
    -------
    east_in, west_in, east_out, west_out : streams.
    chain : In, instruction port. masks : In, as visible in the dispatch cycle.
    violation : Out, one cycle after the event's cycle.
    """

    def __init__(self, config: TileConfig, name: str):
        self._config, self._name = config, name
        super().__init__(
            {
                **slice_streams(config),
                "chain": In(instruction_port(config, f"{name}.chain")),
                "masks": In(data.ArrayLayout(config.lanes, config.masks)),
                "violation": Out(VIOLATION),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, name = self._config, self._name
        m.submodules.hop = hop = Hop(config, name, injections=1)
        through(m, config, self, hop)
        m.submodules.control = control = Control(config, name)
        m.d.comb += [
            control.chain.valid.eq(self.chain.valid),
            control.chain.op.eq(self.chain.op),
            control.chain.payload.eq(self.chain.payload),
            control.masks.eq(self.masks),
        ]
        operands, missing = self._operands(m, control)
        self._lanes(m, control, operands, hop)
        report(
            m,
            self.violation,
            {
                ViolationKind.CONFLICT: hop.conflict,
                ViolationKind.NO_OPERAND: Cat(missing).any(),
                ViolationKind.PORT: control.collision,
            },
        )
        return m

    def _operands(self, m: Module, control: Control) -> tuple[dict[str, Operand], list[Signal]]:
        """The stream operands, and the bits that say that one was missing.

        Where two chains sample one operand at once they will collide in the next cycle; until then both must find it.
        """
        config, name = self._config, self._name
        bundles = {"e": self.east_in, "w": self.west_in}
        streams = [
            part for d, word in config.reachable(name, "tap") for part in skewed(m, config, bundles[d], word)
        ] or [Const(0, 32 * config.vxm_lanes)]
        operands, missing = {}, []
        for letter, ports in (("a", "a"), ("b", "b0 b1"), ("c", "c"), ("d", "d0 d1 d2")):
            requests = [getattr(control, port) for port in ports.split()]
            m.submodules[f"operand_{letter}"] = operand = Operand(config, name)
            code = requests[-1].code
            for request in reversed(requests[:-1]):
                code = Mux(request.enable, request.code, code)
            m.d.comb += [
                operand.enable.eq(Cat(r.enable for r in requests).any()),
                operand.code.eq(code),
                *(taken.eq(part) for taken, part in zip(operand.streams, streams, strict=True)),
            ]
            for request in requests:
                presence = Presence(config, name)
                m.submodules += presence
                m.d.comb += [
                    presence.enable.eq(request.enable),
                    presence.code.eq(request.code),
                    presence.narrow.eq(control.narrow if letter == "a" else 0),
                    presence.east_in.valid.eq(self.east_in.valid),
                    presence.west_in.valid.eq(self.west_in.valid),
                ]
                missing.append(presence.missing)
            operands[letter] = operand
        return operands, missing

    def _lanes(self, m: Module, control: Control, operands: dict[str, Operand], hop: Hop) -> None:
        """The lanes, and the register that puts their beats together."""
        config = self._config
        terms = len(operands["a"].parts)
        results = Signal(data.ArrayLayout(32, config.lanes), reset_less=True)
        for number in range(config.vxm_lanes):
            m.submodules[f"lane{number}"] = lane = Lane(config, terms=terms)
            for member in control.lanes.signature.members:
                m.d.comb += getattr(lane.control, member).eq(getattr(control.lanes, member))
            m.d.comb += [
                lane.out_from.eq(control.out_from[number]),
                lane.out_write.eq(control.out_write[number]),
                lane.end_write.eq(control.end_write[number]),
            ]
            for letter, operand in operands.items():
                words = [part.word_select(number, 32) for part in operand.parts]
                m.d.comb += getattr(lane, letter).eq(Cat(words))
            for beat in range(config.beats):
                with m.If(control.out_beat == beat):
                    m.d.sync += results[beat * config.vxm_lanes + number].eq(lane.result)
        m.d.comb += [hop.inject0.enable.eq(control.inject), hop.inject0.data.eq(results)]
