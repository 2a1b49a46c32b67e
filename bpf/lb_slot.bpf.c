/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a program that is to run under a dispatcher of libxdp is checked against when it is loaded:
 * an extension replaces a function, and this one is as those of the dispatcher. Never runs.
 */
#include "helpers.h"

__noinline int lb_slot(struct xdp_md *ctx)
{
	volatile int action = XDP_PASS;

	if (!ctx)
		return XDP_ABORTED;
	/* An extension may change the packet only where what it replaces may (Linux 6.13). */
	bpf_xdp_adjust_tail(ctx, 0);
	return action;
}

SEC("xdp")
int lb_slot_caller(struct xdp_md *ctx)
{
	return lb_slot(ctx);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
