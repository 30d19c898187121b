"""One direction of a link each: a transmitter of frames, and a receiver behind a crossing of clock domains."""

from __future__ import annotations

from amaranth.hdl import Cat, ClockDomain, ClockSignal, Const, Module, Mux, Signal
from amaranth.lib import fifo, wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import TileConfig
from lpu.link import CHECK_START, HEADER_BITS
from lpu.timing import CHECK_BITS, FLIT_BITS, FLIT_PAYLOAD, link_cycles
from rtl.link_code import advanced, check_bits, flips, header_bits, header_read
from rtl.streams import delayed
from rtl.train import TrainingReceiver


def wires(config: TileConfig) -> wiring.Signature:
    """One direction of a cable: data, and the clock it was sent with, turned over: its rising edges are amid the beats."""
    return wiring.Signature({"clk": Out(1), "data": Out(config.link_width)})


class Transmitter(wiring.Component):
    """Words to frames.

    Cycle 0: ``send`` with ``word`` and ``information``. Cycle 1: the header on the wires; then flits and check, a beat a cycle,
    link_cycles in all.

    Members
    -------
    send, word, information : In; only while ``ready``. ready : Out, the frame under way, if any, ends with this cycle.
    data : Out, the wires, from registers.
    """

    def __init__(self, config: TileConfig):
        self._config = config
        super().__init__(
            {
                "send": In(1),
                "word": In(config.lanes * 32),
                "information": In(4),
                "ready": Out(1),
                "data": Out(config.link_width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, width = self._config, self._config.link_width
        beats, per_flit = link_cycles(config), FLIT_BITS // width
        first_check = beats - -(-CHECK_BITS // width)
        #: Beat of the frame on the wires, beats when there is none.
        beat = Signal(range(beats + 1), init=beats)
        place = Signal(range(per_flit))
        payload = Signal(config.lanes * 32, reset_less=True)
        shift, check = Signal(FLIT_BITS, reset_less=True), Signal(CHECK_BITS, reset_less=True)
        m.d.comb += self.ready.eq(beat >= beats - 1)
        with m.If(beat != beats):
            m.d.sync += beat.eq(beat + 1)
        # What comes on the wires next.
        following = payload[:FLIT_PAYLOAD]
        checking = beat >= first_check - 1
        m.d.sync += self.data.eq(0)
        with m.If(beat < beats - 1):
            with m.If(checking):
                m.d.sync += [self.data.eq(check), check.eq(check >> width)]
            with m.Else():
                m.d.sync += [
                    self.data.eq(shift),
                    shift.eq(shift >> width),
                    place.eq(place + 1),
                ]
                with m.If(place == per_flit - 1):
                    m.d.sync += [
                        place.eq(0),
                        shift.eq(Cat(following, check_bits(following))),
                        payload.eq(payload >> FLIT_PAYLOAD),
                    ]
                with m.If((place == per_flit - 1) & (beat != first_check - 2)):
                    m.d.sync += [
                        check.eq(advanced(check, following)),
                    ]
        with m.If(self.send):
            first = self.word[:FLIT_PAYLOAD]
            m.d.sync += [
                beat.eq(0),
                place.eq(0),
                self.data.eq(header_bits(self.information)),
                check.eq(advanced(Const(CHECK_START, CHECK_BITS), first)),
                shift.eq(Cat(first, check_bits(first))),
                payload.eq(self.word >> FLIT_PAYLOAD),
            ]
        return m


class Receiver(wiring.Component):
    """Frames to words.

    In the sender's clock a beat is captured, and those of frames go through a FIFO. ``arrived`` comes a few cycles behind the
    last beat; until the next frame's first flit is complete, ``word`` stays.

    Members
    -------
    wires : In. training : In, of this end's sender; learnt, other : Out, what training has found (rtl.train).
    arrived : Out, strobe. word, information : Out, of the frame. bad : Out, with ``arrived``: something in it could not be
    corrected. corrected : Out, strobe, once a frame in which something was. broken : Out, strobe: a header that cannot be
    read.
    """

    def __init__(self, config: TileConfig, domain: str):
        self._config, self._domain = config, domain
        super().__init__(
            {
                "wires": In(wires(config)),
                "training": In(1),
                "learnt": Out(1),
                "other": Out(1),
                "arrived": Out(1),
                "word": Out(config.lanes * 32),
                "information": Out(4),
                "bad": Out(1),
                "corrected": Out(1),
                "broken": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, width, domain = self._config, self._config.link_width, self._domain
        beats, per_flit = link_cycles(config), FLIT_BITS // width

        # The sender's clock: beats of frames into the FIFO.
        m.domains += ClockDomain(domain, reset_less=True)
        m.d.comb += ClockSignal(domain).eq(self.wires.clk)
        m.submodules.crossing = crossing = fifo.AsyncFIFO(
            width=width + 1, depth=16, r_domain="sync", w_domain=domain, exact_depth=False
        )
        m.submodules.training = training = TrainingReceiver(config, domain)
        captured = training.beats
        m.d.comb += [
            training.raw.eq(self.wires.data),
            training.training.eq(self.training),
            self.learnt.eq(training.learnt),
            self.other.eq(training.other),
        ]
        count = Signal(range(beats + 1), reset_less=True)
        _, good, wrong = header_read(m, captured[:HEADER_BITS])
        begins = (count == 0) & (good | wrong)
        with m.If(begins):
            m.d[domain] += count.eq(beats - 1)
        with m.Elif(count != 0):
            m.d[domain] += count.eq(count - 1)
        m.d.comb += [crossing.w_data.eq(Cat(captured, begins)), crossing.w_en.eq(begins | (count != 0))]

        # Our clock. Cycle 0: a beat, its place in the frame.
        beat, first, valid = Signal(width), Signal(), Signal()
        m.d.comb += [crossing.r_en.eq(1), Cat(beat, first).eq(crossing.r_data), valid.eq(crossing.r_rdy)]
        #: Place of the beat that comes next; behind a whole frame, and before the first one, none.
        place = Signal(range(beats + 1), init=beats)
        in_flit = Signal(range(per_flit))
        shift = Signal(FLIT_BITS, reset_less=True)
        flit_done, frame_done = Signal(), Signal()
        of_frame = Signal(4, reset_less=True)
        check_beats = -(-CHECK_BITS // width)
        sent = Signal(check_beats * width, reset_less=True)
        information, header_good, _ = header_read(m, beat[:HEADER_BITS])
        is_check = place >= beats - check_beats
        m.d.sync += [flit_done.eq(0), frame_done.eq(0), self.broken.eq(0)]
        with m.If(valid):
            m.d.sync += place.eq(Mux(first, 1, Mux(place == beats, beats, place + 1)))
            with m.If(first):
                m.d.sync += [
                    of_frame.eq(information),
                    in_flit.eq(0),
                    self.broken.eq(~header_good),
                ]
            with m.Elif(place == beats):
                pass
            with m.Elif(is_check):
                m.d.sync += [
                    sent.eq(Cat(sent[width:], beat)),
                    frame_done.eq(place == beats - 1),
                ]
            with m.Else():
                m.d.sync += [
                    shift.eq(Cat(shift[width:], beat)),
                    in_flit.eq(Mux(in_flit == per_flit - 1, 0, in_flit + 1)),
                    flit_done.eq(in_flit == per_flit - 1),
                ]
        # Cycle 1: syndrome of a whole flit.
        syndrome, payload = Signal(8, reset_less=True), Signal(FLIT_PAYLOAD, reset_less=True)
        settled, checked = Signal(), Signal()
        m.d.sync += [
            settled.eq(flit_done),
            payload.eq(shift[:FLIT_PAYLOAD]),
            syndrome.eq(check_bits(shift[:FLIT_PAYLOAD]) ^ shift[FLIT_PAYLOAD:]),
            checked.eq(settled),
        ]
        with m.If(frame_done):
            m.d.sync += self.information.eq(of_frame)
        # Cycle 2: correction.
        odd, flip = syndrome.xor(), flips(syndrome)
        known = flip.any() | ((syndrome & (syndrome - 1)[:8]) == 0)
        failed, mended = Signal(), Signal()
        with m.If(settled):
            m.d.sync += [
                self.word.eq(Cat(self.word[FLIT_PAYLOAD:], payload ^ flip)),
                failed.eq(failed | (syndrome.any() & ~(odd & known))),
                mended.eq(mended | (syndrome.any() & odd & known)),
            ]
        # Cycle 3: the check goes on.
        check, fresh = Signal(CHECK_BITS, reset_less=True), Signal(init=1)
        with m.If(checked):
            begun = Mux(fresh, CHECK_START, check)
            m.d.sync += [fresh.eq(0), check.eq(advanced(begun, self.word[-FLIT_PAYLOAD:]))]
        # Behind the last beat: whether the check differs, and in more than one bit, which is then its own.
        ended = delayed(m, frame_done, 2, reset_less=False)
        wrong = Signal(CHECK_BITS)
        m.d.comb += wrong.eq(sent[:CHECK_BITS] ^ check)
        several = (wrong & (wrong - 1)[:CHECK_BITS]).any()
        m.d.sync += [self.arrived.eq(ended), self.corrected.eq(0), self.bad.eq(0)]
        with m.If(ended):
            m.d.sync += [
                fresh.eq(1),
                self.bad.eq(failed | several),
                self.corrected.eq((mended | wrong.any()) & ~failed & ~several),
                failed.eq(0),
                mended.eq(0),
            ]
        return m
