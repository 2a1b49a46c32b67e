/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What parsing learned about a packet. Stages take it, and return a verdict or LB_CONTINUE when the
 * packet goes on to the next stage.
 *
 * Plain TCP and UDP packets take the fast path, in which the family, l2_length, l3_offset and all
 * that is not plain are constants and cost nothing. Everything else returns LB_SLOW there,
 * untouched, and is looked at again from the start by the one copy of the stages that knows all
 * kinds.
 */
#ifndef LB_BPF_PACKET_H
#define LB_BPF_PACKET_H

#include "config.h"
#include "helpers.h"

#define LB_CONTINUE LB_VERDICT_COUNT
#define LB_SLOW (LB_VERDICT_COUNT + 1)

#define PACKET_TAGS 2
/* Nothing that is read or written begins further from the start of the frame; 2^n - 1. */
#define PACKET_MAX_OFFSET 1023

struct packet {
	struct xdp_md *ctx;
	__u32 source[4]; /* v4-mapped */
	__u32 destination[4];
	__u32 ports;		  /* source and destination port as they stand in the packet */
	__u32 ip_length;	  /* IP header and payload, without Ethernet padding */
	__u32 out_ifindex;	  /* where a forwarded packet leaves */
	__be32 tags[PACKET_TAGS]; /* VLAN tags as they stand in the frame */
	__u32 l2_length;	  /* Ethernet header with VLAN tags; what leaves has as many */
	__u32 l3_offset;	  /* of the IP packet, from the start of the frame */
	__u32 l4_offset;	  /* of TCP, UDP or ICMP, likewise */
	__u16 destination_port_be;
	__u8 protocol;
	__u8 tos; /* or traffic class */
	__u8 ttl; /* or hop limit */
	__u8 v6;
	__u8 tcp_flags; /* 0 for other protocols */
	__u8 outer_ttl; /* of the header that is written */
	__u8 fragment;	/* PACKET_*_FRAGMENT or 0 */
	__u8 quoted;	/* being parsed: it stands in an ICMP error, which may have cut it off */
	__u8 congested; /* the tunnel that it came through says so */
	__u8 about;	/* an ICMP error about the flow that it has the addresses and ports of */
	__u32 fragment_id;
	__u32 mtu; /* where it is too big: what would have fit */
#ifdef LB_TRACE
	__u32 traced; /* what is decided about it is noted: trace.h */
#endif
};

#define PACKET_FIRST_FRAGMENT 1
#define PACKET_LATER_FRAGMENT 2 /* without ports of its own */

/* True where a stage of LB_STAGE_* is on. */
static __always_inline int packet_stage(__u32 stage)
{
	return !!(lb_config.stages & stage);
}

/*
 * The frame from `offset` on. The mask bounds for the verifier what is not a constant; the barrier
 * keeps clang 14, in the slow path, from copying the pointer, loaded as 32 bits, by a 32-bit move
 * ("invalid mem access 'scalar'").
 */
static __always_inline void *packet_at(const struct packet *p, __u32 offset)
{
	void *data = (void *)(long)p->ctx->data;

	if (!__builtin_constant_p(p->l2_length))
		barrier_var(data);
	if (!__builtin_constant_p(offset)) {
		barrier_var(offset);
		offset &= PACKET_MAX_OFFSET;
	}
	return data + offset;
}

static __always_inline void *packet_end(const struct packet *p)
{
	return (void *)(long)p->ctx->data_end;
}

/* Bytes of the frame, in all its buffers. */
static __always_inline __u32 packet_length(const struct packet *p)
{
	if (packet_stage(LB_STAGE_FRAMES))
		return bpf_xdp_get_buff_len(p->ctx);
	return p->ctx->data_end - p->ctx->data;
}

/* Destination and source MAC address as a frame begins with them: two words, not twelve bytes. */
static __always_inline void packet_copy_macs(void *to, const void *from)
{
	*(__u64 *)to = *(const __u64 *)from;
	*(__u32 *)(to + 8) = *(const __u32 *)(from + 8);
}

/*
 * Makes the frame start so that `outer` bytes lie between its Ethernet header, written here with
 * the tags that it had, and the IP packet. `macs`: destination and source. Returns these bytes, or
 * NULL where there is no room.
 */
static __always_inline void *packet_make_room(struct packet *p, const void *macs, __u16 ethertype,
					      __u32 outer)
{
	int tagged = p->l2_length > sizeof(struct ethhdr);
	struct ethhdr *eth;
	__be16 *type;
	void *end;

	if (bpf_xdp_adjust_head(p->ctx, (int)(p->l3_offset - p->l2_length - outer)))
		return NULL;
	p->l3_offset = p->l2_length + outer;
	end = packet_end(p);
	eth = packet_at(p, 0);
	type = packet_at(p, p->l2_length - sizeof(*type));
	if ((void *)(type + 1) + outer > end)
		return NULL;
	if (!__builtin_constant_p(tagged) && (void *)(eth + 1) + sizeof(p->tags) > end)
		return NULL;
	packet_copy_macs(eth, macs);
	if (tagged) {
		__be32 *tags = (void *)&eth->h_proto;

		tags[0] = p->tags[0];
		if (p->l2_length > sizeof(*eth) + sizeof(*tags))
			tags[1] = p->tags[1];
	}
	*type = bpf_htons(ethertype);
	return type + 1;
}

/* Likewise for an answer to whoever sent the frame. */
static __always_inline void *packet_make_answer(struct packet *p, __u32 outer)
{
	struct ethhdr *eth = packet_at(p, 0);
	__u64 macs[2];

	if ((void *)(eth + 1) > packet_end(p))
		return NULL;
	__builtin_memcpy(macs, eth->h_source, sizeof(eth->h_source));
	__builtin_memcpy((void *)macs + sizeof(eth->h_source), eth->h_dest, sizeof(eth->h_dest));
	return packet_make_room(p, macs, p->v6 ? ETH_P_IPV6 : ETH_P_IP, outer);
}

/* What a packet says of the server that it belongs to. */
struct named_server {
	__u64 id;
	__u8 named; /* there is an id that the server has chosen, or seems to be */
	__u8 opens; /* QUIC: it starts a connection */
};

static __always_inline int packet_opens_connection(const struct packet *p)
{
	return !p->about && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

#endif /* LB_BPF_PACKET_H */
