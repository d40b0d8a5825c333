"""Bend the sessions' lungs through the known rows of breaths: one member at a time, then their average.

A breath's effects are those that fit its known rows best (a few Gauss-Newton steps); the process of process.py spreads
what they leave. Means of members are averaged, and how they differ is part of the covariance.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ventilator.controller import Array
from ventilator.estimation.inspirations import Inspirations, Run, derivatives, free_run
from ventilator.estimation.lungs import Member
from ventilator.estimation.parameters import EFFECTS, PLACE
from ventilator.estimation.process import Process, masked, remainder, shared

ROUNDS: Final = 3  # of Gauss-Newton for a breath's effects
FEW: Final = 8  # known rows; with fewer, lungs fitted to free runs are the better ones


class Smoothed(NamedTuple):
    """What one member, or the average of all, says of N breaths of T rows."""

    mean: Array  # (N, T) cmH2O
    cov: Array  # (N, T, T) cmH2O^2, of readings; 0 where known
    run: Run  # with the breath's effects
    free: Array  # (N, T) cmH2O, the run without them
    effects: Array  # (N, 5)
    stored: Array  # (N, T) cmH2O, volume / compliance


def smooth_member(breaths: Inspirations, index: NDArray[np.int64], member: Member) -> Smoothed:
    """Smooth N breaths with one member; index (N,) says whose vectors are theirs."""
    process, vectors = member.process, member.vectors[index]
    compliance, known = np.exp(vectors[:, PLACE["compliance"]]), ~np.isnan(breaths.known)
    effects = np.zeros((len(breaths), len(EFFECTS)))
    for _ in range(ROUNDS):
        run, by_effect, _ = derivatives(vectors, effects, breaths, by_vector=False)
        prior = (by_effect * process.effects()) @ by_effect.transpose(0, 2, 1)
        inverse = np.linalg.inv(masked(prior + remainder(process, run, breaths, compliance), known))
        # Of effects 0, to first order about those of the last round.
        base = run.pressure - np.einsum("nte,ne->nt", by_effect, effects)
        told = np.einsum("ntu,nu->nt", inverse, np.where(known, breaths.known - base, 0.0)) * known
        effects = process.effects() * np.einsum("nte,nt->ne", by_effect, told)
    cross = (prior + shared(process, run, breaths, compliance)) * known[:, None, :]
    mean = np.where(known, breaths.known, base + np.einsum("ntu,nu->nt", cross, told))
    cov = prior + remainder(process, run, breaths, compliance) - cross @ inverse @ cross.transpose(0, 2, 1)
    open_rows = breaths.there & ~known
    cov = np.where(open_rows[:, :, None] & open_rows[:, None, :], cov, 0.0)
    cov *= _heaviness(process, breaths.known - base, told, known)[:, None, None]
    free = free_run(vectors, np.zeros_like(effects), breaths).pressure
    stored = run.volume / (compliance * np.exp(effects[:, EFFECTS.index("compliance")]))[:, None]
    return Smoothed(mean, cov, run, free, effects, stored)


def _heaviness(process: Process, residual: Array, told: Array, known: NDArray[np.bool_]) -> Array:
    """Compute by what factor (N,) a breath that fits badly varies more: that of a conditional t distribution."""
    distance = np.einsum("nt,nt->n", np.where(known, residual, 0.0), told)
    return np.asarray((process.tail + distance) / (process.tail + known.sum(axis=1)))


def average(parts: list[Smoothed], kinds: list[str], known: NDArray[np.bool_]) -> Smoothed:
    """Average members of such kinds; their covariances, and that of their means. known (N, T): which rows are.

    Breaths with fewer than FEW known rows are left to the free members, where there are any.
    """
    weight = np.ones((len(parts), len(known)))
    if "free" in kinds:
        weight[np.array(kinds) != "free"] = known.sum(axis=1) >= FEW
    weight /= weight.sum(axis=0)

    def mean_of(arrays: Iterable[Array]) -> Array:
        return np.asarray(sum((w * a.T).T for w, a in zip(weight, arrays, strict=True)))

    mean = mean_of(part.mean for part in parts)
    off = [part.mean - mean for part in parts]
    cov = mean_of(part.cov + d[:, :, None] * d[:, None, :] for part, d in zip(parts, off, strict=True))
    run = Run(*(mean_of(arrays) for arrays in zip(*(part.run for part in parts), strict=True)))
    free, effects, stored = (
        mean_of(arrays) for arrays in zip(*((part.free, part.effects, part.stored) for part in parts), strict=True)
    )
    return Smoothed(mean, cov, run, free, effects, stored)
