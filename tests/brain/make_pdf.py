"""A small writer of real PDF files, for the sample warranty and for the tests of odd files.

`python -m tests.brain.make_pdf samples/warranty.pdf` writes the sample again, always the same bytes.
"""

import sys
import zlib
from pathlib import Path

WARRANTY: tuple[tuple[str, ...], ...] = (
    (
        "# Warranty for new bikes",
        "Lumen Bikes, Port Ellery. This leaflet comes with every new bike that we sell.",
        "",
        "# What is covered",
        "Frames and forks of steel and aluminium are guaranteed for ten years, frames of",
        "carbon for five years. All other parts of a new bike are guaranteed for two years",
        "from the day you collect it. The warranty covers faults in material and making.",
        "",
        "# Motor and battery",
        "The motor of an e-bike is covered for two years. The battery is covered for two",
        "years or 500 charges, whichever comes first: it must then still hold 70 percent",
        "of its capacity. Keep the battery away from frost and do not open it.",
        "",
        "# What is not covered",
        "Wear of chains, cassettes, tyres, brake pads and grips is not covered. Damage from",
        "crashes, racing, jumps, overloading or pressure washers is excluded, and so is rust",
        "on bikes that are kept outside by the sea without a cover.",
    ),
    (
        "# First inspection",
        "Bring your new bike back after about 200 kilometres or six weeks. We tighten spokes",
        "and bolts and adjust the gears at no charge. The warranty on wheels depends on this",
        "first inspection.",
        "",
        "# How to make a claim",
        "Bring the bike and the receipt to the workshop, or send photographs of the fault and",
        "of the frame number to warranty@lumenbikes.example. We decide within five working",
        "days whether to repair, to replace the part, or to ask the maker. You pay neither",
        "parts nor labour for an accepted claim.",
        "",
        "# Selling the bike",
        "The warranty may be passed on once to a second owner. Write to us with the name of",
        "the new owner and the frame number.",
        "",
        "# Maximum load",
        "City and touring bikes carry 130 kilograms including rider and luggage, gravel bikes",
        "120 kilograms, cargo bikes 200 kilograms. The label on the seat tube decides.",
    ),
)


def pdf(pages: tuple[tuple[str, ...], ...], *, title: str = "", extra: tuple[bytes, ...] = ()) -> bytes:
    """A PDF with one text line a string; a line that starts with `# ` is set as a heading.

    `extra` are raw content streams, a page each, for files that are meant to be bad.
    """
    streams = [_content(page) for page in pages] + list(extra)
    return assemble([zlib.compress(stream) for stream in streams], title)


def assemble(streams: list[bytes], title: str = "", trailer: str = "") -> bytes:
    """A PDF around deflated content streams. `trailer` is put into the trailer dictionary."""
    kids = " ".join(f"{5 + 2 * i} 0 R" for i in range(len(streams)))
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(streams)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        f"<< /Title ({title}) >>".encode(),
    ]
    for i, stream in enumerate(streams):
        page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842]"
        page += f" /Resources << /Font << /F1 3 0 R >> >> /Contents {6 + 2 * i} 0 R >>"
        head = f"<< /Length {len(stream)} /Filter /FlateDecode >>\nstream\n".encode()
        bodies += [page.encode(), head + stream + b"\nendstream"]
    return _file(bodies, trailer)


def _file(bodies: list[bytes], trailer: str) -> bytes:
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(bodies) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    out += f"trailer\n<< /Size {len(bodies) + 1} /Root 1 0 R /Info 4 0 R {trailer} >>\n".encode()
    return bytes(out + f"startxref\n{start}\n%%EOF\n".encode())


def _content(lines: tuple[str, ...]) -> bytes:
    ops = [b"BT", b"1 0 0 1 60 780 Tm", b"18 TL"]
    for line in lines:
        size = 15 if line.startswith("# ") else 11
        text = line.removeprefix("# ").encode("cp1252")
        for char in (b"\\", b"(", b")"):
            text = text.replace(char, b"\\" + char)
        ops.append(f"/F1 {size} Tf".encode() + b" (" + text + b") Tj T*")
    return b"\n".join([*ops, b"ET"])


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(pdf(WARRANTY, title="Warranty for new bikes"))
