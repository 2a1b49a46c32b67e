/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Token buckets, as the generic cell rate algorithm: all that is kept of a bucket is when its next
 * token is due. A token may be taken before that by `tolerance`, which is what a burst needs. Who
 * finds none writes nothing, so that a flood does not move the cache line from CPU to CPU. The
 * program and the tests share this code.
 */
#ifndef LB_RATE_H
#define LB_RATE_H

#include "lb/types.h"

#define LB_RATE_TRIES 4

/* Takes a token of a bucket that has one each `interval`; 0 where there is none. Any unit of time.
 */
LB_INLINE int lb_rate_take(__u64 *due, __u64 now, __u64 interval, __u64 tolerance)
{
	for (int i = 0; i < LB_RATE_TRIES; i++) {
		__u64 before = *(volatile __u64 *)due;
		__u64 at = before > now ? before : now;

		if (at - now > tolerance)
			return 0;
		if (__sync_val_compare_and_swap(due, before, at + interval) == before)
			return 1;
	}
	/* Other CPUs were faster each time. Rather one too many than a flow refused without need.
	 */
	return 1;
}

/*
 * Buckets of sources, 8 in a cache line: the tag of the source (20 bits) and when its next token is
 * due (44 bits, in units of 64 ns, which begin anew after 13 days). The source that has waited
 * longest makes room for a new one, which then has all its tokens.
 */
#define LB_RATE_WAYS 8
#define LB_RATE_UNIT_SHIFT 6
#define LB_RATE_DUE_BITS 44
#define LB_RATE_DUE_MASK ((1ULL << LB_RATE_DUE_BITS) - 1)

struct lb_source_bucket {
	__u64 entries[LB_RATE_WAYS];
} __attribute__((aligned(64)));

/* By how much the next token of an entry is due in the future; 0 where it is due, or from another
 * age. */
LB_INLINE __u64 lb_rate_ahead(__u64 entry, __u64 now, __u64 most)
{
	__u64 ahead = (entry - now) & LB_RATE_DUE_MASK;

	return ahead > most ? 0 : ahead;
}

/* Takes a token of the source with this hash, which also chose `bucket`. Times are in units. */
LB_INLINE int lb_rate_take_of(struct lb_source_bucket *bucket, __u64 hash, __u64 now,
			      __u64 interval, __u64 tolerance)
{
	__u64 tag = hash & ~LB_RATE_DUE_MASK;
	__u64 most = tolerance + interval;
	__u64 before = 0, ahead = 0, least = ~0ULL;
	int place = 0;

	for (int way = 0; way < LB_RATE_WAYS; way++) {
		__u64 entry = *(volatile __u64 *)&bucket->entries[way];
		__u64 its = lb_rate_ahead(entry, now, most);

		if (entry && (entry & ~LB_RATE_DUE_MASK) == tag) {
			place = way;
			before = entry;
			ahead = its;
			break;
		}
		if (!entry)
			its = 0;
		if (its < least) {
			place = way;
			before = entry;
			least = its;
		}
	}
	if (ahead > tolerance)
		return 0;
	__sync_val_compare_and_swap(&bucket->entries[place & (LB_RATE_WAYS - 1)], before,
				    tag | ((now + ahead + interval) & LB_RATE_DUE_MASK));
	return 1;
}

#endif /* LB_RATE_H */
