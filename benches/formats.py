"""How well a program reads what other programs write: word for word against the source.

    formats.py DIR --program COMMAND [SOURCE.md ...]
    formats.py /tmp/formats --program "target/release/longsum extract {} --format json"

Each Markdown file is written in every format by every program that is there: pandoc, LibreOffice
(`soffice`), and the PyPI packages python-docx, odfpy and EbookLib; mail by Python itself. COMMAND reads
the file in place of `{}` and prints JSON: `text`, `headings` and `asides`, as `longsum extract` does.
What should be found is what pandoc says of the source.

    recall      words of the source that were found
    precision   found words that are in the source
    headings    headings found, word for word, of those of the source
    notes       footnotes whose words are in asides, of those of the source
    rows        rows of tables whose cells follow each other, of those of the source
"""

import argparse
import json
import mailbox
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from email.message import EmailMessage

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = [
    ROOT / "samples/harbour.md",
    ROOT / "samples/bus-stops.md",
    ROOT / "tests/fixtures/formats/odds-and-ends.md",
]


RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def words(text):
    return re.findall(r"\w+", text.casefold())


# The source, by pandoc.


def plain(inlines):
    """The text of inlines, without their notes."""
    parts = []
    for kind, content in ((item["t"], item.get("c")) for item in inlines):
        if kind == "Str":
            parts.append(content)
        elif kind in ("Space", "SoftBreak", "LineBreak"):
            parts.append(" ")
        elif kind in ("Code", "Math"):
            parts.append(content[1].replace("^2", "²"))
        elif kind == "Quoted":
            mark = '"' if content[0]["t"] == "DoubleQuote" else "'"
            parts.append(mark + plain(content[1]) + mark)
        elif kind in ("Link", "Image", "Span", "Cite"):
            parts.append(plain(content[1]))
        elif kind == "Superscript":
            parts.append(plain(content).translate(RAISED))
        elif isinstance(content, list) and kind != "Note" and kind != "RawInline":
            parts.append(plain(content))
    return "".join(parts)


def strings_in(node):
    """The words of a tree, as inlines."""
    if isinstance(node, dict) and node.get("t") in ("Str", "Space"):
        yield node
    elif isinstance(node, (dict, list)):
        for item in node.values() if isinstance(node, dict) else node:
            yield from strings_in(item)


def notes_in(node):
    """The blocks of all notes under a node."""
    if isinstance(node, list):
        for item in node:
            yield from notes_in(item)
    elif isinstance(node, dict):
        if node.get("t") == "Note":
            yield node["c"]
        yield from notes_in(node.get("c", []))


def flat(blocks):
    """Blocks as (kind, text): h1.., p, item, code, and rows of tables as lists of cells."""
    for block in blocks:
        kind, content = block["t"], block.get("c")
        if kind == "Header":
            yield f"h{content[0]}", plain(content[2])
        elif kind in ("Para", "Plain"):
            yield "p", plain(content)
        elif kind == "CodeBlock":
            yield "code", content[1]
        elif kind == "BlockQuote":
            yield from flat(content)
        elif kind in ("BulletList", "OrderedList"):
            for item in content if kind == "BulletList" else content[1]:
                yield from (("item" if of == "p" else of, text) for of, text in flat(item))
        elif kind == "DefinitionList":
            for term, definitions in content:
                yield "p", plain(term)
                for definition in definitions:
                    yield from flat(definition)
        elif kind == "Div":
            yield from flat(content[1])
        elif kind == "Table":
            yield from table(content)


def table(content):
    _, caption, _, head, bodies, foot = content
    groups = [head[1], *(rows for body in bodies for rows in body[2:]), foot[1]]
    for row in (row for rows in groups for row in rows):
        cells = [" ".join(text for _, text in flat(cell[4])) for cell in row[1]]
        if any(cells):
            yield "row", cells
    yield from flat(caption[1])


