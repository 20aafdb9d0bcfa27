"""The harness itself: short, and without a word about how fast anything is."""

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils.module_loading import import_string

from saas.management.commands.bench import BENCHMARKS
from saas.testing.servers.stack import eventually
from saas.tests.benchmarks import admin, admin_rows, deliveries, flood, load, processes, soak
from saas.tests.benchmarks.environment import Environment
from saas.tests.benchmarks.read_requests import PASSWORD
from saas.tests.benchmarks.virtual_environments import EnvironmentUnavailable, python_for


@pytest.mark.parametrize("path", BENCHMARKS.values(), ids=BENCHMARKS.keys())
def test_every_benchmark_of_the_command_is_there(path):
    assert callable(import_string(f"saas.tests.benchmarks.{path}"))


def test_the_plain_baseline_has_its_views():
    assert import_string("saas.tests.benchmarks.baselines.plain_urls.urlpatterns")


def test_a_delivery_goes_to_the_path_that_is_named():
    assert deliveries.request(b"{}", "h:1", "/there").startswith(b"POST /there HTTP/1.1\r\nHost: h:1\r\n")
    assert deliveries.request(b"{}", "h:1").startswith(b"POST /api/webhooks/stripe HTTP/1.1\r\n")


@pytest.fixture
def server():
    """Answers each request of every connection at once, for as long as connections last."""

    def answer(line):
        with line:
            while line.recv(65_536):
                line.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok")

    def accept():
        with suppress(OSError):  # closed
            while True:
                Thread(target=answer, args=[listener.accept()[0]], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=accept, daemon=True).start()
        yield listener.getsockname()


def test_a_paced_load_offers_its_rate_whatever_the_server_could_take(server):
    result = load.run_paced(repeat(b"GET / HTTP/1.1\r\n\r\n"), *server, connections=4, seconds=0.5, rate=100)

    assert (result["requests"], result["statuses"]) == (50, {202: 50})
    assert 60 < result["rps"] < 105


def test_the_wait_for_a_free_connection_counts_as_the_answers_time(server):
    result = load.run_paced(repeat(b"GET / HTTP/1.1\r\n\r\n"), *server, connections=1, seconds=0.001, rate=200_000)

    assert result["requests"] == 200
    assert result["p99_ms"] > 1000 / result["rps"] * 100  # the last waited for all others, all due at once


def test_a_paced_load_reports_answers_by_the_interval_they_were_due_in(server, monkeypatch):
    monkeypatch.setattr(load, "INTERVAL_SECONDS", 0.2)

    result = load.run_paced(repeat(b"GET / HTTP/1.1\r\n\r\n"), *server, connections=4, seconds=0.5, rate=100)

    assert [interval["second"] for interval in result["intervals"]] == [0.0, 0.2, 0.4]
    assert all(0 < interval["p50_ms"] <= interval["p99_ms"] for interval in result["intervals"])


def test_what_a_process_used_is_not_lost_when_it_ends():
    before = processes.cpu_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", "while __import__('time').process_time() < 0.1: pass"], check=True)

    assert processes.cpu_seconds(os.getpid()) - before > 0.08


def test_only_postgresqls_processes_have_a_postmaster():
    assert processes.postmaster(os.getpid()) == 0


def test_the_machines_processors_are_never_used_more_than_there_are():
    used, there = processes.machine_cpu_seconds()

    assert 0 < used < there


@pytest.mark.postgres
def test_a_connection_that_was_closed_still_counts_as_the_databases_time():
    environment = Environment(settings.DATABASE_URL, Path())
    before = environment.database_cpu_seconds() or pytest.skip("PostgreSQL's processes are not to be seen from here")
    with psycopg.connect(settings.DATABASE_URL) as connection:
        connection.execute("SELECT count(md5(n::text)) FROM generate_series(1, 300000) AS n")

    eventually(lambda: environment.database_cpu_seconds() - before > 0.05)  # once the postmaster has noticed


@pytest.mark.parametrize(
    ("samples", "events_a_second"),
    [
        ([], 0),
        ([(0.0, 7)], 0),
        ([(0.0, 5), (2.0, 5)], 0),
        ([(0.0, 10), (2.0, 14), (4.0, 18)], 2),
        ([(1.0, 9), (4.0, 0)], -3),
    ],
)
def test_the_backlogs_slope_is_in_events_a_second(samples, events_a_second):
    assert soak.slope(samples) == pytest.approx(events_a_second)


def test_half_of_a_floods_logins_are_wrong_each_of_another_account():
    first, second = flood._logins(0), flood._logins(1)

    assert [PASSWORD in request for request in first] == [False, True] * (len(first) // 2)
    assert len({*first[::2], *second[::2]}) == len(first)


@pytest.mark.parametrize("size", [1_000, 100_000, 1_000_000])
def test_staff_queries_are_about_an_active_subscriber(size):
    person = int(admin.requests(size)["person"][1].rpartition("usr_")[2])

    assert person <= size // admin_rows.PEOPLE_A_SUBSCRIPTION
    assert person % 50 > 1
    assert person % 100 > 0  # a billing customer is linked


def test_an_option_of_another_benchmark_is_refused():
    with pytest.raises(CommandError, match="bench drain has no --others"):
        call_command("bench", "drain", "--others")


@pytest.mark.slow
def test_a_failed_environment_is_reported_in_one_line_and_not_kept(settings, tmp_path, monkeypatch):
    settings.VAR_DIR = tmp_path
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # as without a network
    monkeypatch.setenv("PIP_FIND_LINKS", "")

    with pytest.raises(EnvironmentUnavailable, match=r"^ERROR: No matching distribution found for .+$"):
        python_for("starter")

    assert list(tmp_path.rglob("complete")) == []


@pytest.mark.long
@pytest.mark.postgres
def test_bench_intake_reports_json_with_a_row_for_each_design():
    done = subprocess.run(
        [sys.executable, "manage.py", "bench", "intake", "--json", "--rounds", "1", "--seconds", "0.2"],
        cwd=settings.BASE_DIR,
        env={name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["rounds"], report["engine"]) == (1, "PostgreSQL")
    measured = {(row["design"], row["connections"]) for row in report["rows"]}
    designs = {"bare WSGI insert", "bare ASGI group commit", "usual way", "intake view", "intake"}
    assert measured == {(design, connections) for design in designs for connections in (16, 64)}
    assert {row["ratio"] for row in report["rows"] if row["design"] == "bare WSGI insert"} == {1.0}
    assert all(row["rps"] > 0 and row["p99_ms"] > 0 for row in report["rows"])
