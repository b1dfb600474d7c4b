"""The store: a registry that changes durably, and immutable generations built from it. The only user of LMDB."""

from nearhash_index.store.builder import KEPT_GENERATIONS, publish
from nearhash_index.store.data_directory import Current, DataDirectory
from nearhash_index.store.generation import Generation
from nearhash_index.store.registry import Registry

__all__ = ["KEPT_GENERATIONS", "Current", "DataDirectory", "Generation", "Registry", "publish"]
