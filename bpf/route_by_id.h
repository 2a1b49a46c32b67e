/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets that name their real by themselves: server id -> real. */
#ifndef LB_BPF_ROUTE_BY_ID_H
#define LB_BPF_ROUTE_BY_ID_H

#include "config.h"
#include "lb/server_id.h"
#include "maps.h"
#include "quic.h"
#include "ring.h"
#include "stats.h"
#include "tcp_option.h"

static __always_inline int ids_enabled(__u32 feature)
{
	return !!(lb_config.features & feature);
}

/* `p` needs no more than what is read here. */
static __always_inline struct named_server server_of(const struct packet *p,
						     const struct lb_id_config *config)
{
	struct named_server server = {};

	if (p->protocol == IPPROTO_UDP) {
		if (ids_enabled(LB_FEATURE_QUIC_IDS) && config->sources & LB_ID_QUIC)
			server = quic_server(config, p);
	} else if (ids_enabled(LB_FEATURE_TCP_IDS) && config->sources & LB_ID_TCP_OPTION) {
		server = tcp_server(p);
	}
	return server;
}

#define NAMED_OPENS (1U << 16) /* next to the number of the real */

/*
 * What a packet of a VIP with this entry of lb_id_configs names. `about`: its protocol, and shifted
 * by 8 its TCP flags. Not inline: it would crowd the common path. Not static: the verifier looks at
 * it once.
 */
__noinline __u32 named_by_packet(struct xdp_md *ctx, __u32 l4_offset, __u32 about, __u32 index)
{
	const struct packet p = {
		.ctx = ctx, .l4_offset = l4_offset, .protocol = about, .tcp_flags = about >> 8};
	const struct lb_server_id_bucket *buckets = lb_table(lb_server_ids);
	const struct lb_id_config *config = lb_table(lb_id_configs);
	struct named_server server;
	__u32 bucket, number = 0;

	config = &config[index & lb_config.id_config_mask];
	server = server_of(&p, config);
	if (server.named) {
		bucket = lb_server_id_hash(server.id, config->seed) &
			 ((1U << (config->bits & 31)) - 1);
		number = lb_server_id_find(
			&buckets[(config->start + bucket) & lb_config.server_id_mask], server.id);
	}
	if (!server.opens && !(p.tcp_flags & TCP_SYN))
		stats_note(number	  ? LB_NOTE_ID_ROUTED
			   : server.named ? LB_NOTE_ID_UNKNOWN
					  : LB_NOTE_ID_ABSENT);
	return number | (server.opens ? NAMED_OPENS : 0);
}

static __always_inline struct named_real named_real(const struct lb_vip *vip,
						    const struct packet *p)
{
	struct named_real real = {};
	__u32 index, named;

	if (!ids_enabled(LB_FEATURE_QUIC_IDS | LB_FEATURE_TCP_IDS))
		return real;
	/* What has no transport header of the client's. */
	if (p->about || p->fragment == PACKET_LATER_FRAGMENT)
		return real;
	index = *(volatile const __u16 *)&vip->id_config;
	if (!index)
		return real;
	named = named_by_packet(p->ctx, p->l4_offset, p->protocol | p->tcp_flags << 8, index);
	real.number = named & LB_SERVER_ID_REAL_MASK;
	real.opens = !!(named & NAMED_OPENS);
	return real;
}

#endif /* LB_BPF_ROUTE_BY_ID_H */
