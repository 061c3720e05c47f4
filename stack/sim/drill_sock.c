/* The packet-script engine: calls that make, join and end sockets. */
#include "sim/drill_call.h"

/* ---- Addresses ------------------------------------------------------------------------------- */

/* "192.0.2.1" */
static uint32_t ip_text(struct act *a, const struct expr *x)
{
	char buf[20];
	struct tg_ip ip;

	if (x->kind == EXPR_STRING && x->text_bytes < sizeof(buf)) {
		memcpy(buf, x->text, x->text_bytes);
		buf[x->text_bytes] = 0;
		if (tg_ip_parse(buf, &ip))
			return tg_ip4_value(&ip);
	}
	drill_bad_arg(a, x, "an IPv4 address is expected here");
	return 0;
}

/* inet_addr("192.0.2.1"), INADDR_ANY, htonl(...) */
static uint32_t member_ip(struct act *a, const struct expr *x)
{
	const struct expr *m = drill_member(x, "sin_addr", 2);

	if (!m) {
		drill_bad_arg(a, x, "sin_addr is missing");
		return 0;
	}
	if (m->kind == EXPR_CALL && word_is(m->text, m->text_bytes, "inet_addr") && m->first)
		return ip_text(a, m->first);
	if (m->kind == EXPR_STRING)
		return ip_text(a, m);
	return (uint32_t)drill_number(a, m);
}

struct tg_addr drill_addr_arg(struct act *a, const struct expr *x, uint32_t ip, uint16_t port)
{
	static const char *const names[] = {"sa_family", "sin_family", "sin_port", "sin_addr"};

	if (x->kind == EXPR_STRUCT) {
		const struct expr *family = drill_member(x, "sa_family", 0);

		drill_only(a, x, names, ARRAY_LEN(names));
		if (family && (family->kind != EXPR_INT || family->value != BSD_AF_INET))
			drill_bad_arg(a, family, "the family of an address is AF_INET");
		port = (uint16_t)drill_member_int(a, x, "sin_port", 1);
		ip = member_ip(a, x);
	} else if (x->kind != EXPR_ANY) {
		drill_bad_arg(
			a, x, "an address is '...' or {sa_family=..., sin_port=..., sin_addr=...}");
	}
	if (!ip)
		return (struct tg_addr){.port = port};
	return (struct tg_addr){tg_ip4_of(ip), port};
}

/* Does a call tell the address that the script has? */
static void check_addr(struct act *a, const struct expr *x, const struct tg_addr *got)
{
	struct tg_addr want;

	if (x->kind == EXPR_ANY || a->bad)
		return;
	want = drill_addr_arg(a, x, 0, 0);
	if (!a->bad && want.port != got->port)
		drill_wrong_value(a, "port", want.port, got->port);
	else if (!a->bad && tg_ip4_value(&want.ip) != tg_ip4_value(&got->ip))
		drill_wrong_value(a, "address", tg_ip4_value(&want.ip), tg_ip4_value(&got->ip));
}

/* ---- The calls ------------------------------------------------------------------------------- */

CALL(socket)
{
	int domain = a->arg[0]->kind == EXPR_ANY ? BSD_AF_INET : drill_int_arg(a, 0);

	return bsd_socket(&a->d->bsd, domain, drill_int_arg(a, 1), drill_int_arg(a, 2));
}

CALL(bind)
{
	struct tg_addr at = drill_addr_arg(a, a->arg[1], a->d->o.local_ip, a->d->o.bind_port);

	return a->bad ? 0 : bsd_bind(&a->d->bsd, drill_fd_arg(a, 0), &at);
}

CALL(listen)
{
	return bsd_listen(&a->d->bsd, drill_fd_arg(a, 0), drill_int_arg(a, 1));
}

static int64_t accept_with(struct act *a, int flags)
{
	struct tg_addr peer;
	int r;

	if (a->bad)
		return 0;
	r = bsd_accept(&a->d->bsd, drill_fd_arg(a, 0), &peer, flags);
	if (r < 0)
		return r;
	if (a->arg[1]->kind == EXPR_ANY && tg_ip4_value(&peer.ip) != a->d->o.remote_ip)
		drill_fail(a->d, a->e, "accept does not tell the peer's address");
	check_addr(a, a->arg[1], &peer);
	if (a->c->result->kind == EXPR_INT)
		a->d->last_fd = (int)a->c->result->value;
	return r;
}

CALL(accept)
{
	return accept_with(a, 0);
}

CALL(accept4)
{
	return accept_with(a, drill_int_arg(a, 3));
}

/* A connected datagram socket sends nothing by itself: its ports are the current flow from now on.
 */
static void connected_dgram(struct act *a, int fd, const struct tg_addr *to)
{
	struct drill *d = a->d;
	uint32_t len = sizeof(int32_t);
	struct tg_addr local;
	struct drill_flow *f;
	int32_t type = 0;

	bsd_getsockopt(&d->bsd, fd, BSD_SOL_SOCKET, BSD_SO_TYPE, &type, &len);
	if (type != BSD_SOCK_DGRAM || bsd_getsockname(&d->bsd, fd, &local) < 0)
		return;
	f = drill_flow(d, local.port, to->port);
	if (f)
		d->cur_flow = (uint32_t)(f - d->flows);
}

/* {sa_family=AF_UNSPEC, ...}, AF_UNSPEC: the connection is dissolved. */
static bool is_unspec(const struct expr *x)
{
	const struct expr *family = x->kind == EXPR_STRUCT ? drill_member(x, "sa_family", 0) : x;

	return family && family->kind == EXPR_INT && family->value == BSD_AF_UNSPEC;
}

CALL(connect)
{
	struct tg_addr to;
	int fd = drill_fd_arg(a, 0);
	int r;

	if (is_unspec(a->arg[1]))
		return a->bad ? 0 : bsd_connect(&a->d->bsd, fd, NULL);
	to = drill_addr_arg(a, a->arg[1], a->d->o.remote_ip, a->d->o.connect_port);
	if (a->bad)
		return 0;
	for (uint32_t i = 0; i < a->d->n_flows; i++)
		a->d->flows[i].relearn = true;
	a->d->last_fd = (int)a->arg[0]->value;
	r = bsd_connect(&a->d->bsd, fd, &to);
	if (r == 0)
		connected_dgram(a, fd, &to);
	return r;
}

CALL(shutdown)
{
	return bsd_shutdown(&a->d->bsd, drill_fd_arg(a, 0), drill_int_arg(a, 1));
}

CALL(close)
{
	int64_t r = bsd_close(&a->d->bsd, drill_fd_arg(a, 0));

	if (r >= 0)
		a->d->fd_map[a->arg[0]->value] = -1;
	return r;
}

CALL(dup)
{
	return bsd_dup(&a->d->bsd, drill_fd_arg(a, 0));
}

static int64_t name_with(struct act *a, int (*get)(struct bsd *b, int fd, struct tg_addr *at))
{
	struct tg_addr got = {0};
	int r = get(&a->d->bsd, drill_fd_arg(a, 0), &got);

	if (r >= 0)
		check_addr(a, a->arg[1], &got);
	return r;
}

CALL(getsockname)
{
	return name_with(a, bsd_getsockname);
}

CALL(getpeername)
{
	return name_with(a, bsd_getpeername);
}
