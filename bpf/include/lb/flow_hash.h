/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow hash: SipHash-1-3 (Aumasson and Bernstein, 2012) of source address, source port and
 * destination port as they stand in the packet: 8 bytes for IPv4, 20 for IPv6. The same code runs
 * in the kernel and in user space; both must be little-endian.
 */
#ifndef LB_FLOW_HASH_H
#define LB_FLOW_HASH_H

#include "lb/types.h"

LB_INLINE __u64 lb_rotl64(__u64 value, int bits)
{
	return value << bits | value >> (64 - bits);
}

struct lb_sip {
	__u64 v0, v1, v2, v3;
};

LB_INLINE void lb_sip_round(struct lb_sip *s)
{
	s->v0 += s->v1;
	s->v1 = lb_rotl64(s->v1, 13) ^ s->v0;
	s->v0 = lb_rotl64(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = lb_rotl64(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = lb_rotl64(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = lb_rotl64(s->v1, 17) ^ s->v2;
	s->v2 = lb_rotl64(s->v2, 32);
}

LB_INLINE void lb_sip_absorb(struct lb_sip *s, __u64 word)
{
	s->v3 ^= word;
	lb_sip_round(s);
	s->v0 ^= word;
}

/* `source` is v4-mapped; `ports` holds source and destination port as they stand in the packet. */
LB_INLINE __u64 lb_flow_hash(__u64 k0, __u64 k1, const __u32 *source, __u32 ports, int v6)
{
	struct lb_sip s = {
		.v0 = k0 ^ 0x736f6d6570736575ULL,
		.v1 = k1 ^ 0x646f72616e646f6dULL,
		.v2 = k0 ^ 0x6c7967656e657261ULL,
		.v3 = k1 ^ 0x7465646279746573ULL,
	};

	if (v6) {
		lb_sip_absorb(&s, source[0] | (__u64)source[1] << 32);
		lb_sip_absorb(&s, source[2] | (__u64)source[3] << 32);
		lb_sip_absorb(&s, ports | 20ULL << 56);
	} else {
		lb_sip_absorb(&s, source[3] | (__u64)ports << 32);
		lb_sip_absorb(&s, 8ULL << 56);
	}
	s.v2 ^= 0xff;
	lb_sip_round(&s);
	lb_sip_round(&s);
	lb_sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/*
 * The same input through two keyed multiplications: faster, but whoever watches where flows go can
 * learn to aim them. For clients that are trusted.
 */
LB_INLINE __u64 lb_flow_hash_fast(__u64 k0, __u64 k1, const __u32 *source, __u32 ports, int v6)
{
	__u64 h = k0 ^ (source[3] | (__u64)ports << 32);

	h = (h ^ h >> 32) * 0x9fb21c651e98df25ULL;
	if (v6) {
		h ^= source[0] | (__u64)source[1] << 32;
		h = (h ^ h >> 32) * 0xd6e8feb86659fd93ULL;
		h ^= source[2];
		h = (h ^ h >> 32) * 0x9fb21c651e98df25ULL;
	}
	h ^= k1;
	h = (h ^ h >> 29) * 0xd6e8feb86659fd93ULL;
	return h ^ h >> 32;
}

/*
 * Which fields choose the slot of a flow (lb_vip.options); 0: source address and both ports. The
 * real of a flow that is tracked is found by all its fields all the same: only the top bits of the
 * hash, as many as the largest ring has, are those of the chosen fields, and what they name is the
 * slot.
 */
#define LB_HASH_NO_SOURCE 1
#define LB_HASH_NO_SOURCE_PORT 2
#define LB_HASH_NO_DESTINATION_PORT 4
#define LB_HASH_DESTINATION 8 /* the VIP has many addresses: flows differ in theirs, too */
#define LB_HASH_OPTIONS 15
#define LB_HASH_SLOT_BITS 20

/* The ports that choose the slot. */
LB_INLINE __u32 lb_slot_ports(__u32 options, __u32 ports)
{
	if (options & LB_HASH_NO_SOURCE_PORT)
		ports &= 0xffff0000;
	if (options & LB_HASH_NO_DESTINATION_PORT)
		ports &= 0xffff;
	return ports;
}

/* The hash of a flow whose slot comes from other fields. */
LB_INLINE __u64 lb_flow_hash_join(__u64 slot, __u64 flow)
{
	const __u64 slot_mask = ~0ULL << (64 - LB_HASH_SLOT_BITS);

	return (slot & slot_mask) | (flow & ~slot_mask);
}

/*
 * The hash by these options, all at once. hash(address, ports) is one of the two above under the
 * key of the VIP; the program has the same in pieces, as its stack is short.
 */
#define LB_HASH_DESTINATION_PORTS (~0U) /* in place of ports, next to a destination */
LB_INLINE __u64 lb_flow_hash_by(__u32 options, int fast, __u64 k0, __u64 k1, const __u32 *source,
				const __u32 *destination, __u32 ports, int v6)
{
	__u64 (*const hash)(__u64, __u64, const __u32 *, __u32, int) =
		fast ? lb_flow_hash_fast : lb_flow_hash;
	__u64 flow = hash(k0, k1, source, ports, v6);
	__u32 nobody[4] = {0, 0, 0, 0};

	if (options & LB_HASH_DESTINATION)
		flow ^= hash(k0, k1, destination, LB_HASH_DESTINATION_PORTS, v6);
	if (!(options & ~LB_HASH_DESTINATION))
		return flow;
	return lb_flow_hash_join(hash(k0, k1, options & LB_HASH_NO_SOURCE ? nobody : source,
				      lb_slot_ports(options, ports), v6),
				 flow);
}

/* The outer header's share of a flow hash, independent of the bits that choose the slot. */
LB_INLINE __u32 lb_outer_hash(__u64 flow_hash)
{
	return (__u32)flow_hash;
}

#endif /* LB_FLOW_HASH_H */
