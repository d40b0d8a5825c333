"""Ablation: a baseline and its variants, paired by fold and seed, and a verdict on each.

variants.py    the file of an ablation: base, [ablate], [[variant]]; what each variant's config is
parts.py       what a variant may drop, from feature families to members of the blend
study.py       the map over all variants' cells, and the reduction to deltas and evidence
losses.py      errors of each series, by phase and exactness, and the slices they are added up to
evidence.py    corrected t, Holm, equivalence, power: the verdict
bootstrap.py   intervals over series and seeds: they describe, they don't decide
page.py        what was found, as a page with a forest plot
"""
