"""The top of every board: a tile, its host link, a UART and a few lights.

``python -m fpga.top`` prints what all of that but the tile occupies on an ECP5.
"""

from __future__ import annotations

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fpga.hostlink import PATIENCE, HostLink
from fpga.uart import Receiver, Transmitter, divisor
from lpu.arch import PRESETS, TileConfig
from rtl.elastic import Stage
from rtl.link import wires
from rtl.tile import Tile

#: Cycles that a light stays on after what it shows, as a power of two: 35 ms at 60 MHz.
GLOW = 21


class SerialHost(wiring.Component):
    """The host link behind a UART: all of a board that is not its tile.

    Parameters
    ----------
    config : the tile's. board, clock, patience : of the host link. baud : bits a second.

    Members
    -------
    rx, tx : In and Out, the wires. command, response, reset, loaded, active : of the host link.
    """

    def __init__(self, config: TileConfig, *, board: str, clock: int, baud: int, patience: int = PATIENCE):
        self._divisor = divisor(clock, baud)
        self._link = HostLink(config, board=board, clock=clock, patience=patience)
        own = ("command", "response", "reset", "loaded", "active")
        members = {name: self._link.signature.members[name] for name in own}
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), **members})

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = Receiver(divisor=self._divisor)
        m.submodules.transmitter = transmitter = Transmitter(divisor=self._divisor)
        m.submodules.link = link = self._link
        wiring.connect(m, receiver.bytes, link.received)
        wiring.connect(m, link.sent, transmitter.bytes)
        wiring.connect(m, link.command, wiring.flipped(self.command))
        wiring.connect(m, wiring.flipped(self.response), link.response)
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            self.reset.eq(link.reset),
            self.loaded.eq(link.loaded),
            self.active.eq(link.active),
        ]
        return m


class BoardTop(wiring.Component):
    """A tile that talks to its host over two wires.

    All in the ``sync`` domain, whose clock and reset a platform supplies (a PLL, a reset at power on); in simulation they are
    the ports ``clk`` and ``rst``.

    Parameters
    ----------
    config : the tile's. board : name that it gives itself. clock : of ``sync`` in Hz. baud : bits a second, within
    2 % of ``clock`` over a whole number. glow : cycles that lights stay on, as a power of two.
    patience : of the host link.

    Members
    -------
    rx : In, from the host, asynchronous. tx : Out, to it.
    leds : Out, 1 is on: a frame came just now; a program ran just now; a program is loaded; the last run violated its schedule.
    link0_in, link0_out ... : cables to other chips, if the tile has links.
    """

    def __init__(
        self,
        config: TileConfig,
        *,
        board: str,
        clock: int,
        baud: int,
        glow: int = GLOW,
        patience: int = PATIENCE,
    ):
        self._config, self._glow = config, glow
        self._host = SerialHost(config, board=board, clock=clock, baud=baud, patience=patience)
        ports = range(len(config.ports))
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "leds": Out(4),
                **{f"link{n}_in": In(wires(config)) for n in ports},
                **{f"link{n}_out": Out(wires(config)) for n in ports},
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.host = host = self._host
        # A register of its own before what all of the tile hears.
        reset = Signal(init=1)
        m.d.sync += reset.eq(host.reset)
        tile = Tile(self._config)
        m.submodules.tile = ResetInserter(reset)(tile)
        m.submodules.to_tile = to_tile = ResetInserter(reset)(Stage(32))
        m.submodules.from_tile = from_tile = ResetInserter(reset)(Stage(32))
        wiring.connect(m, host.command, to_tile.i)
        wiring.connect(m, to_tile.o, tile.command)
        wiring.connect(m, tile.response, from_tile.i)
        wiring.connect(m, from_tile.o, host.response)
        m.d.comb += [host.rx.eq(self.rx), self.tx.eq(host.tx)]
        for n in range(len(self._config.ports)):
            for end in (f"link{n}_in", f"link{n}_out"):
                ours, theirs = getattr(self, end), getattr(tile, end)
                into = end.endswith("_in")
                for part in wires(self._config).members:
                    target, source = (theirs, ours) if into else (ours, theirs)
                    m.d.comb += getattr(target, part).eq(getattr(source, part))
        for led, event in enumerate((host.active, tile.busy)):
            glow = Signal(self._glow + 1, name=f"glow{led}")
            with m.If(event):
                m.d.sync += glow.eq(1 << self._glow)
            with m.Elif(glow[-1]):
                m.d.sync += glow.eq(glow + 1)
            m.d.comb += self.leds[led].eq(glow[-1])
        m.d.comb += [self.leds[2].eq(host.loaded), self.leds[3].eq(tile.violation)]
        return m


def main() -> None:
    """Print the area of the host's side, part by part."""
    from fpga.cells import Area
    from fpga.synth import areas

    host = SerialHost(PRESETS["ecp5-85f"], board="ulx3s-85f", clock=60_000_000, baud=1_000_000)
    parts = areas(host, name="serial_host")
    for name, part in (*parts.items(), ("all", sum(parts.values(), Area()))):
        print(f"{name:12} {part.lut:5} LUT {part.ff:5} FF {part.bram:3} BRAM")


if __name__ == "__main__":
    main()
