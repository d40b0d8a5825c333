"""Ablation: is its verdict right as often as it says? Run: ./run.sh bench ablate [--help]

First by arithmetic: deltas are drawn with known variances and tested in three ways, for several split variances; and by
our test, for several seed variances. Then by ablations of a small network on flat features of simulated breaths, all in
memory. Each ablation draws its own breaths, assigns them to folds, trains every (fold, seed) as the engine does (one
seed starts the networks of all folds from the same weights), and is judged by
foldline.evidence.ablation.significance:

    same config, other seeds   no difference: a verdict of help or harm is false
    two equal sensors          none over all breaths, though one on these: each network sees the valve through noise
                               of its own, equally large
    errors scaled              the same config with its errors larger or smaller, by as much as this design finds with
                               probability 80 %, as statistical_power.py has it
    fewer hidden units         a difference that comes from training; its true size is the mean over all ablations

200 ablations of each kind take about 5 minutes on a core.
"""

import argparse
import time

import numpy as np
import polars as pl
import torch
from scipy import special, stats
from torch import Tensor

from foldline import features
from foldline.core.console import Terminal
from foldline.evidence.ablation import significance, statistical_power
from foldline.evidence.ablation.statistical_power import DecisionRule, DeltaVariance
from foldline.experiment.loss_table import fold_scores
from ventilator.simulator import frame, simulate

TERMINAL = Terminal()  # of this process: its minutes run from here

Array = np.ndarray
POOL, BREATHS = 4000, 200  # simulated breaths, and how many of them an ablation draws
HIDDEN, FEWER, STEPS, BATCH, RATE = 24, 8, 300, 64, 2e-2  # of the network, and of its training
NOISE = 2.0  # standard deviation of a sensor's noise, % of the valve
FAMILIES = ("raw", "time", "integral", "lags", "stats", "static")
RULE = DecisionRule(delta=1e-9)  # no margin: each significant effect gets its verdict


def interval(hits: int, of: int) -> str:
    """A rate with its 95 % interval (Clopper & Pearson 1934)."""
    low = stats.beta.ppf(0.025, hits, of - hits + 1) if hits else 0.0
    high = stats.beta.ppf(0.975, hits + 1, of - hits) if hits < of else 1.0
    return f"{hits / of:.1%} ({low:.1%} to {high:.1%})"


def uncorrected(deltas: Array) -> float:
    """p of the t test over all folds and seeds, as if (k, S) deltas were independent."""
    error = np.sqrt(deltas.var(ddof=1) / deltas.size)
    return float(2 * special.stdtr(deltas.size - 1, -abs(deltas.mean()) / error))


def as_repetitions(deltas: Array) -> float:
    """p of the corrected t with every seed as a repetition of the cross-validation (Bouckaert & Frank 2004)."""
    error = np.sqrt((1 / deltas.size + 1 / (len(deltas) - 1)) * deltas.var(ddof=1))
    return float(2 * special.stdtr(deltas.size - 1, -abs(deltas.mean()) / error))


def ours(deltas: Array) -> float:
    """p of significance.py."""
    return significance.p_difference(*significance.corrected_t(deltas), len(deltas) - 1)


def drawn(rng: np.random.Generator, variants: int, k: int, seeds: int, split: float) -> Array:
    """(V, k, S) deltas without effect from one baseline: variance 1 of a training, `split` of folds, correlated 1/k."""
    shared, own = rng.normal(size=(1 + variants, 1, 1)), rng.normal(size=(1 + variants, k, 1))
    scores = np.sqrt(split) * (np.sqrt(1 / k) * shared + np.sqrt(1 - 1 / k) * own)
    scores = scores + rng.normal(size=(1 + variants, k, seeds))
    return np.asarray(scores[1:] - scores[:1])


def arithmetic(k: int, seeds: int, draws: int) -> None:
    """False alarms at 5 % for known noise, of three tests; and of ten variants that share a baseline, after Holm."""
    ways = (uncorrected, as_repetitions, ours)
    print(f"\nfalse alarms by arithmetic: {k} folds x {seeds} seeds, {draws} draws, nominal 5 %")
    print(f"{'variance of splits / seeds':>28}{'uncorrected':>16}{'as repetitions':>16}{'ours':>16}{'any of 10':>16}")
    rng = np.random.default_rng(0)
    for split in (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0):
        deltas = [drawn(rng, 10, k, seeds, split) for _ in range(draws)]
        rates = [np.mean([way(each[0]) <= 0.05 for each in deltas]) for way in ways]
        rates.append(
            np.mean([significance.holm(np.array([ours(one) for one in each])).min() <= 0.05 for each in deltas])
        )
        print(f"{split:>28g}" + "".join(f"{rate:>16.1%}" for rate in rates))


