/* The packet-script engine: calls that read and write. What is written is zero bytes, what is read
 * is not looked at. */
#include "sim/drill_call.h"

static const void *zeros(struct act *a, size_t n)
{
	memset(a->d->payload, 0, n);
	return a->d->payload;
}

CALL(read)
{
	size_t n = drill_bytes_arg(a, 2);

	return a->bad ? 0 : bsd_read(&a->d->bsd, drill_fd_arg(a, 0), a->d->payload, n);
}

CALL(recv)
{
	size_t n = drill_bytes_arg(a, 2);

	return a->bad ? 0
		      : bsd_recv(&a->d->bsd, drill_fd_arg(a, 0), a->d->payload, n,
				drill_int_arg(a, 3));
}

CALL(recvfrom)
{
	size_t n = drill_bytes_arg(a, 2);
	struct tg_addr from = {0}, want;
	int64_t r;

	if (a->bad)
		return 0;
	r = bsd_recvfrom(
		&a->d->bsd, drill_fd_arg(a, 0), a->d->payload, n, drill_int_arg(a, 3), &from);
	if (r < 0 || a->arg[4]->kind != EXPR_STRUCT)
		return r;
	want = drill_addr_arg(a, a->arg[4], 0, 0);
	if (!a->bad && want.port != from.port)
		drill_wrong_value(a, "port", want.port, from.port);
	else if (!a->bad && tg_ip4_value(&want.ip) != tg_ip4_value(&from.ip))
		drill_wrong_value(a, "address", tg_ip4_value(&want.ip), tg_ip4_value(&from.ip));
	return r;
}

CALL(write)
{
	size_t n = drill_bytes_arg(a, 2);

	return a->bad ? 0 : bsd_write(&a->d->bsd, drill_fd_arg(a, 0), zeros(a, n), n);
}

CALL(send)
{
	size_t n = drill_bytes_arg(a, 2);

	return a->bad ? 0
		      : bsd_send(&a->d->bsd, drill_fd_arg(a, 0), zeros(a, n), n,
				drill_int_arg(a, 3));
}

CALL(sendto)
{
	struct tg_addr to = drill_addr_arg(a, a->arg[4], a->d->o.remote_ip, a->d->o.connect_port);
	size_t n = drill_bytes_arg(a, 2);

	return a->bad ? 0
		      : bsd_sendto(&a->d->bsd, drill_fd_arg(a, 0), zeros(a, n), n,
				drill_int_arg(a, 3), &to);
}

/* ---- Several pieces -------------------------------------------------------------------------- */

unsigned drill_iov_arg(struct act *a, const struct expr *x, struct bsd_iov *out, unsigned cap)
{
	size_t used = 0;
	unsigned n = 0;

	if (x->kind != EXPR_LIST)
		drill_bad_arg(a, x, "[{..., N}, ...] is expected here");
	for (const struct expr *v = x->first; v && !a->bad; v = v->next) {
		const struct expr *base = v->first, *len = base ? base->next : NULL;
		int64_t bytes;

		if (v->kind != EXPR_STRUCT || !len || len->next || base->kind != EXPR_ANY) {
			drill_bad_arg(a, v, "{..., N} is expected here");
			break;
		}
		bytes = drill_number(a, len);
		if (bytes < 0 || bytes > (int64_t)(DRILL_BYTES_MAX - used))
			drill_bad_arg(a, len, "at most 65536 bytes at a time");
		else if (n == cap)
			drill_bad_arg(a, v, "at most 64 pieces");
		else
			out[n++] = (struct bsd_iov){a->d->payload + used, (size_t)bytes};
		used += a->bad ? 0 : (size_t)bytes;
	}
	return a->bad ? 0 : n;
}

static bool msg_of(struct act *a, struct bsd_msg *m, struct bsd_iov *iov)
{
	*m = (struct bsd_msg){.iov = iov,
		.bounce = a->d->bounce,
		.bounce_bytes = DRILL_BYTES_MAX,
		.n_iov = drill_iov_arg(a, a->arg[1], iov, DRILL_IOV_MAX)};
	if (!a->bad && drill_int_arg(a, 2) != (int)m->n_iov)
		drill_bad_arg(a, a->arg[2], "so many pieces are not given");
	return !a->bad;
}

CALL(readv)
{
	struct bsd_iov iov[DRILL_IOV_MAX];
	struct bsd_msg m;

	return msg_of(a, &m, iov) ? bsd_recvmsg(&a->d->bsd, drill_fd_arg(a, 0), &m, 0) : 0;
}

CALL(writev)
{
	struct bsd_iov iov[DRILL_IOV_MAX];
	struct bsd_msg m;

	zeros(a, DRILL_BYTES_MAX);
	return msg_of(a, &m, iov) ? bsd_sendmsg(&a->d->bsd, drill_fd_arg(a, 0), &m, 0) : 0;
}
