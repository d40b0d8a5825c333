"""Parts of [train.augment] with tables of their own: one file a group, and the order in which they come.

Each is a frozen dataclass, its config, that changes some series of a batch on the device when called. All of them draw
from torch's global generator of the device, which the trainer seeds at every step. To add one: a class of
`Augmentation`, its line here, and its field in fit/train_config.py; test_augmentation_contract.py holds all to the same
rules. views.py is what networks do when they predict, [train.tta].
"""

from foldline.fit.augmentation.axes import Flip, Rotate
from foldline.fit.augmentation.covers import Cutout, DropFeatures
from foldline.fit.augmentation.cutmix import CutMix
from foldline.fit.augmentation.part import Augmentation
from foldline.fit.augmentation.time_maps import Reverse, TimeWarp, WindowSlice
from foldline.fit.augmentation.values import Jitter, MagnitudeWarp, Scale

AUGMENTATIONS: dict[str, type[Augmentation]] = {  # in the order in which a batch gets them
    "rotate": Rotate,
    "flip": Flip,
    "reverse": Reverse,
    "window_slice": WindowSlice,
    "time_warp": TimeWarp,
    "scale": Scale,
    "magnitude_warp": MagnitudeWarp,
    "jitter": Jitter,
    "drop_features": DropFeatures,
    "cutout": Cutout,
    "cutmix": CutMix,
}

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "CutMix",
    "Cutout",
    "DropFeatures",
    "Flip",
    "Jitter",
    "MagnitudeWarp",
    "Reverse",
    "Rotate",
    "Scale",
    "TimeWarp",
    "WindowSlice",
]
