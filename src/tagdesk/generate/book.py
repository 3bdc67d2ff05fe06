"""A phrase book: what customers of some taxonomy say, from which tickets are composed."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from importlib import resources
from typing import Any, Final

from tagdesk.errors import InputError
from tagdesk.generate.phrase import Phrase
from tagdesk.taxonomy import Taxonomy

_LISTS: Final = ("links", "asides", "nothing", "solved", "quotes", "emoji", "fillers")
_KEYS: Final = {"needs", "slots", "situation", "channel", *_LISTS}
_LEAST_LENGTH: Final = 4  # words of a sentence; a shorter one leaves tickets that differ by too little


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a ticket plays: a domain with its own words for some slots."""

    domain: str
    words: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Channel:
    """How people write in one place; the rates are shares of its tickets, 0..1.

    Attributes:
        name: such as email.
        share: how frequent it is beside the others.
        between: what parts an opening, the body and a closing.
        openings, closings, signatures: what may stand around the body.
        opening, closing, signature: how often something does.
        quote: how often an earlier message is quoted below.
        typo, lower, upper, unpunctuated, emoji, filler: how often the noise of that name is added.
    """

    name: str
    share: float = 1.0
    between: str = " "
    openings: tuple[Phrase, ...] = ()
    closings: tuple[Phrase, ...] = ()
    signatures: tuple[Phrase, ...] = ()
    opening: float = 0.0
    closing: float = 0.0
    signature: float = 0.0
    quote: float = 0.0
    typo: float = 0.0
    lower: float = 0.0
    upper: float = 0.0
    unpunctuated: float = 0.0
    emoji: float = 0.0
    filler: float = 0.0


_PHRASES_OF_CHANNEL: Final = ("openings", "closings", "signatures")
_TEXTS_OF_CHANNEL: Final = ("name", "between")


