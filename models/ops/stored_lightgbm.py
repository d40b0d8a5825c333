"""A LightGBM booster that was read from its text and only predicts, by the functions of LightGBM's shared library.

Importing its Python package takes longer than most predictions, as long as torch: it brings scikit-learn, scipy's
statistics and pandas. Predictions are computed by the same library, so they are the same bits.
Source: https://lightgbm.readthedocs.io/en/stable/C-API.html.
"""

from __future__ import annotations

import ctypes
import importlib.util
import weakref
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FILES = ("lib_lightgbm.so", "lib_lightgbm.dylib")  # of the wheels for Linux and macOS, beside the package
FLOAT_TYPES: dict[np.dtype[Any], int] = {np.dtype(np.float32): 0, np.dtype(np.float64): 1}  # its numbers for them
ROW_MAJOR, NORMAL = 1, 0  # its numbers for the layout of a matrix, and for predictions in the target's unit
ROWS_AT_ONCE = 1 << 30  # it counts rows in 32 bits


class StoredBooster:
    """A booster of one target, of multiclass of all classes."""

    def __init__(self, text: str) -> None:
        """Read what `model_to_string` wrote.

        Raises:
            ValueError: LightGBM cannot read it.
        """
        self._text, self._handle, rounds = text, ctypes.c_void_p(), ctypes.c_int()
        pointers = ctypes.byref(rounds), ctypes.byref(self._handle)
        _call("LGBM_BoosterLoadModelFromString", text.encode(), *pointers)
        weakref.finalize(self, _call, "LGBM_BoosterFree", self._handle)
        classes = ctypes.c_int()
        _call("LGBM_BoosterGetNumClasses", self._handle, ctypes.byref(classes))
        self._classes = classes.value

    def predict(self, x: np.ndarray, num_threads: int = 0) -> np.ndarray:
        """Predict rows of features (R, F): (R,), of multiclass (R, K); float64. num_threads: 0 for OpenMP's number.

        Raises:
            ValueError: training had another number of features.
        """
        x = np.ascontiguousarray(x, dtype=x.dtype if x.dtype in FLOAT_TYPES else np.dtype(np.float32))
        found = np.empty((len(x), self._classes))
        for start in range(0, len(x), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            self._predict(x[part], found[part], num_threads)
        return found[:, 0] if self._classes == 1 else found

    def _predict(self, x: np.ndarray, found: np.ndarray, num_threads: int) -> None:
        """Write the predictions of rows of features (r, F) into `found` (r, K)."""
        data, kind = x.ctypes.data_as(ctypes.c_void_p), FLOAT_TYPES[x.dtype]
        shape = (ctypes.c_int32(len(x)), ctypes.c_int32(x.shape[1]), ROW_MAJOR)
        all_trees, written = (0, -1), ctypes.c_int64()  # from the first one to the last
        asked = (NORMAL, *all_trees, f"num_threads={num_threads}".encode())
        into = ctypes.byref(written), found.ctypes.data_as(ctypes.c_void_p)
        _call("LGBM_BoosterPredictForMat", self._handle, data, kind, *shape, *asked, *into)
        assert written.value == found.size, (written.value, found.shape)

    def model_to_string(self) -> str:
        """Return the text that it was read from."""
        return self._text


def booster(text: str) -> Any:
    """Return a booster that predicts as LightGBM's own does, or that one where no wheel has brought the shared library.

    Raises:
        ValueError, LightGBMError: the text is not a booster's.
    """
    if _library() is not None:
        return StoredBooster(text)
    import lightgbm

    return lightgbm.Booster(model_str=text)


@cache
def _library() -> ctypes.CDLL | None:
    """Load LightGBM's shared library; None where it lies elsewhere, as in builds of somebody's own."""
    import torch  # noqa: F401  (first: it brings libgomp, which LightGBM's wheel expects from the system)

    spec = importlib.util.find_spec("lightgbm")  # which imports nothing of it
    places = [] if spec is None or spec.origin is None else [Path(spec.origin).parent / "lib" / name for name in FILES]
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        return None
    library = ctypes.CDLL(str(found))
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    return library


def _call(function: str, *arguments: Any) -> None:
    library = _library()
    assert library is not None, "a stored booster has loaded it"
    if getattr(library, function)(*arguments):
        raise ValueError(f"LightGBM: {library.LGBM_GetLastError().decode()}")
