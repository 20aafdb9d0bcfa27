"""``python -m saas.healthcheck``: the image's HEALTHCHECK, by the name that orchestrators' configurations may know."""

import sys

from saas.server.health_check import container_command, is_healthy

if __name__ == "__main__":
    sys.exit(0 if is_healthy(container_command()) else 1)
