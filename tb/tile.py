"""The tile's cocotb bench: what a host says, played to the RTL under stalls, every answer compared with golden's.

Driver -> tile -> Monitor -> Scoreboard on the two host streams. The conversation is a :class:`tb.session.Session`,
so that the same one can be replayed on the fast simulator. ``tests/test_bench_tile.py`` starts these tests.
"""

from __future__ import annotations

import json
import random
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import Event, RisingEdge, SimTimeoutError, with_timeout

from lpu.arch import TileConfig, load_config
from lpu.runtime import RtlMachine
from lpu.runtime.protocol import Op, answer, header
from tb.cocotb_runner import parameters_of_this_run
from tb.matmul import matmul
from tb.scenarios import SCENARIOS, wrong
from tb.session import Exchange, Mismatch, Session

PERIOD_NS = 10
#: Cycles that an answer, or the end of a program, may take.
PATIENCE = 200_000


class Driver:
    """Offers command words; each cycle a new one is offered with probability ``odds``, and stays until taken."""

    def __init__(self, dut: Any, odds: float, rng: random.Random):
        self._dut, self._odds, self._rng = dut, odds, rng
        self.words: deque[int] = deque()
        self.empty = Event()

    async def run(self) -> None:
        dut, offered = self._dut, False
        while True:
            await RisingEdge(dut.clk)
            if offered and int(dut.command__ready.value):
                self.words.popleft()
                offered = False
                if not self.words:
                    self.empty.set()
            if not offered:
                offered = bool(self.words) and self._rng.random() < self._odds
                dut.command__valid.value = int(offered)
                dut.command__payload.value = int(self.words[0]) if offered else 0


class Monitor:
    """Takes response words with probability ``odds`` a cycle, hands them on, and checks that none is withdrawn."""

    def __init__(self, dut: Any, odds: float, rng: random.Random, sink: Any):
        self._dut, self._odds, self._rng, self._sink = dut, odds, rng, sink

    async def run(self) -> None:
        dut, ready, held = self._dut, False, None
        while True:
            await RisingEdge(dut.clk)
            valid = int(dut.response__valid.value)
            payload = int(dut.response__payload.value) if valid else None
            if held is not None and payload != held:
                raise Mismatch(f"response stream: {held:#010x} was offered and withdrawn before it was taken")
            held = payload if valid and not ready else None
            if valid and ready:
                self._sink(payload)
            ready = self._rng.random() < self._odds
            dut.response__ready.value = int(ready)


class Scoreboard:
    """Compares the answers with golden's as they come; the first difference ends the test."""

    def __init__(self, session: Session):
        self._session = session
        self._expected: deque[Exchange] = deque()
        self._actual: list[int] = []
        self.failure: Mismatch | None = None
        self.drained = Event()

    def expect(self, exchange: Exchange) -> None:
        """An answer to come."""
        self._expected.append(exchange)
        self.drained.clear()

    def take(self, word: int) -> None:
        """The next word of the response stream."""
        if not self._expected:
            self._fail(Mismatch(f"response stream: {word:#010x} came unasked"))
            return
        exchange = self._expected[0]
        self._actual.append(word)
        # A wrong header says how many words follow: nothing behind it can be told apart.
        if len(self._actual) == len(exchange.answer) or (
            word != exchange.answer[0] and len(self._actual) == 1
        ):
            try:
                self._session.check(exchange, self._actual)
            except Mismatch as mismatch:
                self._fail(mismatch)
                return
            self._expected.popleft()
            self._actual = []
            if not self._expected:
                self.drained.set()

    def _fail(self, mismatch: Mismatch) -> None:
        self.failure = self.failure or mismatch
        self.drained.set()

    @property
    def waiting(self) -> str:
        """What is still to come."""
        if not self._expected:
            return "nothing"
        first = self._expected[0]
        had = f"{len(self._actual)} of {len(first.answer)} words"
        return f"{had} to {self._session.describe(first)}, {len(self._expected) - 1} answers after it"


