"""What a wheel holds, and what installing it promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {
    "nearhash": "proto",
    "nearhash_index": "index",
    "nearhash_service": "service",
    "nearhash_hma": "service",
    "nearhash_client": "clients",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> ZipFile:
    """Built as a user's pip would build it: the build backend comes from the index."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--quiet", "--wheel-dir", str(folder)],
        check=True,
        timeout=110,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    with ZipFile(path) as opened:
        yield opened


@pytest.mark.long
def test_the_wheel_holds_the_packages_and_nothing_else(wheel):
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = {
        str(path.relative_to(ROOT / source))
        for package, source in SOURCES.items()
        for path in (ROOT / source / package).rglob("*")
        if path.is_file()
        and path.suffix
        in {".py", ".pyi", ".proto", ".typed", ".jpg", ".png", ".json"} | ({""} if path.name == "py.typed" else set())
    }
    assert {name.partition("/")[0] for name in names} == set(SOURCES)
    assert "nearhash_client/conformance/images/golden.json" in names
    assert names == expected
    assert {f"{package}/py.typed" for package in SOURCES} <= names
    assert {"nearhash/v1/lookup_pb2.pyi", "nearhash/v1/lookup_pb2_grpc.pyi", "nearhash/v1/lookup.proto"} <= names


@pytest.mark.long
def test_the_base_install_is_light_and_the_command_is_there(wheel):
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    lines = wheel.read(metadata).decode().splitlines()
    required = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]
    base = {line.partition(">")[0] for line in required if "extra ==" not in line}
    assert base == {"grpcio", "grpcio-status", "protobuf"}
    assert {line for line in lines if line.startswith("Provides-Extra")} == {
        "Provides-Extra: hma",
        "Provides-Extra: images",
        "Provides-Extra: server",
        "Provides-Extra: tracing",
        "Provides-Extra: video",
    }
    (entry_points,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "nearhash-hma = nearhash_hma.__main__:main" in wheel.read(entry_points).decode()
    assert "nearhash = nearhash_service.__main__:main" in wheel.read(entry_points).decode()


def test_every_package_has_its_marker_for_type_checkers():
    assert [name for name, source in SOURCES.items() if not (ROOT / source / name / "py.typed").is_file()] == []


def test_every_stub_has_its_types():
    modules = list((ROOT / "proto" / "nearhash" / "v1").glob("*_pb2*.py"))
    assert modules
    assert [path.name for path in modules if not path.with_suffix(".pyi").is_file()] == []


def test_the_command_says_what_to_install_where_only_the_client_is():
    code = "import sys; sys.modules['typer'] = None; from nearhash_service.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == "nearhash: typer is not installed; the command needs: pip install 'nearhash[server]'\n"
