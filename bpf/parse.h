/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ethernet with VLAN tags, IPv4 with options, IPv6 with extension headers. A header that cannot be
 * trusted matters only on the way to a VIP, so these return LB_TRUNCATED and the like as soon as
 * the destination is known, and the caller lets the packet pass where that is no VIP.
 *
 * `full` is a constant: 0 in the fast path, where all that is not plain TCP or UDP is LB_SLOW.
 */
#ifndef LB_BPF_PARSE_H
#define LB_BPF_PARSE_H

#include "packet.h"

/* Extension headers that are followed, the fragment header included. */
#define PARSE_EXTENSIONS 8

static __always_inline enum lb_verdict parse_stop(int full, enum lb_verdict verdict)
{
	return full ? verdict : LB_SLOW;
}

static __always_inline int parse_is_tag(__be16 type)
{
	return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD);
}

/* Returns the EtherType behind at most PACKET_TAGS tags, in network order; 0 where it is cut off.
 */
static __always_inline __be16 parse_ethernet(struct packet *p)
{
	struct ethhdr *eth = packet_at(p, 0);
	void *end = packet_end(p);
	struct vlan_hdr *tag = (void *)(eth + 1);
	__be16 type;

	if ((void *)tag > end)
		return 0;
	type = eth->h_proto;
	p->l2_length = sizeof(*eth);
	for (int i = 0; i < PACKET_TAGS && packet_stage(LB_STAGE_VLAN) && parse_is_tag(type); i++) {
		if ((void *)(tag + 1) > end)
			return 0;
		p->tags[i] = type | (__u32)tag->h_vlan_TCI << 16;
		type = tag->h_vlan_encapsulated_proto;
		p->l2_length += sizeof(*tag);
		tag++;
	}
	p->l3_offset = p->l2_length;
	return type;
}

/* The shortest complete header of a protocol that a stage reads; 0 = no stage does. */
static __always_inline __u32 parse_l4_minimum(__u8 protocol)
{
	if (protocol == IPPROTO_TCP)
		return sizeof(struct tcphdr);
	if (protocol == IPPROTO_UDP)
		return sizeof(struct udphdr);
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6 ? sizeof(struct icmphdr) : 0;
}

/* Whether an IP packet of `length` bytes ends behind its frame. */
static __always_inline int parse_is_cut_off(const struct packet *p, void *ip, __u32 length)
{
	if (p->quoted || length <= packet_end(p) - ip)
		return 0;
	return !packet_stage(LB_STAGE_FRAMES) ||
	       p->l3_offset + length > bpf_xdp_get_buff_len(p->ctx);
}

/* `before`: bytes of the packet in front of `l4`. */
static __always_inline enum lb_verdict parse_ports(struct packet *p, void *l4, __u32 before,
						   int full)
{
	void *end = packet_end(p);
	__u32 need;

	if (!full && p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP)
		return LB_SLOW;
	need = parse_l4_minimum(p->protocol);
	if (!need)
		return LB_CONTINUE;
	if (p->ip_length < before + need && !p->quoted)
		return parse_stop(full, LB_TRUNCATED);
	if (p->protocol == IPPROTO_TCP && !p->quoted) {
		if (l4 + sizeof(struct tcphdr) > end)
			return parse_stop(full, LB_TRUNCATED);
		p->tcp_flags = ((__u8 *)l4)[13];
	}
	if (l4 + sizeof(struct udphdr) > end)
		return parse_stop(full, LB_TRUNCATED);
	p->ports = *(__u32 *)l4;
	p->destination_port_be = ((struct udphdr *)l4)->dest;
	return LB_CONTINUE;
}

/* Returns LB_NOT_VIP when not even the destination can be read. */
static __always_inline enum lb_verdict parse_ipv4(struct packet *p, int full)
{
	struct iphdr *ip = packet_at(p, p->l3_offset);
	void *end = packet_end(p);
	__u32 header_length;

	if ((void *)(ip + 1) > end)
		return parse_stop(full, LB_NOT_VIP);
	p->source[2] = p->destination[2] = bpf_htonl(0xffff);
	p->source[3] = ip->saddr;
	p->destination[3] = ip->daddr;
	p->protocol = ip->protocol;
	p->tos = ip->tos;
	p->ttl = ip->ttl;
	p->ip_length = bpf_ntohs(ip->tot_len);

	header_length = ip->ihl * 4;
	if (ip->version != 4 || header_length < sizeof(*ip) || p->ip_length < header_length)
		return parse_stop(full, LB_BAD_HEADER);
	if ((void *)ip + header_length > end)
		return parse_stop(full, LB_TRUNCATED);
	if (parse_is_cut_off(p, ip, p->ip_length))
		return parse_stop(full, LB_BAD_LENGTH);
	p->l4_offset = p->l3_offset + header_length;
	if (ip->frag_off & bpf_htons(IP_MF | IP_OFFSET)) {
		if (!full || !packet_stage(LB_STAGE_FRAGMENTS))
			return parse_stop(full, LB_FRAGMENT);
		p->fragment_id = ip->id;
		p->fragment = PACKET_FIRST_FRAGMENT;
		if (ip->frag_off & bpf_htons(IP_OFFSET)) {
			p->fragment = PACKET_LATER_FRAGMENT;
			return LB_CONTINUE;
		}
	}
	return parse_ports(p, (void *)ip + header_length, header_length, full);
}

