"""Where the hard blocks of a large tile lie on an ECP5: multipliers and block RAMs, in the order in which data goes by.

A tile of 16 lanes uses every multiplier of an 85F. A placer that moves cells one by one ends with the last of them wherever one
is free, across the die from what they work with (docs/decisions/0011-hard-blocks-by-hand.md). Here slices are strips from top to
bottom of the die, side by side, and lanes lie along them. Logic follows the blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

#: Groups of four blocks, side by side: the first group's column, columns from one to the next, columns from the eighth on that
#: lie further right, where the spine of the clocks is.
FIRST, PITCH, SPINE_AFTER, SPINE = 4, 9, 7, 2
#: Columns within a group, and names: MULT18X18D, DP16KD.
MULTIPLIERS = ((0, "MULT18_0"), (1, "MULT18_1"), (4, "MULT18_4"), (5, "MULT18_5"))
RAMS = ((0, "EBR0"), (2, "EBR1"), (4, "EBR2"), (6, "EBR3"))
#: Group in which the first memory begins. Of 3 to 5, wires are shortest with it.
MEMORY = 4
#: Slices whose queues lie left to right in the last row of RAMs.
QUEUES = ("mxm0", "host0", "mem0", "sxm0")

Site = tuple[int, int, str]


@dataclass(frozen=True)
class Blocks:
    """Rows of hard blocks of a device, top to bottom, and how many groups each has."""

    multipliers: tuple[int, ...]
    rams: tuple[int, ...]
    groups: int

    def row(
        self, y: int, kinds: Sequence[tuple[int, str]], groups: Iterable[int] | None = None
    ) -> list[Site]:
        """Sites of a row, left to right, of some groups or of all."""
        starts = [
            FIRST + PITCH * g + (SPINE if g >= SPINE_AFTER else 0)
            for g in (range(self.groups) if groups is None else groups)
        ]
        return [(x + dx, y, name) for x in starts for dx, name in kinds]


#: nextpnr's name of a device -> its blocks. Of smaller ones the placer makes good use itself.
DEVICES = {"85k": Blocks((10, 34, 58), (22, 46, 70, 82), 13)}

_MULTIPLIER = re.compile(r".*\barray\.row(\d+)\.multiply(\d+)\.multiply(\d*)\.dsp")
_WEIGHTS = re.compile(r".*\barray\.row(\d+)\.weights(\d+)\.array\.0\.(\d+)")
_LANE = re.compile(r".*\blane(\d+)\.")


class _Plan:
    """Sites given so far."""

    def __init__(self, blocks: Blocks):
        self.blocks = blocks
        self.taken: dict[Site, dict] = {}

    def give(self, cells: Iterable[dict], sites: Iterable[Site]) -> None:
        """Each cell the next of the sites that is free; cells without one are left to the placer."""
        free = (site for site in sites if site not in self.taken)
        for cell, site in zip(cells, free, strict=False):
            self.taken[site] = cell

    def nearest(self, wanted: Sequence[tuple[dict, int, int]], sites: Iterable[Site]) -> None:
        """Cells to free sites, so that they are near the columns and rows wanted: the nearest first, then by exchange.

        Where sites are too few, the last cells are left to the placer.
        """
        free = [site for site in sites if site not in self.taken]
        wanted = wanted[: len(free)]
        chosen = []
        for _, x, y in wanted:
            chosen.append(min(free, key=lambda site: _distance(site, x, y)))
            free.remove(chosen[-1])
        better = True
        while better:
            better = False
            for a, b in combinations(range(len(wanted)), 2):
                (_, ax, ay), (_, bx, by) = wanted[a], wanted[b]
                p, q = chosen[a], chosen[b]
                now = _distance(p, ax, ay) + _distance(q, bx, by)
                if _distance(q, ax, ay) + _distance(p, bx, by) < now:
                    chosen[a], chosen[b], better = q, p, True
        for (cell, _, _), site in zip(wanted, chosen, strict=True):
            self.taken[site] = cell


def assign(netlist: dict, device: str) -> int:
    """Gives hard blocks of MXM, VXM and MEM slices and of queues their sites, as BEL attributes. Returns how many.

    From left to right: the array's last row to its first, each as a strip with a share of its columns in every row of
    multipliers, weights in the RAMs beneath; within it, the first memory; vector lanes and further memories at the right. A
    memory has RAMs in every row, those that one vector lane works with side by side. Nothing is done to devices that
    :data:`DEVICES` has not, nor to a tile with more than one array.

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
    plan = _Plan(blocks)
    lanes = _by_lane(slices.get("vxm0", {}), "MULT18X18D")
    products = [cell for lane in lanes for cell in lane]
    share = -(-len(products) // len(blocks.multipliers))
    width = -(-share // len(MULTIPLIERS))
    last = range(blocks.groups - width, blocks.groups)
    for n, y in enumerate(blocks.multipliers):
        plan.give(products[n * share : (n + 1) * share], blocks.row(y, MULTIPLIERS, last))
    _memories(plan, slices, max(1, len(lanes)))
    _array(plan, slices["mxm0"])
    row = blocks.row(blocks.rams[-1], RAMS)
    plan.give(_cells(_by_lane(slices.get("vxm0", {}), "DP16KD")), row[::-1])
    queues = sorted((name for name in slices if "_" in name), key=_queue_order)
    for name in queues:
        plan.give((c for c in slices[name].values() if c["type"] == "DP16KD"), row)
    for (x, y, name), cell in plan.taken.items():
        cell["attributes"] = {"BEL": f"X{x}/Y{y}/{name}"}
    return len(plan.taken)


def _memories(plan: _Plan, slices: dict[str, dict], vector_lanes: int) -> None:
    """RAMs of memories: the first from group MEMORY on, others at the right end."""
    blocks = plan.blocks
    height = len(blocks.rams) * len(RAMS)
    right = blocks.groups
    for number, name in enumerate(sorted(n for n in slices if re.fullmatch(r"mem\d+", n))):
        lanes = _by_lane(slices[name], "DP16KD")
        cells = _cells(
            lanes[n] for first in range(vector_lanes) for n in range(first, len(lanes), vector_lanes)
        )
        width = -(-len(cells) // height)
        first = MEMORY if number == 0 else right - width
        right = right if number == 0 else first
        groups = range(first, first + width)
        plan.give(cells, [site for y in blocks.rams for site in blocks.row(y, RAMS, groups)])


def _array(plan: _Plan, cells: dict) -> None:
    """Multipliers and weights of the array. Sums go from row to row, from right to left, weights to be written as well."""
    blocks = plan.blocks
    products = _by_row(cells, "MULT18X18D", _MULTIPLIER)
    weights = _by_row(cells, "DP16KD", _WEIGHTS)
    if not products or products.keys() != weights.keys():
        raise ValueError(
            f"array rows {sorted(products)} have multipliers, {sorted(weights)} weights: names differ"
        )
    bands = {
        y: [site for site in blocks.row(y, MULTIPLIERS)[::-1] if site not in plan.taken]
        for y in blocks.multipliers
    }
    beneath = dict(zip(blocks.multipliers, blocks.rams, strict=False))
    wanted = []
    for row, some in sorted(products.items()):
        # As many columns in each row of the device, but where it has no more.
        sites = []
        for n, band in enumerate(bands.values()):
            count = len(some) * (n + 1) // len(bands) - len(some) * n // len(bands)
            sites += [band.pop(0) for _ in range(min(count, len(band)))]
        while len(sites) < len(some):
            sites.append(max(bands.values(), key=len).pop(0))
        plan.give(some, sites)
        for n, ram in enumerate(weights[row]):
            x, y, _ = sites[(2 * n + 1) * len(sites) // (2 * len(weights[row]))]
            wanted.append((ram, x, beneath[y]))
    rows = [blocks.row(y, RAMS) for y in blocks.rams]
    near = [site for row in rows[: len(bands)] for site in row if site not in plan.taken]
    plan.nearest(wanted, near if len(near) >= len(wanted) else [site for row in rows for site in row])


def _distance(site: Site, x: int, y: int) -> int:
    return abs(site[0] - x) + abs(site[1] - y)


def _queue_order(name: str) -> tuple[int, str]:
    owner = name.partition("_")[0]
    return (QUEUES.index(owner) if owner in QUEUES else len(QUEUES), name)


def _cells(lanes: Iterable[list[dict]]) -> list[dict]:
    return [cell for lane in lanes for cell in lane]


def _by_row(cells: dict, kind: str, pattern: re.Pattern) -> dict[int, list[dict]]:
    """Cells of a kind by the number that comes first in their names, in the order of the numbers that follow."""
    found: dict[int, list[tuple[list[int], dict]]] = {}
    for name, cell in cells.items():
        if cell["type"] == kind and (match := pattern.fullmatch(name)):
            row, *rest = (int(number or 0) for number in match.groups())
            found.setdefault(row, []).append((rest, cell))
    return {row: [cell for _, cell in sorted(some, key=lambda s: s[0])] for row, some in found.items()}


def _by_lane(cells: dict, kind: str) -> list[list[dict]]:
    """Cells of a kind of each lane, by name."""
    found: dict[int, list[str]] = {}
    for name, cell in cells.items():
        if cell["type"] == kind and (match := _LANE.match(name)):
            found.setdefault(int(match[1]), []).append(name)
    return [[cells[name] for name in sorted(names)] for _, names in sorted(found.items())]
