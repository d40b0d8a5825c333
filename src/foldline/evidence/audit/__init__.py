"""The audit: does anything that is scored on held-out rows, or fitted, know what it must not know?

`CHECKS` is the whole of it, on one page. A check takes a `AuditContext` (a config, its data and folds, a scratch folder) and
says *clean*, *LEAK* (and names it), *note* or *not checked* (and why). Structure is looked at where it lies; what is
fitted or computed is tried: a small copy of the competition goes through the real pipeline, something that must not
matter is changed, and everything is compared. To add a check: a function in the file of its family, a line here, and a
planted leak in tests/foldline/test_audit_leaks.py.
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
        "folds: groups of test", "columns whose groups test keeps apart from training", split_leaks.groups_of_test
    ),
    AuditCheck(
        "inner split", "what early stopping and the like watch, against what is trained on", split_leaks.inner_split
    ),
    AuditCheck(
        "teachers", "pseudo-labels, first weights and fitted simulators: same held-out fold", split_leaks.teachers
    ),
    AuditCheck("stored cells", "what the latest experiment's cells say they held out", split_leaks.stored_cells),
    AuditCheck(
        "near-duplicates", "series that are there twice, across folds, files, pre-training", near_duplicates.check
    ),
    AuditCheck(
        "features: other series", "features, when half of the series change or are gone", feature_leaks.other_series
    ),
    AuditCheck("features: order", "features, when the series stand in another order", feature_leaks.order_of_series),
    AuditCheck("features: names", "features, when series and rows are named anew", feature_leaks.names_of_series),
    AuditCheck("features: targets", "features, when the targets change", feature_leaks.targets),
    AuditCheck(
        "target among inputs", "inputs that copy the target: rescaled, bent, shifted, summed up", target_copies.check
    ),
    AuditCheck(
        "held-out targets",
        "all that is fitted or predicted, when held-out targets change",
        fitted_part_leaks.held_out_targets,
    ),
    AuditCheck(
        "held-out rows", "what is fitted, when held-out rows change, inputs too", fitted_part_leaks.held_out_rows
    ),
    AuditCheck("test rows", "what is fitted, when the test table changes", fitted_part_leaks.test_rows),
    AuditCheck(
        "nested blend", "blended and snapped rows of a fold, when its own targets change", fitted_part_leaks.nesting
    ),
    AuditCheck("exact rows", "decoded rows, when the targets beside them change", fitted_part_leaks.decoded_rows),
    AuditCheck(
        "shuffled targets", "the score of boosted trees on targets that belong to other series", shuffled_targets.check
    ),
    AuditCheck(
        "train against test",
        "adversarial validation, and the features that tell the two apart",
        adversarial_validation.check,
    ),
)


def examine(
    context: AuditContext, on_check: Callable[[int, AuditCheck, CheckResult], None]
) -> list[tuple[AuditCheck, CheckResult]]:
    """Run all checks in order; `on_check` hears (number done, check, outcome) after each."""
    found = []
    for number, check in enumerate(CHECKS, start=1):
        outcome = attempt(check, context)
        found.append((check, outcome))
        on_check(number, check, outcome)
    return found


def attempt(check: AuditCheck, context: AuditContext) -> CheckResult:
    """One check; what the engine refuses to do on a small copy of the competition can't be checked there."""
    try:
        return check.run(context)
    except UserError as error:
        return CheckResult("not checked", f"the engine refused: {error}")
