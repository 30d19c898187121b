"""A program: queue words, memory images, entry points, and the configuration they were made for. Standard library only.

The file is a zip archive of ``program.json`` and one raw little-endian file a queue and image; zip's directory and
CRCs detect truncation and damage.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from lpu.arch import SliceKind, TileConfig
from lpu.isa import Instruction, IsaError, decode, encode, layout, queue_names

FORMAT = "open-lpu program 1"
#: What zip, JSON and the decoders raise on a file that is damaged.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    RuntimeError,
)


class ProgramError(ValueError):
    """A program that cannot be built, read or loaded; one line naming what, the limit and the remedy."""


@dataclass
class Program:
    """Everything the host loads and how to start it.

    Attributes
    ----------
    config : the configuration the program was made for.
    queues : queue name -> words in order; missing queues halt at once. Word ``entry`` of every queue is dispatched first.
    images : bytes by space. ``"mem0"``: words of lanes x 4 bytes, lane 0 first, from address 0. ``"mxm0"``: contexts of
        lanes rows of lanes int8 columns, from context 0. ``"masks"``: lane masks from mask 0 (which must be all ones),
        each ``ceil(lanes / 8)`` bytes little-endian. Shorter images leave the rest unwritten.
    entries : label -> queue word at which all queues start.
    symbols : name -> anything JSON can hold (where the result lies, how it is shaped).
    cycles : label -> predicted cycles, from the first dispatch to the last HALT; an int, or a formula as text over
        index registers.
    """

    config: TileConfig
    queues: dict[str, list[Instruction]] = field(default_factory=dict)
    images: dict[str, bytes] = field(default_factory=dict)
    entries: dict[str, int] = field(default_factory=lambda: {"main": 0})
    symbols: dict[str, Any] = field(default_factory=dict)
    cycles: dict[str, int | str] = field(default_factory=dict)

    def check(self) -> None:
        """Raise ProgramError if a queue or image does not exist or does not fit the configuration."""
        known = queue_names(self.config)
        for name, words in self.queues.items():
            if name not in known:
                raise ProgramError(f"program has a queue {name!r}; {self.config.name} has {', '.join(known)}")
            if len(words) > self.config.queue_depth:
                raise ProgramError(
                    f"queue {name} holds {len(words)} words, {self.config.name} has room for {self.config.queue_depth}:"
                    f" {len(words) - self.config.queue_depth} too many; use loops or a larger queue_depth"
                )
        for name, data in self.images.items():
            room, unit = image_room(self.config, name)
            if len(data) > room:
                raise ProgramError(
                    f"image {name} has {len(data)} bytes, {self.config.name} has room for {room}: {len(data) - room} too many"
                )
            if len(data) % unit:
                raise ProgramError(
                    f"image {name} has {len(data)} bytes, not a multiple of {unit} (one whole entry)"
                )
        if self.images.get("masks"):
            size = (self.config.lanes + 7) // 8
            if int.from_bytes(self.images["masks"][:size], "little") != (1 << self.config.lanes) - 1:
                raise ProgramError("image masks: mask 0 is always all lanes; start the image with all ones")

    def words(self, queue: str) -> list[int]:
        """Encoded words of a queue (empty if it has none). Raises IsaError naming queue and word number."""
        encoded = []
        for n, instruction in enumerate(self.queues.get(queue, ())):
            try:
                encoded.append(encode(self.config, queue, instruction))
            except IsaError as error:
                raise IsaError(f"word {n}: {error}") from None
        return encoded

    def save(self, path: str | Path | IO[bytes]) -> None:
        """Write the program file, by name or opened."""
        self.check()
        names = {q: (layout(self.config, q).width + 7) // 8 for q in self.queues}
        header = {
            "format": FORMAT,
            "fingerprint": self.config.fingerprint,
            "config": self.config.to_dict(),
            "entries": self.entries,
            "symbols": self.symbols,
            "cycles": self.cycles,
            "queues": {q: size for q, size in names.items()},
            "images": sorted(self.images),
        }
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("program.json", json.dumps(header, indent=1))
            for queue, size in names.items():
                archive.writestr(
                    f"queues/{queue}", b"".join(w.to_bytes(size, "little") for w in self.words(queue))
                )
            for name, data in self.images.items():
                archive.writestr(f"images/{name}", data)

    @classmethod
    def load(cls, path: str | Path | IO[bytes], config: TileConfig | None = None) -> Program:
        """Read a program file; with ``config``, refuse one made for another. Raises ProgramError in one line."""
        try:
            with zipfile.ZipFile(path) as archive:
                if "system.json" in archive.namelist():
                    raise ProgramError(
                        f"{path} holds programs of several chips, where one of one chip is wanted"
                    )
                header = json.loads(archive.read("program.json"))
                if header.get("format") != FORMAT:
                    raise ProgramError(
                        f"{path}: format is {header.get('format')!r}, this release reads {FORMAT!r}"
                    )
                made_for = TileConfig.from_dict(header["config"])
                if made_for.fingerprint != header["fingerprint"]:
                    raise ProgramError(
                        f"{path}: its configuration does not match its fingerprint; the file is damaged"
                    )
                if config is not None and config.fingerprint != made_for.fingerprint:
                    raise ProgramError(
                        f"{path} was made for configuration {made_for.name} ({made_for.fingerprint}), "
                        f"not for {config.name} ({config.fingerprint}): compile it again with --config {config.name}"
                    )
                program = cls(
                    made_for, entries=header["entries"], symbols=header["symbols"], cycles=header["cycles"]
                )
                for queue, size in header["queues"].items():
                    raw = archive.read(f"queues/{queue}")
                    program.queues[queue] = [
                        decode(made_for, queue, int.from_bytes(raw[i : i + size], "little"))
                        for i in range(0, len(raw), size)
                    ]
                for name in header["images"]:
                    program.images[name] = archive.read(f"images/{name}")
        except OSError as error:
            raise ProgramError(f"cannot read program {path}: {error.strerror or error}") from None
        except ProgramError:
            raise
        except DAMAGE as error:
            raise ProgramError(
                f"{path} is not a whole program file (truncated or damaged): {error}"
            ) from None
        program.check()
        return program


def image_room(config: TileConfig, name: str) -> tuple[int, int]:
    """(bytes there is room for, bytes of one entry) of an image's space. Raises ProgramError for an unknown space."""
    if name == "masks":
        size = (config.lanes + 7) // 8
        return config.masks * size, size
    if name in config.slice_names:
        spec = config.spec(name)
        if spec.kind is SliceKind.MEM:
            return spec.depth * config.lanes * 4, config.lanes * 4
        if spec.kind is SliceKind.MXM:
            return config.contexts * config.lanes**2, config.lanes**2
    raise ProgramError(f"no image space {name!r} in {config.name}: use a mem or mxm slice, or masks")
