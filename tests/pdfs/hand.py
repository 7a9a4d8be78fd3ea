"""Files made by hand: rare features that are right, and files that are wrong on purpose."""

import pathlib
import re
import zlib

import texts
from handmade import HELVETICA, File, lines, pages, wrapped

STORY = wrapped(texts.ENGLISH[:2])
WORDS = ["the old ferry house burned until", "five boats had found the shore"]


def to_unicode(pairs, wide=True):
    """A ToUnicode map as a stream's data."""
    n = 4 if wide else 2
    entries = "".join(
        f"<{code:0{n}x}> <{text.encode('utf-16-be').hex()}>\n" for code, text in pairs
    )
    space = f"<{'0' * n}> <{'f' * n}>"
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
        f"1 begincodespacerange {space} endcodespacerange\n{len(pairs)} beginbfchar\n{entries}endbfchar\n"
        "endcmap end end"
    )


def identity(text, mapped=True, mode=0):
    """A page in an unembedded Identity-H font whose codes are made up, with or without a map."""
    letters = sorted(set(text))
    code = {letter: number for number, letter in enumerate(letters, 3)}
    shown = "".join(f"{code[letter]:04x}" for letter in text)
    file = File()
    file.add("<< /Type /Catalog /Pages 2 0 R >>")
    file.add("<< /Type /Pages /Count 1 /Kids [8 0 R] >>")
    unicode_map = "/ToUnicode 6 0 R" if mapped else ""
    file.add(
        f"<< /Type /Font /Subtype /Type0 /BaseFont /ABCDEF+Own /Encoding /Identity-H /DescendantFonts [4 0 R] {unicode_map} >>"
    )
    file.add(
        "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /ABCDEF+Own /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /DW 500 /FontDescriptor 5 0 R >>"
    )
    file.add(
        "<< /Type /FontDescriptor /FontName /ABCDEF+Own /Flags 4 /Ascent 800 /Descent -200 /ItalicAngle 0 /CapHeight 700 /StemV 80 /FontBBox [0 -200 1000 800] >>"
    )
    file.stream(to_unicode([(number, letter) for letter, number in code.items()]))
    file.stream(f"BT /F1 10 Tf {mode} Tr 72 700 Td <{shown}> Tj ET")
    file.add(
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 7 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
    )
    return file.bytes()