def source(file):
    done = subprocess.run(
        ["pandoc", "-f", "markdown-smart", "-t", "json", file], capture_output=True, check=True
    )
    tree = json.loads(done.stdout)
    blocks = list(flat(tree["blocks"]))
    notes = [" ".join(text for _, text in flat(note)) for note in notes_in(tree["blocks"])]
    title = plain(tree["meta"].get("title", {}).get("c", [])) or file.stem
    # What is said of a document may come in its text.
    said = plain([{"t": "Said", "c": list(strings_in(tree["meta"]))}])
    return {"title": title, "said": said, "blocks": blocks, "notes": notes}


# The writers. Each gives the files that it wrote.


def by_pandoc(file, found, place):
    for extension in ("docx", "odt", "epub", "rtf", "html"):
        out = place / f"pandoc.{extension}"
        command = ["pandoc", "-s", "-f", "markdown-smart", file, "-o", out]
        subprocess.run(command, check=True, capture_output=True)
        yield out


def by_libreoffice(file, found, place):
    """From pandoc's ODT, so that LibreOffice writes what it has read and understood."""
    written = place / "libreoffice"
    written.mkdir(exist_ok=True)
    for extension in ("docx", "odt", "epub", "rtf", "html"):
        command = ["soffice", "--headless", "--convert-to", extension, "--outdir", written]
        subprocess.run([*command, place / "pandoc.odt"], check=True, capture_output=True)
        out = place / f"libreoffice.{extension}"
        shutil.move(written / f"pandoc.{extension}", out)
        yield out


def by_python_docx(file, found, place):
    import docx

    document = docx.Document()
    for kind, content in found["blocks"]:
        if kind == "row":
            cells = document.add_table(rows=1, cols=len(content)).rows[0].cells
            for cell, text in zip(cells, content):
                cell.text = text
        elif kind.startswith("h"):
            document.add_heading(content, int(kind[1]))
        else:
            document.add_paragraph(content, style="List Bullet" if kind == "item" else None)
    document.save(place / "python-docx.docx")
    yield place / "python-docx.docx"


def by_odfpy(file, found, place):
    from odf.opendocument import OpenDocumentText
    from odf.table import Table, TableCell, TableRow
    from odf.text import H, P

    document = OpenDocumentText()
    for kind, content in found["blocks"]:
        if kind == "row":
            row = TableRow()
            for text in content:
                cell = TableCell()
                cell.addElement(P(text=text))
                row.addElement(cell)
            of = Table()
            of.addElement(row)
            document.text.addElement(of)
        elif kind.startswith("h"):
            document.text.addElement(H(outlinelevel=int(kind[1]), text=content))
        else:
            document.text.addElement(P(text=content))
    document.save(str(place / "odfpy.odt"))
    yield place / "odfpy.odt"


def by_ebooklib(file, found, place):
    from ebooklib import epub

    book = epub.EpubBook()
    book.set_identifier(file.stem)
    book.set_title(found["title"])
    command = ["pandoc", "-f", "markdown-smart", "-t", "html", file]
    body = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    chapter = epub.EpubHtml(title=found["title"], file_name="text.xhtml", content=body)
    book.add_item(chapter)
    book.toc, book.spine = [chapter], ["nav", chapter]
    book.add_item(epub.EpubNcx())
    book.add_item(epub.EpubNav())
    epub.write_epub(str(place / "ebooklib.epub"), book)
    yield place / "ebooklib.epub"


def by_python_mail(file, found, place):
    message = EmailMessage()
    message["Subject"] = found["title"]
    message["From"], message["To"] = "Ada <ada@example.org>", "Ben <ben@example.org>"
    html = (place / "pandoc.html").read_text()
    message.set_content("See the other part.", cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="base64")
    (place / "python.eml").write_bytes(bytes(message))
    yield place / "python.eml"
    (place / "python.mbox").unlink(missing_ok=True)
    box = mailbox.mbox(place / "python.mbox")
    box.add(message)
    box.close()
    yield place / "python.mbox"


