from django.apps import AppConfig


class MailConfig(AppConfig):
    name = "saas.mail"
