/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The contract between real_decap.bpf.c and lbagent. */
#ifndef LB_DECAP_ABI_H
#define LB_DECAP_ABI_H

#ifdef __bpf__
#include "vmlinux.h"
#else
#include <linux/types.h>
#endif

/* lb_decap_ip: key = 16 bytes in network order, IPv4 mapped; value = the flags below. */
#define LB_DECAP_TUNNEL 1 /* packets to it may be unwrapped: an address of this host */
#define LB_DECAP_VIP 2	  /* may be the inner destination */
#define LB_DECAP_ADDED 4  /* lbagent put it on lo and takes it away; not read by the program */
#define LB_DECAP_ADDRESSES 4096

/* lb_decap_prefix: VIPs that are prefixes; value = the flags above. */
struct lb_decap_prefix_key {
	__u32 prefix_length; /* of the mapped address: 0..128 */
	__u32 address[4];
};

#define LB_DECAP_GUE_PORT 6080 /* where nothing else is said */

/*
 * lb_decap_count: one counter per CPU and outcome.
 * X(NAME, name, sentence for people)
 */
#define LB_DECAP_OUTCOMES(X)                                                                     \
	X(PASSED, passed, "Not a tunnel packet from outside to one of our VIPs; untouched.")     \
	X(V4, v4, "IPv4 packet unwrapped.")                                                      \
	X(V6, v6, "IPv6 packet unwrapped.")                                                      \
	X(MALFORMED, malformed,                                                                  \
	  "To our tunnel, but its headers contradict themselves or the frame.")                  \
	X(FRAGMENT, fragment, "To our tunnel, but a fragment: the MTU on the way is too small.") \
	X(ECN, ecn, "Marked as congested on its way, but it cannot say so; dropped (RFC 6040).")

enum lb_decap_outcome {
#define LB_DECAP_ENUM(NAME, name, text) LB_DECAP_COUNT_##NAME,
	LB_DECAP_OUTCOMES(LB_DECAP_ENUM)
#undef LB_DECAP_ENUM
		LB_DECAP_OUTCOME_SLOTS,
};

#endif /* LB_DECAP_ABI_H */
