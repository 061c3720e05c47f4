/* A loss probe (RFC 8985 7.3) that a busy device held up, until it had become needless. */
#include "tcp_support.h"

#define MSS 1000u

static struct tcp_world *w;

static void setup(void)
{
	w = tw_new(NULL);
	w->syn_opts = (struct tcp_opts){.has = TCP_HAS_MSS | TCP_HAS_SACK_PERM | TCP_HAS_TS,
		.mss = MSS + 12,
		.tsval = 1000};
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
}

static void teardown(void)
{
	tw_end(w);
}

static void acknowledge(void)
{
	struct tcp_seg g = tw_seg(w);

	tw_in(w, &g, NULL, 0);
}

/* A round trip of 20 ms is measured, then so much is sent, and a probe falls due that the device
 * does not take. */
static void hold_up_a_probe(uint32_t bytes)
{
	static const uint8_t text[100 * MSS];

	ck_assert_int_eq(tg_sock_send(w->s, w->conn, text, MSS, 0, w->now_ns), MSS);
	tw_step(w, 20 * NS_PER_MS);
	acknowledge();
	ck_assert_int_eq(tg_sock_send(w->s, w->conn, text, bytes, 0, w->now_ns), bytes);
	tg_step(w->s, w->now_ns);
	w->dev.room = 0;
	for (int i = 0; i < 1000 && !w->c->tlp_due; i++) {
		w->now_ns += NS_PER_MS;
		tg_step(w->s, w->now_ns);
	}
	ck_assert(w->c->tlp_due);
	ck_assert(!w->c->tlp_out);
}

/* [8985-13] Everything was acknowledged meanwhile: there is nothing left to send again. */
START_TEST (test_nothing_left) {
	uint32_t sent;

	hold_up_a_probe(MSS);
	acknowledge();
	ck_assert_ptr_null(w->c->tx);
	sent = w->dev.n;
	w->dev.room = UINT32_MAX;
	tw_step(w, 10 * NS_PER_SEC);
	ck_assert_uint_eq(w->dev.n, sent);
	ck_assert(!w->c->tlp_due);
	ck_assert_uint_eq(tg_counters(w->s)->tcp_loss_probes, 0);
}
END_TEST

/* [8985-13] The same with text that waited for cwnd: it goes, and is no probe. */
START_TEST (test_new_text) {
	hold_up_a_probe(40 * MSS);
	ck_assert_uint_gt(tcp_unsent(w->c), 0);
	acknowledge();
	ck_assert_ptr_nonnull(w->c->tx);
	w->dev.room = UINT32_MAX;
	tg_step(w->s, w->now_ns);
	ck_assert_uint_gt(seq_dist(w->c->snd.nxt, w->c->snd.una), MSS);
	ck_assert(!w->c->tlp_out);
	ck_assert_uint_eq(tg_counters(w->s)->tcp_loss_probes, 0);
}
END_TEST

/* It is sent when the device takes it, and once. */
START_TEST (test_late) {
	struct tcp_seg g;

	hold_up_a_probe(MSS);
	w->dev.room = UINT32_MAX;
	tg_step(w->s, w->now_ns);
	ck_assert(w->c->tlp_out);
	ck_assert(!w->c->tlp_due);
	ck_assert_uint_eq(tg_counters(w->s)->tcp_loss_probes, 1);
	g = tw_last(w);
	ck_assert(seq_eq(g.seq, w->c->snd.una));
}
END_TEST

static Suite *tcp_tlp_suite(void)
{
	Suite *suite = suite_create("tcp tlp");
	TCase *t = tcase_create("busy device");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_nothing_left);
	tcase_add_test(t, test_new_text);
	tcase_add_test(t, test_late);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_tlp_suite)