def with_seed_variance(k: int, draws: int) -> None:
    """False alarms of our test where a seed shifts all folds alike: one seed cannot show that, two hardly."""
    counts, rng = (1, 2, 3, 5), np.random.default_rng(0)
    print(f"\nfalse alarms by arithmetic: {k} folds, {draws} draws, nominal 5 %")
    print(f"{'variance of a seed / training':>29}" + "".join(f"{f'seeds: {count}':>16}" for count in counts))
    for seed_variance in (0.0, 0.1, 0.3, 1.0):
        rates = []
        for count in counts:
            shared = np.sqrt(seed_variance) * rng.normal(size=(draws, 1, count))
            deltas = shared + rng.normal(size=(draws, k, count))
            rates.append(np.mean([ours(each) <= 0.05 for each in deltas]))
        print(f"{seed_variance:>29g}" + "".join(f"{rate:>16.1%}" for rate in rates))


class Lab:
    """Scored rows of a pool of breaths, and scores of small networks on draws of them."""

    def __init__(self, k: int, seeds: int) -> None:
        self.k, self.seeds = k, seeds
        self.table = frame(simulate(POOL, 0), np.arange(POOL))
        self.scored = self.table["u_out"].to_numpy() == 0
        self.series = self.table["breath_id"].to_numpy()[self.scored]  # (rows,)
        self.y = self.table["pressure"].to_numpy()[self.scored]  # (rows,) cmH2O

    def features(self, noise: float, seed: int) -> Array:
        """(rows, F) float32 flat features, scaled over the pool; noise: of the valve's reading, in %."""
        levels = {name: tuple(self.table[name].unique().sort().to_list()) for name in ("R", "C")}
        columns = features.Columns(
            key="breath_id", order="time_step", inputs=("u_in", "u_out"), static=("R", "C"), levels=levels
        )
        read = np.random.default_rng([1, seed]).normal(self.table["u_in"].to_numpy(), noise)
        table = self.table.with_columns(pl.Series("u_in", read))
        values = features.compute(table, columns, [features.build(name) for name in FAMILIES]).to_numpy()[self.scored]
        return np.asarray((values - values.mean(axis=0)) / (values.std(axis=0) + 1e-9), dtype=np.float32)

    def draw(self, number: int) -> tuple[Array, Array, Array]:
        """One ablation's rows, which of its breaths (0 ..) each belongs to, and the folds of its breaths."""
        rng = np.random.default_rng([2, number])
        place = np.full(POOL, -1)
        place[rng.choice(POOL, BREATHS, replace=False)] = np.arange(BREATHS)
        rows = np.flatnonzero(place[self.series] >= 0)
        return rows, place[self.series[rows]], rng.permutation(BREATHS) % self.k

    def scores(self, number: int, x: Array, first_seed: int, hidden: int) -> Array:
        """(k, S) mean absolute errors of the held-out breaths of ablation `number`."""
        rows, series, fold = self.draw(number)
        seeds = [1_000_003 * number + first_seed + seed for seed in range(self.seeds)]
        predicted = out_of_fold(x[rows], self.y[rows], fold[series], self.k, seeds, hidden)
        errors = np.abs(predicted - self.y[rows])  # (S, rows)
        sums = np.stack([np.bincount(series, weights=each, minlength=BREATHS) for each in errors])
        return fold_scores(sums, np.bincount(series, minlength=BREATHS), fold, float)

    def ablations(self, title: str, count: int, x: Array, first_seed: int, hidden: int = HIDDEN) -> Array:
        """(count, k, S) scores of one side of as many ablations."""
        found = []
        with TERMINAL.bar(title, "ablations") as update:
            for number in range(count):
                found.append(self.scores(number, x, first_seed, hidden))
                update(number + 1, count)
        return np.stack(found)


def out_of_fold(x: Array, y: Array, fold: Array, k: int, seeds: list[int], hidden: int) -> Array:
    """(S, rows) predictions of k * S networks, trained side by side: one hidden layer, Adam, L1."""
    centre, scale = y.mean(), y.std()
    inputs, targets = torch.from_numpy(x), torch.from_numpy(((y - centre) / scale).astype(np.float32))
    outside = [np.flatnonzero(fold != number) for number in range(k)]
    starts = [start(np.random.default_rng(seed), x.shape[1], hidden) for seed in seeds]
    stacked = [np.repeat(np.stack(part), k, axis=0) for part in zip(*starts, strict=True)]
    weights = [torch.from_numpy(part).requires_grad_() for part in stacked]  # S * k networks
    orders = [np.random.default_rng([seed, 1]).random((STEPS, BATCH)) for seed in seeds]
    optimizer = torch.optim.Adam(weights)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        picked = np.stack([rows[(order[step] * len(rows)).astype(int)] for order in orders for rows in outside])
        optimizer.zero_grad()
        (forward(weights, inputs[picked]) - targets[picked]).abs().mean(dim=1).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        every = forward(weights, inputs.expand(len(weights[0]), -1, -1)).numpy()  # (S * k, rows)
    return np.asarray(every.reshape(len(seeds), k, -1)[:, fold, np.arange(len(fold))] * scale + centre)


