"""What lanes move through in an SXM: rotator, crossbar, transpose buffer."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import TileConfig, clog2
from rtl.sram import RegisterFile
from rtl.streams import pick


class Rotator(wiring.Component):
    """Words turned by an amount of lanes, shifted, or one of them spread over all.

    Cycle 0: controls. Cycle 1: ``value`` and ``result``, in the same cycle. Every lane of every stage has a control bit of
    its own: with the distance from lane n in place of the amount, the same stages spread lane n over all.

    Members
    -------
    amount : In, lane i takes lane i + amount. spread : In, amount is the lane that all take.
    down, up : In, a shift by amount (down) or by lanes - amount (up), which leaves lanes empty.
    value : In, and result : Out, words of lanes. keep : Out, in the same cycle, a bit for each lane not left empty.
    """

    def __init__(self, config: TileConfig):
        self._lanes = config.lanes
        words = data.ArrayLayout(32, config.lanes)
        super().__init__(
            {
                "amount": In(range(config.lanes)),
                "spread": In(1),
                "down": In(1),
                "up": In(1),
                "value": In(words),
                "result": Out(words),
                "keep": Out(config.lanes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lanes, stages = self._lanes, clog2(self._lanes)
        # Cycle 0.
        turns = [Signal(stages, name=f"turn{lane}", reset_less=True) for lane in range(lanes)]
        keep = Signal(lanes, reset_less=True)
        for lane in range(lanes):
            shifted_in = self.amount < lanes - lane  # lane + amount is still a lane
            # Up by n comes as an amount of lanes - n; n = 0 leaves no lane empty.
            kept_up = (self.amount >= lanes - lane) | (self.amount == 0)
            m.d.sync += [
                turns[lane].eq(Mux(self.spread, self.amount - lane, self.amount)),
                keep[lane].eq(Mux(self.down, shifted_in, ~self.up | kept_up)),
            ]
        # Cycle 1.
        value = [self.value[lane] for lane in range(lanes)]
        for stage in range(stages):
            turned = []
            for lane in range(lanes):
                word = Signal(32, name=f"stage{stage}_{lane}")
                m.d.comb += word.eq(
                    Mux(turns[lane][stage], value[(lane + (1 << stage)) % lanes], value[lane])
                )
                turned.append(word)
            value = turned
        m.d.comb += [self.keep.eq(keep), *(self.result[lane].eq(value[lane]) for lane in range(lanes))]
        return m


class Crossbar(wiring.Component):
    """Bytes from any lane to any lane.

    Cycle 0: ``source``, ``enable``. Cycle 1: ``value`` and ``result``, in the same cycle; lanes not enabled give zero.

    Members
    -------
    source : In, for each lane the lane it takes. enable : In, a bit a lane. value : In, and result : Out, bytes of lanes.
    """

    def __init__(self, config: TileConfig):
        self._lanes = config.lanes
        values = data.ArrayLayout(8, config.lanes)
        super().__init__(
            {
                "source": In(data.ArrayLayout(clog2(config.lanes), config.lanes)),
                "enable": In(config.lanes),
                "value": In(values),
                "result": Out(values),
            }
        )

    def elaborate(self, platform):
        m = Module()
        values = [self.value[lane] for lane in range(self._lanes)]
        for lane in range(self._lanes):
            wanted = [self.enable[lane] & (self.source[lane] == n) for n in range(self._lanes)]
            m.d.comb += self.result[lane].eq(pick(m, wanted, values))
        return m


class Transposer(wiring.Component):
    """The transpose buffer: one bank of bytes for each diagonal, so that rows and columns touch every bank once.

    Bank b holds, at address i, row i's column b - i. A row n is written in one cycle, given turned up by n lanes; a
    column n is read in the same cycle, and comes out turned up by n. A row being written is read as written: reads come
    a cycle early, so that the buffer's state is the one a cycle later.

    Members
    -------
    write, row : In. written : In, bytes of banks.
    read, column : In. values : Out, bytes of banks, same cycle; zero without ``read``.
    """

    def __init__(self, config: TileConfig):
        self._lanes = config.lanes
        lane = range(config.lanes)
        values = data.ArrayLayout(8, config.lanes)
        super().__init__(
            {
                "write": In(1),
                "row": In(lane),
                "written": In(values),
                "read": In(1),
                "column": In(lane),
                "values": Out(values),
            }
        )

    def elaborate(self, platform):
        m = Module()
        for n in range(self._lanes):
            m.submodules[f"bank{n}"] = bank = RegisterFile(depth=self._lanes, width=8)
            address = Signal(range(self._lanes), name=f"address{n}")
            passing = self.write & (self.row == address)
            m.d.comb += [
                address.eq(n - self.column),
                bank.read_address0.eq(address),
                bank.write_address.eq(self.row),
                bank.write_data.eq(self.written[n]),
                bank.write_enable.eq(self.write),
                self.values[n].eq(Mux(self.read, Mux(passing, self.written[n], bank.read_data0), 0)),
            ]
        return m
