/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twenty thousand real servers in one XDP program: strips the outer header of a probe and answers as
 * a server would, from the packet alone. A SYN is accepted, data is answered by "200 OK"; all else
 * is swallowed. Reals whose number is a multiple of REFLECTOR_DEAD are dead.
 */
#include "vmlinux.h"

#include "csum.h"

/* Every member is reached by its own width, which BPF does unaligned. */
#pragma clang diagnostic ignored "-Waddress-of-packed-member"

#define REFLECTOR_DEAD 20
#define REFLECTOR_SEQ 1000
#define TCP_PSH 0x08
/* 20 bytes, so that the checksum goes by words. */
#define REFLECTOR_ANSWER "HTTP/1.1 200 OK \r\n\r\n"

struct reflector_frame {
	struct ethhdr eth;
	struct iphdr outer;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

struct reflector_answer {
	struct ethhdr eth;
	struct iphdr ip;
	__u8 tcp[20];
	__u8 text[20];
} __attribute__((packed));

struct reflector_reply {
	struct ethhdr eth;
	struct iphdr ip;
	__u8 tcp[24]; /* a SYN has one option, of 4 bytes */
} __attribute__((packed));

static __always_inline __u32 pseudo_sum(const struct iphdr *ip, __u32 length)
{
	return (ip->saddr & 0xffff) + (ip->saddr >> 16) + (ip->daddr & 0xffff) +
	       (ip->daddr >> 16) + bpf_htons(IPPROTO_TCP) + bpf_htons(length);
}

static __always_inline void answer_ip(struct iphdr *ip, __u32 length)
{
	__be32 source = ip->saddr;

	ip->saddr = ip->daddr;
	ip->daddr = source;
	ip->tot_len = bpf_htons(length);
	ip->check = 0;
	ip->check = csum_fold(bpf_csum_diff(0, 0, (__be32 *)ip, sizeof(*ip), 0));
}

static __always_inline void answer_eth(struct ethhdr *eth)
{
	__u8 mac[6];

	__builtin_memcpy(mac, eth->h_dest, sizeof(mac));
	__builtin_memcpy(eth->h_dest, eth->h_source, sizeof(mac));
	__builtin_memcpy(eth->h_source, mac, sizeof(mac));
}

static __always_inline void answer_tcp(__u8 *tcp, __be32 seq, __be32 ack, __u8 flags)
{
	__be16 port = *(__be16 *)tcp;

	*(__be16 *)tcp = *(__be16 *)(tcp + 2);
	*(__be16 *)(tcp + 2) = port;
	*(__be32 *)(tcp + 4) = seq;
	*(__be32 *)(tcp + 8) = ack;
	tcp[13] = flags;
	*(__be16 *)(tcp + 14) = 0xffff;
	*(__be16 *)(tcp + 16) = 0;
}

static __always_inline int answer_syn(struct xdp_md *ctx)
{
	struct reflector_reply *reply = (void *)(long)ctx->data;
	__u32 seq;

	if ((void *)(reply + 1) > (void *)(long)ctx->data_end || reply->tcp[12] >> 4 != 6)
		return XDP_DROP;
	seq = bpf_ntohl(*(__be32 *)(reply->tcp + 4));
	answer_eth(&reply->eth);
	answer_ip(&reply->ip, sizeof(*reply) - sizeof(reply->eth));
	answer_tcp(reply->tcp, bpf_htonl(REFLECTOR_SEQ), bpf_htonl(seq + 1), TCP_SYN | TCP_ACK);
	*(__be16 *)(reply->tcp + 16) =
		csum_fold(bpf_csum_diff(0, 0, (__be32 *)reply->tcp, sizeof(reply->tcp),
					pseudo_sum(&reply->ip, sizeof(reply->tcp))));
	return XDP_TX;
}

static __always_inline int answer_request(struct xdp_md *ctx)
{
	struct reflector_answer *answer = (void *)(long)ctx->data;
	__u32 payload;
	__be32 seq, ack;

	if ((void *)(answer + 1) > (void *)(long)ctx->data_end || answer->tcp[12] >> 4 != 5)
		return XDP_DROP;
	payload = bpf_ntohs(answer->ip.tot_len) - sizeof(answer->ip) - sizeof(answer->tcp);
	seq = *(__be32 *)(answer->tcp + 8);
	ack = bpf_htonl(bpf_ntohl(*(__be32 *)(answer->tcp + 4)) + payload);
	__builtin_memcpy(answer->text, REFLECTOR_ANSWER, sizeof(answer->text));
	answer_eth(&answer->eth);
	answer_ip(&answer->ip, sizeof(*answer) - sizeof(answer->eth));
	answer_tcp(answer->tcp, seq, ack, TCP_ACK | TCP_PSH);
	*(__be16 *)(answer->tcp + 16) = csum_fold(
		bpf_csum_diff(0, 0, (__be32 *)answer->tcp,
			      sizeof(answer->tcp) + sizeof(answer->text),
			      pseudo_sum(&answer->ip, sizeof(answer->tcp) + sizeof(answer->text))));
	if (bpf_xdp_adjust_tail(ctx, (int)(sizeof(answer->text) - payload)))
		return XDP_DROP;
	return XDP_TX;
}

SEC("xdp")
int bench_reflector(struct xdp_md *ctx)
{
	struct reflector_frame *frame = (void *)(long)ctx->data;
	struct ethhdr eth;
	__u32 length;
	__u8 flags;

	if ((void *)(frame + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	if (frame->eth.h_proto != bpf_htons(ETH_P_IP) || frame->outer.protocol != IPPROTO_IPIP ||
	    frame->ip.protocol != IPPROTO_TCP)
		return XDP_PASS;
	if (bpf_ntohl(frame->outer.daddr) % REFLECTOR_DEAD == 0)
		return XDP_DROP;
	flags = ((__u8 *)&frame->tcp)[13];
	length = bpf_ntohs(frame->ip.tot_len);
	eth = frame->eth;
	if (bpf_xdp_adjust_head(ctx, sizeof(frame->outer)))
		return XDP_DROP;
	if ((void *)(long)ctx->data + sizeof(eth) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	__builtin_memcpy((void *)(long)ctx->data, &eth, sizeof(eth));
	if (flags & TCP_RST)
		return XDP_DROP;
	if (flags & TCP_SYN)
		return answer_syn(ctx);
	return length > sizeof(frame->ip) + sizeof(frame->tcp) ? answer_request(ctx) : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
