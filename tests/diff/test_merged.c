/* Frames made one by who reads them (core/gro.c) against the same frames one by one: two instances,
 * alike to the bit, get the same batches of segments that a sender, a lossy network and a stranger
 * could have made. After each batch: the same bytes for the application, the same connection, the
 * same acknowledgment; and what was merged, cut again by the device's rules, is what came, byte for
 * byte. timeout: 300 */
#include "../unit/tcp_support.h"

#include "core/gro.h"
#include "sim/segment.h"
#include "wire/patch.h"

#define WORLDS      400
#define BATCHES     30u
#define BATCH_MOST  80u
#define FRAME_BYTES 1600u
#define SENT_BYTES  (4u << 20)

struct side {
	struct tcp_world *w;
	uint64_t got_bytes, got_hash;
};

/* A frame of a batch. */
struct raw {
	uint8_t b[FRAME_BYTES];
	uint32_t len;
};

static struct side one, many; /* as they came, merged */
static struct gro gro;
static struct raw batch[BATCH_MOST], held[GRO_SEGS_MAX];
static uint32_t n_held;
static uint64_t merged_frames;

/* ---- The sender ---- */

static struct {
	struct unit_rng r;
	struct seq start;
	uint32_t sent_bytes; /* of the stream, the furthest */
	uint32_t missing;    /* where a hole was left, 0: none */
	uint32_t missing_bytes, size;
	uint16_t id;
	uint16_t wnd;
	uint8_t tos;
	uint32_t tsval;
	bool fin;
} tx;

static uint8_t text_at(uint32_t i)
{
	return (uint8_t)(i * 2654435761u >> 24);
}

static void build(struct raw *f, uint32_t off, uint32_t n, uint8_t flags)
{
	struct tcp_seg g = tw_seg(one.w);
	uint8_t text[FRAME_BYTES];
	struct ip4_hdr ip;

	for (uint32_t i = 0; i < n; i++)
		text[i] = text_at(off + i);
	g.seq = seq_add(tx.start, off);
	g.flags = flags;
	g.wnd = tx.wnd;
	g.opts.tsval = tx.tsval;
	f->len = tw_build(f->b, TW_US, &g, text, n);
	ck_assert_int_eq(ip4_parse(f->b, f->len, &ip), TG_DROP_NONE);
	ip.id = tx.id++;
	ip.tos = tx.tos;
	ip.df = true;
	ip4_emit(f->b, &ip);
}

/* One of the things that keep segments apart, sometimes. */
static void change_something(void)
{
	switch (unit_below(&tx.r, 60)) {
	case 0: tx.tsval += 1 + unit_below(&tx.r, 5); break;
	case 1: tx.wnd = (uint16_t)(20000 + unit_below(&tx.r, 40000)); break;
	case 2: tx.tos = (uint8_t)(tx.tos ^ 1u << unit_below(&tx.r, 2)); break;
	case 3: tx.id = (uint16_t)(tx.id + 7); break;
	case 4: tx.size = 1 + unit_below(&tx.r, 1448); break;
	case 5: tx.size = 1448; break;
	default: break;
	}
}

static void damage(struct raw *f)
{
	uint32_t at = unit_below(&tx.r, f->len);

	f->b[at] = (uint8_t)(f->b[at] ^ 1u << unit_below(&tx.r, 8));
}

static void next_frame(struct raw *f)
{
	uint32_t what = unit_below(&tx.r, 100), n = tx.size, off = tx.sent_bytes;
	uint8_t flags = TCP_ACK;

	change_something();
	if (tx.missing_bytes && what < 8) {
		build(f, tx.missing, tx.missing_bytes, flags);
		tx.missing_bytes = 0;
		return;
	}
	if (what < 10 &&
		off > 3000) { /* comes again, not up to the end: what follows starts there */
		uint32_t back = 2 + unit_below(&tx.r, 2998);

		build(f, off - back, min_u32(n, back - 1), flags);
		return;
	}
	if (what < 12 && !tx.missing_bytes) {
		tx.missing = off;
		tx.missing_bytes = n;
		off += n;
	}
	if (what < 22)
		flags |= TCP_PSH;
	if (what == 22)
		flags |= TCP_URG;
	if (what == 23 || what == 24)
		n = 1 + unit_below(&tx.r, n);
	build(f, off, n, flags);
	tx.sent_bytes = off + n;
	if (what == 25) /* is damaged, and sent again later */
		damage(f);
	if (what == 25 && !tx.missing_bytes) {
		tx.missing = off;
		tx.missing_bytes = n;
	}
}

/* ---- Two ways in ---- */

