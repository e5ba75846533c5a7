# SPDX-License-Identifier: MIT
"""The command line of verify-stream."""

import argparse
import os
import sys

from . import output
from .errors import Unusable
from .source import Source
from .text import text_safe
from .verify import FORMATS, Verification, unreadable

VALID, INVALID, USELESS = 0, 1, 2

ABOUT = """\
Is this a migration stream that a host can take?  Looks at images of `xl save`, at libxl's and at libxc's streams,
from Xen 4.6 to today's: every record, and what is in them: a CPU policy that no CPU can have, state that the policy
does not cover, records that are missing or stand where they may not.  All problems are said, each with its offset, its
record and the paragraph of the specification (docs/specs/libxc-migration-stream)."""

EPILOG = """\
exit status: 0 valid (and can run on every --host); 1 not; 2 the input or the command line is of no use.
verify-stream(1) says all."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(USELESS, f"verify-stream: {text_safe(message)}\nTry 'verify-stream --help'.\n")


def parser():
    p = Parser(prog="verify-stream", description=ABOUT, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("stream", nargs="*", metavar="FILE", help="a stream; - or none: standard input")
    p.add_argument("-f", "--format", choices=FORMATS, help="what it begins with, where that is too damaged to see")
    p.add_argument("-H", "--host", action="append", default=[], metavar="FILE.xlp",
                   help="would the guest run on this host (captured by `xenlevel host`)? May be repeated")
    p.add_argument("-c", "--checksums", action="store_true",
                   help="read all page data and verify CHECKSUM records (always done on a pipe)")
    p.add_argument("-j", "--json", action="store_true", help="write JSON")
    p.add_argument("--junit", metavar="FILE", help="also write JUnit results there")
    p.add_argument("-q", "--quiet", action="store_true", help="say only what is wrong")
    p.add_argument("-a", "--all", action="store_true", help="print every problem, not the first 100")
    p.add_argument("--no-seek", action="store_true", help=argparse.SUPPRESS)
    return p


def verify_one(name, options, hosts):
    """The Verification of one input; OSError when it cannot be read."""
    fd = 0 if name == "-" else os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return Verification(Source(fd, not options.no_seek), options.format, hosts, options.checksums).run()
    finally:
        if fd:
            os.close(fd)


def load_hosts(paths):
    from . import xlp
    return [xlp.load_host(path) for path in paths]


def run(argv):
    options = parser().parse_args(argv)
    names = options.stream or ["-"]
    status, results = VALID, []
    if names.count("-") > 1:
        return complain("standard input can be read only once")
    for name in names:
        shown = "standard input" if name == "-" else name
        try:
            v = verify_one(name, options, load_hosts(options.host) if options.host else [])
        except OSError as error:
            why = error.strerror or str(error)
            status = complain(f"{shown}: {why}")
            results.append((shown, unreadable(why)))
            continue
        status = max(status, USELESS if v.report.unusable else VALID if v.report.valid else INVALID)
        results.append((shown, v))
        if not options.json and not (options.quiet and v.report.valid):
            stream = sys.stderr if v.report.unusable else sys.stdout
            output.print_text(v, shown, stream, options.quiet, limit=v.report.count if options.all else 100)
    if options.json:
        output.print_json([output.as_dict(v, shown) for shown, v in results], sys.stdout)
    if options.junit:
        try:
            output.write_junit(results, options.junit)
        except OSError as error:
            return complain(f"{options.junit}: {error.strerror}")
    return status


def complain(text):
    print(f"verify-stream: {text_safe(str(text))}", file=sys.stderr)
    return USELESS


def main(argv=None):
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = run(argv)
        sys.stdout.flush()
    except Unusable as error:
        return complain(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return USELESS
    except KeyboardInterrupt:
        return 130
    return status
