/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between the BPF programs and user space: map values, verdicts and the constants that
 * the loader sets. Included by both sides; tests compare the object's BTF with the C++ layout.
 *
 * Addresses are 16 bytes in network order, IPv4 mapped (::ffff:a.b.c.d). Names that end in _be, and
 * all addresses, are in network order; everything else is in host order.
 */
#ifndef LB_ABI_H
#define LB_ABI_H

#include "lb/flow_table.h"
#include "lb/handover.h"
#include "lb/rate.h"
#include "lb/server_id.h"
#include "lb/types.h"

/*
 * Every packet gets exactly one verdict.
 * X(NAME, name, action, sentence for people: what happened and what to look at)
 */
#define LB_VERDICTS(X)                                                                            \
	X(FORWARD, forward, TX, "Encapsulated and sent to a real.")                               \
	X(TOO_BIG_REPLY, too_big_reply, TX,                                                       \
	  "Longer than the next hop's MTU once encapsulated; the client was told by ICMP.")       \
	X(ECHO_REPLY, echo_reply, TX,                                                             \
	  "ICMP echo request to a VIP, answered by the load balancer.")                           \
	X(PROBE_REPLY, probe_reply, REDIRECT, "Answer to a health probe, handed to the daemon.")  \
	X(NOT_IP, not_ip, PASS, "Neither IPv4 nor IPv6 (ARP, LLDP, ...); the host handles it.")   \
	X(NOT_VIP, not_vip, PASS,                                                                 \
	  "No VIP for this address, port and protocol; the host handles it.")                     \
	X(TRUNCATED, truncated, DROP, "For a VIP, but the frame ends inside its headers.")        \
	X(BAD_HEADER, bad_header, DROP, "For a VIP, but the IP header contradicts itself.")       \
	X(BAD_LENGTH, bad_length, DROP, "For a VIP, but longer by its IP header than the frame.") \
	X(EXTENSIONS, extensions, DROP,                                                           \
	  "For a VIP, but behind more IPv6 extension headers than are followed.")                 \
	X(FRAGMENT, fragment, DROP,                                                               \
	  "IP fragment for a VIP whose ports are not known: the first one was not seen before.")  \
	X(SOURCE_DENIED, source_denied, DROP,                                                     \
	  "The VIP does not serve this source: on its deny list, or on no list of those it "      \
	  "serves.")                                                                              \
	X(VIP_RATE_LIMITED, vip_rate_limited, DROP,                                               \
	  "A new connection beyond the rate of the VIP.")                                         \
	X(SOURCE_RATE_LIMITED, source_rate_limited, DROP,                                         \
	  "A new connection beyond the rate of its source.")                                      \
	X(NO_REAL, no_real, DROP,                                                                 \
	  "The VIP has no usable real: all down, weight 0, or none there.")                       \
	X(NO_NEXT_HOP, no_next_hop, DROP,                                                         \
	  "No resolved next hop to the real: route or neighbour missing.")                        \
	X(TOO_BIG, too_big, DROP,                                                                 \
	  "Longer than the next hop's MTU once encapsulated, and no ICMP message was due.")       \
	X(TTL_EXPIRED, ttl_expired, DROP,                                                         \
	  "Came through a tunnel with its TTL used up: load balancers that send in a circle?")    \
	X(L2_LOOP, l2_loop, DROP,                                                                 \
	  "To a real with encap l2, but it came from there, or its TTL has run out.")             \
	X(ENCAP_FAILED, encap_failed, DROP, "The driver left no headroom for the outer header.")

enum lb_verdict {
#define LB_VERDICT_ENUM(NAME, name, action, text) LB_##NAME,
	LB_VERDICTS(LB_VERDICT_ENUM)
#undef LB_VERDICT_ENUM
		LB_VERDICT_COUNT,
};

/* Room for verdicts and notes per CPU: a power of two, so that an index needs no check but a mask.
 */
#define LB_VERDICT_SLOTS 64
/* The last of them count what became of flows that were to be recorded: + enum lb_flow_record. */
#define LB_VERDICT_SLOT_RECORDS 56

/*
 * What is worth counting about packets besides their verdict.
 * X(NAME, name, sentence for people)
 */
#define LB_NOTES(X)                                                                        \
	X(ID_ROUTED, id_routed, "Went to the real that its server id names.")              \
	X(ID_UNKNOWN, id_unknown,                                                          \
	  "Names a server id that no real of the VIP has; went where its flow hash says.") \
	X(ID_ABSENT, id_absent,                                                            \
	  "For a VIP that is routed by id, without one; went where its flow hash says.")

