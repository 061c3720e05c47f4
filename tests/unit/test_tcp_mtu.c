/* The search for the path's MTU (tcp_mtu.c) piece by piece: when a probe may go, which size it has,
 * what its arrival, its loss and a timeout mean (RFC 4821 7, RFC 8899 5), and what a segment's size
 * is bounded by (RFC 9293 3.7.1). How it looks on the wire: tests/drill/rfc8899. */
#include "tcp_support.h"

#define HDR  40u
#define BASE 1024u
#define FULL 1460u

static struct tcp_world *w;
static struct tcp_conn *c;

static void begin(uint8_t probing)
{
	struct tg_config cfg;

	world_config(&cfg);
	cfg.tcp.mtu_probing = probing;
	cfg.tcp.initial_window_segs = 40;
	w = tw_new(&cfg);
	w->syn_opts = (struct tcp_opts){.has = TCP_HAS_MSS | TCP_HAS_SACK_PERM, .mss = FULL};
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	c = w->c;
	c->nodelay = true;
}

static void setup(void)
{
	begin(2);
	ck_assert_ptr_nonnull(c->mtu);
	ck_assert_uint_eq(c->mss, BASE);
}

static void teardown(void)
{
	tw_end(w);
}

static void queue(uint32_t bytes)
{
	static const uint8_t text[100000];

	ck_assert_int_eq(tg_sock_send(w->s, w->conn, text, bytes, 0, w->now_ns), bytes);
}

static void send_text(uint32_t bytes)
{
	queue(bytes);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(tcp_unsent(c), 0);
}

static enum mtu_advice advice(uint32_t *text_bytes)
{
	w->s->now_ns = w->now_ns;
	return tcp_mtu_advise(w->s, c, text_bytes);
}

static bool probes(uint32_t text_bytes)
{
	uint32_t n = 0;

	return advice(&n) == MTU_PROBE && n == text_bytes;
}

static bool rests(void)
{
	uint32_t n;

	return advice(&n) == MTU_NO;
}

/* ---- May it go? ---- */

#define NOT_WHILE(what, value)                                                                     \
	do {                                                                                       \
		__typeof__(what) before_ = (what);                                                 \
		(what) = (value);                                                                  \
		ck_assert(rests());                                                                \
		(what) = before_;                                                                  \
		ck_assert(probes(FULL));                                                           \
	} while (0)

/* [4821 7.4] One at a time, nothing lost or SACKed, nothing in the header that has to be larger. */
START_TEST (test_conditions) {
	struct tcp_mtu *m = c->mtu;

	queue(20000);
	ck_assert(probes(FULL));
	NOT_WHILE(m->probe, 1500);
	NOT_WHILE(c->recovery, REC_LOSS);
	NOT_WHILE(c->dup_acks, 1);
	NOT_WHILE(c->tx->sacked_bytes, 1);
	NOT_WHILE(c->ooo, (struct tcp_ooo *)(void *)w);
	c->dsack = true;
	ck_assert(rests());
	c->dsack = false;
	c->urg_out = true;
	ck_assert(rests());
	c->urg_out = false;
	c->mtu = NULL;
	ck_assert(rests());
	c->mtu = m;
	ck_assert(probes(FULL));
}
END_TEST

/* [4821 7.3, 7.4] Text behind it in the window, and a congestion window of eleven segments. */
START_TEST (test_room) {
	uint32_t need = FULL + 4 * BASE;

	queue(need - 1);
	ck_assert(rests());
	queue(1);
	ck_assert(probes(FULL));
	NOT_WHILE(c->snd.wnd, need - 1);
	NOT_WHILE(c->cc.cwnd, 11 * BASE - 1);
	c->snd.wnd = need;
	c->cc.cwnd = 11 * BASE;
	ck_assert(probes(FULL));
}
END_TEST

