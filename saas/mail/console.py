"""Mails on the terminal, as a person reads them: whom to, what about, the text. Django's own writes every MIME part."""

from django.core.mail import EmailMessage
from django.core.mail.backends.console import EmailBackend as ConsoleBackend


class EmailBackend(ConsoleBackend):
    def write_message(self, msg: EmailMessage) -> None:
        head = f"── Mail to {', '.join(msg.to)}: {msg.subject} ──"
        self.stream.write(f"{head}\n{msg.body.strip()}\n{'─' * len(head)}\n")
