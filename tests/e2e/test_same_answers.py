"""Python, Node and `buf curl` against one server: the same answers."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nearhash_client import Client
from nearhash_index.hash_types import HASH_TYPES

from ..service.running import BIN, Running, serving
from ..service.sample import Sample, flipped, make_sample, write_sample

NODE_CLIENT = Path(__file__).parents[2] / "clients" / "node"

pytestmark = pytest.mark.skipif(
    not (NODE_CLIENT / "dist").exists(), reason="the Node client is not built; `make test-node` does"
)

Answer = dict[str, object]


def by_python(target: str, hash_type: str, hashes: list[bytes]) -> Answer:
    with Client(target) as client:
        result = client.lookup(hashes, hash_type=hash_type)
    return {
        "generation": result.generation,
        "sequence": result.sequence,
        "matches": [(m.query, m.distance, m.bank, m.entry_id, m.source, m.labels) for m in result.matches],
        "unsearchable": [(item.query, item.reason) for item in result.unsearchable],
        "truncated": list(result.truncated),
    }


def by_node(target: str, hash_type: str, hashes: list[bytes]) -> Answer:
    lines = "".join(f"{value.hex()}\n" for value in hashes)
    (line,) = _output(["node", "dist/examples/lookup.js", target, hash_type], lines, NODE_CLIENT).splitlines()
    return _from_json(json.loads(line))


def by_buf_curl(target: str, hash_type: str, hashes: list[bytes]) -> Answer:
    request = {
        "hash_type": f"HASH_TYPE_{hash_type.upper()}",
        "hashes": base64.b64encode(b"".join(hashes)).decode(),
    }
    url = f"http://{target}/nearhash.v1.LookupService/Lookup"
    command = [str(BIN / "buf"), "curl", "--protocol", "grpc", "--http2-prior-knowledge", url, "-d", "@-"]
    return _from_json(json.loads(_output(command, json.dumps(request))))


def _output(command: list[str], text: str, folder: Path | None = None) -> str:
    done = subprocess.run(command, input=text, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _from_json(answer: dict) -> Answer:
    """Read an answer in protobuf's JSON, which leaves out zeros and empty lists."""
    return {
        "generation": int(answer["generation"]),
        "sequence": int(answer["sequence"]),
        "matches": [
            (
                m.get("query", 0),
                m.get("distance", 0),
                m["bank"],
                m["entryId"],
                m["source"],
                tuple(m.get("labels", ())),
            )
            for m in answer.get("matches", ())
        ],
        "unsearchable": [(item.get("query", 0), item["reason"]) for item in answer.get("unsearchable", ())],
        "truncated": answer.get("truncated", []),
    }


@pytest.fixture(scope="module")
def sample() -> Sample:
    return make_sample()


@pytest.fixture(scope="module")
def server(tmp_path_factory, sample) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("same-answers")
    write_sample(folder / "data", sample)
    with serving(folder / "server", folder / "data") as running:
        yield running


@pytest.mark.parametrize("hash_type", ["phash64", "pdq256", "md5"])
def test_the_same_answers_in_every_language(server, sample, hash_type):
    rng = np.random.default_rng(7)
    known = HASH_TYPES[hash_type]
    near = [flipped(rng, value, int(rng.integers(0, 12))) for value in sample.hashes(HASH_TYPES[hash_type])]
    flat = bytes(known.size_bytes)
    hashes = [*near, *(rng.bytes(known.size_bytes) for _ in range(50)), flat]

    clients: tuple[Callable[[str, str, list[bytes]], Answer], ...] = (by_python, by_node, by_buf_curl)
    answers = [answer(server.address, hash_type, hashes) for answer in clients]

    assert answers[0] == answers[1] == answers[2]
    expected = sample.expected(HASH_TYPES[hash_type], hashes)
    assert answers[0]["matches"] == expected
    assert len(expected) > 50
    assert bool(answers[0]["unsearchable"]) == (hash_type != "md5")
