#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Put the page's template, its style and its script into C.

page.html is cut at {{name}}: {{style}} and {{script}} are the files themselves, {{csp}} is the
policy that lets these two run and nothing else (their SHA-256), and every other name becomes
PAGE_NAME, a section that the program writes.

    gen-page.py page.html page.css page.js OUT.h
"""
import base64
import hashlib
import re
import sys

LINE = 96  # bytes of text in one line of C

ESCAPES = {'\\': '\\\\', '"': '\\"', '\n': '\\n', '\t': '\\t'}


def c_text(text):
    """The text as C string literals, one below the other."""
    out, line = [], ''
    for char in text:
        line += ESCAPES.get(char, char)
        if char == '\n' or len(line) >= LINE:
            out.append(line)
            line = ''
    if line or not out:
        out.append(line)
    return '\n'.join(f'     "{one}"' for one in out)


def source_hash(text):
    """What a Content-Security-Policy calls an element with this text (CSP level 3, 2.3.1)."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def main():
    html, style, script = (read(path) for path in sys.argv[1:4])
    for text, end in ((style, '</style'), (script, '</script')):
        if end in text.lower() or '<!--' in text:
            sys.exit(f'{sys.argv[0]}: {end} or <!-- would end the element')
    csp = (f"default-src 'none'; script-src {source_hash(script)}; style-src {source_hash(style)}; "
           "base-uri 'none'; form-action 'none'")
    known = {'style': style, 'script': script, 'csp': csp}
    parts, sections, text = [], [], ''
    for i, piece in enumerate(re.split(r'\{\{([a-z]+)\}\}', html)):
        if i % 2 == 0:
            text += piece
        elif piece in known:
            text += known[piece]
        else:
            if piece in sections:
                sys.exit(f'{sys.argv[0]}: {{{{{piece}}}}} stands twice in {sys.argv[1]}')
            sections.append(piece)
            parts.append((text, f'PAGE_{piece.upper()}'))
            text = ''
    parts.append((text, 'PAGE_END'))
    with open(sys.argv[4], 'w', encoding='utf-8') as out:
        out.write('/* Made by gen-page.py; do not edit. */\n\nenum page_section {\n')
        out.writelines(f'    PAGE_{name.upper()},\n' for name in sorted(sections))
        out.write('    PAGE_END,\n};\n\nstatic const struct page_part {\n    const char *text;\n'
                  '    enum page_section then;\n} page_parts[] = {\n')
        out.writelines(f'    {{\n{c_text(text)},\n     {then}}},\n' for text, then in parts)
        out.write('};\n')


if __name__ == '__main__':
    main()
