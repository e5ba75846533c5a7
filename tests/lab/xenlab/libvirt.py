# SPDX-License-Identifier: MIT
"""Debian's libvirtd for Xen in a dom0, and virsh. 70 MB with its libraries, so only for those who ask."""

import time

from .host import HostError

DAEMON = "usr/sbin/libvirtd"
PROGRAMS = {DAEMON: "libvirt-daemon", "usr/bin/virt-ssh-helper": "libvirt-daemon", "usr/bin/virsh": "libvirt-clients",
            "usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_libxl.so": "libvirt-daemon-driver-xen"}
LOG = "/var/log/libvirt/libvirtd.log"
# No polkit and no SMBIOS here; the rest is libvirt's own.
CONF = f"""auth_unix_ro = "none"
auth_unix_rw = "none"
host_uuid = "%s"
log_outputs = "1:file:{LOG}"
log_filters = "1:libxl 3:object 3:event 3:json 3:util"
"""


def files(packages):
    """{path in dom0: file here} for Host.install(); fetches what the cache lacks."""
    packages.add(packages.release.libvirt)
    found = {f"/{path}": packages.root(package) / path for path, package in PROGRAMS.items()}
    maps = packages.root("libvirt0") / "usr/share/libvirt/cpu_map"
    found |= {f"/usr/share/libvirt/cpu_map/{file.name}": file for file in maps.iterdir()}
    missing = [str(f) for f in found.values() if not f.exists()]
    if missing:
        raise HostError(f"not in Debian's packages: {' '.join(missing)}")
    return found


def start(host, timeout=300):
    """libvirtd in that dom0, installed if it is not, and ready for virsh -c xen:///system: 15 to 60 seconds, by what else the
    machine does."""
    programs = files(host.packages)
    if not programs.keys() <= host.files.keys():
        host.install(programs)
    if host.run("virsh -c xen:///system version").rc == 0:
        return
    number = sum(host.name.encode())
    host.put("/etc/libvirt/libvirtd.conf", (CONF % f"4c1c6f5e-8f0a-4b7e-9c55-{number:012x}").encode(), 0o644)
    host.put("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
    host.put("/etc/group", b"root:x:0:\nlibvirt:x:100:\n", 0o644)
    # libvirt migrates nothing between hosts that have no names.
    host.run(f"echo {host.name} > /proc/sys/kernel/hostname; mkdir -p /var/log/libvirt /run/libvirt /var/lib/libvirt; "
             f"busybox ifconfig lo 127.0.0.1 up; /{DAEMON} -d -f /etc/libvirt/libvirtd.conf").check()
    deadline = time.monotonic() + timeout
    while (r := host.run("virsh -c xen:///system version")).rc:
        if time.monotonic() > deadline:
            raise HostError(f"{host.name}: libvirtd is not ready: {r.err}\n{host.run(f'tail -n 30 {LOG}').out}")
        time.sleep(0.5)


def driver_log(host):
    """What libxl and the programs that it starts said to libvirt's driver."""
    return host.run("cat /var/log/libvirt/libxl/libxl-driver.log 2>/dev/null").out
