"""Which help desks there are, as their owner wrote them down in a TOML file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagdesk.connectors import NAMES, connector
from tagdesk.connectors.access import Access
from tagdesk.connectors.help_desk import HelpDesk
from tagdesk.connectors.signature import key
from tagdesk.connectors.tags import PREFIX, Tags
from tagdesk.errors import UsageError
from tagdesk.prediction import Decision

_LONGEST_TENANT = 200  # characters, as the store has it
_NAME = re.compile(r"[a-z0-9-]{1,60}", re.ASCII)
_PLACE = re.compile(r"at (line \d+, column \d+|end of document)")
_TEXTS = ("kind", "secret", "url", "user", "token", "account", "tenant", "prefix", "tag_from")
_FROM_ENVIRONMENT = ("secret", "user", "token")
_FIELDS = {*_TEXTS, *(f"{name}_env" for name in _FROM_ENVIRONMENT), "users", "tags", "note", "dry_run"}
_TAG_FROM = {"suggest": Decision.SUGGEST, "automate": Decision.AUTOMATE}
_MEANS = {  # what may be said of a fault; the messages of others could hold what stands in the file
    "bad_url": ("url", "expected an address such as https://acme.zendesk.com, without a user or password in it"),
    "bad_token": ("token", "it is empty or holds characters that no token has. Copy it again"),
    "bad_user": ("user", "expected the e-mail address of an agent"),
    "bad_account": ("account", "expected the number that the address bar shows, in quotes"),
    "no_secret": ("secret", "it is empty. Copy it from the help desk, or choose one"),
}


@dataclass(frozen=True)
class Site:
    """A help desk that sends webhooks, and what is done at it.

    Attributes:
        name: what its webhooks' address ends with, and what its cases name as their source.
        help_desk: where it is.
        secret: what its webhooks are signed with.
        tenant: who owns the cases.
        users: the ids of the users that tagdesk acts as there.
        prefix: how tags begin that are not named.
        names: tags by the label that they stand for.
        tag_from: the decision from which a label is written as a tag.
        has_note: whether an internal note says what tagdesk thinks.
        is_dry: whether nothing is written; what would be is logged.
    """

    name: str
    help_desk: HelpDesk
    secret: str = field(repr=False)
    tenant: str = "default"
    users: frozenset[str] = frozenset()
    prefix: str = PREFIX
    names: Mapping[str, str] = field(default_factory=dict)
    tag_from: Decision = Decision.SUGGEST
    has_note: bool = True
    is_dry: bool = False

    def tags(self, labels: Sequence[str]) -> Tags:
        """The tags that stand for labels; a name for a label that is not among them waits for a model that has it.

        Raises UsageError (`bad_tag`) where a tag cannot be one there.
        """
        names = {label: tag for label, tag in self.names.items() if label in labels}
        return self._short(Tags.of(labels, prefix=self.prefix, names=names))

    def check(self, labels: Sequence[str]) -> None:
        """Raise UsageError (`bad_tag`) unless each label has a tag, and each named tag a label."""
        try:
            self._short(Tags.of(labels, prefix=self.prefix, names=self.names))
        except UsageError as error:
            raise UsageError(f"Help desk {self.name!r}: {error}", code=error.code) from None

    def _short(self, tags: Tags) -> Tags:
        longest = self.help_desk.connector.longest_tag
        too_long = [tag for tag in tags.by_label.values() if len(tag) > longest]
        if too_long:
            raise UsageError(
                f"Tag {too_long[0][:80]!r} has more than the {longest} characters that the help desk takes. "
                "Name a shorter one.",
                code="bad_tag",
            )
        return tags


def read_sites(path: Path, environment: Mapping[str, str]) -> list[Site]:
    """The help desks of a file, in its order; secrets may stand in environment variables that the file names.

    Raises UsageError (`bad_help_desks`) that names the file, the table, the field or line, and the remedy; never what
    stands there, for it could be a secret.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _fault(path, f"{error.strerror or 'it cannot be read'}. Name a file that is there") from None
    except UnicodeDecodeError as error:
        raise _fault(path, f"byte {error.start} is no UTF-8. Save it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        place = _PLACE.search(str(error))
        raise _fault(
            path, f"it is no TOML {place[0] if place else ''}".rstrip() + ". Compare it with the manual"
        ) from None
    if not document:
        raise _fault(path, "it holds no help desk. Begin a table with its name, such as [acme]")
    return [_Table(path, name, table, environment).site() for name, table in document.items()]


@dataclass(frozen=True)
class _Table:
    """A table of the file, read field by field."""

    path: Path
    name: str
    fields: Any
    environment: Mapping[str, str]

    def site(self) -> Site:
        if not isinstance(self.fields, dict):
            raise _fault(self.path, "something stands outside of a table. Begin a table with a name, such as [acme]")
        if not _NAME.fullmatch(self.name):
            raise _fault(self.path, "the name of a table is not of a-z, 0-9 and -. It is a part of an address")
        if strangers := sorted(set(self.fields) - _FIELDS):
            raise self._fault(strangers[0][:40], f"unknown. Known are {', '.join(sorted(_FIELDS))}")
        kind = self._one_of("kind", NAMES)
        for name, only in (("account", "chatwoot"), ("user", "zendesk")):
            if kind != only and (name in self.fields or f"{name}_env" in self.fields):
                raise self._fault(name, f"only {only} has one. Take the line out")
        if kind == "chatwoot" and "account" not in self.fields:
            raise self._fault("account", "missing. Give the number that the address bar shows, in quotes")
        try:
            return self._made(kind)
        except UsageError as error:
            if error.code not in _MEANS:
                raise
            raise self._fault(*_MEANS[error.code]) from None

    def _made(self, kind: str) -> Site:
        secret = self._needed("secret")
        key(secret)
        access = Access(self._needed("url"), self._needed("token"), self._text("user"), self._text("account"))
        return Site(
            self.name,
            HelpDesk(connector(kind), access),
            secret,
            tenant=self._tenant(),
            users=frozenset(self._users()),
            prefix=PREFIX if "prefix" not in self.fields else self._text("prefix") or "",
            names=self._names(),
            tag_from=_TAG_FROM[self._one_of("tag_from", tuple(_TAG_FROM), "suggest")],
            has_note=self._is("note", default=True),
            is_dry=self._is("dry_run", default=False),
        )

    def _text(self, name: str) -> str | None:
        """A text that stands in the file, or in the environment variable that the file names; None for none."""
        variable = self.fields.get(f"{name}_env")
        if variable is None:
            value = self.fields.get(name)
            if value is not None and not isinstance(value, str):
                raise self._fault(name, "expected a text in quotes")
            return value
        if name in self.fields:
            raise self._fault(f"{name}_env", f"{name} is given as well. Take one of them out")
        if not isinstance(variable, str) or variable not in self.environment:
            raise self._fault(f"{name}_env", "expected the name of an environment variable that is set. Set it")
        return self.environment[variable]

    def _needed(self, name: str) -> str:
        value = self._text(name)
        if value is None:
            either = f", or {name}_env" if name in _FROM_ENVIRONMENT else ""
            raise self._fault(name, f"missing. Give it{either}")
        return value

    def _one_of(self, name: str, known: Sequence[str], default: str | None = None) -> str:
        value = self._text(name) or default
        if value is None or value not in known:
            raise self._fault(name, f"expected one of {', '.join(known)}")
        return value

    def _is(self, name: str, *, default: bool) -> bool:
        value = self.fields.get(name, default)
        if not isinstance(value, bool):
            raise self._fault(name, "expected true or false, without quotes")
        return value

    def _tenant(self) -> str:
        value = self._text("tenant") or "default"
        if len(value) > _LONGEST_TENANT or not value.isprintable():
            raise self._fault("tenant", f"expected a name of at most {_LONGEST_TENANT} characters")
        return value

    def _users(self) -> list[str]:
        value = self.fields.get("users", [])
        if not isinstance(value, list) or not all(isinstance(user, str) for user in value):
            raise self._fault("users", 'expected a list of ids in quotes, such as ["4711"]')
        return value

    def _names(self) -> dict[str, str]:
        value = self.fields.get("tags", {})
        if not isinstance(value, dict) or not all(isinstance(tag, str) for tag in value.values()):
            raise self._fault("tags", 'expected a table of labels and tags, such as "Billing Issue" = "billing"')
        return value

    def _fault(self, name: str, problem: str) -> UsageError:
        return _fault(self.path, f"[{self.name}] {name}: {problem}")


def _fault(path: Path, problem: str) -> UsageError:
    return UsageError(f"{path}: {problem}.", code="bad_help_desks")