class TileBench:
    """Clock, reset, driver, monitor and scoreboard around a tile; leaving it asserts that nothing is missing.

    Parameters
    ----------
    dut : cocotb's handle of the tile.
    session : what to say and what to hear.
    offer, take : odds that a command word is offered, a response word taken, in a cycle.
    seed : of the stalls.
    """

    def __init__(self, dut: Any, session: Session, *, offer: float = 1.0, take: float = 1.0, seed: int = 0):
        self.dut, self.session, self.seed = dut, session, seed
        rng = random.Random(f"stalls {seed}")
        self.scoreboard = Scoreboard(session)
        self.driver = Driver(dut, offer, random.Random(rng.random()))
        self.monitor = Monitor(dut, take, random.Random(rng.random()), self.scoreboard.take)
        self._clock = Clock(dut.clk, PERIOD_NS, unit="ns")

    async def __aenter__(self) -> Self:
        dut = self.dut
        dut.rst.value = 1
        dut.command__valid.value = dut.command__payload.value = dut.response__ready.value = 0
        self._clock.start()
        await self.cycles(4)
        dut.rst.value = 0
        self._tasks = [cocotb.start_soon(part.run()) for part in (self.driver, self.monitor)]
        return self

    async def __aexit__(
        self, kind: type | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self.drain()
                # Anything sent unasked shows up now.
                await self.cycles(50)
                self._check()
        finally:
            for task in self._tasks:
                task.cancel()
            self._clock.stop()

    async def cycles(self, count: int) -> None:
        """Wait that many clock cycles."""
        for _ in range(count):
            await RisingEdge(self.dut.clk)

    @property
    def cycle(self) -> int:
        """Clock cycles since the simulation's start."""
        return int(cocotb.simtime.get_sim_time("ns")) // PERIOD_NS

    def _check(self) -> None:
        if self.scoreboard.failure is not None:
            raise Mismatch(f"tile, cycle {self.cycle}, seed {self.seed}: {self.scoreboard.failure}")

    async def drain(self) -> None:
        """Wait for every answer."""
        if self.scoreboard.waiting != "nothing":
            try:
                await with_timeout(self.scoreboard.drained.wait(), PATIENCE * PERIOD_NS, "ns")
            except SimTimeoutError:
                raise Mismatch(
                    f"tile, cycle {self.cycle}, seed {self.seed}: no answer in {PATIENCE} cycles; came:"
                    f" {self.scoreboard.waiting}; {len(self.driver.words)} command words not taken"
                ) from None
        self._check()

    async def idle(self) -> None:
        """Wait until all is answered and the tile is not busy."""
        await self.drain()
        await self.cycles(16)
        for _ in range(PATIENCE):
            if not int(self.dut.busy.value):
                return
            await RisingEdge(self.dut.clk)
        raise Mismatch(f"tile, cycle {self.cycle}, seed {self.seed}: still busy after {PATIENCE} cycles")

    async def play(self, exchanges: list[Exchange] | None = None) -> None:
        """Say everything in the session, as fast as waits and stalls allow; commands may queue up."""
        for exchange in self.session.exchanges if exchanges is None else exchanges:
            for wait in exchange.wait:
                await self.idle() if wait is None else await self.cycles(wait)
            self.scoreboard.expect(exchange)
            self.driver.words.extend(exchange.command)
            self._check()
        await self.drain()

    async def reset(self) -> None:
        """Pull reset whatever is going on; the bench forgets what it said."""
        dut = self.dut
        dut.rst.value = 1
        for task in self._tasks:
            task.cancel()
        dut.command__valid.value = dut.response__ready.value = 0
        self.driver.words.clear()
        self.scoreboard.__init__(self.session)
        await self.cycles(3)
        dut.rst.value = 0
        self.monitor._sink = self.scoreboard.take
        self._tasks = [cocotb.start_soon(part.run()) for part in (self.driver, self.monitor)]


def _config(parameters: dict[str, Any]) -> TileConfig:
    """A preset's name, or a whole configuration."""
    found = parameters["config"]
    return load_config(found) if isinstance(found, str) else TileConfig.from_dict(found)


def _bench(dut: Any, session: Session, parameters: dict[str, Any]) -> TileBench:
    odds = {name: parameters.get(name, 1.0) for name in ("offer", "take")}
    return TileBench(dut, session, seed=parameters["seed"], **odds)


@cocotb.test()
async def scenario(dut: Any) -> None:
    """A scenario of tb.scenarios, by name and seed, with stalls."""
    parameters = parameters_of_this_run()
    session = Session(_config(parameters))
    (SCENARIOS | {"wrong": wrong})[parameters["scenario"]](session, parameters["seed"])
    async with _bench(dut, session, parameters) as bench:
        await bench.play()


@cocotb.test()
async def reset_while_running(dut: Any) -> None:
    """Reset in a random cycle of a conversation, then all of it again: nothing is left over."""
    parameters = parameters_of_this_run()
    session = Session(_config(parameters))
    SCENARIOS[parameters["scenario"]](session, parameters["seed"])
    rng = random.Random(f"reset {parameters['seed']}")
    async with _bench(dut, session, parameters) as bench:
        for _ in range(3):
            task = cocotb.start_soon(bench.play())
            await bench.cycles(rng.randint(1, parameters["within"]))
            task.cancel()
            await bench.reset()
        await bench.play()


@cocotb.test()
async def clock_speed(dut: Any) -> None:
    """Cycles per second of this bench while a product runs, into the file named ``report``."""
    parameters = parameters_of_this_run()
    session = Session(_config(parameters))
    machine = RtlMachine(session, session.config)
    machine.load(matmul(session.config, rounds=4095))
    async with _bench(dut, session, parameters) as bench:
        await bench.play()
        start = Exchange([header(Op.START)], [answer(Op.START, 0)])
        started, first = time.perf_counter(), bench.cycle
        while (passed := time.perf_counter() - started) < parameters["seconds"] or bench.cycle == first:
            if not int(dut.busy.value):
                await bench.play([start])
            await bench.cycles(200)
        cycles = bench.cycle - first
        await bench.reset()
    Path(parameters["report"]).write_text(json.dumps({"cycles_per_second": cycles / passed}))
