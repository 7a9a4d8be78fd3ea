"""The pictures of README.md: picture.py LONGSUM, from the root of the repository."""

import base64
import pathlib
import subprocess
import sys
import tempfile

from chrome import Chrome

with tempfile.TemporaryDirectory() as folder, Chrome("chromium") as chrome:
    file = pathlib.Path(folder) / "report.html"
    command = [sys.argv[1], "samples/flood-inquiry.pdf", "--format", "html", "--quiet"]
    file.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    for name, dark in (("report", False), ("report-dark", True)):
        with chrome.page(file, width=1320, height=640, dark=dark) as page:
            page.js("document.getElementById('s3-1').open = true")
            page.settle()
            pathlib.Path(f"docs/{name}.png").write_bytes(base64.b64decode(page.picture()))
