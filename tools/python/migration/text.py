# SPDX-License-Identifier: MIT
"""Foreign text on its way to a terminal or a log: as xc_text_safe() of libxenlevel has it (xc_text.h)."""


def _is_active(c):
    """Does a terminal, or a reader of lines, do something else with this character than show it?"""
    return (c < 0x20 or 0x7f <= c < 0xa0 or c in (0x061c, 0x200e, 0x200f) or 0x2028 <= c <= 0x202e
            or 0x2066 <= c <= 0x2069 or 0xd800 <= c < 0xe000)


def text_safe(text):
    """One line of valid UTF-8 that a terminal only shows: every byte of what is not of that kind becomes \\xNN.

    Names of files that are no UTF-8 come as Python has them, with surrogates, and become their bytes.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join("".join(f"\\x{byte:02x}" for byte in _bytes(c)) if _is_active(ord(c)) else c for c in text)


def _bytes(c):
    try:
        return c.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return c.encode("utf-8", "surrogatepass")