static void check_cut_again(struct tg_pkt *p)
{
	struct tg_frame f;
	struct segmenter g;
	uint8_t out[FRAME_BYTES];

	segment_frame_of_pkt(&f, TG_LINK_IP, p);
	ck_assert(segment_begin(&g, TG_LINK_IP, &f, csum_add_scalar));
	for (uint32_t i = 0; i < n_held; i++) {
		UNIT_CHECK(segment_next_bytes(&g) == held[i].len);
		segment_next(&g, out);
		UNIT_CHECK(memcmp(out, held[i].b, held[i].len) == 0);
	}
	UNIT_CHECK(segment_next_bytes(&g) == 0);
}

static void flush(void)
{
	struct tg_pkt *p = gro_take(&gro);

	if (!p)
		return;
	UNIT_CHECK(n_held == pkt_frames(p));
	if (p->merged) {
		check_cut_again(p);
		merged_frames += p->merged;
	}
	n_held = 0;
	tg_input(many.w->s, many.w->netif, p, many.w->now_ns);
	world_check(many.w->s);
}

static bool joins(const struct raw *f)
{
	uint32_t room, n;
	uint8_t *tail;

	if (!gro.p || gro_is_full(&gro) || f->len <= gro.hdr_bytes)
		return false;
	tail = gro_tail(&gro, &room);
	n = f->len - gro.hdr_bytes;
	if (n > room)
		return false;
	memcpy(tail, f->b + gro.hdr_bytes, n);
	return gro_join(&gro, f->b, n, TG_CSUM_UNKNOWN);
}

static void merging_in(const struct raw *f)
{
	struct tg_pkt *p;

	if (joins(f)) {
		held[n_held++] = *f;
		return;
	}
	flush();
	p = tg_pkt_alloc(many.w->s, TG_PKT_LARGE);
	ck_assert_ptr_nonnull(p);
	memcpy(p->data, f->b, f->len);
	p->len = f->len;
	if (gro_start(&gro, p))
		held[n_held++] = *f;
	else
		tg_input(many.w->s, many.w->netif, p, many.w->now_ns);
}

/* ---- The application, and what is compared ---- */

static void read_all(struct side *d)
{
	uint8_t buf[8192];
	int64_t n;

	while ((n = tg_sock_recv(d->w->s, d->w->conn, buf, sizeof(buf), 0, d->w->now_ns)) > 0) {
		for (int64_t i = 0; i < n; i++)
			UNIT_CHECK(buf[i] == text_at((uint32_t)(d->got_bytes + (uint64_t)i)));
		d->got_bytes += (uint64_t)n;
	}
}

static uint32_t ooo_bytes(const struct tcp_conn *c)
{
	uint32_t n = 0;

	if (c->ooo)
		list_for_each (it, &c->ooo->ranges) {
			const struct tcp_ooo_range *o = list_entry(it, struct tcp_ooo_range, node);

			n += seq_dist(o->end, o->start);
		}
	return n;
}

static void compare_conns(const struct tcp_conn *a, const struct tcp_conn *b)
{
	UNIT_CHECK(a->state == b->state);
	UNIT_CHECK(seq_eq(a->rcv.nxt, b->rcv.nxt) && seq_eq(a->rcv.up, b->rcv.up));
	UNIT_CHECK(seq_eq(a->snd.una, b->snd.una) && seq_eq(a->snd.nxt, b->snd.nxt));
	UNIT_CHECK(a->snd.wnd == b->snd.wnd && a->snd.max_wnd == b->snd.max_wnd);
	UNIT_CHECK(a->ts_recent == b->ts_recent && a->mss_rcv == b->mss_rcv);
	UNIT_CHECK(a->bytes_received == b->bytes_received && a->segs_in == b->segs_in);
	UNIT_CHECK(a->ecn_echo == b->ecn_echo && a->fin_seen == b->fin_seen);
	UNIT_CHECK(a->urg_in == b->urg_in && ooo_bytes(a) == ooo_bytes(b));
}

static void compare_counters(const struct tg_counters *a, const struct tg_counters *b)
{
	UNIT_CHECK(a->frames_in == b->frames_in && a->frames_delivered == b->frames_delivered);
	UNIT_CHECK(a->ip_in_receives == b->ip_in_receives && a->tcp_in_segs == b->tcp_in_segs);
	UNIT_CHECK(a->tcp_in_bytes == b->tcp_in_bytes && a->tcp_in_errs == b->tcp_in_errs);
	UNIT_CHECK(a->tcp_ecn_ce_in == b->tcp_ecn_ce_in);
	UNIT_CHECK(memcmp(a->drops, b->drops, sizeof(a->drops)) == 0);
}

