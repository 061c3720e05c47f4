/* UDP sockets as the user holds them: RFC 768, RFC 1122 4.1, with the rules of BSD sockets for
 * binding, connecting and closing. Receiving is in udp_in.c, sending in udp_out.c, finding in
 * udp_table.c.
 *
 * Left out: multicast membership. */
#include "udp/udp_impl.h"

#include "wire/ip4.h"

static const struct transport udp_transport = {IP_PROTO_UDP, udp_input, udp_error, udp_claims};

int udp_init(struct tg *s)
{
	s->udp = core_alloc(s, sizeof(*s->udp));
	if (!s->udp)
		return -TG_ENOMEM;
	s->udp->key = core_key(s, KEY_UDP);
	htab_init(&s->udp->ports);
	htab_init(&s->udp->addrs);
	htab_init(&s->udp->peers);
	s->sender_fn[SENDER_UDP] = udp_turn;
	return core_add_transport(s, &udp_transport);
}

struct endpoint *udp_open(struct tg *s, uint64_t cookie)
{
	struct udp_sock *u = core_alloc(s, sizeof(*u));

	if (!u)
		return NULL;
	dsock_init(s, &u->d, TG_DGRAM, SENDER_UDP, IP_PROTO_UDP, cookie);
	return &u->d.e;
}

void udp_free(struct tg *s, struct udp_sock *u)
{
	dsock_fini(s, &u->d);
	core_free(s, u, sizeof(*u));
}

/* Gives u new addresses and its place in the tables. Without memory u ends up neither bound nor
 * connected. */
static int move(
	struct tg *s, struct udp_sock *u, const struct tg_addr *local, const struct tg_addr *peer)
{
	static const struct tg_addr none;

	udp_detach(s, u);
	u->d.local = *local;
	u->d.connected = peer != NULL;
	u->d.peer = peer ? *peer : none;
	if (local->port == 0 || udp_attach(s, u))
		return 0;
	u->d.local = none;
	u->d.peer = none;
	u->d.connected = false;
	u->addr_chosen = false;
	u->port_chosen = false;
	return -TG_ENOMEM;
}

static bool may_bind_to(const struct tg *s, const struct tg_ip *ip)
{
	return ip_is_any(ip) || ip_is_ours(s, ip) || ip_is_broadcast(s, ip, 0) ||
	       ip_is_multicast(ip);
}

int udp_bind(struct tg *s, struct endpoint *e, const struct tg_addr *a)
{
	struct udp_sock *u = udp_of(e);
	struct tg_addr local = *a;
	int r;

	if (!may_bind_to(s, &a->ip))
		return -TG_EADDRNOTAVAIL;
	if (u->d.local.port != 0)
		return -TG_EINVAL;
	if (a->port == 0)
		local.port = udp_pick_port(s, &a->ip);
	else if (!udp_port_free(s, u, a))
		return -TG_EADDRINUSE;
	if (local.port == 0)
		return -TG_EADDRINUSE;
	r = move(s, u, &local, NULL);
	if (r < 0)
		return r;
	u->addr_chosen = !ip_is_any(&a->ip);
	u->port_chosen = true;
	return 0;
}

int udp_autobind(struct tg *s, struct udp_sock *u)
{
	struct tg_addr local = u->d.local;

	if (local.port != 0)
		return 0;
	local.port = udp_pick_port(s, &local.ip);
	return local.port ? move(s, u, &local, NULL) : -TG_EADDRNOTAVAIL;
}

static int disconnect(struct tg *s, struct udp_sock *u)
{
	struct tg_addr local = u->d.local;

	if (!u->addr_chosen)
		memset(&local.ip, 0, sizeof(local.ip));
	/* A port that was only lent for the connection goes back, as on Linux. */
	if (!u->port_chosen)
		local.port = 0;
	u->d.shut_rd = false;
	u->d.shut_wr = false;
	dsock_update_level(s, &u->d);
	return move(s, u, &local, NULL);
}

