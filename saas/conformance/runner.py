"""Runs the rules: registers the people of whom they speak, resolves what steps refer to, and stops a rule at its first fault."""

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
_OK, _WHO_ARE_YOU = 200, 401
_REFERENCE = re.compile(r"\$\{([\w.:]+)\}")


class PreconditionFailed(Exception):
    """What a rule needs before it can judge is not to be had."""


@dataclass(frozen=True)
class Result:
    """``faults`` is empty if the rule holds; ``step`` is the number of the step that showed them, from 1."""

    rule: Rule
    faults: list[str]
    step: int = 0

    @property
    def holds(self) -> bool:
        return not self.faults


@dataclass(frozen=True)
class ServiceUnderTest:
    """A service that is said to keep the contract, behind a client with its base URL, in one of the conventions."""

    client: httpx.Client
    convention: str


def run_rules(
    claim: ServiceUnderTest, *, peer: ServiceUnderTest | None = None, only: Collection[str] = ()
) -> Iterator[Result]:
    """Every rule, or ``only`` those, held against a service, one result after the other. With a ``peer``, a service on
    the same accounts, also the rules about two services."""
    told = load_contract()
    bench = ContractRun(told, {"here": claim, **({"there": peer} if peer else {})})
    for rule in told.rules:
        if (peer or not rule.needs_peer) and (not only or rule.id in only):
            yield bench.check_rule(rule)
    bench.delete_accounts()


class ContractRun:
    """One run. ``kept`` holds answers by name, those of ``people`` for the whole run."""

    def __init__(self, told: Contract, claims: Mapping[str, ServiceUnderTest]) -> None:
        self.contract = told
        self.callers = {
            at: ApiClient(claim.client, load_convention(claim.convention, told)) for at, claim in claims.items()
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
                found = self._faults(step)
            except (PreconditionFailed, httpx.HTTPError) as error:
                found = [str(error) or type(error).__name__]
            if found:
                return Result(rule, found, number)
        return Result(rule, [])

    def delete_accounts(self) -> None:
        """Gives up the accounts that the run made, as far as the service lets them go; nothing is judged any more."""
        for email, token in self.accounts.items():
            try:
                if self._given_up(token).status == _WHO_ARE_YOU:
                    login = self._send(Step(do="login", body={"email": email, "password": self.words["password"]}))
                    if login.status == _OK:
                        self._given_up(expectations.value_at(login.body, "access_token"))
            except httpx.HTTPError:
                continue

    def _given_up(self, token: str) -> Answer:
        return self._send(Step(do="delete_account", bearer=token, body={"current_password": self.words["password"]}))

    def _faults(self, step: Step) -> list[str]:
        resolved = self._resolved(step)
        answer = self._send(resolved)
        if step.keep and isinstance(answer.body, Mapping):
            self.kept[step.keep] = {**answer.body, "cookies": answer.cookies}
        return list(expectations.find_faults(self.contract, self.contract.operation(step), resolved, answer))

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

    def _resolved(self, step: Step) -> Step:
        return Step(**{one.name: self._filled(getattr(step, one.name)) for one in fields(step)})

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
