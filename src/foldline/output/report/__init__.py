"""The report of an experiment: one self-contained HTML page, made from its stored cells.

- report_data.py: what the page shows: the experiment's data, cells, predictions and errors
- score_section.py: the head, scores by fold, by slice and by combination of static values
- examples_section.py: the best, median and worst series
- error_section.py: errors by step and by series, and the calibration of expected errors
- training_section.py: learning curves, training time, the list of cells
- blend_section.py: the blend's weights, and the rows that are read back exactly
- report_page.py: all sections as a page, the files in the experiment's folder, and the summary for tracking
"""

from foldline.output.report.report_data import ExactTables, Provenance, ReportData
from foldline.output.report.report_page import html, read_provenance, track, tracking_summary, write

__all__ = ["ExactTables", "Provenance", "ReportData", "html", "read_provenance", "track", "tracking_summary", "write"]
