"""Writes minutes.pdf to standard output: three small pages with what makes PDF text hard to read.

A running header, page numbers, hyphens at line ends (real ones and breaks), indented paragraphs,
and a sentence that runs over a page break. Uses Python's standard library only.
"""

import sys

HEADER = "Velsby Harbour Board - Minutes"
PAGES = [
    [
        ("B", "Minutes of the Meeting of 12 October"),
        ("P", "The chair, Ms. Solveig Brandt, opened the meeting at seven o'clock in the even-"),
        ("L", "ing. Nine of the eleven members were present. The minutes of the last meeting"),
        ("L", "were approved without change."),
        ("P", "The harbour master reported on the well-known trouble at the mouth of the ba-"),
        ("L", "sin. Since the last meeting the ferry had waited for high water on four more days,"),
        ("L", "and a fishing boat had lost its rudder. She asked the board to decide on the long-"),
        ("L", "standing question of dredging before the winter. In her view the basin would be"),
        ("L", "closed to the ferry within two years if nothing was done, and the insurers of the"),
        ("L", "fishing fleet had already written to say so. After a short discussion, in which the"),
    ],
    [
        ("L", "treasurer explained the state of the reserve fund, the board agreed that the money"),
        ("L", "could be found."),
        ("B", "The offer of Nordmole"),
        ("P", "The secretary read the offer of the firm Nordmole, which would dredge the basin"),
        ("L", "for 412,000 crowns and pump the sand to the beach at Havn. Mr. Dahl asked whether"),
        ("L", "the firm had worked in a harbour with a ferry before. The secretary said that it"),
        ("L", "had, in two places, and that the ferries had kept to their timetables."),
        ("P", "The board accepted the offer by seven votes to two."),
    ],
    [
        ("B", "Other business"),
        ("P", "Mr. Dahl proposed that the board should pay for a survey of the swell. The pro-"),
        ("L", "posal was put off until the next meeting, because the price was not yet known."),
        ("P", "The chair closed the meeting at a quarter to nine. The next meeting will be held"),
        ("L", "on 9 November."),
    ],
]


def text(x, y, size, font, words):
    words = words.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"BT /{font} {size} Tf {x} {y} Td ({words}) Tj ET\n"


def content(number, lines):
    stream = text(72, 560, 8, "F1", HEADER)
    y = 520
    for kind, words in lines:
        if kind == "B":
            y -= 14
            stream += text(36, y, 15, "F2", words)
            y -= 24
        else:
            stream += text(50 if kind == "P" else 36, y, 10, "F1", words)
            y -= 13
    return stream + text(205, 24, 9, "F1", str(number))


def main():
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", None]
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>")
    kids = []
    for number, lines in enumerate(PAGES, 1):
        stream = content(number, lines)
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}endstream")
        fonts = "<< /Font << /F1 3 0 R /F2 4 0 R >> >>"
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 420 595] /Resources {fonts} "
        objects.append(page + f"/Contents {len(objects)} 0 R >>")
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(kids)}] >>"
    objects.append("<< /Title (Minutes of the Velsby Harbour Board) >>")

    out = "%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    out += "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info {len(objects)} 0 R >>\n"
    out += f"startxref\n{start}\n%%EOF\n"
    sys.stdout.buffer.write(out.encode("ascii"))


main()
