/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ICMP and ICMPv6 echo requests to VIPs, answered in place (RFC 792, RFC 4443). */
#ifndef LB_BPF_ICMP_H
#define LB_BPF_ICMP_H

#include "csum.h"
#include "packet.h"
#include "vip.h"

static __always_inline void icmp_swap_ethernet(struct ethhdr *eth)
{
	__u8 mac[6];

	__builtin_memcpy(mac, eth->h_dest, sizeof(mac));
	__builtin_memcpy(eth->h_dest, eth->h_source, sizeof(mac));
	__builtin_memcpy(eth->h_source, mac, sizeof(mac));
}

static __always_inline void icmp_reply_type(struct icmphdr *icmp, __u8 type)
{
	__be16 before = bpf_htons(icmp->type << 8 | icmp->code);

	icmp->type = type;
	icmp->checksum = csum_replace(icmp->checksum, before, bpf_htons(type << 8 | icmp->code));
	/* A message of nothing but zeros needs 0xffff; to every other it is the same as 0. */
	if (!icmp->checksum)
		icmp->checksum = 0xffff;
}

static __always_inline enum lb_verdict icmp_echo_ipv4(struct packet *p, void *l3, void *end)
{
	struct iphdr *ip = l3;
	struct icmphdr *icmp;
	__u32 header_length;
	__be16 ttl_word;

	if ((void *)(ip + 1) > end)
		return LB_TRUNCATED;
	header_length = ip->ihl * 4;
	icmp = l3 + header_length;
	if ((void *)(icmp + 1) > end)
		return LB_TRUNCATED;
	if (icmp->type != ICMP_ECHO || icmp->code)
		return LB_NOT_VIP;
	icmp_reply_type(icmp, ICMP_ECHOREPLY);
	ttl_word = bpf_htons(p->ttl << 8 | IPPROTO_ICMP);
	ip->ttl = LB_TTL;
	ip->check = csum_replace(ip->check, ttl_word, bpf_htons(LB_TTL << 8 | IPPROTO_ICMP));
	ip->saddr = p->destination[3];
	ip->daddr = p->source[3];
	return LB_ECHO_REPLY;
}

static __always_inline enum lb_verdict icmp_echo_ipv6(struct packet *p, void *l3, void *end)
{
	struct ipv6hdr *ip = l3;
	struct icmphdr *icmp = (void *)(ip + 1);

	if ((void *)(icmp + 1) > end)
		return LB_TRUNCATED;
	if (icmp->type != ICMPV6_ECHO_REQUEST || icmp->code)
		return LB_NOT_VIP;
	icmp_reply_type(icmp, ICMPV6_ECHO_REPLY);
	ip->hop_limit = LB_TTL;
	__builtin_memcpy(&ip->saddr, p->destination, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, p->source, sizeof(ip->daddr));
	return LB_ECHO_REPLY;
}

/* Requires an ICMP packet of the right family. Anything but an echo request to a VIP passes. */
static __always_inline enum lb_verdict icmp_echo(struct packet *p)
{
	struct ethhdr *eth = (void *)(long)p->ctx->data;
	void *end = (void *)(long)p->ctx->data_end;
	enum lb_verdict verdict;

	if ((void *)(eth + 1) > end || !vip_has_address(p->destination))
		return LB_NOT_VIP;
	verdict = p->v6 ? icmp_echo_ipv6(p, eth + 1, end) : icmp_echo_ipv4(p, eth + 1, end);
	if (verdict == LB_ECHO_REPLY)
		icmp_swap_ethernet(eth);
	return verdict;
}

#endif /* LB_BPF_ICMP_H */
