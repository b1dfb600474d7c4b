"""Which bands to index: as many per word, and as wide, as make queries cheapest within the memory allowed."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nearhash_index.bands import Band, equal_bands
from nearhash_index.work import Costs, table_work

__all__ = ["bytes_per_code", "choose_bands"]

_BYTES_PER_CODE_AND_WORD = 62
_WIDEST_BAND = 24
_AS_GOOD = 1.1
"""Of the least cost: costs are not known better. Wider bands then suit lists whose codes crowd some buckets; from 16
bits on, a table holds whole words."""


def choose_bands(n: int, words: int, radius: int, costs: Costs, brute_force_ns: float) -> list[Band]:
    """Return the widest of the bands that search uniform codes cheapest; none if brute force is cheaper.

    Parameters
    ----------
    n : int
        Number of codes.
    radius : int
        That most queries will use, in bits, inclusive.
    brute_force_ns : float
        Time of a query by brute force.
    """
    options = [
        (_cost_ns(bands, n, radius, costs), bands)
        for bands in _options(n, words, radius)
        if bytes_per_code(bands, n, words) <= _BYTES_PER_CODE_AND_WORD * words
    ]
    least_ns = min((cost_ns for cost_ns, _ in options), default=math.inf)
    if least_ns >= brute_force_ns:
        return []
    return max((bands for cost_ns, bands in options if cost_ns <= _AS_GOOD * least_ns), key=lambda bands: bands[0].bits)


def bytes_per_code(bands: list[Band], n: int, words: int) -> float:
    """Return the size of everything: in each table an entry, a rest and an id; the offsets; the code and its rows."""
    offsets_bytes = sum(4 * ((2 << band.bits) + 1) for band in bands)
    return len(bands) * 10 + offsets_bytes / max(1, n) + words * 8 + 8


def _options(n: int, words: int, radius: int) -> Iterator[list[Band]]:
    # More values than codes help nobody.
    widest = min(n.bit_length(), _WIDEST_BAND)
    if radius == 0:
        # A single table finds equal codes.
        yield from (equal_bands(1, 1, bits) for bits in range(8, widest + 1))
        return
    for per_word in range(1, 9):
        yield from (equal_bands(words, per_word, bits) for bits in range(8, min(64 // per_word, widest) + 1))


def _cost_ns(bands: list[Band], n: int, radius: int, costs: Costs) -> float:
    """Share the radius evenly, which is cheapest for bands of one width."""
    bits = bands[0].bits
    each, more = divmod(radius + 1, len(bands))
    if each > bits:
        return float("inf")
    sizes = [n / 2**bits] * (each + 1)
    per_word = -(-(radius + 1) // (1 + bands[-1].word))
    common = table_work(bits, each - 1, sizes, per_word - 1).cost_ns(costs)
    higher = table_work(bits, each, sizes, per_word - 1).cost_ns(costs)
    # At one of the tables, half of the codes are of the wrong parity for the last step.
    steps = max(0, more - 0.5) if more else -0.5
    step = higher - common if more else common - table_work(bits, each - 2, sizes, per_word - 1).cost_ns(costs)
    return len(bands) * common + steps * step
