/* Raw sockets: see raw.h. Reading gives each datagram from its IP header on, reassembled; writing
 * adds the header (RFC 791) in front of what the application wrote, whose checksums are the
 * application's. With TG_IP_HDRINCL (always, of protocol 255) what is written begins with a header:
 * its addresses, TTL, TOS, protocol and DF are taken; identification and checksum are ours.
 *
 * ICMP errors about datagrams of its protocol are told to a connected socket if they are fatal, and
 * to one with TG_IP_RECVERR, connected or not [1122-C3], as on Linux.
 *
 * Left out: options and fragments in written headers, sources that are not ours. */
#include "raw/raw.h"

#include "core/dgram.h"
#include "wire/ip4.h"

struct raw_sock {
	struct dsock d;
	struct list node; /* on raw_state.socks */
	struct ip_path path;
	struct tg_ip path_dst;
	bool hdrincl;
};

#define RAW_PROTO_ANY 255u /* only sends */
#define RAW_DF        0x100u

struct raw_state {
	struct list socks; /* open ones, oldest first */
	uint32_t orphans;
};

static struct raw_sock *raw_of(struct endpoint *e)
{
	return container_of(e, struct raw_sock, d.e);
}

static void raw_free(struct tg *s, struct raw_sock *r)
{
	list_del(&r->node);
	dsock_fini(s, &r->d);
	core_free(s, r, sizeof(*r));
}

/* ---- Receiving ---- */

static bool concerns(const struct raw_sock *r, const struct ip_info *i)
{
	const struct dsock *d = &r->d;

	return d->e.proto == i->proto && d->e.proto != RAW_PROTO_ANY &&
	       (ip_is_any(&d->local.ip) || ip_equal(&d->local.ip, &i->dst)) &&
	       (!d->connected || ip_equal(&d->peer.ip, &i->src));
}

bool raw_input(struct tg *s, const struct tg_pkt *p, const struct ip_info *i)
{
	struct tg_dgram info;
	bool concerned = false;

	if (list_empty(&s->raw->socks))
		return false;
	memset(&info, 0, sizeof(info));
	info.peer.ip = i->src;
	info.local = i->dst;
	info.netif = i->netif;
	info.ttl = i->ttl;
	info.tos = i->tos;
	info.broadcast = i->group;
	info.bytes = (uint32_t)(p->data + p->len - p->net);
	list_for_each (l, &s->raw->socks) {
		struct raw_sock *r = list_entry(l, struct raw_sock, node);
		enum dsock_push done;

		if (!concerns(r, i))
			continue;
		done = dsock_receive(s, &r->d, p->net, &info, NULL);
		concerned = true;
		/* The frame itself gets its verdict elsewhere: only this copy of it is lost. */
		if (done != DSOCK_TAKEN)
			pkt_discard(s, NULL,
				done == DSOCK_FULL ? TG_DROP_RAW_QUEUE_FULL : TG_DROP_NO_MEMORY);
	}
	return concerned;
}

/* ---- Errors ---- */

static bool sent_it(const struct raw_sock *r, const struct ip_error *e)
{
	const struct dsock *d = &r->d;

	return d->e.proto == e->proto &&
	       (ip_is_any(&d->local.ip) || ip_equal(&d->local.ip, &e->local)) &&
	       (!d->connected || ip_equal(&d->peer.ip, &e->remote));
}

/* Tells r, unless it is not connected and has not asked. */
static void tell(struct tg *s, struct raw_sock *r, const struct ip_error *e)
{
	struct dsock *d = &r->d;
	struct tg_addr peer = {e->remote, 0};
	bool fatal = e->error == TG_EMSGSIZE ? d->pmtu != TG_PMTU_DONT : e->fatal;

	/* [1191 6.1] the path, for all that goes there */
	if (e->error == TG_EMSGSIZE && d->pmtu < TG_PMTU_INTERFACE)
		ip_set_pmtu(s, &e->remote, e->mtu);
	if (!d->recverr && (!d->connected || !fatal))
		return;
	if (d->recverr && r->hdrincl)
		dsock_queue_error(s, d, e, &peer, e->datagram, e->datagram_bytes);
	else if (d->recverr)
		dsock_queue_error(s, d, e, &peer, e->quote, e->quote_bytes);
	dsock_set_error(s, d, e->error);
}

/* True: some socket may have sent what is quoted. */
static bool raw_error(struct tg *s, const struct ip_error *e)
{
	bool known = false;

	list_for_each (l, &s->raw->socks) {
		struct raw_sock *r = list_entry(l, struct raw_sock, node);

		if (!sent_it(r, e))
			continue;
		known = true;
		tell(s, r, e);
	}
	return known;
}

/* ---- Sending ---- */

static struct ip_path *path_to(struct raw_sock *r, const struct tg_ip *dst)
{
	if (!ip_equal(&r->path_dst, dst)) {
		memset(&r->path, 0, sizeof(r->path));
		r->path_dst = *dst;
	}
	return &r->path;
}

