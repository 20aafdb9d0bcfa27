"""``python -m saas.serve product``: alias of ``python manage.py serve product``, to be removed with the next release."""

import sys

from saas.server.serve import main

if __name__ == "__main__":
    main(sys.argv[1:])
