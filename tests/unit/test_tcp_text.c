/* The receiving side (tcp_text.c) against an array of bytes: random segments, overlapping,
 * duplicate, out of order, straddling the window, with FIN, around the wrap of sequence numbers,
 * also while memory fails. After each: what is in order, what is held, SACK and D-SACK blocks, the
 * memory charged, and what the user reads.
 * timeout: 240 */
#include "tcp_support.h"

#define STREAM_MAX 200000u

static struct tcp_world *w;
static struct unit_rng rng;
static uint8_t stream[STREAM_MAX];

/* Offsets count from the first byte of text. */
static struct {
	bool have[STREAM_MAX + 1];
	uint32_t nxt, read, end; /* end: where the FIN is */
	bool sack, ts, failing;
} m;

/* What one segment should have caused. */
struct outcome {
	uint32_t lo, hi; /* its text within the window */
	uint32_t dup_lo, dup_hi;
	bool ack; /* an ACK at once */
	bool ooo; /* out of order */
};

static struct seq seq_at(uint32_t off)
{
	return seq_add(w->c->irs, 1 + off);
}

static uint32_t off_of(struct seq q)
{
	return seq_dist(q, seq_at(0));
}

/* ---- Comparing ---- */

static uint32_t charge_of(const struct pktq *q)
{
	uint32_t charge = 0, bytes = 0;

	for (const struct tg_pkt *p = q->head; p; p = p->next) {
		charge += pkt_charge(p);
		bytes += p->len;
		UNIT_CHECK(!(p->flags & PKT_RESERVE));
		UNIT_CHECK(p->len > 0);
		UNIT_CHECK(p->next || p == q->tail);
	}
	UNIT_CHECK(q->charge == charge && q->bytes == bytes);
	UNIT_CHECK(q->head || !q->tail);
	return charge;
}

static void check_range(const struct tcp_ooo_range *o)
{
	uint32_t at = off_of(o->start), end = off_of(o->end);

	UNIT_CHECK(at > m.nxt && at < end && end <= m.end);
	UNIT_CHECK(!m.have[at - 1] && !m.have[end]);
	for (uint32_t i = at; i < end; i++)
		UNIT_CHECK(m.have[i]);
	for (const struct tg_pkt *p = o->q.head; p; p = p->next) {
		UNIT_CHECK(memcmp(p->data, stream + at, p->len) == 0);
		at += p->len;
	}
	UNIT_CHECK(at == end);
}

static void check_memory(uint32_t ooo_charge)
{
	uint32_t charge = charge_of(&w->c->rcvq) + ooo_charge;

	UNIT_CHECK(!w->c->ooo || w->c->ooo->charge == ooo_charge);
	UNIT_CHECK(charge <= 2 * max_u32(w->c->rcvbuf, TG_PKT_LARGE) + 2 * ARENA_BLOCK_68K);
}

static void check_state(void)
{
	struct tcp_conn *c = w->c;
	uint32_t held = 0, charge = 0, n = 0;

	UNIT_CHECK(off_of(c->rcv.nxt) == m.nxt + (c->fin_seen ? 1 : 0));
	UNIT_CHECK(c->rcvq.bytes == m.nxt - m.read);
	UNIT_CHECK(!c->ooo || !list_empty(&c->ooo->ranges));
	if (c->ooo) {
		list_for_each (it, &c->ooo->ranges) {
			struct tcp_ooo_range *o = list_entry(it, struct tcp_ooo_range, node);

			check_range(o);
			charge += charge_of(&o->q);
			held += o->q.bytes;
			n++;
		}
		UNIT_CHECK(c->ooo->n_ranges == n);
	}
	for (uint32_t i = m.nxt; i < m.end; i++)
		held -= m.have[i];
	UNIT_CHECK(held == 0);
	check_memory(charge);
}

