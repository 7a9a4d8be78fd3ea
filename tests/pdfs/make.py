"""Makes PDFs with many programs, and by hand, and says what must be found in them.

    make.py OUT [NAME...]      all makers, or those whose name contains one of the NAMEs
    make.py OUT --only-small   the files of a few KB that lie in tests/pdfs/small

OUT/expected.tsv has one line per file: name, pages (`?` if any number may come), password, outcome,
words. Words are parted by ` | `. The outcome is

    text      it must be read, with all pages and words
    scan      every page must come out as one that needs OCR, or have no text at all
    locked    it must ask for a password
    any       it may be refused; if it is read, nothing may crash or hang
"""

import importlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import handmade
import texts

MAKERS = []
OUT = pathlib.Path()
ROWS = []


def maker(*needs):
    """A function that makes files; `needs` are programs, or Python packages as `py:name`."""

    def note(function):
        MAKERS.append((function, needs))
        return function

    return note


def missing(needs):
    for need in needs:
        if need.startswith("py:"):
            try:
                importlib.import_module(need[3:])
            except ImportError:
                yield need[3:]
        elif not shutil.which(need):
            yield need


def expect(name, pages, words=(), outcome="text", password=""):
    ROWS.append((name, str(pages), password, outcome, " | ".join(words) or "none"))


def path(name):
    return str(OUT / name)


def write(name, data):
    (OUT / name).write_bytes(data)


def run(*command, cwd=None, data=None, env=None):
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        input=data,
        capture_output=True,
        timeout=300,
        env={**os.environ, **(env or {}), "SOURCE_DATE_EPOCH": "1000000000"},
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {(done.stdout + done.stderr)[-400:]!r}")
    return done.stdout


def n_pages(name):
    from pypdf import PdfReader

    return len(PdfReader(path(name)).pages)


# TeX.

ESCAPES = str.maketrans({"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#"})


def tex(program, name, body, preamble="", options="", kind="article", passes=1):
    with tempfile.TemporaryDirectory() as folder:
        source = (
            f"\\documentclass[{options}]{{{kind}}}\n{preamble}\n"
            f"\\begin{{document}}\n{body}\n\\end{{document}}\n"
        )
        pathlib.Path(folder, "a.tex").write_text(source)
        for _ in range(passes):
            run(program, "-interaction=nonstopmode", "-halt-on-error", "a.tex", cwd=folder)
        shutil.copy(pathlib.Path(folder, "a.pdf"), path(name))


def tex_text(paragraphs):
    return "\n\n".join(paragraph.translate(ESCAPES) for paragraph in paragraphs)


ARTICLE = (
    r"\title{The Ferry House}\author{A. Writer}\date{}\maketitle"
    r"\begin{abstract}" + texts.ENGLISH[0] + r"\end{abstract}\tableofcontents"
    r"\section{The lamp}"
    + tex_text(texts.ENGLISH[:3])
    + r"\footnote{The books are kept in the attic of the council house.}"
    r"\section{The bridge}" + tex_text(texts.ENGLISH[3:]) + r" See \cite{books}."
    r"\begin{tabular}{lrr} Year & Boats & Oil \\ 1871 & 412 & 96 \\ 1914 & 388 & 51 \end{tabular}"
    r"\begin{thebibliography}{9}\bibitem{books} A. Officer: \emph{The books of the ferry.} 1958."
    r"\end{thebibliography}"
)


@maker("pdflatex")
def latex():
    words = texts.ENGLISH_WORDS + ["difficult", "The books of the ferry", "attic of the council"]
    tex("pdflatex", "latex-article.pdf", ARTICLE, passes=2)
    expect("latex-article.pdf", n_pages("latex-article.pdf"), words)
    tex(
        "pdflatex",
        "latex-unicode-map.pdf",
        ARTICLE,
        r"\usepackage{cmap}\usepackage[T1]{fontenc}",
        passes=2,
    )
    expect("latex-unicode-map.pdf", n_pages("latex-unicode-map.pdf"), words)
    tex("pdflatex", "latex-two-columns.pdf", tex_text(texts.LONG), options="twocolumn")
    expect("latex-two-columns.pdf", n_pages("latex-two-columns.pdf"), texts.ENGLISH_WORDS)
    umlauts = tex_text(texts.GERMAN * 3)
    tex(
        "pdflatex",
        "latex-german-ot1.pdf",
        umlauts,
        r"\usepackage[utf8]{inputenc}\usepackage[a6paper]{geometry}",
    )
    expect("latex-german-ot1.pdf", n_pages("latex-german-ot1.pdf"), texts.GERMAN_WORDS)
    tex(
        "pdflatex",
        "latex-times.pdf",
        ARTICLE,
        r"\usepackage{mathptmx}\usepackage[T1]{fontenc}",
        passes=2,
    )
    expect("latex-times.pdf", n_pages("latex-times.pdf"), words)


