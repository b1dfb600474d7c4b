"""Options that several commands share, declared once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, get_type_hints

__all__ = ["with_options_of"]


def with_options_of(
    source: Callable[..., AbstractContextManager[Any]], **fixed: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of `source`, and pass it what `source` makes of them as its first argument.

    Parameters
    ----------
    source : callable
        Its parameters, all annotated as typer's options, come after the command's own.
    fixed
        Arguments of `source` that are no options.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        _, *own = inspect.signature(command).parameters.values()
        parameters = inspect.signature(source, eval_str=True).parameters.values()
        options = [parameter for parameter in parameters if parameter.name not in fixed]

        @functools.wraps(command)
        def wrapped(**arguments: Any) -> None:
            given = {option.name: arguments.pop(option.name) for option in options}
            with source(**given, **fixed) as made:
                command(made, **arguments)

        wrapped.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [parameter.replace(annotation=hints[parameter.name]) for parameter in own] + options
        )
        return wrapped

    return decorate
