#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demonstration behind deploy/quickstart: demo.py --stay|--check|down LAB [STEP TOTAL]."""

import json
import os
import secrets
import signal
import sys
import time

import actors
from lab import Lab, LabError, VIP4, VIP6, build_dir, wait_until

REQUESTS = 300
# real3 is to get half of what the others get.
WEIGHTS = {"real1": 100, "real2": 100, "real3": 50}

CONFIG = """\
# Two VIPs, the same three reals. IPv6 is carried to the reals inside IPv6, IPv4 inside IPv4.
interfaces: [eth0]
# Made for this demonstration; without a secret of your own, clients can choose their real.
hash_key: {key}
vips:
  - name: web
    address: {vip4}
    port: 80
    protocol: tcp
    checks: &checks
      - http: {{path: /}}
        interval_ms: 500
        timeout_ms: 500
    reals:
{reals4}
  - name: web6
    address: "{vip6}"
    port: 80
    protocol: tcp
    checks: *checks
    reals:
{reals6}
"""


class Steps:
    """Prints each step with its time; a failure names the step."""

    def __init__(self, done, total):
        self.number, self.total, self.title = done, total, "start"

    def __call__(self, title, function, *args):
        self.number, self.title = self.number + 1, title
        print(f"[{self.number}/{self.total}] {title:<52}", end="", flush=True)
        start = time.monotonic()
        result = function(*args)
        print(f" {time.monotonic() - start:.1f} s", flush=True)
        return result


def config_text(lab):
    def reals(attribute):
        return "\n".join(
            f'      - {{address: "{getattr(real, attribute)}", weight: {WEIGHTS[real.name]}}}'
            for real in lab.reals)
    return CONFIG.format(key=secrets.token_hex(16), vip4=VIP4, vip6=VIP6,
                         reals4=reals("ip4"), reals6=reals("ip6"))


def start_reals(lab):
    lab.nginx = {}
    for real in lab.reals:
        lab.nginx[real.name] = actors.start_nginx(real)
        actors.start_agent(real)


def wait_healthy(lab, healthy, reals):
    """Until the checks say so of all these reals, in both families."""
    addresses = {address for real in reals for address in (real.ip4, real.ip6)}
    wanted = "up" if healthy else "down"

    def as_wanted():
        health = json.loads(actors.lbctl(lab, "health", "-o", "json").stdout)
        states = [real["state"] for vip in health["vips"] for real in vip["reals"]
                  if real["address"] in addresses]
        return states == [wanted] * len(addresses)
    names = ", ".join(real.name for real in reals)
    wait_until(as_wanted, 20, f"{names}: {'up' if healthy else 'down'}")


def send_requests(lab):
    results = {}
    for address in (VIP4, VIP6):
        results[address] = actors.request_many(lab.client, address, REQUESTS)
    return results


def print_table(lab, results):
    print(f"\nWhich real answered {REQUESTS} requests to each VIP (each on a new connection):\n")
    print(f"  {'real':<8}{'weight':>8}" + "".join(f"{vip:>20}" for vip in results))
    for real in lab.reals:
        print(f"  {real.name:<8}{WEIGHTS[real.name]:>8}" +
              "".join(f"{result.answers[real.name]:>20}" for result in results.values()))
    print(f"  {'failed':<8}{'':>8}" +
          "".join(f"{result.failures:>20}" for result in results.values()))


def verify(lab, results):
    for vip, result in results.items():
        if result.failures:
            raise LabError(f"{result.failures} of {REQUESTS} requests to {vip} failed\n"
                           f"{result.errors}")
        distance, limit = actors.chi_square(result.answers, WEIGHTS)
        if distance > limit:
            raise LabError(f"{vip}: {dict(result.answers)} is not as the weights say: {WEIGHTS}")
    for real in lab.reals:
        counts = actors.decap_counts(real)
        if not (counts["v4"] and counts["v6"]):
            raise LabError(f"{real.name} unwrapped no IPv4 or no IPv6 packets: {counts}")


def lose_server(lab):
    """Kills a server; returns after how many seconds its real was out."""
    victim = lab.reals[0]
    start = time.monotonic()
    lab.nginx[victim.name].stop(signal.SIGKILL)
    wait_healthy(lab, False, [victim])
    seconds = time.monotonic() - start
    for address, result in send_requests(lab).items():
        if result.failures or result.answers[victim.name]:
            raise LabError(f"{address} without {victim.name}: {dict(result.answers)}, "
                           f"{result.failures} failed")
    actors.start_nginx(victim)
    wait_healthy(lab, True, [victim])
    return seconds


def print_next(lab):
    lbctl = os.path.relpath(build_dir() / "bin/lbctl")
    here = os.path.relpath(__file__)
    tool = os.path.join(os.path.dirname(here), "lab.py")
    print(f"""
It keeps running. Try next:

  export LBCTL_SERVER=unix:{actors.socket_path(lab)}
  alias lbctl={lbctl}
  lbctl status
  lbctl health
  lbctl vip list
  lbctl stats
  lbctl real update {VIP4}:80/tcp {lab.reals[0].ip4} --weight 0      # empty one real
  {tool} exec {lab.name} client curl -s {actors.url(VIP4)}
  {tool} exec {lab.name} client curl -s '{actors.url(VIP6)}'

  Configuration: {lab.dir}/lbd.yaml    Logs: {lab.dir}/log/
  Remove it all: {os.path.join(os.path.dirname(os.path.dirname(here)), 'quickstart')} down""")


def show(mode, lab, steps):
    check = mode == "--check"
    try:
        steps("Network: client, router, load balancer, 3 reals", lab.up)
        steps("nginx and lbagent on each real", start_reals, lab)
        steps("lbd on the load balancer", actors.start_lbd, lab, config_text(lab))
        steps("Every real passes its health checks", wait_healthy, lab, True, lab.reals)
        results = steps(f"{2 * REQUESTS} requests by curl, IPv4 and IPv6", send_requests, lab)
        steps("Answers as the weights say", verify, lab, results)
        seconds = steps("real1's nginx is killed, and started again", lose_server, lab)
        print_table(lab, results)
        print(f"\nWithout its nginx real1 was out after {seconds:.1f} s; none of {2 * REQUESTS} requests "
              "failed then.")
        if check:
            print()
            steps("Removing it all", lab.down)
        else:
            print_next(lab)
    except LabError as error:
        print(f" FAILED\n\nStep \"{steps.title}\" failed: {error}", file=sys.stderr)
        if check:
            lab.down()
        else:
            print(f"\nWhat runs is left as it is; logs: {lab.dir}/log/; remove it: "
                  "deploy/quickstart down", file=sys.stderr)
        return 1
    except BaseException:
        lab.down()
        raise
    return 0


def main(argv):
    mode, name, *position = argv
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(143))
    lab = Lab(name, reals=len(WEIGHTS), owner=os.getpid() if mode == "--check" else None)
    try:
        if mode == "down":
            lab.down()
            return 0
        lab.down()  # an earlier one
        return show(mode, lab, Steps(*map(int, position)))
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