int udp_connect(struct tg *s, struct endpoint *e, const struct tg_addr *peer)
{
	struct udp_sock *u = udp_of(e);
	struct tg_addr local = {{{0}}, u->d.local.port};
	int r;

	if (ip_is_any(&peer->ip))
		return disconnect(s, u);
	if (peer->port == 0)
		return -TG_EINVAL;
	if (u->addr_chosen && ip_is_ours(s, &u->d.local.ip))
		local.ip = u->d.local.ip;
	memset(&u->path, 0, sizeof(u->path));
	u->path_dst = peer->ip;
	u->src_generation = 0;
	r = ip_resolve(s, &peer->ip, &local.ip, 0, u->d.broadcast, &u->path);
	if (r < 0)
		return r;
	if (local.port == 0)
		local.port = udp_pick_port(s, &local.ip);
	if (local.port == 0)
		return -TG_EADDRNOTAVAIL;
	return move(s, u, &local, peer);
}

int64_t udp_recvfrom(struct tg *s, struct endpoint *e, void *data, size_t n, unsigned flags,
	struct tg_dgram *from)
{
	int64_t r = dsock_recvfrom(s, &udp_of(e)->d, data, n, flags, from);

	/* As Linux: who does not want it any more is not told. */
	if (from && r >= 0 && !udp_of(e)->gro)
		from->segment = 0;
	return r;
}

int udp_shutdown(struct tg *s, struct endpoint *e, int how)
{
	return dsock_shutdown(s, &udp_of(e)->d, how);
}

void udp_close(struct tg *s, struct endpoint *e)
{
	struct udp_sock *u = udp_of(e);

	udp_detach(s, u);
	dgram_clear(s, &u->d.rx);
	if (!u->d.tx.head || s->udp->orphans >= DSOCK_ORPHANS) {
		udp_free(s, u);
		return;
	}
	u->d.orphan = true;
	s->udp->orphans++;
}

void udp_abort(struct tg *s, struct endpoint *e)
{
	udp_detach(s, udp_of(e));
	udp_free(s, udp_of(e));
}

int udp_setopt(struct tg *s, struct endpoint *e, enum tg_option opt, int64_t v)
{
	struct udp_sock *u = udp_of(e);

	switch ((int)opt) {
	case TG_UDP_CORK:
		u->d.cork = v != 0;
		if (!u->d.cork)
			udp_uncork(s, u); /* as Linux: nobody is told if it cannot go */
		return 0;
	case TG_UDP_SEGMENT:
		if (v < 0 || v > UINT16_MAX)
			return -TG_EINVAL;
		u->segment = (uint16_t)v;
		return 0;
	case TG_UDP_GRO: u->gro = v != 0; return 0;
	default: return dsock_setopt(s, &u->d, opt, v);
	}
}

int udp_getopt(struct tg *s, struct endpoint *e, enum tg_option opt, int64_t *v)
{
	struct udp_sock *u = udp_of(e);

	switch ((int)opt) {
	case TG_UDP_CORK: *v = u->d.cork; return 0;
	case TG_UDP_SEGMENT: *v = u->segment; return 0;
	case TG_UDP_GRO: *v = u->gro; return 0;
	case TG_IP_MTU: break;
	default: return dsock_getopt(&u->d, opt, v);
	}
	if (!u->d.connected)
		return -TG_ENOTCONN;
	*v = ip_mtu(s, &u->d.peer.ip, &u->path);
	return 0;
}

void udp_addrs(
	const struct tg *s, const struct endpoint *e, struct tg_addr *local, struct tg_addr *peer)
{
	const struct dsock *d = (const struct dsock *)(const void *)e;

	(void)s;
	*local = d->local;
	*peer = d->peer;
}

void udp_row(const struct tg *s, const struct endpoint *e, struct tg_sock_row *out)
{
	(void)s;
	dsock_row((const struct dsock *)(const void *)e, out);
}
