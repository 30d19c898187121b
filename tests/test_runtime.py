"""The host driver: literal words on the wire, errors in one line, the golden tile behind the protocol."""

import numpy as np
import pytest

from golden.tile import Tile
from lpu.arch import PRESETS
from lpu.isa import Instruction, east
from lpu.program import Program
from lpu.runtime import MachineError, RtlMachine, Violation, ViolationKind
from lpu.runtime.protocol import MachineStatus, Op, check_answer, entry_words, header
from tb.hostport import HostPort

TINY = PRESETS["tiny"]
FINGERPRINT = int(TINY.fingerprint, 16)
PING_ANSWER = [0x80000003, 0x4C505531, FINGERPRINT >> 32, FINGERPRINT & 0xFFFFFFFF]


class Script:
    """A transport that records what is sent and answers from a list."""

    def __init__(self, *answers):
        self.answers = [*PING_ANSWER, *answers]
        self.sent = []

    def send(self, words):
        self.sent.append([int(w) for w in words])

    def receive(self, count):
        words, self.answers = self.answers[:count], self.answers[count:]
        assert len(words) == count
        return np.array(words, np.uint32)

    def wait(self, cycles, *, until_idle):
        self.sent.append((cycles, until_idle))


def machine(*answers):
    script = Script(*answers)
    return RtlMachine(script, TINY), script


def counting(config=TINY):
    """A program: word 0 to word 5 of mem0; a pass; X1 = 7 pushed as a token; a vector through."""
    return Program(
        config,
        queues={
            "mem0.read": [Instruction("READ", {"addr": 0, "dst": east(4)}), Instruction("HALT")],
            "host0.port": [
                Instruction("CONFIG", {"x": 1, "value": 7}, gap=3),
                Instruction("PUSH", {"src": 1}),
                Instruction("VPOP", {"dst": east(0)}),
                Instruction("HALT"),
            ],
            "mxm0.passes": [Instruction("PASS", {"ctx": 1, "act": 0, "acc": 0, "clear": 1}, count=3)],
        },
        images={
            "mem0": np.arange(8, dtype="<u4").tobytes(),
            "mxm0": np.arange(32, dtype=np.int8).tobytes(),
            "masks": bytes([15, 3]),
        },
        entries={"main": 0, "end": 1},
    )


def test_ping_is_the_first_thing_said():
    _, script = machine()
    assert script.sent == [[0x00000000]]


def test_words_of_a_memory_write_and_read():
    m, script = machine(0x81000000, 0x82000008, *range(8))
    m.write_memory("mem0", 3, np.arange(8, dtype=np.uint32).reshape(2, 4))
    assert script.sent[1] == [0x01010008, 3, 0, 1, 2, 3, 4, 5, 6, 7]
    assert m.read_memory("mem0", 3, 2).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert script.sent[2] == [0x02010008, 3]


def test_floats_keep_their_bits():
    m, script = machine(0x81000000)
    m.write_memory("mem1", 0, np.full((1, 4), 1.0, np.float32))
    assert script.sent[1] == [0x01050004, 0] + [0x3F800000] * 4


def test_long_writes_are_split_at_whole_entries():
    m, script = machine(0x81000000, 0x81000000)
    m.write_space(1, 0, np.zeros(65536, np.uint32), "write")
    assert [len(words) for words in script.sent[1:]] == [65532 + 2, 4 + 2]
    assert script.sent[2][:2] == [0x01010004, 16383]


def test_words_of_the_other_commands():
    m, script = machine(
        0x84000000,
        0x85000002,
        5,
        65535,
        0x86000000,
        0x87000004,
        1,
        2,
        3,
        4,
        0x82000008,
        *range(8),
        0x88000000,
    )
    m.push_tokens([1, 0xFFFF])
    assert script.sent[-1] == [0x04000002, 1, 0xFFFF]
    assert m.pop_tokens() == [5, 65535]
    assert script.sent[-1] == [0x0500FFFF]
    m.push_vectors(np.array([[9, 8, 7, 6]], np.uint32))
    assert script.sent[-1] == [0x06000004, 9, 8, 7, 6]
    assert m.pop_vectors().tolist() == [[1, 2, 3, 4]]
    assert script.sent[-1] == [0x0700FFFC]
    assert m.index_registers().tolist() == list(range(8))
    assert script.sent[-1] == [0x02800008, 0]
    m.clear()
    assert script.sent[-1] == [0x08000000]