/* It is not for what leaves through an interface of the user's choice: for that, none. */
static struct ip_path *path_for(
	struct raw_sock *r, const struct tg_dgram *info, struct ip_path *none)
{
	return info->via ? none : path_to(r, &info->peer.ip);
}

static int address_datagram(
	struct tg *s, struct raw_sock *r, const struct tg_dgram *to, struct tg_dgram *info)
{
	struct ip_path none = {0};
	struct dsock *d = &r->d;

	memset(info, 0, sizeof(*info));
	if (to && !ip_is_any(&to->peer.ip))
		info->peer.ip = to->peer.ip;
	else if (d->connected)
		info->peer.ip = d->peer.ip;
	else
		return -TG_EDESTADDRREQ;
	dsock_choose(d, to, ip_is_multicast(&info->peer.ip), info);
	if (to && !ip_is_any(&to->local))
		info->local = to->local;
	else if (ip_is_ours(s, &d->local.ip))
		info->local = d->local.ip;
	if (info->via > s->n_netifs)
		return -TG_ENETUNREACH;
	return ip_resolve(s, &info->peer.ip, &info->local, ip_netif_of(info->via), d->broadcast,
		path_for(r, info, &none));
}

/* The header that the application wrote: what it says goes into info, peer.port gets the protocol
 * and RAW_DF. Bytes of the header, or a negative errno. */
static int take_header(
	struct tg *s, struct raw_sock *r, const void *data, size_t n, struct tg_dgram *info)
{
	struct ip_path none = {0};
	struct ip4_hdr h;

	if (n > IP4_MAX_BYTES)
		return -TG_EMSGSIZE;
	if (n < IP4_HDR_BYTES || !ip4_parse_quoted(data, (uint32_t)n, &h) ||
		h.hdr_bytes != IP4_HDR_BYTES || h.frag_off || h.mf)
		return -TG_EINVAL;
	if (h.src)
		info->local = tg_ip4_of(h.src);
	info->peer.ip = tg_ip4_of(h.dst);
	info->peer.port = (uint16_t)(h.proto | (h.df ? RAW_DF : 0));
	info->ttl = h.ttl;
	info->tos = h.tos;
	return ip_resolve(s, &info->peer.ip, &info->local, ip_netif_of(info->via), r->d.broadcast,
		path_for(r, info, &none));
}

int64_t raw_sendto(struct tg *s, struct endpoint *e, const void *data, size_t n, unsigned flags,
	const struct tg_dgram *to)
{
	struct raw_sock *r = raw_of(e);
	struct tg_dgram info;
	size_t skip = 0, most;
	int err = dsock_may_send(s, &r->d, flags & ~TG_MSG_MORE);

	if (err < 0)
		return err;
	err = address_datagram(s, r, to, &info);
	if (err < 0)
		return err;
	info.peer.port = r->d.e.proto;
	if (r->hdrincl) {
		err = take_header(s, r, data, n, &info);
		if (err < 0)
			return err;
		skip = IP4_HDR_BYTES;
	} else {
		most = IP4_MAX_BYTES - ip_header_bytes(&info.peer.ip);
		if (n > most || !ip_fits(s, &info.peer.ip, path_to(r, &info.peer.ip), r->d.pmtu, n))
			return -TG_EMSGSIZE;
		if (flags & TG_MSG_MORE && !n && !r->d.corked)
			return 0; /* as Linux: begins nothing, unlike of UDP */
		if (flags & TG_MSG_MORE || r->d.corked) {
			/* As Linux: it goes where its last piece was sent to. */
			if (r->d.corked)
				r->d.corked->info.peer = info.peer;
			err = dsock_cork(
				s, &r->d, data, n, most, &info, (flags & TG_MSG_MORE) != 0);
			return err < 0 ? err : (int64_t)n;
		}
	}
	info.bytes = (uint32_t)(n - skip);
	err = dsock_send(s, &r->d, (const uint8_t *)data + skip, &info);
	return err < 0 ? err : (int64_t)n;
}

static enum tx_result emit(struct tg *s, struct dsock *d, const struct dgram *m, struct tx *t)
{
	struct raw_sock *r = raw_of(&d->e);
	struct ip_flow f;

	if (m->info.bytes)
		tx_add_body(t, m->data, m->info.bytes);
	memset(&f, 0, sizeof(f));
	f.src = m->info.local;
	f.dst = m->info.peer.ip;
	f.path = path_for(r, &m->info, NULL);
	f.netif = ip_netif_of(m->info.via);
	f.loop = d->mc_loop || !ip_is_multicast(&f.dst);
	f.stay = m->info.ttl == 0 || m->info.via == IP_VIA_LOOPBACK;
	f.waiter = d->connected && ip_equal(&f.dst, &d->peer.ip) ? &d->x : NULL;
	f.proto = (uint8_t)m->info.peer.port;
	if (r->hdrincl)
		f.df = (m->info.peer.port & RAW_DF) != 0;
	else
		ip_flow_discover(&f, d->pmtu);
	f.ttl = m->info.ttl;
	f.tos = m->info.tos;
	f.bcast = true; /* the call that queued it has checked */
	return ip_output(s, t, &f);
}

