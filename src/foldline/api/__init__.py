"""The verbs for Python: `import foldline` offers what is here, and the command line calls the same functions.

- session.py: what goes on around a call: one at a time, its output, its errors, and nothing of it left in the process
- asked.py: the config that a call names, and the keys that it changes
- housekeeping.py: around each verb: `clean` is kept out, the ledger is checked, what kills have left is swept away
- results.py: what `train` and `blend` return; page.py: a page, shown inside a notebook
- train.py, train_targets.py, trained.py: `train`, of several targets, of one
- blend.py, blend_targets.py, blended.py: `blend`, of several targets, of one; joined.py: how targets become one result
- load.py: a trained experiment that answers at once; live.py: the page that shows one while it trains
- ablate.py, tune.py, study.py, audit.py, decode.py, estimate.py, simulate.py: one file a verb, with what it returns
"""
