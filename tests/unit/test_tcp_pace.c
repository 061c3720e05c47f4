/* Pacing (tcp_pace.c) piece by piece: the rate, what it does to slow start and to the measure of
 * cwnd's use, when the next release is due and how large it is. How it looks on the wire:
 * tests/drill/pacing. */
#include "tcp_support.h"

static struct tcp_world *w;
static struct tcp_conn *c;

static void setup(void)
{
	struct tg_config cfg;

	world_config(&cfg);
	cfg.tcp.pacing = true;
	w = tw_new(&cfg);
	w->syn_opts = (struct tcp_opts){.has = TCP_HAS_MSS, .mss = 1000};
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	c = w->c;
	w->s->now_ns = w->now_ns;
}

static void teardown(void)
{
	tw_end(w);
}

/* cwnd per round trip, twice in slow start, 1.2 times in congestion avoidance; none is known before
 * a round trip was measured. [9406 4.2] Paced, one ACK may open any number of segments. */
START_TEST (test_rate) {
	c->cc.cwnd = 100000;
	c->srtt_ns = 100 * NS_PER_MS;
	tcp_pace_update(w->s, c);
	ck_assert_uint_eq(c->cc.pacing_rate, 2000000);
	ck_assert(c->cc.flags & CC_PACED);
	c->cc.ssthresh = 200000; /* not slow start to the very end */
	tcp_pace_update(w->s, c);
	ck_assert_uint_eq(c->cc.pacing_rate, 1200000);
	c->srtt_ns = 0;
	tcp_pace_update(w->s, c);
	ck_assert_uint_eq(c->cc.pacing_rate, 0);
	ck_assert(!(c->cc.flags & CC_PACED));
	c->srtt_ns = 600 * NS_PER_SEC;
	c->cc.cwnd = 48;
	tcp_pace_update(w->s, c);
	ck_assert_uint_eq(c->cc.pacing_rate, 1); /* 0 would be no limit at all */
}
END_TEST

/* The user's cap counts where it is lower, and where nothing else is known. */
START_TEST (test_cap) {
	c->cc.cwnd = 100000;
	c->srtt_ns = 100 * NS_PER_MS;
	c->pace_max = 2000000;
	tcp_pace_update(w->s, c);
	ck_assert(!c->pace_capped);
	c->pace_max = 1999999;
	tcp_pace_update(w->s, c);
	ck_assert(c->pace_capped);
	ck_assert_uint_eq(c->cc.pacing_rate, 1999999);
	c->srtt_ns = 0;
	tcp_pace_update(w->s, c);
	ck_assert(c->pace_capped);
	ck_assert_uint_eq(c->cc.pacing_rate, 1999999);
}
END_TEST

/* [7661 4.1] Waiting under the user's cap, with less than half of cwnd in use: cwnd is no limit. */
START_TEST (test_wait) {
	c->cc.cwnd = 10000;
	c->cc.pacing_rate = 1000;
	c->pace_ns = w->now_ns + 1;
	c->pace_capped = true;
	c->cwnd_limited = true;
	c->snd.nxt = seq_add(c->snd.una, 5000);
	ck_assert(tcp_pace_wait(w->s, c));
	ck_assert(c->cwnd_limited);
	c->snd.nxt = seq_add(c->snd.una, 4999);
	c->pace_capped = false;
	ck_assert(tcp_pace_wait(w->s, c));
	ck_assert(c->cwnd_limited);
	c->pace_capped = true;
	ck_assert(tcp_pace_wait(w->s, c));
	ck_assert(!c->cwnd_limited);
	c->snd.nxt = c->snd.una;
	c->pace_ns = w->now_ns;
	ck_assert(!tcp_pace_wait(w->s, c));
}
END_TEST

/* The account goes on from when a release was due, ahead of time or a little late; after more than
 * a millisecond it begins anew. */
START_TEST (test_account) {
	uint64_t now = w->now_ns, each = NS_PER_MS;

	c->cc.pacing_rate = 1000000;
	c->pace_ns = now + 5 * NS_PER_MS;
	tcp_pace_sent(w->s, c, 1000);
	ck_assert_uint_eq(c->pace_ns, now + 5 * NS_PER_MS + each);
	c->pace_ns = now - NS_PER_MS;
	tcp_pace_sent(w->s, c, 1000);
	ck_assert_uint_eq(c->pace_ns, now);
	c->pace_ns = now - NS_PER_MS - 1;
	tcp_pace_sent(w->s, c, 1000);
	ck_assert_uint_eq(c->pace_ns, now + each);
	c->cc.pacing_rate = 0;
	tcp_pace_sent(w->s, c, 1000);
	ck_assert_uint_eq(c->pace_ns, now + each);
}
END_TEST

/* A millisecond's worth in whole segments, two at least, a window at most. */
START_TEST (test_release) {
	c->cc.pacing_rate = 0;
	ck_assert_uint_eq(tcp_pace_release(c), UINT32_MAX);
	c->cc.pacing_rate = 1;
	ck_assert_uint_eq(tcp_pace_release(c), 2000);
	c->cc.pacing_rate = 5999000;
	ck_assert_uint_eq(tcp_pace_release(c), 5000);
	c->cc.pacing_rate = 1ull << 62;
	ck_assert_uint_eq(tcp_pace_release(c), TCP_WINDOW_MAX - TCP_WINDOW_MAX % 1000);
}
END_TEST

static Suite *tcp_pace_suite(void)
{
	Suite *suite = suite_create("tcp pace");
	TCase *t = tcase_create("pacing");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_rate);
	tcase_add_test(t, test_cap);
	tcase_add_test(t, test_wait);
	tcase_add_test(t, test_account);
	tcase_add_test(t, test_release);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_pace_suite)
