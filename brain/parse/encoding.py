"""Bytes to clean text: no NUL, no control characters, no lone surrogates ever leave here."""

import codecs
import re
import unicodedata

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Controls, lone surrogates, non-characters, and the invisible marks that split words (soft hyphen, zero-width
# space, byte order mark). The zero-width joiners stay: Persian and emoji need them.
_UNWANTED = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\ufdd0-\ufdef\u00ad\u200b\ufeff]"
)
_SPACES = re.compile(r"[^\S\n]+")


def decode(data: bytes) -> str:
    """Text of a file: by its byte order mark, else UTF-8, else Windows-1252. Line ends become `\\n`."""
    for mark, name in _BOMS:
        if data.startswith(mark):
            return clean(data[len(mark) :].decode(name, errors="replace"))
    text = _utf8(data)
    return clean(data.decode("cp1252", errors="replace") if text is None else text)


def clean(text: str) -> str:
    """The text in NFC, without characters that a store, a log or a reader can't take."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").replace("\v", "\n")
    return unicodedata.normalize("NFC", _UNWANTED.sub("", text))


def one_line(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())


def squeeze(text: str) -> str:
    """The text with runs of spaces as one; line breaks stay."""
    return _SPACES.sub(" ", text).strip()


def looks_binary(data: bytes) -> bool:
    """Whether the bytes can't be text: many control characters, or invalid UTF-8 that isn't Western prose."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return False
    sample = data[:65536]
    controls = sum(sample.count(bytes([byte])) for byte in (*range(9), *range(14, 32), 127))
    if controls > len(sample) * 0.01:
        return True
    if _utf8(data) is not None:
        return False
    # Prose in Windows-1252 is mostly ASCII; a picture or another alphabet's code page is not.
    return sum(byte > 127 for byte in sample) > len(sample) * 0.3


def _utf8(data: bytes) -> str | None:
    """The text, if the bytes are UTF-8, but for a few broken characters, which are left out."""
    text = data.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    if not broken:
        return text
    whole = sum(char > "\x7f" for char in text) - broken
    return text.replace("\ufffd", "") if broken * 20 <= whole else None
