/* What TCP owes while the device takes nothing (tcp_out.c): a probe that was due then goes later,
 * once, if it is still needed, and its timers count from when it went. */
#include "tcp_support.h"

static struct tcp_world *w;
static const uint8_t text[4000];

static void setup(void)
{
	w = tw_new(NULL);
	w->syn_opts = (struct tcp_opts){.has = TCP_HAS_MSS | TCP_HAS_SACK_PERM, .mss = 1000};
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
}

static void teardown(void)
{
	tw_end(w);
}

static void send_text(size_t n)
{
	ck_assert_int_eq(tg_sock_send(w->s, w->conn, text, n, 0, w->now_ns), (int64_t)n);
	tg_step(w->s, w->now_ns);
}

/* The peer acknowledges n more bytes and offers wnd. */
static void ack_in(uint32_t n, uint16_t wnd)
{
	struct tcp_seg g = tw_seg(w);

	g.ack = seq_add(w->c->snd.una, n);
	g.wnd = wnd;
	tw_in(w, &g, NULL, 0);
	tg_step(w->s, w->now_ns);
}

/* The timer expires, and the device is busy; how many frames it has had. */
static uint32_t until_due(void)
{
	uint32_t n;

	w->dev.room = 0;
	n = w->dev.n;
	ck_assert(w->c->deadline[CT_REXMIT] != NEVER_NS);
	tw_step(w, w->c->deadline[CT_REXMIT] - w->now_ns + NS_PER_MS);
	ck_assert_uint_eq(w->dev.n, n);
	return n;
}

static void device_ready(void)
{
	w->dev.room = UINT32_MAX;
	tg_step(w->s, w->now_ns);
}

/* [9293 MUST-36] */
START_TEST (test_probe_goes_later) {
	uint32_t n;

	ack_in(0, 0);
	send_text(10);
	n = until_due();
	ck_assert_uint_eq(tg_counters(w->s)->tcp_persist_probes, 0);
	tw_step(w, 20 * NS_PER_MS);
	device_ready();
	ck_assert_uint_eq(w->dev.n, n + 1);
	ck_assert_uint_eq(tw_last(w).text_bytes, 1);
	ck_assert_uint_eq(tg_counters(w->s)->tcp_persist_probes, 1);
	ck_assert_int_eq(w->c->rexmit_mode, RM_PERSIST);
	tw_step(w, 20 * NS_PER_MS);
	ck_assert_uint_eq(w->dev.n, n + 1);
}
END_TEST

/* [9293 MUST-36] The window opened meanwhile: text, and no probe. */
START_TEST (test_probe_not_needed) {
	uint32_t n;

	ack_in(0, 0);
	send_text(10);
	n = until_due();
	ack_in(0, 65535);
	device_ready();
	ck_assert_uint_eq(w->dev.n, n + 1);
	ck_assert_uint_eq(tw_last(w).text_bytes, 10);
	ck_assert_uint_eq(tg_counters(w->s)->tcp_persist_probes, 0);
}
END_TEST

/* All was acknowledged meanwhile: there is nothing left to probe with, least of all a FIN. */
START_TEST (test_nothing_to_probe_with) {
	uint32_t n;

	send_text(10);
	ack_in(0, 0);
	n = until_due();
	ck_assert(w->c->probe_due);
	ack_in(10, 0);
	device_ready();
	ck_assert_uint_eq(w->dev.n, n);
	ck_assert(!w->c->fin_sent);
	ck_assert(seq_eq(w->c->snd.una, w->c->snd.nxt));
}
END_TEST

/* What was in flight was acknowledged meanwhile, and more waits: the probe is of that, and some
 * timer watches over it. */
START_TEST (test_probe_of_the_next) {
	uint32_t n;

	send_text(10);
	ack_in(0, 0);
	send_text(20);
	n = until_due();
	ack_in(10, 0);
	device_ready();
	ck_assert_uint_eq(w->dev.n, n + 1);
	ck_assert_uint_eq(tw_last(w).text_bytes, 1);
	ck_assert(w->c->deadline[CT_REXMIT] != NEVER_NS);
	ck_assert(w->c->deadline[CT_REXMIT] > w->now_ns);
}
END_TEST

/* [8985-13] The RTO counts from when the loss probe went. */
START_TEST (test_loss_probe_goes_later) {
	uint32_t n;

	send_text(1000);
	w->now_ns += 50 * NS_PER_MS;
	ack_in(1000, 65535);
	send_text(2000);
	ck_assert_int_eq(w->c->rexmit_mode, RM_PTO);
	n = until_due();
	ck_assert_uint_eq(tg_counters(w->s)->tcp_loss_probes, 0);
	ck_assert_int_eq(w->c->rexmit_mode, RM_RTO); /* until the probe has gone */
	ck_assert(w->c->deadline[CT_REXMIT] != NEVER_NS);
	tw_step(w, 20 * NS_PER_MS);
	device_ready();
	ck_assert_uint_eq(w->dev.n, n + 1);
	ck_assert_uint_eq(tg_counters(w->s)->tcp_loss_probes, 1);
	ck_assert_uint_eq(w->c->deadline[CT_REXMIT], w->now_ns + tcp_rto(w->s, w->c));
}
END_TEST

/* [8985-13] All was acknowledged meanwhile: no probe. */
START_TEST (test_loss_probe_not_needed) {
	uint32_t n;

	send_text(1000);
	w->now_ns += 50 * NS_PER_MS;
	ack_in(1000, 65535);
	send_text(2000);
	n = until_due();
	ack_in(2000, 65535);
	device_ready();
	ck_assert_uint_eq(w->dev.n, n);
	ck_assert_uint_eq(tg_counters(w->s)->tcp_loss_probes, 0);
	ck_assert(!w->c->tlp_due);
}
END_TEST

/* [8899 4.1] A probe of the path's MTU that the device did not take was not sent. */
START_TEST (test_mtu_probe_goes_later) {
	static const uint8_t much[6000];
	struct tg_config cfg;

	world_config(&cfg);
	cfg.tcp.mtu_probing = 2;
	cfg.tcp.initial_window_segs = 20;
	tw_free(w);
	w = tw_new(&cfg);
	w->syn_opts = (struct tcp_opts){.has = TCP_HAS_MSS, .mss = 1460};
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	w->dev.room = 0;
	ck_assert_int_eq(tg_sock_send(w->s, w->conn, much, sizeof(much), 0, w->now_ns), 6000);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(tg_counters(w->s)->tcp_mtu_probes, 0);
	device_ready();
	ck_assert_uint_eq(tg_counters(w->s)->tcp_mtu_probes, 1);
}
END_TEST

static Suite *tcp_busy_suite(void)
{
	Suite *suite = suite_create("tcp busy");
	TCase *t = tcase_create("probes");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_probe_goes_later);
	tcase_add_test(t, test_probe_not_needed);
	tcase_add_test(t, test_nothing_to_probe_with);
	tcase_add_test(t, test_probe_of_the_next);
	tcase_add_test(t, test_loss_probe_goes_later);
	tcase_add_test(t, test_loss_probe_not_needed);
	tcase_add_test(t, test_mtu_probe_goes_later);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_busy_suite)
