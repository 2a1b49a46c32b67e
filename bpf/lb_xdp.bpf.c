/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The load balancer: one XDP program, one verdict for every packet. */
#include "vmlinux.h"

#include "decap.h"
#include "encap.h"
#include "fragment.h"
#include "guard.h"
#include "icmp.h"
#include "lb/flow_hash.h"
#include "parse.h"
#include "probe.h"
#include "ring.h"
#include "route_by_id.h"
#include "stats.h"
#include "too_big.h"
#include "trace.h"
#include "vip.h"

/* `entry`: the one of lb_reals at which the packet counts. */
static __always_inline enum lb_verdict forward(struct packet *p, __u32 *entry)
{
	const struct lb_vip *vip = vip_find(p->destination, p->destination_port_be, p->protocol);
	const struct lb_real *reals = lb_table(lb_reals);
	const struct lb_vip *group;
	enum lb_verdict verdict;
	__u64 hash;

	if (!vip)
		return LB_NOT_VIP;
	trace_vip(p, vip);
	verdict = p->about ? LB_CONTINUE : guard(vip, p);
	if (verdict != LB_CONTINUE) {
		*entry = ring_first_entry(ring_place(vip));
		return verdict;
	}
	group = guard_route(vip, p);
	if (group) {
		vip = group;
		trace_vip(p, vip);
	}
	hash = unlikely(p->fragment && vip->options & LB_VIP_FRAGMENTS_BY_ADDRESS)
		       ? ring_hash_fields(vip->hash_k0, vip->hash_k1, p->source, 0, p->v6)
		       : ring_hash(vip, p);
	if (!ring_real(vip, hash, p, named_real(vip, p), entry))
		return LB_NO_REAL;
	trace_real(p, *entry);
	return encap(p, &reals[*entry & lb_config.real_mask], lb_outer_hash(hash));
}

static __always_inline int action_of(enum lb_verdict verdict)
{
	switch (verdict) {
#define LB_VERDICT_ACTION(NAME, name, action, text) \
	case LB_##NAME:                             \
		return XDP_##action;
		LB_VERDICTS(LB_VERDICT_ACTION)
#undef LB_VERDICT_ACTION
	default:
		return XDP_ABORTED;
	}
}

/* What became of a packet, at its VIP and real. */
static __always_inline void count(const struct packet *p, enum lb_verdict verdict, __u32 entry)
{
	if (likely(verdict == LB_FORWARD))
		stats_count_forward(p, entry);
	else if (action_of(verdict) == XDP_DROP)
		stats_count_drop(entry);
}

static __always_inline int is_slow(enum lb_verdict verdict)
{
	return verdict == LB_SLOW || (verdict == LB_TOO_BIG && packet_stage(LB_STAGE_TOO_BIG));
}

static __always_inline enum lb_verdict forward_plain(struct packet *p)
{
	__u32 entry = 0;
	enum lb_verdict verdict = forward(p, &entry);

	if (!is_slow(verdict))
		count(p, verdict, entry);
	if (packet_stage(LB_STAGE_DECAP) && verdict == LB_NOT_VIP && decap_is_gue(p))
		return LB_SLOW;
	return verdict;
}

/*
 * Plain TCP and UDP packets. Each family has a copy of all that follows, in which p->v6 is a
 * constant: 10 ns less.
 */
static __always_inline enum lb_verdict decide_fast(struct packet *p)
{
	struct ethhdr *eth = packet_at(p, 0);

	if ((void *)(eth + 1) > packet_end(p))
		return LB_NOT_IP;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(p, 0) == LB_CONTINUE ? forward_plain(p) : LB_SLOW;
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(p, 0) == LB_CONTINUE ? forward_plain(p) : LB_SLOW;
	return packet_stage(LB_STAGE_VLAN) && parse_is_tag(eth->h_proto) ? LB_SLOW : LB_NOT_IP;
}

/*
 * The packet that is to be balanced: what came, or what is in the tunnel that it came through.
 * Returns LB_CONTINUE, or why it goes no further.
 */
static __always_inline enum lb_verdict find_packet(struct packet *p)
{
	__be16 type = parse_ethernet(p);
	__u32 tunnel_end = 0;
	enum lb_verdict verdict;

	if (type != bpf_htons(ETH_P_IP) && type != bpf_htons(ETH_P_IPV6))
		return LB_NOT_IP;
	p->v6 = type == bpf_htons(ETH_P_IPV6);
	verdict = parse_ip(p);
	stats_forget(p);
	if (packet_stage(LB_STAGE_DECAP) && verdict == LB_CONTINUE) {
		verdict = decap(p, &tunnel_end);
		if (verdict != LB_CONTINUE)
			return verdict == LB_NOT_VIP ? LB_CONTINUE : verdict;
		verdict = parse_ip(p);
		stats_forget(p);
		decap_mark(p);
		if (verdict == LB_CONTINUE && p->l3_offset + p->ip_length > tunnel_end)
			verdict = LB_BAD_LENGTH;
	}
	if (verdict != LB_CONTINUE && verdict != LB_NOT_VIP && !vip_has_address(p->destination))
		return LB_NOT_VIP;
	return verdict;
}

