/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs before the program that is measured. The kernel repeats a test run on one and the same
 * packet: without this, an encapsulating program would be measured on its own output.
 */
#include "vmlinux.h"

#include "traffic.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} bench_measured SEC(".maps");

SEC("xdp")
int bench_wrapper(struct xdp_md *ctx)
{
	if (traffic_next_packet(ctx))
		return XDP_ABORTED;
	bpf_tail_call(ctx, &bench_measured, 0);
	return XDP_ABORTED;
}

char LICENSE[] SEC("license") = "Apache-2.0";
