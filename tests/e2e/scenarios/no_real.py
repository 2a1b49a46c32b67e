# SPDX-License-Identifier: Apache-2.0
"""What a VIP does when nobody is left to serve it."""

from actors import VIP4, config, lbctl, request_many, verdicts, vip, write_config
from harness import expect, expect_served, scenario, with_both_vips


@scenario
def no_real():
    """Without a usable real a VIP stops at once, and starts again at once."""
    with with_both_vips() as lab:
        def each_real(verb, *flags):
            for real in lab.reals:
                lbctl(lab, "real", verb, f"{VIP4}:80/tcp", real.ip4, *flags)

        def apply(reals):
            path = write_config(lab, config(vip(VIP4, reals)), "no_real.yaml")
            lbctl(lab, "config", "apply", path)

        addresses = [real.ip4 for real in lab.reals]
        cases = {
            "deleted": (lambda: each_real("delete"), lambda: each_real("add")),
            "weight_0": (lambda: each_real("update", "--weight", 0),
                         lambda: each_real("update", "--weight", 100)),
            "down": (lambda: each_real("update", "--state", "down"),
                     lambda: each_real("update", "--state", "active")),
            "document": (lambda: apply([]), lambda: apply(addresses)),
        }
        figures = {}
        for case, (take_away, give_back) in cases.items():
            expect_served(lab, VIP4)
            before = verdicts(lab).get("no_real", 0)
            take_away()
            result = request_many(lab.client, VIP4, 2, flags=["--connect-timeout", "0.3"])
            expect(result.failures == 2, f"{case}: {dict(result.answers)} still answered")
            figures[case] = verdicts(lab)["no_real"] - before
            expect(figures[case] >= 2, f"{case}: no_real grew by {figures[case]} only")
            give_back()
        expect_served(lab, VIP4)
        return figures
