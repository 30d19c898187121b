"""The simulated board through its UART pins, driven by the driver of real boards: runs, faults on the line, refusals."""

import dataclasses
import os
import threading
import time

import numpy as np
import pytest

from golden.tile import Tile
from lpu.arch import PRESETS
from lpu.isa import Instruction
from lpu.program import Program
from lpu.runtime import MachineError
from lpu.runtime.board import BoardMachine, connect, load_commands
from lpu.runtime.frames import Frame, Kind, encode, image_crc
from lpu.runtime.hostlink import FrameLink, LinkTransport
from lpu.runtime.protocol import Op, Space, header
from lpu.runtime.serial import SerialLine
from tb.boardsim import SimulatedBoard
from tb.matmul import RESULT, matmul
from tests.linefaults import FaultyLine

TINY = PRESETS["tiny"]
PROGRAM = matmul(TINY, seed=3)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    with SimulatedBoard(TINY, port=tmp_path_factory.mktemp("dev") / "board") as board:
        yield board


@pytest.fixture
def fresh(board, monkeypatch):
    """The board as after power on, but for its memories; ports that a test opens are closed behind it."""
    board.plug()
    board.power_cycle()
    lines, open_one = [], SerialLine.__init__

    def opened(line, *arguments):
        lines.append(line)
        open_one(line, *arguments)

    monkeypatch.setattr(SerialLine, "__init__", opened)
    yield board
    for line in lines:
        line.close()


@pytest.fixture(scope="module")
def golden():
    tile = Tile(TINY)
    tile.load(PROGRAM)
    return tile.run(), result(tile)


def result(machine):
    return machine.read_memory(*PROGRAM.symbols[RESULT])


def raw(board):
    """A session of frames, with nothing above."""
    link = FrameLink(SerialLine(board.port), patience=0.5)
    link.hello()
    return link


