/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The server id in TCP headers, as Katran's TPR has it: a server writes its id into the SYN-ACK,
 * and its client repeats it in every segment from the ACK on, so that load balancers know where
 * each belongs. For the cgroups of servers behind VIPs, and for those of clients.
 *
 * A listener is asked to write when it starts to listen. Where it did so earlier, its connections
 * write the id into their first segments.
 */
#include "decap_addresses.h"
#include "helpers.h"
#include "lb/server_id_abi.h"

#define LB_TCP_SERVER_ID 0xb7
#define OFFERS 8 /* segments with our id to a client that has not repeated it */
#define AF_INET 2

#define TCP_SYN_ACK (TCP_SYN | TCP_ACK)

const volatile struct lb_server_id_config config = {};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_SERVER_ID_COUNT_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} lb_server_id_count SEC(".maps");

/* What a connection writes. */
struct connection {
	__u32 server_id;
	__u32 left; /* segments to write it into */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct connection);
} connections SEC(".maps");

/* RFC 6994 would have an experiment's magic number here; TPR takes a kind of its own. */
struct server_id_option {
	__u8 kind;
	__u8 length;
	__u32 server_id; /* as it stands in the memory of who writes it */
} __attribute__((packed));

static __always_inline void count(__u32 what)
{
	__u64 *counter = bpf_map_lookup_elem(&lb_server_id_count, &what);

	if (counter)
		(*counter)++;
}

static __always_inline void call_for(struct bpf_sock_ops *ops, __u32 flags, int on)
{
	__u32 before = ops->bpf_sock_ops_cb_flags;

	bpf_sock_ops_cb_flags_set(ops, on ? before | flags : before & ~flags);
}

static __always_inline int is_to_vip(struct bpf_sock_ops *ops)
{
	struct address address = {.word = {0, 0, bpf_htonl(0xffff), ops->local_ip4}};

	if (ops->family != AF_INET) {
		address.word[0] = ops->local_ip6[0];
		address.word[1] = ops->local_ip6[1];
		address.word[2] = ops->local_ip6[2];
		address.word[3] = ops->local_ip6[3];
	}
	return address_has(&address, LB_DECAP_VIP);
}

/* The server id in the segment that has come; 0: none. */
static __always_inline __u32 received_id(struct bpf_sock_ops *ops)
{
	struct server_id_option option = {.kind = LB_TCP_SERVER_ID};

	if (bpf_load_hdr_opt(ops, &option, sizeof(option), 0) != sizeof(option))
		return 0;
	return option.server_id;
}

/* Makes the connection write this id into so many segments. */
static __always_inline void write_id(struct bpf_sock_ops *ops, __u32 server_id, __u32 segments)
{
	struct connection fresh = {.server_id = server_id, .left = segments};
	struct bpf_sock *sk = ops->sk;
	struct connection *connection;

	if (!sk)
		return;
	connection = bpf_sk_storage_get(&connections, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
	if (!connection)
		return;
	*connection = fresh;
	call_for(ops, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG, 1);
}

/* The id to write into the segment that is made; 0: none. `take`: it counts as written. */
static __always_inline __u32 id_to_write(struct bpf_sock_ops *ops, int take)
{
	struct bpf_sock *sk = ops->sk;
	struct connection *connection;

	if ((ops->skb_tcp_flags & TCP_SYN_ACK) == TCP_SYN_ACK)
		return config.server_id && is_to_vip(ops) ? config.server_id : 0;
	if (!ops->is_fullsock || !sk)
		return 0;
	connection = bpf_sk_storage_get(&connections, sk, 0, 0);
	if (!connection || !connection->left)
		return 0;
	if (take && connection->left != ~0U && !--connection->left)
		call_for(ops, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG, 0);
	return connection->server_id;
}

static __always_inline void write_option(struct bpf_sock_ops *ops)
{
	struct server_id_option option = {.kind = LB_TCP_SERVER_ID, .length = sizeof(option)};

	option.server_id = id_to_write(ops, 1);
	if (!option.server_id)
		return;
	if (!bpf_store_hdr_opt(ops, &option, sizeof(option), 0) &&
	    option.server_id == config.server_id)
		count(LB_SERVER_ID_COUNT_OFFERED);
}

/* A client has opened a connection to us: does it repeat our id already? */
static __always_inline void accepted(struct bpf_sock_ops *ops)
{
	__u32 id;

	call_for(ops, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG, 0); /* as inherited from the listener */
	if (!config.server_id || !is_to_vip(ops))
		return;
	id = received_id(ops);
	if (id == config.server_id) {
		count(LB_SERVER_ID_COUNT_REPEATED);
		return;
	}
	write_id(ops, config.server_id, OFFERS);
	call_for(ops, BPF_SOCK_OPS_PARSE_UNKNOWN_HDR_OPT_CB_FLAG, 1);
}

/* An option that the kernel does not know has come. */
static __always_inline void received(struct bpf_sock_ops *ops)
{
	__u32 id = received_id(ops);
	struct bpf_sock *sk = ops->sk;
	struct connection *connection;

	if (!id || !sk)
		return;
	connection = bpf_sk_storage_get(&connections, sk, 0, 0);
	if (!connection) { /* we are the client, and hear of it late */
		if (!config.echo)
			return;
		write_id(ops, id, ~0U);
		count(LB_SERVER_ID_COUNT_LEARNED);
	} else if (connection->left == ~0U) {
		connection->server_id = id;
	} else if (id == connection->server_id) {
		connection->left = 0;
		call_for(ops,
			 BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG |
				 BPF_SOCK_OPS_PARSE_UNKNOWN_HDR_OPT_CB_FLAG,
			 0);
		count(LB_SERVER_ID_COUNT_REPEATED);
	} else {
		count(LB_SERVER_ID_COUNT_WRONG);
	}
}

/* The server has accepted our connection. */
static __always_inline void connected(struct bpf_sock_ops *ops)
{
	__u32 id;

	if (!config.echo)
		return;
	call_for(ops, BPF_SOCK_OPS_PARSE_UNKNOWN_HDR_OPT_CB_FLAG, 1);
	id = received_id(ops);
	if (!id)
		return;
	write_id(ops, id, ~0U);
	count(LB_SERVER_ID_COUNT_LEARNED);
}

SEC("sockops")
int real_server_id(struct bpf_sock_ops *ops)
{
	switch (ops->op) {
	case BPF_SOCK_OPS_TCP_LISTEN_CB:
		if (config.server_id)
			call_for(ops, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG, 1);
		break;
	case BPF_SOCK_OPS_HDR_OPT_LEN_CB:
		if (id_to_write(ops, 0))
			bpf_reserve_hdr_opt(ops, sizeof(struct server_id_option), 0);
		break;
	case BPF_SOCK_OPS_WRITE_HDR_OPT_CB:
		write_option(ops);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		accepted(ops);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		connected(ops);
		break;
	case BPF_SOCK_OPS_PARSE_HDR_OPT_CB:
		received(ops);
		break;
	}
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