/* [2018 4] blocks are what is held, each once, the one with the newest segment first. */
static void check_sack(const struct tcp_seg *g, const struct outcome *o)
{
	uint32_t runs = 0, i = 0, room = m.ts ? 3 : 4;
	bool dup = o->dup_lo < o->dup_hi;

	for (uint32_t b = m.nxt; b < m.end; b++)
		runs += m.have[b] && !m.have[b + 1];
	if (!m.sack) {
		UNIT_CHECK(g->opts.n_sack == 0);
		return;
	}
	UNIT_CHECK(g->opts.n_sack == min_u32(room, runs + (dup ? 1 : 0)));
	if (dup) { /* [2883 4] */
		UNIT_CHECK(off_of(g->opts.sack[0].start) == o->dup_lo);
		UNIT_CHECK(off_of(g->opts.sack[0].end) == o->dup_hi);
		i = 1;
	}
	if (o->ooo && i < g->opts.n_sack) {
		UNIT_CHECK(off_of(g->opts.sack[i].start) <= o->lo);
		UNIT_CHECK(off_of(g->opts.sack[i].end) >= o->hi);
	}
	for (; i < g->opts.n_sack; i++) {
		uint32_t lo = off_of(g->opts.sack[i].start), hi = off_of(g->opts.sack[i].end);

		UNIT_CHECK(lo > m.nxt && lo < hi && !m.have[lo - 1] && !m.have[hi]);
		for (uint32_t b = lo; b < hi; b++)
			UNIT_CHECK(m.have[b]);
		for (uint32_t j = dup ? 1 : 0; j < i; j++)
			UNIT_CHECK(!seq_eq(g->opts.sack[j].start, g->opts.sack[i].start));
	}
}

/* ---- The model ---- */

static void find_duplicate(struct outcome *o, uint32_t lo, uint32_t hi)
{
	while (lo < hi && !m.have[lo])
		lo++;
	o->dup_lo = lo;
	while (lo < hi && m.have[lo])
		lo++;
	o->dup_hi = lo;
}

/* What the segment [from, from + n) does, by RFC 9293 3.10.7.4 and RFC 2883. */
static struct outcome predict(uint32_t from, uint32_t n, bool fin)
{
	uint32_t adv = off_of(w->c->rcv.adv), last = from + n + (fin ? 1 : 0) - 1;
	bool open = adv > m.nxt;
	bool ok = open && ((from >= m.nxt && from < adv) || (last >= m.nxt && last < adv));
	struct outcome o = {.ack = true};

	if (!ok && !(adv == m.nxt && from == m.nxt)) {
		if (from + n <= m.nxt && n)
			find_duplicate(&o, from, from + n);
		return o;
	}
	o.lo = max_u32(from, m.nxt);
	o.hi = min_u32(from + n, adv);
	if (o.lo >= o.hi)
		o.hi = o.lo;
	if (from < m.nxt && n)
		find_duplicate(&o, from, min_u32(m.nxt, from + n));
	else
		find_duplicate(&o, o.lo, o.hi);
	o.ooo = o.lo > m.nxt && o.lo < o.hi;
	o.ack = o.ooo || o.dup_lo < o.dup_hi || from + n > adv ||
		(o.lo < o.hi && w->c->ooo); /* [5681-8] fills a gap, or a part of one */
	return o;
}

static void take(const struct outcome *o)
{
	for (uint32_t i = o->lo; i < o->hi; i++)
		m.have[i] = true;
	while (m.have[m.nxt])
		m.nxt++;
}

/* Memory was short. What is new is only what the segment had; what was held stays, except that text
 * which is next in line may have pushed out ranges, the furthest first [2018 8]. */
static void adopt(const struct outcome *o)
{
	static bool held[STREAM_MAX + 1];
	uint32_t top = off_of(w->c->rcv.nxt) - (w->c->fin_seen ? 1 : 0);

	memset(held, 0, sizeof(held));
	memset(held, 1, top);
	if (w->c->ooo) {
		list_for_each (it, &w->c->ooo->ranges) {
			struct tcp_ooo_range *r = list_entry(it, struct tcp_ooo_range, node);

			top = off_of(r->end);
			memset(held + off_of(r->start), 1, seq_dist(r->end, r->start));
		}
	}
	for (uint32_t i = 0; i < m.end; i++) {
		UNIT_CHECK(held[i] || !m.have[i] || (i >= top && o->lo == m.nxt && o->lo < o->hi));
		UNIT_CHECK(!held[i] || m.have[i] || (i >= o->lo && i < o->hi));
		m.have[i] = held[i];
	}
	while (m.have[m.nxt])
		m.nxt++;
}

/* ---- Steps ---- */

static void input(const struct tcp_seg *g, uint32_t off, uint32_t n)
{
	bool large = n > 1400 || unit_below(&rng, 8) == 0;
	struct tg_pkt *p = tg_pkt_alloc(w->s, large ? TG_PKT_LARGE : 1600);

	UNIT_CHECK(p);
	p->len = tw_build(p->data, TW_US, g, stream + off, n);
	if (n > 1460) {
		p->gso = TG_GSO_TCP4;
		p->gso_size = 1460;
	}
	tg_input(w->s, w->netif, p, w->now_ns);
	world_check(w->s);
}

