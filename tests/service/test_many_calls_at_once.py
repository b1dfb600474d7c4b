"""More calls at once than gRPC takes on a connection: a client keeps them waiting, a server would refuse some."""

from __future__ import annotations

import asyncio
from collections import Counter

from nearhash.v1 import lookup_pb2, lookup_pb2_grpc
from nearhash_client import AsyncClient
from nearhash_client.channel import open_aio_channel
from nearhash_index.hash_types import HASH_TYPES

PHASH64 = HASH_TYPES["phash64"]


def test_thousands_of_lookups_at_once_are_all_answered(server, sample):
    values = sample.hashes(PHASH64)

    async def run() -> list[list[tuple[str, int]]]:
        async with AsyncClient(server.address) as client:
            found = await asyncio.gather(*(client.lookup([values[i % len(values)]], timeout_s=60) for i in range(3000)))
            return [[(match.entry_id, match.distance) for match in result.matches] for result in found]

    answers = asyncio.run(run())
    expected = [[] for _ in values]
    for row in sample.expected(PHASH64, values):
        expected[row[0]].append((row[3], row[1]))
    assert answers == [expected[i % len(values)] for i in range(3000)]
    assert all(expected)


def test_stubs_with_the_service_config_are_answered_after_retries(server, sample):
    request = lookup_pb2.LookupRequest(hash_type=PHASH64.number, hashes=sample.hashes(PHASH64)[0])

    async def run() -> Counter[int]:
        async with open_aio_channel(server.address) as channel:
            stub = lookup_pb2_grpc.LookupServiceStub(channel)
            found = await asyncio.gather(*(stub.Lookup(request, timeout=60) for _ in range(400)))
            return Counter(len(answer.matches) for answer in found)

    (answered,) = asyncio.run(run()).items()
    assert answered[0] > 0
    assert answered[1] == 400
