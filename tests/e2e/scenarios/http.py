# SPDX-License-Identifier: Apache-2.0
"""Web requests through every mix of inner and outer family: none fails."""

from actors import VIP4, VIP6, config, decap_counts, vip
from harness import expect, expect_no_checksum_errors, expect_served, scenario, serving_lab

REQUESTS = 1000


def _http(address, real_attribute):
    def document(lab):
        return config(vip(address, [getattr(real, real_attribute) for real in lab.reals]))

    with serving_lab(document) as lab:
        one_by_one = expect_served(lab, address, REQUESTS)
        parallel = expect_served(lab, address, REQUESTS, parallel=64)
        expect(len(one_by_one.answers) == len(lab.reals), f"only {one_by_one.answers} answered")
        inner = "v6" if ":" in address else "v4"
        for real in lab.reals:
            counts = decap_counts(real)
            expect(counts[inner] > 0 and counts["malformed"] == counts["fragment"] == 0,
                   f"{real.name}: {counts}")
        expect_no_checksum_errors(lab)
        return {"requests": 2 * REQUESTS, "failures": 0,
                "slowest_ms": f"{max(one_by_one.seconds + parallel.seconds) * 1000:.1f}"}


@scenario
def http4():
    return _http(VIP4, "ip4")


@scenario
def http6():
    return _http(VIP6, "ip6")


@scenario
def http4in6():
    return _http(VIP4, "ip6")


@scenario
def http6in4():
    return _http(VIP6, "ip4")
