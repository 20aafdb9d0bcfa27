from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class AccountsConfig(AppConfig):
    name = "saas.accounts"

    def ready(self) -> None:
        import saas.accounts.staff.staff_checks  # noqa: F401  (registers them)

        autodiscover_modules("personal_data", "credentials")