/* [4821 7.4] What is in flight makes room when it is acknowledged: for that it waits. */
START_TEST (test_waits) {
	uint32_t n, need = FULL + 4 * BASE;

	send_text(5000);
	send_text(5000);
	queue(20000);
	c->cc.cwnd = 10000 + FULL;
	ck_assert(probes(FULL));
	c->cc.cwnd--;
	ck_assert_int_eq(advice(&n), MTU_WAIT);
	c->snd.wnd = 10000 + need - 1;
	ck_assert(rests());
	c->snd.wnd = 65535;
	c->mtu->high = c->mtu->low; /* but not for what is not looked for */
	ck_assert(rests());
}
END_TEST

/* With nothing in flight no room will come. */
START_TEST (test_waits_for_nothing) {
	queue(20000);
	c->mss = 100;
	c->cc.cwnd = FULL - 1;
	ck_assert(rests());
	c->cc.cwnd = FULL;
	ck_assert(probes(FULL));
	c->mss = BASE;
}
END_TEST

/* ---- Which size? ---- */

/* First the largest that the path may carry, then half-way. */
START_TEST (test_sizes) {
	queue(20000);
	c->mtu->high = 5000;
	ck_assert(probes(FULL));
	ck_assert_uint_eq(c->mtu->high, 1500);
	c->mtu->high = 1300;
	ck_assert(probes(1300 - HDR));
	ck_assert_uint_eq(c->mtu->high, 1300);
	c->mtu->halve = true;
	ck_assert(probes((BASE + HDR + 1300) / 2 - HDR));
	c->mtu->high = (uint16_t)(c->mtu->low + 8);
	c->mtu->halve = false;
	ck_assert(probes(BASE + 8));
}
END_TEST

/* [8899 5.3] PMTU_RAISE_TIMER: what did not fit may fit later, and the search begins again. */
START_TEST (test_begins_again) {
	uint64_t begun_ns = c->mtu->begun_ns, again_ns = w->s->cfg.tcp.mtu_probe_interval_ns;

	queue(20000);
	c->mtu->high = (uint16_t)(c->mtu->low + 7);
	c->mtu->halve = true;
	w->now_ns = begun_ns + again_ns - 1;
	ck_assert(rests());
	ck_assert_uint_eq(c->mtu->begun_ns, begun_ns);
	w->now_ns++;
	ck_assert(probes(FULL));
	ck_assert_uint_eq(c->mtu->begun_ns, w->now_ns);
	ck_assert_uint_eq(c->mtu->high, 1500);
	ck_assert(!c->mtu->halve);
	/* nothing is left to be won */
	c->mtu->low = 1493;
	c->mtu->high = 1499;
	w->now_ns += again_ns;
	ck_assert(rests());
	ck_assert_uint_eq(c->mtu->high, 1499);
}
END_TEST

/* ---- What became of it ---- */

/* The first segment is a probe of so many bytes. */
static void probe(uint32_t mtu)
{
	c->mtu->probe = (uint16_t)mtu;
	c->mtu->start = c->snd.una;
	c->mtu->end = seq_add(c->snd.una, mtu - HDR);
}

/* [4821 7.6.2, 7.6.3] It arrived: segments are as large, and cwnd is what it was in bytes. */
START_TEST (test_acked) {
	struct seq una = c->snd.una;

	probe(1282);
	c->mtu->tries = 2;
	c->cc.cwnd = 20 * BASE;
	c->snd.una = seq_sub(c->mtu->end, 1);
	tcp_mtu_acked(w->s, c);
	ck_assert_uint_eq(c->mtu->probe, 1282);
	ck_assert_uint_eq(c->mss, BASE);
	c->snd.una = c->mtu->end;
	tcp_mtu_acked(w->s, c);
	ck_assert_uint_eq(c->mtu->low, 1282);
	ck_assert_uint_eq(c->mtu->probe, 0);
	ck_assert_uint_eq(c->mtu->tries, 0);
	ck_assert_uint_eq(c->mss, 1242);
	ck_assert_uint_eq(c->cc.cwnd, 20 * BASE);
	ck_assert_uint_eq(w->s->counters.tcp_mtu_probes_acked, 1);
	tcp_mtu_acked(w->s, c); /* once */
	ck_assert_uint_eq(w->s->counters.tcp_mtu_probes_acked, 1);
	c->snd.una = una;
	probe(1500);
	c->cc.cwnd = 100;
	c->snd.una = c->mtu->end;
	tcp_mtu_acked(w->s, c);
	ck_assert_ptr_null(c->mtu); /* there is nothing larger */
	ck_assert_uint_eq(c->mss, FULL);
	ck_assert_uint_eq(c->cc.cwnd, FULL);
	tcp_mtu_free(w->s, c);
	c->snd.una = una;
}
END_TEST

