"""docs/zoo.md is what the registries and docstrings say; scores come from the fullest finished study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import zoo
from benchmarks.zoo import Entry, Scores

HOME = Path(__file__).parents[2]
ENTRIES = {entry.file: entry for entry in zoo.entries()}


def write(runs: Path, folder: str, simulated: bool, scores: dict[str, float]) -> None:
    design = {"study": "study-x", "simulated": simulated, "series": 1500, "parameters": 60_000, "metric": "mae"}
    systems = [{"name": name, "score": score} for name, score in scores.items()]
    command = "./run.sh study study-x data.source=/where/ever study.seeds=[1]"
    study: dict[str, Any] = {"command": command, "design": design, "systems": systems}
    path = runs / "study-x" / folder / "study.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(study))


def test_every_block_and_model_has_a_test_of_its_own_that_exists() -> None:
    assert set(zoo.SPECIAL) == set(ENTRIES)
    for test in zoo.SPECIAL.values():
        file, name = test.split("::")
        assert f"def {name}(" in (HOME / "tests" / "models" / file).read_text(encoding="utf-8"), test


def test_the_page_is_up_to_date_but_for_what_was_measured() -> None:
    rows = (HOME / zoo.PAGE).read_text(encoding="utf-8").splitlines()
    for entry in ENTRIES.values():
        wanted = "| " + " | ".join(zoo.fixed(entry)) + " | "
        assert any(row.startswith(wanted) for row in rows), f"{entry.file}: run `./run.sh bench zoo`"
    assert len([row for row in rows if row.startswith("| [")]) == len(ENTRIES)


@pytest.mark.parametrize(
    ("about", "link"),
    [
        ("A. Source: Bai et al. 2018, https://x.org/1.2 (section 3). B", "[Bai et al. 2018](https://x.org/1.2)"),
        ("A. Sources: Lim & Li 2014, https://x.org/1: a; Wu 2016, https://x.org/2", "[Lim & Li 2014](https://x.org/1)"),
        ("A. Source: the 1st-place team, network B (all of it).", "the 1st-place team, network B"),
        ("A block of our own.", "-"),
    ],
)
def test_the_first_source_is_found(about: str, link: str) -> None:
    assert zoo.source(about) == link


def test_the_fullest_study_counts_and_a_shared_name_is_the_block(tmp_path: Path) -> None:
    write(tmp_path, "a", True, {"ES-RNN": 0.5, "WaveNet": 0.25, "TFT": 0.3})
    write(tmp_path, "b", True, {"ES-RNN": 0.1, "TFT": 0.1})
    write(tmp_path, "c", False, {"residual bi-LSTM": 0.2})
    simulated, real = zoo.finished(tmp_path)
    assert (simulated.title, real.title) == ("simulated", "real")
    command = "./run.sh study study-x data.source=DIR study.seeds=[1]"
    assert simulated.about == f"mae of 3 systems of 60,000 parameters on 1,500 series: `{command}`"

    def score(file: str) -> list[str]:
        return [zoo.scored(ENTRIES[file], study) for study in (simulated, real)]

    assert score("systems/esrnn") == ["0.5000", "-"] and score("blocks/residual_bilstm") == ["-", "0.2000"]
    assert score("blocks/wavenet") == ["0.2500", "-"] and score("systems/autoregressive_wavenet") == ["-", "-"]
    assert zoo.finished(tmp_path / "none") == []


def test_scores_of_a_study_that_ran_elsewhere_stay_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "milliseconds", lambda entry: "1")
    real = Scores(title="real", about="mae of 2 systems: `study`", scores={"esrnn": 0.5, "wavenet": 0.25})
    simulated = Scores(title="simulated", about="mae of others: `study x`", scores={"tft": 0.125})
    assert zoo.on_page(zoo.page([simulated, real])) == [simulated, real]
    assert zoo.on_page(zoo.page([])) == []


def test_a_small_entry_is_measured_and_rows_have_no_networks_to_measure() -> None:
    lightgbm: Entry = ENTRIES["systems/lightgbm"]
    assert int(zoo.milliseconds(ENTRIES["blocks/time2vec"])) >= 0 and zoo.milliseconds(lightgbm) == "-"
