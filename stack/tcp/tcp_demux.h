/* Which connection, listener and port a segment belongs to, and the numbers keyed by its 4-tuple:
 * tcp_demux.c. Part of tcp.h, which includes it. */
#ifndef TG_TCP_DEMUX_H
#define TG_TCP_DEMUX_H

#include "base/seq.h"
#include "ip/ip.h"
#include "wire/tcp_wire.h"

struct tcp_conn;
struct tcp_port;

/* A 4-tuple as a segment has it, and its hash. */
struct tcp_flow {
	struct tg_ip src, dst;
	uint16_t src_port, dst_port;
	uint32_t hash;
};

uint32_t tcp_tuple_hash(const struct tg *s, const struct tg_ip *laddr, uint16_t lport,
	const struct tg_ip *raddr, uint16_t rport);
/* The same for a segment that has come: often of the one before, and known then. */
uint32_t tcp_flow_hash(struct tg *s, const struct ip_info *i, const struct tcp_seg *g);
struct tcp_conn *tcp_find_conn(const struct tg *s, const struct tg_ip *laddr, uint16_t lport,
	const struct tg_ip *raddr, uint16_t rport, uint32_t hash);
/* hash: of the 4-tuple, spreads connections over listeners with TG_SO_REUSEPORT. */
struct tcp_conn *tcp_pick_listener(
	const struct tg *s, const struct tg_ip *laddr, uint16_t lport, uint32_t hash);
/* The first of them. */
static inline struct tcp_conn *tcp_find_listener(
	const struct tg *s, const struct tg_ip *laddr, uint16_t lport)
{
	return tcp_pick_listener(s, laddr, lport, 0);
}
/* An entry in TIME-WAIT that an active OPEN may end does not count. */
bool tcp_claims(struct tg *s, const struct tg_pkt *p, const struct ip_info *i);
bool tcp_tuple_in_use(struct tg *s, const struct tg_ip *laddr, uint16_t lport,
	const struct tg_ip *raddr, uint16_t rport);
/* hash: tcp_tuple_hash of its 4-tuple. */
bool tcp_hash_conn(struct tg *s, struct tcp_conn *c, uint32_t hash);
void tcp_unhash_conn(struct tg *s, struct tcp_conn *c);
struct tcp_port *tcp_port_get(struct tg *s, uint16_t port); /* made if need be; NULL: no memory */
struct tcp_port *tcp_port_find(const struct tg *s, uint16_t port);
void tcp_port_put(struct tg *s, struct tcp_port *p);
bool tcp_ports_init(struct tg *s);
int tcp_choose_port(
	struct tg *s, struct tcp_conn *c); /* [6056] for a connection with raddr set, or a bind */
struct seq tcp_isn(const struct tg *s, const struct tg_ip *laddr, uint16_t lport,
	const struct tg_ip *raddr, uint16_t rport);
uint32_t tcp_ts_offset(const struct tg *s, const struct tg_ip *laddr, uint16_t lport,
	const struct tg_ip *raddr, uint16_t rport);

#endif
