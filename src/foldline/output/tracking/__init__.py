"""Tracking with wandb. It repeats the cells' own history.jsonl, which is the source of truth.

- wandb_mode.py: online, offline or disabled, decided before wandb starts
- wandb_tracker.py: a wandb run for each cell and a summary run for each experiment; no failure of wandb stops a run
- wandb_offline.py: runs that wait on the disk, and how they are sent
"""

from foldline.output.tracking.wandb_mode import key_found, mode_of
from foldline.output.tracking.wandb_tracker import Summary, WandbTracker
from foldline.run.tracker import TrackConfig

__all__ = ["Summary", "TrackConfig", "WandbTracker", "key_found", "mode_of"]
