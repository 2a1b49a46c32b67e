/* SPDX-License-Identifier: Apache-2.0 */
/* The zero of the scale: what the harness itself costs. */
#include "vmlinux.h"

#include "helpers.h"

SEC("xdp")
int bench_xdp_tx(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Apache-2.0";
