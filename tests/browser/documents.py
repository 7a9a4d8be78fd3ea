"""Documents whose pages the browser looks at: documents.py FOLDER"""

import html
import pathlib
import random
import sys

folder = pathlib.Path(sys.argv[1])
for name in ("archive", "hostile"):
    (folder / name).mkdir()

# What a document might try: to run, to end what it stands in, to turn the direction of writing, to be wide.
ATTACKS = ["<script>window.ran=1</script>", "</p></main><script>ran=1</script>", "<img src=x onerror=window.ran=1>", "</style><style>*{display:none}",
           "--><script>ran=1</script><!--", "</title><svg onload=ran=1>", "javascript:ran=1", "&lt;script&gt;ran=1&lt;/script&gt;", "\"' autofocus onfocus=ran=1 x='",
           "\u202ethgir morf nettirw", "\u2066\u2067\u202d", "{{ 7 * 7 }}{% for x in y %}", "]]><![CDATA[", "wide" * 60, "https://example.invalid/" + "x" * 200]
SUBJECTS = "The harbour office,The second committee,An engineer of the town,The ferry company,The council".split(",")
paragraphs = [f"{SUBJECTS[at % 5]} wrote {attack} into paragraph {at} of the plan for the new breakwater of {1950 + at}." for at, attack in enumerate(ATTACKS)]
title = "Plan </title></h1><script>window.ran=1</script> --> \u202e of the harbour"
name = "\u202e\"><img src=x onerror=ran=1>--><script>ran=1;'&lt;.html"
body = "".join(f"<h2>{html.escape(ATTACKS[at % len(ATTACKS)])}</h2><p>{html.escape(p)} It cost {at + 3} million, and nobody had asked for it.</p>"
               for at, p in enumerate(paragraphs))
(folder / "hostile" / name).write_text(f"<!DOCTYPE html><title>{html.escape(title)}</title><main><h1>{html.escape(title)}</h1>{body}</main>", "utf-8")

(folder / "german.txt").write_text(
    "Der Hafen von Norden wurde im Jahr 1891 gebaut. Die Stadt hatte damals nur zweitausend Einwohner, und fast alle lebten "
    "vom Fang der Heringe. Nach dem Sturm von 1906 musste die Mauer neu errichtet werden. Seitdem hat sie jedem Winter "
    "standgehalten, obwohl das Wasser heute einen halben Meter höher steht als damals.\n", "utf-8")

(folder / "archive" / "broken.pdf").write_text("<b>no PDF</b>")
(folder / "archive" / "ten.txt").write_text("\f".join(f"Page {n} of the log tells of the {n} ships that came in with the tide." for n in range(1, 11)))

draw = random.Random(5000)
nouns = "harbour ferry lamp tide keeper bell storm wall chart pilot crane anchor buoy rope ledger council".split()
verbs = "repaired measured counted sold painted moved closed inspected drew reported".split()
line = lambda: f"In {draw.randint(1850, 2020)} the {draw.choice(nouns)} was {draw.choice(verbs)} {draw.randint(2, 900)} times."
(folder / "long.txt").write_text("\f".join(line() for _ in range(5000)))
(folder / "empty.html").write_text("<!DOCTYPE html><html lang=en><title>Empty</title><p>Empty.")
