"""Requests that no sane client sends: whatever comes, the server answers, refuses in words, and goes on."""

import logging
import shutil
import socket
import struct
from collections import Counter

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearhash_index.store import DataDirectory
from nearhash_service.server import Server

from .guarded import METHODS, call_raw, calling, guarding, token_of
from .running import connected, eventually, free_port
from .sample import DISABLED, EMPTY, NARROW
from .violations import refusal

REFUSALS = {
    "OK",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "FAILED_PRECONDITION",
    "PERMISSION_DENIED",
    "ABORTED",
}
AUTHORIZATION = f"Bearer {token_of('everything')}"
EXAMPLES = [25, pytest.param(2000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
NAMES = st.sampled_from(
    [NARROW, DISABLED, EMPTY, "local", "ncmec", "", "nowhere", "x" * 64, "x" * 600, "\x00", "ü" * 300]
)
TEXT = NAMES | st.text(st.characters(exclude_categories=["Cs"]), max_size=700)
BYTES = st.sampled_from([bytes(8), b"\xff" * 8, bytes(range(32)), bytes(range(8)) * 100]) | st.binary(max_size=80)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def integers(bits: int, signed: bool) -> st.SearchStrategy[int]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.sampled_from([low, high, 0, 1]) | st.integers(0, 70) | st.integers(low, high)


SCALARS = {
    FieldDescriptor.TYPE_STRING: TEXT,
    FieldDescriptor.TYPE_BYTES: BYTES,
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_UINT32: integers(32, signed=False),
    FieldDescriptor.TYPE_UINT64: integers(64, signed=False),
    FieldDescriptor.TYPE_INT32: integers(32, signed=True),
    FieldDescriptor.TYPE_INT64: integers(64, signed=True),
    FieldDescriptor.TYPE_ENUM: st.integers(0, 9) | integers(32, signed=True),
}


def value_of(field: FieldDescriptor) -> st.SearchStrategy:
    return fields_of(field.message_type) if field.message_type else SCALARS[field.type]


@st.composite
def fields_of(draw, kind: Descriptor) -> dict[str, object]:
    """Draw any values for any of a message's fields."""
    drawn = {}
    for field in kind.fields:
        if draw(st.booleans()):
            value = value_of(field)
            drawn[field.name] = draw(st.lists(value, max_size=3) if field.is_repeated else value)
    for oneof in kind.oneofs:
        for other in [field.name for field in oneof.fields if field.name in drawn][1:]:
            del drawn[other]
    return drawn


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, published):
    folder = tmp_path_factory.mktemp("fuzzed")
    with guarding(folder, shutil.copytree(published, folder / "data")) as (_, address, _):
        yield address


@pytest.fixture(scope="module")
def stubs(guarded):
    with connected(guarded) as connection:
        yield connection


@pytest.fixture(autouse=True)
def nothing_unforeseen(caplog):
    caplog.set_level(logging.WARNING)
    yield
    assert "nobody foresaw" not in caplog.text
    assert "Traceback" not in caplog.text


def fuzzing(examples: int):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def check(code: str, details: str) -> None:
    assert code in REFUSALS, (code, details)
    assert code == "OK" or details, "a refusal says why"
    assert not any(word in details for word in ("Traceback", "site-packages", ".py", "Error(", "Exception"))
    assert len(details.encode()) <= 1000


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("method", METHODS)
def test_any_field_values_are_answered_or_refused_in_words(stubs, method, examples):
    kind = METHODS[method].input_type
    outcomes = Counter()

    @fuzzing(examples)
    @given(fields_of(kind))
    def run(fields):
        if method.endswith("/Publish"):
            # A publish starts a process, and needs nothing of the request.
            fields["dry_run"] = True
        code, details = call_raw(stubs, method, GetMessageClass(kind)(**fields), AUTHORIZATION)
        outcomes[code] += 1
        check(code, details)

    run()
    assert outcomes.total() >= 1
    assert stubs.health("") == "SERVING"


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_bytes_for_a_message_are_answered_or_refused_in_words(stubs, examples):
    methods = [method for method in METHODS if not method.endswith("/Publish")]

    @fuzzing(4 * examples)
    @given(st.sampled_from(methods), st.binary(max_size=200))
    def run(method, message):
        check(*call_raw(stubs, method, message, AUTHORIZATION))

    run()
    assert stubs.health("") == "SERVING"


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_metadata_is_taken_or_refused(stubs, examples):
    keys = st.from_regex(r"[a-z0-9_.-]{1,30}", fullmatch=True).filter(lambda key: not key.startswith(("grpc-", ":")))
    values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=300)
    pairs = st.tuples(keys | st.sampled_from(["authorization", "nearhash-priority", "x-bin"]), values)

    @fuzzing(examples)
    @given(st.lists(pairs, max_size=6))
    def run(metadata):
        metadata = [(key, value.encode() if key.endswith("-bin") else value) for key, value in metadata]
        call = stubs.channel.unary_unary("/nearhash.v1.LookupService/Lookup").with_call
        error = refusal(call, b"", metadata=metadata, timeout=20)
        assert error.code().name in {"UNAUTHENTICATED", "INVALID_ARGUMENT"}, error.details()

    run()


def test_oversized_requests_are_refused(stubs, guarded):
    with calling(guarded, "reader") as reader:
        for message, authorization, expected in (
            (b"\x12" + b"\xff\xff\xff\x0f" + bytes(20 << 20), AUTHORIZATION, "RESOURCE_EXHAUSTED"),
            (b"", "Bearer " + "x" * 40_000, "RESOURCE_EXHAUSTED"),
        ):
            code, details = call_raw(stubs, "/nearhash.v1.LookupService/Lookup", message, authorization)
            assert code == expected, details
        assert reader.lookup(hash_type=1, hashes=bytes(range(8))).generation == 1


@pytest.fixture(scope="module")
def port(tmp_path_factory, published):
    folder = tmp_path_factory.mktemp("raw")
    number = free_port()
    data = DataDirectory(shutil.copytree(published, folder / "data"))
    with Server(data, f"127.0.0.1:{number}"):
        yield number


def frame(kind: int, flags: int, stream: int, payload: bytes, claimed: int) -> bytes:
    """Return an HTTP/2 frame that may claim another length than it has."""
    return struct.pack(">I", claimed)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


FRAMES = st.builds(
    lambda kind, flags, stream, payload, lie: frame(kind, flags, stream, payload, lie or len(payload)),
    st.integers(0, 12),
    st.integers(0, 255),
    st.sampled_from([0, 1, 2, 3, 2**31 - 1, 2**32 - 1]),
    st.binary(max_size=100),
    st.sampled_from([0, 0, 0, 1, 5, 16_384, 2**24 - 1]),
)
CONVERSATIONS = st.one_of(
    st.binary(min_size=1, max_size=500),
    st.builds(lambda frames: PREFACE + frame(4, 0, 0, b"", 0) + b"".join(frames), st.lists(FRAMES, max_size=8)),
    st.builds(lambda rest: PREFACE + rest, st.binary(max_size=300)),
)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_bytes_on_the_socket_hurt_nobody_else(port, examples):
    with connected(f"127.0.0.1:{port}") as stubs:

        @fuzzing(2 * examples)
        @given(CONVERSATIONS, st.booleans())
        def run(sent, wait):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.settimeout(0.02)
                try:
                    connection.sendall(sent)
                    if wait:
                        connection.recv(1 << 16)
                except (TimeoutError, ConnectionError):
                    pass
            assert stubs.lookup(hash_type=1, hashes=bytes(range(8))).generation == 1

        run()
        eventually(lambda: stubs.health("") == "SERVING")
