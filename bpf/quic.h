/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * QUIC connection ids that name a server in plain text (RFC 8999 and 9000; draft-ietf-quic-load-
 * balancers; Katran's layouts). The first three bits of an id say where in it the server's id is.
 */
#ifndef LB_BPF_QUIC_H
#define LB_BPF_QUIC_H

#include "packet.h"

#define QUIC_LONG_HEADER 0x80
#define QUIC_TYPE_SHIFT 4
#define QUIC_TYPE_MASK 3
#define QUIC_INITIAL 0
#define QUIC_0RTT 1
#define QUIC_VERSION_2 0x6b3343cf /* RFC 9369: its types are those of version 1, plus 1 */
#define QUIC_LONG_PREFIX 6	  /* flags, version, length of the id: what comes before the id */

/* The first eight bytes of a connection id, in host order. */
static __always_inline __u64 quic_id_word(const void *id)
{
	return bpf_be64_to_cpu(*(const __be64 *)id);
}

/* The type of a long header as version 1 numbers it. */
static __always_inline __u32 quic_long_type(const __u8 *quic)
{
	__u32 type = quic[0] >> QUIC_TYPE_SHIFT;

	if (*(const __be32 *)(quic + 1) == bpf_htonl(QUIC_VERSION_2))
		type--;
	return type & QUIC_TYPE_MASK;
}

/* What a UDP packet says of its server. The header may be cut off. */
static __always_inline struct named_server quic_server(const struct lb_id_config *config,
						       const struct packet *p)
{
	const struct udphdr *udp = packet_at(p, p->l4_offset);
	const void *end = packet_end(p);
	struct named_server server = {};
	const __u8 *quic = (const void *)(udp + 1);
	__u32 id_bits = 64, width, type = 0;
	__u64 word;

	/* Any packet is longer than this (RFC 9001, 5.4.2). */
	if ((const void *)quic + QUIC_LONG_PREFIX + sizeof(word) > end ||
	    bpf_ntohs(udp->len) < sizeof(*udp) + QUIC_LONG_PREFIX + sizeof(word))
		return server;
	if (quic[0] & QUIC_LONG_HEADER) {
		type = quic_long_type(quic);
		server.opens = type == QUIC_INITIAL;
		id_bits = 8 * quic[QUIC_LONG_PREFIX - 1];
		word = quic_id_word(quic + QUIC_LONG_PREFIX);
	} else {
		word = quic_id_word(quic + 1);
	}
	width = config->width[word >> 61];
	if (!width || config->skip[word >> 61] + width > id_bits)
		return server;
	server.id = word << (config->skip[word >> 61] & 63) >> (-width & 63);
	/* The client has chosen the id of these, unless it answers the server. */
	server.named = !(quic[0] & QUIC_LONG_HEADER) || type != QUIC_0RTT;
	return server;
}

#endif /* LB_BPF_QUIC_H */
