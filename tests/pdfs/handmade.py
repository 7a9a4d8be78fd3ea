"""PDF files written object by object: what no program writes, and what some program got wrong."""

import zlib


class File:
    """Objects in order of their numbers, and how they become a file."""

    def __init__(self, version="1.7"):
        self.version = version
        self.objects = []

    def add(self, body=b""):
        """Adds an object and returns its number."""
        self.objects.append(encoded(body))
        return len(self.objects)

    def put(self, number, body):
        self.objects[number - 1] = encoded(body)

    def stream(self, data, entries="", deflate=False, length=None):
        data = encoded(data)
        if deflate:
            data = zlib.compress(data, 9)
            entries += " /Filter /FlateDecode"
        n = len(data) if length is None else length
        head = f"<< {entries} /Length {n} >>\nstream\n".encode("latin-1")
        return self.add(head + data + b"\nendstream")

    def bytes(self, root=1, trailer="", xref=True, endobj=b"\nendobj\n", before=b""):
        out = bytearray(before + f"%PDF-{self.version}\n%\u00e2\u00e3\n".encode("latin-1"))
        offsets = []
        for number, body in enumerate(self.objects, 1):
            offsets.append(len(out) - len(before))
            out += f"{number} 0 obj\n".encode() + body + endobj
        start = len(out) - len(before)
        n = len(self.objects) + 1
        if xref:
            out += f"xref\n0 {n}\n0000000000 65535 f \n".encode()
            for offset in offsets:
                out += f"{offset:010} 00000 n \n".encode()
        out += f"trailer\n<< /Size {n} /Root {root} 0 R {trailer} >>\n".encode("latin-1")
        out += f"startxref\n{start}\n%%EOF\n".encode()
        return bytes(out)


def encoded(body):
    return body if isinstance(body, bytes) else body.encode("latin-1")


HELVETICA = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


def pages(contents, font=HELVETICA, resources="", page="", catalog="", extra=(), deflate=False):
    """A file with one page per content stream.

    Objects: 1 catalog, 2 page tree, 3 font, then `extra` from 4 on, then contents and pages.
    """
    file = File()
    file.add(f"<< /Type /Catalog /Pages 2 0 R {catalog} >>")
    file.add()
    file.add(font)
    for body in extra:
        file.add(body)
    kids = []
    for content in contents:
        if isinstance(content, list):
            parts = " ".join(f"{file.stream(part, deflate=deflate)} 0 R" for part in content)
            of = f"[{parts}]"
        else:
            of = f"{file.stream(content, deflate=deflate)} 0 R"
        kids.append(
            file.add(
                f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {of} "
                f"/Resources << /Font << /F1 3 0 R >> {resources} >> {page} >>"
            )
        )
    kids = " ".join(f"{kid} 0 R" for kid in kids)
    file.put(2, f"<< /Type /Pages /Count {len(contents)} /Kids [{kids}] >>")
    return file


def escaped(line):
    line = line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return line


def lines(texts, x=72, y=720, size=12, leading=15, before="", after=""):
    """A content stream that shows lines one below the other."""
    shown = "".join(f"({escaped(text)}) Tj T* " for text in texts)
    return f"{before} BT /F1 {size} Tf {leading} TL {x} {y} Td {shown} ET {after}"


def wrapped(paragraphs, width=88):
    """Paragraphs broken into lines, an empty one after each."""
    import textwrap

    out = []
    for paragraph in paragraphs:
        out += textwrap.wrap(paragraph, width) + [""]
    return out
