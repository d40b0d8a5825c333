"""files: CSV and Parquet, resuming, errors; check: what it finds and what it doesn't."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from decoder_handmade import clock, frame, pressures, u_in

from ventilator.decoder import decode, decode_file, file_decoding, state
from ventilator.decoder.check import bends, disagreements, main, rounded


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    breaths = []
    for i in range(1, 8):
        (t, tau_0), k = clock(i), pressures(i, low=60, high=300)
        breaths.append(frame(u_in(k, t, tau_0, (0.3, 4.0, 30.0), integral=5.01234567890 + i / 7), t, breath_id=i))
    return pl.concat(breaths)


def write(table: pl.DataFrame, path: Path) -> Path:
    table.write_csv(path) if path.suffix == ".csv" else table.write_parquet(path)
    return path


@pytest.mark.parametrize("source", ["in.csv", "in.parquet"])
@pytest.mark.parametrize("target", ["out.csv", "deep/out.parquet"])
def test_a_file_gives_the_rows_of_its_frame(table: pl.DataFrame, tmp_path: Path, source: str, target: str) -> None:
    out, done = tmp_path / target, []
    src = write(table, tmp_path / source)
    rows = decode_file(src, out, progress=lambda d, n: done.append((d, n)), chunk_breaths=3)
    assert rows.equals(decode(table))
    written = pl.read_csv(out) if out.suffix == ".csv" else pl.read_parquet(out)
    assert written.equals(rows)
    assert done == [(3, 7), (6, 7), (7, 7)]
    assert [path.name for path in out.parent.iterdir() if path.name.startswith(".")] == []


def dying_at(call: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have the decoder interrupted at its nth call; return the rows of each call, as they come."""
    calls: list[int] = []

    def dies(chunk: pl.DataFrame) -> pl.DataFrame:
        calls.append(len(chunk))
        if len(calls) == call:
            raise KeyboardInterrupt
        return decode(chunk)

    monkeypatch.setattr(file_decoding, "decode", dies)
    return calls


