/* What TCP holds in memory, and for whom: sending halves of the instance's own serve before others
 * are made (tcp_tx.c); when there is no more, the oldest text out of order of any connection gives
 * way first (tcp_text.c); and a span that a user has reserved in a send buffer stays his while the
 * text before it is acknowledged (tcp_ack.c, base/bring.c). */
#include "tcp_support.h"

#define MSS 1448u

static struct tcp_world *w;
static uint8_t text[MSS];

static void begin(void)
{
	w = tw_new(NULL);
	w->syn_opts = tw_all_opts();
	tw_establish(w, TW_FAR, (struct seq){TW_IRS});
	memset(text, 'x', sizeof(text));
}

static void end(void)
{
	world_check(w->s);
	arena_check(w->s->arena);
	tw_free(w);
}

static void later(uint64_t ms)
{
	w->now_ns += ms * NS_PER_MS;
	tg_step(w->s, w->now_ns);
}

static void text_in(void)
{
	struct tcp_seg g = tw_seg(w);

	tw_in(w, &g, text, MSS);
}

/* ---- What gives way first ---- */

static struct tcp_conn *peer(uint16_t port)
{
	tw_establish(w, port, (struct seq){1000u * port});
	return w->c;
}

/* A segment behind a gap of `gap` octets. */
static void behind_gap(struct tcp_conn *c, uint32_t gap)
{
	struct tcp_seg g;

	w->c = c;
	g = tw_seg(w);
	g.seq = seq_add(g.seq, gap);
	tw_in(w, &g, text, MSS);
}

static uint32_t ranges(const struct tcp_conn *c)
{
	return c->ooo ? c->ooo->n_ranges : 0;
}

/* Nothing is left for packets but the reader's reserve. What was taken: newest first. */
static struct tg_pkt *use_up_memory(void)
{
	struct tg_pkt *all = NULL, *p;

	for (unsigned large = 1;; large = 0) {
		while ((p = pkt_alloc(w->s, large ? TG_PKT_LARGE : TG_PKT_SMALL)) != NULL) {
			p->next = all;
			all = p;
		}
		if (!large)
			return all;
	}
}

static void give_back(struct tg_pkt *all)
{
	struct tg_pkt *p;

	while ((p = all) != NULL) {
		all = p->next;
		tg_pkt_free(w->s, p);
	}
}

/* Text next in line finds no memory: text out of order makes room for it, first what the same
 * connection holds, then what belongs to whoever has held some for longest, the furthest first. */
START_TEST (oldest_out_of_order_gives_way) {
	struct tcp_conn *a = w->c, *b = peer(4001), *c = peer(4002), *d = peer(4003);
	struct tcp_conn *e = peer(4004), *f = peer(4005), *g = peer(4006);
	struct tg_pkt *all, *rest;

	behind_gap(b, 3000); /* the oldest */
	behind_gap(a, 3000);
	behind_gap(c, 3000);
	behind_gap(b, 9000); /* more of it does not make it younger */
	behind_gap(c, 9000);
	all = use_up_memory();
	w->c = d;
	text_in();
	ck_assert_uint_eq(d->rcvq.bytes, MSS);
	ck_assert_uint_eq(ranges(b), 1);
	ck_assert_uint_eq(
		seq_dist(list_entry(b->ooo->ranges.next, struct tcp_ooo_range, node)->start,
			b->rcv.nxt),
		3000);
	w->c = c; /* its own first, though others have held theirs for longer */
	text_in();
	ck_assert_uint_eq(c->rcvq.bytes, MSS);
	ck_assert_uint_eq(ranges(a) * 100 + ranges(b) * 10 + ranges(c), 111);
	w->c = e;
	text_in();
	ck_assert_uint_eq(ranges(a) * 100 + ranges(b) * 10 + ranges(c), 101);
	w->c = f;
	text_in();
	ck_assert_uint_eq(ranges(a) * 100 + ranges(b) * 10 + ranges(c), 1);
	w->c = g;
	text_in();
	ck_assert_uint_eq(g->rcvq.bytes, MSS);
	ck_assert_ptr_null(c->ooo);
	ck_assert_uint_eq(tw_drops(w, TG_DROP_TCP_RCV_MEMORY), 0);
	rest = use_up_memory();
	w->c = b; /* nobody holds any more */
	text_in();
	ck_assert_uint_eq(b->rcvq.bytes, 0);
	ck_assert_uint_eq(tw_drops(w, TG_DROP_TCP_RCV_MEMORY), 1);
	give_back(all);
	give_back(rest);
	text_in(); /* sent again */
	ck_assert_uint_eq(b->rcvq.bytes, MSS);
}
END_TEST

