/* The parts of loss recovery piece by piece, in states that are rare on a wire: RACK (RFC 8985 6),
 * loss probes (7.4), proportional rate reduction (RFC 9937), what undoes a reduction (RFC 3522,
 * 3708), F-RTO (RFC 5682). How they look there: tests/drill. */
#include "tcp_support.h"

#define MSS 1000u

static struct tcp_world *w;
static struct tcp_conn *c;

/* Ten segments in flight, each a record of its own, sent 10 ms ago; more waits. */
static void setup(void)
{
	static const uint8_t text[30 * MSS];
	struct tcp_range *r;

	w = tw_new(NULL);
	w->syn_opts = (struct tcp_opts){.has = TCP_HAS_MSS | TCP_HAS_SACK_PERM, .mss = MSS};
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	c = w->c;
	ck_assert_int_eq(
		tg_sock_send(w->s, w->conn, text, sizeof(text), 0, w->now_ns), sizeof(text));
	tg_step(w->s, w->now_ns);
	for (r = range_first(c->tx); range_bytes(r) > MSS; r = range_next(c->tx, r))
		range_split(w->s, c, r, seq_add(r->start, MSS));
	ck_assert_uint_eq(seq_dist(c->snd.nxt, c->snd.una), 10 * MSS);
	w->now_ns += 10 * NS_PER_MS;
	w->s->now_ns = w->now_ns;
	c->srtt_ns = 100 * NS_PER_MS;
	c->min_rtt_ns = 100 * NS_PER_MS;
}

static void teardown(void)
{
	tw_end(w);
}

static struct seq at(uint32_t segs)
{
	return seq_add(c->snd.una, segs * MSS);
}

static struct tcp_range *nth(uint32_t n)
{
	struct tcp_range *r = range_first(c->tx);

	while (n--)
		r = range_next(c->tx, r);
	return r;
}

static uint64_t traced(enum tg_cong what)
{
	struct tg_trace t;
	uint64_t cursor = 0, n = 0;

	while (tg_trace_next(w->s, &cursor, &t, NULL))
		n += t.kind == TG_TRACE_CONGESTION && t.a == what;
	return n;
}

/* ---- RACK ---- */

/* [8985-8] [8985 6.2 step 4] The window grows once a round, which lasts until what was sent then is
 * acknowledged. */
START_TEST (test_dsack_round) {
	struct loss_ack a = {.dsack = true}, none = {0};
	struct seq una = c->snd.una;

	c->retransmits = 10;
	c->dsacks_in = 1;
	tcp_rack_reordering(w->s, c, &a, false);
	ck_assert_uint_eq(c->reo_wnd_mult, 2);
	ck_assert_uint_eq(c->reo_wnd_persist, 16);
	tcp_rack_reordering(w->s, c, &a, false);
	ck_assert_uint_eq(c->reo_wnd_mult, 2);
	c->snd.una = c->snd.nxt;
	tcp_rack_reordering(w->s, c, &a, false);
	ck_assert_uint_eq(c->reo_wnd_mult, 3);
	c->dsack_round_on = false;
	c->reo_wnd_mult = UINT8_MAX;
	tcp_rack_reordering(w->s, c, &a, false);
	ck_assert_uint_eq(c->reo_wnd_mult, UINT8_MAX);
	/* only the end of a recovery counts towards forgetting it */
	c->reo_wnd_persist = 1;
	tcp_rack_reordering(w->s, c, &none, false);
	ck_assert_uint_eq(c->reo_wnd_persist, 1);
	tcp_rack_reordering(w->s, c, &none, true);
	ck_assert_uint_eq(c->reo_wnd_persist, 0);
	ck_assert_uint_eq(c->reo_wnd_mult, 1);
	tcp_rack_reordering(w->s, c, &none, true);
	ck_assert_uint_eq(c->reo_wnd_persist, 0);
	c->snd.una = una;
}
END_TEST

