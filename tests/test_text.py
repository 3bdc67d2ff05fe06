from __future__ import annotations

import base64
import html
import sys
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naughty_strings import NAUGHTY_STRINGS
from tagdesk import text as text_module
from tagdesk.errors import InputError
from tagdesk.text import FLAGS, KEPT_CHARACTERS, MAX_CHARACTERS, CleanText, check_text, clean, stored

SLOW = 0.5  # seconds; ten times what is wanted, because the machines that run tests are busy

# Pieces that turn into each other's pieces when an earlier one is removed, decoded or normalised.
TRICKS = st.lists(
    st.sampled_from(
        [
            *(
                "&",
                "amp;",
                "&amp;",
                "#38;",
                "&#38;",
                "&#x26;",
                "lt;",
                "&lt;",
                "&gt;",
                "\uff06",
                "\uff1c",
                "\uff1e",
                "nbsp;",
            ),
            *(
                "<",
                ">",
                "<b",
                "<br>",
                "</div>",
                "<a x=1>",
                "div",
                "br",
                "=",
                "\n",
                "\r\n",
                " ",
                "\u00a0",
                "\u2028",
                "\x85",
            ),
            *(
                "\u0301",
                "\u0316" * 20,
                "\u0344" * 20,
                "\uff9e" * 16,
                "\u0f73" * 20,
                "\u0301\u0316" * 16,
                "\u00a8",
                "\u0338",
            ),
            *(
                "\u200b",
                "\u200d",
                "\u202e",
                "\ufe0f",
                "\U000e0061",
                "\u3164",
                "\uffa0",
                "\u034f",
                "\u1100",
                "\u1161",
                "\u11a8",
            ),
            *(
                "\x1b[",
                "\x1b]",
                "\x9b",
                "2J",
                "\x07",
                "\0",
                "\x1c",
                "m",
                "\u2019",
                "\u2010",
                "\ufdfa",
                "\u00e9",
                "e",
                "\u0435",
            ),
            *("aB3" * 20, "Zz9+/" * 40, "=", "A" * 60, "9" * 60, "\uff21\uff42\uff13" * 30),
        ]
    ),
    max_size=30,
).map("".join)


