#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Adds a VIP, watches the health of its reals, and drains one of them, over lbd's API.

    deploy/examples/drain.py unix:/run/lbd/lbd.sock 203.0.113.9 10.0.0.11 10.0.0.12

Needs Debian's python3-grpcio and protobuf-compiler; the messages come from proto/ at start.
"""

import importlib
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import grpc

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
HEALTH_SECONDS = 10


def load(directory):
    """The modules that protoc makes of lb.v1."""
    files = [str(path.relative_to(PROTO)) for path in (PROTO / "lb/v1").glob("*.proto")]
    subprocess.run(["protoc", f"--proto_path={PROTO}", f"--python_out={directory}", *files], check=True)
    sys.path.insert(0, directory)
    return [importlib.import_module(f"lb.v1.{name}_pb2")
            for name in ("load_balancer_service", "types", "health")]


def message_class(message):
    """The class of a message: in the module of its .proto."""
    module = message.file.name.removesuffix(".proto").replace("/", ".") + "_pb2"
    return getattr(importlib.import_module(module), message.name)


class LoadBalancer:
    """The calls of lb.v1.LoadBalancer as methods: lb.AddVip(request)."""

    def __init__(self, channel, service):
        for method in service.DESCRIPTOR.services_by_name["LoadBalancer"].methods:
            make = channel.unary_stream if method.name.startswith("Watch") else channel.unary_unary
            call = make(f"/lb.v1.LoadBalancer/{method.name}",
                        request_serializer=lambda message: message.SerializeToString(),
                        response_deserializer=message_class(method.output_type).FromString)
            setattr(self, method.name, call)


def watch(lb, service, ready, changed):
    """Prints events until the channel closes."""
    try:
        for response in lb.WatchEvents(service.WatchEventsRequest()):
            ready.set()  # from now on none escapes us
            for event in response.events:
                print(f"event: {event.object or 'lbd'}: {event.message}", flush=True)
            changed.set()
    except grpc.RpcError as error:
        if error.code() not in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE):
            raise
    except ValueError:  # the channel is closed
        pass


def wait_up(lb, health, key, changed):
    """Returns when the checks of the VIP found all of its reals up; looks after each event."""
    deadline = time.monotonic() + HEALTH_SECONDS
    while True:
        changed.clear()
        (vip,) = lb.GetHealth(health.GetHealthRequest(vip=key)).vips
        if all(real.state == health.HEALTH_STATE_UP for real in vip.reals):
            print(f"{vip.healthy} reals are up")
            return
        if not changed.wait(deadline - time.monotonic()):
            sys.exit(f"not up within {HEALTH_SECONDS} s: " + "; ".join(
                f"{real.address}: {check.last_reason or check.blind}"
                for real in vip.reals for check in real.checks))


def main(server, address, *reals):
    with tempfile.TemporaryDirectory() as directory, grpc.insecure_channel(server) as channel:
        service, types, health = load(directory)
        lb = LoadBalancer(channel, service)
        ready, changed = threading.Event(), threading.Event()
        threading.Thread(target=watch, args=(lb, service, ready, changed), daemon=True).start()
        if not ready.wait(10):
            sys.exit("no events within 10 s")

        vip = types.Vip(address=address, port=80, protocol=types.PROTOCOL_TCP, name="example",
                        reals=[types.Real(address=real) for real in reals])
        vip.checks.add(interval_ms=500).http.path = "/"
        key = types.VipKey(address=address, port=80, protocol=types.PROTOCOL_TCP)
        # The id makes it safe to send this again when no answer comes.
        options = service.ChangeOptions(request_id=str(uuid.uuid4()), comment="example")
        added = lb.AddVip(service.AddVipRequest(vip=vip, options=options))
        print(f"added; generation {added.generation}, etag {added.result.etag}")
        wait_up(lb, health, key, changed)

        drain = service.UpdateRealRequest(vip=key, real=types.Real(
            address=reals[0], state=types.REAL_STATE_DRAINING))
        drain.update_mask.paths.append("state")
        drain.options.validate_only = True
        for row in lb.UpdateReal(drain).result.disruptions:
            print(f"draining {reals[0]} moves {row.moved_slots:.1%} of the slots for new connections")
        drain.options.validate_only = False
        drain.options.etag = added.result.etag  # nobody has changed anything meanwhile
        lb.UpdateReal(drain)
        for row in lb.ListReals(service.ListRealsRequest(vip=key)).reals:
            print(f"{row.real.address}: {types.RealState.Name(row.real.state)}, {row.slots} slots")

        try:
            lb.AddVip(service.AddVipRequest(vip=vip))
            sys.exit("the same VIP was added twice")
        except grpc.RpcError as error:
            print(f"as it should be: {error.code().name}: {error.details()}")
        lb.DeleteVip(service.DeleteVipRequest(vip=key))


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
