/* IPv4 datagrams out: path, header, fragments, link header.
 *
 * RFC 791 2.3 and 3.2 (fragmentation), RFC 1122 3.2.1.7 (never TTL 0), 3.3.3 (fragmenting what the
 * transport did not fit), 2.3.2.2 (what waits for an address), RFC 6864 4 (identification), RFC
 * 1112 6.1 (what we send to a group we receive as well) and 6.4 (link address of a group), RFC 894.
 * Left out: IP options on sending. */
#include "core/gso.h"
#include "ip/ip_private.h"
#include "wire/patch.h"
#include "wire/udp.h"

/* One datagram on its way: the header as a template, and where it goes. */
struct out {
	struct ip4_hdr h;
	struct netif *n;
	struct neigh *nb; /* NULL: none needed */
	uint32_t mtu;
	uint16_t path_flags;
};

static enum tg_drop discard_reason(int error)
{
	switch (error) {
	case TG_EHOSTUNREACH: return TG_DROP_ARP_UNRESOLVED;
	case TG_EMSGSIZE: return TG_DROP_IP_TOO_BIG;
	case TG_ENOBUFS: return TG_DROP_ARP_CACHE_FULL;
	default: return TG_DROP_IP_NO_ROUTE;
	}
}

/* Counts what will not be sent and returns the negative error. */
static int out_refuse(struct tg *s, int error)
{
	if (error == TG_ENETUNREACH)
		s->counters.ip_out_no_routes++;
	pkt_discard(s, NULL, discard_reason(error));
	return -error;
}

/* n identifications, the first of which is returned. */
static uint16_t next_ids(struct tg *s, const struct ip4_hdr *h, uint32_t n)
{
	uint32_t key[3] = {h->src, h->dst, h->proto};
	uint64_t hash = siphash(&s->ip->id_key, key, sizeof(key));
	uint16_t *counter = &s->ip->id[hash % IP_ID_COUNTERS];
	uint16_t id = (uint16_t)(*counter + (hash >> 32));
	uint32_t part = 65536u / s->cfg.share.count;

	/* Instances that share an address have a part each of the identifications. */
	if (part < 65536u) {
		if (n > part || *counter > part - n)
			*counter = 0;
		id = (uint16_t)(s->cfg.share.index * part + *counter);
	}

	/* [6864 4.3] a counter per source, destination and protocol (some share one): no
	 * repetition before all 65,536 are used; which one comes next is not for others to know */
	*counter = (uint16_t)(*counter + n);
	return id;
}

/* Path and header of t. 0 or a positive errno. */
static int out_begin(struct tg *s, struct out *o, const struct tx *t, const struct ip_flow *f)
{
	struct ip_path none = {0}, *path = f->path ? f->path : &none;
	uint32_t src = tg_ip4_value(&f->src), dst = tg_ip4_value(&f->dst);
	uint32_t l4_bytes = t->head_bytes + t->body_bytes;
	uint32_t largest = t->gso_size ? t->head_bytes + t->gso_size : l4_bytes, most;

	if (!ip_is_v4(&f->src) || !ip_is_v4(&f->dst))
		return TG_EINVAL;
	if (path->generation != s->ip->generation || !src) {
		int r = ip4_resolve(s, dst, &src, f->netif, f->bcast, path);

		if (r < 0)
			return -r;
	}
	if ((path->flags & IP_PATH_BCAST) && !f->bcast)
		return TG_EACCES;
	o->n = &s->netif[path->netif];
	o->nb = path->neigh == IP_NEIGH_NONE ? NULL : s->ip->neigh[path->neigh];
	o->mtu = f->link_mtu ? min_u32(o->n->c.mtu, IP4_MAX_BYTES) : path->mtu;
	o->path_flags = path->flags;
	o->h = (struct ip4_hdr){.src = src,
		.dst = dst,
		.hdr_bytes = IP4_HDR_BYTES,
		.tos = f->tos,
		/* [1122-I7] [1122 3.2.1.7] never 0 */
		.ttl = f->ttl ? f->ttl : s->cfg.ip.default_ttl,
		.proto = f->proto,
		.df = f->df && (f->link_mtu || !(path->flags & IP_PATH_NO_DF))};
	if (!o->h.ttl)
		o->h.ttl = 1;
	most = t->gso == TG_GSO_TCP4 ? ip_frame_most(s, path) : IP4_MAX_BYTES;
	if (l4_bytes > most - IP4_HDR_BYTES)
		return TG_EMSGSIZE;
	if (largest <= o->mtu - IP4_HDR_BYTES)
		return 0;
	/* [1191 3] [1122-G4] too big, and nobody may cut it */
	if (t->gso_size || (o->h.df && !f->cut))
		return TG_EMSGSIZE;
	o->h.df = false;
	return 0;
}

