"""Ablation: a baseline and its variants, trained on the same folds and seeds, with a verdict on each variant.

ablation_file.py      read the file of an ablation: base, [ablate], [[variant]]; resolve each variant's config
droppable_parts.py    what a variant may drop, from feature families to members of the blend
ablation_run.py       prepare and train the cells of the baseline and of all variants
ablation_results.py   from finished cells to effects, intervals and verdicts
significance.py       corrected t, Holm, equivalence test: the verdict
statistical_power.py  variance components, power, detectable effect, seeds needed
bootstrap.py          intervals over series (or their groups) and seeds; they describe and do not decide
ablation_wording.py   rows of the table and remarks, as text
ablation_page.py      the HTML page; forest_plot.py draws its figure
"""
