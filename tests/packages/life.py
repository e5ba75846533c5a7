#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The life of the Debian packages in a minimal Debian: built there, installed, upgraded, beside a second Xen, purged.

usage: tests/packages/life.py [--release bookworm|trixie] [--packages FOLDER] [--keep]

Each step is one test: it leaves a log in build/fresh and the last line counts. They run in this order, each on what the
one before has left. The folder and its namespaces are tests/fresh/fresh.py's: nothing is installed or left here. Needs root
and a network. --packages takes packages that were built for that release already, and does not build.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "fresh"), str(Path(__file__).resolve().parents[1])]

import fresh   # noqa: E402
from fresh import CACHE, HOME, Failed, Machine, say   # noqa: E402
from run import heed_signals   # noqa: E402

XEN = {"bookworm": "4.17", "trixie": "4.20"}
SECOND = "4.21"         # a Xen that comes later
GATE = "/usr/lib/x86_64-linux-gnu/xenlevel/xenlevel-save-helper"
PACKAGES = "/root/packages"
OURS = "xenlevel xenlevel-gate xenlevel-livepatch xenlevel-verify xen-sim libxenlevel0 libxenlevel-dev"

# What the scripts of the steps say with.
WORDS = r"""
export DEBIAN_FRONTEND=noninteractive
fail() { echo "WRONG: $*"; exit 1; }
helper() { echo "/usr/lib/xen-$1/bin/libxl-save-helper"; }
debs() { for name in $2; do ls $1/${name}_*.deb; done; }
is_gate() { [ "$("$1" --version | cut -d' ' -f1)" = xenlevel-save-helper ] || fail "$1 is not the gate"; }
stock_of() { md5sum "$1" | cut -d' ' -f1; }
packed() { sed -n "s|  usr/lib/xen-$1/bin/libxl-save-helper$||p" /var/lib/dpkg/info/xen-utils-$1.md5sums; }
guarded() {
    is_gate "$(helper $1)"
    cmp -s "$(helper $1)" @GATE@ || fail "Xen $1 has another gate than the installed one"
    [ "$(stock_of "$(helper $1).stock")" = "$(packed $1)" ] || fail "the stock helper of Xen $1 is not beside the gate"
    [ "$(dpkg-divert --listpackage "$(helper $1)")" = xenlevel-gate ] || fail "nothing is diverted for Xen $1"
    [ ! -e "$(helper $1).new" ] || fail "something is left over"
}
bare() {
    [ "$(stock_of "$(helper $1)")" = "$(packed $1)" ] || fail "Xen $1 has not got its own helper back"
    [ ! -e "$(helper $1).stock" ] || fail "something is left beside it"
    [ -z "$(dpkg-divert --list '/usr/lib/xen-*')" ] || fail "diverted still: $(dpkg-divert --list '/usr/lib/xen-*')"
}
sound() { dpkg --verify $(dpkg-query -W -f '${Package} ' 'xen-utils-*' 'xenlevel*') | grep -v ' /usr/share/doc/' | grep . && fail "dpkg --verify"; dpkg --audit | grep . && fail "dpkg --audit"; true; }
files() { find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /root -o -path /var/lib/dpkg -o -path /var/cache \
    -o -path /var/log -o -path /var/lib/apt -o -path /etc/ld.so.cache -o -path /script -o -path /run \) -prune -o -print | sort; }
""".replace("@GATE@", GATE)


def fake_xen(version):
    """A package of the next Xen, as far as the gate can see it."""
    return f"""
rm -rf /tmp/fake && mkdir -p /tmp/fake/DEBIAN /tmp/fake/usr/lib/xen-{version}/bin
printf '#!/bin/sh\\necho "helper of Xen {version}"\\n' >/tmp/fake/usr/lib/xen-{version}/bin/libxl-save-helper
chmod 755 /tmp/fake/usr/lib/xen-{version}/bin/libxl-save-helper
(cd /tmp/fake && find usr -type f -exec md5sum {{}} + >DEBIAN/md5sums)
printf 'Package: xen-utils-{version}\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@x.org>\\nDescription: x\\n' >/tmp/fake/DEBIAN/control
dpkg-deb --root-owner-group -b /tmp/fake /tmp/xen-utils-{version}.deb
"""


