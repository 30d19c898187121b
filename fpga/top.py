"""The top of every board: a tile, its host link, a UART and a few lights."""

from __future__ import annotations

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fpga.hostlink import PATIENCE, HostLink
from fpga.uart import Receiver, Transmitter, divisor
from lpu.arch import TileConfig
from rtl.link import wires
from rtl.tile import Tile

#: Cycles that a light stays on after what it shows, as a power of two: 35 ms at 60 MHz.
GLOW = 21


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
        self._config, self._board, self._clock, self._glow = config, board, clock, glow
        self._divisor, self._patience = divisor(clock, baud), patience
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
        m.submodules.receiver = receiver = Receiver(divisor=self._divisor)
        m.submodules.transmitter = transmitter = Transmitter(divisor=self._divisor)
        m.submodules.link = link = HostLink(
            self._config, board=self._board, clock=self._clock, patience=self._patience
        )
        # A register of its own before what all of the tile hears.
        reset = Signal(init=1)
        m.d.sync += reset.eq(link.reset)
        tile = Tile(self._config)
        m.submodules.tile = ResetInserter(reset)(tile)
        wiring.connect(m, receiver.bytes, link.received)
        wiring.connect(m, link.sent, transmitter.bytes)
        wiring.connect(m, link.command, tile.command)
        wiring.connect(m, tile.response, link.response)
        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx)]
        for n in range(len(self._config.ports)):
            for end in (f"link{n}_in", f"link{n}_out"):
                ours, theirs = getattr(self, end), getattr(tile, end)
                into = end.endswith("_in")
                for part in wires(self._config).members:
                    target, source = (theirs, ours) if into else (ours, theirs)
                    m.d.comb += getattr(target, part).eq(getattr(source, part))
        for led, event in enumerate((link.active, tile.busy)):
            glow = Signal(self._glow + 1, name=f"glow{led}")
            with m.If(event):
                m.d.sync += glow.eq(1 << self._glow)
            with m.Elif(glow[-1]):
                m.d.sync += glow.eq(glow + 1)
            m.d.comb += self.leds[led].eq(glow[-1])
        m.d.comb += [self.leds[2].eq(link.loaded), self.leds[3].eq(tile.violation)]
        return m
