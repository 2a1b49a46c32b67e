# SPDX-License-Identifier: Apache-2.0
"""lbd is killed in the middle of changes: what was acknowledged is in force, then and after."""

import os
import random
import signal
import threading
import time

from actors import VIP4, lbctl, start_lbd, config, vip
from harness import expect, expect_served, scenario, serving_lab
from lab import wait_until

RUNS = int(os.environ.get("LBD_CRASH_RUNS", "10"))
KEY = f"{VIP4}:80/tcp"


class Changer(threading.Thread):
    """Gives the VIP another real again and again, until a call fails."""

    def __init__(self, lab, turn):
        super().__init__(daemon=True)
        self.lab, self.turn = lab, turn
        self.acknowledged = turn  # of the last call that was answered
        self.tried = turn
        self.took = None  # seconds, the last one that was answered

    def run(self):
        while True:
            self.tried = self.acknowledged + 1
            real = self.lab.reals[self.tried % 3].ip4
            start = time.monotonic()
            if lbctl(self.lab, "vip", "update", KEY, "--real", real, check=False).returncode != 0:
                return
            self.took = time.monotonic() - start
            self.acknowledged = self.tried


def _in_force(lab):
    """The real that answers, which is the only one."""
    answers = expect_served(lab, VIP4, 6).answers
    expect(len(answers) == 1, f"several reals answer: {answers}")
    return next(iter(answers))


@scenario
def crash():
    """SIGKILL at any moment: the data plane and the next lbd have the last acknowledged change, or
    the one that was under way."""
    document = lambda lab: config(vip(VIP4, [lab.reals[0].ip4], tracking="none"))
    with serving_lab(document) as lab:
        lab.lbd.stop()
        flags = ["--state_dir", lab.dir / "state"]
        lab.lbd = start_lbd(lab, document(lab), flags=flags)
        turn, made, unanswered = 0, 0, 0
        for run in range(RUNS):
            changer = Changer(lab, turn)
            changer.start()
            wait_until(lambda made=changer: made.took, 30, "a change is made", 0.001)
            time.sleep(random.Random(run).uniform(0, 1.5 * changer.took))
            lab.lbd.stop(signal.SIGKILL)
            changer.join(30)
            names = [lab.reals[t % 3].name for t in (changer.acknowledged, changer.tried)]
            forwarding = _in_force(lab)
            expect(forwarding in names, f"run {run}: {forwarding} serves, acknowledged: {names}")
            lab.lbd = start_lbd(lab, document(lab), flags=flags)
            restored = _in_force(lab)
            expect(restored in names, f"run {run}: {restored} is restored, acknowledged: {names}")
            made += changer.acknowledged - turn
            unanswered += restored != names[0]
            turn = changer.tried if restored == names[1] else changer.acknowledged
        return {"runs": RUNS, "changes": made, "kept_unanswered": unanswered}
