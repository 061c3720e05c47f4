/* See wire.h. */
#include "sim/wire.h"

#include "sim/segment.h"
#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/ip4.h"
#include "wire/patch.h"

/* One end: the instance there, and the way of what it transmits. */
struct wire_end {
	struct wire *w;
	struct impair out;
	struct tg *s; /* NULL: unplugged */
	unsigned netif;
	bool refused; /* transmit said busy and wire_take_writable has not been true since */
	struct wire_stats stats;
};

struct wire {
	struct arena *arena;
	struct wire_config c;
	struct wire_end end[2];
	uint64_t now_ns;
	uint64_t next_tag;
};

void wire_config_default(struct wire_config *c)
{
	memset(c, 0, sizeof(*c));
	c->link = TG_LINK_ETHERNET;
	c->caps = TG_CAP_CSUM | TG_CAP_TSO4 | TG_CAP_USO4;
	tg_impair_default(&c->impair[0]);
	tg_impair_default(&c->impair[1]);
}

static void decided0(void *arg, enum tg_impair_what what, uint64_t tag, uint64_t now_ns)
{
	struct wire *w = arg;

	w->c.decided(w->c.arg, 0, what, tag, now_ns);
}
static void decided1(void *arg, enum tg_impair_what what, uint64_t tag, uint64_t now_ns)
{
	struct wire *w = arg;

	w->c.decided(w->c.arg, 1, what, tag, now_ns);
}

struct wire *wire_create(void *mem, size_t bytes, const struct wire_config *c)
{
	struct arena *a = bytes < WIRE_MEM_MIN_BYTES ? NULL : arena_init(mem, bytes, 0);
	struct wire *w = a ? arena_alloc(a, sizeof(*w)) : NULL;

	if (!w)
		return NULL;
	w->arena = a;
	w->c = *c;
	for (unsigned e = 0; e < 2; e++) {
		struct impair_config ic = {
			.opt = c->impair[e],
			.purpose = e,
			.link = c->link,
			.latency_ns = c->latency_ns,
			.max_bytes = bytes / 8 * 3,
			.sum = c->sum,
			.arg = w,
		};

		if (c->decided)
			ic.decided = e ? decided1 : decided0;
		memcpy(ic.seed, c->seed, sizeof(ic.seed));
		w->end[e].w = w;
		if (!impair_init(&w->end[e].out, a, &ic))
			return NULL;
	}
	return w;
}

void wire_attach(struct wire *w, unsigned end, struct tg *s, unsigned netif)
{
	w->end[end].s = s;
	w->end[end].netif = netif;
}

void wire_set_now(struct wire *w, uint64_t now_ns)
{
	w->now_ns = max_u64(w->now_ns, now_ns);
}

/* ---- In -------------------------------------------------------------------------------------- */

static bool too_long(const struct wire *w, const struct tg_frame *f)
{
	uint32_t link = w->c.link == TG_LINK_ETHERNET ? ETH_HDR_BYTES : 0;
	uint32_t bytes = f->gso == TG_GSO_NONE
				 ? f->bytes
				 : min_u32(f->bytes, (uint32_t)f->hdr_bytes + f->gso_size);

	return w->c.mtu && bytes > w->c.mtu + link;
}

/* An unimpaired direction has no room for a frame: the transmitter has to wait. */
static bool is_full(const struct impair *m)
{
	return !m->active && (impair_count(m) >= WIRE_QUEUE_FRAMES ||
				     m->held_bytes + ARENA_BLOCK_68K > m->c.max_bytes);
}

/* [1191 4] [1812 4.3.2.3] Fragmentation needed, with the header and eight bytes of the packet (of a
 * large frame: of its first). */
static void answer_too_long(struct wire *w, struct wire_end *e, const struct tg_frame *f)
{
	uint32_t link = w->c.link == TG_LINK_ETHERNET ? ETH_HDR_BYTES : 0;
	const uint8_t *in = f->span[0].base;
	uint8_t b[ETH_HDR_BYTES + IP4_HDR_BYTES + ICMP_HDR_BYTES + IP4_HDR_BYTES + 8];
	uint8_t *ip = b + link, *icmp = ip + IP4_HDR_BYTES, *quote = icmp + ICMP_HDR_BYTES;
	struct icmp_msg m = {
		.type = ICMP_UNREACHABLE, .code = ICMP_UNREACH_FRAG, .mtu = (uint16_t)w->c.mtu};
	struct ip4_hdr h, q;
	struct tg_frame out;
	uint32_t n = link + IP4_HDR_BYTES + ICMP_HDR_BYTES + IP4_HDR_BYTES + 8;

	if (f->span[0].len < link + IP4_HDR_BYTES + 8 ||
		!ip4_parse_quoted(in + link, f->span[0].len - link, &q) || !q.df ||
		q.hdr_bytes != IP4_HDR_BYTES)
		return;
	if (link) {
		memcpy(b, in + 6, 6);
		memcpy(b + 6, in, 6);
		memcpy(b + 12, in + 12, 2);
	}
	memcpy(quote, in + link, IP4_HDR_BYTES + 8);
	if (f->gso_size)
		ip4_patch(quote, (uint16_t)(f->hdr_bytes - link + f->gso_size), q.id);
	icmp_emit(icmp, &m, csum_add_wide(quote, IP4_HDR_BYTES + 8, 0));
	h = (struct ip4_hdr){.src = q.dst,
		.dst = q.src,
		.hdr_bytes = IP4_HDR_BYTES,
		.total_bytes = (uint16_t)(n - link),
		.ttl = 64,
		.proto = IP_PROTO_ICMP};
	ip4_emit(ip, &h);
	out = (struct tg_frame){.n_spans = 1, .bytes = n, .hdr_bytes = (uint16_t)n};
	out.span[0] = (struct tg_span){b, n};
	impair_put(&w->end[e == &w->end[0]].out, &out, w->next_tag++, w->now_ns);
}

