"""Personal data in a customer's message, replaced by its kind before the message is stored or logged.

A finder names the spans of one kind; `redact` alone decides what becomes of them. The finders work one after the
other, each on what the earlier ones left, so no two can claim the same characters. They read a plain view of the
text, of the same length: full-width and other digits as ASCII, every blank and dash as the one on a keyboard.

Redacting twice changes nothing. A placeholder bounds a find as the letters or digits did that it replaced, so it
hardly ever frees what stood beside it; where it does, a further pass takes that as well.

Names, postal addresses and dates of birth have no form of their own and stay; `presidio_finder` looks for some.
"""

from __future__ import annotations

import importlib
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

from tagdesk.errors import MissingExtra

KINDS: Final = ("TOKEN", "EMAIL", "IBAN", "CARD", "IP", "SSN", "PHONE")

Span: TypeAlias = tuple[int, int, str]  # start, end, kind
Finder: TypeAlias = Callable[[str], Iterable[Span]]

# "[AT]" and "[DOT]" are ways to write an e-mail address, no placeholders.
_PLACEHOLDER = re.compile(r"\[(?!AT\]|DOT\])[A-Z][A-Z_]{1,39}\]")
_PLACEHOLDER_AT_MOST = 42
_PASSES = 5  # the second finds something, and a third is needed, only where finds are glued together

