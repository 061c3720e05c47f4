/* Buffers that find their size (tcp_buf.c): the receive buffer against what a user takes in a round
 * trip, by both ways of measuring that; the send buffer against cwnd; what limits either; the
 * memory of the instance. */
#include "tcp_support.h"

#define MSS 1448u
#define KIB 1024u
#define MIB (1024u * KIB)

static struct tcp_world *w;
static uint8_t text[MSS];

static void begin_with(const struct tcp_opts *opts, const struct tg_config *cfg)
{
	w = tw_new(cfg);
	w->syn_opts = *opts;
	tw_establish(w, TW_FAR, (struct seq){TW_IRS});
	memset(text, 'x', sizeof(text));
}

static void begin(bool ts)
{
	struct tcp_opts o = tw_all_opts();

	if (!ts)
		o.has &= (uint8_t)~TCP_HAS_TS;
	begin_with(&o, NULL);
}

static void later(uint64_t ms)
{
	w->now_ns += ms * NS_PER_MS;
	tg_step(w->s, w->now_ns);
}

/* n octets of text; the echo in it is ms old. */
static void text_in(uint32_t n, uint32_t ms)
{
	struct tcp_seg g = tw_seg(w);

	g.opts.tsecr -= ms;
	tw_in(w, &g, text, n);
}

static void texts_in(uint32_t segs, uint32_t ms)
{
	while (segs--)
		text_in(MSS, ms);
}

static void read_all(void)
{
	static uint8_t to[4 * MIB];

	while (w->c->rcvq.bytes)
		ck_assert_int_gt(tg_sock_recv(w->s, w->conn, to, sizeof(to), 0, w->now_ns), 0);
}

/* A round trip of 10 ms in which the user takes `segs` segments. */
static void round_of(uint32_t segs)
{
	texts_in(segs, 10);
	later(10);
	read_all();
	later(0);
}

/* What the buffer has to be after `bytes` in one round trip, when `most` were the most before. */
static uint32_t wanted(uint32_t bytes, uint32_t most)
{
	uint64_t want = 2ull * bytes + 16ull * MSS;

	return (uint32_t)(want + 2 * (want * (bytes - most) / most));
}

/* ---- Receiving ---- */

START_TEST (grows_with_what_is_taken) {
	uint32_t first = w->c->rcvbuf, most = w->c->rounds.most_bytes;

	ck_assert_uint_eq(first, 128 * KIB);
	ck_assert_uint_eq(most, 14600); /* ten segments: what a sender begins with */
	round_of(20);
	ck_assert_uint_eq(w->c->rcvbuf, wanted(20 * MSS, most));
	ck_assert_uint_gt(w->c->rcvbuf, first);
	ck_assert_uint_eq(w->s->counters.tcp_rcvbuf_grown, 1);
	ck_assert_uint_eq(w->c->rounds.most_bytes, 20 * MSS);
	/* The same again, and less: neither grows nor shrinks it. */
	first = w->c->rcvbuf;
	round_of(20);
	round_of(5);
	ck_assert_uint_eq(w->c->rcvbuf, first);
	ck_assert_uint_eq(w->c->rounds.most_bytes, 20 * MSS);
	round_of(60);
	ck_assert_uint_eq(w->c->rcvbuf, wanted(60 * MSS, 20 * MSS));
	ck_assert_uint_eq(w->s->counters.tcp_rcvbuf_grown, 2);
	ck_assert_uint_eq(w->s->counters.tcp_growth_refused, 0);
	/* It is offered. */
	tg_step(w->s, w->now_ns);
	ck_assert_uint_ge(seq_dist(w->c->rcv.adv, w->c->rcv.nxt) + 2 * MSS, w->c->rcvbuf);
}
END_TEST

/* More than before, but for which the buffer is large enough: noted, nothing more. */
START_TEST (large_enough_stays) {
	round_of(11);
	ck_assert_uint_eq(w->c->rcvbuf, 128 * KIB);
	ck_assert_uint_eq(w->c->rounds.most_bytes, 11 * MSS);
	ck_assert_uint_eq(w->s->counters.tcp_rcvbuf_grown, 0);
}
END_TEST

