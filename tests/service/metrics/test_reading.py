import pytest

from nearhash_index.errors import InvalidInput
from nearhash_service.metrics.reading import Between, Scrape

BEFORE = """
# TYPE calls counter
calls_total{worker="0",code="OK"} 100
calls_total{worker="1",code="OK"} 50
# TYPE t histogram
t_bucket{worker="0",le="0.1"} 10
t_bucket{worker="0",le="0.2"} 20
t_bucket{worker="0",le="+Inf"} 20
t_count{worker="0"} 20
t_sum{worker="0"} 2
"""
AFTER = """
# TYPE calls counter
calls_total{worker="0",code="OK"} 140
calls_total{worker="0",code="NotFound"} 4
calls_total{worker="1",code="OK"} 60
# TYPE t histogram
t_bucket{worker="0",le="0.1"} 60
t_bucket{worker="0",le="0.2"} 118
t_bucket{worker="0",le="+Inf"} 120
t_count{worker="0"} 120
t_sum{worker="0"} 15
"""


@pytest.fixture
def between() -> Between:
    before, after = Scrape(BEFORE), Scrape(AFTER)
    before.time_s, after.time_s = 10.0, 14.0
    return Between(before, after)


def test_values_are_summed_over_the_labels_that_are_not_asked_for():
    after = Scrape(AFTER)
    assert after.value("calls_total") == 204
    assert after.value("calls_total", worker="0") == 144
    assert after.values("calls_total", "worker") == {"0": 144, "1": 60}
    assert after.values("calls_total", "worker", code="OK") == {"0": 140, "1": 60}
    assert after.value("nothing") == 0


def test_rates_are_per_second(between):
    assert between.rate("calls_total") == 54 / 4
    assert between.rate("calls_total", code="NotFound") == 1
    assert between.rate("calls_total", worker="1") == 2.5


def test_a_counter_that_began_anew_counts_from_0():
    before, after = Scrape(AFTER), Scrape(BEFORE)
    before.time_s, after.time_s = 0.0, 1.0
    assert Between(before, after).rate("calls_total", worker="1") == 50


def test_quantiles_are_of_what_is_new(between):
    # New: 50 up to 0.1, 48 up to 0.2, 2 beyond.
    assert between.quantile(0.5, "t") == pytest.approx(0.1)
    assert between.quantile(0.25, "t") == pytest.approx(0.05)
    assert between.quantile(0.74, "t") == pytest.approx(0.15)
    assert between.quantile(0.99, "t") == pytest.approx(0.2)
    assert between.quantile(0.99, "t", worker="1") is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/metrics", "nowhere"])
def test_where_there_are_no_metrics_that_is_told(url):
    with pytest.raises(InvalidInput, match=r"no metrics there .*metrics\.listen"):
        Scrape.of(url)
