"""How variables reach the settings: from a file, from containers' tools that keep quotes, and in any folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from saas import env
from saas.server import serve
from saas.tests.processes.test_settings import GOOD, start


@pytest.mark.parametrize("quote", ['"', "'"])
def test_quotes_that_docker_and_kubectl_keep_are_no_part_of_a_value(quote: str, tmp_path: Path) -> None:
    kept = {name: f"{quote}{value}{quote}" for name, value in GOOD.items()}

    told = start(kept, tmp_path, "import saas.settings.product as s; print(s.DEFAULT_FROM_EMAIL, s.ALLOWED_HOSTS)")

    expected = f"{GOOD['DEFAULT_FROM_EMAIL']} {GOOD['ALLOWED_HOSTS'].split(',')}\n"
    assert (told.returncode, told.stdout) == (0, expected), told.stderr


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ('"quoted"', "quoted"),
        ('""', ""),
        ('"', '"'),
        ('"Acme, Inc." <ops@example.com>', '"Acme, Inc." <ops@example.com>'),
        ("'one' and \"two\"", "'one' and \"two\""),
        ('"one","two"', '"one","two"'),
        ("  plain \r\n", "plain"),
    ],
)
def test_only_a_pair_of_quotes_around_all_of_it_is_taken_away(
    given: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_SETTING", given)

    assert (env.variable("SOME_SETTING"), env.is_set("SOME_SETTING")) == (text, text != "")


def test_base_urls_are_read_as_browsers_write_them(tmp_path: Path) -> None:
    written = {
        "PRODUCT_BASE_URL": "https://API.Example.com:443/",
        "FRONTEND_BASE_URL": "https://App.Example.com/start/",
    }

    told = start(
        {**GOOD, **written},
        tmp_path,
        "import saas.settings.product as s; print(s.SERVICE_BASE_URLS['product'], s.FRONTEND_BASE_URL)",
    )

    assert (told.returncode, told.stdout) == (0, "https://api.example.com https://app.example.com/start\n"), told.stderr


def test_a_mounted_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    mounted = tmp_path / "sender"
    mounted.write_text(f"{GOOD['DEFAULT_FROM_EMAIL']}\r\n", encoding="utf-8-sig")
    environment = {name: value for name, value in GOOD.items() if name != "DEFAULT_FROM_EMAIL"}

    told = start(
        {**environment, "DEFAULT_FROM_EMAIL_FILE": str(mounted)},
        tmp_path,
        "import saas.settings.product as s; print(s.DEFAULT_FROM_EMAIL)",
    )

    assert (told.returncode, told.stdout) == (0, f"{GOOD['DEFAULT_FROM_EMAIL']}\n"), told.stderr


def test_a_secret_in_use_keeps_its_quotes(tmp_path: Path) -> None:
    """Without them no password would match any more."""
    kept = {"SECRET_KEY": f'"{GOOD["SECRET_KEY"]}"', "SECRET_KEY_FALLBACKS": f'"{GOOD["SECRET_KEY"]}1"'}

    told = start(
        {**GOOD, **kept}, tmp_path, "import saas.settings.product as s; print(s.SECRET_KEY, *s.SECRET_KEY_FALLBACKS)"
    )

    assert told.stdout == f"{' '.join(kept.values())}\n", told.stderr


@pytest.mark.parametrize(
    "endpoint", ["http://collector:4318", "http://collector:4318/", "http://collector:4318/v1/traces"]
)
def test_a_collector_may_be_named_without_the_path_of_traces(endpoint: str, tmp_path: Path) -> None:
    told = start(
        {**GOOD, "OTEL_ENDPOINT": endpoint}, tmp_path, "import saas.settings.product as s; print(s.OTEL_ENDPOINT)"
    )

    assert told.stdout == "http://collector:4318/v1/traces\n"


@pytest.mark.parametrize(
    ("given", "folder"), [("elsewhere", str(settings.BASE_DIR / "elsewhere")), ("~/of-saas", "{home}/of-saas")]
)
def test_the_var_folder_is_one_wherever_a_process_starts(given: str, folder: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(settings.BASE_DIR), "HOME": str(tmp_path)}
    command = [sys.executable, "-c", "import saas.settings.environment as s; print(s.VAR_DIR)"]

    told = subprocess.run(
        command,
        cwd=tmp_path,
        env={**environment, **GOOD, "SAAS_VAR_DIR": given},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert told.stdout == f"{folder.format(home=tmp_path)}\n", told.stderr


def test_the_server_reads_its_own_variables_from_the_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("BIND=127.0.0.1:none\n")
    monkeypatch.setattr(serve, "ROOT", tmp_path)
    monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"]})

    with pytest.raises(SystemExit, match="BIND must be host:port or unix:/path; 'none' is not a port"):
        serve.main(["product"])
