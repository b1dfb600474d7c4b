"""Matches as tables of other libraries, which are loaded only when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .results import Match

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def matches_to_pandas(matches: Sequence[Match]) -> pd.DataFrame:
    """Return a DataFrame with a row per match; `query` and `distance` are integers also if there is none."""
    pandas: Any = _library("pandas")
    frame = pandas.DataFrame(_columns(matches))
    return frame.astype({"query": "int64", "distance": "int64"})


def matches_to_arrow(matches: Sequence[Match]) -> pa.Table:
    """Return an Arrow table with a row per match, and the same column types whatever is in it."""
    arrow: Any = _library("pyarrow")
    schema = arrow.schema(
        {
            "query": arrow.int64(),
            "distance": arrow.int32(),
            "bank": arrow.string(),
            "entry_id": arrow.string(),
            "source": arrow.string(),
            "labels": arrow.list_(arrow.string()),
            "hash": arrow.binary(),
            "hash_index": arrow.int32(),
            "hash_count": arrow.int32(),
        }
    )
    return arrow.table(_columns(matches), schema=schema)


def _columns(matches: Sequence[Match]) -> dict[str, list[Any]]:
    return {field.name: [getattr(match, field.name) for match in matches] for field in fields(Match)}


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f"{name} is not installed; install it with: pip install {name}", name=name
        ) from missing
