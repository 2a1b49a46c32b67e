# SPDX-License-Identifier: Apache-2.0
"""Taking reals out of service and back, by lbctl."""

import json
import time

from actors import (BIG_FILE_MIB, VIP4, binary, config, lbctl, request_many, socket_path, url, vip)
from harness import expect, expect_served, scenario, serving_lab
from lab import wait_until

KEY = f"{VIP4}:80/tcp"
WINDOW = 3


def _lab():
    return serving_lab(lambda lab: config(vip(VIP4, [real.ip4 for real in lab.reals],
                                              flows={"window_seconds": WINDOW},
                                              slow_start_seconds=10)))


def _reals(lab):
    rows = json.loads(lbctl(lab, "real", "list", KEY, "-o", "json").stdout)["reals"]
    return {row["real"]["address"]: row for row in rows}


def _packets(lab):
    stats = json.loads(lbctl(lab, "stats", KEY, "-o", "json").stdout)
    return {real["address"]: int(real["counter"]["packets"]) for real in stats["vips"][0]["reals"]}


def _start_download(lab, rate):
    """A download from VIP4, and the real that serves it."""
    before = _packets(lab)
    download = lab.client.start(f"download-{rate}", [
        "curl", "-sS", "--limit-rate", rate, "-o", "/dev/null",
        "-w", "%{http_code} %{size_download}", url(VIP4, "/big")])
    wait_until(lambda: _packets(lab) != before, 20, "the download has begun")
    after = _packets(lab)
    address = max(after, key=lambda real: after[real] - before[real])
    return download, next(real for real in lab.reals if real.ip4 == address)


@scenario
def drain():
    """A real keeps its connection and gets no new one; lbctl waits for its end and no longer."""
    with _lab() as lab:
        shares = {address: row["slots"] for address, row in _reals(lab).items()}
        download, real = _start_download(lab, f"{BIG_FILE_MIB // 12}M")
        waiting = lab.lb.start("drain", [
            binary("lbctl"), "--server", f"unix:{socket_path(lab)}",
            "real", "drain", KEY, real.ip4, "--wait", "-o", "json"])
        wait_until(lambda: _reals(lab)[real.ip4]["slots"] == 0, 20, "the real is draining")
        result = expect_served(lab, VIP4)
        expect(real.name not in result.answers, f"a draining real answered: {result.answers}")
        impatient = lbctl(lab, "real", "drain", KEY, real.ip4, "--wait", "--wait-timeout", WINDOW + 3,
                          check=False)
        expect(impatient.returncode == 1 and "1 tracked flow and 0 slots left" in impatient.stderr,
               f"a wait that times out: {impatient}")
        expect(waiting.alive(), f"lbctl did not wait for the download: {waiting.output()}")
        expect(download.alive(), "the download is over already: nothing was tested")
        download.wait(30)
        said = download.output()
        expect(said == f"200 {BIG_FILE_MIB << 20}", f"the download ended with: {said}")
        ended = time.monotonic()
        waiting.wait(120)
        drained = json.loads(waiting.output())
        expect(drained["drained"] and drained["flows"] == 0 and drained["leaving_slots"] == 0,
               f"lbctl ended with: {drained}")
        took = time.monotonic() - ended

        # It comes back slowly, to exactly the slots that it had.
        lbctl(lab, "real", "activate", KEY, real.ip4)
        first = _reals(lab)[real.ip4]["slots"]
        expect(0 < first < shares[real.ip4] / 3, f"slow start began with {first} slots")
        wait_until(lambda: {a: row["slots"] for a, row in _reals(lab).items()} == shares, 15,
                   "all slots are back")
        return {"waited_seconds": drained["waited_seconds"], "after_the_end": round(took, 1)}


@scenario
def drain_deadline():
    """A deadline gives up the connections that are left."""
    with _lab() as lab:
        download, real = _start_download(lab, "1M")
        done = lbctl(lab, "real", "drain", KEY, real.ip4, "--deadline", WINDOW + 3, "--wait")
        expect("it can be taken away" in done.stdout, f"lbctl said: {done.stdout}")
        wait_until(lambda: not download.alive(), 60, "the download is broken", 0.5)
        expect(download.output() != f"200 {BIG_FILE_MIB << 20}", "the download was not given up")
        return {}


@scenario
def standby():
    """A standby real serves while no active one can, and not before."""
    with _lab() as lab:
        *actives, spare = lab.reals
        lbctl(lab, "real", "update", KEY, spare.ip4, "--state", "standby")
        time.sleep(WINDOW)
        expect(spare.name not in expect_served(lab, VIP4).answers, "the standby real served")
        for real in actives:
            lbctl(lab, "real", "update", KEY, real.ip4, "--state", "down")
        answers = request_many(lab.client, VIP4, 50).answers
        expect(set(answers) == {spare.name}, f"with the standby alone: {dict(answers)}")
        for real in actives:
            lbctl(lab, "real", "activate", KEY, real.ip4)
        expect(spare.name not in expect_served(lab, VIP4).answers, "the standby real still serves")
        return {}
