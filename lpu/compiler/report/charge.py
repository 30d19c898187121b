"""Where a run's cycles go: each cycle charged to one label, and how busy the array and the vector unit are over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lpu.arch import SliceKind, TileConfig
from lpu.compiler.expand import Expansion, Group

#: Columns of the chart of occupancy.
BINS = 480


def busy(config: TileConfig, group: Group) -> np.ndarray:
    """Cycles in which a group occupies its unit, int64: one a dispatch, ``beats`` for a VXM."""
    if not group.queue.endswith(".chain"):
        return group.times
    return (group.times[:, None] + np.arange(config.beats)).reshape(-1)


def charges(
    config: TileConfig,
    groups: Sequence[Group],
    cycles: int,
    names: Sequence[str],
    words: Mapping[str, Sequence[int]],
) -> list[dict[str, Any]]:
    """Rows ``{label, passes, charged, first, last}`` by label, in order of time; ``charged`` adds up to ``cycles``.

    A cycle is charged to the label of the pass dispatched in it; else to that of the chain in the VXM, else of the lane
    move or reduction; else to what was dispatched last, anywhere. So what a pass costs is a pass, and what is charged
    beyond the passes is time in which the array waits.
    """
    none = len(names)
    labelled = [(g, words[g.queue][g.word]) for g in groups]
    labelled = [(g, none if label < 0 else label) for g, label in labelled]
    owner = _latest([(g, label) for g, label in labelled if label != none], cycles, none)
    for unit in (".move", ".reduce", ".chain", ".passes"):
        for g, label in labelled:
            if g.queue.endswith(unit):
                at = busy(config, g)
                owner[at[at < cycles]] = label
    rows = []
    charged = np.bincount(owner, minlength=none + 1)
    for label, name in enumerate([*names, "(no label)"]):
        own = [g for g, of in labelled if of == label]
        passes = sum(len(g.times) for g in own if g.queue.endswith(".passes"))
        if charged[label] or passes:
            first = min((int(g.times.min()) for g in own), default=0)
            last = max((int(g.times.max()) for g in own), default=0)
            row = {"label": name, "passes": passes, "charged": int(charged[label])}
            rows.append(row | {"first": first, "last": last})
    return sorted(rows, key=lambda row: (row["first"], row["last"]))


def _latest(labelled: Sequence[tuple[Group, int]], cycles: int, none: int) -> np.ndarray:
    """For every cycle the label of the latest dispatch, before the first that of the first."""
    if not labelled:
        return np.full(cycles, none)
    times = np.concatenate([g.times for g, _ in labelled])
    labels = np.concatenate([np.full(len(g.times), label) for g, label in labelled])
    order = np.argsort(times, kind="stable")
    seen = np.searchsorted(times[order], np.arange(cycles), side="right") - 1
    return labels[order][np.maximum(seen, 0)]


def occupancy(config: TileConfig, groups: Sequence[Group], cycles: int) -> list[dict[str, Any]]:
    """For every MXM and VXM the share of busy cycles, whole and in equal bins of time (per mille)."""
    bins = max(1, min(BINS, cycles))
    edges = np.arange(bins + 1) * cycles // bins
    found = []
    for name, spec in zip(config.slice_names, config.floorplan, strict=True):
        queue = {SliceKind.MXM: f"{name}.passes", SliceKind.VXM: f"{name}.chain"}.get(spec.kind)
        if queue is None:
            continue
        own = [busy(config, g) for g in groups if g.queue == queue]
        at = np.unique(np.concatenate([*own, np.zeros(0, np.int64)]))
        at = at[at < cycles]
        counts = np.diff(np.searchsorted(at, edges))
        share = counts * 1000 // np.maximum(1, np.diff(edges))
        found.append({"name": name, "kind": str(spec.kind), "busy": len(at), "bins": share.tolist()})
    return found


def passes(run: Expansion) -> int:
    """PASS dispatches of a run."""
    return sum(d.instruction.count for d in run.dispatches if d.instruction.op == "PASS")
