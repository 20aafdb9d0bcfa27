from django.apps import AppConfig


class EffectsConfig(AppConfig):
    name = "saas.tests.faults.effects"
