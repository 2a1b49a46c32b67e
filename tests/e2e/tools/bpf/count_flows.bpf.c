/* SPDX-License-Identifier: Apache-2.0 */
/* What a real receives of flow_sender's traffic: IPv4 in IPv4, UDP, counted by source port. */
#include "vmlinux.h"

#include "helpers.h"

__u32 seen[65536];
__u64 total;

SEC("xdp")
int count_flows(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct packet {
		struct ethhdr eth;
		struct iphdr outer;
		struct iphdr inner;
		__be16 source;
	} __attribute__((packed)) *packet = data;

	if ((void *)(packet + 1) > end)
		return XDP_PASS;
	if (packet->eth.h_proto != bpf_htons(0x0800) || packet->outer.protocol != 4 ||
	    packet->inner.protocol != 17)
		return XDP_PASS;
	__sync_fetch_and_add(&seen[bpf_ntohs(packet->source)], 1);
	__sync_fetch_and_add(&total, 1);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Apache-2.0";