START_TEST (not_without_reading) {
	static uint8_t to[128 * KIB];

	texts_in(44, 10);
	later(10);
	ck_assert_int_eq(
		tg_sock_recv(w->s, w->conn, to, sizeof(to), TG_MSG_PEEK, w->now_ns), 44 * MSS);
	later(100);
	texts_in(1, 10);
	ck_assert_uint_eq(w->c->rcvbuf, 128 * KIB);
	/* Taken at last, but slowly: 44 in nine round trips. */
	for (unsigned i = 0; i < 9; i++) {
		ck_assert_int_gt(tg_sock_recv(w->s, w->conn, to, 5 * MSS, 0, w->now_ns), 0);
		later(10);
	}
	ck_assert_uint_eq(w->c->rcvbuf, 128 * KIB);
	ck_assert_uint_eq(w->s->counters.tcp_rcvbuf_grown, 0);
}
END_TEST

/* What is taken counts by whole round trips, however many calls it is. */
START_TEST (a_round_is_a_round) {
	for (unsigned i = 0; i < 30; i++) {
		text_in(MSS, 10);
		read_all();
		if (i % 10 == 9)
			later(4);
		if (i == 19)
			ck_assert_uint_eq(w->c->rounds.taken.v, w->c->irs.v + 1);
	}
	read_all();
	text_in(MSS, 10);
	read_all(); /* 12 ms after the first: the round is over */
	ck_assert_uint_eq(w->c->rounds.most_bytes, 31 * MSS);
	ck_assert_uint_eq(w->c->rcvbuf, wanted(31 * MSS, 14600));
	ck_assert_uint_eq(seq_dist(w->c->rounds.taken, w->c->irs), 1 + 31 * MSS);
	ck_assert_uint_eq(w->c->rounds.taken_us, (uint32_t)(w->now_ns / NS_PER_US));
}
END_TEST

START_TEST (least_of_three_limits) {
	w->s->cfg.tcp.rcvbuf_max_bytes = 200 * KIB;
	round_of(80);
	ck_assert_uint_eq(w->c->rcvbuf, 200 * KIB);
	w->s->cfg.tcp.rcvbuf_max_bytes = 16 * MIB;
	w->c->rcv_wscale = 2; /* no more can be said in the window field */
	round_of(90);
	ck_assert_uint_eq(w->c->rcvbuf, 65535 * 4);
}
END_TEST

START_TEST (a_size_that_was_set_stays) {
	int set = 100 * (int)KIB;

	ck_assert_int_eq(tg_sock_setopt(w->s, w->conn, TG_SO_RCVBUF, set, w->now_ns), 0);
	set = (int)w->c->rcvbuf;
	round_of(40);
	ck_assert_int_eq((int)w->c->rcvbuf, set);
	w->s->cfg.tcp.mem_high_bytes = 1;
	round_of(40);
	ck_assert_int_eq((int)w->c->rcvbuf, set); /* nor does it shrink */
	ck_assert_uint_eq(w->s->counters.tcp_rcvbuf_grown, 0);
	ck_assert_uint_eq(w->s->counters.tcp_buffers_shrunk, 0);
}
END_TEST

START_TEST (moderation_off) {
	w->s->cfg.tcp.moderate_rcvbuf = false;
	round_of(60);
	ck_assert_uint_eq(w->c->rcvbuf, 128 * KIB);
}
END_TEST

/* ---- The receiver's round trip ---- */

START_TEST (echo_of_full_segments) {
	text_in(MSS, 50);
	ck_assert_uint_eq(w->c->rounds.rtt_us, 50000);
	text_in(MSS, 30); /* a shorter one counts at once */
	ck_assert_uint_eq(w->c->rounds.rtt_us, 30000);
	text_in(MSS, 46); /* a longer one by an eighth */
	ck_assert_uint_eq(w->c->rounds.rtt_us, 32000);
	text_in(MSS - 1, 10); /* may have waited for its sender's user */
	ck_assert_uint_eq(w->c->rounds.rtt_us, 32000);
	text_in(MSS, 600001); /* of what we never sent */
	ck_assert_uint_eq(w->c->rounds.rtt_us, 32000);
	text_in(MSS, 600000);
	ck_assert_uint_eq(w->c->rounds.rtt_us, 32000 + (600000000 - 32000) / 8);
	text_in(MSS, 0); /* the clock's grain */
	ck_assert_uint_eq(w->c->rounds.rtt_us, 1000);
}
END_TEST

