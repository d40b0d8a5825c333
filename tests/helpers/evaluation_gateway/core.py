"""What every dialect's server and gateway do: the calls, what is lost on the way, the checks, the submission file."""

from __future__ import annotations

import inspect
import io
import os
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from kaggle_evaluation.core import options

DIALECT = options.DIALECT
PORT = "STAND_IN_PORT"  # of the server in the rerun, on loopback
ANSWERS = (str, int, float, bool, np.int64, np.float64, pl.DataFrame, pl.Series)
FLOATS = (np.float16, np.float32, np.int8, np.int16, np.int32, np.bool_)


class GatewayRuntimeError(Exception):
    """What ends a run: a name of the error, and one line."""


def sent(value: Any) -> Any:
    """Return what arrives of a value: Arrow for frames, 32 bits for a bare float; what can't be sent raises."""
    if isinstance(value, np.str_):
        raise AssertionError("np.str_ can't be sent")
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, pl.DataFrame | pl.Series):
        return _frame(value)
    if type(value).__module__.startswith("pandas"):
        raise NotImplementedError("answers in pandas")
    if isinstance(value, np.generic | np.ndarray):
        stream = io.BytesIO()
        np.save(stream, value, allow_pickle=False)
        stream.seek(0)
        arrived = np.load(stream, allow_pickle=False)
        return arrived[()] if isinstance(value, np.generic) else arrived
    if isinstance(value, float):
        return float(np.float32(value))
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"{value} has more than 64 bits")
        return value
    if isinstance(value, list | tuple):
        return type(value)(map(sent, value))
    raise TypeError(f"{type(value).__name__} can't be sent")


def _frame(value: Any) -> Any:
    frame = value.to_frame() if isinstance(value, pl.Series) else value
    for kind in frame.dtypes:
        if kind in (pl.Object, pl.Unknown, pl.Int128) or (kind == pl.Enum and DIALECT != "1.7"):
            raise TypeError(f"{kind} can't be sent")
    stream = io.BytesIO()
    frame.write_ipc(stream)
    stream.seek(0)
    arrived = pl.read_ipc(stream)
    return arrived.to_series() if isinstance(value, pl.Series) else arrived


class Server:
    """A server of one listener; used up after one run."""

    gateway: type[Gateway]

    def __init__(self, *listeners: Any) -> None:
        for listener in listeners:
            plain = inspect.isfunction(listener) and listener.__name__ != "<lambda>"
            if DIALECT == "0.3":
                listener.__name__  # noqa: B018
            elif not plain and not (DIALECT in ("1.4", "1.7") and inspect.ismethod(listener)):
                raise ValueError(f"a listener must be a function, but is {listener!r}")
        self._listeners = {listener.__name__: listener for listener in listeners}
        self._workers = ThreadPoolExecutor(max_workers=1)

    def _call(self, *batch: Any) -> Any:
        if "predict" not in self._listeners:
            raise GatewayRuntimeError("SERVER_MISSING_ENDPOINT", "predict")
        try:
            return sent(self._listeners["predict"](*sent(batch)))
        except Exception as error:
            raise GatewayRuntimeError("SERVER_RAISED_EXCEPTION", str(error).splitlines()[0]) from error

    def _served_to_another_process(self) -> None:
        with Listener(("127.0.0.1", int(os.environ[PORT])), authkey=b"stand-in") as listener, listener.accept() as line:
            while (batch := line.recv()) is not None:
                try:
                    line.send((True, self._workers.submit(self._call, *batch).result()))
                except GatewayRuntimeError as error:
                    line.send((False, error.args))

    def _tried(self, paths: tuple[str, ...]) -> None:
        def call(batch: tuple[Any, ...], first: bool) -> Any:
            late = None if first or DIALECT == "1.4" else options.__dict__.get("DEADLINE_S")
            try:
                return self._workers.submit(self._call, *batch).result(timeout=late)
            except Late:
                raise GatewayRuntimeError("GRPC_DEADLINE_EXCEEDED", f"{late} s") from None

        self.gateway(paths).run(call)


