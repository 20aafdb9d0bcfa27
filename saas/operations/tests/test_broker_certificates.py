"""Over TLS the broker's certificate and host name are verified, as the cache's are: Kombu by itself does not."""

import datetime
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from saas.operations import checks
from saas.settings import engines

ELSEWHERE = "redis.elsewhere.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of another host, signed by itself: a file of key and certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ELSEWHERE)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(ELSEWHERE)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem + made.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def port(certificate: Path) -> Iterator[int]:
    """Of a server that ends each connection after its handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=_shake_hands, args=[server, context], daemon=True).start()
        yield server.getsockname()[1]


def _shake_hands(server: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:  # the test is over
            return
        with suppress(OSError), context.wrap_socket(connection, server_side=True):
            pass


def ask_broker(url: str, settings) -> str:
    """What the check of the broker says."""
    settings.CELERY_BROKER_URL = url
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = engines.broker_options(url, Path("/nowhere"))
    settings.CELERY_BROKER_USE_SSL = engines.broker_tls(url)
    with pytest.raises(Exception) as failed:  # noqa: PT011
        checks.broker()
    return str(failed.value)


@pytest.mark.parametrize("scheme", ["rediss", "amqps"])
def test_a_certificate_that_nobody_vouches_for_is_refused(scheme: str, port: int, settings) -> None:
    assert "certificate verify failed: self-signed certificate" in ask_broker(f"{scheme}://localhost:{port}/", settings)


@pytest.mark.parametrize("scheme", ["rediss", "amqps"])
def test_a_good_certificate_of_another_host_is_refused(
    scheme: str, port: int, certificate: Path, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # now somebody does

    said = ask_broker(f"{scheme}://localhost:{port}/", settings)

    assert "mismatch, certificate is not valid for" in said


def test_who_says_so_in_the_address_gets_no_verification(port: int, settings) -> None:
    said = ask_broker(f"rediss://localhost:{port}/0?ssl_cert_reqs=none", settings)

    assert "certificate verify failed" not in said