/* Counted behind the verdicts. */
enum lb_note {
	LB_NOTE_BEFORE = LB_VERDICT_SLOTS / 4 * 3 - 1,
#define LB_NOTE_ENUM(NAME, name, text) LB_NOTE_##NAME,
	LB_NOTES(LB_NOTE_ENUM)
#undef LB_NOTE_ENUM
		LB_NOTE_END,
};
#define LB_NOTE_FIRST (LB_NOTE_BEFORE + 1)

/* lb_vip.flags */
#define LB_VIP_USED 1	 /* the entry is valid */
#define LB_VIP_ADDRESS 2 /* stands for the address itself: port 0, protocol 0, no ring */
#define LB_VIP_TUNNEL 4	 /* likewise, for an address of ours where tunnels end */

/* lb_vip.options, next to LB_HASH_* */
#define LB_VIP_FRAGMENTS_BY_ADDRESS 0x8000 /* fragments are hashed by client address alone */

/*
 * Where a VIP's ring and reals are, in one word so that a reader sees both of one generation:
 * bits 0..31 first slot in lb_ring, 32..57 first entry in lb_reals, 58..62 log2 of the ring's
 * slots.
 */
#define LB_PLACE_REAL_SHIFT 32
#define LB_PLACE_REAL_MASK 0x3ffffff
#define LB_PLACE_BITS_SHIFT 58

/*
 * The part of lb_flows of a VIP, in one word: bits 0..31 its first bucket, 32..37 log2 of its
 * buckets, and these flags.
 */
#define LB_FLOWS_BITS_SHIFT 32
#define LB_FLOWS_BITS_MASK 0x3f
#define LB_FLOWS_USED (1ULL << 40) /* there is one */
#define LB_FLOWS_ALWAYS \
	(1ULL << 41) /* every flow is recorded, and where a bucket is full one makes room */
#define LB_FLOWS_FROZEN (1ULL << 42) /* nothing is recorded: another program takes over */

/* lb_vips: a two-choice hash table; an entry is at lb_vip_slot(..., 0) or at lb_vip_slot(..., 1).
 */
struct lb_vip {
	__u32 address[4]; /* of a prefix: the first */
	__u16 port_be;	  /* 0 = every port; of a range: the first */
	__u8 protocol;
	__u8 flags;
	__u16 options; /* LB_HASH_*, LB_VIP_FRAGMENTS_BY_ADDRESS */
	__u16 policy;  /* index in lb_policies; 0 = none */
	__u64 place;
	__u64 hash_k0; /* SipHash key of this VIP's flows */
	__u64 hash_k1;
	__u64 flows;	     /* its part of lb_flows */
	__u16 last_port_be;  /* of a range; 0: there is none */
	__u8 host_bits;	     /* of a prefix: how many of the last bits of the address vary */
	__u8 both_protocols; /* has another entry, for the other protocol, with the same place */
	__u16 id_config;     /* in lb_id_configs; 0: not routed by id */
	__u16 route;	     /* 0; of a group of reals for some sources: its number */
};
LB_ASSERT_SIZE(struct lb_vip, 64);

/*
 * VIPs of prefixes or of port ranges are entries of lb_wide_vips, found through lb_scopes: the
 * longest prefix of an address and protocol has rules, disjoint and in ascending order, which name
 * the VIP of each port. Whoever writes them has settled who comes before whom. Protocol 0: any VIP
 * has the address.
 */
struct lb_scope_key {
	__u32 prefix_length; /* 32 for the protocol, and those of the address */
	__u32 protocol;
	__u32 address[4];
};
LB_ASSERT_SIZE(struct lb_scope_key, 24);
#define LB_SCOPE_KEY_BITS 160

struct lb_scope {
	__u32 first_rule; /* in lb_port_rules */
	__u32 rules;	  /* at most 2^LB_SCOPE_RULES_BITS */
};
LB_ASSERT_SIZE(struct lb_scope, 8);
#define LB_SCOPE_RULES_BITS 12

struct lb_port_rule {
	__u16 first_port;
	__u16 last_port;
	__u32 vip; /* in lb_wide_vips */
};
LB_ASSERT_SIZE(struct lb_port_rule, 8);

/* lb_id_config.sources */
#define LB_ID_QUIC 1	   /* UDP packets: QUIC connection ids */
#define LB_ID_TCP_OPTION 2 /* TCP packets: option LB_TCP_SERVER_ID */

/* The TCP option of Katran's TPR: kind, length, and a server id of 32 bits in host order. */
#define LB_TCP_SERVER_ID 0xb7
#define LB_TCP_SERVER_ID_LENGTH 6