/* The records of segments received are the same; so is what the application was told. */
static void compare_traces(uint64_t *ca, uint64_t *cb)
{
	struct tg_trace a, b;
	bool more = true;

	while (more) {
		do {
			more = tg_trace_next(one.w->s, ca, &a, NULL);
		} while (more && a.kind != TG_TRACE_SEGMENT_IN);
		while (tg_trace_next(many.w->s, cb, &b, NULL) && b.kind != TG_TRACE_SEGMENT_IN)
			;
		if (more)
			UNIT_CHECK(memcmp(&a, &b, sizeof(a)) == 0);
	}
}

/* What is held beyond the gap; a D-SACK may have gone with an earlier ACK. */
static uint32_t ranges_told(const struct tcp_seg *g)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < g->opts.n_sack; i++)
		n += seq_gt(g->opts.sack[i].start, g->ack);
	return n;
}

static void compare_acks(void)
{
	struct tcp_seg a, b;

	tg_step(one.w->s, one.w->now_ns);
	tg_step(many.w->s, many.w->now_ns);
	if (one.w->dev.n == 0 && many.w->dev.n == 0)
		return;
	a = tw_last(one.w);
	b = tw_last(many.w);
	UNIT_CHECK(seq_eq(a.ack, b.ack) && seq_eq(a.seq, b.seq) && a.flags == b.flags);
	UNIT_CHECK(a.wnd == b.wnd && a.opts.tsecr == b.opts.tsecr);
	UNIT_CHECK(min_u32(ranges_told(&a), 2) == min_u32(ranges_told(&b), 2));
}

/* ---- Worlds ---- */

static struct tg_config cfg;

static void begin(struct side *d, struct unit_rng *r)
{
	struct unit_rng mine = *r;

	memset(d, 0, sizeof(*d));
	d->w = tw_new(&cfg);
	d->w->syn_opts = tw_all_opts();
	if (unit_below(&mine, 3) == 0)
		d->w->syn_opts.has &= (uint8_t)~TCP_HAS_TS;
	if (unit_below(&mine, 3) == 0)
		d->w->syn_opts.has &= (uint8_t)~TCP_HAS_SACK_PERM;
	tw_establish(d->w, TW_FAR, (struct seq){TW_IRS});
	ck_assert_int_eq(tg_sock_setopt(d->w->s, d->w->conn, TG_SO_OOBINLINE, 1, d->w->now_ns), 0);
	d->w->c->ecn_reflects = d->w->c->ecn_ok = unit_below(&mine, 2);
}

static void one_batch(uint64_t *ca, uint64_t *cb)
{
	uint32_t most = 1 + unit_below(&tx.r, BATCH_MOST), n = 0;

	/* as the window allows: beyond it frames would go one by one, and what is merged in part */
	while (n < most && tx.sent_bytes + 2 * FRAME_BYTES < seq_dist(one.w->c->rcv.adv, tx.start))
		next_frame(&batch[n++]);
	for (uint32_t i = 0; i < n; i++)
		tw_raw_in(one.w, batch[i].b, batch[i].len);
	for (uint32_t i = 0; i < n; i++)
		merging_in(&batch[i]);
	flush();
	compare_conns(one.w->c, many.w->c);
	compare_counters(tg_counters(one.w->s), tg_counters(many.w->s));
	compare_traces(ca, cb);
	read_all(&one);
	read_all(&many);
	UNIT_CHECK(one.got_bytes == many.got_bytes);
	compare_acks();
}

START_TEST (random_batches) {
	uint64_t ca = 0, cb = 0;

	unit_rng_start(&tx.r, _i);
	world_config(&cfg);
	cfg.tcp.rcvbuf_bytes = 1u << 20;
	cfg.tcp.moderate_rcvbuf = false;
	begin(&one, &tx.r);
	begin(&many, &tx.r);
	gro_init(&gro, TG_LINK_IP, unit_below(&tx.r, 2) ? NULL : csum_add_scalar);
	tx.start = one.w->c->rcv.nxt;
	tx.sent_bytes = tx.missing = tx.missing_bytes = n_held = 0;
	merged_frames = 0;
	tx.size = 1448;
	tx.wnd = 30000;
	tx.tos = one.w->c->ecn_ok ? 2 : 0;
	tx.tsval = 1001;
	for (uint32_t k = 0; k < BATCHES && tx.sent_bytes < SENT_BYTES; k++) {
		one_batch(&ca, &cb);
		tw_step(one.w, 3 * NS_PER_MS);
		tw_step(many.w, 3 * NS_PER_MS);
		one.w->dev.n = many.w->dev.n = 0;
	}
	ck_assert_uint_gt(merged_frames, 100);
	tw_end(one.w);
	tw_end(many.w);
}
END_TEST

static Suite *merged_suite(void)
{
	Suite *s = suite_create("merged");
	TCase *t = tcase_create("random");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, random_batches, 0, WORLDS);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(merged_suite)