def start(rng: np.random.Generator, inputs: int, hidden: int) -> list[Array]:
    """First weights of one network."""
    shapes = [(inputs, hidden), (1, hidden), (hidden, 1)]
    return [(rng.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32) for shape in shapes]


def forward(weights: list[Tensor], x: Tensor) -> Tensor:
    """x: (networks, rows, F) -> (networks, rows)."""
    enter, bias, leave = weights
    return (torch.tanh(x @ enter + bias) @ leave).squeeze(-1)


def expected(deltas: Array) -> DeltaVariance:
    """Variance components of a design: mean squares are averaged over its ablations before components are taken."""
    _, k, seeds = deltas.shape
    of_folds, of_seeds, residual = np.mean([statistical_power.mean_squares(each) for each in deltas], axis=0).tolist()
    return DeltaVariance(
        folds=k,
        seeds=seeds,
        split_variance=max(0.0, of_folds - residual) / seeds,
        seed_variance=max(0.0, of_seeds - residual) / k,
        residual_variance=residual,
    )


def false_alarms(title: str, deltas: Array) -> None:
    """Where there is no effect: how often each way finds one."""
    false = sum(significance.judge(each[None], RULE)[0].verdict in ("helps", "hurts") for each in deltas)
    others = [np.mean([way(each) <= RULE.alpha for each in deltas]) for way in (uncorrected, as_repetitions)]
    print(f"{title:<32}{interval(false, len(deltas)):>24}" + "".join(f"{rate:>16.1%}" for rate in others))


def detections(title: str, deltas: Array, effect: float, score: float) -> None:
    """Where the effect is known: how often it gets its verdict, how often that was promised, detectable effects."""
    variance = expected(deltas)
    promised = statistical_power.power_of_difference_test(variance, effect, variance.seeds, RULE.alpha)
    judged = [significance.judge(each[None], RULE)[0] for each in deltas]
    hits = sum(each.verdict == ("helps" if effect < 0 else "hurts") for each in judged)
    quantiles = np.quantile([each.detectable_effect / score for each in judged], [0.1, 0.5, 0.9])
    words = " ".join(f"{size:6.1%}" for size in quantiles)
    print(f"{f'{title} ({effect / score:+.1%})':<32}{interval(hits, len(deltas)):>24}{promised:>12.1%}{words:>28}")


def detectable(first: Array, again: Array, sign: int) -> float:
    """Share by which errors must be scaled to be seen with RULE.power; scaling spreads the deltas too, so in rounds."""
    share = 0.0
    for _ in range(5):
        variance = expected(again * (1 + sign * share) - first)
        share = statistical_power.detectable_effect(variance, variance.seeds, RULE) / float(again.mean())
    return share


def on_networks(lab: Lab, count: int) -> None:
    """The four kinds of ablations."""
    plain, one, other = lab.features(0.0, 0), lab.features(NOISE, 1), lab.features(NOISE, 2)
    first = lab.ablations("baseline", count, plain, 0)
    again = lab.ablations("other seeds", count, plain, 1000)
    fewer = lab.ablations(f"{FEWER} hidden units", count, plain, 2000, FEWER)
    sensors = lab.ablations("second sensor", count, other, 3000) - lab.ablations("first sensor", count, one, 0)
    print(f"\n{count} ablations of each kind, {lab.k} folds x {lab.seeds} seeds, {BREATHS} breaths, nominal 5 %")
    print(f"{'false alarms':<32}{'ours':>24}{'uncorrected':>16}{'as repetitions':>16}")
    false_alarms("same config, other seeds", again - first)
    false_alarms("two equal sensors", sensors)
    print(f"\n{'an effect of known size':<32}{'found':>24}{'promised':>12}{'detectable: 10, 50, 90 %':>28}")
    score = float(first.mean())
    for sign in (1, -1):
        share = detectable(first, again, sign)
        detections("errors scaled", again * (1 + sign * share) - first, sign * share * float(again.mean()), score)
    detections(f"{FEWER} hidden units", fewer - first, float((fewer - first).mean()), score)
    print("\nvariance components of the deltas, in units of the residual variance")
    for name, deltas in (("other seeds", again - first), ("sensors", sensors), ("fewer units", fewer - first)):
        variance = expected(deltas)
        print(
            f"{name:<32}split {variance.split_variance / variance.residual_variance:.3f}   "
            f"seed {variance.seed_variance / variance.residual_variance:.3f}"
        )


def main() -> None:
    """Both halves."""
    parser = argparse.ArgumentParser()
    for name, value in (("ablations", 200), ("folds", 5), ("seeds", 3), ("draws", 2000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    chosen = parser.parse_args()
    torch.set_num_threads(1)  # the matrices are small
    began = time.perf_counter()
    arithmetic(chosen.folds, chosen.seeds, chosen.draws)
    for folds in sorted({chosen.folds, 10}):
        with_seed_variance(folds, chosen.draws)
    on_networks(Lab(chosen.folds, chosen.seeds), chosen.ablations)
    print(f"\n{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
