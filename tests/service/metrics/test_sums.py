from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from nearhash_service.metrics.sums import Snapshot, Sums

from .scraped import Scraped


def counter(name: str, **values: float) -> CounterMetricFamily:
    family = CounterMetricFamily(name, name, labels=["kind"])
    for kind, value in values.items():
        family.add_metric([kind], value)
    return family


def test_own_metrics_are_told_apart_and_joint_ones_added_up():
    sums = Sums()
    sums.add(Snapshot([counter("calls", a=1, b=2)], [counter("builds", a=10)]), "0")
    sums.add(Snapshot([counter("calls", a=4)], [counter("builds", a=20, c=5)]), "1")
    scraped = Scraped(sums.metrics())
    assert scraped.values("calls_total") == {("a", "0"): 1, ("b", "0"): 2, ("a", "1"): 4}
    assert scraped.values("builds_total") == {("a",): 30, ("c",): 5}


def test_histograms_add_up_bucket_by_bucket():
    def histogram(low: int, high: int, total: float) -> HistogramMetricFamily:
        family = HistogramMetricFamily("seconds", "seconds", labels=["bank"])
        family.add_metric(["x"], [("1.0", low), ("+Inf", low + high)], total)
        return family

    sums = Sums()
    sums.add(Snapshot([], [histogram(3, 1, 4.5)]), "0")
    sums.add(Snapshot([], [histogram(2, 0, 1.5)]), "1")
    scraped = Scraped(sums.metrics())
    assert scraped.values("seconds_bucket", bank="x") == {("1.0",): 5, ("+Inf",): 6}
    assert scraped.values("seconds_count") == {("x",): 6}
    assert scraped.values("seconds_sum") == {("x",): 6}


def test_of_an_ended_worker_counters_stay_and_gauges_go():
    sums = Sums()
    gauge = GaugeMetricFamily("generation", "generation", 7)
    sums.add(Snapshot([counter("calls", a=1), gauge], []), "0", ended=True)
    sums.add(Snapshot([counter("calls", a=5)], []), "0")
    assert Scraped(sums.metrics()).values("calls_total") == {("a", "0"): 6}
    assert "generation" not in Scraped(sums.metrics()).names()


def test_a_copy_does_not_change_the_original():
    sums = Sums()
    sums.add(Snapshot([counter("calls", a=1)], []), "0")
    sums.copy().add(Snapshot([counter("calls", a=1)], []), "0")
    assert Scraped(sums.metrics()).total("calls_total") == 1
