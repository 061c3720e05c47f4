/* Receiving UDP datagrams: RFC 768, RFC 1122 4.1.
 *
 * Left out: the application's view of received IP options (RFC 1122 4.1.3.2): nobody asks for them.
 */
#include "udp/udp_impl.h"

#include "wire/patch.h"
#include "wire/udp.h"

/* [1122-U4] [1122 4.1.3.4] a datagram with a wrong checksum is discarded, one without is taken. */
static bool csum_good(
	struct tg *s, const struct tg_pkt *p, const struct ip_info *i, const struct udp_hdr *h)
{
	uint32_t sum = i->pseudo_sum;

	if (p->csum != TG_CSUM_UNKNOWN || h->csum == 0)
		return true;
	if (h->bytes != p->len)
		sum = ip_pseudo_sum(&i->src, &i->dst, i->proto, h->bytes);
	return csum_fold(s->csum(p->data, h->bytes, sum)) == 0xffff;
}

/* What each datagram in p holds, if the device put several together; 0: it is one. */
static uint32_t segment_of(const struct tg_pkt *p, uint32_t bytes)
{
	return p->gso == TG_GSO_UDP4 && p->gso_size < bytes ? p->gso_size : 0;
}

static void trace_in(
	struct tg *s, const struct tg_pkt *p, const struct ip_info *i, const struct udp_hdr *h)
{
	struct tg_trace *t = trace_add(s, TG_TRACE_UDP);

	if (!t)
		return;
	t->netif = i->netif;
	t->lport = h->dst_port;
	t->rport = h->src_port;
	t->len = h->bytes - UDP_HDR_BYTES;
	t->aux = segment_of(p, t->len);
	memcpy(t->raddr, i->src.b, sizeof(t->raddr));
}

/* How many datagrams found room, and why the last one did not. */
struct outcome {
	uint32_t taken, refused;
	enum tg_drop why;
};

static void note(struct outcome *o, enum dsock_push r, uint32_t datagrams)
{
	if (r == DSOCK_TAKEN) {
		o->taken += datagrams;
		return;
	}
	o->refused += datagrams;
	o->why = r == DSOCK_FULL ? TG_DROP_UDP_QUEUE_FULL : TG_DROP_NO_MEMORY;
}

/* The payload of p, in one if u wants it so, else in as many datagrams as the device put together.
 * keep: u may keep p. */
static void give(struct tg *s, struct udp_sock *u, const struct tg_pkt *p, struct tg_dgram *info,
	struct tg_pkt **keep, struct outcome *o)
{
	uint32_t segment = segment_of(p, info->bytes), all = info->bytes;

	info->segment = u->gro ? (int32_t)segment : 0;
	if (!segment || u->gro) {
		note(o, dsock_receive(s, &u->d, p->data, info, keep), dgram_pieces(all, segment));
		return;
	}
	for (uint32_t off = 0; off < all; off += segment) {
		info->bytes = min_u32(segment, all - off);
		note(o, dsock_receive(s, &u->d, p->data + off, info, NULL), 1);
	}
	info->bytes = all;
}

/* The frame's verdict, and a count for what else of it was lost. */
static void conclude(struct tg *s, struct tg_pkt *p, const struct outcome *o)
{
	uint32_t lost = o->refused;

	s->counters.udp_in_datagrams += o->taken;
	s->counters.udp_in_errors += o->refused;
	if (o->taken == 0) {
		pkt_drop(s, p, o->why);
		lost--;
	} else if (p) {
		pkt_deliver(s, p);
	} else {
		pkt_delivered(s);
	}
	while (lost-- > 0)
		pkt_discard(s, NULL, o->why);
}

static void no_port(struct tg *s, struct tg_pkt *p, const struct ip_info *i)
{
	if (ip_passes_home(s, p, i))
		return;
	s->counters.udp_no_ports++;
	/* [1122-U1] [1122 4.1.3.1] port unreachable, never for what was sent to a group */
	if (!i->group)
		ip_reject(s, p, i, IP_REJECT_PORT);
	pkt_drop(s, p, TG_DROP_UDP_NO_PORT);
}

