# SPDX-License-Identifier: Apache-2.0
"""What people script against: the API from another language."""

import re

from actors import config, socket_path, start_agent, start_lbd, start_nginx
from harness import expect, new_lab, scenario
from lab import ROOT

ADDRESS = "10.200.0.9"


@scenario
def python_client():
    """The example in Python adds a VIP, waits until its reals are found up, and drains one."""
    with new_lab(reals=2) as lab:
        for real in lab.reals:
            start_nginx(real)
            start_agent(real, vips=[ADDRESS])
        lab.lbd = start_lbd(lab, config())
        said = lab.lb.run([ROOT / "deploy/examples/drain.py", f"unix:{socket_path(lab)}", ADDRESS,
                           *(real.ip4 for real in lab.reals)], timeout=60).stdout
        vip = re.escape(f"{ADDRESS}:80/tcp")
        real1, real2 = (re.escape(real.ip4) for real in lab.reals)
        for text in (r"added; generation 2", r"2 reals are up", r"moves 49\.6% of the slots",
                     rf"{real1}: REAL_STATE_DRAINING, 0 slots", r"ALREADY_EXISTS",
                     rf"event: {vip} real {real1}: draining",
                     *(rf"event: {vip} real {real}: up: " for real in (real1, real2))):
            expect(re.search(text, said), f"no {text!r} in: {said}")
        up, drained = said.index("2 reals are up"), said.index(": draining")
        expect(up < drained, f"it was drained before it was up: {said}")
        # Nobody answers: it says so, and why.
        done = lab.lb.run([ROOT / "deploy/examples/drain.py", f"unix:{socket_path(lab)}",
                           "10.200.0.8", lab.reals[0].ip4], timeout=60, check=False)
        expect(done.returncode == 1 and f"{lab.reals[0].ip4}: " in done.stderr, f"{done}")
        return {}
