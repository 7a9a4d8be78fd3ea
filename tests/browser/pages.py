"""The pages of `--format html`, looked at by a browser: pages.py CHROMIUM LONGSUM FOLDER

FOLDER is what run.sh made. Each case is then run again on pages that are broken for it, and has to fail."""

import base64
import hashlib
import html
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

from chrome import Chrome

# What can be seen of an element; `boxes` is about those that take part in the layout.
SHOWN = """(e) => { const b = e.getBoundingClientRect();
    if (!e.checkVisibility() || !b.width || !b.height) return false;
    const at = document.elementFromPoint(b.x + b.width / 2, Math.min(b.y + b.height / 2, innerHeight - 1));
    return e.contains(at) || !!at && at.contains(e); }"""
OPEN_ALL = """document.querySelectorAll("details").forEach((d) => { d.open = true; });
    document.querySelectorAll("article").forEach((a) => { a.classList.add("now"); });"""
FOCUSABLE = """[...document.querySelectorAll("a[href], button, input, summary")].filter((e) => e.checkVisibility())"""
# Text of less than 4.5 : 1, as [text, ratio], and how many were looked at (WCAG 2.2, 1.4.3).
CONTRAST = """(() => {
    const parse = (c) => { const n = c.match(/[\\d.]+/g).map(Number); return n.length == 3 ? [...n, 1] : n; };
    const over = ([r, g, b, a], back) => [r, g, b].map((v, i) => a * v + (1 - a) * back[i]);
    const back = (e) => {
        if (!e) throw Error("the page has no background");
        const own = parse(getComputedStyle(e).backgroundColor);
        return own[3] == 1 ? own.slice(0, 3) : over(own, back(e.parentElement)); };
    const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b; };
    const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const bad = []; let n = 0;
    while (texts.nextNode()) {
        const e = texts.currentNode.parentElement, text = texts.currentNode.data.trim();
        if (!text || e.closest("svg, script") || !e.checkVisibility()) continue;
        n += 1;
        const behind = back(e), found = ratio(over(parse(getComputedStyle(e).color), behind), behind);
        if (found < 4.5) bad.push([text.slice(0, 40), found]); }
    return { bad, n }; })()"""
TAGS = set("""a article aside bdi blockquote body button dd details div dl dt footer h1 h2 h3 head header html input
    label li main mark meta ol output p rect script section span style summary svg table tbody td th thead title tr
    ul""".split())


class Site:
    """The pages in a folder, and a browser for them."""

    def __init__(self, chrome, longsum, folder):
        self.chrome, self.longsum, self.folder = chrome, longsum, folder
        self.reports = {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("report", "hostile")}

    def page(self, name, **how):
        return self.chrome.page(self.folder / name, **how)

    def statements(self, name="report"):
        return self.reports[name]["summary"]["statements"]