static uint64_t refusals(void)
{
	return tw_drops(w, TG_DROP_TCP_RCV_MEMORY) + tw_drops(w, TG_DROP_TCP_OOO_LIMIT);
}

static void feed(uint32_t from, uint32_t n, bool fin)
{
	struct tcp_seg g = tw_seg(w);
	struct outcome o = predict(from, n, fin);
	uint32_t adv = off_of(w->c->rcv.adv);
	uint64_t refused = refusals();

	g.seq = seq_at(from);
	g.flags = (uint8_t)(TCP_ACK | (fin ? TCP_FIN : 0));
	w->dev.n = 0;
	input(&g, from, n);
	if (m.failing || refused != refusals())
		adopt(&o);
	else
		take(&o);
	UNIT_CHECK(refused != refusals() || o.lo >= o.hi || m.nxt > o.lo || o.ooo);
	tg_step(w->s, w->now_ns);
	check_state();
	if (!m.failing && refused == refusals() && fin && m.nxt == m.end && m.end < adv)
		UNIT_CHECK(w->c->fin_seen);
	if (m.failing || refused != refusals())
		return;
	UNIT_CHECK(!o.ack || w->dev.n > 0);
	if (w->dev.n == 0)
		return;
	g = tw_last(w);
	UNIT_CHECK(seq_eq(g.ack, w->c->rcv.nxt));
	check_sack(&g, &o);
}

static void random_segment(void)
{
	uint32_t wnd = off_of(w->c->rcv.adv) - m.nxt, kind = unit_below(&rng, 10), from, n;

	n = unit_below(&rng, 40) == 0 ? unit_below(&rng, 60000)
				      : unit_below(&rng, kind < 4 ? 3000 : 60);
	from = m.nxt + unit_below(&rng, kind < 8 ? min_u32(wnd, 6000) + 10 : wnd + 2000);
	from -= min_u32(from, unit_below(&rng, 3) ? 0 : n);
	if (kind % 3 == 0)
		from = m.nxt;
	from = min_u32(from, m.end);
	n = min_u32(n, m.end - from);
	if (n || from == m.end)
		feed(from, n, from + n == m.end && unit_below(&rng, 2));
}

/* recv, peek and consume: the same bytes, whichever way. */
static void random_read(void)
{
	static uint8_t buf[STREAM_MAX];
	uint32_t there = m.nxt - m.read, n = 1 + unit_below(&rng, 8000), got = min_u32(n, there);
	struct tg_span v[4];
	int64_t r;
	int k;

	if (!there)
		return;
	UNIT_CHECK(tg_sock_recv(w->s, w->conn, buf, n, TG_MSG_PEEK, w->now_ns) == (int64_t)got);
	UNIT_CHECK(memcmp(buf, stream + m.read, got) == 0);
	if (unit_below(&rng, 2)) {
		r = tg_sock_recv(w->s, w->conn, buf, n, 0, w->now_ns);
		UNIT_CHECK(r == (int64_t)got);
		UNIT_CHECK(memcmp(buf, stream + m.read, got) == 0);
		m.read += got;
		return;
	}
	k = tg_sock_peek(w->s, w->conn, v, 4);
	UNIT_CHECK(k >= 1);
	for (int i = 0; i < k; i++) {
		UNIT_CHECK(memcmp(v[i].base, stream + m.read, v[i].len) == 0);
		got = i == k - 1 ? unit_below(&rng, v[i].len + 1) : v[i].len;
		UNIT_CHECK(tg_sock_consume(w->s, w->conn, got, w->now_ns) == 0);
		m.read += got;
		if (i == 0)
			break; /* the other spans are void now */
	}
	UNIT_CHECK(tg_sock_consume(w->s, w->conn, m.nxt - m.read + 1, w->now_ns) == -TG_EINVAL);
}

static void begin(int run)
{
	unit_rng_start(&rng, run);
	memset(&m, 0, sizeof(m));
	unit_bytes(&rng, stream, sizeof(stream));
	m.end = 20000 + unit_below(&rng, STREAM_MAX - 20000);
	if (run < 0)
		m.end = 3000;
	m.sack = run % 4 != 0;
	m.ts = run % 3 == 0;
	m.failing = run % 5 == 4;
	w = tw_new(NULL);
	w->syn_opts = tw_all_opts();
	w->syn_opts.has &= (uint8_t) ~((m.sack ? 0 : TCP_HAS_SACK_PERM) | (m.ts ? 0 : TCP_HAS_TS) |
				       (run & 1 ? 0 : TCP_HAS_WSCALE));
	tw_establish(w, TW_FAR, seq_of(0u - 1 - unit_below(&rng, STREAM_MAX)));
	tg_sock_setopt(w->s, w->conn, TG_SO_RCVBUF, 2048 << unit_below(&rng, 8), w->now_ns);
	if (run % 2)
		tg_sock_setopt(w->s, w->conn, TG_TCP_QUICKACK, 1, w->now_ns);
}

