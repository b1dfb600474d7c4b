import pytest

from nearhash_index.errors import InvalidInput
from nearhash_service.config import TLSSection

from ..certificates import Authority

KEYS = ("certificate", "key", "client_ca")


@pytest.mark.parametrize("missing", KEYS)
def test_tls_files_must_exist(tmp_path, missing):
    authority = Authority(tmp_path, "ours")
    files = dict(zip(KEYS, [*authority.issue("server"), authority.certificate], strict=True))
    with pytest.raises(InvalidInput, match=r"nowhere\.pem.*no such file"):
        TLSSection(**{**files, missing: tmp_path / "nowhere.pem"})


@pytest.mark.parametrize("given", KEYS)
def test_tls_needs_both_certificate_and_key(tmp_path, given):
    with pytest.raises(InvalidInput, match=r"^tls\.(certificate|key): missing; TLS needs both"):
        TLSSection(**{given: tmp_path})


def test_tls_files_must_hold_a_certificate_and_its_key(tmp_path):
    authority = Authority(tmp_path, "ours")
    certificate, key = authority.issue("server")
    _, other_key = authority.issue("other")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("garbage")
    for files in ((garbage, key), (certificate, garbage), (certificate, other_key), (key, certificate)):
        with pytest.raises(InvalidInput, match="no certificate with its private key"):
            TLSSection(certificate=files[0], key=files[1])
    with pytest.raises(InvalidInput, match=r"garbage\.pem.*no certificate"):
        TLSSection(certificate=certificate, key=key, client_ca=garbage)
