"""The zoo in one table: each block and model, its source, its own test, its size, its speed, its scores. Run:

    ./run.sh bench zoo        # writes docs/zoo.md; about a minute on a core

Rows are the registries (models/__init__.py, models/blocks/__init__.py). The source is the first that the file's
docstring names. Sizes and speeds are those of the defaults on 37 features, the 1st place's, and 80 steps; a block is
alone in a hybrid. Scores are those of finished studies in runs/ (./run.sh study), matched by the system's name: '-'
where there is none.
"""

import argparse
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from foldline.core import artefacts, files
from foldline.evidence.study import step_cost
from foldline.evidence.study.step_cost import MeasuredModel
from foldline.fit import network_build
from foldline.fit.train_config import TrainConfig
from foldline.models import MODELS
from foldline.models.blocks import BLOCKS
from foldline.models.contract import Part, Targets
from foldline.run.cells import ModelConfig

FEATURES, LEVELS, TARGETS = 37, (3, 3), Targets(count=1)  # of the ventilator: columns, values of R and of C, pressure
SERIES, STEPS = 8, 80  # of a training step
FORECASTS = {"nhits": {"history": 40, "horizon": 40}}  # read the past of the target: half of the steps
PAGE = "docs/zoo.md"
SPECIAL = {  # file under models/ -> the test that only the real thing passes, under tests/models/
    "blocks/bilstm": "test_blocks.py::test_both_directions_of_a_bilstm_reach_the_other_end",
    "blocks/conformer": (
        "test_blocks_conformer.py::test_a_conformer_goes_half_way_by_each_feed_forward_and_ends_in_a_norm"
    ),
    "blocks/conv": "test_blocks.py::test_a_conv_block_looks_kernel_less_one_steps_to_either_side",
    "blocks/glu": "test_blocks_convolution.py::test_a_glus_field_is_one_and_what_each_layer_adds",
    "blocks/gru": "test_gru.py::test_it_has_three_quarters_of_an_lstms_weights",
    "blocks/hierarchical": (
        "test_blocks_hierarchical.py::test_paths_grow_as_the_logarithm_of_the_length_where_an_lstms_grow_as_the_length"
    ),
    "blocks/inception": "test_inception.py::test_at_the_published_sizes_it_has_the_papers_weights_and_window",
    "blocks/lru": "test_blocks_scan.py::test_an_lrus_impulse_response_is_a_power_of_lambda",
    "blocks/lstm": "test_blocks_recurrent.py::test_an_lstm_does_not_depend_on_later_steps",
    "blocks/mingru": "test_blocks_scan.py::test_mingru_is_its_formula",
    "blocks/minlstm": "test_blocks_scan.py::test_minlstm_is_its_formula",
    "blocks/relative_transformer": ("test_relative_attention.py::test_a_bias_alone_learns_to_look_three_steps_back"),
    "blocks/residual_bilstm": "test_blocks_recurrent.py::test_a_residual_bilstm_of_zero_weights_is_the_identity",
    "blocks/se_resnet": "test_se_resnet.py::test_a_gate_is_the_papers_formula_on_the_mean_of_real_steps",
    "blocks/squeezeformer": (
        "test_blocks_conformer.py"
        "::test_a_squeezeformer_is_attention_and_convolution_each_with_a_whole_feed_forward_and_norms_behind"
    ),
    "blocks/stable": "test_blocks_stable.py::test_the_initial_state_is_forgotten_at_a_constant_rate",
    "blocks/tcn": "test_tcn.py::test_a_causal_window_ends_at_its_step",
    "blocks/time2vec": ("test_blocks_time.py::test_rescaled_time_with_inversely_rescaled_frequencies_is_the_same"),
    "blocks/transformer": "test_blocks.py::test_a_transformer_without_position_does_not_know_the_order_of_steps",
    "blocks/tsmixer": "test_tsmixer.py::test_a_layer_is_the_papers_two_maps_channel_by_channel_and_step_by_step",
    "blocks/unet": "test_unet.py::test_skips_carry_single_steps_that_the_way_through_the_middle_lost",
    "blocks/wavenet": "test_blocks_convolution.py::test_the_papers_wavenet_sees_two_to_the_number_of_layers_steps",
    "systems/branches": "test_branches.py::test_no_gradient_leads_from_one_branch_to_anothers_inputs_or_weights",
    "systems/deepar": "test_deepar.py::test_paths_spread_as_sigma_says",
    "systems/esrnn": "test_esrnn.py::test_holt_winters_is_the_recursion_by_hand",
    "systems/hybrid": "test_hybrid.py::test_a_skip_adds_the_input",
    "systems/hydra": ("test_hydra.py::test_at_each_step_the_largest_response_of_a_group_is_counted_and_the_smallest"),
    "systems/lightgbm": (
        "test_lightgbm.py::test_early_stopping_keeps_the_trees_up_to_the_best_round_on_rows_it_is_not_trained_on"
    ),
    "systems/nhits": "test_nhits.py::test_a_forecast_is_the_sum_of_stacks_that_read_what_others_left",
    "systems/patchtst": "test_patchtst.py::test_before_the_head_no_channel_sees_another",
    "systems/quant": "test_quant.py::test_an_interval_gives_every_fourth_quantile_every_second_less_its_mean",
    "systems/rocket": "test_rocket.py::test_the_features_are_their_definitions_step_by_step",
    "systems/seq2seq": "test_seq2seq.py::test_free_running_is_teacher_forced_by_its_own_outputs",
    "systems/tft": "test_tft.py::test_each_published_ablation_takes_its_part_away",
    "systems/third_place": "test_third_place.py::test_the_auxiliary_outputs_are_held_to_the_targets_differences",
    "systems/catboost": "test_catboost.py::test_all_nodes_at_a_depth_ask_the_same",
    "systems/xgboost": "test_xgboost.py::test_a_leaf_is_the_gradients_sum_over_the_curvatures_and_the_penalty",
    "systems/autoregressive_wavenet": "test_wavenet.py::test_the_window_by_gradients_is_the_declared_one",
    "systems/first_place": "test_first_place.py::test_at_the_published_sizes_it_has_the_published_number_of_parameters",
}
LEAD = f"""# The zoo

Made by `./run.sh bench zoo`; don't edit it. Sizes are those of the defaults on {FEATURES} features, a block being alone
in a hybrid 64 wide. A step is one of training, on {SERIES} series of {STEPS} steps and one core: compare them with each
other only. Scores come from finished studies, whose systems are equal in size: [how-to/study.md](how-to/study.md);
where runs/ has none they stay as they are. Boosted trees, models of whole series (ROCKET, HYDRA, QUANT) and the
winners' networks have fixed sizes, the generating WaveNet and N-HiTS need a known start: they have no score.
"""
HEAD = ("system", "what it is", "source", "the test that only the real thing passes", "parameters", "ms a step")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row: a block of the hybrid, or a model."""

    name: str
    part: Part
    block: bool

    @property
    def file(self) -> str:
        """Under models/, without .py."""
        return f"{'blocks' if self.block else 'systems'}/{self.part.source.stem}"

    @property
    def model(self) -> ModelConfig:
        """A network with its defaults."""
        of_block = {"blocks": [{"kind": self.name}], "time": "time_step"}
        params: dict[str, Any] = of_block if self.block else FORECASTS.get(self.name, {})
        train = TrainConfig(device="cpu")
        return ModelConfig(name="hybrid" if self.block else self.name, label=self.name, params=params, train=train)

    @property
    def about(self) -> str:
        """The docstring of its file, in one line."""
        return " ".join(inspect.cleandoc(str(sys.modules[self.part.make.__module__].__doc__)).split())


def entries() -> Iterator[Entry]:
    """Yield all rows: blocks, then models that learn from features."""
    for block, registry in ((True, BLOCKS), (False, MODELS)):
        for name, part in registry.items():
            if getattr(part.config, "kind", "") == "estimator":
                continue
            yield Entry(name=name, part=part, block=block)


def source(about: str) -> str:
    """Return the first source that a docstring names, linked where it has an address; '-' where it names none."""
    found = re.search(r"Sources?: (.+?)(?:, (https?://[^\s,;()]+)| \()", about)
    if found is None:
        return "-"
    return found[1] if found[2] is None else f"[{found[1]}]({found[2].rstrip('.:')})"


def targets_of(model: ModelConfig) -> Targets:
    """Return the target that a model learns; of a forecast its start is known."""
    return replace(TARGETS, observed=FORECASTS.get(model.name, {}).get("history", 0))


def parameters(model: ModelConfig) -> int:
    """Count the network's parameters; nothing is allocated."""
    with torch.device("meta"):
        network = network_build.build(model.name, model.params, FEATURES, LEVELS, targets_of(model))
    return sum(parameter.numel() for parameter in network.parameters())


