/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers to our own health probes, on their way to the daemon's AF_XDP sockets. Of what goes to
 * the probes' address only this is taken; the host keeps the rest: TCP and UDP to a port of the
 * probes' range, replies to our echo requests, and ICMP errors that quote a probe.
 */
#ifndef LB_BPF_PROBE_H
#define LB_BPF_PROBE_H

#include "config.h"
#include "maps.h"
#include "packet.h"

static __always_inline int probe_is_port(const struct lb_probe *probe, __be16 port_be)
{
	__u16 port = bpf_ntohs(port_be);

	return port >= probe->first_port && port <= probe->last_port;
}

/* Whether an ICMP error quotes a probe: by its outer header, or by its ports. */
static __always_inline int probe_is_quoted(const struct lb_probe *probe, void *quoted, void *end,
					   int v6)
{
	__u32 length = sizeof(struct ipv6hdr);
	struct ipv6hdr *ip6 = quoted;
	struct iphdr *ip = quoted;
	__be16 *ports;
	__u8 protocol;

	if (v6) {
		if ((void *)(ip6 + 1) > end)
			return 0;
		protocol = ip6->nexthdr;
	} else {
		if ((void *)(ip + 1) > end)
			return 0;
		protocol = ip->protocol;
		length = ip->ihl * 4;
	}
	if (protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6 || protocol == IPPROTO_GRE)
		return 1;
	ports = quoted + length;
	if ((void *)(ports + 4) > end)
		return 0;
	if (protocol == IPPROTO_UDP && ports[1] == lb_config.gue_port_be)
		return 1;
	if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP)
		return probe_is_port(probe, ports[0]);
	/* Behind type and checksum of an echo request come its id and its sequence number. */
	return protocol == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) && probe_is_port(probe, ports[2]) &&
	       ports[3] == bpf_htons(LB_PROBE_ECHO_SEQUENCE);
}

static __always_inline int probe_is_icmp_reply(const struct lb_probe *probe, struct packet *p,
					       void *l4, void *end)
{
	struct icmphdr *icmp = l4;
	__be16 *echo = l4;

	if ((void *)(icmp + 1) > end)
		return 0;
	if (icmp->type == (p->v6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY))
		return probe_is_port(probe, echo[2]) &&
		       echo[3] == bpf_htons(LB_PROBE_ECHO_SEQUENCE);
	if (p->v6 ? icmp->type == 0 || icmp->type > ICMPV6_PARAMPROB
		  : icmp->type != ICMP_DEST_UNREACH && icmp->type != ICMP_TIME_EXCEEDED)
		return 0;
	return probe_is_quoted(probe, icmp + 1, end, p->v6);
}

static __always_inline int probe_is_reply(const struct lb_probe *probe, struct packet *p)
{
	const __u32 *source = p->v6 ? probe->source_v6 : probe->source_v4;

	if ((p->destination[0] ^ source[0]) | (p->destination[1] ^ source[1]) |
	    (p->destination[2] ^ source[2]) | (p->destination[3] ^ source[3]))
		return 0;
	if (p->protocol == IPPROTO_TCP || p->protocol == IPPROTO_UDP)
		return probe_is_port(probe, p->destination_port_be);
	if (p->protocol != (p->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return 0;
	return probe_is_icmp_reply(probe, p, packet_at(p, p->l4_offset), packet_end(p));
}

/*
 * The time of arrival goes along, so that the daemon may look at its sockets once a millisecond and
 * still measure what the real took. Without a socket on the queue the packet passes.
 */
static __always_inline enum lb_verdict probe_redirect(const struct lb_probe *probe,
						      struct xdp_md *ctx)
{
	struct lb_probe_metadata *metadata;
	int i;

	for (i = 0; i < LB_PROBE_INTERFACES; i++)
		if (probe->interfaces[i].ifindex == ctx->ingress_ifindex)
			break;
	if (i == LB_PROBE_INTERFACES)
		return LB_NOT_VIP;
	if (bpf_redirect_map(&lb_probe_sockets, probe->interfaces[i].sockets + ctx->rx_queue_index,
			     XDP_PASS) != XDP_REDIRECT)
		return LB_NOT_VIP;
	if (!bpf_xdp_adjust_meta(ctx, -(int)sizeof(*metadata))) {
		metadata = (void *)(long)ctx->data_meta;
		if ((void *)(metadata + 1) <= (void *)(long)ctx->data)
			metadata->received_ns = bpf_ktime_get_ns();
	}
	return LB_PROBE_REPLY;
}

/* Requires a packet that is for no VIP. */
static __always_inline enum lb_verdict probe_reply(struct packet *p)
{
	const struct lb_probe *probe = lb_table(lb_probe);

	if (!probe_is_reply(probe, p))
		return LB_NOT_VIP;
	return probe_redirect(probe, p->ctx);
}

#endif /* LB_BPF_PROBE_H */
