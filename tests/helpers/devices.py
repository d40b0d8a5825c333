"""Where tests run that mean the same on every device, and those that mean something on a GPU alone."""

from __future__ import annotations

import os

import pytest
import torch

from foldline.fit.process_state import WORKSPACE

gpu = pytest.mark.gpu
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
NO_FAULT = (  # of what torch says on a GPU alone, and warnings are errors here
    "ignore:Synchronization debug mode is a prototype:UserWarning",
    "ignore:Attempting to run cuBLAS, but there was no current CUDA context:UserWarning",  # once, in a backward pass
)
GPU = pytest.param("cuda", marks=[gpu, needs_gpu, *map(pytest.mark.filterwarnings, NO_FAULT)])
if torch.cuda.is_available():
    os.environ.update(WORKSPACE)  # before CUDA starts
EVERYWHERE = ["cpu", GPU]
each_device = pytest.mark.parametrize("name", EVERYWHERE)


def device(name: str) -> torch.device:
    """The device as the engine names it."""
    return torch.device(name)
