"""Every RPC with every wrong caller."""

import logging
import shutil
from typing import get_args

import pytest
from google.protobuf.message_factory import GetMessageClass

from nearhash_index.hash_types import HASH_TYPES
from nearhash_service.access.rights import ROLES
from nearhash_service.config import Role

from .calls import RNG, apply, audit, create, hash_message, upsert
from .guarded import CALLERS, METHODS, call_raw, calling, guarding, token_of
from .running import connected, eventually
from .sample import EMPTY, NARROW, WIDE
from .violations import refusal

PHASH64 = HASH_TYPES["phash64"]
WRONG_CREDENTIALS = {
    "none": None,
    "empty": "",
    "unknown token": "Bearer nobody's",
    "empty token": "Bearer ",
    "no scheme": token_of("everything"),
    "another scheme": f"Basic {token_of('everything')}",
    "part of a token": f"Bearer {token_of('everything')[:-1]}",
    "more than a token": f"Bearer {token_of('everything')} ",
    "blank before it": f"Bearer  {token_of('everything')}",
    "very long": "Bearer " + "x" * 4000,
}
BODIES = {"empty": b"", "no message": b"\xff" * 50}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, published):
    folder = tmp_path_factory.mktemp("guarded")
    with guarding(folder, shutil.copytree(published, folder / "data")) as running:
        yield running


@pytest.fixture(scope="module")
def stubs(guarded):
    with connected(guarded[1]) as connection:
        yield connection


@pytest.fixture
def changing(tmp_path, data):
    with guarding(tmp_path, data) as running:
        yield running


