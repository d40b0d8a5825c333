"""Ablation with AUC and macro-F1 on groups of series: is its verdict right as often as it says?

Run: ./run.sh bench ablate_groups [--help]

Both metrics are no means of losses, and the series of a group (a subject) are alike, so that folds and resamples take
groups whole. Each ablation draws groups of its own, trains a linear classifier for each (fold, seed) on a share of its
training groups that the seed draws, and is judged as foldline does it: scored_answers.py, significance.py.

    same config, other seeds   no difference: a verdict of help or harm is false
    two equal sensors          none over all groups, though one on these: each side reads inputs with noise of its own
    a worse sensor             a planted effect: the second side's noise is larger; its true size is the mean of all

For each it counts verdicts, and 95 % bootstrap intervals that exclude 0: these describe one set of trainings, so that
they exclude it more often than verdicts do, and decide nothing.
"""

import argparse

import numpy as np
from scipy import stats

from foldline.core.console import Terminal
from foldline.data.metrics import Metric, MetricOptions, metric
from foldline.data.true_answers import TrueAnswers
from foldline.evidence.ablation import significance, statistical_power
from foldline.evidence.ablation.scored_answers import ScoredAnswers
from foldline.evidence.ablation.statistical_power import DecisionRule, DeltaVariance

TERMINAL = Terminal()  # of this process: its minutes run from here

Array = np.ndarray
GROUPS, SERIES, INPUTS = 40, 8, 6  # of an ablation, in each group, of each series
OFFSET, NOISE = 0.7, 1.0  # standard deviations: of what the series of a group share, and of a sensor
SHARE, RIDGE = 0.8, 1.0  # of the training groups that a seed draws, and of the classifier
RULE = DecisionRule(delta=1e-9)  # no margin: each significant effect gets its verdict
METRICS: dict[str, tuple[Metric, int]] = {  # and the number of classes
    "auc": (metric("auc", kind="binary"), 2),
    "macro-F1": (metric("f1", MetricOptions(average="macro"), kind="multiclass"), 4),
}


def interval(hits: int, of: int) -> str:
    """A count, and its rate with the 95 % interval of Clopper & Pearson 1934."""
    if not of:
        return "not counted"
    low = stats.beta.ppf(0.025, hits, of - hits + 1) if hits else 0.0
    high = stats.beta.ppf(0.975, hits + 1, of - hits) if hits < of else 1.0
    return f"{hits} of {of}, {hits / of:.1%} ({low:.1%} to {high:.1%})"


class Lab:
    """One ablation's groups, and out-of-fold predictions of classifiers on them."""

    def __init__(self, number: int, classes: int, k: int, seeds: int) -> None:
        rng = np.random.default_rng([0, number])
        self.number, self.classes, self.k, self.seeds = number, classes, k, seeds
        self.group = np.repeat(np.arange(GROUPS), SERIES)
        self.fold = (rng.permutation(GROUPS) % k)[self.group]
        self.label = rng.integers(classes, size=len(self.group))
        signal = np.random.default_rng(1).normal(size=(classes, INPUTS)) / 1.5  # the same in all ablations
        shared = OFFSET * rng.normal(size=(GROUPS, INPUTS))
        self.clean = signal[self.label] + shared[self.group] + 0.5 * rng.normal(size=(len(self.group), INPUTS))

    def answers(self, measure: Metric) -> ScoredAnswers:
        """The truth as a metric takes it."""
        one_hot = (self.label[:, None] == np.arange(self.classes)).astype(np.float64)
        truth = one_hot[:, 1:] if self.classes == 2 else one_hot
        return ScoredAnswers(TrueAnswers(metric=measure, y=truth, series=self.group), self.fold)

    def side(self, sensor: int, first_seed: int, noise: float) -> Array:
        """(S, A, K) probabilities of one side. sensor: numbers its noise."""
        x = self.clean + noise * np.random.default_rng([1, self.number, sensor]).normal(size=self.clean.shape)
        x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
        return np.stack([self.out_of_fold(x, first_seed + seed) for seed in range(self.seeds)])

    def out_of_fold(self, x: Array, seed: int) -> Array:
        """(A, K) probabilities: softmax of ridge regressions on the classes."""
        target, found = np.eye(self.classes)[self.label], np.empty((len(x), self.classes))
        drawn = np.random.default_rng([2, self.number, seed]).random(GROUPS) < SHARE  # the same in all folds
        for number in range(self.k):
            inside = self.fold == number
            used = ~inside & drawn[self.group]
            gram = x[used].T @ x[used] + RIDGE * np.eye(x.shape[1])
            found[inside] = x[inside] @ np.linalg.solve(gram, x[used].T @ target[used])
        odds = np.exp(4 * found)
        shares = odds / odds.sum(axis=1, keepdims=True)
        kept: np.ndarray = shares[:, 1:] if self.classes == 2 else shares
        return kept


