"""The eight forms of a picture: how it is turned and mirrored before it is hashed."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import NamedTuple

from nearhash_client.errors import invalid


class Turn(NamedTuple):
    """What makes a form of a picture: its rows in reverse, its columns in reverse, then both exchanged."""

    rows: bool
    columns: bool
    transposed: bool


TURNS = MappingProxyType(
    {
        "original": Turn(False, False, False),
        "rotate90": Turn(False, True, True),
        "rotate180": Turn(True, True, False),
        "rotate270": Turn(True, False, True),
        "flip_vertical": Turn(True, False, False),
        "flip_horizontal": Turn(False, True, False),
        "transpose": Turn(False, False, True),
        "transverse": Turn(True, True, True),
    }
)

FORMS = tuple(TURNS)
"""What is done to the picture before it is hashed: turned counterclockwise, flipped top to bottom or left to right,
mirrored at one of its diagonals."""


def checked_forms(forms: Sequence[str]) -> tuple[str, ...]:
    """Return the forms if each is one of `FORMS`.

    Raises
    ------
    InvalidRequest
        If one is not, or there are none.
    """
    if isinstance(forms, str):
        raise invalid("forms", f"found the str {forms!r}; pass a sequence of names, [{forms!r}]")
    if not forms:
        raise invalid("forms", f"found none; pass at least one of {', '.join(FORMS)}")
    for form in forms:
        if form not in FORMS:
            raise invalid("forms", f"found {form!r}; each is one of {', '.join(FORMS)}")
    return tuple(forms)
