# SPDX-License-Identifier: MIT
"""The table of features (features.def) as the build's generator writes it for other languages: features.json."""

import os

from . import tables

FOLDER = os.path.join("xen", "arch", "x86", "cpuid-policy")


class Feature:
    __slots__ = ("number", "name", "identifier", "location", "merge", "needs", "xen_needs", "description")

    def __init__(self, row):
        self.number = row["word"] * 32 + row["bit"]
        self.name, self.identifier, self.location = row["name"], row["identifier"], row["location"]
        self.merge, self.needs, self.description = row["merge"], row["needs"], row["description"]
        self.xen_needs = row["xen_needs"]


class Table:
    """Words, features and number fields. A featureset is one integer: bit word * 32 + bit."""

    def __init__(self, data):
        self.words = data["words"]
        self.features = {f.number: f for f in map(Feature, data["features"])}
        self.by_name = {f.name: f for f in self.features.values()}
        self.fields = data["fields"]
        self.registers = {r["name"]: r for r in data["registers"]}
        self.register_of_msr = {r["msr"]: r["name"] for r in data["registers"] if r["msr"] is not None}
        # Which feature a component of the XSAVE area stands and falls with.
        self.component_feature = {c["number"]: c["feature"] for c in data["components"] if c["feature"]}
        self.leaves = {}        # leaf -> its rows, in order
        for row in data["leaves"]:
            for leaf in range(row["first"], row["last"] + 1):
                self.leaves.setdefault(leaf, []).append(row)
        self.merge = {}
        for f in self.features.values():
            self.merge[f.merge] = self.merge.get(f.merge, 0) | 1 << f.number
        self.numbers = 0
        for field in self.fields:
            self.numbers |= ((1 << field["width"]) - 1) << field["word"] * 32 + field["shift"]
        self._closures, self._guest_closures = {}, {}
        # (feature, prerequisite): rules that are a hypervisor's only, in the order of features.
        self.xen_needs = [(f.number, self.by_name[name].number) for _, f in sorted(self.features.items())
                          for name in f.xen_needs]

    def number(self, name):
        return self.by_name[name].number

    def needs(self, number):
        """Everything that a feature stands on, as a featureset. The generator vouches that there is no cycle."""
        if number not in self._closures:
            feature, closure = self.features.get(number), 0
            for name in feature.needs if feature else ():
                other = self.number(name)
                closure |= 1 << other | self.needs(other)
            self._closures[number] = closure
        return self._closures[number]

    def guest_needs(self, number):
        """The same for a guest, by a hypervisor's own rules too."""
        if number not in self._guest_closures:
            feature, closure = self.features.get(number), 0
            for name in feature.needs + feature.xen_needs if feature else ():
                other = self.number(name)
                closure |= 1 << other | self.guest_needs(other)
            self._guest_closures[number] = closure
        return self._guest_closures[number]

    def location(self, number):
        return f"{self.words[number // 32]['location']}[{number % 32}]"

    def text(self, number):
        feature = self.features.get(number)
        if not feature:
            return f"(no name)  {self.location(number)}"
        return f"{feature.name}  {feature.location}  {feature.description}"


_TABLE = []


def table():
    """The table, read once."""
    if not _TABLE:
        _TABLE.append(Table(tables.load("features", FOLDER, os.environ.get("XENLEVEL_FEATURES"))))
    return _TABLE[0]


def bits(featureset):
    """The numbers of the features in a featureset, ascending."""
    while featureset:
        lowest = featureset & -featureset
        yield lowest.bit_length() - 1
        featureset ^= lowest
