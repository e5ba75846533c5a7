# SPDX-License-Identifier: MIT
"""What is found in a stream: problems, remarks, and what the stream is."""

KEPT = 5000         # problems kept; the rest are counted
ALIKE = 8           # of one kind in one record; one more line says how many others there are


class Problem:
    """One broken rule, and where."""

    __slots__ = ("code", "offset", "layer", "record", "type", "section", "text")

    def __init__(self, code, offset, layer, record, type_, section, text):
        self.code = code            # short and stable, for programs
        self.offset = offset        # of the offending bytes, from the beginning of the input
        self.layer = layer          # "xl", "libxl", "libxc", or "input"
        self.record = record        # counted from 0 within the layer; None in a header
        self.type = type_           # the record's name; None in a header, the stream's or its own
        self.section = section      # of the specification
        self.text = text

    def where(self):
        if self.record is None:
            return f"offset {self.offset}, {self.layer}"
        return f"offset {self.offset}, {self.layer} record {self.record}" + (f" ({self.type})" if self.type else "")

    def line(self):
        return f"{self.where()}: {self.text} (§ {self.section})"

    def as_dict(self):
        return {name: getattr(self, name) for name in self.__slots__}


class Report:
    """Collects. The place is set once for each record, and every finding in it carries it."""

    def __init__(self):
        self.problems, self.notes = [], []
        self.count = 0          # of all problems, kept or not
        self.unusable = None    # why the input cannot be looked at
        self._alike = {}        # code: how many of it in this record, and the first that was not said
        self.place("input", None, None)

    def place(self, layer, record, type_):
        self.close_place()
        self.layer, self.record, self.type = layer, record, type_

    def close_place(self):
        """Say how many there were of what was not said one by one."""
        for code, (n, unsaid) in self._alike.items():
            if n > ALIKE:
                self._keep(code, unsaid.offset, unsaid.section, f"and {n - ALIKE} more of the same kind in this record", n - ALIKE)
        self._alike = {}

    def _keep(self, code, offset, section, text, count=1):
        self.count += count
        if len(self.problems) < KEPT:
            self.problems.append(Problem(code, offset, self.layer, self.record, self.type, section, text))

    def problem(self, code, offset, section, text, each=False):
        """`each`: every one is said, however many are alike; for what is bounded anyway."""
        if each:
            self._keep(code, offset, section, text)
            return
        n, unsaid = self._alike.get(code, (0, None))
        if n < ALIKE:
            self._keep(code, offset, section, text)
        elif n == ALIKE:
            unsaid = Problem(code, offset, self.layer, self.record, self.type, section, text)
        self._alike[code] = (n + 1, unsaid)

    def note(self, text):
        if text not in self.notes and len(self.notes) < 100:
            self.notes.append(text)

    @property
    def valid(self):
        return not self.count and self.unusable is None
