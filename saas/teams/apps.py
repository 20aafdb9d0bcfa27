from django.apps import AppConfig


class TeamsConfig(AppConfig):
    name = "saas.teams"

    def ready(self) -> None:
        from saas.accounts.actions import register_invitation_check
        from saas.teams.invitations import is_invited

        register_invitation_check(is_invited)
