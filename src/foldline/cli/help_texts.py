"""What `./run.sh VERB --help` prints: a text for each verb of verb_table.py."""

from __future__ import annotations

TRAIN = """\
Reads and checks the data, makes features and folds, trains the cells (models x folds x seeds) that are not finished,
blends their out-of-fold predictions, and writes a checked submission and a report.

  ./run.sh train                                       the quickstart: a simulated competition, no data needed
  ./run.sh train sample data.source=PATH               the 362 real breaths in folder PATH
  ./run.sh train sample model.2.train.epochs=10        any key of the config can be overridden
  ./run.sh train sample --dry-run                      what would be trained, and why

A finished cell is never trained again: run the same command after a Ctrl-C and it goes on."""

DDP = """\
`train` with N processes for each network: every batch is split over them, so that one large model is trained on several
GPUs (or, with train.device=cpu, on several processors). It is `train CONFIG train.processes=N` under PyTorch's
torchrun. The loss is that of one process; docs/how-to/multi-gpu.md says what differs.

  ./run.sh ddp --processes 4 CONFIG                    on four GPUs of this machine
  ./run.sh ddp --processes 4 --nnodes 2 --rdzv-backend c10d --rdzv-endpoint HOST:29400 CONFIG
                                                       the same on each of two machines that share runs/

All but --processes, which torchrun calls --nproc-per-node, are torchrun's own options. Run the same command after a
Ctrl-C and it goes on."""

TUNE = """\
Searches for better values of any key of a config, by Optuna: the file names the config it starts from, what may vary,
and which folds and seeds the search may see. The final check is made where it has not looked, paired with the config it
started from, and best.toml, a page and study.json come out.

  ./run.sh tune                                        configs/tune-quickstart.toml: a few minutes
  ./run.sh tune tune-sample data.source=PATH           on the real breaths in folder PATH
  ./run.sh tune tune-sample --hours 2 --workers 4      stop after two hours; four processes
  ./run.sh tune tune-sample tune.trials=100            any key of [tune] can be overridden, and any of the base config
  ./run.sh tune tune-sample --dry-run                  the space, and nothing is trained

Run the same command after a Ctrl-C or a kill and it goes on. A trial's cells are cells like all others, so
`./run.sh train runs/NAME/latest/best.toml` trains only what the search has not."""

ABLATE = """\
Compares a baseline with variants of it on the same folds and seeds, and gives each a verdict: helps, hurts, no
difference within a margin, or cannot tell yet, and then how many seeds more would tell. The file names the baseline's
config and what each variant sets or drops; docs/how-to/ablate.md shows how to write one.

  ./run.sh ablate configs/ablate-components.toml                          the parts of the quickstart's model
  ./run.sh ablate ablate-sample data.source=PATH                          the recipe of the real sample
  ./run.sh ablate ablate-components ablate.seeds=[0,1,2]                  any key of [ablate], and any of the baseline
  ./run.sh ablate ablate-components --dry-run                             what would be trained, and for how long

Cells are shared with all other runs and never trained twice: run it again after a Ctrl-C and it goes on. A variant
that can't be trained is shown as failed, and the others are compared all the same."""

STUDY = """\
Compares systems (LSTM, TCN, Transformer, ...) at an equal number of parameters, on the same folds and seeds of your own
data: each width is solved for, scores come with verdicts against the first system ("cannot tell yet" where that is so),
and seconds an epoch and memory stand beside them. docs/how-to/study.md shows how to write one.

  ./run.sh study configs/study-sequence.toml                              six systems on simulated breaths
  ./run.sh study study-sequence data.source=PATH                          on the breaths in folder PATH
  ./run.sh study study-sequence study.growth=true                         and how time and memory grow with the steps
  ./run.sh study study-sequence study.parameters=200000 study.seeds=[0,1] any key of [study], and any of the base config
  ./run.sh study study-sequence --dry-run                                 widths, and how long it would take

Cells are shared with all other runs and never trained twice: run it again after a Ctrl-C and it goes on. A system
that can't be trained is shown as failed, and the others are compared all the same."""

