/* SPDX-License-Identifier: Apache-2.0 */
/* The two ends of a live run: a sender of the same traffic, and a sink for what comes back. */
#include "vmlinux.h"

#include "traffic.h"

struct bench_returned bench_returned = {};

SEC("xdp")
int bench_sender(struct xdp_md *ctx)
{
	if (traffic_next_packet(ctx))
		return XDP_ABORTED;
	return bpf_redirect(bench_traffic.out_ifindex, 0);
}

SEC("xdp")
int bench_sink(struct xdp_md *ctx)
{
	if ((__u64)ctx->data_end - (__u64)ctx->data == bench_returned.length)
		bench_returned.expected++;
	else
		bench_returned.other++;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Apache-2.0";
