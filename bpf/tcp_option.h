/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The TCP option by which clients repeat the id of their server (Katran's TPR). */
#ifndef LB_BPF_TCP_OPTION_H
#define LB_BPF_TCP_OPTION_H

#include "packet.h"

#define TCP_OPTION_END 0
#define TCP_OPTION_NOP 1
#define TCP_OPTIONS \
	16 /* that are looked at; kernels write the rare ones last, but few before them */

/* What a TCP packet says of its server. The header may be cut off. */
static __always_inline struct named_server tcp_server(const struct packet *p)
{
	const __u8 *tcp = packet_at(p, p->l4_offset), *end = packet_end(p), *option;
	struct named_server server = {};
	__u32 at = sizeof(struct tcphdr), length;

	if (p->tcp_flags & TCP_SYN || tcp + sizeof(struct tcphdr) > end)
		return server;
	length = tcp[12] >> 4 << 2;
	for (int i = 0; i < TCP_OPTIONS; i++) {
		if (at + LB_TCP_SERVER_ID_LENGTH > length)
			break;
		option = tcp + at;
		if (option + LB_TCP_SERVER_ID_LENGTH > end)
			break;
		if (option[0] == LB_TCP_SERVER_ID && option[1] == LB_TCP_SERVER_ID_LENGTH) {
			server.id = *(const __u32 *)(option + 2);
			server.named = 1;
			break;
		}
		if (option[0] == TCP_OPTION_NOP) {
			at++;
			continue;
		}
		if (option[0] == TCP_OPTION_END || option[1] < 2)
			break;
		at += option[1];
	}
	return server;
}

#endif /* LB_BPF_TCP_OPTION_H */
