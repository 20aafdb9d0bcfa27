#!/usr/bin/env python3
"""The entry point: `python3 manage.py up` runs everything, `python3 manage.py test` tests it, `... help` lists the rest.

Arguments of `test` go to pytest: `python3 manage.py test saas/teams -k invitation`.

These lines also run in a Python that is much too old (even 2.7), so that it can say so.
"""

import os
import sys

if sys.version_info < (3, 11):
    sys.exit("This needs Python 3.11 or newer; %s is %d.%d." % ((sys.executable,) + sys.version_info[:2]))
if os.name != "posix":
    sys.exit("This runs on Linux and macOS; on Windows start it inside WSL.")

from saas.server import bootstrap

bootstrap.allow_every_character()
if sys.argv[1:] in (["help", "serve"], ["help", "test"]):  # Django knows no `serve`, and its `test` is another
    sys.argv[1:] = [sys.argv[2], "--help"]
bootstrap.ensure_environment(sys.argv[1:])
if sys.argv[1:2] == ["test"]:
    bootstrap.run_tests(sys.argv[2:])
if sys.argv[1:2] == ["serve"]:
    from saas.server.serve import main

    main(sys.argv[2:])
    sys.exit()

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings.product")

try:
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    finally:
        bootstrap.flush_output()
except OSError as error:
    bootstrap.exit_for(error)
except KeyboardInterrupt:
    sys.exit(bootstrap.INTERRUPTED)