@maker("pdflatex")
def latex_extra():
    columns = r"\begin{multicols}{3}" + tex_text(texts.LONG) + r"\end{multicols}"
    tex(
        "pdflatex",
        "latex-three-columns.pdf",
        columns,
        r"\usepackage{multicol}\usepackage[margin=2cm]{geometry}",
    )
    expect(
        "latex-three-columns.pdf",
        n_pages("latex-three-columns.pdf"),
        ["The difficult part was not", "swift"],
    )
    body = (
        r"\frontmatter\tableofcontents\chapter{Preface}"
        + tex_text(texts.ENGLISH[:2])
        + r"\mainmatter"
        + "".join(rf"\chapter{{Part {n}}}" + tex_text(texts.LONG) for n in ("one", "two", "three"))
    )
    preamble = r"\usepackage{fancyhdr}\pagestyle{fancy}\fancyhead[C]{The Ferry House, a report}\usepackage{hyperref}"
    tex("pdflatex", "latex-book-labels.pdf", body, preamble, kind="book", passes=2)
    expect("latex-book-labels.pdf", n_pages("latex-book-labels.pdf"), texts.ENGLISH_WORDS)
    form = (
        r"\begin{Form}"
        + tex_text(texts.ENGLISH[:1])
        + r"\TextField[name=a,value=Filled]{Name of the boat}\CheckBox[name=b]{Paid}\end{Form}"
    )
    tex("pdflatex", "latex-form.pdf", form, r"\usepackage{hyperref}")
    expect("latex-form.pdf", 1, ["Name of the boat", "the old ferry house"])
    maths = (
        tex_text(texts.ENGLISH[:1])
        + r"$$\int_0^\infty e^{-x^2}\,dx = \frac{\sqrt\pi}{2}$$ where $\alpha\leq\beta$ is the difficult case."
    )
    tex("pdflatex", "latex-maths.pdf", maths)
    expect("latex-maths.pdf", 1, ["is the difficult case"])
    thousand = "".join(
        rf"Page {n} of the ledger says that boat {n * 7 % 1000} crossed with {n} sacks of fine flour.\newpage "
        + "\n"
        for n in range(1, 1001)
    )
    tex("pdflatex", "latex-thousand-pages.pdf", thousand, r"\pagestyle{empty}")
    expect(
        "latex-thousand-pages.pdf",
        1000,
        [
            "Page 1 of the ledger",
            "Page 1000 of the ledger says that boat 0 crossed with 1000 sacks of fine flour",
        ],
    )
    tex(
        "pdflatex",
        "latex-thousand-long-pages.pdf",
        "\n\n".join(tex_text(texts.ENGLISH) + f" Entry {n}." for n in range(1, 1800)),
    )
    expect(
        "latex-thousand-long-pages.pdf",
        n_pages("latex-thousand-long-pages.pdf"),
        texts.ENGLISH_WORDS,
    )


@maker("pdflatex", "mktexpk")
def latex_bitmap_fonts():
    preamble = r"\pdfmapfile{}\usepackage[paperwidth=12cm,paperheight=14cm,margin=1cm]{geometry}"
    tex("pdflatex", "latex-type3-bitmaps.pdf", tex_text(texts.ENGLISH[:2]), preamble)
    # Type 3 glyphs have names that say nothing (a12): a text layer is not to be expected.
    expect("latex-type3-bitmaps.pdf", "?", [], "any")


@maker("xelatex")
def xelatex():
    tex("xelatex", "xelatex-latin-modern.pdf", ARTICLE, passes=2)
    expect(
        "xelatex-latin-modern.pdf",
        n_pages("xelatex-latin-modern.pdf"),
        texts.ENGLISH_WORDS + ["difficult"],
    )

    def language(name, paragraphs, font, words, extra="", before=""):
        body = "\n\n".join(before + paragraph for paragraph in paragraphs)
        tex("xelatex", name, body, rf"\usepackage{{fontspec}}\setmainfont{{{font}}}{extra}")
        expect(name, 1, words)

    language("xelatex-russian.pdf", texts.RUSSIAN, "DejaVu Serif", texts.RUSSIAN_WORDS)
    language("xelatex-greek.pdf", texts.GREEK, "DejaVu Serif", texts.GREEK_WORDS)
    language("xelatex-carlito.pdf", texts.ENGLISH, "Carlito", texts.ENGLISH_WORDS)
    rtl = r"\TeXXeTstate=1 "
    language(
        "xelatex-hebrew.pdf",
        texts.HEBREW,
        "Noto Serif Hebrew",
        texts.HEBREW_WORDS,
        rtl,
        r"\noindent\beginR ",
    )
    language(
        "xelatex-arabic.pdf",
        texts.ARABIC,
        "Noto Naskh Arabic",
        texts.ARABIC_WORDS,
        rtl,
        r"\noindent\beginR ",
    )
    wrap = r"\XeTeXlinebreaklocale ``zh''\XeTeXlinebreakskip=0pt plus 1pt "
    language("xelatex-chinese.pdf", texts.CHINESE, "Noto Serif CJK SC", texts.CHINESE_WORDS, wrap)
    language(
        "xelatex-japanese.pdf", texts.JAPANESE, "Noto Serif CJK JP", texts.JAPANESE_WORDS, wrap
    )
    language("xelatex-korean.pdf", texts.KOREAN, "Noto Serif CJK KR", texts.KOREAN_WORDS)
    language("xelatex-hindi.pdf", texts.HINDI, "Noto Serif Devanagari", texts.HINDI_WORDS)


@maker("lualatex")
def lualatex():
    tex("lualatex", "lualatex-article.pdf", ARTICLE, r"\usepackage{microtype}", passes=2)
    expect(
        "lualatex-article.pdf", n_pages("lualatex-article.pdf"), texts.ENGLISH_WORDS + ["difficult"]
    )
    preamble = r"\usepackage{fontspec}\setmainfont{DejaVu Serif}"
    tex("lualatex", "lualatex-greek.pdf", tex_text(texts.GREEK), preamble)
    expect("lualatex-greek.pdf", 1, texts.GREEK_WORDS)


# Office programs and browsers.


def html(paragraphs, lang="en", style="", title="The Ferry House", more=""):
    body = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    rtl = ' dir="rtl"' if lang in ("ar", "he") else ""
    return (
        f'<!DOCTYPE html><html lang="{lang}"{rtl}><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{style}</style></head><body><h1>{title}</h1>{body}{more}</body></html>"
    )


TABLE = (
    "<h2>Numbers</h2><table border=1><tr><th>Year<th>Boats<th>Oil</tr><tr><td>1871<td>412<td>96</tr>"
    "<tr><td>1914<td>388<td>51</tr></table><ul><li>first boat<li>second boat</ul><ol><li>one<li>two</ol>"
)


