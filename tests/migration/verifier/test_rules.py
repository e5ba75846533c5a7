# SPDX-License-Identifier: MIT
"""Every rule, broken once: exactly that problem, at that offset, in that record, with that paragraph."""

import struct
import zlib

import pytest

import streambuilder
from harness import found, lines, verify
from migration import hvm, libxc, libxl, pv, xstate
from migration.libxc import (CHECKPOINT, CHECKSUM, CPUID_POLICY, DIRTY_PFN_LIST, END, HVM_CONTEXT, HVM_PARAMS, MSR_POLICY,
                             P2M_FRAMES, PAGE_DATA, PV_INFO, SHARED_INFO, STATIC_DATA_END, TOOLSTACK, TSC_INFO, VCPU_BASIC,
                             VCPU_EXTENDED, VCPU_MSRS, VCPU_XSAVE, VERIFY)
from streambuilder import Record, STREAMS_OF, hvm_context, hvm_entries, page_data

CASES = []
ORDER = "Order of records"


def case(guest, code, section, **options):
    """Register a function that breaks a stream and returns (part, offset in it)."""
    def register(function):
        CASES.append(pytest.param(guest, code, section, options, function, id=function.__name__))
        return function
    return register


@pytest.mark.parametrize("guest, code, section, options, break_it", CASES)
def check_rule(guest, code, section, options, break_it):
    stream = STREAMS_OF[guest](options.get("version", 3), options.get("layer", "libxc"))
    assert verify(stream.raw()).report.valid
    if options.get("checksums"):
        stream.checksummed()
    part, inside = break_it(stream)
    offset = stream.at(part) + inside
    if isinstance(part, int):
        layer, record = "libxc", part
    elif isinstance(part, tuple):
        layer, record = "libxl", part[1] + (len(stream.before) if part[0] == "after" else 0)
    else:
        layer, record = {"image": "libxc", "domain": "libxc", "trailing": "input"}.get(part, part), None
    layer, record = options.get("place", (layer, record))
    expected = [(code, offset, layer, record, section)]
    for pipe in (False, True):
        v = verify(stream.raw(), pipe=pipe)
        assert found(v) == expected, lines(v)


# ---- xl ----

@case("hvm", "magic", "xl header", layer="xl")
def xl_magic(s):
    s.xl[5] ^= 1
    return "xl", 5


@case("hvm", "flags", "xl header", layer="xl")
def xl_mandatory_flags(s):
    struct.pack_into("<I", s.xl, 36, 0x13)
    return "xl", 36


@case("hvm", "flags", "xl header", layer="xl")
def xl_optional_flags(s):
    struct.pack_into("<I", s.xl, 40, 1)
    return "xl", 40


@case("hvm", "config", "xl header", layer="xl")
def xl_config_longer_than_its_room(s):
    size = struct.unpack_from("<I", s.xl, 44)[0]
    struct.pack_into("<I", s.xl, 48, size)
    return "xl", 48


@case("hvm", "config", "xl header", layer="xl")
def xl_config_not_json(s):
    s.xl[52] = ord("[")
    return "xl", 52


@case("hvm", "config", "xl header", layer="xl")
def xl_optional_data_too_short(s):
    del s.xl[50:]
    struct.pack_into("<I", s.xl, 44, 2)
    return "xl", 44


@case("hvm", "endian", "xl header", layer="xl")
def xl_byte_order(s):
    struct.pack_into(">I", s.xl, 32, 0x01020304)
    return "xl", 32


# ---- libxl ----

def head_checksummed(s):
    """HEAD_CHECKSUM behind libxc's stream; its body's offset."""
    head = s.raw()[:s.at("image")]
    s.after.insert(0, streambuilder.Record(libxl.HEAD_CHECKSUM, struct.pack("<IIQ", 1, zlib.crc32(head), len(head))))
    return s.at(("after", 0)) + 8


@pytest.mark.parametrize("layer", ["libxl", "xl"])
def test_head_checksum(layer):
    s = streambuilder.hvm_stream(layer=layer)
    head_checksummed(s)
    for pipe in (False, True):
        assert found(verify(s.raw(), pipe)) == [], lines(verify(s.raw(), pipe))
    at = s.at(("after", 0)) + 8
    data = bytearray(s.raw())
    for offset, code in ((0, "checksum-algorithm"), (4, "checksum"), (8, "checksum-bytes")):
        data[at + offset] ^= 2
        assert [(p[0], p[1], p[4]) for p in found(verify(bytes(data)))] == [(code, at + offset, "HEAD_CHECKSUM")]
        data[at + offset] ^= 2
    if layer == "xl":
        data[s.at("libxl") - 3] ^= 1        # in its configuration
        assert ("checksum", at + 4) in [p[:2] for p in found(verify(bytes(data)))]
    s.after.insert(0, streambuilder.Record(libxl.HEAD_CHECKSUM, bytes(8)))
    assert {"length", "twice"} <= {p[0] for p in found(verify(s.raw()))}


@case("hvm", "ident", "libxl header", layer="libxl", place=("libxl", None))
def libxl_ident(s):
    s.libxl[1] ^= 1
    return "libxl", 0


@case("hvm", "version", "libxl header", layer="libxl")
def libxl_version(s):
    struct.pack_into(">I", s.libxl, 8, 3)
    return "libxl", 8


@case("hvm", "reserved", "libxl header", layer="libxl")
def libxl_reserved(s):
    struct.pack_into(">I", s.libxl, 12, 4)
    return "libxl", 12


@case("hvm", "endian", "libxl header", layer="libxl")
def libxl_big_endian(s):
    struct.pack_into(">I", s.libxl, 12, 1)
    return "libxl", 12


@case("hvm", "length", "LIBXC_CONTEXT", layer="libxl")
def libxl_context_with_body(s):
    s.before[0].body += bytes(8)
    return ("before", 0), 4


@case("hvm", "order", "libxl records", layer="libxl")
def libxl_emulator_before_context(s):
    s.before.insert(0, Record(libxl.XENSTORE_DATA, struct.pack("<II", 2, 0)))
    return ("before", 0), 0


@case("hvm", "unknown-record", "libxl records", layer="libxl")
def libxl_unknown(s):
    s.after.insert(0, Record(77, bytes(16)))
    return ("after", 0), 0


@case("hvm", "padding", "libxl records", layer="libxl")
def libxl_padding(s):
    s.after.insert(0, Record(libxl.EMULATOR_CONTEXT, struct.pack("<II", 2, 0) + b"QEVM\0\0\0\3state", padding=b"\0\0\1"))
    return ("after", 0), 8 + 21


@case("hvm", "emulator", "EMULATOR_CONTEXT", layer="libxl")
def libxl_emulator_unknown(s):
    s.after.insert(0, Record(libxl.EMULATOR_CONTEXT, struct.pack("<II", 9, 0) + bytes(8)))
    return ("after", 0), 8


@case("hvm", "emulator-context", "EMULATOR_CONTEXT", layer="libxl")
def libxl_emulator_magic(s):
    s.after.insert(0, Record(libxl.EMULATOR_CONTEXT, struct.pack("<II", 2, 0) + b"QEVN\0\0\0\3" + bytes(80)))
    return ("after", 0), 16


@case("hvm", "emulator-context", "EMULATOR_CONTEXT", layer="libxl")
def libxl_emulator_version(s):
    s.after.insert(0, Record(libxl.EMULATOR_CONTEXT, struct.pack("<II", 2, 0) + b"QEVM\0\0\0\2" + bytes(80)))
    return ("after", 0), 16


@case("hvm", "emulator-context", "EMULATOR_CONTEXT", layer="libxl")
def libxl_emulator_cut(s):
    s.after.insert(0, Record(libxl.EMULATOR_CONTEXT, struct.pack("<II", 2, 0) + b"QEVM"))
    return ("after", 0), 16


@case("hvm", "length", "EMULATOR_CONTEXT", layer="libxl")
def libxl_emulator_short(s):
    s.after.insert(0, Record(libxl.EMULATOR_CONTEXT, bytes(4)))
    return ("after", 0), 4


@case("hvm", "length", "EMULATOR_CONTEXT", layer="libxl")
def libxl_emulator_empty(s):
    s.after.insert(0, Record(libxl.EMULATOR_CONTEXT, struct.pack("<II", 2, 0)))
    return ("after", 0), 4


@case("hvm", "length", "EMULATOR_XENSTORE_DATA", layer="libxl")
def libxl_xenstore_short(s):
    s.after.insert(0, Record(libxl.XENSTORE_DATA, bytes(4)))
    return ("after", 0), 4


@case("hvm", "xenstore", "EMULATOR_XENSTORE_DATA", layer="libxl")
def libxl_xenstore_unterminated(s):
    s.after.insert(0, Record(libxl.XENSTORE_DATA, struct.pack("<II", 2, 0) + b"key\0value"))
    return ("after", 0), 8 + 8 + 8


@case("hvm", "xenstore", "EMULATOR_XENSTORE_DATA", layer="libxl")
def libxl_xenstore_odd(s):
    s.after.insert(0, Record(libxl.XENSTORE_DATA, struct.pack("<II", 2, 0) + b"key\0value\0other\0"))
    return ("after", 0), 16


@case("hvm", "xenstore", "EMULATOR_XENSTORE_DATA", layer="libxl")
def libxl_xenstore_key(s):
    s.after.insert(0, Record(libxl.XENSTORE_DATA, struct.pack("<II", 2, 0) + b"key\0value\0o her\0x\0"))
    return ("after", 0), 16 + 10


@case("hvm", "length", "EMULATOR_XENSTORE_DATA", layer="libxl")
def libxl_xenstore_long(s):
    s.after.insert(0, Record(libxl.XENSTORE_DATA, struct.pack("<II", 2, 0) + b"key\0value\0" * 150000))
    return ("after", 0), 4


@case("hvm", "order", "libxl records", layer="libxl")
def libxl_checkpoint_end_without_checkpoint(s):
    s.after.insert(0, Record(libxl.CHECKPOINT_END))
    return ("after", 0), 0


@case("hvm", "no-end", "libxl END", layer="libxl", place=("libxl", None))
def libxl_no_end(s):
    del s.after[0]
    return "trailing", 0


@case("hvm", "length", "libxl END", layer="libxl")
def libxl_end_with_body(s):
    s.after[0].body += bytes(8)
    return ("after", 0), 4


@case("hvm", "trailing", "END", layer="libxl", place=("input", None))
def libxl_trailing(s):
    s.trailing = b"more"
    return "trailing", 0


# ---- headers ----

