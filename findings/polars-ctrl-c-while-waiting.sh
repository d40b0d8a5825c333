#!/usr/bin/env bash
# polars: once it is imported, Ctrl-C does not end a wait on a lock that has no timeout, nor a read.
#
# One would expect: SIGINT raises KeyboardInterrupt in the main thread at once, whatever it waits for.
# What happens (polars 2.1.0, Linux): the import puts a handler of its own before Python's. It calls Python's, but the
# system goes on with the call that was interrupted, as SA_RESTART asks for; Python raises only when the main thread
# comes back. A sleep, a select and a wait with a timeout do.
# Why it matters: a server that waits for its end in Event().wait() can't be ended by Ctrl-C, with or without a query.
# A wait with a timeout in a loop can; so can anything after signal.signal(signal.SIGINT, signal.default_int_handler).
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check polars==2.1.0
cat >"$folder/look.py" <<'PYTHON'
import signal
import subprocess
import sys
import time

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a script starts with & inherits SIGINT ignored
waits = ("threading.Event().wait()", "os.read(0, 1)", "threading.Event().wait(2)", "time.sleep(60)")
for imported in ("pass", "import polars"):
    for wait in waits:
        code = f"import os, threading, time\n{imported}\nprint('ready', flush=True)\n{wait}"
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with subprocess.Popen([sys.executable, "-c", code], **pipes) as child:
            child.stdout.readline()
            time.sleep(1)
            child.send_signal(signal.SIGINT)
            try:
                child.wait(10)
                print(f"{imported}; {wait}: interrupted")
            except subprocess.TimeoutExpired:
                child.kill()
                print(f"{imported}; {wait}: still waits after 10 s")
PYTHON
found=$("$folder/venv/bin/python" "$folder/look.py")
echo "polars 2.1.0, SIGINT to a process that waits:"
echo "$found"
expected='pass; threading.Event().wait(): interrupted
pass; os.read(0, 1): interrupted
pass; threading.Event().wait(2): interrupted
pass; time.sleep(60): interrupted
import polars; threading.Event().wait(): still waits after 10 s
import polars; os.read(0, 1): still waits after 10 s
import polars; threading.Event().wait(2): interrupted
import polars; time.sleep(60): interrupted'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