class Steps:
    """Each public method is a step, in this order."""

    def __init__(self, machine, packages):
        self.machine, self.packages, self.version = machine, packages, XEN[machine.release]

    def _run(self, script, log):
        code, text = self.machine.run(f"set -e\ncd /{HOME}\n{WORDS}\n{script}\n", f"packages-{log}")
        if code:
            raise Failed(f"exit status {code}\n" + "\n".join(text.splitlines()[-25:]))
        return text

    def build(self):
        """make packages, as a user who is not root, and lintian finds nothing"""
        if self.packages:
            shutil.copytree(self.packages, f"{self.machine.folder}{PACKAGES}")
            self._run("apt-get update -qq", "build")
            return
        self._run(f"""
scripts/ensure-packages.sh build packages
git status --porcelain --ignored >/tmp/before
useradd -m builder && cp -r /{HOME} /home/builder/tree && chown -R builder: /home/builder
su builder -c 'cd ~/tree && make packages'
cp -r /home/builder/tree/build/packages {PACKAGES}
su builder -c 'cd ~/tree && rm -r build && git status --porcelain --ignored' | cmp - /tmp/before || fail "the tree has changed"
lintian --allow-root --fail-on error,warning {PACKAGES}/*.changes
userdel -r builder
""", "build")

    def install(self):
        """installed beside Xen: its helper's name is the gate's, and the gate starts Xen's helper"""
        text = self._run(f"""
apt-get install -y -qq --no-install-recommends xen-utils-{self.version}
files >/tmp/without
apt-get install -y -qq --no-install-recommends $(debs {PACKAGES} "{OURS}")
guarded {self.version}; sound
xenlevel --version; verify-stream --help >/dev/null; xen-sim --version
# Without a Xen a save is still handed to Xen's helper, which fails in its own words.
$(helper {self.version}) --save-domain 4 5 1 0 0 0 4</dev/null 5</dev/null 2>&1 || echo "status $?"
# A restore is refused by the gate.
$(helper {self.version}) --restore-domain 4 5 1 1 0 2 0 0 0 4</dev/null 5</dev/null 2>&1 | tr -d '\\000' || echo "status $?"
""", "install")
        for line in ("saving domain 1 without a look", "xc_interface_open failed", "xenlevel: refused"):
            if line not in text:
                raise Failed(f"nobody said: {line}\n{text[-1500:]}")

    def status(self):
        """xenlevel status knows the diversion, and asks systemd what its units are started with"""
        self._run(f"""
mkdir -p /run/systemd/system /usr/local/bin
answer() {{ xenlevel status -n --json | python3 -c 'import json, sys
print(*(c["answer"] + ": " + c["text"] for c in json.load(sys.stdin)["checks"] if c["check"] == sys.argv[1]))' $1; }}
systemctl_says() {{ printf '%s\\n' "$1" >/tmp/says; }}
cat >/usr/local/bin/systemctl <<'END'
#!/bin/sh
case "$*" in *libvirtd.service) cat /tmp/says ;; *) echo LoadState=not-found ;; esac
END
chmod 755 /usr/local/bin/systemctl
has() {{ answer $1 | grep -q "$2" || fail "$1: not '$2' but $(answer $1)"; }}
systemctl_says 'LoadState=loaded
MainPID=0
Environment="LIBVIRTD_ARGS=--timeout 120"
EnvironmentFiles=/etc/default/nothing (ignore_errors=yes)'
has place "^yes: .* is the gate, by a diversion of dpkg"; has login ^yes; has libvirtd ^yes; has virtxend ^unused
systemctl_says "LoadState=loaded
MainPID=0
Environment=A=b \"LIBXL_SAVE_HELPER=$(helper {self.version}).stock\""
has libvirtd '^no: .*which is not the gate'
LIBXL_SAVE_HELPER=$(helper {self.version}).stock sleep 60 &
systemctl_says "LoadState=loaded
MainPID=$!
Environment="
has libvirtd '^no: it runs since before: restart it'
kill $!
printf '#!/bin/sh\nexit 1\n' >/usr/local/bin/systemctl
has libvirtd ^unused     # no systemd answers: there is no such unit's file here
rm -r /usr/local/bin/systemctl /run/systemd/system
""", "status")

    def upgrade(self):
        """a newer version: its gate is in the way at once, the diversion is the same one"""
        self._run(f"""
mkdir -p /root/newer
for name in {OURS}; do
    deb=$(ls {PACKAGES}/${{name}}_*.deb); rm -rf /tmp/x; dpkg-deb -R $deb /tmp/x
    sed -i 's/^Version: .*/Version: 99/; s/\\(xenlevel[a-z0-9]*\\) (= [^)]*)/\\1 (= 99)/g' /tmp/x/DEBIAN/control
    [ $name != xenlevel-gate ] || {{ printf newer >>/tmp/x{GATE}; (cd /tmp/x && find usr -type f -exec md5sum {{}} + >DEBIAN/md5sums); }}
    dpkg-deb --root-owner-group -b /tmp/x /root/newer/${{name}}_99.deb
done >/dev/null
apt-get install -y -qq --no-install-recommends $(debs /root/newer "{OURS}")
[ "$(dpkg-query -W -f '${{Version}}' xenlevel-gate)" = 99 ] || fail "not upgraded"
tail -c 5 $(helper {self.version}) | grep -q newer || fail "the old gate stands there still"
guarded {self.version}; sound
""", "upgrade")

    def xen(self):
        """an upgrade of Xen lands beside the gate"""
        self._run(f"""
apt-get install -y -qq --reinstall xen-utils-{self.version}
guarded {self.version}; sound
""", "xen")

    def second(self):
        """a second Xen that comes later is guarded by the trigger, and leaves nothing when it goes"""
        self._run(f"""
{fake_xen(SECOND)}
dpkg -i /tmp/xen-utils-{SECOND}.deb
guarded {SECOND}; guarded {self.version}; sound
[ "$($(helper {SECOND}).stock)" = "helper of Xen {SECOND}" ] || fail "that is not its helper"
dpkg --purge xen-utils-{SECOND}
[ ! -e /usr/lib/xen-{SECOND} ] || fail "left: $(find /usr/lib/xen-{SECOND})"
dpkg-divert --list '/usr/lib/xen-{SECOND}/*' | grep . && fail "diverted still"
guarded {self.version}; sound
""", "second")

    def livepatch(self):
        """a hypervisor that comes: a payload is built for it and for no other, again when it changes, and goes with it"""
        self._run(f"""
kept=/var/lib/xenlevel/livepatch
id_of() {{ zcat $1 >/tmp/image; readelf -nW /tmp/image 2>/dev/null | sed -n 's/.*Build ID: //p'; }}
depends() {{ objcopy -O binary --only-section=.livepatch.xen_depends --set-section-flags .livepatch.xen_depends=alloc $1 /tmp/d; od -An -v -tx1 /tmp/d | tr -d ' \\n' | tail -c 40; }}
[ ! -e $kept ] || [ -z "$(ls $kept)" ] || fail "a payload of nothing"
systemctl is-enabled xenlevel-livepatch.service 2>/dev/null || [ -L /etc/systemd/system/multi-user.target.wants/xenlevel-livepatch.service ] || fail "nothing loads it at boot"
apt-get install -y -qq --no-install-recommends xen-hypervisor-{self.version}-amd64 2>&1 | tee /tmp/said
grep -q 'no payload for build-id' /tmp/said || fail "nobody said that its symbols are missing"
apt-get install -y -qq --no-install-recommends xen-hypervisor-{self.version}-amd64-dbg
id=$(id_of /boot/xen-{self.version}-amd64.gz)
[ "$(ls $kept)" = $id.livepatch ] || fail "built: $(ls $kept)"
[ "$(depends $kept/$id.livepatch)" = $id ] || fail "it is for $(depends $kept/$id.livepatch), not for $id"
xenlevel status -n --json | tr -d '\n ' | grep -o '"check":"livepatch-at-boot"[^}}]*"answer":"yes"' || fail "status: $(xenlevel status -n)"
touch -d 2001-01-01 $kept/$id.livepatch
apt-get install -y -qq --reinstall xen-hypervisor-{self.version}-amd64-dbg
[ -n "$(find $kept -newermt 2002-01-01 -name '*.livepatch')" ] || fail "not built again"
apt-get purge -y -qq xen-hypervisor-{self.version}-amd64 xen-hypervisor-{self.version}-amd64-dbg xen-hypervisor-common
""", "livepatch")

    def pool(self):
        """a host of a pool refreshes at boot and by a timer, and one that is in none does not"""
        self._run(f"""
wanted() {{ systemctl is-enabled $1 2>/dev/null || [ -L /etc/systemd/system/$2.wants/$1 ] || fail "$1 is not enabled"; }}
wanted xenlevel-pool-refresh.service multi-user.target
wanted xenlevel-pool-refresh.timer timers.target
units=$(dpkg -L xenlevel | grep 'xenlevel-pool-refresh\\.')
[ "$(echo "$units" | wc -l)" = 2 ] || fail "units: $units"
grep -q '^ConditionPathExists=/etc/xenlevel/pool.conf' $(echo "$units" | grep service) || fail "it runs where there is no pool"
$(sed -n 's/^ExecStart=//p' $(echo "$units" | grep service)) --help >/dev/null || fail "what it starts is not there"
xenlevel pool init -p /tmp/registry
mkfifo /tmp/ready; xen-sim -m intel-haswell-ep -s /tmp/sim.sock >/tmp/ready & sim=$!
read -r line </tmp/ready
XENLEVEL_HOST=/tmp/sim.sock xenlevel pool join -p /tmp/registry --name a --write-config
XENLEVEL_HOST=/tmp/sim.sock xenlevel pool refresh --root /      # with this machine's /proc, which the simulated host has not
XENLEVEL_HOST=/tmp/sim.sock xenlevel pool refresh --root / | grep 'a: nothing has changed'
grep '^drift: none' /var/lib/xenlevel/drift.txt
kill $sim; rm -r /tmp/registry /tmp/ready
""", "pool")

    def downgrade(self):
        """back to the older version"""
        self._run(f"""
apt-get install -y -qq --no-install-recommends --allow-downgrades $(debs {PACKAGES} "{OURS}")
[ "$(dpkg-query -W -f '${{Version}}' xenlevel-gate)" != 99 ] || fail "not downgraded"
guarded {self.version}; sound
""", "downgrade")

    def interrupted(self):
        """what a kill half-way has left is put right by the next run"""
        self._run(f"""
h=$(helper {self.version})
dpkg-divert --quiet --package xenlevel-gate --no-rename --divert $h.stock --remove $h; /usr/lib/xenlevel/gate-diversion sync; guarded {self.version}
mv $h.stock $h; /usr/lib/xenlevel/gate-diversion sync; guarded {self.version}
ln {GATE} $h.new; /usr/lib/xenlevel/gate-diversion sync; guarded {self.version}
/usr/lib/xenlevel/gate-diversion withdraw; bare {self.version}; /usr/lib/xenlevel/gate-diversion withdraw; bare {self.version}
dpkg-reconfigure xenlevel-gate; guarded {self.version}
# Somebody else's diversion is not taken over.
/usr/lib/xenlevel/gate-diversion withdraw
dpkg-divert --quiet --local --no-rename --divert $h.mine --add $h
mkdir -p /usr/lib/xen-{SECOND}/bin; cp $h /usr/lib/xen-{SECOND}/bin
/usr/lib/xenlevel/gate-diversion sync && fail "it says that all is well"
[ ! -e $h.stock ] || fail "something is left beside it"
is_gate $(helper {SECOND})      # the other one is guarded all the same
dpkg-divert --quiet --local --no-rename --remove $h
rm /usr/lib/xen-{SECOND}/bin/*; /usr/lib/xenlevel/gate-diversion sync; [ ! -e /usr/lib/xen-{SECOND} ] || fail "left"
/usr/lib/xenlevel/gate-diversion sync; guarded {self.version}
""", "interrupted")

    def purge(self):
        """removed: Xen has its helper back; purged: nothing of it is left"""
        self._run(f"""
apt-get remove -y -qq xenlevel-gate
bare {self.version}; sound
apt-get install -y -qq --no-install-recommends $(debs {PACKAGES} xenlevel-gate); guarded {self.version}
apt-get purge -y -qq {OURS}
apt-get autoremove -y -qq --purge
bare {self.version}; sound
files >/tmp/after
# What our packages needed may stay, as far as dpkg knows whose it is.
comm -3 /tmp/without /tmp/after | tr -d '\t' | while read -r f; do dpkg -S "$f" >/dev/null 2>&1 || echo "not as it was: $f"; done | grep . && fail
dpkg-query -W -f '${{Package}} ${{db:Status-Status}}\\n' 'xenlevel*' 'xen-sim' 'libxenlevel*' 2>/dev/null | grep -v not-installed | grep . && fail "left in dpkg"
true
""", "purge")

    def first(self):
        """installed before any Xen: the Xen that comes is guarded"""
        self._run(f"""
apt-get purge -y -qq xen-utils-{self.version} xen-utils-common
apt-get install -y -qq --no-install-recommends $(debs {PACKAGES} xenlevel-gate)
[ -z "$(/usr/lib/xenlevel/gate-diversion list)" ] || fail "something is diverted"
apt-get install -y -qq --no-install-recommends xen-utils-{self.version}
guarded {self.version}; sound
""", "first")