/* ---- Reserved spans ---- */

static uint8_t pattern(uint32_t i)
{
	return (uint8_t)(i * 7 + (i >> 8));
}

/* Fills n octets of reserved spans from `from` on. */
static void fill(const struct tg_mspan *span, int spans, uint32_t from, uint32_t n)
{
	uint32_t at = 0;

	for (int k = 0; k < spans; k++)
		for (uint32_t i = 0; i < span[k].len && at < n; i++, at++)
			if (at >= from)
				((uint8_t *)span[k].base)[i] = pattern(at);
	ck_assert_uint_eq(at, n);
}

/* All that the device has sent in text from `first` on is the pattern; n octets of it. */
static void check_sent(uint32_t first, uint32_t n)
{
	uint32_t got = 0;

	for (uint32_t i = first; i < w->dev.n; i++) {
		const struct dev_frame *f = &w->dev.frame[i % DEV_FRAMES];
		struct tcp_seg g;

		ck_assert(tw_parse(w, i, &g));
		for (uint32_t k = f->len - g.text_bytes; k < f->len; k++, got++)
			ck_assert_uint_eq(f->bytes[k], pattern(got));
	}
	ck_assert_uint_eq(got, n);
}

/* A user writes into what he has reserved; in between all that was queued before is acknowledged,
 * and another connection takes the memory that became free. */
START_TEST (reserved_span_survives_ack) {
	const uint32_t n = _i ? 9000 : 900; /* in the block of what was sent; in two of its own */
	struct tg_mspan span[2];
	struct tcp_conn *c = w->c;
	tg_sock k = w->conn;
	struct tcp_seg g;
	uint32_t first;
	int spans;

	ck_assert_int_eq(tg_sock_send(w->s, k, text, MSS, 0, w->now_ns), MSS);
	later(0);
	ck_assert_int_eq(tg_sock_setopt(w->s, k, TG_TCP_NODELAY, 1, w->now_ns), 0);
	spans = tg_sock_reserve(w->s, k, n, span);
	ck_assert_int_gt(spans, 0);
	fill(span, spans, 0, n / 2);
	later(10);
	g = tw_seg(w);
	tw_in(w, &g, NULL, 0);
	ck_assert_uint_eq(c->snd.una.v, c->snd.nxt.v);
	ck_assert_uint_eq(tcp_queued(c), 0);
	peer(4001);
	ck_assert_int_eq(tg_sock_send(w->s, w->conn, text, MSS, 0, w->now_ns), MSS);
	later(0);
	fill(span, spans, n / 2, n);
	first = w->dev.n;
	ck_assert_int_eq(tg_sock_commit(w->s, k, n, 0, w->now_ns), 0);
	later(0);
	check_sent(first, n);
	w->c = c;
	g = tw_seg(w);
	tw_in(w, &g, NULL, 0);
	ck_assert_ptr_null(c->tx);
	ck_assert_int_eq(tg_sock_abort(w->s, k, w->now_ns), 0);
}
END_TEST

