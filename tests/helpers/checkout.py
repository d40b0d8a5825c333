"""A small checkout with run.sh in it, and stand-ins for uv, pip and python3: set-up is tested offline, in a second.

The PATH holds only the stand-ins and links to the tools that run.sh may use (TOOLS): a tool that is not on every system
cannot slip in. The venvs are real; the stand-ins install one .pth file, which makes the stub package importable.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = ["awk", "bash", "cat", "cksum", "df", "dirname", "mv", "readlink", "rm", "sed", "sh", "sleep", "touch", "tr"]
PATIENCE_S = 250.0  # longest wait for something that must happen
PYTHON = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]

STUB_MAIN = """
import json, os, sys
variables = {name: os.environ.get(name) for name in ("FOLDLINE_HOME", "PYTHONDONTWRITEBYTECODE", "SSL_CERT_FILE")}
print(json.dumps({"argv": sys.argv[1:], "cwd": os.getcwd(), "prefix": sys.prefix, **variables}))
"""

# Installs by writing the .pth file, and notes how it was called in FAKE_LOG. Before that it takes FAKE_SECONDS, and
# waits for the file FAKE_WAITS: so a test decides what happens in the middle of an installation, on a slow machine too.
FAKE_INSTALLER = f"""#!{PYTHON}
import json, os, sys, time
from pathlib import Path
python = Path(sys.argv[sys.argv.index("--python") + 1])
settings = {{k: v for k, v in os.environ.items() if k.startswith(("UV_", "SSL_"))}}
with open(os.environ["FAKE_LOG"], "a") as log:
    log.write(json.dumps({{"tool": Path(sys.argv[0]).name, "argv": sys.argv[1:], "env": settings}}) + "\\n")
if os.environ.get("FAKE_FAILS", "never") in ("always", settings.get("UV_TORCH_BACKEND")):
    sys.exit("error: the stand-in fails, as the test wants")
time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
while not os.path.exists(os.environ.get("FAKE_WAITS", os.devnull)):
    time.sleep(0.01)
if "-e" in sys.argv:
    link = next(python.parent.parent.glob("lib/python3*/site-packages")) / "foldline.pth"
    link.write_text(sys.argv[sys.argv.index("-e") + 1].rpartition("[")[0] + "/src\\n")
elif os.environ.get("FAKE_FAILS") == "fetching uv":
    sys.exit("error: no uv to be had")
else:
    (python.parent / "uv").symlink_to(Path(sys.argv[0]).parent.parent / "spare" / "uv")
"""

# Is the real Python, but for pip: `pip config list` prints FAKE_PIP_CONFIG, other pip commands are the stand-in's.
FAKE_PYTHON = f"""#!/bin/sh
case "$1 $2 $3" in
"-m pip config") [ -z "$FAKE_NO_PIP" ] && printf '%s\\n' "$FAKE_PIP_CONFIG" ;;
"-m pip "*) shift 2; exec "$(dirname "$0")/pip" "$@" ;;
*) exec '{PYTHON}' "$@" ;;
esac
"""


@dataclass
class Checkout:
    """One checkout in `root`, with its own PATH in `bin`."""

    root: Path
    bin: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def log(self) -> Path:
        return self.bin.parent / "installs.jsonl"

    def start(self, *args: str, run: Path | None = None, cwd: Path | None = None, **env: str) -> subprocess.Popen[str]:
        """Start run.sh in a session of its own, with nothing of the tests' environment."""
        variables = {"PATH": str(self.bin), "HOME": str(self.bin.parent), "FAKE_LOG": str(self.log), **self.env, **env}
        return subprocess.Popen(
            [str(run or self.root / "run.sh"), *args],
            cwd=cwd or self.root,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str, run: Path | None = None, cwd: Path | None = None, **env: str) -> tuple[int, str, str]:
        """Run run.sh; return its exit code, standard output and standard error."""
        process = self.start(*args, run=run, cwd=cwd, **env)
        out, err = process.communicate(timeout=PATIENCE_S)
        return process.returncode, out, err

    def answer(self, *args: str, run: Path | None = None, cwd: Path | None = None, **env: str) -> dict[str, object]:
        """Run run.sh; return what the stub package was called with."""
        code, out, err = self.run(*args, run=run, cwd=cwd, **env)
        assert code == 0, err
        seen: dict[str, object] = json.loads(out)
        return seen

    def installs(self) -> list[dict[str, object]]:
        """List the calls of the stand-ins so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def change(self, file: str) -> None:
        """Add a comment to a file of the checkout."""
        path = self.root / file
        path.write_text(path.read_text() + "# changed\n")

    def without(self, *tools: str) -> None:
        """Take tools from the PATH."""
        for tool in tools:
            (self.bin / tool).unlink()


def make_checkout(folder: Path, name: str = "check out") -> Checkout:
    """Make a checkout under `folder`; its name has a space in it by default."""
    checkout = Checkout(root=folder / name, bin=folder / "bin")
    package = checkout.root / "src" / "foldline"
    package.mkdir(parents=True)
    (package / "core").mkdir()
    for file in ("run.sh", "constraints.txt", "pyproject.toml", "src/foldline/core/requirements.py"):
        shutil.copy2(REPOSITORY / file, checkout.root / file)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(STUB_MAIN)
    _fill_path(checkout.bin, folder / "spare")
    return checkout


def make_environment(prefix: Path, packages: dict[str, str]) -> Path:
    """Make a venv in which the packages seem to be installed in these versions; return its bin/python."""
    subprocess.run([str(PYTHON), "-m", "venv", "--without-pip", str(prefix)], check=True)
    site = next(prefix.glob("lib/python3*/site-packages"))
    for name, version in packages.items():
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return prefix / "bin" / "python"


def _fill_path(folder: Path, spare: Path) -> None:
    folder.mkdir()
    spare.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    for file, text in {
        folder / "uv": FAKE_INSTALLER,
        spare / "uv": FAKE_INSTALLER,
        folder / "pip": FAKE_INSTALLER,
        folder / "python3": FAKE_PYTHON,
    }.items():
        file.write_text(text)
        file.chmod(0o755)
