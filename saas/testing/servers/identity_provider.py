"""A strict OpenID provider (and GitHub) on loopback, whose answers a test can falsify."""

import json
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from saas.settings.accounts import OAuthProvider
from saas.testing.servers.in_thread import served_in_thread

CLIENT_ID = "our-client"
CLIENT_SECRET = "our-secret"
RESERVED_SECRET = "our+secret%2Fwith: all"  # what a form and a URL write in another way


@cache
def _key() -> RSAKey:
    return RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig", "alg": "RS256"})


class IdentityProvider:
    """``claims`` override those of the valid ID token (None removes one), ``header`` replaces its header, ``answers`` the
    status and document of a path, and ``userinfo`` is what the userinfo endpoint tells; empty without one."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://localhost:{port}"
        self.key = _key()
        self.signing_key: Any = self.key
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "one"}
        self.userinfo: dict[str, Any] = {}
        self.auth_methods = ["client_secret_post"]
        self.answers: dict[str, tuple[int, Any]] = {}
        self.verifiers: list[str] = []
        self.paths: list[str] = []
        self._codes: dict[str, tuple[dict[str, str], dict[str, Any]]] = {}

    def provider_settings(self, name: str = "oidc") -> OAuthProvider:
        issuer = "" if name == "github" else self.issuer
        return OAuthProvider(name, CLIENT_ID, CLIENT_SECRET, issuer=issuer, hosts=("localhost",))

    def approve(self, location: str, **person: Any) -> dict[str, str]:
        """Consent at the authorization URL ``location``; return the query parameters of our callback."""
        query = dict(parse_qsl(urlsplit(location).query))
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        code = f"code-{len(self._codes)}"
        self._codes[code] = (query, {"sub": "person-1", **person})
        return {"state": query["state"], "code": code}

    @property
    def metadata(self) -> dict[str, Any]:
        """The issuer's document of OpenID Connect Discovery 1.0."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "token_endpoint_auth_methods_supported": self.auth_methods,
            **({"userinfo_endpoint": f"{self.issuer}/userinfo"} if self.userinfo else {}),
        }

    def respond(self, method: str, path: str, form: dict[str, str], authorization: str = "") -> tuple[int, Any]:
        self.paths.append(f"{method} {path}")
        if path in self.answers:
            return self.answers[path]
        match path:
            case "/.well-known/openid-configuration":
                return 200, self.metadata
            case "/jwks":
                return 200, {"keys": [self.key.as_dict(private=False)]}
            case "/token":
                return self._token(form, authorization)
            case "/userinfo" if authorization == "Bearer at":
                return 200, self.userinfo
        return 404, {}

    def _token(self, form: dict[str, str], authorization: str) -> tuple[int, Any]:
        asked, person = self._codes.pop(form["code"], ({}, {}))
        challenge = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        fits = (
            asked.get("code_challenge") == challenge
            and form["redirect_uri"] == asked["redirect_uri"]
            and self._is_authenticated(form, authorization)
        )
        if not fits:
            return 400, {"error": "invalid_grant"}
        self.verifiers.append(form["code_verifier"])
        return 200, {"access_token": "at", "token_type": "Bearer", "id_token": self._id_token(asked, person)}

    def _is_authenticated(self, form: dict[str, str], authorization: str) -> bool:
        sent = (form.get("client_id"), form.get("client_secret"))
        match self.auth_methods:
            case ["none"]:
                return (*sent, authorization) == (CLIENT_ID, None, "")
            case ["client_secret_basic"]:  # RFC 6749, 2.3.1
                name, _, secret = b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
                return (unquote_plus(name), unquote_plus(secret), *sent) == (CLIENT_ID, RESERVED_SECRET, None, None)
        return sent == (CLIENT_ID, CLIENT_SECRET)

    def _id_token(self, asked: dict[str, str], person: dict[str, Any]) -> str:
        now = int(time.time())
        honest = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked.get("nonce"),
            **person,
        }
        claims = {name: value for name, value in {**honest, **self.claims}.items() if value is not None}
        return str(jwt.encode(self.header, claims, self.signing_key, algorithms=[self.header["alg"]]))


@contextmanager
def running_identity_provider() -> Iterator[IdentityProvider]:
    """Serve a provider until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET", {})

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer("POST", {name: values[0] for name, values in parse_qs(raw).items()})

        def _answer(self, method: str, form: dict[str, str]) -> None:
            authorization = self.headers.get("Authorization", "")
            status, document = provider.respond(method, urlsplit(self.path).path, form, authorization)
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status in {301, 302, 307}:
                self.send_header("Location", "http://localhost:1/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("localhost", 0), Handler)
    provider = IdentityProvider(server.server_port)
    with served_in_thread(server):
        yield provider
