#!/usr/bin/env bash
# Makes the README's pictures from the latest quickstart. Needs Chromium (on Debian: apt install chromium).
#
#     ./run.sh train && docs/pictures/make.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
page="$here/../../runs/quickstart/latest/report.html"
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
"$(command -v chromium || command -v chromium-browser || command -v google-chrome)" --headless --no-sandbox \
    --disable-gpu --no-first-run --disable-background-networking --user-data-dir="$profile" --hide-scrollbars \
    --window-size=1100,1500 --screenshot="$here/report.png" "file://$page"
