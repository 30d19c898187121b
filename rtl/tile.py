"""The tile: slices in a row, their queues, the host port, and the status of a run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from itertools import pairwise
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from lpu.arch import SliceKind, TileConfig, clog2
from lpu.isa import queue_names
from lpu.runtime.machine import ViolationKind
from rtl.align import Aligner
from rtl.c2c import C2c
from rtl.host import MASK_LATENCY, Host
from rtl.icu import NOTIFY_LATENCY, START_LATENCY, Queue
from rtl.link import wires
from rtl.mem import Mem
from rtl.mxm import Mxm
from rtl.port import Port, settle_cycles
from rtl.streams import VIOLATION, delayed, load_bus
from rtl.sxm import Sxm
from rtl.vxm import Vxm

_SLICES = {
    SliceKind.C2C: C2c,
    SliceKind.HOST: Host,
    SliceKind.MEM: Mem,
    SliceKind.MXM: Mxm,
    SliceKind.SXM: Sxm,
    SliceKind.VXM: Vxm,
}
#: Cycles from an event to the cycle in which the collector latches it: one in the slice, one on the way, one to gather.
_EVENT_LATENCY = 3


def build_slice(config: TileConfig, name: str) -> wiring.Component:
    """The component of a slice."""
    return _SLICES[config.spec(name).kind](config, name)


class Status(wiring.Component):
    """What a run leaves behind: cycle count, passes, first violation.

    Counts program cycles from ``start`` on, _EVENT_LATENCY late, so that an event meets the number of its own cycle. Of events of
    one cycle the westernmost is first; a slice's own and its queues' RANGE of one cycle count as the smaller kind.

    Parameters
    ----------
    config : the tile's.

    Members
    -------
    start, clear : In, strobes; start as the queues see it.
    running : In, some queue runs. passing : In, a bit for each MXM that dispatches a PASS.
    violations : In, of each slice, two cycles after the event. ranges : In, of each slice's queues, likewise.
    words : Out, status words 0 to 5, but for the busy flag.
    """

    def __init__(self, config: TileConfig):
        self._count = len(config.floorplan)
        arrays = sum(spec.kind is SliceKind.MXM for spec in config.floorplan)
        super().__init__(
            {
                "start": In(1),
                "clear": In(1),
                "running": In(1),
                "passing": In(max(1, arrays)),
                "violations": In(data.ArrayLayout(VIOLATION, self._count)),
                "ranges": In(self._count),
                "words": Out(data.ArrayLayout(32, 6)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        fresh = Signal()
        m.d.comb += fresh.eq(self.start | self.clear)

        # Program cycle 0 is START_LATENCY after start, and the number is late by as much as the events.
        cycle = Signal(48, reset_less=True)
        m.d.sync += cycle.eq(cycle + 1)
        with m.If(self.start):
            m.d.sync += cycle.eq(-(START_LATENCY + _EVENT_LATENCY - 1))
        # A queue has stopped running in the cycle of its HALT; that cycle is the last to be copied.
        cycles, passes = Signal(48), Signal(32)
        with m.If(delayed(m, self.running, _EVENT_LATENCY + 1, reset_less=False) & ~cycle[-1]):
            m.d.sync += cycles.eq(cycle)
        passing = delayed(m, self.passing, 1, reset_less=False)
        m.d.sync += passes.eq(passes + sum(passing[1:], passing[0]))

        # Cycle 2: one event a slice. Cycle 3: the first of them, if none was before.
        events, kinds = Signal(self._count), [Signal(3, name=f"kind{p}") for p in range(self._count)]
        for position, kind in enumerate(kinds):
            own, past = self.violations[position], self.ranges[position]
            late = own.kind > ViolationKind.RANGE
            m.d.sync += [
                events[position].eq(own.valid | past),
                kind.eq(Mux(past & (late | ~own.valid), ViolationKind.RANGE, own.kind)),
            ]
        violated = Signal()
        where, what, when = Signal(clog2(self._count)), Signal(3), Signal(32)
        with m.If(events.any() & ~violated):
            m.d.sync += [violated.eq(1), when.eq(cycle)]
            for position in reversed(range(self._count)):
                with m.If(events[position]):
                    m.d.sync += [where.eq(position), what.eq(kinds[position])]
        with m.If(fresh):
            m.d.sync += [violated.eq(0), where.eq(0), what.eq(0), when.eq(0), cycles.eq(0), passes.eq(0)]
        m.d.comb += [
            self.words[0].eq(Cat(0, violated)),
            self.words[1].eq(Cat(what, Const(0, 5), where)),
            self.words[2].eq(when),
            Cat(self.words[3], self.words[4]).eq(cycles),
            self.words[5].eq(passes),
        ]
        return m


class Tile(wiring.Component):
    """A whole tile.

    Parameters
    ----------
    config : what to build.

    Members
    -------
    command : In, 32-bit stream. response : Out, 32-bit stream. Both as docs/architecture.md, "Host port", says.
    busy : Out, from START until all queues have halted and nothing is under way. violation : Out, of that run.
    link0_in, link0_out, link1_in ... : wires of each port's cable (rtl.link.wires), if there are links.
    """

    def __init__(self, config: TileConfig):
        self._config = config
        super().__init__(
            {
                "command": In(stream.Signature(32)),
                "response": Out(stream.Signature(32)),
                "busy": Out(1),
                "violation": Out(1),
                **{f"link{n}_in": In(wires(config)) for n in range(len(config.ports))},
                **{f"link{n}_out": Out(wires(config)) for n in range(len(config.ports))},
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        names = config.slice_names
        slices = {name: build_slice(config, name) for name in names}
        queues = {name: Queue(config, name) for name in queue_names(config)}
        for name, component in slices.items():
            m.submodules[name] = component
        for name, queue in queues.items():
            m.submodules[name.replace(".", "_")] = queue
        m.submodules.port = port = Port(config)
        m.submodules.status = status = Status(config)
        host = slices["host0"]

        # The row; nothing comes in at its ends. Streams that nobody drives, or nobody takes, need no registers on their way; two
        # results that meet are told also where nobody takes them.
        uses = {"data": ("tap",), "valid": ("tap", "inject")}
        for west, east in pairwise(names):
            for d, source, sink, side in (("e", west, east, "east"), ("w", east, west, "west")):
                leaving, arriving = (
                    getattr(slices[source], f"{side}_out"),
                    getattr(slices[sink], f"{side}_in"),
                )
                for part, use in uses.items():
                    vectors = config.arriving(sink, *use, vectors=True)
                    for direction, word in sorted(config.arriving(sink, *use)):
                        if direction == d:
                            for s in range(4 * word, 4 * word + 4):
                                value = getattr(leaving, part)[s]
                                if part == "data" and (d, word) not in vectors:
                                    value = value[:8] if s % 4 < 2 else Const(0)
                                m.d.comb += getattr(arriving, part)[s].eq(value)

        # Queues and what all of them hear.
        starting = self._links(m, port, slices) if config.ports else port.start
        start, entry = delayed(m, starting, 1, reset_less=False), delayed(m, port.start_entry, 1)
        halt = delayed(m, port.halt, 1, reset_less=False)
        notified = Cat(queue.notify for queue in queues.values()).any()
        notified = delayed(m, notified, NOTIFY_LATENCY, reset_less=False)
        for name, queue in queues.items():
            slice_name, unit = name.split(".")
            wiring.connect(m, queue.instruction, getattr(slices[slice_name], unit))
            m.d.comb += [
                queue.start.eq(start),
                queue.entry.eq(entry),
                queue.halt.eq(halt),
                queue.notified.eq(notified),
                *(
                    getattr(queue.index_write, part).eq(getattr(host.index_write, part))
                    for part in ("enable", "number", "value")
                ),
            ]

        # Load bus and lane masks, spread from registers.
        bus = load_bus().create()
        for part in load_bus().members:
            m.d.sync += getattr(bus, part).eq(getattr(port.bus, part))
        masks = delayed(m, host.masks.as_value(), MASK_LATENCY)
        answers = []
        listeners = [m.submodules.aligner] if config.ports else []
        for component in (*slices.values(), *queues.values(), *listeners):
            members = component.signature.members
            load = getattr(component, "load" if isinstance(component, Mem) else "bus", None)
            if load is not None:
                for part in load_bus().members:
                    m.d.comb += getattr(load, part).eq(getattr(bus, part))
            if "masks" in members and component is not host:
                m.d.comb += component.masks.as_value().eq(masks)
            if "read_data" in members:
                answers.append(component.read_data)
        m.d.sync += port.read_data.eq(reduce(or_, answers))

        # The host port's FIFOs.
        for fifo in ("tokens", "vectors"):
            wiring.connect(m, getattr(port, f"{fifo}_in"), getattr(host, f"{fifo}_in"))
            wiring.connect(m, getattr(port, f"{fifo}_out"), getattr(host, f"{fifo}_out"))
            for way in ("in", "out"):
                m.d.comb += getattr(port, f"{fifo}_waiting_{way}").eq(getattr(host, f"{fifo}_{way}_level"))
        m.d.comb += host.clear.eq(port.clear)

        # Status.
        running = Signal()
        m.d.comb += [
            running.eq(Cat(queue.running for queue in queues.values()).any()),
            status.start.eq(start),
            status.clear.eq(port.clear),
            status.running.eq(running),
            status.passing.eq(
                Cat(queue.instruction.valid for name, queue in queues.items() if name.endswith(".passes"))
            ),
        ]
        for position, name in enumerate(names):
            if "violation" in slices[name].signature.members:
                # On its way a register: slices are far apart.
                m.d.sync += status.violations[position].eq(slices[name].violation)
            past = [
                queue.out_of_range for queue_name, queue in queues.items() if queue_name.split(".")[0] == name
            ]
            m.d.sync += status.ranges[position].eq(Cat(past).any() if past else 0)
        self._busy(m, port, running, status)

        wiring.connect(m, wiring.flipped(self.command), port.command)
        wiring.connect(m, port.response, wiring.flipped(self.response))
        return m

    def _links(self, m: Module, port: Port, slices: Mapping[str, wiring.Component]) -> Signal:
        """Chip time, and the cables. Returns the strobe that starts queues: at once where no control frame is on its way, or
        at the chip time that was named."""
        config = self._config
        m.submodules.aligner = aligner = Aligner(config)
        waits, fire = Signal(), Signal()
        for n, name in enumerate(config.ports):
            link = slices[name]
            wiring.connect(m, wiring.flipped(getattr(self, f"link{n}_in")), link.pins_in)
            wiring.connect(m, link.pins_out, wiring.flipped(getattr(self, f"link{n}_out")))
            m.d.comb += [
                link.time.eq(aligner.time),
                link.transit.eq(aligner.transit[n]),
                link.control.eq(aligner.control[n]),
                link.control_send.eq(aligner.send[n]),
                link.restart.eq(fire),
                link.retrain.eq(aligner.retrain),
                aligner.ready[n].eq(link.control_ready),
                aligner.came[n].eq(link.control_came),
                aligner.word[n].eq(link.control_word),
                aligner.bad[n].eq(link.bad),
                aligner.corrected[n].eq(link.corrected),
            ]
        reached, quiet = aligner.time == port.moment, Cat(slices[name].quiet for name in config.ports)
        m.d.comb += [
            aligner.running.eq(self.busy | port.start),
            aligner.restart.eq(port.start),
            port.time.eq(aligner.time),
            fire.eq(waits & Mux(port.timed, reached, quiet.all())),
        ]
        with m.If(port.start):
            m.d.sync += waits.eq(1)
        with m.Elif(fire | port.halt):
            m.d.sync += waits.eq(0)
        self._waits = waits
        return fire

    def _busy(self, m: Module, port: Port, running: Value, status: Status) -> None:
        """Busy lasts until what was dispatched last has had its effect."""
        settling = Signal(range(settle_cycles(self._config) + 1))
        fault = m.submodules.aligner.fault if self._config.ports else 0
        with m.If(port.start | (self._waits if self._config.ports else 0)):
            m.d.sync += [self.busy.eq(1), settling.eq(0)]
        with m.Elif(running):
            m.d.sync += settling.eq(0)
        with m.Elif(settling == settle_cycles(self._config)):
            m.d.sync += self.busy.eq(0)
        with m.Else():
            m.d.sync += settling.eq(settling + 1)
        m.d.comb += [
            port.busy.eq(self.busy),
            port.status.eq(status.words),
            port.status[0].eq(Cat(self.busy, self.violation, fault)),
            self.violation.eq(status.words[0][1]),
        ]
