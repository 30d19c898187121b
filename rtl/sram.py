"""Memories: the SRAM of slices and queues, and the register file made of LUT RAM."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out


class Sram(wiring.Component):
    """Simple dual-port SRAM: one read port, one write port with an enable for each ``granularity`` bits.

    Cycle 0: the addresses stand at the ports. Cycle 1: ``read_data`` is the word, and the write is done.

    Reading and writing one address in one cycle gives an undefined word (the schedule proves that none is used): hiding
    that would cost more logic than all else here. A platform with a method ``get_sram`` may build it in its own way.

    Parameters
    ----------
    depth : words. width : bits of a word. granularity : bits of each write enable; divides width.

    Members
    -------
    read_address : In. read_data : Out, one cycle later.
    write_address, write_data : In. write_enable : In, one bit for each ``granularity`` bits, lowest first.
    """

    def __init__(self, *, depth: int, width: int, granularity: int | None = None):
        granularity = granularity or width
        if depth < 2 or width % granularity:
            raise ValueError(f"SRAM of {depth} x {width} with enables of {granularity} bits cannot be built")
        self.depth, self.width, self.granularity = depth, width, granularity
        super().__init__(
            {
                "read_address": In(range(depth)),
                "read_data": Out(width),
                "write_address": In(range(depth)),
                "write_data": In(width),
                "write_enable": In(width // granularity),
            }
        )

    def elaborate(self, platform):
        if hasattr(platform, "get_sram"):
            return platform.get_sram(self)
        m = Module()
        # Without no_rw_check yosys adds a comparator and a bypass to every block RAM.
        m.submodules.array = array = memory.Memory(
            shape=self.width, depth=self.depth, init=[], attrs={"no_rw_check": 1}
        )
        read, write = array.read_port(), array.write_port(granularity=self.granularity)
        m.d.comb += [
            read.addr.eq(self.read_address),
            read.en.eq(1),
            self.read_data.eq(read.data),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            write.en.eq(self.write_enable),
        ]
        return m


class RegisterFile(wiring.Component):
    """Small memory read in the same cycle (LUT RAM on an FPGA), written at the end of a cycle.

    A read in the cycle of a write gives the old word. Each read port costs a copy of the bits.

    Parameters
    ----------
    depth, width, granularity : as of :class:`Sram`. reads : read ports.

    Members
    -------
    read_address0, read_data0, read_address1 ... : In and Out, same cycle.
    write_address, write_data, write_enable : In.
    """

    def __init__(self, *, depth: int, width: int, granularity: int | None = None, reads: int = 1):
        granularity = granularity or width
        if depth < 2 or width % granularity:
            raise ValueError(
                f"register file of {depth} x {width} with enables of {granularity} bits cannot be built"
            )
        self.depth, self.width, self.granularity, self.reads = depth, width, granularity, reads
        super().__init__(
            {
                **{f"read_address{n}": In(range(depth)) for n in range(reads)},
                **{f"read_data{n}": Out(width) for n in range(reads)},
                "write_address": In(range(depth)),
                "write_data": In(width),
                "write_enable": In(width // granularity),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.array = array = memory.Memory(shape=self.width, depth=self.depth, init=[])
        write = array.write_port(granularity=self.granularity)
        m.d.comb += [
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            write.en.eq(self.write_enable),
        ]
        for n in range(self.reads):
            read = array.read_port(domain="comb")
            m.d.comb += [
                read.addr.eq(getattr(self, f"read_address{n}")),
                getattr(self, f"read_data{n}").eq(read.data),
            ]
        return m