def test_every_rpc_has_a_role_and_every_role_an_rpc():
    assert set(METHODS) == set(ROLES)
    assert set().union(*ROLES.values()) == set(get_args(Role))
    assert not any(method.client_streaming or method.server_streaming for method in METHODS.values()), (
        "the gate stands before unary RPCs alone"
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("credentials", WRONG_CREDENTIALS)
def test_whoever_is_not_known_learns_nothing(stubs, method, credentials):
    told = {call_raw(stubs, method, body, WRONG_CREDENTIALS[credentials]) for body in BODIES.values()}
    assert told == {("UNAUTHENTICATED", "no token or certificate of a known caller came with the call")}


@pytest.mark.parametrize("method", METHODS)
def test_whoever_lacks_the_role_learns_nothing_and_whoever_has_it_comes_through(stubs, method):
    for caller, keys in CALLERS.items():
        told = {call_raw(stubs, method, body, f"Bearer {token_of(caller)}") for body in BODIES.values()}
        if ROLES[method].isdisjoint(keys["roles"]):
            assert told == {("PERMISSION_DENIED", "this caller has no right to this RPC")}, caller
        else:
            assert not {"UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"} & {code for code, _ in told}, caller


def test_refused_calls_change_nothing(changing):
    _, address, _ = changing
    with connected(address) as stubs, calling(address, "operator") as operator:
        before = operator.status(), audit(operator)
        for method, descriptor in METHODS.items():
            request = GetMessageClass(descriptor.input_type)()
            for caller in ("reader", "observer", "suspended", "nobody"):
                told, _ = call_raw(stubs, method, request, f"Bearer {token_of(caller)}")
                assert told != "OK" or caller in {"reader", "observer"}
        assert (operator.status(), audit(operator)) == before


def test_who_observes_sees_the_status_and_nothing_else(guarded, stubs):
    with calling(guarded[1], "observer") as observer, calling(guarded[1], "operator") as operator:
        assert observer.status().banks == operator.status().banks
    seen = {
        method
        for method in METHODS
        if call_raw(stubs, method, b"", f"Bearer {token_of('observer')}")[0] != "PERMISSION_DENIED"
    }
    assert seen == {f"/nearhash.v1.BankService/{name}" for name in ("GetStatus", "ListGenerations")}


def test_the_scheme_is_read_in_any_case(stubs):
    assert call_raw(stubs, "/nearhash.v1.BankService/ListBanks", b"", f"BEARER {token_of('operator')}")[0] == "OK"


def test_a_message_that_is_none_is_an_invalid_argument(stubs, caplog):
    for method, roles in ROLES.items():
        caller = "operator" if "admin" in roles else "reader"
        code, details = call_raw(stubs, method, b"\xff" * 50, f"Bearer {token_of(caller)}")
        assert (code, details) == ("INVALID_ARGUMENT", "request: the message is not what the RPC takes")
    assert "Traceback" not in caplog.text


def test_a_caller_with_banks_of_its_own_finds_nothing_elsewhere(guarded, sample):
    inside, outside = sample.hashes(PHASH64, NARROW)[0], sample.hashes(PHASH64, WIDE)[1]
    with calling(guarded[1], "narrow") as narrow, calling(guarded[1], "reader") as reader:
        assert {m.bank for m in reader.lookup(hash_type=1, hashes=inside + outside).matches} == {NARROW, WIDE}
        assert {m.bank for m in narrow.lookup(hash_type=1, hashes=inside + outside).matches} == {NARROW}
        assert {m.query for m in narrow.lookup(hash_type=1, hashes=outside + inside, banks=[NARROW]).matches} == {1}


@pytest.mark.parametrize("bank", [WIDE, EMPTY, "there-is-none", "", "a\nb", "x" * 5000])
def test_naming_a_bank_that_is_not_ones_own_is_refused_whether_it_exists_or_not(guarded, bank):
    with calling(guarded[1], "narrow") as narrow:
        for banks in ([bank], [NARROW, bank]):
            error = refusal(narrow.lookup, hash_type=1, hashes=bytes(range(8)), banks=banks)
            assert error.code().name == "PERMISSION_DENIED"
            assert error.details() == "banks: this caller may not query one of them"
        # Its own bank that does not exist: that it may know.
        error = refusal(narrow.lookup, hash_type=1, hashes=bytes(range(8)), banks=["not-there"])
        assert error.code().name == "NOT_FOUND"


def test_an_allowlist_suppresses_for_everybody_and_is_named_to_those_who_may_query_it(changing, sample):
    value = sample.hashes(PHASH64, NARROW)[0]
    _, address, _ = changing
    with (
        calling(address, "operator") as operator,
        calling(address, "narrow") as narrow,
        calling(address, "reader") as reader,
    ):
        assert narrow.lookup(hash_type=1, hashes=value).matches
        create(operator, "known-good", allowlist=True)
        apply(operator, "known-good", upsert("fine", hash_message(1, value)))
        eventually(lambda: not narrow.lookup(hash_type=1, hashes=value).matches)
        (told,) = narrow.lookup(hash_type=1, hashes=value).allowed
        assert (told.query, told.bank, told.entry_id, told.source) == (0, "", "", "")
        (told,) = reader.lookup(hash_type=1, hashes=value).allowed
        assert (told.bank, told.entry_id) == ("known-good", "fine")


@pytest.mark.parametrize("hash_type", HASH_TYPES.values(), ids=HASH_TYPES)
def test_stored_hashes_are_told_to_those_alone_who_may_read_them(changing, sample, hash_type):
    _, address, _ = changing
    wide = [value for bank in (NARROW, WIDE) for value in sample.hashes(hash_type, bank)]
    queries = b"".join(wide[::7])
    added = RNG.bytes(hash_type.size_bytes)
    with (
        calling(address, "operator") as operator,
        calling(address, "trusted") as trusted,
        calling(address, "reader") as reader,
    ):
        apply(operator, NARROW, upsert("in the delta", hash_message(hash_type.number, added)))
        ask = {"hash_type": hash_type.number, "hashes": queries + added}
        eventually(lambda: "in the delta" in {match.entry_id for match in trusted.lookup(**ask).matches})
        told = trusted.lookup(**ask).matches
        assert len(told) > len(wide[::7])
        size = hash_type.size_bytes
        stored = {
            (bank, entry.key.entry_id, entry.key.source): [item.value for item in entry.hashes]
            for bank, entries in sample.entries.items()
            for entry in entries
        }
        stored[NARROW, "in the delta", "local"] = [added]
        for match in told:
            assert match.hash in stored[match.bank, match.entry_id, match.source]
            query = ask["hashes"][match.query * size :][:size]
            assert (int.from_bytes(query) ^ int.from_bytes(match.hash)).bit_count() == match.distance
        assert not any(match.hash for match in reader.lookup(**ask).matches)


def test_callers_are_followed_as_the_file_changes(changing, caplog):
    _, address, file = changing
    caplog.set_level(logging.INFO)
    before = file.read_text()
    with connected(address) as stubs:
        method = "/nearhash.v1.BankService/ListBanks"

        def outcome() -> str:
            return call_raw(stubs, method, b"", f"Bearer {token_of('operator')}")[0]

        assert outcome() == "OK"
        file.write_text(before.replace("name = 'operator'\n", "name = 'operator'\nnonsense = 1\n"))
        eventually(lambda: "nonsense" in caplog.text, 2)
        assert outcome() == "OK", "what is wrong takes nobody's right away, nor gives any"
        file.write_text(before.replace("roles = ['admin']", "roles = ['lookup']"))
        eventually(lambda: outcome() == "PERMISSION_DENIED", 2)
        file.write_text(before.partition("[[callers]]\nname = 'operator'")[0])
        eventually(lambda: outcome() == "UNAUTHENTICATED", 2)
        file.write_text(before)
        eventually(lambda: outcome() == "OK", 2)
    assert caplog.text.count("nonsense") == 1, "told once, not at every look"


def test_the_audit_log_names_who_has_proven_to_be_it_and_for_whom(changing):
    _, address, _ = changing
    with calling(address, "operator") as operator:
        create(operator, "a")
        create(operator, "b", author={"actor": "alice@desk", "reason": "because"})
        actors = [(record.author.actor, record.author.reason) for record in audit(operator)[:2]]
    assert actors == [("operator for alice@desk", "because"), ("operator", "")]


def test_refused_calls_are_logged(changing, caplog):
    _, address, _ = changing
    with connected(address) as stubs:
        call_raw(stubs, "/nearhash.v1.BankService/Rollback", b"", f"Bearer {token_of('reader')}")
        call_raw(stubs, "/nearhash.v1.BankService/Publish", b"", "Bearer nobody's")
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("refused: ")]
    assert lines == [
        "refused: /nearhash.v1.BankService/Rollback, called by reader at unix:",
        "refused: /nearhash.v1.BankService/Publish, called by nobody known at unix:",
    ]
    assert "token-of" not in caplog.text
    assert "nobody's" not in caplog.text


def test_health_is_told_to_everybody(stubs):
    assert stubs.health("") == "SERVING"
