/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tunnels that end at an address of ours: IPIP and GUE (variant 1, and variant 0 without checksum
 * and extensions). The inner packet is then looked at as if it had come plain; the frame is not
 * touched before it is known that it leaves, so that what is not for a VIP passes as it came.
 *
 * TTL and congestion of the tunnel go on in the next one: a circle of load balancers ends, and a
 * mark is not lost (RFC 6040).
 */
#ifndef LB_BPF_DECAP_H
#define LB_BPF_DECAP_H

#include "packet.h"
#include "vip.h"

#define ECN_MASK 3
#define ECN_CE 3

static __always_inline int decap_is_gue(const struct packet *p)
{
	return p->protocol == IPPROTO_UDP && lb_config.decap_port_be &&
	       p->destination_port_be == lb_config.decap_port_be;
}

/* What a GUE packet carries: its protocol, or 0; and where. */
static __always_inline __u8 decap_gue(const struct packet *p, __u32 *offset)
{
	__u8 *gue = packet_at(p, p->l4_offset + sizeof(struct udphdr));

	*offset = p->l4_offset + sizeof(struct udphdr);
	if ((void *)(gue + 4) > packet_end(p))
		return 0;
	if (gue[0] >> 4 == 4)
		return IPPROTO_IPIP;
	if (gue[0] >> 4 == 6)
		return IPPROTO_IPV6;
	if (gue[0] & 0xe0) /* version, control message */
		return 0;
	*offset += 4 + (gue[0] & 0x1f) * 4;
	return gue[1];
}

/*
 * Moves on to the inner packet of a tunnel of ours, which is yet to be parsed; LB_NOT_VIP where
 * this is none. `*end`: where the inner packet must have ended, from the start of the frame.
 */
static __always_inline enum lb_verdict decap(struct packet *p, __u32 *end)
{
	__u32 offset = p->l4_offset;
	__u8 protocol = p->protocol;

	if (p->fragment || !vip_is_tunnel(p->destination))
		return LB_NOT_VIP;
	if (decap_is_gue(p))
		protocol = decap_gue(p, &offset);
	if (protocol != IPPROTO_IPIP && protocol != IPPROTO_IPV6)
		return LB_NOT_VIP;
	if (p->ttl <= 1)
		return LB_TTL_EXPIRED;
	*end = p->l3_offset + p->ip_length;
	p->outer_ttl = p->ttl - 1 < LB_TTL ? p->ttl - 1 : LB_TTL;
	p->congested = (p->tos & ECN_MASK) == ECN_CE;
	p->l3_offset = offset;
	p->v6 = protocol == IPPROTO_IPV6;
	p->source[0] = p->source[1] = p->destination[0] = p->destination[1] = 0;
	p->tcp_flags = 0;
	return LB_CONTINUE;
}

/* What the outer header of the next tunnel says of congestion. */
static __always_inline void decap_mark(struct packet *p)
{
	if (p->congested && p->tos & ECN_MASK)
		p->tos |= ECN_CE;
}

#endif /* LB_BPF_DECAP_H */