BLEND = """\
Blends the models of CONFIG, or of several configs on the same data and folds, in every way there is, scores each way on
folds whose rows had no say in the weights, and says what each member is worth. The simplest way that no other one beats
by more than one standard error is submitted, unless blend.method names one. Trains what is not trained; leaves a page.

  ./run.sh blend                                       the quickstart's models
  ./run.sh blend sample gold data.source=PATH          all models of two configs
  ./run.sh blend sample blend.method=lad               that way, and how it compares
  ./run.sh blend sample --outside friend=oof.csv,test.csv,fold    predictions made elsewhere; fold: a column of oof.csv

The ways, and when to use which: docs/how-to/blend.md"""

INFER = """\
Applies the latest trained experiment of CONFIG to the test.csv of another folder; trains nothing.

  ./run.sh infer sample data.source=NEW_FOLDER
  ./run.sh infer sample executor.kind=serial           its cells elsewhere than where they were trained"""

AUDIT = """\
Looks for leaks in what CONFIG would train, and fails (exit code 1) where it finds one, naming it: series or groups on
both sides of a split, fitted parts that saw held-out rows, features that know other series or the target, copies across
folds or files, and more. Trains the models on a few series in a scratch folder; takes a minute or two, leaves a page.

  ./run.sh audit                                       the quickstart
  ./run.sh audit sample data.source=PATH               the config and the data you are about to train on
  ./run.sh audit sample data.source=PATH --json        for a script

Everything that is checked, and what is not: docs/how-to/audit.md"""

FOLDS = """\
Makes the fold file of CONFIG, or checks the one that is there. Folds are made once and committed; train makes them when
they are missing and refuses them when they were made for other data.

  ./run.sh folds sample data.source=PATH               make or check folds/sample-....csv
  ./run.sh folds sample data.source=PATH --force       rebuild it"""

INIT = """\
Looks at train, test and the sample submission in FOLDER (or a zip), and writes configs/FOLDER.toml: which files are
which, also folders with a file a series, and tables to join; what names a series, what orders its rows, the target and
its kind, groups, inputs and static columns, each with the evidence for it. The metric is left open, and what the files
do not tell stands in lines that begin with a ?. Nothing is trained.

  ./run.sh init data/rides                             writes configs/rides.toml
  ./run.sh init data/rides out=configs/mine.toml       another file; an existing one is never overwritten"""

SIMULATE = """\
Writes a simulated competition into the folder OUT: train.csv, test.csv, sample_submission.csv, in Kaggle's layout.

  ./run.sh simulate /tmp/breaths breaths=20000 test_breaths=5000 seed=1
  ./run.sh simulate /tmp/breaths breaths=1000 truth=true        and what is hidden in the test file"""

DOWNLOAD = """\
Fetches a competition's files from Kaggle: one archive, checked against Kaggle's list, unpacked. An interrupted download
goes on where it was; files that are there are not fetched again. Needs the extra `kaggle`, credentials, and accepted
rules: docs/how-to/kaggle.md.

  ./run.sh download                                    the ventilator competition into data/ventilator
  ./run.sh download COMPETITION                        another one into data/COMPETITION
  ./run.sh download COMPETITION FOLDER                 to where you like"""

SUBMIT = """\
Sends the latest submission of CONFIG (or a file under submissions/) to Kaggle: through the gate, within the day's
limit, then waits for the score and writes it into the ledger. Of a file that Kaggle has already, only the score is
fetched. Needs the extra `kaggle` and credentials: docs/how-to/kaggle.md.

  ./run.sh submit sample                               what `train`, `blend` made last
  ./run.sh submit submissions/sample-0fd37d8f.csv      that file
  ./run.sh submit sample competition=NAME              where the data did not come by `download`
  ./run.sh submit sample data.source=DIR               the folder whose test.csv was predicted, if it moved
  ./run.sh submit sample --dry-run                     the gate only"""