static __always_inline int parse_is_extension(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
	       protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_FRAGMENT;
}

/* Where the packet is the only fragment (RFC 6946), its header is one as any other. */
static __always_inline enum lb_verdict parse_fragment_header(struct packet *p,
							     const struct frag_hdr *header)
{
	if (!(header->frag_off & bpf_htons(IP6_MF | IP6_OFFSET)))
		return LB_CONTINUE;
	if (!packet_stage(LB_STAGE_FRAGMENTS))
		return LB_FRAGMENT;
	p->fragment_id = header->identification;
	p->fragment = header->frag_off & bpf_htons(IP6_OFFSET) ? PACKET_LATER_FRAGMENT
							       : PACKET_FIRST_FRAGMENT;
	return LB_CONTINUE;
}

/* From p->l4_offset on, to what is behind the last extension header. */
static __always_inline enum lb_verdict parse_extensions(struct packet *p)
{
	void *end = packet_end(p);

	for (int i = 0; i < PARSE_EXTENSIONS && parse_is_extension(p->protocol); i++) {
		struct ipv6_opt_hdr *option = packet_at(p, p->l4_offset);
		enum lb_verdict verdict;

		if ((void *)option + sizeof(struct frag_hdr) > end)
			return LB_TRUNCATED;
		if (p->protocol == IPPROTO_FRAGMENT) {
			verdict = parse_fragment_header(p, (void *)option);
			if (verdict != LB_CONTINUE)
				return verdict;
			p->l4_offset += sizeof(struct frag_hdr);
		} else {
			if (!packet_stage(LB_STAGE_EXTENSIONS))
				return LB_NOT_VIP;
			p->l4_offset += (option->hdrlen + 1) * 8;
		}
		p->protocol = option->nexthdr;
		if (p->fragment == PACKET_LATER_FRAGMENT)
			return LB_CONTINUE;
		if (p->l4_offset > PACKET_MAX_OFFSET)
			return LB_EXTENSIONS;
	}
	return parse_is_extension(p->protocol) ? LB_EXTENSIONS : LB_CONTINUE;
}

static __always_inline enum lb_verdict parse_ipv6(struct packet *p, int full)
{
	struct ipv6hdr *ip = packet_at(p, p->l3_offset);
	void *end = packet_end(p);
	enum lb_verdict verdict;

	if ((void *)(ip + 1) > end)
		return parse_stop(full, LB_NOT_VIP);
	__builtin_memcpy(p->source, &ip->saddr, sizeof(p->source));
	__builtin_memcpy(p->destination, &ip->daddr, sizeof(p->destination));
	p->protocol = ip->nexthdr;
	p->tos = bpf_ntohs(*(__be16 *)ip) >> 4;
	p->ttl = ip->hop_limit;
	p->ip_length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	p->v6 = 1;

	/* VIP tables hold IPv4 addresses in this form, which has no place on the wire. */
	if (!p->destination[0] && !p->destination[1] && p->destination[2] == bpf_htonl(0xffff))
		return parse_stop(full, LB_NOT_VIP);
	if (ip->version != 6)
		return parse_stop(full, LB_BAD_HEADER);
	if (parse_is_cut_off(p, ip, p->ip_length))
		return parse_stop(full, LB_BAD_LENGTH);
	p->l4_offset = p->l3_offset + sizeof(*ip);
	if (!full)
		return parse_ports(p, ip + 1, sizeof(*ip), full);
	verdict = parse_extensions(p);
	if (verdict != LB_CONTINUE || p->fragment == PACKET_LATER_FRAGMENT)
		return verdict;
	return parse_ports(p, packet_at(p, p->l4_offset), p->l4_offset - p->l3_offset, full);
}

/* The packet at p->l3_offset, of the family that p->v6 says. One copy for all that call it. */
static __noinline enum lb_verdict parse_ip(struct packet *p)
{
	return p->v6 ? parse_ipv6(p, 1) : parse_ipv4(p, 1);
}

#endif /* LB_BPF_PARSE_H */
