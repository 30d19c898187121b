"""Random instructions and programs for tests of text, encoding and files. They make no sense as schedules."""

import random

from lpu.isa import LOOP_INDEX, FieldKind, Instruction, IsaError, encode, layout, queue_names
from lpu.program import Program

CONTROL_ONLY = ("HALT", "LOOP", "SYNC", "NOTIFY")


def random_instruction(config, queue, rng, name=None):
    """An instruction of a queue that encodes, of one op or any; boundary values are likely."""
    lay = layout(config, queue)
    while True:
        op = lay.ops[name or rng.choice(list(lay.ops))]
        args, strides, index = {}, {}, {}
        for f in op.fields:
            width = lay.fields[op.name][f.name][1]
            low, high = (
                (-(1 << (width - 1)), (1 << (width - 1)) - 1)
                if f.kind is FieldKind.SINT
                else (0, (1 << width) - 1)
            )
            if f.enum is not None:
                high = max(f.enum)
            args[f.name] = rng.choice([low, high, rng.randint(low, high)])
            if f.kind is FieldKind.WORD:
                args[f.name] = 8 * rng.randrange(config.words) + rng.randrange(2)
            if f.slot is not None:
                limit = 1 << (lay.slots[f.slot].width - 1)
                if stride := rng.choice([0, 1, -limit, limit - 1]):
                    strides[f.name] = stride
                if select := rng.choice([0, rng.randrange(config.index_registers), LOOP_INDEX]):
                    index[f.name] = select
        timing = (
            {}
            if op.name in CONTROL_ONLY
            else {
                "count": rng.choice([1, 1024, rng.randint(1, 1024)]),
                "interval": rng.choice([1, 64, rng.randint(1, 64)]),
                "gap": rng.choice([0, 63, rng.randint(0, 63)]),
            }
        )
        instruction = Instruction(op.name, args, strides=strides, index=index, **timing)
        try:
            encode(config, queue, instruction)
        except IsaError:
            continue
        return instruction


def random_program(config, seed):
    """A program with words in every queue, images, entries, symbols and formulas."""
    rng = random.Random(seed)
    program = Program(config, entries={"main": 0, "again": 3})
    for queue in queue_names(config):
        program.queues[queue] = [random_instruction(config, queue, rng) for _ in range(8)]
    size = config.lanes * 4
    program.images["mem0"] = bytes(3 * size) + rng.randbytes(2 * size) + bytes(size)
    program.images["masks"] = (
        b"\xff" * ((config.lanes + 7) // 8) if config.lanes >= 8 else bytes([(1 << config.lanes) - 1])
    )
    program.symbols = {"result": {"slice": "mem0", "start": 4}, "note": "# not a comment"}
    program.cycles = {"main": 85, "again": "40 + 3*X1"}
    return program
