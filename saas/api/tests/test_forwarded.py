"""Wherever a proxy can stand it may write what proxies write, and whoever is no proxy of ours may write what she likes. (T94)"""

import pytest
from django.test import RequestFactory

from saas.accounts.models import LoginSession
from saas.api.client_address import client_address
from saas.api.middleware import TrustedProxyMiddleware
from saas.audit.models import AuditEvent
from saas.testing.factories.event_factories import event, json_bytes, signature_headers
from saas.testing.factories.user_factories import PASSWORD
from saas.webhook_events.models import WebhookEvent

PROXY, STRANGER = "10.0.0.1", "192.0.2.66"
CALLER, CALLER6 = "198.51.100.7", "2001:db8::1"


@pytest.fixture(autouse=True)
def _one_proxy(settings):
    settings.TRUSTED_PROXY_COUNT, settings.TRUSTED_PROXY_CIDRS = 1, ["10.0.0.0/8"]


def address(peer=PROXY, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client_address(RequestFactory().get("/", REMOTE_ADDR=peer, headers=named))


def scheme(peer=PROXY, **headers):
    """As a view sees it."""
    seen = []
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    TrustedProxyMiddleware(seen.append)(RequestFactory().get("/", REMOTE_ADDR=peer, headers=named))
    return seen[0].scheme


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("198.51.100.7", CALLER),
        ("198.51.100.7:40001", CALLER),
        ('"198.51.100.7:40001"', CALLER),
        ("  198.51.100.7\t", CALLER),
        ("203.0.113.1, 198.51.100.7:1", CALLER),
        ("203.0.113.1,198.51.100.7,", CALLER),
        ('", 198.51.100.7', CALLER),
        ("2001:db8::1", CALLER6),
        ("2001:DB8:0::1", CALLER6),
        ("[2001:db8::1]", CALLER6),
        ("[2001:db8::1]:443", CALLER6),
        ('"[2001:db8::1]:443"', CALLER6),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:198.51.100.7", CALLER),
        ("[::ffff:198.51.100.7]:40001", CALLER),
        ("198.51.100.7:_port", CALLER),
    ],
)
def test_x_forwarded_for_is_read_however_it_is_written(written, told):
    assert address(X_Forwarded_For=written) == told


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("for=198.51.100.7", CALLER),
        ("For=198.51.100.7;Proto=https;By=10.0.0.1", CALLER),
        ('for="198.51.100.7:40001"', CALLER),
        ("for=198.51.100.7:40001", CALLER),
        ('by=_us; for = "[2001:db8::1]:443" ;proto=https;', CALLER6),
        ('for="[2001:db8::1]"', CALLER6),
        (r'for="198.51.100\.7"', CALLER),
        ("for=203.0.113.1, for=198.51.100.7", CALLER),
        ('for="203.0.113.1, for=198.51.100.7', CALLER),
        ('for=203.0.113.1;x=", for="[2001:db8::1]:443"', CALLER6),
        ('for=198.51.100.7;token="a, for=203.0.113.1"', CALLER),
        (r'for=198.51.100.7;token="a\", for=203.0.113.1"', CALLER),
        ('host=";for=203.0.113.1;";for=198.51.100.7', CALLER),
    ],
)
def test_forwarded_is_read_as_rfc_7239_writes_it(written, told):
    assert address(Forwarded=written) == told


@pytest.mark.parametrize("node", ["unknown", "_hidden", '"_hidden:_port"', "", '"', "[", "]", "[]:1", "1.2.3", "a:b:c:z",
                                  "198.51.100.7:port", "198.51.100.7:1:2", "[198.51.100.7", "(select 1)", "é", "\\"])  # fmt: skip
def test_where_a_proxy_tells_of_no_address_it_is_the_caller(node):
    assert (address(X_Forwarded_For=node), address(Forwarded=f"for={node}")) == (PROXY, PROXY)


@pytest.mark.parametrize(
    "written", ["", ",", ";", "=", "for", "proto=https", "for=1.2.3.4;for=198.51.100.7", 'for="', "for=a b"]
)
def test_a_forwarded_that_is_not_well_formed_tells_of_nobody(written):
    assert address(Forwarded=written) == PROXY


@pytest.mark.parametrize("header", ["X_Forwarded_For", "Forwarded"])
def test_behind_two_proxies_the_outer_ones_word_counts(settings, header):
    settings.TRUSTED_PROXY_COUNT = 2
    prefix = "for=" if header == "Forwarded" else ""

    chain = ", ".join(f"{prefix}{node}" for node in ("203.0.113.1", CALLER, "10.0.0.2"))

    assert address(**{header: chain}) == CALLER


def test_beside_x_forwarded_for_nothing_in_forwarded_is_believed():
    assert address(X_Forwarded_For=CALLER, Forwarded="for=203.0.113.1") == CALLER
    assert address(X_Forwarded_For="unknown", Forwarded="for=203.0.113.1") == PROXY
    assert scheme(X_Forwarded_For=CALLER, Forwarded="for=203.0.113.1;proto=https") == "http"


@pytest.mark.parametrize("headers", [{"X_Forwarded_For": f"{CALLER}:1"}, {"Forwarded": f"for={CALLER};proto=https"}])
def test_of_who_is_no_proxy_of_ours_nothing_is_believed(headers):
    assert address(STRANGER, X_Forwarded_Proto="https", **headers) == STRANGER
    assert scheme(STRANGER, X_Forwarded_Proto="https", **headers) == "http"


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"X_Forwarded_Proto": "https"}, "https"),
        ({"X_Forwarded_Proto": "HTTPS "}, "https"),
        ({"X_Forwarded_Proto": "https, http"}, "http"),
        ({"X_Forwarded_Proto": "http,https"}, "https"),
        ({"Forwarded": "for=198.51.100.7;proto=https"}, "https"),
        ({"Forwarded": 'proto="HTTPS"'}, "https"),
        ({"Forwarded": "proto=https, for=198.51.100.7;proto=http"}, "http"),
        ({"Forwarded": "proto=nonsense"}, "http"),
        ({"X_Forwarded_Proto": "http", "Forwarded": "proto=https"}, "http"),
    ],
)
def test_the_scheme_is_the_one_that_our_proxy_saw(settings, headers, told):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

    assert scheme(**headers) == told


@pytest.mark.parametrize(
    "headers", [{"X-Forwarded-For": f'"{CALLER}:40001"'}, {"Forwarded": f'for="{CALLER}:40001";proto=https'}]
)
def test_limits_trail_devices_and_deliveries_show_the_same_address(product, webhooks, customer, headers, settings):
    settings.RATE_LIMIT_SCALE = 1
    product.defaults["REMOTE_ADDR"] = webhooks.defaults["REMOTE_ADDR"] = PROXY
    body = {"email": customer.user.email, "password": PASSWORD}

    sid = product.post("/api/auth/login", body, headers=headers).json()["session_id"]
    statuses = [product.post("/api/auth/register", {}, headers=headers).status_code for _ in range(6)]
    raw = json_bytes(event("evt_1", "product.created"))
    for _ in range(2):
        webhooks.send("POST", "/api/webhooks/stripe", raw=raw, headers={**headers, **signature_headers(raw)})

    assert LoginSession.objects.get(sid=sid).address == CALLER
    assert AuditEvent.objects.get(action="session.opened", target=sid).address == CALLER
    assert [repeat.address for repeat in WebhookEvent.objects.get().repeats.all()] == [CALLER]
    assert statuses == [422] * 5 + [429]
    assert product.post("/api/auth/register", {}, headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 422
