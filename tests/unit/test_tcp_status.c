/* STATUS (RFC 9293 3.10.6) number by number: a connection that has sent, repeated and received, and
 * what tg_tcp_status must say of it. Flags and modes are proved by packet scripts. */
#include "tcp_support.h"

static struct tcp_world *w;

static void setup(void)
{
	w = tw_new(NULL);
	w->syn_opts = tw_all_opts();
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
}

static void teardown(void)
{
	tw_end(w);
}

static struct tg_tcp_info status(void)
{
	struct tg_tcp_info o;

	memset(&o, 0xff, sizeof(o));
	ck_assert_int_eq(tg_tcp_status(w->s, w->conn, &o), 0);
	return o;
}

static void send_text(size_t n)
{
	static const uint8_t text[4000];

	ck_assert_int_eq(tg_sock_send(w->s, w->conn, text, n, 0, w->now_ns), (int64_t)n);
	tg_step(w->s, w->now_ns);
}

/* What the peer sends: n bytes of text, acknowledging what begins at ack. */
static void segment_in(uint32_t n, struct seq ack)
{
	static const uint8_t text[4000];
	struct tcp_seg g = tw_seg(w);

	g.ack = ack;
	tw_in(w, &g, text, n);
}

START_TEST (test_numbers) {
	struct seq iss = w->c->iss;
	struct tg_tcp_info o = status();
	uint32_t in = o.segs_in, out = o.segs_out;

	ck_assert_uint_eq(o.iss, iss.v);
	ck_assert_uint_eq(o.snd_una, iss.v + 1);
	ck_assert_uint_eq(o.snd_nxt, iss.v + 1);
	ck_assert_uint_eq(o.irs, TW_IRS);
	ck_assert_uint_eq(o.rcv_nxt, TW_IRS + 1);
	ck_assert_uint_eq(o.rcv_wnd, seq_dist(w->c->rcv.adv, w->c->rcv.nxt));
	ck_assert_uint_ge(o.rcv_wnd, 65535);
	ck_assert_uint_eq(o.conn, w->c->serial);
	ck_assert_uint_ne(o.conn, 0);
	ck_assert_uint_eq(o.pmtu, 1500);
	ck_assert_uint_eq(o.mss_rcv, TCP_MSS_DEFAULT);
	ck_assert(o.rexmit_deadline_ns == UINT64_MAX);

	send_text(1448);
	w->now_ns += 30 * NS_PER_MS;
	segment_in(1000, seq_add(iss, 1449));
	send_text(2896);
	w->now_ns += 20 * NS_PER_MS;
	segment_in(0, seq_add(iss, 1449 + 1448));
	o = status();
	ck_assert_uint_eq(o.snd_una, iss.v + 2897);
	ck_assert_uint_eq(o.snd_nxt, iss.v + 4345);
	ck_assert_uint_eq(o.rcv_nxt, TW_IRS + 1001);
	ck_assert_uint_eq(o.mss_rcv, 1000);
	ck_assert_uint_eq(o.unread_bytes, 1000);
	ck_assert_uint_eq(o.bytes_received, 1000);
	ck_assert_uint_eq(o.bytes_acked, 2896);
	ck_assert_uint_eq(o.bytes_sent, 4344);
	ck_assert_uint_eq(o.bytes_retrans, 0);
	ck_assert_uint_eq(o.segs_in - in, 2);
	ck_assert_uint_eq(o.segs_out - out, 3);
	ck_assert_uint_eq(o.min_rtt_ns, w->c->min_rtt_ns);
	ck_assert_uint_le(o.min_rtt_ns, 20 * NS_PER_MS);
	ck_assert_uint_eq(o.rexmit_deadline_ns, w->c->deadline[CT_REXMIT]);
	ck_assert(o.rexmit_deadline_ns > w->now_ns && o.rexmit_deadline_ns != UINT64_MAX);

	tw_step(w, 300 * NS_PER_MS);
	o = status();
	ck_assert_uint_gt(o.retransmits, 0);
	ck_assert_uint_eq(o.bytes_retrans, 1448 * o.retransmits);
	ck_assert_uint_eq(o.bytes_sent, 4344 + o.bytes_retrans);
}
END_TEST

/* [9293 SHLD-19] Of many segments received as one, one counts. */
START_TEST (test_size_of_coalesced) {
	static const uint8_t bytes[3000];
	static uint8_t b[4000];
	struct tcp_seg g = tw_seg(w);
	uint32_t len = tw_build(b, TW_US, &g, bytes, sizeof(bytes));
	struct tg_pkt *p = tg_pkt_alloc(w->s, len);

	ck_assert_ptr_nonnull(p);
	memcpy(p->data, b, len);
	p->len = len;
	p->gso = TG_GSO_TCP4;
	p->gso_size = 1000;
	tg_input(w->s, w->netif, p, w->now_ns);
	ck_assert_uint_eq(status().rcv_nxt, TW_IRS + 3001);
	ck_assert_uint_eq(status().mss_rcv, 1000);
}
END_TEST

static uint32_t keepalives_traced(void)
{
	uint64_t cursor = 0, lost;
	struct tg_trace t;
	uint32_t n = 0;

	while (tg_trace_next(w->s, &cursor, &t, &lost))
		n += t.kind == TG_TRACE_TIMER && t.a == TG_TIMER_KEEPALIVE;
	return n;
}

/* What the user chose comes back, and probes that nobody answers are counted, and traced. */
START_TEST (test_choices) {
	ck_assert_uint_eq(status().probes, 0);
	ck_assert_int_eq(
		tg_sock_setopt(w->s, w->conn, TG_SO_MAX_PACING_RATE, 123456, w->now_ns), 0);
	ck_assert_int_eq(tg_sock_setopt(w->s, w->conn, TG_SO_KEEPALIVE, 1, w->now_ns), 0);
	ck_assert_int_eq(
		tg_sock_setopt(w->s, w->conn, TG_TCP_KEEPIDLE, 5 * (int64_t)NS_PER_SEC, w->now_ns),
		0);
	ck_assert_int_eq(
		tg_sock_setopt(w->s, w->conn, TG_TCP_KEEPINTVL, 2 * (int64_t)NS_PER_SEC, w->now_ns),
		0);
	ck_assert_uint_eq(keepalives_traced(), 0);
	tw_step(w, 8 * NS_PER_SEC);
	ck_assert_uint_eq(keepalives_traced(), 2);
	ck_assert_uint_eq(status().probes, 2);
	ck_assert_uint_eq(status().max_pacing_rate, 123456);
}
END_TEST

static Suite *tcp_status_suite(void)
{
	Suite *suite = suite_create("tcp status");
	TCase *t = tcase_create("rfc 9293 3.10.6");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_numbers);
	tcase_add_test(t, test_size_of_coalesced);
	tcase_add_test(t, test_choices);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_status_suite)
