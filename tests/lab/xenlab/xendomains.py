# SPDX-License-Identifier: MIT
"""Debian's init script that saves the guests when a host goes down and restores them when it comes up, in a dom0 without init."""

PACKAGES = ("bash", "sysvinit-utils")
SAVED = "/var/lib/xen/save"
# In the package it is Python, for which dom0 is too small: the number and the name of each guest.
LIST = b"""#!/bin/sh
xl list | awk 'NR > 1 && $2 > 0 { print $2, $1 }'
"""


def install(host):
    """The script, as Debian has it, with what it is interpreted by."""
    packages = host.packages
    packages.add(PACKAGES)
    common, init = packages.root("xen-utils-common"), packages.root("sysvinit-utils")
    host.install({
        "/bin/bash": packages.find("bin/bash"),
        "/lib/lsb/init-functions": init / "lib/lsb/init-functions",
        "/lib/init/vars.sh": init / "lib/init/vars.sh",
        "/etc/init.d/xendomains": common / "etc/init.d/xendomains",
        "/etc/default/xendomains": common / "etc/default/xendomains",
        "/usr/sbin/xen": common / "usr/sbin/xen",
        "/usr/lib/xen-common/bin/xen-init-list": LIST,
    })


def run(host, what):
    """start or stop, as at boot and at shutdown."""
    return host.run(["/bin/bash", "/etc/init.d/xendomains", what])
