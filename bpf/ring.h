/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Flow hash -> slot of the VIP's ring -> real. */
#ifndef LB_BPF_RING_H
#define LB_BPF_RING_H

#include "config.h"
#include "lb/flow_table.h"
#include "maps.h"
#include "packet.h"

static __always_inline enum lb_flow_event flow_event(const struct packet *p)
{
	if ((p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return LB_FLOW_OPEN;
	return p->tcp_flags & (TCP_FIN | TCP_RST) ? LB_FLOW_END : LB_FLOW_DATA;
}

/*
 * The real of a flow whose slot is not stable. `owners`: the slot's old owner, and shifted by 16
 * the real that the packet names by itself, or 0. Not inline: rare, and it would crowd the common
 * path. Not static: the verifier looks at it once.
 */
__noinline __u32 ring_tracked_real(__u64 flows, __u64 hash, __u32 index, __u32 owners,
				   enum lb_flow_event event)
{
	__u64 fingerprint = lb_flow_fingerprint(hash);
	__u32 old = owners & LB_RING_REAL_MASK, named = owners >> 16;
	__u32 tick = bpf_ktime_get_coarse_ns() >> LB_FLOW_TICK_SHIFT;
	struct lb_flow_bucket *place;
	struct lb_flow_bucket *buckets = lb_table(lb_flows);
	__u16 *next = lb_table(lb_ring_next);
	__u8 *refused = lb_table(lb_refused);
	__u32 bucket = hash & ((1U << (flows >> LB_FLOWS_BITS_SHIFT & LB_FLOWS_BITS_MASK)) - 1);
	int always = !!(flows & LB_FLOWS_ALWAYS);
	__u32 next_real;

	index &= lb_config.ring_mask;
	if (!(flows & LB_FLOWS_USED)) {
		if (named && event != LB_FLOW_OPEN)
			return named;
		refused[index] = 1;
		return old;
	}
	place = &buckets[((__u32)flows + bucket) & lb_config.flow_mask];
	if (named && event != LB_FLOW_OPEN) {
		lb_flow_touch(place, fingerprint, named, event, tick);
		return named;
	}
	/* A client that answers its server's first packets opens nothing. */
	if (named && lb_flow_is_at(place, fingerprint, old, named))
		event = LB_FLOW_DATA;
	next_real = next[index];
	if (flows & LB_FLOWS_FROZEN) {
		next_real = old;
		always = 0;
		if (event == LB_FLOW_OPEN)
			event = LB_FLOW_REOPEN;
	}
	return lb_flow_real(place, fingerprint, old, next_real, event, tick, always,
			    &refused[index]);
}

/* What a packet names by itself. */
struct named_real {
	__u32 number; /* VIP-local; 0: none */
	__u32 opens;  /* it starts a connection all the same, or seems to */
};

/* The index in lb_reals of the flow's real, or -1 where there is none. */
static __always_inline int ring_real(const struct lb_vip *vip, __u64 hash, const struct packet *p,
				     struct named_real named)
{
	__u64 place = *(volatile const __u64 *)&vip->place;
	__u32 slot = hash >> (64 - (place >> LB_PLACE_BITS_SHIFT));
	__u32 index = ((__u32)place + slot) & lb_config.ring_mask;
	const __u16 *ring = lb_table(lb_ring);
	__u32 word = *(volatile const __u16 *)&ring[index];
	__u32 real = word & LB_RING_REAL_MASK;

	if (unlikely(word & LB_RING_TRACK))
		real = ring_tracked_real(*(volatile const __u64 *)&vip->flows, hash, index,
					 real | named.number << 16,
					 named.opens ? LB_FLOW_OPEN : flow_event(p));
	else if (named.number && !named.opens)
		real = named.number;
	if (!real)
		return -1;
	return ((place >> LB_PLACE_REAL_SHIFT & LB_PLACE_REAL_MASK) + real) & lb_config.real_mask;
}

#endif /* LB_BPF_RING_H */
