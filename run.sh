#!/usr/bin/env bash
# Runs foldline: sets up its environment where that is needed, then runs a verb.
#
#     ./run.sh                    # the verbs, by job
#     ./run.sh train              # the quickstart; from any folder, also through a symlink
#
# Which Python runs it, the first that fits:
#   1. on Kaggle and Colab the image's own: never a new environment, never another torch; what it lacks is listed
#   2. an active venv or conda environment that meets pyproject.toml, used as it is
#   3. .venv beside this file: made, and brought up to date whenever pyproject.toml or constraints.txt change
# FOLDLINE_PYTHON=python3.12 asks for a .venv of that Python, FOLDLINE_EXTRAS=ray,kaggle for optional packages in it; it
# remembers both until they are given again. Written for bash 3.2, which is what macOS has.

[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # `sh run.sh` works too
set -euo pipefail
unset PYTHONDONTWRITEBYTECODE # without byte code torch, polars and wandb take 9 s to import, with it 3 s

say() { printf 'foldline: %s\n' "$*" >&2; }
die() { say "$*" && exit 2; }

repository() { # the folder of this file, symlinks followed (`readlink -f` came to macOS with 12.3)
    local file="$1" target
    while [ -L "$file" ]; do
        target=$(readlink "$file")
        case "$target" in /*) file="$target" ;; *) file="$(dirname "$file")/$target" ;; esac
    done
    CDPATH='' cd -P -- "$(dirname "$file")" && pwd
}

# ---------------------------------------------------------------- 1 and 2: somebody else's Python

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; } # a pyenv shim may exist and fail

lacks() { # PYTHON: lists what pyproject.toml requires and PYTHON does not have; fails where that is anything
    "$1" -P "$ROOT/src/foldline/core/requirements.py" "$ROOT/pyproject.toml" $verb_extras
}

hosted() { [ -n "${KAGGLE_KERNEL_RUN_TYPE:-}${COLAB_RELEASE_TAG:-}" ] || [ -d /kaggle/working ]; }

use_image() {
    local missing
    PYTHON="${FOLDLINE_PYTHON:-python3}"
    recent "$PYTHON" || die "needs Python 3.11 or newer, but this image's '$PYTHON' is not. Take a newer image."
    missing=$(lacks "$PYTHON") || die "this image's packages are used as they are, but it lacks
$missing
Install those with pip (never torch: take a newer image instead), or offline from what \`./run.sh bundle\` packed."
}

use_active() { # fails unless an environment is active, is not our own, and meets pyproject.toml
    local prefix="${VIRTUAL_ENV:-${CONDA_PREFIX:-}}"
    [ -n "$prefix" ] && [ -z "${FOLDLINE_PYTHON:-}" ] && [ ! "$prefix" -ef "$VENV" ] || return 1
    PYTHON="$prefix/bin/python"
    lacks "$PYTHON" >/dev/null 2>&1
}

# ---------------------------------------------------------------- 3: .venv

# none: there is no healthy .venv; stale: it needs other packages; current. The stamp says what it was made from, and is
# compared without starting Python. A moved checkout needs a new .venv: the paths inside it are the old ones.
read_state() {
    local made_root='' made_python='' made_extras='' made_sum=''
    if [ -f "$STAMP" ]; then
        { read -r made_root && read -r made_python && read -r made_extras && read -r made_sum; } <"$STAMP" || true
    fi
    want_python="${FOLDLINE_PYTHON-$made_python}"
    want_extras="${FOLDLINE_EXTRAS-$made_extras}"
    want_sum=$(cat "$ROOT/pyproject.toml" "$ROOT/constraints.txt" | cksum)
    state=current
    [ "$made_extras:$made_sum" = "$want_extras:$want_sum" ] || state=stale
    [ ! -f "$STAMP" ] || [ "$made_root:$made_python" = "$ROOT:$want_python" ] || state=none
    [ -x "$VENV/bin/python" ] && [ ! -e "$MARKER" ] || state=none
}

set_up() {
    local python started=$SECONDS
    [ -w "$ROOT" ] && [ -w "$ROOT/pyproject.toml" ] || die "cannot write to $ROOT, where .venv belongs. Clone to a" \
        "folder of your own, or activate an environment that meets pyproject.toml."
    python=$(find_python)
    lock "$python"
    read_state
    [ "$state" != current ] || { exec 9>&- && return 0; } # another call set it up while this one waited
    trap 'exit 130' INT
    case "$state" in
    none) say "setting up .venv (10 to 30 s; minutes where torch's CUDA build has to be downloaded) ..." ;;
    stale) say "bringing .venv up to date ..." ;;
    esac
    build "$python" || give_up
    exec 9>&- # unlock
    say "set up in $((SECONDS - started)) s."
}

find_python() { # the newest that was tested, else whatever python3 is
    local candidate
    for candidate in ${want_python:+"$want_python"} python3.13 python3.12 python3.11 python3; do
        if recent "$candidate"; then echo "$candidate" && return; fi
        [ "$candidate" != "$want_python" ] || die "FOLDLINE_PYTHON must be Python 3.11 or newer; '$candidate' is not."
    done
    die "needs Python 3.11 or newer, but python3 is $(python3 --version 2>/dev/null || echo missing)." \
        "Install one, or say where it is: FOLDLINE_PYTHON=/path/to/python3.12 ./run.sh"
}

lock() { # flock(2) stays with descriptor 9 of this shell, so Python may take it for us: macOS has no flock command
    exec 9<>"$ROOT/pyproject.toml"
    "$1" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null && return
    say "waiting for another set-up of this checkout ..."
    "$1" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' || die "cannot lock $ROOT/pyproject.toml on this file system."
}

build() { # a killed set-up leaves the marker behind, and the next one starts afresh; the stamp comes last, by rename
    touch "$MARKER" || return
    if [ "$state" = none ] || ! recent "$VENV/bin/python"; then
        rm -rf "$VENV" && "$1" -m venv --without-pip "$VENV" || return # Debian's Python may have no ensurepip
    fi
    (trap 'exit 130' INT && install "$1") || return # a subshell: what it exports for uv stays in it
    printf '%s\n' "$ROOT" "$want_python" "$want_extras" "$want_sum" >"$STAMP.new" || return
    mv "$STAMP.new" "$STAMP" && rm "$MARKER"
}

install() { # uv takes 2 s with a warm cache, pip over a minute. Extra dev costs nothing, and `./run.sh test` works.
    local what="${ROOT}[dev${want_extras:+,$want_extras}]" uv pip pip_settings=''
    uv=$(command -v "$VENV/bin/uv" || command -v uv || true)
    find_pip "$1" || die "there is neither uv nor pip (on Debian: apt install python3-pip)."
    if [ -z "$uv" ] && "${pip[@]}" install -qq 'uv>=0.5,<1'; then uv="$VENV/bin/uv"; fi
    if [ -n "$uv" ]; then
        install_with_uv "$uv" pip install --python "$VENV/bin/python" -c "$ROOT/constraints.txt" -e "$what"
    else
        say "uv cannot be had; installing with pip, which takes one to two minutes ..."
        "${pip[@]}" install -qq -c "$ROOT/constraints.txt" -e "$what"
    fi
}

find_pip() { # the pip of the Python that makes .venv, which knows its settings, else the one that Python carries
    export PIP_DISABLE_PIP_VERSION_CHECK=1
    pip=("$1" -m pip --python "$VENV/bin/python")
    if pip_settings=$("$1" -m pip config list 2>/dev/null); then return; fi
    pip=("$VENV/bin/python" -m pip)
    [ -n "$uv" ] || "$VENV/bin/python" -m ensurepip >/dev/null 2>&1
}

install_with_uv() {
    [ -t 2 ] || set -- "$@" --quiet # a terminal gets uv's progress bars
    hand_pip_settings_to_uv
    # PyPI's torch for Linux brings gigabytes of CUDA; `auto` takes the build for this driver, or the one for CPUs.
    case "$OSTYPE:${UV_TORCH_BACKEND:-}${UV_FIND_LINKS:-}${UV_DEFAULT_INDEX:-}${UV_INDEX:-}" in
    linux*:)
        UV_TORCH_BACKEND=auto "$@" && return
        say "that did not work; once more, with PyPI's own torch ..."
        ;;
    esac
    "$@"
}

hand_pip_settings_to_uv() { # uv reads none of them, and a private index or a folder of wheels matters to both
    export_unset UV_FIND_LINKS "$(setting find-links | tr ' ' ,)"
    export_unset UV_DEFAULT_INDEX "$(setting index-url)"
    export_unset UV_INDEX "$(setting extra-index-url)"
    export_unset SSL_CERT_FILE "$(setting cert)"
    [ -z "${UV_INDEX:-}" ] || export_unset UV_INDEX_STRATEGY unsafe-best-match # pip takes the best of all its indexes
}

export_unset() { [ -z "$2" ] || [ -n "${!1:-}" ] || export "$1=$2"; } # what is set for uv already stays

setting() { # from `pip config list`: the first line of a name counts (:env: comes before global)
    sed -n "/^[a-z:]*\.$1='/{s/^[^']*'\(.*\)'\$/\1/;s/\\\\n/ /g;s/^ *//;p;q;}" <<<"$pip_settings"
}