void ip_flow_discover(struct ip_flow *f, uint8_t pmtu)
{
	f->df = pmtu == TG_PMTU_WANT || pmtu == TG_PMTU_DO || pmtu == TG_PMTU_PROBE;
	f->cut = pmtu == TG_PMTU_WANT;
	f->link_mtu = pmtu >= TG_PMTU_PROBE;
}

/* [6864 4.1] an atomic datagram needs no identification. */
static void out_set_id(struct tg *s, struct out *o, const struct tx *t)
{
	uint32_t n = t->gso_size ? (t->body_bytes + t->gso_size - 1) / t->gso_size : 1;

	o->h.id = o->h.df ? 0 : next_ids(s, &o->h, max_u32(n, 1));
}

/* The transport's checksum: the pseudo-header's sum for the device to go on from, or all of it. t
 * holds nothing but the transport's part yet. */
static void out_csum(struct tg *s, const struct out *o, struct tx *t, bool complete)
{
	uint8_t *l4 = t->head + t->l4_off;

	if (!t->csum)
		return;
	csum_field_set(l4 + t->csum_offset, csum_fold(ip4_pseudo_sum(o->h.src, o->h.dst, o->h.proto,
						    t->head_bytes + t->body_bytes)));
	if (!complete)
		return;
	l4_finish_csum(s->csum, l4, t->head_bytes, t->csum_offset, t->body, t->n_body);
	t->csum = false;
}

static void out_ip_header(struct out *o, struct tx *t)
{
	uint32_t total = IP4_HDR_BYTES + t->head_bytes + t->body_bytes;

	/* [TG_CAP_BIG4] what cannot be said is 0 */
	o->h.total_bytes = total > IP4_MAX_BYTES ? 0 : (uint16_t)total;
	ip4_emit(tx_prepend(t, IP4_HDR_BYTES), &o->h);
}

static const uint8_t *out_link_dst(const struct out *o, uint8_t group[6])
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	/* [1112 6.4] 01-00-5e and the low 23 bits */
	const uint8_t mac[6] = {0x01, 0x00, 0x5e, (uint8_t)(o->h.dst >> 16 & 0x7f),
		(uint8_t)(o->h.dst >> 8), (uint8_t)o->h.dst};

	if (o->nb)
		return o->nb->mac;
	if (!(o->path_flags & IP_PATH_MCAST))
		return broadcast; /* [1122-G6] */
	memcpy(group, mac, 6);
	return group;
}

static void out_link_header(const struct out *o, struct tx *t)
{
	uint8_t group[6];

	if (o->n->c.link != TG_LINK_ETHERNET)
		return;
	eth_emit(tx_prepend(t, ETH_HDR_BYTES), out_link_dst(o, group), o->n->c.mac, ETH_TYPE_IP4);
}

/* A packet with t's bytes, `headroom` free bytes in front. NULL: counted. */
static struct tg_pkt *tx_copy(struct tg *s, const struct tx *t, uint32_t headroom)
{
	struct tg_pkt *p = pkt_alloc(s, headroom + t->head_bytes + t->body_bytes);
	uint8_t *b;

	if (!p) {
		pkt_discard(s, NULL, TG_DROP_NO_MEMORY);
		return NULL;
	}
	p->data += headroom;
	b = p->data;
	memcpy(b, t->head + t->off, t->head_bytes);
	b += t->head_bytes;
	for (uint32_t i = 0; i < t->n_body; i++) {
		if (t->body[i].len)
			memcpy(b, t->body[i].base, t->body[i].len);
		b += t->body[i].len;
	}
	p->len = t->head_bytes + t->body_bytes;
	return p;
}

/* Sends one packet that is complete from the link header on, or queues a copy. */
static enum tx_result out_frame(struct tg *s, const struct out *o, struct tx *t, bool queue)
{
	struct tg_pkt *p;

	if (!queue)
		return netif_transmit(s, o->n, t);
	p = tx_copy(s, t, 0);
	if (!p || !netif_queue(s, o->n, p)) {
		t->error = TG_ENOBUFS;
		return TX_DROPPED;
	}
	t->accepted = t->body_bytes;
	return TX_OK;
}

/* x: bytes [off, off + len) of t, transport header and body. */
static void tx_slice(struct tx *x, const struct tx *t, uint32_t off, uint32_t len)
{
	uint32_t head = off < t->head_bytes ? min_u32(len, t->head_bytes - off) : 0;

	tx_init(x);
	if (head)
		memcpy(x->head + x->off, t->head + t->off + off, head);
	x->head_bytes = (uint16_t)head;
	x->body_bytes = len - head;
	if (x->body_bytes)
		x->n_body = span_cut(
			t->body, t->n_body, off + head - t->head_bytes, x->body_bytes, x->body);
}