def fixed(entry: Entry) -> list[str]:
    """Return the columns that follow from the source alone."""
    test = SPECIAL[entry.file]
    title = test.split("::test_")[1].replace("_", " ")
    size = f"{parameters(entry.model):,}" if entry.model.is_network else "-"
    return [
        f"[{entry.name}](../models/{entry.file}.py)",
        re.split(r"[:.]", entry.about)[0],
        source(entry.about),
        f"[{title}](../tests/models/{test.split('::')[0]})",
        size,
    ]


def milliseconds(entry: Entry) -> str:
    """Measure a training step, ms: forward, backward, update; '-' for models that are no networks."""
    if not entry.model.is_network:
        return "-"
    names = ("time_step", *(f"feature {number}" for number in range(1, FEATURES)))
    subject = MeasuredModel(
        model=entry.model, names=names, channels=FEATURES, levels=LEVELS, targets=targets_of(entry.model)
    )
    return f"{1e3 * step_cost.measure(subject, SERIES, [STEPS])[0].step_s:.0f}"


@dataclass(frozen=True, kw_only=True)
class Scores:
    """A finished study."""

    title: str  # of the column
    about: str
    scores: dict[str, float]  # plain name of a system -> score


def plain(name: str) -> str:
    """Reduce a name to its letters and digits: ES-RNN and esrnn are one system."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def finished(runs: Path) -> list[Scores]:
    """Return the study with most systems of simulated and of real series; of equal ones the last."""
    best: dict[str, tuple[tuple[int, float], Scores]] = {}
    for path in runs.glob("study-*/*/study.json"):
        study = artefacts.read_json(path)
        design, systems = study["design"], study["systems"]
        title = "simulated" if design["simulated"] else "real"
        about = (
            f"{design['metric']} of {len(systems)} systems of {design['parameters']:,} parameters on "
            f"{design['series']:,} series: `{re.sub(r'source=[^ ]+', 'source=DIR', study['command'])}`"
        )
        scores = {plain(each["name"]): each["score"] for each in systems}
        rank = (len(systems), path.stat().st_mtime)
        if title not in best or rank > best[title][0]:
            best[title] = rank, Scores(title=title, about=about, scores=scores)
    return [scores for _, scores in sorted(best.values(), key=lambda each: each[1].title, reverse=True)]


def on_page(text: str) -> list[Scores]:
    """Return the studies whose scores the page holds: their runs may lie on another machine."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    found = []
    for title, about in re.findall(r"^- (\w+): (.+)$", text, re.MULTILINE):
        column = rows[0].index(title)
        each = {plain(row[0].partition("]")[0]): row[column] for row in rows[2:] if row[column] != "-"}
        found.append(Scores(title=title, about=about, scores={name: float(score) for name, score in each.items()}))
    return found


