"""The report of any kind and level: numbers against slow references, and no section that has no meaning."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
import tiny_classes
from sklearn import metrics
from tiny_classes import Songs

from foldline.cli import report as verb
from foldline.core.console import Terminal
from foldline.experiment import stored_experiment
from foldline.output.report import (
    ReportData,
    classes_section,
    curves_section,
    decided,
    error_section,
    examples_section,
    score_section,
)
from foldline.output.report.report_data import SUBMITTED

ALWAYS = [
    "Scores",
    "Best, median and worst",
    "Errors",
    "Slices",
    "Learning curves",
    "Blend",
    "Time",
    "Machines",
    "Cells",
]
OF_KIND = {  # sections that some kinds have
    "regression": ["Truth and prediction"],  # at the level "series"
    "binary": ["Confusion", "Classes", "Thresholds", "Reliability"],
    "multiclass": ["Confusion", "Classes", "Reliability"],
    "multilabel": ["Labels", "Thresholds", "Reliability"],
    "ordinal": ["Confusion", "Classes", "Truth and prediction"],
    "distribution": ["Shares"],
}


@dataclass(frozen=True)
class Trained:
    """A trained competition, and its report."""

    songs: Songs
    data: ReportData
    text: str

    @property
    def truth(self) -> np.ndarray:
        """Truth of the scored answers."""
        return self.data.known(self.data.truth)

    @property
    def submitted(self) -> np.ndarray:
        """What is submitted for them."""
        return self.data.known(self.data.result.blended)

    @property
    def labels(self) -> list[str]:
        """The label of each series, read from the table the slow way."""
        train, name = self.songs.frames()["train"], self.songs.target[0]
        return train.group_by("song", maintain_order=True).last()[name].to_list()


Train = Callable[[Songs], Trained]


def train(songs: Songs, folder: Path, *overrides: str) -> Trained:
    """Train a competition in a home folder of its own, and gather what its report shows."""
    with tiny.home_in(folder) as home:
        songs.install(home, folder / "data")
        tiny.run("train", "songs", *overrides)
        stored = stored_experiment.read("songs")
        text = (stored.folder / "report.html").read_text()
        data = verb.gather(stored, stored.config, Terminal(quiet=True))
        tiny.run("report", "songs")
        assert before_reproduction((stored.folder / "report.html").read_text()) == before_reproduction(text)
    return Trained(songs, data, text)


@pytest.fixture(scope="module")
def trained_songs(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Train each variant once for all tests of this file; nobody writes into its folder."""
    return functools.cache(lambda songs: train(songs, tmp_path_factory.mktemp("songs")))


def before_reproduction(text: str) -> str:
    """What a page shows, without the versions and the times of the machine."""
    return text.split("<section id='time'>")[0]


def titles(text: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", text)


def rows(body: str) -> list[list[str]]:
    """The cells of each row of the tables in some HTML."""
    found = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in re.findall(r"<tr>(.*?)</tr>", body)]
    return [[unescape(cell) for cell in row] for row in found]


@pytest.mark.parametrize("level", tiny_classes.LEVELS)
@pytest.mark.parametrize("kind", tiny_classes.KINDS)
def test_every_kind_and_level_has_its_sections(kind: str, level: str, trained_songs: Train) -> None:
    found = trained_songs(Songs(kind, level))
    some = OF_KIND[kind] if (kind, level) != ("regression", "step") else []
    assert titles(found.text) == [*ALWAYS[:1], "Baselines", *some, *ALWAYS[1:], "How to reproduce it"]
    body = found.text.split("</style>")[1]
    assert not re.search(r"\bnan\b|None|robin & co", body)
    assert ("phase: first third" in body) == ("by step" in body) == (level == "step")
    assert "site: hill" in body


@pytest.mark.parametrize("level", tiny_classes.LEVELS)
def test_without_static_columns_there_are_no_empty_slices(level: str, trained_songs: Train) -> None:
    text = trained_songs(Songs("multiclass", level, statics=False)).text
    assert ("Slices" in titles(text)) == (level == "step") and "site" not in text.split("resolved config")[0]


