"""A progress bar on standard error: on a terminal only, so that what a pipe gets are the figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Tell(Protocol):
    """Says what is under way and, where it is known, how much of how much is done."""

    def __call__(self, what: str, done: int = 0, of: int | None = None) -> None: ...


@contextmanager
def progress() -> Iterator[Tell]:
    """A bar that is gone when the block ends; does nothing where standard error is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<24}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None)

        def tell(what: str, done: int = 0, of: int | None = None) -> None:
            bar.update(task, description=what, completed=done, total=of)

        yield tell
