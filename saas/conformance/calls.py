"""Send the request that a step describes, and read the response."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any

import httpx

from saas.conformance.contract import Operation, Step
from saas.conformance.conventions import Convention

PROBLEM = "application/problem+json"
TOO_MANY = 429


@dataclass(frozen=True)
class Answer:
    """``body`` has the contract's names; ``cookies``: those that were set, by name."""

    status: int
    headers: httpx.Headers
    body: Any
    cookies: Mapping[str, Any]

    @property
    def is_problem(self) -> bool:
        return str(self.headers.get("Content-Type", "")).partition(";")[0] == PROBLEM


class ApiClient:
    """Sends requests to one service. After a 429 it waits for Retry-After and repeats once, at most ``patience_seconds``."""

    def __init__(self, client: httpx.Client, convention: Convention, patience_seconds: float = 65) -> None:
        self.client = client
        self.convention = convention
        self.patience_seconds = patience_seconds

    def call(self, operation: Operation, step: Step, headers: Mapping[str, str]) -> Answer:
        """Send ``step``, whose references are resolved."""
        self.client.cookies.clear()  # a step names the cookies that it sends
        address = str(self.client.base_url).rstrip("/") + operation.path.format(**step.path_values)
        content = self._content(step)
        sent = {**headers, "Content-Type": step.type} if content else dict(headers)
        query = {self.convention.to_wire(name): value for name, value in step.query.items() if value is not None}
        request = self.client.build_request(operation.method, address, params=query, headers=sent, **content)
        response = self.client.send(request)
        if response.status_code == TOO_MANY and step.status != TOO_MANY and self._wait(response):
            response = self.client.send(request)
        return self._answer(operation, response)

    def _content(self, step: Step) -> dict[str, Any]:
        if step.raw_size:
            return {"content": b'{"biography":"' + b"x" * step.raw_size + b'"}'}
        if step.raw is not None:
            return {"content": step.raw.encode()}
        if step.body is None:
            return {}
        convention = self.convention.other if step.other_names else self.convention
        return {"json": convention.outgoing(step.body)}

    def _wait(self, response: httpx.Response) -> bool:
        seconds = response.headers.get("Retry-After", "")
        if not seconds.isdigit() or int(seconds) > self.patience_seconds:
            return False
        time.sleep(int(seconds) + 1)
        return True

    def _answer(self, operation: Operation, response: httpx.Response) -> Answer:
        cookies: SimpleCookie = SimpleCookie()
        for line in response.headers.get_list("Set-Cookie"):
            cookies.load(line)
        try:
            body = response.json() if response.content else None
        except ValueError:
            body = response.text[:200]
        answer = Answer(response.status_code, response.headers, body, cookies)
        return answer if operation.plain else Answer(answer.status, answer.headers, self._read(answer), cookies)

    def _read(self, answer: Answer) -> Any:
        """Translate names. A problem document has the same names in every convention, except the fields under ``errors``."""
        if not answer.is_problem or not isinstance(answer.body, Mapping):
            return self.convention.incoming(answer.body)
        errors = answer.body.get("errors")
        if not isinstance(errors, Mapping):
            return answer.body
        return {**answer.body, "errors": {self.convention.from_wire(name): texts for name, texts in errors.items()}}
