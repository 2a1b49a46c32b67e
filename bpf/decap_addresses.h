/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The addresses of a real server: those where tunnels end, and its VIPs. One map for all programs
 * of lbagent. */
#ifndef LB_BPF_DECAP_ADDRESSES_H
#define LB_BPF_DECAP_ADDRESSES_H

#include "helpers.h"
#include "lb/decap_abi.h"

struct address {
	__u32 word[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LB_DECAP_ADDRESSES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct address);
	__type(value, __u32);
} lb_decap_ip SEC(".maps");

static __always_inline int address_has(const struct address *address, __u32 flag)
{
	__u32 *flags = bpf_map_lookup_elem(&lb_decap_ip, address);

	return flags && *flags & flag;
}

#endif /* LB_BPF_DECAP_ADDRESSES_H */