/* The same while the ACK covers a part only, and the rest has to be sent again from the ring. */
START_TEST (reserved_span_survives_partial_ack) {
	struct tg_mspan span[2];
	uint8_t before[MSS];
	struct tcp_seg g;
	uint32_t first;
	int spans;

	for (uint32_t i = 0; i < MSS; i++)
		before[i] = pattern(i);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(tg_sock_send(w->s, w->conn, text, MSS, 0, w->now_ns), MSS);
	ck_assert_int_eq(tg_sock_send(w->s, w->conn, before, MSS, 0, w->now_ns), MSS);
	later(0);
	spans = tg_sock_reserve(w->s, w->conn, 3000, span);
	ck_assert_int_gt(spans, 0);
	g = tw_seg(w);
	g.ack = seq_sub(g.ack, MSS);
	tw_in(w, &g, NULL, 0); /* the first block of the ring is free */
	ck_assert_uint_eq(tcp_queued(w->c), MSS);
	for (int k = 0; k < spans; k++)
		memset(span[k].base, 'y', span[k].len);
	first = w->dev.n;
	tw_step(w, 2 * NS_PER_SEC); /* lost: again */
	ck_assert_uint_gt(w->dev.n, first);
	w->dev.n = first + 1; /* the first copy */
	check_sent(first, MSS);
	ck_assert_int_eq(tg_sock_commit(w->s, w->conn, 3000, 0, w->now_ns), 0);
	ck_assert_uint_eq(tcp_queued(w->c), MSS + 3000);
}
END_TEST

/* ---- Sending halves ---- */

static void send_one(tg_sock k)
{
	ck_assert_int_eq(tg_sock_send(w->s, k, text, 1, 0, w->now_ns), 1);
	later(0);
}

static void acknowledge(struct tcp_conn *c)
{
	struct tcp_seg g;

	w->c = c;
	g = tw_seg(w);
	tw_in(w, &g, NULL, 0);
	ck_assert_ptr_null(c->tx);
}

static struct arena_stats memory(void)
{
	struct arena_stats m;

	arena_get_stats(w->s->arena, &m);
	return m;
}

/* More connections have something in flight than the instance has sending halves for: the others
 * get theirs from the arena, and each goes back to where it came from. */
START_TEST (own_sending_halves_come_first) {
	struct tcp_conn *c[TCP_TX_OWN + 2];
	tg_sock k[TCP_TX_OWN + 2];
	struct arena_stats before;
	unsigned i;

	for (i = 0; i < TCP_TX_OWN + 2; i++) {
		c[i] = i ? peer((uint16_t)(4000 + i)) : w->c;
		k[i] = w->conn;
	}
	before = memory();
	for (i = 0; i < TCP_TX_OWN + 2; i++) {
		send_one(k[i]);
		ck_assert_int_eq(c[i]->tx->ring.home != NULL, i < TCP_TX_OWN);
		ck_assert_uint_eq(w->s->tcp->n_tx_own, i < TCP_TX_OWN ? TCP_TX_OWN - 1 - i : 0);
	}
	ck_assert_uint_eq(memory().allocs - before.allocs, 2 * 2); /* record and ring, of two */
	for (i = 0; i < TCP_TX_OWN + 2; i++)
		acknowledge(c[i]);
	ck_assert_uint_eq(w->s->tcp->n_tx_own, TCP_TX_OWN);
	ck_assert_uint_eq(memory().in_use, before.in_use);
}
END_TEST

/* What one flight leaves behind, the next does not find, of whichever connection. */
START_TEST (own_sending_half_begins_anew) {
	struct tcp_conn *a = w->c, *b;
	tg_sock k = w->conn;
	struct tcp_tx *x;

	b = peer(4001);
	send_one(k);
	x = a->tx;
	later(5000); /* the loss probe, the timeout */
	ck_assert(x->one.flags & RANGE_EVER);
	acknowledge(a);
	send_one(w->conn);
	ck_assert_ptr_eq(b->tx, x);
	ck_assert_uint_eq(x->last_nth.v, 1);
	ck_assert_uint_eq(x->rack_nth.v, 0);
	ck_assert_uint_eq(x->ring_seq.v, b->snd.una.v);
	ck_assert_uint_eq(x->one.flags, 0);
	ck_assert_uint_eq(x->sacked_bytes | x->lost_bytes | x->retrans_bytes, 0);
	ck_assert(x->ring.blocks[x->ring.first] == x->ring.home);
}
END_TEST

static Suite *tcp_memory_suite(void)
{
	Suite *suite = suite_create("tcp memory");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, oldest_out_of_order_gives_way);
	tcase_add_loop_test(t, reserved_span_survives_ack, 0, 2);
	tcase_add_test(t, reserved_span_survives_partial_ack);
	tcase_add_test(t, own_sending_halves_come_first);
	tcase_add_test(t, own_sending_half_begins_anew);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_memory_suite)
