"""Prints recipient, subject and text of each mail to the terminal. Django's own backend prints every MIME part."""

from django.core.mail import EmailMessage
from django.core.mail.backends.console import EmailBackend as ConsoleBackend


class EmailBackend(ConsoleBackend):
    def write_message(self, msg: EmailMessage) -> None:
        head = f"── Mail to {', '.join(msg.to)}: {msg.subject} ──"
        self.stream.write(f"{head}\n{msg.body.strip()}\n{'─' * len(head)}\n")
