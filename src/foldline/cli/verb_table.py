"""The table of verbs of ./run.sh: what each does, which arguments it takes. Imports no library: --help is instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from foldline.cli import help_texts


@dataclass(frozen=True)
class Verb:
    """One verb: `module` in this package has `run(arguments, terminal) -> exit code`."""

    module: str
    job: str  # heading it is listed under
    summary: str  # one line
    usage: str  # its arguments
    help_text: str  # what --help prints below the usage
    options: Mapping[str, str] = field(default_factory=dict)  # --dry-run, --force -> what they mean here
    words: int = 1  # most plain arguments that it takes
    overrides: bool = True  # whether it takes key=value
    shorthands: Mapping[str, str] = field(default_factory=dict)  # option with a value -> its override's beginning


VERBS: dict[str, Verb] = {
    "train": Verb(
        "train",
        "Compete",
        "train what is not trained yet, blend, write a checked submission",
        "[CONFIG] [key=value ...]",
        help_texts.TRAIN,
        {
            "--dry-run": "show what would be trained, how long it would take and how much disk; train nothing",
            "--force": "train finished cells again",
        },
    ),
    "ddp": Verb(
        "ddp",
        "Compete",
        "train networks with several processes each: one large model on several GPUs",
        "[--processes N] [CONFIG] [key=value ...]",
        help_texts.DDP,
        {"--force": "train finished cells again"},
        shorthands={
            "--processes": "torchrun.nproc-per-node=",
            **{
                f"--{name}": f"torchrun.{name}="
                for name in (
                    *("nnodes", "nproc-per-node", "node-rank", "master-addr", "master-port", "local-addr"),
                    *("rdzv-backend", "rdzv-endpoint", "rdzv-id", "rdzv-conf"),
                )
            },
        },
    ),
    "tune": Verb(
        "tune",
        "Improve",
        "search for better values of any key of a config",
        "[FILE] [base=CONFIG] [--hours H] [--workers N] [key=value ...]",
        help_texts.TUNE,
        {"--dry-run": "show what would be searched and trained; train nothing"},
        shorthands={"--hours": "tune.hours=", "--workers": "tune.workers="},
    ),
    "ablate": Verb(
        "ablate",
        "Improve",
        "compare variants of a config, and find which of its parts help",
        "FILE [base=CONFIG] [key=value ...]",
        help_texts.ABLATE,
        {
            "--dry-run": "show what would be trained and for how long; train nothing",
            "--force": "train finished cells again",
        },
    ),
    "study": Verb(
        "study",
        "Improve",
        "compare systems at an equal number of parameters, and what they cost",
        "FILE [base=CONFIG] [key=value ...]",
        help_texts.STUDY,
        {
            "--dry-run": "solve for the widths, show what would be trained and for how long; train nothing",
            "--force": "train finished cells again",
        },
    ),
    "blend": Verb(
        "blend",
        "Improve",
        "compare all ways to blend models, also of other configs and from outside",
        "[CONFIG ...] [--outside NAME=OOF_FILE,TEST_FILE[,FOLD_COLUMN]] [key=value ...]",
        help_texts.BLEND,
        {"--dry-run": "show what would be trained before blending; train nothing"},
        words=20,
        shorthands={"--outside": "outside."},
    ),
    "infer": Verb(
        "infer",
        "Compete",
        "apply the trained experiment to new series",
        "[CONFIG] [data.source=DIR] [executor.key=value]",
        help_texts.INFER,
        {"--dry-run": "show how many cells have yet to predict this file; predict nothing"},
    ),
    "audit": Verb("audit", "Improve", "look for leaks, and name them", "[CONFIG] [key=value ...]", help_texts.AUDIT),
    "board": Verb(
        "board",
        "Improve",
        "list the experiments, best first",
        "[NAME ...]",
        help_texts.BOARD,
        words=50,
        overrides=False,
    ),
    "report": Verb(
        "report", "Compete", "make the page again from stored cells", "[CONFIG] [data.source=DIR]", help_texts.REPORT
    ),
    "live": Verb(
        "live",
        "Compete",
        "show an experiment in the browser while it trains",
        "[NAME] [port=N]",
        help_texts.LIVE,
        shorthands={"--port": "port="},
    ),
    "track": Verb(
        "track",
        "Compete",
        "send the runs that wandb could not send",
        "[sync]",
        help_texts.TRACK,
        {"--dry-run": "list the runs that `track sync` would send; send nothing"},
        overrides=False,
    ),
    "folds": Verb(
        "folds",
        "Prepare",
        "make or check the fold file",
        "[CONFIG] [key=value ...]",
        help_texts.FOLDS,
        {"--force": "make it again where it exists"},
    ),
    "init": Verb(
        "init",
        "Prepare",
        "look at a competition's files, and write a config for them",
        "FOLDER [out=CONFIG.toml]",
        help_texts.INIT,
    ),
    "simulate": Verb(
        "simulate",
        "Prepare",
        "write a simulated competition",
        "OUT [breaths=N] [test_breaths=N] [seed=S] [truth=true]",
        help_texts.SIMULATE,
        {"--force": "replace an older simulation in that folder"},
    ),
    "decode": Verb(
        "decode",
        "Compete",
        "read pressures back exactly from the inputs",
        "IN OUT",
        help_texts.DECODE,
        words=2,
        overrides=False,
    ),
    "estimate": Verb(
        "estimate",
        "Compete",
        "exact pressures where provable, and estimates with their sd elsewhere",
        "IN OUT [labels=FILE]",
        help_texts.ESTIMATE,
        words=2,
    ),
    "download": Verb(
        "download",
        "Prepare",
        "fetch a competition's files from Kaggle",
        "[COMPETITION [FOLDER]]",
        help_texts.DOWNLOAD,
        words=2,
        overrides=False,
    ),
    "submit": Verb(
        "submit",
        "Compete",
        "send a checked submission to Kaggle, and write its score down",
        "[CONFIG | FILE] [competition=NAME] [data.source=DIR]",
        help_texts.SUBMIT,
        {"--dry-run": "check the file at the gate; upload nothing"},
        shorthands={"--competition": "competition="},
    ),
    "score": Verb(
        "score",
        "Compete",
        "score a submission against the truth",
        "SUBMISSION TRUTH [CONFIG] [key=value ...]",
        help_texts.SCORE,
        words=3,
    ),
    "bundle": Verb(
        "bundle",
        "Compete",
        "pack weights and a notebook that predicts on Kaggle, offline",
        "[CONFIG] [out=DIR] [wheels=DIR] [user=NAME] [competition=NAME] [data.source=DIR] [serve.key=value]",
        help_texts.BUNDLE,
        shorthands={f"--{name}": f"{name}=" for name in ("out", "wheels", "user", "competition")},
    ),
    "doctor": Verb(
        "doctor",
        "Develop",
        "show what this machine has",
        "",
        help_texts.DOCTOR,
        {"--verify": "compare all that is stored under runs/ with its checksums"},
        words=0,
        overrides=False,
    ),
    "cluster": Verb(
        "cluster",
        "Develop",
        "say how machines become a cluster, and show a running one",
        "[HOST ...] [folder=PATH] [port=N] [address=HOST:PORT]",
        help_texts.CLUSTER,
        words=1000,
        shorthands={f"--{name}": f"{name}=" for name in ("folder", "port", "address")},
    ),
    "clean": Verb(
        "clean",
        "Develop",
        "show what takes space, and delete what is not needed",
        "[caches] [unused] [old] [bench] [ledger]",
        help_texts.CLEAN,
        {"--force": "delete without asking"},
        words=5,
        overrides=False,
    ),
    "completion": Verb(
        "completion", "Develop", "complete words in bash or zsh", "bash | zsh", help_texts.COMPLETION, overrides=False
    ),
    "reference": Verb(
        "reference",
        "Develop",
        "write docs/reference.md and docs/python-reference.md",
        "",
        help_texts.REFERENCE,
        words=0,
        overrides=False,
    ),
    "test": Verb("develop", "Develop", "run the tests", "[--slow] [--machines] [pytest arguments]", help_texts.TEST),
    "lint": Verb("develop", "Develop", "ruff, mypy and import-linter over everything", "", help_texts.LINT),
    "bench": Verb("develop", "Develop", "run a benchmark", "NAME [arguments]", help_texts.BENCH),
}