@case("hvm", "marker", "Image header")
def marker(s):
    s.image[3] = 0
    return "image", 0


@case("hvm", "ident", "Image header")
def ident(s):
    s.image[9] ^= 0x20
    return "image", 8


@case("hvm", "version", "Image header")
def version(s):
    struct.pack_into(">I", s.image, 12, 4)
    return "image", 12


@case("hvm", "reserved", "Image header")
def image_options(s):
    struct.pack_into(">H", s.image, 16, 2)
    return "image", 16


@case("hvm", "reserved", "Image header")
def image_reserved(s):
    s.image[23] = 1
    return "image", 16


@case("hvm", "endian", "Image header")
def big_endian(s):
    struct.pack_into(">H", s.image, 16, 1)
    return "image", 16


@case("hvm", "guest-type", "Domain header")
def guest_type(s):
    struct.pack_into("<I", s.domain, 0, 4)
    return "domain", 0


@case("hvm", "page-shift", "Domain header")
def page_shift(s):
    struct.pack_into("<H", s.domain, 4, 16)
    return "domain", 4


@case("hvm", "reserved", "Domain header")
def domain_reserved(s):
    struct.pack_into("<H", s.domain, 6, 1)
    return "domain", 6


# ---- records as such ----

@case("hvm", "unknown-record", "Records")
def unknown_record(s):
    return s.insert_before(TSC_INFO, Record(0x13, bytes(24))), 0


@case("hvm", "padding", "Records")
def padding(s):
    i = s.insert_before(TSC_INFO, Record(0x90000001, b"optional", padding=b""))
    s.records[i] = Record(0x90000001, b"odd", padding=b"\0\0\0\7\0")
    return i, 8 + 3


@case("hvm", "truncated", "Records")
def cut_in_a_body(s):
    i = s.index(HVM_CONTEXT)
    del s.records[i + 1:]
    s.records[i] = Record(HVM_CONTEXT, s.records[i].body[:-4], length=len(s.records[i].body), padding=b"")
    # Where the bytes end; what has been lost is the end of the last entry.
    return i, 8 + len(s.records[i].body)


@case("hvm", "length", "PAGE_DATA")
def page_data_with_half_a_page(s):
    s.find(PAGE_DATA).body += bytes(8)
    return s.index(PAGE_DATA), 4


@case("pv", "page-frame", "PAGE_DATA")
def page_frame_beyond_the_p2m_and_32_bits(s):
    s.find(PAGE_DATA).set(8 + 8 * 2, "<Q", 1 << 33 | 1 << 60)
    return s.index(PAGE_DATA), 16 + 8 * 2


@case("hvm", "page-frame", "PAGE_DATA")
def page_frame_first_too_high(s):
    s.find(PAGE_DATA).set(8 + 16, "<Q", (1 << 40) | 15 << 60)
    return s.index(PAGE_DATA), 16 + 16


@case("pv", "page-type", "PAGE_DATA")
def page_type_unknown_without_data(s):
    """Of a type that nobody knows nobody can say whether it has data; the last frame is the guest's."""
    s.find(PAGE_DATA).set(8 + 8 * 5, "<Q", 1023 | 6 << 60)
    return s.index(PAGE_DATA), 16 + 8 * 5


@case("hvm", "no-end", "END", place=("libxc", None))
def no_end(s):
    s.remove(END)
    return "trailing", 0


@case("hvm", "length", "END")
def end_with_body(s):
    s.find(END).body += bytes(8)
    return s.index(END), 4


@case("hvm", "trailing", "END", place=("input", None))
def trailing(s):
    s.trailing = b"\0"
    return "trailing", 0


# ---- order ----

@case("hvm", "order", ORDER)
def memory_before_static_data_end(s):
    i = s.insert_before(STATIC_DATA_END, Record(PAGE_DATA, page_data([(0, 77)])))
    return i, 0


@case("hvm", "missing", ORDER)
def static_data_end_missing(s):
    """Noticed where memory begins, and at END."""
    s.remove(STATIC_DATA_END)
    s.records.insert(0, Record(STATIC_DATA_END))
    policy, msrs = s.remove(CPUID_POLICY), s.remove(MSR_POLICY)
    assert (policy, msrs) == (1, 1)
    s.remove(TSC_INFO)
    return s.index(END), 0


@case("hvm", "twice", ORDER)
def static_data_end_twice(s):
    return s.insert_before(TSC_INFO, Record(STATIC_DATA_END)), 0


@case("hvm", "length", "STATIC_DATA_END")
def static_data_end_with_body(s):
    s.find(STATIC_DATA_END).body += bytes(16)
    return s.index(STATIC_DATA_END), 4


@case("hvm", "version", "X86_CPUID_POLICY", version=2)
def policy_in_version_2(s):
    s.records.insert(0, Record(CPUID_POLICY, streambuilder.captured_records("pvh-cascadelake")[CPUID_POLICY]))
    return 0, 0


@case("hvm", "version", "STATIC_DATA_END", version=2)
def static_data_end_in_version_2(s):
    s.records.insert(0, Record(STATIC_DATA_END))
    return 0, 0


@case("hvm", "twice", ORDER)
def tsc_info_twice(s):
    i = s.index(TSC_INFO)
    s.records.insert(i, Record(TSC_INFO, s.records[i].body))
    return i + 1, 0


@case("hvm", "twice", ORDER)
def hvm_params_twice(s):
    i = s.index(HVM_PARAMS)
    s.records.insert(i, Record(HVM_PARAMS, s.records[i].body))
    return i + 1, 0


@case("hvm", "guest-type", "SHARED_INFO")
def pv_record_in_hvm(s):
    return s.insert_before(TSC_INFO, Record(SHARED_INFO, bytes(4096))), 0


@case("pv", "guest-type", "HVM_PARAMS")
def hvm_record_in_pv(s):
    return s.insert_before(TSC_INFO, Record(HVM_PARAMS, struct.pack("<IIQQ", 1, 0, 1, 5))), 0


@case("hvm", "obsolete", "TOOLSTACK")
def toolstack(s):
    return s.insert_before(TSC_INFO, Record(TOOLSTACK, bytes(8))), 0


@case("hvm", "back-channel", "CHECKPOINT_DIRTY_PFN_LIST")
def dirty_pfn_list(s):
    return s.insert_before(TSC_INFO, Record(DIRTY_PFN_LIST, bytes(8))), 0


@case("hvm", "order", ORDER)
def verify_before_memory(s):
    return s.insert_before(PAGE_DATA, Record(VERIFY)), 0


@case("hvm", "length", "VERIFY")
def verify_with_body(s):
    return s.insert_before(TSC_INFO, Record(VERIFY, bytes(8))), 4


@case("pv", "order", ORDER)
def memory_before_p2m(s):
    p2m, memory = s.index(P2M_FRAMES), s.index(PAGE_DATA)
    s.records[p2m], s.records[memory] = s.records[memory], s.records[p2m]
    return p2m, 0


@case("pv", "order", ORDER)
def memory_after_vcpus(s):
    return s.insert_before(END, Record(PAGE_DATA, page_data([(0, 20)]))), 0


@case("pv", "missing", ORDER)
def no_shared_info(s):
    s.remove(SHARED_INFO)
    return s.index(END), 0


@case("pv", "missing", ORDER)
def no_tsc_info(s):
    s.remove(TSC_INFO)
    return s.index(END), 0


@case("hvm", "missing", ORDER)
def no_hvm_context(s):
    s.remove(HVM_CONTEXT)
    return s.index(END), 0


@case("pv", "missing", ORDER)
def vcpu_without_basic(s):
    i = s.index(VCPU_EXTENDED)
    s.records.insert(i, Record(VCPU_EXTENDED, struct.pack("<II", 3, 0) + bytes(64)))
    return s.index(END), 0


@case("pv", "twice", ORDER)
def vcpu_twice(s):
    i = s.index(VCPU_BASIC)
    s.records.insert(i, Record(VCPU_BASIC, s.records[i].body))
    return i + 1, 0


@case("hvm", "missing", ORDER)
def checkpoint_without_context(s):
    return s.insert_before(HVM_CONTEXT, Record(CHECKPOINT)), 0


# ---- the policy as arrays ----

@case("hvm", "length", "X86_CPUID_POLICY")
def cpuid_policy_length(s):
    s.find(CPUID_POLICY).body += bytes(8)
    return s.index(CPUID_POLICY), 4


@case("hvm", "length", "X86_MSR_POLICY")
def msr_policy_empty(s):
    s.find(MSR_POLICY).body.clear()
    body = s.find(CPUID_POLICY).body
    for at in range(0, len(body), 24):      # the MSR's bits stand on it
        if struct.unpack_from("<II", body, at) == (7, 0):
            struct.pack_into("<I", body, at + 20, struct.unpack_from("<I", body, at + 20)[0] & ~(1 << 29))
    return s.index(MSR_POLICY), 4


def leaf_at(s, leaf, subleaf=0xffffffff):
    body = s.find(CPUID_POLICY).body
    return next(at for at in range(0, len(body), 24) if struct.unpack_from("<II", body, at) == (leaf, subleaf))


@case("hvm", "policy-duplicate", "X86_CPUID_POLICY")
def leaf_twice(s):
    body, at = s.find(CPUID_POLICY).body, leaf_at(s, 1)
    body[at:at] = body[at:at + 24]
    return s.index(CPUID_POLICY), 8 + at + 24


@case("hvm", "policy-duplicate", "X86_MSR_POLICY")
def msr_twice(s):
    body = s.find(MSR_POLICY).body
    body[16:] = body[:16]
    return s.index(MSR_POLICY), 8 + 16


@case("hvm", "policy-unsorted", "X86_MSR_POLICY")
def msrs_unsorted(s):
    body = s.find(MSR_POLICY).body
    body[:] = body[16:] + body[:16]
    return s.index(MSR_POLICY), 8 + 16


@case("hvm", "policy-unsorted", "X86_CPUID_POLICY")
def leaves_unsorted(s):
    body, at = s.find(CPUID_POLICY).body, leaf_at(s, 1)
    body[at:at + 48] = body[at + 24:at + 48] + body[at:at + 24]
    return s.index(CPUID_POLICY), 8 + at + 24


@case("hvm", "policy-leaf-range", "X86_CPUID_POLICY")
def leaf_unknown(s):
    s.find(CPUID_POLICY).body += struct.pack("<6I", 0x80000100, 0xffffffff, 0, 0, 0, 0)
    return s.index(CPUID_POLICY), 8 + len(s.find(CPUID_POLICY).body) - 24


