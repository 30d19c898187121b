"""Draws docs/model-loss.svg from the record of the training: ``python -m models.curve``. It needs the train extra."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # the back end has to be chosen first

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "model-loss.svg"


def draw(record: Path, page: Path) -> None:
    """Losses of training and of held-out stories by step."""
    curve = json.loads(record.read_text())["curve"]
    steps = [p["step"] for p in curve]
    plt.rcParams["svg.hashsalt"] = "stories192k"  # the same picture from the same figures
    figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    axes.plot(steps, [p["train"] for p in curve], label="training", linestyle="--")
    axes.plot(steps, [p["held_out"] for p in curve], label="held out")
    axes.set(xlabel="step", ylabel="loss, nats a token", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(page, metadata={"Date": None})


if __name__ == "__main__":
    draw(HERE / "stories192k" / "training.json", PAGE)
