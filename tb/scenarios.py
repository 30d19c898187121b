"""Conversations of a host with a tile, each a function of a session and a seed.

They are recorded on the golden model (:class:`tb.session.Session`) and replayed on RTL, under cocotb or on the
fast simulator.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from lpu.arch import SliceKind
from lpu.isa import Instruction, encode, queue_names
from lpu.program import Program
from lpu.runtime import MachineError, RtlMachine
from lpu.runtime.protocol import MAGIC, Op, Space, answer, entry_words, header, split_words
from tb.hostport import HostPort, Refused
from tb.matmul import RESULT, expected, matmul
from tb.programs import feed, illegal, legal
from tb.session import Exchange, Session


def read_everything(machine: RtlMachine) -> None:
    """All state that a host can see."""
    for name, spec in zip(machine.config.slice_names, machine.config.floorplan, strict=True):
        if spec.kind is SliceKind.MEM:
            machine.read_memory(name, 0, spec.depth)
    machine.index_registers()
    machine.pop_tokens()
    machine.pop_vectors()
    machine.status()


def random_program(session: Session, seed: int) -> None:
    """A legal random program, everything read back."""
    machine = RtlMachine(session, session.config)
    machine.clear()
    feed(machine, legal(session.config, seed))
    machine.run()
    read_everything(machine)


def illegal_program(session: Session, seed: int) -> None:
    """A program with a violation: only which one it was is compared, what follows is not defined."""
    machine = RtlMachine(session, session.config)
    machine.clear()
    program, what = illegal(session.config, seed)
    session.note = what
    feed(machine, program)
    session.violation_only = True
    machine.run()


def product(session: Session, seed: int) -> None:
    """A matrix product, checked against NumPy while it is recorded."""
    machine = RtlMachine(session, session.config)
    program = matmul(session.config, seed)
    machine.load(program)
    machine.run()
    memory, start, count = program.symbols[RESULT]
    result = machine.read_memory(memory, start, count).view(np.int32)
    assert (result == expected(program)).all(), "the golden model does not compute the product"
    machine.clear()


def commands(session: Session, seed: int) -> None:
    """Commands with random spaces, entries and lengths, right and wrong."""
    rng, config = random.Random(f"commands {seed}"), session.config
    RtlMachine(session, config)
    queues = len(queue_names(config))
    known = [*range(len(config.floorplan)), *range(Space.QUEUE, Space.QUEUE + queues), 128, 129, 130]
    for _ in range(60):
        op = rng.choice([*Op, Op.WRITE, Op.READ, Op.WRITE, Op.READ, rng.randint(9, 127)])
        space, n, arguments = 0, 0, []
        if op in (Op.WRITE, Op.READ):
            space = rng.choice(known) if rng.random() < 0.85 else rng.randint(0, 255)
            n, start = _extent(session, rng, space)
            # Queues hold zeros, which is HALT, so that START may come at any time.
            bits = 0 if Space.QUEUE <= space < Space.INDEX else 32
            arguments = [start] + [
                rng.getrandbits(32) & ((1 << bits) - 1) for _ in range(n * (op == Op.WRITE))
            ]
        elif op == Op.TOKENS_IN:
            n = rng.randint(0, config.token_fifo)
            arguments = [rng.getrandbits(32) for _ in range(n)]
        elif op == Op.VECTORS_IN:
            n = rng.randint(0, config.vector_fifo) * config.lanes
            arguments = [rng.getrandbits(32) for _ in range(n)]
        elif op in (Op.TOKENS_OUT, Op.VECTORS_OUT):
            n = rng.choice([0, config.lanes, 0xFFFF])
        elif op == Op.START:
            n = rng.choice([0, config.queue_depth - 1, config.queue_depth, 0xFFFF])
        _say(session, [header(op, n, space) if op in set(Op) else op << 24, *arguments])
        if op == Op.START:
            session.wait(0, until_idle=True)
    read_everything(RtlMachine(session, config))


def _extent(session: Session, rng: random.Random, space: int) -> tuple[int, int]:
    """Words and first entry, mostly within the space and now and then past its end; or part of an entry."""
    try:
        size, room = entry_words(session.config, space), session.port.room(space)
    except (MachineError, Refused):
        return rng.randint(0, 3), rng.randint(0, 3)
    count = rng.randint(0, min(room, 6))
    start = rng.choice([0, rng.randint(0, room - count), room - count, room - count + 1, room, 1 << 31])
    if start + count < room and rng.random() < 0.3:
        return count * size + rng.randint(0, size - 1), start
    return count * size, start


def _say(session: Session, words: list[int]) -> None:
    session.send(np.array(words, np.uint32))
    session.receive(session.port.waiting)


def several(session: Session, seed: int) -> None:
    """Programs one after the other, with FIFOs, registers and memories kept from each to the next."""
    rng = random.Random(f"several {seed}")
    machine = RtlMachine(session, session.config)
    machine.load(Program(session.config, {"host0.port": [Instruction("NOP", count=5), Instruction("HALT")]}))
    machine.run()
    for _ in range(3):
        machine.clear()
        feed(machine, legal(session.config, rng.randint(0, 1 << 30)))
        machine.run()
    read_everything(machine)


def while_running(session: Session, seed: int) -> None:
    """What a tile serves while a program runs, and what it refuses; then CLEAR. The answers are literal."""
    config, rng = session.config, random.Random(f"while running {seed}")
    machine = RtlMachine(session, config)
    endless = [Instruction("LOOP", {"count": 4095, "index": 0, "length": 1, "step": 0})]
    endless += [Instruction("NOP", count=1024, interval=64), Instruction("HALT")]
    port = Space.QUEUE + queue_names(config).index("host0.port")
    size = entry_words(config, port)
    words = [word for i in endless for word in split_words(encode(config, "host0.port", i), size)]
    _say(session, [header(Op.WRITE, len(words), port), 0, *words])
    memory = next(p for p, spec in enumerate(config.floorplan) if spec.kind is SliceKind.MEM)
    fingerprint = int(config.fingerprint, 16)
    served = [
        ([header(Op.PING)], [answer(Op.PING, 0, 3), MAGIC, fingerprint >> 32, fingerprint & 0xFFFFFFFF]),
        ([header(Op.READ, 1, Space.STATUS), 0], [answer(Op.READ, 0, 1), 1]),
        ([header(Op.READ, 4, Space.STATUS), 6], [answer(Op.READ, 0, 4), 2, 0, 1, 0]),
        ([header(Op.TOKENS_OUT, 9)], [answer(Op.TOKENS_OUT, 0)]),
        ([header(Op.VECTORS_OUT, config.lanes)], [answer(Op.VECTORS_OUT, 0)]),
    ]
    refused = [
        ([header(Op.READ, 1, memory), 0], [answer(Op.READ, 4)]),
        ([header(Op.READ, 1, Space.INDEX), 0], [answer(Op.READ, 4)]),
        ([header(Op.WRITE, 3, memory), 0, 7, 8, 9], [answer(Op.WRITE, 4)]),
        ([header(Op.WRITE, 1, Space.MASK), 1, 7], [answer(Op.WRITE, 4)]),
        ([header(Op.START, 0)], [answer(Op.START, 4)]),
        ([header(9)], [answer(9, 1)]),
    ]
    rest = [*served, *refused, *served, *refused]
    rng.shuffle(rest)
    for command, reply in [
        ([header(Op.START, 0)], [answer(Op.START, 0)]),
        ([header(Op.TOKENS_IN, 2), 5, 6], [answer(Op.TOKENS_IN, 0)]),
        ([header(Op.VECTORS_IN, config.lanes), *range(config.lanes)], [answer(Op.VECTORS_IN, 0)]),
        *rest,
        ([header(Op.CLEAR)], [answer(Op.CLEAR, 0)]),
    ]:
        session.exchanges.append(Exchange(command, reply))
    session.port = HostPort(config)
    session.wait(0, until_idle=True)
    machine.status()


def wrong(session: Session, seed: int) -> None:
    """A conversation with a lie in it: a bench that lets it pass is broken."""
    machine = RtlMachine(session, session.config)
    machine.write_memory("mem0", 5, np.arange(1, session.config.lanes + 1, dtype=np.uint32)[None])
    machine.read_memory("mem0", 5, 1)
    session.exchanges[-1].answer[3] = 99


SCENARIOS: dict[str, Callable[[Session, int], None]] = {
    "random": random_program,
    "illegal": illegal_program,
    "product": product,
    "commands": commands,
    "several": several,
    "while running": while_running,
}
