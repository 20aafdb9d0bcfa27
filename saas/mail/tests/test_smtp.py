"""Mails over real SMTP: what arrives, and what happens when the server refuses, breaks off or is away."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from smtplib import SMTPAuthenticationError, SMTPConnectError, SMTPSenderRefused, SMTPServerDisconnected
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.core.mail.utils import DNS_NAME

from saas import background_tasks, logs, request_context
from saas.mail import delivery, rendering, tasks
from saas.mail.actions import queue_mail
from saas.mail.models import Mail
from saas.testing.concurrency import run_concurrently
from saas.testing.servers.stack import free_ports

TO = "kim@example.net"


class Mailbox:
    """Keeps what it accepts. ``refusals`` are answered first, one for each mail that comes; each of ``of_recipients`` to a
    recipient, before there is a mail."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.senders: list[str] = []
        self.refusals: list[str] = []
        self.of_recipients: list[str] = []
        self.greetings: list[str | None] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.greetings.append(session.host_name)
        if self.of_recipients:
            return self.of_recipients.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.refusals:
            return self.refusals.pop(0)
        self.mails.append(message_from_bytes(envelope.content or b"", policy=default))  # type: ignore[arg-type]
        self.senders.append(str(envelope.mail_from))
        return "250 OK"


@contextmanager
def serving(mailbox: Mailbox) -> Iterator[int]:
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_ports(1))
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@pytest.fixture
def mailbox(settings) -> Iterator[Mailbox]:
    box = Mailbox()
    with serving(box) as port:
        settings.EMAIL_BACKEND = "saas.mail.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", port, 5
        settings.DEFAULT_FROM_EMAIL = "SaaS <no-reply@saas.example>"
        yield box


def post_reset(name: str = "Zoë") -> Mail:
    queue_mail(
        "password_reset", to=TO, context={"name": name}, secrets={"token": "reset_t0ken"}, dedupe_key=f"reset:{name}"
    )
    return Mail.objects.latest("pk")


def later(**by: int) -> Any:
    return time_machine.travel(datetime.now(UTC) + timedelta(**by), tick=False)


