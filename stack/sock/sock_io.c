/* The functions of tapglass.h that move bytes: streams go to tcp/, datagrams to udp/ and raw/. */
#include "sock/sock_impl.h"

static int64_t dgram_send(struct tg *s, struct endpoint *e, const void *data, size_t n,
	unsigned flags, const struct tg_dgram *to)
{
	if (e->type == TG_DGRAM)
		return udp_sendto(s, e, data, n, flags, to);
	return raw_sendto(s, e, data, n, flags, to);
}

static int64_t dgram_recv(struct tg *s, struct endpoint *e, void *data, size_t n, unsigned flags,
	struct tg_dgram *from)
{
	if (e->type == TG_DGRAM)
		return udp_recvfrom(s, e, data, n, flags, from);
	return raw_recvfrom(s, e, data, n, flags, from);
}

int64_t sock_sendto(struct tg *s, tg_sock k, const void *data, size_t n, unsigned flags,
	const struct tg_dgram *to, uint64_t now_ns)
{
	int err;
	struct endpoint *e = sock_find(s, k, &err);
	int64_t r;

	core_enter(s, now_ns);
	if (!e)
		return err;
	if (!data && n > 0)
		return -TG_EFAULT;
	/* A stream has its peer already: an address is ignored, as by Linux. */
	if (e->type == TG_STREAM)
		r = tcp_user_send(s, e, data, n, flags);
	else
		r = dgram_send(s, e, data, n, flags, to);
	sock_trace(s, e, TG_CALL_SEND, r);
	return r;
}

/* The sender of a stream's bytes is its peer. */
static void stream_from(
	const struct tg *s, const struct endpoint *e, int64_t bytes, struct tg_dgram *from)
{
	struct tg_addr local;

	memset(from, 0, sizeof(*from));
	tcp_user_addrs(s, e, &local, &from->peer);
	from->local = local.ip;
	from->bytes = bytes > 0 ? (uint32_t)bytes : 0;
}

int64_t sock_recvfrom(struct tg *s, tg_sock k, void *data, size_t n, unsigned flags,
	struct tg_dgram *from, uint64_t now_ns)
{
	int err;
	struct endpoint *e = sock_find(s, k, &err);
	int64_t r;

	core_enter(s, now_ns);
	if (!e)
		return err;
	if (!data && n > 0)
		return -TG_EFAULT;
	if (e->type != TG_STREAM) {
		r = dgram_recv(s, e, data, n, flags, from);
	} else {
		r = tcp_user_recv(s, e, data, n, flags);
		if (from)
			stream_from(s, e, r, from);
	}
	sock_trace(s, e, TG_CALL_RECEIVE, r);
	return r;
}

/* ---- In place ---- */

/* The stream behind k; NULL: *err says why not. */
static struct endpoint *stream_find(struct tg *s, tg_sock k, int *err)
{
	struct endpoint *e = sock_find(s, k, err);

	if (!e || e->type == TG_STREAM)
		return e;
	*err = -TG_EOPNOTSUPP;
	return NULL;
}

int sock_reserve(struct tg *s, tg_sock k, size_t want, struct tg_mspan out[2])
{
	int err;
	struct endpoint *e = stream_find(s, k, &err);

	return e ? tcp_user_reserve(s, e, want, out) : err;
}

int sock_commit(struct tg *s, tg_sock k, size_t n, unsigned flags, uint64_t now_ns)
{
	int r;
	struct endpoint *e = stream_find(s, k, &r);

	core_enter(s, now_ns);
	if (!e)
		return r;
	r = tcp_user_commit(s, e, n, flags);
	sock_trace(s, e, TG_CALL_SEND, r < 0 ? r : (int64_t)n);
	return r;
}

int sock_peek(struct tg *s, tg_sock k, struct tg_span *out, unsigned max)
{
	int err;
	struct endpoint *e = stream_find(s, k, &err);

	return e ? tcp_user_peek(s, e, out, max) : err;
}

int sock_consume(struct tg *s, tg_sock k, size_t n, uint64_t now_ns)
{
	int r;
	struct endpoint *e = stream_find(s, k, &r);

	core_enter(s, now_ns);
	if (!e)
		return r;
	r = tcp_user_consume(s, e, n);
	sock_trace(s, e, TG_CALL_RECEIVE, r < 0 ? r : (int64_t)n);
	return r;
}