def test_run_waits_and_reads_the_status_when_everything_has_settled():
    status = [0x8200000A, 3, 0x0302, 41, 99, 0, 12, 0, 0, 0, 0]
    idle = [0x8200000A, 2, 0x0302, 41, 100, 0, 12, 0, 0, 0, 0]
    m, script = machine(0x83000000, *status, *idle, *idle)
    m._program = counting()
    result = m.run("end", max_cycles=500)
    assert (result.cycles, result.passes) == (100, 12)
    assert result.violation == Violation(41, 3, ViolationKind.NO_OPERAND)
    assert result.violation.describe(TINY) == "NO_OPERAND at mxm0 (position 3) in cycle 41"
    read = [0x0282000A, 0]
    assert script.sent[1:4] == [[0x03000001], (501, True), read]
    assert script.sent[5] == read and script.sent[6][1] is False and script.sent[7] == read


def test_a_run_that_does_not_end_is_cleared():
    status = [0x8200000A, 1, 0, 0, 700, 0, 0, 0, 0, 0, 0]
    m, script = machine(0x83000000, *status, 0x88000000)
    m._program = counting()
    with pytest.raises(MachineError, match=r"run main: not idle after 500 cycles: .*SYNC"):
        m.run(max_cycles=500)
    assert script.sent[-1] == [0x08000000]


def test_a_cycle_count_has_64_bits():
    assert MachineStatus.decode([0, 0, 0, 5, 2, 0, 1, 2, 3, 4]) == MachineStatus(
        False, None, (2 << 32) + 5, 0, 1, 2, 3, 4
    )


@pytest.mark.parametrize(
    "status,text",
    [
        (1, "does not know this command"),
        (2, "no such space"),
        (3, "past the end"),
        (4, "a program is running"),
        (5, "no room in the FIFO"),
        (9, "status 9"),
    ],
)
def test_every_error_status_is_one_line(status, text):
    m, _ = machine(0x84000000 | status << 16)
    with pytest.raises(MachineError, match=text) as error:
        m.push_tokens([1])
    assert str(error.value).startswith("push 1 tokens: ") and "\n" not in str(error.value)


def test_out_of_step():
    with pytest.raises(MachineError, match="out of step"):
        check_answer(Op.READ, 0x81000000, "read")
    m, _ = machine(0x82000007, *range(7))
    with pytest.raises(MachineError, match="7 words, not 8"):
        m.index_registers()


def test_another_configuration_is_refused():
    with pytest.raises(MachineError, match=rf"not sim16 \({PRESETS['sim16'].fingerprint}\)"):
        RtlMachine(Script(), PRESETS["sim16"])
    script = Script()
    script.answers[1] = 0
    with pytest.raises(MachineError, match="no LPU tile"):
        RtlMachine(script, TINY)
    m, _ = machine()
    with pytest.raises(MachineError, match="made for sim16"):
        m.load(counting(PRESETS["sim16"]))


@pytest.mark.parametrize(
    "do,text",
    [
        (lambda m: m.run(), "no program is loaded"),
        (lambda m: m.read_memory("mxm0", 0, 1), "no memory 'mxm0' in tiny: it has mem0, mem1"),
        (
            lambda m: m.write_memory("mem0", 0, np.zeros(4, np.uint32)),
            r"give 32-bit \[n, 4\], not uint32 \[4\]",
        ),
        (lambda m: m.push_vectors(np.zeros((1, 4))), "not float64"),
        (lambda m: m.push_tokens([65536]), "16 bits"),
    ],
)
def test_mistakes_of_the_caller(do, text):
    m, _ = machine()
    with pytest.raises(MachineError, match=text):
        do(m)


