/* What the files of udp/ share. */
#ifndef TG_UDP_IMPL_H
#define TG_UDP_IMPL_H

#include "core/dgram.h"
#include "udp/udp.h"

struct udp_sock {
	struct dsock d;
	struct hnode by_port; /* in ports, while bound */
	struct hnode by_flow; /* in addrs while bound and not connected, in peers while connected */
	struct ip_path path;  /* to path_dst */
	struct tg_ip path_dst;
	uint32_t src_generation; /* of the path for which src_asked came to be src_found */
	struct tg_ip src_asked, src_found;
	uint16_t segment; /* TG_UDP_SEGMENT */
	bool gro;         /* TG_UDP_GRO */
	bool addr_chosen; /* by the user: stays when the socket is disconnected; port likewise */
	bool port_chosen;
};

struct udp_state {
	struct sipkey key;
	struct htab ports; /* every bound socket, by local port: for conflicts */
	struct htab addrs; /* unconnected ones, by local port */
	struct htab peers; /* connected ones, by both addresses and ports */
	uint32_t orphans;
};

static inline struct udp_sock *udp_of(struct endpoint *e)
{
	return container_of(e, struct udp_sock, d.e);
}

/* udp_table.c */
/* Puts u into the tables under d.local (port not 0) and, if connected, d.peer. False: no memory, u
 * is in none. */
bool udp_attach(struct tg *s, struct udp_sock *u);
/* Takes u out of the tables; harmless if its port is 0. */
void udp_detach(struct tg *s, struct udp_sock *u);
/* May u bind to a? False: another socket has it. */
bool udp_port_free(const struct tg *s, const struct udp_sock *u, const struct tg_addr *a);
/* An ephemeral port for u at ip, 0 if all are taken. */
uint16_t udp_pick_port(struct tg *s, const struct tg_ip *ip);
/* The socket for a datagram from peer to local: connected to it first, then bound to the address,
 * then to any. */
struct udp_sock *udp_find(
	const struct tg *s, const struct tg_addr *local, const struct tg_addr *peer);
/* All sockets that a broadcast or multicast from peer to local concerns, one at a time: *it is zero
 * to begin with. NULL: done. */
struct udp_group_iter {
	struct hnode *node;
	unsigned stage;
};
struct udp_sock *udp_find_next(const struct tg *s, const struct tg_addr *local,
	const struct tg_addr *peer, struct udp_group_iter *it);

/* udp_in.c */
void udp_input(struct tg *s, struct tg_pkt *p, const struct ip_info *i);
bool udp_error(struct tg *s, const struct ip_error *e);
/* A socket connected to p's sender. */
bool udp_claims(struct tg *s, const struct tg_pkt *p, const struct ip_info *i);
/* udp_out.c */
enum tx_result udp_turn(struct tg *s, struct sender *x, uint32_t budget_bytes);
/* Sends what has been put together so far, if anything. -TG_EMSGSIZE, -TG_EINVAL: it cannot go in
 * such pieces, and has been dropped. */
int udp_uncork(struct tg *s, struct udp_sock *u);
/* udp.c */
/* Gives an unbound u an ephemeral port. 0, -TG_EADDRNOTAVAIL (used up), -TG_ENOMEM. */
int udp_autobind(struct tg *s, struct udp_sock *u);
/* Frees u, which is in no table. */
void udp_free(struct tg *s, struct udp_sock *u);

#endif
