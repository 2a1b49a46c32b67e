# SPDX-License-Identifier: Apache-2.0
"""lbd is killed in the middle of changes: what was acknowledged is in force, then and after."""

import json
import os
import random
import signal
import threading
import time

from actors import config, lbctl, start_agent, start_lbd, start_nginx, vip, write_config
from harness import expect, expect_served, new_lab, scenario
from lab import wait_until

RUNS = int(os.environ.get("LBD_CRASH_RUNS", "10"))
VIPS = [f"10.200.0.{number}" for number in range(1, 9)]


def _document(lab, turn):
    """All VIPs on one real: where a document is made by halves, two reals answer."""
    return config(*(vip(address, [lab.reals[turn % 3].ip4], tracking="none") for address in VIPS))


class Changer(threading.Thread):
    """Moves all VIPs to another real again and again, until a call fails."""

    def __init__(self, lab, turn):
        super().__init__(daemon=True)
        self.lab, self.turn = lab, turn
        self.acknowledged = turn  # of the last call that was answered
        self.tried = turn
        self.took = None  # seconds, the last one that was answered

    def run(self):
        while True:
            self.tried = self.acknowledged + 1
            path = write_config(self.lab, _document(self.lab, self.tried), "next.yaml")
            start = time.monotonic()
            if lbctl(self.lab, "config", "apply", path, check=False).returncode != 0:
                return
            self.took = time.monotonic() - start
            self.acknowledged = self.tried


def _answering(lab):
    """The reals that answer, whichever VIP is asked."""
    return set().union(*(expect_served(lab, address, 2).answers for address in VIPS))


def _generation(lab):
    return int(json.loads(lbctl(lab, "status", "-o", "json").stdout)["generation"])


@scenario
def crash():
    """SIGKILL at any moment: the next lbd has the last acknowledged document, or the one that was under
    way, whole and with its generation. Until then packets go by one of these, or by some of each."""
    with new_lab() as lab:
        for real in lab.reals:
            start_nginx(real)
            start_agent(real, vips=VIPS)
        lab.router.ip([f"route replace {address}/32 via {lab.lb.ip4}" for address in VIPS])
        flags = ["--state_dir", lab.dir / "state"]
        lab.lbd = start_lbd(lab, _document(lab, 0), flags=flags)
        turn, made, mixed, ahead, unanswered = 0, 0, 0, 0, 0
        for run in range(RUNS):
            changer = Changer(lab, turn)
            changer.start()
            wait_until(lambda made=changer: made.took, 30, "a change is made", 0.001)
            time.sleep(random.Random(run).uniform(0, 1.5 * changer.took))
            lab.lbd.stop(signal.SIGKILL)
            changer.join(30)
            expect(not changer.is_alive(), f"run {run}: a call does not end")
            made += changer.acknowledged - turn
            turns = {lab.reals[t % 3].name: t for t in (changer.acknowledged, changer.tried)}
            forwarding = _answering(lab)
            expect(forwarding <= set(turns), f"run {run}: {forwarding} serve, acknowledged: {turns}")
            lab.lbd = start_lbd(lab, _document(lab, 0), flags=flags)
            restored = _answering(lab)
            expect(len(restored) == 1 and restored <= set(turns),
                   f"run {run}: {restored} are restored, acknowledged: {turns}")
            turn = turns[restored.pop()]
            # The first document, of turn 0, has generation 1, and each change the next one.
            expect(_generation(lab) == turn + 1,
                   f"run {run}: generation {_generation(lab)}, and not {turn + 1}")
            mixed += len(forwarding) > 1
            ahead += {turns[name] for name in forwarding} == {changer.tried}
            unanswered += turn != changer.acknowledged
        return {"runs": RUNS, "vips": len(VIPS), "changes": made, "forwarded_mixed": mixed,
                "forwarded_unanswered": ahead, "kept_unanswered": unanswered}