def features():
    """Name, bytes, pages, words, outcome."""
    story = lines(STORY)
    yield "hand-plain", pages([story]).bytes(), 1, WORDS, "text"
    yield "hand-many-streams", pages(
        [["BT /F1 12 Tf 72 700 Td", "(a word cut in) Tj", "( two streams) Tj ET"]]
    ).bytes(), 1, ["a word cut in two streams"], "text"
    inline = "q 50 0 0 50 400 400 cm BI /W 2 /H 2 /BPC 8 /CS /G ID \x00(EI\nEI Q "
    yield "hand-inline-image", pages(
        [story + " " + inline + lines(["after the picture"], y=300)]
    ).bytes(), 1, WORDS + ["after the picture"], "text"
    yield "hand-invisible-text", pages(
        [lines(STORY, before="3 Tr").replace("3 Tr BT", "BT 3 Tr")]
    ).bytes(), 1, WORDS, "text"
    off = lines(["this stands outside of the page"], x=2000, y=5000)
    yield "hand-off-page", pages([story + off]).bytes(), 1, WORDS, "text"
    clip = "q 0 0 10 10 re W n " + lines(["this is clipped away"], y=100) + " Q "
    yield "hand-clipped", pages([clip + story]).bytes(), 1, WORDS, "text"
    yield "hand-white-on-white", pages(
        [story + "1 g " + lines(["white on white"], y=100)]
    ).bytes(), 1, WORDS, "text"
    layers = "/OCProperties << /OCGs [4 0 R 5 0 R] /D << /ON [4 0 R] /OFF [5 0 R] >> >>"
    extra = ["<< /Type /OCG /Name (seen) >>", "<< /Type /OCG /Name (unseen) >>"]
    content = (
        "/OC /A BDC " + story + " EMC /OC /B BDC " + lines(["a layer that is off"], y=100) + " EMC"
    )
    yield "hand-layers", pages(
        [content], resources="/Properties << /A 4 0 R /B 5 0 R >>", catalog=layers, extra=extra
    ).bytes(), 1, WORDS, "text"
    actual = "BT /F1 12 Tf 72 700 Td /Span << /ActualText (office) >> BDC (o+ce) Tj EMC ( of the ferry) Tj ET"
    yield "hand-actual-text", pages([actual]).bytes(), 1, ["office of the ferry"], "text"
    soft = lines(["the last boat of the vil\xad", "lage had gone to the har\xad", "bour"])
    yield "hand-soft-hyphens", pages([soft]).bytes(), 1, ["village", "harbour"], "text"
    hyphens = lines(
        [
            "the last boat of the vil-",
            "lage had gone to the old har-",
            "bour, and the village had a harbour",
        ]
    )
    yield "hand-hyphens", pages([hyphens]).bytes(), 1, [
        "of the village had gone",
        "old harbour, and",
    ], "text"
    differences = "<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman /Encoding << /Differences [1 /fi /fl /ffi 200 /quotedblleft /quotedblright /Adieresis] >> >>"
    yield "hand-differences", pages(
        ["BT /F1 12 Tf 72 700 Td (\310the o\\003cer's \\001ve \\002at boats\311) Tj ET"],
        font=differences,
    ).bytes(), 1, ["the officer's five flat boats"], "text"
    tj = "BT /F1 12 Tf 72 700 Td [(Words)-300(are)-300(parted)-300(by)-300(gaps)] TJ ET"
    yield "hand-gaps-for-spaces", pages([tj]).bytes(), 1, ["Words are parted by gaps"], "text"
    kern = "BT /F1 12 Tf 72 700 Td [(A)80(V)70(eil of f)10(og, T)80(o the W)60(est)] TJ ET"
    yield "hand-kerned", pages([kern]).bytes(), 1, ["AVeil of fog, To the West"], "text"
    widths = {"l": 222, "e": 556, "t": 278, "r": 333, "b": 556, "y": 500, " ": 278}
    letters, x = "", 72.0
    for letter in "letter by letter":
        letters += f"1 0 0 1 {x:.2f} 700 Tm ({letter}) Tj "
        x += 12 * widths[letter] / 1000
    yield "hand-letter-by-letter", pages([f"BT /F1 12 Tf {letters} ET"]).bytes(), 1, [
        "letter by letter"
    ], "text"
    spaced = "BT /F1 12 Tf 4 Tc 72 700 Td (spaced out words) Tj ET"
    yield "hand-letter-spaced", pages([spaced]).bytes(), 1, ["spaced out words"], "text"
    bold = "".join(
        f"BT /F1 12 Tf {72 + d} 700 Td (printed twice for weight) Tj ET " for d in (0, 0.3)
    )
    yield "hand-fake-bold", pages([bold]).bytes(), 1, ["printed twice for weight"], "text"
    backwards = "".join(
        f"BT /F1 12 Tf 72 {600 + 15 * i} Td ({line}) Tj ET "
        for i, line in enumerate(["third line", "second line comes", "first line comes"])
    )
    yield "hand-backwards", pages([backwards]).bytes(), 1, [
        "first line comes second line comes third line"
    ], "text"
    mirrored = "BT /F1 1 Tf 12 0 0 -12 72 700 Tm (turned upside down) Tj ET"
    yield "hand-mirrored", pages(
        ["q 1 0 0 -1 0 792 cm " + mirrored.replace("700", "92") + " Q"]
    ).bytes(), 1, ["turned upside down"], "text"
    scaled = "q 0.1 0 0 0.1 0 0 cm BT /F1 120 Tf 720 7000 Td (drawn ten times too large) Tj ET Q"
    yield "hand-scaled", pages([scaled]).bytes(), 1, ["drawn ten times too large"], "text"
    for angle in (90, 180, 270):
        yield f"hand-page-rotated-{angle}", pages(
            [story], page=f"/Rotate {angle}"
        ).bytes(), 1, WORDS, "text"
    side = (
        "BT /F1 12 Tf 0 1 -1 0 300 72 Tm (up along the side) Tj 0 -15 Td (and a second line) Tj ET"
    )
    yield "hand-text-on-its-side", pages([side]).bytes(), 1, ["up along the side"], "text"
    left, right = wrapped(texts.ENGLISH[:2], 40), wrapped(texts.ENGLISH[2:4], 40)
    two = lines(left, x=60) + lines(right, x=330)
    yield "hand-two-columns", pages([two]).bytes(), 1, WORDS + [
        "The difficult part was not the water but the wind"
    ], "text"
    rows = zip(left, right)
    mixed = "".join(
        lines([one], x=60, y=720 - 15 * n) + lines([other], x=330, y=720 - 15 * n)
        for n, (one, other) in enumerate(rows)
    )
    yield "hand-two-columns-by-row", pages([mixed]).bytes(), 1, WORDS[:1] + [
        "The difficult part was not the water but the wind"
    ], "text"
    yield "hand-identity-mapped", identity("the officer found five boats"), 1, [
        "the officer found five boats"
    ], "text"
    yield "hand-identity-unmapped", identity(
        "the officer found five boats", mapped=False
    ), 1, [], "scan"
    form = (
        "<< /Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Length %d >>\nstream\n%s\nendstream"
        % (len(story), story)
    )
    yield "hand-form", pages(
        ["/X Do"], resources="/XObject << /X 4 0 R >>", extra=[form]
    ).bytes(), 1, WORDS, "text"
    type3 = (
        "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 10 10] /FontMatrix [0.1 0 0 0.1 0 0] /FirstChar 97 /LastChar 98 /Widths [8 8] "
        "/Encoding << /Differences [97 /a /b] >> /CharProcs << /a 4 0 R /b 4 0 R >> /Resources << >> /ToUnicode 5 0 R >>"
    )
    square = "8 0 0 0 8 8 d1 0 0 8 8 re f"
    map3 = to_unicode([(97, "ferry"), (98, " house")], wide=False)
    extra = [
        f"<< /Length {len(square)} >>\nstream\n{square}\nendstream",
        f"<< /Length {len(map3)} >>\nstream\n{map3}\nendstream",
    ]
    yield "hand-type3-mapped", pages(
        ["BT /F1 12 Tf 72 700 Td (ab) Tj ET"], font=type3, extra=extra
    ).bytes(), 1, ["ferry house"], "text"
    vertical = "<< /Type /Font /Subtype /Type0 /BaseFont /HeiseiMin-W3 /Encoding /UniJIS-UCS2-V /DescendantFonts [4 0 R] >>"
    cid = "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /HeiseiMin-W3 /CIDSystemInfo << /Registry (Adobe) /Ordering (Japan1) /Supplement 2 >> /DW 1000 >>"
    columns = ["最後の舟が川を渡るまで", "灯りがともっていた"]
    shown = "".join(
        f"1 0 0 1 {500 - 30 * i} 700 Tm <{column.encode('utf-16-be').hex()}> Tj "
        for i, column in enumerate(columns)
    )
    yield "hand-japanese-vertical", pages(
        [f"BT /F1 20 Tf {shown} ET"], font=vertical, extra=[cid]
    ).bytes(), 1, ["最後の舟が川を渡るまで灯りがともっていた"], "text"
    shift = vertical.replace("UniJIS-UCS2-V", "90ms-RKSJ-H")
    yield "hand-japanese-shift-jis", pages(
        [f"BT /F1 20 Tf 72 700 Td <{columns[0].encode('cp932').hex()}> Tj ET"],
        font=shift,
        extra=[cid],
    ).bytes(), 1, [columns[0]], "text"
    chinese = vertical.replace("HeiseiMin-W3", "STSong-Light").replace("UniJIS-UCS2-V", "GBK-EUC-H")
    cid_gb = cid.replace("HeiseiMin-W3", "STSong-Light").replace("Japan1", "GB1")
    yield "hand-chinese-gbk", pages(
        [f"BT /F1 20 Tf 72 700 Td <{'一直亮到最后一条船过河'.encode('gbk').hex()}> Tj ET"],
        font=chinese,
        extra=[cid_gb],
    ).bytes(), 1, ["一直亮到最后一条船过河"], "text"
    labels = "/PageLabels << /Nums [0 << /S /r /St 4 >> 2 << /S /D /P (A-) /St 3 >>] >>"
    yield "hand-page-labels", pages(
        [lines([f"sheet {n} of the ledger"]) for n in range(1, 5)], catalog=labels
    ).bytes(), 4, ["sheet 1 of", "sheet 4 of"], "text"
    yield "hand-empty-pages", pages(["", story, "", "", story, ""]).bytes(), 6, WORDS, "text"
    yield "hand-deflated", pages([story], deflate=True).bytes(), 1, WORDS, "text"
    file = pages([story])
    yield "hand-garbage-before", file.bytes(before=b"From: somebody\r\n\r\n"), 1, WORDS, "text"
    yield "hand-no-xref", file.bytes(xref=False), 1, WORDS, "text"
    yield "hand-no-endobj", file.bytes(endobj=b"\n"), 1, WORDS, "text"
    data = file.bytes()
    at = data.rindex(b"\nxref")
    sevens = re.sub(rb"\d{10} \d{5} n", b"7777777777 77777 n", data[at:])
    yield "hand-wrong-xref", data[:at] + sevens, 1, WORDS, "text"
    wrong = File()
    wrong.objects = [
        body.replace(b"/Length", b"/Length 99999 /Was") for body in pages([story]).objects
    ]
    yield "hand-wrong-length", wrong.bytes(), 1, WORDS, "text"
    no_box = File()
    no_box.objects = [
        body.replace(b"/MediaBox [0 0 612 792]", b"") for body in pages([story]).objects
    ]
    yield "hand-no-media-box", no_box.bytes(), 1, WORDS, "text"
    count = File()
    count.objects = [
        body.replace(b"/Count 1", b"/Count 99999999") for body in pages([story]).objects
    ]
    yield "hand-wrong-count", count.bytes(), "?", WORDS, "text"
    negative = File()
    negative.objects = [body.replace(b"/Count 1", b"/Count -1") for body in pages([story]).objects]
    yield "hand-negative-count", negative.bytes(), 1, WORDS, "text"


