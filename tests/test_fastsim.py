"""The fast simulator's streams, reset, stalls and traces, on a device small enough to build in seconds."""

import threading

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.hdl import Module, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from lpu.runtime import MachineError
from tb import build
from tb.cocotb_runner import BenchFailure, build_bench, run_bench
from tb.fastsim import Simulation
from tb.native import NativeUnit


class Echo(wiring.Component):
    """A device with the tile's top ports that answers a word with its complement, one in three cycles."""

    command: In(stream.Signature(32))
    response: Out(stream.Signature(32))
    busy: Out(1)
    violation: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = fifo.SyncFIFOBuffered(width=32, depth=8)
        pace = Signal(range(3))
        m.d.sync += pace.eq(pace == 2)
        with m.If(pace == 0):
            m.d.sync += pace.eq(1)
        m.d.comb += [
            self.command.ready.eq(buffer.w_rdy & (pace == 0)),
            buffer.w_en.eq(self.command.valid & (pace == 0)),
            buffer.w_data.eq(~self.command.payload),
            self.response.valid.eq(buffer.r_rdy),
            self.response.payload.eq(buffer.r_data),
            buffer.r_en.eq(self.response.ready),
            self.busy.eq(buffer.r_rdy),
        ]
        with m.If(self.command.valid & self.command.ready & (self.command.payload == 0xBAD)):
            m.d.sync += self.violation.eq(1)
        return m


class MultiplyAdd(wiring.Component):
    """product = a * b after two cycles; wide + 1 after one; parity at once."""

    a: In(24)
    b: In(24)
    wide: In(100)
    product: Out(48)
    plus_one: Out(100)
    parity: Out(1)

    def elaborate(self, platform):
        m = Module()
        first = Signal(48)
        m.d.sync += [first.eq(self.a * self.b), self.product.eq(first), self.plus_one.eq(self.wide + 1)]
        m.d.comb += self.parity.eq((self.a ^ self.b).xor())
        return m


@pytest.fixture(scope="module")
def echo_verilog():
    return verilog.convert(Echo(), name="top", emit_src=False)


@pytest.fixture
def echo(echo_verilog):
    with Simulation(echo_verilog, "echo") as simulation:
        yield simulation


def fst_hierarchy(data):
    """The unpacked names of an FST file: blocks of type, length and body; type 6 is LZ4 over them."""
    at = 0
    while at < len(data):
        kind, length = data[at], int.from_bytes(data[at + 1 : at + 9], "big")
        if kind == 6:
            size = int.from_bytes(data[at + 9 : at + 17], "big")
            names = lz4_block(data[at + 17 : at + 1 + length])
            assert len(names) == size
            return names
        at += 1 + length
    raise AssertionError("no hierarchy")


def lz4_block(data):
    """An LZ4 block, unpacked."""
    out, at = bytearray(), 0

    def length(start, at):
        more = 255 if start == 15 else 0
        while more == 255:
            more, at = data[at], at + 1
            start += more
        return start, at

    while at < len(data):
        token = data[at]
        literals, at = length(token >> 4, at + 1)
        out += data[at : at + literals]
        at += literals
        if at < len(data):
            back = int.from_bytes(data[at : at + 2], "little")
            copies, at = length(token & 15, at + 2)
            for _ in range(copies + 4):
                out.append(out[-back])
    return bytes(out)


def numbers(n, seed=1):
    return np.random.default_rng(seed).integers(0, 2**32, n, dtype=np.uint32)


def test_every_word_comes_back_in_order(echo):
    words = numbers(1000)
    echo.send(words)
    assert (echo.receive(1000) == ~words).all()
    assert not echo.busy and not echo.violation and echo.unsent == 0 and echo.waiting == 0


@pytest.mark.parametrize("offer,take", [(0.1, 1.0), (1.0, 0.1), (0.5, 0.5), (0.05, 0.05)])
def test_stalls_lose_and_double_nothing(echo, offer, take):
    words = numbers(300, seed=2)
    echo.stall(offer, take, seed=7)
    echo.send(words)
    free = echo.cycles
    assert (echo.receive(300) == ~words).all()
    assert echo.cycles - free > 300 / min(offer, take) * 0.7


def test_the_same_seed_stalls_the_same_way(echo_verilog):
    taken = []
    for _ in range(2):
        with Simulation(echo_verilog, "echo") as simulation:
            simulation.stall(0.3, 0.3, seed=5)
            simulation.send(numbers(100))
            simulation.receive(100)
            taken.append(simulation.cycles)
    assert taken[0] == taken[1]