/* lb_id_configs: how packets to a VIP name their servers. Entry 0 is not used. */
struct lb_id_config {
	__u32 start; /* of its part of lb_server_ids, in buckets */
	__u8 bits;   /* log2 of them */
	__u8 seed;
	__u8 sources; /* LB_ID_* */
	__u8 reserved0;
	/* Where the server id is in a connection id, by its first three bits; width 0: nowhere. */
	__u8 skip[8];
	__u8 width[8];
	__u64 reserved1;
};
LB_ASSERT_SIZE(struct lb_id_config, 32);

/* lb_real.flags */
#define LB_REAL_V6 1	      /* outer header is IPv6 */
#define LB_REAL_ENCAP_SHIFT 1 /* enum lb_encap, 2 bits */
#define LB_REAL_ENCAP_MASK 3

enum lb_encap {
	LB_ENCAP_IPIP,
	LB_ENCAP_GUE, /* variant 1: UDP, then the inner IP header */
	LB_ENCAP_GRE,
	LB_ENCAP_L2, /* no outer header */
};

/* lb_reals: [first entry of the VIP + VIP-local number] */
struct lb_real {
	__u32 address[4];
	/* From here on one word, so that a reader sees all of one generation. */
	__u32 checksum; /* IPv4: sum of the outer header's constant 16-bit words */
	__u16 next_hop; /* index in lb_next_hops */
	__u16 flags;
	__u64 reserved;
};
LB_ASSERT_SIZE(struct lb_real, 32);

/* Entries of lb_ports: at least as many as one lbd may have interfaces. */
#define LB_PORTS 64

/* lb_next_hops; ifindex 0 = not resolved. Entry 0 is never resolved. */
struct lb_next_hop {
	__u8 destination[6]; /* with source, as a frame begins */
	__u8 source[6];
	__u32 ifindex;
	__u32 mtu; /* longest IP packet, bytes */
	__u32 reserved[3];
};
LB_ASSERT_SIZE(struct lb_next_hop, 32);

/* lb_counters: [cpu << config.real_bits | index in lb_reals]; bytes are those of the inner IP
 * packet. */
struct lb_counter {
	__u64 packets;
	__u64 bytes;
};
LB_ASSERT_SIZE(struct lb_counter, 16);

/* lb_fragments: an LRU hash map of the kernel, from the first fragment of a packet to its ports. */
struct lb_fragment_key {
	__u32 source[4];
	__u32 destination[4];
	__u32 id;	/* as it stands in the packet */
	__u32 protocol; /* 0 for IPv6, whose later fragments do not know it */
};
LB_ASSERT_SIZE(struct lb_fragment_key, 40);

struct lb_fragment {
	__u32 ports;
	__u32 protocol;
	__u64 seen; /* ns of CLOCK_MONOTONIC, coarse */
};
LB_ASSERT_SIZE(struct lb_fragment, 16);

/* Seconds after which a first fragment is forgotten: by then reassembly has given up (RFC 8200). */
#define LB_FRAGMENT_SECONDS 60

/* lb_scratch: [cpu]; memory of the program. */
struct lb_scratch {
	__u64 words[16];
};
LB_ASSERT_SIZE(struct lb_scratch, 128);

/* lb_config.stages: what is done beyond plain TCP and UDP packets. */
#define LB_STAGE_ECHO 1	      /* pings to VIPs are answered */
#define LB_STAGE_VLAN 2	      /* frames with VLAN tags are balanced */
#define LB_STAGE_EXTENSIONS 4 /* so are packets with IPv6 extension headers */
#define LB_STAGE_FRAGMENTS 8  /* later fragments follow the first one */
#define LB_STAGE_ERRORS 16    /* ICMP errors about flows go to the flow's real */
#define LB_STAGE_TOO_BIG 32   /* ICMP tells clients what does not fit */
#define LB_STAGE_DECAP 64     /* tunnels that end here: what is inside is balanced */
#define LB_STAGE_FRAMES 128   /* frames may be spread over several buffers (xdp.frags) */

/* lb_probe: what answers to our health probes look like, and whose they are. */
#define LB_PROBE_INTERFACES 16
/* Sequence number of our ICMP echo requests; their id is a port of the range. */
#define LB_PROBE_ECHO_SEQUENCE 0x6c62

struct lb_probe_interface {
	__u32 ifindex; /* 0 = none */
	__u32 sockets; /* entry of its queue 0 in lb_probe_sockets */
};

struct lb_probe {
	__u32 source_v4[4]; /* all zeros = none */
	__u32 source_v6[4];
	__u16 first_port;
	__u16 last_port;
	__u32 reserved;
	struct lb_probe_interface interfaces[LB_PROBE_INTERFACES];
};
LB_ASSERT_SIZE(struct lb_probe, 168);

