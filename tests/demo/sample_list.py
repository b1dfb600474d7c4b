"""Prints the photographs' hashes as a hash list, for a first server to have something to match."""

from __future__ import annotations

import csv
import sys

from nearhash_client.hashing import compute

from .photographs import photographs


def main() -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(("hash", "hash_type", "entry_id", "labels"))
    for name, image in photographs():
        for item in compute(image):
            writer.writerow((item.hex, item.hash_type, name, "photograph"))


if __name__ == "__main__":
    main()
