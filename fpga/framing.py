"""Frames of the host link as hardware: bytes to checked words, words to bytes."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from lpu.runtime.frames import END, ESCAPE, ESCAPED_END, ESCAPED_ESCAPE, MAX_PAYLOAD

#: CRC-32 as a shift register: polynomial, start, and what stands in it after a frame with the frame's own CRC.
POLYNOMIAL, FRESH, RESIDUE = 0xEDB88320, 0xFFFFFFFF, 0xDEBB20E3


def crc_step(crc, bit):
    """CRC-32 after one more bit."""
    return (crc >> 1) ^ Mux(crc[0] ^ bit, POLYNOMIAL, 0)


class FrameReader(wiring.Component):
    """Bytes of a line to frames.

    A byte is taken in nine cycles, ten for the last of a word; a line may bring them no faster on average. A payload word is
    written as soon as it is there, before anybody knows whether the frame is good; ``done`` comes two cycles after the END.

    Members
    -------
    bytes : In, stream.
    hold : In, set from the cycle after ``done`` for as long as one likes: what comes is dropped, and the rest of it up to the
    next END.
    write : Out, strobe; ``index``, ``data`` : Out, a payload word and its number.
    done : Out, strobe, a frame has ended; ``good`` : Out, it is whole; ``sequence``, ``kind``, ``length`` : Out, its header.
    They and ``payload_crc`` stay while ``hold`` does.
    seed : In, CRC that ``payload_crc`` goes on from. payload_crc : Out, with the payload of this frame.
    """

    bytes: In(stream.Signature(8))
    hold: In(1)
    write: Out(1)
    index: Out(range(MAX_PAYLOAD))
    data: Out(32)
    done: Out(1)
    good: Out(1)
    sequence: Out(8)
    kind: Out(8)
    length: Out(range(MAX_PAYLOAD + 1))
    seed: In(32)
    payload_crc: Out(32)

    def elaborate(self, platform):
        m = Module()
        byte, word = Signal(8, reset_less=True), Signal(32, reset_less=True)
        crc, payload_crc = Signal(32, reset_less=True), Signal(32, reset_less=True)
        bits, lane = Signal(3), Signal(2)
        place = Signal(
            range(MAX_PAYLOAD + 3)
        )  # of the word: header, payload, check, and then there is one too many
        escape, broken, skip = Signal(), Signal(), Signal()
        payload = Signal()
        m.d.comb += [
            payload.eq((place != 0) & (place <= self.length)),
            self.index.eq(place - 1),
            self.data.eq(word),
            self.payload_crc.eq(payload_crc),
        ]
        code = self.bytes.payload
        with m.FSM(init="begin"):
            with m.State("begin"):
                m.d.sync += [crc.eq(FRESH), payload_crc.eq(self.seed)]
                m.d.sync += [lane.eq(0), place.eq(0), escape.eq(0), broken.eq(0)]
                m.next = "listen"
            with m.State("drop"):
                m.d.comb += self.bytes.ready.eq(self.hold)
                with m.If(self.bytes.valid & self.hold):
                    m.d.sync += skip.eq(code != END)
                with m.If(~self.hold):
                    m.next = "begin"
            with m.State("listen"):
                m.d.comb += self.bytes.ready.eq(1)
                m.d.sync += byte.eq(code)
                with m.If(self.bytes.valid):
                    with m.If(code == END):
                        m.d.sync += [skip.eq(0), broken.eq(broken | escape)]
                        m.next = "begin"
                        with m.If(~skip & (escape | broken | (lane != 0) | (place != 0))):
                            m.next = "weigh"
                    with m.Elif(escape):
                        m.d.sync += [escape.eq(0), byte.eq(Mux(code == ESCAPED_END, END, ESCAPE))]
                        m.d.sync += broken.eq(broken | ((code != ESCAPED_END) & (code != ESCAPED_ESCAPE)))
                        m.next = "bits"
                    with m.Elif(code == ESCAPE):
                        m.d.sync += escape.eq(1)
                    with m.Else():
                        m.next = "bits"
            with m.State("bits"):
                m.d.sync += [byte.eq(byte >> 1), word.eq(Cat(word[1:], byte[0])), bits.eq(bits + 1)]
                m.d.sync += crc.eq(crc_step(crc, byte[0]))
                with m.If(payload):
                    m.d.sync += payload_crc.eq(crc_step(payload_crc, byte[0]))
                with m.If(bits == 7):
                    m.d.sync += lane.eq(lane + 1)
                    m.next = "listen"
                    with m.If(lane == 3):
                        m.next = "word"
            with m.State("word"):
                m.d.comb += self.write.eq(payload)
                with m.If(place == 0):
                    m.d.sync += Cat(self.sequence, self.kind, self.length).eq(word)
                with m.If((place == MAX_PAYLOAD + 2) | ((place == 0) & (word[16:] > MAX_PAYLOAD))):
                    m.d.sync += broken.eq(1)
                with m.If(place != MAX_PAYLOAD + 2):
                    m.d.sync += place.eq(place + 1)
                m.next = "listen"
            with m.State("weigh"):
                whole = (lane == 0) & (place >= 2) & (place == self.length + 2)
                m.d.sync += self.good.eq(whole & ~broken & (crc == RESIDUE))
                m.next = "tell"
            with m.State("tell"):
                m.d.comb += self.done.eq(1)
                m.next = "drop"
        return m


class FrameWriter(wiring.Component):
    """Frames to bytes of a line.

    Members
    -------
    start : In, strobe while not ``busy``; ``sequence``, ``kind``, ``length`` : In, the header, read in that cycle, and length
    until the end.
    index : Out, number of the payload word that is wanted. data : In, that word, two cycles later at the latest.
    busy : Out, from the cycle after ``start`` until the last byte has been handed on.
    bytes : Out, stream.
    """

    start: In(1)
    sequence: In(8)
    kind: In(8)
    length: In(range(MAX_PAYLOAD + 1))
    index: Out(range(MAX_PAYLOAD))
    data: In(32)
    busy: Out(1)
    bytes: Out(stream.Signature(8))

    def elaborate(self, platform):
        m = Module()
        word, crc = Signal(32, reset_less=True), Signal(32, reset_less=True)
        bits, lane = Signal(3), Signal(2)
        place = Signal(range(MAX_PAYLOAD + 2))  # of the word: payload from 0 on, then the check, then the end
        escaped = Signal()
        byte, special = word[:8], Signal()
        m.d.comb += [
            self.index.eq(place),
            special.eq((byte == END) | (byte == ESCAPE)),
            self.busy.eq(1),
        ]
        with m.FSM(init="idle"):
            with m.State("idle"):
                m.d.comb += self.busy.eq(0)
                m.d.sync += [crc.eq(FRESH), place.eq(0), lane.eq(0), escaped.eq(0)]
                m.d.sync += word.eq(Cat(self.sequence, self.kind, self.length))
                with m.If(self.start):
                    m.next = "open"
            with m.State("open"):
                m.d.comb += [self.bytes.valid.eq(1), self.bytes.payload.eq(END)]
                with m.If(self.bytes.ready):
                    m.next = "byte"
            with m.State("byte"):
                m.d.comb += self.bytes.valid.eq(1)
                with m.If(special & ~escaped):
                    m.d.comb += self.bytes.payload.eq(ESCAPE)
                    m.d.sync += escaped.eq(self.bytes.ready)
                with m.Else():
                    replaced = Mux(byte == END, ESCAPED_END, ESCAPED_ESCAPE)
                    m.d.comb += self.bytes.payload.eq(Mux(escaped, replaced, byte))
                    with m.If(self.bytes.ready):
                        m.d.sync += escaped.eq(0)
                        m.next = "bits"
            with m.State("bits"):
                m.d.sync += [word.eq(word >> 1), crc.eq(crc_step(crc, word[0])), bits.eq(bits + 1)]
                with m.If(bits == 7):
                    m.d.sync += lane.eq(lane + 1)
                    m.next = "byte"
                    with m.If(lane == 3):
                        m.next = "fetch"
            with m.State("fetch"):
                m.next = "word"
            with m.State("word"):
                m.d.sync += [place.eq(place + 1), word.eq(Mux(place == self.length, ~crc, self.data))]
                m.next = "byte"
                with m.If(place > self.length):
                    m.next = "close"
            with m.State("close"):
                m.d.comb += [self.bytes.valid.eq(1), self.bytes.payload.eq(END)]
                with m.If(self.bytes.ready):
                    m.next = "idle"
        return m
