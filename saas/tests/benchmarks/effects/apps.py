from django.apps import AppConfig


class BenchmarkEffectsConfig(AppConfig):
    name = "saas.tests.benchmarks.effects"
    label = "benchmark_effects"
