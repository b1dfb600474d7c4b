"""The store: a registry that changes durably, and immutable generations built from it. The only user of LMDB."""

from nearhash_index.store.builder import publish
from nearhash_index.store.data_directory import DataDirectory
from nearhash_index.store.generation import Generation
from nearhash_index.store.registry import Registry

__all__ = ["DataDirectory", "Generation", "Registry", "publish"]
