/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What remembering every flow costs: the same program over no table, over lbd's, and over three of
 * the kernel's that forget the least recently used. For TCP over IPv4 without options.
 */
#include "vmlinux.h"

#include "bench_abi.h"
#include "helpers.h"
#include "lb/flow_table.h"

/* Of the kernel's enums; vmlinux.h has what the programs of lbd use. */
#define BPF_MAP_TYPE_LRU_PERCPU_HASH 10
#define BPF_F_NO_COMMON_LRU 2

#define PORTS_OFFSET (sizeof(struct ethhdr) + sizeof(struct iphdr))

/* In the kernel's tables, by flow hash. */
struct remembered {
	__u32 real;
	__u32 tick;
};

#define REMEMBER(name, map_type, flags)                     \
	struct {                                            \
		__uint(type, map_type);                     \
		__uint(max_entries, BENCH_TABLE_ENTRIES);   \
		__uint(map_flags, flags);                   \
		__type(key, __u64);                         \
		__type(value, struct remembered);           \
	} name SEC(".maps")

REMEMBER(lru, BPF_MAP_TYPE_LRU_HASH, 0);
REMEMBER(lru_own_lists, BPF_MAP_TYPE_LRU_HASH, BPF_F_NO_COMMON_LRU);
REMEMBER(lru_per_cpu, BPF_MAP_TYPE_LRU_PERCPU_HASH, 0);

struct lb_flow_bucket flows[BENCH_TABLE_ENTRIES / LB_FLOW_WAYS] = {};
__u64 bench_misses = 0;

static __always_inline __u32 now(void)
{
	return bpf_ktime_get_coarse_ns() >> LB_FLOW_TICK_SHIFT;
}

/* The flow hash of the packet, or 0. */
static __always_inline __u64 flow_hash(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	__u32 source[4] = {};

	if (data + PORTS_OFFSET + sizeof(__u32) > (void *)(long)ctx->data_end)
		return 0;
	source[3] = ((struct iphdr *)(data + sizeof(struct ethhdr)))->saddr;
	return lb_flow_hash(1, 2, source, *(__u32 *)(data + PORTS_OFFSET), 0);
}

static __always_inline int remember(struct xdp_md *ctx, void *table)
{
	__u64 hash = flow_hash(ctx);
	struct remembered *known = bpf_map_lookup_elem(table, &hash);
	struct remembered fresh = {.real = 1, .tick = now()};

	if (known) {
		if (known->tick != fresh.tick)
			known->tick = fresh.tick;
		return known->real ? XDP_TX : XDP_ABORTED;
	}
	bench_misses++;
	bpf_map_update_elem(table, &hash, &fresh, BPF_ANY);
	return XDP_TX;
}

SEC("xdp")
int table_none(struct xdp_md *ctx)
{
	return flow_hash(ctx) ? XDP_TX : XDP_ABORTED;
}

SEC("xdp")
int table_lbd(struct xdp_md *ctx)
{
	enum lb_flow_record record;
	__u64 hash = flow_hash(ctx);
	struct lb_flow_bucket *bucket = &flows[hash % (BENCH_TABLE_ENTRIES / LB_FLOW_WAYS)];

	if (lb_flow_find(bucket, lb_flow_fingerprint(hash)) < 0)
		bench_misses++;
	return lb_flow_real(bucket, lb_flow_fingerprint(hash), 1, 1, LB_FLOW_DATA, now(), 1,
			    &record)
		       ? XDP_TX
		       : XDP_ABORTED;
}

SEC("xdp")
int table_lru(struct xdp_md *ctx)
{
	return remember(ctx, &lru);
}

SEC("xdp")
int table_lru_own_lists(struct xdp_md *ctx)
{
	return remember(ctx, &lru_own_lists);
}

SEC("xdp")
int table_lru_per_cpu(struct xdp_md *ctx)
{
	return remember(ctx, &lru_per_cpu);
}

char LICENSE[] SEC("license") = "Apache-2.0";