def test_confusion_and_classes_are_those_of_scikit_learn(trained_songs: Train) -> None:
    found = trained_songs(Songs("multiclass"))
    names = list(found.songs.labels)
    said = [names[place] for place in found.submitted.argmax(axis=1)]
    counts = metrics.confusion_matrix(found.labels, said, labels=names)
    body = rows(classes_section.confusions(found.data))
    assert body[0] == ["", *names] and [row[0] for row in body[1:4]] == names
    assert [[int(cell) for cell in row[1:]] for row in body[1:4]] == counts.tolist()
    shares = counts / counts.sum(axis=1, keepdims=True)
    assert [row[1:] for row in body[5:8]] == [[f"{value:.2f}" for value in row] for row in shares]
    each = np.array(metrics.precision_recall_fscore_support(found.labels, said, labels=names, zero_division=0))
    table = rows(classes_section.by_class(found.data))
    assert [row[0] for row in table[1:]] == names
    assert [row[1] for row in table[1:]] == [f"{support:.0f}" for support in each[3]]
    assert [row[3:] for row in table[1:]] == [[f"{value:.3f}" for value in each[:3, place]] for place in range(3)]
    assert f"Mean F1 {found.data.result.score:.4f}." in classes_section.by_class(found.data)  # the metric, macro F1


def test_slices_say_which_loss_they_show(trained_songs: Train) -> None:
    found = trained_songs(Songs("multiclass"))  # f1
    site = found.songs.frames()["train"].group_by("song", maintain_order=True).last()["site"].to_numpy()
    table = {row[0]: row[1:] for row in rows(score_section.by_slice(found.data))}
    places = [found.songs.labels.index(label) for label in found.labels]
    losses = -np.log(found.submitted[np.arange(len(places)), places])
    for name in ("hill", "river"):
        assert table[f"site: {name}"][:2] == ["50.0%", f"{losses[site == name].mean():.4f}"]
    assert "Log loss (f1 is no mean of losses), out-of-fold" in found.text
    assert score_section.values(found.data)["slices, log loss/site/hill"] == pytest.approx(
        losses[site == "hill"].mean()
    )
    assert "Log loss, because f1 is no mean of losses." in found.text


def test_accuracy_is_shown_of_slices_and_log_loss_of_single_series(trained_songs: Train) -> None:
    found = trained_songs(Songs("multiclass", metric="accuracy"))
    site = found.songs.frames()["train"].group_by("song", maintain_order=True).last()["site"].to_numpy()
    right = np.array(found.songs.labels)[found.submitted.argmax(axis=1)] == np.array(found.labels)
    table = {row[0]: row[1:] for row in rows(score_section.by_slice(found.data))}
    assert table["site: hill"][1] == f"{right[site == 'hill'].mean():.4f}" and "accuracy, out-of-fold" in found.text
    assert "because accuracy of a single series hardly tells them apart" in found.text
    worst = found.data.series_error(found.data.before_post).argmax()
    shown = re.findall(r"<b>worst</b>: song (\w+),", examples_section.examples(found.data))
    assert shown == [found.songs.frames()["train"]["song"].unique(maintain_order=True)[int(worst)]]


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_losses_of_probabilities_are_not_shown_of_submitted_labels(kind: str, trained_songs: Train) -> None:
    found = trained_songs(Songs(kind))
    blend = found.data.known(found.data.before_post)
    result = found.data.result
    best = result.blended == result.blended.max(axis=1, keepdims=True)
    labels = np.asarray(best if kind == "multiclass" else result.blended >= 0.5, dtype=float)
    scores = {**result.scores, "class factors fitted": [*result.scores.values()][-1]}
    data = replace(found.data, result=replace(result, blended=labels, scores=scores))
    assert data.has_labels and list(data.probabilities) == ["hybrid", "lightgbm", "blend of the models"]
    np.testing.assert_array_equal(data.known(data.probabilities["blend of the models"]), blend)
    loss = data.series_error(data.before_post)
    assert f"{loss[np.isfinite(loss)].max():.3f}</small>" in examples_section.examples(data)
    for body in (error_section.error_curves(data), curves_section.reliabilities(data)):
        assert "blend of the models" in body and "submitted" not in body
    slices = score_section.by_slice(data)
    assert rows(slices)[0][2] == "blend of the models" and "of the blend of the models, before labels" in slices
    if kind != "multiclass":
        assert SUBMITTED not in curves_section.thresholds(data)
    assert "of what is submitted" in classes_section.by_class(data).replace("Of", "of")
    if kind == "multiclass":
        assert "; class factors, fitted on the other folds, decide." in classes_section.confusions(data)