def hostile():
    story = lines(STORY)

    def broken(old, new, of=None):
        file = of or pages([story, story])
        twin = File()
        twin.objects = [body.replace(old, new) for body in file.objects]
        return twin.bytes()

    yield "hostile-page-tree-loop", broken(b"/Kids [", b"/Kids [2 0 R "), "any"
    yield "hostile-parent-loop", broken(b"/Type /Pages", b"/Type /Pages /Parent 2 0 R"), "any"
    yield "hostile-contents-loop", broken(b"/Contents 4 0 R", b"/Contents [5 0 R 5 0 R]"), "any"
    file = pages([story])
    loop = file.add("7 0 R")
    file.add(f"{loop} 0 R")
    file.objects[4] = file.objects[4].replace(b"/Contents 4 0 R", b"/Contents 6 0 R")
    yield "hostile-reference-loop", file.bytes(), "any"
    form = "<< /Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << /XObject << /X 4 0 R >> /Font << /F1 3 0 R >> >> /Length %d >>\nstream\n%s\nendstream"
    inside = story + " /X Do /X Do"
    yield "hostile-form-loop", pages(
        ["/X Do " + story],
        resources="/XObject << /X 4 0 R >>",
        extra=[form % (len(inside), inside)],
    ).bytes(), "any"
    # Ten forms, each of which shows the next one ten times.
    laughs = []
    for depth in range(10):
        call = "/X Do " * 10 if depth < 9 else lines(["ha"])
        below = f"/XObject << /X {5 + depth} 0 R >>" if depth < 9 else ""
        laughs.append(
            f"<< /Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << {below} /Font << /F1 3 0 R >> >> /Length {len(call)} >>\nstream\n{call}\nendstream"
        )
    yield "hostile-forms-that-multiply", pages(
        ["/X Do"], resources="/XObject << /X 4 0 R >>", extra=laughs
    ).bytes(), "any"
    type3 = (
        "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 10 10] /FontMatrix [0.1 0 0 0.1 0 0] /FirstChar 97 /LastChar 97 /Widths [8] "
        "/Encoding << /Differences [97 /a] >> /CharProcs << /a 4 0 R >> /Resources << /Font << /F1 3 0 R >> >> >>"
    )
    itself = "8 0 d0 BT /F1 1 Tf (aaaaaaaa) Tj ET"
    yield "hostile-type3-loop", pages(
        ["BT /F1 12 Tf 72 700 Td (aaaa) Tj ET"],
        font=type3,
        extra=[f"<< /Length {len(itself)} >>\nstream\n{itself}\nendstream"],
    ).bytes(), "any"
    yield "hostile-nested-arrays", pages(["[" * 200_000 + " (x) Tj " + story]).bytes(), "any"
    yield "hostile-nested-dictionary", broken(
        b"/Type /Catalog", b"/Type /Catalog /A " + b"<< /A " * 50_000 + b"1" + b" >>" * 50_000
    ), "any"
    yield "hostile-nested-arrays-object", broken(
        b"/Type /Catalog", b"/Type /Catalog /A " + b"[" * 100_000 + b"]" * 100_000
    ), "any"
    yield "hostile-saves", pages(["q " * 1_000_000 + story]).bytes(), "any"
    yield "hostile-marked-content", pages(["/Span BMC " * 300_000 + story]).bytes(), "any"
    big = zlib.compress(b"q Q " * 15_000_000, 9)
    file = pages([story])
    file.objects[3] = (
        f"<< /Filter /FlateDecode /Length {len(big)} >>\nstream\n".encode() + big + b"\nendstream"
    )
    yield "hostile-bomb-operators", file.bytes(), "any"
    twice = zlib.compress(zlib.compress(b" " * 400_000_000, 9), 9)
    file = pages([story])
    file.objects[3] = (
        f"<< /Filter [/FlateDecode /FlateDecode] /Length {len(twice)} >>\nstream\n".encode()
        + twice
        + b"\nendstream"
    )
    yield "hostile-bomb-twice", file.bytes(), "any"
    text = zlib.compress(b"BT /F1 12 Tf 72 700 Td (boat) Tj ET\n" * 1_000_000, 9)
    file = pages([story])
    file.objects[3] = (
        f"<< /Filter /FlateDecode /Length {len(text)} >>\nstream\n".encode() + text + b"\nendstream"
    )
    yield "hostile-bomb-text", file.bytes(), "any"
    runs = b"\x81x" * 200_000 + b"\x80"
    file = pages([story])
    file.objects[3] = (
        f"<< /Filter /RunLengthDecode /Length {len(runs)} >>\nstream\n".encode()
        + runs
        + b"\nendstream"
    )
    yield "hostile-run-length", file.bytes(), "any"
    for name, old in (
        ("lzw", b"/LZWDecode"),
        ("ascii85", b"/ASCII85Decode"),
        ("hex", b"/ASCIIHexDecode"),
        ("crypt", b"/Crypt"),
        ("unknown", b"/NoSuchDecode"),
    ):
        file = pages([story])
        file.objects[3] = file.objects[3].replace(b"<<", b"<< /Filter " + old, 1)
        yield f"hostile-filter-{name}", file.bytes(), "any"
    huge_map = "begincmap 1 begincodespacerange <00000000> <ffffffff> endcodespacerange 1 beginbfrange <00000000> <ffffffff> <0041> endbfrange endcmap"
    font = HELVETICA.replace(">>", "/ToUnicode 4 0 R >>")
    yield "hostile-map-of-everything", pages(
        [story], font=font, extra=[f"<< /Length {len(huge_map)} >>\nstream\n{huge_map}\nendstream"]
    ).bytes(), "any"
    cid_map = huge_map.replace("bfrange", "cidrange").replace("<0041>", "0")
    type0 = (
        "<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding 4 0 R /DescendantFonts [5 0 R] >>"
    )
    cid = "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /X /W [0 2000000000 500] /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>"
    yield "hostile-codes-of-everything", pages(
        [story],
        font=type0,
        extra=[
            f"<< /Type /CMap /CMapName /X /UseCMap 4 0 R /Length {len(cid_map)} >>\nstream\n{cid_map}\nendstream",
            cid,
        ],
    ).bytes(), "any"
    yield "hostile-numbers", pages(
        [
            "BT /F1 1e308 Tf 99999999999999999999 -1e39 Td (far) Tj 0 0 0 0 0 0 Tm (flat) Tj -0.0 nan 5. .5 --7 +-3 Td (odd) Tj ET "
            + story
        ]
    ).bytes(), "any"
    yield "hostile-media-box", broken(b"[0 0 612 792]", b"[0 0 0 0]"), "any"
    yield "hostile-media-box-endless", broken(b"[0 0 612 792]", b"[-1e30 -1e30 1e30 1e30]"), "any"
    yield "hostile-strings-open", pages(["BT /F1 12 Tf (never closed \\", story]).bytes(), "any"
    file = pages([story])
    kids = "5 0 R " * 50_000
    file.put(2, f"<< /Type /Pages /Count 50000 /Kids [{kids}] >>")
    yield "hostile-one-page-fifty-thousand-times", file.bytes(), "any"
    file = pages([story])
    above = 5
    for _ in range(20):
        above = file.add(f"<< /Type /Pages /Count 1 /Kids [{above} 0 R {above} 0 R] >>")
    file.put(2, f"<< /Type /Pages /Count 1 /Kids [{above} 0 R] >>")
    yield "hostile-page-tree-doubles", file.bytes(), "any"
    outline = "<< /Type /Outlines /First 5 0 R /Last 5 0 R /Count 2 >>"
    item = "<< /Title (round) /Parent 4 0 R /Next 5 0 R /First 5 0 R /Last 5 0 R >>"
    yield "hostile-outline-loop", pages(
        [story], catalog="/Outlines 4 0 R", extra=[outline, item]
    ).bytes(), "any"
    names = "/PageLabels << /Kids [4 0 R] >>"
    yield "hostile-labels-loop", pages(
        [story], catalog=names, extra=["<< /Kids [4 0 R 4 0 R] >>"]
    ).bytes(), "any"
    tree = "/StructTreeRoot 4 0 R /MarkInfo << /Marked true >>"
    yield "hostile-structure-loop", pages(
        [story],
        catalog=tree,
        extra=["<< /Type /StructTreeRoot /K 5 0 R >>", "<< /S /P /K [5 0 R 4 0 R] /P 5 0 R >>"],
    ).bytes(), "any"
    yield "hostile-only-a-header", b"%PDF-1.7\n", "any"
    yield "hostile-no-pages", broken(b"/Kids [", b"/Was ["), "any"
    yield "hostile-no-catalog", broken(b"/Type /Catalog /Pages 2 0 R", b"/Type /Nothing"), "any"
    yield "hostile-page-is-a-number", broken(b"/Kids [5 0 R", b"/Kids [42 null (x) 5 0 R"), "any"
    zeros = "00" * 32
    lock = f"/Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <{zeros}> /U <{zeros}> >> /ID [<00> <00>]"
    yield "hostile-lock-of-zeros", pages([story]).bytes(trailer=lock), "any"
    yield "hostile-lock-unknown", pages([story]).bytes(
        trailer="/Encrypt << /Filter /NoSuch /V 9 /R 9 >>"
    ), "any"


