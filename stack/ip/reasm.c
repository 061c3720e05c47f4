/* Reassembly.
 *
 * RFC 791 3.2, RFC 815 (in its effect: pieces in any order), RFC 1122 3.3.2 (datagrams up to 65,535
 * bytes; a fixed time limit from the first fragment on; time exceeded if that was fragment zero),
 * RFC 5722 (fragments that overlap void the whole datagram), RFC 8200 4.5 (exact duplicates do
 * not), RFC 3168 5.3 (congestion marks survive; beside fragments that could not have been marked
 * they void the datagram). Memory is bounded: what is held is charged by its capacity, and the
 * oldest datagram makes room. The transport gets one contiguous block of unknown checksum. */
#include "ip/ip_private.h"

#define ECN_MASK 3u
#define ECN_CE   3u
#define ECN_NONE 0u

static void reasm_trace(struct tg *s, const struct reasm *d, uint8_t what, uint32_t len)
{
	struct tg_trace *tr = trace_add(s, TG_TRACE_REASSEMBLY);
	struct tg_ip a = tg_ip4_of(d->src);

	if (!tr)
		return;
	tr->a = what;
	tr->len = len;
	tr->seq = d->id;
	memcpy(tr->raddr, a.b, sizeof(tr->raddr));
}

static uint32_t reasm_hash(const struct tg *s, const struct ip4_hdr *h)
{
	uint32_t key[3] = {h->src, h->dst, (uint32_t)h->id << 8 | h->proto};

	return (uint32_t)siphash(&s->ip->neigh_key, key, sizeof(key));
}

static struct reasm *reasm_find(const struct tg *s, const struct ip4_hdr *h)
{
	uint32_t hash = reasm_hash(s, h);

	for (struct hnode *x = htab_chain(&s->ip->reasm_tab, hash); x; x = x->next) {
		struct reasm *d = container_of(x, struct reasm, h);

		/* [791 3.2] source, destination, protocol, identification */
		if (x->hash == hash && d->src == h->src && d->dst == h->dst && d->id == h->id &&
			d->proto == h->proto)
			return d;
	}
	return NULL;
}

static void reasm_charge(struct tg *s, struct reasm *d, uint32_t bytes)
{
	d->charge_bytes += bytes;
	s->ip->reasm_bytes += bytes;
}

static uint32_t piece_charge(const struct tg_pkt *p)
{
	return pkt_charge(p) + (uint32_t)sizeof(struct piece);
}

/* Forgets d. What it holds is discarded with the reason, or freed silently (TG_DROP_NONE). */
static void reasm_free(struct tg *s, struct reasm *d, enum tg_drop why)
{
	struct ip_state *ip = s->ip;

	while (d->pieces) {
		struct piece *x = d->pieces;

		d->pieces = x->next;
		if (why == TG_DROP_NONE)
			tg_pkt_free(s, x->pkt);
		else
			pkt_discard(s, x->pkt, why);
		core_free(s, x, sizeof(*x));
	}
	if (why != TG_DROP_NONE)
		s->counters.ip_reasm_fails++;
	ip->reasm_bytes -= d->charge_bytes;
	timer_stop(s, &d->timer);
	list_del(&d->node);
	htab_remove(&ip->reasm_tab, s->arena, &d->h);
	core_free(s, d, sizeof(*d));
}

void reasm_timer(struct tg *s, struct timer *t)
{
	struct reasm *d = container_of(t, struct reasm, timer);
	const struct tg_pkt *p = d->pieces->pkt;
	struct icmp_msg m = {.type = ICMP_TIME_EXCEEDED, .code = ICMP_TIMXCEED_REASM};

	reasm_trace(s, d, 2, d->have_bytes);
	/* [1122-G3] [1122 3.3.2] only if fragment zero has come: it is what is quoted */
	if (d->pieces->off == 0)
		icmp_report(s, p->net, (uint32_t)(p->data - p->net) + p->len, p->flags, &m);
	reasm_free(s, d, TG_DROP_IP_FRAG_TIMEOUT);
}

static struct reasm *reasm_new(struct tg *s, const struct ip4_hdr *h)
{
	struct ip_state *ip = s->ip;
	struct reasm *d = core_alloc(s, sizeof(*d));

