"""Study: systems at an equal number of parameters, on the same folds and seeds, and what each one costs.

study_file.py         read the file of a study: base, [study], [[system]]
width_search.py       find the width at which a system has the wanted number of parameters, by bisection
study_preparation.py  make the systems an ablation: the first is its baseline, the others its variants
step_cost.py          measure seconds and memory of a training step, by the number of steps of a series
truncation.py         measure the error of a causal system that sees only its last k steps
study_results.py      scores, verdicts and costs of each system, as rows and as JSON
study_page.py         the HTML page
"""