# What cargo tests read: a few KB each, no program needed.
SMALL = {
    "hand-actual-text",
    "hand-chinese-gbk",
    "hand-differences",
    "hand-empty-pages",
    "hand-gaps-for-spaces",
    "hand-identity-mapped",
    "hand-identity-unmapped",
    "hand-japanese-vertical",
    "hand-layers",
    "hand-page-labels",
    "hand-plain",
    "hand-soft-hyphens",
    "hand-two-columns",
    "hand-wrong-length",
    "hand-wrong-xref",
    "hostile-form-loop",
    "hostile-page-tree-loop",
    "hostile-reference-loop",
    "hostile-type3-loop",
}


def register(maker, write, expect, run, path):
    """Registers the makers of this file with make.py."""

    @maker()
    def hand():
        for name, data, n_pages, words, outcome in features():
            write(f"{name}.pdf", data)
            expect(f"{name}.pdf", n_pages, words, outcome)
        for name, data, outcome in hostile():
            write(f"{name}.pdf", data)
            expect(f"{name}.pdf", "?", [], outcome)

    @maker()
    def small():
        for name, data, n_pages, words, outcome in features():
            if name in SMALL:
                write(f"{name}.pdf", data)
                expect(f"{name}.pdf", n_pages, words, outcome)
        for name, data, outcome in hostile():
            if name in SMALL:
                write(f"{name}.pdf", data)
                expect(f"{name}.pdf", "?", [], outcome)

    @maker("qpdf")
    def small_locked():
        write("plain.pdf", pages([lines(STORY)]).bytes())
        for name, user, bits, more in (
            ("locked-rc4-40", "ferry", "40", []),
            ("locked-rc4-128", "ferry", "128", ["--use-aes=n"]),
            ("locked-aes-128", "ferry", "128", ["--use-aes=y"]),
            ("locked-aes-256", "ferry", "256", []),
            ("locked-owner-only", "", "128", ["--use-aes=y"]),
        ):
            run(
                "qpdf",
                "--static-id",
                "--static-aes-iv",
                "--allow-weak-crypto",
                "--encrypt",
                user,
                "owner",
                bits,
                *more,
                "--",
                path("plain.pdf"),
                path(f"{name}.pdf"),
            )
            expect(f"{name}.pdf", 1, WORDS, password=user)
        pathlib.Path(path("plain.pdf")).unlink()
