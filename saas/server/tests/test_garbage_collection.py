"""What a serving process does about garbage: in a process of its own, since it is for good."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

ASKED = """
import gc
from saas.server.worker_startup import load_application

load_application({service!r})
print(gc.get_freeze_count() > 100_000, gc.get_threshold()[0])
"""


@pytest.mark.slow
@pytest.mark.parametrize("service", ["product", "webhooks"])
def test_loaded_objects_are_frozen_out_of_garbage_collection(service, tmp_path) -> None:
    environment = {
        "DJANGO_SETTINGS_MODULE": f"saas.settings.{service}",
        "SAAS_ENV": "test",
        "SAAS_VAR_DIR": str(tmp_path),
        "PATH": os.environ["PATH"],
    }
    command = [sys.executable, "-c", ASKED.format(service=service)]

    told = subprocess.run(command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=True)

    assert told.stdout.split() == ["True", "10000"]
