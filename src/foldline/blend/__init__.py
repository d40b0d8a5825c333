"""Blending: many members' predictions become one, by weights that only out-of-fold predictions have decided.

- base.py: [blend], and the rows a blend is fitted on
- rules.py: fitted blends: JSON in, JSON out, applied with numpy (and LightGBM where it stacked)
- weights.py: best member, hill climbing, least squares, least absolute deviations, Optuna
- stack.py: ridge and LightGBM on the members' predictions
- methods.py: all by name, from simple to involved: fitted, scored nested, chosen between
- study.py: what each member is worth, how alike they are, what they cost
- mixture.py: several configs, and members from outside (outside.py), as one experiment
- findings.py: all that `./run.sh blend` found: tables, JSON, a page (page.py, pictures.py)
"""

from foldline.blend.blend_config import BlendConfig, OutsideConfig, Rows
from foldline.blend.methods import Decision, Nested, Tried, applied, decide, fit, nested
from foldline.blend.rules import Blend

__all__ = [
    "Blend",
    "BlendConfig",
    "Decision",
    "Nested",
    "OutsideConfig",
    "Rows",
    "Tried",
    "applied",
    "decide",
    "fit",
    "nested",
]
