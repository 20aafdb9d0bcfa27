"""What is made of py-spy's samples. None is taken here."""

import sysconfig

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from saas.tests.benchmarks.profiler import running, stacks

STANDARD = sysconfig.get_path("stdlib")
HERE, PACKAGES = settings.BASE_DIR, f"{settings.BASE_DIR}/.venv/lib/python3.11/site-packages"
RECORDED = f"""\
process 7:"granian";load ({HERE}/saas/server/boot.py:38);ShortPath.take ({HERE}/webhooks/intake/short_path.py:51) 3
process 7:"granian";load ({HERE}/saas/server/boot.py:38);ShortPath.take ({HERE}/webhooks/intake/short_path.py:60) 2
process 7:"granian";ShortPath.take ({HERE}/webhooks/intake/short_path.py:60);resolve ({PACKAGES}/django/urls/resolvers.py:9) 4
process 7:"granian" 1
"""


def test_time_is_of_the_innermost_function_whatever_its_line():
    found = stacks.own_time(RECORDED)

    assert found.functions == {
        "ShortPath.take (webhooks/intake/short_path.py)": 5,
        "resolve (django/urls/resolvers.py)": 4,
        "no Python function": 1,
    }
    assert found.owners == {"ours: webhooks": 5, "Django": 4, "no Python function": 1}
    assert found.samples == 10


@pytest.mark.parametrize(
    ("function", "path", "owner"),
    [
        ("verify", f"{HERE}/saas/webhook_events/signatures.py", "ours: saas/webhook_events"),
        ("new_id", f"{HERE}/saas/ids.py", "ours: saas/ids"),
        ("me", f"{HERE}/product/views.py", "ours: product"),
        ("insert_effects", f"{HERE}/saas/tests/benchmarks/effects/webhook_handlers.py", "the benchmark"),
        ("Connection.wait", f"{PACKAGES}/psycopg/connection.py", "psycopg"),
        ("WaitingClient.wait", f"{PACKAGES}/psycopg_pool/pool.py", "psycopg"),
        ("future_watcher", f"{PACKAGES}/granian/_futures.py", "granian"),
        ("cast", f"{PACKAGES}/typing_extensions.py", "typing_extensions"),
        ("JSONDecoder.raw_decode", f"{STANDARD}/json/decoder.py", "standard library"),
        ("<lambda>", "<string>", "standard library"),
        ("Runner.run", f"{STANDARD}/asyncio/runners.py", "uvloop"),
        ("main", "/elsewhere/main.py", "other"),
    ],
)
def test_every_frame_has_an_owner(function, path, owner):
    assert stacks.Frame(function, path).owner == owner


def test_the_time_of_all_owners_is_what_the_kernel_counted():
    # 10 samples of 5 ms over 1000 requests are 50 µs each; the kernel saw 80
    rows = running.spent("intake", stacks.own_time(RECORDED), 1000, 80.0)

    assert [(row.part, row.name, row.cpu_us, row.percent) for row in rows] == [
        ("whose", "ours: webhooks", 25.0, 31.2),
        ("whose", "Django", 20.0, 25.0),
        ("whose", "no Python function", 5.0, 6.2),
        ("whose", "without the interpreter's lock", 30.0, 37.5),
        ("function", "ShortPath.take (webhooks/intake/short_path.py)", 25.0, 31.2),
        ("function", "resolve (django/urls/resolvers.py)", 20.0, 25.0),
        ("function", "no Python function", 5.0, 6.2),
    ]


def test_a_profile_lists_a_readable_number_of_functions():
    text = "".join(f"f{number} ({HERE}/saas/ids.py:1) 1\n" for number in range(40))

    rows = running.spent("worker", stacks.own_time(text), 10, 0.0)

    assert sum(row.part == "function" for row in rows) == running.FUNCTIONS


def test_only_a_profile_has_a_design_to_choose():
    with pytest.raises(CommandError, match="bench drain has no design to choose"):
        call_command("bench", "drain", "me")


@pytest.mark.slow
def test_without_the_profiler_one_sentence_says_why(settings, tmp_path, monkeypatch):
    settings.VAR_DIR = tmp_path
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # as without a network
    monkeypatch.setenv("PIP_FIND_LINKS", "")

    with pytest.raises(
        SystemExit, match=r"^bench profile needs py-spy, whose environment could not be made \(ERROR: .+\)\.$"
    ):
        running._profiler()
