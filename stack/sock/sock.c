/* The functions of tapglass.h that make, connect and end sockets. They find the endpoint behind a
 * handle, note the time, and call the transport that it belongs to; RFC 9293 3.9.1 is served by
 * tcp/.
 *
 * Every argument is checked here or in the transport: a stale handle is -TG_EBADF, a call that the
 * type of socket does not know -TG_EOPNOTSUPP. */
#include "sock/sock_impl.h"

#include "wire/ip4.h"

struct tg *tg_create(const struct tg_config *c, void *mem, size_t reserved_bytes, uint64_t now_ns)
{
	struct tg *s = core_create(c, mem, reserved_bytes, now_ns);

	if (!s)
		return NULL;
	/* ip_init gives the loopback interface its address [1122 3.2.1.3]. */
	if (ip_init(s) < 0 || udp_init(s) < 0 || raw_init(s) < 0 || tcp_init(s) < 0)
		return NULL;
	return s;
}

/* ---- Opening ---- */

static bool protocol_known(enum tg_type type, int protocol)
{
	switch (type) {
	case TG_STREAM: return protocol == 0 || protocol == IP_PROTO_TCP;
	case TG_DGRAM: return protocol == 0 || protocol == IP_PROTO_UDP;
	case TG_RAW: return protocol >= 1 && protocol <= 255;
	}
	return false;
}

static struct endpoint *endpoint_open(
	struct tg *s, enum tg_type type, int protocol, uint64_t cookie)
{
	switch (type) {
	case TG_STREAM: return tcp_user_open(s, cookie);
	case TG_DGRAM: return udp_open(s, cookie);
	case TG_RAW: return raw_open(s, (uint8_t)protocol, cookie);
	}
	return NULL;
}

/* Ends e, whose handle is gone. */
static void endpoint_end(struct tg *s, struct endpoint *e, bool abort)
{
	switch ((enum tg_type)e->type) {
	case TG_STREAM: (abort ? tcp_user_abort : tcp_user_close)(s, e); break;
	case TG_DGRAM: (abort ? udp_abort : udp_close)(s, e); break;
	case TG_RAW: (abort ? raw_abort : raw_close)(s, e); break;
	}
}

int sock_open(struct tg *s, enum tg_type type, int protocol, uint64_t cookie, tg_sock *out)
{
	struct endpoint *e;
	int r;

	*out = 0;
	if (!protocol_known(type, protocol))
		return -TG_EPROTONOSUPPORT;
	if (s->handles.n_used >= s->cfg.max_sockets)
		return -TG_EMFILE;
	e = endpoint_open(s, type, protocol, cookie);
	if (!e)
		return -TG_ENOMEM;
	r = handle_open(s, e, out);
	if (r < 0) {
		endpoint_end(s, e, true);
		return r;
	}
	return 0;
}

struct endpoint *sock_find(struct tg *s, tg_sock k, int *err)
{
	struct endpoint *e = handle_find(s, k);

	*err = e ? -TG_ENOMEM : -TG_EBADF;
	if (e && s->many)
		tcp_ahead_user(e);
	return e && e->type == TG_STREAM ? tcp_user_awake(s, e) : e;
}

int sock_bind(struct tg *s, tg_sock k, const struct tg_addr *a)
{
	int r;
	struct endpoint *e = sock_find(s, k, &r);

	if (!e)
		return r;
	if (!a)
		return -TG_EFAULT;
	switch ((enum tg_type)e->type) {
	case TG_STREAM: return tcp_user_bind(s, e, a);
	case TG_DGRAM: return udp_bind(s, e, a);
	case TG_RAW: return raw_bind(s, e, a);
	}
	return -TG_EOPNOTSUPP;
}

int sock_listen(struct tg *s, tg_sock k, uint32_t backlog, uint64_t now_ns)
{
	int r;
	struct endpoint *e = sock_find(s, k, &r);

	core_enter(s, now_ns);
	if (!e)
		return r;
	if (e->type != TG_STREAM)
		return -TG_EOPNOTSUPP;
	r = tcp_user_listen(s, e, backlog);
	sock_trace(s, e, TG_CALL_OPEN, r);
	return r;
}

int sock_connect(struct tg *s, tg_sock k, const struct tg_addr *peer, uint64_t now_ns)
{
	int r;
	struct endpoint *e = sock_find(s, k, &r);

	core_enter(s, now_ns);
	if (!e)
		return r;
	if (!peer)
		return -TG_EFAULT;
	switch ((enum tg_type)e->type) {
	case TG_STREAM: r = tcp_user_connect(s, e, peer); break;
	case TG_DGRAM: r = udp_connect(s, e, peer); break;
	case TG_RAW: r = raw_connect(s, e, peer); break;
	default: return -TG_EOPNOTSUPP;
	}
	sock_trace(s, e, TG_CALL_OPEN, r);
	return r;
}

int sock_accept(struct tg *s, tg_sock k, uint64_t cookie, tg_sock *out, uint64_t now_ns)
{
	int r;
	struct endpoint *e = sock_find(s, k, &r), *conn;

	core_enter(s, now_ns);
	*out = 0;
	if (!e)
		return r;
	if (e->type != TG_STREAM)
		return -TG_EOPNOTSUPP;
	r = tcp_user_accept(s, e, &conn);
	if (r < 0)
		return r;
	conn->cookie = cookie;
	r = handle_open(s, conn, out);
	if (r < 0)
		tcp_user_unaccept(s, e, conn);
	return r < 0 ? r : 0;
}

/* ---- Ending ---- */

int sock_shutdown(struct tg *s, tg_sock k, int how, uint64_t now_ns)
{
	int r;
	struct endpoint *e = sock_find(s, k, &r);

	core_enter(s, now_ns);
	if (!e)
		return r;
	if (how < TG_SHUT_RD || how > TG_SHUT_RDWR)
		return -TG_EINVAL;
	switch ((enum tg_type)e->type) {
	case TG_STREAM: r = tcp_user_shutdown(s, e, how); break;
	case TG_DGRAM: r = udp_shutdown(s, e, how); break;
	case TG_RAW: r = raw_shutdown(s, e, how); break;
	default: return -TG_EOPNOTSUPP;
	}
	sock_trace(s, e, TG_CALL_SHUTDOWN, r);
	return r;
}

static int end_socket(struct tg *s, tg_sock k, enum tg_call call, uint64_t now_ns)
{
	struct endpoint *e = handle_find(s, k);

	core_enter(s, now_ns);
	if (!e)
		return -TG_EBADF;
	if (e->type == TG_STREAM) {
		struct endpoint *whole = tcp_user_awake(s, e);

		e = whole ? whole : e; /* without memory: tcp/ knows what to do */
	}
	sock_trace(s, e, call, 0);
	handle_close(s, e);
	endpoint_end(s, e, call == TG_CALL_ABORT);
	return 0;
}

int sock_close(struct tg *s, tg_sock k, uint64_t now_ns)
{
	return end_socket(s, k, TG_CALL_CLOSE, now_ns);
}

int sock_abort(struct tg *s, tg_sock k, uint64_t now_ns)
{
	return end_socket(s, k, TG_CALL_ABORT, now_ns);
}
