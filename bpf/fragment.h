/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IP fragments. The first one has the ports; it is balanced as any packet and remembered, and later
 * ones are then balanced by its ports. A later one that comes too early has the verdict
 * LB_FRAGMENT, unless its VIP hashes all fragments by the client's address alone.
 */
#ifndef LB_BPF_FRAGMENT_H
#define LB_BPF_FRAGMENT_H

#include "maps.h"
#include "packet.h"
#include "vip.h"

static __always_inline struct lb_fragment_key fragment_key(const struct packet *p)
{
	struct lb_fragment_key key = {.id = p->fragment_id, .protocol = p->v6 ? 0 : p->protocol};

	__builtin_memcpy(key.source, p->source, sizeof(key.source));
	__builtin_memcpy(key.destination, p->destination, sizeof(key.destination));
	return key;
}

static __always_inline void fragment_record(const struct packet *p)
{
	struct lb_fragment_key key = fragment_key(p);
	struct lb_fragment value = {
		.ports = p->ports, .protocol = p->protocol, .seen = bpf_ktime_get_coarse_ns()};

	bpf_map_update_elem(&lb_fragments, &key, &value, BPF_ANY);
}

/* Fragments have no port, so the VIP that takes them by address alone is one of every port. */
static __always_inline enum lb_verdict fragment_by_address(struct packet *p)
{
	const struct lb_vip *vip = NULL;

	p->destination_port_be = 0;
	if (p->protocol == IPPROTO_TCP || p->protocol == IPPROTO_UDP)
		vip = vip_find(p->destination, 0, p->protocol);
	if (vip && vip->options & LB_VIP_FRAGMENTS_BY_ADDRESS)
		return LB_CONTINUE;
	return vip_has_address(p->destination) ? LB_FRAGMENT : LB_NOT_VIP;
}

/* Gives a later fragment the ports of its packet. */
static __always_inline enum lb_verdict fragment_follow(struct packet *p)
{
	struct lb_fragment_key key = fragment_key(p);
	struct lb_fragment *first = bpf_map_lookup_elem(&lb_fragments, &key);

	if (!first || bpf_ktime_get_coarse_ns() - first->seen > LB_FRAGMENT_SECONDS * 1000000000ULL)
		return fragment_by_address(p);
	p->ports = first->ports;
	p->destination_port_be = first->ports >> 16;
	p->protocol = first->protocol;
	return LB_CONTINUE;
}

#endif /* LB_BPF_FRAGMENT_H */
