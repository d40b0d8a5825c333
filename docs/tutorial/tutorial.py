# %% [markdown]
# # From `pip install .` to a submission
#
# A competition on many series: breaths of a mechanical ventilator. At each of the 80 steps of a breath the airway
# pressure is wanted; what is known is how far the inlet valve is open. The data are simulated, so that no download is
# needed.
#
# In a terminal: `pip install .` in a clone of the repository, then open this notebook. Its source,
# `docs/tutorial/tutorial.py`, runs as a script, too.

# %%
import foldline as fl

data = fl.simulate("breaths", breaths=600, test_breaths=100, force=True, quiet=True)
data.train.head(3)

# %% [markdown]
# A config names what each column is, and the models. It may be a file (`fl.train("mine.toml")`) or, as here, a table.

# %%
columns = {"id": "id", "key": "breath_id", "order": "time_step", "target": ["pressure"]}
inputs = {"inputs": ["u_in", "u_out"], "static": ["R", "C"], "scored": "u_out == 0"}
network = {"name": "hybrid", "width": 32, "blocks": [{"kind": "bilstm"}, {"kind": "conv"}]}
trees = {"name": "lightgbm", "rounds": 200}
config = {
    "name": "tutorial",
    "data": {"source": "breaths", "metric": "mae", **columns, **inputs},
    "model": [network, trees],
}

# %% [markdown]
# `train` makes folds of whole breaths, features, the cells (each model on each fold), their blend, which is scored on
# folds that had no say in its weights, and a submission that has passed a gate. To watch it in the next cell, run
# `fl.live("tutorial")` before.

# %%
run = fl.train(config, folds={"k": 3}, train={"epochs": 10, "lr": 4e-3}, track={"wandb": "disabled"}, quiet=True)
run.scores

# %% [markdown]
# Trivial baselines come first, what is submitted last. Out-of-fold predictions and the submission are frames of
# polars:

# %%
run.oof.head(3)

# %%
run.submission.head(3)

# %% [markdown]
# The submission is also a file, `run.submission_path`, and `run.report` shows a page about the whole experiment. What
# is trained is not trained again: the same call ends in a second, and with another `lr` only the network is new.
#
# A predictor loads the cells once and answers as often as it is asked, here about one new breath:

# %%
fl.load("tutorial").predict(data.test.head(80)).head(3)

# %% [markdown]
# From here: [a config for your own files](../how-to/own-competition.md), [every key](../reference.md),
# [Python](../how-to/python.md), [what helps and what does not](../how-to/ablate.md).
