# SPDX-License-Identifier: Apache-2.0
"""Messages of the size that the API takes at most, and larger ones."""

import collections
import pathlib
import re
import threading

from actors import VIP4, config, lbctl, socket_path, start_lbd, udp_flows, vip
from harness import expect, new_lab, scenario
from lab import ROOT, run, wait_until

RATE = 5000  # packets per second meanwhile
TOO_LARGE = "RESOURCE_EXHAUSTED"
# gRPC closes connections when it lacks memory for what many send at once.
REFUSED = {TOO_LARGE, "UNAVAILABLE"}
NOT_PACKED = "UNIMPLEMENTED"
READ = "INVALID_ARGUMENT: options.comment: at most 1024 characters"
# Of lbd, all in all. Messages that are within the limit have it in memory several times over: as it
# came, and as protobuf read it.
MAX_RESIDENT_MIB = 1000


class PeakMemory(threading.Thread):
    """The most memory that a process has while this runs, in MiB."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self._status = pathlib.Path(f"/proc/{process.pid}/status")
        self._over = threading.Event()
        self.mib = 0

    def run(self):
        while not self._over.wait(0.01):
            resident = re.search(r"^VmRSS:\s*(\d+) kB", self._status.read_text(), re.MULTILINE)
            self.mib = max(self.mib, int(resident[1]) // 1024)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *unused):
        self._over.set()
        self.join()


def _call(lab, calls, mib, *flags):
    """How often which answer came; the calls come at once."""
    said = run([ROOT / "tests/e2e/tools/large_calls.py", f"unix:{socket_path(lab)}", calls, mib, *flags],
               timeout=120).stdout.splitlines()
    expect(len(said) == calls, f"{calls} calls of {mib} MiB, and these answers: {said}")
    return collections.Counter(READ if line.startswith(READ) else line.partition(":")[0]
                               for line in said)


@scenario
def oversized():
    """Messages of more than 64 MiB are refused, and packed ones of any size, which may become as large as
    they like; those just below are read, or refused when there are many at once. lbd's memory is bounded,
    it answers, packets do not notice."""
    with new_lab() as lab:
        lab.lbd = start_lbd(lab, config(vip(VIP4, [real.ip4 for real in lab.reals], protocol="udp",
                                            port=53)))
        with udp_flows(lab, VIP4, RATE) as figures, PeakMemory(lab.lbd) as peak:
            alone = _call(lab, 1, 60)
            large = _call(lab, 8, 65)
            packed = _call(lab, 16, 60, "gzip")
            within = _call(lab, 4, 60)
        expect(alone == {READ: 1}, f"one of 60 MiB: {alone}")
        expect(large[TOO_LARGE] > 0 and set(large) <= REFUSED, f"65 MiB: {large}")
        expect(packed[NOT_PACKED] > 0 and set(packed) <= REFUSED | {NOT_PACKED},
               f"60 MiB, packed: {packed}")
        expect(set(within) <= REFUSED | {READ}, f"four of 60 MiB: {within}")
        expect(peak.mib < MAX_RESIDENT_MIB, f"lbd had {peak.mib} MiB")
        expect(figures["lost"] == "0" and figures["misdirected"] == "0", f"{figures}")
        wait_until(lambda: lbctl(lab, "status", check=False).returncode == 0, 10, "lbd answers")
        return {"peak_mib": peak.mib, "read": alone[READ] + within[READ], "pps": figures["pps"]}