give_up() {
    local free_mb=$(($(df -Pk "$ROOT" | awk 'NR == 2 { print $4 }') / 1024))
    [ "$free_mb" -ge 2048 ] || die "set-up failed: the disk of $ROOT has $free_mb MB free, and .venv needs about 2,000."
    die "set-up failed (the reason is above). The next call starts it afresh."
}

# ---------------------------------------------------------------- the run

case "${OSTYPE:-}" in
msys* | cygwin* | win32*) die "runs on Linux, macOS and WSL, not on Windows itself: call it in a WSL shell." ;;
esac

ROOT=$(repository "${BASH_SOURCE[0]}")
VENV="$ROOT/.venv"
STAMP="$VENV/foldline-stamp"
MARKER="$ROOT/.installing"
case "${1:-}" in test | lint) verb_extras=dev ;; *) verb_extras='' ;; esac

if hosted; then
    use_image
elif ! use_active; then
    PYTHON="$VENV/bin/python"
    read_state
    [ "$state" = current ] || set_up
fi
# Nothing is installed into an environment that is not ours, this package neither.
[ "$PYTHON" = "$VENV/bin/python" ] || export PYTHONPATH="$ROOT/src${PYTHONPATH:+:$PYTHONPATH}"

export FOLDLINE_HOME="$ROOT"
exec "$PYTHON" -P -m foldline "$@" # -P: a models/ or types.py in the caller's folder does not shadow ours
