/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that an encapsulating balancer can do: one constant outer header around every packet,
 * and the MAC addresses swapped. Decides nothing, checks nothing, counts nothing.
 */
#include "vmlinux.h"

#include "csum.h"
#include "helpers.h"

const volatile __u32 bench_outer_v6 = 0;

/* 10.0.0.1 to 10.0.0.2; constant but for the length. */
static __always_inline void ipip_ipv4(struct iphdr *ip, __u16 payload)
{
	__be16 length = bpf_htons(payload + sizeof(*ip));

	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tos = 0;
	ip->tot_len = length;
	ip->id = 0;
	ip->frag_off = bpf_htons(IP_DF);
	ip->ttl = LB_TTL;
	ip->protocol = IPPROTO_IPIP;
	ip->saddr = bpf_htonl(0x0a000001);
	ip->daddr = bpf_htonl(0x0a000002);
	ip->check = csum_fold(bpf_htons(0x4500) + length + bpf_htons(IP_DF) +
			      bpf_htons(LB_TTL << 8 | IPPROTO_IPIP) + 2 * bpf_htons(0x0a00) +
			      bpf_htons(1) + bpf_htons(2));
}

static __always_inline void ipip_ipv6(struct ipv6hdr *ip, __u16 payload)
{
	*(__be32 *)ip = bpf_htonl(6u << 28);
	ip->payload_len = bpf_htons(payload);
	ip->nexthdr = IPPROTO_IPV6;
	ip->hop_limit = LB_TTL;
	for (int i = 0; i < 4; i++) {
		ip->saddr.in6_u.u6_addr32[i] = bpf_htonl(0xfd000001);
		ip->daddr.in6_u.u6_addr32[i] = bpf_htonl(0xfd000002);
	}
}

SEC("xdp")
int bench_ipip(struct xdp_md *ctx)
{
	int size = bench_outer_v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	__u32 to0, from1;
	__u16 to1, from0;
	void *data, *inner, *end;

	if (bpf_xdp_adjust_head(ctx, -size))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	inner = data + size;
	if (inner + sizeof(struct ethhdr) > end)
		return XDP_ABORTED;
	/* In halves, by registers: the outer header will overlap them. */
	to0 = *(__u32 *)inner;
	to1 = *(__u16 *)(inner + 4);
	from0 = *(__u16 *)(inner + 6);
	from1 = *(__u32 *)(inner + 8);
	*(__u16 *)data = from0;
	*(__u32 *)(data + 2) = from1;
	*(__u32 *)(data + 6) = to0;
	*(__u16 *)(data + 10) = to1;
	*(__u16 *)(data + 12) = bench_outer_v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	inner += sizeof(struct ethhdr);
	if (bench_outer_v6)
		ipip_ipv6(data + sizeof(struct ethhdr), end - inner);
	else
		ipip_ipv4(data + sizeof(struct ethhdr), end - inner);
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Apache-2.0";
