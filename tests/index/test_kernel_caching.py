"""Kernels kept on disk, in processes of their own: a version, a later one that is killed, and one more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nearhash_index.kernels import caching

SOURCE = """
from nearhash_index.kernels.caching import compiled

@compiled()
def answer(x):
    return x + {value}
"""
ASK = """
import os
from numba.core.caching import IndexDataCacheFile
if {killed_at!r}:
    def end(*arguments):
        os._exit(9)
    setattr(IndexDataCacheFile, {killed_at!r}, end)
from asked import answer
print([answer(kind(1)) for kind in {kinds}])
print(sum(answer.stats.cache_hits.values()))
"""


class Cache:
    """A module with a kernel, and what is kept of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, value: int) -> None:
        (self.folder / "asked.py").write_text(SOURCE.format(value=value))

    def ask(self, kinds: str = "(int,)", killed_at: str = "") -> list[str]:
        code = ASK.format(kinds=kinds, killed_at=killed_at)
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == (9 if killed_at else 0), done.stderr
        return done.stdout.splitlines()


@pytest.fixture
def kept(tmp_path):
    return Cache(tmp_path)


def test_what_was_compiled_is_loaded_by_the_next_process(kept):
    kept.write(1000)
    assert kept.ask("(int, float)") == ["[1001, 1001.0]", "0"]
    assert kept.ask("(int, float)") == ["[1001, 1001.0]", "2"]
    assert kept.ask("(float,)") == ["[1001.0]", "1"]


@pytest.mark.parametrize("killed_at", ["_save_index", "_save_data"])
def test_a_kill_while_it_is_written_leaves_no_code_of_an_earlier_version(kept, killed_at):
    kept.write(1000)
    kept.ask("(int, float)")
    # Longer, too: Numba looks at the time in whole ticks, and the size.
    kept.write(20000)
    assert kept.ask("(float,)", killed_at) == []
    assert kept.ask("(float, int)")[0] == "[20001.0, 20001]"


@pytest.mark.parametrize("changed", ["kernels/fields.py", "work.py", "cache_lines.py"])
def test_a_kernel_is_compiled_again_when_any_change_may_be_in_it(tmp_path, monkeypatch, changed):
    digest = caching._digest_of_kernels.__wrapped__
    before = digest()
    package = Path(caching.__file__).parents[1]
    (tmp_path / "kernels").mkdir()
    for source in (*package.glob("*.py"), *package.glob("kernels/*.py")):
        (tmp_path / source.relative_to(package)).write_bytes(source.read_bytes())
    monkeypatch.setattr(caching, "__file__", str(tmp_path / "kernels" / "caching.py"))
    assert digest() == before
    path = tmp_path / changed
    path.write_bytes(path.read_bytes() + b"# changed")
    assert digest() != before