class ForkServer(Server):
    """Up to 1.4: the competitor chooses between the rerun and the local test."""

    def serve(self) -> None:
        self._served_to_another_process()

    def run_local_gateway(self, data_paths: tuple[str, ...] | None = None, file_share_dir: str | None = None) -> None:
        self._tried(data_paths or ("/kaggle/input/somewhere",))


class RunServer(Server):
    """From 1.7 on: one method for both."""

    def run(self, competition_data_folder: str | None = None) -> None:
        if os.environ.get("KAGGLE_IS_COMPETITION_RERUN"):
            self._served_to_another_process()
        else:
            self._tried((competition_data_folder or "/kaggle/input/somewhere",))


class Gateway:
    """The host's side: batches, checks, the submission."""

    id = ""  # column of row ids in the submission

    def __init__(self, paths: tuple[str, ...]) -> None:
        folder = Path(paths[0])
        self.folder = folder if folder.is_dir() else folder.parent
        assert all(Path(path).exists() for path in paths), paths

    def table(self, stem: str) -> pl.DataFrame:
        """Read a table as real gateways do: types are those of the first 100 rows."""
        return pl.read_csv(self.folder / f"{stem}.csv", infer_schema_length=100)

    def batches(self) -> Any:
        """Yield (what predict is passed, the row ids of the answer)."""
        raise NotImplementedError

    def check(self, answer: Any, ids: list[Any]) -> None:
        """Check what this competition wants of an answer."""

    def run(self, call: Any) -> None:
        """Ask for all answers, and write the submission."""
        found = []
        for number, (batch, ids) in enumerate(self.batches()):
            answer = call(batch, number == 0)
            self._check(answer, ids)
            self.check(answer, ids)
            found.append((answer, ids))
        self._joined(found).write_parquet("submission.parquet")

    def _check(self, answer: Any, ids: list[Any]) -> None:
        if not isinstance(answer, ANSWERS) or isinstance(answer, FLOATS):
            raise GatewayRuntimeError("INVALID_SUBMISSION", f"{type(answer).__name__} is no answer")
        frame = answer.to_frame() if isinstance(answer, pl.Series) else answer
        count = frame.height if isinstance(frame, pl.DataFrame) else 1
        if count != len(ids):
            raise GatewayRuntimeError("INVALID_SUBMISSION", f"{count} rows for {len(ids)} ids")
        if DIALECT == "0.3" and not (isinstance(frame, pl.DataFrame) and self.id in frame.columns):
            raise GatewayRuntimeError("INVALID_SUBMISSION", f"the prediction must have the column {self.id}")
        if DIALECT == "0.3" and frame[self.id].to_list() != ids:
            raise GatewayRuntimeError("INVALID_SUBMISSION", "the row ids are others, or in another order")
        if DIALECT == "1.7" and (frame is None or (isinstance(frame, pl.DataFrame) and sum(frame.null_count().row(0)))):
            raise GatewayRuntimeError("INVALID_SUBMISSION", "nulls")

    def _joined(self, found: list[tuple[Any, list[Any]]]) -> pl.DataFrame:
        kinds = {type(answer) for answer, _ in found}
        if len(kinds) > 1:
            raise GatewayRuntimeError("GATEWAY_RAISED_EXCEPTION", f"answers of types {kinds}")
        ids = pl.Series(self.id, [each for _, ids in found for each in ids])
        if kinds == {pl.DataFrame}:
            if len({tuple(answer.columns) for answer, _ in found}) > 1:
                raise GatewayRuntimeError("INVALID_SUBMISSION", "Inconsistent prediction column counts")
            together = pl.concat([answer for answer, _ in found]).drop(self.id, strict=False)  # ids are overwritten
            return pl.DataFrame([ids, *together])
        return pl.DataFrame([ids, pl.Series("prediction", [answer for answer, _ in found])])


def from_another_process(gateway: Gateway, port: int) -> None:
    """Run a gateway against a server of another process, as the rerun does."""
    with Client(("127.0.0.1", port), authkey=b"stand-in") as line:

        def call(batch: tuple[Any, ...], first: bool) -> Any:
            line.send(sent(batch))
            fine, answer = line.recv()
            if not fine:
                raise GatewayRuntimeError(*answer)
            return answer

        gateway.run(call)
        line.send(None)
