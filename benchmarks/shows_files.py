"""The files of benchmarks/shows.py: real data out of wheels, laid out as competitions have them.

    python benchmarks/shows_files.py NAME FOLDER TRUTH    the competition into FOLDER, the answers of test into TRUTH

Run in an environment of its own; nothing of foldline here. What the wheels do not have is made from fixed seeds: gaps,
flags and sample submissions.
"""

import csv
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path

Rows = Iterable[Sequence[object]]
SEED = 0
GAPS = 0.05  # share of days on which a gauge was out of order, and of those without wind
TEST_YEAR = "2015"
HORIZON = 6  # years that M1 asked for


def write(path: Path, head: Sequence[str], rows: Rows) -> None:
    """Write a CSV file, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(head)
        writer.writerows(rows)


def vowels(folder: Path, truth: Path) -> None:
    """JapaneseVowels: a file an utterance, of 7 to 29 frames; who speaks stands in a table beside them."""
    import aeon.datasets._single_problem_loaders as loaders

    for part in ("train", "test"):
        series, speakers = loaders.load_japanese_vowels(split=part)
        names = [f"{part}_{number:04}" for number in range(len(series))]
        head = ["frame", *(f"lpc{number}" for number in range(1, 1 + series[0].shape[0]))]
        for name, values in zip(names, series, strict=True):
            frames = [[frame, *map(float, row)] for frame, row in enumerate(values.T)]
            write(folder / part / f"{name}.csv", head, frames)
        answers = [(name, f"speaker {speaker}") for name, speaker in zip(names, speakers, strict=True)]
        write(folder / "speakers.csv" if part == "train" else truth, ("utterance", "speaker"), answers)
    sample = [(name, "speaker 1") for name in names]
    write(folder / "sample_submission.csv", ("utterance", "speaker"), sample)


def seattle(folder: Path, truth: Path) -> None:
    """Seattle's weather: a row a day, named by its date; how warm was it? The last of four years is test."""
    import vega_datasets

    path = Path(vega_datasets.__file__).parent / "_data" / "seattle-weather.csv"
    with path.open(encoding="utf-8") as stream:
        days = [weather_of(day, chance) for chance in [random.Random(SEED)] for day in csv.DictReader(stream)]
    asked = ["date", "month", "weekend", "gauge_works", "precipitation", "temp_min", "wind", "weather"]
    test = [day for day in days if day["date"].startswith(TEST_YEAR)]
    for name, columns, chosen in (
        ("train", [*asked, "temp_max"], [day for day in days if day not in test]),
        ("test", asked, test),
    ):
        write(folder / f"{name}.csv", columns, [[day[column] for column in columns] for day in chosen])
    write(folder / "sample_submission.csv", ("date", "temp_max"), [(day["date"], 0) for day in test])
    answer = ("date", "month", "temp_max")
    write(truth, answer, [[day[column] for column in answer] for day in test])


def weather_of(day: dict[str, str], chance: random.Random) -> dict[str, str]:
    """Give a day its month, two flags, and the gaps: rain where the gauge is out of order, wind now and then."""
    year, month, number = map(int, day["date"].split("/"))
    works = chance.random() >= GAPS
    return day | {
        "month": f"{year}-{month:02}",
        "weekend": str(date(year, month, number).weekday() >= 5),
        "gauge_works": str(works),
        "precipitation": day["precipitation"] if works else "",
        "wind": day["wind"] if chance.random() >= GAPS else "",
    }


def m1(folder: Path, truth: Path) -> None:
    """M1 yearly: 181 series of 15 to 58 years; the last six years of each are test, as the competition asked."""
    import aeon.datasets

    path = Path(aeon.datasets.__file__).parent / "data" / "m1_yearly_dataset" / "m1_yearly_dataset.tsf"
    lines = path.read_text(encoding="utf-8").partition("@data\n")[2].split("\n")
    past, future = [], []
    for name, start, values in (line.split(":") for line in lines if line):
        rows = [(name, int(start[:4]) + number, value) for number, value in enumerate(values.split(","))]
        past += rows[:-HORIZON]
        future += rows[-HORIZON:]
    write(folder / "train.csv", ("series", "year", "value"), past)
    write(folder / "test.csv", ("row", "series", "year"), [(row, *each[:2]) for row, each in enumerate(future)])
    write(folder / "sample_submission.csv", ("row", "value"), [(row, 0) for row in range(len(future))])
    write(truth, ("row", "series", "value"), [(row, each[0], each[2]) for row, each in enumerate(future)])


MAKERS: dict[str, Callable[[Path, Path], None]] = {"vowels": vowels, "seattle": seattle, "m1": m1}


if __name__ == "__main__":
    MAKERS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