	if (!d)
		return NULL;
	memset(d, 0, sizeof(*d));
	d->src = h->src;
	d->dst = h->dst;
	d->id = h->id;
	d->proto = h->proto;
	d->h.hash = reasm_hash(s, h);
	if (!htab_insert(&ip->reasm_tab, s->arena, &d->h)) {
		core_free(s, d, sizeof(*d));
		return NULL;
	}
	list_init(&d->node);
	list_push_back(&ip->reasms, &d->node);
	reasm_charge(s, d, (uint32_t)sizeof(*d));
	timer_init(&d->timer, TIMER_REASM);
	/* [1122 3.3.2] fixed, not prolonged by what follows */
	timer_arm(s, &d->timer, sat_add_u64(s->now_ns, s->cfg.ip.reasm_timeout_ns));
	return d;
}

/* A packet that may be kept and wastes little: p itself, or a copy (then p is freed). NULL: no
 * memory. */
static struct tg_pkt *keepable(struct tg *s, struct tg_pkt *p)
{
	uint32_t hdr = (uint32_t)(p->data - p->net);
	struct tg_pkt *c;

	if (!(p->flags & PKT_RESERVE) && (p->room <= TG_PKT_SMALL || p->room / 2 <= hdr + p->len))
		return p;
	c = pkt_alloc(s, hdr + p->len);
	if (!c)
		return NULL;
	memcpy(c->data, p->net, hdr + p->len);
	c->net = c->data;
	c->data += hdr;
	c->len = p->len;
	c->frame = p->frame;
	c->flags = (uint8_t)(p->flags & (PKT_GROUP | PKT_BCAST));
	tg_pkt_free(s, p);
	return c;
}

/* Makes room for `bytes`, at the cost of others than d. */
static bool reasm_make_room(struct tg *s, const struct reasm *d, uint32_t bytes)
{
	struct ip_state *ip = s->ip;

	while (ip->reasm_bytes + bytes > s->cfg.ip.reasm_bytes) {
		struct reasm *old = list_entry(ip->reasms.next, struct reasm, node);

		if (old == d) {
			if (d->node.next == &ip->reasms)
				return false;
			old = list_entry(d->node.next, struct reasm, node);
		}
		reasm_free(s, old, TG_DROP_IP_FRAG_LIMIT);
	}
	return true;
}

enum fit { FIT_NEW, FIT_DUPLICATE, FIT_OVERLAP };

/* Where does [off, end) go? *at: the link to put it on. */
static enum fit reasm_fit(
	struct reasm *d, uint32_t off, uint32_t end, bool last, struct piece ***at)
{
	struct piece **l = &d->pieces;

	while (*l && (*l)->end <= off)
		l = &(*l)->next;
	*at = l;
	/* [8200 4.5] */
	if (*l && (*l)->off == off && (*l)->end == end && last == (d->total_bytes == end))
		return FIT_DUPLICATE;
	if (*l && (*l)->off < end)
		return FIT_OVERLAP;
	/* Two ends, or something behind the end, are an overlap too. */
	if (d->total_bytes && (last || end > d->total_bytes))
		return FIT_OVERLAP;
	return last && *l ? FIT_OVERLAP : FIT_NEW;
}

/* Puts p into d. TG_DROP_NONE, or why not: then p is the caller's. */
static enum tg_drop reasm_insert(
	struct tg *s, struct reasm *d, struct tg_pkt **p, const struct ip4_hdr *h)
{
	uint32_t off = h->frag_off, end = off + (*p)->len;
	struct piece **at, *x;
	struct tg_pkt *k;

	switch (reasm_fit(d, off, end, !h->mf, &at)) {
	case FIT_NEW: break;
	case FIT_DUPLICATE: return TG_DROP_IP_FRAG_DUPLICATE;
	case FIT_OVERLAP: return TG_DROP_IP_FRAG_OVERLAP; /* [5722 3] */
	}
	if (d->n_pieces == IP_REASM_PIECES)
		return TG_DROP_IP_FRAG_LIMIT;
	k = keepable(s, *p);
	if (!k)
		return TG_DROP_NO_MEMORY;
	*p = k;
	x = core_alloc(s, sizeof(*x));
	if (!x)
		return TG_DROP_NO_MEMORY;
	if (!reasm_make_room(s, d, piece_charge(k))) {
		core_free(s, x, sizeof(*x));
		return TG_DROP_IP_FRAG_LIMIT;
	}
	*x = (struct piece){.next = *at, .pkt = k, .off = off, .end = end};
	*at = x;
	d->n_pieces++;
	d->have_bytes += end - off;
	d->ecn |= (uint8_t)(1u << (h->tos & ECN_MASK));
	if (!h->mf)
		d->total_bytes = end;
	reasm_charge(s, d, piece_charge(k));
	return TG_DROP_NONE;
}