/* All packets. */
static __always_inline enum lb_verdict decide_full(struct packet *p)
{
	enum lb_verdict verdict = find_packet(p);
	__u32 entry = 0;

	if (verdict != LB_CONTINUE)
		return verdict;
	if (p->protocol == (p->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		verdict = icmp(p);
	else if (p->fragment == PACKET_LATER_FRAGMENT)
		verdict = fragment_follow(p);
	if (verdict != LB_CONTINUE)
		return verdict;
	if (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP)
		return LB_NOT_VIP;
	stats_forget(p);
	verdict = forward(p, &entry);
	if (verdict == LB_TOO_BIG)
		verdict = too_big(p);
	count(p, verdict, entry);
	if (verdict == LB_FORWARD && p->fragment == PACKET_FIRST_FRAGMENT)
		fragment_record(p);
	return verdict;
}

/* What is for no VIP: an answer to a health probe, or the host's. */
static __noinline enum lb_verdict decide_probe(struct xdp_md *ctx, int traced)
{
	struct packet p = {.ctx = ctx, TRACED(traced)};
	enum lb_verdict verdict = LB_NOT_VIP;
	__be16 type = parse_ethernet(&p);

	p.v6 = type == bpf_htons(ETH_P_IPV6);
	if ((p.v6 || type == bpf_htons(ETH_P_IP)) && parse_ip(&p) == LB_CONTINUE)
		verdict = probe_reply(&p);
	trace_end(&p, verdict, action_of(verdict));
	return verdict;
}

/* A function of its own, so that the fast path keeps its packet in registers. Returns the verdict,
 * and in the upper half where the packet leaves. */
static __noinline __u64 decide_slow(struct xdp_md *ctx, int traced)
{
	struct packet p = {.ctx = ctx, .outer_ttl = LB_TTL, TRACED(traced)};
	enum lb_verdict verdict;

	trace_begin(&p);
	verdict = decide_full(&p);
	trace_decided(&p, verdict, action_of(verdict));
	return verdict | (__u64)p.out_ifindex << 32;
}

static __always_inline enum lb_verdict decide(struct xdp_md *ctx, int traced, __u32 *out_ifindex)
{
	struct packet p = {.ctx = ctx,
			   .l2_length = sizeof(struct ethhdr),
			   .l3_offset = sizeof(struct ethhdr),
			   .outer_ttl = LB_TTL,
			   TRACED(traced)};
	enum lb_verdict verdict;

	trace_begin(&p);
	verdict = decide_fast(&p);
	if (!is_slow(verdict))
		trace_decided(&p, verdict, action_of(verdict));
	*out_ifindex = p.out_ifindex;
	return verdict;
}

#ifdef LB_TRACE
/* Two of them, so that packets that are not looked at pay nothing for those that are. */
static __noinline __u64 decide_traced(struct xdp_md *ctx)
{
	__u32 out_ifindex;
	__u64 verdict = decide(ctx, 1, &out_ifindex);

	return verdict | (__u64)out_ifindex << 32;
}

static __noinline __u64 decide_untraced(struct xdp_md *ctx)
{
	__u32 out_ifindex;
	__u64 verdict = decide(ctx, 0, &out_ifindex);

	return verdict | (__u64)out_ifindex << 32;
}

static __always_inline enum lb_verdict decide_either(struct xdp_md *ctx, int traced,
						     __u32 *out_ifindex)
{
	__u64 decision = traced ? decide_traced(ctx) : decide_untraced(ctx);

	*out_ifindex = decision >> 32;
	return (__u32)decision;
}
#else
#define decide_either decide
#endif

SEC("xdp")
int lb_xdp(struct xdp_md *ctx)
{
	int traced = trace_looks();
	__u32 out_ifindex;
	enum lb_verdict verdict = decide_either(ctx, traced, &out_ifindex);

	if (unlikely(is_slow(verdict))) {
		__u64 decision = decide_slow(ctx, traced);

		verdict = (__u32)decision;
		out_ifindex = decision >> 32;
	}
	if (likely(verdict == LB_FORWARD)) {
		if (out_ifindex == ctx->ingress_ifindex)
			return XDP_TX;
		return bpf_redirect_map(&lb_ports, out_ifindex, 0);
	}
	/* Only here, so that packets to VIPs do not pay for it. */
	if (verdict == LB_NOT_VIP && (lb_config.features & LB_FEATURE_PROBES))
		verdict = decide_probe(ctx, traced);
	stats_count_verdict(verdict);
	return action_of(verdict);
}

/*
 * How libxdp's dispatcher runs the program (its protocol): the next one follows where this one
 * passes a packet. The loader writes the priority in place of LB_PRIORITY_PLACE.
 */
struct {
	__uint(priority, LB_PRIORITY_PLACE);
	__uint(XDP_PASS, 1);
} _lb_xdp SEC(".xdp_run_config");

char LICENSE[] SEC("license") = "Dual BSD/GPL";