/* To a broadcast or multicast address: every socket that matches gets its copy. */
static void to_group(struct tg *s, struct tg_pkt *p, const struct ip_info *i,
	const struct tg_addr *local, struct tg_dgram *info)
{
	struct udp_group_iter it = {NULL, 0};
	struct outcome o = {0, 0, TG_DROP_NONE};
	struct udp_sock *u = udp_find_next(s, local, &info->peer, &it);

	if (!u) {
		no_port(s, p, i);
		return;
	}
	pkt_pull(p, UDP_HDR_BYTES);
	for (; u; u = udp_find_next(s, local, &info->peer, &it))
		give(s, u, p, info, NULL, &o);
	conclude(s, p, &o);
}

static void to_one(struct tg *s, struct tg_pkt *p, const struct ip_info *i,
	const struct tg_addr *local, struct tg_dgram *info)
{
	struct udp_sock *u = udp_find(s, local, &info->peer);
	struct outcome o = {0, 0, TG_DROP_NONE};
	struct tg_pkt *keep = p;

	if (!u) {
		no_port(s, p, i);
		return;
	}
	pkt_pull(p, UDP_HDR_BYTES);
	give(s, u, p, info, &keep, &o);
	conclude(s, keep, &o);
}

void udp_input(struct tg *s, struct tg_pkt *p, const struct ip_info *i)
{
	struct udp_hdr h;
	enum tg_drop why = udp_parse(p->data, p->len, &h);
	struct tg_addr local = {i->dst, 0};
	struct tg_dgram info;

	if (why == TG_DROP_NONE && !csum_good(s, p, i, &h))
		why = TG_DROP_UDP_CSUM;
	if (why != TG_DROP_NONE) {
		s->counters.udp_in_errors++;
		pkt_drop(s, p, why);
		return;
	}
	p->len = h.bytes; /* what is longer is padding */
	trace_in(s, p, i, &h);
	local.port = h.dst_port;
	memset(&info, 0, sizeof(info));
	info.peer.ip = i->src;
	info.peer.port = h.src_port;
	info.local = i->dst; /* [1122-U5] [1122 4.1.3.5] which address it was sent to */
	info.netif = i->netif;
	info.ttl = i->ttl;
	info.tos = i->tos;
	info.bytes = h.bytes - UDP_HDR_BYTES;
	info.broadcast = i->group;
	if (i->group)
		to_group(s, p, i, &local, &info);
	else
		to_one(s, p, i, &local, &info);
}

bool udp_claims(struct tg *s, const struct tg_pkt *p, const struct ip_info *i)
{
	struct tg_addr local = {i->dst, 0}, peer = {i->src, 0};
	struct udp_sock *u;

	if (p->len < 4)
		return false;
	ports_get(p->data, &peer.port, &local.port);
	u = udp_find(s, &local, &peer);
	return u && u->d.connected;
}

/* [1122-U3] [1122 4.1.3.3] all errors are passed to the application: as the pending error of a
 * connected socket. Who is not connected could not tell which of its datagrams is meant. */
bool udp_error(struct tg *s, const struct ip_error *e)
{
	struct tg_addr local = {e->local, 0}, peer = {e->remote, 0};
	struct udp_sock *u;

	ports_get(e->quote, &local.port, &peer.port);
	u = udp_find(s, &local, &peer);
	if (!u)
		return false;
	/* [1191 6.1, 8085 3.2] the path, for all that goes there; with DF never set no router has a
	 * reason to say so */
	if (e->error == TG_EMSGSIZE) {
		if (u->d.pmtu == TG_PMTU_DONT)
			return true;
		if (u->d.pmtu < TG_PMTU_INTERFACE)
			ip_set_pmtu(s, &e->remote, e->mtu);
	}
	if (u->d.recverr && e->quote_bytes >= UDP_HDR_BYTES)
		dsock_queue_error(s, &u->d, e, &peer, e->quote + UDP_HDR_BYTES,
			e->quote_bytes - UDP_HDR_BYTES);
	if ((u->d.connected || u->d.recverr) && e->error)
		dsock_set_error(s, &u->d, e->error);
	return true;
}
