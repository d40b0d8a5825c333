"""The report of an experiment: one self-contained HTML page, made from its stored cells.

- report_data.py: what the page shows: the experiment's data, cells, predictions and errors
- score_section.py: the head, scores by fold, by slice and by combination of static values
- decided.py: counts, rates and curves of decided labels and probabilities
- classes_section.py: the confusion matrix, the table of classes, shares, truth against prediction
- curves_section.py: the reliability of probabilities; ROC, precision and thresholds
- examples_section.py: the best, median and worst series, with their inputs
- example_answers.py: truth and prediction of one series: numbers or probabilities, over time or one a series
- error_section.py: errors by step and by series, and the calibration of expected errors
- training_section.py: learning curves, training time, the list of cells
- open_rows_section.py: rows that a decoder leaves open: by kind and class, expected errors, the worst series
- cost_section.py: where the cells ran, and what they cost
- blend_section.py: the blend's weights, and the rows that are read back exactly
- report_page.py: all sections as a page, the files in the experiment's folder, and the summary for tracking
"""

from foldline.output.report.report_data import ExactTables, Provenance, RankedTables, ReportData
from foldline.output.report.report_page import html, read_provenance, track, tracking_summary, write
from foldline.output.report.score_section import TARGETS_FILE

__all__ = [
    "TARGETS_FILE",
    "ExactTables",
    "Provenance",
    "RankedTables",
    "ReportData",
    "html",
    "read_provenance",
    "track",
    "tracking_summary",
    "write",
]