def same(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


def squeezed(text):
    """Letters and digits alone: line ends, hyphens and ligatures differ on paper."""
    return re.sub(r"\W|_", "", text)


def shown(page, selector):
    return page.js(f"({SHOWN})(document.querySelector({json.dumps(selector)}))")


def pages_of(citation):
    first, last = citation["pages"]
    return f"page {first}" if first == last else f"pages {first}–{last}"


def a_citation_shows_its_quote_and_its_page(site):
    with site.page("report.html") as page:
        for s, statement in enumerate(site.statements(), 1):
            for c, citation in enumerate(statement["citations"], 1):
                at = f"#s{s}-{c}"
                assert not shown(page, f"{at} blockquote"), at
                page.click(f"{at} summary")
                assert shown(page, f"{at} mark"), at
                same(page.js(f"document.querySelector('{at} summary').textContent").split(",")[0], pages_of(citation))
                quote = citation["quote"]
                same(page.js(f"document.querySelector('{at} mark').textContent"), quote["exact"])
                same(page.js(f"document.querySelector('{at} blockquote').textContent"),
                     f"…{quote['prefix']}{quote['exact']}{quote['suffix']}…")


def a_page_of_the_map_leads_to_its_statements(site):
    on = {}
    for s, statement in enumerate(site.statements(), 1):
        for citation in statement["citations"]:
            for number in range(citation["pages"][0], citation["pages"][1] + 1):
                on.setdefault(number, []).append(f"s{s}")
    with site.page("report.html") as page:
        same(page.js("document.querySelectorAll('.map:not([aria-hidden]) rect').length"), site.reports["report"]["source"]["n_pages"])
        names = page.js("[...document.querySelectorAll('.map a')].map((a) => a.getAttribute('aria-label'))")
        same([int(re.match(r"page (\d+): read, \d+ quotes?$", name)[1]) for name in names], sorted(on))
        for at, number in enumerate(sorted(on), 1):
            page.click(f".map a:nth-of-type({at})")
            same(page.js("[...document.querySelectorAll('.drawn')].map((e) => e.id)"), sorted(set(on[number]), key=lambda s: int(s[1:])))
            same(page.js("location.hash"), f"#{on[number][0]}")
            assert shown(page, f".drawn details[open] mark"), number
            assert page.js("(() => { const b = document.querySelector(':target').getBoundingClientRect(); return b.top >= 0 && b.top < innerHeight; })()"), number


def the_timeline_shows_the_summary_as_it_grew(site):
    rolling = site.reports["report"]["rolling"]
    n = len(rolling)
    assert n > 5
    with site.page("report.html") as page:

        def at(number):
            same(page.js("Number(scrub.value)"), number)
            part = rolling[number - 1]
            visible = "[...document.querySelectorAll('article')].filter((a) => a.checkVisibility())"
            same(page.js(f"{visible}.map((a) => a.querySelector('.rolling').textContent)"), [part["text"]])
            same(page.js(f"{visible}[0].querySelectorAll('li').length"), max(len(part["statements"]), 1))
            same(page.js("document.querySelector('output').textContent"), f"page {part['pages'][1]}")
            same(page.js("scrub.getAttribute('aria-valuetext')"), f"page {part['pages'][1]}")

        at(n)
        page.click("#scrub", 0.005)
        at(1)
        drag = page.drag("#scrub", 0.005, 0.995)
        held = [page.js("Number(scrub.value)") for _ in drag if at(page.js("Number(scrub.value)")) is None]
        assert held == sorted(held) and 1 < held[1] < held[-1] == n, held
        page.click("#scrub", 0.5)
        middle = page.js("Number(scrub.value)")
        assert abs(middle - (n + 1) / 2) <= 1, middle
        at(middle)
        for key, then in (("ArrowRight", middle + 1), ("ArrowLeft", middle), ("Home", 1), ("ArrowRight", 2), ("End", n)):
            page.press(key)
            page.settle()
            at(then)


def an_index_is_sorted_and_searched(site):
    rows = [row for row in json.loads((site.folder / "index/run.json").read_text("utf-8"))["documents"]]
    n_pages = [row.get("n_pages") for row in rows]
    assert None in n_pages and sorted(filter(None, n_pages)) != sorted(filter(None, n_pages), key=str), n_pages
    with site.page("index/index.html") as page:
        table = "[...document.querySelectorAll('tbody tr')].filter((r) => r.checkVisibility())"
        column = lambda at: page.js(f"{table}.map((r) => r.cells[{at}].firstChild?.textContent ?? '')")
        same(sorted(column(0)), sorted(row["document"] for row in rows))
        for at in range(4):
            key = (lambda text: float(text or -1)) if at > 1 else str
            page.click(f"th:nth-child({at + 1}) button")
            up = column(at)
            if at:
                same(up, sorted(up, key=key))
            page.click(f"th:nth-child({at + 1}) button")
            down = column(at)
            same(down, sorted(up, key=key, reverse=True) if at else up[::-1])
            same(page.js("[...document.querySelectorAll('th')].map((h) => h.getAttribute('aria-sort'))"),
                 [None] * at + ["descending"] + [None] * (3 - at))
        page.click("#search")
        page.type("MD complete")
        page.settle()
        found = [row["document"] for row in rows if ".md" in row["document"]]
        same(sorted(column(0)), sorted(found))
        same(page.js("document.querySelector('[role=status]').textContent"), f"{len(found)} of {len(rows)}")
        for link in page.js("[...document.querySelectorAll('tbody a')].map((a) => a.href)"):
            assert pathlib.Path(urllib.parse.unquote(urllib.parse.urlparse(link).path)).is_file(), link


def text_stands_out_in_both_themes(site):
    for name in ("report.html", "index/index.html", "hostile.html"):
        backs = set()
        for dark in (False, True):
            with site.page(name, dark=dark) as page:
                page.js(OPEN_ALL)
                found = page.js(CONTRAST)
                assert found["n"] > 15 and not found["bad"], (name, dark, found)
                backs.add(page.js("getComputedStyle(document.documentElement).backgroundColor"))
        same(len(backs), 2)


def everything_is_reached_by_tab_and_seen_there(site):
    for name in ("report.html", "index/index.html"):
        with site.page(name) as page:
            kinds = page.js(f"{FOCUSABLE}.map((e, at) => {{ e.dataset.at = at; return e.localName + (e.closest('svg') ? ' in svg' : ''); }})")
            looked_at = set()
            for at, kind in enumerate(kinds):
                page.press("Tab")
                same(page.js("Number(document.activeElement.dataset.at ?? -1)"), at)
                ring = page.js("""(() => { const e = document.activeElement, style = getComputedStyle(e.querySelector("rect") ?? e);
                    return e.closest("svg") ? style.stroke != "none" && parseFloat(style.strokeWidth) > 1
                        : style.outlineStyle != "none" && parseFloat(style.outlineWidth) >= 2; })()""")
                assert ring, (name, at, kind)
                if kind not in looked_at:
                    looked_at.add(kind)
                    page.settle()
                    clip = dict(zip(("x", "y", "width", "height"), page.box(f"[data-at='{at}']")))
                    clip = {"x": clip["x"] - 6 + page.js("scrollX"), "y": clip["y"] - 6 + page.js("scrollY"),
                            "width": clip["width"] + 12, "height": clip["height"] + 12}
                    with_focus = page.picture(**clip)
                    page.js("window.was = document.activeElement; was.blur()")
                    assert page.picture(**clip) != with_focus, (name, kind)
                    page.js("was.focus()")
            if name == "report.html":
                at = kinds.index("summary")
                page.js(f"document.querySelector(\"[data-at='{at}']\").focus()")
                page.press("Enter")
                assert page.js(f"document.querySelector(\"[data-at='{at}']\").parentElement.open")
                page.js("document.querySelector('.map a').focus()")
                page.press("Enter")
                page.settle()
                assert page.js("document.querySelectorAll('.drawn').length")


def readers_of_screens_find_their_way(site):
    for name, language in (("report.html", "en"), ("index/index.html", None), ("german.html", "de")):
        with site.page(name) as page:
            same(page.js("document.documentElement.lang"), "en")
            if language:
                same(page.js("[...new Set([...document.querySelectorAll('h1, .statements [lang], .rolling')].map((e) => e.lang))]"), [language])
            page.call("Accessibility.enable")
            nodes = page.call("Accessibility.getFullAXTree")["nodes"]
            nodes = [node for node in nodes if not node["ignored"]]
            role = lambda node: node["role"]["value"]
            named = lambda node: node.get("name", {}).get("value", "").strip()
            value = lambda node, what: next((p["value"]["value"] for p in node.get("properties", []) if p["name"] == what), None)
            for landmark in ("banner", "main", "contentinfo"):
                same([role(node) for node in nodes].count(landmark), 1)
            levels = [value(node, "level") for node in nodes if role(node) == "heading"]
            same(levels[0], 1)
            assert levels.count(1) == 1 and all(b <= a + 1 for a, b in zip(levels, levels[1:])), levels
            assert named(next(node for node in nodes if role(node) == "RootWebArea"))
            reached = [node for node in nodes if value(node, "focusable") and role(node) != "RootWebArea"]
            same(len(reached), page.js(f"{FOCUSABLE}.length"))
            # What stands in a picture is hidden from those who do not see it.
            same(page.js("document.querySelectorAll('[role=img] a, [aria-hidden] a').length"), 0)
            for node in nodes:
                if node in reached or role(node) in ("region", "article"):
                    assert named(node), (name, role(node))


def nothing_is_wider_than_the_window(site):
    for name in ("report.html", "index/index.html", "hostile.html"):
        for width in (360, 800, 1400):
            with site.page(name, width=width) as page:
                page.js(OPEN_ALL)
                same(page.js("document.documentElement.scrollWidth"), width)
                same(page.js(f"""[...document.body.querySelectorAll("*")].filter((e) => e.checkVisibility() && !e.closest(".wide table")
                    && e.getBoundingClientRect().right > {width} + .5).map((e) => e.outerHTML.slice(0, 80))"""), [])


def no_word_of_a_column_is_broken(site):
    for width in (360, 1400):
        with site.page("index/index.html", width=width) as page:
            lines = """(cell) => { const range = document.createRange(); range.selectNodeContents(cell.querySelector("button") ?? cell);
                return new Set([...range.getClientRects()].map((rect) => rect.top)).size; }"""
            same(page.js(f"[...document.querySelectorAll(':is(th, td):not(:first-child)')].map({lines}).filter((n) => n > 1)"), [])


def all_statements_are_on_paper(site):
    for script in (True, False):
        with site.page("report.html", script=script) as page, tempfile.NamedTemporaryFile(suffix=".pdf") as file:
            file.write(base64.b64decode(page.call("Page.printToPDF", preferCSSPageSize=True)["data"]))
            file.flush()
            # The project's own reader of PDFs tells what is on the paper.
            printed = json.loads(subprocess.run([site.longsum, "extract", file.name], capture_output=True, check=True).stdout)
            text, report = squeezed(printed["text"]), site.reports["report"]
            of = [report["summary"], *(section["summary"] for section in report["sections"]), *report["rolling"]]
            lost = [s["text"] for part in of for s in part["statements"] if squeezed(s["text"]) not in text]
            assert not lost, (script, len(lost), lost[:3])
            assert len(of) > 20


def without_script_all_is_there(site):
    report = site.reports["report"]
    with site.page("report.html", script=False) as page:
        same(page.js("[...document.querySelectorAll('.rolling')].filter((p) => p.checkVisibility()).map((p) => p.textContent)"),
             [part["text"] for part in report["rolling"]])
        same(page.js("[...document.querySelectorAll('#summary ~ ol > li > p:first-child')].map((p) => p.textContent)"),
             [s["text"] for s in site.statements()])
        assert not shown(page, ".scrub")
        page.click("#s1-1 summary")
        assert shown(page, "#s1-1 mark")
    with site.page("index/index.html", script=False) as page:
        assert page.js("document.querySelector('tbody').checkVisibility()") and not shown(page, "#search")


def nothing_is_asked_of_anybody(site):
    for name in ("report.html", "index/index.html", "hostile.html"):
        with site.page(name) as page:
            page.js(OPEN_ALL)
            page.settle()
            same([sent["request"]["url"] for sent in page.told("Network.requestWillBeSent")], [(site.folder / name).resolve().as_uri()])


def the_policy_is_kept_and_keeps(site):
    for name in ("report.html", "index/index.html"):
        with site.page(name) as page:
            page.settle()
            same([told["entry"]["text"] for told in page.told("Log.entryAdded")], [])
            same([told["exceptionDetails"]["text"] for told in page.told("Runtime.exceptionThrown")], [])
            page.js("""(() => { const s = document.createElement("script"); s.textContent = "window.ran = 1"; document.body.append(s);
                document.body.setAttribute("style", "color: red"); document.body.append(Object.assign(new Image(), { src: "http://localhost/x" })); })()""")
            page.settle()
            same(page.js("typeof ran"), "undefined")
            assert len([told for told in page.told("Log.entryAdded") if "Content Security Policy" in told["entry"]["text"]]) >= 3, page.told("Log.entryAdded")


def a_hostile_document_runs_and_changes_nothing(site):
    report = site.reports["hostile"]
    for name in ("hostile.html", "index/index.html"):
        with site.page(name) as page:
            page.js(OPEN_ALL)
            page.settle()
            same(page.js("typeof ran"), "undefined")
            same([told["entry"]["text"] for told in page.told("Log.entryAdded")], [])
            same(page.told("Page.javascriptDialogOpening"), [])
            tags = page.js("[...document.querySelectorAll('*')].map((e) => e.localName)")
            assert set(tags) <= TAGS, set(tags) - TAGS
            same([tags.count(tag) for tag in ("script", "style", "main", "h1")], [1, 1, 1, 1])
            same(page.js("""[...document.querySelectorAll("*")].flatMap((e) => [...e.attributes]).filter((a) => a.name.startsWith("on")
                || a.name == "style" || a.name == "src" || a.name == "href" && !/^(#s\\d+$|[.][/])/.test(a.value)).map((a) => a.name + a.value)"""), [])
            if name == "hostile.html":
                same(page.js("document.querySelector('h1').textContent"), report["source"]["title"])
                same(page.js("document.title"), " ".join(f"{report['source']['title']} – summary".split()))
                same(page.js("[...document.querySelectorAll('#summary ~ ol > li > p:first-child')].map((p) => p.textContent)"),
                     [s["text"] for s in site.statements("hostile")])
                same(page.js("[...document.querySelectorAll('dd')].some((d) => d.textContent == " + json.dumps(report["source"]["uri"]) + ")"), True)
                # What turns the direction of writing ends with the text that it is in.
                same(page.js("""[...document.querySelectorAll(".statements > li > p")].every((p) => p.dir == "auto")"""), True)
                # One comment ends the page; a second one, or text behind it, was written by the document.
                same(page.js("[...document.body.childNodes, ...document.childNodes].filter((n) => n.nodeType == 8).length"), 1)
                same(page.js("""(() => { const all = [...document.body.childNodes], at = all.indexOf(document.scripts[0]);
                    return all.slice(at + 1).filter((n) => n.nodeType != 8).map((n) => n.textContent).join("").trim(); })()"""), "")


def as_long_as_five_thousand_pages(site):
    with site.page("long.html") as page:
        same(page.js("document.querySelectorAll('.map:not([aria-hidden]) rect').length"), 5000)


CASES = [case for name, case in list(globals().items()) if callable(case) and getattr(case, "__code__", None)
         and case.__code__.co_varnames[:1] == ("site",) and case.__code__.co_argcount == 1]
# What each case is there to notice: a file, and what in it is broken how.
BREAKS = [
    (a_citation_shows_its_quote_and_its_page, "report.html", r"<summary>page 1", "<summary>page 9"),
    (a_citation_shows_its_quote_and_its_page, "report.html", r"<blockquote ", "<blockquote hidden "),
    (a_page_of_the_map_leads_to_its_statements, "report.html", r'href="#s\d+"', 'href="#s2"'),
    (a_page_of_the_map_leads_to_its_statements, "report.html", r'classList.add\("drawn"\)', 'classList.add("x")'),
    (the_timeline_shows_the_summary_as_it_grew, "report.html", r"scrub.value - 1", "0"),
    (the_timeline_shows_the_summary_as_it_grew, "report.html", r'"input", show', '"change", show'),
    (an_index_is_sorted_and_searched, "index/index.html", r"numeric: true", "numeric: false"),
    (an_index_is_sorted_and_searched, "index/index.html", r"words.every", "words.some"),
    (text_stands_out_in_both_themes, "report.html", r"--soft: #a8a59d", "--soft: #78756d"),
    (text_stands_out_in_both_themes, "report.html", r"--mark: #fff0b3", "--mark: #806000"),
    (everything_is_reached_by_tab_and_seen_there, "report.html", r":focus-visible { outline: 3px", ":focus-visible { outline: 0px"),
    (everything_is_reached_by_tab_and_seen_there, "index/index.html", r"<button ", '<button tabindex="-1" '),
    (readers_of_screens_find_their_way, "report.html", r'role="group"', 'role="img"'),
    (readers_of_screens_find_their_way, "report.html", r'<label for="scrub"', "<label"),
    (readers_of_screens_find_their_way, "german.html", r'lang="de"', 'lang="en"'),
    (nothing_is_wider_than_the_window, "hostile.html", r"overflow-wrap: anywhere", "overflow-wrap: normal"),
    (no_word_of_a_column_is_broken, "index/index.html", r"white-space: nowrap; width: 1%", "color: inherit"),
    (all_statements_are_on_paper, "report.html", r"::details-content", "::none"),
    (all_statements_are_on_paper, "report.html", r"@media screen and \(scripting", "@media all and (scripting"),
    (without_script_all_is_there, "report.html", r"<article ", "<article hidden "),
    (nothing_is_asked_of_anybody, "report.html", r'<meta http-equiv.*?>((?s:.*))</main>', r'\1<img src="http://localhost/x"></main>'),
    (the_policy_is_kept_and_keeps, "report.html", r"<h2 ", '<h2 style="color: red" '),
    (the_policy_is_kept_and_keeps, "report.html", r"script-src '[^']*'", "script-src 'unsafe-inline'"),
    (a_hostile_document_runs_and_changes_nothing, "hostile.html", r"&lt;", "<"),
    (a_hostile_document_runs_and_changes_nothing, "hostile.html", r"(<!-- longsum.*) -->", r"--> \1 -->"),
]


def broken(page, pattern, replacement):
    """A page with something in it replaced; its policy allows the style and the script that it then has."""
    text, n = re.subn(pattern, replacement, page)
    assert n, f"{pattern} is not in the page"
    for tag in ("style", "script"):
        if own := re.search(f"<{tag}>(.*?)</{tag}>", text, re.S):
            digest = base64.b64encode(hashlib.sha256(own[1].encode()).digest()).decode()
            text = re.sub(f"{tag}-src 'sha256-[^']*'", f"{tag}-src 'sha256-{digest}'", text)
    return text


def load_times(site):
    """Milliseconds until a page is loaded and painted, beside those of an empty one; best of 3, in turn.

    The pages of long.txt hold a line each: its rolling summaries are repeated as often as full pages have them."""
    path = site.folder / "long.html"
    before, *parts, after = re.split("(?s)(?=<article)|(?<=</article>)\n", path.read_text("utf-8"))
    parts = [part for part in parts if part.strip()]
    parts *= -(-5000 * 500 // 1500 // len(parts))
    text = re.sub(r'max="\d+" value="\d+"', f'max="{len(parts)}" value="{len(parts)}"', "\n".join([before, *parts, after]))
    path.write_text(text, "utf-8")
    print(f"long.html: 5,000 pages, {len(parts)} rolling summaries")
    times = {"empty.html": [], "long.html": []}
    for _ in range(3):
        for name, of in times.items():
            with site.page(name) as page:
                page.settle()
                of.append(page.js("(() => { const [n] = performance.getEntriesByType('navigation'); return [n.loadEventEnd, performance.now()]; })()"))
    for name, of in times.items():
        loaded, painted = map(min, zip(*of))
        n_bytes = (site.folder / name).stat().st_size
        print(f"{name}: {n_bytes / 1e6:.2f} MB, loaded in {loaded:.0f} ms, painted by {painted:.0f} ms")


def main():
    program, longsum, folder = sys.argv[1:4]
    only = sys.argv[4] if len(sys.argv) > 4 else ""
    folder = pathlib.Path(folder)
    n_passed = n_failed = 0
    with Chrome(program) as chrome:
        site = Site(chrome, longsum, folder)
        print(chrome.call("Browser.getVersion")["product"])
        for case in CASES:
            if only not in case.__name__:
                continue
            name, started = case.__name__.replace("_", " "), time.monotonic()
            try:
                case(site)
                for broken_for, file, pattern, replacement in BREAKS:
                    if broken_for is not case:
                        continue
                    path = folder / file
                    was = path.read_text("utf-8")
                    path.write_text(broken(was, pattern, replacement), "utf-8")
                    try:
                        case(site)
                    except (AssertionError, RuntimeError):
                        pass
                    else:
                        raise AssertionError(f"did not notice {pattern} broken in {file}")
                    finally:
                        path.write_text(was, "utf-8")
                n_passed += 1
                print(f"ok: {name} ({time.monotonic() - started:.1f} s)", flush=True)
            except (AssertionError, RuntimeError) as error:
                n_failed += 1
                print(f"FAILED: {name}: {str(error)[:2000]}", flush=True)
        load_times(site)
    print(f"{n_passed} passed, {n_failed} failed")
    sys.exit(n_failed != 0)


main()
