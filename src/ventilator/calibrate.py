"""Fit the simulator's rig to labelled breaths.

    python -m ventilator.calibrate DATA_FOLDER [--without-breaths FILE] [--decoded FILE] [--out FILE]
    python -m ventilator.calibrate DATA_FOLDER --report

The lungs run free: they start at a breath's first pressure, are driven by its real commands and never see another pressure.
The loss is the mean absolute error in inspiration, plus a tenth of that in expiration, plus a ridge on how far a session's
parameters are from those common to all sessions of its R or C. Gradients come from torch through the very `lung.advance`
that the simulator runs. Breaths without pressure (and rows without) may be among those given: they count for clocks and shares.
"""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from ventilator import measure
from ventilator.controller import C_VALUES, R_VALUES, STEPS, Array
from ventilator.lung import Lung, advance, resting, supply
from ventilator.measure import Recorded
from ventilator.rig import NUMBERS, Rig, Session