SCORE = """\
Scores a submission against the truth, for labelled re-splits of a finished competition. TRUTH has the ids, the targets
and the columns that data.scored needs; with a column Usage (Public, Private) each part gets its score, too. The
columns are those of CONFIG (the quickstart's where none is given).

  ./run.sh score submissions/sample-0fd37d8f.csv truth.csv
  ./run.sh score rides.csv truth.csv rides             another competition's columns
  ./run.sh score rides.csv truth.csv data.scored=      every row of the truth counts"""

BUNDLE = """\
Packs the latest experiment of CONFIG for a competition that takes notebooks only: a folder to upload as a data set
(code, weights, record, a few wheels, a manifest with SHA-256) and a notebook, internet off, that rebuilds the
submission from them with the image's own packages. It names the packages that the image lacks; wheels=DIR packs them,
too. Where [serve] is given (docs/how-to/serve.md) the notebook answers the competition's evaluation API, and is packed
only if it answers as `infer` does, in time. How to upload it: docs/how-to/kaggle.md

  ./run.sh bundle sample                               into runs/sample/latest/bundle
  ./run.sh bundle sample out=DIR user=NAME             elsewhere, for that Kaggle account
  ./run.sh bundle sample wheels=DIR competition=NAME   with more wheels; whose files the notebook reads
  ./run.sh bundle sample serve.per=series              one that answers a series at a time, whatever [serve] says
  ./run.sh bundle sample data.source=DIR               where the files that it is tried on lie elsewhere by now"""

REPORT = """\
Makes the page of the latest experiment of CONFIG again, from its stored cells; trains nothing. `train` leaves the same
page: runs/NAME/latest/report.html. How to read it: docs/how-to/report.md

  ./run.sh report                                      the quickstart's
  ./run.sh report sample data.source=PATH              where the data lies elsewhere by now"""

LIVE = """\
Shows an experiment in the browser while it trains, and once it has: cells, learning curves, how long it may yet take,
scores so far, what the machine is doing. Without NAME it is the one that trains, or trained last; a config that has not
run yet is waited for. The page is served to browsers on this machine only (127.0.0.1), reads and changes nothing, and
may be opened before, during and after a run. How to read it from elsewhere: docs/how-to/live.md

  ./run.sh live                                        says the address, and serves until Ctrl-C
  ./run.sh live sample                                 that experiment
  ./run.sh live sample --port 8800                     on that port; without, a free one"""

TRACK = """\
Shows whether wandb is online here and how many runs wait on the disk because it was not; `track sync` sends them. Each
cell's history.jsonl is complete either way. Modes, groups, what is logged: docs/how-to/tracking.md

  ./run.sh track                                       what waits
  ./run.sh track sync                                  send it; the same command goes on where one failed
  ./run.sh track sync --dry-run                        which runs would be sent"""

TEST = """\
Runs the tests with pytest; what follows is passed on to it.

  ./run.sh test                    the default suite
  ./run.sh test --slow             the slow ones too: kills, full sizes, whole runs
  ./run.sh test tests/features -x  a part of it
  ./run.sh test --machines         the default suite as other machines run it: 3 instruction sets x 1 and 4 threads
  ./run.sh test --machines=avx2-1,lowest-4 -m learned    a part of it on some of them"""

DECODE = """\
Reads pressures back exactly from the controller's inputs, where that can be proven, and writes id, pressure, kind (the
stage that proved it) and the controller's gains and target of those rows. Pressures in the file are not looked at.

  ./run.sh decode data/test.csv exact.csv              CSV or Parquet, any size: a killed run goes on

Inside the pipeline `post.decode = true` puts exact rows in place of predictions."""

ESTIMATE = """\
Writes id, pressure, sd and kind for every row of inspiration (u_out = 0) of a file of the ventilator competition. What
the decoder proves is exact (its kinds; sd 0); all other rows are "estimated": a model of the rig's lung, bent through
the exact rows of the same breath and held to what the controller says of the others; "ranked" where that leaves one
solution. sd is the standard deviation of the error that the model expects, in cmH2O. Pressures in the file are not
looked at.

  ./run.sh estimate data/test.csv estimates.csv                          lungs that come with foldline: no training data
  ./run.sh estimate data/test.csv estimates.csv labels=data/train.csv    lungs fitted to your labels and to exact rows

CSV or Parquet; breaths of 80 rows; a killed run goes on. docs/how-to/estimate.md says what is done, and where not to
trust it."""

