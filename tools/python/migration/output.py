# SPDX-License-Identifier: MIT
"""What was found, for people, for programs, for CI."""

import json

from . import features, libxc, libxl
from .features import bits
from .report import KEPT
from .text import text_safe

LIBXL_PREFIX = "libxl "


def _size(n):
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            return f"{n} {unit}" if unit == "bytes" else f"{n:.1f} {unit}"
        n /= 1024


def _kind(v):
    if v.libxc is None or v.libxc.guest is None:
        return None
    stream, name = v.libxc, libxc.GUESTS.get(v.libxc.guest, f"type {v.libxc.guest}")
    if v.xl and v.xl.domain_type in ("pvh", "hvm", "pv"):
        name = v.xl.domain_type.upper()
    if stream.width:
        name += f", {stream.width * 8} bits"
    return name


def _records(types, name):
    return [{"type": name(kind), "count": n, "bytes": size} for kind, (n, size) in sorted(types.items())]


def _cpu(policy):
    if policy is None:
        return None
    family, model, stepping = policy.signature()
    table = features.table()
    # As `xenlevel` counts: not what is derived, or follows what the guest does.
    fs = policy.featureset() & ~table.numbers & ~table.merge.get("mirror", 0) & ~table.merge.get("dynamic", 0)
    names = [table.features[n].name if n in table.features else table.location(n) for n in bits(fs)]
    return {"vendor": policy.vendor_text(), "brand": policy.brand(), "family": family, "model": model, "stepping": stepping,
            "leaves": len(policy.entry), "xstate_components": list(bits(policy.xcr0)), "physical_address_bits":
            policy.physaddr_bits, "features": names}


# ---- for programs ----

def as_dict(v, name):
    """Everything, for --json; its keys are described in verify-stream(1)."""
    report, stream = v.report, v.libxc
    out = {"input": name, "valid": report.valid, "usable": report.unusable is None, "reason": report.unusable,
           "format": v.format, "bytes": v.source.offset, "problems_found": report.count,
           "problems": [p.as_dict() for p in report.problems], "notes": report.notes}
    if v.xl:
        out["domain"] = {"name": v.xl.name, "type": v.xl.domain_type}
    if v.libxl:
        out["libxl"] = {"records": _records(v.libxl.types, libxl.record_name), "emulators": v.libxl.emulators}
    if stream is not None and stream.version is not None:
        out["libxc"] = {
            "version": stream.version, "guest": libxc.GUESTS.get(stream.guest), "xen": list(stream.xen or ()),
            "guest_width": stream.width, "last_frame": stream.end_pfn, "records": _records(stream.types, libxc.record_name),
            "pages": stream.pages.as_dict(), "pages_with_data": stream.pages.with_data, "checkpoints": stream.checkpoints,
            "hvm_entries": stream.hvm_entries, "tsc": stream.tsc,
            "checksums": {"records": stream.checksum_records, "verified": bool(stream.checksums and stream.checksum_records)},
            "cpu": _cpu(stream.policy)}
    if v.hosts:
        out["hosts"] = [{"name": h.name, "cpu": h.cpu, "can_run": h.can_run,
                         "faults": [{"kind": kind, "text": text} for kind, text in h.faults],
                         "unknown": [{"kind": kind, "text": text} for kind, text in h.doubts]} for h in v.hosts]
    return out


def print_json(results, out):
    json.dump(results, out, indent=2)
    out.write("\n")


# ---- for CI ----

def _clean(text):
    """What XML 1.0 can hold, and a terminal only shows."""
    return "".join(c if c not in "\ufffe\uffff" else "?" for c in text_safe(text))


def write_junit(results, path):
    """One suite an input; one case a paragraph of the specification that was looked at, failed by each problem with it."""
    from xml.sax.saxutils import escape, quoteattr
    from .outfile import write_file
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for name, v in results:
        cases = {}
        for section in _looked_at(v):
            cases[section] = []
        for problem in v.report.problems:
            cases.setdefault(problem.section, []).append(problem)
        errors = 1 if v.report.unusable else 0
        failures = sum(1 for problems in cases.values() if problems)
        lines.append(f"<testsuite name={quoteattr(_clean('verify-stream ' + name))} tests=\"{len(cases) + errors}\" "
                     f"failures=\"{failures}\" errors=\"{errors}\">")
        if errors:
            lines.append(f"<testcase classname=\"verify-stream\" name=\"the input can be used\"><error message="
                         f"{quoteattr(_clean(v.report.unusable))}/></testcase>")
        for section, problems in cases.items():
            lines.append(f"<testcase classname={quoteattr(_clean(name))} name={quoteattr(_clean(section))}>")
            if problems:
                text = "\n".join(_clean(p.line()) for p in problems)
                message = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
                lines.append(f"<failure message=\"{message}\">{escape(text)}</failure>")
            lines.append("</testcase>")
        lines.append("</testsuite>")
    lines.append("</testsuites>")
    write_file(path, ("\n".join(lines) + "\n").encode())


