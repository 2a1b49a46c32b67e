# SPDX-License-Identifier: Apache-2.0
"""What lbd tells of what happens to it."""

import json
import time

from actors import VIP4, binary, config, lbctl, socket_path, start_lbd, vip
from harness import expect, new_lab, scenario
from lab import wait_until

KEY = f"{VIP4}:80/tcp"


def _events(follower):
    """What lbctl events -f has printed; its last line may be under way."""
    return [json.loads(line) for line in follower.output().split("\n")[:-1]]


def _wait_event(follower, kind, thing, text):
    """Waits for an event that was not looked at before, and returns it."""
    def there():
        follower.require_alive()
        for event in _events(follower)[follower.seen:]:
            if (event["kind"], event.get("object", "")) == (kind, thing) and text in event["message"]:
                return event
        return None
    return wait_until(there, 15, f"{kind} event of {thing!r} with {text!r}")


@scenario
def events():
    """lbctl events -f tells of links and routes that go and come, and of changes of the configuration;
    none is missing, and who asks later is told the same."""
    with new_lab(reals=2) as lab:
        real1, real2 = lab.reals
        lab.lbd = start_lbd(lab, config(vip(VIP4, [real1.ip4, real2.ip4])))
        follower = lab.lb.start("events", [binary("lbctl"), "--server", f"unix:{socket_path(lab)}",
                                           "events", "-f", "-o", "json"])
        follower.seen = 0
        # It follows from some moment on: until then the configuration changes again and again.
        def heard():
            lbctl(lab, "real", "update", KEY, real1.ip4, "--weight", 50)
            lbctl(lab, "real", "update", KEY, real1.ip4, "--weight", 100)
            return _events(follower)
        wait_until(heard, 10, "lbctl events -f follows", 0.3)

        took, mac = {}, lab.router.link("to-lb")["address"]

        def happens(name, action, *wanted):
            time.sleep(0.3)  # what came before is printed
            follower.seen = len(_events(follower))
            start = time.monotonic()
            action()
            for kind, thing, text in wanted:
                _wait_event(follower, kind, thing, text)
            took[f"{name}_s"] = f"{time.monotonic() - start:.1f}"

        happens("change", lambda: lbctl(lab, "real", "update", KEY, real2.ip4, "--weight", 10),
                ("config", "", "weight 100 -> 10"))
        happens("link_down", lambda: lab.router.ip(["link set to-lb down"]),
                ("attach", "eth0", "link down"))
        happens("link_up", lambda: lab.router.ip(["link set to-lb up"]), ("attach", "eth0", "link up"))
        happens("no_route", lambda: lab.lb.ip(["route del default"]),
                *(("next_hop", f"real {real.ip4}", "no next hop: ") for real in lab.reals))
        happens("route", lambda: lab.lb.ip([f"route add default via {lab.lb.gateway4}"]),
                *(("next_hop", f"real {real.ip4}", f"next hop {mac} on eth0") for real in lab.reals))
        time.sleep(0.3)
        said = _events(follower)
        numbers = [int(event["sequence"]) for event in said]
        expect(numbers == list(range(numbers[0], numbers[0] + len(numbers))), f"{numbers}")
        later = lbctl(lab, "events", "--from", numbers[0], "-o", "json").stdout.splitlines()
        expect([json.loads(line) for line in later][:len(said)] == said, f"{later}; followed: {said}")
        return {"events": len(said), **took}