@dataclass(frozen=True)
class PhraseBook:
    """Sentences by what they ask for, with the situations and channels in which they are said.

    Attributes:
        needs: the sentences that raise a label, and no other, by label.
        slots: words for slots that mean the same everywhere, such as amounts and towns; `#` is a digit.
        situations: the domains, each with words of its own.
        channels: where and how people write.
        asides: sentences that raise no label and fit beside any need.
        nothing: messages that raise no label.
        solved: thanks for something settled, below which the settled need may be quoted.
        quotes: what the desk wrote, quoted below an answer.
        links: what may stand before a second need.
    """

    needs: Mapping[str, tuple[Phrase, ...]]
    slots: Mapping[str, tuple[str, ...]]
    situations: tuple[Situation, ...]
    channels: tuple[Channel, ...]
    asides: tuple[Phrase, ...]
    nothing: tuple[Phrase, ...]
    solved: tuple[Phrase, ...]
    quotes: tuple[Phrase, ...]
    links: tuple[Phrase, ...]
    emoji: tuple[str, ...]
    fillers: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of the book."""
        return tuple(self.needs)

    @cached_property
    def local_slots(self) -> frozenset[str]:
        """The slots whose words depend on the situation."""
        return frozenset(name for situation in self.situations for name in situation.words)

    def covering(self, taxonomy: Taxonomy) -> PhraseBook:
        """The book with the labels of a taxonomy, in its order; raises InputError where it lacks one."""
        missing = [name for name in taxonomy.names if name not in self.needs]
        if missing:
            raise InputError(
                f"The phrase book says nothing for {_listing(missing)}. It knows: {_listing(self.needs)}. "
                "Add their sentences under [needs], or name another book with --phrases.",
                code="missing_phrases",
            )
        return replace(self, needs={name: self.needs[name] for name in taxonomy.names})

    def planning(self, taxonomy: Taxonomy) -> PhraseBook:
        """The book with the labels of a taxonomy, for somebody else to write about those of which it says nothing."""
        bare = {name: (Phrase(name, (name,), frozenset()),) for name in taxonomy.names}
        return replace(self, needs={name: self.needs.get(name, bare[name]) for name in taxonomy.names})

    @classmethod
    def from_toml(cls, text: str, source: str = "phrases.toml") -> PhraseBook:
        """Parse a phrase book; raises InputError (`bad_phrases`) that names the file and what is wrong with it."""
        try:
            return _book(tomllib.loads(text))
        except InputError as error:
            raise InputError(f"{source}: {error}", code=error.code) from error
        except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, brackets of any depth
            raise InputError(f"{source} is not valid TOML: {error}.", code="bad_phrases") from error


def support_phrases() -> PhraseBook:
    """The phrase book for the seven categories that tagdesk comes with.

    >>> "Refund Request" in support_phrases().labels
    True
    """
    path = resources.files("tagdesk") / "phrases" / "support.toml"
    return PhraseBook.from_toml(path.read_text(encoding="utf-8"), "support.toml")


def _book(document: dict[str, Any]) -> PhraseBook:
    _refuse_strangers(document, _KEYS, "the book")
    needs = _table(document.get("needs"), "[needs]")
    lists = {name: _texts(document.get(name, []), name) for name in _LISTS}
    book = PhraseBook(
        needs={label: _phrases(_texts(said, f"needs of {label!r}")) for label, said in needs.items()},
        slots={
            name: _texts(words, f"slot {name!r}")
            for name, words in _table(document.get("slots", {}), "[slots]").items()
        },
        situations=tuple(_situation(entry) for entry in _tables(document, "situation")),
        channels=tuple(_channel(entry) for entry in _tables(document, "channel")),
        emoji=lists.pop("emoji"),
        fillers=lists.pop("fillers"),
        **{name: _phrases(texts) for name, texts in lists.items()},
    )
    _refuse_gaps(book)
    _refuse_short(book)
    _refuse_unknown_slots(book)
    return book


def _refuse_gaps(book: PhraseBook) -> None:
    Taxonomy.of(book.labels)  # raises where the names could be no labels
    for label, needs in book.needs.items():
        if not needs:
            raise _wrong(f"the label {label!r} has no sentences; it needs at least one.")
    if not book.nothing:
        raise _wrong("`nothing` is empty; list messages that raise no label, such as thanks.")
    if not sum(channel.share for channel in book.channels) > 0:
        raise _wrong("the shares of all channels are 0; give at least one a share.")
    for name, words in book.slots.items():
        if not _all_filled(words):
            raise _wrong(f"the slot {name!r} has no words or an empty one; list at least one, none of them empty.")
    both = sorted(book.local_slots & set(book.slots))
    if both:
        raise _wrong(f"the slot {_listing(both)} stands in [slots] and in a situation. Keep one of them.")


def _refuse_short(book: PhraseBook) -> None:
    """Raise InputError for a sentence that some reading leaves too little of."""
    needs = (need for said in book.needs.values() for need in said)
    for phrase in (*needs, *book.asides, *book.nothing, *book.solved):
        if phrase.fewest_words < _LEAST_LENGTH:
            raise _wrong(
                f"{phrase.source[:80]!r} is too short to tell tickets apart; use {_LEAST_LENGTH} words or more, "
                "whichever way its choices fall."
            )


def _refuse_unknown_slots(book: PhraseBook) -> None:
    """Raise InputError for a slot without words, and where no situation knows all the words that may meet."""
    anywhere = [phrase for part in ("asides", "nothing", "solved", "quotes", "links") for phrase in getattr(book, part)]
    anywhere += [phrase for one in book.channels for part in _PHRASES_OF_CHANNEL for phrase in getattr(one, part)]
    needs = [need for said in book.needs.values() for need in said]
    for phrase in (*anywhere, *needs):
        strange = sorted(phrase.slots - book.local_slots - set(book.slots))
        if strange:
            known = _listing((*book.slots, *book.local_slots))
            raise _wrong(f"{phrase.source[:80]!r} has the unknown slot {_listing(strange)}. Known: {known}.")
    used = frozenset[str]().union(*(phrase.slots for phrase in (*anywhere, *needs))) & book.local_slots
    if not any(used <= set(situation.words) for situation in book.situations):
        raise _wrong(
            f"no situation has words for all of {_listing(used)}, which may meet in one ticket. Let one have them all."
        )


def _situation(entry: Mapping[str, Any]) -> Situation:
    domain = entry.get("domain")
    if not isinstance(domain, str) or not domain.strip():
        raise _wrong("a [[situation]] has no `domain`; name it.")
    words = {name: _texts(value, f"{name!r} of {domain!r}") for name, value in entry.items() if name != "domain"}
    empty = [name for name, given in words.items() if not _all_filled(given)]
    if empty:
        raise _wrong(
            f"{_listing(empty)} of the situation {domain!r} has no words or an empty one; list some or leave it out."
        )
    return Situation(domain, words)


def _channel(entry: Mapping[str, Any]) -> Channel:
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip():
        raise _wrong("a [[channel]] has no `name`; name it.")
    known = {field.name for field in fields(Channel)}
    _refuse_strangers(entry, known, f"the channel {name!r}")
    values: dict[str, Any] = {}
    for key, value in entry.items():
        if key in _PHRASES_OF_CHANNEL:
            values[key] = _phrases(_texts(value, f"{key} of {name!r}"))
        elif key in _TEXTS_OF_CHANNEL:
            values[key] = value
            if not isinstance(value, str):
                raise _wrong(f"`{key}` of the channel {name!r} must be text.")
        elif (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 <= value <= (1e6 if key == "share" else 1)
        ):
            raise _wrong(f"`{key}` of the channel {name!r} is {value!r:.40}; expected a number, rates from 0 to 1.")
        else:
            values[key] = float(value)
    return Channel(**values)


def _tables(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    entries = document.get(name)
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise _wrong(f"it holds no [[{name}]] tables; add at least one.")
    return entries


def _table(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict) or (not value and name == "[needs]"):
        raise _wrong(f"it holds no table {name}; add one with a list of texts for each name.")
    return value


def _texts(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise _wrong(f"{name} must be a list of texts.")
    if any(any("\ud800" <= sign <= "\udfff" for sign in text) for text in value):
        raise _wrong(f"{name} holds half a character (a lone surrogate).")
    repeated = sorted({text for text in value if value.count(text) > 1})
    if repeated:
        raise _wrong(f"{name} holds {repeated[0][:80]!r} twice. Delete one.")
    return tuple(value)


def _all_filled(words: Collection[str]) -> bool:
    return bool(words) and all(word.strip() for word in words)


def _phrases(texts: Iterable[str]) -> tuple[Phrase, ...]:
    return tuple(Phrase.of(text) for text in texts)


def _refuse_strangers(entry: Mapping[str, Any], known: Collection[str], where: str) -> None:
    strangers = sorted(set(entry) - set(known))
    if strangers:
        raise _wrong(f"{where} has the unknown key {_listing(strangers)}. Known: {_listing(known)}.")


def _wrong(what: str) -> InputError:
    return InputError(what, code="bad_phrases")


def _listing(names: Iterable[str], most: int = 12) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(repr(name[:60]) for name in ordered[:most]) + more
