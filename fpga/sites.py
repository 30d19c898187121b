"""Where the hard blocks of a large tile lie on an ECP5: multipliers and block RAMs, in the order in which data goes by.

A tile of 16 lanes uses every multiplier of an 85F. A placer that moves cells one by one ends with the last of them wherever one
is free, across the die from what they work with (docs/decisions/0011-hard-blocks-by-hand.md). Logic follows the blocks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Groups of four blocks, side by side: the first group's column, columns from one to the next, columns from the eighth on that
#: lie further right, where the spine of the clocks is.
FIRST, PITCH, SPINE_AFTER, SPINE = 4, 9, 7, 2
#: Columns within a group, and names: MULT18X18D, DP16KD.
MULTIPLIERS = ((0, "MULT18_0"), (1, "MULT18_1"), (4, "MULT18_4"), (5, "MULT18_5"))
RAMS = ((0, "EBR0"), (2, "EBR1"), (4, "EBR2"), (6, "EBR3"))

Site = tuple[int, int, str]


@dataclass(frozen=True)
class Blocks:
    """Rows of hard blocks of a device, top to bottom, and how many groups each has."""

    multipliers: tuple[int, ...]
    rams: tuple[int, ...]
    groups: int

    def row(self, y: int, kinds: tuple[tuple[int, str], ...]) -> list[Site]:
        """Sites of a row, left to right."""
        starts = [FIRST + PITCH * g + (SPINE if g >= SPINE_AFTER else 0) for g in range(self.groups)]
        return [(x + dx, y, name) for x in starts for dx, name in kinds]


#: nextpnr's name of a device -> its blocks. Of smaller ones the placer makes good use itself.
DEVICES = {"85k": Blocks((10, 34, 58), (22, 46, 70, 82), 13)}

_MULTIPLIER = re.compile(r".*\barray\.row(\d+)\.multiply(\d+)\.multiply(\d*)\.dsp")
_WEIGHTS = re.compile(r".*\barray\.row(\d+)\.weights(\d+)\.array\.0\.(\d+)")
_LANE = re.compile(r".*\blane(\d+)\.")


def assign(netlist: dict, device: str) -> int:
    """Gives hard blocks of MXM, VXM and MEM slices their sites, as BEL attributes. Returns how many.

    Multipliers of an array lie row after row of the array along the device's rows, left to right, back, and left to right again;
    its weights in the row of RAMs beneath, as near as may be. Vector lanes follow where the array ends, memories and queues have
    the last row of RAMs. Nothing is done to devices that :data:`DEVICES` has not, nor to a tile with more than one array.

    ``netlist``: as :func:`fpga.join.join` makes it. ``device``: as nextpnr calls it.
    """
    if device not in DEVICES:
        return 0
    blocks = DEVICES[device]
    slices = {
        name.removesuffix(".mapped").rpartition(".")[2]: module["cells"]
        for name, module in netlist["modules"].items()
        if name.endswith(".mapped")
    }
    if "mxm0" not in slices or "mxm1" in slices:
        return 0
    multipliers = _serpentine(blocks, blocks.multipliers, MULTIPLIERS)
    rams = _serpentine(blocks, blocks.rams[: len(blocks.multipliers)], RAMS)
    given = {}

    def give(cell: dict, site: Site) -> None:
        x, y, name = given[id(cell)] = site
        cell["attributes"] = {"BEL": f"X{x}/Y{y}/{name}"}

    # The array: each row's weights beneath the middle of its multipliers.
    array = _by_row(slices["mxm0"], "MULT18X18D", _MULTIPLIER)
    weights = _by_row(slices["mxm0"], "DP16KD", _WEIGHTS)
    if not array or array.keys() != weights.keys():
        raise ValueError(
            f"array rows {sorted(array)} have multipliers, {sorted(weights)} weights: names differ"
        )
    free = dict(enumerate(rams))
    at = 0
    for row, products in sorted(array.items()):
        for cell in products:
            give(cell, multipliers[at])
            at += 1
        share = len(products) / len(weights[row])
        for n, cell in enumerate(weights[row]):
            wanted = at - len(products) + (n + 0.5) * share
            nearest = min(free, key=lambda place: abs(place - wanted))
            give(cell, free.pop(nearest))

    # Vector lanes, with their tables beneath them.
    lanes = slices.get("vxm0", {})
    for cell, site in zip(_by_lane(lanes, "MULT18X18D"), multipliers[at:], strict=False):
        give(cell, site)
    tables = _by_lane(lanes, "DP16KD")
    beyond = sorted(place for place in free if place >= at) or sorted(free)
    for n, cell in enumerate(tables):
        give(cell, free.pop(beyond[n * len(beyond) // len(tables)]))

    # Memories, lane beside lane, in the middle of the last row.
    memories = [_by_lane(slices[name], "DP16KD") for name in sorted(slices) if re.fullmatch(r"mem\d+", name)]
    together = [cell for lane in zip(*memories, strict=False) for cell in lane]
    last = blocks.row(blocks.rams[-1], RAMS)
    margin = max(0, len(last) - len(together)) // 2
    for cell, site in zip(together, last[margin:], strict=False):
        give(cell, site)

    # The words of a queue side by side: of the array's queues where its first row is, of others at either end of the last row.
    queues = {
        name: [c for c in cells.values() if c["type"] == "DP16KD"]
        for name, cells in slices.items()
        if "_" in name
    }
    ends = iter((*last[:margin], *last[margin + len(together) :]))
    starts = iter([site for _, site in sorted(free.items())])
    for name, words in sorted(queues.items()):
        for cell, site in zip(words, starts if name.startswith("mxm") else ends, strict=False):
            give(cell, site)
    return len(given)


def _serpentine(blocks: Blocks, rows: tuple[int, ...], kinds: tuple[tuple[int, str], ...]) -> list[Site]:
    """Sites of several rows, every second row backwards."""
    return [s for n, y in enumerate(rows) for s in blocks.row(y, kinds)[:: -1 if n % 2 else 1]]


def _by_row(cells: dict, kind: str, pattern: re.Pattern) -> dict[int, list[dict]]:
    """Cells of a kind by the number that comes first in their names, in the order of the numbers that follow."""
    found: dict[int, list[tuple[list[int], dict]]] = {}
    for name, cell in cells.items():
        if cell["type"] == kind and (match := pattern.fullmatch(name)):
            row, *rest = (int(number or 0) for number in match.groups())
            found.setdefault(row, []).append((rest, cell))
    return {row: [cell for _, cell in sorted(some, key=lambda s: s[0])] for row, some in found.items()}


def _by_lane(cells: dict, kind: str) -> list[dict]:
    """Cells of a kind by lane, then by name."""
    found = [
        (int(match[1]), name)
        for name, cell in cells.items()
        if cell["type"] == kind and (match := _LANE.match(name))
    ]
    return [cells[name] for _, name in sorted(found)]