/* Without timestamps: how long it takes until what was offered has come. */
START_TEST (window_of_text) {
	uint32_t offered = seq_dist(w->c->rcv.adv, w->c->rcv.nxt);
	uint32_t n = 0;

	ck_assert(!w->c->ts_ok);
	ck_assert_uint_eq(seq_dist(w->c->rounds.edge, w->c->rcv.nxt), offered);
	for (; n < offered / MSS; n++)
		text_in(MSS, 0);
	later(25);
	ck_assert_uint_eq(w->c->rounds.rtt_us, 0);
	read_all();
	tg_step(w->s, w->now_ns);
	text_in(MSS, 0);
	ck_assert_uint_eq(w->c->rounds.rtt_us, 0); /* it began before the edge */
	text_in(MSS, 0);
	ck_assert_uint_eq(w->c->rounds.rtt_us, 25000);
	/* The next one begins where the window ends now. */
	ck_assert_uint_eq(w->c->rounds.edge.v, w->c->rcv.adv.v);
	ck_assert_uint_eq(w->c->rounds.edge_us, (uint32_t)(w->now_ns / NS_PER_US));
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t left = seq_dist(w->c->rounds.edge, w->c->rcv.nxt) / MSS + 2;

		later(i ? 40 : 5); /* a longer one does not count */
		while (left--) {
			text_in(MSS, 0);
			read_all();
			later(0);
		}
		ck_assert_uint_eq(w->c->rounds.rtt_us, 5000);
	}
}
END_TEST

/* Neither measured: the handshake's round trip. */
START_TEST (round_trip_of_the_handshake) {
	w->c->srtt_ns = 10 * NS_PER_MS;
	for (unsigned i = 0; i < 20; i++)
		text_in(MSS, 0);
	later(9);
	read_all();
	ck_assert_uint_eq(w->c->rounds.most_bytes, 14600);
	later(1);
	text_in(MSS, 0);
	read_all();
	ck_assert_uint_eq(w->c->rounds.most_bytes, 21 * MSS);
	/* None at all: no round trip ever ends. */
	w->c->srtt_ns = 0;
	texts_in(22, 0);
	later(1000);
	read_all();
	ck_assert_uint_eq(w->c->rounds.most_bytes, 21 * MSS);
}
END_TEST

START_TEST (scale_for_the_largest) {
	struct tcp_conn c = {.rcvbuf = 128 * KIB};
	struct tg s = {0};

	s.cfg.tcp.moderate_rcvbuf = true;
	s.cfg.tcp.rcvbuf_max_bytes = 16 * MIB;
	ck_assert_uint_eq(tcp_rcv_wscale(&s, &c), 9);
	c.rcvbuf_locked = true;
	ck_assert_uint_eq(tcp_rcv_wscale(&s, &c), 2);
	c.rcvbuf_locked = false;
	s.cfg.tcp.moderate_rcvbuf = false;
	ck_assert_uint_eq(tcp_rcv_wscale(&s, &c), 2);
	s.cfg.tcp.moderate_rcvbuf = true;
	c.rcvbuf = 1 * KIB; /* at least four units of the scale */
	ck_assert_uint_eq(tcp_rcv_wscale(&s, &c), 8);
	c.rcvbuf = 1 * KIB - 1;
	ck_assert_uint_eq(tcp_rcv_wscale(&s, &c), 7);
	c.rcvbuf = 32 * MIB; /* larger than the most: set before that was lowered */
	ck_assert_uint_eq(tcp_rcv_wscale(&s, &c), 10);
}
END_TEST

/* ---- Sending ---- */

/* Sends one segment, has it acknowledged. */
static void acked_round(void)
{
	struct tcp_seg g;

	ck_assert_int_eq(tg_sock_send(w->s, w->conn, text, MSS, 0, w->now_ns), MSS);
	later(10);
	g = tw_seg(w);
	tw_in(w, &g, NULL, 0);
}

