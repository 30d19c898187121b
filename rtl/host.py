"""HOST: index registers, lane masks, token and vector FIFOs."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import TileConfig, clog2
from lpu.isa import layout
from lpu.runtime.machine import ViolationKind
from lpu.timing import INDEX_VISIBLE, VPOP_RESULT
from rtl.icu import index_write
from rtl.sram import RegisterFile
from rtl.streams import (
    LOAD_READ_LATENCY,
    VIOLATION,
    Hop,
    Sampler,
    delayed,
    destinations,
    fields,
    instruction_port,
    load_bus,
    report,
    slice_streams,
    through,
)

#: Load bus spaces of index registers and lane masks.
INDEX_SPACE, MASK_SPACE = 128, 129
#: Cycles from ``masks`` of the host slice to those of the other slices: what INDEX_VISIBLE leaves for spreading them.
MASK_LATENCY = INDEX_VISIBLE - 3

assert VPOP_RESULT == 2 and LOAD_READ_LATENCY == 3


class Fifo(wiring.Component):
    """A FIFO in LUT RAM whose counting the user may do in another cycle than the moving.

    ``level`` changes with ``add`` and ``remove``; the words move with ``write`` and ``next``. Adding to a full FIFO or removing
    from an empty one is up to the user. ``write`` may touch the newest word in parts before it is added.

    Parameters
    ----------
    width, depth : of the memory. granularity : bits of each write enable.

    Members
    -------
    write_data, write : In, into the place behind the newest word. push : In, go to the place behind it.
    read_data : Out, the oldest word. next : In, drop it.
    add, remove : In, count. level : Out. clear : In, strobe.
    """

    def __init__(self, *, width: int, depth: int, granularity: int | None = None):
        self._width, self._depth, self._granularity = width, depth, granularity or width
        super().__init__(
            {
                "write_data": In(width),
                "write": In(width // self._granularity),
                "push": In(1),
                "read_data": Out(width),
                "next": In(1),
                "add": In(1),
                "remove": In(1),
                "level": Out(clog2(depth + 1)),
                "clear": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        if self._depth == 1:
            return self._single(m)
        m.submodules.words = words = RegisterFile(
            depth=self._depth, width=self._width, granularity=self._granularity
        )
        newest, oldest = Signal(range(self._depth)), Signal(range(self._depth))
        m.d.comb += [
            words.write_address.eq(newest),
            words.write_data.eq(self.write_data),
            words.write_enable.eq(self.write),
            words.read_address0.eq(oldest),
            self.read_data.eq(words.read_data0),
        ]
        m.d.sync += [newest.eq(newest + self.push), oldest.eq(oldest + self.next)]
        with m.If(self.add & ~self.remove):
            m.d.sync += self.level.eq(self.level + 1)
        with m.Elif(self.remove & ~self.add):
            m.d.sync += self.level.eq(self.level - 1)
        with m.If(self.clear):
            m.d.sync += [newest.eq(0), oldest.eq(0), self.level.eq(0)]
        return m

    def _single(self, m: Module) -> Module:
        """A FIFO of one word: a register."""
        word = Signal(data.ArrayLayout(self._granularity, self._width // self._granularity), reset_less=True)
        m.d.comb += self.read_data.eq(word)
        for n, enable in enumerate(self.write):
            with m.If(enable):
                m.d.sync += word[n].eq(self.write_data.word_select(n, self._granularity))
        with m.If(self.add | self.remove):
            m.d.sync += self.level.eq(self.add)
        with m.If(self.clear):
            m.d.sync += self.level.eq(0)
        return m


class Host(wiring.Component):
    """The host slice.

    Cycle 0: decode; VPOP counts. Cycle 1: index operand, stream and FIFO are read, the index register is written; PUSH and VPUSH
    count. Cycle 2: ``index_write``; PUSH and VPUSH write their FIFOs; VPOP on the slice's output. Cycle 3: ``masks``.
    The load bus writes index registers and masks as CONFIG and TAIL would in its cycle, and reads index registers
    LOAD_READ_LATENCY later.

    Parameters
    ----------
    config, name : the tile and the slice's name in it.

    Members
    -------
    east_in, west_in, east_out, west_out : streams.
    port : In, instruction port.
    bus : In, load bus; spaces INDEX_SPACE and MASK_SPACE. read_data : Out.
    index_write : Out, to every queue. masks : Out, to every slice MASK_LATENCY later. Mask 0 is constant.
    clear : In, strobe that empties the FIFOs.
    tokens_in, vectors_in : In, streams from the host, 16 and 32 bits; vectors lane 0 first.
    tokens_out, vectors_out : Out, streams to the host.
    tokens_in_level, tokens_out_level, vectors_in_level, vectors_out_level : Out, whole entries that wait.
    Without a vector FIFO there are always no vectors, and no room.
    violation : Out, one cycle after the event's cycle.
    """

    def __init__(self, config: TileConfig, name: str):
        self._config, self._name = config, name
        tokens, vectors = clog2(config.token_fifo + 1), clog2(config.vector_fifo + 1)
        super().__init__(
            {
                **slice_streams(config),
                "port": In(instruction_port(config, f"{name}.port")),
                "bus": In(load_bus()),
                "read_data": Out(32),
                "index_write": Out(index_write()),
                "masks": Out(data.ArrayLayout(config.lanes, config.masks)),
                "clear": In(1),
                "tokens_in": In(stream.Signature(16)),
                "tokens_out": Out(stream.Signature(16)),
                "vectors_in": In(stream.Signature(32)),
                "vectors_out": Out(stream.Signature(32)),
                "tokens_in_level": Out(tokens),
                "tokens_out_level": Out(tokens),
                "vectors_in_level": Out(vectors),
                "vectors_out_level": Out(vectors),
                "violation": Out(VIOLATION),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, name = self._config, self._name
        m.submodules.hop = hop = Hop(config, name, injections=1 if config.vector_fifo else 0)
        m.submodules.sampler = sampler = Sampler(config, name, word=True, hold=False)
        m.submodules.tokens_in = tokens_in = Fifo(width=16, depth=config.token_fifo)
        m.submodules.tokens_out = tokens_out = Fifo(width=16, depth=config.token_fifo)
        m.submodules.registers = registers = RegisterFile(depth=config.index_registers, width=16)
        through(m, config, self, hop)
        through(m, config, self, sampler)
        m.d.comb += [fifo.clear.eq(self.clear) for fifo in (tokens_in, tokens_out)]

        # Cycle 0: what it is. A load bus access takes the place of a CONFIG or the operand of a PUSH.
        ops = layout(config, f"{name}.port").ops
        args = {op: fields(config, f"{name}.port", self.port.payload, op) for op in ops}
        now = {op: Signal(name=f"is_{op.lower()}") for op in ops if ops[op].code >= 8}
        m.d.comb += [
            signal.eq(self.port.valid & (self.port.op == ops[op].code)) for op, signal in now.items()
        ]
        bus_write = self.bus.write & (self.bus.space == INDEX_SPACE)
        bus_read = self.bus.read & (self.bus.space == INDEX_SPACE)
        bus_mask = self.bus.write & (self.bus.space == MASK_SPACE)
        target, source = Signal(range(config.index_registers)), Signal(range(config.index_registers))
        m.d.comb += [
            # INDEX, CONFIG, LDX, POP and TAIL have what they write lowest; PUSH has its operand there.
            target.eq(Mux(self.bus.write, self.bus.entry, args["INDEX"]["x"])),
            source.eq(args["INDEX"]["src"]),
            sampler.enable.eq(now["LDX"]),
            sampler.code.eq(args["LDX"]["src"]),
        ]
        with m.If(now["PUSH"]):
            m.d.comb += source.eq(args["PUSH"]["src"])
        with m.If(now["TAIL"]):
            m.d.comb += source.eq(args["TAIL"]["src"])
        with m.If(self.bus.read):
            m.d.comb += source.eq(self.bus.entry)
        target1, source1 = delayed(m, target, 1), delayed(m, source, 1)
        was = {op: delayed(m, signal, 1, reset_less=False) for op, signal in now.items()}

        self._index(m, registers, target1, source1, was, bus_write, args, sampler, tokens_in)
        operand = delayed(m, registers.read_data0, 1)
        mask = Mux(self.bus.write, self.bus.entry, args["TAIL"]["mask"])
        self._masks(m, delayed(m, mask, 2), delayed(m, was["TAIL"], 1, reset_less=False), operand, bus_mask)
        m.d.sync += self.read_data.eq(Mux(delayed(m, bus_read, 2, reset_less=False), operand, 0))

        # To the program, in cycle 1.
        starved, popping = Signal(), Signal()
        m.d.comb += [
            popping.eq(was["POP"] & (tokens_in.level != 0)),
            tokens_in.next.eq(popping),
            tokens_in.remove.eq(popping),
        ]
        m.d.sync += starved.eq(was["POP"] & (tokens_in.level == 0))
        # From the program: counted in cycle 1, written in cycle 2, seen by the host after that.
        overrun, pushing = Signal(), Signal()
        full = tokens_out.level == config.token_fifo
        m.d.comb += [
            tokens_out.add.eq(was["PUSH"] & ~full),
            tokens_out.write_data.eq(operand),
            tokens_out.write.eq(pushing),
            tokens_out.push.eq(pushing),
        ]
        m.d.sync += [overrun.eq(was["PUSH"] & full), pushing.eq(tokens_out.add)]
        self._tokens(m, tokens_in, tokens_out)
        vector_starved, vector_overrun = (
            self._vectors(m, hop, sampler, now, was, args) if config.vector_fifo else (Const(0), Const(0))
        )
        report(
            m,
            self.violation,
            {
                ViolationKind.CONFLICT: hop.conflict,
                ViolationKind.NO_OPERAND: sampler.missing,
                ViolationKind.UNDERFLOW: starved | vector_starved,
                ViolationKind.OVERFLOW: overrun | vector_overrun,
            },
        )
        return m

    def _index(self, m: Module, registers, target, source, was, bus_write, args, sampler, tokens_in) -> None:
        """Cycle 1: the index register's new value, from INDEX's operand, the stream, the FIFO, or the host."""
        index, config_value = args["INDEX"], args["CONFIG"]["value"]
        add, shift, value = (delayed(m, v, 1) for v in (index["add"], index["shift"], config_value))
        host, host_value = delayed(m, bus_write, 1, reset_less=False), delayed(m, self.bus.data[:16], 1)
        writing, number, written = self.index_write.enable, self.index_write.number, self.index_write.value
        # Bits kept, as a mask: decoded a cycle before.
        kept = Signal(16, reset_less=True)
        m.d.sync += kept.eq((1 << index["bits"]) - 1)
        total, result = Signal(16), Signal(16)
        m.d.comb += [
            registers.read_address0.eq(source),
            total.eq(registers.read_data0 + add),
            result.eq(
                Mux(was["INDEX"], (total >> shift) & kept, 0)
                | Mux(was["CONFIG"], value, 0)
                | Mux(was["LDX"], sampler.now[:16], 0)
                | Mux(was["POP"], tokens_in.read_data, 0)
                | Mux(host, host_value, 0)
            ),
            registers.write_address.eq(target),
            registers.write_data.eq(result),
            registers.write_enable.eq(
                (was["INDEX"] | was["CONFIG"] | was["LDX"] | was["POP"] | host) & (target != 0)
            ),
        ]
        value_register, number_register = Signal(16, reset_less=True), Signal(3, reset_less=True)
        m.d.comb += [written.eq(value_register), number.eq(number_register)]
        m.d.sync += [
            writing.eq(registers.write_enable),
            number_register.eq(target),
            value_register.eq(result),
        ]

    def _masks(self, m: Module, number: Value, tail: Value, operand: Value, bus_mask: Value) -> None:
        """Cycle 2: the mask TAIL makes of its operand, or 32 bits of one from the host."""
        config = self._config
        host, data32 = delayed(m, bus_mask, 2, reset_less=False), delayed(m, self.bus.data, 2)
        word = delayed(m, self.bus.word, 2)
        # As a number of lanes; more than there are are all of them.
        operand = Mux(operand[clog2(config.lanes) :].any(), config.lanes, operand[: clog2(config.lanes)])
        lanes = Cat(operand > lane for lane in range(config.lanes))
        m.d.comb += self.masks[0].eq(~0)
        for n in range(1, config.masks):
            mask = Signal(config.lanes, reset_less=True, name=f"mask{n}")
            m.d.comb += self.masks[n].eq(mask)
            for part in range(0, config.lanes, 32):
                bits = min(32, config.lanes - part)
                with m.If((number == n) & (tail | (host & (word == part // 32)))):
                    m.d.sync += mask[part : part + bits].eq(
                        Mux(tail, lanes[part : part + bits], data32[:bits])
                    )

    def _tokens(self, m: Module, tokens_in: Fifo, tokens_out: Fifo) -> None:
        """Token streams to and from the command interpreter, and what it may know of the FIFOs."""
        config = self._config
        accept = self.tokens_in.valid & self.tokens_in.ready
        m.d.comb += [
            self.tokens_in_level.eq(tokens_in.level),
            self.tokens_in.ready.eq(tokens_in.level != config.token_fifo),
            tokens_in.write_data.eq(self.tokens_in.payload),
            *(strobe.eq(accept) for strobe in (tokens_in.write, tokens_in.push, tokens_in.add)),
        ]
        # A word pushed in cycle 1 is there from cycle 3 on: the host sees the level of a cycle before.
        waiting = Signal.like(self.tokens_out_level)
        m.d.sync += waiting.eq(tokens_out.level - tokens_out.remove)
        m.d.comb += [
            self.tokens_out_level.eq(waiting),
            self.tokens_out.valid.eq(waiting != 0),
            self.tokens_out.payload.eq(tokens_out.read_data),
            tokens_out.remove.eq(self.tokens_out.valid & self.tokens_out.ready),
            tokens_out.next.eq(tokens_out.remove),
        ]
        with m.If(self.clear):
            m.d.sync += waiting.eq(0)

    def _vectors(self, m: Module, hop: Hop, sampler: Sampler, now, was, args) -> tuple[Signal, Signal]:
        """VPOP, VPUSH and their FIFOs, as tokens have them; a vector comes and goes lane by lane. Returns (VPOP found none,
        VPUSH found no room), each registered."""
        config = self._config
        m.submodules.vectors_in = vectors_in = Fifo(
            width=32 * config.lanes, depth=config.vector_fifo, granularity=32
        )
        m.submodules.vectors_out = vectors_out = Fifo(width=32 * config.lanes, depth=config.vector_fifo)
        # VPOP counts in cycle 0 and reads in cycle 1.
        starved, popping = Signal(), Signal()
        enable = Mux(now["VPOP"], destinations(config, args["VPOP"]["dst"], narrow=0), 0)
        m.d.comb += [
            popping.eq(now["VPOP"] & (vectors_in.level != 0)),
            vectors_in.remove.eq(popping),
            vectors_in.next.eq(delayed(m, popping, 1, reset_less=False)),
            hop.inject0.data.eq(delayed(m, vectors_in.read_data, 1)),
            hop.inject0.enable.eq(delayed(m, enable, VPOP_RESULT, reset_less=False)),
        ]
        m.d.sync += starved.eq(now["VPOP"] & (vectors_in.level == 0))
        overrun, pushing = Signal(), Signal()
        full = vectors_out.level == config.vector_fifo
        m.d.comb += [
            vectors_out.add.eq(was["VPUSH"] & ~full),
            vectors_out.write_data.eq(sampler.data),
            vectors_out.write.eq(pushing),
            vectors_out.push.eq(pushing),
        ]
        m.d.sync += [overrun.eq(was["VPUSH"] & full), pushing.eq(vectors_out.add)]
        with m.If(now["VPUSH"]):
            m.d.comb += [sampler.enable.eq(1), sampler.code.eq(args["VPUSH"]["src"])]

        lane_in, lane_out = Signal(range(config.lanes)), Signal(range(config.lanes))
        accept, last, taken = Signal(), Signal(), Signal()
        waiting = Signal.like(self.vectors_out_level)
        m.d.comb += [
            self.vectors_in_level.eq(vectors_in.level),
            self.vectors_in.ready.eq(vectors_in.level != config.vector_fifo),
            accept.eq(self.vectors_in.valid & self.vectors_in.ready),
            last.eq(lane_in == config.lanes - 1),
            vectors_in.write_data.eq(self.vectors_in.payload.replicate(config.lanes)),
            vectors_in.write.eq(Mux(accept, 1 << lane_in, 0)),
            vectors_in.push.eq(accept & last),
            vectors_in.add.eq(accept & last),
            self.vectors_out_level.eq(waiting),
            self.vectors_out.valid.eq(waiting != 0),
            self.vectors_out.payload.eq(vectors_out.read_data.word_select(lane_out, 32)),
            taken.eq(self.vectors_out.valid & self.vectors_out.ready),
            vectors_out.remove.eq(taken & (lane_out == config.lanes - 1)),
            vectors_out.next.eq(vectors_out.remove),
            *(fifo.clear.eq(self.clear) for fifo in (vectors_in, vectors_out)),
        ]
        m.d.sync += [
            lane_in.eq(lane_in + accept),
            lane_out.eq(lane_out + taken),
            waiting.eq(vectors_out.level - vectors_out.remove),
        ]
        with m.If(self.clear):
            m.d.sync += [lane_in.eq(0), lane_out.eq(0), waiting.eq(0)]
        return starved, overrun
