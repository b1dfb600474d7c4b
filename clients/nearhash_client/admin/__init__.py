"""Administration of banks, their entries, and what is published. For operators, and for what reviewers decide.

>>> from nearhash_client.admin import AdminClient, Entry, EntryKey, Upsert, Withdraw
>>> with AdminClient("127.0.0.1:50051") as admin:  # doctest: +SKIP
...     admin.apply_changes("reviewed", [Withdraw(EntryKey("case-1"))], reason="case withdrawn")
"""

from .changes import (
    Change,
    Disable,
    Enable,
    Entry,
    EntryKey,
    Reinstate,
    Remove,
    Unquarantine,
    Upsert,
    Withdraw,
)
from .client import AdminClient
from .results import (
    AppliedChanges,
    AuditRecord,
    Author,
    Bank,
    BankDiff,
    BuildStatus,
    Estimate,
    Generation,
    Publication,
    QuarantinedEntry,
    RadiusEstimate,
    SearchPlan,
    Status,
    StoredEntries,
    StoredEntry,
    WorkerStatus,
)

__all__ = [
    "AdminClient",
    "AppliedChanges",
    "AuditRecord",
    "Author",
    "Bank",
    "BankDiff",
    "BuildStatus",
    "Change",
    "Disable",
    "Enable",
    "Entry",
    "EntryKey",
    "Estimate",
    "Generation",
    "Publication",
    "QuarantinedEntry",
    "RadiusEstimate",
    "Reinstate",
    "Remove",
    "SearchPlan",
    "Status",
    "StoredEntries",
    "StoredEntry",
    "Unquarantine",
    "Upsert",
    "Withdraw",
    "WorkerStatus",
]