def test_the_best_is_that_of_the_highest_score_too(trained_songs: Train) -> None:
    found = trained_songs(Songs("regression", "step", metric="rmse"))
    errors = found.data.series_error(found.data.before_post)
    chosen = examples_section._chosen(found.data)
    assert (chosen["best"], chosen["worst"]) == (errors.argmin(), errors.argmax())


def test_reliability_is_that_of_the_slow_way(trained_songs: Train) -> None:
    found = trained_songs(Songs("binary", "step"))
    probability, happened = found.submitted[:, 0], found.truth[:, 0]
    expected, gap = [], 0.0
    for low in range(10):
        inside = [place for place, value in enumerate(probability) if low <= min(value * 10, 9.99) < low + 1]
        if inside:
            mean, share = probability[inside].mean(), happened[inside].mean()
            expected.append(
                [f"{low / 10:.1f} to {(low + 1) / 10:.1f}", str(len(inside)), f"{mean:.3f}", f"{share:.3f}"]
            )
            gap += abs(mean - share) * len(inside) / len(probability)
    body = curves_section.reliabilities(found.data)
    assert rows(body)[1:] == expected and f"{gap:.4f} (expected" in body and "probability of alarm" in body


def test_reliability_of_classes_is_of_the_decided_one() -> None:
    probability = np.array([0.35, 0.61, 0.69, 1.0])
    found = decided.reliability(probability, np.array([0.0, 1.0, 0.0, 1.0]))
    assert found.answers.tolist() == [0, 0, 0, 1, 0, 0, 2, 0, 0, 1]
    assert found.share[[3, 6, 9]].tolist() == [0.0, 0.5, 1.0] and np.isnan(found.share[0])
    assert found.gap == pytest.approx((0.35 + 2 * abs(0.65 - 0.5) + 0) / 4)


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_curves_are_those_of_scikit_learn(kind: str, trained_songs: Train) -> None:
    found = trained_songs(Songs(kind))
    table = {row[0]: row[1:] for row in rows(curves_section.thresholds(found.data))[1:]}
    columns = [(SUBMITTED, 0)] if kind == "binary" else [("trill", 0), ("whistle", 1)]
    assert set(table) == ({"hybrid", "lightgbm", SUBMITTED} if kind == "binary" else {"trill", "whistle"})
    for name, column in columns:
        truth, values = found.truth[:, column], found.submitted[:, column]
        best = max(metrics.f1_score(truth, values >= threshold) for threshold in values)
        assert table[name][:2] == [
            f"{metrics.roc_auc_score(truth, values):.4f}",
            f"{metrics.average_precision_score(truth, values):.4f}",
        ]
        assert table[name][2] == f"{best:.4f}"
        assert metrics.f1_score(truth, values >= float(table[name][3]) - 5e-4) == pytest.approx(best, abs=0.1)


def test_a_label_of_one_value_has_no_curve() -> None:
    assert decided.curves(np.ones(5), np.arange(5.0)) is None
    assert decided.curves(np.array([0.0, 1.0, 1.0]), np.arange(3.0), np.array([0.0, 1.0, 2.0])) is None


