/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The traffic: makes whatever an earlier repetition left behind the next packet. Headers are
 * written in the pieces in which programs read them, so that no load has to wait for two stores.
 */
#ifndef LB_BENCH_TRAFFIC_H
#define LB_BENCH_TRAFFIC_H

#include "helpers.h"

#include "bench_abi.h"
#include "csum.h"

const volatile struct bench_traffic bench_traffic = {};
struct bench_state bench_state = {};

struct bench_flow {
	__u32 number; /* chooses the VIP */
	__u32 source; /* the address, or the last word of it */
	__u16 port_be;
};

/* xorshift64* (Vigna, 2016) */
static __always_inline __u64 traffic_random(void)
{
	__u64 x = bench_state.random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	bench_state.random = x;
	return x * 0x2545f4914f6cdd1dULL;
}

/* 64 ports of each address of 198.18.0.0/15 (RFC 2544): 2^23 flows. */
static __always_inline struct bench_flow traffic_flow(void)
{
	__u64 random = traffic_random();
	struct bench_flow flow;

	if (!bench_traffic.flows) {
		flow.number = 0;
		flow.source = random >> 32;
		flow.port_be = random >> 16;
		return flow;
	}
	flow.number = bench_state.in_sequence ? bench_state.next++ % bench_traffic.flows
					      : (random >> 32) * bench_traffic.flows >> 32;
	flow.source = bpf_htonl(0xc6120000 + (flow.number >> 6));
	flow.port_be = bpf_htons(1024 + (flow.number & 63) * 997);
	return flow;
}

/* Returns 0, or -1 when the frame is not what it should be. */
static __always_inline int traffic_next_packet(struct xdp_md *ctx)
{
	long length = (long)ctx->data_end - (long)ctx->data;
	struct bench_flow flow = traffic_flow();
	__u32 vip = (flow.number & (bench_traffic.vips - 1)) << 24;
	__u32 *ethernet, *words;
	void *end;

	/* A number from here on; the verifier lets nothing else be done with a pointer. */
	barrier_var(length);
	/* Always called, so that a program which does not encapsulate pays for it as well. */
	if (bpf_xdp_adjust_head(ctx, length - bench_traffic.length))
		return -1;
	ethernet = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if ((void *)ethernet + BENCH_HEADER_BYTES > end)
		return -1;
	words = (void *)ethernet + sizeof(struct ethhdr);
	for (int i = 0; i < 3; i++)
		ethernet[i] = bench_traffic.ethernet[i];
	*(__u16 *)&ethernet[3] = bench_traffic.ethernet[3];
#pragma unroll
	for (int i = 0; i < BENCH_WORDS; i++)
		words[i] = bench_traffic.words[i];
	if (bench_traffic.v6) {
		words[5] = flow.source;
		words[9] = bench_traffic.words[9] + vip;
		words[10] = (bench_traffic.words[10] & 0xffff0000) | flow.port_be;
	} else {
		__u32 destination = bench_traffic.words[4] + vip;
		__u32 sum = bench_traffic.checksum + (flow.source & 0xffff) + (flow.source >> 16) +
			    (destination & 0xffff) + (destination >> 16);

		words[2] = (bench_traffic.words[2] & 0xffff) | (__u32)csum_fold(sum) << 16;
		words[3] = flow.source;
		words[4] = destination;
		words[5] = (bench_traffic.words[5] & 0xffff0000) | flow.port_be;
		/* A short header, the first byte of the connection id, the server id. */
		if (bench_traffic.server_ids)
			words[7] = (bench_traffic.words[7] & 0xffff) |
				   (__u32)bpf_htons(1 + flow.number % bench_traffic.server_ids)
					   << 16;
	}
	return 0;
}

#endif /* LB_BENCH_TRAFFIC_H */
