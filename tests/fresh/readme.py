# SPDX-License-Identifier: MIT
"""What the README tells its reader to type, and what it says that he will see.

A fenced block of sh, or one that holds lines with a `$ ` prompt, is taken as it is. In what follows a prompt a line `...`
stands for any lines. What differs from run to run is in VARIES; everything else must be there to the letter.
"""

import re
from dataclasses import dataclass, field

NUMBER = r"[0-9]+(?:\.[0-9]+)?"
VARIES = [                      # what a run measures: how long, how far, how fast
    (re.compile(rf"{NUMBER} pages in {NUMBER} rounds, {NUMBER} [KMG]B/s, downtime {NUMBER} ms"), "N pages, N ms"),
    (re.compile(rf'"(pages|zero_pages|rounds|bytes|elapsed_ns|downtime_ns)": {NUMBER}'), r'"\1": N'),
    (re.compile(rf"^(\d+) +\d+ +\d+ +(\d+) +{NUMBER} +", re.MULTILINE), r"\1 N N \2 N "),
]


@dataclass
class Command:
    """One thing to type, with the lines that must come; None: the README does not say."""
    text: str
    expected: list = None
    line: int = 0


@dataclass
class Block:
    language: str
    line: int
    lines: list = field(default_factory=list)


def read_blocks(text):
    blocks, block = [], None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            if block is None:
                block = Block(line[3:].strip(), number)
            else:
                blocks.append(block)
                block = None
        elif block is not None:
            block.lines.append((number, line))
    return blocks


def strip_comment(line):
    return re.sub(r"\s+# .*$", "", line).rstrip()


def read_setup(text):
    """The commands of the first block of sh: what a new user types."""
    block = next(b for b in read_blocks(text) if b.language == "sh")
    return [Command(command, line=number) for number, line in block.lines if (command := strip_comment(line))]


def read_scene(text):
    """The commands of the block whose lines have prompts, and what each prints."""
    block = next(b for b in read_blocks(text) if any(line.startswith("$ ") for _, line in b.lines))
    commands = []
    for number, line in block.lines:
        if line.startswith("$ "):
            commands.append(Command(strip_comment(line[2:]), [], number))
        elif line.startswith("> "):
            commands[-1].text += "\n" + line[2:]
        else:
            commands[-1].expected.append(line)
    return commands


def find_sockets(command):
    """The sockets that come to be behind a command with &: what follows needs them."""
    return re.findall(r"[a-z]+\.sock", command.text) if re.search(r"(?<!&)&(?!&)", command.text) else []


def steady(text):
    for pattern, instead in VARIES:
        text = pattern.sub(instead, text)
    return re.sub(r" +", " ", text)


def find_difference(expected, seen):
    """None, or the first expected line that is not there."""
    seen = [steady(line.rstrip()) for line in seen]
    at, anywhere = 0, False
    for line in expected:
        if line.strip() == "...":
            anywhere = True
            continue
        want = steady(line.rstrip())
        if anywhere:
            while at < len(seen) and seen[at] != want:
                at += 1
        if at >= len(seen) or seen[at] != want:
            return f"README says:  {line}\nseen:         {seen[at] if at < len(seen) else '(nothing more)'}"
        at, anywhere = at + 1, False
    if not anywhere and at < len(seen):
        return f"README says:  (nothing more)\nseen:         {seen[at]}"
    return None
