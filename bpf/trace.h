/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The explaining build of the program (-DLB_TRACE) notes what it decides about each packet and
 * hands the packets that a filter wants to user space. lbd attaches it while somebody captures, and
 * runs it over copies of the tables to explain a flow. In the build that forwards, all of this is
 * empty.
 */
#ifndef LB_BPF_TRACE_H
#define LB_BPF_TRACE_H

#include "config.h"
#include "lb/rate.h"
#include "maps.h"
#include "packet.h"

#ifdef LB_TRACE

/* In the initialiser of a packet: whether it is noted. */
#define TRACED(on) .traced = (on)

#define BPF_RB_NO_WAKEUP 1 /* user space comes by often enough: waking it costs the packet time */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} lb_samples SEC(".maps");
/* Written by user space before the program runs, but for the bucket of samples. */
LB_TABLE(struct lb_filter, lb_filter);
/* Per CPU. Written by the program. */
LB_TABLE(struct lb_tracing, lb_tracing);

static __always_inline struct lb_tracing *trace_state(void)
{
	struct lb_tracing *all = lb_table(lb_tracing);

	return &all[bpf_get_smp_processor_id() & lb_config.cpu_mask];
}

/* Whether the next packet is one of those that are looked at. */
static __always_inline int trace_looks(void)
{
	const struct lb_filter *f = lb_table(lb_filter);
	struct lb_tracing *state = trace_state();

	if (f->every <= 1)
		return 1;
	if (state->countdown) {
		state->countdown--;
		return 0;
	}
	state->countdown = f->every - 1;
	return 1;
}

static __always_inline void trace_begin(const struct packet *p)
{
	struct lb_tracing *state = trace_state();
	void *frame = packet_at(p, 0);
	void *end = packet_end(p);

	if (!p->traced)
		return;
	__builtin_memset(&state->sample.trace, 0, sizeof(state->sample.trace));
	if (frame + sizeof(state->l2) <= end)
		__builtin_memcpy(state->l2, frame, sizeof(state->l2));
	else if (frame + sizeof(struct ethhdr) <= end)
		__builtin_memcpy(state->l2, frame, sizeof(struct ethhdr));
}

static __always_inline void trace_vip(const struct packet *p, const struct lb_vip *vip)
{
	/* By subtraction, for which the verifier wants numbers and not pointers. */
	__u64 index = ((__u64)vip - (__u64)lb_table(lb_vips)) / sizeof(*vip);

	if (!p->traced)
		return;
	if (index > lb_config.vip_mask)
		index = (((__u64)vip - (__u64)lb_table(lb_wide_vips)) / sizeof(*vip)) |
			LB_TRACE_WIDE;
	trace_state()->sample.trace.vip = index + 1;
}

static __always_inline void trace_slot(const struct packet *p, __u64 hash, __u32 slot, __u32 word)
{
	struct lb_trace *trace = &trace_state()->sample.trace;

	if (!p->traced)
		return;
	trace->hash = hash;
	trace->slot = slot + 1;
	trace->word = word;
}

/* These two are called where the packet is not at hand: of one that is not traced nobody reads it.
 */
static __always_inline void trace_record(enum lb_flow_record record)
{
	trace_state()->sample.trace.record = record;
}

static __always_inline void trace_note(enum lb_note note)
{
	trace_state()->sample.trace.note = note;
}

static __always_inline void trace_real(const struct packet *p, __u32 real)
{
	if (p->traced)
		trace_state()->sample.trace.real = real;
}

static __always_inline int trace_differs(const __u32 *address, const __u32 *wanted,
					 const __u32 *mask)
{
	return !!(((address[0] ^ wanted[0]) & mask[0]) | ((address[1] ^ wanted[1]) & mask[1]) |
		  ((address[2] ^ wanted[2]) & mask[2]) | ((address[3] ^ wanted[3]) & mask[3]));
}

static __always_inline int trace_has_transport(const struct packet *p)
{
	return p->protocol == IPPROTO_TCP || p->protocol == IPPROTO_UDP;
}

