"""Short children's stories, written by a grammar: the text which the model learns.

``python -m models.stories --seed 3 --count 2`` prints some. Every story follows from its seed and its number alone.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator

from models.grammar import Teller
from models.plots import PLOTS

#: The collection which the model learns, and the one which tests it.
TEXT_SEED, HELD_OUT_SEED = 0, 1
#: Words of a story, so that it fits 256 tokens; one which falls outside is told anew, and more briefly.
SHORTEST, LONGEST = 60, 110
TRIES = 40


def story(seed: int, number: int, plot: Callable[[Teller], None] | None = None) -> str:
    """The story of that number in the collection of that seed; ``plot`` chooses what it is about."""
    rng = random.Random(f"{seed}/{number}")
    told = plot or rng.choice(PLOTS)
    for attempt in range(TRIES):
        teller = Teller(rng, brevity=attempt)
        told(teller)
        text = teller.text()
        if SHORTEST <= len(text.split()) <= LONGEST:
            return text
    raise ValueError(
        f"{told.__name__} was outside {SHORTEST} to {LONGEST} words {TRIES} times: shorten that plot"
    )


def stories(seed: int, count: int) -> Iterator[str]:
    """The first ``count`` stories of a seed."""
    return (story(seed, i) for i in range(count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=3)
    arguments = parser.parse_args()
    print("\n\n".join(stories(arguments.seed, arguments.count)))


if __name__ == "__main__":
    main()
