"""The progress of long work, shown where somebody looks at a terminal."""

from __future__ import annotations

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from nearhash_service.cli.printing import errors

__all__ = ["shown_progress"]


def shown_progress() -> Progress:
    """Return a bar beside the errors, so that it is in no output; to be used in a with statement."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )
