/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flow tracking: which real a packet goes to while its slot of the ring changes hands. The program,
 * the daemon and the simulator share this code.
 *
 * A slot has two owners: `old`, where flows go that nobody knows, and `next`, where new connections
 * go. Its word in lb_ring holds `old` and LB_RING_TRACK, its word in lb_ring_next holds `next`.
 *
 *   state      word          unknown flow        new connection
 *   stable     old           old                 old
 *   changing   old | TRACK   old, recorded       next, recorded; old where the table is full
 *   settling   old | TRACK   old                 old                        (next == old)
 *
 * So every live flow either has an entry that names its real, or its real is its slot's `old`, and
 * a full table breaks nothing: what cannot be recorded stays with `old`.
 */
#ifndef LB_FLOW_TABLE_H
#define LB_FLOW_TABLE_H

#include "lb/flow_hash.h"

/* A ring slot: bits 0..14 the VIP-local number of a real, 0 = none; bit 15: ask the flow table. */
#define LB_RING_REAL_MASK 0x7fff
#define LB_RING_TRACK 0x8000

/*
 * An entry: fingerprint (40 bits) | age (8) | ended (1) | real (15); 0 = empty. The age is the tick
 * of the last packet. The fingerprint is the top of the flow hash, so it starts with the slot's
 * number; the bucket comes from the bits below.
 */
#define LB_FLOW_WAYS 8
#define LB_FLOW_FINGERPRINT_BITS 40
#define LB_FLOW_BUCKET_BITS 24 /* at most 2^24 buckets per VIP */
#define LB_FLOW_AGE_SHIFT 16
#define LB_FLOW_ENDED 0x8000 /* a FIN or RST was seen */
#define LB_FLOW_TICK_SHIFT                                                     \
	34 /* a tick is 2^34 ns of CLOCK_MONOTONIC: 17.2 s; 256 are 73 minutes \
	    */

struct lb_flow_bucket {
	__u64 entries[LB_FLOW_WAYS];
} __attribute__((aligned(64)));

enum lb_flow_event {
	LB_FLOW_OPEN,	/* a packet that starts a connection: TCP SYN without ACK */
	LB_FLOW_REOPEN, /* likewise, but it goes where its addresses and ports were known to go */
	LB_FLOW_DATA,	/* any packet of a flow */
	LB_FLOW_END,	/* TCP FIN or RST: the flow will not last */
	LB_FLOW_LOOKUP, /* about a flow, not of it: an ICMP error */
};

/* What became of a flow that was to be recorded. */
enum lb_flow_record {
	LB_FLOW_NOT_RECORDED, /* there was no need to, or another CPU did it */
	LB_FLOW_INSERTED,
	LB_FLOW_EVICTED, /* inserted, and the oldest entry went */
	LB_FLOW_REFUSED, /* there was no room */
	LB_FLOW_RECORD_COUNT,
};

LB_INLINE __u64 lb_flow_fingerprint(__u64 hash)
{
	return hash >> (64 - LB_FLOW_FINGERPRINT_BITS);
}

LB_INLINE __u64 lb_flow_entry(__u64 fingerprint, __u32 tick, __u32 real)
{
	return fingerprint << (64 - LB_FLOW_FINGERPRINT_BITS) |
	       (__u64)(tick & 0xff) << LB_FLOW_AGE_SHIFT | real;
}

LB_INLINE __u64 lb_flow_entry_fingerprint(__u64 entry)
{
	return entry >> (64 - LB_FLOW_FINGERPRINT_BITS);
}

LB_INLINE __u32 lb_flow_entry_real(__u64 entry)
{
	return entry & LB_RING_REAL_MASK;
}

/* Ticks since the entry's last packet, 0..LB_FLOW_MAX_AGE. Clocks of other CPUs may be ahead. */
#define LB_FLOW_MAX_AGE 250
LB_INLINE __u32 lb_flow_entry_age(__u64 entry, __u32 tick)
{
	__u32 age = (tick - (__u32)(entry >> LB_FLOW_AGE_SHIFT)) & 0xff;

	return age > LB_FLOW_MAX_AGE ? 0 : age;
}

/* Which entry of a bucket goes first: one that has ended, else the oldest. */
LB_INLINE __u32 lb_flow_entry_rank(__u64 entry, __u32 tick)
{
	return (__u32)(entry & LB_FLOW_ENDED) + lb_flow_entry_age(entry, tick);
}

LB_INLINE int lb_flow_swap(__u64 *entry, __u64 before, __u64 after)
{
	return __sync_val_compare_and_swap(entry, before, after) == before;
}

/* The way of the fingerprint's entry, or -1. */
LB_INLINE int lb_flow_find(const struct lb_flow_bucket *bucket, __u64 fingerprint)
{
	for (int way = 0; way < LB_FLOW_WAYS; way++) {
		__u64 entry = *(volatile const __u64 *)&bucket->entries[way];

		if (entry && lb_flow_entry_fingerprint(entry) == fingerprint)
			return way;
	}
	return -1;
}

