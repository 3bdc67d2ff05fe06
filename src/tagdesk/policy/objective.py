"""What thresholds are fitted to, as recipes and options write it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tagdesk.errors import UsageError

ALLOWED = (
    "f1_macro, f1_micro, exact_match, cost:fp=1,fn=5 (any prices above 0), precision>=0.95 (any share between 0 and 1)"
)
_NUMBER = r"([0-9]{1,9}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})"


@dataclass(frozen=True)
class Objective:
    """What thresholds are fitted to.

    `kind` is f1_macro, f1_micro, exact_match, cost or precision; the other fields matter to the last two.
    """

    kind: str
    false_positive: float = 1.0  # price of a label given wrongly
    false_negative: float = 1.0  # price of a label missed
    precision: float = 0.0  # to be reached by every label

    def __str__(self) -> str:
        if self.kind == "cost":
            return f"cost:fp={self.false_positive:g},fn={self.false_negative:g}"
        return f"precision>={self.precision:g}" if self.kind == "precision" else self.kind


def parse_objective(text: str) -> Objective:
    """Read an objective as recipes and options write it; raises UsageError that lists what is allowed.

    >>> parse_objective("cost:fp=1,fn=5")
    Objective(kind='cost', false_positive=1.0, false_negative=5.0, precision=0.0)
    >>> str(parse_objective("precision >= 0.95"))
    'precision>=0.95'
    """
    plain = re.sub(r"\s", "", text[:100]).lower()
    if plain in {"f1_macro", "f1_micro", "exact_match"}:
        return Objective(plain)
    if match := re.fullmatch(rf"cost:fp={_NUMBER},fn={_NUMBER}", plain):
        prices = float(match[1]), float(match[2])
        if min(prices) > 0:
            return Objective("cost", *prices)
    if match := re.fullmatch(rf"precision>={_NUMBER}", plain):
        share = float(match[1])
        if 0 < share < 1:
            return Objective("precision", precision=share)
    raise UsageError(f"Objective {text[:60]!r} is unknown. Use one of: {ALLOWED}.", code="bad_objective")
