import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.core.management import BaseCommand, CommandParser
from django.db import DatabaseError

from saas import __version__
from saas.audit import verification
from saas.billing.alarms import AlarmKind, count_alarms
from saas.management.terminal import waiting
from saas.operations import checks
from saas.operations.processes import running_services
from saas.server.ports import is_here, urls_from_base

TIMEOUT_SECONDS = 5.0
AUDIT_LINKS = 1000


def audit_trail() -> str:
    """The newest links of the audit trail's hash chain are intact (``audit_verify`` verifies all)."""
    verdict = verification.verify_recent(AUDIT_LINKS)
    if verdict.faults:
        raise RuntimeError(verdict.faults[0])
    return f"the last {verdict.verified} links are whole, {verdict.waiting} events wait for the sealer"


def open_alarms() -> str:
    """Counts what staff should look at. However many there are, everything works."""
    counts = count_alarms()
    named = ", ".join(f"{count} {AlarmKind(kind).label.lower()}" for kind, count in counts.items())
    page = f"{settings.SERVICE_BASE_URLS['admin_ops']}/admin/alarms/"
    return f"{sum(counts.values())} open ({named}): {page}" if counts else "none open"


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
    "Alarms": open_alarms,
}


REMEDIES = {
    "Database": "start the database that DATABASE_URL names, or correct the URL (saas/docs/operations.md)",
    "Migrations": "run python3 manage.py migrate (`up` does it by itself)",
    "Broker": "start the broker that BROKER_URL or REDIS_URL names; events wait as rows until then",
    "Limits": "start the Redis that LIMITS_URL or REDIS_URL names",
    "Worker": "run python3 manage.py worker; under `up` read the lines labelled worker",
    "Beat": "run python3 manage.py beat; under `up` read the lines labelled beat",
    "Mail": "start the server that EMAIL_URL names, or correct the URL; mails wait as rows until then",
    "Secrets": "give each secret a value of its own (manage.py generate_secrets), and chmod 600 what others can read",
    "Clock": "synchronise the clocks of both machines (NTP)",
    "Proxies": "set TRUSTED_PROXY_COUNT and TRUSTED_PROXY_CIDRS to the proxies in front",
    "Audit": "keep a copy of the database, run python3 manage.py audit_verify, and find out who changed it",
    "Business": "look the named row up in the admin; python3 manage.py billing_rebuild computes billing's rows anew",
    "Alarms": "read the error in the log: the alarms of billing could not be counted",
    "Ports": "end the program that listens there, or start with other ports: python3 manage.py up --port-base 9000",
}
SILENT_SERVICE = "start it: python3 manage.py up, or python3 manage.py serve {name}; read its log if it runs"
FOREIGN_SERVICE = "start this copy's own on free ports: python3 manage.py up --port-base 9000"
BROKEN_MODULES = "read GET /api/health/modules of it for the reason, and mend what is red below"


@dataclass(frozen=True)
class CheckResult:
    """The result of one check. ``modules``: the working modules of a service. ``remedy``: what to do if it failed."""

    name: str
    ok: bool
    detail: str
    modules: tuple[str, ...] = ()
    is_foreign_service: bool = False  # another program, or another copy of this, answers at its URL
    remedy: str = ""


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
            with waiting(self.stdout, "Checking …") if self.stdout.isatty() else nullcontext():
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
        subject = "Migrations" if isinstance(error, DatabaseError) and name != "Database" else name
        return CheckResult(name, False, sentence or type(error).__name__, remedy=REMEDIES[subject])


def _service(name: str, url: str) -> CheckResult:
    try:
        token = settings.INTERNALS_TOKEN  # reads the state of modules where it is closed to others
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=not is_here(url), headers=headers) as client:
            alive = client.get("/health")
            if not _is_service(name, alive):
                return _foreign(name, f"{url} is answered by something else")
            if not _is_ours(name, url):
                return _foreign(name, f"{url} is answered by another copy: none of {settings.VAR_DIR} runs there")
            return _modules(name, url, client.get("/api/health/modules"))
    except (KeyError, TypeError, ValueError):
        return _foreign(name, f"{url} is answered by something else")
    except httpx.HTTPError as error:
        sentence = f"{url} does not answer ({type(error).__name__})"
        return CheckResult(name, False, sentence, remedy=SILENT_SERVICE.format(name=name))


def _foreign(name: str, sentence: str) -> CheckResult:
    return CheckResult(name, False, sentence, is_foreign_service=True, remedy=FOREIGN_SERVICE)


def _is_ours(name: str, url: str) -> bool:
    """Whether a process that was started from this var folder answers for the service; elsewhere it cannot be told."""
    if settings.PRODUCTION or not is_here(url):
        return True
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return (name, port) in running_services(settings.VAR_DIR)


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
    sentence = f"{url}, {len(works)} of {len(rows)} modules work; broken: {broken}"
    return CheckResult(name, False, sentence, works, remedy=BROKEN_MODULES)


def _ports(urls: Mapping[str, str], services: list[CheckResult]) -> CheckResult:
    """Whether each port of this machine is used by its service or free."""
    here = {name: urlsplit(url).port for name, url in urls.items() if is_here(url)}
    taken = [
        f"{here[found.name]} ({found.name})" for found in services if found.is_foreign_service and found.name in here
    ]
    if taken:
        return CheckResult("Ports", False, f"taken by another program: {', '.join(taken)}", remedy=REMEDIES["Ports"])
    return CheckResult("Ports", True, ", ".join(str(port) for port in here.values()) or "none here")


def as_json(services: list[CheckResult], others: list[CheckResult], percent: int) -> str:
    document = {
        "health_percent": percent,
        "version": __version__,
        "environment": settings.SAAS_ENV,
        "services": [
            {"name": f.name, "ok": f.ok, "detail": f.detail, "modules": list(f.modules), "remedy": f.remedy}
            for f in services
        ],
        "checks": [{"name": f.name.lower(), "ok": f.ok, "detail": f.detail, "remedy": f.remedy} for f in others],
    }
    return json.dumps(document, indent=2)


def report_lines(services: list[CheckResult], others: list[CheckResult], percent: int) -> Iterator[str]:
    """Yield the report for people."""
    working = sum(finding.ok for finding in services)
    yield f"✓ Workspace: saas {__version__} ({settings.SAAS_ENV})"
    yield f"{_mark(working == len(services))} Services: {working}/{len(services)}"
    for found in services:
        yield f"  {'-' if found.ok else '✗'} {found.name} ({found.detail})"
        yield from _remedy(found)
    for found in others:
        yield f"{_mark(found.ok)} {found.name}: {found.detail}"
        yield from _remedy(found)
    yield f"{_mark(percent == 100)} Health: {percent}%"


def _remedy(found: CheckResult) -> Iterator[str]:
    if found.remedy:
        yield f"    → {found.remedy}"


def _mark(ok: bool) -> str:
    return "✓" if ok else "✗"
