/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Flow hash -> slot of the VIP's ring -> real. */
#ifndef LB_BPF_RING_H
#define LB_BPF_RING_H

#include "config.h"
#include "lb/flow_table.h"
#include "maps.h"
#include "packet.h"
#include "stats.h"
#include "trace.h"
#include "vip.h"

static __always_inline enum lb_flow_event flow_event(const struct packet *p)
{
	if (p->about)
		return LB_FLOW_LOOKUP;
	if (packet_opens_connection(p))
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
	enum lb_flow_record record = LB_FLOW_REFUSED;
	__u32 next_real, real = old;

	index &= lb_config.ring_mask;
	if (!(flows & LB_FLOWS_USED)) {
		if (named && event != LB_FLOW_OPEN)
			return named;
		goto out;
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
	real = lb_flow_real(place, fingerprint, old, next_real, event, tick, always, &record);
out:
	if (record == LB_FLOW_REFUSED)
		refused[index] = 1;
	if (record != LB_FLOW_NOT_RECORDED)
		stats_count_record(record);
	trace_record(record);
	return real;
}

/* What a packet names by itself. */
struct named_real {
	__u32 number; /* VIP-local; 0: none */
	__u32 opens;  /* it starts a connection all the same, or seems to */
};

static __always_inline __u64 ring_hash_fields(__u64 k0, __u64 k1, const __u32 *address, __u32 ports,
					      int v6)
{
	if (lb_config.fast_hash)
		return lb_flow_hash_fast(k0, k1, address, ports, v6);
	return lb_flow_hash(k0, k1, address, ports, v6);
}

/* The same for an address as its two words, and ports with the family above them. Global and not
 * inline: rare, and stacks of callers add up. */
__noinline __u64 ring_hash_words(__u64 k0, __u64 k1, __u64 high, __u64 low, __u64 ports_v6)
{
	__u32 address[4] = {high, high >> 32, low, low >> 32};

	return ring_hash_fields(k0, k1, address, ports_v6, ports_v6 >> 32);
}

/* As lb_flow_hash_by() has it. `flow`: the hash of source and ports. */
static __always_inline __u64 ring_hash_by(const struct lb_vip *vip, const struct packet *p,
					  __u64 flow)
{
	__u64 family = (__u64)p->v6 << 32;
	__u32 options = vip->options;
	__u64 high = 0, low = 0;

	if (options & LB_HASH_DESTINATION)
		flow ^= ring_hash_words(vip->hash_k0, vip->hash_k1, vip_word(p->destination, 0),
					vip_word(p->destination, 1),
					LB_HASH_DESTINATION_PORTS | family);
	if (!(options & LB_HASH_OPTIONS & ~LB_HASH_DESTINATION))
		return flow;
	if (!(options & LB_HASH_NO_SOURCE)) {
		high = vip_word(p->source, 0);
		low = vip_word(p->source, 1);
	}
	return lb_flow_hash_join(ring_hash_words(vip->hash_k0, vip->hash_k1, high, low,
						 lb_slot_ports(options, p->ports) | family),
				 flow);
}

/* The hash of a flow: its first bits are the slot, all of them the flow itself. */
static __always_inline __u64 ring_hash(const struct lb_vip *vip, const struct packet *p)
{
	__u64 flow = ring_hash_fields(vip->hash_k0, vip->hash_k1, p->source, p->ports, p->v6);

	if ((lb_config.features & LB_FEATURE_HASH_FIELDS) &&
	    unlikely(vip->options & LB_HASH_OPTIONS))
		return ring_hash_by(vip, p, flow);
	return flow;
}

static __always_inline __u64 ring_place(const struct lb_vip *vip)
{
	return *(volatile const __u64 *)&vip->place;
}

/* The entry in lb_reals in front of the reals of a VIP, which stands for none of them. */
static __always_inline __u32 ring_first_entry(__u64 place)
{
	return place >> LB_PLACE_REAL_SHIFT & LB_PLACE_REAL_MASK;
}

/* The flow's real, numbered within the VIP, or 0 where there is none. `entry`: its index in
 * lb_reals. */
static __always_inline __u32 ring_real(const struct lb_vip *vip, __u64 hash, const struct packet *p,
				       struct named_real named, __u32 *entry)
{
	__u64 place = ring_place(vip);
	__u32 slot = hash >> (64 - (place >> LB_PLACE_BITS_SHIFT));
	__u32 index = ((__u32)place + slot) & lb_config.ring_mask;
	const __u16 *ring = lb_table(lb_ring);
	__u32 word = *(volatile const __u16 *)&ring[index];
	__u32 real = word & LB_RING_REAL_MASK;

	trace_slot(p, hash, index, word);
	if (unlikely(word & LB_RING_TRACK))
		real = ring_tracked_real(*(volatile const __u64 *)&vip->flows, hash, index,
					 real | named.number << 16,
					 named.opens ? LB_FLOW_OPEN : flow_event(p));
	else if (named.number && !named.opens)
		real = named.number;
	*entry = ring_first_entry(place) + real;
	return real;
}

#endif /* LB_BPF_RING_H */
