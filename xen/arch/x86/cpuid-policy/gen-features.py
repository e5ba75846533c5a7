#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turn features.def into C tables, JSON for the Python tools, and a page of documentation.

usage: gen-features.py features.def [OUT.h OUT.c] [--releases OUT.c] [--json FILE] [--markdown FILE]

What differs between releases of Xen is a source of its own: the live patch, whose hypervisor is one
release, has no room for it.

The grammar is in features.def itself.  Anything that is not in it is an error with file and line.
"""

import argparse
import json
import re
import sys

WORD_BITS = 32

# (name, location, leaf, subleaf, msr, register), in the order of enum featureset_word.
# A leaf that ignores ECX has no subleaf; register 0..3 = eax..edx; an MSR's halves are 0 and 3.
WORDS = [
    ("1d", "1.edx", 0x1, None, None, 3),
    ("1c", "1.ecx", 0x1, None, None, 2),
    ("e1d", "80000001.edx", 0x80000001, None, None, 3),
    ("e1c", "80000001.ecx", 0x80000001, None, None, 2),
    ("Da1", "d.1.eax", 0xD, 1, None, 0),
    ("7b0", "7.0.ebx", 0x7, 0, None, 1),
    ("7c0", "7.0.ecx", 0x7, 0, None, 2),
    ("e7d", "80000007.edx", 0x80000007, None, None, 3),
    ("e8b", "80000008.ebx", 0x80000008, None, None, 1),
    ("7d0", "7.0.edx", 0x7, 0, None, 3),
    ("7a1", "7.1.eax", 0x7, 1, None, 0),
    ("e21a", "80000021.eax", 0x80000021, None, None, 0),
    ("7b1", "7.1.ebx", 0x7, 1, None, 1),
    ("7d2", "7.2.edx", 0x7, 2, None, 3),
    ("7c1", "7.1.ecx", 0x7, 1, None, 2),
    ("7d1", "7.1.edx", 0x7, 1, None, 3),
    ("m10Al", "msr 10a.eax", None, None, 0x10A, 0),
    ("m10Ah", "msr 10a.edx", None, None, 0x10A, 3),
    ("e21c", "80000021.ecx", 0x80000021, None, None, 2),
    ("6a", "6.eax", 0x6, None, None, 0),
    ("6c", "6.ecx", 0x6, None, None, 2),
    ("Aa", "a.eax", 0xA, None, None, 0),
    ("Ab", "a.ebx", 0xA, None, None, 1),
    ("Fd0", "f.0.edx", 0xF, 0, None, 3),
    ("Fd1", "f.1.edx", 0xF, 1, None, 3),
]
WORD_NUMBER = {name: i for i, (name, *_) in enumerate(WORDS)}
BITS = len(WORDS) * WORD_BITS

RELEASES = ["4.17", "4.18", "4.19", "4.20", "4.21", "4.22"]  # of Xen; rows begin with the second
XEN_WORDS = 19  # FEATURESET_XEN_WORDS: words that the public header has

GUESTS = ["pv", "hvm-shadow", "hvm-hap"]  # enum guest_type, whose names these are in lower case
LETTER_GUESTS = {"": 0, "A": 0b111, "S": 0b110, "H": 0b100}
MERGES = ["CAPABILITY", "HAZARD", "ACCUMULATE", "DYNAMIC", "MIRROR"]  # enum feature_merge, without MERGE_

# How far policies go: POLICY_NR_* of cpuid-policy/policy.h, which the C source asserts.
NR_BASIC, NR_EXTD, EXTD = 0x25, 0x29, 0x80000000
NR_COMPONENTS = 64
VENDORS = {"intel": 1, "amd": 2, "all": 3}
COMPARED = ["EQUAL", "AT_MOST", "SUBSET", "TOLD", "OFFERED"]  # field by field, with the host's
RULES = COMPARED + ["FEATURES", "COPY", "STATE", "VCPU", "XEN", "FREE"]

NAME = r"[A-Z0-9][A-Z0-9_]*"
FEATURE_ROW = re.compile(
    rf'FEATURE\(({NAME}), (\w+), (\d+), "([^"]*)", ([A-Z]+), "([^"\\]+)"\)')
FIELD_ROW = re.compile(rf'FIELD\(({NAME}), (\w+), (\d+), (\d+), "([^"\\]+)"\)')
NEEDS_ROW = re.compile(rf"(NEEDS|XEN_NEEDS)\(({NAME})((?:, {NAME})+)\)")
REGISTER_ROW = re.compile(rf"REGISTER\(({NAME}), (none|0x[0-9a-f]+)\)")
BITS_ROW = re.compile(rf"BITS\(({NAME}), (\d+), (\d+)((?:, {NAME})*)\)")
FAMILY_ROW = re.compile(r"FAMILY\(([0-9a-f]+), ([a-z_0-9]+), (\d+)\)")
COMPONENT_ROW = re.compile(rf"COMPONENT\(({NAME}), (\d+), (none|{NAME})\)")
PROTECTS_ROW = re.compile(rf"PROTECTS\(({NAME}(?:, {NAME})*)\)")
LEAF_ROW = re.compile(rf"LEAF\(([0-9a-f]+)(?:\.\.([0-9a-f]+))?, (-|\*|\d+(?:\.\.)?), ([abcd]+), "
                      rf'(\d+), (\d+), ([a-z]+), ([A-Z_]+)(?:, ({NAME}))?, "([^"\\]+)"\)')
RELEASE = r"\d\.\d+"
SINCE_ROW = re.compile(rf"SINCE\(({RELEASE}|none), ({NAME}(?:, {NAME})*)\)")
GUESTS_ROW = re.compile(rf'GUESTS\(({RELEASE}), "([^"]*)", ({NAME}(?:, {NAME})*)\)')
SPELLED_ROW = re.compile(rf"SPELLED\(({RELEASE}), ({NAME}), ({NAME})\)")
ACCUMULATES_ROW = re.compile(rf"ACCUMULATES\(({RELEASE}), ({NAME}(?:, {NAME})*)\)")
REGISTER_BITS = 64
MOST_FEATURES = 4  # that a row of BITS names: struct register_bits


class TableError(Exception):
    def __init__(self, where, text):
        super().__init__(f"{where}: error: {text}")


def spoken(name):
    """The name that people see and type."""
    return name.lower().replace("_", "-")


NEVER = len(RELEASES)


def letter_guests(letter):
    """Masks of GUESTS: who may have it, who has it without asking."""
    return LETTER_GUESTS[letter.upper()], LETTER_GUESTS[letter] if letter == letter.upper() else 0


class Feature:
    def __init__(self, where, name, word, bit, guests, merge, description):
        self.where, self.name, self.word, self.bit = where, name, word, bit
        self.number = word * WORD_BITS + bit
        self.letter, self.merge, self.description = guests, merge, description
        self.guests_max, self.guests_default = letter_guests(guests)
        self.since = None  # the index of the release, NEVER, or None: no row
        self.letters = {}  # index of a release -> guests from it on
        self.spelled = None  # (index of a release, the name from it on)
        self.accumulates = None  # index of a release

    def location(self):
        return f"{WORDS[self.word][1]}[{self.bit}]"

    def first(self):
        """The index of the first release whose header has it; NEVER in words that headers lack."""
        return NEVER if self.word >= XEN_WORDS else self.since or 0

    def guests_in(self, release):
        """The letter of a release, by index."""
        return self.letters[max(r for r in self.letters if r <= release)] if any(
            r <= release for r in self.letters) else self.letter

    def name_in(self, release):
        return self.spelled[1] if self.spelled and self.spelled[0] <= release else self.name


class Field:
    def __init__(self, where, name, word, shift, width, description):
        self.where, self.name, self.word = where, name, word
        self.shift, self.width, self.description = shift, width, description


class Register:
    """A register, and its rows: (shift, width, names of features)."""

    def __init__(self, name, msr):
        self.name, self.msr, self.rows = name, msr, []
        self.taken = 0  # a bit that is in some row


class Leaf:
    """What the audit does with bits of some registers of some leaves."""

    def __init__(self, where, first, last, subleaves, registers, shift, width, vendors, rule,
                 feature, why):
        self.where, self.first, self.last, self.registers = where, first, last, registers
        self.subleaves, self.shift, self.width = subleaves, shift, width
        self.vendors, self.rule, self.feature, self.why = vendors, rule, feature, why
        # Numbers of subleaves: 0 for a leaf that has none.
        if subleaves in "-*":
            self.low, self.high = 0, 0 if subleaves == "-" else 255
        else:
            self.low = int(subleaves.rstrip("."))
            self.high = 255 if subleaves.endswith("..") else self.low

    @property
    def mask(self):
        return ((1 << self.width) - 1) << self.shift

    def place(self):
        """As people write it: 7.1.abcd, 80000008.a[7:0]."""
        leaves = f"{self.first:x}" if self.first == self.last else f"{self.first:x}..{self.last:x}"
        subleaf = "" if self.subleaves == "-" else f".{self.subleaves}"
        bits = "" if self.width == 32 else f"[{bit_range(self.shift, self.width)}]"
        return f"{leaves}{subleaf}.{self.registers}{bits}"


class Table:
    """features.def, read and checked."""

    def __init__(self, path):
        self.features, self.fields = {}, {}  # by name
        self.needs = []  # (where, name, prerequisite), in the order of the file
        self.xen_needs = []  # the same, of rules that are a hypervisor's only
        self.owner = {}  # bit position -> name of the feature or field
        self.registers = {}  # by name, in the order of the file
        self.families = {}  # leaf -> (member of struct cpu_policy, subleaves), in order of leaves
        self.components = {}  # name -> (number, feature or None), in order of numbers
        self.protects = []  # names of features
        self.leaves = []  # in the order of the file, which is that of leaves
        with open(path, encoding="ascii") as file:
            self.parse(path, file.read())
        self.check_releases()
        self.check_needs()
        self.xen_needs.sort(key=lambda rule: self.features[rule[1]].number)  # as findings are named
        self.check_mirrors()
        self.check_leaves()
        self.prerequisites = self.closure(self.needs + self.xen_needs)
        self.real_prerequisites = self.closure(self.needs)

    def parse(self, path, text):
        comment = None
        for number, line in enumerate(text.split("\n"), 1):
            where = f"{path}:{number}"
            if comment is None and line.startswith("/*"):
                comment = where
            if comment is not None:
                end = line.find("*/")
                if end >= 0:
                    if line[end + 2:]:
                        raise TableError(where, "text after a comment")
                    comment = None
            elif line:
                self.row(where, line)
        if comment is not None:
            raise TableError(comment, "comment without end")

    def row(self, where, line):
        if match := FEATURE_ROW.fullmatch(line):
            self.add_feature(where, *match.groups())
        elif match := FIELD_ROW.fullmatch(line):
            self.add_field(where, *match.groups())
        elif match := NEEDS_ROW.fullmatch(line):
            rules = self.needs if match[1] == "NEEDS" else self.xen_needs
            for prerequisite in match[3][2:].split(", "):
                rules.append((where, match[2], prerequisite))
        elif match := REGISTER_ROW.fullmatch(line):
            self.add_register(where, match[1], None if match[2] == "none" else int(match[2], 16))
        elif match := BITS_ROW.fullmatch(line):
            names = match[4][2:].split(", ") if match[4] else []
            self.add_bits(where, match[1], int(match[2]), int(match[3]), names)
        elif match := FAMILY_ROW.fullmatch(line):
            self.add_family(where, int(match[1], 16), match[2], int(match[3]))
        elif match := COMPONENT_ROW.fullmatch(line):
            self.add_component(where, match[1], int(match[2]),
                               None if match[3] == "none" else match[3])
        elif match := PROTECTS_ROW.fullmatch(line):
            self.add_protects(where, match[1].split(", "))
        elif match := LEAF_ROW.fullmatch(line):
            self.add_leaf(where, *match.groups())
        elif match := SINCE_ROW.fullmatch(line):
            for name in match[2].split(", "):
                self.add_since(where, match[1], name)
        elif match := GUESTS_ROW.fullmatch(line):
            for name in match[3].split(", "):
                self.add_guests(where, match[1], match[2], name)
        elif match := SPELLED_ROW.fullmatch(line):
            self.add_spelled(where, *match.groups())
        elif match := ACCUMULATES_ROW.fullmatch(line):
            for name in match[2].split(", "):
                self.add_accumulates(where, match[1], name)
        else:
            raise TableError(where, f"not a row: {line!r}")

    def take(self, where, name, word, bits):
        if name in self.features or name in self.fields:
            raise TableError(where, f"{name} is there twice")
        if word not in WORD_NUMBER:
            raise TableError(where, f"{name}: no word {word}")
        for bit in bits:
            if bit >= WORD_BITS:
                raise TableError(where, f"{name}: no bit {bit}")
            position = WORD_NUMBER[word] * WORD_BITS + bit
            if position in self.owner:
                raise TableError(where, f"{name}: {word}:{bit} is {self.owner[position]} already")
            self.owner[position] = name

    def add_feature(self, where, name, word, bit, guests, merge, description):
        self.take(where, name, word, [int(bit)])
        if guests.upper() not in LETTER_GUESTS:
            raise TableError(where, f'{name}: no guests "{guests}"')
        if merge not in MERGES:
            raise TableError(where, f"{name}: no merge rule {merge}")
        self.features[name] = Feature(where, name, WORD_NUMBER[word], int(bit), guests, merge,
                                      description)

    def add_field(self, where, name, word, shift, width, description):
        shift, width = int(shift), int(width)
        if not 1 <= width < WORD_BITS:
            raise TableError(where, f"{name}: no width {width}")
        self.take(where, name, word, range(shift, shift + width))
        self.fields[name] = Field(where, name, WORD_NUMBER[word], shift, width, description)

    def add_register(self, where, name, msr):
        if name in self.registers:
            raise TableError(where, f"{name} is there twice")
        if msr is not None and any(r.msr == msr for r in self.registers.values()):
            raise TableError(where, f"MSR {msr:#x} is there twice")
        if msr is not None and msr >> 32:
            raise TableError(where, f"{name}: no MSR {msr:#x}")
        self.registers[name] = Register(name, msr)

    def add_bits(self, where, name, shift, width, features):
        if name not in self.registers:
            raise TableError(where, f"no register {name}")
        register, mask = self.registers[name], (1 << width) - 1 << shift
        if not width or shift + width > REGISTER_BITS:
            raise TableError(where, f"{name}: no {width} bits at {shift}")
        if mask & register.taken:
            raise TableError(where, f"{name}: some of these bits are there twice")
        if len(features) > MOST_FEATURES:
            raise TableError(where, f"{name}: more than {MOST_FEATURES} features")
        for feature in features:
            if feature not in self.features:
                raise TableError(where, f"no feature {feature}")
        register.taken |= mask
        register.rows.append((shift, width, features))

    def add_family(self, where, leaf, member, count):
        if leaf >= NR_BASIC:
            raise TableError(where, f"leaf {leaf:x} can have no subleaves")
        if self.families and leaf <= max(self.families):
            raise TableError(where, f"leaf {leaf:x} stands behind {max(self.families):x}")
        if not 1 <= count <= 255:
            raise TableError(where, f"leaf {leaf:x}: no count {count}")
        self.families[leaf] = (member, count)

    def add_component(self, where, name, number, feature):
        last = max((n for n, _ in self.components.values()), default=-1)
        if name in self.components:
            raise TableError(where, f"{name} is there twice")
        if not last < number < NR_COMPONENTS:
            raise TableError(where, f"{name}: no component {number} behind {last}")
        if feature and feature not in self.features:
            raise TableError(where, f"no feature {feature}")
        self.components[name] = (number, feature)

    def add_protects(self, where, names):
        for name in names:
            if name not in self.features:
                raise TableError(where, f"no feature {name}")
            if name in self.protects:
                raise TableError(where, f"{name} is there twice")
            if self.features[name].merge != "ACCUMULATE":
                raise TableError(where, f"{name} does not accumulate")
            self.protects.append(name)

    def of_header(self, where, release, name):
        """(feature, index of the release) of a row about what differs between releases."""
        if release not in RELEASES[1:] + ["none"]:
            raise TableError(where, f"no release {release}: {', '.join(RELEASES[1:])}")
        feature = self.features.get(name)
        if feature is None:
            raise TableError(where, f"no feature {name}")
        if feature.word >= XEN_WORDS or feature.merge == "MIRROR":
            raise TableError(where, f"{name} is in no header")
        return feature, NEVER if release == "none" else RELEASES.index(release)

    def add_since(self, where, release, name):
        feature, index = self.of_header(where, release, name)
        if feature.since is not None:
            raise TableError(where, f"{name} has a first release already")
        if feature.letter:
            raise TableError(where, f"{name} is offered to guests before it is named")
        feature.since = index

    def add_guests(self, where, release, guests, name):
        feature, index = self.of_header(where, release, name)
        if guests.upper() not in LETTER_GUESTS:
            raise TableError(where, f'{name}: no guests "{guests}"')
        if feature.letters and index <= max(feature.letters):
            raise TableError(where, f"{name}: {release} stands behind {RELEASES[max(feature.letters)]}")
        if guests == feature.guests_in(index):
            raise TableError(where, f'{name} is for guests "{guests}" already')
        feature.letters[index] = guests

    def add_spelled(self, where, release, name, other):
        feature, index = self.of_header(where, release, name)
        if feature.spelled:
            raise TableError(where, f"{name} has another spelling already")
        if any(other in (f.name, f.spelled and f.spelled[1]) for f in self.features.values()):
            raise TableError(where, f"{other} is the name of a feature already")
        feature.spelled = (index, other)

    def add_accumulates(self, where, release, name):
        feature, index = self.of_header(where, release, name)
        if feature.merge != "ACCUMULATE":
            raise TableError(where, f"{name} does not accumulate")
        if feature.accumulates is not None:
            raise TableError(where, f"{name} is there twice")
        feature.accumulates = index

    def check_releases(self):
        for f in self.features.values():
            for index in [*f.letters, *([f.spelled[0]] if f.spelled else []),
                          *([f.accumulates] if f.accumulates is not None else [])]:
                if index < f.first():
                    raise TableError(f.where, f"{f.name} is not named in {RELEASES[index]}")

    def subleaves(self, leaf):
        """How many a policy holds; one where the leaf has none."""
        return self.families[leaf][1] if leaf in self.families else 1

    def check_needs(self):
        seen = set()
        for where, name, prerequisite in self.needs + self.xen_needs:
            for known in (name, prerequisite):
                if known not in self.features:
                    raise TableError(where, f"no feature {known}")
            if (name, prerequisite) in seen:
                raise TableError(where, f"{name} needs {prerequisite} twice")
            seen.add((name, prerequisite))
            # Else a guest's own masks would make a CPU that breaks this very rule.  Later releases' masks
            # are not closed (EPSF "A" on PSFD "S"): who uses them closes what is left.
            high, low = self.features[name], self.features[prerequisite]
            if (high.guests_max & ~low.guests_max) or (high.guests_default & ~low.guests_default):
                raise TableError(where, f"{name} is offered to guests that {prerequisite} is not")

    def check_mirrors(self):
        for feature in self.features.values():
            if (feature.merge == "MIRROR") != feature.name.startswith("E1D_"):
                raise TableError(feature.where, f"{feature.name}: E1D_ is for mirrors")
            if feature.merge != "MIRROR":
                continue
            shown = self.features.get(feature.name[len("E1D_"):])
            if (shown is None or shown.word != WORD_NUMBER["1d"] or shown.bit != feature.bit or
                    feature.word != WORD_NUMBER["e1d"] or shown.letter != feature.letter):
                raise TableError(feature.where, f"{feature.name} mirrors no bit of 1d")
            if not any(n == feature.name and p == shown.name for _, n, p in self.needs):
                raise TableError(feature.where, f"{feature.name} does not need {shown.name}")

    def add_leaf(self, where, first, last, subleaves, registers, shift, width, vendors, rule,
                 feature, why):
        first = int(first, 16)
        last = int(last, 16) if last else first
        shift, width = int(shift), int(width)
        if first > last:
            raise TableError(where, f"leaf {first:x} is above {last:x}")
        for leaf in range(first, last + 1):
            if not (leaf < NR_BASIC or EXTD <= leaf < EXTD + NR_EXTD):
                raise TableError(where, f"no policy has leaf {leaf:x}")
            if (leaf in self.families) != (subleaves != "-"):
                raise TableError(where, f"leaf {leaf:x} has {'' if leaf in self.families else 'no '}subleaves")
        if not width or shift + width > WORD_BITS:
            raise TableError(where, f"no bits {shift}, {width} wide")
        if vendors not in VENDORS:
            raise TableError(where, f"no vendors {vendors}")
        if rule not in RULES:
            raise TableError(where, f"no rule {rule}")
        if self.leaves and first < self.leaves[-1].last and first != self.leaves[-1].first:
            raise TableError(where, f"leaf {first:x} stands behind {self.leaves[-1].last:x}")
        self.leaves.append(Leaf(where, first, last, subleaves, registers, shift, width, vendors,
                                rule, feature, why))

    def check_leaves(self):
        """Every bit of every leaf has one rule for each vendor; feature words have FEATURES."""
        if not self.leaves:  # the tables of the tests have none
            return
        taken = {}  # (leaf, subleaf, register, vendor) -> {bits: row}
        for row in self.leaves:
            if row.feature and row.feature not in self.features:
                raise TableError(row.where, f"no feature {row.feature}")
            for leaf in range(row.first, row.last + 1):
                for subleaf in range(row.low, min(row.high, self.subleaves(leaf) - 1) + 1):
                    for register in row.registers:
                        for vendor in (v for v in (1, 2) if VENDORS[row.vendors] & v):
                            self.take_bits(taken, row, leaf, subleaf, register, vendor)
        words = {(leaf, subleaf or 0, "abcd"[register]) for _, _, leaf, subleaf, _, register in WORDS
                 if leaf is not None}
        for leaf in [*range(NR_BASIC), *range(EXTD, EXTD + NR_EXTD)]:
            for subleaf in range(self.subleaves(leaf)):
                for register in "abcd":
                    for vendor in (1, 2):
                        at = (leaf, subleaf, register)
                        mask, rules = taken.get((*at, vendor), (0, set()))
                        if mask != 0xffffffff:
                            raise TableError("LEAF", f"{leaf:x}.{subleaf}.{register}: no rule for "
                                             f"bits {mask ^ 0xffffffff:08x}")
                        if ("FEATURES" in rules) != (at in words):
                            raise TableError("LEAF", f"{leaf:x}.{subleaf}.{register}: FEATURES is "
                                             "for feature words, and they for it")

    @staticmethod
    def take_bits(taken, row, leaf, subleaf, register, vendor):
        mask, rules = taken.get((leaf, subleaf, register, vendor), (0, set()))
        if mask & row.mask:
            raise TableError(row.where, f"{leaf:x}.{subleaf}.{register}: bits "
                             f"{mask & row.mask:08x} have a rule already")
        taken[leaf, subleaf, register, vendor] = (mask | row.mask, rules | {row.rule})

    def closure(self, rules):
        """name -> the set of everything it stands on by these rules."""
        direct, where = {}, {}
        for at, name, prerequisite in rules:
            direct.setdefault(name, []).append(prerequisite)
            where.setdefault(name, at)
        done = {}

        def visit(name, path):
            if name in path:
                chain = " -> ".join(path[path.index(name):] + [name])
                raise TableError(where[name], f"a cycle: {chain}")
            if name not in done:
                found = set()
                for prerequisite in direct.get(name, []):
                    found |= {prerequisite} | visit(prerequisite, path + [name])
                done[name] = found
            return done[name]

        return {name: visit(name, []) for name in self.features if visit(name, [])}

    @staticmethod
    def dependents(closure):
        """name -> the set of everything that stands on it."""
        found = {}
        for name, prerequisites in closure.items():
            for prerequisite in prerequisites:
                found.setdefault(prerequisite, set()).add(name)
        return found

    def xen_dependents(self):
        """name -> what stands on it in a hypervisor's eyes only, where there is any."""
        every, real = self.dependents(self.prerequisites), self.dependents(self.real_prerequisites)
        only = {name: found - real.get(name, set()) for name, found in every.items()}
        return {name: found for name, found in only.items() if found}

    def in_order(self):
        return sorted(self.features.values(), key=lambda feature: feature.number)

    def spellings(self):
        return [f for f in self.in_order() if f.spelled]

    def offered(self, which, guest, release):
        """Numbers of what guests of a type (an index) may have (0) or have by default (1)."""
        return [f.number for f in self.in_order()
                if letter_guests(f.guests_in(release))[which] >> guest & 1]

    def only_hap(self):
        """Numbers of what some release gives to HVM guests with HAP, and none to those without."""
        shadow, hap = ({n for r in range(len(RELEASES)) for n in self.offered(0, guest, r)}
                       for guest in (GUESTS.index("hvm-shadow"), GUESTS.index("hvm-hap")))
        return hap - shadow

    def field_bits(self):
        return (f.word * 32 + f.shift + i for f in self.fields.values() for i in range(f.width))

    def numbers(self, names):
        return [self.features[name].number for name in names]


