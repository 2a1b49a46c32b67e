/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The contract between real_server_id.bpf.c and lbagent. */
#ifndef LB_SERVER_ID_ABI_H
#define LB_SERVER_ID_ABI_H

#ifdef __bpf__
#include "vmlinux.h"
#else
#include <linux/types.h>
#endif

/* Constants of the loaded program. */
struct lb_server_id_config {
	__u32 server_id; /* of this host, for its clients; 0: none */
	__u32 echo;	 /* whether it repeats the ids of its servers */
};

/*
 * lb_server_id_count: one counter per CPU.
 * X(NAME, name, sentence for people)
 */
#define LB_SERVER_ID_COUNTS(X)                                                              \
	X(OFFERED, offered, "Segments that told a client our server id.")                   \
	X(REPEATED, repeated, "Connections whose client repeats our server id.")            \
	X(WRONG, wrong, "Segments with the server id of another: they came the wrong way.") \
	X(LEARNED, learned, "Connections to servers that told us their id.")

enum lb_server_id_count {
#define LB_SERVER_ID_ENUM(NAME, name, text) LB_SERVER_ID_COUNT_##NAME,
	LB_SERVER_ID_COUNTS(LB_SERVER_ID_ENUM)
#undef LB_SERVER_ID_ENUM
		LB_SERVER_ID_COUNT_SLOTS,
};

#endif /* LB_SERVER_ID_ABI_H */
