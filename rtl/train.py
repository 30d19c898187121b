"""Training of a cable: which wire is which, and which are turned over.

After reset, and when told so, both ends send a pattern on every wire: six beats 111000, then six bits as 10 for one and 01 for
zero: the wire's number, lowest first, and whether the sender has learnt the other direction. No other six beats of it read
111000, nor 000111, which is the pattern of a wire turned over. An end that has learnt its wires and hears that the other has,
too, sends a few patterns more and then frames.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from lpu.arch import TileConfig

#: Beats of the pattern's beginning, bits behind it.
SYNC, NUMBER_BITS = 0b111000, 5
SYMBOLS = NUMBER_BITS + 1
BEATS = 6 + 2 * SYMBOLS
#: Patterns sent behind the moment in which both ends know.
FAREWELL = 4
#: Low beats behind the training, after which frames are looked for: more than a pattern has, fewer than between control frames.
QUIET = 20


class TrainingSender(wiring.Component):
    """Patterns while training, else frames. One cycle.

    Members
    -------
    frames : In, the transmitter's wires. restart : In, strobe: train anew. learnt, other : In, this end, and the other one, know.
    training : Out. wires : Out.
    """

    def __init__(self, config: TileConfig):
        self._width = config.link_width
        super().__init__(
            {
                "frames": In(self._width),
                "restart": In(1),
                "learnt": In(1),
                "other": In(1),
                "training": Out(1, init=1),
                "wires": Out(self._width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        beat, farewell = Signal(range(BEATS)), Signal(range(FAREWELL + 1))
        flag = Signal()
        last = beat == BEATS - 1
        m.d.sync += beat.eq(Mux(last, 0, beat + 1))
        with m.If(self.restart):
            m.d.sync += [self.training.eq(1), farewell.eq(0), flag.eq(0)]
        with m.Elif(last & self.training):
            m.d.sync += flag.eq(self.learnt)
            with m.If(self.learnt & self.other):
                m.d.sync += farewell.eq(farewell + 1)
                with m.If(farewell == FAREWELL):
                    m.d.sync += self.training.eq(0)
        patterns = []
        for wire in range(self._width):
            bits = [SYNC >> (5 - n) & 1 for n in range(6)]
            for n in range(NUMBER_BITS):
                bits += [wire >> n & 1, 1 - (wire >> n & 1)]
            patterns.append(
                (Cat(Const(sum(b << n for n, b in enumerate(bits)), len(bits)), flag, ~flag) >> beat)[0]
            )
        m.d.sync += self.wires.eq(Mux(self.training, Cat(patterns), self.frames))
        return m


class TrainingReceiver(wiring.Component):
    """Raw beats to beats in order, in the sender's clock. Two cycles there.

    Members
    -------
    raw : In. training : In, of this end's sender, in our clock.
    beats : Out, low while training and until the wires were quiet. learnt, other : Out, in our clock.
    """

    def __init__(self, config: TileConfig, domain: str):
        self._width, self._domain = config.link_width, domain
        super().__init__(
            {
                "raw": In(self._width),
                "training": In(1),
                "beats": Out(self._width),
                "learnt": Out(1),
                "other": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width, domain = self._width, self._domain
        sync = m.d[domain]
        training, before = Signal(init=1), Signal(init=1, reset_less=True)
        m.submodules.training = FFSynchronizer(self.training, training, o_domain=domain, init=1)
        raw = Signal(width, reset_less=True)
        sync += [raw.eq(self.raw), before.eq(training)]
        learnt, other = Signal(reset_less=True), Signal(reset_less=True)
        numbers = [Signal(NUMBER_BITS, name=f"number{w}", reset_less=True) for w in range(width)]
        turned = Signal(width, reset_less=True)
        hits, flags, found = [], [], []
        for w in range(width):
            # The newest beat is the lowest bit.
            history = Signal(BEATS - 1, name=f"history{w}", reset_less=True)
            beats = Cat(raw[w], history)
            sync += history.eq(beats)
            begins = beats[2 * SYMBOLS :]
            over = begins == SYNC ^ 0b111111
            symbols = [
                (beats[2 * SYMBOLS - 1 - 2 * n], beats[2 * SYMBOLS - 2 - 2 * n]) for n in range(SYMBOLS)
            ]
            hit = Signal(name=f"hit{w}")
            m.d.comb += hit.eq(((begins == SYNC) | over) & Cat(a ^ b for a, b in symbols).all())
            hits.append(hit)
            flags.append(symbols[-1][0] ^ over)
            found.append((Cat(a ^ over for a, _ in symbols[:-1]), over))
        whole = Signal()
        every = reduce(or_, [Const(1, width) << number for number, _ in found])
        m.d.comb += whole.eq(Cat(hits).all() & every[:width].all())
        with m.If(training & ~before):
            sync += [learnt.eq(0), other.eq(0)]
        with m.Elif(training & whole):
            sync += [learnt.eq(1), other.eq(Cat(flags).all())]
            sync += [number.eq(n) for number, (n, _) in zip(numbers, found, strict=True)]
            sync += turned.eq(Cat(over for _, over in found))
        # In order.
        ordered, quiet, opened = (
            Signal(width, reset_less=True),
            Signal(range(QUIET + 1)),
            Signal(reset_less=True),
        )
        straight = raw ^ turned
        sync += ordered.eq(
            Cat(
                reduce(or_, [straight[w] & (numbers[w] == place) for w in range(width)])
                for place in range(width)
            )
        )
        with m.If(training | ordered.any()):
            sync += quiet.eq(0)
        with m.Elif(quiet != QUIET):
            sync += quiet.eq(quiet + 1)
        with m.If(training):
            sync += opened.eq(0)
        with m.Elif(quiet == QUIET):
            sync += opened.eq(1)
        m.d.comb += self.beats.eq(Mux(opened, ordered, 0))
        m.submodules.learnt = FFSynchronizer(learnt, self.learnt, o_domain="sync")
        m.submodules.other = FFSynchronizer(other, self.other, o_domain="sync")
        return m
