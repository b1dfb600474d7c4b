"""What can go wrong in the engine, grouped by when it occurs.

Messages name the field or file, and what would be right.
"""

from __future__ import annotations

__all__ = [
    "AlreadyExists",
    "BankDisabled",
    "CorruptData",
    "InvalidInput",
    "NearHashIndexError",
    "NotADataDirectory",
    "NotPublished",
    "Pinned",
    "RegistryLost",
    "SequenceNotReached",
    "StorageFailed",
    "StorageReadOnly",
    "StoreBusy",
    "UnknownName",
    "WrongVersion",
]


class NearHashIndexError(Exception):
    """Base of every error that this package raises on purpose."""


# Requests that cannot be right, whatever the state of the store.


class InvalidInput(NearHashIndexError, ValueError):
    """A value that can never be accepted.

    Attributes
    ----------
    field : str
        What was wrong: the name of a parameter, a column with its line, or a path.
    problem : str
        What was found, and what would be right.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field = field
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


# Requests that the state of the store does not allow.


class UnknownName(NearHashIndexError, LookupError):
    """A bank or generation that does not exist."""


class AlreadyExists(NearHashIndexError):
    """A bank whose name is taken."""


class BankDisabled(NearHashIndexError):
    """A bank that was asked for by name and is disabled."""


class SequenceNotReached(NearHashIndexError):
    """A lookup that demands changes which are not published yet."""


class Pinned(NearHashIndexError):
    """A publish while the current generation is pinned by a roll back."""


class NotPublished(NearHashIndexError):
    """Nothing has been published yet."""


class StoreBusy(NearHashIndexError):
    """Another process holds what must be held by one."""


# What the operating system refuses.


class StorageFailed(NearHashIndexError):
    """A read or write that failed, such as on a full disk. Nothing was changed."""


class StorageReadOnly(StorageFailed):
    """A write to a disk that takes none at present, or not from this user. What is there can be read and served."""


class RegistryLost(NearHashIndexError):
    """A registry that this process cannot use any more: LMDB demands a new one. Nothing acknowledged is lost."""


# Files that cannot be opened.


class NotADataDirectory(NearHashIndexError):
    """The path is not a NearHash data directory, or the file is not a NearHash file."""


class WrongVersion(NearHashIndexError):
    """A NearHash file of a format version that this release does not read."""


class CorruptData(NearHashIndexError):
    """A NearHash file that is incomplete or not what was written."""
