/* SPDX-License-Identifier: Apache-2.0 */
/* The contract between the benchmark's BPF programs and datapath_bench. */
#ifndef LB_BENCH_ABI_H
#define LB_BENCH_ABI_H

#ifdef __bpf__
#include "vmlinux.h"
#else
#include <linux/types.h>
#endif

/* The frame behind its Ethernet header, as far as it is written anew for every packet. */
#define BENCH_WORDS 12
#define BENCH_HEADER_BYTES (14 + 4 * BENCH_WORDS)

/* Flows for which each of the tables of bench_tables has room. */
#define BENCH_TABLE_ENTRIES (1 << 22)

/* What is sent: constants of one loaded program. */
struct bench_traffic {
	__u32 length; /* of the frame */
	__u32 v6;
	__u32 flows;	  /* distinct flows; 0: every packet has a random source */
	__u32 server_ids; /* IPv4 QUIC: flow n carries the id 1 + n % server_ids; 0: none does */
	__u32 vips;	  /* a power of two; flow n goes to the template's destination + n % vips */
	__u32 checksum; /* IPv4: sum of the header's 16-bit words without addresses and checksum */
	__u32 out_ifindex; /* the live sender's */
	/* The template: Ethernet header (and 2 bytes of nothing), then words. */
	__u32 ethernet[4];
	__u32 words[BENCH_WORDS];
};

struct bench_state {
	__u64 random; /* of the generator; never 0 */
	__u32 next;   /* flow, when in sequence */
	__u32 in_sequence;
};

/* What came back from the balancer in a live run. */
struct bench_returned {
	__u64 length;	/* that frames should have */
	__u64 expected; /* frames that have it */
	__u64 other;
};

#endif /* LB_BENCH_ABI_H */
