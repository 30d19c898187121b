"""A tile's Verilog with a testbench in C++ that needs no Python: ``lpu verilog --config C -o FILE --testbench FOLDER``.

The testbench says to the tile what a host said to the golden model, and compares every answer: a random program is loaded and
run, memories, status and FIFOs are read back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lpu.arch import SliceKind, TileConfig
from lpu.runtime import RtlMachine
from rtl.verilog import write
from tb.matmul import matmul
from tb.session import Session

_MAIN = r"""// A host's conversation with a tile, recorded on the golden model: every answer is compared.
#include <cstdint>
#include <cstdio>
#include <deque>

#include "Vlpu_tile.h"
#include "conversation.h"
#include "verilated.h"

int main() {
    VerilatedContext context;
    Vlpu_tile tile{&context};
    std::deque<uint32_t> commands, answers;
    uint64_t cycles = 0, compared = 0;
    auto cycle = [&] {
        tile.command_valid = !commands.empty();
        tile.command_payload = commands.empty() ? 0 : commands.front();
        tile.response_ready = 1;
        tile.clk = 0;
        tile.eval();
        if (tile.command_valid && tile.command_ready) commands.pop_front();
        if (tile.response_valid) answers.push_back(tile.response_payload);
        tile.clk = 1;
        tile.eval();
        cycles++;
    };
    tile.rst = 1;
    for (int n = 0; n < 4; n++) cycle();
    tile.rst = 0;
    answers.clear();
    for (size_t at = 0; at < sizeof conversation / sizeof *conversation;) {
        const uint32_t sent = conversation[at++], expected = conversation[at++], wait = conversation[at++];
        for (uint64_t n = 0; wait && n < 16; n++) cycle();
        for (uint64_t n = 0; wait && n < 100000000 && tile.busy; n++) cycle();
        for (uint64_t n = 0; wait && n < 256; n++) cycle();
        for (uint32_t n = 0; n < sent; n++) commands.push_back(conversation[at++]);
        for (uint64_t n = 0; answers.size() < expected && n < 1000000ull + 64 * sent; n++) cycle();
        for (uint32_t n = 0; n < expected; n++, at++, compared++) {
            if (answers.empty() || answers.front() != conversation[at]) {
                std::printf("FAIL: word %u of an answer is not %08x\n", n, conversation[at]);
                return 1;
            }
            answers.pop_front();
        }
    }
    const unsigned long long words = compared, run = cycles;
    std::printf("PASS: %llu words of answers equal in %llu cycles\n", words, run);
    return 0;
}
"""
_MAKEFILE = """# Needs Verilator 5.036 or later, g++ and make.
run: obj_dir/Vlpu_tile
\t./obj_dir/Vlpu_tile

obj_dir/Vlpu_tile: tile.v main.cpp conversation.h
\tverilator --cc --exe --build -O3 --x-assign fast --x-initial fast --no-timing -Wno-lint -Wno-style \\
\t\t--top-module lpu_tile -CFLAGS -I.. tile.v main.cpp
"""


def conversation(config: TileConfig) -> Session:
    """A product loaded, run twice and read back, on the golden model."""
    session = Session(config)
    machine = RtlMachine(session, config)
    machine.load(matmul(config))
    machine.push_tokens([1, 2, 3][: config.token_fifo])
    for _ in range(2):
        machine.run()
    for name, spec in zip(config.slice_names, config.floorplan, strict=True):
        if spec.kind is SliceKind.MEM:
            machine.read_memory(name, 0, spec.depth)
    machine.index_registers()
    machine.pop_tokens()
    machine.clear()
    machine.status()
    return session


def write_testbench(config: TileConfig, folder: Path) -> None:
    """tile.v, main.cpp, conversation.h and a Makefile. Raises ValueError where the configuration cannot compute a product."""
    folder.mkdir(parents=True, exist_ok=True)
    write(config, folder / "tile.v")
    (folder / "main.cpp").write_text(_MAIN)
    (folder / "Makefile").write_text(_MAKEFILE)
    (folder / "conversation.h").write_text("\n".join(_words(conversation(config))))


def _words(session: Session) -> Iterator[str]:
    yield "// Of each command: words sent, words answered, whether to wait for an idle tile first; then both."
    yield "static const uint32_t conversation[] = {"
    for exchange in session.exchanges:
        numbers = [len(exchange.command), len(exchange.answer), int(bool(exchange.wait))]
        yield ", ".join(f"0x{n:x}" for n in (*numbers, *exchange.command, *exchange.answer)) + ","
    yield "};"
    yield ""