static void mark_lost(unsigned nth)
{
	struct tcp_range *r = range_first(c->tx);

	while (nth--)
		r = range_next(c->tx, r);
	range_mark(c, r, RANGE_LOST, 0);
}

/* A probe and 4 segments behind it are in flight, each a record of its own. */
static void send_probe(void)
{
	struct tcp_range *r;

	send_text(FULL + 4 * BASE);
	ck_assert_uint_eq(c->mtu->probe, 1500);
	r = range_first(c->tx);
	ck_assert_uint_eq(range_bytes(r), FULL);
	while ((r = range_next(c->tx, r)) && range_bytes(r) > BASE)
		range_split(w->s, c, r, seq_add(r->start, BASE));
}

/* [4821 7.6.1] [8899 4.1] Lost alone: it was the size. It goes again, and nothing is reduced. */
START_TEST (test_lost_alone) {
	uint32_t cwnd = c->cc.cwnd;

	send_probe();
	mark_lost(0);
	c->undo_armed = true;
	c->frto = FRTO_SECOND;
	ck_assert(tcp_mtu_lost(w->s, c));
	ck_assert_uint_eq(c->mtu->probe, 0);
	ck_assert_uint_eq(c->mtu->tries, 1);
	ck_assert_int_eq(c->recovery, REC_LOSS);
	ck_assert(seq_eq(c->recover, c->snd.nxt));
	ck_assert(!c->undo_armed && c->rexmit_now);
	ck_assert_int_eq(c->frto, FRTO_NONE);
	ck_assert_uint_eq(c->cc.cwnd, cwnd);
	ck_assert(!tcp_mtu_lost(w->s, c)); /* there is none any more */
	ck_assert_uint_eq(c->mtu->tries, 1);
}
END_TEST

/* Duplicates told of it, before anything was marked: the probe was the first. */
START_TEST (test_lost_unmarked) {
	send_probe();
	ck_assert(tcp_mtu_lost(w->s, c));
	ck_assert_uint_eq(c->tx->lost_bytes, FULL);
}
END_TEST

/* [4821 7.6.1] Lost with others, or others alone, or what went before it: congestion. */
START_TEST (test_lost_with_others) {
	send_probe();
	if (_i == 0)
		mark_lost(0);
	if (_i == 2)
		c->mtu->start = seq_add(c->mtu->start, 1);
	else
		mark_lost(1);
	ck_assert(!tcp_mtu_lost(w->s, c));
	ck_assert_uint_eq(c->mtu->probe, 0);
	ck_assert_uint_eq(c->mtu->tries, 0);
	ck_assert_int_eq(c->recovery, REC_OPEN);
	c->recovery = REC_LOSS;
}
END_TEST

/* [8899 5.1.2] MAX_PROBES: after three losses that size and all above it are too large. */
START_TEST (test_three_lost) {
	send_probe();
	for (unsigned i = 1; i <= 3; i++) {
		probe(1500);
		ck_assert_uint_eq(c->mtu->high, 1500);
		ck_assert(!c->mtu->halve);
		c->backoff = 1;
		tcp_mtu_timeout(w->s, c);
		ck_assert_uint_eq(c->mtu->tries, i % 3);
	}
	ck_assert_uint_eq(c->mtu->high, 1499);
	ck_assert(c->mtu->halve);
}
END_TEST

