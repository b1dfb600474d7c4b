"""What observing adds to a call: counting, timing, naming it for the log: `python -m bench.observing_cost`."""

from __future__ import annotations

import timeit
from collections.abc import Callable

from nearhash.v1 import lookup_pb2
from nearhash_index.hash_types import HASH_TYPES
from nearhash_service.metrics.instruments import Instruments
from nearhash_service.sight.current_call import note_lookup
from nearhash_service.sight.observing import ObservingInterceptor

PDQ = HASH_TYPES["pdq256"]
CALLS = 2_000


def main() -> None:
    """Print the time per call, best of many, without and with observing."""
    response = lookup_pb2.LookupResponse(generation=1, sequence=1)
    found = lookup_pb2.LookupResponse(matches=[lookup_pb2.Match(bank="bank0", distance=9)])

    def answering(answer: lookup_pb2.LookupResponse, banks: int) -> Callable[..., lookup_pb2.LookupResponse]:
        names = frozenset(f"bank{i}" for i in range(banks))

        def call(_request: object, _context: object) -> lookup_pb2.LookupResponse:
            instruments.lookups.count(PDQ, names, 1, answer)
            note_lookup("pdq256", 1, answer.generation, len(answer.matches))
            return answer

        return call

    instruments = Instruments()
    observing = ObservingInterceptor(instruments.calls, slow_call_s=1.0)
    floor = per_call_us(lambda _request, _context: response)
    print(f"a call that nobody observes: {floor:.2f} us")
    for name, answer, banks in (
        ("no match, 1 bank", response, 1),
        ("no match, 10 banks", response, 10),
        ("one match, 1 bank", found, 1),
    ):
        call = observing._observed(answering(answer, banks), "/nearhash.v1.LookupService/Lookup")
        print(f"{name}: {per_call_us(call) - floor:.2f} us more")


def per_call_us(call: Callable[..., object]) -> float:
    return min(timeit.repeat(lambda: call(None, None), number=CALLS, repeat=200)) / CALLS * 1e6


if __name__ == "__main__":
    main()
