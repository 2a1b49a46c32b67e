/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For real servers: unwraps IPIP, GUE (variant 1) and GRE from load balancers, in all mixes of IPv4
 * and IPv6, and passes the inner packet to the stack. Only packets to a tunnel address of this host
 * with a VIP inside are touched, so other tunnels of the host keep working and nobody reaches its
 * other services this way.
 */
#include "csum.h"
#include "decap_addresses.h"
#include "helpers.h"
#include "lb/decap_abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, LB_DECAP_ADDRESSES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lb_decap_prefix_key);
	__type(value, __u32);
} lb_decap_prefix SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_DECAP_OUTCOME_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} lb_decap_count SEC(".maps");

/* Set by the loader. */
const volatile __u16 lb_decap_gue_port = LB_DECAP_GUE_PORT;
const volatile __u8 lb_decap_prefixes = 1; /* some VIP is a prefix */

#define ECN_MASK 3
#define ECN_ECT0 2
#define ECN_ECT1 1
#define ECN_CE 3

struct gre_header {
	__be16 flags;
	__be16 protocol;
};

struct tunnel {
	struct xdp_md *ctx;
	__u32 header;  /* bytes of the outer headers */
	__u32 payload; /* bytes behind them */
	__u8 protocol; /* of the payload: IPIP or IPV6 */
	__u8 ecn;
};

static __always_inline int address_has_v4(__be32 v4, __u32 flag)
{
	struct address address = {.word = {0, 0, bpf_htonl(0xffff), v4}};

	return address_has(&address, flag);
}

static __always_inline int address_has_v6(const struct in6_addr *v6, __u32 flag)
{
	struct address address;

	__builtin_memcpy(&address, v6, sizeof(address));
	return address_has(&address, flag);
}

static __always_inline int is_vip(const struct address *address)
{
	struct lb_decap_prefix_key key = {.prefix_length = 128};

	if (address_has(address, LB_DECAP_VIP))
		return 1;
	if (!lb_decap_prefixes)
		return 0;
	__builtin_memcpy(key.address, address, sizeof(key.address));
	return bpf_map_lookup_elem(&lb_decap_prefix, &key) != NULL;
}

static __always_inline int is_tunnel(__u8 protocol)
{
	return protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6 || protocol == IPPROTO_GRE ||
	       protocol == IPPROTO_UDP;
}

/* The parsers return LB_DECAP_OUTCOME_SLOTS to go on. */

/* UDP to other ports, and GUE of the other variant, are not for us. A checksum is the NIC's
 * business. */
static __always_inline enum lb_decap_outcome shim_gue(struct tunnel *t, void *l4, void *end)
{
	struct udphdr *udp = l4;
	__u8 *inner = (void *)(udp + 1);
	__u32 length;

	if ((void *)(inner + 1) > end || udp->dest != bpf_htons(lb_decap_gue_port) ||
	    *inner >> 6 != 1)
		return LB_DECAP_COUNT_PASSED;
	length = bpf_ntohs(udp->len);
	if (length < sizeof(*udp) || length > t->payload)
		return LB_DECAP_COUNT_MALFORMED;
	t->header += sizeof(*udp);
	t->payload = length - sizeof(*udp);
	t->protocol = *inner >> 4 == 6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	return LB_DECAP_OUTCOME_SLOTS;
}

/* GRE with options belongs to other tunnels of the host. */
static __always_inline enum lb_decap_outcome shim_gre(struct tunnel *t, void *l4, void *end)
{
	struct gre_header *gre = l4;

	if ((void *)(gre + 1) > end || gre->flags)
		return LB_DECAP_COUNT_PASSED;
	if (gre->protocol == bpf_htons(ETH_P_IP))
		t->protocol = IPPROTO_IPIP;
	else if (gre->protocol == bpf_htons(ETH_P_IPV6))
		t->protocol = IPPROTO_IPV6;
	else
		return LB_DECAP_COUNT_PASSED;
	if (t->payload < sizeof(*gre))
		return LB_DECAP_COUNT_MALFORMED;
	t->header += sizeof(*gre);
	t->payload -= sizeof(*gre);
	return LB_DECAP_OUTCOME_SLOTS;
}

static __always_inline enum lb_decap_outcome shim(struct tunnel *t, void *l3, void *end)
{
	void *l4 = l3 + t->header;

	if (t->protocol == IPPROTO_UDP)
		return shim_gue(t, l4, end);
	if (t->protocol == IPPROTO_GRE)
		return shim_gre(t, l4, end);
	return LB_DECAP_OUTCOME_SLOTS;
}

static __always_inline enum lb_decap_outcome outer_ipv4(struct tunnel *t, void *l3, void *end)
{
	struct iphdr *ip = l3;
	__u32 length;

	if ((void *)(ip + 1) > end || !is_tunnel(ip->protocol) ||
	    !address_has_v4(ip->daddr, LB_DECAP_TUNNEL))
		return LB_DECAP_COUNT_PASSED;
	/* A fragment of UDP may be of anything. */
	if (ip->frag_off & bpf_htons(IP_MF | IP_OFFSET))
		return ip->protocol == IPPROTO_UDP ? LB_DECAP_COUNT_PASSED
						   : LB_DECAP_COUNT_FRAGMENT;
	t->header = ip->ihl * 4;
	length = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || t->header < sizeof(*ip) || length < t->header || length > end - l3)
		return LB_DECAP_COUNT_MALFORMED;
	t->payload = length - t->header;
	t->protocol = ip->protocol;
	t->ecn = ip->tos & ECN_MASK;
	return shim(t, l3, end);
}

