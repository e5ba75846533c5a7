# SPDX-License-Identifier: MIT
"""A registry in a folder, simulated hosts, and the command.

    def test_it(pool, hosts):
        pool("init")
        a, b = hosts("intel-haswell-ep", "intel-sandybridge-ep")
        pool("refresh", host=a)
        assert pool.json("status")["hosts"] ...
"""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "migration")]
from etcd import Cluster  # noqa: E402
from registry import Pool, SimulatedHost  # noqa: E402
from relays import PeerNetwork  # noqa: E402


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Three real members of etcd, for all tests of a file."""
    c = Cluster(tmp_path_factory.mktemp("etcd"))
    yield c
    c.stop()


@pytest.fixture
def prefix(request):
    """A place in the cluster of the test's own."""
    return "".join(c if c.isalnum() else "-" for c in request.node.name)


@pytest.fixture
def parted_cluster(tmp_path):
    """Three members that the test may part and kill (cluster.peers)."""
    peers = PeerNetwork()
    c = Cluster(tmp_path / "etcd", peers=peers)
    yield c
    c.stop()
    peers.loop.close()


@pytest.fixture
def pool(tmp_path):
    """A folder for a registry, in which nothing is yet: pool("init") makes it."""
    return Pool(tmp_path / "registry")


@pytest.fixture
def hosts(tmp_path_factory):
    """hosts("intel-haswell-ep", ...) begins simulated hosts, and returns as many SimulatedHosts."""
    running = []

    def begin(*machines, options=()):
        begun = []
        for machine in machines:
            path = tmp_path_factory.mktemp("host") / "h"
            begun.append(SimulatedHost(path, machine, *options))
            running.append(begun[-1])
        return begun

    yield begin
    for host in running:
        host.stop()


@pytest.fixture(scope="session")
def captures(tmp_path_factory):
    """captures("intel-haswell-ep") is the path of that machine's .xlp, made once."""
    folder, made = tmp_path_factory.mktemp("captures"), {}

    def capture(machine):
        if machine not in made:
            host = SimulatedHost(folder / machine, machine)
            made[machine] = host.capture(folder / f"{machine}.xlp", "--name", machine)
            host.stop()
        return made[machine]

    return capture
