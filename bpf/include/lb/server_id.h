/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reals by server id: what a packet carries that names its real by itself. Each VIP that is routed
 * by id has a part of lb_server_ids in which every id is in the one bucket that its hash says; the
 * daemon chooses seed and size so that no bucket overflows.
 */
#ifndef LB_SERVER_ID_H
#define LB_SERVER_ID_H

#include "lb/types.h"

/* An entry: id << 16 | VIP-local number of the real; 0 = empty. */
#define LB_SERVER_ID_WAYS 8
#define LB_SERVER_ID_BITS 48 /* ids are shorter than this */
#define LB_SERVER_ID_SHIFT 16
#define LB_SERVER_ID_REAL_MASK 0x7fff

struct lb_server_id_bucket {
	__u64 entries[LB_SERVER_ID_WAYS];
} __attribute__((aligned(64)));

/* The bucket of an id, before masking. */
LB_INLINE __u32 lb_server_id_hash(__u64 id, __u8 seed)
{
	__u64 h = (id ^ (__u64)seed << LB_SERVER_ID_BITS) * 0x9fb21c651e98df25ULL;

	return (h ^ h >> 29) * 0xd6e8feb86659fd93ULL >> 32;
}

/* The number of the id's real, or 0. */
LB_INLINE __u32 lb_server_id_find(const struct lb_server_id_bucket *bucket, __u64 id)
{
	for (int way = 0; way < LB_SERVER_ID_WAYS; way++) {
		__u64 entry = bucket->entries[way];

		if (entry >> LB_SERVER_ID_SHIFT == id && entry)
			return entry & LB_SERVER_ID_REAL_MASK;
	}
	return 0;
}

#endif /* LB_SERVER_ID_H */