static bool wire_transmit(void *dev, const struct tg_frame *f)
{
	struct wire_end *e = dev;
	struct wire *w = e->w;
	uint64_t tag = w->next_tag;

	if (is_full(&e->out)) {
		e->refused = true;
		e->stats.busy++;
		return false;
	}
	w->next_tag += f->gso_size ? 1 + f->bytes / f->gso_size : 1;
	e->stats.sent++;
	if (w->c.observe)
		w->c.observe(w->c.arg, e == &w->end[1], true, f, tag, w->now_ns);
	if (too_long(w, f)) {
		e->stats.oversize++;
		if (w->c.frag_needed)
			answer_too_long(w, e, f);
		return true;
	}
	impair_put(&e->out, f, tag, w->now_ns);
	return true;
}

void wire_netif_config(struct wire *w, unsigned end, struct tg_netif_config *c)
{
	c->link = w->c.link;
	c->caps = w->c.caps;
	c->transmit = wire_transmit;
	c->dev = &w->end[end];
}

bool wire_take_writable(struct wire *w, unsigned end)
{
	struct wire_end *e = &w->end[end];

	if (!e->refused || is_full(&e->out))
		return false;
	e->refused = false;
	return true;
}

/* ---- Out ------------------------------------------------------------------------------------- */

uint64_t wire_next_deadline(const struct wire *w)
{
	return min_u64(impair_next(&w->end[0].out), impair_next(&w->end[1].out));
}

static void deliver(struct wire *w, unsigned from, const struct impair_pkt *k, uint64_t now_ns)
{
	struct wire_end *e = &w->end[from], *to = &w->end[!from];
	struct tg_pkt *p;
	struct tg_frame f;

	if (!to->s) {
		e->stats.unplugged++;
		return;
	}
	p = tg_pkt_alloc(to->s, k->bytes);
	if (!p) {
		e->stats.no_memory++;
		return;
	}
	memcpy(tg_pkt_block(p), k->data, k->bytes);
	p->len = k->bytes;
	p->gso = k->gso;
	p->gso_size = k->gso_size;
	p->csum = k->csum;
	e->stats.delivered++;
	if (w->c.observe) {
		segment_frame_of_pkt(&f, w->c.link, p);
		w->c.observe(w->c.arg, !from, false, &f, k->tag, now_ns);
	}
	tg_input_ahead(to->s, to->netif, &p, 1);
	tg_input(to->s, to->netif, p, now_ns);
}

bool wire_deliver_one(struct wire *w, uint64_t now_ns, unsigned *end)
{
	uint64_t t[2] = {impair_next(&w->end[0].out), impair_next(&w->end[1].out)};
	unsigned from = t[1] < t[0];
	struct impair_pkt *k = impair_pop(&w->end[from].out, now_ns);

	if (!k)
		return false;
	if (end)
		*end = !from;
	deliver(w, from, k, now_ns);
	impair_free(&w->end[from].out, k);
	return true;
}

uint32_t wire_run(struct wire *w, uint64_t now_ns)
{
	uint32_t n = 0;

	wire_set_now(w, now_ns);
	while (wire_deliver_one(w, now_ns, NULL))
		n++;
	return n;
}

/* ---- Looking at it --------------------------------------------------------------------------- */

uint32_t wire_in_flight(const struct wire *w)
{
	return impair_count(&w->end[0].out) + impair_count(&w->end[1].out);
}

void wire_get_stats(const struct wire *w, unsigned from_end, struct wire_stats *out)
{
	*out = w->end[from_end].stats;
	out->impair = w->end[from_end].out.stats;
}

bool wire_set_impair(struct wire *w, unsigned from_end, const struct tg_impair *i)
{
	return impair_set(&w->end[from_end].out, i);
}

size_t wire_snapshot_bytes(const struct wire *w)
{
	return arena_snapshot_bytes(w->arena);
}

size_t wire_snapshot_save(const struct wire *w, void *buf, size_t cap)
{
	return arena_snapshot_save(w->arena, buf, cap);
}

bool wire_snapshot_restore(struct wire *w, const void *buf, size_t bytes)
{
	return arena_snapshot_restore(w->arena, buf, bytes);
}
