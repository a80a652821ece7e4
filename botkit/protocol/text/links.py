"""Find the links that X makes of a text: addresses with a scheme, and bare domains.

X links a bare domain if its last part is a top-level domain, so `README.md` is a link too, and
has a link's price. The list of generic domains here holds the common ones of X's list.

Source: twitter-text 3.1 (the rules of its `extractUrl`), read 2026-11-21; list of country codes
from there too.
"""

from __future__ import annotations

import re

from msgspec import Struct

__all__ = ["LinkSpan", "link_spans", "links_in"]


class LinkSpan(Struct, frozen=True, gc=False):
    """A link in a text; `start` and `end` count code points, the end is exclusive."""

    start: int
    end: int
    url: str


_COUNTRIES = """
ac ad ae af ag ai al am an ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm bn bo bq br
bs bt bv bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee
eg eh er es et eu fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm
hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li
lk lr ls lt lu lv ly ma mc md me mf mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne
nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc
sd se sg sh si sj sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tp tr tt
tv tw tz ua ug uk um us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw
"""
_GENERIC = """
academy actor adult agency airforce app apple archi army art asia associates attorney auction audio
auto autos baby band bank bar bargains beauty beer best bet bible bid bike bingo bio biz black blog
blue boats book boston bot boutique box broker build builders business buy buzz cab cafe cam camera
camp capital car cards care career careers cars casa cash casino cat catering center ceo chat cheap
christmas church city claims cleaning click clinic clothing cloud club coach codes coffee college
com community company computer condos construction consulting contact contractors cooking cool coop
country coupons courses credit cricket cruises dad dance date dating day deal deals degree delivery
democrat dental design dev diamonds diet digital direct directory discount doctor dog domains
download earth eco edu education email energy engineer engineering enterprises equipment estate
events exchange expert exposed express fail faith family fan fans farm fashion film finance
financial fish fishing fit fitness flights florist flowers football forsale forum foundation fun
fund furniture futbol fyi gallery game games garden gay gift gifts gives glass global gmbh gold
golf goo google gov graphics gratis green group guide guitars guru hair haus health healthcare help
here hiphop hockey holdings holiday homes horse hospital host hosting hotels house how icu immo
immobilien inc industries info ink institute insure int international investments irish jetzt
jewelry jobs kaufen kim kitchen land lat law lawyer lease legal lgbt life lighting limited limo
link live llc loan loans lol london love ltd luxury market marketing mba media memorial men menu
miami mil mobi moda moe mom money moscow motorcycles mov movie museum name navy net network new
news ngo ninja nyc off one ong onl online ooo org organic page paris partners parts party pet
photo photography photos pics pictures pink pizza place plumbing plus poker porn post press pro
productions prof promo properties property pub quebec racing radio realestate recipes red rehab
rent rentals repair report republican rest restaurant review reviews rich rip rocks rodeo run sale
salon school science security services sex shiksha shoes shop shopping show singles site ski skin
soccer social software solar solutions space store stream studio study style sucks supplies supply
support surf surgery systems tattoo tax taxi team tech technology tel tennis theater tickets tips
tires today tokyo tools top tours town toys trade trading training travel tube university uno
vacations vegas ventures vet video villas vin vip vision vodka vote voyage wang watch webcam
website wedding wiki win wine work works world wtf xxx xyz yoga youtube zip zone
"""
_TOP_LEVEL = "|".join(sorted((_COUNTRIES + _GENERIC).split(), key=len, reverse=True))

_LETTERS = "a-zA-Z0-9\u00c0-\u024f\u0400-\u052f"
_PATH = rf"[{_LETTERS}!*';:=+,.$/%#\[\]\-\u2013_~@|&]"
_PATH_END = rf"[{_LETTERS}+\-=_#/]"
_QUERY = r"[a-zA-Z0-9!?*'@();:&=+$/%#\[\]\-_.,~|]"
_QUERY_END = r"[a-zA-Z0-9\-_&=#/]"
_REST = (
    r"(?::[0-9]{1,5})?"
    rf"(?:/(?:{_PATH}*(?:\({_PATH}*\){_PATH}*)*(?:{_PATH_END}|\({_PATH}*\)))?)?"
    rf"(?:\?{_QUERY}*{_QUERY_END})?"
)
_WITH_SCHEME = r"https?://(?:[\w-]+\.)+(?:xn--[a-z0-9-]+|[^\W\d_]{2,})(?![\w@])"
_BARE = (
    r"(?<![-_./])(?:[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?\.)+"
    rf"(?:{_TOP_LEVEL})(?![a-z0-9@+-])"
)
# Compiled at the first use: that takes longer than the import of most rooms.
_LINK = rf"(?<![a-zA-Z0-9@\uff20$#\uff03])(?:{_WITH_SCHEME}|{_BARE}){_REST}"


def link_spans(text: str) -> list[LinkSpan]:
    """Return the links in a text, in order, never overlapping."""
    if "." not in text:
        return []
    links = re.finditer(_LINK, text, re.IGNORECASE)
    return [LinkSpan(found.start(), found.end(), found[0]) for found in links]


def links_in(text: str) -> tuple[str, ...]:
    """Return the links in a text, as written there."""
    return tuple(span.url for span in link_spans(text))
