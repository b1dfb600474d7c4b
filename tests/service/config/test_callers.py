import pytest

from nearhash_index.errors import InvalidInput
from nearhash_service.config import Caller, ConfigSources, Given
from nearhash_service.config.callers import check_callers

SHA = "a" * 64
OTHER = "b" * 64


def loaded(tmp_path, text: str) -> tuple[Caller, ...]:
    file = tmp_path / "nearhash.toml"
    file.write_text(text)
    flags = {"server.data": Given("data", "--data")}
    return ConfigSources(file, {}, flags).load().config.callers


def test_callers_are_read_from_tables(tmp_path):
    text = f"""
    [[callers]]
    name = "uploads"
    roles = ["lookup"]
    token_sha256 = ["{SHA}", "{OTHER}"]
    banks = ["reviewed"]

    [[callers]]
    name = "operators"
    roles = ["lookup", "admin"]
    token_sha256 = ["{"c" * 64}"]
    read_hashes = true
    """
    uploads, operators = loaded(tmp_path, text)
    assert uploads == Caller(name="uploads", roles=("lookup",), token_sha256=(SHA, OTHER), banks=("reviewed",))
    assert (operators.roles, operators.banks, operators.read_hashes) == (("lookup", "admin"), (), True)
    assert not uploads.read_hashes


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("naem = 'b'", "callers[0]: object contains unknown field `naem`; did you mean name?"),
        ("roles = ['lokup']", "callers[0].roles[0]: invalid enum value 'lokup'"),
        ("roles = 'admin'", "callers[0].roles: expected `array`, got `str`"),
        ("banks = ['a b']", "callers[0]: banks: 'a b' is no name"),
        ("banks = ['a']\nroles = ['admin']", "callers[0]: banks: the role admin is for all banks"),
        ("banks = ['a']\nroles = ['lookup', 'observe']", "callers[0]: banks: the role observe is for all banks"),
        ("name = 'a b'", "callers[0]: name: 'a b' is no name"),
        ("token_sha256 = ['s3cret-token']", "callers[0]: token_sha256: not the SHA-256 of a token"),
        (f"token_sha256 = ['{SHA.upper()}']", "callers[0]: token_sha256: not the SHA-256 of a token"),
        ("token_sha256 = []", "callers[0]: nobody can be this caller"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_without_what_may_be_a_secret(tmp_path, line, told):
    lines = {"name": "name = 'a'", "roles": "roles = ['lookup']", "token_sha256": f"token_sha256 = ['{SHA}']"}
    for one in line.splitlines():
        lines[one.split()[0]] = one
    with pytest.raises(InvalidInput) as raised:
        loaded(tmp_path, "[[callers]]\n" + "\n".join(lines.values()))
    assert f"{tmp_path / 'nearhash.toml'}: {told}" in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_roles_must_be_said(tmp_path):
    with pytest.raises(InvalidInput, match=r"callers\[0\]: object missing required field `roles`"):
        loaded(tmp_path, f"[[callers]]\nname = 'a'\ntoken_sha256 = ['{SHA}']")


@pytest.mark.parametrize(
    ("second", "field"),
    [
        (Caller(name="a", roles=(), token_sha256=(OTHER,)), "name"),
        (Caller(name="b", roles=(), token_sha256=(OTHER, SHA)), "token_sha256"),
        (Caller(name="b", roles=(), certificates=("x",)), "certificates"),
    ],
)
def test_what_tells_callers_apart_belongs_to_one(second, field):
    first = Caller(name="a", roles=("lookup",), token_sha256=(SHA,), certificates=("x",))
    with pytest.raises(InvalidInput, match=rf"callers\[1\]\.{field}: that of callers\[0\], too"):
        check_callers((first, second))
