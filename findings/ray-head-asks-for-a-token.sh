#!/usr/bin/env bash
# A Ray head asks for a token because an earlier ray.init() has made one, and its own user is refused on the same machine.
#
# One would expect: `ray start --head`, then `ray start --address` and ray.init(address) by the same user on the same machine
# join, whatever was run before; or that whoever starts the head with a token also joins with it, as the token's file is read
# by both.
# What happens (Ray 2.60.0): ray.init() without an address starts a cluster with a token and leaves it in ~/.ray/auth_token.
# From then on `ray start --head` asks for that token, without an option, where RAY_AUTH_MODE is not set. Who joins does not
# look for the file: ray.init(address) tries for 20 s and raises ConnectionError "Failed to connect to Ray cluster", without a
# word about a token, which only lines of its log on standard error have ("InvalidAuthToken"). With RAY_AUTH_MODE=token it joins.
# Why it matters to a pipeline of series: cells were trained on one machine first, then on several by the same commands, and
# these stop working, with an error that sends one to look at the network.
#
# Installs pinned packages into a temporary folder, which is HOME meanwhile; starts a head at a free port, and ends it.
# Takes about a minute. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d /tmp/ray-token.XXXX) # short: Ray puts sockets into it, whose paths have at most 107 characters
head=''
leave() {
    [ -z "$head" ] || kill "$head" 2>/dev/null || true # a head with --block ends what it has started
    wait
    rm -rf "$folder"
}
trap leave EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check ray==2.60.0
cat >"$folder/look.py" <<'PYTHON'
import logging
import sys

import ray

small = {"num_cpus": 1, "object_store_memory": 80_000_000} if sys.argv[1] == "local" else {}
try:
    ray.init(address=sys.argv[1], logging_level=logging.ERROR, log_to_driver=False, **small)
    print("joined")
except Exception as error:
    print(f"{type(error).__name__}, a word about a token: {'token' in str(error).lower()}")
PYTHON
unset RAY_AUTH_MODE RAY_AUTH_TOKEN RAY_AUTH_TOKEN_PATH RAY_ADDRESS
export HOME="$folder" RAY_USAGE_STATS_ENABLED=0 RAY_TMPDIR="$folder"
look() { "$folder/venv/bin/python" "$folder/look.py" "$1" 2>"$folder/log" || true; }

local=$(look local)
[ -s "$HOME/.ray/auth_token" ] && made=yes || made=no
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/ray" start --head --block --port="$port" --num-cpus=1 --object-store-memory=80000000 \
    --include-dashboard=false >"$folder/head.log" 2>&1 &
head=$!
for _ in $(seq 60); do
    grep -q "runtime started" "$folder/head.log" && break || sleep 1
done
without=$(look "127.0.0.1:$port")
grep -q InvalidAuthToken "$folder/log" && logged=yes || logged=no
with=$(RAY_AUTH_MODE=token look "127.0.0.1:$port")
found="ray.init() of a cluster of its own: $local; ~/.ray/auth_token made: $made
ray.init(address) of a head started then: $without; InvalidAuthToken in the log: $logged
the same with RAY_AUTH_MODE=token: $with"
echo "Ray 2.60.0:" && echo "$found"
expected='ray.init() of a cluster of its own: joined; ~/.ray/auth_token made: yes
ray.init(address) of a head started then: ConnectionError, a word about a token: False; InvalidAuthToken in the log: yes
the same with RAY_AUTH_MODE=token: joined'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
