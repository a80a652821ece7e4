# ruff: noqa: RUF001, SIM905 -- letters that look alike are what these texts try; lists of words read best as words
"""Make the data of X's rules for texts with the npm package `twitter-text` (`make clients` installs it).

    python -m tests.clients.make_text_data 2026-11-30

writes `botkit/protocol/text/top_level_domains.json`, which the product and the sandbox read, and
`tests/wire/text/oracle.json`: texts of many kinds, made by chance with a fixed seed, and what the package
reads in each. The tests need neither npm nor the network.

The package's table of emoji ends with Emoji 11, so only older emoji stand in these texts.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOMAINS = ROOT / "botkit/protocol/text/top_level_domains.json"
ORACLE = ROOT / "tests/wire/text/oracle.json"
SCRIPT = "tests/clients/twitter_text.cjs"

WORDS = """hello world Grüße naïve straße été Über привет мир да日本 日本語 です を見て 中文 한국어 에서 مرحبا שלום ไทย हिन्दी
ελληνικά Ω a I 3.5 e.g. i.e. U.S. node.js README.md asyncio.run d3.select main.py foo.bar x.y.z 1.2.3.4 v1.0 end. a..com
é ñ ﬁ ｆｕｌｌ ＠ＡＢ K ſ İ ß ẞ""".split()
NAMES = """@ada @Bob_1 ＠full @a @toolongausernameisnotone @list/name @user/l-1 RT@ada rt:@ada xRT@ada .@ada me@x.com @é @adaé
@@ada @ada@bob @ada:// @_ #tag #日本 #1 #a_b ＃full $TSLA $BRK.A $brk_b $5 $toolongtag $A$B @ada's (@ada) &@ada !@ada""".split()
EMOJI = ["😀", "👋", "❤️", "❤", "🏳️‍🌈", "👨‍👩‍👧‍👦", "🇩🇪", "1️⃣", "✌🏾", "©", "©️", "🔥", "™"]
PUNCTUATION = [*""" ,.;:!?'"()[]{}<>/\\|-_+=*&^%$#@~`""", "…", "—", "–", "。", "、", "「", "」", "\u200b", "\u200d", "\u00a0", "\u3000",
    "\n", "\t", "\u200f", "\u202a", "\u2066", "\ufeff", "\u00ad"]  # fmt: skip
SCHEMES = [
    "http://",
    "https://",
    "HTTPS://",
    "HtTp://",
    "",
    "",
    "",
    "",
    "ftp://",
    "http:/",
    "://",
    "//",
    "www.",
    "mailto:",
    "xhttp://",
]
LABELS = """example foo a b1 foo-bar foo_bar -foo foo- _foo www t x twitter d3 müller straße москва пример 日本 日本語 한국 xn--fsq
xn--mller-kva XN--A é ñandú a--b 1 127 localhost server ｅｘ ελ ſoo""".split()
ODD_DOMAINS = """local test invalid localhost whatever js md py foo xn--p1ai xn--90ais рф РФ укр 中国 한국 みんな コム XN--P1AI comm co.jp com.br
onion berlin hamburg select swiss bond Com cOM ΕΥ ευ موقع onion.""".split()
AFTER = [
    "",
    "",
    "",
    "",
    ":80",
    ":8080",
    ":",
    ":99999999",
    ":x",
    "?",
    "?a=1",
    "?a=b&c=d#e",
    "?é",
    "#x",
    "/?q=1",
    ":80/x",
    ":80?x",
]
PATHS = """/ /a /a/b.html /foo_(bar) /foo_(bar(baz)qux) /((x)) /(a /a) /() /(a)(b). /@name /@name/ /@name/status/1 /a@b /é/ü /привет /日本
/a日本 /ι /a%20b /a,b. /a! /#!/x /a;b=c /~x/|y /[x] /a–b /a:b /$x /a... //x /a/?b=(c)&d[]=e! /x?y=z. /a-b_c+d= /.../ /a*b' ' /x…""".split()
SHORT = ["https://t.co/abc123", "http://t.co/ABC/def", "https://T.CO/a?b=c", "https://t.co/", "https://t.co/" + "a" * 40,
    "https://t.co/" + "a" * 41, "t.co/abcde/f", "https://t.co/abcを", "https://t.co/é"]  # fmt: skip
LONG = ["https://a.com/" + "a" * 4066, "https://a.com/" + "a" * 4078, "https://a.com/" + "a" * 4090, "a" * 63 + ".com", "a" * 64 + ".com",
    "é" * 40 + ".com", "日" * 30 + ".com/x", "http://" + "日" * 70 + ".com", "http://a。b.com", "http://a。。b.com/x", "a.comx日a.com/p",
    "http://example.com.한국/path", "example.com.한국/path", "日a.com.b.org日c.net/path"]  # fmt: skip


def main(read_on: str) -> None:
    """Write both files, with the day on which the package was asked."""
    found = _ask("domains")
    source = {
        "source": f"twitter-text {found['version']} (npm), validGTLD and validCCTLD",
        "read_on": read_on,
    }
    domains = source | {"generic": found["generic"], "countries": found["countries"]}
    DOMAINS.write_text(
        json.dumps(domains, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8"
    )
    answer = _ask("judge", json.dumps(list(_texts(found["generic"] + found["countries"]))))
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in answer["texts"])
    head = json.dumps({"source": f"twitter-text {answer['version']} (npm)", "read_on": read_on})
    ORACLE.write_text(f'{head[:-1]}, "texts": [\n{rows}\n]}}\n', "utf-8")


def _ask(question: str, body: str = "") -> dict[str, list[str]]:
    node = ["node", SCRIPT, question]
    return json.loads(
        subprocess.run(
            node, input=body, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
    )


def _texts(domains: list[str]) -> dict[str, None]:
    chance = random.Random(31)
    texts = dict.fromkeys(["", *SHORT, *LONG, *WORDS, *NAMES, *EMOJI])
    for domain in domains:
        texts[
            chance.choice(
                [
                    f"foo.{domain}",
                    f"see foo.{domain}/a b",
                    f"https://foo.{domain}を",
                    f"a.foo.{domain}!",
                ]
            )
        ] = None
    while len(texts) < 3_300:
        texts["".join(_piece(chance, domains) for _ in range(chance.randint(1, 6)))] = None
    return texts


def _piece(chance: random.Random, domains: list[str]) -> str:
    kind = chance.random()
    if kind < 0.4:
        return _address(chance, domains) + chance.choice(
            ["", " ", " ", chance.choice(PUNCTUATION), chance.choice(WORDS)]
        )
    if kind < 0.6:
        return chance.choice(WORDS) + chance.choice(["", " "])
    if kind < 0.75:
        return chance.choice(NAMES) + chance.choice(["", " ", " "])
    if kind < 0.8:
        return chance.choice(EMOJI)
    return (
        chance.choice(SHORT)
        if kind < 0.83
        else chance.choice(PUNCTUATION) + chance.choice(["", " "])
    )


def _address(chance: random.Random, domains: list[str]) -> str:
    labels = [chance.choice(LABELS) for _ in range(chance.choice([1, 1, 1, 2, 2, 3]))]
    last = chance.choice(
        [
            "com",
            "de",
            "io",
            "org",
            chance.choice(domains),
            chance.choice(domains),
            chance.choice(ODD_DOMAINS),
        ]
    )
    after = chance.choice(AFTER) if chance.random() < 0.5 else chance.choice(PATHS)
    return (
        chance.choice(SCHEMES)
        + ".".join([*labels, last])
        + (after if chance.random() < 0.6 else "")
    )


if __name__ == "__main__":
    main(sys.argv[1])
