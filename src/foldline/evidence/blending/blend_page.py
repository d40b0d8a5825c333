"""The page of a blend as one HTML file: methods, members, correlations, scores."""

from __future__ import annotations

from foldline.core import pages
from foldline.core.pages import Facts, note
from foldline.evidence.blending import blend_plots, member_contributions
from foldline.evidence.blending.blend_comparison import BlendComparison, Table
from foldline.experiment import stored_experiment


def page(found: BlendComparison) -> str:
    """Make the whole page as text."""
    sections = [
        ("Methods", _methods(found)),
        ("Members", _members(found)),
        ("Correlation of errors", _correlations(found)),
        ("Scores, out-of-fold", f"{_table(found.scores())}{note(_remarks(found))}"),
        ("How to make it again", _again(found)),
    ]
    lead = f"{found.verdict[0].upper()}{found.verdict[1:]}."
    return pages.page(found.config.name, "blend", lead, _facts(found), sections)


def _facts(found: BlendComparison) -> Facts:
    processed, metric = " and ".join(found.result.processed), f"out-of-fold {found.config.data.metric}"
    alone = f"nested{', also the choice of the method' if found.decided else ''}"
    facts = [(f"{found.result.score:.4f}", f"{metric}, after {processed}")] if processed else []
    return [
        *facts,
        (f"{found.score:.4f}", f"{'of the blend alone' if processed else metric}, {alone}"),
        (f"{found.optimism:+.4f}", "optimism: in-sample better than nested by"),
        (str(len(found.contributions)), "members"),
    ]


def _remarks(found: BlendComparison) -> str:
    """The remarks as sentences."""
    return " ".join(f"{text[0].upper()}{text[1:]}." for text in found.remarks)


def _table(table: Table, plain: bool = False) -> str:
    _, columns, rows = table
    return pages.table(columns, rows, plain)


def _methods(found: BlendComparison) -> str:
    remark = (
        "Every fold is scored with weights fitted on the other folds. Behind the best: difference of mean losses, or "
        "of the score where it is no mean of losses (above 0: worse), and its standard error over "
        f"{found.config.units}, paired. Beaten: another method is better by more than one standard error of their "
        "difference. The simplest method that is not beaten is chosen. In a config the stacks are called ridge and "
        "lightgbm."
    )
    picture = blend_plots.methods(found.compared, found.result.blend.method, found.unit)
    return f"{picture}{_table(found.methods(), plain=True)}{note(remark)}"


def _members(found: BlendComparison) -> str:
    remark = (
        "Gain: by how much the mean loss (or the score) is better than that of the blend without the member, its "
        f"weights fitted again, and its standard error over {found.config.units}. Seconds: all cells of the "
        "member on this machine, loading left out."
    )
    plain = next(each for each in found.compared.methods if each.method == found.result.blend.method)
    picture = blend_plots.members(found.contributions, member_contributions.refitted(plain.nested), found.unit)
    return f"{picture}{_table(found.members(), plain=True)}{note(remark)}"


def _correlations(found: BlendComparison) -> str:
    remark = "Correlation of errors over scored rows. A blend gains if its members' errors differ."
    return f"{blend_plots.correlation(found.result.rows.labels, found.correlation)}{note(remark)}"


def _again(found: BlendComparison) -> str:
    return pages.reproduction(
        found.command, stored_experiment.environment(), {"resolved config": found.config.tables()}
    )