/* [8985-7] [8985 6.2 step 3] The lowest of all that was overtaken tells how far. */
START_TEST (test_overtaken) {
	static const uint32_t starts[] = {3000, 1000, 5000};
	struct loss_ack a = {0};

	c->tx->fack = seq_of(100000);
	a.fack = c->tx->fack;
	for (unsigned i = 0; i < ARRAY_LEN(starts); i++) {
		struct tcp_range r = {.start = seq_of(starts[i]),
			.end = seq_of(starts[i] + MSS),
			.sent_ns = w->now_ns - 200 * NS_PER_MS};

		tcp_rack_delivered(w->s, c, &r, r.end, &a);
	}
	ck_assert(a.reordered);
	ck_assert_uint_eq(a.overtaken.v, 1000);
}
END_TEST

/* [8985-5] What was sent once only makes the least round trip. */
START_TEST (test_least_round_trip) {
	struct tcp_range r = {.start = at(0), .end = at(1), .sent_ns = w->now_ns - 7 * NS_PER_MS};
	struct loss_ack a = {.fack = c->snd.una};

	r.flags = RANGE_EVER;
	tcp_rack_delivered(w->s, c, &r, r.end, &a);
	ck_assert_uint_eq(c->min_rtt_ns, 100 * NS_PER_MS);
	r.flags = 0;
	tcp_rack_delivered(w->s, c, &r, r.end, &a);
	ck_assert_uint_eq(c->min_rtt_ns, 7 * NS_PER_MS);
	ck_assert_uint_eq(c->tx->rack_rtt_ns, 7 * NS_PER_MS);
}
END_TEST

/* [8985 6.2 step 5] Nothing was sent before what was delivered: nothing is lost, no timer runs. */
START_TEST (test_nothing_older) {
	c->tx->reo_at_ns = 5;
	c->tx->rack_nth = seq_sub(nth(0)->sent_nth, 1);
	c->tx->rack_end = c->snd.nxt;
	ck_assert_uint_eq(tcp_rack_detect(w->s, c), 0);
	ck_assert_uint_eq(c->tx->reo_at_ns, NEVER_NS);
}
END_TEST

/* [8985 6.2 step 2] In one nanosecond, at the wrap of what counts transmissions: what went before
 * the delivered is lost, what went after it is not. */
START_TEST (test_same_instant) {
	struct loss_ack a = {.fack = c->snd.nxt};

	c->recovery = REC_RECOVERY;
	c->tx->last_nth = c->tx->rack_nth = seq_of(UINT32_MAX - 2);
	range_sent(w->s, c, nth(2));
	range_sent(w->s, c, nth(9));
	range_sent(w->s, c, nth(0));
	for (uint32_t i = 1; i < 9; i++)
		nth(i)->sent_nth = seq_of(UINT32_MAX - (i == 2 ? 1 : 2));
	tcp_rack_delivered(w->s, c, nth(9), nth(9)->end, &a);
	ck_assert_uint_eq(tcp_rack_detect(w->s, c), 8 * MSS);
	ck_assert(nth(2)->flags & RANGE_LOST);
	ck_assert(!(nth(0)->flags & RANGE_LOST));
}
END_TEST

/* [8985-10] [8985 6.3] The first is lost at the timeout, however young, unless it was SACKed;
 * others not. */
START_TEST (test_mark_on_rto) {
	c->tx->rack_rtt_ns = 100 * NS_PER_MS;
	c->tx->reo_at_ns = 5;
	if (_i)
		range_mark(c, nth(0), RANGE_SACKED, 0);
	tcp_rack_mark_on_rto(w->s, c);
	ck_assert_uint_eq(c->tx->lost_bytes, _i ? 0 : MSS);
	ck_assert_uint_eq(c->tx->sacked_bytes, _i ? MSS : 0);
	ck_assert_uint_eq(c->tx->reo_at_ns, NEVER_NS);
}
END_TEST

