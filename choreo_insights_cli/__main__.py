"""`python -m choreo_insights_cli` is `insights`."""

import sys

from choreo_insights_cli.main import main

if __name__ == "__main__":
    sys.exit(main())
