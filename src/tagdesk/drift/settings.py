"""What counts as drift."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tagdesk.errors import UsageError


@dataclass(frozen=True, slots=True)
class Settings:
    """How often to be wrong, and which changes are worth an alarm; a change must be proven and as large as these.

    Attributes:
        false_alarms: the share of comparisons of the same traffic that may be called drifted.
        fewest: different tickets a side without which there is no verdict.
        fewest_given: tickets of both windows together that have what is counted; fewer can prove nothing.
        fewest_labelled: tickets with and without a label, as people see it, without which its scores are not judged.
        points: the smallest change of a share that is an alarm, 0.03 for 3 percentage points.
        labels: of the labels that a ticket gets on average.
        shape: of the share of tickets above some score or length, wherever that changes most.
        separation: how far above one half the share of pairs is in which the newer ticket is told from the older.
        slope: of the slope of calibration, where 1 is right.
        embedded: tickets a side whose embeddings are compared; more are drawn from.
        permutations: of the tickets between the windows, from which the p-value of the embeddings comes.
        seed: of everything that is drawn.
    """

    false_alarms: float = 0.05
    fewest: int = 100
    fewest_given: int = 6
    fewest_labelled: int = 30
    points: float = 0.03
    labels: float = 0.1
    shape: float = 0.1
    separation: float = 0.03
    slope: float = 0.25
    embedded: int = 1000
    permutations: int = 499
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value, low, high = getattr(self, field.name), *_range(field.name)
            if not low <= value <= high:  # NaN is neither
                raise UsageError(f"{field.name} {value:g}: expected {low:g} to {high:g}.", code="bad_setting")


def _range(name: str) -> tuple[float, float]:
    """What a setting may be."""
    ranges: dict[str, tuple[float, float]] = {
        "false_alarms": (1e-6, 0.5),
        "fewest": (20, 1e9),  # the normal and asymptotic distributions that some tests use need about as many
        "fewest_given": (1, 1e9),
        "fewest_labelled": (10, 1e9),
        "labels": (0.0, 1e9),
        "slope": (0.0, 1e9),
        "embedded": (20, 4000),  # memory and time grow with its square
        "permutations": (99, 99_999),
        "seed": (0, 2**63),
    }
    return ranges.get(name, (0.0, 1.0))
