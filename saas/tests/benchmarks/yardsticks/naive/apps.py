from django.apps import AppConfig


class NaiveConfig(AppConfig):
    name = "saas.tests.benchmarks.yardsticks.naive"
    label = "naive"