# These packages write no footnotes.
WITHOUT_NOTES = ("python-docx", "odfpy")
WRITERS = [by_pandoc, by_libreoffice, by_python_docx, by_odfpy, by_ebooklib, by_python_mail]


# The comparison.


def squeezed(text):
    return " ".join(words(text))


def compare(found, read, writer):
    notes = [] if writer in WITHOUT_NOTES else [squeezed(note) for note in found["notes"]]
    parts = [text if kind != "row" else " ".join(text) for kind, text in found["blocks"]]
    wanted, got = Counter(words(" ".join(parts + notes))), Counter(words(read["text"]))
    # What a format says of the text is no invention: its title and authors, the marks of notes and
    # lists, the head of a message.
    extra = Counter(words(f"{found['said']} {found['title']} " * 3))
    if writer == "python":
        extra += Counter(words("From Ada ada@example.org To Ben ben@example.org Subject"))
    invented = {w: n for w, n in (got - wanted - extra).items() if not w.isdigit()}
    text = squeezed(read["text"])
    headings = Counter(squeezed(heading["text"]) for heading in read["headings"])
    asides = squeezed(" ".join(aside["text"] for aside in read["asides"]))
    of = [squeezed(text) for kind, text in found["blocks"] if kind[0] == "h"]
    # The mark of a note may stand between two cells.
    rows = [
        r"(?: \S+)? ".join(re.escape(squeezed(cell)) for cell in cells if cell)
        for kind, cells in found["blocks"]
        if kind == "row"
    ]
    return {
        "recall": 100 * (wanted & got).total() / max(wanted.total(), 1),
        "precision": 100 - 100 * sum(invented.values()) / max(got.total(), 1),
        "headings": (sum((Counter(of) & headings).values()), len(of)),
        "notes": (sum(note in asides for note in notes), len(notes)),
        "rows": (sum(bool(re.search(row, text)) for row in rows), len(rows)),
        "lost": dict((wanted - got).most_common(8)),
        "invented": dict(Counter(invented).most_common(8)),
    }


def read(command, file):
    parts = [part.replace("{}", str(file)) for part in shlex.split(command)]
    done = subprocess.run(parts, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"{file}: {done.stderr.strip()}", file=sys.stderr)
        return {"text": "", "headings": [], "asides": []}
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dir", type=pathlib.Path, help="where the files are written")
    parser.add_argument("sources", nargs="*", type=pathlib.Path, default=SOURCES)
    parser.add_argument("--program", required=True, metavar="COMMAND")
    parser.add_argument("--keep", action="store_true", help="read the files that are there")
    parser.add_argument("--detail", action="store_true", help="the words lost and invented")
    options = parser.parse_args()
    results = {}
    for file in options.sources:
        place = options.dir / file.stem
        place.mkdir(parents=True, exist_ok=True)
        found = source(file)
        if not options.keep:
            for writer in WRITERS:
                try:
                    list(writer(file, found, place))
                except (ImportError, FileNotFoundError) as error:
                    print(f"{writer.__name__}: {error}", file=sys.stderr)
        for written in sorted(of for of in place.iterdir() if of.is_file()):
            result = compare(found, read(options.program, written), written.stem)
            results.setdefault(written.name, []).append(result)
            if options.detail:
                print(f"{written}: lost {result['lost']} invented {result['invented']}")
    print("| file | recall | precision | headings | notes | rows |\n" + "| --- " * 6 + "|")
    for name, of in results.items():
        means = [sum(result[key] for result in of) / len(of) for key in ("recall", "precision")]
        counts = [
            tuple(map(sum, zip(*(result[key] for result in of))))
            for key in ("headings", "notes", "rows")
        ]
        cells = [f"{mean:.1f}" for mean in means] + [f"{n} of {total}" for n, total in counts]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
