"""Chip time: a counter that runs on, set by what neighbours say until all chips of a system count alike."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import TileConfig
from lpu.timing import link_cycles, link_latency
from rtl.c2c import CONTROL_BITS, SEND_CYCLES
from rtl.port import LINK_SPACE
from rtl.streams import LOAD_READ_LATENCY, delayed, load_bus

TIME_BITS = 32
#: Distance of a chip that does not know the time.
LOST = 255
#: Further off than this a counter is set anew, before it is adjusted by what both ends measured.
NEAR = 1 << 12
#: What a control frame says. ``measured``: arrival less time of the last one that came from the other end, as of its ``epoch``,
#: which changes with every adjustment there.
CONTROL = data.StructLayout(
    {
        "time": TIME_BITS,
        "measured": 16,
        "distance": 8,
        "epoch": 4,
        "echo": 4,
        "chip": 16,
        "port": 8,
        "rest": 40,
    }
)


class Aligner(wiring.Component):
    """The counter, and both ends' measurements.

    A frame that says T and arrives at T + d, in the receiver's count, took d less what the receiver is ahead. So half the
    difference of what both ends measured is how far they are apart, and the mean the transit. A chip takes its time
    from the port nearest to the root, which keeps its own.

    Members
    -------
    time : Out, chip time. transit : Out, of each port, cycles from a SEND to the arrival of its frame.
    running : In, no adjustment and no control frames. bus : In, load bus. read_data : Out.
    control, send : Out, of each port, for its slice. ready, came, word, bad, corrected : In, of each port.
    retrain : Out, strobe: the host has numbered the chip. fault : Out, some frame could not be corrected since START.
    restart : In, strobe: a run begins.
    """

    def __init__(self, config: TileConfig):
        self._config, self._ports = config, len(config.ports)
        count = self._ports
        super().__init__(
            {
                "time": Out(TIME_BITS),
                "transit": Out(data.ArrayLayout(range(2 * link_latency(config)), count)),
                "running": In(1),
                "restart": In(1),
                "fault": Out(1),
                "retrain": Out(1),
                "bus": In(load_bus()),
                "read_data": Out(32),
                "control": Out(data.ArrayLayout(CONTROL_BITS, count)),
                "send": Out(count),
                "ready": In(count),
                "came": In(count),
                "word": In(data.ArrayLayout(CONTROL_BITS, count)),
                "bad": In(count),
                "corrected": In(count),
            }
        )

    def elaborate(self, platform):
        m = Module()
        count = self._ports
        now, epoch = self.time, Signal(4)
        chip, root = Signal(16), Signal()
        distances = [Signal(8, init=LOST, name=f"distance{n}") for n in range(count)]
        mine = Signal(8, init=LOST)
        m.d.sync += now.eq(now + 1)
        mine_bus = self.bus.space == LINK_SPACE
        m.d.sync += self.retrain.eq(0)
        with m.If(self.bus.write & mine_bus & (self.bus.entry == 0)):
            m.d.sync += [Cat(chip, root).eq(self.bus.data), self.retrain.eq(1)]

        # The nearest port leads to the root.
        nearest, parent = Const(LOST, 8), Const(0, max(1, (count - 1).bit_length()))
        for n in reversed(range(count)):
            closer = distances[n] <= nearest
            nearest, parent = Mux(closer, distances[n], nearest), Mux(closer, n, parent)
        m.d.sync += mine.eq(Mux(root, 0, Mux(nearest == LOST, LOST, nearest + 1)))
        words = [Cat(chip, root, Const(0, 7), mine), now]
        faults = []
        for n in range(count):
            words += self._port(
                m, n, epoch, mine, root, chip, distances, (parent == n) & (nearest != LOST), faults
            )
        m.d.sync += self.fault.eq(Mux(self.restart, 0, self.fault | Cat(faults).any()))
        chosen = Signal(32, reset_less=True)
        with m.Switch(self.bus.entry):
            for number, word in enumerate(words):
                with m.Case(number):
                    m.d.sync += chosen.eq(word)
        reading = delayed(m, self.bus.read & mine_bus, 1, reset_less=False)
        m.d.comb += self.read_data.eq(delayed(m, Mux(reading, chosen, 0), LOAD_READ_LATENCY - 1))
        return m

    def _port(self, m: Module, n: int, epoch, mine, root, chip, distances, leads, faults):
        """One port. Returns its words of the link space."""
        heard = data.View(CONTROL, self.word[n])
        came = self.came[n]
        measured, other_epoch = Signal(16, name=f"measured{n}"), Signal(4, name=f"other_epoch{n}")
        neighbour, met = Signal(24, name=f"neighbour{n}"), Signal(name=f"met{n}")
        said = data.View(CONTROL, self.control[n])
        # Low wires for longer than a frame: a receiver that took something within one for its beginning finds the next one.
        every = 2 * link_cycles(self._config) + 8
        pause = Signal(range(every), name=f"pause{n}")
        m.d.comb += [
            said.time.eq(self.time - SEND_CYCLES),
            said.measured.eq(measured),
            said.distance.eq(mine),
            said.epoch.eq(epoch),
            said.echo.eq(other_epoch),
            said.chip.eq(chip),
            said.port.eq(n),
            self.send[n].eq((pause == 0) & ~self.running),
        ]
        with m.If(pause != 0):
            m.d.sync += pause.eq(pause - 1)
        with m.Elif(self.send[n] & self.ready[n]):
            m.d.sync += pause.eq(every - 1)

        took = Signal(TIME_BITS, name=f"took{n}")
        ahead = Signal(17, name=f"ahead{n}")
        m.d.comb += [
            took.eq(self.time - heard.time),
            ahead.eq(took[:16].as_signed() - heard.measured.as_signed()),
        ]
        with m.If(self.retrain):
            m.d.sync += [met.eq(0), self.transit[n].eq(0), distances[n].eq(LOST)]
        with m.Elif(came & ~self.running):
            far = (took + NEAR)[13:].any()
            m.d.sync += [
                measured.eq(took),
                other_epoch.eq(heard.epoch),
                neighbour.eq(Cat(heard.chip, heard.port)),
                met.eq(1),
                # A neighbour that takes its time from here is no way to the root.
                distances[n].eq(Mux((heard.distance > mine) & ~(mine == LOST), LOST, heard.distance)),
            ]
            with m.If(leads & ~root):
                with m.If(far):
                    m.d.sync += [self.time.eq(heard.time + 64), epoch.eq(epoch + 1)]
                with m.Elif((heard.echo == epoch) & ahead[1:].any()):
                    # One cycle has gone by meanwhile.
                    half = ahead[1:].as_signed()
                    m.d.sync += [self.time.eq(self.time + 1 - half), epoch.eq(epoch + 1)]
                with m.Elif(heard.echo == epoch):
                    m.d.sync += self.transit[n].eq(took)
            with m.Else(), m.If((heard.echo == epoch) & ~ahead[1:].any()):
                m.d.sync += self.transit[n].eq(took)
        corrected, bad = Signal(32, name=f"corrected{n}"), Signal(32, name=f"bad{n}")
        m.d.sync += [corrected.eq(corrected + self.corrected[n]), bad.eq(bad + self.bad[n])]
        faults.append(self.bad[n])
        return [Cat(neighbour, met, Const(0, 7)), Cat(self.transit[n], Const(0, 1))[:32], corrected, bad]