/* Those of TCP and UDP; 0 where there are none, or they were not reached. */
static __always_inline __u32 trace_ports(const struct packet *p)
{
	return trace_has_transport(p) && !p->quoted ? p->ports : 0;
}

/*
 * Whether the packet came to an address, and to the protocol and a port that the VIP serves. ICMP,
 * and what was dropped before its ports were read, came to each VIP of the address.
 */
static __always_inline int trace_is_to_vip(const struct lb_filter *f, const struct packet *p,
					   enum lb_verdict verdict)
{
	__u32 ports = trace_ports(p);
	__u32 port = bpf_ntohs(ports >> 16);

	if (trace_differs(p->destination, f->destination, f->destination_mask))
		return 0;
	if (!trace_has_transport(p))
		return verdict != LB_NOT_VIP ||
		       p->protocol == (p->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	if (f->protocol && f->protocol != p->protocol)
		return 0;
	return !ports || (port >= f->first_port && port <= f->last_port);
}

/* Whether a VIP serves all that the filter's VIP does: it is that one, or in its place where there
 * is none. */
static __always_inline int trace_covers_vip(const struct lb_filter *f, const struct lb_vip *vip)
{
	__u32 first = bpf_ntohs(vip->port_be);
	__u32 last = bpf_ntohs(vip->last_port_be);

	if (!last)
		last = first ? first : 0xffff;
	return vip->host_bits >= f->host_bits && first <= f->first_port && last >= f->last_port &&
	       (vip->both_protocols || vip->protocol == f->protocol);
}

/* Whether the filter's VIP decided on the packet, or none did on what came to that. */
static __always_inline int trace_is_of_vip(const struct lb_filter *f, const struct packet *p,
					   enum lb_verdict verdict, __u32 vip)
{
	const struct lb_vip *wide = lb_table(lb_wide_vips);
	const struct lb_vip *vips = lb_table(lb_vips);

	if (!trace_is_to_vip(f, p, verdict))
		return 0;
	if (!vip)
		return 1;
	vip--;
	return trace_covers_vip(f, vip & LB_TRACE_WIDE ? &wide[vip & lb_config.wide_vip_mask]
						       : &vips[vip & lb_config.vip_mask]);
}

static __always_inline int trace_wants(const struct lb_filter *f, const struct packet *p,
				       enum lb_verdict verdict, const struct lb_trace *trace)
{
	static const __u32 whole[4] = {~0U, ~0U, ~0U, ~0U};
	const struct lb_real *reals = lb_table(lb_reals);
	__u32 ports = trace_ports(p);

	if (!(f->verdicts >> (verdict & 63) & 1) || (f->v6 && !p->v6))
		return 0;
	if (f->by_vip && !trace_is_of_vip(f, p, verdict, trace->vip))
		return 0;
	if (f->by_flow && (f->protocol != p->protocol || f->ports != ports))
		return 0;
	if (f->port_be && f->port_be != (__u16)ports && f->port_be != ports >> 16)
		return 0;
	if (trace_differs(p->source, f->source, f->source_mask) ||
	    trace_differs(p->destination, f->destination, f->destination_mask))
		return 0;
	if (trace_differs(p->source, f->prefix, f->prefix_mask) &&
	    trace_differs(p->destination, f->prefix, f->prefix_mask))
		return 0;
	return !f->by_real ||
	       (trace->real &&
		!trace_differs(reals[trace->real & lb_config.real_mask].address, f->real, whole));
}

/*
 * The frame as it came. A forwarded one is put together from its Ethernet header of then and the IP
 * packet of now, which is the inner one where a tunnel ended here. Encap l2 has taken a hop off,
 * which user space puts back.
 */
static __always_inline __u32 trace_copy_frame(struct xdp_md *ctx, const struct lb_filter *f,
					      struct lb_tracing *state)
{
	__u32 forwarded = state->sample.verdict == LB_FORWARD;
	__u32 head = forwarded ? state->l2_length & 31 : 0;
	__u32 skip = forwarded ? state->l3_offset & PACKET_MAX_OFFSET : 0;
	__u32 length = bpf_xdp_get_buff_len(ctx) - skip;
	__u32 last;

