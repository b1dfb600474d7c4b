"""The role that each RPC needs. One that is not here is refused to everybody."""

from __future__ import annotations

from typing import Literal

__all__ = ["ROLES"]

_BANKS = "/nearhash.v1.BankService/"

ROLES: dict[str, Literal["lookup", "admin"]] = {
    "/nearhash.v1.LookupService/Lookup": "lookup",
    f"{_BANKS}CreateBank": "admin",
    f"{_BANKS}UpdateBank": "admin",
    f"{_BANKS}ListBanks": "admin",
    f"{_BANKS}ApplyChanges": "admin",
    f"{_BANKS}Publish": "admin",
    f"{_BANKS}ListGenerations": "admin",
    f"{_BANKS}Rollback": "admin",
    f"{_BANKS}Release": "admin",
    f"{_BANKS}GetEntry": "admin",
    f"{_BANKS}ListQuarantine": "admin",
    f"{_BANKS}ListAudit": "admin",
    f"{_BANKS}GetStatus": "admin",
    f"{_BANKS}EstimateMatches": "admin",
}
"""By the method's full name."""