/* One block with the header of fragment zero and all payload. NULL: no memory. */
static struct tg_pkt *reasm_join(struct tg *s, const struct reasm *d, const struct tg_pkt *last)
{
	const struct tg_pkt *first = d->pieces->pkt;
	struct tg_pkt *out;
	struct ip4_hdr h;
	bool ok =
		ip4_parse_quoted(first->net, (uint32_t)(first->data - first->net) + first->len, &h);

	ASSERT(ok);
	/* A link header fits in front, should it have to be passed on. */
	out = pkt_alloc(s, ETH_HDR_BYTES + h.hdr_bytes + d->total_bytes);
	if (!out)
		return NULL;
	out->data += ETH_HDR_BYTES;
	h.mf = false;
	h.total_bytes = (uint16_t)(h.hdr_bytes + d->total_bytes);
	/* [3168 5.3] a mark on one fragment is a mark on the datagram */
	if (d->ecn & 1u << ECN_CE)
		h.tos |= ECN_CE;
	ip4_emit(out->data, &h);
	out->net = out->data;
	out->data += h.hdr_bytes;
	out->len = d->total_bytes;
	out->frame = last->frame;
	out->csum = TG_CSUM_UNKNOWN;
	for (const struct piece *x = d->pieces; x; x = x->next) {
		memcpy(out->data + x->off, x->pkt->data, x->pkt->len);
		out->flags |= x->pkt->flags & (PKT_GROUP | PKT_BCAST);
	}
	return out;
}

static struct tg_pkt *reasm_complete(struct tg *s, struct reasm *d, const struct tg_pkt *last)
{
	struct tg_pkt *out;

	/* Header of fragment zero and all of the payload must fit, as each fragment did with its
	 * own. */
	if ((uint32_t)(d->pieces->pkt->data - d->pieces->pkt->net) + d->total_bytes >
		IP4_MAX_BYTES) {
		reasm_free(s, d, TG_DROP_IP_FRAG_TOO_BIG);
		pkt_drop(s, NULL, TG_DROP_IP_FRAG_TOO_BIG);
		return NULL;
	}
	/* [3168 5.3] a mark where nobody asked for any: who marked it should have dropped it */
	if (d->ecn & 1u << ECN_CE && d->ecn & 1u << ECN_NONE) {
		reasm_free(s, d, TG_DROP_IP_FRAG_ECN);
		pkt_drop(s, NULL, TG_DROP_IP_FRAG_ECN);
		return NULL;
	}
	out = reasm_join(s, d, last);
	if (!out) {
		reasm_free(s, d, TG_DROP_NO_MEMORY);
		pkt_drop(s, NULL, TG_DROP_NO_MEMORY);
		return NULL;
	}
	reasm_trace(s, d, 1, d->total_bytes);
	s->counters.ip_reasm_oks++;
	reasm_free(s, d, TG_DROP_NONE);
	return out;
}

static enum tg_drop check_fragment(const struct tg_pkt *p, const struct ip4_hdr *h)
{
	/* [791 3.2] all but the last are multiples of 8 bytes; one without data says nothing */
	if (!p->len || (h->mf && p->len % 8))
		return TG_DROP_IP_FRAG_LENGTH;
	/* [791 3.2] no datagram is longer */
	if (h->hdr_bytes + h->frag_off + p->len > IP4_MAX_BYTES)
		return TG_DROP_IP_FRAG_TOO_BIG;
	return TG_DROP_NONE;
}

struct tg_pkt *reasm_input(struct tg *s, struct tg_pkt *p, const struct ip4_hdr *h)
{
	enum tg_drop why = check_fragment(p, h);
	struct reasm *d;

	s->counters.ip_reasm_reqds++;
	if (why != TG_DROP_NONE) {
		pkt_drop(s, p, why);
		return NULL;
	}
	d = reasm_find(s, h);
	if (!d)
		d = reasm_new(s, h);
	if (!d) {
		pkt_drop(s, p, TG_DROP_NO_MEMORY);
		return NULL;
	}
	why = reasm_insert(s, d, &p, h);
	if (why != TG_DROP_NONE) {
		/* Only a duplicate leaves the rest any use [5722 3]; without memory, it may come
		 * again. */
		if (!d->pieces || (why != TG_DROP_IP_FRAG_DUPLICATE && why != TG_DROP_NO_MEMORY))
			reasm_free(s, d, why);
		pkt_drop(s, p, why);
		return NULL;
	}
	reasm_trace(s, d, 0, p->len);
	if (!d->total_bytes || d->have_bytes != d->total_bytes) {
		pkt_delivered(s);
		return NULL;
	}
	return reasm_complete(s, d, p);
}
