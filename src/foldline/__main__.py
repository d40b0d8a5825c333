"""`python -m foldline VERB ...`: what run.sh calls."""

import signal
import sys

from foldline.cli.main import main
from foldline.core.errors import ExitCode

signal.signal(
    signal.SIGTERM, lambda *_: sys.exit(ExitCode.TERMINATED)
)  # as on Ctrl-C: drafts are removed, workers ended

if __name__ == "__main__":
    raise SystemExit(main())
