/* TCP's user interface (RFC 9293 3.9.1, 3.10.1-3.10.6) as sock/ calls it. All results negative
 * errno. */
#ifndef TG_TCP_USER_H
#define TG_TCP_USER_H

#include "ip/ip.h"

int tcp_init(struct tg *s);
struct endpoint *tcp_user_open(struct tg *s, uint64_t cookie); /* CLOSED; NULL: no memory */
int tcp_user_bind(struct tg *s, struct endpoint *e, const struct tg_addr *a);
int tcp_user_listen(struct tg *s, struct endpoint *e, uint32_t backlog);
int tcp_user_connect(struct tg *s, struct endpoint *e, const struct tg_addr *peer);
/* The oldest established connection, without handle yet; -TG_EAGAIN, -TG_EINVAL. */
int tcp_user_accept(struct tg *s, struct endpoint *e, struct endpoint **out);
/* Puts a connection that could not get a handle back to the head of the queue. */
void tcp_user_unaccept(struct tg *s, struct endpoint *listener, struct endpoint *e);
/* e, or the whole record in its place if it rests; NULL: no memory. */
struct endpoint *tcp_user_awake(struct tg *s, struct endpoint *e);
int64_t tcp_user_send(struct tg *s, struct endpoint *e, const void *data, size_t n, unsigned flags);
int64_t tcp_user_recv(struct tg *s, struct endpoint *e, void *data, size_t n, unsigned flags);
int tcp_user_reserve(struct tg *s, struct endpoint *e, size_t want, struct tg_mspan out[2]);
int tcp_user_commit(struct tg *s, struct endpoint *e, size_t n, unsigned flags);
/* The last n bytes queued, n as just committed, as spans; returns their number. */
unsigned tcp_user_tail(
	const struct tg *s, const struct endpoint *e, size_t n, struct tg_span *out, unsigned max);
int tcp_user_peek(struct tg *s, struct endpoint *e, struct tg_span *out, unsigned max);
int tcp_user_consume(struct tg *s, struct endpoint *e, size_t n);
int tcp_user_shutdown(struct tg *s, struct endpoint *e, int how);
void tcp_user_close(struct tg *s, struct endpoint *e);
void tcp_user_abort(struct tg *s, struct endpoint *e);
int tcp_user_setopt(struct tg *s, struct endpoint *e, enum tg_option opt, int64_t v);
int tcp_user_getopt(struct tg *s, struct endpoint *e, enum tg_option opt, int64_t *v);
uint32_t tcp_user_serial(const struct endpoint *e); /* as in trace records */
/* Which connection it is, for a trace record. */
void tcp_user_trace(const struct endpoint *e, struct tg_trace *t);
void tcp_user_addrs(
	const struct tg *s, const struct endpoint *e, struct tg_addr *local, struct tg_addr *peer);
int tcp_user_status(const struct tg *s, const struct endpoint *e, struct tg_tcp_info *out);
unsigned tcp_user_level(const struct tg *s, const struct endpoint *e);
void tcp_user_row(const struct tg *s, const struct endpoint *e, struct tg_sock_row *out);
/* Half-open connections and TIME-WAIT entries, for tables: *cursor from 0. */
bool tcp_user_table(const struct tg *s, uint64_t *cursor, struct tg_sock_row *out);

/* tcp_ahead.c: what pays in an instance with `many` connections. */
#define TCP_AHEAD_MAX 64u
/* Has the processor fetch the record behind e, should it be a connection's. */
void tcp_ahead_user(const struct endpoint *e);
/* Of a segment: the 4 bytes at its header, and its addresses. */
uint32_t tcp_ahead_hash(const struct tg *s, const struct ip_info *i, const uint8_t *header);
/* Has the processor fetch what input of n segments will need, TCP_AHEAD_MAX at most. */
void tcp_ahead(const struct tg *s, const uint32_t *hash, unsigned n);

#endif
