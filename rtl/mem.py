"""MEM: words of lanes x 32 bits behind one read and one write port."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import TileConfig
from lpu.isa import layout
from lpu.runtime.machine import ViolationKind
from rtl.sram import Sram
from rtl.streams import (
    VIOLATION,
    Hop,
    Sampler,
    delayed,
    destinations,
    fields,
    instruction_port,
    load_bus,
    pick,
    report,
    slice_streams,
    through,
)


class Mem(wiring.Component):
    """A MEM slice: an SRAM of 32 bits for each lane, so that lanes may have addresses of their own.

    Reads: cycle 0 address, cycle 1 word from the SRAM, cycle 2 on the slice's output; GATHER GATHER_LATE later.
    Writes: cycle 1 sample, cycle 2 into the SRAM. Load bus: writes in cycle 2, ``read_data`` in cycle LOAD_READ_LATENCY.

    Parameters
    ----------
    config, name : the tile and the slice's name in it.

    Members
    -------
    east_in, west_in, east_out, west_out : streams.
    read, write : In, instruction ports. masks : In, as visible in the dispatch cycle.
    load : In, load bus; entry = word, word = lane. read_data : Out.
    violation : Out, one cycle after the event's cycle.
    """

    def __init__(self, config: TileConfig, name: str):
        self._config, self._name = config, name
        self._depth = config.spec(name).depth
        super().__init__(
            {
                **slice_streams(config),
                "read": In(instruction_port(config, f"{name}.read")),
                "write": In(instruction_port(config, f"{name}.write")),
                "masks": In(data.ArrayLayout(config.lanes, config.masks)),
                "load": In(load_bus()),
                "read_data": Out(32),
                "violation": Out(VIOLATION),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, name = self._config, self._name
        bank = [Sram(depth=self._depth, width=32, granularity=8) for _ in range(config.lanes)]
        for lane, sram in enumerate(bank):
            m.submodules[f"lane{lane}"] = sram
        m.submodules.hop = hop = Hop(config, name, injections=1)
        through(m, config, self, hop)

        # Cycle 1 of the load bus.
        address_bits = range(self._depth)
        load_read, load_write = Signal(), Signal()
        load_address = Signal(address_bits, reset_less=True)
        load_lane, load_data = Signal(config.lanes), Signal(32, reset_less=True)
        mine = self.load.space == config.position(name)
        m.d.sync += [
            load_read.eq(self.load.read & mine),
            load_write.eq(self.load.write & mine),
            load_address.eq(self.load.entry),
            # Zero in all other cycles, as it is ORed into what WRITE sampled.
            load_data.eq(Mux(self.load.write & mine, self.load.data, 0)),
        ]
        for lane in range(config.lanes):
            m.d.sync += load_lane[lane].eq(
                (self.load.read | self.load.write) & mine & (self.load.word == lane)
            )

        reading, read_missing, port = self._reads(m, bank, hop.inject0, load_read, load_address, load_lane)
        writing, write_missing = self._writes(m, bank, load_write, load_address, load_lane, load_data)

        # Addresses are compared two bits at a time, an odd one with what asks, and the rest of it is done in the next cycle.
        collisions = []
        for n, sram in enumerate(bank):
            read, write = sram.read_address, sram.write_address
            odd = len(read) % 2
            pairs = [read[b : b + 2] == write[b : b + 2] for b in range(odd, len(read), 2)]
            same = Signal(1 + len(pairs), name=f"same{n}", reset_less=True)
            m.d.sync += same.eq(Cat(reading & writing[n] & (read[:odd] == write[:odd]), pairs))
            collisions.append(same.all())
        report(
            m,
            self.violation,
            {
                ViolationKind.CONFLICT: hop.conflict,
                ViolationKind.NO_OPERAND: read_missing | write_missing,
                ViolationKind.PORT: port,
                ViolationKind.COLLISION: Cat(collisions).any(),
            },
        )
        return m

    def _reads(
        self, m: Module, bank, inject, load_read, load_address, load_lane
    ) -> tuple[Value, Value, Value]:
        """READ, READB, GATHER and the load bus. Returns (an instruction reads the SRAMs, operand missing, PORT)."""
        config, queue = self._config, f"{self._name}.read"
        ops = layout(config, queue).ops
        word, plane, gather = (
            fields(config, queue, self.read.payload, op) for op in ("READ", "READB", "GATHER")
        )
        is_word, is_plane, is_gather = (Signal(name=f"is_{op.lower()}") for op in ("READ", "READB", "GATHER"))
        m.d.comb += [
            is_word.eq(self.read.valid & (self.read.op == ops["READ"].code)),
            is_plane.eq(self.read.valid & (self.read.op == ops["READB"].code)),
            is_gather.eq(self.read.valid & (self.read.op == ops["GATHER"].code)),
        ]

        # Cycles 0 to 2 of a GATHER: addresses; without a sample they are zero, which spares a multiplexer.
        m.submodules.addresses = addresses = Sampler(config, self._name, word=True, hold=False)
        through(m, config, self, addresses)
        m.d.comb += [addresses.enable.eq(is_gather), addresses.code.eq(gather["src"])]
        late = delayed(m, is_gather, 2, reset_less=False)
        late_address, late_dst = delayed(m, gather["addr"], 2), delayed(m, gather["dst"], 2)

        # Cycle 0 of a read (2 of a GATHER, 1 of the load bus).
        address = Signal(range(self._depth))
        m.d.comb += address.eq(
            Mux(
                load_read,
                load_address,
                Mux(late, late_address, Mux(is_plane, plane["addr"][2:], word["addr"])),
            )
        )
        for lane, sram in enumerate(bank):
            m.d.comb += sram.read_address.eq(address + addresses.data.word_select(lane, 32))
        reading = late | is_word | is_plane
        narrow = is_plane & ~late
        dst = Mux(late, late_dst, word["dst"])  # READB has it at the same bits
        enable = Signal(2 * config.streams)
        narrow1, port = Signal(), Signal()
        m.d.sync += [
            enable.eq(Mux(reading, destinations(config, dst, narrow=narrow), 0)),
            narrow1.eq(narrow),
            port.eq(late & (is_word | is_plane)),
        ]

        # Cycle 1: the word, or one byte of it in every place.
        words = [sram.read_data for sram in bank]
        wanted = [narrow & (plane["addr"][:2] == b) for b in range(4)]
        byte = pick(m, wanted, [Cat(w.word_select(b, 8) for w in words) for b in range(4)])
        result = Signal.like(inject.data, reset_less=True)
        for lane, whole in enumerate(words):
            everywhere = byte.word_select(lane, 8).replicate(4)
            m.d.sync += result.word_select(lane, 32).eq(Mux(narrow1, everywhere, whole))
        # Cycle 2: at the output.
        m.d.comb += [inject.data.eq(result), inject.enable.eq(delayed(m, enable, 1, reset_less=False))]
        m.d.sync += self.read_data.eq(pick(m, [load_read & lane for lane in load_lane], words))
        return reading, addresses.missing, port

    def _writes(self, m: Module, bank, load_write, load_address, load_lane, load_data) -> tuple[Value, Value]:
        """WRITE, WRITEB, SCATTER and the load bus. Returns (lanes that an instruction writes, operand missing)."""
        config, queue = self._config, f"{self._name}.write"
        ops = layout(config, queue).ops
        word, plane, scatter = (
            fields(config, queue, self.write.payload, op) for op in ("WRITE", "WRITEB", "SCATTER")
        )
        is_op = {
            name: self.write.valid & (self.write.op == ops[name].code)
            for name in ("WRITE", "WRITEB", "SCATTER")
        }
        is_plane, is_scatter = is_op["WRITEB"], is_op["SCATTER"]

        # Cycle 0.
        active = Signal()
        m.d.comb += active.eq(Cat(is_op.values()).any())
        m.submodules.value = value = Sampler(config, self._name, word=True, planes=True, hold=False)
        m.submodules.places = places = Sampler(config, self._name, word=True, hold=False)
        through(m, config, self, value)
        through(m, config, self, places)
        src = word["src"]  # at the same bits in all three
        m.d.comb += [
            value.enable.eq(active),
            value.code.eq(src),
            value.narrow.eq(is_plane),
            places.enable.eq(is_scatter),
            places.code.eq(scatter["at"]),
        ]
        mask = Mux(is_scatter, scatter["mask"], word["mask"])

        # Cycle 1.
        active1, narrow1, lanes1 = Signal(), Signal(), Signal(config.lanes, reset_less=True)
        address1, byte1, source1 = Signal(range(self._depth), reset_less=True), Signal(2), Signal(2)
        m.d.sync += [
            active1.eq(active),
            narrow1.eq(is_plane),
            lanes1.eq(self.masks[mask]),
            address1.eq(Mux(is_plane, plane["addr"][2:], word["addr"])),
            byte1.eq(plane["addr"]),
            source1.eq(src[1:3]),
        ]

        # Cycle 2: into the SRAMs. The load bus joins here, with nothing else sampled.
        lanes2, loaded2, bytes2 = Signal(config.lanes), Signal(config.lanes), Signal(4, reset_less=True)
        address2, narrow2 = Signal.like(address1), Signal(reset_less=True)
        m.d.sync += [
            lanes2.eq(Mux(active1, lanes1, 0)),
            loaded2.eq(Mux(load_write, load_lane, 0)),
            bytes2.eq(Mux(narrow1, 1 << byte1, 15)),
            address2.eq(Mux(load_write, load_address, address1)),
            narrow2.eq(narrow1),
        ]
        words = [value.data.word_select(lane, 32) for lane in range(config.lanes)]
        load_data2 = delayed(m, load_data, 1)
        wanted = [narrow1 & (source1 == b) for b in range(4)]
        byte = pick(m, wanted, [Cat(w.word_select(b, 8) for w in words) for b in range(4)])
        for lane, sram in enumerate(bank):
            sampled = Mux(narrow2, byte.word_select(lane, 8).replicate(4), words[lane])
            m.d.comb += [
                sram.write_address.eq(address2 + places.data.word_select(lane, 32)),
                sram.write_data.eq(sampled | load_data2),
                sram.write_enable.eq(Mux(lanes2[lane] | loaded2[lane], bytes2, 0)),
            ]
        return lanes2, value.missing | places.missing