@case("hvm", "policy-subleaf-expected", "X86_CPUID_POLICY")
def subleaf_missing(s):
    at = leaf_at(s, 7, 0)
    s.find(CPUID_POLICY).set(at + 4, "<I", 0xffffffff)
    return s.index(CPUID_POLICY), 8 + at


@case("hvm", "policy-subleaf-unexpected", "X86_CPUID_POLICY")
def subleaf_too_many(s):
    at = leaf_at(s, 5)
    s.find(CPUID_POLICY).set(at + 4, "<I", 1)
    return s.index(CPUID_POLICY), 8 + at


@case("hvm", "policy-msr-range", "X86_MSR_POLICY")
def msr_unknown(s):
    s.find(MSR_POLICY).set(16, "<I", 0x10b)
    return s.index(MSR_POLICY), 8 + 16


@case("hvm", "policy-msr-flags", "X86_MSR_POLICY")
def msr_flags(s):
    s.find(MSR_POLICY).set(4, "<I", 1)
    return s.index(MSR_POLICY), 8


def test_policy_after_static_data_end():
    """What has come until there is not whole."""
    s = streambuilder.hvm_stream()
    i = s.index(STATIC_DATA_END)
    s.records[i - 1], s.records[i] = s.records[i], s.records[i - 1]
    policy = s.at(s.index(CPUID_POLICY)) + 8
    assert problems(s) == [("policy-incomplete", policy, i - 2), ("policy-incomplete", policy, i - 2), ("order", s.at(i), i)]


def without(s, leaf, subleaf=None):
    """Leave the leaf, or one subleaf, out of the policy; where the policy's record is."""
    body = s.find(CPUID_POLICY).body
    for at in reversed(range(0, len(body), 24)):
        found = struct.unpack_from("<II", body, at)
        if found[0] == leaf and subleaf in (None, found[1]):
            del body[at:at + 24]
    return s.index(CPUID_POLICY), 8


@pytest.mark.parametrize("leaf, subleaf, words", [
    (0, None, "leaf 0"), (1, None, "leaf 1"), (4, None, "leaf 4"), (4, 2, "leaf 4, subleaf 2"), (7, None, "leaf 7"),
    (0xd, None, "leaf D"), (0xd, 1, "leaf D, subleaf 1"), (0xd, 2, "leaf D, subleaf 2"),
    (0x80000001, None, "leaf 80000001"), (0x80000008, None, "leaf 80000008")])
def test_a_policy_that_does_not_name(leaf, subleaf, words):
    s = streambuilder.hvm_stream()
    before = len(s.find(CPUID_POLICY).body)
    without(s, leaf, subleaf)
    assert len(s.find(CPUID_POLICY).body) < before
    v = verify(s.raw())
    assert found(v)[0] == ("policy-incomplete", 48, "libxc", 0, "X86_CPUID_POLICY"), lines(v)
    assert v.report.problems[0].text.endswith(f"incomplete: {words} is not named")
    assert {p.code for p in v.report.problems} <= {"policy-incomplete", "xstate-policy", "state-policy", "xstate-size"}


def test_a_policy_of_one_leaf():
    s = streambuilder.hvm_stream()
    del s.find(CPUID_POLICY).body[24:]
    texts = [p.text for p in verify(s.raw()).report.problems if p.code == "policy-incomplete"]
    assert [t.rsplit(": ", 1)[1] for t in texts[:3]] == ["leaf 1 is not named", "leaf 2 is not named", "leaf 3 is not named"]
    assert texts[-1].endswith("leaf 80000000 is not named")


def test_a_policy_without_msrs_and_msrs_without_a_policy():
    s = streambuilder.hvm_stream()
    s.remove(MSR_POLICY)
    texts = [p.text for p in verify(s.raw()).report.problems if p.code == "policy-incomplete"]
    assert [t.rsplit(": ", 1)[1] for t in texts] == ["MSR CE is not named", "MSR 10A is not named"]
    s = streambuilder.hvm_stream()
    del s.find(MSR_POLICY).body[:16]
    texts = [p.text for p in verify(s.raw()).report.problems if p.code == "policy-incomplete"]
    assert [t.rsplit(": ", 1)[1] for t in texts] == ["MSR CE is not named"]
    s = streambuilder.hvm_stream()
    s.remove(CPUID_POLICY)
    assert found(verify(s.raw())) == [("policy-incomplete", 40, "libxc", 0, "X86_MSR_POLICY")]


# ---- a CPU that can exist (test_policy.py has the rest of its rules) ----

@case("hvm", "policy-vendor-unknown", "A CPU that can exist")
def vendor(s):
    at = leaf_at(s, 0)
    s.find(CPUID_POLICY).set(at + 12, "<I", 0x41414141)
    return s.index(CPUID_POLICY), 8 + at


@case("hvm", "policy-prerequisite", "A CPU that can exist")
def prerequisite(s):
    """POPCNT and all that stands on nothing stays; SSE4.2 loses SSE4.1."""
    at = leaf_at(s, 1)
    ecx, = struct.unpack_from("<I", s.find(CPUID_POLICY).body, at + 16)
    assert ecx >> 19 & 3 == 3
    s.find(CPUID_POLICY).set(at + 16, "<I", ecx & ~(1 << 19))
    return s.index(CPUID_POLICY), 8 + at


@case("hvm", "policy-xstate-total", "A CPU that can exist")
def xstate_total(s):
    at = leaf_at(s, 0xd, 0)
    s.find(CPUID_POLICY).set(at + 16, "<I", 4096)
    return s.index(CPUID_POLICY), 8 + at


@case("hvm", "policy-maxphysaddr", "A CPU that can exist")
def maxphysaddr(s):
    at = leaf_at(s, 0x80000008)
    s.find(CPUID_POLICY).set(at + 8, "<B", 60)
    return s.index(CPUID_POLICY), 8 + at


@case("hvm", "policy-msr-reserved", "A CPU that can exist")
def msr_reserved(s):
    s.find(MSR_POLICY).set(8, "<Q", 1)
    return s.index(MSR_POLICY), 8


# ---- memory ----

@case("hvm", "length", "PAGE_DATA")
def page_data_short(s):
    s.find(PAGE_DATA).body[4:] = b""
    return s.index(PAGE_DATA), 4


@case("hvm", "page-count", "PAGE_DATA")
def page_data_no_pages(s):
    s.find(PAGE_DATA, 1).body[:] = bytes(8)
    return s.index(PAGE_DATA, 1), 8


@case("hvm", "page-count", "PAGE_DATA")
def page_data_count_too_high(s):
    s.find(PAGE_DATA).set(0, "<I", 0x20000000)
    return s.index(PAGE_DATA), 8


@case("hvm", "reserved", "PAGE_DATA")
def page_data_reserved(s):
    s.find(PAGE_DATA).set(4, "<I", 1)
    return s.index(PAGE_DATA), 12


@case("hvm", "page-reserved", "PAGE_DATA")
def page_reserved_bits(s):
    s.find(PAGE_DATA).set(8 + 8 * 3, "<Q", 3 | 1 << 57)
    return s.index(PAGE_DATA), 16 + 8 * 3


@case("hvm", "page-reserved", "PAGE_DATA")
def page_reserved_bits_of_a_hole(s):
    s.find(PAGE_DATA).set(8 + 8 * 2, "<Q", 2 | 15 << 60 | 1 << 53)
    return s.index(PAGE_DATA), 16 + 8 * 2


@case("pv", "page-type", "PAGE_DATA")
def page_type_unknown(s):
    s.find(PAGE_DATA).set(8, "<Q", 6 | 5 << 60)
    return s.index(PAGE_DATA), 16


@case("hvm", "page-type", "PAGE_DATA")
def page_type_of_pv_in_hvm(s):
    s.find(PAGE_DATA).set(8, "<Q", 0 | 2 << 60)
    return s.index(PAGE_DATA), 16


@case("hvm", "length", "PAGE_DATA")
def page_missing(s):
    s.find(PAGE_DATA).body[-4096:] = b""
    return s.index(PAGE_DATA), 4


@case("hvm", "length", "PAGE_DATA")
def page_too_many(s):
    s.find(PAGE_DATA).body += bytes(4096)
    return s.index(PAGE_DATA), 4


@case("hvm", "page-frame", "PAGE_DATA")
def page_frame_too_high(s):
    s.find(PAGE_DATA).set(8, "<Q", 1 << 41)
    return s.index(PAGE_DATA), 16


@case("pv", "page-frame", "PAGE_DATA")
def page_frame_beyond_the_p2m(s):
    s.find(PAGE_DATA).set(8 + 8 * 2, "<Q", 1024 | 1 << 60)
    return s.index(PAGE_DATA), 16 + 8 * 2


# ---- PV ----

@case("pv", "length", "X86_PV_INFO")
def pv_info_length(s):
    s.find(PV_INFO).body += bytes(8)
    return s.index(PV_INFO), 4


@case("pv", "pv-info", "X86_PV_INFO")
def pv_info_combination(s):
    s.find(PV_INFO).body[1] = 3
    return s.index(PV_INFO), 8


@case("pv", "reserved", "X86_PV_INFO")
def pv_info_reserved(s):
    s.find(PV_INFO).body[5] = 1
    return s.index(PV_INFO), 10


@case("pv", "twice", ORDER)
def pv_info_twice(s):
    s.records.insert(1, Record(PV_INFO, s.records[0].body))
    return 1, 0


@case("pv", "p2m-range", "X86_PV_P2M_FRAMES")
def p2m_backwards(s):
    s.find(P2M_FRAMES).set(0, "<II", 1023, 512)
    return s.index(P2M_FRAMES), 8


@case("pv", "length", "X86_PV_P2M_FRAMES")
def p2m_too_few_frames(s):
    s.find(P2M_FRAMES).body[-8:] = b""
    return s.index(P2M_FRAMES), 4


@case("pv", "length", "X86_PV_P2M_FRAMES")
def p2m_short(s):
    """Without its range the frames cannot be bounded."""
    i = s.index(P2M_FRAMES)
    s.records.insert(i + 1, Record(P2M_FRAMES, bytes(4)))
    return i + 1, 4


@case("pv", "p2m-frame", "X86_PV_P2M_FRAMES")
def p2m_frame_beyond(s):
    s.find(P2M_FRAMES).set(16, "<Q", 1024)
    return s.index(P2M_FRAMES), 8 + 16


@case("pv", "length", "SHARED_INFO")
def shared_info_length(s):
    s.find(SHARED_INFO).body += bytes(8)
    return s.index(SHARED_INFO), 4


