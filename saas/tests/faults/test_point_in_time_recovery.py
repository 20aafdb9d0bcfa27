"""*Point-in-time recovery* of ``operations.md``, as it stands there: a mistake is undone by going back to the second before."""

import re
import time

import pytest
from django.conf import settings

from saas.testing.servers.engines import PrivatePostgres, missing_engines
from saas.testing.servers.production import manage

pytestmark = [pytest.mark.slow, pytest.mark.faults]

PAGE = (settings.BASE_DIR / "saas/docs/operations.md").read_text()
MAILS = "SELECT count(*) FROM mail_mail"


def documented(title: str, **replaced: object) -> str:
    """The block of the page under ``title``, with the folders and the moment of this test."""
    (block,) = re.findall(rf"{title}:\n\n((?:    .+\n)+)", PAGE)
    for known, ours in replaced.items():
        assert known in block
        block = block.replace(known, str(ours))
    return re.sub("^    ", "", block, flags=re.MULTILINE)


@pytest.fixture
def postgres():
    if missing := missing_engines():
        pytest.skip(missing)
    with PrivatePostgres(is_durable=False) as cluster:
        yield cluster


def test_the_database_goes_back_to_the_second_before_a_mistake(postgres, tmp_path) -> None:
    archive, base = postgres.make_folder("archive"), postgres.folder / "base"
    postgres.configure(documented("In `postgresql.conf`", **{"/archive": archive}))
    postgres.restart()
    environment = {
        "SAAS_ENV": "test",
        "SAAS_VAR_DIR": str(tmp_path),
        "DATABASE_URL": postgres.url("postgres"),
    }
    manage(environment, "migrate", "-v0")
    command = documented("Every night", **{"/backups/base-$(date +%F)": base})
    postgres.run_client(*command.split())
    manage(environment, "seed", "--no-history")
    mails, moment = postgres.fetch_value("postgres", MAILS), postgres.fetch_value("postgres", "SELECT now()")
    time.sleep(1.1)
    with postgres.connect("postgres") as mistaken:
        mistaken.execute("TRUNCATE mail_mail")

    postgres.stop()
    postgres.recover_from(base)
    postgres.configure(documented("To go back", **{"/archive": archive, "2026-11-28 12:00:00+00": moment}))
    postgres.start()

    assert mails > 0
    assert postgres.fetch_value("postgres", MAILS) == mails
    assert postgres.fetch_value("postgres", "SELECT pg_is_in_recovery()") is False
    assert "are as they were written" in manage(environment, "audit_verify")
    manage(environment, "billing_rebuild", "--check")