/* Text that was never sent is not lost. */
START_TEST (test_mark_nothing_on_rto) {
	while (!list_empty(&c->tx->ranges))
		range_free(w->s, c, range_first(c->tx));
	c->snd.nxt = c->snd.una;
	tcp_rack_mark_on_rto(w->s, c);
	ck_assert_uint_eq(c->tx->lost_bytes, 0);
}
END_TEST

/* ---- Loss probes ---- */

/* [8985-12, -13] One at a time, and none is scheduled while one is out or about to go. */
START_TEST (test_one_probe) {
	c->tlp_sampled = true;
	ck_assert(tcp_tlp_may_probe(w->s, c));
	ck_assert_uint_ne(tcp_tlp_pto(w->s, c), NEVER_NS);
	c->tlp_due = true;
	ck_assert_uint_eq(tcp_tlp_pto(w->s, c), NEVER_NS);
	c->tlp_due = false;
	c->tlp_out = true;
	ck_assert_uint_eq(tcp_tlp_pto(w->s, c), NEVER_NS);
	ck_assert(!tcp_tlp_may_probe(w->s, c));
	c->tlp_out = false;
	c->tx->sacked_bytes = 1;
	ck_assert_uint_eq(tcp_tlp_pto(w->s, c), NEVER_NS);
	c->tx->sacked_bytes = 0;
}
END_TEST

static void probe_out(bool again)
{
	tcp_tlp_sent(c, again);
	c->tlp_end = at(3);
}

/* [8985 7.4.2] What an ACK has to be like to end the wait for the probe's. */
START_TEST (test_probe_answers) {
	struct loss_ack a = {0};
	struct seq una = c->snd.una;
	uint32_t cwnd = c->cc.cwnd;

	probe_out(false);
	tcp_tlp_ack(w->s, c, &a); /* not up to it yet */
	ck_assert(c->tlp_out);
	c->snd.una = c->tlp_end;
	tcp_tlp_ack(w->s, c, &a);
	ck_assert(!c->tlp_out);
	c->snd.una = una;
	probe_out(true);
	a.dsack_end = c->tlp_end;
	c->snd.una = c->tlp_end;
	tcp_tlp_ack(w->s, c, &a); /* no D-SACK */
	ck_assert(c->tlp_out);
	a.dsack = true;
	a.dsack_end = seq_sub(c->tlp_end, 1);
	tcp_tlp_ack(w->s, c, &a); /* of something else */
	ck_assert(c->tlp_out);
	a = (struct loss_ack){.repeated = true, .sack_present = true};
	tcp_tlp_ack(w->s, c, &a); /* tells of something else */
	ck_assert(c->tlp_out && !c->tlp_patient);
	a.sack_present = false;
	tcp_tlp_ack(w->s, c, &a);
	ck_assert(!c->tlp_out && c->tlp_patient);
	ck_assert_uint_eq(c->cc.cwnd, cwnd);
	c->snd.una = una;
}
END_TEST

/* [8985-14] The probe repaired a loss: reduced as for one, with all that belongs to it; in recovery
 * it has been. */
START_TEST (test_probe_repaired) {
	struct loss_ack a = {0};
	struct seq una = c->snd.una;
	uint32_t cwnd = c->cc.cwnd;

	probe_out(true);
	c->snd.una = seq_add(c->tlp_end, 1);
	c->recovery = REC_RECOVERY;
	tcp_tlp_ack(w->s, c, &a);
	ck_assert(!c->tlp_out);
	ck_assert_uint_eq(c->cc.cwnd, cwnd);
	c->recovery = REC_OPEN;
	c->snd.una = una;
	probe_out(true);
	c->snd.una = seq_add(c->tlp_end, 1);
	c->undo_armed = true;
	c->ecn_ok = true;
	tcp_tlp_ack(w->s, c, &a);
	ck_assert_uint_lt(c->cc.cwnd, cwnd);
	ck_assert(!c->undo_armed); /* of another reduction */
	ck_assert(c->ecn_cwr_due); /* [3168 6.1.2] */
	ck_assert_uint_eq(traced(TG_CONG_RECOVERED), 1);
	c->snd.una = una;
}
END_TEST