@case("pv", "length", "X86_PV_VCPU_BASIC")
def vcpu_basic_length(s):
    s.find(VCPU_BASIC).body += bytes(8)
    return s.index(VCPU_BASIC), 4


def pv_registers(s, offset, value, layout=pv.LAYOUTS[8]):
    """Set one; returns what a case does."""
    s.find(VCPU_BASIC).set(8 + offset, "<Q" if layout.word == 8 else "<I", value)
    return s.index(VCPU_BASIC), 16 + offset


@case("pv", "pv-frame", "X86_PV_VCPU_BASIC")
def vcpu_start_info(s):
    return pv_registers(s, 616, 1024)


@case("pv", "pv-frame", "X86_PV_VCPU_BASIC")
def vcpu_start_info_beyond_32_bits(s):
    return pv_registers(s, 616, 1 << 32)


@case("pv", "pv-frame", "X86_PV_VCPU_BASIC")
def vcpu_page_table(s):
    return pv_registers(s, 4984 + 24, 1024 << 12)


@case("pv", "pv-frame", "X86_PV_VCPU_BASIC")
def vcpu_user_page_table(s):
    return pv_registers(s, 4984 + 8, 1024 << 12 | 1)


@case("pv", "pv-user-table", "X86_PV_VCPU_BASIC")
def vcpu_user_page_table_without_its_bit(s):
    """As it was read from the hypervisor: a machine frame, maybe."""
    return pv_registers(s, 4984 + 8, 9 << 12)


@case("pv", "pv-frame", "X86_PV_VCPU_BASIC")
def vcpu_descriptor_tables(s):
    pv_registers(s, 4960, 513)
    pv_registers(s, 4832, 1023)
    pv_registers(s, 4832 + 16, 5000)        # of no meaning: 513 descriptors are in two frames
    return pv_registers(s, 4832 + 8, 1024)


@case("pv", "pv-gdt", "X86_PV_VCPU_BASIC")
def vcpu_descriptors(s):
    return pv_registers(s, 4960, 8193)


@case("pv", "reserved", "X86_PV_VCPU_BASIC")
def vcpu_reserved(s):
    s.find(VCPU_BASIC).set(4, "<I", 7)
    return s.index(VCPU_BASIC), 12


@case("pv", "vcpu", "X86_PV_VCPU_EXTENDED")
def vcpu_number(s):
    i = s.index(VCPU_EXTENDED)
    s.records.insert(i, Record(VCPU_EXTENDED, struct.pack("<II", 8192, 0) + bytes(64)))
    return i, 8


@case("pv", "length", "X86_PV_VCPU_EXTENDED")
def vcpu_extended_length(s):
    s.find(VCPU_EXTENDED).body += bytes(72)
    return s.index(VCPU_EXTENDED), 4


@case("pv", "length", "X86_PV_VCPU_EXTENDED")
def vcpu_without_header(s):
    i = s.index(VCPU_EXTENDED)
    s.records.insert(i, Record(VCPU_EXTENDED, bytes(4)))
    return i, 4


@case("pv", "state-policy", "X86_PV_VCPU_BASIC")
def vcpu_basic_cr4(s):
    s.find(VCPU_BASIC).set(8 + libxc.CR4_OF_CONTEXT, "<Q", 0x660 | 1 << 20)     # SMEP, and what is Xen's
    return s.index(VCPU_BASIC), 16 + libxc.CR4_OF_CONTEXT


@case("pv", "reserved", "X86_PV_VCPU_BASIC")
def vcpu_basic_cr4_bit(s):
    s.find(VCPU_BASIC).set(8 + libxc.CR4_OF_CONTEXT, "<Q", 1 << 63)
    return s.index(VCPU_BASIC), 16 + libxc.CR4_OF_CONTEXT


@case("pv", "state-policy", "X86_PV_VCPU_MSRS")
def vcpu_msrs_policy(s):
    s.find(VCPU_MSRS).set(16, "<Q", 5)
    return s.index(VCPU_MSRS), 8 + 16


@case("pv", "state-policy", "X86_PV_VCPU_MSRS")
def vcpu_msrs_faulting(s):
    s.find(VCPU_MSRS).set(8, "<IIQ", 0x140, 0, 1)       # no CPUID faulting in PLATFORM_INFO
    return s.index(VCPU_MSRS), 8 + 16


@case("pv", "length", "X86_PV_VCPU_MSRS")
def vcpu_msrs_length(s):
    s.find(VCPU_MSRS).body += bytes(8)
    return s.index(VCPU_MSRS), 4


@case("pv", "reserved", "X86_PV_VCPU_MSRS")
def vcpu_msrs_reserved(s):
    s.find(VCPU_MSRS).set(8 + 4, "<I", 1)
    return s.index(VCPU_MSRS), 8 + 12


@case("pv", "length", "X86_PV_VCPU_XSAVE")
def vcpu_xsave_short(s):
    s.find(VCPU_XSAVE).body[16:] = b""
    return s.index(VCPU_XSAVE), 4


@case("pv", "xstate-policy", "X86_PV_VCPU_XSAVE")
def vcpu_xsave_beyond_the_policy(s):
    s.find(VCPU_XSAVE).set(16, "<Q", 1 << 62 | 7)      # no AVX and no LWP there
    return s.index(VCPU_XSAVE), 8 + 16


@case("pv", "xstate-xcr0", "X86_PV_VCPU_XSAVE")
def vcpu_xsave_xcr0(s):
    s.find(VCPU_XSAVE).set(8, "<Q", 2)
    return s.index(VCPU_XSAVE), 8 + 8


@case("pv", "xstate-accumulated", "X86_PV_VCPU_XSAVE")
def vcpu_xsave_accumulated(s):
    s.find(VCPU_XSAVE).set(8, "<QQ", 3, 1)
    s.find(VCPU_XSAVE).set(24 + 512, "<Q", 1)
    return s.index(VCPU_XSAVE), 8 + 16


@case("pv", "xstate-bv", "X86_PV_VCPU_XSAVE")
def vcpu_xsave_bv(s):
    s.find(VCPU_XSAVE).set(24 + 512, "<Q", 1 << 9)
    return s.index(VCPU_XSAVE), 8 + 24 + 512


@case("pv", "xstate-compacted", "X86_PV_VCPU_XSAVE")
def vcpu_xsave_compacted(s):
    s.find(VCPU_XSAVE).set(24 + 520, "<Q", 1 << 63)
    return s.index(VCPU_XSAVE), 8 + 24 + 520


@case("pv", "reserved", "X86_PV_VCPU_XSAVE")
def vcpu_xsave_header_reserved(s):
    s.find(VCPU_XSAVE).body[24 + 540] = 1
    return s.index(VCPU_XSAVE), 8 + 24 + 528


@case("pv", "xstate-size", "X86_PV_VCPU_XSAVE")
def vcpu_xsave_size(s):
    s.find(VCPU_XSAVE).body += bytes(64)
    return s.index(VCPU_XSAVE), 4


# ---- TSC, parameters ----

@case("hvm", "length", "X86_TSC_INFO")
def tsc_length(s):
    s.find(TSC_INFO).body += bytes(8)
    return s.index(TSC_INFO), 4


@case("hvm", "tsc-mode", "X86_TSC_INFO")
def tsc_mode(s):
    s.find(TSC_INFO).set(0, "<I", 9)
    return s.index(TSC_INFO), 8


@case("hvm", "reserved", "X86_TSC_INFO")
def tsc_reserved(s):
    s.find(TSC_INFO).set(20, "<I", 9)
    return s.index(TSC_INFO), 8 + 20


@case("hvm", "length", "HVM_PARAMS")
def params_length(s):
    s.find(HVM_PARAMS).body += bytes(8)
    return s.index(HVM_PARAMS), 4


@case("hvm", "length", "HVM_PARAMS")
def params_short(s):
    s.find(HVM_PARAMS).body[4:] = b""
    return s.index(HVM_PARAMS), 4


@case("hvm", "reserved", "HVM_PARAMS")
def params_reserved(s):
    s.find(HVM_PARAMS).set(4, "<I", 1)
    return s.index(HVM_PARAMS), 12


@case("hvm", "hvm-param", "HVM_PARAMS")
def params_index(s):
    s.find(HVM_PARAMS).set(8 + 16, "<Q", 39)
    return s.index(HVM_PARAMS), 16 + 16


@case("hvm", "hvm-param", "HVM_PARAMS")
def params_index_twice(s):
    body = s.find(HVM_PARAMS).body
    body[8 + 16:8 + 32] = body[8:8 + 16]
    return s.index(HVM_PARAMS), 16 + 16


# ---- HVM context ----

def context_case(code, section="HVM_CONTEXT"):
    """The function gets the entries, and returns (entry, offset behind its descriptor)."""
    def register(function):
        def break_it(s):
            record = s.find(HVM_CONTEXT)
            entries = hvm_entries(record.body)
            entry, inside = function(entries)
            record.body[:] = hvm_context(entries)
            at = sum(8 + len(data) for _, _, data in entries[:entry])
            return s.index(HVM_CONTEXT), 8 + at + inside
        break_it.__name__ = function.__name__
        CASES.append(pytest.param("hvm", code, section, {}, break_it, id=function.__name__))
        return function
    return register


def entry_of(entries, typecode):
    return next(i for i, e in enumerate(entries) if e[0] == typecode)


@case("hvm", "length", "HVM_CONTEXT")
def context_empty(s):
    s.find(HVM_CONTEXT).body.clear()
    return s.index(HVM_CONTEXT), 4


@context_case("hvm-magic")
def context_magic(entries):
    entries[0][2][0] ^= 1
    return 0, 8


@context_case("hvm-version")
def context_version(entries):
    entries[0][2][4] = 2
    return 0, 12


@context_case("hvm-order")
def context_header_not_first(entries):
    entries[0], entries[1] = entries[1], entries[0]
    return 0, 0


@context_case("hvm-twice")
def context_instance_twice(entries):
    i = entry_of(entries, hvm.LAPIC)
    entries.insert(i, [hvm.LAPIC, 0, bytearray(entries[i][2])])
    return i + 1, 0


@context_case("hvm-unknown")
def context_unknown(entries):
    entries.insert(1, [21, 0, bytearray(4)])
    return 1, 0


@context_case("hvm-size")
def context_size(entries):
    i = entry_of(entries, hvm.MTRR)
    entries[i][2].append(0)
    return i, 4


@context_case("hvm-no-end")
def context_no_end(entries):
    assert entries.pop()[0] == hvm.END
    return len(entries), 0


