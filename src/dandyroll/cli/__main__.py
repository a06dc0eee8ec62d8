"""`python -m dandyroll.cli` is the `dandyroll` command."""

import sys

from dandyroll.cli import main

sys.exit(main())
