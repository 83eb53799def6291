"""What a file is by its first bytes. A name and a claimed type are never trusted for what we do with a file.

A closed table on purpose: libraries guess among hundreds of kinds by confidence, and a guess is no ground for a decision on
what may be shown. What the table does not know is `application/octet-stream`: it can be downloaded, never more.
"""

import re
from typing import Final

HEAD: Final = 4096
"""Bytes that are enough to tell."""

UNKNOWN: Final = "application/octet-stream"
IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""Kinds that a thumbnail can be made of."""

_STARTS: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"#!AMR", "audio/amr"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"{\\rtf", "application/rtf"),
    (b"\x1f\x8b", "application/gzip"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"\x7fELF", "application/x-elf"),
)
_BRANDS: Final = {
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
}
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_OFFICE: Final = (
    (b"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
)
_OLE_NAMES: Final = {
    "doc": "application/msword",
    "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
}
_HTML: Final = re.compile(rb"<(?:!doctype html|html|head|body|script|iframe)\b", re.I)
_SVG: Final = re.compile(rb"<svg\b", re.I)


def sniff(head: bytes, name: str = "") -> str:
    """The MIME type by the first `HEAD` bytes. `name` decides only between kinds that share a container."""
    for start, mime in _STARTS:
        if head.startswith(start):
            if mime == "application/x-ole-storage":
                return _OLE_NAMES.get(name.rpartition(".")[2].lower(), mime)
            return mime
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/3gpp" if head[8:10] == b"3g" else "video/mp4")
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], UNKNOWN)
    if head[:4] == b"OggS":
        return "video/ogg" if b"\x80theora" in head[:512] else "audio/ogg"
    if head[:4] == b"PK\x03\x04":
        return _zipped(head)
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return _frames(head[1])
    return _text(head)


def _zipped(head: bytes) -> str:
    if head[30:38] == b"mimetype":
        named = re.match(rb"[\w.+/-]+", head[38:120])
        # OpenDocument and EPUB say what they are in their first entry.
        if named and named[0].startswith(b"application/"):
            return named[0].decode("ascii").removesuffix("PK")
    for part, mime in _OFFICE:
        if part in head:
            return mime
    return "application/zip"


def _frames(second: int) -> str:
    layer = second >> 1 & 3
    return "audio/aac" if layer == 0 and second & 0xF0 == 0xF0 else "audio/mpeg" if layer else UNKNOWN


def _text(head: bytes) -> str:
    if not head or b"\x00" in head:
        return UNKNOWN
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # not merely cut inside its last character
            return UNKNOWN
    if _HTML.match(_without_comments(head)):
        return "text/html"
    if _SVG.search(head):
        return "image/svg+xml"
    return "text/plain"


def _without_comments(head: bytes) -> bytes:
    """What follows the white space and the comments at the beginning. A plain walk: no input makes it slow."""
    at = 0
    while at < len(head):
        if head[at : at + 1].isspace():
            at += 1
        elif head.startswith(b"<!--", at):
            end = head.find(b"-->", at + 4)
            if end < 0:
                break
            at = end + 3
        else:
            break
    return head[at:]