@context_case("hvm-after-end")
def context_after_end(entries):
    entries.append([3, 1, bytearray(8)])
    return len(entries) - 1, 0


@context_case("hvm-missing")
def context_no_cpu(entries):
    del entries[entry_of(entries, hvm.CPU)]
    return 0, 0


@case("hvm", "hvm-size", "HVM_CONTEXT")
def context_msr_short(s):
    entries = hvm_entries(s.find(HVM_CONTEXT).body)
    i = msr_entry(entries)
    del entries[i][2][4:]
    s.find(HVM_CONTEXT).body[:] = hvm_context(entries)
    return s.index(HVM_CONTEXT), 8 + sum(8 + len(e[2]) for e in entries[:i]) + 4


@case("hvm", "xstate-size", "HVM_CONTEXT")
def context_xsave_no_area(s):
    entries = hvm_entries(s.find(HVM_CONTEXT).body)
    i = xsave_entry(entries, size=64)
    s.find(HVM_CONTEXT).body[:] = hvm_context(entries)
    return s.index(HVM_CONTEXT), 8 + sum(8 + len(e[2]) for e in entries[:i]) + 8 + 24


@case("hvm", "hvm-cut", "HVM_CONTEXT")
def context_cut(s):
    body = s.find(HVM_CONTEXT).body
    body += struct.pack("<HHI", 3, 0, 100)      # in front of END, which moves
    at = len(body) - 16
    body[at:at + 8], body[at + 8:] = body[at + 8:], bytes(0)
    return s.index(HVM_CONTEXT), 8 + at


@context_case("hvm-cr0")
def context_cr0(entries):
    i = entry_of(entries, hvm.CPU)
    struct.pack_into("<Q", entries[i][2], hvm.CR0, 0x80000000)
    return i, 8 + hvm.CR0


@context_case("hvm-reserved-bit")
def context_cr4_reserved(entries):
    i = entry_of(entries, hvm.CPU)
    struct.pack_into("<Q", entries[i][2], hvm.CR4, 1 << 40)
    return i, 8 + hvm.CR4


@context_case("state-policy")
def context_cr4_policy(entries):
    i = entry_of(entries, hvm.CPU)
    struct.pack_into("<Q", entries[i][2], hvm.CR4, 1 << 21)     # SMAP, which the lab takes away
    return i, 8 + hvm.CR4


@context_case("state-policy")
def context_efer_policy(entries):
    i = entry_of(entries, hvm.CPU)
    struct.pack_into("<Q", entries[i][2], hvm.EFER, 1 << 14)    # FFXSR, which is AMD's
    return i, 8 + hvm.EFER


@context_case("hvm-value")
def context_efer_value(entries):
    i = entry_of(entries, hvm.CPU)
    struct.pack_into("<Q", entries[i][2], hvm.EFER, 1 << 10)    # LMA without LME
    return i, 8 + hvm.EFER


@context_case("state-policy")
def context_tsc_aux(entries):
    i = entry_of(entries, hvm.CPU)
    struct.pack_into("<Q", entries[i][2], hvm.TSC_AUX, 5)       # no RDTSCP in the lab
    return i, 8 + hvm.TSC_AUX


@context_case("hvm-reserved-bit")
def context_apic_base(entries):
    i = entry_of(entries, hvm.LAPIC)
    struct.pack_into("<Q", entries[i][2], 0, 1 << 60)
    return i, 8


@context_case("reserved")
def context_cpu_flags(entries):
    i = entry_of(entries, hvm.CPU)
    struct.pack_into("<I", entries[i][2], hvm.CPU_FLAGS, 3)
    return i, 8 + hvm.CPU_FLAGS


@context_case("reserved")
def context_cpu_padding(entries):
    i = entry_of(entries, hvm.CPU)
    struct.pack_into("<I", entries[i][2], hvm.CPU_PAD, 1)
    return i, 8 + hvm.CPU_PAD


def xsave_entry(entries, xcr0=3, accumulated=3, size=576, bv=3):
    """An XSAVE entry in front of END: the probe leaves these registers alone, so its own has none."""
    entries[:] = [e for e in entries if e[0] != hvm.XSAVE]
    data = bytearray(24 + size)
    struct.pack_into("<QQQ", data, 0, accumulated, xcr0, accumulated)
    if size >= 576:
        struct.pack_into("<Q", data, 24 + 512, bv)
    entries.insert(len(entries) - 1, [hvm.XSAVE, 0, data])
    return len(entries) - 2


@context_case("xstate-policy")
def context_xsave_policy(entries):
    return xsave_entry(entries, accumulated=3 | 1 << 62), 8 + 16


@context_case("xstate-xcr0")
def context_xsave_xcr0(entries):
    return xsave_entry(entries, xcr0=2), 8 + 8


@context_case("xstate-size")
def context_xsave_too_short(entries):
    i = xsave_entry(entries, xcr0=0x203, accumulated=0x203, size=640)       # PKRU
    return i, 4


@context_case("xstate-size")
def context_xsave_longer_and_not_zero(entries):
    i = xsave_entry(entries, size=640)
    entries[i][2][-1] = 1
    return i, 4


@context_case("hvm-size")
def context_xsave_no_header(entries):
    i = xsave_entry(entries)
    del entries[i][2][16:]
    return i, 4


def msr_entry(entries):
    entries[:] = [e for e in entries if e[0] != hvm.MSR]
    entries.insert(len(entries) - 1, [hvm.MSR, 0, bytearray(struct.pack("<IIIIQ", 1, 0, 0xda0, 0, 0))])
    return len(entries) - 2


@context_case("hvm-size")
def context_msr_count(entries):
    i = msr_entry(entries)
    entries[i][2][0] = 2
    return i, 4


@context_case("reserved")
def context_msr_reserved(entries):
    i = msr_entry(entries)
    entries[i][2][12] = 1
    return i, 8 + 12


@context_case("state-policy")
def context_msr_policy(entries):
    i = msr_entry(entries)
    entries[i][2][16] = 1
    return i, 8 + 16


@context_case("hvm-reserved-bit")
def context_msr_bit(entries):
    i = msr_entry(entries)
    struct.pack_into("<IIQ", entries[i][2], 8, 0x140, 0, 2)
    return i, 8 + 16


# ---- checksums ----

@case("hvm", "order", "CHECKSUM")
def checksum_first_behind_memory(s):
    """Who has met memory without one need not sum."""
    s.checksummed(behind=(PAGE_DATA,))
    return s.index(CHECKSUM), 0


@case("hvm", "length", "CHECKSUM", checksums=True)
def checksum_length(s):
    """The next one does not cover what nobody could read."""
    i = s.index(CHECKSUM, len([r for r in s.records if r.kind == CHECKSUM]) - 1)
    s.records[i].body += bytes(8)
    return i, 4


@case("hvm", "checksum-algorithm", "CHECKSUM", checksums=True)
def checksum_algorithm(s):
    i = s.index(CHECKSUM, 3)
    assert s.records[i + 1].kind == END
    s.records[i].set(0, "<I", 2)
    return i, 8


@case("hvm", "reserved", "CHECKSUM", checksums=True)
def checksum_reserved(s):
    i = s.index(CHECKSUM, 3)
    s.records[i].set(28, "<I", 2)
    return i, 8 + 28


@case("hvm", "checksum-bytes", "CHECKSUM", checksums=True)
def checksum_batch_bytes(s):
    i = s.index(CHECKSUM, 3)
    s.records[i].set(8, "<Q", 7)
    return i, 8 + 8


@case("hvm", "checksum-bytes", "CHECKSUM", checksums=True)
def checksum_whole_bytes(s):
    i = s.index(CHECKSUM, 3)
    s.records[i].set(16, "<Q", 7)
    return i, 8 + 16


@case("hvm", "checksum-uncovered", "CHECKSUM", checksums=True)
def checksum_not_before_end(s):
    i = s.index(CHECKSUM, 3)
    del s.records[i]
    return s.index(END), 0


test_rule = check_rule      # once CASES is full


def test_checksum_of_the_data():
    """A flipped bit in a page: in its batch, and in every whole behind it."""
    s = streambuilder.hvm_stream().checksummed()
    s.find(PAGE_DATA).body[5000] ^= 4
    data = s.raw()
    assert verify(data).report.valid                # page data is not read
    checksums = [i for i, r in enumerate(s.records) if r.kind == CHECKSUM]
    first = next(i for i in checksums if i > s.index(PAGE_DATA))
    expected = [("checksum", s.at(first) + 8 + 4, "libxc", first, "CHECKSUM")]
    expected += [("checksum", s.at(i) + 8 + 24, "libxc", i, "CHECKSUM") for i in checksums if i >= first]
    for options in ({"checksums": True}, {"pipe": True}):
        assert found(verify(data, **options)) == expected


def test_all_problems_at_once():
    s = streambuilder.pv_stream()
    struct.pack_into("<H", s.domain, 6, 1)
    s.find(PAGE_DATA).set(8, "<Q", 6 | 5 << 60)
    s.find(TSC_INFO).set(0, "<I", 9)
    unknown = s.insert_before(SHARED_INFO, Record(99, bytes(24)))
    s.find(VCPU_BASIC).set(4, "<I", 7)
    s.find(VCPU_XSAVE).body[24 + 540] = 1
    s.remove(SHARED_INFO)
    s.trailing = b"x"
    assert found(verify(s.raw())) == [
        ("reserved", s.at("domain") + 6, "libxc", None, "Domain header"),
        ("page-type", s.at(s.index(PAGE_DATA)) + 16, "libxc", s.index(PAGE_DATA), "PAGE_DATA"),
        ("tsc-mode", s.at(s.index(TSC_INFO)) + 8, "libxc", s.index(TSC_INFO), "X86_TSC_INFO"),
        ("unknown-record", s.at(unknown), "libxc", unknown, "Records"),
        ("reserved", s.at(s.index(VCPU_BASIC)) + 12, "libxc", s.index(VCPU_BASIC), "X86_PV_VCPU_BASIC"),
        ("reserved", s.at(s.index(VCPU_XSAVE)) + 8 + 24 + 528, "libxc", s.index(VCPU_XSAVE), "X86_PV_VCPU_XSAVE"),
        ("missing", s.at(s.index(END)), "libxc", s.index(END), ORDER),
        ("trailing", s.at("trailing"), "input", None, "END")]


def problems(s, **options):
    return [(code, offset, record) for code, offset, _, record, _ in found(verify(s.raw(), **options))]


