from django.apps import AppConfig


class NaiveConfig(AppConfig):
    name = "saas.tests.benchmarks.baselines.naive"
    label = "naive"
