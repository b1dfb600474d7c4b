import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pytest

from nearhash_client import LookupResult, Match

MATCHES = (Match(0, 3, "b", "e", "s", ("x", "y"), None), Match(5, 0, "c", "f", "t", (), b"12345678"))
COLUMNS = ["query", "distance", "bank", "entry_id", "source", "labels", "hash", "hash_index", "hash_count"]


def result(*matches: Match) -> LookupResult:
    return LookupResult(1, 1, matches, (), ())


def test_matches_become_a_data_frame():
    frame = result(*MATCHES).to_pandas()
    assert list(frame.columns) == COLUMNS
    assert [Match(**row) for row in frame.to_dict("records")] == list(MATCHES)


def test_matches_become_an_arrow_table():
    rows = result(*MATCHES).to_arrow().to_pylist()
    assert [Match(**{**row, "labels": tuple(row["labels"])}) for row in rows] == list(MATCHES)


def test_no_matches_have_the_same_columns():
    assert result().to_arrow().schema == result(*MATCHES).to_arrow().schema
    both = pd.concat([result().to_pandas(), result(*MATCHES).to_pandas()])
    assert list(both.columns) == COLUMNS
    assert (both["query"].dtype, both["distance"].dtype) == ("int64", "int64")
    assert pa.Table.from_pandas(both).num_rows == 2


@pytest.mark.parametrize(("library", "method"), [("pandas", "to_pandas"), ("pyarrow", "to_arrow")])
def test_a_library_that_is_missing_is_named(library, method):
    code = (
        f"import sys; sys.modules['{library}'] = None\n"
        "from nearhash_client import LookupResult\n"
        f"LookupResult(1, 1, (), (), ()).{method}()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"ModuleNotFoundError: {library} is not installed; install it with: pip install {library}" in done.stderr