def test_a_silent_device_is_given_up_on(echo):
    echo.send(numbers(3))
    with pytest.raises(MachineError, match="gave 3 of 4 words"):
        echo.receive(4, patience=100)


def test_wait_until_idle_stops_early(echo):
    echo.stall(take=0.0)
    echo.send(numbers(4))
    echo.wait(50, until_idle=True)
    assert echo.busy
    echo.stall()
    before = echo.cycles
    echo.wait(1_000_000, until_idle=True)
    assert not echo.busy and echo.cycles - before < 20 and echo.waiting == 4


def test_reset_forgets_and_the_pins_are_seen(echo):
    echo.send(np.array([0xBAD], np.uint32))
    echo.step(10)
    assert echo.violation
    echo.send(numbers(1000))
    echo.step(100)
    echo.reset()
    assert not echo.violation and not echo.busy and echo.unsent == 0 and echo.waiting == 0
    echo.send(np.array([5], np.uint32))
    assert echo.receive(1)[0] == 0xFFFFFFFA


def test_trace(echo_verilog, tmp_path, echo):
    with Simulation(echo_verilog, "echo", trace=True) as simulation:
        simulation.trace(tmp_path / "echo.fst")
        simulation.send(numbers(10))
        simulation.receive(10)
        with pytest.raises(MachineError, match="cannot record"):
            simulation.trace(tmp_path / "absent" / "echo.fst")
    names = fst_hierarchy((tmp_path / "echo.fst").read_bytes())
    assert b"command__payload" in names and b"pace" in names
    with pytest.raises(MachineError, match="trace=True"):
        echo.trace(tmp_path / "none.fst")


def test_native_unit():
    rng = np.random.default_rng(3)
    n = 20_000
    a, b = rng.integers(0, 2**24, (2, n))
    wide = rng.integers(0, 2**32, (n, 4), dtype=np.uint32)
    wide[:, 3] &= 15
    wide[::7] = [0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 15]
    with NativeUnit(MultiplyAdd(), "multiply-add") as unit:
        got = unit.stream({"a": a, "b": b, "wide": wide}, latency={"product": 2, "plus_one": 1})
        held = unit.stream({"a": a, "b": 3}, latency=2)["product"]
        with pytest.raises(ValueError, match="no input port c"):
            unit.stream({"c": a})
        with pytest.raises(ValueError, match="lengths"):
            unit.stream({"a": a, "b": b[1:]})
        with pytest.raises(ValueError, match=r"give uint32 \[n, 4\]"):
            unit.stream({"wide": a})
    assert (got["product"] == (a * b).astype(np.uint64)).all()
    assert (held == (a * 3).astype(np.uint64)).all()
    as_number = [sum(int(w) << 32 * i for i, w in enumerate(row)) for row in wide]
    result = [sum(int(w) << 32 * i for i, w in enumerate(row)) for row in got["plus_one"]]
    assert result == [(v + 1) % 2**100 for v in as_number]
    assert (got["parity"] == [int(v).bit_count() & 1 for v in a ^ b]).all()


def test_one_build_for_two_who_ask_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("LPU_CACHE", str(tmp_path))
    built = []

    def ask():
        with build.build_once("thing", "key") as (folder, work):
            if work is not None:
                built.append(work)
                (work / "file").write_text("done")
        assert (folder / "file").read_text() == "done"

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert sorted(p.name for p in (tmp_path / "verilator").iterdir()) == ["thing-key", "thing-key.lock"]


def test_a_failed_build_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("LPU_CACHE", str(tmp_path))
    with pytest.raises(build.BuildError, match=r"(?s)verilator failed.*syntax error"):
        build.shared_library("broken", "module top; nonsense endmodule", "", quiet=True)
    assert [p.name for p in (tmp_path / "verilator").iterdir() if p.suffix != ".lock"] == []


def test_cocotb_records_waves_of_what_failed(echo_verilog, tmp_path):
    folder = build_bench("echo", echo_verilog, waves=True)
    with pytest.raises(
        BenchFailure, match=r"(?s)answer header: expected 0x80000003, actual 0xffffffff.*repeat"
    ):
        parameters = {"config": "tiny", "scenario": "commands", "seed": 1}
        run_bench(folder, "tb.tile", parameters, tests=["scenario"], waves=tmp_path)
    assert b"command__payload" in (tmp_path / "dump.vcd").read_bytes()


def test_cocotb_without_a_test_is_a_failure(echo_verilog):
    folder = build_bench("echo", echo_verilog, waves=True)
    with pytest.raises(BenchFailure, match="no cocotb test ran"):
        run_bench(folder, "tb.tile", {}, tests=["absent"])
