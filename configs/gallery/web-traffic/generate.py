"""Writes a small Web Traffic into a folder: `python configs/gallery/web-traffic/generate.py FOLDER [--shuffled]`

The competition's files of its second stage, names, types and traps (layout.md), with made-up pages. A page has its
level, a slow drift, and days of the week by its project and access; spiders have no week. `--shuffled` deals the days
of all pages out again at random, so that there is nothing to learn.
"""

import hashlib
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

FIRST, LAST, ASKED, END = date(2015, 7, 1), date(2017, 9, 10), date(2017, 9, 13), date(2017, 11, 13)
PROJECTS = [f"{each}.wikipedia.org" for each in ("de", "en", "es", "fr", "ja", "ru", "zh")]
PROJECTS += ["commons.wikimedia.org", "www.mediawiki.org"]
KINDS = [
    ("all-access", "all-agents"),
    ("all-access", "spider"),
    ("desktop", "all-agents"),
    ("mobile-web", "all-agents"),
]
WORDS = ["AKB48", "2NE1", "Main_Page", "Special:Search", "Zürich", "File:Flag_of_the_UN.svg", "大阪市", "Война_и_мир"]
WORDS += ["!vote", '"Weird_Al"_Yankovic', "Cthulhu,_R'lyeh", "404", "Liste_der_Länder", "React_(web)", "100%", "C++"]
PAGES, YOUNG, BLANK = 48, 0.2, 0.01  # share that begins later; share of days that are blank
NOISE = 0.2  # of a day, relative


def write(folder: Path, shuffled: bool = False, seed: int = 0) -> None:
    """Write train_2.csv, key_2.csv and sample_submission_2.csv."""
    rng = np.random.default_rng(seed)
    pages, days = names(rng), [FIRST + timedelta(day) for day in range((LAST - FIRST).days + 1)]
    visits = np.stack([counts(rng, page, len(days)) for page in pages])
    if shuffled:
        visits = rng.permutation(visits.ravel()).reshape(visits.shape)
    born = np.where(rng.uniform(size=len(pages)) < YOUNG, rng.integers(1, len(days) - 200, len(pages)), 0)
    blank = (np.arange(len(days)) < born[:, None]) | (rng.uniform(size=visits.shape) < BLANK)
    columns = {
        str(day): pl.Series(np.where(blank[:, n], np.nan, visits[:, n])).fill_nan(None) for n, day in enumerate(days)
    }
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame({"Page": pages, **columns}).write_csv(folder / "train_2.csv")
    ahead = [str(ASKED + timedelta(day)) for day in range((END - ASKED).days + 1)]
    asked = [f"{page}_{day}" for page in pages for day in ahead]
    key = pl.DataFrame({"Page": asked, "Id": [hashlib.sha256(name.encode()).hexdigest()[:12] for name in asked]})
    key.write_csv(folder / "key_2.csv")
    key.select("Id", Visits=pl.lit(0)).write_csv(folder / "sample_submission_2.csv")


def names(rng: np.random.Generator) -> list[str]:
    """Draw the names of pages: an article, its project, access and agent; each once."""
    drawn: dict[str, None] = {}
    while len(drawn) < PAGES:
        word, project = rng.choice(WORDS), rng.choice(PROJECTS)
        drawn["_".join([str(word), str(project), *KINDS[int(rng.integers(len(KINDS)))]])] = None
    return list(drawn)


def counts(rng: np.random.Generator, page: str, days: int) -> np.ndarray:
    """Draw the visits of each day, (days,) whole numbers; of small pages many are 0."""
    place = int(hashlib.sha256(page.split("_")[-3].encode()).hexdigest(), 16) % 7
    week = np.exp(0.9 * np.cos(2 * np.pi * (np.arange(7) - place) / 7))
    if page.endswith("mobile-web_all-agents"):
        week = week[::-1]
    week = np.ones(7) if page.endswith("spider") else week / week.mean()
    drift = np.cumsum(rng.normal(0, 0.008, days))
    level = rng.lognormal(4.5, 1.8)
    return np.asarray(
        rng.poisson(level * week[np.arange(days) % 7] * np.exp(drift + rng.normal(0, NOISE, days))), float
    )


if __name__ == "__main__":
    if any(Path(sys.argv[1]).glob("*")):
        sys.exit(f"{sys.argv[1]} is not empty, and may hold the competition's own files: name another folder.")
    write(Path(sys.argv[1]), shuffled="--shuffled" in sys.argv[2:])
