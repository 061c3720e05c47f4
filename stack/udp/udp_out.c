/* Sending UDP datagrams: RFC 768, RFC 1122 4.1.
 *
 * The checksum is always sent [1122 4.1.3.4]. Datagrams larger than the path's MTU are fragmented
 * here, others have DF set, unless the user wants it otherwise (enum tg_pmtu) [1191 3, 8085 3.2].
 * What is to go as several datagrams (TG_UDP_SEGMENT) stays one down to the device, or to core/gso.
 * Left out: sending IP options (RFC 1122 4.1.3.2). */
#include "udp/udp_impl.h"

#include "wire/ip4.h"
#include "wire/patch.h"
#include "wire/udp.h"

/* The path remembered is that of the last destination. */
static struct ip_path *path_to(struct udp_sock *u, const struct tg_ip *dst)
{
	if (!ip_equal(&u->path_dst, dst)) {
		memset(&u->path, 0, sizeof(u->path));
		u->path_dst = *dst;
		u->src_generation = 0;
	}
	return &u->path;
}

/* It is not for what leaves through an interface of the user's choice: for that, none. */
static struct ip_path *path_for(
	struct udp_sock *u, const struct tg_dgram *info, struct ip_path *none)
{
	return info->via ? none : path_to(u, &info->peer.ip);
}

/* Completes info's source address. What is sent to the same peer again goes the same way. */
static int find_way(struct tg *s, struct udp_sock *u, struct tg_dgram *info)
{
	struct tg_ip from = info->local;
	struct ip_path none = {0};
	int r;

	if (info->via)
		return ip_resolve(s, &info->peer.ip, &info->local, ip_netif_of(info->via),
			u->d.broadcast, &none);
	if (ip_path_stands(s, path_to(u, &info->peer.ip), u->d.broadcast) &&
		u->src_generation == u->path.generation && ip_equal(&u->src_asked, &from)) {
		info->local = u->src_found;
		return 0;
	}
	r = ip_resolve(s, &info->peer.ip, &info->local, 0, u->d.broadcast, &u->path);
	u->src_generation = r == 0 ? u->path.generation : 0;
	u->src_asked = from;
	u->src_found = info->local;
	return r;
}

/* Everything about where a datagram goes and comes from. */
static int address_datagram(
	struct tg *s, struct udp_sock *u, const struct tg_dgram *to, struct tg_dgram *info)
{
	struct dsock *d = &u->d;

	memset(info, 0, sizeof(*info));
	if (to && !ip_is_any(&to->peer.ip))
		info->peer = to->peer;
	else if (d->connected)
		info->peer = d->peer;
	else
		return -TG_EDESTADDRREQ;
	if (info->peer.port == 0)
		return -TG_EINVAL;
	info->segment = to && to->segment ? to->segment : u->segment;
	if (info->segment > UINT16_MAX)
		return -TG_EINVAL;
	if (info->segment < 0)
		info->segment = 0;
	/* [1122-U7] [1122 4.1.4] TTL and TOS as the application wants them */
	dsock_choose(d, to, ip_is_multicast(&info->peer.ip), info);
	/* [1122-U5] [1122 4.1.3.5] the application may choose the source address */
	if (to && !ip_is_any(&to->local))
		info->local = to->local;
	else if (ip_is_ours(s, &d->local.ip)) /* not of a socket bound to a broadcast address */
		info->local = d->local.ip;
	if (info->via > s->n_netifs)
		return -TG_ENETUNREACH;
	return find_way(s, u, info);
}

/* What a datagram to dst may hold, whatever the path. */
static size_t most_to(const struct tg_ip *dst)
{
	return IP4_MAX_BYTES - ip_header_bytes(dst) - UDP_HDR_BYTES;
}

/* May n bytes go in pieces as info says? As Linux: none of them may need to be fragmented, by the
 * path's MTU, or the interface's if the user wants to hear of no other. */
static int may_cut(struct tg *s, struct udp_sock *u, const struct tg_dgram *info, size_t n)
{
	uint32_t seg = (uint32_t)info->segment;
	uint8_t pmtu = u->d.pmtu < TG_PMTU_PROBE ? TG_PMTU_DO : TG_PMTU_PROBE;
	struct ip_path none = {0};

	if (!ip_fits(s, &info->peer.ip, path_for(u, info, &none), pmtu,
		    UDP_HDR_BYTES + min_u64(n, seg)))
		return -TG_EMSGSIZE;
	return n > (size_t)seg * TG_UDP_PIECES ? -TG_EINVAL : 0;
}

static int may_send_bytes(struct tg *s, struct udp_sock *u, const struct tg_dgram *info, size_t n)
{
	if (n > most_to(&info->peer.ip))
		return -TG_EMSGSIZE;
	if (info->segment)
		return may_cut(s, u, info, n);
	return ip_fits(s, &info->peer.ip, path_to(u, &info->peer.ip), u->d.pmtu, UDP_HDR_BYTES + n)
		       ? 0
		       : -TG_EMSGSIZE;
}

