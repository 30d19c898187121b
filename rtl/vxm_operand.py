"""How the VXM's lanes come to their stream operands: a vector in parts, one a beat."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import TileConfig
from rtl.streams import delayed, pick, stream_bundle


def skewed(m: Module, config: TileConfig, bundle, word: int) -> list[Value]:
    """A word stream as the lanes take it: part b of every vector, vxm_lanes words, b cycles late.

    So no operand need hold a vector until its beats come: they all choose from these.
    """
    lanes = [
        Cat(bundle.data[4 * word + b].word_select(lane, 8) for b in range(4)) for lane in range(config.lanes)
    ]
    size = config.vxm_lanes
    return [delayed(m, Cat(lanes[beat * size : (beat + 1) * size]), beat) for beat in range(config.beats)]


class Presence(wiring.Component):
    """Whether a stream is valid where an instruction samples it.

    Cycle 0: ``enable``, ``code`` and, of a byte, ``narrow``. Cycle 1: look. Cycle 2: ``missing``.

    Parameters
    ----------
    config, slice_name : whose taps are seen.

    Members
    -------
    enable, code, narrow : In; code as of lpu.isa (2 * number + direction). east_in, west_in : In, the slice's streams.
    missing : Out.
    """

    def __init__(self, config: TileConfig, slice_name: str):
        self._config, self._taps = config, config.reachable(slice_name, "tap")
        super().__init__(
            {
                "enable": In(1),
                "code": In(range(2 * config.streams)),
                "narrow": In(1),
                "east_in": In(stream_bundle(config)),
                "west_in": In(stream_bundle(config)),
                "missing": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        looking = Signal()
        code, wanted = Signal.like(self.code, reset_less=True), Signal(4, reset_less=True)
        m.d.sync += [looking.eq(self.enable), code.eq(self.code)]
        m.d.sync += wanted.eq((1 << self.code[1:3]) | ~self.narrow.replicate(4))
        present = Const(0, 1)
        for direction, word in self._taps:
            valid = (self.east_in if direction == "e" else self.west_in).valid[4 * word : 4 * word + 4]
            here = (code[0] == "ew".index(direction)) & (code[3:] == word)
            present |= here & (valid | ~wanted).all()
        m.d.sync += self.missing.eq(looking & ~present)
        return m


class Operand(wiring.Component):
    """A stream operand of the lanes.

    Cycle 0 (dispatch): ``enable`` and ``code``. Cycle 1 + b: part b of the vector is chosen. Cycle 2 + b: it stands in ``parts``,
    to be ORed; they are zero in all other cycles.

    Parameters
    ----------
    config, slice_name : whose taps are built.

    Members
    -------
    enable, code : In, stream code of lpu.isa; of a byte, that of its word is taken.
    streams : In, of each tap in order and each beat, as :func:`skewed` has them.
    parts : Out, vxm_lanes x 32 bits each, the beat's first lane lowest.
    """

    def __init__(self, config: TileConfig, slice_name: str):
        self._config, self._taps = config, config.reachable(slice_name, "tap")
        self._sources = len(self._taps) * config.beats
        bits = 32 * config.vxm_lanes
        super().__init__(
            {
                "enable": In(1),
                "code": In(range(2 * config.streams)),
                "streams": In(data.ArrayLayout(bits, max(1, self._sources))),
                "parts": Out(data.ArrayLayout(bits, max(1, -(-self._sources // 4)))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        wanted: list[Value] = []
        for direction, word in self._taps:
            now = self.enable & (self.code[0] == "ew".index(direction)) & (self.code[3:] == word)
            wanted += [delayed(m, now, beat, reset_less=False) for beat in range(self._config.beats)]
        for n in range(0, self._sources, 4):
            part = Signal(len(self.streams[0]), name=f"part{n // 4}", reset_less=True)
            values = [self.streams[i] for i in range(n, min(n + 4, self._sources))]
            m.d.sync += part.eq(pick(m, wanted[n : n + 4], values))
            m.d.comb += self.parts[n // 4].eq(part)
        return m
