"""The tables [[callers]]."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta

from nearhash_index.entries import check_name
from nearhash_index.errors import InvalidInput
from nearhash_service.config.section import Section

__all__ = ["Caller", "Role", "check_callers"]

Role = Literal["lookup", "observe", "admin"]
_SHA256 = re.compile("[0-9a-f]{64}")


class Caller(Section, frozen=True):
    """Who may call, one table each. Without any, whoever reaches the server may do everything."""

    name: Annotated[str, Meta(description="As the audit log and metrics call it.")]
    roles: Annotated[
        tuple[Role, ...],
        Meta(
            description='"lookup" may look hashes up, "observe" may see the status and nothing else, "admin" may '
            "see it, change and publish lists, and roll back."
        ),
    ]
    token_sha256: Annotated[
        tuple[str, ...],
        Meta(
            description="SHA-256 of the tokens that identify it, as `nearhash token` prints them; two while one is "
            "replaced."
        ),
    ] = ()
    certificates: Annotated[
        tuple[str, ...],
        Meta(description="Names in client certificates that identify it: a subject alternative name or common name."),
    ] = ()
    banks: Annotated[
        tuple[str, ...], Meta(description="The only banks that its lookups search and learn of. Empty: every bank.")
    ] = ()
    queries_per_second: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="Hashes that it may look up per second, over all workers. Unset: any number."),
    ] = None
    bulk_only: Annotated[
        bool, Meta(description="Whether its lookups have to be bulk ones, which make way for all others.")
    ] = False
    read_hashes: Annotated[bool, Meta(description="Whether matches tell it the stored hash.")] = False

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        for bank in self.banks:
            check_name(bank, "banks")
        for role in self.roles:
            if self.banks and role != "lookup":
                raise InvalidInput("banks", f"the role {role} is for all banks; give two callers, one for each")
        for value in self.token_sha256:
            # Not shown: it may be the token itself.
            if not _SHA256.fullmatch(value):
                raise InvalidInput("token_sha256", "not the SHA-256 of a token; write what `nearhash token` prints")


def check_callers(callers: tuple[Caller, ...]) -> None:
    """Raise InvalidInput unless something tells each caller from all others."""
    owners: dict[tuple[str, str], int] = {}
    for i, caller in enumerate(callers):
        if not caller.token_sha256 and not caller.certificates:
            raise InvalidInput(f"callers[{i}]", "nobody can be this caller; give token_sha256 or certificates")
        own = [("name", caller.name)]
        own += [("token_sha256", value) for value in caller.token_sha256]
        own += [("certificates", name) for name in caller.certificates]
        for field, value in own:
            other = owners.setdefault((field, value), i)
            if other != i:
                raise InvalidInput(f"callers[{i}].{field}", f"that of callers[{other}], too; each needs its own")