def office(source, name, options=""):
    with tempfile.TemporaryDirectory() as folder:
        run(
            "soffice",
            "--headless",
            f"-env:UserInstallation=file://{tempfile.gettempdir()}/office-profile",
            "--convert-to",
            f"pdf:writer_pdf_Export{options}",
            "--outdir",
            folder,
            source,
        )
        shutil.copy(pathlib.Path(folder, pathlib.Path(source).stem + ".pdf"), path(name))


def docx(file, paragraphs, font="Calibri", rtl=False, east=None):
    from docx import Document
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    document = Document()
    document.styles["Normal"].font.name = font
    if east:
        document.styles["Normal"].element.rPr.rFonts.set(qn("w:eastAsia"), east)
    document.sections[0].header.paragraphs[0].text = "The Ferry House, a report"
    document.add_heading("The Ferry House", 0)
    for paragraph in paragraphs:
        added = document.add_paragraph(paragraph)
        if rtl:
            added._p.get_or_add_pPr().append(OxmlElement("w:bidi"))
            for one in added.runs:
                one._r.get_or_add_rPr().append(OxmlElement("w:rtl"))
    table = document.add_table(2, 3)
    for row, values in zip(table.rows, (("Year", "Boats", "Oil"), ("1871", "412", "96"))):
        for cell, value in zip(row.cells, values):
            cell.text = value
    document.save(file)


@maker("soffice", "py:docx")
def office_docx():
    with tempfile.TemporaryDirectory() as folder:
        for name, paragraphs, words, more in (
            ("office-docx.pdf", texts.LONG, texts.ENGLISH_WORDS, {}),
            (
                "office-docx-arabic.pdf",
                texts.ARABIC,
                texts.ARABIC_WORDS,
                {"rtl": True, "font": "Noto Naskh Arabic"},
            ),
            (
                "office-docx-hebrew.pdf",
                texts.HEBREW,
                texts.HEBREW_WORDS,
                {"rtl": True, "font": "Noto Serif Hebrew"},
            ),
            (
                "office-docx-chinese.pdf",
                texts.CHINESE,
                texts.CHINESE_WORDS,
                {"east": "Noto Serif CJK SC"},
            ),
            (
                "office-docx-russian.pdf",
                texts.RUSSIAN,
                texts.RUSSIAN_WORDS,
                {"font": "DejaVu Sans"},
            ),
        ):
            source = pathlib.Path(folder, name[:-4] + ".docx")
            docx(source, paragraphs, **more)
            office(source, name)
            expect(name, n_pages(name), words)
        source = pathlib.Path(folder, "office-tagged.docx")
        docx(source, texts.ENGLISH)
        office(
            source,
            "office-tagged-archive.pdf",
            ':{"SelectPdfVersion":{"type":"long","value":"2"},"UseTaggedPDF":{"type":"boolean","value":"true"}}',
        )
        expect(
            "office-tagged-archive.pdf", n_pages("office-tagged-archive.pdf"), texts.ENGLISH_WORDS
        )
        office(
            source,
            "office-locked.pdf",
            ':{"EncryptFile":{"type":"boolean","value":"true"},"DocumentOpenPassword":{"type":"string","value":"ferry"}}',
        )
        expect("office-locked.pdf", "?", texts.ENGLISH_WORDS, password="ferry")


@maker("soffice", "py:odf")
def office_odt():
    from odf.opendocument import OpenDocumentText
    from odf.text import H, Note, NoteBody, NoteCitation, P

    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "office-odt.odt")
        document = OpenDocumentText()
        document.text.addElement(H(outlinelevel=1, text="The Ferry House"))
        for paragraph in texts.ENGLISH:
            added = P(text=paragraph)
            note = Note(noteclass="footnote", id=f"n{len(paragraph)}")
            note.addElement(NoteCitation(text="1"))
            body = NoteBody()
            body.addElement(P(text="The books are kept in the attic."))
            note.addElement(body)
            added.addElement(note)
            document.text.addElement(added)
        document.save(str(source))
        office(source, "office-odt-footnotes.pdf")
        expect(
            "office-odt-footnotes.pdf",
            n_pages("office-odt-footnotes.pdf"),
            texts.ENGLISH_WORDS + ["kept in the attic"],
        )
        source = pathlib.Path(folder, "office-html.html")
        source.write_text(html(texts.ENGLISH, more=TABLE))
        with tempfile.TemporaryDirectory() as other:
            run(
                "soffice",
                "--headless",
                f"-env:UserInstallation=file://{tempfile.gettempdir()}/office-profile",
                "--convert-to",
                "pdf:writer_web_pdf_Export",
                "--outdir",
                other,
                source,
            )
            shutil.copy(pathlib.Path(other, "office-html.pdf"), path("office-html.pdf"))
        expect("office-html.pdf", n_pages("office-html.pdf"), texts.ENGLISH_WORDS + ["1914"])