def c_words(numbers):
    """An initializer of struct featureset with these bits set."""
    words = [0] * len(WORDS)
    for number in numbers:
        words[number // WORD_BITS] |= 1 << (number % WORD_BITS)
    return "{{" + ", ".join(f"{word:#010x}" if word else "0" for word in words) + "}}"


def c_array(declaration, items, width=12):
    lines = [f"{declaration} = {{"]
    for i in range(0, len(items), width):
        lines.append("    " + ", ".join(str(item) for item in items[i:i + width]) + ",")
    return lines + ["};", ""]


def banner(path):
    return ["/* SPDX-License-Identifier: MIT */",
            f"/* Made by gen-features.py from {path.split('/')[-1]}: change that, not this. */"]


def write_header(table, source, out):
    lines = banner(source) + ["#ifndef FEATURES_GEN_H", "#define FEATURES_GEN_H", "",
                              "#include <cpuid-policy/featureset.h>", "", "enum {"]
    lines += [f"    X86_FEATURE_{f.name} = {f.number}," for f in table.in_order()]
    lines += ["};", "", "/* The order of featureset_field_info(). */", "enum {"]
    lines += [f"    FEATURE_FIELD_{name}," for name in table.fields]
    lines += ["    NR_FEATURE_FIELDS,", "};", "",
              f"#define NR_FEATURES {len(table.features)}",
              f"#define NR_FEATURE_NEEDS {len(table.needs) + len(table.xen_needs)}",
              f"#define NR_FEATURE_REAL_NEEDS {len(table.needs)}",
              f"#define NR_XEN_DEPENDENTS {len(table.xen_dependents())}",
              f"#define NR_FEATURE_SPELLINGS {len(table.spellings())}", "",
              "/* The rows of the table, in the order of positions. */",
              "extern const struct feature_info feature_rows[NR_FEATURES];",
              "/* Position -> row number + 1; 0 for a bit without a name. */",
              "extern const uint16_t feature_row_at[FEATURESET_BITS];",
              "/* Row numbers in the order of names. */",
              "extern const uint16_t feature_rows_by_name[NR_FEATURES];",
              "extern const struct featureset_word_info featureset_words[FEATURESET_WORDS];",
              "extern const struct featureset_field_info featureset_fields[NR_FEATURE_FIELDS];", "",
              "/* The direct rules, as written: `feature` needs `needs`.  Real CPUs keep the first",
              " * NR_FEATURE_REAL_NEEDS; the rest are a hypervisor's. */",
              "struct feature_need {", "    uint16_t feature, needs;", "};",
              "extern const struct feature_need feature_needs_direct[NR_FEATURE_NEEDS];", "",
              "/* The rules followed to their end.  Position -> set number + 1; 0 for none. */",
              "extern const uint8_t feature_needs_at[FEATURESET_BITS];",
              "extern const struct featureset feature_needs_sets[];",
              "extern const uint8_t feature_dependents_at[FEATURESET_BITS];",
              "extern const struct featureset feature_dependents_sets[];",
              "/* A bit for each word of the set that is not zero: most sets have one or two. */",
              "extern const uint32_t feature_dependents_words[];",
              "/* Of the dependents of `feature`, those by rules that are a hypervisor's only. */",
              "struct xen_dependents {", "    uint16_t feature;", "    struct featureset set;", "};",
              "extern const struct xen_dependents feature_xen_dependents[NR_XEN_DEPENDENTS];",
              "/* Every feature that something stands on. */",
              "extern const struct featureset features_with_dependents;", "",
              "extern const struct featureset features_known;",
              "/* Every bit of a FIELD. */",
              "extern const struct featureset features_numbers;",
              f"extern const struct featureset features_by_merge[{len(MERGES)}];",
              "extern const struct featureset features_guest_max[GUEST_TYPES];",
              "extern const struct featureset features_guest_default[GUEST_TYPES];",
              "extern const struct featureset features_only_hap;", "",
              "/* How newer releases spell what has another name here; since: major * 100 + minor. */",
              "struct feature_spelling {", "    const char *name;", "    uint16_t feature, since;", "};", "",
              "extern const struct feature_spelling feature_spellings[NR_FEATURE_SPELLINGS + 1];", "",
              "/* State components by number; those that stand and fall with a feature; and position ->",
              " * the feature + 1, 0 for none: xstate_feature(). */",
              "enum {", *(f"    XSTATE_{name} = {number}," for name, (number, _) in table.components.items()), "};",
              f"#define XSTATE_OF_FEATURES {sum(1 << n for n, f in table.components.values() if f):#x}ull",
              f"extern const uint16_t xstate_features[{NR_COMPONENTS}];", "",
              "/* The leaves that have subleaves, in order; leaf -> its number there + 1, 0 for none. */",
              f"#define POLICY_NR_FAMILIES {max(1, len(table.families))}",
              f"extern const uint8_t policy_family_at[{NR_BASIC}];",
              "/* Word -> its place in struct cpu_policy, in bytes. */",
              "extern const uint16_t policy_word_at[FEATURESET_WORDS];", "",
              "/* Registers whose bits stand on features.  A control register has no MSR. */",
              "enum {"]
    lines += [f"    POLICY_REGISTER_{name}," for name in table.registers]
    lines += ["    NR_POLICY_REGISTERS,", "};", "#define NO_MSR UINT32_MAX",
              "struct register_info {", "    const char *name;", "    uint32_t msr;", "};",
              "extern const struct register_info register_infos[NR_POLICY_REGISTERS];", "",
              "/* Bits that any of the features brings; where there is none they may always be set. */",
              "struct register_bits {", "    uint8_t reg, shift, width, nr_features;",
              f"    uint16_t features[{MOST_FEATURES}];", "};",
              f"#define NR_REGISTER_BITS {sum(len(r.rows) for r in table.registers.values())}",
              "extern const struct register_bits register_bits[NR_REGISTER_BITS];", "",
              "/* What the audit does with bits of a leaf: the rows of LEAF, in the order of leaves. */",
              "enum field_rule_kind {"]
    lines += [f"    RULE_{rule}," for rule in RULES]
    lines += ["};", "/* Those below are compared field by field. */",
              f"#define NR_RULES_COMPARED {len(COMPARED)}", f"enum {{ RULE_INTEL = {VENDORS['intel']}, RULE_AMD = {VENDORS['amd']} }};",
              "struct field_rule {", "    uint32_t first, last; /* leaves */", "    uint32_t mask;",
              "    uint16_t feature; /* + 1; 0: none */",
              "    uint8_t low, high; /* subleaves; 0 where there are none */",
              "    uint8_t registers; /* a bit for each, EAX the lowest */",
              "    uint8_t vendors, rule, shift, width;",
              "};", f"#define NR_FIELD_RULES {len(table.leaves)}",
              "extern const struct field_rule field_rules[NR_FIELD_RULES + 1]; /* ends with leaf UINT32_MAX */",
              "/* Leaf (extended: its low half) -> the first of its rows. */",
              f"extern const uint16_t field_rules_basic[{NR_BASIC}];",
              f"extern const uint16_t field_rules_extd[{NR_EXTD}];",
              "/* Leaves that say something only with a feature. */",
              f"#define NR_FIELD_CONDITIONAL {max(1, len(conditional(table)))}",
              "extern const uint32_t field_conditional[NR_FIELD_CONDITIONAL];", "",
              "#endif /* FEATURES_GEN_H */"]
    out.write("\n".join(lines) + "\n")


def conditional(table):
    return sorted({leaf for row in table.leaves if row.feature
                   for leaf in range(row.first, row.last + 1)})


def first_row(table, leaf):
    return next((i for i, row in enumerate(table.leaves) if row.first <= leaf <= row.last),
                len(table.leaves))


def c_leaves(table):
    def row(r):
        feature = f"X86_FEATURE_{r.feature} + 1" if r.feature else "0"
        registers = sum(1 << "abcd".index(x) for x in r.registers)
        return (f"{{{r.first:#x}u, {r.last:#x}u, {r.mask:#010x}u, {feature}, {r.low}, {r.high}, "
                f"{registers}, {VENDORS[r.vendors]}, RULE_{r.rule}, {r.shift}, {r.width}}}")
    return (["/* cpuid-policy/policy.h says how far policies go; here it is written a second time. */",
             '#include <cpuid-policy/vocabulary.h>',
             f'_Static_assert(POLICY_NR_BASIC == {NR_BASIC}, "basic leaves");',
             f'_Static_assert(POLICY_NR_EXTD == {NR_EXTD}, "extended leaves");'] +
            c_array("const struct field_rule field_rules[NR_FIELD_RULES + 1]",
                    [row(r) for r in table.leaves] + ["{UINT32_MAX, UINT32_MAX, 0, 0, 0, 0, 0, 0, 0, 0, 0}"], 1) +
            c_array(f"const uint16_t field_rules_basic[{NR_BASIC}]",
                    [first_row(table, i) for i in range(NR_BASIC)]) +
            c_array(f"const uint16_t field_rules_extd[{NR_EXTD}]",
                    [first_row(table, EXTD + i) for i in range(NR_EXTD)]) +
            c_array("const uint32_t field_conditional[NR_FIELD_CONDITIONAL]",
                    [f"{leaf:#x}u" for leaf in conditional(table)] or ["UINT32_MAX"]))


def c_families(table):
    """Their counts are said by struct cpu_policy too: the two must agree."""
    at = {leaf: i + 1 for i, leaf in enumerate(table.families)}
    size = "sizeof(((struct cpu_policy *)0)->{}) / sizeof(struct cpuid_regs)"
    return ([f'_Static_assert({size.format(member)} == {count}, "leaf {leaf:x}");'
             for leaf, (member, count) in table.families.items()] +
            c_array("const struct leaf_family policy_families[POLICY_NR_FAMILIES]", [
                f"{{{leaf:#x}u, offsetof(struct cpu_policy, {member}), {count}}}"
                for leaf, (member, count) in table.families.items()] or ["{0, 0, 0}"], 1) +
            c_array(f"const uint8_t policy_family_at[{NR_BASIC}]", [at.get(i, 0) for i in range(NR_BASIC)]))


def c_word_offsets(table):
    """Where struct cpu_policy has each word."""
    def offset(leaf, subleaf, register):
        if leaf is None:
            return f"offsetof(struct cpu_policy, arch_caps) + {4 * (register == 3)}"
        place = (f"{table.families[leaf][0]}[{subleaf}]" if leaf in table.families else
                 f"extd[{leaf - EXTD:#x}]" if leaf >= EXTD else f"basic[{leaf:#x}]")
        return f"offsetof(struct cpu_policy, {place}.{'abcd'[register]})"
    # The tables of the tests have no families; nobody compiles what is made of them.
    return c_array("const uint16_t policy_word_at[FEATURESET_WORDS]",
                   [offset(leaf, subleaf, register) for _, _, leaf, subleaf, _, register in WORDS], 1)


def c_components(table):
    owner = {number: f"X86_FEATURE_{feature} + 1"
             for number, feature in table.components.values() if feature}
    return c_array(f"const uint16_t xstate_features[{NR_COMPONENTS}]",
                   [owner.get(i, "0") for i in range(NR_COMPONENTS)], 4)


def c_sets(table, stem, sets, with_words=False):
    """Closures as shared bitmaps: many features stand on the same things."""
    unique, which, at = [], [], [0] * BITS
    for name in sorted(sets, key=lambda name: table.features[name].number):
        numbers = table.numbers(sets[name])
        words = c_words(numbers)
        if words not in unique:
            unique.append(words)
            which.append(f"{sum(1 << word for word in {n // 32 for n in numbers}):#x}u")
        at[table.features[name].number] = unique.index(words) + 1
    if len(unique) > 255:
        raise TableError("features.def", f"{stem}: more than 255 sets; their numbers are bytes, for the live patch")
    return (c_array(f"const uint8_t {stem}_at[FEATURESET_BITS]", at, 16) +
            c_array(f"const struct featureset {stem}_sets[]", unique, 1) +
            (c_array(f"const uint32_t {stem}_words[]", which, 8) if with_words else []))


def c_number(value):
    return "UINT32_MAX" if value is None else f"{value:#x}u"


def write_source(table, source, header, out):
    order = table.in_order()
    lines = banner(source) + [f'#include "{header.split("/")[-1]}"', "",
                              "/* Where every byte counts a build defines it as \"\". */",
                              "#ifndef DESCRIPTION", "#define DESCRIPTION(text) text", "#endif", ""]
    # The words' numbers are written down twice, here and in featureset.h: they must agree.
    lines += [f'_Static_assert(FEATURESET_{name} == {i}, "word {name}");'
              for i, (name, *_) in enumerate(WORDS)]
    lines += [f'_Static_assert(FEATURESET_WORDS == {len(WORDS)}, "number of words");', ""]
    lines += c_array("const struct feature_info feature_rows[NR_FEATURES]", [
        f'{{"{spoken(f.name)}", DESCRIPTION("{f.description}"), {f.number}, MERGE_{f.merge}, '
        f"{f.guests_max}, {f.guests_default}, {int(f.name in table.protects)}}}" for f in order], 1)
    at = [0] * BITS
    for i, feature in enumerate(order):
        at[feature.number] = i + 1
    lines += c_array("const uint16_t feature_row_at[FEATURESET_BITS]", at, 16)
    by_name = sorted(range(len(order)), key=lambda i: spoken(order[i].name))
    lines += c_array("const uint16_t feature_rows_by_name[NR_FEATURES]", by_name, 16)
    lines += c_array("const struct featureset_word_info featureset_words[FEATURESET_WORDS]", [
        f'{{"{name}", "{location}", {c_number(leaf)}, {c_number(subleaf)}, {c_number(msr)}, {reg}}}'
        for name, location, leaf, subleaf, msr, reg in WORDS], 1)
    lines += c_array("const struct featureset_field_info featureset_fields[NR_FEATURE_FIELDS]", [
        f'{{"{spoken(f.name)}", DESCRIPTION("{f.description}"), {f.word}, {f.shift}, {f.width}}}'
        for f in table.fields.values()], 1)
    lines += c_array("const struct feature_need feature_needs_direct[NR_FEATURE_NEEDS]", [
        "{X86_FEATURE_%s, X86_FEATURE_%s}" % pair[1:] for pair in table.needs + table.xen_needs], 1)
    lines += c_sets(table, "feature_needs", table.prerequisites)
    dependents = table.dependents(table.prerequisites)
    lines += c_sets(table, "feature_dependents", dependents, with_words=True)
    lines += c_array("const struct xen_dependents feature_xen_dependents[NR_XEN_DEPENDENTS]", [
        f"{{X86_FEATURE_{name}, {c_words(table.numbers(found))}}}"
        for name, found in sorted(table.xen_dependents().items())], 1)
    lines += [f"const struct featureset features_with_dependents = "
              f"{c_words(table.numbers(dependents))};",
              f"const struct featureset features_known = {c_words(f.number for f in order)};",
              f"const struct featureset features_numbers = {c_words(table.field_bits())};", ""]
    lines += c_array(f"const struct featureset features_by_merge[{len(MERGES)}]", [
        f"[MERGE_{merge}] = " + c_words(f.number for f in order if f.merge == merge)
        for merge in MERGES], 1)
    for which in ("max", "default"):
        lines += c_array(f"const struct featureset features_guest_{which}[GUEST_TYPES]", [
            f"[GUEST_{guest.upper().replace('-', '_')}] = " +
            c_words(f.number for f in order if getattr(f, f"guests_{which}") >> i & 1)
            for i, guest in enumerate(GUESTS)], 1)
    lines += [f"const struct featureset features_only_hap = {c_words(table.only_hap())};", ""]
    lines += c_array("const struct feature_spelling feature_spellings[NR_FEATURE_SPELLINGS + 1]", [
        f'{{"{spoken(f.spelled[1])}", {f.number}, {xen_number(f.spelled[0])}}}'
        for f in table.spellings()] + ['{"", 0, 0}'], 1)
    lines += c_array("const struct register_info register_infos[NR_POLICY_REGISTERS]", [
        f'{{"{r.name}", {c_number(r.msr)}}}' for r in table.registers.values()], 1)
    lines += c_array("const struct register_bits register_bits[NR_REGISTER_BITS]", [
        f"{{POLICY_REGISTER_{r.name}, {shift}, {width}, {len(names)}, "
        f"{{{', '.join(f'X86_FEATURE_{n}' for n in names) or '0'}}}}}"
        for r in table.registers.values() for shift, width, names in r.rows], 1)
    lines += c_components(table)
    lines += c_leaves(table)
    lines += c_families(table)
    lines += c_word_offsets(table)
    out.write("\n".join(lines))


def xen_number(release):
    """4.17 is 417, as in struct host_options."""
    major, minor = RELEASES[release].split(".")
    return int(major) * 100 + int(minor)


def write_releases(table, source, out):
    """Masks by release: what its header names (mirrors with what they show), what its guests get."""
    every = range(len(RELEASES))
    lines = banner(source) + ["#include <cpuid-policy/releases.h>", "",
                              "extern const struct featureset release_named[XEN_RELEASES];",
                              "extern const struct featureset release_guest_maxima[XEN_RELEASES][GUEST_TYPES];",
                              "extern const struct featureset release_guest_defaults[XEN_RELEASES][GUEST_TYPES];", ""]
    lines += [f"_Static_assert(XEN_RELEASE_{i} == {xen_number(i)}, \"release {RELEASES[i]}\");" for i in every]
    lines += [f"_Static_assert(XEN_RELEASES == {len(RELEASES)}, \"number of releases\");",
              f"_Static_assert(FEATURESET_XEN_WORDS == {XEN_WORDS}, \"words of the header\");", ""]
    lines += c_array("const struct featureset release_named[XEN_RELEASES]", [
        c_words(f.number for f in table.in_order() if f.first() <= release) for release in every], 1)
    for which, name in enumerate(("maxima", "defaults")):
        lines += c_array(f"const struct featureset release_guest_{name}[XEN_RELEASES][GUEST_TYPES]", [
            "{" + ", ".join(c_words(table.offered(which, guest, release)) for guest in range(len(GUESTS))) + "}"
            for release in every], 1)
    out.write("\n".join(lines))


def guest_names(mask):
    return [name for i, name in enumerate(GUESTS) if mask >> i & 1]


def write_json(table, out):
    direct, xen = {}, {}
    for _, name, prerequisite in table.needs:
        direct.setdefault(name, []).append(spoken(prerequisite))
    for _, name, prerequisite in table.xen_needs:
        xen.setdefault(name, []).append(spoken(prerequisite))
    json.dump({
        "releases": RELEASES,
        "words": [{"name": name, "location": location, "leaf": leaf, "subleaf": subleaf,
                   "msr": msr, "register": ["eax", "ebx", "ecx", "edx"][register]}
                  for name, location, leaf, subleaf, msr, register in WORDS],
        "features": [{"name": spoken(f.name), "identifier": f.name, "word": f.word, "bit": f.bit,
                      "location": f.location(), "merge": f.merge.lower(), "guests": f.letter,
                      "guests_max": guest_names(f.guests_max),
                      "guests_default": guest_names(f.guests_default),
                      "needs": direct.get(f.name, []), "xen_needs": xen.get(f.name, []),
                      "protects": f.name in table.protects,
                      "since": None if f.first() == NEVER else RELEASES[f.first()],
                      "guests_since": {RELEASES[r]: letter for r, letter in f.letters.items()},
                      "spelled": {RELEASES[f.spelled[0]]: f.spelled[1]} if f.spelled else {},
                      "accumulates_since": None if f.accumulates is None else RELEASES[f.accumulates],
                      "description": f.description}
                     for f in table.in_order()],
        "fields": [{"name": spoken(f.name), "identifier": f.name, "word": f.word,
                    "shift": f.shift, "width": f.width, "description": f.description}
                   for f in table.fields.values()],
        "registers": [{"name": r.name, "msr": r.msr,
                       "bits": [{"shift": shift, "width": width,
                                 "features": [spoken(n) for n in names]}
                                for shift, width, names in r.rows]}
                      for r in table.registers.values()],
        "families": [{"leaf": leaf, "member": member, "subleaves": count}
                     for leaf, (member, count) in table.families.items()],
        "components": [{"name": spoken(name), "number": number,
                        "feature": spoken(feature) if feature else None}
                       for name, (number, feature) in table.components.items()],
        "leaves": [{"first": r.first, "last": r.last, "low": r.low, "high": r.high,
                    "registers": r.registers, "shift": r.shift, "width": r.width,
                    "vendors": r.vendors, "rule": r.rule.lower().replace("_", "-"),
                    "feature": spoken(r.feature) if r.feature else None, "why": r.why}
                   for r in table.leaves],
    }, out, indent=1)
    out.write("\n")


GUEST_TEXT = {"": "nobody", "A": "all", "S": "HVM", "H": "HVM with HAP",
              "a": "all, on request", "s": "HVM, on request", "h": "HVM with HAP, on request"}


def guests_text(feature):
    """Who gets it, and what changed since."""
    changes = [f"; {RELEASES[r]}: {GUEST_TEXT[letter]}" for r, letter in feature.letters.items()]
    named = f", as `{spoken(feature.spelled[1])}` since {RELEASES[feature.spelled[0]]}" if feature.spelled else ""
    return GUEST_TEXT[feature.letter] + "".join(changes) + named


def bit_range(shift, width):
    return str(shift) if width == 1 else f"{shift + width - 1}:{shift}"


def write_markdown(table, out):
    direct = {}
    for _, name, prerequisite in table.needs:
        direct.setdefault(name, []).append(f"`{spoken(prerequisite)}`")
    for _, name, prerequisite in table.xen_needs:
        direct.setdefault(name, []).append(f"`{spoken(prerequisite)}` (Xen)")
    lines = ["# Features", "",
             f"{len(table.features)} feature bits and {len(table.fields)} numbers, with "
             f"{len(table.needs)} rules on what needs what, and {len(table.xen_needs)} more that "
             "hypervisors alone have: real CPUs may break them, guests do not. This page is made from `features.def`.",
             "",
             "How a bit of several hosts becomes one of their level: a *capability* must be on "
             "every host; a *hazard* counts as soon as one host has it; what *accumulates* counts "
             "as soon as one host has it, where every host can give it to a guest; a *dynamic* bit "
             "follows run-time state and is not compared; a *mirror* is AMD's copy of another bit.", "",
             f"Who gets a bit: as in Xen {RELEASES[0]}; behind a later release, from it on (to {RELEASES[-1]}).",
             ""]
    for number, (word, location, *_) in enumerate(WORDS):
        features = [f for f in table.in_order() if f.word == number]
        fields = [f for f in table.fields.values() if f.word == number]
        if not features and not fields:
            continue
        lines += [f"## {location} (word {number}, `{word}`)", ""]
        if features:
            lines += ["| bit | name | what it is | guests | merge | needs |",
                      "| --: | --- | --- | --- | --- | --- |"]
        lines += [f"| {f.bit} | `{spoken(f.name)}` | {f.description} | {guests_text(f)} | "
                  f"{f.merge.lower()} | {', '.join(direct.get(f.name, []))} |" for f in features]
        lines += [""] if features else []
        if fields:
            lines += ["| bits | number | what it counts |", "| --: | --- | --- |"]
            lines += [f"| {bit_range(f.shift, f.width)} | `{spoken(f.name)}` | "
                      f"{f.description} |" for f in fields] + [""]
    lines += ["## Registers", "",
              "Bits that a vCPU's state may have when its policy has one of the features.", "",
              "| register | bits | features |", "| --- | --: | --- |"]
    lines += [f"| {r.name}{'' if r.msr is None else f' (MSR {r.msr:#x})'} | {bit_range(shift, width)} | "
              f"{', '.join(f'`{spoken(n)}`' for n in names) or 'always'} |"
              for r in table.registers.values() for shift, width, names in r.rows] + [""]
    lines += ["## Leaves", "", "What the audit does with every bit of every leaf.", ""]
    lines += leaf_table(table) + [""]
    out.write("\n".join(lines))


def leaf_table(table):
    """Rows for people: the specification has the same (tests/unit/test_spec.py)."""
    return ["| bits | vendors | rule | why |", "| --- | --- | --- | --- |"] + [
        f"| {r.place()} | {r.vendors} | {r.rule.lower().replace('_', ' ')}"
        f"{f', with `{spoken(r.feature)}`' if r.feature else ''} | {r.why} |" for r in table.leaves]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table")
    parser.add_argument("c_files", nargs="*", metavar="OUT.h OUT.c")
    parser.add_argument("--releases", metavar="OUT.c")
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    options = parser.parse_args()
    if len(options.c_files) not in (0, 2):
        parser.error("a header and a source, or neither")
    try:
        table = Table(options.table)
    except (TableError, OSError, UnicodeDecodeError) as error:
        sys.exit(str(error))

    def write(path, writer, *arguments):
        with open(path, "w", encoding="ascii") as out:
            writer(table, *arguments, out)

    if options.c_files:
        write(options.c_files[0], write_header, options.table)
        write(options.c_files[1], write_source, options.table, options.c_files[0])
    if options.releases:
        write(options.releases, write_releases, options.table)
    if options.json:
        write(options.json, write_json)
    if options.markdown:
        write(options.markdown, write_markdown)


if __name__ == "__main__":
    main()
