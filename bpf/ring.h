/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Flow hash -> slot of the VIP's ring -> real. */
#ifndef LB_BPF_RING_H
#define LB_BPF_RING_H

#include "config.h"
#include "lb/flow_hash.h"
#include "maps.h"
#include "packet.h"

/* The index in lb_reals of the flow's real, or -1 where the slot has none. */
static __always_inline int ring_real(const struct lb_vip *vip, __u64 hash)
{
	__u64 place = *(volatile const __u64 *)&vip->place;
	__u32 slot = hash >> (64 - (place >> LB_PLACE_BITS_SHIFT));
	const __u16 *ring = lb_table(lb_ring);
	__u32 real = ring[((__u32)place + slot) & lb_config.ring_mask] & LB_RING_REAL_MASK;

	if (!real)
		return -1;
	return ((place >> LB_PLACE_REAL_SHIFT & LB_PLACE_REAL_MASK) + real) & lb_config.real_mask;
}

#endif /* LB_BPF_RING_H */
