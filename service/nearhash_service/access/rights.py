"""The roles that may call each RPC. One that is not here is refused to everybody."""

from __future__ import annotations

from nearhash_service.config import Role

__all__ = ["ROLES"]

_BANKS = "/nearhash.v1.BankService/"
_LOOKUP = frozenset[Role]({"lookup"})
_ADMIN = frozenset[Role]({"admin"})
_OBSERVE = frozenset[Role]({"observe", "admin"})

ROLES: dict[str, frozenset[Role]] = {
    "/nearhash.v1.LookupService/Lookup": _LOOKUP,
    f"{_BANKS}CreateBank": _ADMIN,
    f"{_BANKS}UpdateBank": _ADMIN,
    f"{_BANKS}ListBanks": _ADMIN,
    f"{_BANKS}ApplyChanges": _ADMIN,
    f"{_BANKS}Publish": _ADMIN,
    f"{_BANKS}ListGenerations": _OBSERVE,
    f"{_BANKS}Rollback": _ADMIN,
    f"{_BANKS}Release": _ADMIN,
    f"{_BANKS}GetEntry": _ADMIN,
    f"{_BANKS}ListQuarantine": _ADMIN,
    f"{_BANKS}ListAudit": _ADMIN,
    f"{_BANKS}GetStatus": _OBSERVE,
    f"{_BANKS}EstimateMatches": _ADMIN,
}
"""By the method's full name."""
