/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A root program: lets several XDP programs share an interface. It calls those in lb_root_programs
 * in turn; one that returns ends the way of the packet, the next is reached only where it calls
 * lb_root_programs itself, or where a position is empty. So lbd, which returns always, comes last.
 */
#include "helpers.h"

#define LB_ROOT_POSITIONS 8

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, LB_ROOT_POSITIONS);
	__type(key, __u32);
	__type(value, __u32);
} lb_root_programs SEC(".maps");

SEC("xdp")
int lb_root(struct xdp_md *ctx)
{
#pragma unroll
	for (__u32 i = 0; i < LB_ROOT_POSITIONS; i++)
		bpf_tail_call(ctx, &lb_root_programs, i);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