/* ---- Timeouts ---- */

static void time_out(uint8_t how_often)
{
	c->backoff = how_often;
	tcp_mtu_timeout(w->s, c);
	c->backoff = 0;
}

/* Nothing in flight tells nothing, nor does a probe that something waits in front of. */
START_TEST (test_timeout_of_others) {
	probe(1500);
	time_out(9);
	ck_assert_uint_eq(c->mtu->tries, 0);
	queue(500);
	time_out(9);
	ck_assert_uint_eq(c->mtu->tries, 0);
	tg_step(w->s, w->now_ns);
	c->mtu->start = seq_add(c->snd.una, 100);
	time_out(1);
	ck_assert_uint_eq(c->mtu->tries, 0);
	ck_assert_uint_eq(c->mtu->probe, 0);
	probe(0);
	time_out(1);
	ck_assert_uint_eq(c->mtu->tries, 0);
	/* small segments are no sign either */
	time_out(3);
	ck_assert_uint_eq(c->mtu->low, BASE + HDR);
	ck_assert_uint_eq(c->mss, BASE);
}
END_TEST

/* [4821 7.7] Not even the base passes: half of it, 512 at least, and the search goes on anew. */
START_TEST (test_below_the_base) {
	send_text(5000);
	c->mtu->halve = true;
	time_out(2);
	ck_assert_uint_eq(c->mtu->low, BASE + HDR);
	time_out(3);
	ck_assert_uint_eq(c->mtu->low, 512 + HDR);
	ck_assert_uint_eq(c->mss, 512);
	ck_assert(!c->mtu->halve);
	c->mtu->halve = true;
	time_out(4);
	ck_assert_uint_eq(c->mtu->low, 512 + HDR);
	ck_assert(c->mtu->halve);
}
END_TEST

/* [8899 5.1.4] A black hole is one only if there is something smaller to try, and memory for the
 * search. */
START_TEST (test_black_hole) {
	teardown();
	begin(1);
	ck_assert_ptr_null(c->mtu);
	send_text(5000);
	tg_memory_fail_after(w->s, 1, 1);
	time_out(3);
	tg_memory_fail_after(w->s, 0, 0);
	ck_assert_ptr_null(c->mtu);
	c->mss_peer = 900;
	time_out(3);
	ck_assert_ptr_null(c->mtu);
	c->mss_peer = FULL;
	ck_assert_uint_eq(w->s->counters.tcp_mtu_black_holes, 0);
	time_out(3);
	ck_assert_ptr_nonnull(c->mtu);
	ck_assert_uint_eq(w->s->counters.tcp_mtu_black_holes, 1);
	ck_assert_uint_eq(c->mss, BASE);
}
END_TEST

/* ---- Told by a router ---- */

/* [1191 6.4] Nothing in flight, or nothing but text not sent yet: there is nothing to send again.
 */
START_TEST (test_told_at_rest) {
	if (_i)
		queue(5000);
	tcp_mtu_too_big(w->s, c, 800);
	ck_assert_uint_eq(c->mss, 800 - HDR);
	ck_assert_int_eq(c->recovery, REC_OPEN);
	ck_assert(!c->rexmit_now);
}
END_TEST

/* In recovery it stays in that recovery; whatever F-RTO waited for will not come. */
START_TEST (test_told_in_recovery) {
	struct seq recover;

	send_text(5000);
	recover = seq_add(c->snd.una, 2000);
	c->recovery = REC_RECOVERY;
	c->recover = recover;
	c->undo_armed = true;
	c->frto = FRTO_FIRST;
	tcp_mtu_too_big(w->s, c, 800);
	ck_assert_int_eq(c->recovery, REC_RECOVERY);
	ck_assert(seq_eq(c->recover, recover));
	ck_assert(c->undo_armed && c->rexmit_now);
	ck_assert_int_eq(c->frto, FRTO_NONE);
	ck_assert_uint_eq(c->tx->lost_bytes, 5000);
}
END_TEST

