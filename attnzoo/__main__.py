"""`python -m attnzoo` is the command `attnzoo`."""

import sys

from attnzoo.cli import main

if __name__ == "__main__":
    sys.exit(main())
