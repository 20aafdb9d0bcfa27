import json
import logging
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.core.management import BaseCommand, CommandParser

from saas import __version__
from saas.api.client_address import is_loopback
from saas.audit import verification
from saas.operations import checks
from saas.server.ports import urls_from_base

TIMEOUT_SECONDS = 5.0
AUDIT_LINKS = 1000


def audit_trail() -> str:
    """The newest links of the audit trail's hash chain are intact (``audit_verify`` verifies all)."""
    verdict = verification.verify_recent(AUDIT_LINKS)
    if verdict.faults:
        raise RuntimeError(verdict.faults[0])
    return f"the last {verdict.verified} links are whole, {verdict.waiting} events wait for the sealer"


CHECKS: dict[str, checks.Check] = {
    "Database": checks.database,
    "Migrations": checks.migrations,
    "Broker": checks.broker_round_trip,
    "Limits": checks.cache,
    "Worker": checks.worker,
    "Beat": checks.beat,
    "Mail": checks.mail,
    "Secrets": checks.secrets_protection,
    "Clock": checks.clock,
    "Proxies": checks.proxies,
    "Audit": audit_trail,
    "Business": checks.business_invariants,
}


@dataclass(frozen=True)
class CheckResult:
    """The result of one check. ``modules``: the working modules of a service."""

    name: str
    ok: bool
    detail: str
    modules: tuple[str, ...] = ()
    is_foreign_service: bool = False  # another program answers at its URL


class Command(BaseCommand):
    help = (
        "Check everything by using it: services and their modules, database, broker, worker, beat, mail, secrets, clocks, "
        "proxies, the audit trail, and the invariants of stored rows."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="One JSON document instead of lines for people.")
        parser.add_argument("--port-base", type=int, help="Where `up --port-base` put the services.")

    def handle(self, *, json: bool, port_base: int | None, **options: Any) -> None:
        urls = settings.SERVICE_BASE_URLS if port_base is None else urls_from_base(port_base)
        logging.disable(logging.CRITICAL)  # the results contain the errors
        try:
            services, others = run_all_checks(urls)
        finally:
            logging.disable(logging.NOTSET)
        percent = health_percent([*services, *others])
        self.stdout.write(
            as_json(services, others, percent) if json else "\n".join(report_lines(services, others, percent))
        )
        if percent < 100:
            sys.exit(1)


def run_all_checks(urls: Mapping[str, str]) -> tuple[list[CheckResult], list[CheckResult]]:
    """Return the results of the services, and of everything else."""
    services = [_service(name, url) for name, url in urls.items()]
    return services, [*(_run(name, check) for name, check in CHECKS.items()), _ports(urls, services)]


def health_percent(findings: list[CheckResult]) -> int:
    """Return the percentage of passed checks, rounded down."""
    return 100 * sum(finding.ok for finding in findings) // len(findings)


def _run(name: str, check: checks.Check) -> CheckResult:
    try:
        return CheckResult(name, True, check())
    except Exception as error:
        sentence = str(error).strip().partition("\n")[0]
        return CheckResult(name, False, sentence or type(error).__name__)


def _service(name: str, url: str) -> CheckResult:
    try:
        token = settings.INTERNALS_TOKEN  # reads the state of modules where it is closed to others
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with httpx.Client(
            base_url=url, timeout=TIMEOUT_SECONDS, trust_env=not _is_here(url), headers=headers
        ) as client:
            alive = client.get("/health")
            if not _is_service(name, alive):
                return CheckResult(name, False, f"{url} is answered by something else", is_foreign_service=True)
            return _modules(name, url, client.get("/api/health/modules"))
    except httpx.HTTPError as error:
        return CheckResult(name, False, f"{url} does not answer ({type(error).__name__})")


def _is_service(name: str, answer: httpx.Response) -> bool:
    try:
        body = answer.json()
    except ValueError:
        return False
    return answer.status_code == 200 and isinstance(body, dict) and body.get("service") == name


def _modules(name: str, url: str, answer: httpx.Response) -> CheckResult:
    rows = answer.raise_for_status().json()["modules"]
    works = tuple(row["module"] for row in rows if row["status"] == "ok")
    if len(works) == len(rows):
        return CheckResult(name, True, f"{url}, {len(rows)} modules", works)
    broken = ", ".join(row["module"] for row in rows if row["module"] not in works)
    return CheckResult(name, False, f"{url}, {len(works)} of {len(rows)} modules work; broken: {broken}", works)


def _ports(urls: Mapping[str, str], services: list[CheckResult]) -> CheckResult:
    """Whether each port of this machine is used by its service or free."""
    here = {name: urlsplit(url).port for name, url in urls.items() if _is_here(url)}
    taken = [
        f"{here[found.name]} ({found.name})" for found in services if found.is_foreign_service and found.name in here
    ]
    if taken:
        return CheckResult("Ports", False, f"taken by another program: {', '.join(taken)}")
    return CheckResult("Ports", True, ", ".join(str(port) for port in here.values()) or "none here")


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "localhost" or is_loopback(host)


def as_json(services: list[CheckResult], others: list[CheckResult], percent: int) -> str:
    document = {
        "health_percent": percent,
        "version": __version__,
        "environment": settings.SAAS_ENV,
        "services": [{"name": f.name, "ok": f.ok, "detail": f.detail, "modules": list(f.modules)} for f in services],
        "checks": [{"name": f.name.lower(), "ok": f.ok, "detail": f.detail} for f in others],
    }
    return json.dumps(document, indent=2)


def report_lines(services: list[CheckResult], others: list[CheckResult], percent: int) -> Iterator[str]:
    """Yield the report for people."""
    working = sum(finding.ok for finding in services)
    yield f"✓ Workspace: saas {__version__} ({settings.SAAS_ENV})"
    yield f"{_mark(working == len(services))} Services: {working}/{len(services)}"
    for found in services:
        yield f"  {'-' if found.ok else '✗'} {found.name} ({found.detail})"
    for found in others:
        yield f"{_mark(found.ok)} {found.name}: {found.detail}"
    yield f"{_mark(percent == 100)} Health: {percent}%"


def _mark(ok: bool) -> str:
    return "✓" if ok else "✗"
