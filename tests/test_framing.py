"""Frames of the host link: the host's codec, and the board's reader and writer against it."""

import random
import zlib

import pytest
from amaranth.sim import Simulator

from fpga.framing import FRESH, FrameReader, FrameWriter
from lpu.runtime.frames import (
    END,
    ESCAPE,
    MAX_PAYLOAD,
    Decoder,
    Frame,
    Identity,
    Kind,
    board_name,
    decode,
    encode,
    image_crc,
)

RNG = random.Random(7)
NASTY = 0xC0DBDCDD
FRAMES = [
    Frame(Kind.HELLO, 0),
    Frame(Kind.COMMAND, END, (NASTY, 0xDBDBC0C0, 0)),
    Frame(Kind.COMMAND, ESCAPE, tuple(RNG.getrandbits(32) for _ in range(20))),
    Frame(Kind.FINISH, 0xFF, (0xFFFFFFFF,)),
]
LONG = Frame(Kind.COMMAND, 9, tuple(RNG.getrandbits(32) for _ in range(MAX_PAYLOAD)))


def test_literal_bytes():
    """A hand-worked frame: header, payload, CRC-32 of both, all lowest byte first."""
    raw = encode(Frame(Kind.COMMAND, 5, (0x000000C0,)))
    assert raw[:1] == raw[-1:] == b"\xc0"
    assert raw[1:10] == bytes.fromhex("05 01 01 00 db dc 00 00 00")
    assert raw[10:-1] == zlib.crc32(bytes.fromhex("05 01 01 00 c0 00 00 00")).to_bytes(4, "little")


@pytest.mark.parametrize("frame", [*FRAMES, LONG], ids=lambda f: f.kind.name)
def test_there_and_back(frame):
    raw = encode(frame)
    assert raw.count(END) == 2
    assert decode(raw[1:-1]) == frame
    assert list(Decoder().feed(raw)) == [frame]


def test_frames_in_pieces_with_noise_between():
    raw = b"noise" + b"".join(encode(f) for f in FRAMES) + b"\xc0\xc0more" + encode(FRAMES[1])
    decoder = Decoder()
    found = [f for byte in raw for f in decoder.feed(bytes([byte]))]
    assert found == [*FRAMES, FRAMES[1]]
    assert decoder.damaged == 2
    assert decoder.bytes == len(raw)
    list(decoder.feed(b"x" * 100_000))
    assert list(decoder.feed(encode(FRAMES[0]))) == [FRAMES[0]]


def damaged(raw, rng):
    """A frame's bytes with one dropped, changed or doubled."""
    at = rng.randrange(1, len(raw) - 1)
    how = rng.randrange(3)
    byte = raw[at] ^ (1 << rng.randrange(8))
    return [
        raw[:at] + raw[at + 1 :],
        raw[:at] + bytes([byte]) + raw[at + 1 :],
        raw[:at] + raw[at : at + 1] * 2 + raw[at + 1 :],
    ][how]


def test_no_damage_passes():
    rng = random.Random(1)
    for _ in range(2000):
        raw = damaged(encode(rng.choice(FRAMES)), rng)
        assert list(Decoder().feed(raw)) == []


def test_what_cannot_be_framed():
    with pytest.raises(ValueError, match="a frame holds 256 words, not 257"):
        encode(Frame(Kind.COMMAND, 0, (0,) * (MAX_PAYLOAD + 1)))
    for name in ("", "x" * 17, "é", "a\n"):
        with pytest.raises(ValueError, match="1 to 16 printable"):
            board_name(name)


def test_identity():
    words = [0x4C505542, 1, 0x01234567, 0x89ABCDEF, 60_000_000, 3, 0xCAFE, *board_name("ulx3s-85f")]
    identity = Identity.decode(words)
    assert identity == Identity("ulx3s-85f", "0123456789abcdef", 60_000_000, True, 0xCAFE)
    assert Identity.decode([*words[:5], 1, *words[6:]]).image is None
    with pytest.raises(ValueError, match="version 2 of the protocol, not 1"):
        Identity.decode([words[0], 2, *words[2:]])
    for other in (words[:10], [1, *words[1:]]):
        with pytest.raises(ValueError, match="no LPU board"):
            Identity.decode(other)


def test_image_crc_runs_on():
    assert image_crc([[1, 2], [3]]) == image_crc([[1, 2, 3]]) == image_crc([[3]], image_crc([[1], [2]]))
    assert image_crc([[1], [2]]) != image_crc([[2], [1]])


