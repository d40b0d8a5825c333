"""The audit: does a score or a fitted part depend on data that it must not use?

`CHECKS` lists all checks. A check takes an `AuditContext` (a config, its data and folds, a scratch folder) and returns
*clean*, *LEAK* (and names it), *note* or *not checked* (and why). Folds and stored cells are inspected directly. What
is fitted or computed is tested: a small copy of the competition goes through the real pipeline, something that must not
matter is changed, and the results are compared. To add a check: a function in the file of its kind, a line here, and a
planted leak in tests/evidence/test_audit_leaks.py or test_audit_split_leaks.py.
"""

from __future__ import annotations

from collections.abc import Callable

from foldline.core.errors import UserError
from foldline.evidence.audit import (
    adversarial_validation,
    feature_leaks,
    fitted_part_leaks,
    near_duplicates,
    shuffled_targets,
    split_leaks,
    target_copies,
)
from foldline.evidence.audit.audit_check import AuditCheck, CheckResult
from foldline.evidence.audit.audit_context import AuditContext

CHECKS: tuple[AuditCheck, ...] = (
    AuditCheck("folds: whole series", "the key on each row against the fold file", split_leaks.whole_series),
    AuditCheck(
        "folds: order of time",
        "the end of what a time fold is trained on, its gap and its beginning",
        split_leaks.order_of_time,
    ),
    AuditCheck("folds: whole groups", "data.group of each series against the fold file", split_leaks.whole_groups),
    AuditCheck(
        "folds: groups of test",
        "columns whose groups are in the test or the training file, never in both",
        split_leaks.groups_of_test,
    ),
    AuditCheck(
        "inner split",
        "series that early stopping and the like watch, against series that are trained on",
        split_leaks.inner_split,
    ),
    AuditCheck(
        "teachers", "pseudo-labels, first weights and fitted simulators: same held-out fold", split_leaks.teachers
    ),
    AuditCheck(
        "stored cells", "the held-out series that the latest experiment's cells have stored", split_leaks.stored_cells
    ),
    AuditCheck("near-duplicates", "series that occur twice, across folds, files, pre-training", near_duplicates.check),
    AuditCheck(
        "features: other series", "features, when half of the series change or are removed", feature_leaks.other_series
    ),
    AuditCheck("features: order", "features, when the series are in another order", feature_leaks.order_of_series),
    AuditCheck("features: names", "features, when keys and row ids are permuted", feature_leaks.names_of_series),
    AuditCheck("features: targets", "features, when the targets change", feature_leaks.targets),
    AuditCheck(
        "target among inputs",
        "inputs that copy the target: rescaled, transformed, shifted, summed up",
        target_copies.check,
    ),
    AuditCheck(
        "held-out targets",
        "everything fitted or predicted, when held-out targets change",
        fitted_part_leaks.held_out_targets,
    ),
    AuditCheck(
        "held-out rows", "everything fitted, when held-out rows change, inputs too", fitted_part_leaks.held_out_rows
    ),
    AuditCheck("test rows", "everything fitted, when the test table changes", fitted_part_leaks.test_rows),
    AuditCheck(
        "nested blend",
        "blended and post-processed rows of a fold, when its own targets change",
        fitted_part_leaks.nesting,
    ),
    AuditCheck("exact rows", "decoded rows, when the targets change", fitted_part_leaks.decoded_rows),
    AuditCheck("shuffled targets", "the score of boosted trees on the targets of other series", shuffled_targets.check),
    AuditCheck(
        "train against test",
        "adversarial validation, and the features that separate the two",
        adversarial_validation.check,
    ),
)


def examine(
    context: AuditContext, on_check: Callable[[int, AuditCheck, CheckResult], None]
) -> list[tuple[AuditCheck, CheckResult]]:
    """Run all checks in order; `on_check` is called with (number done, check, result) after each."""
    found = []
    for number, check in enumerate(CHECKS, start=1):
        outcome = attempt(check, context)
        found.append((check, outcome))
        on_check(number, check, outcome)
    return found


def attempt(check: AuditCheck, context: AuditContext) -> CheckResult:
    """Run one check; it is *not checked* where the engine refuses to run the small copy of the competition."""
    try:
        return check.run(context)
    except UserError as error:
        return CheckResult("not checked", f"the engine refused: {error}")
