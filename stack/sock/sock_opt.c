/* Options, addresses and STATUS (RFC 9293 3.10.6) of sockets, and readiness levels. */
#include "sock/sock_impl.h"

#include "core/dgram.h"

int sock_setopt(struct tg *s, tg_sock k, enum tg_option opt, int64_t value, uint64_t now_ns)
{
	int err;
	struct endpoint *e = sock_find(s, k, &err);

	core_enter(s, now_ns);
	if (!e)
		return err;
	if (opt == TG_TCP_USER_COOKIE) {
		e->cookie = (uint64_t)value;
		return 0;
	}
	if (opt == TG_SO_EVENT_EACH) {
		e->each = value != 0;
		return 0;
	}
	/* Only to be read, of every type. */
	if (opt == TG_SO_ERROR || opt == TG_SO_TYPE || opt == TG_SO_ACCEPTCONN ||
		opt == TG_SO_INQ || opt == TG_SO_OUTQ || opt == TG_SO_ATMARK ||
		opt == TG_SO_BOUND || opt == TG_IP_MTU)
		return -TG_ENOPROTOOPT;
	switch ((enum tg_type)e->type) {
	case TG_STREAM: return tcp_user_setopt(s, e, opt, value);
	case TG_DGRAM: return udp_setopt(s, e, opt, value);
	case TG_RAW: return raw_setopt(s, e, opt, value);
	}
	return -TG_ENOPROTOOPT;
}

static unsigned endpoint_level(const struct tg *s, const struct endpoint *e)
{
	return e->type == TG_STREAM ? tcp_user_level(s, e) : e->level;
}

int sock_getopt(struct tg *s, tg_sock k, enum tg_option opt, int64_t *value)
{
	int err;
	struct endpoint *e = sock_find(s, k, &err);

	if (!e)
		return err;
	if (!value)
		return -TG_EFAULT;
	if (opt == TG_SO_ERROR && e->type != TG_STREAM) {
		/* The error is gone by being told. */
		*value = -dsock_take_error(s, container_of(e, struct dsock, e));
		return 0;
	}
	if (opt == TG_SO_TYPE) {
		*value = e->type;
		return 0;
	}
	if ((opt == TG_SO_ATMARK || opt == TG_SO_BOUND) && e->type != TG_STREAM) {
		*value = 0;
		return 0;
	}
	if (opt == TG_TCP_USER_COOKIE) {
		*value = (int64_t)e->cookie;
		return 0;
	}
	if (opt == TG_SO_EVENT_EACH) {
		*value = e->each;
		return 0;
	}
	switch ((enum tg_type)e->type) {
	case TG_STREAM: return tcp_user_getopt(s, e, opt, value);
	case TG_DGRAM: return udp_getopt(s, e, opt, value);
	case TG_RAW: return raw_getopt(s, e, opt, value);
	}
	return -TG_ENOPROTOOPT;
}

int sock_take_error(struct tg *s, tg_sock k)
{
	const struct endpoint *e = handle_find(s, k);
	int64_t v = 0;

	if (e && e->error)
		tg_sock_getopt(s, k, TG_SO_ERROR, &v);
	return -(int)v;
}

static void put_error(struct tg *s, tg_sock k, int error)
{
	struct endpoint *e = handle_find(s, k);

	if (!e)
		return;
	e->error = (int16_t)error;
	endpoint_set_level(s, e, endpoint_level(s, e) | TG_ERR);
}

/* A call of a user's, though not of tapglass.h: recorded as those are. */
void sock_put_error(struct tg *s, tg_sock k, int error)
{
	const struct tg_record r = {
		.type = TG_RECORD_PUT_ERROR, .n_words = 2, .word = {k, (uint64_t)(int64_t)error}};

	put_error(s, k, error);
	record_call(s, &r);
}

static void endpoint_addrs(
	const struct tg *s, const struct endpoint *e, struct tg_addr *local, struct tg_addr *peer)
{
	memset(local, 0, sizeof(*local));
	memset(peer, 0, sizeof(*peer));
	switch ((enum tg_type)e->type) {
	case TG_STREAM: tcp_user_addrs(s, e, local, peer); break;
	case TG_DGRAM: udp_addrs(s, e, local, peer); break;
	case TG_RAW: raw_addrs(s, e, local, peer); break;
	}
}

int tg_sock_peer_addr(const struct tg *s, tg_sock k, struct tg_addr *out)
{
	const struct endpoint *e = handle_find(s, k);
	struct tg_addr local;

	if (!e)
		return -TG_EBADF;
	endpoint_addrs(s, e, &local, out);
	return ip_is_any(&out->ip) ? -TG_ENOTCONN : 0;
}

int tg_sock_local_addr(const struct tg *s, tg_sock k, struct tg_addr *out)
{
	const struct endpoint *e = handle_find(s, k);
	struct tg_addr peer;

	if (!e)
		return -TG_EBADF;
	endpoint_addrs(s, e, out, &peer);
	return 0;
}

int tg_tcp_status(const struct tg *s, tg_sock k, struct tg_tcp_info *out)
{
	const struct endpoint *e = handle_find(s, k);

	if (!e)
		return -TG_EBADF;
	return e->type == TG_STREAM ? tcp_user_status(s, e, out) : -TG_EOPNOTSUPP;
}

unsigned tg_sock_ready(const struct tg *s, tg_sock k)
{
	const struct endpoint *e = handle_find(s, k);

	return e ? endpoint_level(s, e) : TG_ERR | TG_HUP;
}
