/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Internet checksums (RFC 1071), incremental updates (RFC 1624). */
#ifndef LB_BPF_CSUM_H
#define LB_BPF_CSUM_H

#include "helpers.h"

/* The checksum of a sum of 16-bit words: folded and complemented. */
static __always_inline __u16 csum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Likewise of a longer sum. */
static __always_inline __u16 csum_fold64(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return csum_fold(sum);
}

/* `checksum` after one 16-bit word changed: equation 3 of RFC 1624, right also where it carries. */
static __always_inline __u16 csum_replace(__u16 checksum, __u16 before, __u16 after)
{
	return csum_fold((__u32)(__u16)~checksum + (__u16)~before + after);
}

#endif /* LB_BPF_CSUM_H */
