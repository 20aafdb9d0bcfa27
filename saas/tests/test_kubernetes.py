"""The Kubernetes manifests start what there is, with settings that there are, and fit their schemas."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from saas import env

FOLDER = Path(__file__).resolve().parents[1] / "docs/kubernetes"
KUBERNETES = "1.35"
SERVICES = {"product": "product", "admin-ops": "admin_ops", "parity": "parity", "webhooks": "webhooks"}
PROCESSES_OF_THE_SERVER = {"BIND", "DRAIN_SECONDS"}  # read before Django is there

OBJECTS: list[dict[str, Any]] = [
    document
    for file in sorted(FOLDER.glob("*.yaml"))
    if file.name != "kustomization.yaml"
    for document in yaml.safe_load_all(file.read_text())
]
IDS = [f"{document['kind']} {document['metadata']['name']}" for document in OBJECTS]


def objects(kind: str) -> dict[str, dict[str, Any]]:
    return {document["metadata"]["name"]: document for document in OBJECTS if document["kind"] == kind}


def pods() -> dict[str, dict[str, Any]]:
    return {name: document["spec"]["template"]["spec"] for name, document in objects("Deployment").items()}


def test_kustomize_lists_every_file() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]

    assert sorted(listed) == sorted({file.name for file in FOLDER.glob("*.yaml")} - {"kustomization.yaml"})


@pytest.mark.long
@pytest.mark.parametrize("document", OBJECTS, ids=IDS)
def test_an_object_fits_its_schema(document: dict[str, Any]) -> None:
    import kubernetes_validate  # only CI installs it

    assert kubernetes_validate.validate(document, KUBERNETES, strict=True) == KUBERNETES


def test_every_variable_is_a_setting() -> None:
    told = set(objects("ConfigMap")["saas"]["data"])
    known = {setting.name for setting in env.declared_settings()} | PROCESSES_OF_THE_SERVER | {"SAAS_ENV"}

    assert told <= known


@pytest.mark.parametrize(("name", "service"), SERVICES.items())
def test_a_service_is_served_probed_and_given_time_to_end(name: str, service: str) -> None:
    pod = pods()[name]
    (container,) = pod["containers"]
    drains = int(objects("ConfigMap")["saas"]["data"]["DRAIN_SECONDS"])

    assert container["command"] == ["python", "manage.py", "serve", service]
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert pod["terminationGracePeriodSeconds"] >= drains + 20
    assert drains > container["readinessProbe"]["periodSeconds"] * container["readinessProbe"]["failureThreshold"]


def test_there_are_four_services_workers_and_beat() -> None:
    assert set(pods()) == {*SERVICES, "worker", "beat"}
    assert {name: pods()[name]["containers"][0]["command"][:4] for name in ("worker", "beat")} == {
        "worker": ["celery", "-A", "saas", "worker"],
        "beat": ["celery", "-A", "saas", "beat"],
    }


def test_services_of_the_namespace_set_no_variables() -> None:
    """Kubernetes adds ``<SERVICE>_PORT=tcp://…`` for each: one of them may be a setting's name."""
    (migration,) = objects("Job").values()

    assert {pod["enableServiceLinks"] for pod in (*pods().values(), migration["spec"]["template"]["spec"])} == {False}


def test_what_may_be_evicted_never_takes_the_last_process() -> None:
    budgets = objects("PodDisruptionBudget")

    assert {name: budget["spec"]["minAvailable"] for name, budget in budgets.items()} == dict.fromkeys(pods(), 1)
    replicas = {name: document["spec"]["replicas"] for name, document in objects("Deployment").items()}
    assert min(replicas.values()) == 2


def test_every_selector_finds_its_pods() -> None:
    labels = {name: d["spec"]["template"]["metadata"]["labels"] for name, d in objects("Deployment").items()}
    selected = {name: d["spec"]["selector"] for name, d in objects("Service").items()}

    assert {name: labels[name] for name in selected} == selected
    assert {name: d["spec"]["selector"]["matchLabels"] for name, d in objects("Deployment").items()} == labels


def test_the_ingress_leads_each_host_to_its_service() -> None:
    rules = objects("Ingress")["saas"]["spec"]["rules"]
    hosts = {rule["host"]: rule["http"]["paths"][0]["backend"]["service"]["name"] for rule in rules}
    told = objects("ConfigMap")["saas"]["data"]

    assert set(hosts) == set(told["ALLOWED_HOSTS"].split(","))
    assert {told[f"{SERVICES[name].upper()}_BASE_URL"]: name for name in hosts.values()} == {
        f"https://{host}": name for host, name in hosts.items()
    }


def test_no_container_runs_as_root_or_writes_its_files() -> None:
    specs = [*pods().values(), objects("Job")["saas-migrate"]["spec"]["template"]["spec"]]

    assert {spec["securityContext"]["runAsNonRoot"] for spec in specs} == {True}
    assert {spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] for spec in specs} == {True}