/* ---- Proportional rate reduction ---- */

/* [9937 6] A recovery begins with nothing counted, and RecoverFS is never 0. */
START_TEST (test_prr_begins) {
	c->tx->prr_delivered = c->tx->prr_out = c->tx->prr_dup_bytes = 999;
	tcp_prr_begin(c, NULL);
	ck_assert_uint_eq(c->tx->prr_delivered, 0);
	ck_assert_uint_eq(c->tx->prr_out, 0);
	ck_assert_uint_eq(c->tx->prr_dup_bytes, 0);
	ck_assert_uint_eq(c->tx->prr_recover_fs, 10 * MSS);
	c->tx->sacked_bytes = 10 * MSS;
	tcp_prr_begin(c, NULL);
	ck_assert_uint_eq(c->tx->prr_recover_fs, 1);
	c->tx->sacked_bytes = 0;
}
END_TEST

/* [9937 6] The fast retransmit goes in any case. */
START_TEST (test_prr_first) {
	struct loss_ack a = {.newly_sacked = 10};

	c->cc.ssthresh = 5 * MSS;
	tcp_prr_begin(c, &a);
	tcp_prr_ack(c, &a);
	ck_assert_uint_eq(c->cc.cwnd, tcp_pipe(c) + MSS);
	c->tx->prr_out = 1;
	tcp_prr_ack(c, &a);
	ck_assert_uint_lt(c->cc.cwnd, tcp_pipe(c) + MSS);
}
END_TEST

/* ---- Undo ---- */

static void reduce(void)
{
	c->recovery = REC_RECOVERY;
	c->recover = c->snd.nxt;
	c->cc.ops->on_loss(&c->cc, 10 * MSS, w->now_ns);
	tcp_undo_begin(c);
}

static bool undone(struct loss_ack a)
{
	uint32_t cwnd = c->cc.cwnd;

	tcp_undo_ack(w->s, c, &a);
	return c->cc.cwnd > cwnd;
}

/* Taken for lost, and there before it went again: nothing was. But not if some is lost still, after
 * a timeout, or where nothing was reduced. */
START_TEST (test_nothing_was_lost) {
	struct loss_ack a = {0};

	reduce();
	range_mark(c, nth(0), RANGE_LOST, 0);
	ck_assert(!undone(a));
	range_mark(c, nth(0), 0, RANGE_LOST);
	c->recovery = REC_LOSS;
	ck_assert(!undone(a));
	c->recovery = REC_RECOVERY;
	c->undo_armed = false;
	ck_assert(!undone(a));
	c->undo_armed = true;
	c->dup_acks = 5;
	ck_assert(undone(a));
	ck_assert(!c->undo_armed);
	ck_assert_uint_eq(c->dup_acks, 0);
	ck_assert_int_eq(c->recovery, REC_OPEN);
	ck_assert_uint_eq(traced(TG_CONG_UNDO), 1);
}
END_TEST

/* [3708 2] A duplicate tells of copies: before there was one it tells nothing. */
START_TEST (test_before_any_copy) {
	struct loss_ack a = {.dsack = true};

	reduce();
	range_mark(c, nth(0), RANGE_LOST, 0);
	c->undo_start = c->snd.una;
	a.dsack_start = at(1);
	a.dsack_end = at(2);
	ck_assert(!undone(a));
	tcp_undo_resent(w->s, c, nth(0));
	ck_assert(undone(a));
	c->recovery = REC_RECOVERY;
	ck_assert(!undone(a)); /* once */
	ck_assert_uint_eq(w->s->counters.tcp_spurious_recoveries, 1);
	c->recovery = REC_OPEN;
}
END_TEST

