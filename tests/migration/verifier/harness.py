# SPDX-License-Identifier: MIT
"""Run the verifier over bytes."""

import os
import tempfile
import threading

from migration import pv
from migration.source import Source
from migration.verify import Verification
from streambuilder import VCPU_BASIC


def verify(data, pipe=False, **options):
    """The Verification of bytes, from a file or through a pipe."""
    if not pipe:
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            file.seek(0)
            return Verification(Source(file.fileno()), **options).run()
    reader, writer = os.pipe()

    def feed():
        try:
            with os.fdopen(writer, "wb") as out:
                out.write(data)
        except BrokenPipeError:
            pass

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        return Verification(Source(reader), **options).run()
    finally:
        os.close(reader)
        thread.join()


def found(v):
    """[(code, offset, layer, record, section)] of its problems."""
    return [(p.code, p.offset, p.layer, p.record, p.section) for p in v.report.problems]


def lines(v):
    return "\n".join(p.line() for p in v.report.problems) or v.report.unusable or "valid"


def problems(s, **options):
    """[(code, offset, record)] of a Stream's problems."""
    return [(code, offset, record) for code, offset, _, record, _ in found(verify(s.raw(), **options))]


def missing(v):
    """What a Verification says is missing."""
    return [p.text for p in v.report.problems if p.code == "missing"]


def pv_registers(s, offset, value, layout=pv.LAYOUTS[8]):
    """Set one; returns what a case does."""
    s.find(VCPU_BASIC).set(8 + offset, "<Q" if layout.word == 8 else "<I", value)
    return s.index(VCPU_BASIC), 16 + offset
