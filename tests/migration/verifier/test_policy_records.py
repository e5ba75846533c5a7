# SPDX-License-Identifier: MIT
"""The policy's records, where one fault is said in several places or words."""

import struct

import pytest

from harness import found, lines, problems, verify
from streambuilder import CPUID_POLICY, MSR_POLICY, STATIC_DATA_END, hvm_stream, leaf, policy


def test_policy_after_static_data_end():
    """What has come until there is not whole."""
    s = hvm_stream()
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
    s = hvm_stream()
    before = len(s.find(CPUID_POLICY).body)
    without(s, leaf, subleaf)
    assert len(s.find(CPUID_POLICY).body) < before
    v = verify(s.raw())
    assert found(v)[0] == ("policy-incomplete", 48, "libxc", 0, "X86_CPUID_POLICY"), lines(v)
    assert v.report.problems[0].text.endswith(f"incomplete: {words} is not named")
    assert {p.code for p in v.report.problems} <= {"policy-incomplete", "xstate-policy", "state-policy", "xstate-size"}


def test_a_policy_of_one_leaf():
    s = hvm_stream()
    del s.find(CPUID_POLICY).body[24:]
    texts = [p.text for p in verify(s.raw()).report.problems if p.code == "policy-incomplete"]
    assert [t.rsplit(": ", 1)[1] for t in texts[:3]] == ["leaf 1 is not named", "leaf 2 is not named", "leaf 3 is not named"]
    assert texts[-1].endswith("leaf 80000000 is not named")


def test_a_policy_without_msrs_and_msrs_without_a_policy():
    s = hvm_stream()
    s.remove(MSR_POLICY)
    texts = [p.text for p in verify(s.raw()).report.problems if p.code == "policy-incomplete"]
    assert [t.rsplit(": ", 1)[1] for t in texts] == ["MSR CE is not named", "MSR 10A is not named"]
    s = hvm_stream()
    del s.find(MSR_POLICY).body[:16]
    texts = [p.text for p in verify(s.raw()).report.problems if p.code == "policy-incomplete"]
    assert [t.rsplit(": ", 1)[1] for t in texts] == ["MSR CE is not named"]
    s = hvm_stream()
    s.remove(CPUID_POLICY)
    assert found(verify(s.raw())) == [("policy-incomplete", 40, "libxc", 0, "X86_MSR_POLICY")]


def test_too_many_leaves_and_msrs():
    s = hvm_stream()
    s.find(MSR_POLICY).body += struct.pack("<IIQ", 0x10b, 0, 0)
    for n in range(300):
        s.find(CPUID_POLICY).body += struct.pack("<6I", 0x80000028, 0xffffffff, 0, 0, 0, 0)
    codes = [code for code, _, _ in problems(s)]
    assert codes.count("policy-too-many") == 2
