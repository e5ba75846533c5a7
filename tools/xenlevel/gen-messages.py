#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes of docs/messages.md the table that `xenlevel explain` looks things up in: gen-messages.py messages.md OUT.c

A section "## name", an optional line "Also: name, name", lines "> `what is said`" in which <...> stands for anything, and the
text up to the next heading."""

import re
import sys

NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


class Section:
    def __init__(self, line, name):
        self.line, self.names, self.says, self.text = line, [name], [], []


def fail(path, line, what):
    sys.exit(f"{path}:{line}: {what}")


def read_sections(path):
    sections, section = [], None
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        line = line.rstrip("\n")
        if line.startswith("# "):
            section = None
        elif line.startswith("## "):
            section = Section(number, line[3:])
            sections.append(section)
        elif section is None:
            continue
        elif line.startswith("Also: "):
            section.names += line[6:].split(", ")
        elif line.startswith("> "):
            said = re.fullmatch(r"> `([^`]+)`", line)
            if not said:
                fail(path, number, "what is said stands between backticks")
            section.says.append(said[1])
        else:
            section.text.append(line)
    return sections


def check_sections(path, sections):
    seen = {}
    for s in sections:
        for name in s.names:
            if not NAME.fullmatch(name):
                fail(path, s.line, f"'{name}' is no name: small letters, digits and single hyphens")
            if name in seen:
                fail(path, s.line, f"'{name}' is explained in line {seen[name]} already")
            seen[name] = s.line
        if not s.says:
            fail(path, s.line, f"'{s.names[0]}': nothing is said")
        if not "".join(s.text).strip():
            fail(path, s.line, f"'{s.names[0]}': no explanation")
        for said in s.says:
            if not any(len(p.strip()) >= 4 for p in pieces(said)):
                fail(path, s.line, f"'{said}' would be found everywhere")


def pieces(said):
    return [p for p in re.split(r"<[^>]*>", said) if p.strip()]


def paragraphs(lines):
    """Paragraphs are one line each, so that they can be wrapped to any width; what is indented stays as it is."""
    found, open_ = [], False
    for line in lines:
        if not line:
            open_ = False
        elif line.startswith("    "):
            found.append(line)
            open_ = False
        elif open_:
            found[-1] += " " + line
        else:
            found.append(line)
            open_ = True
    return found


def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def write_strings(out, name, strings):
    out.write(f"static const char *const {name}[] = {{{', '.join(map(quote, strings))}, NULL}};\n")


def main():
    path, target = sys.argv[1:]
    sections = read_sections(path)
    check_sections(path, sections)
    with open(target, "w", encoding="utf-8") as out:
        out.write("/* Made from docs/messages.md by gen-messages.py. */\n#include \"messages.h\"\n\n")
        for i, s in enumerate(sections):
            write_strings(out, f"names_{i}", s.names)
            write_strings(out, f"text_{i}", paragraphs(s.text))
            for k, said in enumerate(s.says):
                write_strings(out, f"pieces_{i}_{k}", [" ".join(p.split()) for p in pieces(said)])
            out.write(f"static const struct message_said says_{i}[] = {{\n")
            for k, said in enumerate(s.says):
                out.write(f"    {{{quote(said)}, pieces_{i}_{k}}},\n")
            out.write("    {NULL, NULL},\n};\n")
        out.write("\nconst struct message messages[] = {\n")
        for i in range(len(sections)):
            out.write(f"    {{names_{i}, says_{i}, text_{i}}},\n")
        out.write(f"}};\nconst size_t nr_messages = {len(sections)};\n")


main()
