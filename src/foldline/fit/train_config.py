"""[train]: how a network is fitted. Every part of the recipe is a switch here, so that it can be ablated.

trainer.py has the loop, training_step.py its step, augment.py and augmentation/ the augmentation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch

from foldline.core.errors import UserError
from foldline.fit.augmentation import (
    AUGMENTATIONS,
    Augmentation,
    CutMix,
    Cutout,
    DropFeatures,
    Flip,
    Jitter,
    MagnitudeWarp,
    Reverse,
    Rotate,
    Scale,
    TimeWarp,
    WindowSlice,
)
from foldline.fit.augmentation.views import TtaConfig
from foldline.fit.patches import PatchesConfig
from foldline.fit.sample_config import SampleConfig
from foldline.fit.window_config import TrainingWindowsConfig

# Settings of where and how a cell is trained, which don't change its weights: they are no part of its key. The device
# that is used, and whether it is deterministic, are added to the key by run/cell_keys.py.
NOT_IN_KEY = ("seeds", "full_seeds", "device", "checkpoint_s", "on_oom", "resident")
# Keys that older versions did not have: part of a cell's key only where they are set. Of a table in [train]: below.
NEWER = ("fill", "windows", "shuffle", "patches", "graphs", "processes", "tta", "sample")
NEWER_IN = {"augment": ("drop_channels", "mixup_like", *AUGMENTATIONS), "patches": ("every", "gaps")}
MANY = 1_000_000
LARGEST: dict[str, float] = {  # of numbers in [train]: generous, so that only slips are refused, before any training
    "epochs": MANY,
    "batch": 1 << 24,
    "micro": 1 << 24,
    "lr": 1e30,  # a step of AdamW moves each weight by about lr, and weights are float32: below 3.4e38
    "weight_decay": 1000,
    "cycles": MANY,
    "clip": 1e9,
    "average": MANY,
    "margin": MANY,
    "threads": 4096,
    "processes": 4096,
    "checkpoint_s": 1e9,  # 30 years
    "mixup_alpha": MANY,
    "shuffle_steps": MANY,
    "stop": MANY,
    "patience": MANY,
    "seed": 2**31 - 1,  # as LightGBM has them
}


def refuse_absurd(config: object) -> None:
    """Refuse a number above its LARGEST. config: a dataclass.

    Raises:
        ValueError
    """
    for name, largest in LARGEST.items():
        value = getattr(config, name, 0)
        if value > largest:
            raise ValueError(f"{name} must be at most {largest:,}, but is {value:,}")


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """[train.augment]: augmentation of a batch. Shares are of the batch's series."""

    mixup: float = 0.0  # share that is mixed with another series: features, statics and targets
    mixup_alpha: float = 0.0  # the mixture's weight is drawn from Beta(alpha, alpha); 0: always one half
    # Feature that says the phase of a step, in whole numbers: series are mixed with those of the batch whose phases
    # last nearly as long, and mixed steps of two phases do not count
    mixup_like: str = ""
    mask_static: float = 0.0  # share whose static columns are hidden, with all features made from them
    shuffle: float = 0.0  # share whose steps are shuffled locally, targets with them
    shuffle_steps: int = 3  # how far a step may move
    # Share that lacks a channel, of each of data.channels that is named, {tof = 0.5}; trees and ROCKET draw it once
    drop_channels: dict[str, float] = field(default_factory=dict)
    # The parts of fit/augmentation/, in the order in which they come: each a table, with its share of the series.

    rotate: Rotate = field(default_factory=Rotate)
    flip: Flip = field(default_factory=Flip)
    reverse: Reverse = field(default_factory=Reverse)
    window_slice: WindowSlice = field(default_factory=WindowSlice)
    time_warp: TimeWarp = field(default_factory=TimeWarp)
    scale: Scale = field(default_factory=Scale)
    magnitude_warp: MagnitudeWarp = field(default_factory=MagnitudeWarp)
    jitter: Jitter = field(default_factory=Jitter)
    drop_features: DropFeatures = field(default_factory=DropFeatures)
    cutout: Cutout = field(default_factory=Cutout)
    cutmix: CutMix = field(default_factory=CutMix)

    @property
    def parts(self) -> dict[str, Augmentation]:
        """The parts that have tables of their own, in the order in which they come."""
        return {name: getattr(self, name) for name in AUGMENTATIONS}

    def __post_init__(self) -> None:
        refuse_absurd(self)
        for name in ("mixup", "mask_static", "shuffle"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a share from 0 to 1, but is {getattr(self, name)}")
        for name, share in self.drop_channels.items():
            if not 0 <= share <= 1:
                raise ValueError(f"drop_channels.{name} must be a share from 0 to 1, but is {share}")
        if self.mixup_alpha < 0:
            raise ValueError(f"mixup_alpha must not be below 0, but is {self.mixup_alpha}")
        if self.mixup_like and not self.mixup:
            raise ValueError(f"mixup_like = {self.mixup_like!r} is for mixed series: give mixup, for instance 0.5")
        if self.shuffle_steps < 1:
            raise ValueError(f"shuffle_steps must be at least 1, but is {self.shuffle_steps}")


@dataclass(frozen=True, kw_only=True)
class WatchConfig:
    """[train.watch]: what follows a score while fitting: the competition's metric (data.metric), in its own unit.

    It is the score of whole series of the fold's training part that are kept out of training, never of the held-out
    fold.
    """

    share: float = 0.0  # of the training series, kept out of training and scored; 0: nothing is watched
    best: bool = False  # keep the weights of the epoch with the best score instead of the last ones; trees always do
    stop: int = 0  # epochs, or rounds of boosting, without a better score after which training ends; 0: never
    patience: int = 30  # schedule "plateau": epochs without a better score until the rate is lowered
    factor: float = 0.6  # schedule "plateau": what the rate is lowered by

    def __post_init__(self) -> None:
        refuse_absurd(self)
        if not 0 <= self.share < 1:
            raise ValueError(f"share must be in [0, 1), but is {self.share}")
        if self.stop < 0 or self.patience < 1:
            raise ValueError(
                f"stop must not be below 0 and patience at least 1, but they are {self.stop} and {self.patience}"
            )
        if not 0 < self.factor < 1:
            raise ValueError(f"factor must be between 0 and 1, but is {self.factor}")
        if not self.share and (self.best or self.stop):
            raise ValueError("best and stop need series to look at: give share, for instance share = 0.1")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """[train]: how networks are fitted. A [[model]] may change any of it for itself with `train = {epochs = 10}`."""

    epochs: int = 20  # 0: a pre-trained model as it comes
    batch: int = 64  # series, or windows of them (train.windows)
    # In what order an epoch takes series: "all", any; "blocks", such that those that lie side by side in the store come
    # near each other, which a disk reads faster where the store is larger than memory
    shuffle: Literal["all", "blocks"] = "all"
    micro: int = 0  # series per pass where a batch is too large for the device; gradients add up. 0: the whole batch
    lr: float = 2e-3  # AdamW's peak learning rate
    weight_decay: float = 0.01
    schedule: Literal["cosine", "flat-cosine", "constant", "restarts", "plateau"] = "cosine"  # see lr_factor
    cycles: int = 4  # schedule "restarts": how many cosines
    clip: float = 1.0  # largest norm of the gradient; 0: not clipped
    ema: float = 0.0  # decay of the weights' moving average, which then predicts; 0: none
    average: int = 0  # last epochs, also before an early end, whose weights are averaged for prediction; 0: none
    margin: int = -1  # steps kept behind the last scored one, the rest is cropped; -1: nothing is cropped
    # What networks see where an input is missing: "zero", its mean or median (0 once scaled), or "forward", the value
    # before it in its series, if there is one. A channel missing(x) says where: of inputs with gaps in training.
    fill: Literal["zero", "forward"] = "zero"
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    watch: WatchConfig = field(default_factory=WatchConfig)
    sample: SampleConfig = field(default_factory=SampleConfig)
    tta: TtaConfig = field(default_factory=TtaConfig)
    windows: TrainingWindowsConfig = field(default_factory=TrainingWindowsConfig)
    patches: PatchesConfig = field(default_factory=PatchesConfig)
    # Of the body; head and loss are always fp32. "tf32": fp32 whose products round their factors to ten bits (NVIDIA)
    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = "fp32"
    compile: bool = False  # torch.compile for the blocks that gain by it (not recurrent ones); needs a C++ compiler
    # A step's passes as CUDA graphs, one for each shape of a batch: not measured yet, hence off (fit/step_graphs.py)
    graphs: bool = False
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    threads: int = 1  # CPU threads a cell uses; part of the key, because sums depend on it
    # Processes that train a network together, each a part of every batch, on a GPU or on `threads` of its own: those of
    # `./run.sh ddp`. Part of the key, because sums and dropout's draws differ from those of one process
    processes: int = 1
    deterministic: Literal["auto", "on", "off"] = "auto"  # auto: on the CPU, where it costs nothing
    seeds: tuple[int, ...] = (0,)  # a cell for each, in each fold
    full_seeds: tuple[
        int, ...
    ] = ()  # a cell for each that holds out nothing: only for the test series. Time folds: `seeds`
    # Where features are while they are trained on: "on", all on the device; "off", each batch is read from the store
    # when its turn comes; "auto": on the device where they take up little of its memory. The result is the same.
    resident: Literal["auto", "on", "off"] = "auto"
    checkpoint_s: float = 30.0  # seconds between two checkpoints
    on_oom: Literal["stop", "halve"] = "stop"  # device memory full: say what fits, or train on with smaller `micro`

    def __post_init__(self) -> None:
        refuse_absurd(self)
        for name in ("batch", "threads", "cycles", "processes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        if not (self.lr > 0 and math.isfinite(self.lr)):
            raise ValueError(f"lr must be above 0, but is {self.lr}")
        for name in ("epochs", "weight_decay", "clip", "micro", "average", "checkpoint_s"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be below 0, but is {getattr(self, name)}")
        if self.margin < -1:
            raise ValueError(f"margin must be at least -1, but is {self.margin}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must be in [0, 1), but is {self.ema}")
        if self.ema and self.average:
            raise ValueError("ema and average both choose the weights that predict: set one of them to 0")
        if self.graphs and (self.micro or self.on_oom == "halve"):
            raise ValueError(
                "graphs = true takes a batch in one pass: leave out micro and on_oom, and set a batch that fits"
            )
        if self.schedule == "plateau" and not self.watch.share:
            raise ValueError('schedule = "plateau" follows a score: give watch.share, for instance 0.1')
        if self.processes > 1 and (self.compile or self.graphs or self.on_oom == "halve"):
            raise ValueError(
                f'processes = {self.processes} goes not with compile, graphs or on_oom = "halve": all must make the '
                "same passes, as they come. Leave those out, and set micro where a pass is too large"
            )
        if max((*self.seeds, *self.full_seeds), default=0) > LARGEST["seed"]:
            raise ValueError(f"seeds and full_seeds must be at most {LARGEST['seed']:,}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds must be different whole numbers, none below 0, but is {list(self.seeds)}")
        if len(set(self.full_seeds)) < len(self.full_seeds) or min(self.full_seeds, default=0) < 0:
            raise ValueError(
                f"full_seeds must be different whole numbers, none below 0, but is {list(self.full_seeds)}"
            )

    @property
    def device_used(self) -> str:
        """The device `auto` stands for on this machine."""
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UserError(
                "train.device = 'cuda' needs a GPU that torch can use, but there is none. Use 'auto' or 'cpu'."
            )
        if self.device == "mps" and not torch.backends.mps.is_available():
            raise UserError("train.device = 'mps' needs an Apple GPU, but there is none. Use 'auto' or 'cpu'.")
        if self.device != "auto":
            return self.device
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"

    def refuse_device(self) -> None:
        """Refuse what the device that is used has not.

        Raises:
            UserError
        """
        if self.graphs and self.device_used != "cuda":
            raise UserError(
                f"train.graphs = true needs an NVIDIA GPU, but the device is {self.device_used}. Leave it out."
            )
        if self.precision == "tf32" and self.device_used != "cuda":
            raise UserError(
                f"train.precision = 'tf32' is what NVIDIA GPUs compute, but the device is {self.device_used}. "
                "Use 'fp32', or 'auto', which takes what this machine is fastest with."
            )

    @property
    def is_deterministic(self) -> bool:
        """Whether only operations are used that give the same bits every time."""
        return self.deterministic == "on" or (self.deterministic == "auto" and self.device_used == "cpu")


def lr_factor(config: TrainConfig, step: int, steps: int) -> float:
    """Return the factor on the peak rate at a step of `steps`: up over the first 2 %, then by the schedule.

    cosine: down to 0 along half a cosine; flat-cosine: flat for 75 %, then that; restarts: `cycles` equal cosines, each
    from the peak; constant: 1; plateau: 1, times what the trainer has lowered it to (watch.patience, watch.factor).
    """
    warm = max(1, steps // 50)
    if step < warm:
        return (step + 1) / warm
    if config.schedule in ("constant", "plateau"):
        return 1.0
    begin = max(warm, 0.75 * steps) if config.schedule == "flat-cosine" else warm
    progress = min(1.0, max(0.0, step - begin) / max(1.0, steps - begin))
    if config.schedule == "restarts" and progress < 1:
        progress = progress * config.cycles % 1.0
    return 0.5 * (1 + math.cos(math.pi * progress))
