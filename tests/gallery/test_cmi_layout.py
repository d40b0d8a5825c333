"""The files of CMI Detect Behavior against the published rules: what the host's data page says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers.gallery_files import metric_of

pytestmark = pytest.mark.gallery

IMU = ["acc_x", "acc_y", "acc_z", "rot_w", "rot_x", "rot_y", "rot_z"]
THERMOPILES = [f"thm_{n}" for n in (1, 2, 3, 4, 5)]
PIXELS = [f"tof_{n}_v{v}" for n in (1, 2, 3, 4, 5) for v in range(64)]
SENSORS = [*IMU, *THERMOPILES, *PIXELS]
TRAIN = ["row_id", "sequence_type", "sequence_id", "sequence_counter", "subject", "orientation", "behavior", "phase"]
TEST = ["row_id", "sequence_id", "sequence_counter", "subject"]
ABOUT = ["subject", "adult_child", "age", "sex", "handedness", "height_cm", "shoulder_to_wrist_cm", "elbow_to_wrist_cm"]
TARGETS = {"Above ear - pull hair", "Cheek - pinch skin", "Eyebrow - pull hair", "Eyelash - pull hair"} | {
    "Forehead - pull hairline",
    "Forehead - scratch",
    "Neck - pinch skin",
    "Neck - scratch",
}
SEATED, FACE_DOWN = "Seated Straight", "Seated Lean Non Dom - FACE DOWN"
POSTURES = {SEATED, FACE_DOWN, "Lie on Back", "Lie on Side - Non Dominant"}
AIR = ["Wave hello", "Write name in air", "Pull air toward your face"]
THINGS = ["Drink from bottle/cup", "Glasses on/off", "Feel around in tray and pull out an object"]
LEG = ["Pinch knee/leg skin", "Scratch knee/leg skin", "Write name on leg"]
OTHERS = {"Text on phone": POSTURES, **{name: POSTURES - {FACE_DOWN} for name in AIR}}  # gesture -> its postures
OTHERS |= {name: {SEATED} for name in THINGS} | {name: {FACE_DOWN} for name in LEG}
PHASE_OF = {
    "Moves hand to target location": "Transition",
    "Relaxes and moves hand to target location": "Transition",
    "Hand at target location": "Transition",
    "Performs gesture": "Gesture",
}


def check(folder: Path) -> None:
    """Refuse files that the competition would not have."""
    assert not (folder / "sample_submission.csv").exists(), "an API asks for the answers"
    train, test = pl.read_csv(folder / "train.csv"), pl.read_csv(folder / "test.csv")
    for rows, part in ((train, "train"), (test, "test")):
        table(rows, part == "train")
        people(pl.read_csv(folder / f"{part}_demographics.csv"), set(rows["subject"]))
    for name in ("subject", "sequence_id"):
        assert not set(train[name]) & set(test[name]), "test has other people"


def table(rows: pl.DataFrame, labelled: bool) -> None:
    """Check the rows of train.csv, which is labelled, or of test.csv."""
    assert rows.columns == [*([*TRAIN, "gesture"] if labelled else TEST), *SENSORS]
    assert rows.width == (341 if labelled else 336)
    steps(rows)
    values(rows)
    if labelled:
        labels(rows)


def steps(rows: pl.DataFrame) -> None:
    """Check that series stand one after the other, each with its steps from 0, and with one subject."""
    assert (
        rows["sequence_id"].str.contains(r"^SEQ_\d{6}$").all() and rows["subject"].str.contains(r"^SUBJ_\d{6}$").all()
    )
    runs = rows["sequence_id"].rle_id()
    assert int(runs[-1]) + 1 == rows["sequence_id"].n_unique(), "the rows of a series stand together"
    counted = rows.select(pl.int_range(pl.len()).over("sequence_id")).to_series()
    assert rows["sequence_counter"].equals(counted, check_names=False)
    digits = rows["sequence_counter"].cast(pl.String).str.zfill(6)
    assert (rows["row_id"] == rows["sequence_id"] + "_" + digits).all()
    assert rows.group_by("sequence_id").agg(pl.col("subject").n_unique())["subject"].max() == 1
    assert rows.group_by("sequence_id").len()["len"].min() >= 29, "the shortest series of the real files"


def values(rows: pl.DataFrame) -> None:
    """Check units, what stands for no echo, and that a sensor is there or absent as a whole."""
    assert rows.select(pl.col(IMU[:3]).null_count()).sum_horizontal().item() == 0
    pixels = rows.select(pl.col(PIXELS)).to_numpy().astype(float)
    there = pixels[~np.isnan(pixels)]
    assert ((there == -1) | ((there >= 0) & (there <= 254))).all() and (there == there.round()).all()
    assert 0.2 < (there == -1).mean() < 0.9
    turned = rows.select(pl.col(IMU[3:])).drop_nulls().to_numpy()
    assert np.allclose((turned**2).sum(axis=1), 1, atol=0.01), "a unit quaternion"
    warm = rows.select(pl.col(THERMOPILES)).to_numpy().astype(float)
    assert np.nanmin(warm) > 15 and np.nanmax(warm) < 45, "degrees Celsius"
    for columns in (
        IMU[3:],
        *(PIXELS[64 * n : 64 * n + 64] + THERMOPILES[n : n + 1] for n in range(5)),
    ):
        gone = rows.select("sequence_id", pl.sum_horizontal(pl.col(columns).is_null()) / len(columns))
        assert set(gone.to_series(1)) <= {0.0, 1.0}, "all columns of a sensor together"
        assert gone.group_by("sequence_id").agg(pl.col(gone.columns[1]).n_unique()).to_series(1).max() == 1


def people(about: pl.DataFrame, subjects: set[str]) -> None:
    """Check the demographics."""
    assert about.columns == ABOUT and set(about["subject"]) == subjects and not about["subject"].is_duplicated().any()
    assert (about["adult_child"] == (about["age"] >= 18).cast(pl.Int64)).all() and about["age"].is_between(5, 60).all()
    assert set(about["sex"]) <= {0, 1} and set(about["handedness"]) <= {0, 1}
    assert (about["elbow_to_wrist_cm"] < about["shoulder_to_wrist_cm"]).all()
    assert (about["shoulder_to_wrist_cm"] < about["height_cm"]).all()


def labels(train: pl.DataFrame) -> None:
    """Check what training says of a series, and of its steps."""
    said = train.group_by("sequence_id").agg(pl.col("gesture", "sequence_type", "orientation").unique())
    for _, gesture, kind, posture in said.rows():
        assert len(gesture) == len(kind) == len(posture) == 1
        assert kind == ["Target" if gesture[0] in TARGETS else "Non-Target"]
        assert posture[0] in (POSTURES if gesture[0] in TARGETS else OTHERS[gesture[0]])
    assert set(train["gesture"]) == TARGETS | set(OTHERS)
    assert (train["phase"] == train["behavior"].replace_strict(PHASE_OF)).all()
    phases = train.group_by("sequence_id", maintain_order=True).agg(
        pl.col("phase").rle().struct.field("value").alias("phase")
    )
    assert phases["phase"].to_list() == [["Transition", "Gesture"]] * len(phases)


def test_the_files_are_those_of_the_competition(files: Path) -> None:
    check(files)


def test_it_has_the_traps(folder: Path) -> None:
    train, test = pl.read_csv(folder / "train.csv"), pl.read_csv(folder / "test.csv")
    bare = test.group_by("sequence_id").agg(
        pl.all_horizontal(pl.col(*THERMOPILES, *PIXELS).is_null()).all().alias("bare")
    )
    assert abs(bare["bare"].mean() - 0.5) < 0.05, "half of test is inertial alone"  # type: ignore[operator]
    lacking = [column for column in (*IMU, *THERMOPILES) if train[column].null_count()]
    assert "rot_w" in lacking and any(column in lacking for column in THERMOPILES), "silent sensors in training"
    lengths = train.group_by("sequence_id").len()["len"]
    assert lengths.max() > 2 * lengths.min()  # type: ignore[operator]
    assert 0 in pl.read_csv(folder / "train_demographics.csv")["handedness"], "a left-handed subject"


def test_the_metric_is_the_published_one() -> None:
    from sklearn.metrics import f1_score

    pandas, names, rng = pytest.importorskip("pandas"), sorted(TARGETS | set(OTHERS)), np.random.default_rng(0)
    for count in (1, 3, 40, 400):
        truth = pandas.DataFrame({"id": range(count), "gesture": rng.choice(names, count)})
        said = truth.assign(gesture=np.where(rng.uniform(size=count) < 0.5, truth["gesture"], rng.choice(names, count)))
        merged = [[name if name in TARGETS else "non_target" for name in frame["gesture"]] for frame in (truth, said)]
        binary = f1_score(*([name in TARGETS for name in part] for part in merged), zero_division=0)
        wanted = 0.5 * binary + 0.5 * f1_score(*merged, average="macro", zero_division=0)
        assert metric_of("cmi")(truth, said, "id") == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    ("column", "wrong"),
    [
        ("tof_2_v7", pl.col("tof_2_v7") * 0 + 300),
        ("tof_2_v7", pl.lit(None)),
        ("rot_x", pl.col("rot_x") + 1),
        ("gesture", pl.lit("Wave hello")),
        ("phase", pl.lit("Gesture")),
        ("sequence_counter", pl.col("sequence_counter") + 1),
        ("row_id", pl.col("sequence_id")),
        ("orientation", pl.lit("Standing")),
    ],
)
def test_the_checker_finds_what_is_wrong(column: str, wrong: pl.Expr, folder: Path) -> None:
    rows = pl.read_csv(folder / "train.csv").with_columns(wrong.alias(column))
    with pytest.raises((AssertionError, KeyError)):
        table(rows, True)
