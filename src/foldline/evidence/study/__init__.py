"""PreparedAblation: systems at an equal number of parameters, on the same folds and seeds, and what each one costs.

settings.py    the file of a study: base, [study], the [[system]]s
sizing.py      the width at which a system has the wanted number of parameters, by bisection
study.py     the systems as an ablation's baseline and variants: all training and all statistics are its
cost.py        seconds and memory of a training step, by the number of steps of a series
truncation.py  the error of a system that looks back, cut to its last k steps
outcome.py     what is known of each system in the end, as rows and as JSON
page.py        that as a page: scores, price, growth, history
"""
