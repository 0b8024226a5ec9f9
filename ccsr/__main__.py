"""`python -m ccsr` is the same as `ccsr`."""

import sys

from ccsr.cli import main

sys.exit(main())
