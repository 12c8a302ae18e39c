"""The bar that long work shows in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn


def progress_bar(console: Console, *columns: ProgressColumn) -> Progress:
    """A text, a bar, then ``columns``; gone once it is done, and silent where the output is no terminal."""
    words = TextColumn("{task.description}", markup=False)
    return Progress(words, BarColumn(), *columns, console=console, transient=True, disable=not console.is_terminal)
