# SPDX-License-Identifier: Apache-2.0
"""What people script against: the API from another language."""

from actors import config, socket_path, start_lbd
from harness import expect, new_lab, scenario
from lab import ROOT


@scenario
def python_client():
    """The example in Python adds a VIP, watches, and drains a real."""
    with new_lab(reals=2) as lab:
        lab.lbd = start_lbd(lab, config())
        said = lab.lb.run([ROOT / "deploy/examples/drain.py", f"unix:{socket_path(lab)}",
                           "10.200.0.9", *(real.ip4 for real in lab.reals)], timeout=60).stdout
        for text in ("added; generation 2", "moves 49.6% of the slots", "REAL_STATE_DRAINING, 0 slots", "ALREADY_EXISTS",
                     f"event: 10.200.0.9:80/tcp real {lab.reals[0].ip4}: draining"):
            expect(text in said, f"no {text!r} in: {said}")
        return {}
