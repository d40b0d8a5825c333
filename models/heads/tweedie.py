"""Tweedie regression of amounts with many zeros: log link, deviance. (B, T, H) -> (B, T, K).

Source: Jorgensen 1987, https://doi.org/10.1111/j.2517-6161.1987.tb01685.x; 1 < power < 2 is a Poisson number of gamma
amounts, with a variance of mu^power. The loss of a step is the mean over the columns of

    2 (y^(2-p) / ((1-p) (2-p)) - y mu^(1-p) / (1-p) + mu^(2-p) / (2-p))

truth y and prediction mu in units of the target's size, |center| + scale, in which the deviance is that of the target's
own unit, divided by size^(2-p). Targets must not be below 0. (M5 Forecasting, 2020: the winners' trees.)
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from foldline.models.contract import Targets
from foldline.models.heads.linear import HeadConfig, LogLinkHead


@dataclass(frozen=True, kw_only=True)
class Config(HeadConfig):
    """Table of the `tweedie` head."""

    power: float = 1.5  # p: of the variance in the mean; near 1: as Poisson's, near 2: as a gamma distribution's

    def __post_init__(self) -> None:
        if not 1 < self.power < 2:
            raise ValueError(f"power must be above 1 and below 2, but is {self.power}; for 1 choose kind = 'poisson'")


class Tweedie(LogLinkHead):
    """Mean Tweedie deviance over the scored steps; the prediction is the mean, scaled."""

    def __init__(self, config: Config, hidden: int, targets: Targets) -> None:
        super().__init__(config, hidden, targets)
        self.power = config.power

    def error(self, own: Tensor, y: Tensor) -> Tensor:
        log_mean, y = self.log_mean(own), self.in_sizes(y)
        one, two = 1 - self.power, 2 - self.power
        deviance = y**two / (one * two) - y * (one * log_mean).exp() / one + (two * log_mean).exp() / two
        return 2 * deviance.mean(dim=-1)
