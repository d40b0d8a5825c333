"""The report of an experiment: one self-contained page, made from what its cells left.

- evidence.py: what is shown: the experiment's data, cells, predictions and errors
- scores.py: the head, scores by fold, by slice and by static combination
- examples.py: the best, median and worst series
- errors.py: errors by step and by series, and whether the models know how far off they are
- training.py: learning curves, where the time went, the cells
- outcome.py: the blend's weights, and what was read back exactly
- whole.py: all of it as a page, and the files it leaves
"""

from foldline.output.report.report_data import Evidence, Found, Made
from foldline.output.report.report_page import mirror, read_made, told, whole, write

__all__ = ["Evidence", "Found", "Made", "mirror", "read_made", "told", "whole", "write"]
