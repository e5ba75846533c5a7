# SPDX-License-Identifier: MIT
"""xenlab: stock Debian Xen hosts under QEMU's software emulation, for tests. Start reading at lab.py."""

from .host import Host, HostError, Result
from .lab import Lab, MigrateResult
from .link import Fault
from .packages import PackageError
from .probe import Change, ProbeLog, Tick

__all__ = ["Change", "Fault", "Host", "HostError", "Lab", "MigrateResult", "PackageError", "ProbeLog", "Result", "Tick"]
