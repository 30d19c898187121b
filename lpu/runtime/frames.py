"""Frames between a host and a board, as bytes of a serial line. Standard library only.

This file is the definition. A frame is 32-bit words, lowest byte first: a header ``length:16 | kind:8 | sequence:8``,
``length`` words of payload, and the CRC-32 of all that. On the line it stands between two END bytes; END and ESCAPE within
it are replaced by two bytes each, so that an END always begins anew.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

END, ESCAPE, ESCAPED_END, ESCAPED_ESCAPE = 0xC0, 0xDB, 0xDC, 0xDD
#: Words of payload, at most, either way.
MAX_PAYLOAD = 256
#: "LPUB": the first word of an identity.
MAGIC = 0x4C505542
#: Of the protocol; a board of another version is refused.
VERSION = 1
#: Bytes of a board's name.
NAME_BYTES = 16


class Kind(IntEnum):
    """What a frame is; from 0x80 on, frames of the board."""

    #: Begin a session: frames count on from this one's sequence number. Answered by IDENTITY.
    HELLO = 0x00
    #: One whole command of the host port. Answered by ANSWER.
    COMMAND = 0x01
    #: A program follows: nothing starts from here on.
    BEGIN = 0x02
    #: The program is complete, if the board's CRC of it is this one.
    FINISH = 0x03
    #: Reset the tile; memories and weights stay.
    RESET = 0x04
    #: Who the board is and what it holds.
    IDENTITY = 0x80
    #: The tile's answer to a command.
    ANSWER = 0x81
    #: BEGIN, FINISH or RESET done.
    DONE = 0x82
    #: A frame came that is broken; it has to be sent again. Its sequence number is 0.
    DAMAGED = 0xF0
    #: Neither the last frame nor the next one: the board was reset, or another host spoke.
    OUT_OF_SEQUENCE = 0xF1
    #: START without a complete program.
    NOT_LOADED = 0xF2
    #: FINISH with another CRC than the board's.
    MISMATCH = 0xF3
    #: No such kind.
    UNKNOWN = 0xF4
    #: The tile did not take the command, or did not answer; it was reset.
    STUCK = 0xF5


@dataclass(frozen=True)
class Frame:
    """A frame, decoded. ``payload``: 32-bit words."""

    kind: int
    sequence: int
    payload: tuple[int, ...] = ()


@dataclass(frozen=True)
class Identity:
    """What a board says of itself.

    Parameters
    ----------
    board : its name. fingerprint : of the tile's configuration, 16 hex digits. clock : in Hz.
    loaded : a complete program is there. image : CRC of that program as it was loaded; None if there is none, or if
        memories were written since.
    """

    board: str
    fingerprint: str
    clock: int
    loaded: bool
    image: int | None

    @classmethod
    def decode(cls, words: Sequence[int]) -> Identity:
        """From the payload of an IDENTITY frame. Raises ValueError, one line, for another protocol's."""
        if len(words) != 11 or words[0] != MAGIC:
            raise ValueError("what answers is no LPU board")
        if words[1] != VERSION:
            raise ValueError(
                f"the board speaks version {words[1]} of the protocol, not {VERSION}: build its bitstream again"
            )
        name = struct.pack("<4I", *words[7:11]).rstrip(b"\0").decode("ascii", "replace")
        flags = words[5]
        return cls(
            name,
            f"{words[2]:08x}{words[3]:08x}",
            words[4],
            bool(flags & 1),
            words[6] if flags & 2 else None,
        )


def board_name(name: str) -> list[int]:
    """The four words of a name in an identity. Raises ValueError if it does not fit."""
    raw = name.encode("ascii", "replace")
    if not 1 <= len(raw) <= NAME_BYTES or not name.isprintable() or not name.isascii():
        raise ValueError(f"board name {name!r}: use 1 to {NAME_BYTES} printable ASCII characters")
    return list(struct.unpack("<4I", raw.ljust(NAME_BYTES, b"\0")))


def encode(frame: Frame) -> bytes:
    """A frame as bytes of the line. Raises ValueError if it is too long."""
    if len(frame.payload) > MAX_PAYLOAD:
        raise ValueError(f"a frame holds {MAX_PAYLOAD} words, not {len(frame.payload)}: split the command")
    head = len(frame.payload) << 16 | frame.kind << 8 | frame.sequence
    body = struct.pack(f"<{1 + len(frame.payload)}I", head, *frame.payload)
    body += struct.pack("<I", zlib.crc32(body))
    body = body.replace(bytes([ESCAPE]), bytes([ESCAPE, ESCAPED_ESCAPE]))
    body = body.replace(bytes([END]), bytes([ESCAPE, ESCAPED_END]))
    return bytes([END, *body, END])


def decode(body: bytes) -> Frame | None:
    """The frame that stood between two ENDs; None if it is broken in any way."""
    plain, escaped = bytearray(), False
    for byte in body:
        if escaped:
            if byte not in (ESCAPED_END, ESCAPED_ESCAPE):
                return None
            plain.append(END if byte == ESCAPED_END else ESCAPE)
        elif byte != ESCAPE:
            plain.append(byte)
        escaped = byte == ESCAPE and not escaped
    if escaped or len(plain) < 8 or len(plain) % 4:
        return None
    head, *payload, check = struct.unpack(f"<{len(plain) // 4}I", plain)
    if check != zlib.crc32(plain[:-4]) or head >> 16 != len(payload):
        return None
    return Frame(head >> 8 & 0xFF, head & 0xFF, tuple(payload))


class Decoder:
    """Finds frames in what a line gives, piece by piece."""

    def __init__(self) -> None:
        self._rest = bytearray()
        #: Stretches that were no frames, and bytes that came at all.
        self.damaged = self.bytes = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that end in ``data``."""
        self.bytes += len(data)
        self._rest += data
        while (end := self._rest.find(END)) >= 0:
            body = bytes(self._rest[:end])
            del self._rest[: end + 1]
            if not body:
                continue
            frame = decode(body)
            if frame is None:
                self.damaged += 1
            else:
                yield frame
        # Noise without an END must not pile up.
        del self._rest[: max(0, len(self._rest) - 8 * MAX_PAYLOAD - 64)]

    def forget(self) -> None:
        """Begin anew, in the middle of whatever comes."""
        self._rest.clear()


def image_crc(commands: Iterable[Sequence[int]], crc: int = 0) -> int:
    """CRC-32 of commands as the board counts it between BEGIN and FINISH: over the words of their payloads in order."""
    for words in commands:
        crc = zlib.crc32(struct.pack(f"<{len(words)}I", *words), crc)
    return crc