PAGES_IN_BROWSER = {
    "article": (
        texts.ENGLISH,
        "en",
        "body{font:12pt 'Liberation Serif'}",
        texts.ENGLISH_WORDS + ["first boat"],
        TABLE,
    ),
    "three-columns": (
        texts.LONG,
        "en",
        "body{column-count:3;hyphens:auto;text-align:justify}",
        ["The difficult part was not"],
        "",
    ),
    "carlito": (texts.ENGLISH, "en", "body{font-family:Carlito}", texts.ENGLISH_WORDS, ""),
    "german": (texts.GERMAN, "de", "body{width:6cm;hyphens:auto}", texts.GERMAN_WORDS, ""),
    "russian": (texts.RUSSIAN, "ru", "body{font-family:'DejaVu Sans'}", texts.RUSSIAN_WORDS, ""),
    "greek": (texts.GREEK, "el", "body{font-family:'Noto Serif'}", texts.GREEK_WORDS, ""),
    "arabic": (texts.ARABIC, "ar", "body{font-family:'Noto Naskh Arabic'}", texts.ARABIC_WORDS, ""),
    "hebrew": (texts.HEBREW, "he", "body{font-family:'Noto Serif Hebrew'}", texts.HEBREW_WORDS, ""),
    "chinese": (
        texts.CHINESE,
        "zh",
        "body{font-family:'Noto Serif CJK SC'}",
        texts.CHINESE_WORDS,
        "",
    ),
    "korean": (texts.KOREAN, "ko", "body{font-family:'Noto Serif CJK KR'}", texts.KOREAN_WORDS, ""),
    "hindi": (
        texts.HINDI,
        "hi",
        "body{font-family:'Noto Serif Devanagari'}",
        texts.HINDI_WORDS,
        "",
    ),
    "japanese-vertical": (
        texts.JAPANESE,
        "ja",
        "body{writing-mode:vertical-rl;height:20cm;font-family:'Noto Serif CJK JP'}",
        texts.JAPANESE_WORDS,
        "",
    ),
    "soft-hyphens": (
        [
            paragraph.replace("ferry", "fer&shy;ry").replace("village", "vil&shy;lage")
            for paragraph in texts.ENGLISH
        ],
        "en",
        "body{width:5cm}",
        texts.ENGLISH_WORDS,
        "",
    ),
    "letter-spaced": (
        texts.ENGLISH[:2],
        "en",
        "h1{letter-spacing:.4em}p{letter-spacing:.08em}",
        texts.ENGLISH_WORDS[:1],
        "",
    ),
    "hidden": (
        texts.ENGLISH[:2],
        "en",
        "",
        texts.ENGLISH_WORDS[:1],
        "<p style='color:white'>white on white</p><p style='display:none'>never printed</p>",
    ),
}


def in_browser(prefix, printed):
    for name, (paragraphs, lang, style, words, more) in PAGES_IN_BROWSER.items():
        name = f"{prefix}-{name}.pdf"
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "a.html")
            source.write_text(html(paragraphs, lang, style, more=more))
            printed(source, path(name))
        expect(name, n_pages(name), words)


@maker("chromium")
def chromium():
    def printed(source, to):
        run(
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-pdf-header-footer",
            f"--user-data-dir={source.parent}/profile",
            f"--print-to-pdf={to}",
            source.as_uri(),
        )

    in_browser("chromium", printed)


@maker("py:weasyprint")
def weasyprint():
    def printed(source, to):
        import weasyprint

        weasyprint.HTML(filename=str(source)).write_pdf(to)

    in_browser("weasyprint", printed)


@maker("py:typst")
def typst():
    import typst as compiler

    def made(name, source, words):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "a.typ")
            file.write_text(source)
            compiler.compile(str(file), output=path(name))
        expect(name, n_pages(name), words)

    def body(paragraphs):
        return "\n\n".join(paragraphs).replace("#", "\\#")

    made(
        "typst-article.pdf",
        "#set par(justify: true)\n#set text(hyphenate: true)\n#outline()\n= The lamp\n"
        + body(texts.ENGLISH)
        + "#footnote[Kept in the attic of the council house.]\n= The bridge\n"
        + body(texts.ENGLISH),
        texts.ENGLISH_WORDS + ["attic of the council"],
    )
    made(
        "typst-two-columns.pdf",
        '#set page(columns: 2, header: [The Ferry House], numbering: "1")\n#set par(justify: true)\n'
        + body(texts.LONG),
        texts.ENGLISH_WORDS[:2],
    )
    made(
        "typst-chinese.pdf",
        '#set text(font: "Noto Serif CJK SC", lang: "zh")\n' + body(texts.CHINESE),
        texts.CHINESE_WORDS,
    )
    made(
        "typst-arabic.pdf",
        '#set text(font: "Noto Naskh Arabic", lang: "ar")\n' + body(texts.ARABIC),
        texts.ARABIC_WORDS,
    )
    made(
        "typst-table.pdf",
        body(texts.ENGLISH[:1])
        + "\n#table(columns: 3, [Year], [Boats], [Oil], [1871], [412], [96])\n",
        ["ferry house burned", "412"],
    )


@maker("groff", "gs")
def groff():
    source = ".TL\nThe Ferry House\n.AU\nA. Writer\n" + "".join(f".PP\n{p}\n" for p in texts.LONG)
    ps = run("groff", "-Kutf8", "-ms", "-Tps", data=source.encode())
    run("ps2pdf", "-", path("groff-ps2pdf.pdf"), data=ps)
    expect("groff-ps2pdf.pdf", n_pages("groff-ps2pdf.pdf"), texts.ENGLISH_WORDS)
    run(
        "gs",
        "-q",
        "-dBATCH",
        "-dNOPAUSE",
        "-sDEVICE=pdfwrite",
        "-dCompatibilityLevel=1.3",
        f"-sOutputFile={path('groff-pdf13.pdf')}",
        "-",
        data=ps,
    )
    expect("groff-pdf13.pdf", n_pages("groff-pdf13.pdf"), texts.ENGLISH_WORDS)
    man = ".TH FERRY 1\n.SH NAME\nferry \\- carries people\n.SH DESCRIPTION\n" + "\n.PP\n".join(
        texts.ENGLISH
    )
    write(
        "groff-manual-page.pdf",
        run("ps2pdf", "-", "-", data=run("groff", "-Kutf8", "-man", "-Tps", data=man.encode())),
    )
    expect(
        "groff-manual-page.pdf",
        n_pages("groff-manual-page.pdf"),
        texts.ENGLISH_WORDS + ["carries people"],
    )
    shown = "/F { /Times-Roman findfont 14 scalefont setfont } def F 72 700 moveto (Set by hand in the page language) show showpage"
    write("ghostscript-by-hand.pdf", run("ps2pdf", "-", "-", data=f"%!PS\n{shown}\n".encode()))
    expect("ghostscript-by-hand.pdf", 1, ["Set by hand in the page language"])


