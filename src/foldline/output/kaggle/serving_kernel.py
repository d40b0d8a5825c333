"""Answer a competition's evaluation API from stored weights: the second cell of a notebook that serves.

The first cell is kernel.py, whose functions are used here. The competition's own package `kaggle_evaluation` is found,
and its dialect by what its server has: a server that has `run` is run; an older one serves in the rerun, where a
gateway in another container calls `predict`, and else is tried with its local gateway, which leaves the submission file
that Kaggle wants to see. The server starts at once; what takes time is loaded in the first call, which has no deadline.

An error in a call ends the run at home. In the rerun it would end the submission: there the call gets a fall-back,
which the manifest states, and it is counted and printed.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from foldline.output.kaggle.kernel import INPUT, MANIFEST, exactly_one, packages, search, verify  # the cell above

PACKAGE = "kaggle_evaluation"
RERUN = "KAGGLE_IS_COMPETITION_RERUN"  # set where the hidden test is served
STARTS = ("run", "serve", "run_local_gateway")  # methods of servers, of all dialects
SHARE = 0.5  # of a limit that may be needed here: the rerun's machine may be half as fast
ONE_SERIES = "series"  # name of the only one, where rows do not name it: that of foldline.serve.border


SERVED: Served  # made where this is the notebook


def predict(*batch: Any) -> Any:
    """Answer a call of the gateway, which finds this function by its name."""
    return SERVED.answer(batch)


class Served:
    """What answers: loaded in the first call, its calls timed and its failures counted."""

    def __init__(self) -> None:
        self.bundle = exactly_one([path.parent for path in search(INPUT, (MANIFEST,))], f"a data set with {MANIFEST}")
        self.manifest: dict[str, Any] = json.loads((self.bundle / MANIFEST).read_text(encoding="utf-8"))
        self.path: list[str] = []  # of the packages that the image lacks
        self.answers: Any = None
        self.unloadable: BaseException | None = None  # why nothing could be loaded
        self.lock = threading.Lock()
        self.seconds: list[float] = []  # of each call
        self.failed = 0

    def answer(self, batch: tuple[Any, ...]) -> Any:
        """Answer a call; in the rerun by the fall-back where that fails."""
        began = time.perf_counter()
        try:
            with self.lock:  # a gateway whose time is over may call again while an older call goes on
                return self.loaded()(*batch)
        except BaseException as error:  # anything else but an ordinary exception might end the server unnoticed
            call = len(self.seconds) + 1
            if RERUN not in os.environ:
                raise RuntimeError(f"call {call} failed: {type(error).__name__}: {error}") from error
            self.failed += 1
            print(f"call {call}: fall-back, {self.failed} so far: {type(error).__name__}: {error}", flush=True)
            return fall_back(self.manifest["serve"], batch)
        finally:
            self.seconds.append(time.perf_counter() - began)

    def loaded(self) -> Any:
        """Return what answers; load it in the first call. What fails to load is not tried again: that takes minutes."""
        if self.unloadable is not None:
            raise self.unloadable.with_traceback(None)
        if self.answers is None:
            try:
                self.answers = self.load()
            except BaseException as error:
                self.unloadable = error
                raise
        return self.answers

    def load(self) -> Any:
        """Check the data set, and load its experiment."""
        verify(self.bundle, self.manifest["files"])
        for folder in reversed([*self.path, str(self.bundle / "code" / "src"), str(self.bundle / "code")]):
            if folder not in sys.path:
                sys.path.insert(0, folder)
        return importlib.import_module("foldline.serve.answers").of_bundle(self.bundle)

    def in_words(self) -> str:
        """Say how many calls there were, how long they took, how many got the fall-back, and what was forgotten."""
        later = sorted(self.seconds[1:]) or self.seconds or [0.0]  # a gateway may call nothing
        p50, p99 = (1e3 * later[min(len(later) - 1, int(share * len(later)))] for share in (0.5, 0.99))
        first = self.seconds[0] if self.seconds else 0.0
        anew = 0 if self.answers is None else self.answers.begun_anew
        return (
            f"{len(self.seconds)} calls, {self.failed} of them by the fall-back; the first one {first:.1f} s, p50 of "
            f"the others {p50:.1f} ms, p99 {p99:.1f} ms"
            f"{f'; {anew} series came again after they had been forgotten' if anew else ''}"
        )

    def refuse_slow(self) -> None:
        """End a run at home whose hidden test would not be done in time.

        Raises:
            SystemExit
        """
        table, later = self.manifest["serve"]["table"], self.seconds[1:]
        if later and max(later) > table["call_limit_s"]:
            raise SystemExit(
                f"A call must be answered within serve.call_limit_s = {table['call_limit_s']:g} s, but one took "
                f"{max(later):.1f} s. Serve fewer or smaller models."
            )
        expected = max(self.manifest["serve"]["calls"], len(self.seconds))
        p99 = sorted(later)[int(0.99 * len(later))] if later else 0.0
        if p99 * expected > SHARE * 3600 * table["limit_h"]:
            raise SystemExit(
                f"{expected} calls of {p99:.2f} s (p99) take {p99 * expected / 3600:.1f} h, more than half of the "
                f"{table['limit_h']:g} h that there are (serve.limit_h). Serve fewer or smaller models."
            )


def fall_back(serve: dict[str, Any], batch: tuple[Any, ...]) -> Any:
    """Answer a call without any model: the constants of the manifest, as many as there are rows or series.

    serve: of the manifest: table, fall_back, columns, key, order, id, of_series. The ids in front are those of
        Loaded.laid_out.
    """
    values, table = serve["fall_back"], serve["table"]
    if table["answer"] == "scalar":
        value = next(iter(values.values()))
        return importlib.import_module("numpy").float64(value) if isinstance(value, float) else value
    place = table["arguments"].index("rows")
    rows = batch[place] if place < len(batch) else None
    names = list(getattr(rows, "columns", []))
    count = len(rows) if names else 1  # type: ignore[arg-type]
    if serve["of_series"]:
        keys = list(dict.fromkeys(rows[serve["key"]])) if serve["key"] in names else [ONE_SERIES]  # type: ignore[index]
        count, ids = len(keys), {serve["key"]: keys}
    else:
        naming = [serve["id"]] if serve["id"] in names else [serve["key"], serve["order"]]
        ids = {name: list(rows[name]) for name in naming if name in names}  # type: ignore[index]
    columns = (ids if table["with_id"] else {}) | {name: [values[name]] * count for name in serve["columns"]}
    return importlib.import_module("polars").DataFrame(columns)


def inference_server(competition: str) -> type[Any]:
    """Find and import the competition's own server.

    competition: whose package is taken where there are several.

    Raises:
        SystemExit: there is no package, or several, or none of its classes is a server.
    """
    found = [path for folder in search(INPUT, (PACKAGE,)) for path in sorted(folder.glob("*_inference_server.py"))]
    named = [path for path in found if competition and competition in path.parts]
    path = exactly_one(named or found, f"a competition's {PACKAGE} with an inference server")
    sys.path.insert(0, str(path.parent.parent))
    module = importlib.import_module(f"{PACKAGE}.{path.stem}")
    own = [each for each in vars(module).values() if isinstance(each, type) and each.__module__ == module.__name__]
    servers = [each for each in own if any(hasattr(each, name) for name in STARTS)]
    if len(servers) != 1:
        raise SystemExit(
            f"{path} must have one class that serves, with {' or '.join(STARTS)}, but its classes are "
            f"{ {each.__name__: public(each) for each in own} }. This notebook does not know that version of {PACKAGE}."
        )
    return servers[0]


def public(kind: type[Any]) -> list[str]:
    """List the names of a class that are meant to be used."""
    return [name for name in dir(kind) if not name.startswith("_")]


def start(server: Any, folder: Path, paths: list[str]) -> None:
    """Start a server as its dialect wants: here with its local gateway, in the rerun to be called from outside.

    Args:
        folder: of the competition's files. paths: of them, that its gateway is given; none: the folder.

    Raises:
        SystemExit: its dialect is not known.
    """
    if hasattr(server, "run"):
        call(server.run, competition_data_folder=str(folder))
    elif RERUN in os.environ and hasattr(server, "serve"):
        server.serve()
    elif hasattr(server, "serve") and hasattr(server, "run_local_gateway"):
        # Mount points differ: the paths are always given.
        call(server.run_local_gateway, data_paths=tuple(str(folder / name) for name in paths) or (str(folder),))
    else:
        raise SystemExit(
            f"{type(server).__name__} has {', '.join(public(type(server)))}, but neither run nor both serve and "
            f"run_local_gateway: {PACKAGE} is of a version that this notebook does not know."
        )


def call(method: Any, **arguments: Any) -> None:
    """Call a method with those of the arguments that it takes."""
    taken = inspect.signature(method).parameters
    method(**{name: value for name, value in arguments.items() if name in taken})


def serve() -> None:
    """Serve the hidden test, or try it with the public one."""
    kind = inference_server(SERVED.manifest["competition"])
    code = [str(SERVED.bundle / "code" / "src"), str(SERVED.bundle / "code")]
    folder = Path(inspect.getfile(kind)).parent.parent
    with tempfile.TemporaryDirectory() as scratch:
        SERVED.path = packages(SERVED.bundle, SERVED.manifest["requires"], Path(scratch) / "packages", code)
        start(kind(predict), folder, SERVED.manifest["serve"]["table"]["paths"])
    print(SERVED.in_words(), flush=True)
    if RERUN not in os.environ:
        SERVED.refuse_slow()


if __name__ == "__main__":
    SERVED = Served()
    serve()