def text(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_a_mail_is_followed_from_the_request_to_the_servers_answer(db, mailbox: Mailbox, caplog) -> None:
    caplog.set_level("INFO", "saas.mail")
    mailbox.refusals = ["451 later"]

    with caplog.filtering(logs.ContextFilter()):
        with request_context.use_context(request_context.Context("req_1")):
            row = post_reset()
        for minutes in (0, 1):
            with later(minutes=minutes), request_context.use_context(request_context.Context("req_sweep")):
                delivery.deliver_mail(row.pk)

    ours = [line for line in caplog.records if line.name.startswith("saas.")]
    assert [(line.message, line.request_id, getattr(line, "answer", None)) for line in ours] == [
        ("mail_queued", "req_1", None),
        ("mail_failed", "req_1", [451]),
        ("mail_sent", "req_1", None),
    ]


def test_a_mail_arrives_as_text_and_html_with_its_link_in_both(db, mailbox: Mailbox) -> None:
    row = post_reset()

    delivery.deliver_mail(row.pk)

    (mail,) = mailbox.mails
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    link = "http://localhost:8000/reset?token=reset_t0ken"
    assert link in text(mail, "plain")
    assert f'href="{link}"' in text(mail, "html")
    assert "Hello Zoë," in text(mail, "plain")
    assert Mail.objects.get().status == Mail.Status.SENT


def test_headers_identify_the_mail_and_not_the_sending_machine(db, mailbox: Mailbox) -> None:
    row = post_reset()

    delivery.deliver_mail(row.pk)

    (mail,) = mailbox.mails
    assert (mail["Subject"], mail["From"], mail["To"]) == ("Set a new password", "SaaS <no-reply@saas.example>", TO)
    assert mail["Message-ID"] == f"<{row.pk}.{int(row.created_at.timestamp())}@saas.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime is not None
    assert set(mail.keys()) - {"X-Peer", "X-MailFrom", "X-RcptTo"} == {
        "Content-Type", "MIME-Version", "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted",
    }  # fmt: skip
    assert mailbox.senders == ["no-reply@saas.example"]


def test_a_mail_refused_temporarily_is_sent_once_when_it_is_due(db, mailbox: Mailbox) -> None:
    mailbox.refusals = ["451 Try again later", "452 Mailbox full"]
    row = post_reset()

    tasks.deliver(row.pk)
    tasks.sweep()  # too early
    row.refresh_from_db()
    assert (row.status, row.attempts, row.last_error) == (Mail.Status.QUEUED, 1, "451 Try again later")
    for seconds in (11, 75, 76, 200):
        with later(seconds=seconds):
            tasks.sweep()

    row.refresh_from_db()
    assert (row.status, row.attempts, row.last_error, row.sealed) == (Mail.Status.SENT, 3, "", {})
    assert row.sent_at is not None
    assert len(mailbox.mails) == 1


def test_a_mail_server_that_is_away_costs_no_mail(db, mailbox: Mailbox, settings) -> None:
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1  # no server listens there
    row = post_reset()
    tasks.deliver(row.pk)
    row.refresh_from_db()
    assert (row.status, row.last_error) == (Mail.Status.QUEUED, "ConnectionRefusedError")

    settings.EMAIL_PORT = port
    with later(seconds=11):
        tasks.sweep()

    assert len(mailbox.mails) == 1


def test_a_sweep_asks_a_mail_server_that_is_away_only_once(db, mailbox: Mailbox, settings) -> None:
    settings.EMAIL_PORT = 1  # no server listens there
    for name in ("Ada", "Kim", "Lee"):
        post_reset(name)

    tasks.sweep()

    assert sorted(Mail.objects.values_list("attempts", flat=True)) == [0, 0, 1]


def test_a_sweep_passes_over_a_recipient_who_is_refused(db, mailbox: Mailbox) -> None:
    mailbox.of_recipients = ["450 4.2.0 Greylisted"]
    post_reset("Ada")
    post_reset("Kim")

    tasks.sweep()

    assert sorted(Mail.objects.values_list("status", flat=True)) == ["queued", "sent"]


def test_a_mail_that_is_put_off_for_eight_hours_is_given_up(db, mailbox: Mailbox) -> None:
    mailbox.refusals = ["450 Not now"] * 10
    row = post_reset()
    pauses = []

    for hours in range(1, 11):
        with later(hours=7 * hours):
            tasks.sweep()
            row.refresh_from_db()
            pauses.append((row.next_attempt_at - datetime.now(UTC)).total_seconds())

    assert pauses[:5] == [10, 60, 600, 3600, 21_600]
    assert (row.status, row.attempts, row.last_error) == (Mail.Status.FAILED, 6, "450 Not now")
    assert mailbox.mails == []


@pytest.mark.parametrize(
    ("of_recipients", "refusals", "last_error"),
    [
        (["550 5.1.1 No such user"], [], "550 5.1.1 No such user"),
        (["553 5.1.3 <kim@example.net> is no address"], [], "553 5.1.3 <<recipient>> is no address"),
        (["550 5.7.1 Recipient takes no mail from strangers"], [], "550 5.7.1 Recipient takes no mail from strangers"),
        ([], ["554 5.7.1 We take it for spam"], "554 5.7.1 We take it for spam"),
    ],
)
def test_what_is_refused_for_good_ends_that_mail_and_no_other(
    db, mailbox: Mailbox, of_recipients: list[str], refusals: list[str], last_error: str
) -> None:
    mailbox.of_recipients, mailbox.refusals = of_recipients, refusals
    refused, other = post_reset(), post_reset("Ada")

    delivery.deliver_mail(refused.pk)
    with later(hours=7):
        tasks.sweep()

    refused.refresh_from_db()
    other.refresh_from_db()
    assert (refused.status, refused.attempts, refused.last_error) == (Mail.Status.FAILED, 1, last_error)
    assert (other.status, len(mailbox.mails)) == (Mail.Status.SENT, 1)


@pytest.mark.parametrize(
    "answer",
    [
        "450 4.2.0 Greylisted",
        "452 4.2.2 Full",
        "552 5.2.2 Mailbox full",
        "504 5.5.2 <0391926cb167>: Helo command rejected: need fully-qualified hostname",
        "530 Authentication required",
        "550 5.7.1 Relaying denied",
        "550 relay not permitted",
        "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
        "553 5.7.1 <no-reply@saas.example>: Sender address rejected: not owned by user",
        "554 5.7.1 <kim@example.org>: Relay access denied",
    ],
)
def test_a_recipient_who_is_refused_for_now_gets_the_mail_later(db, mailbox: Mailbox, answer: str) -> None:
    mailbox.of_recipients = [answer]
    row = post_reset()

    delivery.deliver_mail(row.pk)
    row.refresh_from_db()
    assert (row.status, row.last_error) == (Mail.Status.QUEUED, answer)
    with later(seconds=11):
        tasks.sweep()

    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(
    "error",
    [
        SMTPAuthenticationError(535, b"5.7.8 Wrong password"),
        SMTPSenderRefused(530, b"5.7.0 Authentication required", "no-reply@saas.example"),
        SMTPConnectError(554, b"No service for you"),
        SMTPServerDisconnected("Connection unexpectedly closed"),
        TimeoutError("timed out"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_said_of_us_and_not_of_the_mail_is_never_final(error: Exception) -> None:
    assert delivery.is_permanent(error) is False
    assert delivery.concerns_every_mail(error) is True


def test_a_mail_beyond_the_days_quota_is_sent_later(db, mailbox: Mailbox) -> None:
    mailbox.refusals = ["550 5.4.5 Daily user sending quota exceeded"]
    row = post_reset()

    delivery.deliver_mail(row.pk)
    with later(seconds=11):
        tasks.sweep()

    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(
    ("machine", "greeting"),
    [
        ("mail.saas.example", "mail.saas.example"),
        ("0391926cb167", "api.saas.example"),
        ("localhost", "api.saas.example"),
        ("worker.saas.svc.cluster.local", "api.saas.example"),
        ("10.0.0.7", "api.saas.example"),
    ],
)
def test_a_container_greets_with_a_name_that_servers_accept(
    db, mailbox: Mailbox, settings, monkeypatch: pytest.MonkeyPatch, machine: str, greeting: str
) -> None:
    monkeypatch.setattr(DNS_NAME, "get_fqdn", lambda: machine)
    settings.SERVICE_BASE_URLS = {**settings.SERVICE_BASE_URLS, "product": "https://api.saas.example"}

    delivery.deliver_mail(post_reset().pk)

    assert mailbox.greetings == [greeting]


def test_the_longest_answer_is_stored_in_part(db, mailbox: Mailbox) -> None:
    mailbox.refusals = ["554 " + "x" * 497]
    row = post_reset()

    delivery.deliver_mail(row.pk)

    row.refresh_from_db()
    assert row.last_error == "554 " + "x" * 496


@pytest.fixture
def while_sending(monkeypatch, mailbox: Mailbox) -> Any:
    """Runs a function while a worker holds the mail, before it is sent."""

    def run_while_sending(function: Any) -> None:
        render = rendering.render_message

        def run_and_render(mail: Mail) -> Any:
            function()
            return render(mail)

        monkeypatch.setattr(delivery.rendering, "render_message", run_and_render)

    return run_while_sending


def test_a_mail_that_is_being_sent_is_left_alone_for_two_minutes(db, while_sending: Any) -> None:
    due: list[bool] = []

    def look() -> None:
        now = datetime.now(UTC)
        due.extend(Mail.objects.due(now + timedelta(seconds=after)).exists() for after in (0, 119, 120))

    while_sending(look)
    row = post_reset()

    with later():
        delivery.deliver_mail(row.pk)

    assert due == [False, False, True]


def test_a_worker_that_was_too_slow_overwrites_nothing(db, mailbox: Mailbox, while_sending: Any) -> None:
    mailbox.refusals = ["554 Spam"]
    while_sending(lambda: Mail.objects.update(attempts=2, status="sent"))

    delivery.deliver_mail(post_reset().pk)

    assert list(Mail.objects.values_list("status", "attempts", "last_error")) == [("sent", 2, "")]


def test_a_worker_is_told_of_a_mail_and_not_of_its_repetition(db, django_capture_on_commit_callbacks) -> None:
    told = []
    for _ in range(2):
        with django_capture_on_commit_callbacks() as callbacks:
            post_reset()
        told.append(len(callbacks))

    assert told == [1, 0]


def test_a_sweep_ends_after_its_time_and_the_next_one_goes_on(db, mailbox: Mailbox, monkeypatch) -> None:
    for name in ("Ada", "Kim", "Lee"):
        post_reset(name)
    clock = iter([0.0, background_tasks.SLICE_SECONDS - 1, background_tasks.SLICE_SECONDS])
    monkeypatch.setattr(background_tasks, "time", SimpleNamespace(monotonic=lambda: next(clock)))

    delivery.deliver_due_mails()

    assert sorted(Mail.objects.values_list("status", flat=True)) == ["queued", "sent", "sent"]


def test_mails_that_are_due_are_sent_the_oldest_first(db) -> None:
    rows = [post_reset(name) for name in ("Ada", "Kim", "Lee")]
    for row, minutes in zip(rows, (2, 3, 1), strict=True):
        Mail.objects.filter(pk=row.pk).update(next_attempt_at=datetime.now(UTC) - timedelta(minutes=minutes))

    assert delivery.due_mail_ids() == [rows[1].pk, rows[0].pk, rows[2].pk]


def test_what_the_server_said_about_the_recipient_is_not_in_the_log(db, mailbox: Mailbox, caplog) -> None:
    mailbox.refusals = [f"550 {TO} is unknown here"]

    delivery.deliver_mail(post_reset().pk)

    ours = [record for record in caplog.records if record.name.startswith("saas.")]
    assert [record.message for record in ours] == ["mail_queued", "mail_failed"]
    assert TO not in str([vars(record) for record in ours])


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_eight_workers_who_are_told_of_one_mail_send_it_once(mailbox: Mailbox) -> None:
    row = post_reset()

    outcomes = run_concurrently(*[lambda: delivery.deliver_mail(row.pk)] * 8)

    assert outcomes == ["done"] * 8
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(
    ("name", "greeting"),
    [
        ("Ada Lovelace", "Hello Ada Lovelace,"),
        ("J.R. Tolkien", "Hello J.R. Tolkien,"),
        ("You won! http://evil.example", "Hello,"),
        ("Claim at evil.example now", "Hello,"),
        ("www.evil", "Hello,"),
        ("x" * 60, f"Hello {'x' * 60},"),
        ("x" * 61, "Hello,"),
        ("Ada\r\n\r\nYour account is locked", "Hello Ada Your account is locked,"),
        ("Ada\u202e", "Hello Ada,"),
    ],
)
def test_nobody_writes_to_a_stranger_by_way_of_a_name(db, mailbox: Mailbox, name: str, greeting: str) -> None:
    delivery.deliver_mail(post_reset(name).pk)

    assert text(mailbox.mails[0], "plain").splitlines()[0] == greeting
