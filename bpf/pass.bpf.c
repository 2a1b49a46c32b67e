/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Passes every packet. A veth device accepts frames that its peer sends by XDP_TX only while it
 * runs an XDP program itself, so the labs attach this one on the router's side. With buffers, as
 * the link may have a large MTU.
 */
#include "helpers.h"

SEC("xdp.frags")
int pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
