"""The client as a platform backend installs it, with the oldest libraries that it says it works with."""

from __future__ import annotations

import subprocess
import tomllib
import venv

import pytest

from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory
from nearhash_service.server import Server

from ..service.sample import make_sample, write_sample
from .test_packaging import ROOT

LOOKUPS = """
import asyncio, sys
from importlib.metadata import version
from nearhash_client import AsyncClient, Client, NotFound
from nearhash_client.admin import AdminClient

target, value, *versions = sys.argv[1:]
assert [version(name) for name in ("grpcio", "grpcio-status", "protobuf")] == versions
assert "numpy" not in sys.modules

with Client(target) as client:
    found = client.lookup([value], radius=0)
    assert found.matches
    assert client.lookup_one(value, radius=0) == found
    assert [batch.result for batch in client.lookup_many([value], radius=0)] == [found]
    try:
        client.lookup([value], banks=["none"])
    except NotFound as error:
        assert "'none'" in str(error)

with AdminClient(target) as admin:
    status = admin.status()
    assert status.banks == admin.list_banks() and status.banks[0].radii["pdq256"] >= 0
    assert status.current.segments["phash64"] and status.current.create_time.tzinfo

async def again():
    async with AsyncClient(target) as client:
        assert await client.lookup([value], radius=0) == await client.lookup_one(value, radius=0) == found
        assert [batch.result async for batch in client.lookup_many([value], radius=0)] == [found]

asyncio.run(again())
print([(m.query, m.distance, m.bank, m.entry_id, m.source, m.labels) for m in found.matches])
"""


@pytest.mark.long
def test_the_oldest_grpc_and_protobuf_look_up_as_the_newest_do(tmp_path):
    oldest = [requirement.replace(">=", "==") for requirement in base_requirements()]
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", ROOT, *oldest], check=True, timeout=110)
    sample = make_sample()
    value = sample.hashes(HASH_TYPES["phash64"])[0]
    write_sample(tmp_path / "data", sample)
    target = f"unix:{tmp_path}/socket"
    with Server(DataDirectory(tmp_path / "data"), target):
        versions = [name.partition("==")[2] for name in oldest]
        command = [python, "-W", "error", "-c", LOOKUPS, target, value.hex(), *versions]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == str(sample.expected(HASH_TYPES["phash64"], [value], radius=0))


def base_requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project["dependencies"]
