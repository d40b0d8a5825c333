"""Find where Kaggle's credentials are, without importing its package and without showing them.

The places are those that the package reads, in its order: https://github.com/Kaggle/kaggle-api
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from foldline.core.errors import UserError

TOKENS = "https://www.kaggle.com/settings/api"


def found() -> str:
    """Return the variable or file that holds complete credentials; empty where there are none."""
    if os.environ.get("KAGGLE_API_TOKEN"):
        return "KAGGLE_API_TOKEN"
    for name in ("access_token", "access_token.txt"):
        if _has_text(Path("~/.kaggle").expanduser() / name):
            return f"~/.kaggle/{name}"
    if os.environ.get("KAGGLE_USERNAME") and os.environ.get("KAGGLE_KEY"):
        return "KAGGLE_USERNAME and KAGGLE_KEY"
    if {"username", "key"} <= _json(key_file()).keys():
        return str(key_file())
    oauth = Path("~/.kaggle/credentials.json").expanduser()
    return "~/.kaggle/credentials.json" if "refresh_token" in _json(oauth) else ""


def require() -> str:
    """Return where the credentials are.

    Raises:
        UserError: there are none, or only a part of them; it names what is missing.
    """
    source = found()
    if source:
        return source
    raise UserError(
        f"Kaggle's credentials are needed, but {_lacking()}. Make a token at {TOKENS}, then "
        f"`export KAGGLE_API_TOKEN=...`, or save it as ~/.kaggle/access_token (kaggle.json as {key_file()} works, too)."
    )


def username() -> str:
    """Return the account's name where a variable or kaggle.json gives it; empty otherwise."""
    named = os.environ.get("KAGGLE_USERNAME") or _json(key_file()).get("username", "")
    return str(named)


def key_file() -> Path:
    """Return where kaggle.json is expected."""
    named = os.environ.get("KAGGLE_CONFIG_DIR")
    folder = Path(named or "~/.kaggle").expanduser()
    if not named and sys.platform.startswith("linux") and not folder.exists():
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "kaggle"
    return folder / "kaggle.json"


def _lacking() -> str:
    """Describe what is missing."""
    for there, missing in (("KAGGLE_USERNAME", "KAGGLE_KEY"), ("KAGGLE_KEY", "KAGGLE_USERNAME")):
        if os.environ.get(there) and not os.environ.get(missing):
            return f"{there} is set and {missing} is not"
    path = key_file()
    if path.exists():
        return f"{path} is no JSON file with username and key"
    return f"neither KAGGLE_API_TOKEN nor KAGGLE_USERNAME and KAGGLE_KEY is set, and {path} is not there"


def _has_text(path: Path) -> bool:
    try:
        return bool(path.read_text(encoding="utf-8").strip())
    except OSError:
        return False


def _json(path: Path) -> dict[str, object]:
    """Read the file's table; empty where it is missing, unreadable or no table."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
