"""`python -m ccsr` is the same as `ccsr`."""

import sys

from ccsr.cli.main import main

sys.exit(main())
