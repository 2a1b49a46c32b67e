/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who may open flows to a VIP, and how many; and who has reals of their own there. */
#ifndef LB_BPF_GUARD_H
#define LB_BPF_GUARD_H

#include "config.h"
#include "lb/flow_hash.h"
#include "lb/rate.h"
#include "maps.h"
#include "packet.h"
#include "ring.h"
#include "stats.h"
#include "vip.h"

static __always_inline enum lb_verdict guard_refuse(__u32 index, enum lb_verdict verdict)
{
	struct lb_policy_count *counts = lb_table(lb_policy_counts);
	struct lb_policy_count *count;

	count = &counts[(stats_cpu() * (lb_config.policy_mask + 1) +
			 (index & lb_config.policy_mask)) &
			lb_config.policy_count_mask];
	if (verdict == LB_SOURCE_DENIED)
		count->denied++;
	else if (verdict == LB_VIP_RATE_LIMITED)
		count->limited++;
	else
		count->source_limited++;
	return verdict;
}

static __always_inline struct lb_source_key guard_key(__u32 policy, __u64 high, __u64 low)
{
	return (struct lb_source_key){
		.prefix_length = LB_SOURCE_KEY_BITS,
		.policy = policy,
		.address = {high, high >> 32, low, low >> 32},
	};
}

/*
 * Each step is a global function, which the verifier checks once, of words and not of pointers to
 * the stack, as stacks of callers add up. It returns a verdict.
 */
__noinline int guard_lists(__u32 index, __u64 high, __u64 low)
{
	const struct lb_policy *policies = lb_table(lb_policies);
	__u32 flags = policies[index & lb_config.policy_mask].flags;
	struct lb_source_key key = guard_key(index, high, low);
	const __u32 *list;

	if (!(flags & LB_POLICY_LISTS))
		return LB_CONTINUE;
	list = bpf_map_lookup_elem(&lb_sources, &key);
	if (list ? *list == LB_SOURCE_DENY : flags & LB_POLICY_ALLOW_ONLY)
		return guard_refuse(index, LB_SOURCE_DENIED);
	return LB_CONTINUE;
}

__noinline int guard_source_rate(__u32 index, __u64 source_hash)
{
	struct lb_source_bucket *buckets = lb_table(lb_source_buckets);
	const struct lb_policy *policies = lb_table(lb_policies);
	const struct lb_policy *policy = &policies[index & lb_config.policy_mask];

	if (policy->source_interval &&
	    !lb_rate_take_of(&buckets[source_hash & lb_config.source_bucket_mask], source_hash,
			     bpf_ktime_get_ns() >> LB_RATE_UNIT_SHIFT, policy->source_interval,
			     policy->source_tolerance))
		return guard_refuse(index, LB_SOURCE_RATE_LIMITED);
	return LB_CONTINUE;
}

__noinline int guard_vip_rate(__u32 index)
{
	struct lb_policy *policies = lb_table(lb_policies);
	struct lb_policy *policy = &policies[index & lb_config.policy_mask];

	if (policy->interval &&
	    !lb_rate_take(&policy->due, bpf_ktime_get_ns(), policy->interval, policy->tolerance))
		return guard_refuse(index, LB_VIP_RATE_LIMITED);
	return LB_CONTINUE;
}

/* An IPv6 source is its /64: whoever has one address has them all. */
static __always_inline __u64 guard_source_hash(const struct lb_vip *vip, const struct packet *p)
{
	return ring_hash_words(vip->hash_k0, vip->hash_k1, vip_word(p->source, 0),
			       p->v6 ? 0 : vip_word(p->source, 1), (__u32)~1U | (__u64)p->v6 << 32);
}

/* The entry of lb_wide_vips with the reals for a source, or -1. */
__noinline int guard_route_entry(__u32 index, __u64 high, __u64 low)
{
	struct lb_source_key key = guard_key(index, high, low);
	const __u32 *entry = bpf_map_lookup_elem(&lb_sources, &key);

	return entry ? *entry & 0x7fffffff : -1;
}

/* The entry with the reals that the VIP has for this source, or NULL where it has none of their
 * own. */
static __always_inline const struct lb_vip *guard_route(const struct lb_vip *vip,
							const struct packet *p)
{
	const struct lb_vip *vips = lb_table(lb_wide_vips);
	__u32 policy;
	int entry;

	if (!(lb_config.features & LB_FEATURE_SOURCE_ROUTES))
		return NULL;
	policy = *(volatile const __u16 *)&vip->policy;
	if (likely(!policy))
		return NULL;
	entry = guard_route_entry(policy | p->protocol << LB_SOURCE_PROTOCOL_SHIFT,
				  vip_word(p->source, 0), vip_word(p->source, 1));
	return entry < 0 ? NULL : &vips[entry & lb_config.wide_vip_mask];
}

static __always_inline enum lb_verdict guard(const struct lb_vip *vip, const struct packet *p)
{
	enum lb_verdict verdict;
	__u32 policy;

	if (!(lb_config.features & LB_FEATURE_SOURCES))
		return LB_CONTINUE;
	policy = *(volatile const __u16 *)&vip->policy;
	if (likely(!policy))
		return LB_CONTINUE;
	verdict = guard_lists(policy, vip_word(p->source, 0), vip_word(p->source, 1));
	if (verdict != LB_CONTINUE || flow_event(p) != LB_FLOW_OPEN)
		return verdict;
	/* One source beyond its rate must not take the VIP's tokens from the others. */
	verdict = guard_source_rate(policy, guard_source_hash(vip, p));
	return verdict == LB_CONTINUE ? guard_vip_rate(policy) : verdict;
}

#endif /* LB_BPF_GUARD_H */