/* What is still missing, in order; then the end of the stream. */
static void finish(void)
{
	uint8_t b;

	m.failing = false;
	tg_memory_fail_after(w->s, 0, 0);
	for (int i = 0; i < 10000 && !w->c->fin_seen; i++) {
		uint32_t n = min_u32(m.end - m.nxt, off_of(w->c->rcv.adv) - m.nxt);

		n = min_u32(n, 20000);
		feed(m.nxt, n, m.nxt + n == m.end);
		while (m.read < m.nxt)
			random_read();
		tw_step(w, 100 * NS_PER_MS);
	}
	UNIT_CHECK(w->c->fin_seen && m.nxt == m.end);
	while (m.read < m.nxt)
		random_read();
	UNIT_CHECK(tg_sock_recv(w->s, w->conn, &b, 1, 0, w->now_ns) == 0);
	UNIT_CHECK(w->c->bytes_received == m.end);
	tw_end(w);
}

START_TEST (test_random) {
	begin(_i);
	for (int i = 0; i < 600 && !w->c->fin_seen; i++) {
		if (m.failing)
			tg_memory_fail_after(
				w->s, 1 + unit_below(&rng, 6), 1 + unit_below(&rng, 4));
		random_segment();
		if (unit_below(&rng, 3) == 0)
			random_read();
		if (unit_below(&rng, 10) == 0)
			tw_step(w, 50 * NS_PER_MS);
	}
	finish();
}
END_TEST

/* Single bytes with gaps, and tiny segments in large blocks: the worst for memory. */
START_TEST (test_memory_bound) {
	begin(3);
	tg_sock_setopt(w->s, w->conn, TG_SO_RCVBUF, 1 << 20, w->now_ns);
	for (uint32_t i = 1; i < 2000; i++)
		feed(2 * i, 1, false);
	UNIT_CHECK(tw_drops(w, TG_DROP_TCP_OOO_LIMIT) > 0);
	/* Closing the gaps joins small blocks, which still share the bound. */
	for (uint32_t i = 0; i < 400; i++)
		feed(m.nxt, 1, false);
	for (uint32_t i = 0; i < 3000; i++)
		feed(m.nxt, 1 + (i % 7 == 0), false);
	/* Text in order shares blocks: what is unread takes hardly more than its bytes. */
	UNIT_CHECK(w->c->rcvq.charge <= 2 * w->c->rcvq.bytes + 258 * 2048);
	finish();
}
END_TEST

/* A sender that does not care about the window: what is beyond is cut, however often it comes. */
START_TEST (test_beyond_window) {
	begin(1);
	tg_sock_setopt(w->s, w->conn, TG_SO_RCVBUF, 4096, w->now_ns);
	for (int i = 0; i < 300; i++)
		feed(m.nxt + unit_below(&rng, 3), min_u32(50000, m.end - m.nxt - 3), false);
	UNIT_CHECK(m.read == 0);
	finish();
}
END_TEST

/* The end of the text is held already when the segment comes that fills the gap and has the FIN. */
START_TEST (test_fin_behind_held) {
	begin(-1 - _i);
	tg_sock_setopt(w->s, w->conn, TG_SO_RCVBUF, 1 << 20, w->now_ns);
	feed(0, m.end - 30, false);
	feed(m.end - 10, _i == 0 ? 10 : 5, false);
	feed(m.end - 30, 30, true);
	UNIT_CHECK(w->c->fin_seen && w->c->state == TG_CLOSE_WAIT);
	finish();
}
END_TEST

static Suite *tcp_text_suite(void)
{
	Suite *suite = suite_create("tcp text");
	TCase *t = tcase_create("model");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_random, 0, getenv("TG_TEST_BRIEF") ? 10 : 60);
	tcase_add_test(t, test_memory_bound);
	tcase_add_test(t, test_beyond_window);
	tcase_add_loop_test(t, test_fin_behind_held, 0, 2);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_text_suite)
