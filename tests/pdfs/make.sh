#!/usr/bin/env bash
# Makes the corpus of PDFs that check.py reads: tests/pdfs/make.sh OUT [NAME...]
#
# Every program is optional; what needs a missing one is skipped and said. On Debian, all of them:
#   apt-get install --no-install-recommends poppler-utils qpdf ghostscript groff imagemagick \
#     libtiff-tools pango1.0-tools texlive-latex-recommended texlive-fonts-recommended \
#     texlive-latex-extra texlive-xetex texlive-luatex libreoffice-writer-nogui chromium ocrmypdf \
#     tesseract-ocr-eng fonts-dejavu-core fonts-crosextra-carlito fonts-noto-core fonts-noto-cjk
#   pip install reportlab fpdf2 pikepdf pypdf pymupdf typst img2pdf pillow weasyprint odfpy \
#     python-docx cryptography
# PYTHON names the interpreter that has the packages. Texts are our own (texts.py).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec "${PYTHON:-python3}" "$here/make.py" "$@"
