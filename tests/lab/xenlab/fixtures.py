# SPDX-License-Identifier: MIT
"""pytest's fixtures of the lab, for tests/lab and tests/migration/lab: `lab`, and a host for each CPU of the catalogue and for
what else is in HOSTS.

Hosts live as long as the session, their guests as long as a test. A test that fails leaves its hosts in an unknown
state: they are booted afresh for the next one (a second each, from a snapshot), and the logs are kept.

Each test's JUnit entry has a property `cpu_seconds`; XENLAB_CPU_TIMES=1 prints them as a table, the dearest first.
"""

import os
import re
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

from . import HostError, Lab
from .cpus import CPUS
from .tools import ROOT, build_livepatch, our_files

HOSTS = {name.replace("-", "_"): name for name in CPUS}
HOSTS["cascadelake_twin"] = "cascadelake"       # for migrations that should change nothing
HOSTS["cascadelake_420"] = "cascadelake@4.20"
HOSTS["sandybridge_420"] = "sandybridge@4.20"


class Pool:
    """The session's hosts, booted when they are first wanted, several at once when several are."""

    def __init__(self, lab, files):
        self.lab, self.files = lab, files

    def spawn(self, names):
        for name in names:
            host = self.lab.hosts.get(name)
            if host and not host.alive():
                self.lab.remove(host)
            if name not in self.lab.hosts:
                self.lab.add(name, HOSTS[name], files=self.files)

    def get(self, name):
        self.spawn([name])
        return self.lab.hosts[name].wait_ready()


@pytest.fixture(scope="session")
def lab():
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="session")
def build_directory():
    """Where ninja built the tools: XENLEVEL_BUILD, else build/ at the top."""
    return Path(os.environ.get("XENLEVEL_BUILD") or ROOT / "build")


@pytest.fixture(scope="session")
def lab_files(build_directory):
    """What every host gets at boot; libraries come along. Tests that want more use host.install()."""
    return our_files(build_directory)


@pytest.fixture(scope="session")
def payloads(lab, tmp_path_factory):
    """A function of a release of Xen: the live patch for its hypervisor, built once."""
    built = {}

    def get(xen):
        if xen not in built:
            built[xen] = tmp_path_factory.mktemp("livepatch") / f"xenlevel-{xen}.livepatch"
            build_livepatch(lab.release(xen)[0], built[xen])
        return built[xen]
    return get


@pytest.fixture(scope="session")
def pool(lab, lab_files):
    return Pool(lab, lab_files)


def _host_fixture(name):
    @pytest.fixture(name=name)
    def host(request, pool):
        pool.spawn([n for n in request.fixturenames if n in HOSTS])     # in parallel
        return pool.get(name)
    return host


for _name in HOSTS:
    globals()[f"host_{_name}"] = _host_fixture(_name)


# ---- what a test costs ----

def _cpu_seconds(lab):
    """Processor time so far: ours, of what we have waited for, and of the hosts that run."""
    own = os.times()
    return sum(own[:4]) + sum(host.cpu_seconds() for host in lab.hosts.values()) if lab else sum(own[:4])


def _note_cpu_seconds(item, report):
    """With its last report goes what a test has cost since the one before it; what the hosts do beside it is in it."""
    lab = item.funcargs.get("lab") or getattr(item.funcargs.get("pool"), "lab", None) or item.session.stash.get(LAB, None)
    item.session.stash[LAB] = lab
    now = _cpu_seconds(lab)
    report.user_properties.append(("cpu_seconds", round(now - item.session.stash.get(CPU_BEFORE, 0), 1)))
    item.session.stash[CPU_BEFORE] = now


def pytest_terminal_summary(terminalreporter):
    if not os.environ.get("XENLAB_CPU_TIMES"):
        return
    costs = [(dict(report.user_properties).get("cpu_seconds", 0), report.nodeid)
             for reports in terminalreporter.stats.values() for report in reports if getattr(report, "when", "") == "teardown"]
    terminalreporter.section("CPU seconds")
    for seconds, name in sorted(costs, reverse=True):
        terminalreporter.write_line(f"{seconds:7.1f}  {name}")
    terminalreporter.write_line(f"{sum(cost[0] for cost in costs):7.1f}  all")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if call.when == "teardown":
        _note_cpu_seconds(item, report)
    if report.failed:
        item.session.stash[FAILED] = item.stash[FAILED] = True
        lab = item.funcargs.get("lab") or getattr(item.funcargs.get("pool"), "lab", None)
        if lab:
            item.stash[LOST] = bool(_lost_guests(lab) - item.stash.get(LOST_BEFORE, set()))
            lab.keep = True
            report.sections.append(("lab", f"logs are kept in {lab.directory}"))


# A guest that ended on an address and a segment of the hypervisor itself: QEMU's emulation of VM entry has lost it (seen about once in
# five hundred tests), and no guest can do that.
LOST_GUEST = re.compile(r"Triple fault[\s\S]{0,700}?RIP: +e008:\[<ffff82d0")
FAILED, LAB, CPU_BEFORE, LOST, LOST_BEFORE = (pytest.StashKey() for _ in range(5))


def _lost_guests(lab):
    """Where on their consoles hosts say that a guest was lost."""
    return {(host.directory, m.start()) for host in lab.hosts.values() for m in LOST_GUEST.finditer(host.console())} if lab else set()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """A test that the emulator has spoilt is run once more, with a warning; every other failure is one."""
    item.stash[LOST_BEFORE] = _lost_guests(item.session.stash.get(LAB, None))
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if item.stash.get(LOST, False):
        item.warn(pytest.PytestWarning(f"{item.nodeid}: QEMU lost a guest inside the hypervisor: run once more"))
        item.stash[LOST] = item.stash[FAILED] = False
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.fixture(autouse=True, scope="module")
def nothing_kept(request):
    """What hosts keep for later tests, they keep for those of one file."""
    yield
    lab = request.session.stash.get(LAB, None)
    for host in lab.hosts.values() if lab else []:
        if host.alive():
            host.forget()


@pytest.fixture(autouse=True)
def no_guests_left(request):
    """Between tests there is no guest on any host."""
    yield
    names = [n for n in request.fixturenames if n in HOSTS]
    if not names:
        return
    lab = request.getfixturevalue("lab")
    for name in names:
        host = lab.hosts.get(name)
        if host is None:
            continue
        try:
            if request.node.stash.get(FAILED, False):
                raise HostError("the test failed")
            host.cleanup()
        except HostError:
            lab.remove(host)
