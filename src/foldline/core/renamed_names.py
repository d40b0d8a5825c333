"""Names that users write and that a release has changed: kind of name -> {old name: new name}.

`errors.unknown` answers an old name with its new one. A later rename is one line here and one in CHANGELOG.md.
The kinds are those that `unknown` is called with: model, kind (of a block or head), key and table (of a config),
metric, scaler, verb, option, ...
"""

from __future__ import annotations

from collections.abc import Container

RENAMED: dict[str, dict[str, str]] = {
    "model": {"winner": "first_place", "third": "third_place"},
}


def new_name(kind: str, name: str, known: Container[str]) -> str | None:
    """Return what `name` is called now; None where it was not renamed, or where the new name is not `known` either.

    The second happens for a key: only the table that has the new key has renamed it.
    """
    new = RENAMED.get(kind, {}).get(name)
    return new if new is not None and new in known else None
