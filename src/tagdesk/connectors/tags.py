"""Which tag of a help desk stands for which label."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tagdesk.errors import UsageError

PREFIX: Final = "tagdesk_"

_BETWEEN_WORDS = re.compile(r"[\W_]+")
_TAG = re.compile(r"[\w:/-]+")  # what all four help desks take in a tag


@dataclass(frozen=True)
class Tags:
    """One tag for each label; tags that stand for none are other people's and stay as they are.

    >>> tags = Tags.of(["Billing Issue", "Refund Request"], names={"Refund Request": "refund"})
    >>> tags.tags_of({"Refund Request", "Billing Issue"})
    ('tagdesk_billing_issue', 'refund')
    >>> tags.labels_of(["vip", "REFUND"])
    frozenset({'Refund Request'})
    """

    by_label: Mapping[str, str]

    @classmethod
    def of(cls, labels: Iterable[str], *, prefix: str = PREFIX, names: Mapping[str, str] | None = None) -> Tags:
        """The tags of labels in their order: those named, else the prefix and the label's words.

        Raises UsageError (`bad_tag`) where a tag cannot be one, where two labels share one, and where a name is for a
        label that there is not.
        """
        names = names or {}
        by_label = {label: names.get(label, prefix + _slug(label)) for label in labels}
        unknown = [label for label in names if label not in by_label]
        if unknown:
            raise UsageError(
                f"Tags for {_quoted(unknown)}: no such label. Name labels of the taxonomy.", code="bad_tag"
            )
        bad = [label for label, tag in by_label.items() if not _TAG.fullmatch(tag)]
        if bad:
            raise UsageError(
                f"Tags for {_quoted(bad)}: a tag has letters, digits, and _ - : / only. Name another.", code="bad_tag"
            )
        if len({tag.casefold() for tag in by_label.values()}) < len(by_label):
            raise UsageError("Two labels have the same tag. Name another for one of them.", code="bad_tag")
        return cls(by_label)

    def tags_of(self, labels: Iterable[str]) -> tuple[str, ...]:
        """The tags of some labels, in the order of all labels; raises UsageError for a label that has none."""
        wanted = frozenset(labels)
        unknown = sorted(wanted - self.by_label.keys())
        if unknown:
            raise UsageError(f"{_quoted(unknown)}: no tag stands for it. Build the tags anew.", code="unknown_label")
        return tuple(tag for label, tag in self.by_label.items() if label in wanted)

    def labels_of(self, tags: Sequence[str]) -> frozenset[str]:
        """The labels that some of the tags stand for; upper and lower case are the same."""
        there = {tag.casefold() for tag in tags}
        return frozenset(label for label, tag in self.by_label.items() if tag.casefold() in there)


def _slug(label: str) -> str:
    return _BETWEEN_WORDS.sub("_", unicodedata.normalize("NFKC", label).casefold()).strip("_")


def _quoted(labels: Sequence[str]) -> str:
    return ", ".join(repr(label[:80]) for label in labels[:5])