def read_by_board(pieces, *, seed=FRESH, busy=lambda n: False):
    """What the board's reader makes of bytes: (frame or None, CRC of the payload) for each END that ends something.

    The board is busy for a few cycles after each, and throughout the pieces that ``busy`` says.
    """
    reader = FrameReader()
    found, payload = [], {}

    async def bench(ctx):
        ctx.set(reader.seed, seed)
        held, always, number = 0, False, 0

        async def cycle():
            nonlocal held, always
            if ctx.get(reader.write):
                payload[ctx.get(reader.index)] = ctx.get(reader.data)
            if ctx.get(reader.done):
                held, always = 5, busy(number + 1)
            elif held == 2:
                frame = None
                if ctx.get(reader.good):
                    words = tuple(payload[n] for n in range(ctx.get(reader.length)))
                    frame = Frame(ctx.get(reader.kind), ctx.get(reader.sequence), words)
                found.append((frame, ctx.get(reader.payload_crc)))
            await ctx.tick()
            held = max(0, held - 1)
            ctx.set(reader.hold, always or held > 0)

        for number, piece in enumerate(pieces):
            always = busy(number)
            ctx.set(reader.hold, always)
            for byte in piece:
                ctx.set(reader.bytes.payload, byte)
                ctx.set(reader.bytes.valid, 1)
                while not ctx.get(reader.bytes.ready):
                    await cycle()
                await cycle()
                ctx.set(reader.bytes.valid, 0)
            for _ in range(10):
                await cycle()

    simulator = Simulator(reader)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found


def test_board_reads_what_the_host_writes():
    found = read_by_board([encode(f) for f in (*FRAMES, LONG)])
    assert [frame for frame, _ in found] == [*FRAMES, LONG]
    for frame, crc in found:
        assert crc ^ 0xFFFFFFFF == image_crc([frame.payload])


def test_board_sees_every_damage():
    rng = random.Random(2)
    frame = FRAMES[1]
    pieces = [part for _ in range(60) for part in (damaged(encode(rng.choice(FRAMES)), rng), encode(frame))]
    found = [f for f, _ in read_by_board(pieces)]
    assert found.count(frame) == 60
    assert set(found) == {frame, None}
    assert 40 <= found.count(None) <= 120
    # Too long, and a length that lies.
    head, *rest = encode(LONG)[1:-1], encode(FRAMES[0])
    assert [f for f, _ in read_by_board([b"\xc0" + head + b"abcd" + b"\xc0", *rest])] == [None, FRAMES[0]]
    short = bytearray(encode(Frame(0, 1, (5, 6)))[1:-5])
    short[2] = 1
    short += zlib.crc32(short).to_bytes(4, "little")
    assert ESCAPE not in short and END not in short
    assert [f for f, _ in read_by_board([b"\xc0" + short + b"\xc0"])] == [None]


def test_board_drops_what_comes_while_it_is_busy():
    first, second = encode(FRAMES[1]), encode(FRAMES[2])
    pieces = [first, second[:9], second[9:], first]
    found = read_by_board(pieces, busy=lambda n: n == 1)
    assert [f for f, _ in found] == [FRAMES[1], FRAMES[1]]


@pytest.mark.parametrize("frame", [*FRAMES, LONG], ids=lambda f: f.kind.name)
def test_board_writes_what_the_host_reads(frame):
    writer = FrameWriter()
    raw = bytearray()
    rng = random.Random(3)

    async def bench(ctx):
        ctx.set(writer.sequence, frame.sequence)
        ctx.set(writer.kind, frame.kind)
        ctx.set(writer.length, len(frame.payload))
        ctx.set(writer.start, 1)
        await ctx.tick()
        ctx.set(writer.start, 0)
        ctx.set(writer.kind, 0)
        word = 0
        while ctx.get(writer.busy):
            ready = rng.random() < 0.5
            ctx.set(writer.bytes.ready, ready)
            if ready and ctx.get(writer.bytes.valid):
                raw.append(ctx.get(writer.bytes.payload))
            index = ctx.get(writer.index)
            ctx.set(writer.data, word)  # a cycle after the index, as of an SRAM
            word = frame.payload[index] if index < len(frame.payload) else 0xBAD
            await ctx.tick()

    simulator = Simulator(writer)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert bytes(raw) == encode(frame)
