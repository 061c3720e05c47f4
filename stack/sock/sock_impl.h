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

/* The pending error of k: takes it (0 or negative errno), puts one there (a positive errno). */
int sock_take_error(struct tg *s, tg_sock k);
void sock_put_error(struct tg *s, tg_sock k, int error);

#endif
