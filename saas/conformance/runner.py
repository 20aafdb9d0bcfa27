"""Run the rules: register test accounts, resolve references between steps, stop a rule at its first fault."""

import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import httpx

from saas.conformance import expectations, totp
from saas.conformance.calls import Answer, ApiClient
from saas.conformance.contract import Contract, Rule, Step, load_contract
from saas.conformance.conventions import load_convention

PEOPLE = ("kim", "ola")
_TOTP = "totp:"
_OK, _UNAUTHORIZED = 200, 401
_REFERENCE = re.compile(r"\$\{([\w.:]+)\}")


class PreconditionFailed(Exception):
    """Something that a rule needs could not be obtained."""


@dataclass(frozen=True)
class Result:
    """``faults`` is empty if the rule holds; ``step``: the number of the failing step, from 1."""

    rule: Rule
    faults: list[str]
    step: int = 0

    @property
    def holds(self) -> bool:
        return not self.faults


@dataclass(frozen=True)
class ServiceUnderTest:
    """A client with the base URL of the service, and the name of its convention."""

    client: httpx.Client
    convention: str


def run_rules(
    claim: ServiceUnderTest, *, peer: ServiceUnderTest | None = None, only: Collection[str] = ()
) -> Iterator[Result]:
    """Yield the result of every rule, or of ``only`` those.

    ``peer``: another service with the same accounts, for the rules about two services.
    """
    description = load_contract()
    bench = ContractRun(description, {"here": claim, **({"there": peer} if peer else {})})
    for rule in description.rules:
        if (peer or not rule.needs_peer) and (not only or rule.id in only):
            yield bench.check_rule(rule)
    bench.delete_accounts()


class ContractRun:
    """One run. ``kept`` holds answers of the current rule by name; ``people`` those of registrations, for the whole run."""

    def __init__(self, description: Contract, claims: Mapping[str, ServiceUnderTest]) -> None:
        self.contract = description
        self.callers = {
            at: ApiClient(claim.client, load_convention(claim.convention, description)) for at, claim in claims.items()
        }
        self.run = secrets.token_hex(6)
        self.words = {"run": self.run, "password": _new_password(), "new_password": _new_password()}
        self.people: dict[str, Any] = {}
        self.accounts: dict[str, str] = {}  # a token for each address that was registered
        self.kept: dict[str, Any] = {}

    def check_rule(self, rule: Rule) -> Result:
        self.kept = {}
        for number, step in enumerate(rule.steps, start=1):
            try:
                resolved = Step(**{field.name: self._filled(getattr(step, field.name)) for field in fields(step)})
                answer = self._send(resolved)
                if step.keep and isinstance(answer.body, Mapping):
                    self.kept[step.keep] = {**answer.body, "cookies": answer.cookies}
                operation = self.contract.operation(step)
                found = list(expectations.find_response_faults(self.contract, operation, resolved, answer))
            except (PreconditionFailed, httpx.HTTPError) as error:
                found = [str(error) or type(error).__name__]
            if found:
                return Result(rule, found, number)
        return Result(rule, [])

    def delete_accounts(self) -> None:
        """Delete the accounts that the run registered, ignoring failures."""
        for email, token in self.accounts.items():
            try:
                if self._delete_account(token).status == _UNAUTHORIZED:
                    login = self._send(Step(do="login", body={"email": email, "password": self.words["password"]}))
                    if login.status == _OK:
                        self._delete_account(expectations.value_at(login.body, "access_token"))
            except httpx.HTTPError:
                continue

    def _delete_account(self, token: str) -> Answer:
        return self._send(Step(do="delete_account", bearer=token, body={"current_password": self.words["password"]}))

    def _send(self, step: Step) -> Answer:
        answer = self.callers[step.at].call(self.contract.operation(step), step, dict(self._headers(step)))
        if step.do == "register" and step.body and isinstance(answer.body, Mapping) and "access_token" in answer.body:
            self.accounts[step.body["email"]] = answer.body["access_token"]
        return answer

    def _headers(self, step: Step) -> Iterator[tuple[str, str]]:
        yield from step.headers.items()
        if step.bearer or step.authorization is not None:
            yield "Authorization", f"Bearer {step.bearer}" if step.bearer else step.authorization or ""
        if step.cookies:
            cookies = [cookie for name in step.cookies for cookie in self._named(name)["cookies"].values()]
            yield "Cookie", "; ".join(f"{cookie.key}={cookie.coded_value}" for cookie in cookies)
        if step.csrf:
            yield "X-CSRFToken", str(self._named(step.csrf)["csrf_token"])

    def _filled(self, value: Any) -> Any:
        match value:
            case str() if whole := _REFERENCE.fullmatch(value):
                return self._value(whole[1])
            case str():
                return _REFERENCE.sub(lambda found: str(self._value(found[1])), value)
            case Mapping():
                return {name: self._filled(item) for name, item in value.items()}
            case list():
                return [self._filled(item) for item in value]
        return value

    def _value(self, path: str) -> Any:
        if path.startswith(_TOTP):
            return totp.totp_code(str(self._value(path.removeprefix(_TOTP))))
        name, _, rest = path.partition(".")
        return expectations.value_at(self._named(name), rest) if rest else self.words[name]

    def _named(self, name: str) -> Any:
        if name in PEOPLE and name not in self.people:
            self.people[name] = self._registered(name)
        found = self.people.get(name) or self.kept.get(name)
        if found is None:
            raise PreconditionFailed(f"an earlier step gave no {name!r}")
        return found

    def _registered(self, name: str) -> dict[str, Any]:
        email = f"{name}-{self.run}@conformance.example.com"
        body = {"email": email, "password": self.words["password"], "full_name": name.capitalize()}
        answer = self._send(Step(do="register", body=body))
        if not isinstance(answer.body, Mapping) or "access_token" not in answer.body:
            raise PreconditionFailed(f"{name} could not be registered (status {answer.status})")
        known = {"email": email, "shouted_email": email.upper(), "password": self.words["password"]}
        return {**answer.body, **known, "cookies": answer.cookies}


def _new_password() -> str:
    return f"Kit {secrets.token_urlsafe(12)} 1a"
