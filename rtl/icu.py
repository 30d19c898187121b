"""Instruction control: one queue's memory, fetch, loops, address slots and dispatch."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import TileConfig, clog2
from lpu.isa import (
    CONTROL_BITS,
    COUNT_BITS,
    GAP_BITS,
    INDEX_BITS,
    INTERVAL_BITS,
    LOOP_COUNT_BITS,
    LOOP_INDEX,
    LOOP_STEP_BITS,
    OP_BITS,
    layout,
    queue_names,
)
from lpu.timing import INDEX_VISIBLE, LOOP_CYCLES, SYNC_CYCLES
from rtl.queue_memory import QueueMemory
from rtl.sram import RegisterFile
from rtl.streams import instruction_port, load_bus

#: Cycles from the ``start`` strobe to program cycle 0: program counter, memory, head, instruction port.
START_LATENCY = 4
#: Cycles from a queue's ``notify`` to every queue's ``notified``: what SYNC_CYCLES leaves for gathering them, each queue having
#: a register of its own.
NOTIFY_LATENCY = SYNC_CYCLES - 3
#: Load bus space of queue 0.
QUEUE_SPACE = 64
HALT, NOP, LOOP, SYNC, NOTIFY = range(5)
_COUNT_END = OP_BITS + GAP_BITS + COUNT_BITS

assert LOOP_CYCLES == 3, "the pipeline refills in three cycles"
assert INDEX_VISIBLE == 4, "write decided 1, written 2, added 3, dispatched 4"


def index_write() -> wiring.Signature:
    """A write to an index register, as the host slice broadcasts it two cycles after dispatch: ``enable``, ``number``
    (never 0), ``value``."""
    return wiring.Signature({"enable": Out(1), "number": Out(3), "value": Out(16)})


class IndexSelect(wiring.Component):
    """One index operand: a copy of the index registers and a choice among them and the loop indices.

    Combinational from ``select``; a write is seen from the next cycle on. The copy is sixteen words of LUT RAM, of which
    only those of index registers are ever written: select 0 and those of loop levels read zero from it.

    Parameters
    ----------
    levels : loop levels. width : low bits of a value that are wanted. flags : bits known of it besides.

    Members
    -------
    write, number, word : In, a write to an index register: value and flags. select : In, index select.
    loops : In, value and flags of each loop index, innermost lowest. value, over : Out, value and flags selected.
    """

    def __init__(self, *, levels: int, width: int, flags: int):
        self._levels, self._bits = levels, width + flags
        bits = self._bits
        super().__init__(
            {
                "write": In(1),
                "number": In(3),
                "word": In(bits),
                "select": In(INDEX_BITS),
                "loops": In(bits * levels),
                "value": Out(width),
                "over": Out(flags),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.copy = copy = RegisterFile(depth=16, width=self._bits)
        m.d.comb += [
            copy.write_enable.eq(self.write),
            copy.write_address.eq(self.number),
            copy.write_data.eq(self.word),
            copy.read_address0.eq(self.select),
        ]
        loops = [
            Mux(self.select == LOOP_INDEX + n, self.loops.word_select(n, self._bits), 0)
            for n in range(self._levels)
        ]
        m.d.comb += Cat(self.value, self.over).eq(reduce(or_, loops, copy.read_data0))
        return m


def _reaches(m: Module, value: Value, limits: list[int]) -> dict[int, Signal]:
    """For each b in ``limits`` whether ``value`` is 2**b or more; the smaller from the larger."""
    found: dict[int, Signal] = {}
    high = len(value)
    for b in sorted(set(limits), reverse=True):
        above = [found[high]] if high in found else []
        found[b] = Signal(name=f"reaches{b}")
        m.d.comb += found[b].eq(Cat(value[b:high], *above).any())
        high = b
    return found


class Queue(wiring.Component):
    """One instruction queue: fetches, counts, indexes and dispatches its words.

    Four registers in a row: program counter, memory output, head, instruction port. The head holds a word for all its
    dispatches and its gap; meanwhile everything before it stands still. Loops are followed where words are fetched, by
    comparing the program counter with the end of the innermost body; a fetched word carries along whether it closes an
    iteration, and the loop index steps when that word leaves the head. LOOP empties the pipeline, hence LOOP_CYCLES.
    First dispatch (program cycle 0) START_LATENCY cycles after ``start``.

    Parameters
    ----------
    config, queue : whose queue (a name of ``isa.queue_names``).

    Members
    -------
    instruction : Out, the dispatch, from registers; bits of index selects and strides are zero.
    start, entry : In, strobe and word to start from. halt : In, strobe that stops the queue wherever it is.
    running : Out, clear from the cycle of HALT's dispatch on.
    notify : Out, set in the cycle in which a NOTIFY dispatches. notified : In, the same of any queue, NOTIFY_LATENCY later.
    out_of_range : Out, set one cycle after the dispatch of an address past the end.
    index_write : In. bus : In.
    """

    def __init__(self, config: TileConfig, queue: str):
        self._config, self._queue, self._layout = config, queue, layout(config, queue)
        self.space = QUEUE_SPACE + queue_names(config).index(queue)
        super().__init__(
            {
                "instruction": Out(instruction_port(config, queue)),
                "start": In(1),
                "entry": In(clog2(config.queue_depth)),
                "halt": In(1),
                "running": Out(1),
                "notify": Out(1),
                "notified": In(1),
                "out_of_range": Out(1),
                "index_write": In(index_write()),
                "bus": In(load_bus()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        pc_bits, levels = clog2(self._config.queue_depth), self._config.loop_depth
        # Without loops the layout has no LOOP, and nothing of what follows it is built.
        loop = {
            name: slice(offset, offset + width)
            for name, (offset, width) in self._layout.fields.get("LOOP", {}).items()
        }

        m.submodules.memory = words = QueueMemory(
            space=self.space, width=self._layout.width, depth=self._config.queue_depth
        )
        wiring.connect(m, wiring.flipped(self.bus), words.bus)
        advance, flush = Signal(), Signal()
        #: Program counters of the word being fetched, of the memory output, of the head.
        pc, fetched_pc, head_pc = (
            Signal(pc_bits, name=n, reset_less=True) for n in ("pc", "fetched_pc", "head_pc")
        )
        fetched_valid, head_valid = Signal(), Signal()
        head = Signal(self._layout.width, reset_less=True)

        # Fetch: the loop whose body is innermost, and those around it.
        live = Signal(levels)
        first, last, left = (
            [Signal(bits, name=f"{name}{n}", reset_less=True) for n in range(levels)]
            for name, bits in (("first", pc_bits), ("last", pc_bits), ("left", 17))
        )
        at_end, again, leave = Signal(), Signal(), Signal()
        fetched_again, fetched_leave = Signal(reset_less=True), Signal(reset_less=True)
        head_again, head_leave = Signal(reset_less=True), Signal(reset_less=True)
        m.d.comb += [
            words.enable.eq(advance),
            words.address.eq(pc),
        ]
        if levels:
            m.d.comb += [
                at_end.eq(live[0] & (pc == last[0])),
                again.eq(at_end & (left[0] != 1)),
                leave.eq(at_end & (left[0] == 1)),
            ]
        with m.If(advance):
            m.d.sync += [
                pc.eq(Mux(again, first[0], pc + 1) if levels else pc + 1),
                Cat(fetched_pc, fetched_again, fetched_leave, fetched_valid).eq(
                    Cat(pc, again, leave, self.running)
                ),
                Cat(head_pc, head_again, head_leave, head_valid).eq(
                    Cat(fetched_pc, fetched_again, fetched_leave, fetched_valid)
                ),
                head.eq(words.data),
            ]

        # LOOP and its index are decoded on the way into the head.
        slots = self._layout.slots
        is_loop, select0 = Signal(), Signal(INDEX_BITS, reset_less=True)
        coming = (words.data[:OP_BITS] == LOOP) if levels else Const(0, 1)
        own = words.data[slots[0].index_offset :][:INDEX_BITS] if slots else 0
        # Likewise whether it dispatches once, whether no gap follows, and whether LOOP's count is at least one.
        single, close, looping = (Signal(name=n, reset_less=True) for n in ("single", "close", "looping"))
        gap_at, count_at = slice(OP_BITS, OP_BITS + GAP_BITS), slice(OP_BITS + GAP_BITS, _COUNT_END)
        with m.If(advance):
            m.d.sync += [
                is_loop.eq(coming),
                select0.eq(Mux(coming, words.data[loop["index"]], own) if levels else own),
                single.eq(~words.data[count_at].any()),
                close.eq(~words.data[gap_at].any() & (words.data[:OP_BITS] != SYNC)),
            ]
            if levels:
                m.d.sync += looping.eq(words.data[loop["count"]].any())

        # Head: fields, index operands.
        op, gap, count, interval = (
            head[low : low + bits]
            for low, bits in (
                (0, OP_BITS),
                (OP_BITS, GAP_BITS),
                (OP_BITS + GAP_BITS, COUNT_BITS),
                (OP_BITS + GAP_BITS + COUNT_BITS, INTERVAL_BITS),
            )
        )
        loop_index, loop_step = (
            [Signal(bits, name=f"{name}{n}", reset_less=True) for n in range(levels)]
            for name, bits in (("loop_index", 16), ("loop_step", LOOP_STEP_BITS))
        )
        # Whether an index is zero is known beforehand: LOOP decides by it within a cycle where to go on.
        loop_moved = [Signal(name=f"loop_moved{n}", reset_less=True) for n in range(levels)]
        is_sync = op == SYNC
        # The first operand is also LOOP's, which wants all of it and whether it is zero.
        shapes = [(slot.width, slot.width) for slot in slots] or [(16, 0)]
        shapes[0] = (16, shapes[0][1])
        known = [
            (value, {**_reaches(m, value, [limit for _, limit in shapes]), 0: not_zero})
            for value, not_zero in (
                (self.index_write.value, self.index_write.value.any()),
                *zip(loop_index, loop_moved, strict=True),
            )
        ]
        operands = []
        for n, (width, limit) in enumerate(shapes):
            flags = [limit, 0] if n == 0 else [limit]
            shown = [Cat(value[:width], *(reaches[b] for b in flags)) for value, reaches in known]
            m.submodules[f"index{n}"] = operand = IndexSelect(levels=levels, width=width, flags=len(flags))
            select = head[slots[n].index_offset :][:INDEX_BITS] if n else select0
            m.d.comb += [
                operand.write.eq(self.index_write.enable),
                operand.number.eq(self.index_write.number[: clog2(self._config.index_registers)]),
                operand.word.eq(shown[0]),
                operand.loops.eq(Cat(shown[1:])),
                operand.select.eq(select),
            ]
            operands.append(operand)

        # Head: when it dispatches, when it makes room. Sums of two zero-free numbers are not zero, so LOOP need not add
        # before it decides whether to skip.
        # What decides is known a cycle before: the timer is zero, or one at most.
        timer, resting = Signal(max(GAP_BITS, INTERVAL_BITS)), Signal()
        rung, ringing = Signal(init=1), Signal(init=1)
        fire, final, skip, halting, released = (
            Signal(name=n) for n in ("fire", "final", "skip", "halting", "released")
        )
        m.d.sync += released.eq(self.notified)
        m.d.comb += [
            fire.eq(head_valid & ~resting & rung),
            final.eq(single & close),
            advance.eq(~head_valid | (fire & final) | (resting & ringing & (~is_sync | released))),
            flush.eq(head_valid & is_loop),
            skip.eq(~(looping | operands[0].over[-1])),
            halting.eq(self.halt | (fire & (op == HALT))),
        ]
        with m.If(fire & ~single):
            m.d.sync += [timer.eq(interval), rung.eq(~interval.any()), ringing.eq(~interval[1:].any())]
        with m.Elif(fire):
            rest = Mux(is_sync, SYNC_CYCLES - 1, gap)
            m.d.sync += [timer.eq(rest), rung.eq(~rest.any()), ringing.eq(~rest[1:].any())]
        with m.Elif(~rung):
            m.d.sync += [
                timer.eq(timer - 1),
                rung.eq(ringing),
                ringing.eq(~timer[2:].any() & ~timer[:2].all()),
            ]
        with m.If(fire & ~advance):  # more dispatches, or a gap
            m.d.sync += [resting.eq(single), count.eq(count - 1), single.eq(count == 1)]
            for slot in slots:
                value, stride = head[slot.offset :][: slot.width], head[slot.stride_offset :][: slot.width]
                m.d.sync += value.eq(value + stride)
        with m.If(advance):
            m.d.sync += resting.eq(0)

        if levels:
            # Loop stacks: level 0 is the innermost.
            stacks = [first, last, left]
            stepped = Signal(16)
            m.d.comb += stepped.eq(loop_index[0] + loop_step[0].as_signed())
            indices = [loop_index, loop_moved, loop_step]
            with m.If(flush):
                m.d.sync += pc.eq(Mux(skip, fetched_pc + head[loop["length"]], fetched_pc))
                m.d.sync += [fetched_valid.eq(0), head_valid.eq(0)]
                with m.If(~skip):
                    for stack in (*stacks, *indices):
                        m.d.sync += [stack[n + 1].eq(stack[n]) for n in range(levels - 1)]
                    m.d.sync += [
                        live.eq(Cat(1, live)),
                        first[0].eq(fetched_pc),
                        last[0].eq(head_pc + head[loop["length"]]),
                        left[0].eq(head[loop["count"]] + operands[0].value),
                        loop_index[0].eq(0),
                        loop_moved[0].eq(0),
                        loop_step[0].eq(head[loop["step"]]),
                    ]
            with m.Elif(advance):
                with m.If(leave):
                    m.d.sync += live.eq(live[1:])
                    for stack in stacks:
                        m.d.sync += [stack[n].eq(stack[n + 1]) for n in range(levels - 1)]
                with m.Elif(again):
                    m.d.sync += left[0].eq(left[0] - 1)
                with m.If(head_valid & head_leave):
                    for stack in indices:
                        m.d.sync += [stack[n].eq(stack[n + 1]) for n in range(levels - 1)]
                with m.Elif(head_valid & head_again):
                    m.d.sync += [loop_index[0].eq(stepped), loop_moved[0].eq(stepped.any())]

        # Start and stop.
        with m.If(halting):
            m.d.sync += [self.running.eq(0), fetched_valid.eq(0), head_valid.eq(0)]
        with m.If(self.start):
            m.d.sync += [self.running.eq(1), pc.eq(self.entry), live.eq(0), resting.eq(0)]
            m.d.sync += [timer.eq(0), rung.eq(1), ringing.eq(1)]

        # Instruction port.
        assert LOOP_COUNT_BITS <= 16
        port = self.instruction
        payload = Signal(len(port.payload), reset_less=True)
        m.d.comb += port.payload.eq(payload)
        m.d.sync += [
            port.valid.eq(fire & op[3] & ~self.halt),
            port.op.eq(op),
            self.notify.eq(fire & (op == NOTIFY) & ~self.halt),
            payload[slots[-1].end - CONTROL_BITS if slots else 0 :].eq(
                head[slots[-1].end if slots else CONTROL_BITS :]
            ),
        ]
        past = []
        for n, slot in enumerate(slots):
            total = Signal(slot.width + 1)
            over, carry = Signal(reset_less=True, name=f"over{n}"), Signal(reset_less=True, name=f"carry{n}")
            here = payload[slot.offset - CONTROL_BITS :][: slot.width]
            m.d.comb += total.eq(head[slot.offset :][: slot.width] + operands[n].value[: slot.width])
            m.d.sync += [Cat(here, carry).eq(total), over.eq(operands[n].over[0])]
            past.append(over | carry)
            past += [(port.op == code) & here[width:].any() for code, width in self._narrow(n, slot.width)]
        if past:
            m.d.sync += self.out_of_range.eq(port.valid & Cat(past).any())
        return m

    def _narrow(self, number: int, width: int) -> list[tuple[int, int]]:
        """(opcode, bits) of the operations whose field in a slot is narrower than the slot."""
        return [
            (op.code, self._layout.fields[op.name][f.name][1])
            for op in self._layout.ops.values()
            for f in op.fields
            if f.slot == number and self._layout.fields[op.name][f.name][1] < width
        ]