def scored(entry: Entry, study: Scores) -> str:
    """Return its score; a name that a block and a model share is the block's."""
    score = None if not entry.block and entry.name in BLOCKS else study.scores.get(plain(entry.name))
    return "-" if score is None else f"{score:.4f}"


def page(studies: list[Scores]) -> str:
    """Return the text of docs/zoo.md."""
    head = [*HEAD, *(study.title for study in studies)]
    rows = []
    for entry in entries():
        print(f"\r{entry.file:30}", end="", file=sys.stderr, flush=True)
        rows.append([*fixed(entry), milliseconds(entry), *(scored(entry, study) for study in studies)])
    print(file=sys.stderr)
    table = [" | ".join(row) for row in (head, ["---"] * len(head), *rows)]
    notes = [f"- {study.title}: {study.about}" for study in studies] or ["No study has been run yet."]
    return "\n".join([LEAD, *(f"| {line} |" for line in table), "", *notes, ""])


def main() -> None:
    """Measure, and write the page."""
    argparse.ArgumentParser(description="Write docs/zoo.md: the zoo in one table.").parse_args()
    torch.set_num_threads(1)
    path = files.home() / PAGE
    here = finished(files.runs())
    elsewhere = on_page(path.read_text(encoding="utf-8")) if path.exists() else []
    studies = [*here, *(study for study in elsewhere if study.title not in {each.title for each in here})]
    files.write_text(path, page(sorted(studies, key=lambda each: each.title, reverse=True)))
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
