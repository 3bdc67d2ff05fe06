"""Finds passwords, keys and other secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tagdesk.redact.edges import AFTER, EDGE
from tagdesk.redact.spans import Span

# Secrets that are known by their form; the last group of each is what goes.
_TOKENS = (
    re.compile(r"(eyJ(?<![\w-]eyJ)(?<!\]eyJ)[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+){0,3}+)"),  # JSON web tokens
    re.compile(r"[Bb](?<!\w.)(?i:earer)[ \t]{1,4}((?=[\w.~+/=-]*[0-9]|[\w.~+/=-]{20})[\w.~+/=-]{8,}+)"),
    re.compile(r"[Aa](?<!\w.)(?i:uthorization)[\"']?[ \t]*+[:=][ \t\"']*+(?i:basic|token)[ \t]{1,4}([\w+/=.:~-]{4,}+)"),
    re.compile(
        rf"([sprgxnhw]{EDGE}(?<!-.)(?:(?<=[spr])k[-_]|(?<=g)(?:h[opsur]_|ithub_pat_|lpat-)|(?<=x)ox[a-z]-|(?<=n)pm_"
        r"|(?<=p)ypi-|(?<=h)f_|(?<=s)hp[a-z]{2}_|(?<=w)hsec_)(?=[\w-]*[0-9])[\w-]{10,}+)"
    ),
    re.compile(
        rf"([AS]{EDGE}(?:(?<=A)(?:KIA|SIA)[A-Z0-9]{{16}}|(?<=A)Iza[\w-]{{35}}|(?<=S)G(?:\.[\w-]{{16,64}}){{2}}){AFTER})"
    ),
    re.compile(r"://([^\s/?#@:]*+:[^\s/?#]*)@"),  # user:password@host
    re.compile(r"(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]*+(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?)"),
    re.compile(
        r"[PpCc](?<!\w.)(?i:(?<=p)in(?: ?code)?[ \t]{0,2}(?:[:=]|is\b|ist\b)|(?<=c)v[cv]2?[ \t]{0,2}(?:[:=]|is\b)?)"
        rf"[ \t]{{0,2}}([0-9]{{3,8}}){AFTER}"
    ),
)

# Secrets that are known by the word before them. `doubtful` words and links want a value that looks like a secret.
_KEY = re.compile(
    r"[PpKkMmCcSsWwHhTt\u041f\u043f\u5bc6](?i:(?<=p)(?:ass(?:word|wort|code|phrase|wd)|wd?\b)|(?<=k)ennwort"
    r"|(?<=m)ot[ ]de[ ]passe|(?<=c)ontrase[\u00f1n]a|(?<=s)enha|(?<=w)achtwoord|(?<=h)as[\u0142l]o"
    r"|(?<=\u043f)\u0430\u0440\u043e\u043b\u044c|(?<=\u5bc6)\u7801"
    r"|(?P<doubtful>(?<=t)oken|(?<=s)ecret|(?<=p)(?<!\wp)ass)|(?P<key>(?<=k)ey))(?:s|[_-]id)?"
    r"(?P<about>[ ](?:for|to|of)[ ][^\n:=]{1,30})?"
    r"(?:[\"']?[ \t]{0,3}(?P<equals>[:=]?=>?|:)|[ \t]{1,3}(?P<loose>(?i:is|was|ist|war|lautet|est|es)\b|-))"
    r"[ \t]{0,4}(?P<line>\r?\n[ \t]{0,4})?(?P<quote>[\"'`]?)"
)
_KEY_OF = re.compile(
    r"(?:api|access|auth|client|private|secret|session|refresh|account|encryption|signing)[ _-]?\Z", re.IGNORECASE
)
_QUOTED = {quote: re.compile(rf"[^{quote}\n]{{1,256}}(?={quote})") for quote in "\"'`"}
_VALUE_HEAD = re.compile(r"\S{1,64}")
_VALUE = re.compile(r"\S++")
_ASSIGNED = re.compile(r"(?:[^\s&\"'<>]|&(?![\w.-]{1,40}=))++")  # in a link the next one follows: &x=
_CLOSING = ".,;:)]}>\"'`"
_NO_SECRET = re.compile(
    r"a|after|am|an|and|any|are|as|at|be|because|but|by|can|can't|cannot|click|contact|could|did|do|does|doesn't"
    r"|don't|email|error|expired|failed|for|forgot|forgotten|get|had|has|have|he|help|hello|hi|his|how|however|i"
    r"|i'm|if|in|incorrect|invalid|is|isn't|it|its|just|keeps|link|lost|me|missing|must|my|need|new|no|none|not"
    r"|now|null|of|ok|old|on|one|only|or|page|please|problem|question|request|required|reset|same|see|sent|she"
    r"|should|since|still|thank|thanks|that|the|their|then|there|they|this|to|too|try|two|unknown|update|very|via"
    r"|want|was|we|were|what|when|where|which|who|why|will|with|won't|would|wrong|yes|you|your|aber|bitte|das|der"
    r"|die|es|falsch|geht|hat|ich|ist|kann|kein|mein|nicht|und|wie|wird|zur",
    re.IGNORECASE,
)  # what people write behind "password:" when they do not tell it
_CHOSEN = re.compile(r"(?=.*[0-9])(?:.*[A-Za-z]|.{6}).*|.*\w[!@#$%^&*+=~]\w.*", re.DOTALL)
_CHOSEN_AT_LEAST = 5
_REPEATED_AT_LEAST = 6
_WORD = re.compile(r"[^\s\"'<>,;&=]++")

# Secrets that are known by their length and disorder.
_LONG_RUN = re.compile(r"[A-Za-z0-9+/_-]{32,}+")
_LONG_RUNS = (
    re.compile(rf"[A-Za-z0-9]{EDGE}[A-Za-z0-9]{{31,}}+{AFTER}"),
    re.compile(rf"[A-Za-z0-9_-]{EDGE}(?<!-.)[A-Za-z0-9_-]{{31,}}+{AFTER}"),
    re.compile(rf"[A-Za-z0-9+/]{EDGE}(?<![+/].)[A-Za-z0-9+/]{{31,}}+={{0,2}}{AFTER}"),
)
_LONG = 32
_FOLDERS = re.compile(r"\A(?:(?:[A-Z]?[a-z]+|[A-Z]+|[0-9]+)?/)*+")  # of a link, before the secret in it
_UUID = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f])")
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_CHANGE = re.compile(r"[a-z](?=[A-Z0-9])|[A-Z](?=[0-9])|[0-9](?=[A-Za-z])")
_ORDINARY_WORD = re.compile(r"(?<![A-Za-z0-9])(?:[A-Z]?[a-z]+|[A-Z]+|[0-9]+)(?![A-Za-z0-9])")


def find_tokens(text: str) -> Iterator[Span]:
    """Passwords, keys and other secrets: by their form, by the word before them, or by length and disorder.

    A password that was named once is also found where it is repeated.

    >>> list(find_tokens("password: tulip, please help"))
    [(10, 15, 'TOKEN')]
    """
    for pattern in _TOKENS:
        yield from ((*match.span(1), "TOKEN") for match in pattern.finditer(text))
    for run in _LONG_RUN.finditer(text):
        for pattern in _LONG_RUNS:
            runs = pattern.finditer(text, run.start(), run.end() + 4)  # with what stands behind it
            secrets = (
                (match.end() - len(_FOLDERS.sub("", match[0])), match.end()) for match in runs if _is_random(match[0])
            )
            yield from ((*span, "TOKEN") for span in secrets)
    named = list(_named_secrets(text))
    yield from ((*span, "TOKEN") for span in named)
    repeated = {value for start, end in named if _is_distinctive(value := text[start:end])}
    for match in _WORD.finditer(text) if repeated else ():
        word = match[0].rstrip(_CLOSING)
        if word in repeated:
            yield match.start(), match.start() + len(word), "TOKEN"


def _is_random(run: str) -> bool:
    """Whether a long run of letters and digits is a secret rather than the words of a link or a name in a program."""
    run = _UUID.sub("", run)
    if len(run) < _LONG or run.isdigit() or not any(map(str.isdigit, run)):
        return False
    if _HEX.fullmatch(run):
        return True
    ordinary = sum(len(word) for word in _ORDINARY_WORD.findall(run))
    return len(_CHANGE.findall(run)) * 5 >= len(run) and ordinary * 4 <= len(run)  # random ones: 2 in 5 change


def _named_secrets(text: str) -> Iterator[tuple[int, int]]:
    done = 0
    for key in _KEY.finditer(text):
        start = key.end()
        if start < done:
            continue
        is_named = _KEY_OF.search(text, key.start() - 12, key.start()) is not None
        if key["key"] and not is_named:
            continue
        is_sure = (is_named or not key["doubtful"]) and not (key["loose"] or key["line"] or key["about"])
        quoted = _QUOTED[key["quote"]].match(text, start) if key["quote"] else None
        head = quoted or _VALUE_HEAD.match(text, start)
        if head is None or not _is_secret(head[0], is_sure=is_sure):
            continue
        value = quoted or (_ASSIGNED if "=" in (key["equals"] or "") else _VALUE).match(text, start)
        if value is not None and any(map(str.isalnum, value[0])):
            done = value.end()
            yield start, done if quoted else start + len(value[0].rstrip(_CLOSING))


def _is_secret(value: str, *, is_sure: bool) -> bool:
    core = value.strip(_CLOSING + "!?*")
    if is_sure:
        return _NO_SECRET.fullmatch(core) is None
    return len(core) >= _CHOSEN_AT_LEAST and _CHOSEN.fullmatch(core) is not None


def _is_distinctive(value: str) -> bool:
    return len(value) >= _REPEATED_AT_LEAST and any(map(str.isdigit, value)) and any(map(str.isalpha, value))
