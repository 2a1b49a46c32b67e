/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What parsing learned about a packet. Stages take it, and return a verdict or LB_CONTINUE when the
 * packet goes on to the next stage.
 */
#ifndef LB_BPF_PACKET_H
#define LB_BPF_PACKET_H

#include "helpers.h"
#include "lb/abi.h"

#define LB_CONTINUE LB_VERDICT_COUNT

struct packet {
	struct xdp_md *ctx;
	__u32 source[4]; /* v4-mapped */
	__u32 destination[4];
	__u32 ports;	   /* source and destination port as they stand in the packet */
	__u32 ip_length;   /* IP header and payload, without Ethernet padding */
	__u32 out_ifindex; /* where a forwarded packet leaves */
	__u16 destination_port_be;
	__u16 l4_offset; /* from the start of the frame */
	__u8 protocol;
	__u8 tos; /* or traffic class */
	__u8 ttl; /* or hop limit */
	__u8 v6;
	__u8 tcp_flags; /* 0 for other protocols */
};

#endif /* LB_BPF_PACKET_H */
