# SPDX-License-Identifier: MIT
"""Captured hosts (.xlp, proto/cpu_policy.proto), by Python's protobuf; nothing else here needs it."""

import glob
import os
import sys
import zlib

from . import policy
from .errors import Unusable
from .verify import Host

HERE = os.path.dirname(os.path.realpath(__file__))
MAGIC = b"\x09XENLEVEL"
END_SIZE = 5
MAX_SIZE = 64 << 20
POLICIES = 6


class XlpError(Unusable):
    """The file cannot be used; one line."""


def _file_class():
    """The class of the file's message, from the descriptor that the build made of the .proto."""
    if sys.flags.no_site:       # verify-stream starts without the directories of packages, to start fast
        import site
        site.main()
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        raise XlpError("--host needs Python's protobuf, which is not installed (Debian: python3-protobuf)") from None
    builds = os.path.join(HERE, "..", "..", "..", "build*", "tools", "python", "cpu_policy.desc")
    named = os.environ.get("XENLEVEL_PROTO")
    for path in [named] if named else [os.path.join(HERE, "cpu_policy.desc"), *sorted(glob.glob(builds))]:
        if os.path.isfile(path):
            with open(path, "rb") as file:
                descriptors = descriptor_pb2.FileDescriptorSet.FromString(file.read())
            break
    else:
        raise XlpError("the descriptor of the file format is missing: run `make`, or set XENLEVEL_PROTO")
    pool = descriptor_pool.DescriptorPool()
    for file in descriptors.file:
        pool.Add(file)
    message = pool.FindMessageTypeByName("xenlevel.File")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(message)
    return message_factory.MessageFactory(pool).GetPrototype(message)


def policy_of(message):
    """A Policy of the protobuf message of that name; and the faults of its arrays."""
    leaves = [(leaf.leaf, leaf.subleaf if leaf.WhichOneof("where") else policy.NONE, leaf.eax, leaf.ebx, leaf.ecx, leaf.edx)
              for leaf in message.leaves]
    return policy.from_arrays(leaves, [(m.index, 0, m.value) for m in message.msrs])


def mask_of(message):
    """What is not known of a policy, as a Policy with a 1 for each such bit.  Nothing is refused: what is no leaf masks none."""
    return policy_of(message)[0]


def load_host(path):
    """The Host that a file holds."""
    make = _file_class()
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise XlpError(f"{path}: {error.strerror}") from None
    if not data.startswith(MAGIC):
        raise XlpError(f"{path}: not a Xenlevel policy file")
    if len(data) > MAX_SIZE:
        raise XlpError(f"{path}: too large for a policy file")
    body = data[:-END_SIZE]
    if data[-END_SIZE:] != b"\x7d" + zlib.crc32(body).to_bytes(4, "little"):
        raise XlpError(f"{path}: cut short, or damaged: the checksum at its end does not match")
    try:
        file = make.FromString(data)
    except Exception:       # DecodeError; of which class depends on protobuf's implementation
        raise XlpError(f"{path}: the content is not what the format says") from None
    if file.version != 1:
        raise XlpError(f"{path}: version {file.version} of the file format; this program knows 1")
    if file.WhichOneof("content") != "host":
        raise XlpError(f"{path}: not a captured host, but a {file.WhichOneof('content') or 'file of a kind not known'}")
    policies, unknown = {}, {}
    for held in file.host.policies:
        if held.index >= POLICIES:      # of a kind that a newer program knows
            continue
        policies[held.index], faults = policy_of(held.policy)
        faults = faults or policy.whole(policies[held.index])
        if faults:
            raise XlpError(f"{path}: policy {held.index}: {policy.fault_text(faults[0])}")
        unknown[held.index] = mask_of(held.unknown)
    return Host(file.host.name, file.host.cpu, policies, unknown)
