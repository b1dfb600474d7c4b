import re
import tomllib
from pathlib import Path

import pytest
from msgspec.structs import replace

from nearhash_service.config import Caller, ConfigSources, Given
from nearhash_service.config.example import effective, example
from nearhash_service.config.sources import sections

EXAMPLE = Path(__file__).parents[3] / "service" / "nearhash.example.toml"
DATA = {"server.data": Given("data", "--data")}


def test_the_example_in_the_repository_is_up_to_date():
    assert EXAMPLE.read_text() == example(), "run `make example`"


def test_the_example_is_a_configuration_that_changes_no_default():
    assert tomllib.loads(EXAMPLE.read_text()) == {name: {} for name in sections()} | {"server": {"data": "data"}}
    assert ConfigSources(EXAMPLE, {}, DATA).load().config == ConfigSources(None, {}, DATA).load().config


def test_what_the_example_says_of_defaults_is_so(tmp_path):
    uncommented = re.sub(r'^# (\w+ = (?!"")|\[\[)', r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)
    assert uncommented != EXAMPLE.read_text()
    file = tmp_path / "nearhash.toml"
    file.write_text(uncommented)
    config = ConfigSources(file, {}, DATA).load().config
    (caller,) = config.callers
    assert caller == Caller(name="uploads", roles=("lookup",), token_sha256=("0" * 64,), banks=("reviewed",))
    assert replace(config, callers=()) == ConfigSources(None, {}, DATA).load().config


def test_every_key_stands_in_the_example():
    loaded = ConfigSources(None, {}, DATA).load()
    text = EXAMPLE.read_text()
    keys = {key for key in loaded.origins if "." in key} | {f"callers.{key}" for key in Caller.__struct_fields__}
    assert len(keys) > 15
    for key in keys:
        section, _, name = key.partition(".")
        assert re.search(rf"\[{section}\]+\n(?:(?!\n\[).)*^(# )?{name} = ", text, re.MULTILINE | re.DOTALL), key


@pytest.mark.parametrize("data", ["lists", 'a "quoted" [path] #1', "münchen\\"])
def test_what_is_in_effect_is_printed_as_a_configuration_with_origins(tmp_path, data):
    flags = {"server.data": Given(data, "--data")}
    callers = tmp_path / "callers.toml"
    callers.write_text(f"[[callers]]\nname = 'a'\nroles = ['lookup', 'admin']\ntoken_sha256 = ['{'1' * 64}']\n")
    loaded = ConfigSources(callers, {"NEARHASH_SERVER__WORKERS": "3"}, flags).load()
    printed = effective(loaded)
    lines = printed.splitlines()
    assert "workers = 3  # NEARHASH_SERVER__WORKERS" in lines
    assert 'listen = "127.0.0.1:50051"  # default' in lines
    assert "# key is not set" in lines
    assert f"[[callers]]  # {callers}: callers" in lines
    assert any(line.startswith("data = ") and line.endswith("  # --data") for line in lines)
    file = tmp_path / "printed.toml"
    file.write_text(printed)
    again = ConfigSources(file, {}, {"server.data": Given(data, "--data")}).load()
    assert again.config == loaded.config
    assert tomllib.loads(printed)["server"]["data"] == data
