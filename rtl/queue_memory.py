"""The words of an instruction queue."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import clog2
from rtl.streams import load_bus

#: Queues of no more words than this live in LUT RAM, so that small devices keep their block RAM for weights.
LUT_RAM_WORDS = 64


class QueueMemory(wiring.Component):
    """Words of one queue, written 32 bits at a time.

    ``data`` is the word at the ``address`` of one cycle before; it holds while ``enable`` is clear.

    Members
    -------
    bus : In. enable, address : In. data : Out.
    """

    def __init__(self, *, space: int, width: int, depth: int):
        self._space, self._depth, self._width = space, depth, width
        super().__init__(
            {"bus": In(load_bus()), "enable": In(1), "address": In(clog2(depth)), "data": Out(width)}
        )

    def elaborate(self, platform):
        m = Module()
        hit = Signal()
        m.d.comb += hit.eq(self.bus.write & (self.bus.space == self._space))
        for n, low in enumerate(range(0, self._width, 32)):
            bits = min(32, self._width - low)
            m.submodules[f"part{n}"] = part = memory.Memory(
                shape=bits, depth=self._depth, init=[], attrs={"no_rw_check": 1}
            )
            write = part.write_port()
            m.d.comb += [
                write.en.eq(hit & (self.bus.word == n)),
                write.addr.eq(self.bus.entry),
                write.data.eq(self.bus.data),
            ]
            data = self.data[low : low + bits]
            if self._depth > LUT_RAM_WORDS:
                read = part.read_port()
                m.d.comb += [read.en.eq(self.enable), read.addr.eq(self.address), data.eq(read.data)]
            else:
                read = part.read_port(domain="comb")
                held = Signal(bits, reset_less=True)
                with m.If(self.enable):
                    m.d.sync += held.eq(read.data)
                m.d.comb += [read.addr.eq(self.address), data.eq(held)]
        return m
