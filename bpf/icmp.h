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

static __always_inline void icmp_echo_ipv4(struct packet *p, struct iphdr *ip)
{
	__be16 ttl_word = bpf_htons(p->ttl << 8 | IPPROTO_ICMP);

	ip->ttl = LB_TTL;
	ip->check = csum_replace(ip->check, ttl_word, bpf_htons(LB_TTL << 8 | IPPROTO_ICMP));
	ip->saddr = p->destination[3];
	ip->daddr = p->source[3];
}

static __always_inline void icmp_echo_ipv6(struct packet *p, struct ipv6hdr *ip)
{
	ip->hop_limit = LB_TTL;
	__builtin_memcpy(&ip->saddr, p->destination, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, p->source, sizeof(ip->daddr));
}

/* Requires an ICMP packet of the right family. Anything but an echo request to a VIP passes. */
static __always_inline enum lb_verdict icmp_echo(struct packet *p)
{
	struct ethhdr *eth = packet_at(p, 0);
	void *ip = packet_at(p, p->l3_offset);
	struct icmphdr *icmp = packet_at(p, p->l4_offset);
	__u32 ip_header = p->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	void *end = packet_end(p);

	if (!packet_stage(LB_STAGE_ECHO) || !vip_has_address(p->destination))
		return LB_NOT_VIP;
	if ((void *)(eth + 1) > end || ip + ip_header > end || (void *)(icmp + 1) > end)
		return LB_TRUNCATED;
	if (icmp->type != (p->v6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO) || icmp->code)
		return LB_NOT_VIP;
	/* Extension headers of a request have no place in the reply. */
	if (p->v6 && p->l4_offset != p->l3_offset + sizeof(struct ipv6hdr))
		return LB_NOT_VIP;
	icmp_reply_type(icmp, p->v6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY);
	if (p->v6)
		icmp_echo_ipv6(p, ip);
	else
		icmp_echo_ipv4(p, ip);
	icmp_swap_ethernet(eth);
	return LB_ECHO_REPLY;
}

#endif /* LB_BPF_ICMP_H */
