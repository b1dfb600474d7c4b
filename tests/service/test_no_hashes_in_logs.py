"""A run with calls that succeed and calls that fail, and then: no hash and no token in anything the server wrote."""

import base64
import logging

import grpc

from nearhash.v1 import banks_pb2
from nearhash_index.hash_types import HASH_TYPES

from .calls import RNG, apply, hash_message, upsert
from .guarded import CALLERS, calling, token_of, toml
from .running import connected
from .sample import NARROW
from .violations import refusal


def traces_of(value: bytes) -> set[str]:
    """Return every way in which a hash might have been written."""
    return {
        value.hex(),
        value.hex().upper(),
        value.hex(" "),
        base64.b64encode(value).decode().rstrip("="),
        repr(value)[2:-1],
        str(int.from_bytes(value)),
        str(int.from_bytes(value, "little")),
        # As a message prints itself.
        str(banks_pb2.Hash(value=value)).split('"')[1],
    }


def written(folder) -> str:
    return "\n".join(path.read_bytes().decode(errors="replace") for path in sorted(folder.glob("std*")))


def test_neither_hashes_nor_tokens_are_written(tmp_path, serve, data, sample):
    file = tmp_path / "nearhash.toml"
    file.write_text(toml(CALLERS))
    # As much as can be written.
    talkative = ["--set", "log.level=debug", "--set", "log.slow_call_s=0.000001"]
    running = serve(data, "--config", file, *talkative)
    known = sample.hashes(HASH_TYPES["phash64"], NARROW)[:3]
    secret = [RNG.bytes(8) for _ in range(8)] + [RNG.bytes(32) for _ in range(4)]
    flat = b"\xff" * 7 + b"\xfe"
    narrow, wide = secret[:8], secret[8:]
    with (
        calling(running.address, "everything") as everything,
        calling(running.address, "reader") as reader,
        calling(running.address, "narrow") as bounded,
        connected(running.address) as stranger,
    ):
        # What succeeds.
        assert reader.lookup(hash_type=1, hashes=b"".join([*narrow, *known])).matches
        reader.lookup(hash_type=5, hashes=b"".join(wide))
        assert reader.lookup(hash_type=1, hashes=flat).unsearchable
        apply(everything, NARROW, upsert("added", hash_message(1, narrow[0]), hash_message(5, wide[0])))
        everything.publish()
        # What fails, in every layer.
        for call, fields in (
            (reader.lookup, {"hash_type": 1, "hashes": narrow[1] + b"x"}),
            (reader.lookup, {"hash_type": 99, "hashes": narrow[2]}),
            (reader.lookup, {"hash_type": 1, "hashes": narrow[3], "radius": 65}),
            (reader.lookup, {"hash_type": 1, "hashes": narrow[4], "banks": ["nowhere"]}),
            (reader.lookup, {"hash_type": 1, "hashes": narrow[5], "min_sequence": 2**60}),
            (bounded.lookup, {"hash_type": 1, "hashes": narrow[6], "banks": ["wide"]}),
            (stranger.lookup, {"hash_type": 5, "hashes": wide[1]}),
        ):
            refusal(call, **fields)
        for change in (
            upsert("short", hash_message(5, narrow[7])),
            upsert("untyped", hash_message(0, wide[2])),
            upsert("flat", hash_message(1, flat)),
            upsert("bad\nid", hash_message(5, wide[3])),
        ):
            refusal(apply, everything, NARROW, change)
        error = refusal(reader.banks.ApplyChanges, banks_pb2.ApplyChangesRequest(bank=NARROW, changes=[change]))
        assert error.code() == grpc.StatusCode.PERMISSION_DENIED
    assert running.stop() == 0
    text = written(running.folder)
    assert "refused: /nearhash.v1.LookupService/Lookup" in text
    assert "Traceback" not in text
    for value in [*secret, *known, flat]:
        assert not [trace for trace in traces_of(value) if trace in text]
    assert not [caller for caller in CALLERS if token_of(caller) in text]


def test_the_traces_would_be_found(caplog):
    value = bytes(range(200, 208))
    caplog.set_level(logging.INFO)
    for form in (value, value.hex(), hash_message(1, value)):
        caplog.clear()
        logging.getLogger(__name__).info("asked for %s", form)
        assert [trace for trace in traces_of(value) if trace in caplog.text], form