def test_an_answer_that_weighs_twice_is_two() -> None:
    rng = np.random.default_rng(0)
    truth, values, weight = rng.integers(2, size=60), rng.random(60).round(1), rng.integers(3, size=60)
    again = np.repeat(np.arange(60), weight)
    weighed, repeated = (truth, values, weight.astype(float)), (truth[again], values[again])

    def same(one: Any, other: Any) -> None:
        for each, expected in zip(one, other, strict=True):
            np.testing.assert_allclose(each, expected)

    same(decided.reliability(values, truth, weighed[2]), decided.reliability(values[again], truth[again]))
    one, other = decided.curves(*weighed), decided.curves(*repeated)
    assert one is not None and other is not None
    same(one, other)
    labels = (values > 0.5).astype(np.int64)
    counts = decided.confusion(truth, labels, 2, weighed[2])
    assert counts.tolist() == decided.confusion(truth[again], labels[again], 2).tolist()
    columns = np.stack([truth, labels], axis=1)
    rates = decided.Rates.of_columns(columns, columns[:, ::-1], weighed[2])
    expected = decided.Rates.of_columns(columns[again], columns[again][:, ::-1])
    assert rates.f1.tolist() == pytest.approx(expected.f1.tolist())


def test_answers_count_as_they_weigh(trained_songs: Train) -> None:
    data = trained_songs(Songs("binary")).data
    assert "counts by" not in classes_section.confusions(data) + curves_section.thresholds(data)
    first = data.known(data.truth)[:, 0] == 0
    weight = np.where(first, 3.0, 1.0)
    of_rows = replace(data.result.rows, weight=weight)
    config = replace(data.config, data=replace(data.config.data, weight="care"))
    weighed = replace(data, config=config, result=replace(data.result, rows=of_rows))
    counts = classes_section.counted(weighed)
    assert counts.sum() == weight.sum()
    assert counts.tolist() == (classes_section.counted(data) * np.array([[3], [1]])).tolist()
    for section in (classes_section.confusions, classes_section.by_class, curves_section.reliabilities):
        assert "each answer counts by its care" in section(weighed)


def test_labels_are_counted_each_for_itself(trained_songs: Train) -> None:
    found = trained_songs(Songs("multilabel"))
    each = metrics.precision_recall_fscore_support(found.truth, found.submitted > 0.5, zero_division=0)
    table = rows(classes_section.by_class(found.data))
    assert [row[0] for row in table] == ["label", "trill", "whistle"]
    assert [row[-1] for row in table[1:]] == [f"{value:.3f}" for value in each[2]]


def test_ranks_are_rounded_for_the_confusion(trained_songs: Train) -> None:
    found = trained_songs(Songs("ordinal"))
    said = [found.songs.labels[int(min(max(round(value), 0), 2))] for value in found.submitted[:, 0]]
    counts = metrics.confusion_matrix(found.labels, said, labels=found.songs.labels)
    assert classes_section.counted(found.data).tolist() == counts.tolist()
    assert "Ranks are 0: low, 1: middle, 2: high." in found.text and "Absolute error, because qwk" in found.text


def test_shares_and_divergence_are_those_of_the_slow_way(trained_songs: Train) -> None:
    found = trained_songs(Songs("distribution"))
    body = classes_section.by_share(found.data)
    for place, name in enumerate(tiny_classes.SHARES):
        means = [found.truth[:, place].mean(), found.submitted[:, place].mean()]
        assert rows(body)[1 + place][:3] == [name, *(f"{value:.4f}" for value in means)]
    each = [
        sum(t * np.log(t / p) for t, p in zip(*pair, strict=True))
        for pair in zip(found.truth, found.submitted, strict=True)
    ]
    np.testing.assert_allclose(classes_section.divergence(found.truth, found.submitted), each)
    assert f"mean {found.data.result.score:.4f}, median {np.median(each):.4f}" in body


