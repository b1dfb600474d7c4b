"""How far alterations move hashes, and how near different images lie: recall and false matches by type and radius.

python -m bench.robustness [IMAGES [PROCESSES]]

Hashes are kept in bench/results as they are computed, so that it can be stopped and go on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from bench.alterations import ALTERATIONS
from bench.measure import RESULTS, save
from bench.natural_images import image_and_kind
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tests.demo.photographs import photographs

from nearhash_client.hashing import compute
from nearhash_index.codes import Codes, codes_from_bytes
from nearhash_index.degenerate import degenerate_rows
from nearhash_index.hash_types import HASH_TYPES

SEED = 20_260
SIDE = 256
ALTERED_IMAGES = 5_000
DIFFERENT_IMAGES = 20_000
MIN_QUALITY = 50
TYPES = ("phash64", "dhash64", "ahash64", "whash64", "pdq256")
MAX_RADIUS = {"phash64": 24, "dhash64": 24, "ahash64": 24, "whash64": 24, "pdq256": 96}
"""Distances above are not told apart."""
_PER_TASK = 100


def main(different: int = DIFFERENT_IMAGES, processes: int | None = None) -> None:
    """Hash what is not hashed yet, and write the record."""
    altered = min(ALTERED_IMAGES, different)
    with ProcessPoolExecutor(processes) as pool:
        tasks = range(0, different, _PER_TASK)
        for _ in pool.map(partial(hash_images, altered=altered), tasks):
            pass
        photos = pool.submit(hash_photographs).result()
    hashed = Hashed.joined([hash_images(first, altered) for first in tasks])
    record = {
        "seed": SEED,
        "side": SIDE,
        "kinds": dict(zip(*np.unique(hashed.kinds, return_counts=True), strict=True)),
        "altered_images": altered,
        "types": {name: recalls(hashed.first(altered), photos, name) | false_matches(hashed, name) for name in TYPES},
    }
    print("wrote", save("robustness", plain(record)))


@dataclass(frozen=True)
class Hashed:
    """Hashes of images and of their alterations.

    Attributes
    ----------
    kinds : str[n]
        What each image shows.
    values : dict of uint8[n, 1 + len(ALTERATIONS), bytes]
        By hash type; first the image as it is, then altered. Altered ones may be left out, and are zeros then.
    quality : uint8[n, 1 + len(ALTERATIONS)]
        PDQ's.
    """

    kinds: NDArray[np.str_]
    values: dict[str, NDArray[np.uint8]]
    quality: NDArray[np.uint8]

    @classmethod
    def joined(cls, parts: list[Hashed]) -> Hashed:
        """Return all parts as one."""
        return cls(
            np.concatenate([part.kinds for part in parts]),
            {name: np.concatenate([part.values[name] for part in parts]) for name in TYPES},
            np.concatenate([part.quality for part in parts]),
        )

    def first(self, n: int) -> Hashed:
        """Return the first n images."""
        return Hashed(self.kinds[:n], {name: values[:n] for name, values in self.values.items()}, self.quality[:n])

    def codes(self, name: str, column: int) -> tuple[Codes, NDArray[np.bool_]]:
        """Return a column as codes, and which of them a server would search."""
        codes = codes_from_bytes(np.ascontiguousarray(self.values[name][:, column]).tobytes(), HASH_TYPES[name])
        searched = np.ones(len(codes), dtype=bool)
        searched[degenerate_rows(codes, HASH_TYPES[name])] = False
        if name == "pdq256":
            searched &= self.quality[:, column] >= MIN_QUALITY
        return codes, searched


def hash_images(first: int, altered: int) -> Hashed:
    """Return the hashes of one task's images, from the file of an earlier run if there is one."""
    path = RESULTS / "robustness" / f"{SEED}-{SIDE}-{first}-{altered > first}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        hashed = hash_all(drawn(first), first, alter=altered > first)
        partial_path = path.with_suffix(".part.npz")
        np.savez(partial_path, kinds=hashed.kinds, quality=hashed.quality, **hashed.values)
        partial_path.rename(path)
    with np.load(path) as stored:
        return Hashed(stored["kinds"], {name: stored[name] for name in TYPES}, stored["quality"])


def hash_photographs() -> Hashed:
    """Return the hashes of the photographs."""
    return hash_all((("photograph", image) for _, image in photographs()), 0, alter=True)


