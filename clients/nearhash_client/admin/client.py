"""The client for administration."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message

from nearhash.v1 import banks_pb2, banks_pb2_grpc
from nearhash_client.channel import TLS, open_channel
from nearhash_client.deadline import Deadline
from nearhash_client.errors import error_from_rpc, invalid
from nearhash_client.hash_types import find_hash_type
from nearhash_client.requests import checked_int
from nearhash_client.tokens import Token

from .changes import Change, EntryKey, Withdraw, change_message
from .results import (
    AppliedChanges,
    AuditRecord,
    Bank,
    Estimate,
    Generation,
    Publication,
    QuarantinedEntry,
    Status,
    StoredEntries,
    result_of,
)

T = TypeVar("T", bound=Message)


class AdminClient:
    """Administers the banks of a NearHash server. One client serves all threads of a process.

    Changes are durable when answered, and followed by every worker within a second. Every method raises a NearHashError
    if it fails, as `nearhash_client.errors` lists them, and takes `timeout_s`, in seconds, with all retries; None: as
    long as the server takes. `actor` and `reason` go into the audit log; an actor that the server knows counts for more
    than `actor`.

    Parameters
    ----------
    target, tls, token
        As for `Client`.
    """

    def __init__(self, target: str | Sequence[str], *, tls: TLS | None = None, token: Token | None = None) -> None:
        self._channel = open_channel(target, tls=tls, token=token)
        self._stub = banks_pb2_grpc.BankServiceStub(self._channel)

    def create_bank(
        self,
        name: str,
        *,
        radii: Mapping[str, int] | None = None,
        labels: Sequence[str] = (),
        allowlist: bool = False,
        actor: str = "",
        reason: str = "",
        timeout_s: float | None = None,
    ) -> Bank:
        """Create an enabled, empty bank.

        Parameters
        ----------
        radii
            Inclusive, in bits, by names from `HASH_TYPES`. Types left out have their default.
        allowlist
            Whether a match in it suppresses the matches of other banks.

        Raises
        ------
        AlreadyExists
            If the name is taken.
        """
        request = banks_pb2.CreateBankRequest(
            name=name, radii=_radii(radii or {}), labels=labels, allowlist=allowlist, author=_author(actor, reason)
        )
        return result_of(self._call(self._stub.CreateBank, request, timeout_s).bank, Bank)

    def update_bank(
        self,
        name: str,
        *,
        radii: Mapping[str, int] | None = None,
        enabled: bool | None = None,
        labels: Sequence[str] | None = None,
        allowlist: bool | None = None,
        actor: str = "",
        reason: str = "",
        timeout_s: float | None = None,
    ) -> Bank:
        """Change a bank; what is left out or None stays, and so do the radii of types that `radii` does not name.

        `labels` take the place of those that it has.
        """
        request = banks_pb2.UpdateBankRequest(
            name=name,
            radii=_radii(radii or {}),
            enabled=enabled,
            labels=None if labels is None else banks_pb2.BankLabels(labels=labels),
            allowlist=allowlist,
            author=_author(actor, reason),
        )
        return result_of(self._call(self._stub.UpdateBank, request, timeout_s).bank, Bank)

    def list_banks(self, *, timeout_s: float | None = None) -> tuple[Bank, ...]:
        """Return all banks, sorted by name."""
        request = banks_pb2.ListBanksRequest()
        found = self._call(self._stub.ListBanks, request, timeout_s).banks
        return tuple(result_of(each, Bank) for each in found)

    def apply_changes(
        self,
        bank: str,
        changes: Sequence[Change],
        *,
        dry_run: bool = False,
        actor: str = "",
        reason: str = "",
        timeout_s: float | None = None,
    ) -> AppliedChanges:
        """Change entries of one bank: all of the changes or nothing. Idempotent, and so retried.

        Parameters
        ----------
        changes
            At least one, at most as many as a server takes in a call, 10,000.
        dry_run
            Only tell what would be done.
        """
        request = banks_pb2.ApplyChangesRequest(
            bank=bank,
            changes=[change_message(change, f"changes[{i}]") for i, change in enumerate(changes)],
            author=_author(actor, reason),
            dry_run=dry_run,
        )
        return result_of(self._call(self._stub.ApplyChanges, request, timeout_s), AppliedChanges)

    def withdraw(
        self, bank: str, key: EntryKey, *, actor: str = "", reason: str = "", timeout_s: float | None = None
    ) -> AppliedChanges:
        """Stop matching an entry for good, even after a roll back or when a list brings it again."""
        return self.apply_changes(bank, [Withdraw(key)], actor=actor, reason=reason, timeout_s=timeout_s)

    def publish(
        self,
        *,
        dry_run: bool = False,
        kept_generations: int = 0,
        actor: str = "",
        reason: str = "",
        timeout_s: float | None = None,
    ) -> Publication:
        """Build a generation from all changes, and have every worker serve it.

        Parameters
        ----------
        dry_run
            Only tell what would change.
        kept_generations
            So many of the newest earlier generations stay for roll back. 0: the server's setting.

        Raises
        ------
        FailedPrecondition
            While a roll back pins a generation.
        """
        request = banks_pb2.PublishRequest(
            dry_run=dry_run,
            kept_generations=checked_int("kept_generations", kept_generations, 0, 2**32 - 1),
            author=_author(actor, reason),
        )
        return result_of(self._call(self._stub.Publish, request, timeout_s), Publication)

    def list_generations(self, *, timeout_s: float | None = None) -> tuple[Generation, ...]:
        """Return the generations that are kept, newest first."""
        request = banks_pb2.ListGenerationsRequest()
        found = self._call(self._stub.ListGenerations, request, timeout_s).generations
        return tuple(result_of(each, Generation) for each in found)

    def rollback(
        self, generation: int = 0, *, actor: str = "", reason: str = "", timeout_s: float | None = None
    ) -> Generation:
        """Make an earlier generation current, as it was, until it is released; 0: the newest before the current one.

        What was withdrawn or disabled since does not match even so.

        Raises
        ------
        FailedPrecondition
            If there is no such generation.
        """
        request = banks_pb2.RollbackRequest(
            generation=checked_int("generation", generation, 0, 2**64 - 1), author=_author(actor, reason)
        )
        return result_of(self._call(self._stub.Rollback, request, timeout_s).generation, Generation)

    def release(self, *, actor: str = "", reason: str = "", timeout_s: float | None = None) -> Generation:
        """End a roll back: the newest generation is current again, with all changes since."""
        request = banks_pb2.ReleaseRequest(author=_author(actor, reason))
        return result_of(self._call(self._stub.Release, request, timeout_s).generation, Generation)

    def get_entry(self, bank: str, entry_id: str, *, timeout_s: float | None = None) -> StoredEntries:
        """Return what is known of the entries of one id, one for each source.

        Raises
        ------
        NotFound
            If there is none.
        """
        request = banks_pb2.GetEntryRequest(bank=bank, entry_id=entry_id)
        return result_of(self._call(self._stub.GetEntry, request, timeout_s), StoredEntries)

    def list_quarantine(
        self, bank: str, *, limit: int = 0, timeout_s: float | None = None
    ) -> tuple[QuarantinedEntry, ...]:
        """Return a bank's entries that have quarantined hashes, by entry id, at most `limit`; 0: 100."""
        request = banks_pb2.ListQuarantineRequest(bank=bank, limit=checked_int("limit", limit, 0, 2**32 - 1))
        found = self._call(self._stub.ListQuarantine, request, timeout_s).entries
        return tuple(result_of(each, QuarantinedEntry) for each in found)

    def list_audit(self, *, limit: int = 0, timeout_s: float | None = None) -> tuple[AuditRecord, ...]:
        """Return the newest records of the audit log, newest first, at most `limit`; 0: 100."""
        request = banks_pb2.ListAuditRequest(limit=checked_int("limit", limit, 0, 2**32 - 1))
        found = self._call(self._stub.ListAudit, request, timeout_s).records
        return tuple(result_of(each, AuditRecord) for each in found)

    def status(self, *, timeout_s: float | None = None) -> Status:
        """Return what is published, what waits, and what each worker serves."""
        return result_of(self._call(self._stub.GetStatus, banks_pb2.GetStatusRequest(), timeout_s), Status)

    def estimate_matches(self, bank: str, hash_type: str, *, timeout_s: float | None = None) -> Estimate:
        """Estimate random matches at each radius from a bank's published hashes; takes some seconds.

        Raises
        ------
        InvalidRequest
            If the bank has fewer than 100 hashes of the type, or it is a digest.
        """
        request = banks_pb2.EstimateMatchesRequest(bank=bank, hash_type=find_hash_type(hash_type).number)
        return result_of(self._call(self._stub.EstimateMatches, request, timeout_s), Estimate)

    def close(self) -> None:
        """Close the connection; calls under way fail."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: Callable[..., T], request: Any, timeout_s: float | None) -> T:
        try:
            return method(request, timeout=Deadline(timeout_s).remaining_s())
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error


def _author(actor: str, reason: str) -> banks_pb2.Author:
    return banks_pb2.Author(actor=actor, reason=reason)


def _radii(radii: Mapping[str, int]) -> list[banks_pb2.Radius]:
    if not isinstance(radii, Mapping):
        raise invalid("radii", f"found {type(radii).__name__}; it maps names of hash types to bits")
    found = []
    for name, radius in radii.items():
        hash_type = find_hash_type(name)
        checked = checked_int(f"radii[{name!r}]", radius, 0, hash_type.width_bits)
        found.append(banks_pb2.Radius(hash_type=hash_type.number, radius=checked))
    return found