def test_a_series_has_its_probabilities_and_its_true_class(trained_songs: Train) -> None:
    found = trained_songs(Songs("multiclass"))
    worst = examples_section._chosen(found.data)["worst"]
    text = unescape(examples_section.examples(found.data).split("<b>worst</b>")[1])
    bars = re.findall(r"<span title='(.*?)'>.*?<i class='(.*?)'.*?<b>(.*?)</b>", text)
    values = dict(zip(found.songs.labels, found.data.before_post[worst], strict=True))
    true = found.labels[worst]
    assert bars[0] == (true, "first", f"{values[true]:.3f} · true") and len(bars) == 3
    assert {name: shown for name, _, shown in bars[1:]} == {
        name: f"{value:.3f}" for name, value in values.items() if name != true
    }


def test_the_input_of_a_series_is_drawn_whole(trained_songs: Train) -> None:
    found = trained_songs(Songs("binary", test_series=3))
    shown, time = examples_section.window(found.data, 2)
    assert (shown.start, shown.stop) == (16, 22) and time.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]


def test_classes_beyond_the_room_of_a_matrix_are_listed_as_pairs() -> None:
    counts = np.diag([5, 5, 5])
    counts[0, 2], counts[2, 1], counts[1, 0] = 4, 1, 2
    assert decided.most_confused(counts, 2) == [(0, 2), (1, 0)]
    assert decided.most_confused(np.diag([3, 3]), 5) == []


def test_forty_classes_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = tuple(f"bird {number:02}" for number in range(40))
    songs = Songs("multiclass", series=160, statics=False)

    def answers(self: Songs, bird: np.ndarray, chance: np.ndarray) -> dict[str, Any]:
        return {"answer": np.array(names)[(np.searchsorted(np.sort(np.unique(chance)), chance) % 40)]}

    monkeypatch.setattr(Songs, "_answers", answers)
    monkeypatch.setitem(tiny_classes.LABELS, "multiclass", names)
    found = train(songs, tmp_path, "model.1.rounds=1")
    body = classes_section.confusions(found.data)
    assert rows(body)[0] == ["true", "decided", "answers", "share of the true"] and len(rows(body)) <= 21
    assert "40 classes</summary>" in classes_section.by_class(found.data)
    counts = classes_section.counted(found.data)
    first = rows(body)[1]
    assert int(first[2]) == (counts - np.diag(np.diagonal(counts))).max()


def test_fifty_two_targets_are_folded_and_filed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = tuple(f"target_{number:02}" for number in range(52))
    found = train(Songs("regression", targets=names, metric="rmse"), tmp_path, "model.1.rounds=2")
    out = capsys.readouterr().out
    assert (
        "scores of all targets: home/runs/songs/latest/targets.csv" in out and "target_07" not in out.split("cells:")[1]
    )
    table = rows(found.text)[0]
    assert table == ["out-of-fold rmse", "fold 0", "fold 1", "mean of targets", "best", "worst", "all series"]
    each = [float(np.sqrt(np.square(found.submitted[:, k] - found.truth[:, k]).mean())) for k in range(52)]
    last = next(row for row in rows(found.text) if row[0].startswith("blend ("))
    assert last[3:6] == [f"{value:.4f}" for value in (np.mean(each), min(each), max(each))]
    written = pl.read_csv(tmp_path / "home" / "runs" / "songs" / "latest" / "targets.csv")
    assert written["target"].to_list() == list(names)
    np.testing.assert_allclose(written[written.columns[-1]], each, rtol=1e-9)
    assert "of the 52 targets alone" in found.text and len(found.text) < 500_000


def test_missing_labels_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    songs = Songs("multiclass")
    frames = songs.frames()
    hidden = pl.col("song").is_in(["s2", "s3", "s9"])
    frames["train"] = frames["train"].with_columns(answer=pl.when(~hidden).then("answer"))
    monkeypatch.setattr(Songs, "frames", lambda self: frames)
    found = train(songs, tmp_path)
    left = frames["train"].filter(~hidden)
    support = [left.filter(pl.col("answer") == label)["song"].n_unique() for label in songs.labels]
    assert classes_section.counted(found.data).sum(axis=1).tolist() == support and sum(support) == 21
    assert not any(f"song {name}," in found.text for name in ("s2", "s3", "s9"))
