/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* VIP lookup: a two-choice table of one cache line per entry. */
#ifndef LB_BPF_VIP_H
#define LB_BPF_VIP_H

#include "config.h"
#include "maps.h"
#include "packet.h"

/* Port, protocol and flags of an entry as the one word that they share in struct lb_vip. */
static __always_inline __u32 vip_tail(__u16 port_be, __u8 protocol, __u8 flags)
{
	return port_be | (__u32)protocol << 16 | (__u32)flags << 24;
}

/* An address as the two words by which it is compared. */
static __always_inline __u64 vip_word(const __u32 *address, int word)
{
	return address[2 * word] | (__u64)address[2 * word + 1] << 32;
}

static __always_inline int vip_matches(const struct lb_vip *vip, const __u32 *address, __u32 tail)
{
	return !((*(const __u64 *)&vip->address[0] ^ vip_word(address, 0)) |
		 (*(const __u64 *)&vip->address[2] ^ vip_word(address, 1)) |
		 (*(const __u32 *)&vip->port_be ^ tail));
}

static __always_inline const struct lb_vip *vip_get(const __u32 *address, __u16 port_be,
						    __u8 protocol, __u8 flags)
{
	__u32 tail = vip_tail(port_be, protocol, flags | LB_VIP_USED);
	__u64 hash = lb_vip_hash(lb_config.vip_hash_key, address, port_be, protocol);
	const struct lb_vip *table = lb_table(lb_vips);
	const struct lb_vip *vip;

	vip = &table[lb_vip_slot(hash, 0) & lb_config.vip_mask];
	if (vip_matches(vip, address, tail))
		return vip;
	vip = &table[lb_vip_slot(hash, 1) & lb_config.vip_mask];
	if (vip_matches(vip, address, tail))
		return vip;
	return NULL;
}

/* The VIP of a TCP or UDP packet: its own port first, then any port. */
static __always_inline const struct lb_vip *vip_find(const struct packet *p)
{
	const struct lb_vip *vip;

	vip = vip_get(p->destination, p->destination_port_be, p->protocol, 0);
	if (!vip)
		vip = vip_get(p->destination, 0, p->protocol, 0);
	return vip;
}

/*
 * True where any VIP has this address, given as its two words. Not static, so that the verifier
 * looks at it once and not from each of the states in which it is called.
 */
__noinline int vip_has_words(__u64 high, __u64 low)
{
	__u32 address[4] = {high, high >> 32, low, low >> 32};

	return vip_get(address, 0, 0, LB_VIP_ADDRESS) != NULL;
}

static __always_inline int vip_has_address(const __u32 *address)
{
	return vip_has_words(vip_word(address, 0), vip_word(address, 1));
}

#endif /* LB_BPF_VIP_H */
