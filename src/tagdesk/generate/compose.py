"""Composes tickets with known labels from a phrase book, each from the seed and its number alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from random import Random
from typing import NamedTuple

from tagdesk.errors import UsageError
from tagdesk.generate.book import Channel, PhraseBook, Situation
from tagdesk.generate.noise import with_fillers, with_typos, without_punctuation
from tagdesk.generate.phrase import Draw, Fill, Phrase
from tagdesk.generate.places import Place, Walk

_ASIDE_FIRST = 0.35  # share of asides that stand before the needs
_LINKED = 0.4  # share of second needs that a link introduces
_OWN_QUOTE = 0.4  # share of quotes in which the customer quotes the same need, not the desk


@dataclass(frozen=True, slots=True)
class Written:
    """A ticket that was generated, with the labels that it was generated for."""

    id: str
    text: str
    labels: tuple[str, ...]
    domain: str
    channel: str


class _Frame(NamedTuple):
    """What stands around the body of a ticket."""

    opening: Phrase | None
    closing: Phrase | None
    signature: Phrase | None
    quote: Phrase | None


class Composer:
    """Tickets 0, 1, 2, ... of a phrase book.

    No two tickets are made of the same sentences of the book, whatever names and numbers, openings, order and noise
    they come with; where the book has no further ones, asking for more raises UsageError. With `repeats` the same
    sentences recur. The first tickets are the same however many are made.

    >>> from tagdesk.generate.book import support_phrases
    >>> composer = Composer(support_phrases(), seed=7)
    >>> composer.ticket(3) == list(composer.tickets(4))[3]
    True
    """

    def __init__(self, book: PhraseBook, *, seed: int, repeats: bool = False) -> None:
        self.book = book
        self.seed = seed
        self._repeats = repeats
        self._alone = (*book.nothing, *book.solved)
        sizes = {label: len(needs) for label, needs in book.needs.items()}
        self._walk = Walk(sizes, len(self._alone), len(book.asides), seed=seed, wrap=repeats)
        self._shares = list(accumulate(channel.share for channel in book.channels))
        self._situations = tuple((one, frozenset(one.words)) for one in book.situations)

    @property
    def capacity(self) -> int:
        """How many tickets there are of which no two are made of the same sentences."""
        return self._walk.capacity

    def tickets(self, n: int, start: int = 0) -> Iterator[Written]:
        """The tickets `start` to `n`; raises UsageError (`exhausted`) at once where the book holds fewer."""
        if n > self.capacity and not self._repeats:
            raise UsageError(
                f"The phrase book holds {self.capacity:,} tickets of different sentences; {n:,} are asked for. Ask for "
                "fewer, add needs or asides to the book, or let sentences recur with --allow-repeats.",
                code="exhausted",
            )
        return map(self.ticket, range(start, n))

    def ticket(self, index: int) -> Written:
        """Ticket number `index`."""
        draw = Random((self.seed << 64) | index).random  # noqa: S311 - chance by a seed, no secret
        place = self._walk.at(index)
        sentences = self._sentences(place)
        asides = [self.book.asides[number] for number in place.asides]
        channel = self.book.channels[bisect_right(self._shares, draw() * self._shares[-1])]
        frame = self._frame(place, channel, draw)
        links = self.book.links if len(sentences) > 1 else ()
        situation = self._situation([*sentences, *links, *asides, *filter(None, frame)], draw)
        fill = self._filling(situation, draw)
        body = self._noisy(self._body(sentences, asides, draw, fill), channel, draw)
        text = _framed(body, frame, channel.between, draw, fill)
        return Written(f"g{self.seed}-{index}", text, place.labels, situation.domain, channel.name)

    def plan(self, index: int) -> Written:
        """What ticket number `index` is about, with an empty text, for somebody else to write."""
        return replace(self.ticket(index), text="")

    def _sentences(self, place: Place) -> list[Phrase]:
        if not place.labels:
            return [self._alone[place.sentences[0]]]
        return [self.book.needs[label][which] for label, which in zip(place.labels, place.sentences, strict=True)]

    def _situation(self, phrases: Sequence[Phrase], draw: Draw) -> Situation:
        """A situation that has words for all the slots."""
        needed = frozenset[str]().union(*(phrase.slots for phrase in phrases)) & self.book.local_slots
        fitting = [one for one, slots in self._situations if needed <= slots]
        return fitting[int(draw() * len(fitting))]

    def _body(self, sentences: list[Phrase], asides: list[Phrase], draw: Draw, fill: Fill) -> str:
        said = [phrase.say(draw, fill) for phrase in sentences]
        if len(said) > 1:
            turned = int(draw() * len(said))
            said = said[turned:] + said[:turned]
            if self.book.links and draw() < _LINKED:
                link = self.book.links[int(draw() * len(self.book.links))]
                said[1] = f"{link.say(draw, fill)} {said[1]}"
        for aside in asides:
            said.insert(0 if draw() < _ASIDE_FIRST else 1 + int(draw() * len(said)), aside.say(draw, fill))
        return " ".join(said)

    def _noisy(self, body: str, channel: Channel, draw: Draw) -> str:
        if channel.filler and draw() < channel.filler:
            body = with_fillers(body, self.book.fillers, draw)
        if channel.unpunctuated and draw() < channel.unpunctuated:
            body = without_punctuation(body)
        if channel.typo and draw() < channel.typo:
            body = with_typos(body, draw)
        if channel.emoji and self.book.emoji and draw() < channel.emoji:
            body = f"{body} {self.book.emoji[int(draw() * len(self.book.emoji))]}"
        case = draw()
        if case < channel.lower:
            return body.lower()
        return body.upper() if case > 1 - channel.upper else body

    def _frame(self, place: Place, channel: Channel, draw: Draw) -> _Frame:
        """What stands around the body; None for what is left out."""
        return _Frame(
            _sometimes(channel.openings, channel.opening, draw),
            _sometimes(channel.closings, channel.closing, draw),
            _sometimes(channel.signatures, channel.signature, draw),
            _sometimes(self._quotable(place, draw), channel.quote, draw) if channel.quote else None,
        )

    def _quotable(self, place: Place, draw: Draw) -> tuple[Phrase, ...]:
        """Earlier messages that change no label: a need that is met, the same need, or what the desk wrote."""
        if not place.labels:
            is_solved = place.sentences[0] >= len(self.book.nothing)
            return self.book.needs[self.book.labels[int(draw() * len(self.book.labels))]] if is_solved else ()
        own = draw() < _OWN_QUOTE
        return self.book.needs[place.labels[0]] if own else self.book.quotes

    def _filling(self, situation: Situation, draw: Draw) -> Fill:
        """The words of one ticket: the same word wherever a slot recurs."""
        chosen: dict[str, str] = {}

        def fill(slot: str) -> str:
            word = chosen.get(slot)
            if word is None:
                words = situation.words.get(slot) or self.book.slots[slot]
                word = words[int(draw() * len(words))]
                if "#" in word:
                    word = "".join(str(1 + int(draw() * 9)) if sign == "#" else sign for sign in word)
                chosen[slot] = word
            return word

        return fill


def _sometimes(phrases: tuple[Phrase, ...], rate: float, draw: Draw) -> Phrase | None:
    return phrases[int(draw() * len(phrases))] if phrases and draw() < rate else None


def _framed(body: str, frame: _Frame, between: str, draw: Draw, fill: Fill) -> str:
    before = [frame.opening.say(draw, fill)] if frame.opening else []
    after = [phrase.say(draw, fill) for phrase in (frame.closing, frame.signature) if phrase]
    quoted = f"\n\n> {frame.quote.say(draw, fill)}" if frame.quote else ""
    return between.join([*before, body, *after]) + quoted
