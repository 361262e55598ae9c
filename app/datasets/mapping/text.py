"""What counts as a blank and how letters change case: one exact definition for the row form and the SQL form.

Blanks are Unicode White_Space, U+001C to U+001F and the byte order mark U+FEFF. Case maps one code point to one (the simple case mapping of
Unicode): lengths never change, no language rule applies.
"""

from __future__ import annotations

import re

BLANKS = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
BLANK_RUN = f"[{BLANKS}]+"
_RUN = re.compile(BLANK_RUN)
_RUN_FOUND = re.compile(f"[{BLANKS[:9] + BLANKS[10:]}]|  ")
# Letters whose full upper case is longer than one code point but that have a simple one (UnicodeData.txt).
_UPPER = {
    **{ord(c): c.title() for c in "ᾀᾁᾂᾃᾄᾅᾆᾇᾐᾑᾒᾓᾔᾕᾖᾗᾠᾡᾢᾣᾤᾥᾦᾧᾳῃῳ"},
    0xDF: "ẞ",
}
_LOWER = {0x130: "i"}


def is_blank(text: str) -> bool:
    """True for the empty text and for blanks only."""
    return not text.strip(BLANKS)


def trim(text: str) -> str:
    """Without blanks at both ends."""
    return text.strip(BLANKS)


def squeeze(text: str) -> str:
    """Trimmed, and each run of blanks is one space."""
    trimmed = text.strip(BLANKS)
    return _RUN.sub(" ", trimmed) if _RUN_FOUND.search(trimmed) else trimmed


def upper(text: str) -> str:
    """Simple upper case."""
    if text.isascii():
        return text.upper()
    return "".join([_UPPER.get(ord(c)) or (u if len(u := c.upper()) == 1 else c) for c in text])


def lower(text: str) -> str:
    """Simple lower case (no final sigma)."""
    if text.isascii():
        return text.lower()
    return "".join([_LOWER.get(ord(c)) or (u if len(u := c.lower()) == 1 else c) for c in text])


def title(text: str) -> str:
    """The first letter of each word (between spaces) upper, the rest lower."""
    return " ".join([upper(word[:1]) + lower(word[1:]) for word in text.split(" ")])