/* AF_XDP sockets of all queues of all interfaces. */
#define LB_PROBE_SOCKETS 4096

/* In front of a frame that is handed to the daemon. */
struct lb_probe_metadata {
	__u64 received_ns; /* CLOCK_MONOTONIC */
};

/* lb_config.features: what some VIP or real needs; the rest is not in the program. */
#define LB_FEATURE_WIDE_VIPS 1	 /* prefixes and port ranges */
#define LB_FEATURE_HASH_FIELDS 2 /* VIPs hashed by other fields than most */
#define LB_FEATURE_QUIC_IDS 4
#define LB_FEATURE_TCP_IDS 8
#define LB_FEATURE_GUE 16
#define LB_FEATURE_GRE 32
#define LB_FEATURE_L2 64
#define LB_FEATURE_SOURCES 128	     /* lists of sources, rates */
#define LB_FEATURE_SOURCE_ROUTES 256 /* groups of reals for some sources */
#define LB_FEATURE_PROBES 512	     /* answers to health probes go to the daemon */
#define LB_FEATURES 1023	     /* all of them */

/* lb_policy.flags */
#define LB_POLICY_LISTS 1      /* lb_sources has prefixes for it */
#define LB_POLICY_ALLOW_ONLY 2 /* a source on no list is denied */

/* lb_policies: whom a VIP serves. Times are in nanoseconds, those of sources in units (lb/rate.h).
 */
struct lb_policy {
	__u32 flags;
	__u32 reserved0;
	__u64 interval; /* between new connections; 0 = any */
	__u64 tolerance;
	__u64 source_interval; /* likewise, of one source */
	__u64 source_tolerance;
	__u64 reserved1[3];
	__u64 due; /* when the next new connection is; written by the program */
	__u64 reserved2[7];
};
LB_ASSERT_SIZE(struct lb_policy, 128);

/* lb_policy_counts: [cpu * policies + index in lb_policies] */
struct lb_policy_count {
	__u64 denied;
	__u64 limited;
	__u64 source_limited;
	__u64 reserved;
};
LB_ASSERT_SIZE(struct lb_policy_count, 32);

/*
 * lb_sources: the longest prefix decides. Under the policy: LB_SOURCE_ALLOW or _DENY. Under the
 * policy and a protocol, shifted by LB_SOURCE_PROTOCOL_SHIFT: the entry of lb_wide_vips whose reals
 * serve the source.
 */
#define LB_SOURCE_PROTOCOL_SHIFT 16
struct lb_source_key {
	__u32 prefix_length; /* 32 for the policy, and those of the address */
	__u32 policy;
	__u32 address[4];
};
LB_ASSERT_SIZE(struct lb_source_key, 24);
#define LB_SOURCE_KEY_BITS 160
#define LB_SOURCE_ALLOW 1
#define LB_SOURCE_DENY 2

/* An array of so many elements in the program's BTF is its priority. */
#define LB_PRIORITY_PLACE 0x7fed

/*
 * What the explaining build of the program (trace.h) tells about a packet. Indices are those of the
 * tables; 0 = not reached or none.
 */
struct lb_trace {
	__u64 hash;
	__u32 vip;   /* index in lb_vips, + 1; with LB_TRACE_WIDE in lb_wide_vips */
	__u32 slot;  /* index in lb_ring, + 1 */
	__u32 real;  /* index in lb_reals, whose first entry is no real */
	__u16 word;  /* lb_ring[slot] */
	__u8 record; /* enum lb_flow_record */
	__u8 note;   /* enum lb_note: what became of a server id; 0: not asked */
};
LB_ASSERT_SIZE(struct lb_trace, 24);
#define LB_TRACE_WIDE (1U << 31)

/* In the ring buffer lb_samples, followed by `captured` bytes of the frame. */
struct lb_sample {
	__u64 time; /* CLOCK_MONOTONIC, ns */
	__u32 source[4];
	__u32 destination[4];
	__u32 ports;
	__u32 frame_length; /* as it came, without a tunnel that ended here; of a reply as it goes
			     */
	__u32 captured;
	__u32 ifindex;	   /* where it came from */
	__u32 out_ifindex; /* where a forwarded packet leaves */
	__u32 cpu;
	__u32 ip_length;
	__u8 verdict;
	__u8 protocol;
	__u8 tcp_flags;
	__u8 outgoing; /* the frame is a reply of the load balancer's own */
	struct lb_trace trace;
};
LB_ASSERT_SIZE(struct lb_sample, 96);

#define LB_SAMPLE_FRAME_MAX 2048