def _looked_at(v):
    """The paragraphs that this stream is subject to."""
    found = ["xl header"] if v.xl else []
    if v.libxl:
        found += ["libxl header", "libxl records"]
        found += [LIBXL_PREFIX + "END" if kind == libxl.END else libxl.NAMES[kind]
                  for kind in sorted(v.libxl.types) if kind in libxl.NAMES]
    if v.libxc:
        found += ["Image header", "Domain header", "Records", "Order of records"]
        found += [libxc.NAMES[kind] for kind in sorted(v.libxc.types) if kind in libxc.NAMES]
        if v.libxc.policy is not None:
            found.append("A CPU that can exist")
    if v.hosts:
        found.append("The audit")
    return found


# ---- for people ----

def _feature_summary(names):
    """The ones by which people know CPUs, and how many there are."""
    known = ["sse4-2", "aesni", "avx", "avx2", "fma", "bmi2", "rdrand", "avx512f", "amx-tile", "sha", "pku", "xsaves",
             "arch-caps", "ibrsb", "ibpb"]
    have = [name for name in known if name in names]
    return f"{len(names)} features" + (f", among them {' '.join(have)}" if have else "")


def _summary(v):
    stream = v.libxc
    lines = []
    if v.xl and v.xl.name:
        lines.append(("domain", v.xl.name[:200]))
    kind = _kind(v)
    if kind:
        lines.append(("guest", kind))
    if stream is not None and stream.version is not None:
        xen = f", from Xen {stream.xen[0]}.{stream.xen[1]}" if stream.xen and stream.xen[0] else ""
        lines.append(("stream", f"version {stream.version}, {v.format} format{xen}"))
        if stream.policy is not None:
            cpu = _cpu(stream.policy)
            lines.append(("CPU", f"{cpu['brand'] or cpu['vendor']} (family {cpu['family']:#x}, model {cpu['model']:#x}, stepping "
                                 f"{cpu['stepping']})"))
            lines.append(("", _feature_summary(cpu["features"])))
        pages = stream.pages
        types = ", ".join(f"{n} {name}" for name, n in pages.as_dict().items() if name != "NOTAB")
        lines.append(("memory", f"{pages.with_data} pages with data ({_size(pages.with_data * 4096)})"
                                + (f"; {types}" if types else "")))
        if stream.checkpoints:
            lines.append(("checkpoints", str(stream.checkpoints)))
        if stream.checksum_records:
            how = "verified" if stream.checksums else "lengths only: --checksums reads all data"
            lines.append(("checksums", f"{stream.checksum_records} records, {how}"))
        for what, (kind, (n, size)) in zip(["records", *[""] * 40], sorted(stream.types.items())):
            lines.append((what, f"{n:6} {libxc.record_name(kind):24}{_size(size) if size else ''}".rstrip()))
    if v.libxl and v.libxl.emulators:
        lines.append(("emulators", ", ".join(f"{e['record']} of {e['emulator']} {e['index']}" for e in v.libxl.emulators[:20])))
    lines.append(("size", f"{v.source.offset} bytes ({_size(v.source.offset)})"))
    return lines


def print_text(v, name, out, quiet=False, limit=100):
    report = v.report

    def say(text):
        out.write(text_safe(text) + "\n")

    if report.unusable:
        say(f"{name}: {report.unusable}")
        return
    if report.valid:
        verdict = "valid"
    else:
        verdict = f"not valid: {report.count} problem{'s' if report.count != 1 else ''}"
    say(f"{name}: {verdict}")
    for problem in report.problems[:limit]:
        say(f"  {problem.line()}")
    if len(report.problems) > limit:
        say(f"  and {report.count - limit} more (--all prints them)")
    elif len(report.problems) == KEPT:
        say(f"  (only the first {KEPT} are kept)")
    if quiet:
        return
    for note in report.notes:
        say(f"  note: {note}")
    for host in v.hosts:
        can = "can run" if host.can_run else "cannot run" if host.faults else "nobody can say whether it can run"
        say(f"  {can} on {host.name[:200]}" + (f" ({host.cpu[:200]})" if host.cpu else ""))
    for what, text in _summary(v):
        say(f"  {what:12}{text}")