_ZEROS = (0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xE50, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6)
_PLAIN = {
    **{0xFF01 + place: chr(0x21 + place) for place in range(94)},  # full-width forms
    **{zero + digit: str(digit) for zero in _ZEROS for digit in range(10)},
    **dict.fromkeys((0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " "),
    **dict.fromkeys((*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63), "-"),
    **dict.fromkeys((0x201C, 0x201D, 0x201E, 0xAB, 0xBB), '"'),
    **dict.fromkeys((0x2018, 0x2019), "'"),
    **dict.fromkeys((0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF), "\u200b"),
}

# Every pattern is linear in the text: it begins at the edge of a run, and its repeats are possessive or bounded.
# Most begin with a character and look behind it, because Python skips fast to a character and not to an edge.
_EDGE = r"(?<!\w.)(?<![A-Z]\].)"  # no find begins within a word or right behind a placeholder
_AFTER = r"(?!\w|\[[A-Z]{2})"
_GAP = r"(?:[ .\u200b-]{1,3}|[ .-]?\r?\n[ >]{0,3})"  # between the groups of a long number, maybe on two lines

_LOCAL = r"[^\s\x00-\x1f@\"(),:;<>\[\\\]{}|/=!?#*\u3001-\u301f]"  # anything else may stand before the @, in any script
_AT = r"(?:@| ?[(\[{<] ?(?:at|@|\u00e4t) ?[)\]}>] ?)"
_DOT = r"(?:\.| ?[(\[{<] ?(?:dot|punkt|\.) ?[)\]}>] ?)"
_ADDRESS = (
    rf"(?:(?:(?!\w){_LOCAL})*+(?P<plain>{_LOCAL}++)|(?P<quoted>\"[^\"\n]{{1,64}}\")){_AT}(?!\dx\.)"  # logo@2x.png
    rf"(?:[\w-]{{1,63}}{_DOT}){{1,8}}(?:xn--[a-z0-9-]{{2,59}}|[a-z]{{2,63}}|[^\W\d_]{{2,63}})"
)
_EMAIL = re.compile(rf"(?<!{_LOCAL}){_ADDRESS}", re.IGNORECASE)
_NEXT_EMAIL = re.compile(_ADDRESS, re.IGNORECASE)
_BRACKETED_AT = re.compile(r"[(\[{<] ?(?:at|\u00e4t) ?[)\]}>]", re.IGNORECASE)

_IBAN = re.compile(rf"[A-Za-z]{_EDGE}(?=([A-Za-z][ -]?[0-9]{{2}}(?:{_GAP}?[A-Za-z0-9]){{11,30}}))")
_IBAN_LENGTHS = dict(
    re.findall(
        r"([A-Z]{2})([0-9]{2})",
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
        "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
        "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
        "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 "
        "YE30 ",
    )
)
_IBAN_DIGITS = 10  # the least that an IBAN of any country holds; a sentence with a "no 15" in it holds fewer
_ALNUM = re.compile(r"[A-Za-z0-9]")
_END = re.compile(_AFTER)
_NO_ALNUM = re.compile(r"[^A-Za-z0-9]+")
_LETTERS_AS_NUMBERS = {ord("A") + place: str(10 + place) for place in range(26)}

_CARDS = tuple(
    re.compile(rf"[0-9]{_EDGE}(?<![0-9\]]\..)(?=({shape}){_AFTER})")  # not the decimals of a long number
    for shape in (
        rf"[0-9]{{12,18}}|[0-9]{{3}}(?:{_GAP}[0-9]{{4}}){{3}}|[0-9]{{3}}{_GAP}[0-9]{{6}}{_GAP}[0-9]{{4,5}}",
        rf"[0-9]{{3}}(?:{_GAP}[0-9]{{4}}){{2,3}}{_GAP}[0-9]{{1,3}}",
    )
)
# How cards of each length begin; IMEIs, barcodes and times in milliseconds mostly begin otherwise.
_CARD_OPENING = re.compile(
    r"[1-9][0-9]{15}|[4-6][0-9]{12}|[356][0-9]{13}|3[47][0-9]{13}|[256][0-9]{14}|[2-6][0-9]{16,18}"
)
_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
_NO_DIGIT = re.compile(r"[^0-9]+")

_IPV4 = re.compile(rf"[0-9]{_EDGE}(?<![0-9\]]\..)[0-9]{{0,2}}(?:\.[0-9]{{1,3}}){{3}}{_AFTER}(?!\.[0-9\[])")
_IPV6 = re.compile(
    r"[0-9A-Fa-f:](?<![0-9A-Fa-f:.-].)(?<![A-Z]\].)(?<![\w)\]]\[.)(?:(?<=:)|(?=[0-9A-Fa-f]{0,3}:))"
    rf"[0-9A-Fa-f:.]{{2,}}+(?:%\w{{1,20}})?{_AFTER}"
)
_IPV6_AT_MOST = 70
_VERSION = re.compile(r"(?:version|ver\.?|firmware|release|build|driver)[ :]{0,2}\Z", re.IGNORECASE)

_SSNS = (
    re.compile(
        rf"[0-9]{_EDGE}(?<![0-9\]]-.)(?:(?<!9)(?<!000)(?!00-|66-)[0-9]{{2}}-(?!00)[0-9]{{2}}-(?!0000)"
        rf"|(?<=9)[0-9]{{2}}-(?:5[0-9]|6[0-5]|7[0-9]|8[0-8]|9[0-24-9])-)[0-9]{{4}}{_AFTER}(?!-[\w\[])"  # 9: tax numbers
    ),
    re.compile(
        r"[Ss](?<!\w.)(?i:sn|ocial[ -]security(?:[ ](?:number|no\.?))?)[ :#-]{0,3}(?:is[ ])?"
        rf"([0-9]{{3}}[ .-]?[0-9]{{2}}[ .-]?[0-9]{{4}}){_AFTER}"
    ),
)

# Secrets that are known by their form; the last group of each is what goes.
_TOKENS = (
    re.compile(r"(eyJ(?<![\w-]eyJ)(?<!\]eyJ)[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+){0,3}+)"),  # JSON web tokens
    re.compile(r"[Bb](?<!\w.)(?i:earer)[ \t]{1,4}((?=[\w.~+/=-]*[0-9]|[\w.~+/=-]{20})[\w.~+/=-]{8,}+)"),
    re.compile(r"[Aa](?<!\w.)(?i:uthorization)[\"']?[ \t]*+[:=][ \t\"']*+(?i:basic|token)[ \t]{1,4}([\w+/=.:~-]{4,}+)"),
    re.compile(
        rf"([sprgxnhw]{_EDGE}(?<!-.)(?:(?<=[spr])k[-_]|(?<=g)(?:h[opsur]_|ithub_pat_|lpat-)|(?<=x)ox[a-z]-|(?<=n)pm_"
        r"|(?<=p)ypi-|(?<=h)f_|(?<=s)hp[a-z]{2}_|(?<=w)hsec_)(?=[\w-]*[0-9])[\w-]{10,}+)"
    ),
    re.compile(
        rf"([AS]{_EDGE}(?:(?<=A)(?:KIA|SIA)[A-Z0-9]{{16}}|(?<=A)Iza[\w-]{{35}}|(?<=S)G(?:\.[\w-]{{16,64}}){{2}}){_AFTER})"
    ),
    re.compile(r"://([^\s/?#@:]*+:[^\s/?#]*)@"),  # user:password@host
    re.compile(r"(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]*+(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?)"),
    re.compile(
        r"[PpCc](?<!\w.)(?i:(?<=p)in(?: ?code)?[ \t]{0,2}(?:[:=]|is\b|ist\b)|(?<=c)v[cv]2?[ \t]{0,2}(?:[:=]|is\b)?)"
        rf"[ \t]{{0,2}}([0-9]{{3,8}}){_AFTER}"
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
    re.compile(rf"[A-Za-z0-9]{_EDGE}[A-Za-z0-9]{{31,}}+{_AFTER}"),
    re.compile(rf"[A-Za-z0-9_-]{_EDGE}(?<!-.)[A-Za-z0-9_-]{{31,}}+{_AFTER}"),
    re.compile(rf"[A-Za-z0-9+/]{_EDGE}(?<![+/].)[A-Za-z0-9+/]{{31,}}+={{0,2}}{_AFTER}"),
)
_LONG = 32
_FOLDERS = re.compile(r"\A(?:(?:[A-Z]?[a-z]+|[A-Z]+|[0-9]+)?/)*+")  # of a link, before the secret in it
_UUID = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f])")
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_CHANGE = re.compile(r"[a-z](?=[A-Z0-9])|[A-Z](?=[0-9])|[0-9](?=[A-Za-z])")
_ORDINARY_WORD = re.compile(r"(?<![A-Za-z0-9])(?:[A-Z]?[a-z]+|[A-Z]+|[0-9]+)(?![A-Za-z0-9])")

