"""Row order: every polars operation that promises none says which order it keeps, or its result needs none.

`join`, `group_by`, `unique` and `value_counts` return rows in an order that may differ from run to run, unless
`maintain_order` is named. Today's eager left join happens to keep the left order, so no run shows the missing argument:
this test reads the source instead.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for room in ("src", "features", "models", "benchmarks") for path in (ROOT / room).rglob("*.py"))
JOIN_KEYWORDS = {"on", "how", "left_on", "right_on"}  # of a frame's join; those of texts, paths and threads have none
UNORDERED = {"group_by", "unique", "value_counts"}
# Later calls of the same chain after which the order of the rows no longer shows; of groups only a sort does that.
ORDER_FREE = {"sort", "sum", "n_unique", "any", "all", "min", "max"}


def unordered_calls(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of each call whose rows come in no particular order."""
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _loses_order(node, node.func)):
            continue
        free = {"sort"} if node.func.attr == "group_by" else ORDER_FREE
        if free.isdisjoint(_later_in_the_chain(node, parents)):
            yield node.lineno, node.func.attr


def _loses_order(call: ast.Call, function: ast.Attribute) -> bool:
    keywords = {keyword.arg for keyword in call.keywords}
    if "maintain_order" in keywords or (isinstance(function.value, ast.Name) and function.value.id in ("np", "torch")):
        return False
    if function.attr == "join":
        return bool(keywords & JOIN_KEYWORDS)
    return function.attr in UNORDERED


def _later_in_the_chain(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> Iterator[str]:
    """Yield the names of the methods called on the result of `node`, one after the other."""
    while isinstance(attribute := parents.get(node), ast.Attribute) and attribute.value is node:
        yield attribute.attr
        node = parents[attribute]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('a.join(b, on="id", how="left")', ["join"]),
        ('a.join(b, on="id", how="semi")', ["join"]),
        ('a.join(b, on="id", maintain_order="left")', []),
        ('", ".join(names); process.join(timeout=3); path.join("a", "b"); Breaths.join(parts)', []),
        ('a.group_by("k").sum().filter(x)', ["group_by"]),
        ('a.group_by("k").len().sort("k")', []),
        ("a.unique().to_list(); a.unique().sort(); a.unique().is_in(b).sum(); np.unique(x)", ["unique"]),
        ("a.value_counts(sort=True)", ["value_counts"]),
    ],
)
def test_the_reader_finds_what_promises_no_order(source: str, found: list[str]) -> None:
    assert [name for _, name in unordered_calls(source)] == found


def test_no_result_depends_on_an_order_that_polars_does_not_promise() -> None:
    assert len(FILES) > 100
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}" for path in FILES for line, name in unordered_calls(path.read_text())
    ]
    assert not found, "name maintain_order, or sort in the same chain"