@maker("pango-view")
def pango():
    with tempfile.TemporaryDirectory() as folder:
        for name, paragraphs, words in (
            ("english", texts.ENGLISH, texts.ENGLISH_WORDS),
            ("arabic", texts.ARABIC, texts.ARABIC_WORDS),
            ("hebrew", texts.HEBREW, texts.HEBREW_WORDS),
            ("hindi", texts.HINDI, texts.HINDI_WORDS),
            ("japanese", texts.JAPANESE, texts.JAPANESE_WORDS),
        ):
            source = pathlib.Path(folder, "a.txt")
            source.write_text("\n".join(paragraphs))
            run("pango-view", "-q", "--width=500", "-o", path(f"cairo-{name}.pdf"), source)
            expect(f"cairo-{name}.pdf", 1, words)


# Python libraries.


def styled(paragraphs):
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import Paragraph, Spacer

    style = getSampleStyleSheet()["BodyText"]
    return [item for text in paragraphs for item in (Paragraph(text, style), Spacer(1, 8))]


def base():
    """A plain file of several pages that others are made from."""
    if not (OUT / "reportlab-base.pdf").exists():
        from reportlab.platypus import SimpleDocTemplate

        SimpleDocTemplate(path("reportlab-base.pdf"), pagesize=(400, 500), invariant=1).build(
            styled(texts.LONG)
        )
    return path("reportlab-base.pdf")


@maker("py:reportlab")
def reportlab():
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import SimpleDocTemplate, Table

    base()
    expect("reportlab-base.pdf", n_pages("reportlab-base.pdf"), texts.ENGLISH_WORDS)
    SimpleDocTemplate(path("reportlab-table.pdf"), invariant=1).build(
        styled(texts.ENGLISH[:2])
        + [Table([["Year", "Boats", "Oil"], ["1871", "412", "96"], ["1914", "388", "51"]])]
    )
    expect("reportlab-table.pdf", 1, ["ferry house burned", "1914", "388"])

    def canvas(name, **options):
        return Canvas(path(name), invariant=1, **options)

    page = canvas("reportlab-form-filled.pdf")
    page.drawString(72, 700, "Name of the boat:")
    page.acroForm.textfield(name="boat", value="Swift Officer", x=200, y=690, width=200)
    page.acroForm.checkbox(name="paid", checked=True, x=72, y=650)
    page.save()
    expect("reportlab-form-filled.pdf", 1, ["Name of the boat"])
    for font, text, words, name in (
        ("STSong-Light", texts.CHINESE, texts.CHINESE_WORDS, "chinese"),
        ("HeiseiMin-W3", texts.JAPANESE, texts.JAPANESE_WORDS, "japanese"),
        ("HYSMyeongJo-Medium", texts.KOREAN, texts.KOREAN_WORDS, "korean"),
    ):
        pdfmetrics.registerFont(UnicodeCIDFont(font))
        page = canvas(f"reportlab-cid-{name}.pdf", pagesize=(1200, 400))
        page.setFont(font, 14)
        for row, line in enumerate(text):
            page.drawString(50, 350 - 30 * row, line)
        page.save()
        expect(f"reportlab-cid-{name}.pdf", 1, words)
    page = canvas("reportlab-huge-page.pdf", pagesize=(14400, 14400))
    page.drawString(7000, 7000, "A small boat on a very large sea")
    page.save()
    expect("reportlab-huge-page.pdf", 1, ["A small boat on a very large sea"])
    page = canvas("reportlab-empty-pages-mixed.pdf")
    for number in range(1, 11):
        if number % 3:
            page.drawString(72, 700, f"The ledger, sheet {number}")
        page.showPage()
    page.save()
    expect("reportlab-empty-pages-mixed.pdf", 10, ["sheet 1", "sheet 10"])
    page = canvas("reportlab-outline.pdf")
    for number in range(1, 6):
        page.bookmarkPage(f"k{number}")
        page.addOutlineEntry(f"Chapter {number}", f"k{number}", (number - 1) % 2)
        page.drawString(72, 700, f"Chapter {number} of the ferry")
        page.showPage()
    page.save()
    expect("reportlab-outline.pdf", 5, ["Chapter 5 of the ferry"])
    page = canvas("reportlab-rotated-text.pdf")
    for angle in (0, 90, 180, 270):
        page.saveState()
        page.translate(300, 400)
        page.rotate(angle)
        page.drawString(40, 0, f"turned by {angle} degrees")
        page.restoreState()
    page.save()
    expect("reportlab-rotated-text.pdf", 1, ["turned by 0 degrees", "turned by 90 degrees"])
    for strength in (40, 128):
        name = f"reportlab-locked-{strength}.pdf"
        page = canvas(name, encrypt=StandardEncryption("ferry", "owner", strength=strength))
        page.drawString(72, 700, "Behind the lock the lamp burned")
        page.save()
        expect(name, 1, ["Behind the lock the lamp burned"], password="ferry")