def test_a_killed_run_goes_on(table: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    src, out = write(table, tmp_path / "in.csv"), tmp_path / "out.csv"
    calls = dying_at(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        decode_file(src, out, chunk_breaths=2)
    assert not out.exists()
    rows = decode_file(src, out, chunk_breaths=2)
    assert calls == [160, 160, 160, 160, 80]  # the third again, none of the first two
    assert rows.equals(decode(table))


@pytest.mark.parametrize("damage", ["one byte", "cut off"])
def test_a_part_that_is_not_as_it_was_written_is_decoded_again(
    table: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    src, out, whole = write(table, tmp_path / "in.csv"), tmp_path / "out.parquet", tmp_path / "whole.parquet"
    decode_file(src, whole, chunk_breaths=2)
    calls = dying_at(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        decode_file(src, out, chunk_breaths=2)
    (part,) = tmp_path.glob(".*.parts/000001-*.parquet")
    content = bytearray(part.read_bytes())
    content[40] ^= 1
    part.write_bytes(content if damage == "one byte" else content[:-20])
    decode_file(src, out, chunk_breaths=2)
    assert calls == [160, 160, 160, 160, 160, 80]  # the second and the third again, not the first
    assert out.read_bytes() == whole.read_bytes() and list(tmp_path.glob(".*")) == []


def test_rows_of_a_breath_may_lie_anywhere(table: pl.DataFrame, tmp_path: Path) -> None:
    mixed = table.sample(fraction=1, shuffle=True, seed=0)
    rows = decode_file(write(mixed, tmp_path / "in.parquet"), tmp_path / "out.parquet", chunk_breaths=3)
    chunks = [mixed.filter(pl.col("breath_id").is_in(ids)) for ids in ([1, 2, 3], [4, 5, 6], [7])]
    assert rows.equals(pl.concat(map(decode, chunks))) and rows.sort("id").equals(decode(table).sort("id"))


def test_a_damaged_file_is_refused_and_leaves_nothing(table: pl.DataFrame, tmp_path: Path) -> None:
    src = write(table, tmp_path / "in.parquet")
    content = bytearray(src.read_bytes())
    content[4:2000] = bytes(1996)
    src.write_bytes(content)
    with pytest.raises(ValueError, match=r"in\.parquet is damaged or cut short"):
        decode_file(src, tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


def test_a_disk_that_is_full_keeps_the_parts_and_no_half_of_the_rows(
    table: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    src, out = write(table, tmp_path / "in.csv"), tmp_path / "out.csv"
    calls = dying_at(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        decode_file(src, out, chunk_breaths=4)

    def full(frame: pl.LazyFrame, path: Path, **_: object) -> None:
        path.write_bytes(b"half")
        raise pl.exceptions.ComputeError("No space left on device (os error 28)")

    with monkeypatch.context() as patch, pytest.raises(pl.exceptions.ComputeError):
        patch.setattr(pl.LazyFrame, "sink_ipc", full)
        decode_file(src, out, chunk_breaths=4)
    assert len(list(tmp_path.glob(".*.parts/*"))) == 1
    decode_file(src, out, chunk_breaths=4)
    assert calls == [320, 240, 240]


def test_a_changed_source_starts_anew(table: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    src, out = write(table, tmp_path / "in.csv"), tmp_path / "out.csv"
    calls = dying_at(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        decode_file(src, out, chunk_breaths=4)
    write(table.head(320), src)
    assert decode_file(src, out, chunk_breaths=4).equals(decode(table.head(320)))
    assert calls == [320, 240, 320]
    assert list(tmp_path.glob(".*")) == []


def test_an_empty_file_gives_an_empty_output(table: pl.DataFrame, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert len(decode_file(write(table.head(0), tmp_path / "in.csv"), out)) == 0
    assert pl.read_csv(out).columns == ["id", "pressure", "kind", "kp", "ki", "kt"]


@pytest.mark.parametrize(("damage", "said"), [(",,", "u_in, but row 3 has none"), (";", "u_out, but row 3 has none")])
def test_a_row_that_lacks_a_value_is_refused_before_anything_is_written(
    table: pl.DataFrame, tmp_path: Path, damage: str, said: str
) -> None:
    columns = ["id", "breath_id", "R", "C", "time_step", "u_in", "u_out"]
    lines = write(table.select(columns), tmp_path / "in.csv").read_text().splitlines()
    cells = lines[3].split(",")
    lines[3] = ",".join([*cells[:5], "", cells[6]]) if damage == ",," else lines[3].replace(",", damage, 1)
    (tmp_path / "in.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=said):
        decode_file(tmp_path / "in.csv", tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_errors_name_the_file(table: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no .*nothing\.csv"):
        decode_file(tmp_path / "nothing.csv", tmp_path / "out.csv")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(ValueError, match=r"empty\.csv is empty: decoding needs a header and rows"):
        decode_file(tmp_path / "empty.csv", tmp_path / "out.csv")
    src = write(table.drop("u_in"), tmp_path / "in.csv")
    with pytest.raises(ValueError, match=r"in\.csv lacks u_in"):
        decode_file(src, tmp_path / "out.csv")
    with pytest.raises(ValueError, match=r"\.csv and \.parquet files; got .*out\.txt"):
        decode_file(write(table, tmp_path / "in.csv"), tmp_path / "out.txt")


def test_check_finds_nothing_in_a_good_file(
    table: pl.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(write(table, tmp_path / "in.csv"))]) == 0
    assert "0 of 210 shared rows differ" in capsys.readouterr().out
    assert main([str(tmp_path / "nothing.csv")]) == 2


def test_check_finds_a_moved_row(table: pl.DataFrame) -> None:
    good, moved = state(table), state(rounded(table))
    moved.grid[100] += 1
    assert disagreements(good, moved).tolist() == [100]
    assert len(bends(table, good)) == 0
    moved.grid[100] += 800
    assert np.isin(100, bends(table, moved))


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_only_an_older_output_is_replaced(table: pl.DataFrame, tmp_path: Path, name: str) -> None:
    src, out = write(table, tmp_path / "in.csv"), tmp_path / name
    for content in (table.write_csv().encode(), b"id,pressure,kind,kp,ki,kt,more\n", b"\x00\xff"):
        out.write_bytes(content)
        with pytest.raises(ValueError, match="is not overwritten"):
            decode_file(src, out)
        assert out.read_bytes() == content
    with pytest.raises(ValueError, match="is not overwritten"):
        decode_file(src, src)
    out.write_bytes(b"")
    rows = decode_file(src, out)
    assert decode_file(src, out).equals(rows)
    out.unlink()
    out.mkdir()
    with pytest.raises(ValueError, match="is not overwritten"):
        decode_file(src, out)
