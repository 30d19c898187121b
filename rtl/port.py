"""The host command interpreter: one elastic stream of commands in, one of answers out, the load bus between."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import SliceKind, TileConfig, clog2
from lpu.isa import layout, queue_names
from lpu.timing import ADD, CONVERT, MULTIPLY, QUANTISE, SPECIAL, link_cycles, pass_visible, reduce_result
from rtl.elastic import Stage
from rtl.streams import LOAD_READ_LATENCY, load_bus

MAGIC = 0x4C505531
PING, WRITE, READ, START, TOKENS_IN, TOKENS_OUT, VECTORS_IN, VECTORS_OUT, CLEAR, DESKEW = range(10)
DONE, UNKNOWN_OP, NO_SPACE, PAST_END, BUSY, NO_ROOM, LATE = range(7)
#: Spaces of the load bus; below QUEUE_SPACE they are slice positions.
QUEUE_SPACE, INDEX_SPACE, MASK_SPACE, STATUS_SPACE, LINK_SPACE = 64, 128, 129, 130, 131
STATUS_WORDS = 10
#: Words of the link space: two of the chip, and four a port (rtl.align).
LINK_HEAD, LINK_PORT = 2, 4
#: Cycles from ``bus.read`` to ``read_data``: a slice's own, and one each way for the tile to spread and to gather.
READ_LATENCY = LOAD_READ_LATENCY + 2


def settle_cycles(config: TileConfig) -> int:
    """Cycles after the last dispatch in which something may still be under way within slices or between them."""
    chain = 2 + CONVERT + 2 * MULTIPLY + ADD + SPECIAL + QUANTISE + 2 * config.beats
    return max(chain, pass_visible(config), reduce_result(config)) + len(config.floorplan) + 8


def start_margin(config: TileConfig) -> int:
    """Cycles from a DESKEW to the time to start at, at least: a control frame on its way has to end before."""
    return link_cycles(config) + 32


def spaces(config: TileConfig) -> list[tuple[int, int, int, bool, bool]]:
    """(space, entries, words of an entry, writable, readable) of every space of a tile."""
    table = []
    for position, spec in enumerate(config.floorplan):
        if spec.kind is SliceKind.MEM:
            table.append((position, spec.depth, config.lanes, True, True))
        elif spec.kind is SliceKind.MXM:
            rows = config.contexts * config.lanes
            table.append((position, rows, config.lanes // config.weight_group, True, False))
    for number, name in enumerate(queue_names(config)):
        words = -(-layout(config, name).width // 32)
        table.append((QUEUE_SPACE + number, config.queue_depth, words, True, False))
    table.append((INDEX_SPACE, config.index_registers, 1, True, True))
    table.append((MASK_SPACE, config.masks, -(-config.lanes // 32), True, False))
    table.append((STATUS_SPACE, STATUS_WORDS, 1, False, True))
    if config.ports:
        table.append((LINK_SPACE, LINK_HEAD + LINK_PORT * len(config.ports), 1, True, True))
    return table


class Port(wiring.Component):
    """Host command interpreter: docs/architecture.md, "Host port".

    Elastic at both ends; one command at a time, one data word of a WRITE a cycle. Everything towards the tile comes from
    registers. After reset, and for CLEAR when the queues have stood still for ``settle_cycles``, zeros are written to index
    registers and lane masks.

    Parameters
    ----------
    config : the tile's.

    Members
    -------
    command : In, 32-bit stream. response : Out, 32-bit stream.
    bus : Out, load bus. read_data : In, the answers of all that hang on it, or-ed.
    start : Out, strobe; ``start_entry`` : Out, queue word; with links also ``timed`` : Out, and ``moment`` : Out, the chip time
    to start at. time : In, chip time, with links. halt : Out, strobe for the queues. clear : Out, strobe for
    FIFOs and status.
    busy : In, a program runs; set from the cycle after ``start``. status : In, status words 0 to 5.
    tokens_in, tokens_out : Out and In, 16-bit streams to and from the token FIFOs.
    vectors_in, vectors_out : the same with 32-bit words, lane 0 first; only whole vectors are transferred.
    tokens_waiting_in, tokens_waiting_out, vectors_waiting_in, vectors_waiting_out : In, FIFO levels in entries.
    """

    def __init__(self, config: TileConfig):
        self._config = config
        tokens, vectors = config.token_fifo + 1, config.vector_fifo + 1
        super().__init__(
            {
                "command": In(stream.Signature(32)),
                "response": Out(stream.Signature(32)),
                "bus": Out(load_bus()),
                "read_data": In(32),
                "start": Out(1),
                "start_entry": Out(clog2(config.queue_depth)),
                **({"timed": Out(1), "moment": Out(32), "time": In(32)} if config.ports else {}),
                "halt": Out(1),
                "clear": Out(1),
                "busy": In(1),
                "status": In(data.ArrayLayout(32, 6)),
                "tokens_in": Out(stream.Signature(16)),
                "tokens_out": In(stream.Signature(16)),
                "vectors_in": Out(stream.Signature(32)),
                "vectors_out": In(stream.Signature(32)),
                "tokens_waiting_in": In(range(tokens)),
                "tokens_waiting_out": In(range(tokens)),
                "vectors_waiting_in": In(range(vectors)),
                "vectors_waiting_out": In(range(vectors)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        lanes_log = clog2(config.lanes)

        # The command under way.
        op, space, count = Signal(8), Signal(8), Signal(16)
        status = Signal(3)
        answer = Signal(16)  # data words of the answer still to be sent
        sent = Signal(4)  # of them sent, for PING and status words
        place = Signal(4)  # the status word to be sent
        accept = Signal(16)  # arguments still to be passed on, the rest is dropped
        entry, word = Signal(24), Signal(6)
        whole = Signal()
        # Whether the counters are zero, in registers: what they decide reaches far.
        counted, answered, refusing, crowded = Signal(), Signal(), Signal(), Signal()

        # The space it names, looked up in the cycle after the header.
        known, writable, readable = Signal(), Signal(), Signal()
        size, entries = Signal(7), Signal(24)
        with m.Switch(space):
            for number, depth, words, write, read in spaces(config):
                with m.Case(number):
                    m.d.sync += [known.eq(1), writable.eq(write), readable.eq(read)]
                    m.d.sync += [size.eq(words), entries.eq(depth)]
            with m.Default():
                m.d.sync += [known.eq(0), writable.eq(0), readable.eq(0)]
        # What the header says, decoded in the same cycle.
        is_status, pings, reads, takes, fills = (
            Signal(name=n) for n in ("is_status", "pings", "reads", "takes", "fills")
        )
        m.d.sync += [
            is_status.eq(space == STATUS_SPACE),
            pings.eq(op == PING),
            reads.eq(op == READ),
            takes.eq(op == TOKENS_OUT),
            fills.eq(op == TOKENS_IN),
        ]

        # Words from there to the end of the space, by shifts and adds. A count of 16 bits has room where 2**16 entries are left.
        left, room = Signal(25), Signal(24)
        start_past, plenty = Signal(), Signal()
        m.d.sync += plenty.eq(left[16:].any())
        with m.Switch(size):
            for words in sorted({s[2] for s in spaces(config)}):
                with m.Case(words):
                    m.d.sync += room.eq(sum((left[:17] << b for b in range(7) if words >> b & 1), Const(0)))

        strobe_write, strobe_read = Signal(), Signal()
        m.d.sync += [
            self.bus.write.eq(strobe_write),
            self.bus.read.eq(strobe_read),
            self.bus.space.eq(space),
            self.bus.entry.eq(entry),
            self.bus.word.eq(word),
            self.bus.data.eq(self.command.payload),
            self.start.eq(0),
            self.halt.eq(0),
            self.clear.eq(0),
        ]

        # Index registers and lane masks are wiped word by word; the last bit says which.
        mask_words = -(-config.lanes // 32)
        settling = Signal(range(settle_cycles(config)))
        wipe = Signal(1 + clog2(max(config.index_registers, config.masks * mask_words)))
        wiping, wiped = Signal(), wipe[:-1]
        with m.If(wiping):
            m.d.sync += [
                self.bus.space.eq(Mux(wipe[-1], MASK_SPACE, INDEX_SPACE)),
                self.bus.entry.eq(
                    Mux(wipe[-1], wiped >> clog2(mask_words) if mask_words > 1 else wiped, wiped)
                ),
                self.bus.word.eq(Mux(wipe[-1], wiped & (mask_words - 1), 0)),
                self.bus.data.eq(0),
            ]
        last_word = word == (size - 1)[:7]

        def advance():
            m.d.sync += word.eq(Mux(last_word, 0, word + 1))
            with m.If(last_word):
                m.d.sync += entry.eq(entry + 1)

        m.submodules.tokens = tokens_in = Stage(16)
        m.submodules.vectors = vectors_in = Stage(32)
        wiring.connect(m, tokens_in.o, wiring.flipped(self.tokens_in))
        wiring.connect(m, vectors_in.o, wiring.flipped(self.vectors_in))
        take_token, take_vector = Signal(), Signal()
        m.d.sync += [take_token.eq(0), take_vector.eq(0)]
        token_room = config.token_fifo - self.tokens_waiting_in
        vector_room = config.vector_fifo - self.vectors_waiting_in
        m.d.comb += [
            tokens_in.i.payload.eq(self.command.payload),
            vectors_in.i.payload.eq(self.command.payload),
            self.tokens_out.ready.eq(take_token),
            self.vectors_out.ready.eq(take_vector),
        ]
        wait = Signal(range(READ_LATENCY + 1))
        value = Signal(32)
        fingerprint = int(config.fingerprint, 16)
        greeting = Array(
            [Const(MAGIC, 32), Const(fingerprint >> 32, 32), Const(fingerprint & 0xFFFFFFFF, 32)]
        )
        waiting = (
            self.tokens_waiting_in,
            self.tokens_waiting_out,
            self.vectors_waiting_in,
            self.vectors_waiting_out,
        )
        status_words = Array([*(self.status[n] for n in range(6)), *waiting])

        with m.FSM(init="wipe"):
            with m.State("settle"):
                m.d.sync += settling.eq(settling + 1)
                with m.If(settling == settle_cycles(config) - 1):
                    m.d.sync += [settling.eq(0), self.clear.eq(1)]
                    m.next = "wipe"
            with m.State("wipe"):
                m.d.comb += [wiping.eq(1), strobe_write.eq(1)]
                m.d.sync += wipe.eq(wipe + 1)
                with m.If(wipe.all()):
                    m.next = "header"
                    with m.If(op == CLEAR):
                        m.next = "answer"
            with m.State("header"):
                m.d.comb += self.command.ready.eq(1)
                m.d.sync += [answer.eq(0), status.eq(DONE), sent.eq(0), word.eq(0), accept.eq(0)]
                with m.If(self.command.valid):
                    m.d.sync += Cat(count, space, op).eq(self.command.payload)
                    m.next = "decode"
            with m.State("decode"):
                m.next = "answer"
                with m.Switch(op):
                    with m.Case(PING):
                        m.d.sync += answer.eq(3)
                    with m.Case(WRITE, READ):
                        m.next = "entry"
                    with m.Case(START):
                        with m.If(self.busy):
                            m.d.sync += status.eq(BUSY)
                        with m.Elif(count >= config.queue_depth):
                            m.d.sync += status.eq(PAST_END)
                        with m.Else():
                            m.d.sync += [self.start.eq(1), self.start_entry.eq(count)]
                            if config.ports:
                                m.d.sync += self.timed.eq(0)
                    with m.Case(TOKENS_IN):
                        m.d.sync += [accept.eq(count), crowded.eq(count > token_room)]
                        m.next = "weigh"
                    with m.Case(VECTORS_IN):
                        m.d.sync += accept.eq(count >> lanes_log << lanes_log)
                        m.d.sync += crowded.eq((count >> lanes_log) > vector_room)
                        m.next = "weigh"
                    with m.Case(TOKENS_OUT):
                        enough = count <= self.tokens_waiting_out
                        m.d.sync += answer.eq(Mux(enough, count, self.tokens_waiting_out))
                    with m.Case(VECTORS_OUT):
                        vectors = count >> lanes_log
                        enough = vectors <= self.vectors_waiting_out
                        m.d.sync += answer.eq(Mux(enough, vectors, self.vectors_waiting_out) << lanes_log)
                    with m.Case(CLEAR):
                        m.d.sync += self.halt.eq(1)
                        m.next = "settle"
                    if config.ports:
                        with m.Case(DESKEW):
                            m.next = "moment"
                    with m.Default():
                        m.d.sync += status.eq(UNKNOWN_OP)
            if config.ports:
                ahead = Signal(32)
                with m.State("moment"):
                    m.d.comb += self.command.ready.eq(1)
                    m.d.sync += self.moment.eq(self.command.payload)
                    with m.If(self.command.valid):
                        m.next = "soon"
                with m.State("soon"):
                    m.d.sync += ahead.eq(self.moment - self.time)
                    m.next = "start"
                with m.State("start"):
                    m.next = "answer"
                    with m.If(self.busy):
                        m.d.sync += status.eq(BUSY)
                    with m.Elif(count >= config.queue_depth):
                        m.d.sync += status.eq(PAST_END)
                    with m.Elif(ahead[31] | (ahead < start_margin(config))):
                        m.d.sync += status.eq(LATE)
                    with m.Else():
                        m.d.sync += [self.start.eq(1), self.start_entry.eq(count), self.timed.eq(1)]
            with m.State("entry"):
                m.d.comb += self.command.ready.eq(1)
                with m.If(self.command.valid):
                    m.d.sync += [
                        entry.eq(self.command.payload),
                        start_past.eq(self.command.payload[24:].any()),
                        left.eq(entries - self.command.payload[:24]),
                    ]
                    m.next = "room"
            with m.State("room"):
                with m.If(left[24]):  # below zero
                    m.d.sync += start_past.eq(1)
                m.next = "check"
            with m.State("check"):
                m.d.sync += counted.eq(count == 0)
                reading = reads
                with m.If(~known | ~Mux(reading, readable, writable)):
                    m.d.sync += status.eq(NO_SPACE)
                with m.Elif(self.busy & ~is_status):
                    m.d.sync += status.eq(BUSY)
                with m.Elif(start_past | ((count > room) & ~plenty)):
                    m.d.sync += status.eq(PAST_END)
                with m.Elif(reading):
                    m.d.sync += answer.eq(count)
                m.next = "answer"
                with m.If(~reading):
                    m.next = "store"
            with m.State("store"):
                with m.If(counted):
                    m.next = "answer"
                with m.Else():
                    m.d.comb += self.command.ready.eq(1)
                # The last, incomplete entry is not written.
                complete = Mux(word == 0, count >= size, whole)
                with m.If(self.command.valid & self.command.ready):
                    m.d.comb += strobe_write.eq((status == DONE) & complete)
                    m.d.sync += [count.eq(count - 1), counted.eq(count == 1), whole.eq(complete)]
                    advance()
            with m.State("weigh"):
                m.d.sync += [counted.eq(count == 0), refusing.eq(crowded | (accept == 0))]
                with m.If(crowded):
                    m.d.sync += status.eq(NO_ROOM)
                m.next = "fill"
            with m.State("fill"):
                with m.If(counted):  # noqa: SIM117
                    # Once the last word has reached its FIFO.
                    with m.If(~tokens_in.o.valid & ~vectors_in.o.valid):
                        m.next = "answer"
                with m.Elif(refusing):
                    m.d.comb += self.command.ready.eq(1)
                with m.Elif(fills):
                    m.d.comb += tokens_in.i.valid.eq(self.command.valid)
                    m.d.comb += self.command.ready.eq(tokens_in.i.ready)
                with m.Else():
                    m.d.comb += vectors_in.i.valid.eq(self.command.valid)
                    m.d.comb += self.command.ready.eq(vectors_in.i.ready)
                with m.If(self.command.valid & self.command.ready):
                    m.d.sync += [count.eq(count - 1), counted.eq(count == 1)]
                    with m.If(~refusing):
                        m.d.sync += [accept.eq(accept - 1), refusing.eq(accept == 1)]
            with m.State("answer"):
                m.d.sync += answered.eq(answer == 0)
                m.d.comb += [
                    self.response.valid.eq(1),
                    self.response.payload.eq(Cat(answer, status, Const(0, 5), op[:7], 1)),
                ]
                with m.If(self.response.ready):
                    m.next = "send"
            with m.State("send"):
                with m.If(answered):
                    m.next = "header"
                with m.Elif(pings):
                    m.d.sync += value.eq(greeting[sent[:2]])
                    m.next = "value"
                with m.Elif(reads & is_status):
                    m.d.sync += place.eq(entry + sent)
                    m.next = "look"
                with m.Elif(reads):
                    m.d.comb += strobe_read.eq(1)
                    m.d.sync += wait.eq(0)
                    m.next = "fetch"
                with m.Else():
                    m.d.sync += [take_token.eq(takes), take_vector.eq(~takes)]
                    m.next = "take"
            with m.State("take"):
                m.d.sync += value.eq(Mux(takes, self.tokens_out.payload, self.vectors_out.payload))
                with m.If(Mux(takes, self.tokens_out.valid, self.vectors_out.valid)):
                    m.next = "value"
                with m.Else():
                    m.d.sync += [take_token.eq(takes), take_vector.eq(~takes)]
            with m.State("look"):
                m.d.sync += value.eq(status_words[place])
                m.next = "value"
            with m.State("fetch"):
                m.d.sync += wait.eq(wait + 1)
                with m.If(wait == READ_LATENCY):
                    m.d.sync += value.eq(self.read_data)
                    advance()
                    m.next = "value"
            with m.State("value"):
                m.d.comb += [self.response.valid.eq(1), self.response.payload.eq(value)]
                with m.If(self.response.ready):
                    m.d.sync += [sent.eq(sent + 1), answer.eq(answer - 1), answered.eq(answer == 1)]
                    m.next = "send"
        return m
