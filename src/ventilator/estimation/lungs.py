"""The lungs of all sessions, fitted: as vectors, as text, and for any breath.

The committed lungs.json holds lungs fitted to decoded rows of unlabelled breaths only; `ventilator.estimation.embed`
makes it. A session that the file lacks has the lung that the prior expects of its (R, C).
"""

import json
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ventilator.controller import Array
from ventilator.estimation.parameters import NAMES, Prior
from ventilator.estimation.process import Process
from ventilator.estimation.spread import Spread
from ventilator.lung import SETTINGS
from ventilator.measure import Recorded
from ventilator.rig import Session, sessions_of

EMBEDDED: Final = Path(__file__).with_name("lungs.json")
DIGITS: Final = 5  # significant ones of a number in the file


@dataclass(frozen=True, kw_only=True)
class Member:
    """One fit: what it assumed, and the vectors (S + 9, P) of S sessions and of a new session of each (R, C)."""

    kind: str  # "marginal": fitted with effects and process integrated out; "free": to the absolute errors of free runs
    prior: Prior
    process: Process
    vectors: Array


@dataclass(frozen=True, kw_only=True)
class SessionLungs:
    """The sessions and several fits of their lungs, whose estimates are averaged."""

    sessions: tuple[Session, ...]
    members: tuple[Member, ...]
    provenance: str  # which breaths the fit has seen
    spread: Spread = field(default_factory=Spread)  # from the model's sd to that of errors

    def places(self, breaths: Recorded) -> NDArray[np.int64]:
        """Return which vectors (N,) belong to N breaths.

        Raises:
            ValueError: if a breath's R or C is none of the competition's.
        """
        return places(self.sessions, breaths)

    def to_json(self) -> str:
        """Write all as JSON."""
        members = [
            {
                "kind": member.kind,
                "prior": asdict(member.prior),
                "process": {name: _rounded(value) for name, value in asdict(member.process).items()},
                "vectors": [[_rounded(value) for value in vector] for vector in member.vectors.tolist()],
            }
            for member in self.members
        ]
        head = {
            "provenance": self.provenance,
            "spread": self.spread.factors,
            "parameters": NAMES,
            "sessions": [s._asdict() for s in self.sessions],
        }
        text = json.dumps(head | {"members": members})
        return text.replace("], [", "],\n[").replace("}, {", "},\n{") + "\n"  # a vector a line, for diffs

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: if the text is of lungs with other parameters.
        """
        data: dict[str, Any] = json.loads(text)
        if tuple(data["parameters"]) != NAMES:
            raise ValueError(f"Lungs have the parameters {', '.join(NAMES)}; the text has {data['parameters']}.")
        members = tuple(
            Member(
                kind=part["kind"],
                prior=Prior(**part["prior"]),
                process=Process(**part["process"]),
                vectors=np.array(part["vectors"]),
            )
            for part in data["members"]
        )
        sessions = tuple(Session(**session) for session in data["sessions"])
        spread = Spread(tuple(data["spread"])) if "spread" in data else Spread()  # older files have none
        return cls(sessions=sessions, members=members, provenance=data["provenance"], spread=spread)


@cache
def embedded() -> SessionLungs:
    """Return the lungs that come with the package: fitted to decoded rows only, no label seen."""
    return SessionLungs.from_json(EMBEDDED.read_text(encoding="utf-8"))


def places(sessions: tuple[Session, ...], breaths: Recorded) -> NDArray[np.int64]:
    """Return the place (N,) of each breath's session among S, or S + that of its (R, C) where there is none.

    Raises:
        ValueError: if a breath's R or C is none of the competition's.
    """
    place = {session: k for k, session in enumerate(sessions)}
    pairs = list(zip(breaths.r.tolist(), breaths.c.tolist(), strict=True))
    strange = sorted({pair for pair in pairs if pair not in SETTINGS})
    if strange:
        raise ValueError(f"There are lungs for (R, C) in {SETTINGS}; got {strange[:5]}.")
    names = sessions_of(breaths.r, breaths.c, breaths.time_step, breaths.u_in)
    found = [place.get(name, len(sessions) + SETTINGS.index(pair)) for name, pair in zip(names, pairs, strict=True)]
    return np.array(found, dtype=np.int64)


def settings_of(sessions: tuple[Session, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return R and C (S + 9,) of all vectors of a member."""
    pairs = [*((session.r, session.c) for session in sessions), *SETTINGS]
    r, c = np.array(pairs, dtype=np.int64).T
    return r, c


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