static enum tx_result raw_turn(struct tg *s, struct sender *x, uint32_t budget_bytes)
{
	struct raw_sock *r = container_of(x, struct raw_sock, d.x);
	enum tx_result result = dsock_turn(s, &r->d, budget_bytes, emit);

	if (r->d.orphan && !r->d.tx.head) {
		s->raw->orphans--;
		raw_free(s, r);
		return TX_OK;
	}
	return result;
}

/* ---- The user's side ---- */

int raw_init(struct tg *s)
{
	s->raw = core_alloc(s, sizeof(*s->raw));
	if (!s->raw)
		return -TG_ENOMEM;
	list_init(&s->raw->socks);
	s->raw_input = raw_input;
	s->raw_error = raw_error;
	s->sender_fn[SENDER_RAW] = raw_turn;
	return 0;
}

struct endpoint *raw_open(struct tg *s, uint8_t proto, uint64_t cookie)
{
	struct raw_sock *r = core_alloc(s, sizeof(*r));

	if (!r)
		return NULL;
	dsock_init(s, &r->d, TG_RAW, SENDER_RAW, proto, cookie);
	r->d.reuse = true; /* as Linux */
	r->hdrincl = proto == RAW_PROTO_ANY;
	list_push_back(&s->raw->socks, &r->node);
	return &r->d.e;
}

int raw_bind(struct tg *s, struct endpoint *e, const struct tg_addr *a)
{
	if (!ip_is_any(&a->ip) && !ip_is_ours(s, &a->ip) && !ip_is_broadcast(s, &a->ip, 0) &&
		!ip_is_multicast(&a->ip))
		return -TG_EADDRNOTAVAIL;
	raw_of(e)->d.local.ip = a->ip;
	return 0;
}

int raw_connect(struct tg *s, struct endpoint *e, const struct tg_addr *peer)
{
	struct raw_sock *r = raw_of(e);
	struct tg_ip src = {{0}};
	int err;

	if (ip_is_any(&peer->ip)) {
		r->d.connected = false;
		memset(&r->d.peer, 0, sizeof(r->d.peer));
		return 0;
	}
	err = ip_resolve(s, &peer->ip, &src, 0, r->d.broadcast, path_to(r, &peer->ip));
	if (err < 0)
		return err;
	r->d.peer.ip = peer->ip;
	r->d.connected = true;
	return 0;
}

int64_t raw_recvfrom(struct tg *s, struct endpoint *e, void *data, size_t n, unsigned flags,
	struct tg_dgram *from)
{
	return dsock_recvfrom(s, &raw_of(e)->d, data, n, flags, from);
}

int raw_shutdown(struct tg *s, struct endpoint *e, int how)
{
	return dsock_shutdown(s, &raw_of(e)->d, how);
}

void raw_close(struct tg *s, struct endpoint *e)
{
	struct raw_sock *r = raw_of(e);

	if (!r->d.tx.head || s->raw->orphans >= DSOCK_ORPHANS) {
		raw_free(s, r);
		return;
	}
	list_del(&r->node);
	dgram_clear(s, &r->d.rx);
	r->d.orphan = true;
	s->raw->orphans++;
}

void raw_abort(struct tg *s, struct endpoint *e)
{
	raw_free(s, raw_of(e));
}

int raw_setopt(struct tg *s, struct endpoint *e, enum tg_option opt, int64_t v)
{
	if (opt == TG_IP_HDRINCL) {
		raw_of(e)->hdrincl = v != 0;
		return 0;
	}
	return dsock_setopt(s, &raw_of(e)->d, opt, v);
}

int raw_getopt(struct tg *s, struct endpoint *e, enum tg_option opt, int64_t *v)
{
	if (opt == TG_IP_MTU) {
		if (!raw_of(e)->d.connected)
			return -TG_ENOTCONN;
		*v = ip_mtu(s, &raw_of(e)->d.peer.ip, path_to(raw_of(e), &raw_of(e)->d.peer.ip));
		return 0;
	}
	if (opt == TG_IP_HDRINCL) {
		*v = raw_of(e)->hdrincl;
		return 0;
	}
	return dsock_getopt(&raw_of(e)->d, opt, v);
}

void raw_addrs(
	const struct tg *s, const struct endpoint *e, struct tg_addr *local, struct tg_addr *peer)
{
	const struct dsock *d = (const struct dsock *)(const void *)e;

	(void)s;
	*local = d->local;
	*peer = d->peer;
}

void raw_row(const struct tg *s, const struct endpoint *e, struct tg_sock_row *out)
{
	(void)s;
	dsock_row((const struct dsock *)(const void *)e, out);
}