/* The user has said that the interface's alone counts. */
START_TEST (test_told_in_vain) {
	send_text(5000);
	c->pmtu = TG_PMTU_INTERFACE;
	tcp_mtu_too_big(w->s, c, 800);
	ck_assert_uint_eq(c->mss, BASE);
	c->pmtu = TG_PMTU_WANT;
	tcp_update_mss(w->s, c); /* nor is it remembered for others */
	ck_assert_uint_eq(c->mss, BASE);
}
END_TEST

/* ---- Eff.snd.MSS ---- */

/* [9293 MUST-16] The user's, the peer's, the path's, the interface's: the least counts. */
START_TEST (test_bounds) {
	tcp_mtu_free(w->s, c);
	tcp_update_mss(w->s, c);
	ck_assert_uint_eq(c->mss, FULL);
	c->mss_user = 700;
	tcp_update_mss(w->s, c);
	ck_assert_uint_eq(c->mss, 700);
	c->mss_user = 0;
	ip_set_pmtu(w->s, &c->raddr, 1200);
	tcp_update_mss(w->s, c);
	ck_assert_uint_eq(c->mss, 1200 - HDR);
	c->pmtu = TG_PMTU_PROBE;
	tcp_update_mss(w->s, c);
	ck_assert_uint_eq(c->mss, FULL);
}
END_TEST

/* [5681-6] ssthresh stays two segments, though they grow; text goes even where headers take all. */
START_TEST (test_growing_segments) {
	c->mtu->low = 600;
	tcp_update_mss(w->s, c);
	c->cc.ssthresh = 2 * c->mss;
	c->mtu->low = 1500;
	tcp_update_mss(w->s, c);
	ck_assert_uint_eq(c->cc.ssthresh, 2 * FULL);
	c->mtu->low = HDR - 10;
	tcp_update_mss(w->s, c);
	ck_assert_uint_eq(c->mss, 1);
}
END_TEST

/* No search where the peer takes nothing larger than the base. */
START_TEST (test_nothing_to_search) {
	w->syn_opts.mss = BASE;
	tg_sock_abort(w->s, w->conn, w->now_ns);
	tw_establish(w, TW_FAR + 1, seq_of(TW_IRS));
	c = w->c;
	ck_assert_ptr_null(c->mtu);
	ck_assert_uint_eq(c->mss, BASE);
}
END_TEST

static Suite *tcp_mtu_suite(void)
{
	Suite *suite = suite_create("tcp mtu");
	TCase *t = tcase_create("search");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_conditions);
	tcase_add_test(t, test_room);
	tcase_add_test(t, test_waits);
	tcase_add_test(t, test_waits_for_nothing);
	tcase_add_test(t, test_sizes);
	tcase_add_test(t, test_begins_again);
	tcase_add_test(t, test_acked);
	tcase_add_test(t, test_lost_alone);
	tcase_add_test(t, test_lost_unmarked);
	tcase_add_loop_test(t, test_lost_with_others, 0, 3);
	tcase_add_test(t, test_three_lost);
	tcase_add_test(t, test_timeout_of_others);
	tcase_add_test(t, test_below_the_base);
	tcase_add_test(t, test_black_hole);
	tcase_add_loop_test(t, test_told_at_rest, 0, 2);
	tcase_add_test(t, test_told_in_recovery);
	tcase_add_test(t, test_told_in_vain);
	tcase_add_test(t, test_bounds);
	tcase_add_test(t, test_growing_segments);
	tcase_add_test(t, test_nothing_to_search);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_mtu_suite)
