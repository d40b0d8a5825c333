#!/usr/bin/env bash
# DuckDB's date_diff('week', ...) from Sunday to Monday is 0: alone of all units, weeks are spans of seven days, not boundaries.
#
# One would expect: "the number of partition boundaries between the timestamps" (duckdb_functions() and its docs), as it is for a year,
# quarter, month, day and hour: from 31 December to 1 January one year. Weeks begin on Monday (date_trunc, week() and the
# docs), so that from a Sunday to the next day is one week, as it is in Snowflake, and as is date_trunc's difference.
# What happens (duckdb 2.0.1): a week is the days between the two, divided by seven, rounded towards zero; of DATE and TIMESTAMP.
# That is what date_sub gives, which differs for every other unit. Of random pairs of days, three in seven are a week short of
# date_trunc's count. Version 1.0 counted Mondays; changed in 2024 (github.com/duckdb/duckdb/pull/13637), the docs stayed.
# Why it matters to a pipeline of series: date_diff is the usual number of a step (weeks since the first sale), date_trunc the
# usual key of groups. Two sales of one calendar week then have different numbers where the first day of their series
# was no Monday, weekly lags join rows of different weeks, and series that begin on other weekdays are shifted by a step.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check duckdb==2.0.1
cat >"$folder/look.py" <<'PYTHON'
import duckdb

for part, begin, end in (
    ("year", "2024-12-31", "2025-01-01"),
    ("quarter", "2024-03-31", "2024-04-01"),
    ("month", "2024-01-31", "2024-02-01"),
    ("week", "2024-01-07", "2024-01-08"),  # Sunday to Monday
    ("day", "2024-01-07 23:59", "2024-01-08 00:00"),
    ("hour", "2024-01-07 22:59", "2024-01-07 23:00"),
):
    times = f"TIMESTAMP '{begin}', TIMESTAMP '{end}'"
    counts = duckdb.sql(f"SELECT date_diff('{part}', {times}), date_sub('{part}', {times})").fetchall()[0]
    print(f"{part}: date_diff {counts[0]}, date_sub {counts[1]}")
days = "SELECT week(DATE '2024-01-07'), week(DATE '2024-01-08'), date_diff('week', DATE '2024-01-07', DATE '2024-01-08')"
print("weeks of the year and date_diff of dates:", *duckdb.sql(days).fetchall()[0])
pairs = """
    SELECT DATE '2024-01-01' + a::INT AS first, DATE '2024-01-01' + a::INT + b::INT AS last
    FROM range(700) x(a), range(700) y(b)"""
short = f"""
    SELECT (date_trunc('week', last)::DATE - date_trunc('week', first)::DATE) // 7 - date_diff('week', first, last) AS short,
        count(*) / 490000 FROM ({pairs}) GROUP BY ALL ORDER BY ALL"""
for row in duckdb.sql(short).fetchall():
    print(f"weeks that date_diff has less than date_trunc: {row[0]}, share of pairs: {row[1]:.3f}")
sales = """
    SELECT strftime(d, '%a %d'), date_diff('week', DATE '2024-01-04', d)
    FROM (VALUES (DATE '2024-01-08'), ('2024-01-10'), ('2024-01-11'), ('2024-01-14')) s(d) ORDER BY d"""
print("weeks since Thu 04, of days of one week:", *(f"{day}: {week}" for day, week in duckdb.sql(sales).fetchall()))
PYTHON
found=$("$folder/venv/bin/python" "$folder/look.py")
echo "duckdb 2.0.1:"
echo "$found"
expected='year: date_diff 1, date_sub 0
quarter: date_diff 1, date_sub 0
month: date_diff 1, date_sub 0
week: date_diff 0, date_sub 0
day: date_diff 1, date_sub 0
hour: date_diff 1, date_sub 0
weeks of the year and date_diff of dates: 1 2 0
weeks that date_diff has less than date_trunc: 0, share of pairs: 0.571
weeks that date_diff has less than date_trunc: 1, share of pairs: 0.429
weeks since Thu 04, of days of one week: Mon 08: 0 Wed 10: 0 Thu 11: 1 Sun 14: 1'
[ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
