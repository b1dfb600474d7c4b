import pytest

from nearhash_index.errors import InvalidInput
from nearhash_service.config import MetricsSection


@pytest.mark.parametrize("listen", [None, "127.0.0.1:0", "[::1]:9464", "localhost:1"])
def test_metrics_are_told_to_this_machine(listen):
    assert MetricsSection(listen=listen).listen == listen


def test_other_machines_are_told_only_if_that_is_said():
    with pytest.raises(InvalidInput, match=r"metrics\.listen: 0\.0\.0\.0 can be reached .*metrics\.allow_plaintext"):
        MetricsSection(listen="0.0.0.0:9464")
    assert MetricsSection(listen="0.0.0.0:9464", allow_plaintext=True).allow_plaintext


def test_a_malformed_address_is_refused():
    with pytest.raises(InvalidInput, match=r"metrics\.listen: 'nowhere' is no address"):
        MetricsSection(listen="nowhere")
