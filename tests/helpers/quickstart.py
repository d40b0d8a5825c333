"""Overrides that make the quickstart small enough for a test."""

SMOKE = [
    "data.simulate.breaths=24",
    "data.simulate.test_breaths=6",
    "train.epochs=1",
    "model.0.width=8",
    "model.1.rounds=10",
    "folds.kind=group",
    "track.wandb=disabled",
    "executor.kind=serial",
]
