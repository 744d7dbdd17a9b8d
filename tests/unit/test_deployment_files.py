"""What stands in the deployment's files agrees with the code, and the files with each other."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from outdial.domain.phrases import PHRASES
from outdial.operations.connect_call import unable
from outdial.settings import REQUIRED, Settings, variable_name

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"
SERVICES = ("gateway", "worker", "beat", "flower", "media", "migrate")
OTHERS_VARIABLES = {"FLOWER_BASIC_AUTH", "POSTGRES_PASSWORD", "FLOWER_PASSWORD"}
# After a drain's longest wait: calls on their way, handing over, last writes, the server's end.
AFTER_DRAINING_SECONDS = 30

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
TARGETS = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
OBJECTS: list[dict[str, Any]] = [
    found
    for path in sorted((KUBERNETES / "base").glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for found in yaml.safe_load_all(path.read_text())
]
WORKLOADS = {
    found["metadata"]["name"].removeprefix("outdial-"): found
    for found in OBJECTS
    if found["kind"] in {"Deployment", "StatefulSet", "Job"}
}


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {o["metadata"]["name"]: o for o in OBJECTS if o["kind"] == kind}


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = WORKLOADS[name]["spec"]["template"]["spec"]
    return spec


def container(name: str) -> dict[str, Any]:
    (only,) = pod(name)["containers"]
    found: dict[str, Any] = only
    return found


def names_in(env_file: Path) -> set[str]:
    return set(re.findall(r"^([A-Z_]+)=", env_file.read_text(), re.MULTILINE))


KNOWN = {variable_name(field) for field in Settings.model_fields} | OTHERS_VARIABLES


def test_every_variable_of_the_manifests_is_a_setting() -> None:
    used = set(of_kind("ConfigMap")["outdial-settings"]["data"])
    used |= names_in(KUBERNETES / "overlays/example/secrets.env.example")
    used |= {e["name"] for name in SERVICES for e in container(name).get("env", [])}
    assert used <= KNOWN
    needed = {variable_name(field) for fields in REQUIRED.values() for field in fields}
    assert needed - used == {"OUTDIAL_POD_PUBLIC_URL"}  # follows from PUBLIC_URL and the pod's name


def test_every_variable_of_compose_is_a_setting() -> None:
    ours = {"OUTDIAL_ENV_FILE", "OUTDIAL_STOP_GRACE"}
    files = ROOT / ".env.example", ROOT / "deploy/sandbox.env"
    for path in files:
        assert names_in(path) - {"COMPOSE_FILE", "COMPOSE_PROJECT_NAME"} - ours <= KNOWN
    used = {k for name in SERVICES for k in COMPOSE["services"][name]["environment"]}
    assert used <= KNOWN


def test_a_pod_that_drains_is_given_the_time() -> None:
    drain = Settings.model_fields["drain_seconds"].default
    configured = of_kind("ConfigMap")["outdial-settings"]["data"]["OUTDIAL_DRAIN_SECONDS"]
    for name in ("media", "edge"):
        grace = pod(name)["terminationGracePeriodSeconds"]
        assert grace >= max(float(configured), drain) + AFTER_DRAINING_SECONDS
        given = re.fullmatch(
            r"\$\{OUTDIAL_STOP_GRACE:-(\d+)s\}", COMPOSE["services"][name]["stop_grace_period"]
        )
        assert given is not None
        assert int(given[1]) >= drain + AFTER_DRAINING_SECONDS
    assert COMPOSE["services"]["edge"]["stop_signal"] == "SIGQUIT"
    assert "STOPSIGNAL SIGQUIT" in DOCKERFILE


def test_what_is_run_is_an_image_of_the_dockerfile() -> None:
    services = COMPOSE["services"]
    built = {s["build"]["target"] for s in services.values() if "build" in s}
    assert built == {"gateway", "worker", "media", "edge"} <= TARGETS
    for name in WORKLOADS:
        assert container(name)["image"].removeprefix("outdial-") in built
    overlay = yaml.safe_load((KUBERNETES / "overlays/example/kustomization.yaml").read_text())
    assert {image["name"] for image in overlay["images"]} == {f"outdial-{name}" for name in built}


def test_no_production_image_asks_for_the_sandbox() -> None:
    """Its voices are GPL."""
    extras = dict(re.findall(r"FROM wheels AS (\w+)-install\nRUN .*outdial\[(.+?)\]", DOCKERFILE))
    assert {name for name, extra in extras.items() if "sandbox" in extra} == {"sandbox"}
    assert not any("dev" in extra or "embedded" in extra for extra in extras.values())
    assert "--require-hashes" in DOCKERFILE
    assert "sandbox" not in str(COMPOSE["services"])


def test_ports_are_those_that_processes_listen_on() -> None:
    port = 8000
    assert f"OUTDIAL_PORT={port}" in DOCKERFILE
    for name in ("gateway", "media"):
        assert container(name)["ports"] == [{"name": "http", "containerPort": port}]
        assert of_kind("Service")[f"outdial-{name}"]["spec"]["ports"][0]["port"] == port
    for path in (ROOT / "deploy/nginx/compose.env", KUBERNETES / "base/edge.env"):
        text = path.read_text()
        assert f"OUTDIAL_POD_PORT={port}\n" in text
        assert re.search(rf"^OUTDIAL_GATEWAY=\S+:{port}$", text, re.MULTILINE)


def test_both_edges_give_a_value_to_every_name_of_the_template() -> None:
    template = (ROOT / "deploy/nginx/outdial.conf.template").read_text()
    used = set(re.findall(r"\$\{(OUTDIAL_[A-Z_]+)\}", template))
    for path in (ROOT / "deploy/nginx/compose.env", KUBERNETES / "base/edge.env"):
        assert names_in(path) == used
    assert "COPY deploy/nginx/outdial.conf.template /etc/nginx/templates/" in DOCKERFILE


def test_only_the_edge_is_published() -> None:
    published = {n: s["ports"] for n, s in COMPOSE["services"].items() if "ports" in s}
    assert list(published) == ["edge"]
    public, operators = published["edge"]
    assert public.endswith(":8080")
    assert operators.startswith("127.0.0.1:")
    assert operators.endswith(":8081")
    stores = ("postgres", "redis")
    assert all(COMPOSE["services"][name]["networks"] == ["inside"] for name in stores)
    assert COMPOSE["services"]["edge"]["networks"] == ["edge"]


def test_a_media_pod_is_found_by_its_own_name() -> None:
    service = of_kind("Service")["outdial-media"]["spec"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    media = WORKLOADS["media"]["spec"]
    assert (media["serviceName"], media["podManagementPolicy"]) == ("outdial-media", "Parallel")
    env = {e["name"]: e for e in container("media")["env"]}
    assert env["OUTDIAL_POD_ID"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    namespace = of_kind("Namespace").popitem()[0]
    edge = (KUBERNETES / "base/edge.env").read_text()
    assert f"OUTDIAL_POD_DOMAIN=.outdial-media.{namespace}.svc." in edge
    # A pod that drains answers 503 there: not a reason to kill it.
    assert container("media")["livenessProbe"]["httpGet"]["path"] != "/health"


@pytest.mark.parametrize("name", sorted(WORKLOADS))
def test_processes_run_as_nobody_on_a_disk_that_they_cannot_write(name: str) -> None:
    assert pod(name)["securityContext"]["runAsNonRoot"] is True
    assert pod(name)["automountServiceAccountToken"] is False
    context = container(name)["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert container(name)["resources"]["limits"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize("name", [*SERVICES, "edge"])
def test_containers_run_as_nobody_on_a_disk_that_they_cannot_write(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_nobody_else_may_knock_at_gateways_and_pods() -> None:
    policies = {n: p["spec"] for n, p in of_kind("NetworkPolicy").items()}
    assert policies["outdial-nobody-by-default"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    for name in ("gateway", "media"):
        for rule in policies[f"outdial-{name}"]["ingress"]:
            assert rule["from"]
            assert rule["ports"] == [{"port": 8000}]
    (open_to_all,) = policies["outdial-edge"]["ingress"]
    assert open_to_all == {"ports": [{"port": 8080}]}


def test_the_edge_says_goodbye_in_every_language_as_the_gateway_does() -> None:
    template = (ROOT / "deploy/nginx/outdial.conf.template").read_text(encoding="utf-8")
    line = r"^    (default|\"~\*\^[a-z]{2}\") '(<Say .*</Say>)';$"
    said = dict(re.findall(line, template, re.MULTILINE))
    assert {key: text.replace("\\'", "'") for key, text in said.items()} == {
        ("default" if tag == "en" else f'"~*^{tag}"'): unable(tag)
        .partition("<Response>")[2]
        .partition("<Hangup")[0]
        for tag in PHRASES
    }
