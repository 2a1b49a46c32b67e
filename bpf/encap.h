/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * To the real: IPIP in all four mixes of families (RFC 2003, 2473, 4213), GUE (variant 1: the inner
 * IP header follows the UDP header), GRE (RFC 2784), or unchanged to its MAC address. The outer
 * source carries bits of the flow hash, and so does GUE's source port, so that NICs of reals spread
 * flows over their queues. DSCP and ECN are copied from the inner header (RFC 6040, normal mode).
 */
#ifndef LB_BPF_ENCAP_H
#define LB_BPF_ENCAP_H

#include "config.h"
#include "csum.h"
#include "maps.h"
#include "packet.h"

#define ENCAP_UDP_FIRST_PORT 0xc000 /* of the dynamic ports (RFC 6335) */

struct gre_header {
	__be16 flags;
	__be16 protocol;
};

/* What lb_real says behind its address. */
struct encap_real {
	__u32 checksum;
	__u16 next_hop;
	__u16 flags;
};

/* One load, so that checksum and encap are of one generation. */
static __always_inline struct encap_real encap_real(const struct lb_real *real)
{
	__u64 word = *(volatile const __u64 *)&real->checksum;

	return (struct encap_real){
		.checksum = (__u32)word, .next_hop = word >> 32 & 0xffff, .flags = word >> 48};
}

static __always_inline int encap_is(const struct encap_real *real, enum lb_encap encap,
				    __u32 feature)
{
	return (lb_config.features & feature) &&
	       (real->flags >> LB_REAL_ENCAP_SHIFT & LB_REAL_ENCAP_MASK) == encap;
}

static __always_inline int encap_is_gue(const struct encap_real *real)
{
	return encap_is(real, LB_ENCAP_GUE, LB_FEATURE_GUE);
}

static __always_inline int encap_is_gre(const struct encap_real *real)
{
	return encap_is(real, LB_ENCAP_GRE, LB_FEATURE_GRE);
}

static __always_inline int encap_is_l2(const struct encap_real *real)
{
	return encap_is(real, LB_ENCAP_L2, LB_FEATURE_L2);
}

/* Bytes between the outer and the inner IP header. */
static __always_inline __u32 encap_shim_length(const struct encap_real *real)
{
	if (encap_is_gue(real))
		return sizeof(struct udphdr);
	return encap_is_gre(real) ? sizeof(struct gre_header) : 0;
}

