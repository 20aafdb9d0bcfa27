"""``python -m saas.serve product`` is ``python manage.py serve product``. Goes with the next release."""

import sys

from saas.server.serve import main

if __name__ == "__main__":
    main(sys.argv[1:])