def test_pv_info_missing():
    s = streambuilder.pv_stream()
    s.remove(PV_INFO)
    p2m, end = s.index(P2M_FRAMES), s.index(END)
    assert problems(s) == [("order", s.at(p2m), p2m), ("missing", s.at(end), end)]


def test_vcpu_0_missing():
    s = streambuilder.pv_stream()
    s.find(VCPU_BASIC).set(0, "<I", 1)
    for kind in (VCPU_EXTENDED, VCPU_XSAVE, VCPU_MSRS):
        s.find(kind).set(0, "<I", 1)
    v = verify(s.raw())
    end = s.index(END)
    assert [(p.code, p.offset, p.record) for p in v.report.problems] == [("missing", s.at(end), end)]
    assert "vCPU 0" in v.report.problems[0].text


def test_context_of_a_few_bytes():
    s = streambuilder.hvm_stream()
    s.find(HVM_CONTEXT).body += b"abc"
    body = s.find(HVM_CONTEXT).body
    del body[-11:-3]            # END
    v = verify(s.raw())
    assert ("hvm-cut", s.at(s.index(HVM_CONTEXT)) + 8 + len(body) - 3) in [(p.code, p.offset) for p in v.report.problems]


def test_length_above_the_limit():
    s = streambuilder.hvm_stream()
    i = s.insert_before(TSC_INFO, Record(0x80000001, length=(128 << 20) + 1))
    assert problems(s)[0] == ("length", s.at(i) + 4, i)


def test_too_many_leaves_and_msrs():
    s = streambuilder.hvm_stream()
    s.find(MSR_POLICY).body += struct.pack("<IIQ", 0x10b, 0, 0)
    for n in range(300):
        s.find(CPUID_POLICY).body += struct.pack("<6I", 0x80000028, 0xffffffff, 0, 0, 0, 0)
    codes = [code for code, _, _ in problems(s)]
    assert codes.count("policy-too-many") == 2


def test_libxc_context_twice():
    s = streambuilder.hvm_stream(layer="libxl")
    again = s.before[0].raw() + s.raw()[s.at("image"):s.at(("after", 0))]
    s.after.insert(0, Record(0x80000001))
    v = verify(s.raw()[:s.at(("after", 0))] + again + s.after[1].raw())
    assert [(p.code, p.offset, p.record) for p in v.report.problems] == [("twice", s.at(("after", 0)), 1)]


def test_checkpoints_of_libxl():
    """What stands between two checkpoints, wrong."""
    whole = bytes(checkpointed("xl"))
    state = Record(libxl.CHECKPOINT_STATE, struct.pack("<II", 0, 0)).raw()
    at = whole.index(Record(libxl.CHECKPOINT_END).raw() + state) + 8
    for wrong, code, offset in ((struct.pack("<IIII", 5, 8, 4, 0), "checkpoint-state", at + 8),
                                (struct.pack("<IIIIQ", 5, 16, 0, 0, 0), "length", at + 4)):
        v = verify(whole[:at] + wrong + whole[at + 16:])
        assert [(p.code, p.offset, p.layer) for p in v.report.problems] == [(code, offset, "libxl")]
    v = verify(whole[:at - 8] + Record(libxl.END).raw())
    assert [(p.code, p.offset, p.layer) for p in v.report.problems] == [("order", at - 8, "libxl")]


def test_many_alike_are_counted():
    s = streambuilder.hvm_stream()
    s.find(PAGE_DATA).body[:] = page_data([(15, n | 1 << 54) for n in range(1000)])
    v = verify(s.raw())
    assert v.report.count == 1000
    assert [p.code for p in v.report.problems] == ["page-reserved"] * 9
    assert "992 more" in v.report.problems[-1].text


def test_cut_everywhere(captured):
    """Wherever a stream ends too early, that is said, and nothing else goes wrong."""
    for data in (streambuilder.hvm_stream(layer="xl").raw(), streambuilder.pv_stream().checksummed().raw()):
        steps = {*range(0, 2000, 7), *range(2000, len(data), 997)}
        for cut in sorted(steps):
            v = verify(data[:cut])
            if v.report.unusable is None:
                assert {p.code for p in v.report.problems} & {"truncated", "no-end"}, (cut, lines(v))
                assert v.report.count == 1, (cut, lines(v))


def test_cut_says_what_was_being_read():
    s = streambuilder.hvm_stream(layer="xl")
    for part, inside, section in (("xl", 40, "xl header"), ("libxl", 9, "libxl header"), (("before", 0), 4, "libxl records"),
                                  ("image", 20, "Image header"), ("domain", 7, "Domain header"), (0, 100, "Records")):
        v = verify(s.raw()[:s.at(part) + inside])
        assert [(p.code, p.offset, p.section) for p in v.report.problems] == [("truncated", s.at(part) + inside, section)]
    for i in (0, 4):
        v = verify(s.raw()[:s.at(i) + 3])
        assert [(p.record, p.type) for p in v.report.problems] == [(i, None)]


def checkpointed(layer):
    """Two checkpoints and an end: what Remus writes."""
    s = streambuilder.hvm_stream(layer=layer)
    tail = [Record(r.kind, r.body) for r in s.records if r.kind in (TSC_INFO, HVM_CONTEXT, HVM_PARAMS)]
    end = s.records.pop()
    parts = [s.image + s.domain + b"".join(r.raw() for r in s.records + [Record(CHECKPOINT)])]
    parts += [b"".join(r.raw() for r in [Record(PAGE_DATA, page_data([(0, n)])), *tail, last])
              for n, last in ((1, Record(CHECKPOINT)), (2, end))]
    if layer == "libxc":
        return b"".join(parts)
    between = b"".join(r.raw() for r in (Record(libxl.EMULATOR_CONTEXT, struct.pack("<II", 2, 0) + b"QEVM\0\0\0\3"),
                                         Record(libxl.CHECKPOINT_END), Record(libxl.CHECKPOINT_STATE, struct.pack("<II", 0, 0))))
    return s.xl + s.libxl + s.before[0].raw() + between.join(parts) + s.after[0].raw()


@pytest.mark.parametrize("layer", ["libxc", "xl"])
def test_checkpoints(layer):
    for pipe in (False, True):
        v = verify(bytes(checkpointed(layer)), pipe)
        assert v.report.valid, lines(v)
        assert v.libxc.checkpoints == 2


def test_padding_that_a_newer_xen_may_use():
    s = streambuilder.hvm_stream()
    entries = hvm_entries(s.find(HVM_CONTEXT).body)
    struct.pack_into("<I", entries[entry_of(entries, hvm.CPU)][2], hvm.CPU_PAD, 1)
    s.find(HVM_CONTEXT).body[:] = hvm_context(entries)
    assert [code for code, _, _ in problems(s)] == ["reserved"]
    struct.pack_into("<I", s.domain, 12, 21)
    assert problems(s) == []


@pytest.mark.parametrize("size", [1024, 1016])
def test_registers_of_an_older_xen(size):
    s = streambuilder.hvm_stream()
    entries = hvm_entries(s.find(HVM_CONTEXT).body)
    del entries[entry_of(entries, hvm.CPU)][2][size:]
    s.find(HVM_CONTEXT).body[:] = hvm_context(entries)
    assert problems(s) == []


def test_xsave_areas_that_xen_takes():
    """Too long but zero: Xen up to 4.3 wrote that."""
    s = streambuilder.hvm_stream()
    entries = hvm_entries(s.find(HVM_CONTEXT).body)
    xsave_entry(entries, size=832)
    s.find(HVM_CONTEXT).body[:] = hvm_context(entries)
    v = verify(s.raw())
    assert v.report.valid, lines(v)


def pv32_stream():
    """A 32-bit guest: two frames of its list name as many frames as four do of a 64-bit one."""
    s = streambuilder.pv_stream()
    s.find(PV_INFO).set(0, "<BB", 4, 3)
    s.find(P2M_FRAMES).set(0, "<II", 0, 2047)
    s.find(VCPU_BASIC).body[8:] = bytes(2800)
    return s


def test_32_bit_guests():
    assert problems(pv32_stream()) == []
    layout = pv.LAYOUTS[4]
    for offset, value, code in ((layout.rdx, 2048, "pv-frame"), (layout.rdx, 2047, None), (layout.ctrlreg + 12, 2047 << 12, None),
                                (layout.ctrlreg + 12, 2048 << 12, "pv-frame"), (layout.ctrlreg + 12, 1, "pv-frame"),
                                (layout.gdt_ents, 8193, "pv-gdt"), (layout.ctrlreg + 4, 7 << 12, None)):
        s = pv32_stream()
        part, inside = pv_registers(s, offset, value, layout)
        assert problems(s) == ([(code, s.at(part) + inside, part)] if code else []), (offset, value)


def test_registers_of_a_64_bit_guest_that_are_right():
    """The last frame, the most descriptors; start info is vCPU 0's."""
    s = streambuilder.pv_stream()
    for offset, value in ((616, 1023), (4984 + 24, 1023 << 12 | 0x18), (4984 + 8, 1023 << 12 | 1), (4960, 8192)):
        pv_registers(s, offset, value)
    assert problems(s) == []
    other = bytearray(s.find(VCPU_BASIC).body)
    struct.pack_into("<I", other, 0, 1)
    struct.pack_into("<Q", other, 8 + 616, 1 << 40)
    s.insert_before(VCPU_EXTENDED, Record(VCPU_BASIC, other))
    assert problems(s) == []


def test_xsave_without_a_policy():
    """x87 and SSE have one size; of others only the policy tells."""
    s = streambuilder.pv_stream(2)
    s.find(VCPU_XSAVE).body[24 + 576:] = b""
    for accumulated, size, code in ((3, 576, None), (3, 640, "xstate-size"), (7, 640, None), (7, 832, None)):
        s.find(VCPU_XSAVE).set(8, "<QQ", accumulated, accumulated)
        s.find(VCPU_XSAVE).body[24:] = bytes(size)
        assert [c for c, _, _ in problems(s)] == ([code] if code else []), (accumulated, size)


def test_xsave_that_never_was_on():
    """16 bytes and no area."""
    s = streambuilder.pv_stream()
    del s.find(VCPU_XSAVE).body[24:]
    assert problems(s) == []


def test_legacy_conversion_is_remarked():
    s = streambuilder.hvm_stream(layer="libxl")
    struct.pack_into(">I", s.libxl, 12, 2)
    struct.pack_into("<I", s.domain, 8, 0)
    v = verify(s.raw())
    assert v.report.valid and v.report.notes == ["converted from a legacy stream"]