def one_line(call, *arguments, **options):
    with pytest.raises(MachineError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_board_is_the_tile(fresh, golden):
    machine = connect(fresh.port, TINY, board="simulated", patience=10)
    assert machine.identity.clock == 60_000_000
    assert not machine.identity.loaded
    machine.load(PROGRAM)
    done = machine.run()
    assert done == golden[0]
    assert np.array_equal(result(machine), golden[1])
    assert machine.link.repeated == machine.link.damaged == 0
    assert fresh.leds & 0b1100 == 0b0100


def test_all_that_a_machine_can(fresh):
    """FIFOs, registers, memories, status, and counts that take more than one frame."""
    machine = connect(fresh.port, TINY)
    words = np.arange(64 * 4, dtype=np.uint32).reshape(64, 4) * 0x01C0DBDD
    machine.write_memory("mem0", 0, words)
    assert np.array_equal(machine.read_memory("mem0", 0, 64), words)
    machine.push_tokens(range(5))
    machine.push_vectors(words[:3])
    status = machine.status()
    assert (status.busy, status.tokens_in, status.vectors_in) == (False, 5, 3)
    assert machine.index_registers().tolist() == [0] * TINY.index_registers
    assert machine.pop_tokens() == []
    assert machine.pop_vectors().shape == (0, 4)
    assert "no room in the FIFO" in one_line(machine.push_tokens, range(99))
    machine.clear()
    assert machine.status().tokens_in == 0


@pytest.mark.parametrize(
    ("drop", "corrupt", "double"), [(2e-3, 0, 0), (0, 2e-3, 0), (0, 0, 2e-3), (8e-4, 8e-4, 8e-4)]
)
def test_bytes_dropped_corrupted_doubled(fresh, golden, drop, corrupt, double):
    """Whatever happens to bytes, the program is loaded whole and every command is executed once."""
    for seed in range(2):
        line = FaultyLine(fresh.port, seed=seed, drop=drop, corrupt=corrupt, double=double)
        machine = BoardMachine(FrameLink(line, patience=0.25), TINY)
        for turn in range(3):
            machine.load(PROGRAM)
            machine.push_tokens([7, 8, 9])
            assert machine.run() == golden[0]
            assert np.array_equal(result(machine), golden[1])
            assert machine.status().tokens_in == 3 * (turn + 1)
        assert sum(line.faults) > 3
        assert machine.link.repeated > 0
        line.close()


def test_a_request_that_comes_twice_is_executed_once(fresh):
    line = FaultyLine(fresh.port)
    machine = BoardMachine(FrameLink(line, patience=0.2), TINY)
    line.double_frames = 2
    machine.push_tokens([1, 2])
    assert machine.status().tokens_in == 2
    line.lose_answers = 2
    machine.push_tokens([3])
    assert machine.link.repeated == 2
    assert machine.status().tokens_in == 3


def test_answers_are_sent_again_not_made_again(fresh):
    """What was popped is not popped again when the answer is lost."""
    push = [Instruction("CONFIG", {"x": 1, "value": 77}), Instruction("NOP", {}, 1, 1, 8)]
    push += [Instruction("PUSH", {"src": 1}), Instruction("HALT", {})]
    program = Program(TINY, {"host0.port": push})
    line = FaultyLine(fresh.port)
    machine = BoardMachine(FrameLink(line, patience=0.2), TINY)
    machine.load(program)
    machine.run()
    line.lose_answers = 1
    assert machine.pop_tokens() == [77]
    assert machine.pop_tokens() == []


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_unplugged_in_mid_upload_nothing_runs(fresh, golden, share):
    """After an upload that was cut off, no host gets the rest to run."""
    machine = connect(fresh.port, TINY)
    machine.load(PROGRAM)
    machine.close()

    total = sum(map(len, load_commands(PROGRAM, TINY)))
    line = FaultyLine(fresh.port)
    cut = BoardMachine(FrameLink(line, patience=0.2, reconnect=0.3), TINY)
    line.left = int(4 * total * share) + 20
    message = one_line(cut.load, PROGRAM)
    assert message.startswith("load, at word ")
    assert message.endswith("has gone: plug it in and load again")
    SerialLine.close(line)

    link = raw(fresh)
    assert not link.hello().loaded
    start = [header(Op.START, PROGRAM.entries["main"])]
    assert "holds no complete program and starts nothing" in one_line(
        link.request, Kind.COMMAND, start, "start"
    )
    assert not LinkStatus(link).busy
    link.line.close()
    again = connect(fresh.port, TINY, reuse=True)
    again.load(PROGRAM)
    assert again.sent == total
    assert again.run() == golden[0]


class LinkStatus:
    """Busy flag and cycles of a tile behind a bare session."""

    def __init__(self, link):
        words = link.request(Kind.COMMAND, [header(Op.READ, 10, Space.STATUS), 0], "status")
        self.busy, self.cycles = words[1] & 1, words[4]


def test_the_program_is_complete_or_refused(fresh):
    """A frame less, two in another order, another program's CRC: the board does not start."""
    commands = load_commands(PROGRAM, TINY)
    crc = image_crc(commands)
    start = [header(Op.START, 0)]
    for sent, told in [
        (commands[:-1], crc),
        ([*commands[1:], commands[0]], crc),
        (commands, crc ^ 1),
        ([], crc),
    ]:
        link = raw(fresh)
        link.request(Kind.BEGIN, (), "begin")
        for command in sent:
            link.request(Kind.COMMAND, command, "write")
        assert "another program than was sent" in one_line(link.request, Kind.FINISH, [told], "load")
        assert "starts nothing" in one_line(link.request, Kind.COMMAND, start, "start")
        # And it cannot be finished later, or without having begun.
        assert "another program" in one_line(link.request, Kind.FINISH, [crc], "load")
        link.line.close()


def test_writes_after_the_load(fresh):
    link = raw(fresh)

    def load():
        link.request(Kind.BEGIN, (), "begin")
        commands = load_commands(PROGRAM, TINY)
        for command in commands:
            link.request(Kind.COMMAND, command, "write")
        link.request(Kind.FINISH, [image_crc(commands)], "finish")
        identity = link.hello()
        assert (identity.loaded, identity.image) == (True, image_crc(commands))

    load()
    # Masks are no part of what is kept; a memory is; queues are what runs.
    link.request(Kind.COMMAND, [header(Op.WRITE, 1, Space.MASK), 1, 3], "write")
    assert link.hello().image is not None
    link.request(Kind.COMMAND, [header(Op.WRITE, 4, TINY.position("mem0")), 0, 1, 2, 3, 4], "write")
    identity = link.hello()
    assert (identity.loaded, identity.image) == (True, None)
    load()
    link.request(Kind.COMMAND, [header(Op.WRITE, 2, Space.QUEUE), 0, 1, 2], "write")
    assert not link.hello().loaded


def test_a_program_that_is_there_is_not_sent_again(fresh, golden):
    first = connect(fresh.port, TINY)
    first.load(PROGRAM)
    full = first.sent
    first.close()
    second = connect(fresh.port, TINY, reuse=True)
    assert second.identity.loaded
    second.load(PROGRAM)
    assert (sent := second.sent) < full // 20
    assert second.run() == golden[0]
    assert np.array_equal(result(second), golden[1])
    second.load(matmul(TINY, seed=4))
    assert second.sent == sent + full


def test_unplugged_and_back(fresh, golden):
    """The cable comes back within the host's patience: nothing is lost, nothing is done twice."""
    machine = connect(fresh.port, TINY, reconnect=10)
    machine.load(PROGRAM)
    fresh.unplug()
    timer = threading.Timer(0.5, fresh.plug)
    timer.start()
    assert machine.run() == golden[0]
    timer.join()
    assert machine.link.repeated > 0


def test_gone_for_good(fresh):
    machine = connect(fresh.port, TINY, reconnect=0.2)
    machine.load(PROGRAM)
    fresh.unplug()
    assert one_line(machine.run).endswith(": plug it in and load again")
    fresh.plug()


def test_a_board_that_was_reset_behind_the_host(fresh):
    machine = connect(fresh.port, TINY)
    machine.load(PROGRAM)
    fresh.power_cycle()
    assert "the board was reset, or another host talks to it" in one_line(machine.run)
    assert not machine.link.hello().loaded


def test_wrong_board_or_configuration(fresh):
    other = dataclasses.replace(TINY, name="other", contexts=64)
    message = one_line(connect, fresh.port, other)
    assert f"the board simulated is built for configuration {TINY.fingerprint}, not other" in message
    assert "load the bitstream made for this one" in message
    assert "this is the board simulated, not ulx3s-85f" in one_line(
        connect, fresh.port, TINY, board="ulx3s-85f"
    )
    machine = connect(fresh.port, TINY)
    assert "load: the program was made for other" in one_line(
        machine.load, dataclasses.replace(PROGRAM, config=other)
    )


def test_nobody_there_and_somebody_else_there():
    assert "/dev/nothing cannot be opened: No such file or directory" in one_line(
        connect, "/dev/nothing", TINY
    )
    master, slave = os.openpty()
    port = os.ttyname(slave)
    message = one_line(connect, port, TINY, patience=0.01)
    assert f"nothing answers on {port}: is the board powered" in message
    stop = threading.Event()

    def chatter():
        while not stop.is_set():
            os.write(master, b"login: \xc0")
            time.sleep(0.01)

    thread = threading.Thread(target=chatter)
    thread.start()
    try:
        message = one_line(connect, port, TINY, patience=0.05)
        assert f"{port} gave no whole frame in " in message
        assert " tries: no LPU board, another baud rate, or a bad cable" in message
    finally:
        stop.set()
        thread.join()
        os.close(master)
        os.close(slave)


def test_requests_that_no_driver_makes(fresh):
    link = raw(fresh)
    assert "does not know this request" in one_line(link.request, 0x7F, (), "what")
    assert "does not know this request" in one_line(link.request, Kind.COMMAND, (), "empty")
    # A command without its arguments would wait for ever; the board resets the tile and says so.
    assert "the tile did not answer and was reset" in one_line(
        link.request, Kind.COMMAND, [header(Op.WRITE, 9, 0), 0, 1], "cut"
    )
    assert link.request(Kind.COMMAND, [header(Op.PING)], "ping")[1] == 0x4C505531
    # An answer that does not fit a frame.
    assert "was reset" in one_line(
        link.request, Kind.COMMAND, [header(Op.READ, 256, TINY.position("mem0")), 0], "long"
    )
    # Frames out of sequence, from another host.
    link.line.write(encode(Frame(Kind.COMMAND, (link._sequence + 5) & 0xFF, (header(Op.PING),))))
    assert link.request(Kind.COMMAND, [header(Op.PING)], "ping")[1] == 0x4C505531
    with pytest.raises(MachineError, match="does not fit a frame"):
        LinkTransport(link).send(np.zeros(257, np.uint32))


def test_a_port_has_one_host(fresh):
    with connect(fresh.port, TINY):
        assert "cannot be opened: another program uses it" in one_line(connect, fresh.port, TINY)