	state->sample.frame_length = length + head;
	if (length > f->snap - head)
		length = f->snap - head;
	/* So the verifier of Linux 6.1 sees, too, that the length is not 0. */
	last = length - 1;
	barrier_var(last);
	if (last >= LB_SAMPLE_FRAME_MAX)
		return 0;
	length = last + 1;
	__builtin_memcpy(state->frame, state->l2, sizeof(state->l2));
	if (bpf_xdp_load_bytes(ctx, skip, state->frame + head, length))
		return 0;
	return length + head;
}

/* Not inline: its stack would come on top of that of the stages. */
static __noinline int trace_emit(struct xdp_md *ctx)
{
	struct lb_filter *f = lb_table(lb_filter);
	struct lb_tracing *state = trace_state();
	struct lb_sample *s = &state->sample;
	__u32 size;

	s->time = bpf_ktime_get_ns();
	if (!lb_rate_take(&f->due, s->time, f->interval, f->tolerance)) {
		state->limited++;
		return 0;
	}
	s->ifindex = ctx->ingress_ifindex;
	s->cpu = bpf_get_smp_processor_id();
	s->captured = trace_copy_frame(ctx, f, state);
	size = sizeof(*s) + s->captured;
	if (size > sizeof(*s) + sizeof(state->frame))
		return 0;
	if (bpf_ringbuf_output(&lb_samples, s, size, BPF_RB_NO_WAKEUP))
		state->lost++;
	return 0;
}

static __always_inline void trace_end(const struct packet *p, enum lb_verdict verdict, int action)
{
	const struct lb_filter *f = lb_table(lb_filter);
	struct lb_tracing *state = trace_state();
	struct lb_sample *s = &state->sample;
	__u32 type_at = p->l2_length - sizeof(__be16);

	if (!p->traced || !trace_wants(f, p, verdict, &s->trace))
		return;
	__builtin_memcpy(s->source, p->source, sizeof(s->source));
	__builtin_memcpy(s->destination, p->destination, sizeof(s->destination));
	s->ports = trace_ports(p);
	s->out_ifindex = p->out_ifindex;
	s->ip_length = p->ip_length;
	s->verdict = verdict;
	s->protocol = p->protocol;
	s->tcp_flags = p->tcp_flags;
	s->outgoing = verdict != LB_FORWARD && action == XDP_TX;
	state->l2_length = p->l2_length;
	state->l3_offset = p->l3_offset;
	/* What came in a tunnel may be of the other family than the tunnel. */
	if (verdict == LB_FORWARD && type_at <= sizeof(state->l2) - sizeof(__be16))
		*(__be16 *)&state->l2[type_at] = bpf_htons(p->v6 ? ETH_P_IPV6 : ETH_P_IP);
	trace_emit(p->ctx);
}

/* What is for no VIP may be an answer to a probe: then that is its end. */
static __always_inline void trace_decided(const struct packet *p, enum lb_verdict verdict,
					  int action)
{
	if (verdict != LB_NOT_VIP || !(lb_config.features & LB_FEATURE_PROBES))
		trace_end(p, verdict, action);
}

#else /* !LB_TRACE */

#define TRACED(on) .quoted = 0 * (on) /* there is no such field, and nothing is unused */
#define trace_looks() 0
#define trace_begin(p) ((void)0)
#define trace_vip(p, vip) ((void)0)
#define trace_slot(p, hash, slot, word) ((void)0)
#define trace_real(p, real) ((void)0)
#define trace_record(record) ((void)0)
#define trace_note(note) ((void)0)
#define trace_end(p, verdict, action) ((void)0)
#define trace_decided(p, verdict, action) ((void)0)

#endif

#endif /* LB_BPF_TRACE_H */