# Phone numbers. What is surely none is blanked first: dates, times, ranges of them, amounts.
_DAY = r"(?:(?<=[0-3])[0-9])?"  # or a month or an hour; its first digit stands before
_NO_PHONE = re.compile(
    r"[0-9](?<![0-9].)(?<![0-9][.,:/-].)(?:"
    r"(?:(?<=1)9|(?<=2)0)[0-9]{2}([-./])[01]?[0-9]\1[0-3]?[0-9](?:T[0-9:.]{4,15})?"
    rf"|{_DAY}(?:([-./])[0-3]?[0-9]\2|[ ][01]?[0-9][ ](?=19|20)|/(?=19|20))(?:(?:19|20)[0-9]{{2}}|[0-9]{{2}})"
    rf"|{_DAY}[.:][0-5][0-9][ ]?-[ ]?[0-2]?[0-9][.:][0-5][0-9]|{_DAY}:[0-5][0-9](?::[0-5][0-9])?"
    r"|[0-9]{0,2}(?:[ .,'][0-9]{3}){0,4}[.,][0-9]{2})(?![0-9]|[.,/:-][0-9])"
)
_MARK = "\x01"  # stands for what was redacted before, in the view that numbers are read in
_RUN = re.compile(rf"[(+0-9{_MARK}][0-9(){_MARK} +\t./\u200b-]*+")
_RUN_TAIL = " \t.(+/\u200b-"
_FIRST_GROUP = re.compile(r"[(+]{0,3}([0-9]+)\)?")
_NEXT_GROUP = re.compile(r"[ \t./\u200b-]{0,3}\(?([0-9]+)\)?")
_START = re.compile(
    r"(?P<plus>\(?\+\(?[1-9])"
    r"|(?P<bracket>\((?!(?:19|20)[0-9]{2}\))[0-9]{2,5}\)[ ./-]{0,3}[0-9])"
    r"|\(?(?:(?P<zeros>00[ ]?[1-9][0-9]{0,3}[ ./()-]{1,3}[0-9]|00[1-9][0-9]{9,13}(?![0-9]))"
    r"|(?P<trunk>0[1-9][0-9]{0,4}[)]?[ \t./\u200b-]{1,3}[0-9])"
    r"|(?P<american>(?:1[ .-])?[2-9][0-9]{2}[ .-]{1,2}[0-9]{3}[ .-][0-9]{4}(?![0-9])))"
)
_BOUNDS = {"plus": (8, 15), "zeros": (10, 17), "bracket": (8, 13), "trunk": (9, 12), "american": (10, 11)}
_PLAIN_BOUNDS = (8, 15)
_RUN_AT_MOST = 40
_OTHER_NUMBER = re.compile(
    r"\s[-./]\s|\s{2}|\s?/|[ \t./-]{0,3}(?:\(|0[1-9][0-9]{1,3}[ ./-]{1,3}[0-9]{4})"
)  # after one that is long enough
_RESTART = re.compile(
    rf"(?<={_MARK})(?!{_MARK})[ \t./\u200b-]*|\s[-./]\s+|\s{{2,}}|\s?/\s?|(?=[(+])"
    r"|[ \t](?=0[1-9][0-9]{2,3}[ /-][0-9]{5})"
)
_GLUED_GROUP = re.compile(r"[0-9]+\)?[ \t]+|")
_BLANKS = re.compile(r"[ \t./\u200b-]*")
_BRACKET = re.compile(r"[()]")
_PAIRS = re.compile(r"0[1-9](?:[ .-][0-9]{2}){5,}(?![0-9])")  # six pairs are no French number, but a list
_EXTENSION = re.compile(r"[ ,]{0,2}(?:ext(?:ension)?\.?|x|durchwahl|dw)[ :.]{0,2}[0-9]{1,6}(?![0-9])", re.IGNORECASE)
_GLUED = re.compile(r"(?:[^\W\d]|[^\W\d][-_/]|[#$\u20ac\u00a3*\u2116]|[0-9][,:])\Z")
_UNIT_AFTER = re.compile(
    r"-?\w|[ ]?(?:[$%\u20ac\u00a3]|(?:eur|usd|gbp|chf|km|kg|pcs|items|units|points)\b)", re.IGNORECASE
)
_WINDOW = 40  # characters before a number in which a word may say what it is
_CUE = re.compile(
    r"(?<!\w)(?:(?P<yes>(?:tele)?phones?|telefon\w*|tel|t\u00e9l\w*|tel\u00e9fono|mobiles?|mobil\w*|m\u00f3vil|mob|cell"
    r"(?:ular|phone)?|handy\w*|whats ?app|wa\.me|viber|sms|fax|call(?:s|ed|ing|back)?|ring|dial|text me|reach (?:me|us)"
    r"|(?:contact|my|our|work|home|office|emergency|hotline|landline)(?: me| us)?(?: (?:numbers?|no\.?|nr\.?|at|on))"
    r"|hotline|landline|r\u00fcckruf\w*|rufnummer\w*|anruf\w*|appel\w*|ll\u00e1m\w*|celular|telefone|bel)"
    r"(?:[ _-]?(?:numbers?|no\.?|nr\.?|nummer|#))?"
    r"|(?:the|a|this|that|new|old|right|wrong|following) number"
    r"|(?P<no>orders?|invoices?|inv|refs?|references?|tickets?|tracking|parcels?|shipments?|sku|serial|imei|isbn|ean|upc"
    r"|gtin|asin|ids?|codes?|rma|po|vat|iban|account|customer|member(?:ship)?|contract|booking|reservation|transaction"
    r"|txn|receipt|voucher|models?|part|product|version|lot|batch|articles?|items?"
    r"|bestell\w*|auftrag\w*|rechnung\w*|sendung\w*|kunden\w*|vertrag\w*|artikel\w*|konto\w*"
    r"|\w*nummer|commande|facture|colis|pedido|factura|[a-z]+ (?:number|id|#)"
    r")(?:[ -]?(?:numbers?|no\.?|nr\.?|ids?|codes?|#))?|(?P<mark>\x01))(?![^\W\d_])",
    re.IGNORECASE,
)
_LEADING = re.compile(r"[\s:#=(-]*(?:(?:is|was|are|ist|war)[\s:#=(-]*)?")  # between "order" and its number
_OTHER_SUBJECT = re.compile(r"[.!?;]\s+[^\W\d]|(?<![0-9])[0-9]{1,3}\s[a-z]")  # "I called 3 times. Where is 47112290?"
_CUE_AFTER = re.compile(
    r"[\s,(-]{1,3}(?:is )?(?:my |our )?(?:phone|mobile|cell|whatsapp|handy|mobil|tel)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without what was found in it, with how often each kind was; `counts` holds the kinds found alone."""

    text: str
    counts: Mapping[str, int]

    @property
    def found(self) -> bool:
        """Whether anything was replaced.

        >>> redact("The parcel is late.").found
        False
        """
        return bool(self.counts)


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


def find_emails(text: str) -> Iterator[Span]:
    """E-mail addresses, also `ann (at) shop (dot) com`, where brackets leave no doubt.

    >>> list(find_emails("From: ann+shop@example.com"))
    [(6, 26, 'EMAIL')]
    """
    match = _EMAIL.search(text) if "@" in text or _BRACKETED_AT.search(text) else None
    while match:
        yield match.start(match.lastgroup or 0), match.end(), "EMAIL"
        match = _NEXT_EMAIL.match(text, match.end()) or _EMAIL.search(text, match.end())


def find_ibans(text: str) -> Iterator[Span]:
    """Bank account numbers with their country's length and right check digits.

    >>> list(find_ibans("de89 3704 0044 0532 0130 00, thanks"))
    [(0, 27, 'IBAN')]
    """
    for match in _IBAN.finditer(text):
        iban = _NO_ALNUM.sub("", match[0] + match[1]).upper()
        length = int(_IBAN_LENGTHS.get(iban[:2], "99"))
        iban = iban[:length]
        if len(iban) < length or sum(map(str.isdigit, iban)) < _IBAN_DIGITS:
            continue
        if int((iban[4:] + iban[:4]).translate(_LETTERS_AS_NUMBERS)) % 97 == 1:
            *_, last = islice(_ALNUM.finditer(text, match.start()), length)
            if _END.match(text, last.end()):
                yield match.start(), last.end(), "IBAN"


def find_cards(text: str) -> Iterator[Span]:
    """Payment card numbers with a right check digit, unbroken or in the groups that are printed on cards.

    >>> list(find_cards("4111-1111-1111-1111"))
    [(0, 19, 'CARD')]
    """
    for pattern in _CARDS:
        for match in pattern.finditer(text):
            card = match[0] + match[1]
            digits = _NO_DIGIT.sub("", card)
            if _CARD_OPENING.fullmatch(digits) and _has_luhn_digit(digits) and card.count("\n") < 2:
                yield match.start(), match.end(1), "CARD"


def find_ips(text: str) -> Iterator[Span]:
    """Internet addresses of both versions; `version 1.2.3.4` is none.

    >>> list(find_ips("from 2001:db8::1, not at 12:30:45"))
    [(5, 16, 'IP')]
    """
    for match in _IPV4.finditer(text):
        if _is_address(match[0]) and not _VERSION.search(text, match.start() - 12, match.start()):
            yield *match.span(), "IP"
    for match in _IPV6.finditer(text):
        found = match[0]
        if len(found) > _IPV6_AT_MOST or found.count(":") < 2:
            continue
        start = match.start()
        if found[0] == ":" and found[1] != ":":
            found, start = found[1:], start + 1
        elif text[start - 1 : start].isalnum():  # Some::f00
            continue
        found = found.rstrip(".")
        found = found if found.endswith("::") else found.rstrip(":.")
        if (found.count(":") > 3 or any(map(str.isdigit, found))) and _is_address(found):
            yield start, start + len(found), "IP"


def find_ssns(text: str) -> Iterator[Span]:
    """United States social security and tax numbers with dashes; in other forms only behind their name.

    >>> list(find_ssns("123-45-6789"))
    [(0, 11, 'SSN')]
    """
    for pattern in _SSNS:
        for match in pattern.finditer(text):
            yield *match.span(match.lastindex or 0), "SSN"


def find_phones(text: str) -> Iterator[Span]:
    """Phone numbers of 8 to 15 digits: by their form, or by a word such as "call" near them.

    A number that was recognised once is also found where nothing tells that it is one.

    >>> list(find_phones("order 47112290, call 0301234567"))
    [(21, 31, 'PHONE')]
    """
    view = _NO_PHONE.sub(lambda match: "_" * len(match[0]), text).replace("[PHONE]", _MARK * len("[PHONE]"))
    known, others, place = set(), [], 0
    while run := _RUN.search(view, place):
        start, end, place = run.start(), run.start() + len(run[0].rstrip(_RUN_TAIL)), run.end()
        spans = list(_phones_in_run(view, start, end)) if end - start >= _PLAIN_BOUNDS[0] else []
        for first, last in spans:
            known.add(_NO_DIGIT.sub("", view[first:last]))
            extension = _EXTENSION.match(view, last)
            place = max(place, extension.end() if extension else last)
            yield first, extension.end() if extension else last, "PHONE"
        if not spans:
            others.append((start, end))
    for start, end in others if known else ():
        if _NO_DIGIT.sub("", view[start:end]) in known:
            yield *_without_brackets(view, start, end), "PHONE"


FINDERS: Final[tuple[Finder, ...]] = (
    find_tokens,
    find_emails,
    find_ibans,
    find_cards,
    find_ips,
    find_ssns,
    find_phones,  # last: it reads what stands around a number
)


def presidio_finder(language: str = "en") -> Finder:
    """A finder of names, places and more that asks Microsoft Presidio; it belongs behind `FINDERS`.

    Raises MissingExtra where Presidio is not installed. It reads a model of its own, so make one and keep it.
    """
    try:
        presidio = importlib.import_module("presidio_analyzer")
    except ImportError:
        raise MissingExtra("Presidio", "presidio") from None
    analyzer = presidio.AnalyzerEngine()
    ours = {"EMAIL_ADDRESS": "EMAIL", "IBAN_CODE": "IBAN", "CREDIT_CARD": "CARD", "IP_ADDRESS": "IP", "US_SSN": "SSN",
            "PHONE_NUMBER": "PHONE"}  # fmt: skip

    def find(text: str) -> Iterator[Span]:
        for result in analyzer.analyze(text=text, language=language):
            yield result.start, result.end, ours.get(result.entity_type, result.entity_type)

    return find


def redact(text: str, finders: Sequence[Finder] = FINDERS) -> Redacted:
    """The text with each find replaced by its kind in brackets; all else stays as it is, to the character.

    Of finds that overlap, the earlier finder's stands. Raises ValueError where a finder gives a span outside the text
    or a kind that is not written in capitals.

    >>> redact("Call +49 30 1234567 about order 4711-2290 or write to ann@example.com")
    Redacted(text='Call [PHONE] about order 4711-2290 or write to [EMAIL]', counts={'EMAIL': 1, 'PHONE': 1})
    """
    view = text if text.isascii() else text.translate(_PLAIN)
    counts: Counter[str] = Counter()
    for _ in range(_PASSES):
        before = counts.total()
        for finder in finders:
            spans = _settled(view, finder(view))
            counts.update(kind for _, _, kind in spans)
            text, view = _replaced(text, spans), _replaced(view, spans)
        if counts.total() == before:
            break
    return Redacted(text, dict(counts))


def _settled(text: str, found: Iterable[Span]) -> list[Span]:
    """One finder's spans in the order of the text, overlapping ones made one, and none over a placeholder."""
    merged: list[Span] = []
    for start, end, kind in sorted(found, key=lambda span: (span[0], -span[1])):
        if not 0 <= start < end <= len(text):
            raise ValueError(f"A finder gave the span {start}-{end} in a text of {len(text)} characters.")
        if not _PLACEHOLDER.fullmatch(f"[{kind}]"):
            raise ValueError(f"A finder gave the kind {kind!r}; expected capital letters, such as 'PERSON'.")
        if merged and start < merged[-1][1]:
            first, last, name = merged.pop()
            merged.append((first, max(last, end), name))
        else:
            merged.append((start, end, kind))
    return [piece for span in merged for piece in _beside_placeholders(text, span)]


def _beside_placeholders(text: str, span: Span) -> Iterator[Span]:
    start, end, kind = span
    if "[" not in text[max(0, start - _PLACEHOLDER_AT_MOST) : end]:
        yield span
        return
    for hole in _PLACEHOLDER.finditer(text, max(0, start - _PLACEHOLDER_AT_MOST), end + _PLACEHOLDER_AT_MOST):
        if hole.end() > start and hole.start() < end:
            if any(map(str.isalnum, text[start : hole.start()])):
                yield start, hole.start(), kind
            start = hole.end()
    if any(map(str.isalnum, text[start:end])):
        yield start, end, kind


def _replaced(text: str, spans: Iterable[Span]) -> str:
    pieces: list[str] = []
    place = 0
    for start, end, kind in spans:
        pieces += (text[place:start], f"[{kind}]")
        place = end
    return "".join([*pieces, text[place:]])


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


def _has_luhn_digit(digits: str) -> bool:
    code = digits.encode()
    return (sum(code[::-2]) + sum(code[-2::-2].translate(_DOUBLED)) - 48 * len(code)) % 10 == 0  # 48 is ord("0")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _phones_in_run(view: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The phone numbers in a run of groups of digits, from left to right."""
    cue = _cue_before(view, start)
    name = cue.lastgroup if cue else None
    is_phone = cue is not None and name == "yes" and not _OTHER_SUBJECT.search(view, cue.end(), start)
    is_other = cue is not None and name == "no" and _LEADING.fullmatch(view, cue.end(), start) is not None
    is_free = view[start] == "+" or (is_phone and cue is not None and cue.end() + 1 >= start)  # Tel0301234567
    is_glued = not is_free and _GLUED.search(view, max(0, start - 2), start) is not None
    if not is_glued and (is_phone or _CUE_AFTER.match(view, end)):
        is_short = end - start <= _RUN_AT_MOST and not _UNIT_AFTER.match(view, end)
        if is_short and _extent(view, start, _PLAIN_BOUNDS) == end:
            yield _without_brackets(view, start, end)
            return
    skipped = _GLUED_GROUP.match(view, start) if is_glued else None
    place = skipped.end() if skipped else start
    while place < end:
        reached = None if skipped and place == start else _reached(view, place, is_other=is_other)
        if reached:
            yield _without_brackets(view, place, reached)
            blanks = _BLANKS.match(view, reached)
            place = blanks.end() if blanks else reached
        else:
            restart = _RESTART.search(view, place + 1, end)
            place = restart.end() if restart else end
        is_other = False


def _reached(view: str, place: int, *, is_other: bool) -> int | None:
    """The end of the phone number that begins here by its form, if one does."""
    start = _START.match(view, place)
    if not start or (is_other and start["plus"] is None) or _PAIRS.match(view, place):
        return None
    return _extent(view, place, _BOUNDS[start.lastgroup or ""])


def _extent(view: str, place: int, bounds: tuple[int, int]) -> int | None:
    """The end of the number that begins here, if it has as many digits as such a number has."""
    least, most = bounds
    total, end, group = 0, place, _FIRST_GROUP.match(view, place)
    while group and total + len(group[1]) <= most and not (total >= least and _OTHER_NUMBER.match(view, end)):
        total, end = total + len(group[1]), group.end()
        group = _NEXT_GROUP.match(view, end)
    return end if least <= total <= most else None


def _cue_before(view: str, place: int) -> re.Match[str] | None:
    since = max(0, place - _WINDOW)
    cues = list(_CUE.finditer(view, max(since, view.rfind("\n\n", since, place)), place))
    return cues[-1] if cues else None


def _without_brackets(view: str, start: int, end: int) -> tuple[int, int]:
    """The span without brackets that stand around all of it."""
    bracket = _BRACKET.search(view, start + 1, end)
    if view[start] == "(" and (bracket is None or bracket[0] == "(" or bracket.end() == end):
        start += 1
    if view[end - 1] == ")" and view.count("(", start, end) < view.count(")", start, end):
        end -= 1
    return start, end
