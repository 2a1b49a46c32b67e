/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every table here is an array of one large value, memory-mapped by user space, which changes it by
 * plain stores. The program reaches it by a direct pointer, without a helper call: the loader turns
 * each reference to such a map into the address of its value (BPF_PSEUDO_MAP_VALUE). The types give
 * the element; the loader creates each map as large as the configuration asks and sets the masks in
 * lb_config to match.
 */
#ifndef LB_BPF_MAPS_H
#define LB_BPF_MAPS_H

#include "helpers.h"
#include "lb/abi.h"

#define LB_TABLE(type_, name)                      \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(max_entries, 1);            \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__type(key, __u32);                \
		__type(value, type_);              \
	} name SEC(".maps")

/* VIPs by address, port and protocol. Written by user space. */
LB_TABLE(struct lb_vip, lb_vips);
/* VIPs of prefixes and of port ranges. Written by user space. */
LB_TABLE(struct lb_vip, lb_wide_vips);
/* Which of these a port has, scope by scope. Written by user space. */
LB_TABLE(struct lb_port_rule, lb_port_rules);
/* Rings of all VIPs, one after the other. Written by user space. */
LB_TABLE(__u16, lb_ring);
/* The reals of new connections, slot by slot as lb_ring. Written by user space. */
LB_TABLE(__u16, lb_ring_next);
/* Slots, as lb_ring, where a flow could not be recorded. Set by the program, cleared by user space.
 */
LB_TABLE(__u8, lb_refused);
/* Flows on slots that change hands. Written by both sides. */
LB_TABLE(struct lb_flow_bucket, lb_flows);
/* Reals of all VIPs, VIP by VIP. Written by user space. */
LB_TABLE(struct lb_real, lb_reals);
/* Where packets to a real go next. Written by user space. */
LB_TABLE(struct lb_next_hop, lb_next_hops);
/* How VIPs are routed by id. Written by user space. */
LB_TABLE(struct lb_id_config, lb_id_configs);
/* Reals by server id, VIP by VIP. Written by user space. */
LB_TABLE(struct lb_server_id_bucket, lb_server_ids);
/* Forwarded packets per CPU and entry of lb_reals. Written by the program. */
LB_TABLE(struct lb_counter, lb_counters);
/* Those of them that open a TCP connection; an index as that of lb_counters. Likewise. */
LB_TABLE(__u64, lb_connections);
/* Dropped packets, by the same index: at a real that they were meant for, else at the entry in
 * front of the VIP's reals. Likewise. */
LB_TABLE(__u64, lb_drops);
/* Whom VIPs serve. Written by user space, but for `due`. */
LB_TABLE(struct lb_policy, lb_policies);
/* What was refused, per CPU and policy. Written by the program. */
LB_TABLE(struct lb_policy_count, lb_policy_counts);
/* Rates of sources. Written by the program. */
LB_TABLE(struct lb_source_bucket, lb_source_buckets);
/*
 * Packets per CPU and verdict, or note; LB_FORWARD is not counted here, it is the sum of
 * lb_counters. Also what became of flows that were to be recorded.
 */
LB_TABLE(__u64, lb_verdicts);

/* The rules of the longest prefix of an address. No table, as it is searched by prefix; the loader
 * sets its size. Written by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lb_scope_key);
	__type(value, struct lb_scope);
} lb_scopes SEC(".maps");

/* Sources that are allowed or denied, policy by policy. Likewise. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lb_source_key);
	__type(value, __u32);
} lb_sources SEC(".maps");
/* When the next ICMP message of ours is due, ns of CLOCK_MONOTONIC. Written by the program. */
LB_TABLE(__u64, lb_icmp_due);

/* Where the program puts down for a moment what the verifier shall forget. */
LB_TABLE(struct lb_scratch, lb_scratch);

/* Ports by first fragment; not a table. Written by the program. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1); /* set by the loader */
	__type(key, struct lb_fragment_key);
	__type(value, struct lb_fragment);
} lb_fragments SEC(".maps");

/* At least as many as one lbd may have interfaces. */
#define LB_PORTS 64

/*
 * Where frames may leave: the interfaces that lbd runs on, by index. Written by user space; the
 * kernel takes out what goes away.
 */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, LB_PORTS);
	__type(key, __u32);
	__type(value, __u32);
} lb_ports SEC(".maps");

/* How answers to health probes are recognised. Written by user space. */
LB_TABLE(struct lb_probe, lb_probe);

/* The sockets that get them, queue by queue. Set by user space; the kernel clears the entry of a
 * socket that is closed. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, LB_PROBE_SOCKETS);
	__type(key, __u32);
	__type(value, __u32);
} lb_probe_sockets SEC(".maps");

/* The first element of a table; what it points to is hidden from the compiler. */
#define lb_table(name)                                            \
	({                                                        \
		__typeof__((name).value) first = (void *)&(name); \
		barrier_var(first);                               \
		first;                                            \
	})

#endif /* LB_BPF_MAPS_H */
