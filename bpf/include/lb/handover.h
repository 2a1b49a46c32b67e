/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the next lbd has to know of a program's maps to take over from it, be it newer or older: how
 * they are laid out. It stands at the start of the program's constants in every version.
 */
#ifndef LB_HANDOVER_H
#define LB_HANDOVER_H

#include "lb/types.h"

/*
 * What is read means the same in all programs of this version: the fields below, their sizes, flags
 * and hashes; the words of lb_ring, lb_ring_next and lb_refused; entries of flows, and in which of
 * the LB_FLOW_WAYS of a bucket they are. It changes with that meaning and with this file, and from
 * then on tracked flows are lost by an upgrade; layouts alone may change freely.
 */
#define LB_HANDOVER_VERSION 0x6c620001

/* Fields of lb_vip. */
#define LB_HANDOVER_VIP_FIELDS(X) \
	X(address)                \
	X(port_be)                \
	X(protocol)               \
	X(flags)                  \
	X(options)                \
	X(place)                  \
	X(hash_k0)                \
	X(hash_k1)                \
	X(flows)                  \
	X(last_port_be)           \
	X(host_bits)              \
	X(both_protocols)         \
	X(route)

/* Sizes and offsets, in bytes. */
struct lb_handover {
	__u32 version; /* LB_HANDOVER_VERSION */
	__u16 config_fast_hash;
	__u16 real_size;
	__u16 real_address;
	__u16 bucket_size;
	__u16 bucket_entries;
	__u16 vip_size;
#define LB_HANDOVER_OFFSET(field) __u16 vip_##field;
	LB_HANDOVER_VIP_FIELDS(LB_HANDOVER_OFFSET)
#undef LB_HANDOVER_OFFSET
	__u16 reserved[3];
};
LB_ASSERT_SIZE(struct lb_handover, 48);

#endif /* LB_HANDOVER_H */
