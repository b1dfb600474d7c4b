import pickle

import pytest

from nearhash_index.errors import InvalidInput
from nearhash_service.config import ConfigSources, Given


@pytest.fixture
def load(tmp_path):
    """Load from the text of a file, variables and flags; the data directory is given unless it is said."""

    def loaded(text=None, environment=(), flags=()):
        file = None
        if text is not None:
            file = tmp_path / "nearhash.toml"
            file.write_text(text)
        flags = {"server.data": "data", **dict(flags)}
        given = {key: Given(value, f"--set {key}") for key, value in flags.items() if value is not None}
        return ConfigSources(file, dict(environment), given).load()

    return loaded


def refused(load, *arguments, **named) -> str:
    with pytest.raises(InvalidInput) as raised:
        load(*arguments, **named)
    return str(raised.value)


def test_without_anything_else_defaults_apply(load):
    loaded = load()
    assert (loaded.config.server.workers, loaded.config.publish.age_s) == (1, 900.0)
    assert loaded.origins["server.workers"] == "default"
    assert loaded.origins["server.data"] == "--set server.data"


def test_flags_beat_the_environment_which_beats_the_file_and_each_is_told_as_the_origin(load, tmp_path):
    text = "[server]\nworkers = 2\ndrain_grace_s = 3\nreload_interval_s = 0.5\n"
    environment = {"NEARHASH_SERVER__WORKERS": "4", "NEARHASH_SERVER__DRAIN_GRACE_S": "5"}
    loaded = load(text, environment, {"server.workers": "6"})
    server = loaded.config.server
    assert (server.workers, server.drain_grace_s, server.reload_interval_s) == (6, 5.0, 0.5)
    origins = [loaded.origins[f"server.{key}"] for key in ("workers", "drain_grace_s", "reload_interval_s")]
    file = tmp_path / "nearhash.toml"
    assert origins == [
        "--set server.workers",
        "NEARHASH_SERVER__DRAIN_GRACE_S",
        f"{file}: server.reload_interval_s",
    ]


def test_the_data_directory_has_a_short_variable(load, tmp_path):
    environment = {"NEARHASH_DATA": str(tmp_path)}
    loaded = load(environment=environment, flags={"server.data": None})
    assert (loaded.config.server.data, loaded.origins["server.data"]) == (tmp_path, "NEARHASH_DATA")


def test_relative_paths_in_a_file_start_at_its_folder_and_elsewhere_where_the_command_runs(load, tmp_path):
    text = "[server]\ndata = 'lists'\n"
    assert load(text, flags={"server.data": None}).config.server.data == tmp_path / "lists"
    assert str(load(text, flags={"server.data": "lists"}).config.server.data) == "lists"


def test_text_becomes_numbers_and_switches(load):
    flags = {"publish.auto": "false", "publish.changes": "7", "publish.age_s": "1.5", "server.allow_plaintext": "true"}
    config = load(flags=flags).config
    assert (config.publish.auto, config.publish.changes, config.publish.age_s) == (False, 7, 1.5)
    assert config.server.allow_plaintext is True


def test_variables_of_others_are_left_alone(load):
    environment = {"NEARHASH_SERVICE_HOST": "10.0.0.1", "NEARHASH_PORT": "tcp://10.0.0.1:1", "NEARHASH_TARGET": "x"}
    assert load(environment=environment).config == load().config


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[server]\nworker = 2\n", "server.worker: there is no setting 'server.worker'; did you mean server.workers?"),
        ("workers = 2\n", "workers: there is no setting 'workers'; did you mean server.workers?"),
        ("[sever]\nworkers = 2\n", "sever.workers: there is no setting 'sever.workers'; did you mean server.workers?"),
        ("[server]\nzebra = 2\n", "server.zebra: there is no setting 'server.zebra'; `nearhash config` lists all"),
        ("[server]\nworkers = 0\n", "server.workers: expected `int` >= 1; found 0"),
        ("[server]\nworkers = 'two'\n", "server.workers: expected `int`, got `str`; found 'two'"),
        ("[server]\nworkers = 1.5\n", "server.workers: expected `int`, got `float`; found 1.5"),
        ("[server]\ndata = 3\n", "server.data: expected `str`, the path of a file or folder; found 3"),
        ("[server]\nlisten = 'x'\n", "server.listen: 'x' is no address; write HOST:PORT, such as 127.0.0.1:50051"),
        ("[tls]\nkey = 'x'\n", "tls.certificate: missing; TLS needs both, tls.certificate and tls.key"),
        ("[server]\nworkers = 1\nworkers = 2\n", "it is not TOML"),
        ("[server", "it is not TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_place_and_what_would_be_right(load, tmp_path, text, told):
    error = refused(load, text, flags={"server.data": None} if "data" in text else {})
    if not told.startswith("tls.certificate"):
        assert error.startswith(f"{tmp_path / 'nearhash.toml'}: ")
    assert told in error


def test_what_is_wrong_elsewhere_is_told_with_its_place(load):
    error = refused(load, environment={"NEARHASH_SERVER__WORKRES": "1"})
    assert error == ("NEARHASH_SERVER__WORKRES: there is no setting 'server.workres'; did you mean server.workers?")
    error = refused(load, "[server]\nworkers = 1\n", {"NEARHASH_SERVER__WORKERS": "999"})
    assert error == "NEARHASH_SERVER__WORKERS: expected `int` <= 256; found '999'"
    assert refused(load, flags={"server.workers": "x"}).startswith("--set server.workers: expected `int`")
    assert refused(load, flags={"server.listen": "0.0.0.0:1"}).startswith("--set server.listen: 0.0.0.0 can be reached")


def test_what_is_missing_is_told_with_the_ways_to_give_it(load):
    error = refused(load, flags={"server.data": None})
    assert error == (
        "server.data: missing; give --data, set NEARHASH_DATA, or write data under [server] in the configuration file"
    )


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"nowhere\.toml: the configuration cannot be read: No such file"):
        ConfigSources(tmp_path / "nowhere.toml", {}).load()


def test_a_long_value_is_not_repeated_for_it_might_be_a_secret(load):
    secret = "a-secret-in-the-wrong-place"  # noqa: S105
    assert secret not in refused(load, f"[server]\nworkers = '{secret}'\n")


def test_a_configuration_travels_to_a_worker_and_is_loaded_again_from_its_sources(load, tmp_path):
    loaded = load("[server]\nworkers = 3\n")
    assert pickle.loads(pickle.dumps(loaded.config)) == loaded.config  # noqa: S301
    sources = ConfigSources(tmp_path / "nearhash.toml", {}, {"server.data": Given("data", "--data")})
    assert sources.load().config.server.workers == 3
    (tmp_path / "nearhash.toml").write_text("[server]\nworkers = 4\n")
    assert sources.load().config.server.workers == 4
