/* Reductions for ECE over more text than sequence numbers tell apart (RFC 3168 6.1.2). */
#include "tcp_support.h"

#define TAIL 1000u /* stays in flight, so that what is kept with the text in flight is kept */

static struct tcp_world *w;

static void setup(void)
{
	w = tw_new(NULL);
	w->syn_opts.has = TCP_HAS_MSS;
	w->syn_opts.mss = 1460;
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	w->c->ecn_ok = true; /* as if the handshake had agreed on it */
}

static void teardown(void)
{
	tw_end(w);
}

/* Sends what the window takes, acknowledges all but its end; returns how much that was. */
static uint32_t turn(uint8_t flags)
{
	static const uint8_t text[65536];
	struct seq before = w->c->snd.una;
	struct tcp_seg g;

	tg_sock_send(w->s, w->conn, text, sizeof(text), 0, w->now_ns);
	tg_step(w->s, w->now_ns);
	w->now_ns += 100 * NS_PER_US;
	g = tw_seg(w);
	g.flags |= flags;
	g.ack = seq_sub(w->c->snd.nxt, TAIL);
	tw_in(w, &g, NULL, 0);
	dev_clear(&w->dev);
	return seq_dist(w->c->snd.una, before);
}

/* The end of the window that was reduced long ago is not taken for one that is still to come. */
START_TEST (test_wrap) {
	uint64_t done = 0;

	turn(0);
	turn(TCP_ECE);
	UNIT_CHECK(w->s->counters.tcp_ecn_reductions == 1);
	UNIT_CHECK(tcp_ecn_in_window(w->c));
	while (done < (1ull << 31) + (1u << 20)) {
		uint32_t n = turn(0);

		ck_assert_uint_gt(n, 0);
		done += n;
	}
	UNIT_CHECK(!tcp_ecn_in_window(w->c));
	turn(TCP_ECE);
	UNIT_CHECK(w->s->counters.tcp_ecn_reductions == 2);
}
END_TEST

static Suite *tcp_ecn_suite(void)
{
	Suite *suite = suite_create("tcp ecn");
	TCase *t = tcase_create("rfc 3168");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_wrap);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_ecn_suite)