/* [791 2.3] [1122-G4] cuts t to the MTU. A device that becomes busy after the first piece gets the
 * others from its queue of control frames. */
static enum tx_result out_fragments(struct tg *s, struct out *o, struct tx *t, bool queue)
{
	uint32_t total = t->head_bytes + t->body_bytes;
	uint32_t most = (o->mtu - IP4_HDR_BYTES) & ~7u, off = 0;
	enum tx_result r = TX_OK;
	bool direct = !queue;

	out_csum(s, o, t, true);
	while (off < total && r == TX_OK) {
		uint32_t n = min_u32(most, total - off);
		struct tx x;

		tx_slice(&x, t, off, n);
		o->h.frag_off = (uint16_t)off;
		o->h.mf = off + n < total;
		out_ip_header(o, &x);
		out_link_header(o, &x);
		r = out_frame(s, o, &x, queue);
		if (r == TX_BUSY && off) {
			queue = true;
			r = out_frame(s, o, &x, true);
		}
		t->error = x.error;
		if (r != TX_OK)
			break;
		s->counters.ip_out_frag_creates++;
		off += n;
	}
	if (off == total)
		s->counters.ip_out_frag_oks++;
	/* Pieces that the queue refused are lost as on the wire, and counted there. */
	if (off && direct)
		r = TX_OK;
	t->accepted = r == TX_OK ? t->body_bytes : 0;
	return r;
}

/* Into ip_output by copy: after a system call every return is slow. */
static inline __attribute__((always_inline)) enum tx_result out_send(
	struct tg *s, struct out *o, struct tx *t, bool queue)
{
	enum tx_result r;

	out_set_id(s, o, t);
	if (!t->gso_size && t->head_bytes + t->body_bytes > o->mtu - IP4_HDR_BYTES) {
		r = out_fragments(s, o, t, queue);
	} else {
		out_csum(s, o, t, queue);
		out_ip_header(o, t);
		out_link_header(o, t);
		r = out_frame(s, o, t, queue);
	}
	if (r == TX_OK)
		s->counters.ip_out_requests++;
	return r;
}

/* Keeps a copy of t until o->nb is known. */
static enum tx_result out_hold(struct tg *s, struct out *o, struct tx *t)
{
	uint32_t body_bytes = t->body_bytes;
	struct tg_pkt *p;

	ASSERT(t->gso != TG_GSO_TCP4);
	out_set_id(s, o, t);
	out_csum(s, o, t, !t->gso_size);
	out_ip_header(o, t);
	p = tx_copy(s, t, ETH_HDR_BYTES);
	if (!p) {
		t->error = TG_ENOBUFS;
		return TX_DROPPED;
	}
	p->gso = t->gso;
	p->gso_size = t->gso_size;
	neigh_hold(s, o->nb, p);
	s->counters.ip_out_requests++;
	t->accepted = body_bytes;
	return TX_OK;
}

/* Is the next hop's address known? TX_OK: yes; TX_WAIT; TX_DROPPED: t->error says why. */
static enum tx_result out_ready(struct tg *s, const struct out *o, struct tx *t)
{
	enum neigh_use u = o->nb ? neigh_use(s, o->nb) : NEIGH_READY;

	if (u == NEIGH_READY)
		return TX_OK;
	if (u == NEIGH_WAIT)
		return TX_WAIT;
	t->error = -out_refuse(s, TG_EHOSTUNREACH);
	return TX_DROPPED;
}

/* [1112 6.1] [1122 3.3.6] Our own sockets receive the first `bytes` of t: what has gone of it. */
static void out_loop(struct tg *s, struct out *o, struct tx *t, uint32_t bytes)
{
	struct tg_pkt *p;

	if (bytes < t->body_bytes) { /* the device became busy between two pieces */
		t->n_body = span_cut(t->body, t->n_body, 0, bytes, t->body);
		t->body_bytes = bytes;
		udp_set_bytes(t->head + t->l4_off, (uint16_t)(t->head_bytes + bytes));
	}
	out_csum(s, o, t, true);
	out_ip_header(o, t);
	p = tx_copy(s, t, 0);
	if (!p)
		return;
	p->gso = t->gso;
	p->gso_size = t->gso_size;
	netif_queue(s, &s->netif[0], p);
}

static enum tx_result out_group(struct tg *s, struct out *o, struct tx *t, const struct ip_flow *f)
{
	bool stays = f->stay && (o->path_flags & IP_PATH_MCAST);
	bool loops = f->loop && (o->path_flags & (IP_PATH_BCAST | IP_PATH_MCAST));
	enum tx_result r = TX_OK;
	struct out loop_o;
	struct tx loop_t;

