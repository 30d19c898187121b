"""C2C: one end of a link. SEND makes frames of words, RECEIVE finds them a constant number of cycles later."""

from __future__ import annotations

from amaranth.hdl import Cat, ClockSignal, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import TileConfig
from lpu.isa import layout
from lpu.link import CONTROL_TAG, DATA
from lpu.runtime.machine import ViolationKind
from lpu.timing import RECEIVE_RESULT, SAMPLE, link_cycles, link_latency
from rtl.link import Receiver, Transmitter, wires
from rtl.streams import (
    VIOLATION,
    Hop,
    Sampler,
    delayed,
    destinations,
    fields,
    instruction_port,
    report,
    slice_streams,
    through,
)
from rtl.train import TrainingSender

#: Cycles from a SEND's dispatch to the transmitter's ``send``; a control frame's time is that of a SEND so much before.
SEND_CYCLES = SAMPLE + 1
#: Bits of a control frame: two flits (rtl.align).
CONTROL_BITS = 128


class C2c(wiring.Component):
    """A link slice.

    SEND: cycle 1 sample, cycle 2 into the transmitter. A word that arrives waits until link_latency after its SEND, in chip time;
    then it is there for RECEIVE: cycle 0 take, cycle 2 on the slice's output. Control frames go in between while no program runs.

    Parameters
    ----------
    config, name : the tile and the slice's name in it.

    Members
    -------
    east_in, west_in, east_out, west_out : streams. link : In, instruction port. violation : Out, one cycle after the event's.
    pins_in, pins_out : wires of the cable.
    time : In, three low bits of chip time. transit : In, cycles from a SEND to the frame's arrival here, as measured.
    control : In, what the next control frame says; ``control_send`` : In, send one as soon as ``control_ready`` (Out).
    quiet : Out, no frame is on its way out. control_came : Out, strobe, with ``control_word``.
    restart : In, strobe: a run begins. retrain : In, strobe: learn the cable's wires anew.
    bad, corrected : Out, strobes: a frame that could not be, and could be corrected.
    """

    def __init__(self, config: TileConfig, name: str):
        self._config, self._name = config, name
        super().__init__(
            {
                **slice_streams(config),
                "link": In(instruction_port(config, f"{name}.link")),
                "violation": Out(VIOLATION),
                "pins_in": In(wires(config)),
                "pins_out": Out(wires(config)),
                "time": In(3),
                "transit": In(range(2 * link_latency(config))),
                "control": In(CONTROL_BITS),
                "control_send": In(1),
                "control_ready": Out(1),
                "quiet": Out(1),
                "control_came": Out(1),
                "control_word": Out(CONTROL_BITS),
                "restart": In(1),
                "retrain": In(1),
                "bad": Out(1),
                "corrected": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, name = self._config, self._name
        m.submodules.hop = hop = Hop(config, name, injections=1)
        through(m, config, self, hop)
        missing, busy = self._send(m)
        nothing, lost = self._receive(m, hop.inject0)
        report(
            m,
            self.violation,
            {
                ViolationKind.CONFLICT: hop.conflict,
                ViolationKind.NO_OPERAND: missing,
                ViolationKind.UNDERFLOW: nothing,
                ViolationKind.OVERFLOW: busy | lost,
            },
        )
        return m

    def _is(self, op: str):
        return self.link.valid & (self.link.op == layout(self._config, f"{self._name}.link").ops[op].code)

    def _send(self, m: Module):
        """SEND and control frames. Returns (operand missing, the link was busy)."""
        config = self._config
        sending, args = self._is("SEND"), fields(config, f"{self._name}.link", self.link.payload, "SEND")
        m.submodules.operand = operand = Sampler(config, self._name, word=True, hold=False)
        through(m, config, self, operand)
        m.submodules.transmitter = transmitter = Transmitter(config)
        m.submodules.training = self._training = training = TrainingSender(config)
        # Cycle 0: whether a frame may begin.
        left = Signal(range(link_cycles(config)))
        accepted, busy = Signal(), Signal()
        m.d.comb += accepted.eq(sending & (left == 0))
        with m.If(left != 0):
            m.d.sync += left.eq(left - 1)
        with m.If(accepted):
            m.d.sync += left.eq(link_cycles(config) - 1)
        with m.If(self.restart):
            m.d.sync += left.eq(0)
        m.d.sync += busy.eq(sending & (left != 0))
        m.d.comb += [operand.enable.eq(accepted), operand.code.eq(args["src"])]
        # Cycle 2: the frame, stamped with the time of cycle 0.
        send = delayed(m, accepted, SEND_CYCLES, reset_less=False)
        stamp = Signal(3)
        m.d.comb += [
            stamp.eq(self.time - SEND_CYCLES),
            self.quiet.eq(transmitter.ready & ~send),
            self.control_ready.eq(self.quiet & ~training.training),
            transmitter.send.eq(send | (self.control_send & self.control_ready)),
            transmitter.word.eq(operand.data | Mux(send, 0, self.control)),
            transmitter.information.eq(Mux(send, Cat(DATA, stamp), CONTROL_TAG << 1)),
            training.frames.eq(transmitter.data),
            training.restart.eq(self.retrain),
            self.pins_out.data.eq(training.wires),
            self.pins_out.clk.eq(~ClockSignal("sync")),
        ]
        return operand.missing, busy

    def _receive(self, m: Module, inject):
        """Frames that arrive, and RECEIVE. Returns (nothing was there, a word was lost)."""
        config = self._config
        m.submodules.receiver = receiver = Receiver(config, f"{self._name}_pins")
        receiving = self._is("RECEIVE")
        args = fields(config, f"{self._name}.link", self.link.payload, "RECEIVE")
        is_data = receiver.information[0]
        m.d.comb += [
            receiver.wires.clk.eq(self.pins_in.clk),
            receiver.wires.data.eq(self.pins_in.data),
            receiver.training.eq(self._training.training),
            self._training.learnt.eq(receiver.learnt),
            self._training.other.eq(receiver.other),
            self.control_came.eq(receiver.arrived & ~is_data & ~receiver.bad),
            self.control_word.eq(receiver.word),
            self.bad.eq((receiver.arrived & receiver.bad) | receiver.broken),
            self.corrected.eq(receiver.corrected),
        ]
        # How late the frame is, compared with what was measured: between -4 and 3 cycles.
        late, waiting = Signal(3), Signal(range(link_latency(config)))
        word = Signal(config.lanes * 32, reset_less=True)
        pending, here = Signal(), Signal()
        there = Signal(config.lanes * 32, reset_less=True)
        m.d.comb += late.eq(self.time - self.transit[:3] - receiver.information[1:] + 4)
        with m.If(waiting != 0):
            m.d.sync += waiting.eq(waiting - 1)
        with m.If(receiver.arrived & is_data):
            m.d.sync += [
                pending.eq(1),
                word.eq(receiver.word),
                waiting.eq(link_latency(config) + 2 - self.transit - late),
            ]
        due, lost, nothing = Signal(), Signal(), Signal()
        m.d.comb += due.eq(pending & (waiting == 0))
        with m.If(receiving):
            m.d.sync += here.eq(0)
        with m.If(due):
            m.d.sync += [pending.eq(0), here.eq(1), there.eq(word)]
        # The word was due one cycle after this one, and that is when the one before it is lost.
        m.d.sync += [lost.eq(delayed(m, due & here & ~receiving, 1)), nothing.eq(receiving & ~here)]
        with m.If(self.restart):
            m.d.sync += [pending.eq(0), here.eq(0)]
        enable = Mux(receiving, destinations(config, args["dst"], narrow=0), 0)
        m.d.comb += [
            inject.enable.eq(delayed(m, enable, RECEIVE_RESULT, reset_less=False)),
            inject.data.eq(delayed(m, Mux(here, there, 0), RECEIVE_RESULT)),
        ]
        return nothing, lost
