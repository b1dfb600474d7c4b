"""What a running server logs, as a collector reads it, and how a log is kept from flooding."""

import json
import logging
from time import sleep

import pytest

from nearhash.v1 import lookup_pb2
from nearhash_index.errors import InvalidInput
from nearhash_service.config import ConfigSources, Given
from nearhash_service.sight.logs import Throttle

from ..docs.pages import blocks
from .running import connected, eventually
from .violations import refusal

PDQ = bytes(range(32))
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def records(running) -> list[dict]:
    return [json.loads(line) for line in running.log().splitlines()]


def test_a_log_in_json_tells_of_calls_by_the_ids_that_callers_gave_but_tells_no_hashes(serve, data):
    running = serve(data, *(f"--set=log.{key}" for key in ("format=json", "level=debug", "slow_call_s=0.000001")))
    metadata = [("x-request-id", "upload-17"), ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")]
    with connected(running.address) as stubs:
        stubs.lookups.Lookup(lookup_pb2.LookupRequest(hash_type=5, hashes=PDQ), metadata=metadata, timeout=20)
        bad = lookup_pb2.LookupRequest(hash_type=5, hashes=PDQ, banks=["nowhere"])
        refusal(lambda: stubs.lookups.Lookup(bad, metadata=[("x-request-id", "a b c")], timeout=20))
    eventually(lambda: len([r for r in records(running) if r["message"].startswith("slow")]) == 2)
    assert running.stop() == 0
    slow, _ = (record for record in records(running) if record["message"].startswith("slow"))
    assert slow["role"] == "worker"
    assert (slow["level"], slow["logger"]) == ("WARNING", "nearhash_service.sight.observing")
    assert slow["message"].startswith("slow: a lookup of 1 pdq256 hashes with 0 matches took 0.0")
    assert slow["call"]["method"] == "/nearhash.v1.LookupService/Lookup"
    assert (slow["call"]["request_id"], slow["call"]["trace_id"]) == ("upload-17", TRACE)
    assert slow["call"]["peer"].startswith("ipv4:127.0.0.1:")
    (shown,) = map(json.loads, blocks("service/OBSERVING.md", "json"))
    assert (shown.keys(), shown["call"].keys()) == (slow.keys(), slow["call"].keys())
    refused = next(record for record in records(running) if "NOT_FOUND" in record["message"])
    assert refused["message"] == "A call was answered NOT_FOUND: there is no bank 'nowhere'"
    # An id that is no word is left out.
    assert set(refused["call"]) == {"method", "peer", "caller"}
    assert refused["call"]["caller"] == "anybody"
    assert all({"time", "level", "logger", "pid", "message", "role"} <= record.keys() for record in records(running))
    assert PDQ.hex() not in running.log()


def test_a_level_is_kept_and_text_names_the_call_too(serve, data):
    running = serve(data, "--set=log.level=warning", "--set=log.slow_call_s=0.000001")
    with connected(running.address) as stubs:
        request = lookup_pb2.LookupRequest(hash_type=5, hashes=PDQ)
        stubs.lookups.Lookup(request, metadata=[("x-request-id", "upload-18")], timeout=20)
    eventually(lambda: "slow" in running.log())
    assert running.stop() == 0
    (line,) = running.log().splitlines()
    assert " WARNING slow: a lookup of 1 pdq256 hashes" in line
    assert " method=/nearhash.v1.LookupService/Lookup peer=ipv4:127.0.0.1:" in line
    assert line.endswith(" request_id=upload-18")


def test_a_throttled_log_tells_how_much_it_left_out():
    throttle = Throttle(most=3, window_s=0.3)

    def write() -> str | None:
        record = logging.LogRecord("name", logging.WARNING, "path", 1, "slow %d", (7,), None)
        return record.getMessage() if throttle.filter(record) else None

    assert [write() for _ in range(5)] == ["slow 7"] * 3 + [None] * 2
    sleep(0.35)
    assert write() == "slow 7 (2 more were left out before)"
    assert write() == "slow 7"


@pytest.mark.parametrize(("key", "value"), [("format", "xml"), ("level", "loud"), ("slow_call_s", "0")])
def test_what_is_no_way_to_log_is_refused(key, value):
    flags = {"server.data": Given("x", "--data"), f"log.{key}": Given(value, f"--set log.{key}")}
    with pytest.raises(InvalidInput, match=f"--set log.{key}"):
        ConfigSources(None, {}, flags).load()
