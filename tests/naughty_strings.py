"""Texts that have hurt programs before, written for these tests: none may raise anything but an InputError."""

from __future__ import annotations

_ESC = "\x1b"

NAUGHTY_STRINGS: tuple[str, ...] = (
    # words that programs take for values
    *("null", "NULL", "None", "nil", "undefined", "NaN", "nan", "inf", "-Infinity", "true", "FALSE", "N/A", "NA", "-"),
    # numbers that overflow, lose digits or stop being numbers
    *("0", "-0", "1e999", "9" * 5_000, "0x7fffffff", "1_000", "١٢٣٤", "½", "Ⅷ", "007", "1,5", "1.5.2", "2147483648"),
    # spreadsheet formulas
    *("=1+1", "=HYPERLINK(A1)", "+49 170 555", "-5% off?", "@SUM(A1:A9)", "\t=1", "\r=1", "\uff1d1+1", "|calc"),
    # separators and quotes of files
    *(",", ";", "|", "a|b", '"', '""', '"open', "'", 'it\'s "his" own', "a,b\nc,d", "a\tb", "\\", "\\n", "\\\\server"),
    # JSON, TOML and Python that must stay text
    *('{"text": "x"}', "[[[[[[", "]" * 200, "{'a': 1}", "['Billing Issue']", "[[label]]", "__import__('os')", "a = 1"),
    # templates, queries, shells, markup
    *(
        "{{ 3 * 3 }}",
        "{0.__class__}",
        "%s%n%d",
        "%",
        "${env:HOME}",
        "$(id)",
        "`id`",
        "; rm -rf nothing",
        "../../secret",
    ),
    *(
        "' OR 1=1 --",
        "x'); DROP TABLE tickets;--",
        "LIKE '%_%'",
        "<script>boom()</script>",
        "<img src=x onerror=boom()>",
    ),
    *(
        "[pay](javascript:boom())",
        "![](http://example.invalid/p.png)",
        "<!-- -->",
        "]]>",
        "&lt;&gt;&amp;",
        "&#0;",
        "&#xD800;",
    ),
    *("&amp;amp;amp;amp;amp;amp;lt;", "<b<b<b<b", "<a href=", "<" * 300, ">" * 300, "(" * 300 + ")" * 300, "<di<br>v>"),
    # special tokens of encoders
    *("[CLS] [SEP] [MASK] [PAD] [UNK]", "<s></s>", "<|endoftext|>", "##ing ##s", "\u2581hello"),
    # controls, escapes, ends of line
    *(
        "a\0b",
        "\0",
        f"{_ESC}[2J{_ESC}[31mred",
        f"{_ESC}]0;title\x07",
        "\x9b31m",
        "\x7f",
        "\b\b\b",
        "\x1a",
        "a\x0bb\x0cc",
    ),
    *("a\r\nb\rc\u2028d\u2029e\x85f", "\n\n\n", "\r", "from: a@b.example\r\nbcc: c@d.example"),
    # invisible characters
    *(
        " ",
        "\u00a0\u3000\u2003",
        "\u200b\u200c\u200d\u2060\ufeff",
        "re\u200bfund",
        "\u00ad",
        "\u3164",
        "\u2800",
        "\ufeffhi",
    ),
    *("\u202eyenom ym dnufer", "\u2066refund\u2069", "\u200frefund", "\U000e0052\U000e0065 hidden", "a\ufe0e\ufe0f"),
    # scripts, forms and marks
    *(
        "r\u0435fund",
        "\uff52\uff45\uff46\uff55\uff4e\uff44",
        "\U0001d42b\U0001d41e\U0001d41f\U0001d42e\U0001d427\U0001d41d",
    ),
    *(
        "e\u0301" * 20,
        "z" + "\u0335\u0321\u0489" * 60,
        "\u0301",
        "\uff9e" * 50,
        "\u0344" * 50,
        "\u0f73" * 50,
        "\ufdfa" * 20,
    ),
    *(
        "\u1100\u1161\u11a8",
        "İstanbul \u0131I ß ẞ ﬁ ǆ",
        "مرحبا أين طلبي؟",
        "退款什么时候到账\uff1f",
        "배송이 안 왔어요",
        "धनवापसी चाहिए",
    ),
    *(
        "ขอเงินคืน",
        "\U0001f600",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\U0001f3f4\U000e0067\U000e007f",
        "\U0001f1e9\U0001f1ea",
    ),
    *("\ufffe", "\uffff", "\U0001ffff", "\U0010ffff", "\ufffd" * 9, "\uf8d0\uf8d1\uf8d2", "\U00020000", "\U0001f3fb"),
    # halves of characters
    *("\ud800", "ok \udfff", "\udc80\ud83d"),
    # length and repetition
    *("?", "x" * 101, "x" * 70_000, "spam " * 9_000, "a@" * 9_000, "1-" * 9_000, "QUJD" * 9_000 + " 1aB", "\\" * 9_000),
)
