/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP and ICMPv6 to VIPs (RFC 792, RFC 4443): echo requests are answered in place, errors about a
 * flow go where the flow goes.
 */
#ifndef LB_BPF_ICMP_H
#define LB_BPF_ICMP_H

#include "csum.h"
#include "packet.h"
#include "parse.h"
#include "vip.h"

static __always_inline void icmp_reply_type(struct icmphdr *icmp, __u8 type)
{
	__be16 before = bpf_htons(icmp->type << 8 | icmp->code);

	icmp->type = type;
	icmp->checksum = csum_replace(icmp->checksum, before, bpf_htons(type << 8 | icmp->code));
	/* A message of nothing but zeros needs 0xffff; to every other it is the same as 0. */
	if (!icmp->checksum)
		icmp->checksum = 0xffff;
}

static __always_inline enum lb_verdict icmp_echo_ipv4(struct packet *p, struct iphdr *ip)
{
	__be16 ttl_word = bpf_htons(p->ttl << 8 | IPPROTO_ICMP);

	if ((void *)(ip + 1) > packet_end(p))
		return LB_TRUNCATED;
	ip->ttl = LB_TTL;
	ip->check = csum_replace(ip->check, ttl_word, bpf_htons(LB_TTL << 8 | IPPROTO_ICMP));
	ip->saddr = p->destination[3];
	ip->daddr = p->source[3];
	return LB_ECHO_REPLY;
}

static __always_inline enum lb_verdict icmp_echo_ipv6(struct packet *p, struct ipv6hdr *ip)
{
	if ((void *)(ip + 1) > packet_end(p))
		return LB_TRUNCATED;
	ip->hop_limit = LB_TTL;
	__builtin_memcpy(&ip->saddr, p->destination, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, p->source, sizeof(ip->daddr));
	return LB_ECHO_REPLY;
}

/* Requires an echo request to a VIP. */
static __always_inline enum lb_verdict icmp_echo(struct packet *p)
{
	__u32 before = p->l4_offset - p->l3_offset;
	struct icmphdr *icmp;
	void *ip;

	/* Pieces cannot be answered; extension headers of a request have no place in the reply. */
	if (p->fragment)
		return LB_FRAGMENT;
	if (p->v6 && before != sizeof(struct ipv6hdr))
		return LB_NOT_VIP;
	if (!packet_make_answer(p, 0))
		return LB_ENCAP_FAILED;
	ip = packet_at(p, p->l2_length);
	icmp = packet_at(p, p->l2_length + before);
	if ((void *)(icmp + 1) > packet_end(p))
		return LB_TRUNCATED;
	icmp_reply_type(icmp, p->v6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY);
	return p->v6 ? icmp_echo_ipv6(p, ip) : icmp_echo_ipv4(p, ip);
}

static __always_inline int icmp_is_error(const struct packet *p, __u8 type)
{
	if (p->v6)
		return type >= ICMPV6_DEST_UNREACH && type <= ICMPV6_PARAMPROB;
	return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED ||
	       type == ICMP_PARAMETERPROB;
}

/* What is left of a packet when the one that it quotes was parsed in its place. */
struct icmp_outer {
	__u32 destination[4];
	__u32 ip_length;
	__u32 l3_offset;
	__u32 l4_offset;
	__u8 tos;
	__u8 ttl;
};

/*
 * Gives an error the addresses and ports of the client's packets to the VIP: the packet that it
 * quotes is an answer to these. No more than the quoted IP header and 8 bytes are needed. The stack
 * has no room for two packets.
 */
static __always_inline enum lb_verdict icmp_error(struct packet *p)
{
	struct icmp_outer outer = {.ip_length = p->ip_length,
				   .l3_offset = p->l3_offset,
				   .l4_offset = p->l4_offset,
				   .tos = p->tos,
				   .ttl = p->ttl};
	enum lb_verdict verdict;
	__u32 same = 1;

	__builtin_memcpy(outer.destination, p->destination, sizeof(outer.destination));
	p->l3_offset = p->l4_offset + sizeof(struct icmphdr);
	p->quoted = 1;
	verdict = parse_ip(p);
	if (verdict == LB_NOT_VIP)
		return LB_TRUNCATED;
	for (int i = 0; i < 4; i++) {
		same &= p->source[i] == outer.destination[i];
		p->source[i] = p->destination[i];
		p->destination[i] = outer.destination[i];
	}
	if (verdict != LB_CONTINUE)
		return verdict;
	if (!same || (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP))
		return LB_NOT_VIP;
	if (p->fragment == PACKET_LATER_FRAGMENT)
		return LB_FRAGMENT;
	p->ip_length = outer.ip_length;
	p->l3_offset = outer.l3_offset;
	p->l4_offset = outer.l4_offset;
	p->tos = outer.tos;
	p->ttl = outer.ttl;
	p->ports = p->ports << 16 | p->ports >> 16;
	p->destination_port_be = p->ports >> 16;
	p->fragment = 0;
	p->quoted = 0;
	p->about = 1;
	return LB_CONTINUE;
}

/* Requires an ICMP packet of the right family. LB_CONTINUE: balance it by its addresses and ports.
 */
static __always_inline enum lb_verdict icmp(struct packet *p)
{
	struct icmphdr *header = packet_at(p, p->l4_offset);

	if (!vip_has_address(p->destination))
		return LB_NOT_VIP;
	if (p->fragment == PACKET_LATER_FRAGMENT)
		return LB_FRAGMENT;
	if ((void *)(header + 1) > packet_end(p))
		return LB_TRUNCATED;
	if (header->type == (p->v6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO) && !header->code)
		return packet_stage(LB_STAGE_ECHO) ? icmp_echo(p) : LB_NOT_VIP;
	if (packet_stage(LB_STAGE_ERRORS) && icmp_is_error(p, header->type))
		return icmp_error(p);
	return LB_NOT_VIP;
}

#endif /* LB_BPF_ICMP_H */
