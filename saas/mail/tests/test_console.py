"""What development shows of a mail."""

from io import StringIO

from django.core.mail import EmailMultiAlternatives

from saas.mail.console import EmailBackend


def test_the_terminal_shows_recipient_subject_and_text_and_no_html() -> None:
    stream = StringIO()
    message = EmailMultiAlternatives("Welcome", "Hello Ada.\n", to=["ada@example.net"])
    message.attach_alternative("<p>Hello Ada.</p>", "text/html")

    assert EmailBackend(stream=stream).send_messages([message]) == 1

    head, text, rule = stream.getvalue().splitlines()
    assert head == "── Mail to ada@example.net: Welcome ──"
    assert text == "Hello Ada."
    assert set(rule) == {"─"}
