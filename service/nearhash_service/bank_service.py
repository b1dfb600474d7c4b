"""BankService: banks, their entries, and what is published."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from pathlib import Path

import grpc

from nearhash.v1 import banks_pb2, banks_pb2_grpc
from nearhash_index.entries import check_name
from nearhash_index.errors import InvalidInput, NearHashIndexError, NotPublished, StorageFailed, UnknownName
from nearhash_index.store import DataDirectory, Generation, Registry, publish
from nearhash_index.store.generation import Manifest
from nearhash_service.messages import bank_message, change_of, generation_message, radii_of
from nearhash_service.served_generation import ServedGeneration

__all__ = ["MAX_CHANGES", "BankService"]

MAX_CHANGES = 10_000
"""Changes per call."""


class BankService(banks_pb2_grpc.BankServiceServicer):
    """Administers one data directory."""

    def __init__(self, directory: DataDirectory, registry: Registry, served: ServedGeneration) -> None:
        self._directory = directory
        self._registry = registry
        self._served = served
        self._start_time = datetime.now(UTC)

    def CreateBank(  # noqa: N802 - gRPC's names, here and below
        self, request: banks_pb2.CreateBankRequest, context: grpc.ServicerContext
    ) -> banks_pb2.CreateBankResponse:
        """Create an empty bank."""
        del context
        bank = self._registry.create_bank(request.name, radii_of(request.radii), request.labels)
        return banks_pb2.CreateBankResponse(bank=bank_message(bank))

    def UpdateBank(  # noqa: N802
        self, request: banks_pb2.UpdateBankRequest, context: grpc.ServicerContext
    ) -> banks_pb2.UpdateBankResponse:
        """Change a bank."""
        del context
        enabled = request.enabled if request.HasField("enabled") else None
        bank = self._registry.update_bank(check_name(request.name, "name"), radii_of(request.radii), enabled)
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
        """Upsert and remove entries."""
        del context
        if not 1 <= len(request.changes) <= MAX_CHANGES:
            raise InvalidInput("changes", f"{len(request.changes)} changes; send 1 to {MAX_CHANGES} in one call")
        changes = [change_of(change, f"changes[{i}]") for i, change in enumerate(request.changes)]
        return banks_pb2.ApplyChangesResponse(**self._registry.apply(request.bank, changes)._asdict())

    def Publish(  # noqa: N802
        self, request: banks_pb2.PublishRequest, context: grpc.ServicerContext
    ) -> banks_pb2.PublishResponse:
        """Build a generation in a process of its own, and make it current."""
        del request, context
        manifest = _in_own_process(publish, self._directory.path)
        return banks_pb2.PublishResponse(generation=generation_message(manifest, current=True))

    def ListGenerations(  # noqa: N802
        self, request: banks_pb2.ListGenerationsRequest, context: grpc.ServicerContext
    ) -> banks_pb2.ListGenerationsResponse:
        """List the generations that can be rolled back to, newest first. Unreadable ones are left out."""
        del request, context
        try:
            current = self._directory.current()
        except NotPublished:
            current = 0
        response = banks_pb2.ListGenerationsResponse()
        for number in self._directory.generation_numbers():
            manifest = self._manifest(number)
            if manifest:
                response.generations.append(generation_message(manifest, current=number == current))
        return response

    def Rollback(  # noqa: N802
        self, request: banks_pb2.RollbackRequest, context: grpc.ServicerContext
    ) -> banks_pb2.RollbackResponse:
        """Make an earlier generation current."""
        del context
        with self._directory.publish_lock():
            number = request.generation or self._generation_before_current()
            # Verified here too, so that a damaged one is refused to the operator and not only by the workers.
            manifest = Generation.open(self._directory.existing_generation_path(number)).manifest
            self._directory.set_current(number)
        return banks_pb2.RollbackResponse(generation=generation_message(manifest, current=True))

    def GetStatus(  # noqa: N802
        self, request: banks_pb2.GetStatusRequest, context: grpc.ServicerContext
    ) -> banks_pb2.GetStatusResponse:
        """Tell what the registry holds, what is published, and what this process serves."""
        del request, context
        response = banks_pb2.GetStatusResponse(
            sequence=self._registry.sequence(), banks=map(bank_message, self._registry.banks())
        )
        try:
            manifest = self._manifest(self._directory.current())
            if manifest:
                response.current.CopyFrom(generation_message(manifest, current=True))
        except NearHashIndexError:
            # Why is among what the worker tells.
            pass
        response.worker.process_id = os.getpid()
        response.worker.generation = self._served.number()
        response.worker.start_time.FromDatetime(self._start_time)
        response.worker.reload_error = self._served.error()
        return response

    def _generation_before_current(self) -> int:
        current = self._directory.current()
        earlier = [number for number in self._directory.generation_numbers() if number < current]
        if not earlier:
            raise UnknownName(f"there is no generation before {current} to roll back to")
        return earlier[0]

    def _manifest(self, number: int) -> Manifest | None:
        try:
            return Manifest.read(self._directory.generation_path(number))
        except NearHashIndexError:
            return None


def _in_own_process(build: Callable[[Path], Manifest], path: Path) -> Manifest:
    """Run a build where it can neither slow calls nor, if it is killed, take them along. Errors come back as raised."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(build, path).result()
        except BrokenProcessPool:
            raise StorageFailed("the build was killed; the old generation stays published") from None
