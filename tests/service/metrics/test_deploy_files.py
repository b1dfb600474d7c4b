"""The dashboard and the alerts ask for metrics and labels that there are, in valid PromQL."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client.core import Metric

from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory
from nearhash_service.metrics.directory import DirectoryMetrics
from nearhash_service.metrics.gathering import GatheredMetrics
from nearhash_service.metrics.instruments import Instruments
from nearhash_service.server import Server

from ..calls import apply, create, hash_message, upsert
from ..running import connected, eventually

SERVICE = Path(__file__).parents[3] / "service"
HANDBOOK = SERVICE / "OBSERVING.md"
FOLDER = SERVICE / "deploy"
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text())
ALERTS = yaml.safe_load((FOLDER / "prometheus-alerts.yml").read_text())["groups"][0]["rules"]
ADDED_BY_PROMETHEUS = {"instance", "job"}


def dashboard_expressions(node: object = DASHBOARD) -> Iterator[str]:
    if isinstance(node, dict):
        if "expr" in node:
            yield node["expr"].replace("$__rate_interval", "5m")
        for value in node.values():
            yield from dashboard_expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from dashboard_expressions(value)


EXPRESSIONS = [*dashboard_expressions(), *(rule["expr"] for rule in ALERTS)]


@pytest.fixture(scope="module")
def families(tmp_path_factory, published, sample) -> list[Metric]:
    """All that a server tells after lookups that found something of every kind."""
    folder = tmp_path_factory.mktemp("exported")
    directory, instruments = DataDirectory(shutil.copytree(published, folder / "data")), Instruments()
    address = f"unix:{folder}/socket"
    with Server(directory, address, instruments=instruments) as server, connected(address) as stubs:
        hashes = sample.hashes(HASH_TYPES["phash64"])
        stubs.lookup(hash_type=1, hashes=bytes(8) + b"".join(hashes), max_matches_per_hash=1)
        create(stubs, "known-good", allowlist=True)
        apply(stubs, "known-good", upsert("good", hash_message(1, hashes[0])))
        sequence = stubs.status().sequence
        eventually(lambda: stubs.status().worker.sequence == sequence)
        stubs.lookup(hash_type=1, hashes=hashes[0])
        stubs.publish()
        instruments.refused.labels("interactive")
        return [*GatheredMetrics(instruments).collect(), *DirectoryMetrics(directory, server.registry).collect()]


@pytest.fixture(scope="module")
def exported(families) -> dict[str, set[str]]:
    """The labels of every metric that a server tells, by sample name."""
    labels: dict[str, set[str]] = {}
    for family in families:
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        for suffix in suffixes:
            labels[family.name + suffix] = set()
        for sample in family.samples:
            labels[sample.name] |= sample.labels.keys()
    return labels


def selectors(expression: str) -> Iterator[promql_parser.VectorSelector]:
    found: list[promql_parser.VectorSelector] = []
    promql_parser.walk(promql_parser.parse(expression), lambda node: found.append(node) or True)
    yield from (node for node in found if isinstance(node, promql_parser.VectorSelector))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_asks_for_metrics_and_labels_that_there_are(exported, expression):
    asked = list(selectors(expression))
    assert asked
    grouped = set(re.findall(r"\w+", " ".join(re.findall(r"\b(?:by|on) \((.*?)\)", expression))))
    known: set[str] = set(ADDED_BY_PROMETHEUS)
    for selector in asked:
        assert selector.name in exported
        known |= exported[selector.name]
        assert {matcher.name for matcher in selector.matchers.matchers} <= known
    assert grouped <= known


def test_every_metric_of_our_own_is_on_the_dashboard(exported):
    shown = {selector.name for expression in dashboard_expressions() for selector in selectors(expression)}
    bases = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in shown}
    ours = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in exported if name.startswith("nearhash_")}
    assert ours - bases <= {"nearhash_sequence"}


def test_panels_do_not_overlap_and_have_ids_of_their_own():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 20
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_alerts_say_what_to_do():
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS) >= 10
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]


def test_the_handbook_lists_the_metrics_as_they_are(families):
    rows = []
    for family in families:
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = dict.fromkeys(label for sample in family.samples for label in sample.labels if label != "le")
        rows.append(f"| `{name}` | {family.type} | {', '.join(labels)} | {family.documentation} |")
    listed = [
        line
        for line in HANDBOOK.read_text().splitlines()
        if line.startswith(("| `grpc_", "| `nearhash_", "| `process_"))
    ]
    assert listed == rows, "put this into service/OBSERVING.md:\n" + "\n".join(rows)
