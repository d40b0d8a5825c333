"""`python -m foldline VERB ...`: what run.sh calls."""

import atexit
import os
import signal
import sys

from foldline.cli.main import main
from foldline.core.errors import ExitCode

signal.signal(
    signal.SIGTERM, lambda *_: sys.exit(ExitCode.TERMINATED)
)  # as on Ctrl-C: drafts are removed, workers ended


def _end_beside_others(code: int) -> None:
    """End a process that has trained with others, without taking the interpreter down.

    With a DistributedDataParallel, gloo's threads outlive their process group (torch 2.13.0), and may still drop
    tensors: where that comes late, they abort the process (github.com/pytorch/pytorch/issues/190489).
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except SystemExit as ended:
        if "TORCHELASTIC_RUN_ID" in os.environ and isinstance(ended.code, int):
            _end_beside_others(ended.code)
        raise