	if (loops) { /* sending makes them a frame */
		loop_o = *o;
		loop_t = *t;
	}
	if (stays)
		t->accepted = t->body_bytes;
	else
		r = out_send(s, o, t, false);
	if (loops && r == TX_OK)
		out_loop(s, &loop_o, &loop_t, t->accepted);
	return r;
}

enum tx_result ip_output(struct tg *s, struct tx *t, const struct ip_flow *f)
{
	struct out o;
	int error = out_begin(s, &o, t, f);
	enum tx_result r;

	if (error) {
		t->error = -out_refuse(s, error);
		return TX_DROPPED;
	}
	r = out_ready(s, &o, t);
	if (r == TX_WAIT && !f->waiter)
		return out_hold(s, &o, t);
	if (r == TX_WAIT)
		neigh_park(o.nb, f->waiter);
	return r == TX_OK ? out_group(s, &o, t, f) : r;
}

int ip_send(struct tg *s, struct tx *t, const struct ip_flow *f)
{
	struct out o;
	int error = out_begin(s, &o, t, f);
	enum tx_result r;

	ASSERT(!t->gso_size);
	if (error)
		return out_refuse(s, error);
	r = out_ready(s, &o, t);
	if (r == TX_OK)
		r = out_send(s, &o, t, true);
	else if (r == TX_WAIT)
		r = out_hold(s, &o, t);
	return r == TX_OK ? 0 : -t->error;
}

static void send_held_one(struct tg *s, struct neigh *nb, struct tg_pkt *p)
{
	struct out o = {.n = &s->netif[nb->netif], .nb = nb};
	enum tg_drop why = ip4_parse(p->data, p->len, &o.h);
	bool no_df;
	struct tx t;

	ASSERT(why == TG_DROP_NONE);
	o.mtu = pmtu_get(s, o.h.dst, o.n->c.mtu, &no_df);
	if (p->len > o.mtu && o.h.df && !no_df) {
		pkt_discard(s, p, TG_DROP_IP_TOO_BIG);
		return;
	}
	if (p->len <= o.mtu) {
		p->data -= ETH_HDR_BYTES;
		p->len += ETH_HDR_BYTES;
		eth_emit(p->data, nb->mac, o.n->c.mac, ETH_TYPE_IP4);
		netif_queue(s, o.n, p);
		return;
	}
	tx_init(&t);
	tx_add_body(&t, p->data + IP4_HDR_BYTES, p->len - IP4_HDR_BYTES);
	o.h.df = false;
	out_fragments(s, &o, &t, true);
	tg_pkt_free(s, p);
}

/* Piece i of a super-frame that was held. NULL: counted. */
static struct tg_pkt *held_piece(struct tg *s, const struct gso_super *g, uint32_t i)
{
	uint32_t bytes = min_u32(g->gso_size, g->body_bytes - i * g->gso_size);
	struct tg_pkt *p = pkt_alloc(s, ETH_HDR_BYTES + g->head_bytes + bytes);
	struct tg_span body;

	if (!p) {
		pkt_discard(s, NULL, TG_DROP_NO_MEMORY);
		return NULL;
	}
	p->data += ETH_HDR_BYTES;
	p->len = g->head_bytes + bytes;
	gso_segment(g, i, p->data, &body);
	memcpy(p->data + g->head_bytes, body.base, bytes);
	l4_finish_csum(
		s->csum, p->data + g->l4_off, g->head_bytes - g->l4_off, g->csum_offset, &body, 1);
	return p;
}

static void send_held_super(struct tg *s, struct neigh *nb, const struct tg_pkt *p)
{
	const uint32_t head_bytes = IP4_HDR_BYTES + UDP_HDR_BYTES;
	const struct tg_span body = {p->data + head_bytes, p->len - head_bytes};
	const struct gso_super g = {.head = p->data,
		.head_bytes = head_bytes,
		.l4_off = IP4_HDR_BYTES,
		.csum_offset = UDP_CSUM_OFFSET,
		.body = &body,
		.n_body = 1,
		.body_bytes = body.len,
		.gso_size = p->gso_size,
		.gso = p->gso};

	for (uint32_t i = 0; i < gso_count(&g); i++) {
		struct tg_pkt *piece = held_piece(s, &g, i);

		if (piece)
			send_held_one(s, nb, piece);
	}
}

void ip4_send_held(struct tg *s, struct neigh *nb, struct tg_pkt *p)
{
	if (!p->gso_size) {
		send_held_one(s, nb, p);
		return;
	}
	send_held_super(s, nb, p);
	tg_pkt_free(s, p);
}