@maker("py:fpdf")
def fpdf2():
    from fpdf import FPDF
    from fpdf.enums import AccessPermission, EncryptionMethod

    def new(font=None):
        pdf = FPDF()
        pdf.set_creation_date(
            __import__("datetime").datetime(2001, 9, 9, tzinfo=__import__("datetime").timezone.utc)
        )
        pdf.add_page()
        if font:
            pdf.add_font("own", fname=font)
            pdf.set_font("own", size=12)
        else:
            pdf.set_font("Helvetica", size=12)
        return pdf

    def file_of(family):
        return run("fc-match", "-f", "%{file}", family).decode()

    pdf = new(file_of("DejaVu Sans"))
    for paragraph in texts.ENGLISH + texts.RUSSIAN + texts.GREEK + texts.GERMAN:
        pdf.multi_cell(0, 7, paragraph, new_x="LMARGIN", new_y="NEXT")
    pdf.output(path("fpdf2-unicode.pdf"))
    expect(
        "fpdf2-unicode.pdf",
        n_pages("fpdf2-unicode.pdf"),
        texts.ENGLISH_WORDS + texts.RUSSIAN_WORDS + texts.GREEK_WORDS + texts.GERMAN_WORDS,
    )
    for name, family, paragraphs in (
        ("hebrew", "Noto Serif Hebrew", texts.HEBREW),
        ("arabic", "Noto Naskh Arabic", texts.ARABIC),
    ):
        pdf = new(file_of(family))
        for paragraph in paragraphs:
            pdf.multi_cell(0, 9, paragraph, align="R", new_x="LMARGIN", new_y="NEXT")
        pdf.output(path(f"fpdf2-{name}.pdf"))
        # Without its shaping this library stores lines as they are seen, from the left.
        expect(f"fpdf2-{name}.pdf", 1, [])
    pdf = new()
    pdf.multi_cell(0, 7, texts.ENGLISH[0], new_x="LMARGIN", new_y="NEXT")
    pdf.embed_file(basename="books.txt", bytes=b"the attached books", desc="books")
    pdf.text_annotation(20, 120, "A note in the margin")
    pdf.free_text_annotation("A free note", x=20, y=140, w=80, h=10)
    pdf.output(path("fpdf2-attachment-annotations.pdf"))
    expect("fpdf2-attachment-annotations.pdf", 1, ["the old ferry house burned until"])
    for method in EncryptionMethod:
        if method.name == "NO_ENCRYPTION":
            continue
        for user in ("ferry", None):
            pdf = new()
            pdf.multi_cell(0, 7, texts.ENGLISH[0])
            pdf.set_encryption(
                "owner", user or "", encryption_method=method, permissions=AccessPermission.none()
            )
            name = f"fpdf2-{method.name.lower().replace('_', '-')}-{'user' if user else 'owner-only'}.pdf"
            pdf.output(path(name))
            expect(name, 1, ["the old ferry house burned until"], password=user or "")


@maker("py:pymupdf")
def pymupdf():
    import pymupdf as mupdf

    story = mupdf.Story(html=html(texts.ENGLISH, more=TABLE))
    writer = mupdf.DocumentWriter(path("mupdf-story.pdf"))
    more = 1
    while more:
        device = writer.begin_page(mupdf.paper_rect("a5"))
        more, _ = story.place(mupdf.paper_rect("a5") + (36, 36, -36, -36))
        story.draw(device)
        writer.end_page()
    writer.close()
    expect("mupdf-story.pdf", n_pages("mupdf-story.pdf"), texts.ENGLISH_WORDS)
    file = mupdf.open()
    page = file.new_page()
    page.insert_textbox((72, 72, 500, 700), "\n\n".join(texts.ENGLISH), fontsize=11)
    page.add_highlight_annot((72, 72, 300, 90))
    page.add_freetext_annot((72, 720, 300, 740), "A free note")
    file.save(path("mupdf-annotations.pdf"))
    expect("mupdf-annotations.pdf", 1, texts.ENGLISH_WORDS)


# Files made from others.


@maker("qpdf", "py:reportlab", "py:pypdf")
def qpdf():
    source = base()
    pages = n_pages("reportlab-base.pdf")
    for name, options in {
        "object-streams": ["--object-streams=generate"],
        "linearized": ["--linearize"],
        "linearized-object-streams": ["--linearize", "--object-streams=generate"],
        "uncompressed": ["--qdf", "--object-streams=disable"],
        "one-content-stream": ["--coalesce-contents"],
    }.items():
        run("qpdf", *options, source, path(f"qpdf-{name}.pdf"))
        expect(f"qpdf-{name}.pdf", pages, texts.ENGLISH_WORDS)
    for angle in (90, 180, 270):
        run("qpdf", f"--rotate={angle}", source, path(f"qpdf-rotated-{angle}.pdf"))
        expect(f"qpdf-rotated-{angle}.pdf", pages, texts.ENGLISH_WORDS)
    for bits, more, name in (
        ("40", [], "rc4-40"),
        ("128", ["--use-aes=n"], "rc4-128"),
        ("128", ["--use-aes=y"], "aes-128"),
        ("256", [], "aes-256"),
        ("256", ["--force-R5"], "aes-256-r5"),
        ("128", ["--use-aes=y", "--cleartext-metadata"], "aes-128-cleartext"),
    ):
        for user in ("ferry", ""):
            to = f"qpdf-{name}-{'user' if user else 'owner-only'}.pdf"
            run(
                "qpdf",
                "--allow-weak-crypto",
                "--encrypt",
                user,
                "owner",
                bits,
                *more,
                "--",
                source,
                path(to),
            )
            expect(to, pages, texts.ENGLISH_WORDS, password=user)
    run(
        "qpdf",
        "--encrypt",
        "b\u00e2teau",
        "owner",
        "256",
        "--",
        source,
        path("qpdf-password-accent.pdf"),
    )
    expect("qpdf-password-accent.pdf", pages, texts.ENGLISH_WORDS, password="b\u00e2teau")
    shutil.copy(path("qpdf-aes-256-user.pdf"), path("locked-without-password.pdf"))
    expect("locked-without-password.pdf", "?", [], "locked")
    shutil.copy(path("qpdf-aes-128-user.pdf"), path("locked-wrong-password.pdf"))
    expect("locked-wrong-password.pdf", "?", [], "locked", password="boat")
    two = path("qpdf-merged.pdf")
    run("qpdf", "--empty", "--pages", source, "1-z", source, "z-1", "--", two)
    expect("qpdf-merged.pdf", 2 * pages, texts.ENGLISH_WORDS)


