"""What computed hashes, from a list to an answer."""

from nearhash_client.hashers import HASHER_LABEL, hashers_of, labels_with_hashers
from nearhash_client.hashing import compute
from nearhash_index import entries

from .hashing import photographs


def test_lists_and_clients_mean_the_same_label():
    assert HASHER_LABEL == entries.HASHER_LABEL


def test_labels_and_back():
    computed = compute(photographs.FOLDER / "chelsea.png", ("phash64", "dhash64", "pdq256", "md5"))
    labels = labels_with_hashers(["cat"], [item.hasher for item in computed])
    assert labels[0] == "cat"
    assert entries.check_labels(labels) == tuple(labels)
    assert hashers_of(labels) == tuple(dict.fromkeys(item.hasher for item in computed if item.hasher))
    assert len(hashers_of(labels)) == 2
    assert labels_with_hashers(labels, hashers_of(labels)) == labels
