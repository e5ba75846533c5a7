# SPDX-License-Identifier: MIT
"""What a registry keeps of a domain's usage of its CPU: one line, which does not change from one moment to the next."""

from registry import BUILD, run


def test_refresh_keeps_a_line(pool, hosts, tmp_path):
    host, = hosts("intel-cascadelake-sp", options=["--stepped"])
    (tmp_path / "web.cfg").write_text('name = "web"\ntype = "pvh"\nguest = "vector"\nmemory = 4\n')
    xl = [BUILD / "tools/xl/xl-sim", "-s", host]
    run(*xl, "create", tmp_path / "web.cfg")
    run(*xl, "run", 100)
    (tmp_path / "none/var/lib/xenlevel").mkdir(parents=True)
    pool("init")
    pool("join", "--name", "a", "--images", tmp_path / "none", "--root", tmp_path / "none", host=host)
    kept = [data for path, data in pool.files().items() if path.startswith("domains/")]
    assert len(kept) == 1 and b"on: avx avx512f; never on: pku" in kept[0]
    events = len(pool.json("history"))
    for _ in range(3):      # other registers are in use at another moment; that is nothing new
        run(*xl, "run", 37)
        pool("refresh", "--name", "a", "--images", tmp_path / "none", "--root", tmp_path / "none", host=host)
    assert len(pool.json("history")) == events
