"""`blend` of configs of several targets: each target is blended by itself, then joined as `train` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from foldline.api import joined
from foldline.api.blended import Blended
from foldline.api.results import Outcome
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.experiment import multi_config, plan_summary, several_targets
from foldline.experiment.config import Config, SeveralTargets
from foldline.experiment.multi_config import MultiConfigExperiment


def plan(
    named: Sequence[Config | SeveralTargets], outside: Sequence[str], command: str, terminal: Terminal, dry: bool
) -> PlanOfTargets:
    """Prepare and check each target of all configs; arguments are those of blend.plan.

    Raises:
        UserError: a config of one target or of other ones; a member from outside.
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
            plan_summary.print_summary(each, terminal)
    return PlanOfTargets(several, by_name, command)


@dataclass(frozen=True)
class PlanOfTargets:
    """The plan for several targets."""

    several: SeveralTargets
    mixed: Mapping[str, MultiConfigExperiment]  # by the target's name
    command: str

    @property
    def parts(self) -> Sequence[MultiConfigExperiment]:
        """Return the targets' experiments."""
        return list(self.mixed.values())

    def carry_out(self, terminal: Terminal) -> Outcome:
        """Blend each target, record and show it; then join the targets."""
        folder, blended = several_targets.folder_of(self.several, [each.folder for each in self.parts]), {}
        for name, mixed in self.mixed.items():
            blended[name] = Blended.of(mixed, folder / name, self.command, terminal, latest=False)
            blended[name].show(terminal)
            blended[name].write_report(terminal)
        return joined.conclude(self.several, folder, blended, self.command, terminal)


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