def test_names_of_records():
    s = streambuilder.hvm_stream(layer="libxl")
    s.after.insert(0, Record(libxl.OPTIONAL | 0x77))
    s.after.insert(0, Record(0x77))
    s.insert_before(TSC_INFO, Record(0x80000077, bytes(8)))
    v = verify(s.raw())
    assert [libxl.record_name(k) for k in sorted(v.libxl.types)] == ["END", "LIBXC_CONTEXT", "unknown 0x77",
                                                                     "optional 0x80000077"]
    assert [libxc.record_name(k) for k in v.libxc.types][-5:-3] == ["optional 0x80000077", "X86_TSC_INFO"]
    assert v.report.count == 1


@pytest.mark.parametrize("kind", [CPUID_POLICY, PAGE_DATA, END])
def test_a_run_of_optional_records(kind):
    """1024 are skipped; behind the next one nothing is read, however much there is."""
    s = streambuilder.hvm_stream(layer="libxl")
    at = s.index(kind)
    s.records[at:at] = [Record(0x80000077)] * 1024
    assert problems(s) == []
    s.records[at:at] = [Record(0x80000077)] * 4096
    for pipe in (False, True):
        v = verify(s.raw(), pipe=pipe)
        assert found(v) == [("optional-run", s.at("domain") + 16 + sum(len(r.raw()) for r in s.records[:at]) + 8 * 1024, "libxc",
                             at + 1024, "Records")]
        assert v.libxc.record == at + 1024      # and no further


def test_a_run_of_libxls_optional_records():
    for before in (True, False):
        s = streambuilder.hvm_stream(layer="libxl")
        records = s.before if before else s.after
        records[0:0] = [Record(0x80000077)] * 1024
        assert verify(s.raw()).report.valid
        records.insert(0, Record(0x80000077))
        v = verify(s.raw())
        assert [p.code for p in v.report.problems][-1] == "optional-run"
        assert v.libxl.record == (1024 if before else 1025)


@pytest.mark.parametrize("xcr0, possible", [
    (1, True), (3, True), (7, True), (0x1f, True), (0xe7, True), (0x60207, True), (0x600e7, True), (0x203, True),
    (0, False), (2, False), (5, False), (0xb, False), (0x13, False), (0x27, False), (0x67, False), (0xc7, False), (0xe3, False),
    (0x200e7, False), (0x400e7, False)])
def test_xcr0(xcr0, possible):
    """What XSETBV takes (SDM vol. 2D); the tile components stand alone there, and what they need is the policy's."""
    assert (xstate.impossible_xcr0(xcr0) is None) == possible


LEGACY = {
    "libxc, 64 bits, PV": struct.pack("<QQ", 0x8000, 0xffffffffffffffff) + bytes(64),
    "libxc, 64 bits, HVM": struct.pack("<Qi", 0xff000, 1024) + bytes(64),
    "libxc, 32 bits, PV": struct.pack("<II", 0x8000, 0xffffffff) + bytes(64),
    "xm": b"LinuxGuestRecord" + bytes(64),
    "xl": b"Xen saved domain, xl format\n \0 \r" + struct.pack("<4I", 0x01020304, 1, 0, 0) + bytes(64),
}


@pytest.mark.parametrize("name", LEGACY)
def test_legacy(name):
    v = verify(LEGACY[name])
    assert "4.5" in v.report.unusable


@pytest.mark.parametrize("data", [b"", b"\x7fELF" + bytes(60), b"hello world" * 10, bytes(100), b"\x09XENLEVEL"])
def test_not_a_stream(data):
    assert verify(data).report.unusable


