"""What the service offers, both clients offer: a new RPC, or a new field of an old one, is not forgotten."""

import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

from nearhash.v1 import banks_pb2
from nearhash_client.admin import AdminClient, Change, Entry, EntryKey, Upsert
from nearhash_client.admin.changes import change_message
from nearhash_client.admin.results import RESULTS

SERVICE = banks_pb2.DESCRIPTOR.services_by_name["BankService"]
NODE = Path(__file__).parents[3] / "clients" / "node" / "src" / "admin.ts"


def method_of(rpc: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", rpc).lower().replace("get_status", "status")


@pytest.mark.parametrize("rpc", list(SERVICE.methods), ids=lambda rpc: rpc.name)
def test_an_rpc_is_a_method_that_takes_all_of_its_request(rpc):
    method = getattr(AdminClient, method_of(rpc.name))
    wanted = {field.name for field in rpc.input_type.fields}
    if "author" in wanted:
        wanted = wanted - {"author"} | {"actor", "reason"}
    assert inspect.signature(method).parameters.keys() - {"self"} == wanted | {"timeout_s"}


def test_the_node_client_calls_every_rpc():
    called = set(re.findall(r"BankService\.method\.(\w+)", NODE.read_text()))
    assert called == {rpc.name[0].lower() + rpc.name[1:] for rpc in SERVICE.methods}


@pytest.mark.parametrize("message", list(RESULTS), ids=lambda message: message.__name__)
def test_a_result_has_every_field_of_its_message(message):
    assert {field.name for field in fields(RESULTS[message])} == set(message.DESCRIPTOR.fields_by_name)


def test_every_kind_of_change_can_be_made():
    kinds = Change.__args__
    sent = {change_message(_example(kind), "change").WhichOneof("change") for kind in kinds}
    assert sent == {field.name for field in banks_pb2.Change.DESCRIPTOR.oneofs_by_name["change"].fields}


def _example(kind: type) -> object:
    key = EntryKey("case-1")
    return Upsert(Entry(key, [("phash64", "0123456789abcdef")])) if kind is Upsert else kind(key)
