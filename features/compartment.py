"""compartment: the two pressures of a single-compartment lung, with an input standing in for the flow.

The equation of motion p = R flow + V / C + P0 (Otis, Fenn & Rahn 1950, https://doi.org/10.1152/jappl.1950.2.11.592), V
the time integral of the flow. Without this family a network must learn both products from one-hots, which takes many
series.
"""

from dataclasses import dataclass

import polars as pl

from foldline.features.family import Columns, Family, check_names, cumulated, duration, number, unknown_name


@dataclass(frozen=True, kw_only=True)
class Compartment(Family):
    """Features `x*R` and `sum(x*dt)/C`, this step included, for each flow x; units are those of the data."""

    flow: tuple[str, ...] = ()  # empty: the first input
    resistance: str = "R"  # static column, numeric
    compliance: str = "C"  # static column, numeric, above 0

    def __post_init__(self) -> None:
        check_names("compartment.flow", self.flow)

    @property
    def lookahead(self) -> bool:
        return False

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        for name in (self.resistance, self.compliance):
            known = (*columns.static, *columns.static_numbers)
            if name not in known:
                raise ValueError(unknown_name("static column", name, known))
            texts = [level for level in columns.levels.get(name, ()) if isinstance(level, str)]
            if texts:
                raise ValueError(
                    f"compartment needs numbers in static column {name!r}, but it holds the text {texts[0]!r}: "
                    "name another column with compartment.resistance or compartment.compliance."
                )
        step = duration(columns.order)
        features = []
        for x in columns.chosen(self.flow):
            volume = cumulated(number(x) * step)
            features.append((number(x) * number(self.resistance)).alias(f"{x}*{self.resistance}"))
            features.append((volume / number(self.compliance)).alias(f"sum({x}*dt)/{self.compliance}"))
        return features