def test_entry_sizes_are_those_of_the_public_headers(tmp_path):
    """The compiler on libxen-dev's structs against our tables."""
    import subprocess
    structs = {"HEADER": "save_header", "CPU": "hw_cpu", "PIC": "hw_vpic", "IOAPIC": "hw_vioapic", "LAPIC": "hw_lapic",
               "LAPIC_REGS": "hw_lapic_regs", "PCI_IRQ": "hw_pci_irqs", "ISA_IRQ": "hw_isa_irqs", "PCI_LINK": "hw_pci_link",
               "PIT": "hw_pit", "RTC": "hw_rtc", "HPET": "hw_hpet", "PMTIMER": "hw_pmtimer", "MTRR": "hw_mtrr",
               "VIRIDIAN_DOMAIN": "viridian_domain_context", "VIRIDIAN_VCPU": "viridian_vcpu_context", "VMCE_VCPU": "vmce_vcpu",
               "TSC_ADJUST": "tsc_adjust"}
    source = ["#include <stddef.h>", "#include <stdint.h>", "#include <xen/xen.h>", "#include <xen/hvm/save.h>",
              "#include <xen/hvm/params.h>"]
    for code, (name, sizes) in hvm.ENTRIES.items():
        if name in structs:
            source += [f'_Static_assert(sizeof(struct hvm_{structs[name]}) == {sizes[0]}, "{name}");',
                       f'_Static_assert(HVM_SAVE_CODE({name}) == {code}, "{name}");']
    source += [f'_Static_assert(sizeof(struct hvm_hw_cpu_compat) == {hvm.ENTRIES[hvm.CPU][1][2]}, "old CPU");',
               f'_Static_assert(offsetof(struct hvm_hw_cpu, flags) == {hvm.ENTRIES[hvm.CPU][1][1]}, "CPU before 4.7");',
               f'_Static_assert(HVM_SAVE_CODE_MAX == {max(hvm.ENTRIES)}, "newest entry");',
               f'_Static_assert(CPU_XSAVE_CODE == {hvm.XSAVE} && CPU_MSR_CODE == {hvm.MSR}, "codes");',
               f'_Static_assert(HVM_NR_PARAMS == {libxc.HVM_NR_PARAMS}, "parameters");',
               f'_Static_assert(HVM_FILE_MAGIC == {hvm.MAGIC}u && HVM_FILE_VERSION == {hvm.VERSION}, "header");',
               f'_Static_assert(offsetof(struct vcpu_guest_context, ctrlreg[4]) == {libxc.CR4_OF_CONTEXT}, "CR4 of PV");']
    for width, struct_name in ((8, "vcpu_guest_context_x86_64"), (4, "vcpu_guest_context_x86_32")):
        layout = pv.LAYOUTS[width]
        source += [f"#include <xen/foreign/x86_{8 * width}.h>",
                   f'_Static_assert(sizeof(struct {struct_name}) == {layout.size}, "registers of PV");']
        source += [f'_Static_assert(offsetof(struct {struct_name}, {field}) == {offset}, "{field}");' for field, offset in (
            (f"user_regs.{layout.start_info.lower()}", layout.rdx), ("gdt_frames[0]", layout.gdt_frames),
            ("gdt_ents", layout.gdt_ents), ("ctrlreg[0]", layout.ctrlreg), ("ctrlreg[1]", layout.ctrlreg + width))]
    for field, offset in (("cr0", hvm.CR0), ("cr4", hvm.CR4), ("msr_efer", hvm.EFER), ("msr_tsc_aux", hvm.TSC_AUX),
                          ("flags", hvm.CPU_FLAGS), ("pad0", hvm.CPU_PAD)):
        source.append(f'_Static_assert(offsetof(struct hvm_hw_cpu, {field}) == {offset}, "{field}");')
    assert len(structs) == len([1 for name, sizes in hvm.ENTRIES.values() if sizes]) - 1      # all but END
    (tmp_path / "sizes.c").write_text("\n".join(source) + "\n")
    r = subprocess.run(["gcc", "-D__XEN_TOOLS__", "-fsyntax-only", "sizes.c"], cwd=tmp_path, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr


# ---- what is right, and what must not be said twice ----

def xl_stream(optional, flags=3):
    """With this optional data in xl's header."""
    s = streambuilder.hvm_stream(layer="xl")
    s.xl[32:] = struct.pack("<4I", 0x01020304, flags, 0, len(optional)) + optional
    return s


def counted(data):
    return struct.pack("<I", len(data)) + data


def test_xl_configurations():
    """None; one that is not JSON, and is not said to be; a huge one; something behind it; names that are no strings."""
    json = b'{"c_info": {"name": "web", "type": "pvh"}}'
    for optional, flags, name in ((b"", 2, None), (b"", 3, None), (counted(b"\1\2\3"), 2, None), (counted(json), 3, "web"),
                                  (counted(json + b" " * (1 << 18)), 3, None), (counted(json) + b"more", 3, "web"),
                                  (counted(b'{"c_info": {"name": 5, "type": [1]}}'), 3, None), (counted(b"{}"), 3, None)):
        s = xl_stream(optional, flags)
        v = verify(s.raw())
        assert v.report.valid and v.xl.name == name, (optional[:60], lines(v))
        assert v.xl.domain_type == ("pvh" if name else None)


def test_libxl_without_libxc():
    s = streambuilder.hvm_stream(layer="libxl")
    v = verify(bytes(s.libxl))
    assert [(p.code, p.offset, p.layer) for p in v.report.problems] == [("no-end", 16, "libxl")]
    v = verify(bytes(s.libxl) + Record(libxl.CHECKPOINT_END).raw())
    assert [(p.code, p.offset) for p in v.report.problems] == [("order", 16), ("no-end", 24)]


def test_libxl_ends_between_checkpoints():
    whole = bytes(checkpointed("libxl"))
    at = whole.index(Record(libxl.CHECKPOINT_END).raw() + Record(libxl.CHECKPOINT_STATE, struct.pack("<II", 0, 0)).raw())
    v = verify(whole[:at])
    assert [(p.code, p.offset, p.layer) for p in v.report.problems] == [("no-end", at, "libxl")]


def test_nothing_is_read_behind_headers_that_say_nothing():
    """Of a big-endian stream no record; that is one problem, also inside libxl's layer."""
    for layer in ("libxc", "libxl", "xl"):
        s = streambuilder.hvm_stream(layer=layer)
        struct.pack_into(">H", s.image, 16, 1)
        for pipe in (False, True):
            assert [code for code, *_ in found(verify(s.raw(), pipe=pipe))] == ["endian"], layer


def test_emulators():
    s = streambuilder.hvm_stream(layer="libxl")
    s.after[:0] = [Record(libxl.XENSTORE_DATA, struct.pack("<II", 2, 0) + b"physmap/0/name\0a value, with blanks\0empty\0\0"),
                   Record(libxl.XENSTORE_DATA, struct.pack("<II", 1, 7)), Record(libxl.EMULATOR_CONTEXT, struct.pack("<II", 1, 7) + b"x")]
    v = verify(s.raw())
    assert v.report.valid, lines(v)
    assert [(e["record"], e["emulator"], e["index"], e["bytes"]) for e in v.libxl.emulators] == [
        ("EMULATOR_XENSTORE_DATA", "QEMU", 0, 43), ("EMULATOR_XENSTORE_DATA", "QEMU traditional", 7, 0),
        ("EMULATOR_CONTEXT", "QEMU traditional", 7, 1)]
    s.after[0].body[8:] = b"\0value\0"
    assert [(p.code, p.offset) for p in verify(s.raw()).report.problems] == [("xenstore", s.at(("after", 0)) + 16)]


@pytest.mark.parametrize("state", range(4))
def test_colo_states(state):
    whole = bytes(checkpointed("libxl"))
    said = Record(libxl.CHECKPOINT_STATE, struct.pack("<II", 0, 0)).raw()
    assert whole.count(said) == 2
    for other in (struct.pack("<II", state, 0), struct.pack("<I", state)):
        assert verify(whole.replace(said, Record(libxl.CHECKPOINT_STATE, other).raw())).report.valid


def checksum_record(bytes, covered):
    whole = b"".join(bytes)
    batch = whole[covered:]
    return Record(CHECKSUM, struct.pack("<IIQQII", 1, zlib.crc32(batch), len(batch), len(whole), zlib.crc32(whole), 0)).raw()


def test_checksums_over_checkpoints():
    """Bytes of libxl's layer are in none."""
    s = streambuilder.hvm_stream(layer="libxl")
    end = s.records.pop()
    tail = b"".join(r.raw() for r in s.records if r.kind in (TSC_INFO, HVM_CONTEXT, HVM_PARAMS))
    head = s.index(PAGE_DATA)
    first = [bytes(s.image + s.domain) + b"".join(r.raw() for r in s.records[:head])]
    first.append(checksum_record(first, 0))
    covered = sum(map(len, first))
    first += [b"".join(r.raw() for r in s.records[head:]), Record(CHECKPOINT).raw()]
    again = [Record(PAGE_DATA, page_data([(0, 1)])).raw() + tail]
    last = checksum_record(first + again, covered)
    between = Record(libxl.CHECKPOINT_END).raw()
    data = bytes(s.libxl) + s.before[0].raw() + b"".join(first) + between + b"".join(again) + last + end.raw() + s.after[0].raw()
    for options in ({}, {"checksums": True}, {"pipe": True}):
        v = verify(data, **options)
        assert v.report.valid and v.libxc.checksum_records == 2, lines(v)
    at = len(s.libxl) + len(s.before[0].raw()) + covered + 100      # in the first page
    wrong = data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
    assert {p.code for p in verify(wrong, checksums=True).report.problems} == {"checksum"}


def test_xsave_entry_without_an_area():
    s = streambuilder.hvm_stream()
    entries = hvm_entries(s.find(HVM_CONTEXT).body)
    xsave_entry(entries, size=0)
    s.find(HVM_CONTEXT).body[:] = hvm_context(entries)
    assert problems(s) == []


@pytest.mark.parametrize("code, size, right", [
    (hvm.LAPIC, 0, False), (hvm.LAPIC, 16, True), (hvm.LAPIC, 25, False), (hvm.MTRR, 239, False), (3, 7, False), (18, 31, True),
    (hvm.CPU, 1031, False), (hvm.CPU, 1033, False)])
def test_sizes_of_save_entries(code, size, right):
    """Xen fills up what an older one saved less of, where it grew; others have one size."""
    s = streambuilder.hvm_stream()
    entries = hvm_entries(s.find(HVM_CONTEXT).body)
    if code not in [e[0] for e in entries]:
        entries.insert(1, [code, 0, bytearray()])
    i = entry_of(entries, code)
    entries[i][2][:] = (entries[i][2] + bytes(2000))[:size]
    s.find(HVM_CONTEXT).body[:] = hvm_context(entries)
    at = s.at(s.index(HVM_CONTEXT)) + 8 + sum(8 + len(e[2]) for e in entries[:i]) + 4
    assert problems(s) == ([] if right else [("hvm-size", at, s.index(HVM_CONTEXT))])


def test_xsave_longer_than_its_components():
    """Xen up to 4.3: zeros behind them; what they hold is theirs."""
    s = streambuilder.hvm_stream()
    entries = hvm_entries(s.find(HVM_CONTEXT).body)
    size = xstate.expected_size(0x203, verify(s.raw()).libxc.policy)
    i = xsave_entry(entries, xcr0=0x203, accumulated=0x203, size=size + 5000, bv=0x203)
    for at, right in ((size - 1, True), (size, False), (size + 4999, False)):
        entries[i][2][24 + 576:] = bytes(size + 5000 - 576)
        entries[i][2][24 + at] = 1
        s.find(HVM_CONTEXT).body[:] = hvm_context(entries)
        assert [code for code, _, _ in problems(s)] == ([] if right else ["xstate-size"]), at


def test_one_damaged_word_of_the_image_header():
    """Then the rest can be read; with two it is no stream of libxc's."""
    for damaged, codes in (((0,), ["marker", "tsc-mode"]), ((9,), ["ident", "tsc-mode"]), ((0, 9), ["marker", "ident"])):
        s = streambuilder.hvm_stream()
        s.find(TSC_INFO).set(0, "<I", 9)
        for at in damaged:
            s.image[at] ^= 0x10
        assert [code for code, _, _ in problems(s, format_="libxc")] == codes


@pytest.mark.parametrize("at", range(18, 24))
def test_reserved_bytes_of_the_image_header(at):
    s = streambuilder.hvm_stream()
    s.image[at] = 0x80
    assert problems(s) == [("reserved", 16, None)]


def test_converted_streams():
    s = streambuilder.hvm_stream()
    struct.pack_into("<I", s.domain, 8, 0)
    assert verify(s.raw()).report.notes == ["converted from a legacy stream"]
    struct.pack_into("<I", s.domain, 8, 1)
    assert verify(s.raw()).report.notes == []


def test_pv_info_of_a_few_bytes():
    s = streambuilder.pv_stream()
    del s.find(PV_INFO).body[4:]
    assert problems(s)[0] == ("length", s.at(0) + 4, 0)


@pytest.mark.parametrize("at", range(2, 8))
def test_reserved_bytes_of_pv_info(at):
    s = streambuilder.pv_stream()
    s.find(PV_INFO).body[at] = 0x80
    assert problems(s) == [("reserved", s.at(0) + 10, 0)]


def test_lists_of_frames_that_are_right():
    """One entry; and the last frame can hold a part of the list."""
    s = streambuilder.pv_stream()
    s.find(P2M_FRAMES).body[:] = struct.pack("<IIQ", 0, 1023, 1023) + struct.pack("<Q", 7)
    assert problems(s) == []
    s.find(P2M_FRAMES).body[:] = struct.pack("<IIQ", 12, 12, 6)
    assert problems(s) == []


def test_memory_before_its_list_is_said_once():
    s = streambuilder.pv_stream()
    i = s.index(P2M_FRAMES)
    for _ in range(2):
        s.records.insert(i, Record(PAGE_DATA, page_data([(0, 6)])))
    assert problems(s) == [("order", s.at(i), i)]


def test_empty_records_of_old_senders():
    s = streambuilder.pv_stream()
    for kind in (VCPU_EXTENDED, VCPU_XSAVE, VCPU_MSRS):
        del s.find(kind).body[8:]
    v = verify(s.raw())
    assert v.report.valid and v.report.notes == [f"empty {libxc.NAMES[k]} records" for k in (VCPU_EXTENDED, VCPU_XSAVE, VCPU_MSRS)]
    del s.find(VCPU_BASIC).body[8:]
    assert [code for code, _, _ in problems(s)] == ["missing"]


@pytest.mark.parametrize("size, right", [(120, True), (121, True), (128, True), (129, False)])
def test_sizes_of_vcpu_extended(size, right):
    s = streambuilder.pv_stream()
    s.find(VCPU_EXTENDED).body[8:] = bytes(size)
    assert (problems(s) == []) == right


@pytest.mark.parametrize("mode, right", [(0, True), (1, True), (2, True), (3, False)])
def test_tsc_modes(mode, right):
    s = streambuilder.hvm_stream()
    s.find(TSC_INFO).set(0, "<I", mode)
    assert (problems(s) == []) == right


def test_no_parameters():
    s = streambuilder.hvm_stream()
    s.find(HVM_PARAMS).body[:] = bytes(8)
    v = verify(s.raw())
    assert v.report.valid and v.report.notes == ["an empty HVM_PARAMS record"]


def test_small_xsave_areas_are_said_once():
    s = streambuilder.pv_stream()
    del s.find(VCPU_XSAVE).body[8 + 16 + 100:]
    i = s.index(VCPU_XSAVE)
    assert problems(s) == [("xstate-size", s.at(i) + 8 + 8 + 16, i)]


def missing(v):
    return [p.text for p in v.report.problems if p.code == "missing"]


def test_all_that_is_missing_is_named():
    for guest, version, names in (
            (streambuilder.HVM, 3, ["STATIC_DATA_END", "PAGE_DATA", "X86_TSC_INFO", "HVM_CONTEXT"]),
            (streambuilder.HVM, 2, ["PAGE_DATA", "X86_TSC_INFO", "HVM_CONTEXT"]),
            (streambuilder.PV, 3, ["X86_PV_INFO", "STATIC_DATA_END", "X86_PV_P2M_FRAMES", "PAGE_DATA", "SHARED_INFO", "X86_TSC_INFO",
                            "X86_PV_VCPU_BASIC"])):
        found_ = missing(verify(streambuilder.Stream([Record(END)], guest, version).raw()))
        assert [text.split()[3] for text in found_] == names


def test_pv_checkpoints():
    s = streambuilder.pv_stream()
    state = [Record(r.kind, r.body) for r in s.records if r.kind in (TSC_INFO, SHARED_INFO, *libxc.VCPU_RECORDS)]
    s.records[-1:] = [Record(CHECKPOINT), Record(P2M_FRAMES, s.find(P2M_FRAMES).body), Record(PAGE_DATA, page_data([(0, 6)])), *state,
                      Record(CHECKPOINT), Record(END)]
    assert problems(s) == []
    s.records = [r for r in s.records if r.kind != VCPU_BASIC or r is s.find(VCPU_BASIC)]
    v = verify(s.raw())
    assert missing(v) == ["there was no X86_PV_VCPU_BASIC record for this checkpoint"]
    s.records.insert(0, Record(CHECKPOINT))
    assert problems(s)[0] == ("order", s.at(0), 0)