START_TEST (follows_cwnd) {
	w->c->cc.cwnd = 64 * KIB;
	w->c->cwnd_limited = false;
	acked_round();
	ck_assert_uint_eq(w->c->sndbuf, 128 * KIB); /* twice that is what there is */
	ck_assert_uint_eq(w->s->counters.tcp_sndbuf_grown, 0);
	w->c->cc.cwnd = 100 * KIB;
	acked_round();
	ck_assert_uint_ge(w->c->sndbuf, 200 * KIB);
	ck_assert_uint_eq(w->c->sndbuf, 2 * w->c->cc.cwnd);
	ck_assert_uint_eq(w->s->counters.tcp_sndbuf_grown, 1);
	w->c->cc.cwnd = 10 * KIB; /* a loss takes nothing back */
	acked_round();
	ck_assert_uint_ge(w->c->sndbuf, 200 * KIB);
	w->c->cc.cwnd = 60 * MIB;
	acked_round();
	ck_assert_uint_eq(w->c->sndbuf, 16 * MIB);
}
END_TEST

START_TEST (send_size_that_was_set_stays) {
	uint32_t set;

	ck_assert_int_eq(tg_sock_setopt(w->s, w->conn, TG_SO_SNDBUF, 50000, w->now_ns), 0);
	set = w->c->sndbuf;
	w->c->cc.cwnd = MIB;
	acked_round();
	w->s->cfg.tcp.mem_high_bytes = 1;
	acked_round();
	ck_assert_uint_eq(w->c->sndbuf, set);
}
END_TEST

/* ---- Memory of the instance ---- */

START_TEST (levels_of_memory) {
	struct arena_stats m;

	ck_assert_int_eq(tcp_memory_level(w->s), TCP_MEMORY_PLENTY);
	arena_get_stats(w->s->arena, &m);
	w->s->cfg.tcp.mem_pressure_bytes = m.pages;
	ck_assert_int_eq(tcp_memory_level(w->s), TCP_MEMORY_PLENTY);
	w->s->cfg.tcp.mem_pressure_bytes = m.pages - 1;
	ck_assert_int_eq(tcp_memory_level(w->s), TCP_MEMORY_PRESSURE);
	w->s->cfg.tcp.mem_high_bytes = m.pages;
	ck_assert_int_eq(tcp_memory_level(w->s), TCP_MEMORY_PRESSURE);
	w->s->cfg.tcp.mem_high_bytes = m.pages - 1;
	ck_assert_int_eq(tcp_memory_level(w->s), TCP_MEMORY_SHORT);
}
END_TEST

/* Without limits of their own: half, three quarters of the budget. */
START_TEST (levels_by_budget) {
	struct arena_stats m;
	struct tg_pkt *held[600];
	unsigned n = 0;
	enum tcp_memory level = TCP_MEMORY_PLENTY;

	while ((held[n] = pkt_alloc(w->s, TG_PKT_LARGE)) != NULL && n < 599) {
		n++;
		arena_get_stats(w->s->arena, &m);
		level = m.pages > m.budget / 4 * 3 ? TCP_MEMORY_SHORT
			: m.pages > m.budget / 2   ? TCP_MEMORY_PRESSURE
						   : TCP_MEMORY_PLENTY;
		ck_assert_int_eq(tcp_memory_level(w->s), level);
	}
	ck_assert_int_eq(level, TCP_MEMORY_SHORT);
	while (n)
		tg_pkt_free(w->s, held[--n]);
}
END_TEST

START_TEST (pressure_stops_growth) {
	w->s->cfg.tcp.mem_pressure_bytes = 1;
	w->s->cfg.tcp.mem_high_bytes = UINT64_MAX;
	round_of(60);
	ck_assert_uint_eq(w->c->rcvbuf, 128 * KIB);
	ck_assert_uint_eq(w->s->counters.tcp_growth_refused, 1);
	ck_assert_uint_eq(w->s->counters.tcp_rcvbuf_grown, 0);
	w->c->cc.cwnd = 100 * KIB;
	acked_round();
	ck_assert_uint_eq(w->c->sndbuf, 128 * KIB);
	ck_assert_uint_eq(w->s->counters.tcp_growth_refused, 2);
	/* What need not grow is not refused. */
	w->c->cc.cwnd = 10 * KIB;
	acked_round();
	ck_assert_uint_eq(w->s->counters.tcp_growth_refused, 2);
	ck_assert_uint_eq(w->s->counters.tcp_buffers_shrunk, 0);
	/* It was not forgotten what the user takes: the next round grows. */
	w->s->cfg.tcp.mem_pressure_bytes = UINT64_MAX;
	round_of(60);
	ck_assert_uint_eq(w->c->rcvbuf, wanted(60 * MSS, 14600));
}
END_TEST

