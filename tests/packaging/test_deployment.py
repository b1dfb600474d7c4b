"""The files of service/deploy are what systemd, Kubernetes and this server understand, and agree with each other."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from nearhash_service.config import Config, ConfigSources

from ..e2e.commands import ok_here
from ..service.certificates import Authority

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "service" / "deploy"
PAGE = (DEPLOY / "README.md").read_text()
systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    return {item["kind"]: item for item in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}


@pytest.fixture(scope="module")
def pod(resources) -> dict[str, Any]:
    return resources["StatefulSet"]["spec"]["template"]["spec"]


@pytest.fixture
def config(resources, tmp_path) -> Config:
    """The configuration in the manifests, as the server reads it, but for where the certificates are."""
    text = resources["ConfigMap"]["data"]["nearhash.toml"]
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.issue("server")
    for name, path in (("tls.crt", certificate), ("tls.key", key), ("ca.crt", authority.certificate)):
        assert text.count(f"/etc/nearhash-tls/{name}") == 1
        text = text.replace(f"/etc/nearhash-tls/{name}", str(path))
    file = tmp_path / "nearhash.toml"
    file.write_text(text)
    return ConfigSources(file, environment={}).load().config


def test_the_manifests_are_valid(resources):
    for resource in resources.values():
        kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)


def test_the_manifests_name_the_ports_that_the_server_listens_on(pod, config):
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    listening = {"grpc": config.server.listen, "health": config.server.health_listen, "metrics": config.metrics.listen}
    assert {name: f"0.0.0.0:{port}" for name, port in ports.items()} == listening
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["grpc"]["port"] == ports["health"]


def test_pods_are_given_the_time_that_a_drain_takes(pod, config):
    drain_s = config.server.drain_delay_s + config.server.drain_grace_s
    assert drain_s + 5 < pod["terminationGracePeriodSeconds"]
    (container,) = pod["containers"]
    readiness = container["readinessProbe"]
    # The server answers until everybody has noticed.
    assert readiness["periodSeconds"] * readiness["failureThreshold"] < config.server.drain_delay_s


def test_selectors_find_the_pods(resources):
    labels = resources["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    specs = {kind: resource.get("spec", {}) for kind, resource in resources.items()}
    assert specs["Service"]["selector"] == labels
    for kind, key in (
        ("StatefulSet", "selector"),
        ("PodDisruptionBudget", "selector"),
        ("NetworkPolicy", "podSelector"),
    ):
        assert specs[kind][key]["matchLabels"] == labels


@systemd
def test_the_unit_is_valid(tmp_path):
    unit = unit_with_a_command_that_is_there(tmp_path)
    done = subprocess.run(
        [shutil.which("systemd-analyze"), "verify", unit], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@systemd
def test_the_unit_gives_little_away(tmp_path):
    unit = unit_with_a_command_that_is_there(tmp_path)
    command = [shutil.which("systemd-analyze"), "security", "--offline=true", "--threshold=20", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def unit_with_a_command_that_is_there(folder: Path) -> Path:
    text = (DEPLOY / "nearhash.service").read_text()
    assert text.count("ExecStart=/opt/nearhash/bin/nearhash ") == 1
    unit = folder / "nearhash.service"
    unit.write_text(text.replace("/opt/nearhash/bin/nearhash", shutil.which("true")))
    return unit


def test_the_image_is_made_of_what_is_there_and_not_ignored():
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    copied = re.findall(r"^COPY ((?!--).*) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    assert len(sources) > 5
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, pattern) for pattern in let_in), source


def test_the_session_for_systemd_sets_up_what_the_unit_runs(tmp_path):
    (session,) = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    unit = dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / "nearhash.service").read_text(), re.MULTILINE))
    (program, *arguments) = unit["ExecStart"].split()
    user, settings = unit["User"], arguments[arguments.index("--config") + 1]
    home = f"/var/lib/{unit['StateDirectory']}"
    assert f"useradd --system --home-dir {home} --shell /usr/sbin/nologin {user}\n" in session
    assert f"python3 -m venv {program.removesuffix('/bin/nearhash')} " in session
    assert f"-g {unit['Group']} nearhash.toml {settings}\n" in session
    extra = re.search(r"pip install 'nearhash\[(\w+)\]'", session)[1]
    assert extra in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert f"NEARHASH_DATA={home}/data " in unit["Environment"]
    (command,) = re.findall(rf"sudo -u {user} {program} (.*)$", session, re.MULTILINE)
    assert f"--data {home}/data" in command
    assert ok_here(*command.replace(f"{home}/data", str(tmp_path / "data")).split()) == "created bank reviewed\n"


def test_the_page_names_the_servers_as_the_manifests_do(resources, pod):
    service, pods = resources["Service"], resources["StatefulSet"]
    (port,) = service["spec"]["ports"]
    assert pods["spec"]["serviceName"] == service["metadata"]["name"]
    assert f"--target {pods['metadata']['name']}-0.{service['metadata']['name']}:{port['port']}`" in PAGE
    assert f'Client("dns:///{service["metadata"]["name"]}:{port["port"]}")' in PAGE
    secrets = [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
    assert [f"`{name}`" in PAGE for name in secrets] == [True]


def test_the_page_tells_what_each_file_is_for():
    beside = ("README", "grafana", "prometheus", "Dockerfile.")
    files = {path.name for path in DEPLOY.iterdir() if not path.name.startswith(beside)}
    assert set(re.findall(r"^\| \[(.*?)\]", PAGE, re.MULTILINE)) == files