/* [3522 3.2] Without timestamps no ACK answers the original, whatever the clock shows. */
START_TEST (test_no_timestamps) {
	struct loss_ack a = {.newly_acked = MSS};
	struct seq una = c->snd.una;

	reduce();
	range_mark(c, nth(0), RANGE_LOST, 0);
	tcp_undo_resent(w->s, c, nth(0));
	c->undo_ts = 1000;
	ck_assert(!undone(a)); /* nor before SND.UNA is beyond what went again */
	ck_assert(!c->undo_asked);
	c->snd.una = seq_add(una, 1);
	ck_assert(!undone(a));
	ck_assert(c->undo_asked);
	c->undo_asked = false;
	a.has_ts = true;
	a.tsecr = 999;
	ck_assert(undone(a));
	c->snd.una = una;
}
END_TEST

/* ---- F-RTO ---- */

/* [5682 2.1 (1)] The same data again: what is known of the first timeout stays. In a recovery: two
 * reductions, and no one state to go back to. */
START_TEST (test_frto_begins) {
	c->undo_armed = true;
	c->recovery = REC_LOSS;
	tcp_frto_begin(w->s, c, false);
	ck_assert(c->undo_armed);
	ck_assert_int_eq(c->frto, FRTO_NONE);
	tcp_frto_begin(w->s, c, true);
	ck_assert(!c->undo_armed);
	ck_assert_int_eq(c->frto, FRTO_NONE);
	c->recovery = REC_OPEN;
	tcp_frto_begin(w->s, c, true);
	ck_assert(c->undo_armed && c->undo_rto);
	ck_assert_int_eq(c->frto, FRTO_FIRST);
}
END_TEST

/* [5682 2.1 (2)] Two new segments, if the window has room for them; nothing before the first ACK.
 */
START_TEST (test_frto_room) {
	struct loss_ack a = {.newly_acked = MSS};
	struct seq una = c->snd.una, nxt = c->snd.nxt;

	c->recover = c->snd.nxt;
	c->snd.una = at(1);
	c->frto = FRTO_FIRST;
	ck_assert_uint_eq(tcp_frto_room(c), 0);
	c->snd.wnd = 9 * MSS;
	tcp_frto_ack(w->s, c, &a);
	ck_assert_int_eq(c->frto, FRTO_NONE);
	ck_assert_uint_eq(tcp_frto_room(c), UINT32_MAX);
	c->frto = FRTO_FIRST;
	c->snd.wnd = 9 * MSS + 1;
	tcp_frto_ack(w->s, c, &a);
	ck_assert_int_eq(c->frto, FRTO_SECOND);
	ck_assert_uint_eq(tcp_frto_room(c), 2 * MSS);
	c->snd.nxt = seq_add(nxt, 2 * MSS + 1);
	ck_assert_uint_eq(tcp_frto_room(c), 0);
	c->snd.nxt = nxt;
	c->snd.una = una;
	c->frto = FRTO_NONE;
}
END_TEST

static Suite *tcp_recovery_suite(void)
{
	Suite *suite = suite_create("tcp recovery");
	TCase *t = tcase_create("pieces");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_dsack_round);
	tcase_add_test(t, test_overtaken);
	tcase_add_test(t, test_least_round_trip);
	tcase_add_test(t, test_nothing_older);
	tcase_add_test(t, test_same_instant);
	tcase_add_loop_test(t, test_mark_on_rto, 0, 2);
	tcase_add_test(t, test_mark_nothing_on_rto);
	tcase_add_test(t, test_one_probe);
	tcase_add_test(t, test_probe_answers);
	tcase_add_test(t, test_probe_repaired);
	tcase_add_test(t, test_prr_begins);
	tcase_add_test(t, test_prr_first);
	tcase_add_test(t, test_nothing_was_lost);
	tcase_add_test(t, test_before_any_copy);
	tcase_add_test(t, test_no_timestamps);
	tcase_add_test(t, test_frto_begins);
	tcase_add_test(t, test_frto_room);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_recovery_suite)
