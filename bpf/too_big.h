/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP "fragmentation needed" (RFC 1191) and ICMPv6 "packet too big" (RFC 8201), from the VIP to
 * the client, with the longest packet that fits once it is encapsulated.
 */
#ifndef LB_BPF_TOO_BIG_H
#define LB_BPF_TOO_BIG_H

#include "csum.h"
#include "maps.h"
#include "packet.h"

/* Bytes of the packet that are quoted: all headers, as a rule. */
#define TOO_BIG_QUOTE 128
#define TOO_BIG_BURST 50
#define TOO_BIG_MIN_V6 1280 /* no link of IPv6 has less */
#define TOO_BIG_MIN_V4 68

/* A token bucket in one word (GCRA): `due` is when the bucket would be full again. */
static __always_inline int too_big_may_send(void)
{
	__u64 *due = lb_table(lb_icmp_due);
	__u64 now = bpf_ktime_get_ns();
	__u64 before = *(volatile __u64 *)due;
	__u64 start = before > now ? before : now;

	if (start - now >= (__u64)TOO_BIG_BURST * lb_config.icmp_interval)
		return 0;
	return __sync_val_compare_and_swap(due, before, start + lb_config.icmp_interval) == before;
}

/* RFC 1122, 3.2.2; RFC 4443, 2.4 (e): whom, and about what, no error is sent. */
static __always_inline int too_big_is_due(const struct packet *p)
{
	const __u8 *eth = packet_at(p, 0);
	__u32 source = bpf_ntohl(p->source[3]);
	void *quote = packet_at(p, p->l3_offset);

	if (p->about || p->fragment == PACKET_LATER_FRAGMENT ||
	    p->mtu < (p->v6 ? TOO_BIG_MIN_V6 : TOO_BIG_MIN_V4))
		return 0;
	if ((void *)(eth + 1) > packet_end(p) || eth[0] & 1 ||
	    quote + TOO_BIG_QUOTE > packet_end(p))
		return 0;
	if (p->v6)
		return (p->source[0] & 0xff) != 0xff &&
		       (p->source[0] | p->source[1] | p->source[2] | p->source[3]);
	return source >> 24 && source >> 24 != 127 && source < 0xe0000000;
}

/* Sum of the message, whose checksum field is 0. */
static __always_inline __u32 too_big_sum(void *icmp)
{
	return bpf_csum_diff(NULL, 0, icmp, sizeof(struct icmphdr) + TOO_BIG_QUOTE, 0);
}

static __always_inline void too_big_ipv4(const struct packet *p, struct iphdr *ip)
{
	struct icmphdr *icmp = (void *)(ip + 1);

	*(__be32 *)ip = bpf_htonl(0x45000000 | (sizeof(*ip) + sizeof(*icmp) + TOO_BIG_QUOTE));
	*((__be32 *)ip + 1) = bpf_htonl(IP_DF);
	*((__be32 *)ip + 2) = bpf_htonl(LB_TTL << 24 | IPPROTO_ICMP << 16);
	ip->saddr = p->destination[3];
	ip->daddr = p->source[3];
	ip->check = csum_fold64(bpf_csum_diff(NULL, 0, (void *)ip, sizeof(*ip), 0));
	*(__be32 *)icmp = bpf_htonl(ICMP_DEST_UNREACH << 24 | ICMP_FRAG_NEEDED << 16);
	icmp->un.gateway = bpf_htonl(p->mtu & 0xffff);
	icmp->checksum = csum_fold64(too_big_sum(icmp));
}

static __always_inline void too_big_ipv6(const struct packet *p, struct ipv6hdr *ip)
{
	struct icmphdr *icmp = (void *)(ip + 1);
	__u32 length = sizeof(*icmp) + TOO_BIG_QUOTE;
	__u64 sum;

	*(__be32 *)ip = bpf_htonl(6u << 28);
	ip->payload_len = bpf_htons(length);
	ip->nexthdr = IPPROTO_ICMPV6;
	ip->hop_limit = LB_TTL;
	__builtin_memcpy(&ip->saddr, p->destination, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, p->source, sizeof(ip->daddr));
	*(__be32 *)icmp = bpf_htonl(ICMPV6_PKT_TOOBIG << 24);
	icmp->un.gateway = bpf_htonl(p->mtu);
	sum = (__u64)too_big_sum(icmp) + bpf_htonl(length) + bpf_htonl(IPPROTO_ICMPV6);
	sum += (__u32)bpf_csum_diff(NULL, 0, (void *)&ip->saddr, 2 * sizeof(ip->saddr), 0);
	icmp->checksum = csum_fold64(sum);
}

/* Requires a packet that encap() found too big. */
static __always_inline enum lb_verdict too_big(struct packet *p)
{
	__u32 headers =
		sizeof(struct icmphdr) + (p->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	void *ip;

	if (!packet_stage(LB_STAGE_TOO_BIG) || !too_big_is_due(p) || !too_big_may_send())
		return LB_TOO_BIG;
	if (!packet_make_answer(p, headers))
		return LB_ENCAP_FAILED;
	if (bpf_xdp_adjust_tail(p->ctx, (int)(p->l3_offset + TOO_BIG_QUOTE - packet_length(p))))
		return LB_ENCAP_FAILED;
	ip = packet_at(p, p->l2_length);
	if (p->v6) {
		if (ip + sizeof(struct ipv6hdr) + sizeof(struct icmphdr) + TOO_BIG_QUOTE >
		    packet_end(p))
			return LB_ENCAP_FAILED;
		too_big_ipv6(p, ip);
	} else {
		if (ip + sizeof(struct iphdr) + sizeof(struct icmphdr) + TOO_BIG_QUOTE >
		    packet_end(p))
			return LB_ENCAP_FAILED;
		too_big_ipv4(p, ip);
	}
	return LB_TOO_BIG_REPLY;
}

#endif /* LB_BPF_TOO_BIG_H */