DOCTOR = """\
Shows what this machine has: Python and library versions, GPU, tracking mode, where Kaggle's credentials are (never
their value), free disk and memory. Exits 0.

With --verify it compares all that is stored under runs/, fold files and submissions with their checksums instead, and
lists what is damaged: then the exit code is 1. What is damaged counts as not finished: the command that made it makes
it again."""

CLUSTER = """\
Prints the commands that make the named machines a cluster and use it: set-up, Ray's head and nodes, training on them,
a search whose workers share a storage, and what ends Ray again. Copy what you need; nothing of it is run. HOST is what
ssh takes; the first one is the head. All machines see foldline's folder at the same path.

Where RAY_ADDRESS (or --address) names a running cluster, it shows what is seen of it: nodes, cores, GPUs, memory, and
for each node whether it has the same foldline, the same packages and the same folder, by a probe that runs there. It
joins for a moment and leaves again; it starts and ends no part of Ray. The exit code is 1 where a node can't run cells.

  ./run.sh cluster gpu1 gpu2 gpu3                      the commands for three machines; gpu1 is the head
  ./run.sh cluster me@gpu1 me@gpu2 --folder /shared/foldline
                                                       where the shared folder is not this one
  RAY_ADDRESS=gpu1:6379 ./run.sh cluster               what is seen of it; call it on one of its machines
  ./run.sh cluster --address auto --json               of the one that this machine is part of, for a script

The whole way, from a laptop to Kubernetes: docs/how-to/cluster.md. Ray is an optional extra:
FOLDLINE_EXTRAS=ray ./run.sh doctor"""

BOARD = """\
Lists the recorded experiments, best first: out-of-fold score, its 95 % interval over series (or data.group, where that
is set), cells, minutes of training, the leaderboard's scores, the blend, and which keys differ from the best config's.
Experiments on other training data, or scored in another way, stand in tables of their own. * marks the latest of its
name, † one of another version of foldline, ‡ one that loses to a trivial baseline, ✗ a refused submission.

  ./run.sh board                                       all of them
  ./run.sh board sample sample-fast --json             those of two configs, all digits and all differences"""

CLEAN = """\
Shows what takes space under runs/, by what it is needed for. Deletes the kinds that are named, after a question
(--force: without).

  ./run.sh clean                                       the table only
  ./run.sh clean caches unused                         features, simulated data; cells that nothing recorded needs
  ./run.sh clean old                                   experiments before the latest of their name
  ./run.sh clean bench                                 data of benchmarks
  ./run.sh clean ledger                                what only lines of the ledger need

The latest experiment, search, ablation or study of each name is always kept, with its cells. While another command
uses runs/, nothing is deleted (exit code 2); a command that begins during a deletion waits for its end."""

COMPLETION = """\
Prints a script that completes verbs, options, configs and keys of configs, for bash or zsh.

  ./run.sh completion bash > ~/.foldline.bash && echo '. ~/.foldline.bash' >> ~/.bashrc
  ./run.sh completion zsh > ~/.foldline.zsh && echo '. ~/.foldline.zsh' >> ~/.zshrc"""

REFERENCE = """\
Writes docs/reference.md: every verb, every table of a config with its keys, their types, defaults and units, from the
dataclasses that read them; and docs/python-reference.md: every function and result of `import foldline`. A test fails
where a page is out of date.

  ./run.sh reference"""

LINT = "Runs ruff check, ruff format --check, mypy, and import-linter: which room may import which."

BENCH = """\
Runs benchmarks/NAME.py, which prints what it measures, mostly beside a rival; what follows is passed on to it.

  ./run.sh bench features --help                       what it measures, and its options
  ./run.sh bench features --breaths 5000 --runs 1
  ./run.sh bench gallery openvaccine                   another competition, from its files to a submission
  ./run.sh bench against COMMIT again decode-first     this version beside another one: ratios of pairs of runs"""