@maker("py:reportlab", "py:pypdf")
def damaged():
    source = base()
    data = pathlib.Path(source).read_bytes()
    pages = n_pages("reportlab-base.pdf")
    write(
        "damaged-garbage-before.pdf",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\n\r\n" + data,
    )
    expect("damaged-garbage-before.pdf", pages, texts.ENGLISH_WORDS)
    write("damaged-garbage-after.pdf", data + b"\0" * 5000 + b"<html>not found</html>")
    expect("damaged-garbage-after.pdf", pages, texts.ENGLISH_WORDS)
    at = data.rindex(b"startxref")
    write("damaged-startxref.pdf", data[:at] + b"startxref\n7\n%%EOF\n")
    expect("damaged-startxref.pdf", pages, texts.ENGLISH_WORDS)
    table = data.rindex(b"\nxref") + 1
    broken = bytearray(data)
    for i in range(table + 30, data.rindex(b"trailer")):
        if chr(broken[i]).isdigit():
            broken[i] = ord("7")
    write("damaged-xref.pdf", bytes(broken))
    expect("damaged-xref.pdf", pages, texts.ENGLISH_WORDS)
    write("damaged-no-xref.pdf", data[:table] + data[data.index(b"trailer", table) :])
    expect("damaged-no-xref.pdf", pages, texts.ENGLISH_WORDS)
    write("damaged-no-endobj.pdf", data.replace(b"endobj", b"      "))
    expect("damaged-no-endobj.pdf", pages, texts.ENGLISH_WORDS)
    write("damaged-line-ends.pdf", data.replace(b"\n", b"\r\n"))
    expect("damaged-line-ends.pdf", "?", [], "any")
    write("damaged-no-trailer.pdf", data[: data.rindex(b"trailer")])
    expect("damaged-no-trailer.pdf", pages, texts.ENGLISH_WORDS)
    for tenth in range(1, 11):
        end = len(data) * tenth // 10 - (1 if tenth == 10 else 0)
        write(f"damaged-cut-at-{tenth:02}.pdf", data[:end])
        expect(f"damaged-cut-at-{tenth:02}.pdf", "?", [], "any")
    increment = b"900 0 obj\n(an object nobody asks for)\nendobj\n"
    start = len(data) + len(increment)
    previous = int(data[at:].split()[1])
    root = data[data.rindex(b"/Root") :].split()[1].decode()
    xref = f"xref\n900 1\n{len(data):010} 00000 n \ntrailer\n<< /Size 901 /Root {root} 0 R /Prev {previous} >>\nstartxref\n{start}\n%%EOF\n"
    write("incremental-update.pdf", data + increment + xref.encode())
    expect("incremental-update.pdf", pages, texts.ENGLISH_WORDS)
    loop = xref.replace(f"/Prev {previous}", f"/Prev {start}")
    write("hostile-xref-loop.pdf", data + increment + loop.encode())
    expect("hostile-xref-loop.pdf", "?", [], "any")


@maker("py:pikepdf", "py:reportlab")
def pikepdf():
    import pikepdf as pike

    def changed(name, change, pages, words=texts.ENGLISH_WORDS):
        with pike.open(base()) as file:
            change(file)
            file.save(path(name), deterministic_id=True)
        expect(name, pages, words)

    with pike.open(base()) as file:
        pages = len(file.pages)

    def labels(file):
        file.Root.PageLabels = pike.Dictionary(
            Nums=pike.Array(
                [0, pike.Dictionary(S=pike.Name.r), 2, pike.Dictionary(S=pike.Name.D, P="A-", St=3)]
            )
        )

    def unit(file):
        for page in file.pages:
            page.obj.UserUnit = 3.5

    def many_streams(file):
        for page in file.pages:
            parts = page.obj.Contents.read_bytes().split(b"\n")
            page.obj.Contents = pike.Array([file.make_stream(part + b"\n") for part in parts])

    def deep(file):
        """Each page in 40 nodes of its own."""
        kids = list(file.Root.Pages.Kids)
        nodes = []
        for kid in kids:
            node = kid
            for _ in range(40):
                above = file.make_indirect(
                    pike.Dictionary(Type=pike.Name.Pages, Count=1, Kids=pike.Array([node]))
                )
                node.Parent = above
                node = above
            node.Parent = file.Root.Pages
            nodes.append(node)
        file.Root.Pages.Kids = pike.Array(nodes)

    def attached(file):
        file.attachments["books.txt"] = b"the attached books"

    def cropped(file):
        for page in file.pages:
            page.obj.CropBox = pike.Array([0, 250, 400, 500])

    changed("pikepdf-page-labels.pdf", labels, pages)
    changed("pikepdf-user-unit.pdf", unit, pages)
    changed("pikepdf-many-streams.pdf", many_streams, pages)
    changed("pikepdf-deep-page-tree.pdf", deep, pages)
    changed("pikepdf-attachment.pdf", attached, pages)
    changed("pikepdf-cropped.pdf", cropped, pages, [])
    changed(
        "pikepdf-no-outline-no-info.pdf",
        lambda file: file.trailer.__delitem__("/Info") if "/Info" in file.trailer else None,
        pages,
    )