START_TEST (shortage_shrinks) {
	struct seq edge;

	w->s->cfg.tcp.mem_high_bytes = 1;
	edge = w->c->rcv.adv;
	round_of(2);
	ck_assert_uint_eq(w->c->rcvbuf, 64 * KIB);
	ck_assert_uint_eq(w->s->counters.tcp_buffers_shrunk, 1);
	ck_assert_uint_eq(w->c->rounds.most_bytes, 14600);
	later(0);
	ck_assert(seq_ge(w->c->rcv.adv, edge)); /* [9293 SHLD-14] */
	for (unsigned i = 0; i < 8; i++)
		round_of(1);
	ck_assert_uint_eq(w->c->rcvbuf, 4 * KIB);
	ck_assert_uint_eq(w->c->rounds.most_bytes, 2 * KIB); /* it finds its way back */
	ck_assert_uint_eq(w->s->counters.tcp_buffers_shrunk, 5);
	acked_round();
	ck_assert_uint_eq(w->c->sndbuf, 64 * KIB);
	for (unsigned i = 0; i < 6; i++)
		acked_round();
	ck_assert_uint_eq(w->c->sndbuf, 4 * KIB);
	ck_assert_uint_eq(w->s->counters.tcp_buffers_shrunk, 10);
	w->s->cfg.tcp.mem_high_bytes = 0;
	round_of(2);
	ck_assert_uint_gt(w->c->rcvbuf, 4 * KIB);
}
END_TEST

/* Never so small that its window could not be said. */
START_TEST (shortage_leaves_units_of_the_scale) {
	w->s->cfg.tcp.mem_high_bytes = 1;
	w->c->rcv_wscale = 12;
	for (unsigned i = 0; i < 8; i++)
		round_of(1);
	ck_assert_uint_eq(w->c->rcvbuf, 16 * KIB);
}
END_TEST

static void with_ts(void)
{
	begin(true);
}

static void without_ts(void)
{
	begin(false);
}

static void end(void)
{
	world_check(w->s);
	arena_check(w->s->arena);
	tw_free(w);
}

static Suite *tcp_buf_suite(void)
{
	Suite *suite = suite_create("tcp buf");
	TCase *t = tcase_create("with timestamps"), *u = tcase_create("without");

	tcase_add_checked_fixture(t, with_ts, end);
	tcase_add_test(t, grows_with_what_is_taken);
	tcase_add_test(t, large_enough_stays);
	tcase_add_test(t, not_without_reading);
	tcase_add_test(t, a_round_is_a_round);
	tcase_add_test(t, least_of_three_limits);
	tcase_add_test(t, a_size_that_was_set_stays);
	tcase_add_test(t, moderation_off);
	tcase_add_test(t, echo_of_full_segments);
	tcase_add_test(t, scale_for_the_largest);
	tcase_add_test(t, follows_cwnd);
	tcase_add_test(t, send_size_that_was_set_stays);
	tcase_add_test(t, levels_of_memory);
	tcase_add_test(t, levels_by_budget);
	tcase_add_test(t, pressure_stops_growth);
	tcase_add_test(t, shortage_shrinks);
	tcase_add_test(t, shortage_leaves_units_of_the_scale);
	suite_add_tcase(suite, t);
	tcase_add_checked_fixture(u, without_ts, end);
	tcase_add_test(u, window_of_text);
	tcase_add_test(u, round_trip_of_the_handshake);
	suite_add_tcase(suite, u);
	return suite;
}

UNIT_MAIN(tcp_buf_suite)
