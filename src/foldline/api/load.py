"""`load`: a trained experiment that answers at once, with the errors of a call from Python."""

from __future__ import annotations

import os
from contextlib import ExitStack

from foldline.api import housekeeping
from foldline.api.paths import path_of
from foldline.api.sentences import sentences
from foldline.core import errors, files, runs_lock
from foldline.serve import Predictor, predictor


def load(name: str | os.PathLike[str]) -> Predictor:
    """Load the latest experiment of a config, or that of a bundle.

    Args:
        name: the config's, or its path; or the folder of a bundle's data set, with its manifest.

    Raises:
        foldline.Error: never trained, damaged, trained by other code, or nothing that answers at once.
    """
    with ExitStack() as around:
        around.enter_context(sentences())
        path = path_of(name, "The name of an experiment")
        # A bundle lies where nothing deletes, and perhaps where nothing may be written.
        if not predictor.is_bundle(path) and files.runs().is_dir():
            around.enter_context(runs_lock.shared(lambda: errors.complain(housekeeping.WAITS_FOR_CLEAN)))
        return predictor.load(path)