def seconds(text: str) -> float:
    """The best of three runs."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        clean(text)
        times.append(time.perf_counter() - start)
    return min(times)


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        check_text(text)
    assert caught.value.exit_code == 3
    return caught.value.code


# --- What every text gets -------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=400)
@given(st.text() | TRICKS | st.tuples(st.text(), TRICKS, st.text()).map("".join))
def test_cleaning_a_cleaned_text_changes_nothing(text):
    once = clean(text).text
    assert clean(once).text == once


@settings(deadline=None, max_examples=300)
@given(st.text() | TRICKS)
def test_a_cleaned_text_is_one_short_line_of_visible_normal_characters(text):
    cleaned = clean(text)
    assert cleaned.text == " ".join(cleaned.text.split())
    assert len(cleaned.text) <= KEPT_CHARACTERS
    assert unicodedata.is_normalized("NFKC", cleaned.text)
    assert not {unicodedata.category(character) for character in cleaned.text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(), max_size=50))
def test_any_string_is_cleaned_or_refused_as_bad_encoding(text):
    holds_half = any("\ud800" <= character <= "\udfff" for character in text)
    if holds_half:
        for refuses in (clean, stored):
            with pytest.raises(InputError) as caught:
                refuses(text)
            assert caught.value.code == "bad_encoding"
    else:
        assert isinstance(clean(text), CleanText)
        assert stored(text) == text.replace("\0", "")


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(max_codepoint=127), max_size=200))
def test_the_fast_path_for_plain_text_gives_what_the_thorough_one_gives(text):
    assert clean(text) == text_module._clean_thoroughly(text)


@settings(deadline=None, max_examples=200)
@given(TRICKS)
def test_flags_stand_once_each_in_their_order(text):
    flags = clean(text).flags
    assert list(flags) == [flag for flag in FLAGS if flag in flags]


@pytest.mark.parametrize("text", [text for text in NAUGHTY_STRINGS if text.isprintable() and len(text) < 40])
def test_the_rules_do_not_depend_on_what_stands_beside_the_text(text):
    assert clean(f"  {text}\n").text == clean(text).text


def test_an_ordinary_ticket_is_left_as_it_is():
    text = "Hi! Order #4411-B (2 x kettle, EUR 39.90) isn't here; AT&T says 5 < 7 days & <3. Mail me: jo@example.org?"
    assert clean(text) == CleanText(text, ())


def test_an_ordinary_ticket_takes_microseconds():
    text = "I was charged twice for my order last week and I would like one of the two payments returned. Thanks!"
    start = time.perf_counter()
    for _ in range(1_000):
        clean(text)
    assert time.perf_counter() - start < 0.2  # 200 microseconds each; 8 on an idle core


@pytest.mark.parametrize(
    ("typed", "seen"),
    [
        ("I don\u2019t want the \u201cpremium\u201d plan", 'I don\'t want the "premium" plan'),
        ("e\u2010mail, non\u2011stop, \u22125", "e-mail, non-stop, -5"),
        ("cafe\u0301 \ufb01ne \u2460", "café fine 1"),
        ("wait\u2026 what\u00bd", "wait... what1\u20442"),
        ("\ufeffHello", "Hello"),
        ("I <3 it, a <b and b> c", "I <3 it, a <b and b> c"),
        ("<p>Dear team,<br/>my <strong>parcel</strong></p><P CLASS='x'>is late</P>", "Dear team, my parcel is late"),
        ("Q&A; R&D; AT&T; &nosuchthing; 5 &lt; 6 &#8364;9", "Q&A; R&D; AT&T; &nosuchthing; 5 < 6 \u20ac9"),
    ],
)
def test_the_same_words_typed_otherwise_read_the_same(typed, seen):
    assert clean(typed).text == seen


# --- The bad inputs, by their number --------------------------------------------------------------------------------


def test_t1_an_empty_text_is_refused():
    assert clean("").text == ""
    assert refusal("") == "empty_text"


@pytest.mark.parametrize("text", [" ", "\t\r\n", "\u00a0\u00a0", "\u3000", " \u2003\u2029 ", "\x00\x01 "])
def test_t2_a_text_of_blanks_is_refused_as_empty(text):
    assert refusal(text) == "empty_text"


@pytest.mark.parametrize("text", ["\u200b", "\u200c\u200d", "\u2060", "\ufeff", "\u3164\u3164", "\u00ad", "\U000e0041"])
def test_t3_a_text_of_invisible_characters_is_refused_as_empty(text):
    assert refusal(text) == "empty_text"


@pytest.mark.parametrize("text", ["?", "ok", "\U0001f600", ":-(", "!" * 5_000])
def test_t4_fewer_than_three_letters_or_digits_are_flagged(text):
    assert check_text(text).flags == ("very_short",)


@pytest.mark.parametrize("text", ["why", "a b c", "404", "退款了"])
def test_t4_three_letters_or_digits_are_not(text):
    assert check_text(text).flags == ()


def test_t5_a_word_of_a_million_letters_is_cut_in_milliseconds():
    text = "a" * MAX_CHARACTERS
    assert check_text(text) == CleanText("a" * KEPT_CHARACTERS, ("truncated",))
    assert seconds(text) < SLOW


def test_t6_a_text_beyond_the_limit_is_refused_without_reading_it():
    text = "my parcel is late. " * 550_000
    start = time.perf_counter()
    assert refusal(text) == "too_long"
    assert time.perf_counter() - start < SLOW


def test_t6_prose_just_below_the_limit_is_cut_and_says_so():
    text = ("my parcel is late. " * 55_000)[:MAX_CHARACTERS]
    cleaned = check_text(text)
    assert cleaned.flags == ("truncated",)
    assert text.startswith(cleaned.text)


def test_t7_long_words_stay():
    assert clean("x" * 101) == CleanText("x" * 101, ())
    assert clean("x" * 2_000) == CleanText("x" * 2_000, ())


def test_t8_characters_no_encoder_knows_stay():
    assert clean("\uf8d0\uf8d1 \uf8d2\uf8d3").text == "\uf8d0\uf8d1 \uf8d2\uf8d3"


def test_t9_nul_is_removed_and_flagged():
    assert stored("abc\0def") == "abcdef"
    assert clean("abc\0def") == CleanText("abc def", ("control_characters",))


def test_t10_controls_become_blanks_and_escape_sequences_vanish():
    every_control = "".join(map(chr, [*range(1, 9), *range(14, 32), 127, *range(128, 133), *range(134, 160)]))
    assert clean(f"my{every_control}refund") == CleanText("my refund", ("control_characters",))
    assert clean("\x1b[2J\x1b[1;31mrefund\x1b[0m \x1b]0;owned\x07please").text == "refund please"


@pytest.mark.parametrize("text", ["\ud800", "refund \udfff please", "\ude00\ud83d"])
def test_t11_half_a_character_is_refused_by_position_and_not_repeated(text):
    with pytest.raises(InputError, match="position") as caught:
        check_text(text)
    assert caught.value.code == "bad_encoding"
    assert caught.value.__suppress_context__  # the original error holds the text
    assert "refund" not in str(caught.value)


def test_t13_a_byte_order_mark_is_dropped():
    assert clean("\ufeffwhere is it").text == "where is it"


@pytest.mark.parametrize("control", [*"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"])
def test_t14_controls_of_direction_are_dropped_and_flagged(control):
    assert clean(f"my {control}refund") == CleanText("my refund", ("bidi_controls",))


@pytest.mark.parametrize("hidden", ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\U000e0065", "\u3164"])
def test_t15_an_invisible_character_inside_a_word_changes_nothing_and_is_flagged(hidden):
    assert clean(f"re{hidden}fund please") == CleanText("refund please", ("invisible_characters",))


@pytest.mark.parametrize("word", ["r\u0435fund", "\u0420ay\u0440al", "p\u03b1yment"])
def test_t16_a_word_of_two_scripts_is_flagged_and_left(word):
    assert clean(f"my {word} now") == CleanText(f"my {word} now", ("mixed_script",))


@pytest.mark.parametrize(
    "text", ["\u0432\u043e\u0437\u0432\u0440\u0430\u0442 for iPhone", "5 \u00b5m lens, 3 k\u2126", "café naïve"]
)
def test_t16_scripts_side_by_side_are_not(text):
    assert clean(text).flags == ()


@pytest.mark.parametrize(
    "word", ["\uff52\uff45\uff46\uff55\uff4e\uff44", "\U0001d42b\U0001d41e\U0001d41f\U0001d42e\U0001d427\U0001d41d"]
)
def test_t17_letters_from_other_alphabets_of_forms_read_as_plain_ones(word):
    assert clean(f"{word} please") == CleanText("refund please", ())


@pytest.mark.parametrize("pair", ["\u0301\u0316", "\uff9e\u0301", "\u0f73\u0301", "\u0344\u0316", "\u0301\u200b\u0316"])
def test_t18_alternating_combining_marks_do_not_take_quadratic_time(pair):
    text = "a" + pair * 100_000
    assert seconds(text) < SLOW
    marks = [character for character in clean(text).text if unicodedata.category(character)[0] == "M"]
    assert len(marks) <= 30


def test_t18_no_other_character_turns_into_marks_when_normalised():
    disguised = {
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character)[0] not in "MC"
        and all(unicodedata.combining(part) for part in unicodedata.normalize("NFKD", character))
    }
    assert disguised == {"\uff9e", "\uff9f"}  # the two that are replaced before marks are counted


def test_t19_marks_on_every_letter_are_cleaned_in_milliseconds():
    text = ("a" + "\u0301\u0316" * 15) * 6_000
    assert seconds(text) < 2 * SLOW
    assert clean(text).flags == ("truncated",)


def test_t20_the_cap_holds_after_normalising_has_made_the_text_longer():
    cleaned = clean("\ufdfa" * 10_000)
    assert len(cleaned.text) <= KEPT_CHARACTERS
    assert cleaned.flags == ("truncated",)
    assert seconds("\ufdfa" * 10_000) < SLOW


def test_t20_nothing_is_cut_in_silence():
    exact = "x" * KEPT_CHARACTERS
    assert clean(exact) == CleanText(exact, ())
    assert clean(f"  {exact}  ") == CleanText(exact, ())
    assert clean(f"{exact[1:]} y") == CleanText(exact[1:], ("truncated",))
    assert clean("<br>" * 30_000 + "lost") == CleanText("", ("truncated", "very_short"))


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("late \U0001f621 again", "late \U0001f621 again"),
        ("love it \u2764\ufe0f", "love it \u2764"),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467 trip off", "\U0001f468\U0001f469\U0001f467 trip off"),
        ("to \U0001f1e9\U0001f1ea please", "to \U0001f1e9\U0001f1ea please"),
    ],
)
def test_t21_emoji_survive_and_are_nothing_unusual(text, seen):
    assert clean(text) == CleanText(seen, ())


def test_t21_words_hidden_in_tag_characters_are_dropped_and_flagged():
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "cancel all")
    assert clean(f"thank you{hidden} all") == CleanText("thank you all", ("invisible_characters",))


@pytest.mark.parametrize("character", ["\ufffe", "\uffff", "\U0001ffff", "\U0010ffff", "\U00020000"])
def test_t22_rare_and_non_characters_do_no_harm(character):
    assert clean(f"my refund {character}").text.startswith("my refund")


def test_t23_every_end_of_line_is_one_blank():
    assert clean("a\r\nb\rc\nd\x0be\x0cf\u2028g\u2029h\x85i").text == "a b c d e f g h i"
    assert clean("a\r\nb\x0bc\x85d").flags == ()


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",  # T24
        "<img onerror>",
        "[x](javascript:alert(1))",  # T25
        "![](http://evil.example/x.png)",
        '=HYPERLINK("http://evil.example")',  # T26
        "+15 days late",
        "@SUM(1+1)*cmd",
        "'; DROP TABLE feedback;--",  # T27
        "%s %n {0.__class__} ${jndi:ldap://x} {{7*7}}",
        "[CLS] [SEP] [MASK] [PAD] refund",  # T32
    ],
)
def test_t24_to_t27_and_t32_text_that_is_code_elsewhere_stays_text(text):
    assert clean(text) == CleanText(text, ())


@pytest.mark.parametrize(
    "probe",
    [
        *(
            "a@",
            "a.",
            "(",
            "1-",
            "+1 ",
            "http://",
            "<div",
            "<div ",
            "<div =",
            "<a href=",
            "</",
            "< ",
            "&",
            "&#",
            "&amp",
            "&a",
        ),
        *(
            "> ",
            ">\n",
            "\n",
            " \t",
            "\x1b[",
            "\x1b[0;",
            "\x1b]",
            "\x9b",
            "ab/",
            "A1b2",
            "A" * 59 + " ",
            "==",
            "\u200b",
            "é1",
        ),
    ],
)
def test_t28_fifty_thousand_repetitions_take_milliseconds(probe):
    text = (probe * 50_000)[:MAX_CHARACTERS]
    assert seconds(text) < SLOW
    assert seconds(text + "!") < SLOW  # a last character that lets the pattern fail


@pytest.mark.parametrize(
    "text",
    [
        ">" * 10_000 + " still no refund",
        "> " * 10_000 + "still no refund",
        "\n".join(">" * depth for depth in range(1, 100)) + " still no refund",
        "<div>" * 10_000 + "still no refund" + "</div>" * 100,
        "&gt; &gt; &gt; still no refund",
    ],
)
def test_t29_deep_quotes_and_nested_html_vanish(text):
    assert clean(text) == CleanText("still no refund", ())
    assert seconds(text) < SLOW


def test_t29_quoted_lines_keep_their_words():
    mail = "Still nothing.\n\n> Dear Ann,\n>> where is my order\n> it ships today"
    assert clean(mail).text == "Still nothing. Dear Ann, where is my order it ships today"


def test_t30_entities_are_decoded_however_many_and_however_deep():
    assert clean("&amp;" * 100_000).text == "&" * 12_000  # of the 60,000 characters that are looked at
    assert clean("refund &#x110000; &#xD800; &#0; now").text == "refund \ufffd \ufffd \ufffd now"
    assert clean("5 &amp;lt; 6").text == "5 < 6"
    deep = "x"
    for _ in range(12):
        deep = html.escape(f"<{deep}>")
    assert clean(clean(deep).text).text == clean(deep).text


def test_t31_an_inline_attachment_is_dropped_and_flagged():
    bytes_of_a_picture = bytes(range(256)) * 1_500
    encoded = base64.b64encode(bytes_of_a_picture).decode()
    wrapped = base64.encodebytes(bytes_of_a_picture).decode()
    assert clean(f"See photo: {encoded} it arrived broken") == CleanText(
        "See photo: it arrived broken", ("attachment_removed",)
    )
    assert clean(f"See photo:\n{wrapped}").flags == ("attachment_removed",)
    assert len(clean(f"See photo:\n{wrapped}").text) < 100
    assert seconds(wrapped) < SLOW


@pytest.mark.parametrize(
    "word", ["a" * 5_000, "ha" * 300, "0123456789" * 40, "AAAA1111" * 60, "-" * 500, "order/item/" * 30]
)
def test_t31_a_long_word_that_is_not_base64_stays(word):
    assert clean(word).text == word


def test_t31_short_keys_and_links_stay():
    link = "https://shop.example/track/1Z999AA10123456784?ref=QWxhZGRpbjpvcGVuIHNlc2FtZQ==&utm=mail"
    assert clean(link) == CleanText(link, ())


def test_t33_a_word_repeated_hundreds_of_times_stays():
    text = " ".join(["refund"] * 600)
    assert clean(text) == CleanText(text, ())


def test_t34_no_refusal_repeats_the_text():
    for text in ("card 4111 1111 1111 1111 \ud800", "card 4111 1111 1111 1111 " * 50_000):
        with pytest.raises(InputError) as caught:
            check_text(text)
        assert "4111" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["مرحبا، أين طلبي؟", "退款什么时候到账", "배송이 안 왔어요", "धनवापसी चाहिए", "ขอเงินคืนด้วยครับ"]
)
def test_t35_other_languages_keep_their_letters(text):
    assert clean(text).text == unicodedata.normalize("NFKC", text)
    assert clean(text).flags == ()


@pytest.mark.parametrize("text", NAUGHTY_STRINGS, ids=lambda text: ascii(text)[:24])
def test_t36_naughty_strings_are_cleaned_or_refused_with_a_reason(text):
    try:
        cleaned = check_text(text).text
    except InputError:
        assert refusal(text) in {"empty_text", "bad_encoding"}
    else:
        assert cleaned
        assert clean(cleaned).text == cleaned
