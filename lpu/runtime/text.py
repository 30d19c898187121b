"""Text as it comes, token by token."""

from __future__ import annotations

import codecs
from collections.abc import Callable


class TextStream:
    """Characters of a sequence of tokens; bytes of a character that is not yet whole are held back.

    Parameters
    ----------
    decode_piece : (previous, token) to bytes. first : the token before the first one, BOS.
    """

    def __init__(self, decode_piece: Callable[[int, int], bytes], first: int) -> None:
        self._decode_piece = decode_piece
        self._previous = first
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        #: All text so far.
        self.text = ""

    def feed(self, token: int) -> str:
        """What can be shown after one more token."""
        new = self._decoder.decode(self._decode_piece(self._previous, token))
        self._previous = token
        self.text += new
        return new

    def finish(self) -> str:
        """What remains; an incomplete character becomes U+FFFD."""
        new = self._decoder.decode(b"", True)
        self.text += new
        return new
