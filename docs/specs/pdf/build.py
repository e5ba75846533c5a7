#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The specification as PDF: pandoc makes troff's input of it, groff the pages.

usage: build.py PANDOC GROFF SPECIFICATION OUTPUT.pdf

groff goes over it twice, because the contents, which come first, name the pages of what comes behind them. Whatever
groff has to say against the text is an error: on paper a table that does not fit is as wrong as a broken link.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WIDTH = "\\n[LL]u"


def typeset(groff, text):
    """(the PDF, [(level, number, identifier, heading, page)])"""
    done = subprocess.run([groff, "-K", "utf8", "-t", "-ms", "-Tpdf", "-P-e", "-ww"], input=text.encode(), capture_output=True)
    said = done.stderr.decode().splitlines()
    wrong = [line for line in said if not line.startswith("CONTENTS\t")]
    if done.returncode or wrong:
        sys.exit("\n".join(["groff does not like the specification:", *wrong]))
    return done.stdout, [tuple(line.split("\t")[1:]) for line in said if line.startswith("CONTENTS\t")]


def contents(headings):
    """troff's input for the table of contents; chapters and what is in them."""
    out = [".sp 0.5v", ".ft B", "Contents", ".ft R", ".sp 0.3v", ".nf", ".vs 11.5p", ".ta 1.6m 4.2m"]
    for level, number, identifier, heading, page in headings:
        indent = "" if level == "1" else "\t"
        font = "\\f[B]" if level == "1" else ""
        right = f"\\Z@\\h'{WIDTH}-\\w\"{page}\"u'{page}@"      # first, and back: behind a link positions start anew
        out += [f"{right}{font}{indent}{number}\t\\c", f'.pdfhref L -D "{identifier}" -- {font}{heading}\\f[R]']
    return "\n".join([*out, ".vs", ".fi", ".bp", ""])


def main(pandoc, groff, specification, output):
    text = subprocess.run([pandoc, "--standalone", "--from", "markdown", "--to", "ms", "--columns=100", "--number-sections",
                           "--template", HERE / "template.ms", "--lua-filter", HERE / "print.lua", specification],
                          check=True, capture_output=True, text=True).stdout
    begin = text.index(".1C\n") + 4
    # The contents take as much room the first time, when they do not know the pages yet.
    _, headings = typeset(groff, text)
    guess = text[:begin] + contents(headings) + text[begin:]
    _, headings = typeset(groff, guess)
    pdf, again = typeset(groff, text[:begin] + contents(headings) + text[begin:])
    assert again == headings, "the contents moved the pages"
    Path(output).write_bytes(pdf)


if __name__ == "__main__":
    main(*sys.argv[1:])
