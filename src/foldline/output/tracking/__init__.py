"""Tracking: wandb as a mirror of the cells' own history.jsonl, which is the source of truth.

- mode.py: [track], and how the mode is decided, before wandb starts
- mirror.py: one wandb run a cell and a summary run an experiment; what wandb can't do is said once and stops nothing
- offline.py: runs that wait on the disk, and how they are sent
"""

from foldline.output.tracking.wandb_mirror import Summary, WandbTracker
from foldline.output.tracking.wandb_mode import key_found, mode_of
from foldline.run.tracking import TrackConfig

__all__ = ["Summary", "TrackConfig", "WandbTracker", "key_found", "mode_of"]