int udp_uncork(struct tg *s, struct udp_sock *u)
{
	const struct dgram *m = u->d.corked;
	int r = m && m->info.segment ? may_cut(s, u, &m->info, m->info.bytes) : 0;

	if (r < 0)
		dsock_cork_drop(s, &u->d);
	else
		dsock_uncork(s, &u->d);
	return r;
}

/* Adds to what is put together; info: begins it. As Linux: only when all of it is there is it
 * looked at whether it may be cut into such pieces. */
static int cork(struct tg *s, struct udp_sock *u, const void *data, size_t n,
	const struct tg_dgram *info, bool more)
{
	const struct tg_dgram *what = info ? info : &u->d.corked->info;
	int r = dsock_cork(s, &u->d, data, n, most_to(&what->peer.ip), info, true);

	return r < 0 || more ? r : udp_uncork(s, u);
}

int64_t udp_sendto(struct tg *s, struct endpoint *e, const void *data, size_t n, unsigned flags,
	const struct tg_dgram *to)
{
	struct udp_sock *u = udp_of(e);
	bool more = (flags & TG_MSG_MORE) != 0 || u->d.cork;
	struct tg_dgram info;
	int r = dsock_may_send(s, &u->d, flags & ~TG_MSG_MORE);

	if (r < 0)
		return r;
	/* As Linux: what goes on goes where it was begun to go. */
	if (u->d.corked) {
		r = cork(s, u, data, n, NULL, more);
		return r < 0 ? r : (int64_t)n;
	}
	r = udp_autobind(s, u); /* as Linux: whatever comes of the rest */
	if (r < 0)
		return r;
	r = address_datagram(s, u, to, &info);
	if (r < 0)
		return r;
	if (!more || !info.segment) {
		r = may_send_bytes(s, u, &info, n);
		if (r < 0)
			return r;
	}
	info.bytes = (uint32_t)n;
	r = more ? cork(s, u, data, n, &info, true) : dsock_send(s, &u->d, data, &info);
	return r < 0 ? r : (int64_t)n;
}

/* The datagrams that t's device took of m have gone: `bytes` of them. */
static void count_out(struct tg *s, const struct dsock *d, const struct dgram *m, uint32_t bytes)
{
	uint32_t n = dgram_pieces(bytes, (uint32_t)m->info.segment);
	struct tg_trace *t = trace_add(s, TG_TRACE_UDP);

	s->counters.udp_out_datagrams += n;
	if (!t)
		return;
	t->b = 1;
	t->lport = d->local.port;
	t->rport = m->info.peer.port;
	t->len = bytes;
	t->aux = n > 1 ? (uint32_t)m->info.segment : 0;
	memcpy(t->raddr, m->info.peer.ip.b, sizeof(t->raddr));
}

static enum tx_result emit(struct tg *s, struct dsock *d, const struct dgram *m, struct tx *t)
{
	struct udp_sock *u = udp_of(&d->e);
	struct udp_hdr h = {
		d->local.port, m->info.peer.port, (uint16_t)(UDP_HDR_BYTES + m->info.bytes), 0};
	struct ip_flow f;
	enum tx_result r;

	udp_emit(tx_prepend(t, UDP_HDR_BYTES), &h);
	t->l4_off = t->off;
	t->csum = true; /* [1122-U4] */
	t->csum_offset = UDP_CSUM_OFFSET;
	if (m->info.bytes)
		tx_add_body(t, m->data, m->info.bytes);
	if (dgram_pieces(m->info.bytes, (uint32_t)m->info.segment) > 1) {
		t->gso = TG_GSO_UDP4;
		t->gso_size = (uint16_t)m->info.segment;
	}
	memset(&f, 0, sizeof(f));
	f.src = m->info.local;
	f.dst = m->info.peer.ip;
	f.path = path_for(u, &m->info, NULL);
	f.netif = ip_netif_of(m->info.via);
	f.loop = d->mc_loop || !ip_is_multicast(&f.dst);
	f.stay = m->info.ttl == 0 || m->info.via == IP_VIA_LOOPBACK;
	/* One silent neighbour holds up the datagrams to it alone. */
	f.waiter = d->connected && ip_equal(&f.dst, &d->peer.ip) ? &d->x : NULL;
	f.proto = IP_PROTO_UDP;
	f.ttl = m->info.ttl;
	f.tos = m->info.tos;
	ip_flow_discover(&f, d->pmtu);
	f.bcast = true; /* the call that queued it has checked */
	r = ip_output(s, t, &f);
	if (r == TX_OK)
		count_out(s, d, m, t->accepted);
	return r;
}

enum tx_result udp_turn(struct tg *s, struct sender *x, uint32_t budget_bytes)
{
	struct udp_sock *u = container_of(x, struct udp_sock, d.x);
	enum tx_result r = dsock_turn(s, &u->d, budget_bytes, emit);

	if (u->d.orphan && !u->d.tx.head) {
		s->udp->orphans--;
		udp_free(s, u);
		return TX_OK;
	}
	return r;
}