@maker("pdftoppm", "py:PIL", "py:reportlab", "py:img2pdf")
def scans():
    """Pictures of the base file's pages, by several codecs."""
    import img2pdf
    from PIL import Image

    base()
    with tempfile.TemporaryDirectory() as folder:
        run("pdftoppm", "-r", "110", "-gray", "-png", base(), f"{folder}/p")
        pages = sorted(pathlib.Path(folder).glob("p*.png"))
        kinds = {
            "png": ("png", "L", {}),
            "jpeg": ("jpg", "L", {}),
            "jpeg2000": ("jp2", "RGB", {}),
            "ccitt": ("tif", "1", {"compression": "group4"}),
            "bits": ("png", "1", {}),
        }
        for kind, (extension, mode, options) in kinds.items():
            files = []
            for page in pages:
                file = page.with_suffix(f".{kind}.{extension}")
                Image.open(page).convert(mode).save(file, **options)
                files.append(str(file))
            write(f"scan-{kind}.pdf", img2pdf.convert(files, nodate=True))
            expect(f"scan-{kind}.pdf", len(pages), [], "scan")
        g4 = pathlib.Path(folder, "strip.tif")
        Image.open(pages[0]).convert("1").save(g4, compression="group4")
        with Image.open(g4) as image:
            width, height = image.size
            (offset,), (length,) = image.tag_v2[273], image.tag_v2[279]
            data = g4.read_bytes()[offset : offset + length]
        write("scan-jbig2.pdf", jbig2_page(width, height, data))
        expect("scan-jbig2.pdf", 1, [], "scan")
        if not list(missing(["py:pikepdf"])):
            import pikepdf as pike

            with pike.open(path("scan-jpeg.pdf")) as file:
                for number, page in enumerate(file.pages, 1):
                    font = pike.Dictionary(
                        Type=pike.Name.Font, Subtype=pike.Name.Type1, BaseFont=pike.Name.Helvetica
                    )
                    page.obj.Resources.Font = pike.Dictionary(F1=font)
                    page.contents_add(
                        f"BT /F1 8 Tf 20 20 Td (COURT COPY 4711 PAGE {number}) Tj ET".encode()
                    )
                file.save(path("scan-stamped.pdf"), deterministic_id=True)
            expect("scan-stamped.pdf", len(pages), ["COURT COPY 4711"], "scan")
            with pike.open(path("scan-jpeg.pdf")) as file, pike.open(base()) as other:
                file.pages.extend(other.pages)
                file.save(path("scan-and-text.pdf"), deterministic_id=True)
            expect("scan-and-text.pdf", 2 * len(pages), texts.ENGLISH_WORDS)
        if not list(missing(["convert", "tiff2pdf"])):
            skewed = f"{folder}/skewed.tif"
            run("convert", *pages[:2], "-rotate", "1.5", "+repage", "-compress", "jpeg", skewed)
            run("tiff2pdf", "-o", path("scan-skewed.pdf"), skewed)
            expect("scan-skewed.pdf", 2, [], "scan")
        if not list(missing(["ocrmypdf", "tesseract"])):
            # By their absolute paths: a version manager's own program may stand before the system's.
            write("small.pdf", img2pdf.convert([str(page) for page in pages[:2]], nodate=True))
            run(
                "/usr/bin/ocrmypdf",
                "--jobs",
                "1",
                "--output-type",
                "pdf",
                path("small.pdf"),
                path("scan-with-ocr.pdf"),
            )
            (OUT / "small.pdf").unlink()
            expect("scan-with-ocr.pdf", 2, ["ferry house burned"])


def jbig2_page(width, height, data):
    """A page that is one JBIG2 image whose only region is coded as in a fax."""
    import struct

    def segment(number, kind, page, body):
        return struct.pack(">IBBBI", number, kind, 0, page, len(body)) + body

    image = segment(0, 48, 1, struct.pack(">IIIIBH", width, height, 0, 0, 0, 0))
    region = struct.pack(">IIIIBB", width, height, 0, 0, 0, 1) + data
    image += segment(1, 38, 1, region)
    file = handmade.File()
    file.add("<< /Type /Catalog /Pages 2 0 R >>")
    file.add("<< /Type /Pages /Count 1 /Kids [5 0 R] >>")
    file.stream(
        image,
        f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /JBIG2Decode",
    )
    file.stream("q 612 0 0 792 0 0 cm /I Do Q")
    file.add(
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /XObject << /I 3 0 R >> >> >>"
    )
    return file.bytes()


def main():
    global OUT
    arguments = sys.argv[1:]
    if not arguments:
        sys.exit(__doc__)
    OUT = pathlib.Path(arguments[0]).absolute()
    OUT.mkdir(parents=True, exist_ok=True)
    import hand

    hand.register(maker, write, expect, run, path)
    makers = MAKERS
    if "--only-small" in arguments:
        makers = [
            (function, needs) for function, needs in makers if function.__name__.startswith("small")
        ]
    else:
        makers = [
            (function, needs)
            for function, needs in makers
            if not function.__name__.startswith("small")
        ]
        wanted = arguments[1:]
        if wanted:
            makers = [
                (f, needs) for f, needs in makers if any(word in f.__name__ for word in wanted)
            ]
    for function, needs in makers:
        absent = list(missing(needs))
        if absent:
            print(f"skipped {function.__name__}: no {', '.join(absent)}", file=sys.stderr)
            continue
        before = len(ROWS)
        try:
            function()
        except Exception as error:  # One program's failure must not cost the files of the others.
            print(f"skipped the rest of {function.__name__}: {error}", file=sys.stderr)
        print(f"{function.__name__}: {len(ROWS) - before} files", file=sys.stderr)
    table = OUT / "expected.tsv"
    rows = {row[0]: row for row in ROWS}
    if table.exists():
        for line in table.read_text().splitlines()[1:]:
            row = tuple(line.split("\t"))
            rows.setdefault(row[0], row)
    rows = [row for name, row in sorted(rows.items()) if (OUT / name).exists()]
    head = "name\tpages\tpassword\toutcome\twords\n"
    table.write_text(head + "".join("\t".join(row) + "\n" for row in rows))
    print(f"{len(rows)} files in {OUT}", file=sys.stderr)


if __name__ == "__main__":
    main()
