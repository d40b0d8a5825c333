"""`blend` of configs of several targets: each target is blended by itself, then joined as `train` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from foldline.cli import joined
from foldline.cli.blended import Blended
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.experiment import multi_config, preparation, several_targets
from foldline.experiment.config import Config, SeveralTargets
from foldline.experiment.multi_config import MultiConfigExperiment


def run(
    named: Sequence[Config | SeveralTargets], outside: Sequence[str], dry: bool, command: str, terminal: Terminal
) -> int:
    """Blend each target of all configs, record and show it; then join the targets.

    Args:
        named: the configs; those of one target are refused.
        outside: options --outside, refused.
        command: as it was typed.
    """
    chosen = _alike(named)
    if outside:
        raise UserError(
            "--outside does not say of which target a member is: name it in the config, as [[target.blend.outside]] "
            "below its [[target]]."
        )
    places = range(len(chosen[0].parts))
    prepared = [
        multi_config.prepare([each.parts[place].config for each in chosen], [], terminal, dry) for place in places
    ]
    several = _blended_config(chosen, prepared)
    by_name = {part.name: mixed for part, mixed in zip(several.parts, prepared, strict=True)}
    competitions = {name: mixed.competition for name, mixed in by_name.items()}
    joined.check(several, competitions, [mixed.train for mixed in prepared])
    for mixed in prepared:
        for each in mixed.prepared:
            preparation.print_summary(each, terminal)
    if dry:
        return dry_run(prepared, terminal)
    folder, blended = several_targets.folder_of(several, [mixed.folder for mixed in prepared]), {}
    for name, mixed in by_name.items():
        blended[name] = Blended.of(mixed, folder / name, command, terminal, latest=False)
        blended[name].show(terminal)
        blended[name].write_report(terminal)
    return joined.conclude(several, folder, blended, command, terminal)


def _alike(named: Sequence[Config | SeveralTargets]) -> list[SeveralTargets]:
    """Refuse to blend configs of other targets or shares."""
    chosen = [each for each in named if isinstance(each, SeveralTargets)]
    first = [(part.name, part.share) for part in chosen[0].parts]
    for each in named:
        own = [(part.name, part.share) for part in each.parts] if isinstance(each, SeveralTargets) else []
        if own != first or (isinstance(each, SeveralTargets) and each.metric != chosen[0].metric):
            raise UserError(
                f"{chosen[0].name} and {each.name} differ: configs that are blended have the same [[target]] tables "
                f"in one order, with the same shares and metric file; the first has {_listed(chosen[0])}."
            )
    return chosen


def _listed(several: SeveralTargets) -> str:
    return ", ".join(f"{part.name} ({part.share:.3g})" for part in several.parts)


def _blended_config(chosen: Sequence[SeveralTargets], prepared: Sequence[MultiConfigExperiment]) -> SeveralTargets:
    """Return the config of the blend: the first one's, called by all names."""
    parts = [replace(part, config=mixed.config) for part, mixed in zip(chosen[0].parts, prepared, strict=True)]
    name = "+".join(dict.fromkeys(each.name for each in chosen))
    return SeveralTargets(name=name, parts=tuple(parts), given=chosen[0].given, metric=chosen[0].metric)


def dry_run(prepared: Sequence[MultiConfigExperiment], terminal: Terminal) -> int:
    """Say what would be trained and blended. prepared: one experiment a target."""
    keys = {job.key for mixed in prepared for each in mixed.prepared for stage in each.jobs() for job in stage}
    labels = [member.label for mixed in prepared for member in mixed.members]
    last = f"dry run: {len(keys)} cells are left to train or to predict, and then {len(labels)} members to blend"
    terminal.result({"to_train": len(keys), "members": labels}, last)
    return 0
