/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Per-CPU counters in shared, memory-mapped arrays: each CPU writes its own part only. */
#ifndef LB_BPF_STATS_H
#define LB_BPF_STATS_H

#include "config.h"
#include "maps.h"
#include "packet.h"
#include "trace.h"

static __always_inline __u32 stats_cpu(void)
{
	return bpf_get_smp_processor_id() & lb_config.cpu_mask;
}

/*
 * Makes the verifier forget what it knows of the packet, so that all ways in which it was parsed
 * are one for what follows: 170 k instructions processed become 56 k. Slow path only.
 */
static __noinline void stats_forget(struct packet *p)
{
	struct lb_scratch *scratch = lb_table(lb_scratch);
	void *known = (void *)p + offsetof(struct packet, source);
	const __u32 size = sizeof(*p) - offsetof(struct packet, source);

	_Static_assert(sizeof(*p) - offsetof(struct packet, source) <= sizeof(*scratch), "scratch");
	scratch += stats_cpu();
	__builtin_memcpy(scratch, known, size);
	barrier();
	__builtin_memcpy(known, scratch, size);
}

static __always_inline void stats_count(__u32 slot)
{
	__u64 *counters = lb_table(lb_verdicts);

	counters[(stats_cpu() * LB_VERDICT_SLOTS + slot) & lb_config.verdict_mask]++;
}

static __always_inline void stats_count_verdict(enum lb_verdict verdict)
{
	stats_count(verdict);
}

static __always_inline void stats_note(enum lb_note note)
{
	trace_note(note);
	stats_count(note);
}

static __always_inline void stats_count_record(enum lb_flow_record record)
{
	stats_count_verdict(LB_VERDICT_SLOT_RECORDS + record);
}

/* Of an entry of lb_reals, in the tables that count by them. */
static __always_inline __u32 stats_index(__u32 real)
{
	return (stats_cpu() << lb_config.real_bits | real) & lb_config.counter_mask;
}

static __always_inline void stats_count_drop(__u32 real)
{
	__u64 *drops = lb_table(lb_drops);

	drops[stats_index(real)]++;
}

static __always_inline void stats_count_forward(const struct packet *p, __u32 real)
{
	struct lb_counter *counters = lb_table(lb_counters);
	__u64 *connections = lb_table(lb_connections);
	__u32 index = stats_index(real);

	counters[index].packets++;
	counters[index].bytes += p->ip_length;
	if (unlikely(packet_opens_connection(p)))
		connections[index]++;
}

#endif /* LB_BPF_STATS_H */