def main():
    names = [n for n in vars(Steps) if not n.startswith("_")]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="steps:\n" + "\n".join(f"  {n:12}{getattr(Steps, n).__doc__}" for n in names))
    parser.add_argument("--release", action="append", choices=sorted(XEN), help="Debian 12 (the default), 13")
    parser.add_argument("--packages", type=Path, help="take these and build none")
    parser.add_argument("--keep", action="store_true", help="leave the folder behind, for a look")
    options = parser.parse_args()
    if os.geteuid():
        parser.error("only root can make a folder with a system in it: run this as root")
    heed_signals()
    passed, failures = 0, []
    for release in options.release or ["bookworm"]:
        folder = CACHE / f"root.{release}.packages.{os.getpid()}"
        try:
            steps = Steps(Machine(release, folder, []), options.packages)
            for name in names:
                begun = time.monotonic()
                say(f"== {release}: {name}: {getattr(Steps, name).__doc__}")
                try:
                    getattr(steps, name)()
                    passed += 1
                    say(f"   passed  ({time.monotonic() - begun:.0f} s)")
                except Failed as error:
                    failures.append(f"{release} {name}")
                    say(f"   FAILED  ({time.monotonic() - begun:.0f} s; log in {fresh.ROOT}/build/fresh/{release})\n{error}")
        except (Failed, OSError, subprocess.CalledProcessError) as error:
            failures.append(f"{release}: {str(error).splitlines()[0]}")
            say(f"== {release}: FAILED: {error}")
        finally:
            if not options.keep:
                shutil.rmtree(folder, ignore_errors=True)
    for failure in failures:
        say(f"failed: {failure}")
    say(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