def compared(name: str, title: str, asked: argparse.Namespace, other: tuple[int, int, float]) -> None:
    """Judge as many ablations, and print a line. other: sensor, first seed, noise of the second side."""
    (measure, classes), count = METRICS[name], asked.ablations
    deltas, excluded, score = list[Array](), 0, 0.0
    with TERMINAL.bar(f"{name}, {title}", "ablations") as update:
        for number in range(count):
            lab = Lab(number, classes, asked.folds, asked.seeds)
            answers, predicted = lab.answers(measure), np.stack([lab.side(0, 0, NOISE), lab.side(*other)])
            values, pooled = answers.fold_scores(predicted)
            deltas.append(values[1] - values[0])
            score += values[0].mean() / count
            if number < asked.intervals:
                found = answers.effect_intervals(predicted, asked.draws, pooled, lambda *_: None, number)
                excluded += bool(found.intervals[0, 0] > 0 or found.intervals[0, 1] < 0)
            update(number + 1, count)
    report(name, title, np.stack(deltas), interval(excluded, min(count, asked.intervals)), score, measure)


def report(name: str, title: str, deltas: Array, excluded: str, score: float, measure: Metric) -> None:
    """Print verdicts, what power was promised for the mean effect, and intervals that exclude 0."""
    verdicts = [significance.judge(each[None], RULE, measure.cost)[0].verdict for each in deltas]
    helps, hurts, effect = verdicts.count("helps"), verdicts.count("hurts"), float(deltas.mean())
    _, k, seeds = deltas.shape
    of_folds, of_seeds, residual = np.mean([statistical_power.mean_squares(each) for each in deltas], axis=0).tolist()
    variance = DeltaVariance(
        folds=k,
        seeds=seeds,
        split_variance=max(0.0, of_folds - residual) / seeds,
        seed_variance=max(0.0, of_seeds - residual) / k,
        residual_variance=residual,
    )
    promised = statistical_power.power_of_difference_test(variance, effect, seeds, RULE.alpha)
    print(
        f"| {name} | {title} | {score:.3f} | {effect:+.4f} | {helps}, {hurts} | "
        f"{interval(helps + hurts, len(deltas))} | {promised:.0%} | {excluded} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ablations", type=int, default=400, help="of each kind")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--intervals", type=int, default=60, help="ablations of each kind with a bootstrap")
    parser.add_argument("--draws", type=int, default=100, help="of each bootstrap")
    asked = parser.parse_args()
    print(f"{GROUPS} groups of {SERIES} series, {asked.folds} folds x {asked.seeds} seeds, {asked.draws} resamples")
    print(
        "| metric | what differs | score | mean effect | helps, hurts | any verdict | promised | interval excludes 0 |"
    )
    print("|---|---|---|---|---|---|---|---|")
    kinds = {
        "same config, other seeds": (0, 100, NOISE),
        "two equal sensors": (1, 0, NOISE),
        "a worse sensor": (1, 0, 2.5 * NOISE),
    }
    for name in METRICS:
        for title, other in kinds.items():
            compared(name, title, asked, other)


if __name__ == "__main__":
    main()
