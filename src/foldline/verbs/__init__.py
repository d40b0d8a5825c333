"""The verbs of ./run.sh, on one page: what each does, what it takes, and an example. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    """One verb: `module` in this package has `run(arguments, terminal) -> exit code`."""

    module: str
    job: str  # heading it is listed under
    summary: str  # one line
    usage: str  # its arguments
    lesson: str  # what --help teaches
    options: tuple[str, ...] = ()  # --dry-run, --force
    words: int = 1  # how many plain arguments it takes at most
    overrides: bool = True  # takes key=value


TRAIN = """\
Reads and checks the data, makes features and folds, trains the cells (models x folds x seeds) that are not finished,
blends their out-of-fold predictions, and writes a checked submission and a report.

  ./run.sh train                                       the quickstart: a simulated competition, no data needed
  ./run.sh train sample data.source=PATH               the 362 real breaths in folder PATH
  ./run.sh train sample model.0.train.epochs=10        any key of the config can be overridden
  ./run.sh train sample --dry-run                      what would be trained, and why

A finished cell is never trained again: run the same command after a Ctrl-C and it goes on."""

INFER = """\
Applies the latest trained experiment of CONFIG to the test.csv of another folder; trains nothing.

  ./run.sh infer sample data.source=NEW_FOLDER"""

FOLDS = """\
Makes the fold file of CONFIG, or checks the one that is there. Folds are made once and committed; train makes them when
they are missing and refuses them when they were made for other data.

  ./run.sh folds sample data.source=PATH               make or check folds/sample-....csv
  ./run.sh folds sample data.source=PATH --force       rebuild it"""

SIMULATE = """\
Writes a simulated competition into the folder OUT: train.csv, test.csv, sample_submission.csv, in Kaggle's layout.

  ./run.sh simulate /tmp/breaths breaths=20000 test_breaths=5000 seed=1
  ./run.sh simulate /tmp/breaths breaths=1000 truth=true        and what is hidden in the test file"""

TEST = """\
Runs the tests with pytest; what follows is handed on to it.

  ./run.sh test                    the default suite
  ./run.sh test --slow             the rest too: kills, full sizes, whole runs
  ./run.sh test tests/features -x  a part of it"""

DECODE = """\
Reads pressures back exactly from the controller's inputs, where that can be proven, and writes id, pressure, kind (the
stage that proved it) and the controller's gains and target of those rows. Pressures in the file are not looked at.

  ./run.sh decode data/test.csv exact.csv              CSV or Parquet, any size: a killed run goes on

Inside the pipeline `post.decode = true` puts exact rows in place of predictions."""

DOCTOR = """\
Says what this machine has: Python and library versions, GPU, tracking mode, whether Kaggle credentials are found (never
their value), free disk and memory. Always exits 0: it tells, it doesn't judge."""

LINT = "Runs ruff check, ruff format --check and mypy."

BENCH = """\
Runs benchmarks/NAME.py, which prints ratios against a stated rival; what follows is handed on to it.

  ./run.sh bench features --breaths 5000 --runs 1"""

VERBS: dict[str, Verb] = {
    "train": Verb(
        "train",
        "Compete",
        "train what is not trained yet, blend, write a checked submission",
        "[CONFIG] [key=value ...]",
        TRAIN,
        ("--dry-run", "--force"),
    ),
    "infer": Verb(
        "infer",
        "Compete",
        "apply the trained experiment to new series",
        "[CONFIG] [data.source=DIR]",
        INFER,
        ("--dry-run",),
    ),
    "folds": Verb("folds", "Prepare", "make or check the fold file", "[CONFIG] [key=value ...]", FOLDS, ("--force",)),
    "simulate": Verb(
        "simulate",
        "Prepare",
        "write a simulated competition",
        "OUT [breaths=N] [test_breaths=N] [seed=S] [truth=true]",
        SIMULATE,
        ("--force",),
    ),
    "decode": Verb(
        "decode", "Compete", "read pressures back exactly from the inputs", "IN OUT", DECODE, words=2, overrides=False
    ),
    "doctor": Verb("doctor", "Develop", "say what this machine has", "", DOCTOR, words=0, overrides=False),
    "test": Verb("develop", "Develop", "run the tests", "[--slow] [pytest arguments]", TEST),
    "lint": Verb("develop", "Develop", "ruff and mypy over everything", "", LINT),
    "bench": Verb("develop", "Develop", "run a benchmark", "NAME [arguments]", BENCH),
}
