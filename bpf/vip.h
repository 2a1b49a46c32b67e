/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * VIP lookup: a two-choice table of one cache line per entry, and a search by prefix and port for
 * what is not one address with one port or all.
 */
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

static __always_inline void vip_scope_key(struct lb_scope_key *key, const __u32 *address,
					  __u8 protocol)
{
	key->prefix_length = LB_SCOPE_KEY_BITS;
	key->protocol = protocol;
	for (int i = 0; i < 4; i++)
		key->address[i] = address[i];
}

/*
 * The index in lb_wide_vips of the VIP that the rules for an address, given as its two words, name
 * for a port, or -1. A global function, as the verifier checks these once and not for each call;
 * the key is made here, as stacks of callers add up.
 */
__noinline int vip_by_rule(__u64 high_word, __u64 low_word, __u32 protocol, __u32 port)
{
	__u32 address[4] = {high_word, high_word >> 32, low_word, low_word >> 32};
	const struct lb_port_rule *rules = lb_table(lb_port_rules);
	const struct lb_scope *scope;
	struct lb_scope_key key;
	__u32 low = 0, high;

	vip_scope_key(&key, address, protocol);
	scope = bpf_map_lookup_elem(&lb_scopes, &key);
	if (!scope)
		return -1;
	high = scope->rules;
	for (int i = 0; i <= LB_SCOPE_RULES_BITS && low < high; i++) {
		__u32 middle = (low + high) / 2;
		__u32 index = (scope->first_rule + middle) & lb_config.port_rule_mask;

		if (port < rules[index].first_port)
			high = middle;
		else if (port > rules[index].last_port)
			low = middle + 1;
		else
			return rules[index].vip & 0x7fffffff;
	}
	return -1;
}

static __always_inline const struct lb_vip *vip_wide(const __u32 *address, __u16 port_be,
						     __u8 protocol)
{
	const struct lb_vip *vips = lb_table(lb_wide_vips);
	int index = vip_by_rule(vip_word(address, 0), vip_word(address, 1), protocol,
				bpf_ntohs(port_be));

	return index < 0 ? NULL : &vips[index & lb_config.wide_vip_mask];
}

/*
 * The VIP of a TCP or UDP packet. The more exact address comes first, and for one address the more
 * exact port: one port, then a range, then every port.
 */
static __always_inline const struct lb_vip *vip_find(const __u32 *destination, __u16 port_be,
						     __u8 protocol)
{
	const struct lb_vip *vip = vip_get(destination, port_be, protocol, 0);

	if (likely(vip))
		return vip;
	if (lb_config.features & LB_FEATURE_WIDE_VIPS) {
		vip = vip_wide(destination, port_be, protocol);
		if (vip)
			return vip;
	}
	return vip_get(destination, 0, protocol, 0);
}

/*
 * True where any VIP has this address, given as its two words. Not static, so that the verifier
 * looks at it once and not from each of the states in which it is called.
 */
__noinline int vip_has_words(__u64 high, __u64 low)
{
	__u32 address[4] = {high, high >> 32, low, low >> 32};
	struct lb_scope_key key;

	if (vip_get(address, 0, 0, LB_VIP_ADDRESS))
		return 1;
	if (!(lb_config.features & LB_FEATURE_WIDE_VIPS))
		return 0;
	vip_scope_key(&key, address, 0);
	return bpf_map_lookup_elem(&lb_scopes, &key) != NULL;
}

static __always_inline int vip_has_address(const __u32 *address)
{
	return vip_has_words(vip_word(address, 0), vip_word(address, 1));
}

/* Likewise for an address of ours where tunnels end. */
__noinline int vip_is_tunnel_words(__u64 high, __u64 low)
{
	__u32 address[4] = {high, high >> 32, low, low >> 32};

	return vip_get(address, 0, 0, LB_VIP_TUNNEL) != NULL;
}

static __always_inline int vip_is_tunnel(const __u32 *address)
{
	return vip_is_tunnel_words(vip_word(address, 0), vip_word(address, 1));
}

#endif /* LB_BPF_VIP_H */
