from django.apps import AppConfig


class AdminOpsConfig(AppConfig):
    name = "admin_ops"