def test_entries_and_headers():
    assert [entry_words(TINY, s) for s in (1, 3, 128, 129, 130)] == [4, 1, 1, 1, 1]
    assert entry_words(PRESETS["sim64"], 129) == 2
    with pytest.raises(MachineError, match="space 2 has no entries"):
        entry_words(TINY, 2)
    with pytest.raises(MachineError, match="do not fit"):
        header(Op.READ, 65536)


def test_the_golden_tile_behind_the_protocol_equals_the_golden_tile():
    program = counting()
    direct, port = Tile(TINY), HostPort(TINY)
    behind = RtlMachine(port, TINY)
    vectors = np.arange(8, dtype=np.uint32).reshape(2, 4)
    for m in (direct, behind):
        m.load(program)
        m.push_vectors(vectors)
    for entry in ("main", "end"):
        assert direct.run(entry) == behind.run(entry)
    assert (direct.read_memory("mem0", 0, 64) == behind.read_memory("mem0", 0, 64)).all()
    assert direct.index_registers().tolist() == behind.index_registers().tolist() == [0, 7, 0, 0, 0, 0, 0, 0]
    assert direct.pop_tokens() == behind.pop_tokens() == [7, 7]
    assert (port.tile.slices["mxm0"].weights == direct.slices["mxm0"].weights).all()
    assert behind.status().tokens_out == 0


def test_a_second_program_replaces_the_queues_of_the_first():
    behind = RtlMachine(HostPort(TINY), TINY)
    behind.load(counting())
    behind.push_vectors(np.zeros((1, 4), np.uint32))
    behind.run()
    behind.load(Program(TINY, entries={"main": 0, "late": 3}))
    assert behind.run().cycles == 0 and behind.run("late").cycles == 0
    assert behind.pop_tokens() == [7]
    with pytest.raises(MachineError, match="no entry 'end': it has main, late"):
        behind.run("end")


def test_fifo_without_room_pushes_nothing():
    behind = RtlMachine(HostPort(TINY), TINY)
    with pytest.raises(MachineError, match="push 17 tokens: no room"):
        behind.push_tokens(range(17))
    assert behind.status().tokens_in == 0
    behind.push_tokens(range(16))
    assert behind.status().tokens_in == 16
    with pytest.raises(MachineError, match="read mem0 from 63: past the end"):
        behind.read_memory("mem0", 63, 2)


def test_a_transport_that_carries_little():
    """Everything is split to what one command may have, and FIFOs are still filled wholly or not at all."""
    port = HostPort(TINY)
    port.max_words = 9
    machine = RtlMachine(port, TINY)
    lengths, send = [], port.send
    port.send = lambda words: (lengths.append(len(words)), send(words))
    words = np.arange(20, dtype=np.uint32).reshape(5, 4)
    machine.write_memory("mem0", 3, words)
    assert np.array_equal(machine.read_memory("mem0", 3, 5), words)
    machine.push_tokens(range(12))
    assert machine.status().tokens_in == 12
    with pytest.raises(MachineError, match="push 10 tokens: no room in the FIFO, nothing was pushed"):
        machine.push_tokens(range(10))
    assert machine.status().tokens_in == 12
    machine.push_vectors(words)
    assert machine.status().vectors_in == 5
    with pytest.raises(MachineError, match="push 5 vectors: no room"):
        machine.push_vectors(words)
    moves = [
        Instruction(op, {"x": 1} if op == "POP" else {"src": 1}) for _ in range(12) for op in ("POP", "PUSH")
    ]
    spaced = [i for move in moves for i in (move, Instruction("NOP", {}, 1, 1, 8))]
    machine.load(Program(TINY, {"host0.port": [*spaced, Instruction("HALT", {})]}))
    machine.run()
    assert machine.pop_tokens() == list(range(12))
    assert machine.pop_tokens() == []
    assert max(lengths) <= 2 + 9