/*
 * Records an absent flow; LB_FLOW_NOT_RECORDED where the bucket is full, unless another may go for
 * it. Also where another CPU was faster: perhaps it recorded the same flow.
 */
LB_INLINE enum lb_flow_record lb_flow_insert(struct lb_flow_bucket *bucket, __u64 entry, __u32 tick,
					     int evict)
{
	__u64 first = 0;
	int first_way = 0;

	for (int way = 0; way < LB_FLOW_WAYS; way++) {
		__u64 present = *(volatile __u64 *)&bucket->entries[way];

		if (!present)
			return lb_flow_swap(&bucket->entries[way], 0, entry) ? LB_FLOW_INSERTED
									     : LB_FLOW_NOT_RECORDED;
		if (lb_flow_entry_fingerprint(present) == lb_flow_entry_fingerprint(entry))
			return LB_FLOW_NOT_RECORDED;
		if (!first || lb_flow_entry_rank(present, tick) > lb_flow_entry_rank(first, tick)) {
			first = present;
			first_way = way;
		}
	}
	if (evict && lb_flow_swap(&bucket->entries[first_way & (LB_FLOW_WAYS - 1)], first, entry))
		return LB_FLOW_EVICTED;
	return LB_FLOW_NOT_RECORDED;
}

/*
 * The real of a packet on a slot that is not stable, or whose VIP records every flow (`always`).
 * `*record` says what became of a flow that was to be recorded. 0 = none.
 */
LB_INLINE __u32 lb_flow_real(struct lb_flow_bucket *bucket, __u64 fingerprint, __u32 old,
			     __u32 next, enum lb_flow_event event, __u32 tick, int always,
			     enum lb_flow_record *record)
{
	int way = lb_flow_find(bucket, fingerprint);
	__u64 *place = &bucket->entries[way & (LB_FLOW_WAYS - 1)];
	__u64 present = way < 0 ? 0 : *(volatile __u64 *)place;
	__u32 real = event == LB_FLOW_OPEN ? next : old;
	__u64 entry, now;

	*record = LB_FLOW_NOT_RECORDED;
	if (present && event != LB_FLOW_OPEN)
		real = lb_flow_entry_real(present);
	if (!real || event == LB_FLOW_LOOKUP)
		return real;
	entry = lb_flow_entry(fingerprint, tick, real);
	if (event == LB_FLOW_END)
		entry |= LB_FLOW_ENDED;
	if (present) {
		/* A new connection has not ended as the last one of these ports has. */
		if (event != LB_FLOW_OPEN && event != LB_FLOW_REOPEN)
			entry |= present & LB_FLOW_ENDED;
		now = entry == present ? present
				       : __sync_val_compare_and_swap(place, present, entry);
		if (now == present)
			return real;
		/* Another CPU was faster; or else a sweep was, and the flow is recorded anew. */
		if (now && lb_flow_entry_fingerprint(now) == fingerprint)
			return lb_flow_entry_real(now);
	} else if (old == next && !always) {
		return real;
	}
	*record = lb_flow_insert(bucket, entry, tick, always);
	if (*record != LB_FLOW_NOT_RECORDED)
		return real;
	*record = LB_FLOW_REFUSED;
	return old;
}

/* Whether a packet of this flow would go to `real`, on a slot with this old owner. */
LB_INLINE int lb_flow_is_at(const struct lb_flow_bucket *bucket, __u64 fingerprint, __u32 old,
			    __u32 real)
{
	int way = lb_flow_find(bucket, fingerprint);

	return (way < 0 ? old
			: lb_flow_entry_real(*(volatile const __u64 *)&bucket
						      ->entries[way & (LB_FLOW_WAYS - 1)])) == real;
}

/*
 * A packet that names its real by itself, on a slot that is not stable: an entry that agrees stays
 * young, and learns that the flow ends. Nothing is recorded, since a false name must move nobody.
 */
LB_INLINE void lb_flow_touch(struct lb_flow_bucket *bucket, __u64 fingerprint, __u32 real,
			     enum lb_flow_event event, __u32 tick)
{
	int way = lb_flow_find(bucket, fingerprint);
	__u64 *place = &bucket->entries[way & (LB_FLOW_WAYS - 1)];
	__u64 present = way < 0 ? 0 : *(volatile __u64 *)place;
	__u64 entry = lb_flow_entry(fingerprint, tick, real);

	entry |= event == LB_FLOW_END ? LB_FLOW_ENDED : present & LB_FLOW_ENDED;
	if (present && lb_flow_entry_real(present) == real && entry != present)
		lb_flow_swap(place, present, entry);
}

#endif /* LB_FLOW_TABLE_H */
