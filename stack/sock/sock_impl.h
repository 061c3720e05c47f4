/* What the files of sock/ share. */
#ifndef TG_SOCK_IMPL_H
#define TG_SOCK_IMPL_H

#include "core/core.h"
#include "raw/raw.h"
#include "tcp/tcp_user.h"
#include "udp/udp.h"

/* What the table of sockets says of e. */
void sock_row(const struct tg *s, const struct endpoint *e, struct tg_sock_row *out);
/* Traces a call on e: before e goes away. result: 0, a number of bytes, or negative errno;
 * -TG_EAGAIN is not traced, as nothing happened. */
void sock_trace(struct tg *s, const struct endpoint *e, enum tg_call call, int64_t result);

/* The socket behind k, the whole record of it. NULL: *err is -TG_EBADF, or -TG_ENOMEM if its
 * connection rests and cannot be woken. */
struct endpoint *sock_find(struct tg *s, tg_sock k, int *err);

/* The calls themselves, as tapglass.h describes them: boundary.c has the public functions. */
int sock_open(struct tg *s, enum tg_type type, int protocol, uint64_t cookie, tg_sock *out);
int sock_bind(struct tg *s, tg_sock k, const struct tg_addr *a);
int sock_listen(struct tg *s, tg_sock k, uint32_t backlog, uint64_t now_ns);
int sock_connect(struct tg *s, tg_sock k, const struct tg_addr *peer, uint64_t now_ns);
int sock_accept(struct tg *s, tg_sock k, uint64_t cookie, tg_sock *out, uint64_t now_ns);
int64_t sock_sendto(struct tg *s, tg_sock k, const void *data, size_t n, unsigned flags,
	const struct tg_dgram *to, uint64_t now_ns);
int64_t sock_recvfrom(struct tg *s, tg_sock k, void *data, size_t n, unsigned flags,
	struct tg_dgram *from, uint64_t now_ns);
int sock_reserve(struct tg *s, tg_sock k, size_t want, struct tg_mspan out[2]);
int sock_commit(struct tg *s, tg_sock k, size_t n, unsigned flags, uint64_t now_ns);
int sock_peek(struct tg *s, tg_sock k, struct tg_span *out, unsigned max);
int sock_consume(struct tg *s, tg_sock k, size_t n, uint64_t now_ns);
int sock_shutdown(struct tg *s, tg_sock k, int how, uint64_t now_ns);
int sock_close(struct tg *s, tg_sock k, uint64_t now_ns);
int sock_abort(struct tg *s, tg_sock k, uint64_t now_ns);
int sock_setopt(struct tg *s, tg_sock k, enum tg_option opt, int64_t value, uint64_t now_ns);
int sock_getopt(struct tg *s, tg_sock k, enum tg_option opt, int64_t *value);
/* The pending error of k: takes it (0 or negative errno), puts one there (a positive errno). */
int sock_take_error(struct tg *s, tg_sock k);
void sock_put_error(struct tg *s, tg_sock k, int error);

#endif
