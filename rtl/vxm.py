"""VXM: vector lanes that take a stream through convert, multiply, add, special function, multiply, quantise."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import TileConfig
from lpu.runtime.machine import ViolationKind
from rtl.streams import (
    VIOLATION,
    Hop,
    Sampler,
    delayed,
    instruction_port,
    report,
    slice_streams,
    stream_bundle,
    through,
)
from rtl.vxm_control import Control
from rtl.vxm_lane import Lane


class Presence(wiring.Component):
    """Whether a word stream is valid: a Sampler without the data.

    Cycle 0: ``enable`` and ``code``. Cycle 1: look. Cycle 2: ``missing``.

    Parameters
    ----------
    config, slice_name : whose taps are seen.

    Members
    -------
    enable, code : In. east_in, west_in : In, the slice's streams. missing : Out.
    """

    def __init__(self, config: TileConfig, slice_name: str):
        self._config, self._taps = config, config.reachable(slice_name, "tap")
        super().__init__(
            {
                "enable": In(1),
                "code": In(range(2 * config.streams)),
                "east_in": In(stream_bundle(config)),
                "west_in": In(stream_bundle(config)),
                "missing": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        looking = Signal()
        code = Signal.like(self.code, reset_less=True)
        m.d.sync += [looking.eq(self.enable), code.eq(self.code)]
        present = Const(0, 1)
        for direction, word in self._taps:
            valid = (self.east_in if direction == "e" else self.west_in).valid[4 * word : 4 * word + 4].all()
            present |= valid & (code == 8 * word + "ew".index(direction))
        m.d.sync += self.missing.eq(looking & ~present)
        return m


class Vxm(wiring.Component):
    """A VXM slice.

    Cycle 0: dispatch. Cycle 1: A. From then on as lpu.timing.chain says. Vectors longer than the lanes take a beat for
    each part; their operands are sampled once, their results leave together.

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
        samplers, missing = self._operands(m, control)
        self._lanes(m, control, samplers, hop)
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

    def _operands(self, m: Module, control: Control) -> tuple[dict[str, Sampler], list[Signal]]:
        """A sampler for each operand. Returns them and the bits that say an operand was missing.

        Where two chains sample one operand at once they will collide in the next cycle; until then both must find it.
        """
        config, name = self._config, self._name
        samplers, missing = {}, []
        for operand, ports in (("a", "a"), ("b", "b0 b1"), ("c", "c"), ("d", "d0 d1 d2")):
            requests = [getattr(control, port) for port in ports.split()]
            m.submodules[f"operand_{operand}"] = sampler = Sampler(
                config, name, word=True, planes=operand == "a", split=True
            )
            through(m, config, self, sampler)
            code = requests[-1].code
            for request in reversed(requests[:-1]):
                code = Mux(request.enable, request.code, code)
            m.d.comb += [sampler.enable.eq(Cat(r.enable for r in requests).any()), sampler.code.eq(code)]
            missing.append(sampler.missing)
            for request in requests[1:]:
                presence = Presence(config, name)
                m.submodules += presence
                m.d.comb += [
                    presence.enable.eq(request.enable),
                    presence.code.eq(request.code),
                    presence.east_in.valid.eq(self.east_in.valid),
                    presence.west_in.valid.eq(self.west_in.valid),
                ]
                missing.append(presence.missing)
            samplers[operand] = sampler
        m.d.comb += samplers["a"].narrow.eq(control.narrow)
        return samplers, missing

    def _beats(self, m: Module, sampler: Sampler, number: int) -> list[Value]:
        """A lane's words of a sampled vector, each in the cycle of its beat and zero in all others: to be ORed."""
        parts = [
            [part.word_select(place, 32) for part in sampler.parts] for place in range(self._config.lanes)
        ]
        later = parts[number + self._config.vxm_lanes :: self._config.vxm_lanes]
        return [*parts[number], *(delayed(m, reduce(or_, words), n) for n, words in enumerate(later, 1))]

    def _lanes(self, m: Module, control: Control, samplers: dict[str, Sampler], hop: Hop) -> None:
        """The lanes, and the register that puts their beats together."""
        config = self._config
        terms = len(samplers["a"].parts) + config.beats - 1
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
            for operand, sampler in samplers.items():
                m.d.comb += getattr(lane, operand).eq(Cat(self._beats(m, sampler, number)))
            for beat in range(config.beats):
                with m.If(control.out_beat == beat):
                    m.d.sync += results[beat * config.vxm_lanes + number].eq(lane.result)
        m.d.comb += [hop.inject0.enable.eq(control.inject), hop.inject0.data.eq(results)]