def drawn(first: int) -> Iterator[tuple[str, Image.Image]]:
    """Yield a task's images and their kinds, each drawn in grey, and in two colours between dark and light."""
    for number in range(first, first + _PER_TASK):
        rng = np.random.default_rng((SEED, number))
        picture, kind = image_and_kind(rng, SIDE)
        dark, light = rng.integers(0, 90, 3).tolist(), rng.integers(170, 256, 3).tolist()
        yield kind, ImageOps.colorize(picture, tuple(dark), tuple(light))


def hash_all(images: Iterator[tuple[str, Image.Image]], first: int, *, alter: bool) -> Hashed:
    """Hash images, and their alterations if they are wanted; chance depends on an image's number, from `first`."""
    kinds, rows = [], []
    for number, (kind, image) in enumerate(images, start=first):
        rng = np.random.default_rng((SEED, number))
        versions = [image, *(change(image, rng) for change in ALTERATIONS.values())] if alter else [image]
        kinds.append(kind)
        rows.append([compute(version, TYPES) for version in versions])
    shape = (len(rows), 1 + len(ALTERATIONS))
    values = {name: np.zeros((*shape, HASH_TYPES[name].size_bytes), dtype=np.uint8) for name in TYPES}
    quality = np.zeros(shape, dtype=np.uint8)
    for i, row in enumerate(rows):
        for j, hashes in enumerate(row):
            for item in hashes:
                values[item.hash_type][i, j] = np.frombuffer(item.value, dtype=np.uint8)
                if item.quality is not None:
                    quality[i, j] = item.quality
    return Hashed(np.array(kinds), values, quality)


def recalls(hashed: Hashed, photos: Hashed, name: str) -> dict[str, object]:
    """Count the altered images by their distance from the original, of those whose original can be on a list."""
    told: dict[str, object] = {}
    for column, alteration in enumerate(ALTERATIONS, start=1):
        told[alteration] = {"images": distances(hashed, name, column), "photographs": distances(photos, name, column)}
    return {"listed": int(hashed.codes(name, 0)[1].sum()), "distances": told}


def distances(hashed: Hashed, name: str, column: int) -> list[int]:
    """Return how many altered images lie at each distance up to MAX_RADIUS; the last number: beyond or not searched."""
    codes, listed = hashed.codes(name, 0)
    altered, searched = hashed.codes(name, column)
    distance = np.bitwise_count(codes ^ altered).sum(axis=1, dtype=np.int64)
    distance[~searched] = MAX_RADIUS[name] + 1
    distance = np.minimum(distance, MAX_RADIUS[name] + 1)
    return np.bincount(distance[listed], minlength=MAX_RADIUS[name] + 2).tolist()


def false_matches(hashed: Hashed, name: str) -> dict[str, object]:
    """Count the pairs of different images by their distance, within each kind and over all.

    Two crops of photographs are left out: they may show the same.
    """
    codes, searched = hashed.codes(name, 0)
    by_kind = {kind: codes[searched & (hashed.kinds == kind)] for kind in np.unique(hashed.kinds)}
    kinds = sorted(by_kind)
    pairs: dict[str, list[int]] = {}
    for i, first in enumerate(kinds):
        for second in kinds[i:]:
            if not first == second == "crop":
                pairs[f"{first}, {second}"] = pair_distances(
                    by_kind[first], by_kind[second], name, same=first == second
                )
    return {"different": {kind: len(of_kind) for kind, of_kind in by_kind.items()}, "pairs": pairs}


def pair_distances(first: Codes, second: Codes, name: str, *, same: bool) -> list[int]:
    """Return how many pairs lie at each distance up to MAX_RADIUS, and the number of all pairs as the last."""
    counts = np.zeros(HASH_TYPES[name].bits + 1, dtype=np.int64)
    for i, code in enumerate(first):
        others = second[i + 1 :] if same else second
        counts += np.bincount(np.bitwise_count(others ^ code).sum(axis=1, dtype=np.int64), minlength=len(counts))
    return [*counts[: MAX_RADIUS[name] + 1].tolist(), int(counts.sum())]


def plain(value: object) -> object:
    """Return a value without NumPy's types."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return value.item() if isinstance(value, np.generic) else value


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
