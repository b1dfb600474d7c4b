"""BankService: banks, their entries, and what is published."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import islice

import grpc

from nearhash.v1 import banks_pb2, banks_pb2_grpc
from nearhash_index.entries import check_entry_id, check_name
from nearhash_index.errors import InvalidInput, NearHashIndexError, NotPublished, UnknownName
from nearhash_index.store import Current, DataDirectory, Generation, Registry
from nearhash_index.store.build_progress import BuildProgress
from nearhash_index.store.changes import check_author
from nearhash_index.store.diff import publish_diff
from nearhash_index.store.generation import Manifest, verified
from nearhash_service.access.authors import author_of
from nearhash_service.answering.building import publish_in_own_process
from nearhash_service.answering.estimating import estimate_in_own_process
from nearhash_service.answering.messages import (
    audit_message,
    bank_message,
    build_message,
    change_of,
    estimate_message,
    generation_message,
    plan_message,
    quarantined_message,
    radii_of,
    stored_message,
    worker_message,
)
from nearhash_service.answering.pace import Pace
from nearhash_service.answering.served_view import ServedView
from nearhash_service.answering.wire_types import hash_type_of
from nearhash_service.answering.worker_board import WorkerBoard, WorkerNote
from nearhash_service.metrics.instruments import Instruments

__all__ = ["MAX_CHANGES", "BankService"]

MAX_CHANGES = 10_000
"""Changes per call."""
_DEFAULT_LIMIT = 100
_MAX_LIMIT = 10_000


class BankService(banks_pb2_grpc.BankServiceServicer):
    """Administers one data directory."""

    def __init__(
        self,
        directory: DataDirectory,
        registry: Registry,
        served: ServedView,
        note: Callable[[], WorkerNote],
        instruments: Instruments,
        kept_generations: int,
    ) -> None:
        self._directory = directory
        self._kept_generations = kept_generations
        self._registry = registry
        self._served = served
        self._note = note
        self._instruments = instruments
        self._board = WorkerBoard(directory.path)

    def CreateBank(  # noqa: N802 - gRPC's names, here and below
        self, request: banks_pb2.CreateBankRequest, context: grpc.ServicerContext
    ) -> banks_pb2.CreateBankResponse:
        """Create an empty bank."""
        bank = self._registry.create_bank(
            request.name,
            radii_of(request.radii),
            request.labels,
            allowlist=request.allowlist,
            author=author_of(request.author, context),
        )
        return banks_pb2.CreateBankResponse(bank=bank_message(bank))

    def UpdateBank(  # noqa: N802
        self, request: banks_pb2.UpdateBankRequest, context: grpc.ServicerContext
    ) -> banks_pb2.UpdateBankResponse:
        """Change a bank."""
        bank = self._registry.update_bank(
            check_name(request.name, "name"),
            radii_of(request.radii),
            request.enabled if request.HasField("enabled") else None,
            labels=request.labels.labels if request.HasField("labels") else None,
            allowlist=request.allowlist if request.HasField("allowlist") else None,
            author=author_of(request.author, context),
        )
        return banks_pb2.UpdateBankResponse(bank=bank_message(bank))

    def ListBanks(  # noqa: N802
        self, request: banks_pb2.ListBanksRequest, context: grpc.ServicerContext
    ) -> banks_pb2.ListBanksResponse:
        """List the registry's banks."""
        del request, context
        return banks_pb2.ListBanksResponse(banks=map(bank_message, self._registry.banks()))

    def ApplyChanges(  # noqa: N802
        self, request: banks_pb2.ApplyChangesRequest, context: grpc.ServicerContext
    ) -> banks_pb2.ApplyChangesResponse:
        """Change entries."""
        if not 1 <= len(request.changes) <= MAX_CHANGES:
            raise InvalidInput("changes", f"{len(request.changes)} changes; send 1 to {MAX_CHANGES} in one call")
        changes = [change_of(change, f"changes[{i}]") for i, change in enumerate(request.changes)]
        author = author_of(request.author, context)
        counts = self._registry.apply(request.bank, changes, author, dry_run=request.dry_run)
        return banks_pb2.ApplyChangesResponse(**counts._asdict())

    def Publish(  # noqa: N802
        self, request: banks_pb2.PublishRequest, context: grpc.ServicerContext
    ) -> banks_pb2.PublishResponse:
        """Build a generation in a process of its own, and make it current."""
        if request.dry_run:
            return banks_pb2.PublishResponse(diffs=self._diffs())
        author = check_author(author_of(request.author, context))
        kept = request.kept_generations or self._kept_generations
        manifest = publish_in_own_process(self._directory.path, kept, self._instruments)
        self._registry.note_publishing(f"publish generation {manifest.number}", author)
        return banks_pb2.PublishResponse(generation=generation_message(manifest, self._current()))

    def ListGenerations(  # noqa: N802
        self, request: banks_pb2.ListGenerationsRequest, context: grpc.ServicerContext
    ) -> banks_pb2.ListGenerationsResponse:
        """List the generations that can be rolled back to, newest first. Unreadable ones are left out."""
        del request, context
        current = self._current()
        response = banks_pb2.ListGenerationsResponse()
        for number in self._directory.served_generation_numbers():
            manifest = self._manifest(number)
            if manifest:
                response.generations.append(generation_message(manifest, current))
        return response

    def Rollback(  # noqa: N802
        self, request: banks_pb2.RollbackRequest, context: grpc.ServicerContext
    ) -> banks_pb2.RollbackResponse:
        """Make an earlier generation current, and pin it."""
        author = check_author(author_of(request.author, context))
        with self._directory.publish_lock():
            generation = self._choose(Current(request.generation or self._generation_before_current(), pinned=True))
        self._registry.note_publishing(f"roll back to generation {generation.number}", author)
        return banks_pb2.RollbackResponse(generation=generation)

    def Release(  # noqa: N802
        self, request: banks_pb2.ReleaseRequest, context: grpc.ServicerContext
    ) -> banks_pb2.ReleaseResponse:
        """Make the newest generation current again."""
        author = check_author(author_of(request.author, context))
        with self._directory.publish_lock():
            generation = self._choose_newest()
        self._registry.note_publishing(f"release to generation {generation.number}", author)
        return banks_pb2.ReleaseResponse(generation=generation)

    def GetEntry(  # noqa: N802
        self, request: banks_pb2.GetEntryRequest, context: grpc.ServicerContext
    ) -> banks_pb2.GetEntryResponse:
        """Tell what is known of the entries of one id."""
        del context
        response = banks_pb2.GetEntryResponse()
        view = None
        with suppress(NearHashIndexError):
            view = self._served.get()
            response.generation, response.sequence = view.generation.manifest.number, view.sequence
        with self._registry.snapshot() as snapshot:
            for stored in snapshot.entries_named(request.bank, check_entry_id(request.entry_id)):
                matched = view is not None and view.is_matched(request.bank, stored.entry.key)
                response.entries.append(stored_message(stored, matched=matched))
        return response

    def ListQuarantine(  # noqa: N802
        self, request: banks_pb2.ListQuarantineRequest, context: grpc.ServicerContext
    ) -> banks_pb2.ListQuarantineResponse:
        """List entries with quarantined hashes."""
        del context
        limit = _checked_limit(request.limit)
        with self._registry.snapshot() as snapshot:
            entries = islice(snapshot.quarantined(request.bank), limit)
            return banks_pb2.ListQuarantineResponse(entries=map(quarantined_message, entries))

    def ListAudit(  # noqa: N802
        self, request: banks_pb2.ListAuditRequest, context: grpc.ServicerContext
    ) -> banks_pb2.ListAuditResponse:
        """Read the audit log, newest first."""
        del context
        records = self._registry.audit(_checked_limit(request.limit))
        return banks_pb2.ListAuditResponse(records=map(audit_message, records))

    def GetStatus(  # noqa: N802
        self, request: banks_pb2.GetStatusRequest, context: grpc.ServicerContext
    ) -> banks_pb2.GetStatusResponse:
        """Tell what the registry holds, what is published, and what this process serves."""
        del request, context
        response = banks_pb2.GetStatusResponse(
            sequence=self._registry.sequence(), banks=map(bank_message, self._registry.banks())
        )
        current = self._current()
        manifest = self._manifest(current.number) if current else None
        if manifest:
            response.current.CopyFrom(generation_message(manifest, current))
        with suppress(NearHashIndexError):
            view = self._served.get()
            for name, segment in view.generation.segments.items():
                widest = max(bank.radii[name] for bank in view.banks)
                response.plans.append(plan_message(name, segment.index.explain(widest)))
        response.worker.CopyFrom(worker_message(self._note()))
        response.workers.extend(map(worker_message, self._board.notes()))
        response.disk_size_bytes = self._directory.size_bytes()
        response.storage_error = self._directory.write_refusal()
        progress = BuildProgress.read(self._directory)
        if progress:
            response.build.CopyFrom(build_message(progress))
        return response

    def EstimateMatches(  # noqa: N802
        self, request: banks_pb2.EstimateMatchesRequest, context: grpc.ServicerContext
    ) -> banks_pb2.EstimateMatchesResponse:
        """Estimate how many random matches a bank gives at each radius."""
        del context
        hash_type = hash_type_of(request.hash_type, "hash_type")
        number = self._directory.current().number
        folder = self._directory.generation_path(number)
        return estimate_message(number, estimate_in_own_process(folder, request.bank, hash_type.name))

    def _diffs(self) -> list[banks_pb2.BankDiff]:
        try:
            generation = Generation.open(self._directory.generation_path(self._directory.current().number))
        except NotPublished:
            generation = None
        with self._registry.snapshot() as snapshot:
            diffs = publish_diff(snapshot, generation)
        return [banks_pb2.BankDiff(bank=bank, **counts) for bank, counts in sorted(diffs.items())]

    def _choose(self, current: Current) -> banks_pb2.Generation:
        """Make a generation current. Verified here too, so that a damaged one is refused to the operator already."""
        manifest = verified(self._directory.served_generation_path(current.number), Pace())
        self._directory.set_current(current)
        return generation_message(manifest, current)

    def _choose_newest(self) -> banks_pb2.Generation:
        """Make the newest generation current that is whole, so that a damaged one cannot keep another pinned."""
        *newer, oldest = self._directory.served_generation_numbers() or [self._directory.current().number]
        for number in newer:
            with suppress(NearHashIndexError):
                return self._choose(Current(number))
        return self._choose(Current(oldest))

    def _current(self) -> Current | None:
        """Return what is published; None if that is nothing, or unreadable, which the worker's status tells."""
        try:
            return self._directory.current()
        except NearHashIndexError:
            return None

    def _generation_before_current(self) -> int:
        current = self._directory.current().number
        earlier = [number for number in self._directory.served_generation_numbers() if number < current]
        if not earlier:
            raise UnknownName(f"there is no generation before {current} to roll back to")
        return earlier[0]

    def _manifest(self, number: int) -> Manifest | None:
        try:
            return Manifest.read(self._directory.generation_path(number))
        except NearHashIndexError:
            return None


def _checked_limit(limit: int) -> int:
    if limit > _MAX_LIMIT:
        raise InvalidInput("limit", f"{limit} is too many; use 0 to {_MAX_LIMIT}")
    return limit or _DEFAULT_LIMIT
