# SPDX-License-Identifier: MIT
"""Run the verifier over bytes."""

import os
import tempfile
import threading

from migration.source import Source
from migration.verify import Verification


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
