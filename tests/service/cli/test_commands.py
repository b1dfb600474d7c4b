"""Each command is loaded when it is called, and brings no more than it needs."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
from typer.main import get_group

from nearhash_service.cli.commands import MODULES

from ..running import environment

LOADED = """
import sys
from nearhash_service.cli.app import app
app(sys.argv[1:], standalone_mode=False)
print(*sorted({'numba', 'numpy', 'lmdb', 'PIL', 'nearhash_service.server'} & set(sys.modules)))
"""


def loaded_by(*arguments: object) -> set[str]:
    """Run a command in a process of its own; return which of the large modules it has loaded."""
    code = [sys.executable, "-c", LOADED, *map(str, arguments)]
    done = subprocess.run(code, capture_output=True, text=True, timeout=60, check=True, env=environment())
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_holds_the_commands_that_are_looked_for_in_it(module):
    held = get_group(import_module(f"nearhash_service.cli.{module}").app)
    assert tuple(held.commands) == MODULES[module]


def test_a_command_on_a_data_directory_loads_no_kernels(data):
    assert loaded_by("audit", "--data", data) == {"numpy", "lmdb", "nearhash_service.server"}


@pytest.mark.usefixtures("own_stubs")
@pytest.mark.parametrize("command", [["bank", "list"], ["status"], ["audit"]])
def test_a_command_on_a_server_loads_none(tmp_path, command):
    assert loaded_by(*command, "--target", f"unix:{tmp_path}/socket") == set()