/* Bytes by which a packet to this real grows. */
static __always_inline __u32 encap_overhead(const struct encap_real *real)
{
	if (encap_is_l2(real))
		return 0;
	return encap_shim_length(real) +
	       (real->flags & LB_REAL_V6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
}

static __always_inline __u8 encap_protocol(const struct encap_real *real, int inner_v6)
{
	if (encap_is_gue(real))
		return IPPROTO_UDP;
	if (encap_is_gre(real))
		return IPPROTO_GRE;
	return inner_v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
}

/*
 * Room for an outer IP header and a shim, both of which may be written: what follows the shim is an
 * IP header, so that the end is far enough even for the longest of them.
 */
static __always_inline void *encap_make_room(struct packet *p, const struct lb_next_hop *hop,
					     __u16 ethertype, __u32 ip_length, __u32 shim)
{
	void *ip = packet_make_room(p, hop->destination, ethertype, ip_length + shim);

	if (!(lb_config.features & (LB_FEATURE_GUE | LB_FEATURE_GRE)))
		return ip;
	return ip && ip + ip_length + sizeof(struct udphdr) <= packet_end(p) ? ip : NULL;
}

/* Writes what is between the IP headers. */
static __always_inline void encap_shim(const struct packet *p, const struct encap_real *real,
				       void *shim, __u32 hash)
{
	struct gre_header *gre = shim;
	struct udphdr *udp = shim;

	if (encap_is_gue(real)) {
		udp->source = bpf_htons(ENCAP_UDP_FIRST_PORT | hash >> 18);
		udp->dest = lb_config.gue_port_be;
		udp->len = bpf_htons(p->ip_length + sizeof(*udp));
		udp->check = 0; /* as RFC 6935 allows tunnels over IPv6, too */
	} else if (encap_is_gre(real)) {
		gre->flags = 0;
		gre->protocol = bpf_htons(p->v6 ? ETH_P_IPV6 : ETH_P_IP);
	}
}

static __always_inline enum lb_verdict encap_ipv4(struct packet *p, const struct lb_real *to,
						  const struct encap_real *real,
						  const struct lb_next_hop *hop, __u32 hash)
{
	__u32 source_bits = hash & lb_config.source_v4_hash_mask;
	__u32 shim = encap_shim_length(real);
	__u16 length = p->ip_length + sizeof(struct iphdr) + shim;
	struct iphdr *ip;

	ip = encap_make_room(p, hop, ETH_P_IP, sizeof(*ip), shim);
	if (!ip)
		return LB_ENCAP_FAILED;
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tos = p->tos;
	ip->tot_len = bpf_htons(length);
	ip->id = 0; /* RFC 6864: of no use where DF is set */
	ip->frag_off = bpf_htons(IP_DF);
	ip->ttl = p->outer_ttl;
	ip->protocol = encap_protocol(real, p->v6);
	ip->saddr = lb_config.source_v4 | source_bits;
	ip->daddr = to->address[3];
	/* real->checksum covers what is constant, with a TTL of LB_TTL. */
	ip->check = csum_fold(real->checksum - (LB_TTL - p->outer_ttl) + (p->tos << 8) +
			      bpf_htons(length) + (source_bits & 0xffff) + (source_bits >> 16));
	encap_shim(p, real, ip + 1, hash);
	return LB_FORWARD;
}

static __always_inline enum lb_verdict encap_ipv6(struct packet *p, const struct lb_real *to,
						  const struct encap_real *real,
						  const struct lb_next_hop *hop, __u32 hash)
{
	__u32 shim = encap_shim_length(real);
	struct ipv6hdr *ip;

	ip = encap_make_room(p, hop, ETH_P_IPV6, sizeof(*ip), shim);
	if (!ip)
		return LB_ENCAP_FAILED;
	/* Version, traffic class, and the flow label that RFC 6438 asks of tunnels. */
	*(__be32 *)ip = bpf_htonl(6u << 28 | (__u32)p->tos << 20 | (hash & 0xfffff));
	ip->payload_len = bpf_htons(p->ip_length + shim);
	ip->nexthdr = encap_protocol(real, p->v6);
	ip->hop_limit = p->outer_ttl;
	/* Word by word: memcpy would read, at compile time, the zeros of a volatile constant. */
	for (int i = 0; i < 4; i++)
		ip->saddr.in6_u.u6_addr32[i] = lb_config.source_v6[i];
	ip->saddr.in6_u.u6_addr32[3] |= hash & lb_config.source_v6_hash_mask;
	__builtin_memcpy(&ip->daddr, to->address, sizeof(ip->daddr));
	encap_shim(p, real, ip + 1, hash);
	return LB_FORWARD;
}

static __always_inline int encap_same_mac(const __u8 *a, const __u8 *b)
{
	return !((*(const __u32 *)a ^ *(const __u32 *)b) |
		 (*(const __u16 *)(a + 4) ^ *(const __u16 *)(b + 4)));
}

/*
 * To the MAC address of the real. It counts as a hop, as a router's work would, so that no mistake
 * makes a packet circle between load balancers and reals for ever.
 */
static __always_inline enum lb_verdict encap_l2(struct packet *p, const struct lb_next_hop *hop)
{
	struct ethhdr *eth = packet_at(p, 0);
	__be16 ttl_word = bpf_htons(p->ttl << 8 | p->protocol);
	struct ipv6hdr *ip6;
	struct iphdr *ip;

	if ((void *)(eth + 1) > packet_end(p))
		return LB_ENCAP_FAILED;
	if (p->ttl <= 1 || encap_same_mac(eth->h_source, hop->destination))
		return LB_L2_LOOP;
	ip6 = packet_make_room(p, hop->destination, p->v6 ? ETH_P_IPV6 : ETH_P_IP, 0);
	ip = (void *)ip6;
	if (!ip6)
		return LB_ENCAP_FAILED;
	if (p->v6) {
		if ((void *)(ip6 + 1) > packet_end(p))
			return LB_ENCAP_FAILED;
		ip6->hop_limit = p->ttl - 1;
		return LB_FORWARD;
	}
	if ((void *)(ip + 1) > packet_end(p))
		return LB_ENCAP_FAILED;
	ip->check = csum_replace(ip->check, ttl_word, bpf_htons((p->ttl - 1) << 8 | p->protocol));
	ip->ttl = p->ttl - 1;
	return LB_FORWARD;
}

static __always_inline enum lb_verdict encap(struct packet *p, const struct lb_real *to, __u32 hash)
{
	const struct lb_next_hop *hops = lb_table(lb_next_hops);
	struct encap_real real = encap_real(to);
	const struct lb_next_hop *hop = &hops[real.next_hop & lb_config.next_hop_mask];

	if (!hop->ifindex)
		return LB_NO_NEXT_HOP;
	if (p->ip_length + encap_overhead(&real) > hop->mtu) {
		p->mtu = hop->mtu - encap_overhead(&real);
		return LB_TOO_BIG;
	}
	p->out_ifindex = hop->ifindex;
	if (encap_is_l2(&real))
		return encap_l2(p, hop);
	return real.flags & LB_REAL_V6 ? encap_ipv6(p, to, &real, hop, hash)
				       : encap_ipv4(p, to, &real, hop, hash);
}

#endif /* LB_BPF_ENCAP_H */