/* Extension headers of the outer packet are left to the stack: lbd writes none. */
static __always_inline enum lb_decap_outcome outer_ipv6(struct tunnel *t, void *l3, void *end)
{
	struct ipv6hdr *ip = l3;

	if ((void *)(ip + 1) > end || !is_tunnel(ip->nexthdr) ||
	    !address_has_v6(&ip->daddr, LB_DECAP_TUNNEL))
		return LB_DECAP_COUNT_PASSED;
	t->header = sizeof(*ip);
	t->payload = bpf_ntohs(ip->payload_len);
	/* Not `ip + 1 + payload > end`: the verifiers of 6.1 and 6.12 know no bounds of a swapped
	 * word. */
	if (ip->version != 6 || t->payload > end - (void *)(ip + 1))
		return LB_DECAP_COUNT_MALFORMED;
	t->protocol = ip->nexthdr;
	t->ecn = ip->flow_lbl[0] >> 4 & ECN_MASK;
	return shim(t, l3, end);
}

/* The ECN field of the inner packet from now on (RFC 6040, figure 4); -1: it is to be dropped. */
static __always_inline int ecn_behind(__u8 inner, __u8 outer)
{
	if (outer == ECN_CE)
		return inner ? ECN_CE : -1;
	return inner == ECN_ECT0 && outer == ECN_ECT1 ? ECN_ECT1 : inner;
}

static __always_inline int mark_ipv4(struct iphdr *ip, __u8 outer)
{
	__be16 *word = (void *)ip;
	__be16 before = *word;
	int ecn = ecn_behind(ip->tos & ECN_MASK, outer);

	if (ecn < 0)
		return -1;
	ip->tos = (ip->tos & ~ECN_MASK) | ecn;
	ip->check = csum_replace(ip->check, before, *word);
	return 0;
}

static __always_inline int mark_ipv6(struct ipv6hdr *ip, __u8 outer)
{
	int ecn = ecn_behind(ip->flow_lbl[0] >> 4 & ECN_MASK, outer);

	if (ecn < 0)
		return -1;
	ip->flow_lbl[0] = (ip->flow_lbl[0] & ~(ECN_MASK << 4)) | ecn << 4;
	return 0;
}

static __always_inline enum lb_decap_outcome inner_ipv4(struct tunnel *t, void *l3, void *end)
{
	struct iphdr *ip = l3;
	struct address destination;

	if ((void *)(ip + 1) > end || t->payload < sizeof(*ip) || ip->version != 4 ||
	    ip->ihl * 4 < sizeof(*ip) || bpf_ntohs(ip->tot_len) > t->payload)
		return LB_DECAP_COUNT_MALFORMED;
	destination = (struct address){.word = {0, 0, bpf_htonl(0xffff), ip->daddr}};
	if (!is_vip(&destination))
		return LB_DECAP_COUNT_PASSED;
	if (t->ecn && mark_ipv4(ip, t->ecn))
		return LB_DECAP_COUNT_ECN;
	return LB_DECAP_COUNT_V4;
}

static __always_inline enum lb_decap_outcome inner_ipv6(struct tunnel *t, void *l3, void *end)
{
	struct ipv6hdr *ip = l3;
	struct address destination;

	if ((void *)(ip + 1) > end || t->payload < sizeof(*ip) || ip->version != 6 ||
	    sizeof(*ip) + bpf_ntohs(ip->payload_len) > t->payload)
		return LB_DECAP_COUNT_MALFORMED;
	__builtin_memcpy(&destination, &ip->daddr, sizeof(destination));
	if (!is_vip(&destination))
		return LB_DECAP_COUNT_PASSED;
	if (t->ecn && mark_ipv6(ip, t->ecn))
		return LB_DECAP_COUNT_ECN;
	return LB_DECAP_COUNT_V6;
}

/* Removes the outer header and puts the Ethernet header in front of what is left. */
static __always_inline int strip(struct tunnel *t, struct ethhdr *eth)
{
	struct ethhdr copy = *eth;
	void *end;

	copy.h_proto = bpf_htons(t->protocol == IPPROTO_IPV6 ? ETH_P_IPV6 : ETH_P_IP);
	if (bpf_xdp_adjust_head(t->ctx, t->header))
		return -1;
	eth = (void *)(long)t->ctx->data;
	end = (void *)(long)t->ctx->data_end;
	if ((void *)(eth + 1) > end)
		return -1;
	*eth = copy;
	return 0;
}

static __always_inline enum lb_decap_outcome decap(struct xdp_md *ctx)
{
	struct tunnel t = {.ctx = ctx};
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	void *l3 = eth + 1;
	enum lb_decap_outcome outcome;

	if (l3 > end)
		return LB_DECAP_COUNT_PASSED;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		outcome = outer_ipv4(&t, l3, end);
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		outcome = outer_ipv6(&t, l3, end);
	else
		return LB_DECAP_COUNT_PASSED;
	if (outcome != LB_DECAP_OUTCOME_SLOTS)
		return outcome;

	l3 += t.header;
	outcome = t.protocol == IPPROTO_IPV6 ? inner_ipv6(&t, l3, end) : inner_ipv4(&t, l3, end);
	if (outcome != LB_DECAP_COUNT_V4 && outcome != LB_DECAP_COUNT_V6)
		return outcome;
	return strip(&t, eth) ? LB_DECAP_COUNT_MALFORMED : outcome;
}

SEC("xdp")
int real_decap(struct xdp_md *ctx)
{
	__u32 outcome = decap(ctx);
	__u64 *count = bpf_map_lookup_elem(&lb_decap_count, &outcome);

	if (count)
		++*count;
	return outcome == LB_DECAP_COUNT_ECN ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
