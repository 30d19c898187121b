"""Host link: frames of bytes on one side, the tile's two streams of words on the other."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fpga.framing import FRESH, FrameReader, FrameWriter
from lpu.arch import TileConfig
from lpu.runtime.frames import MAGIC, MAX_PAYLOAD, VERSION, Kind, board_name
from lpu.runtime.protocol import Op, Space
from rtl.sram import Sram

#: Cycles without progress after which the tile is reset, as a power of two: a command lacks arguments.
PATIENCE = 20
#: Cycles that a reset of the tile lasts.
RESET_CYCLES = 8


class HostLink(wiring.Component):
    """The board's end of docs/board.md.

    One frame at a time: it is stored, checked, and only then acted upon; bytes that come meanwhile are dropped. A frame that
    repeats the last one is answered once more from memory and does nothing else. Words go to the tile one in two cycles.

    Parameters
    ----------
    config : the tile's. board : its name. clock : in Hz, for the identity.
    patience : cycles without progress after which the tile is reset, as a power of two.

    Members
    -------
    received : In, bytes from the host, stream. sent : Out, bytes to it, stream.
    command, response : Out and In, the tile's streams of words.
    reset : Out, of the tile.
    loaded : Out, a complete program is there. active : Out, a frame is being acted upon.
    """

    def __init__(self, config: TileConfig, *, board: str, clock: int, patience: int = PATIENCE):
        fingerprint = int(config.fingerprint, 16)
        self._head = (MAGIC, VERSION, fingerprint >> 32, fingerprint & 0xFFFFFFFF, clock & 0xFFFFFFFF)
        self._name, self._patience = board_name(board), patience
        super().__init__(
            {
                "received": In(stream.Signature(8)),
                "sent": Out(stream.Signature(8)),
                "command": Out(stream.Signature(32)),
                "response": In(stream.Signature(32)),
                "reset": Out(1),
                "loaded": Out(1),
                "active": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = FrameReader()
        m.submodules.writer = writer = FrameWriter()
        # Requests in the lower half, the last answer in the upper one, so that it can be sent once more.
        m.submodules.buffer = buffer = Sram(depth=2 * MAX_PAYLOAD, width=32)
        wiring.connect(m, wiring.flipped(self.received), reader.bytes)
        wiring.connect(m, writer.bytes, wiring.flipped(self.sent))

        opened, last = Signal(), Signal(8)  # a session, and the request acted upon last
        loading, known = Signal(), Signal()
        image, first = Signal(32), Signal(32, reset_less=True)
        op, space = first[24:], first[16:24]
        place = Signal(range(MAX_PAYLOAD + 1))
        answers = Signal(range(MAX_PAYLOAD))  # words of the tile's answer still to come, but for the next
        final, following = Signal(), Signal()
        kept = Signal(8), Signal(range(MAX_PAYLOAD + 1))  # kind and length of the answer to the last request
        watch, resetting = Signal(self._patience + 1), Signal(range(RESET_CYCLES + 1))
        collecting = Signal()

        # What decides about a request, known a cycle before it does.
        repeated, greets, empty = Signal(), Signal(), Signal()
        starts, writes, to_queue, to_memory, matching = (
            Signal(name=n) for n in ("starts", "writes", "to_queue", "to_memory", "matching")
        )
        m.d.sync += [
            final.eq((place + 1)[:9] == reader.length),
            following.eq(reader.sequence == (last + 1)[:8]),
            repeated.eq(reader.sequence == last),
            greets.eq(reader.kind == Kind.HELLO),
            empty.eq(reader.length == 0),
            starts.eq((op == Op.START) | (op == Op.DESKEW)),
            writes.eq(op == Op.WRITE),
            to_memory.eq(space < Space.INDEX),
            to_queue.eq((space >= Space.QUEUE) & (space < Space.INDEX)),
            matching.eq((reader.length == 1) & (first == ~image)),
        ]
        with m.If(reader.write & (reader.index == 0)):
            m.d.sync += first.eq(reader.data)
        m.d.comb += [
            reader.seed.eq(image),
            reader.hold.eq(self.active),
            self.reset.eq(resetting != 0),
            buffer.write_address.eq(Mux(collecting, Cat(place[:8], 1), reader.index)),
            buffer.write_data.eq(Mux(collecting, self.response.payload, reader.data)),
            buffer.write_enable.eq(reader.write),
            self.command.payload.eq(buffer.read_data),
        ]
        with m.If(resetting != 0):
            m.d.sync += resetting.eq(resetting - 1)

        # Who the board is: words that are the writer's instead of the buffer's.
        kind, sequence, length = Signal(8), Signal(8), Signal(range(MAX_PAYLOAD + 1))
        words = Array(
            [
                *(Const(part, 32) for part in self._head),
                Cat(self.loaded, known, Const(0, 30)),
                ~image,
                *(Const(part, 32) for part in self._name),
            ]
        )
        told = Signal(32, reset_less=True)
        m.d.sync += told.eq(words[writer.index[:4]])
        m.d.comb += [
            writer.kind.eq(kind),
            writer.sequence.eq(sequence),
            writer.length.eq(length),
            writer.data.eq(Mux(kind == Kind.IDENTITY, told, buffer.read_data)),
            buffer.read_address.eq(Mux(writer.busy, Cat(writer.index, 1), place)),
        ]

        def reply(what, size=0, *, number=reader.sequence):
            """Send a frame that is not kept."""
            m.d.sync += [kind.eq(what), length.eq(size), sequence.eq(number)]
            m.next = "reply"

        def conclude(what, size=0):
            """Send the answer to a request, and keep it."""
            m.d.sync += [kept[0].eq(what), kept[1].eq(size)]
            reply(what, size)

        with m.FSM(init="listen") as fsm:
            m.d.comb += self.active.eq(~fsm.ongoing("listen") | reader.done)
            with m.State("listen"):
                m.d.sync += [place.eq(0), watch.eq(0)]
                with m.If(reader.done):
                    m.next = "decide"
            with m.State("decide"):
                with m.If(~reader.good):
                    reply(Kind.DAMAGED, number=0)
                with m.Elif(greets):
                    m.d.sync += [opened.eq(1), last.eq(reader.sequence)]
                    conclude(Kind.IDENTITY, len(words))
                with m.Elif(opened & repeated):
                    reply(*kept)
                with m.Elif(~opened | ~following):
                    reply(Kind.OUT_OF_SEQUENCE)
                with m.Else():
                    m.d.sync += last.eq(reader.sequence)
                    m.next = "act"
            with m.State("act"), m.Switch(reader.kind):
                with m.Case(Kind.COMMAND):
                    with m.If(empty):
                        conclude(Kind.UNKNOWN)
                    with m.Elif(starts & ~self.loaded):
                        conclude(Kind.NOT_LOADED)
                    with m.Else():
                        m.next = "feed"
                    # A program that was written to is no longer the one that was loaded; with other queues it is none.
                    with m.If(writes & loading):
                        m.d.sync += image.eq(reader.payload_crc)
                    with m.Elif(writes & to_memory):
                        m.d.sync += known.eq(0)
                        with m.If(to_queue):
                            m.d.sync += self.loaded.eq(0)
                with m.Case(Kind.BEGIN):
                    m.d.sync += [loading.eq(1), self.loaded.eq(0), known.eq(0), image.eq(FRESH)]
                    conclude(Kind.DONE)
                with m.Case(Kind.FINISH):
                    right = loading & matching
                    m.d.sync += [loading.eq(0), self.loaded.eq(right), known.eq(right)]
                    conclude(Mux(right, Kind.DONE, Kind.MISMATCH))
                with m.Case(Kind.RESET):
                    m.d.sync += resetting.eq(RESET_CYCLES)
                    conclude(Kind.DONE)
                with m.Default():
                    conclude(Kind.UNKNOWN)

            # The request's words to the tile: address, wait, word.
            with m.State("feed"):
                m.next = "offer"
            with m.State("offer"):
                m.d.comb += self.command.valid.eq(1)
                m.d.sync += watch.eq(watch + 1)
                with m.If(self.command.ready):
                    m.d.sync += [place.eq(place + 1), watch.eq(0)]
                    m.next = "feed"
                    with m.If(final):
                        m.d.sync += place.eq(0)
                        m.next = "collect"
                with m.Elif(watch[-1]):
                    m.next = "stuck"
            # Its answer: a header that says how many words follow.
            with m.State("collect"):
                m.d.comb += [
                    collecting.eq(1),
                    self.response.ready.eq(1),
                    buffer.write_enable.eq(self.response.valid),
                ]
                m.d.sync += watch.eq(watch + 1)
                head, count = place == 0, self.response.payload[:16]
                with m.If(self.response.valid):
                    m.d.sync += [watch.eq(0), place.eq(place + 1)]
                    m.d.sync += answers.eq(Mux(head, count, answers) - 1)
                    with m.If(Mux(head, count == 0, answers == 0)):
                        m.next = "answer"
                    with m.If(head & (count >= MAX_PAYLOAD)):
                        m.next = "stuck"
                with m.Elif(watch[-1]):
                    m.next = "stuck"
            with m.State("answer"):
                conclude(Kind.ANSWER, place)
            with m.State("stuck"):
                m.d.sync += [resetting.eq(RESET_CYCLES), self.loaded.eq(0), loading.eq(0)]
                conclude(Kind.STUCK)

            with m.State("reply"):
                m.d.comb += writer.start.eq(resetting == 0)
                with m.If(resetting == 0):
                    m.next = "send"
            with m.State("send"), m.If(~writer.busy):
                m.next = "listen"
        return m
