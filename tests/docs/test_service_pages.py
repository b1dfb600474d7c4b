"""The pages for operators: what they configure is taken, and what they type works against a server set up so."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from nearhash_index.entries import Entry, EntryKey, Hash, radii_with_defaults
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory, Registry, publish
from nearhash_index.store.changes import Author, Upsert
from nearhash_service.access.followed_callers import FollowedCallers
from nearhash_service.access.followed_certificates import FollowedCertificates
from nearhash_service.config import ConfigSources
from nearhash_service.server import Server

from ..demo.photographs import generated
from ..e2e.commands import run_here
from ..service.running import free_port
from .pages import Step, blocks, steps
from .sessions import type_in

AUTHOR = Author("the examples")


@pytest.fixture
def lists(tmp_path, monkeypatch) -> DataDirectory:
    """A published data directory in the working folder, with the banks that the pages name."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    pdq = HASH_TYPES["pdq256"]
    changes = [Upsert(Entry(EntryKey(f"case-{i}", "local"), (Hash(pdq, rng.bytes(32)),))) for i in range(200)]
    directory = DataDirectory.create(Path("lists"))
    with Registry(directory) as registry:
        for name in ("reviewed", "take-it-down"):
            registry.create_bank(name, radii_with_defaults({}), author=AUTHOR)
        registry.apply("take-it-down", changes, AUTHOR)
    publish(directory.path)
    return directory


def started_with(shown: list[Step], *beginnings: str) -> Iterator[Step]:
    return (step for step in shown if step.command.startswith(beginnings))


def test_what_the_page_on_security_types_secures_a_server(lists):
    shown = list(steps("service/SECURITY.md"))
    for step in started_with(shown, "openssl", "printf"):
        type_in(step)
    (token,) = started_with(shown, "nearhash token")
    names = ("uploads", "operator", "on-call")
    for name in names:
        type_in(replace(token, command=token.command.replace("uploads", name)))
    (settings,) = blocks("service/SECURITY.md", "toml")
    for written, name in zip(tomllib.loads(settings)["callers"], names, strict=True):
        made = sha256(Path(f"{name}.token").read_bytes().strip()).hexdigest()
        settings = settings.replace(written["token_sha256"][0], made)
    # On the page, the server listens to all machines, which is what needs all this.
    Path("nearhash.toml").write_text(settings)
    sources = ConfigSources(Path("nearhash.toml"), {}, {})
    config = sources.load().config
    assert not config.server.is_loopback()
    target = f"localhost:{free_port()}"
    ((_, scene),) = generated(1, seed=4)
    scene.save("cat.jpg")
    secured = {"certificates": FollowedCertificates(config.tls), "callers": FollowedCallers(config.callers, sources)}
    with Server(lists, target, **secured):
        for beginning, told in (("nearhash lookup", "no match"), ("NEARHASH_TOKEN", "generation")):
            (step,) = started_with(shown, beginning)
            type_in(_at(step, target), shows=told)
            without = _at(step, target).command.replace("--token-file uploads.token", "")
            refused = run_here(*without.split("nearhash ")[1].split())
            assert "no token or certificate of a known caller" in refused.stderr


def _at(step: Step, target: str) -> Step:
    token = Path("on-call.token").read_text().strip()
    command = step.command.replace("nearhash.example:50051", target).replace("$(cat on-call.token)", token)
    return replace(step, command=command)


def test_what_the_page_on_observing_configures_is_taken_and_a_radius_judged(lists):
    assert lists.path.name == "lists"
    Path("nearhash.toml").write_text('[server]\ndata = "lists"\n' + "".join(blocks("service/OBSERVING.md", "toml")))
    done = run_here("config", "--config", "nearhash.toml")
    assert done.returncode == 0, done.stderr
    for section, keys in tomllib.loads("".join(blocks("service/OBSERVING.md", "toml"))).items():
        for key in keys:
            assert f"# nearhash.toml: {section}.{key}\n" in done.stdout
    (estimate,) = steps("service/OBSERVING.md")
    type_in(replace(estimate, command=f"{estimate.command} --data lists"), shows="if bits were fair")
