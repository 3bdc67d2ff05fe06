"""Finds numbers of a fixed form: bank accounts, payment cards, internet addresses, social security."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from itertools import islice

from tagdesk.redact.edges import AFTER, EDGE, GAP, NO_DIGIT
from tagdesk.redact.spans import Span

_IBAN = re.compile(rf"[A-Za-z]{EDGE}(?=([A-Za-z][ -]?[0-9]{{2}}(?:{GAP}?[A-Za-z0-9]){{11,30}}))")
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
_END = re.compile(AFTER)
_NO_ALNUM = re.compile(r"[^A-Za-z0-9]+")
_LETTERS_AS_NUMBERS = {ord("A") + place: str(10 + place) for place in range(26)}

_CARDS = tuple(
    re.compile(rf"[0-9]{EDGE}(?<![0-9\]]\..)(?=({shape}){AFTER})")  # not the decimals of a long number
    for shape in (
        rf"[0-9]{{12,18}}|[0-9]{{3}}(?:{GAP}[0-9]{{4}}){{3}}|[0-9]{{3}}{GAP}[0-9]{{6}}{GAP}[0-9]{{4,5}}",
        rf"[0-9]{{3}}(?:{GAP}[0-9]{{4}}){{2,3}}{GAP}[0-9]{{1,3}}",
    )
)
# How cards of each length begin; IMEIs, barcodes and times in milliseconds mostly begin otherwise.
_CARD_OPENING = re.compile(
    r"[1-9][0-9]{15}|[4-6][0-9]{12}|[356][0-9]{13}|3[47][0-9]{13}|[256][0-9]{14}|[2-6][0-9]{16,18}"
)
_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")

_IPV4 = re.compile(rf"[0-9]{EDGE}(?<![0-9\]]\..)[0-9]{{0,2}}(?:\.[0-9]{{1,3}}){{3}}{AFTER}(?!\.[0-9\[])")
_IPV6 = re.compile(
    r"[0-9A-Fa-f:](?<![0-9A-Fa-f:.-].)(?<![A-Z]\].)(?<![\w)\]]\[.)(?:(?<=:)|(?=[0-9A-Fa-f]{0,3}:))"
    rf"[0-9A-Fa-f:.]{{2,}}+(?:%\w{{1,20}})?{AFTER}"
)
_IPV6_AT_MOST = 70
_VERSION = re.compile(r"(?:version|ver\.?|firmware|release|build|driver)[ :]{0,2}\Z", re.IGNORECASE)

_SSNS = (
    re.compile(
        rf"[0-9]{EDGE}(?<![0-9\]]-.)(?:(?<!9)(?<!000)(?!00-|66-)[0-9]{{2}}-(?!00)[0-9]{{2}}-(?!0000)"
        rf"|(?<=9)[0-9]{{2}}-(?:5[0-9]|6[0-5]|7[0-9]|8[0-8]|9[0-24-9])-)[0-9]{{4}}{AFTER}(?!-[\w\[])"  # 9: tax numbers
    ),
    re.compile(
        r"[Ss](?<!\w.)(?i:sn|ocial[ -]security(?:[ ](?:number|no\.?))?)[ :#-]{0,3}(?:is[ ])?"
        rf"([0-9]{{3}}[ .-]?[0-9]{{2}}[ .-]?[0-9]{{4}}){AFTER}"
    ),
)


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
            digits = NO_DIGIT.sub("", card)
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


def _has_luhn_digit(digits: str) -> bool:
    code = digits.encode()
    return (sum(code[::-2]) + sum(code[-2::-2].translate(_DOUBLED)) - 48 * len(code)) % 10 == 0  # 48 is ord("0")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