/*
 * lb_filter: which packets to sample, and how many. An address matches where all bits of the mask
 * agree. first_port, last_port and host_bits are those of the VIP, as is protocol where by_vip.
 */
struct lb_filter {
	__u64 verdicts;	  /* a bit for each that is wanted */
	__u64 interval;	  /* ns between samples, on average; the program counts their bucket */
	__u64 tolerance;  /* ns; lb_rate_take() */
	__u32 every;	  /* one of so many packets is looked at; 0 or 1: all */
	__u32 snap;	  /* at most so many bytes of each frame */
	__u32 ports;	  /* source and destination port as they stand in the packet */
	__u16 first_port; /* destination port from here .. */
	__u16 last_port;  /* .. to here */
	__u16 port_be;	  /* of either end; 0: any */
	__u8 protocol;	  /* of the flow, or of the VIP, where 0 is both TCP and UDP */
	__u8 host_bits;
	__u8 by_vip;
	__u8 by_flow; /* compare `protocol` and `ports` */
	__u8 by_real; /* compare `real` */
	__u8 v6;      /* IPv6 only */
	__u32 source[4];
	__u32 source_mask[4];
	__u32 destination[4];
	__u32 destination_mask[4];
	__u32 prefix[4]; /* of either end */
	__u32 prefix_mask[4];
	__u32 real[4];
	__u64 due __attribute__((aligned(64))); /* of the samples of all CPUs; lb_rate_take() */
};
LB_ASSERT_SIZE(struct lb_filter, 256);

/* lb_tracing: one per CPU. */
struct lb_tracing {
	__u64 limited;	 /* samples that the rate limit kept back */
	__u64 lost;	 /* for which the ring buffer had no room */
	__u32 countdown; /* to the next packet that is looked at */
	__u32 l2_length; /* Ethernet header with tags */
	__u32 l3_offset; /* of the IP packet, in the frame as it leaves */
	__u8 l2[24];	 /* the frame's first bytes, as it came */
	__u32 reserved;
	struct lb_sample sample;
	__u8 frame[LB_SAMPLE_FRAME_MAX + 32];
};
LB_ASSERT_SIZE(struct lb_tracing, 2232);

/* Constants of one loaded program; the verifier removes what they switch off. */
struct lb_config {
	struct lb_handover handover; /* first in every version */
	__u32 vip_mask;		     /* entries of lb_vips - 1; likewise below */
	__u32 real_mask;
	__u32 ring_mask;
	__u32 next_hop_mask;
	__u32 counter_mask;
	__u32 verdict_mask;
	__u32 cpu_mask;
	__u32 real_bits;
	__u64 vip_hash_key;
	/* Outer source: the prefix, and which of its last 32 bits the flow hash fills. */
	__u32 source_v4;
	__u32 source_v4_hash_mask;
	__u32 source_v6[4];
	__u32 source_v6_hash_mask;
	__u32 flow_mask; /* buckets of lb_flows - 1 */
	__u32 reserved;
	__u32 fast_hash; /* lb_flow_hash_fast() in place of lb_flow_hash() */
	__u32 stages;	 /* LB_STAGE_*: those that are on */
	__u32 features;	 /* LB_FEATURE_* */
	__u32 id_config_mask;
	__u32 server_id_mask; /* buckets of lb_server_ids - 1 */
	__u32 wide_vip_mask;
	__u32 port_rule_mask;
	__u16 gue_port_be;
	__u16 decap_port_be; /* UDP port of GUE tunnels that end here; 0 = none */
	__u32 policy_mask;
	__u32 policy_count_mask;
	__u32 source_bucket_mask;
	__u32 fragments;     /* entries of lb_fragments */
	__u32 icmp_interval; /* ns between two ICMP messages of ours, in the long run */
};
LB_ASSERT_SIZE(struct lb_config, 176);

/* A VIP's hash in lb_vips, and where its entry `choice` (0 or 1) may be, before masking. */
LB_INLINE __u64 lb_vip_hash(__u64 key, const __u32 *address, __u16 port_be, __u8 protocol)
{
	__u64 h = key ^ ((__u64)address[0] << 32 | address[1]);

	h = (h ^ h >> 32) * 0x9fb21c651e98df25ULL;
	h ^= (__u64)address[2] << 32 | address[3];
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93ULL;
	h ^= (__u64)port_be << 8 | protocol;
	return (h ^ h >> 32) * 0x9fb21c651e98df25ULL;
}

LB_INLINE __u32 lb_vip_slot(__u64 hash, int choice)
{
	return choice ? (__u32)(hash >> 40) : (__u32)(hash >> 12);
}

#endif /* LB_ABI_H */
