/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Outer headers: IPIP in all four mixes of families (RFC 2003, 2473, 4213). The outer source
 * carries bits of the flow hash, so that NICs of reals spread flows over their queues. DSCP and ECN
 * are copied from the inner header (RFC 6040, normal mode).
 */
#ifndef LB_BPF_ENCAP_H
#define LB_BPF_ENCAP_H

#include "config.h"
#include "csum.h"
#include "packet.h"

static __always_inline enum lb_verdict encap_ipv4(struct packet *p, const struct lb_real *real,
						  const struct lb_next_hop *hop, __u32 hash)
{
	__u32 source_bits = hash & lb_config.source_v4_hash_mask;
	__u16 length = p->ip_length + sizeof(struct iphdr);
	struct iphdr *ip;

	ip = packet_make_room(p, hop->destination, hop->source, ETH_P_IP, sizeof(*ip));
	if (!ip)
		return LB_ENCAP_FAILED;
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tos = p->tos;
	ip->tot_len = bpf_htons(length);
	ip->id = 0; /* RFC 6864: of no use where DF is set */
	ip->frag_off = bpf_htons(IP_DF);
	ip->ttl = LB_TTL;
	ip->protocol = p->v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	ip->saddr = lb_config.source_v4 | source_bits;
	ip->daddr = real->address[3];
	/* real->checksum covers what is constant. */
	ip->check = csum_fold(real->checksum + (p->tos << 8) + bpf_htons(length) +
			      (source_bits & 0xffff) + (source_bits >> 16));
	return LB_FORWARD;
}

static __always_inline enum lb_verdict encap_ipv6(struct packet *p, const struct lb_real *real,
						  const struct lb_next_hop *hop, __u32 hash)
{
	struct ipv6hdr *ip;

	ip = packet_make_room(p, hop->destination, hop->source, ETH_P_IPV6, sizeof(*ip));
	if (!ip)
		return LB_ENCAP_FAILED;
	/* Version, traffic class, and the flow label that RFC 6438 asks of tunnels. */
	*(__be32 *)ip = bpf_htonl(6u << 28 | (__u32)p->tos << 20 | (hash & 0xfffff));
	ip->payload_len = bpf_htons(p->ip_length);
	ip->nexthdr = p->v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	ip->hop_limit = LB_TTL;
	/* Word by word: memcpy would read, at compile time, the zeros of a volatile constant. */
	for (int i = 0; i < 4; i++)
		ip->saddr.in6_u.u6_addr32[i] = lb_config.source_v6[i];
	ip->saddr.in6_u.u6_addr32[3] |= hash & lb_config.source_v6_hash_mask;
	__builtin_memcpy(&ip->daddr, real->address, sizeof(ip->daddr));
	return LB_FORWARD;
}

static __always_inline enum lb_verdict encap(struct packet *p, const struct lb_real *real,
					     const struct lb_next_hop *hop, __u32 hash)
{
	__u32 v6 = real->flags & LB_REAL_V6;
	__u32 outer = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	if (!hop->ifindex)
		return LB_NO_NEXT_HOP;
	if (p->ip_length + outer > hop->mtu)
		return LB_TOO_BIG;
	p->out_ifindex = hop->ifindex;
	return v6 ? encap_ipv6(p, real, hop, hash) : encap_ipv4(p, real, hop, hash);
}

#endif /* LB_BPF_ENCAP_H */
