/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ethernet, IPv4 and IPv6 headers. A header that cannot be trusted matters only on the way to a
 * VIP, so these return LB_TRUNCATED and the like as soon as the destination is known, and the
 * caller lets the packet pass where that is no VIP.
 */
#ifndef LB_BPF_PARSE_H
#define LB_BPF_PARSE_H

#include "packet.h"

/* The shortest complete header of a protocol that a stage reads; 0 = no stage does. */
static __always_inline __u32 parse_l4_minimum(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return sizeof(struct tcphdr);
	case IPPROTO_UDP:
		return sizeof(struct udphdr);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return sizeof(struct icmphdr);
	default:
		return 0;
	}
}

static __always_inline enum lb_verdict parse_ports(struct packet *p, void *l4, void *end,
						   __u32 header_length)
{
	__u32 need = parse_l4_minimum(p->protocol);

	if (!need)
		return LB_CONTINUE;
	if (p->ip_length < header_length + need)
		return LB_TRUNCATED;
	if (p->protocol == IPPROTO_TCP) {
		if (l4 + sizeof(struct tcphdr) > end)
			return LB_TRUNCATED;
		p->tcp_flags = ((__u8 *)l4)[13];
	}
	if (l4 + sizeof(struct udphdr) > end)
		return LB_TRUNCATED;
	p->ports = *(__u32 *)l4;
	p->destination_port_be = ((struct udphdr *)l4)->dest;
	return LB_CONTINUE;
}

/* Returns LB_NOT_VIP when not even the destination can be read. */
static __always_inline enum lb_verdict parse_ipv4(struct packet *p, void *l3, void *end)
{
	struct iphdr *ip = l3;
	__u32 header_length;

	if ((void *)(ip + 1) > end)
		return LB_NOT_VIP;
	p->source[2] = p->destination[2] = bpf_htonl(0xffff);
	p->source[3] = ip->saddr;
	p->destination[3] = ip->daddr;
	p->protocol = ip->protocol;
	p->tos = ip->tos;
	p->ttl = ip->ttl;
	p->ip_length = bpf_ntohs(ip->tot_len);

	header_length = ip->ihl * 4;
	if (ip->version != 4 || header_length < sizeof(*ip) || p->ip_length < header_length)
		return LB_BAD_HEADER;
	if (l3 + header_length > end)
		return LB_TRUNCATED;
	if (p->ip_length > end - l3)
		return LB_BAD_LENGTH;
	if (ip->frag_off & bpf_htons(IP_MF | IP_OFFSET))
		return LB_FRAGMENT;
	p->l4_offset = sizeof(struct ethhdr) + header_length;
	return parse_ports(p, l3 + header_length, end, header_length);
}

static __always_inline enum lb_verdict parse_ipv6(struct packet *p, void *l3, void *end)
{
	struct ipv6hdr *ip = l3;

	if ((void *)(ip + 1) > end)
		return LB_NOT_VIP;
	__builtin_memcpy(p->source, &ip->saddr, sizeof(p->source));
	__builtin_memcpy(p->destination, &ip->daddr, sizeof(p->destination));
	p->protocol = ip->nexthdr;
	p->tos = bpf_ntohs(*(__be16 *)ip) >> 4;
	p->ttl = ip->hop_limit;
	p->ip_length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	p->v6 = 1;

	/* VIP tables hold IPv4 addresses in this form, which has no place on the wire. */
	if (!p->destination[0] && !p->destination[1] && p->destination[2] == bpf_htonl(0xffff))
		return LB_NOT_VIP;
	if (ip->version != 6)
		return LB_BAD_HEADER;
	if (p->ip_length > end - l3)
		return LB_BAD_LENGTH;
	if (ip->nexthdr == IPPROTO_FRAGMENT)
		return LB_FRAGMENT;
	p->l4_offset = sizeof(struct ethhdr) + sizeof(*ip);
	return parse_ports(p, ip + 1, end, sizeof(*ip));
}

#endif /* LB_BPF_PARSE_H */
