/* The user's calls (tcp_user.c) where packet scripts do not reach: errors in the stack's own
 * numbers, zero-copy sends, failing memory, and the cause that the trace tells. */
#include "tcp_support.h"

#include "wire/arp.h"
#include "wire/eth.h"

static struct tcp_world *w;

static void setup(void)
{
	w = tw_new(NULL);
}

static void teardown(void)
{
	tw_end(w);
}

static int64_t send_some(tg_sock k)
{
	return tg_sock_send(w->s, k, "abc", 3, 0, w->now_ns);
}

/* [9293 3.10.2] */
START_TEST (test_send_without_connection) {
	struct tcp_seg g;
	tg_sock k;

	ck_assert_int_eq(tg_sock_open(w->s, TG_STREAM, 0, 0, &k), 0);
	ck_assert_int_eq(send_some(k), -TG_ENOTCONN);
	ck_assert_int_eq(tg_sock_close(w->s, k, w->now_ns), 0);

	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	g = tw_seg(w);
	g.flags = TCP_RST;
	tw_in(w, &g, NULL, 0);
	ck_assert_int_eq(send_some(w->conn), -TG_ECONNRESET);
	ck_assert_int_eq(send_some(w->conn), -TG_EPIPE);
}
END_TEST

/* [9293 MUST-30] Nothing committed is nothing urgent. */
START_TEST (test_commit_nothing) {
	struct tg_mspan span[2];

	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	ck_assert_int_gt(tg_sock_reserve(w->s, w->conn, 10, span), 0);
	ck_assert_int_eq(tg_sock_commit(w->s, w->conn, 0, TG_MSG_OOB, w->now_ns), 0);
	ck_assert(!w->c->urg_out);
	ck_assert_int_eq(send_some(w->conn), 3);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(tw_last(w).flags & TCP_URG, 0);

	ck_assert_int_gt(tg_sock_reserve(w->s, w->conn, 10, span), 0);
	memcpy(span[0].base, "x", 1);
	ck_assert_int_eq(tg_sock_commit(w->s, w->conn, 1, TG_MSG_OOB, w->now_ns), 0);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(tw_last(w).flags & TCP_URG, TCP_URG);
}
END_TEST

/* [9293 3.10.1] Without memory there is no passive OPEN, and later there is. */
START_TEST (test_listen_without_memory) {
	struct tg_addr a = {{{0}}, 99};
	tg_sock k;

	ck_assert_int_eq(tg_sock_open(w->s, TG_STREAM, 0, 0, &k), 0);
	ck_assert_int_eq(tg_sock_bind(w->s, k, &a), 0);
	tg_memory_fail_after(w->s, 1, 0);
	ck_assert_int_eq(tg_sock_listen(w->s, k, 3, w->now_ns), -TG_ENOMEM);
	tg_memory_fail_after(w->s, 0, 0);
	ck_assert_int_eq(tw_record(w, k)->state, TG_CLOSED);
	ck_assert_int_eq(tg_sock_listen(w->s, k, 3, w->now_ns), 0);
	ck_assert_int_eq(tg_sock_close(w->s, k, w->now_ns), 0);
}
END_TEST

/* Completes a handshake that nobody accepts. */
static void queue_one(uint16_t far_port)
{
	struct tcp_seg g = {.src_port = far_port,
		.dst_port = TW_PORT,
		.seq = seq_of(1),
		.flags = TCP_ACK,
		.wnd = 65535};

	g.ack = seq_add(tw_syn(w, far_port, seq_of(0)), 1);
	tw_in(w, &g, NULL, 0);
	tg_step(w->s, w->now_ns);
}

/* A listener's memory may be that of an earlier one, whose queue was full. */
START_TEST (test_listen_again) {
	for (int i = 0; i < 3; i++) {
		w->listener = tw_listen(w, TW_PORT, 2);
		queue_one(TW_FAR);
		ck_assert_uint_eq(tw_record(w, w->listener)->listener->queued, 1);
		queue_one(TW_FAR + 1);
		ck_assert_uint_eq(tw_record(w, w->listener)->listener->queued, 2);
		ck_assert_int_eq(tg_sock_close(w->s, w->listener, w->now_ns), 0);
		tw_step(w, NS_PER_SEC);
		w->listener = 0;
	}
}
END_TEST

/* [9293 3.10.1] A backlog of none is one; one that nobody could fill is cut. */
START_TEST (test_listen_backlog) {
	w->listener = tw_listen(w, TW_PORT, 0);
	queue_one(TW_FAR);
	ck_assert_uint_eq(tw_record(w, w->listener)->listener->queued, 1);
	ck_assert_int_eq(tg_sock_listen(w->s, w->listener, UINT32_MAX, w->now_ns), 0);
	ck_assert_uint_eq(tw_record(w, w->listener)->listener->backlog, TCP_BACKLOG_MAX);
}
END_TEST

/* [9293 3.10.1] What is connecting, or was connected, is no listener. */
START_TEST (test_listen_connected) {
	struct tg_addr peer = {tg_ip4_of(TW_PEER), 9};
	struct tcp_seg g;
	tg_sock k;

	ck_assert_int_eq(tg_sock_open(w->s, TG_STREAM, 0, 0, &k), 0);
	ck_assert_int_eq(tg_sock_connect(w->s, k, &peer, w->now_ns), -TG_EINPROGRESS);
	ck_assert_int_eq(tg_sock_listen(w->s, k, 3, w->now_ns), -TG_EINVAL);
	ck_assert_int_eq(tg_sock_close(w->s, k, w->now_ns), 0);

	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	ck_assert_int_eq(tg_sock_listen(w->s, w->conn, 3, w->now_ns), -TG_EINVAL);
	g = tw_seg(w);
	g.flags = TCP_RST;
	tw_in(w, &g, NULL, 0);
	ck_assert_int_eq(tw_record(w, w->conn)->state, TG_CLOSED);
	ck_assert_int_eq(tg_sock_listen(w->s, w->conn, 3, w->now_ns), -TG_EINVAL);
}
END_TEST

static unsigned events_of(tg_sock k)
{
	struct tg_event e;
	unsigned got = 0;

	while (tg_event(w->s, &e))
		got |= e.sock == k ? e.events : 0;
	return got;
}

/* The peer refuses k's SYN. */
static void refuse(tg_sock k, const struct tg_addr *peer)
{
	struct tcp_seg g;

	ck_assert_int_eq(tg_sock_connect(w->s, k, peer, w->now_ns), -TG_EINPROGRESS);
	tg_step(w->s, w->now_ns);
	g = tw_last(w);
	g = (struct tcp_seg){.src_port = g.dst_port,
		.dst_port = g.src_port,
		.flags = TCP_RST | TCP_ACK,
		.ack = seq_add(g.seq, 1)};
	tw_in(w, &g, NULL, 0);
	ck_assert_int_eq(tw_record(w, k)->state, TG_CLOSED);
}

/* A socket that was refused has an end to tell; as a listener it has none, until it ends. */
START_TEST (test_listen_told) {
	struct tg_addr peer = {tg_ip4_of(TW_PEER), 9};
	tg_sock k;

	ck_assert_int_eq(tg_sock_open(w->s, TG_STREAM, 0, 0, &k), 0);
	refuse(k, &peer);
	ck_assert_uint_eq(events_of(k) & TG_HUP, TG_HUP);
	ck_assert_int_eq(tg_sock_listen(w->s, k, 3, w->now_ns), 0);
	ck_assert_int_eq(tg_sock_shutdown(w->s, k, TG_SHUT_RD, w->now_ns), 0);
	ck_assert_uint_eq(events_of(k) & TG_HUP, TG_HUP);
	ck_assert_int_eq(tg_sock_close(w->s, k, w->now_ns), 0);
}
END_TEST

/* The same for one that tries again. */
START_TEST (test_connect_told) {
	struct tg_addr peer = {tg_ip4_of(TW_PEER), 9};
	tg_sock k;

	ck_assert_int_eq(tg_sock_open(w->s, TG_STREAM, 0, 0, &k), 0);
	for (int i = 0; i < 3; i++) {
		refuse(k, &peer);
		ck_assert_uint_eq(events_of(k) & TG_HUP, TG_HUP);
	}
	ck_assert_int_eq(tg_sock_close(w->s, k, w->now_ns), 0);
}
END_TEST

/* [9293 MUST-8, SHLD-1] An active OPEN begins at what the clock and the key say. */
START_TEST (test_connect_iss) {
	struct tg_addr peer = {tg_ip4_of(TW_PEER), 9};
	struct tcp_conn *c;
	tg_sock k;

	ck_assert_int_eq(tg_sock_open(w->s, TG_STREAM, 0, 0, &k), 0);
	ck_assert_int_eq(tg_sock_connect(w->s, k, &peer, w->now_ns), -TG_EINPROGRESS);
	c = tw_record(w, k);
	ck_assert(seq_eq(c->iss, tcp_isn(w->s, &c->laddr, c->lport, &c->raddr, c->rport)));
	ck_assert_uint_eq(
		c->ts_offset, tcp_ts_offset(w->s, &c->laddr, c->lport, &c->raddr, c->rport));
	tg_step(w->s, w->now_ns);
	ck_assert(seq_eq(tw_last(w).seq, c->iss));
	ck_assert_int_eq(tg_sock_close(w->s, k, w->now_ns), 0);
}
END_TEST

/* An OPEN that fails for want of memory leaves neither port nor peer behind. */
START_TEST (test_connect_without_memory) {
	struct tg_addr peer = {tg_ip4_of(TW_PEER), 9}, local, far;
	tg_sock k;
	int r = 0;

	ck_assert_int_eq(tg_sock_open(w->s, TG_STREAM, 0, 0, &k), 0);
	for (unsigned at = 1; at < 20 && r != -TG_EINPROGRESS; at++) {
		tg_memory_fail_after(w->s, at, 0);
		r = tg_sock_connect(w->s, k, &peer, w->now_ns);
		tg_memory_fail_after(w->s, 0, 0);
		if (r == -TG_EINPROGRESS)
			break;
		ck_assert_int_eq(r, -TG_ENOMEM);
		tcp_user_addrs(w->s, &tw_record(w, k)->ep, &local, &far);
		ck_assert_uint_eq(local.port, 0);
		ck_assert_uint_eq(far.port, 0);
		ck_assert_ptr_null(tw_record(w, k)->port);
	}
	ck_assert_int_eq(r, -TG_EINPROGRESS);
	ck_assert_int_eq(tg_sock_close(w->s, k, w->now_ns), 0);
}
END_TEST

/* How often the trace tells of a move to CLOSED for that cause. */
static uint32_t closed_for(enum tg_cause why)
{
	uint64_t cursor = 0, lost;
	struct tg_trace t;
	uint32_t n = 0;

	while (tg_trace_next(w->s, &cursor, &t, &lost))
		n += t.kind == TG_TRACE_STATE && t.b == TG_CLOSED && t.reason == why;
	return n;
}

/* [9293 3.10.5] ABORT of a listener resets all that came to it. */
START_TEST (test_abort_listener) {
	uint32_t n;

	w->listener = tw_listen(w, TW_PORT, 8);
	queue_one(TW_FAR);
	tw_syn(w, TW_FAR + 1, seq_of(0));
	n = w->dev.n;
	ck_assert_int_eq(tg_sock_abort(w->s, w->listener, w->now_ns), 0);
	w->listener = 0;
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(w->dev.n, n + 2);
	ck_assert_uint_eq(tw_last(w).flags & TCP_RST, TCP_RST);
	ck_assert_uint_eq(closed_for(TG_CAUSE_LISTENER_CLOSED), 1);
	ck_assert_uint_eq(closed_for(TG_CAUSE_ABORT_CALL), 1);
}
END_TEST

/* [9293 SHLD-3] The trace tells whether text was lost to the abort. */
START_TEST (test_abort_cause) {
	struct tcp_seg g;
	uint32_t aborts;

	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	if (_i) {
		g = tw_seg(w);
		tw_in(w, &g, "abc", 3);
	}
	aborts = closed_for(TG_CAUSE_ABORT_CALL);
	ck_assert_int_eq(tg_sock_abort(w->s, w->conn, w->now_ns), 0);
	w->conn = 0;
	ck_assert_uint_eq(closed_for(TG_CAUSE_UNREAD_DATA), _i ? 1 : 0);
	ck_assert_uint_eq(closed_for(TG_CAUSE_ABORT_CALL) - aborts, _i ? 0 : 1);
}
END_TEST

/* [9293 MUST-39] What takes nothing says nothing: before the connection stands there is no window
 * to tell of. */
START_TEST (test_consume_nothing) {
	struct tg_addr peer = {tg_ip4_of(TW_PEER), 9};
	tg_sock k;
	uint32_t n;

	ck_assert_int_eq(tg_sock_open(w->s, TG_STREAM, 0, 0, &k), 0);
	ck_assert_int_eq(tg_sock_connect(w->s, k, &peer, w->now_ns), -TG_EINPROGRESS);
	tg_step(w->s, w->now_ns);
	n = w->dev.n;
	ck_assert_int_eq(tg_sock_consume(w->s, k, 0, w->now_ns), 0);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(w->dev.n, n);
	ck_assert_int_eq(tg_sock_close(w->s, k, w->now_ns), 0);
}
END_TEST

/* [4987 3.6] The trace tells of a connection that came out of a cookie. */
START_TEST (test_cookie_traced) {
	struct tg_config cfg;
	uint64_t cursor = 0, lost;
	struct tg_trace t;
	uint32_t n = 0;

	world_config(&cfg);
	cfg.tcp.syncookies = 2;
	tw_free(w);
	w = tw_new(&cfg);
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	while (tg_trace_next(w->s, &cursor, &t, &lost))
		n += t.kind == TG_TRACE_STATE && t.a == TG_LISTEN && t.b == TG_SYN_RECEIVED &&
		     t.reason == TG_CAUSE_SYN_COOKIE;
	ck_assert_uint_eq(n, 1);
}
END_TEST

/* ---- Advice to the network layer ---- */

#define HERE  0x0a010002u
#define THERE 0x0a010001u

static const uint8_t far_mac[6] = {2, 0, 0, 0, 0, 9};

static void arp_reply_in(unsigned netif)
{
	struct arp_msg m = {.op = ARP_REPLY, .spa = THERE, .tpa = HERE};
	uint8_t b[ETH_HDR_BYTES + ARP_BYTES];

	memcpy(m.sha, far_mac, 6);
	memcpy(m.tha, dev_mac, 6);
	eth_emit(b, dev_mac, far_mac, ETH_TYPE_ARP);
	arp_emit(b + ETH_HDR_BYTES, &m);
	w->s->now_ns = w->now_ns;
	world_input(w->s, netif, b, sizeof(b));
}

/* Questions to the peer itself that are among the frames sent. */
static uint32_t asked(const struct dev *d)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < d->n; i++) {
		const uint8_t *b = d->frame[i].bytes;

		n += !memcmp(b, far_mac, 6) && b[12] == 8 && b[13] == 6;
	}
	return n;
}

/* [9293 MUST-20, SHLD-10] After R1 retransmissions the next hop is asked whether it is there, and
 * again as they go on. */
START_TEST (test_negative_advice) {
	struct tg_addr peer = {tg_ip4_of(THERE), 80};
	struct tg_ip here = tg_ip4_of(HERE);
	unsigned netif;
	struct dev d;
	tg_sock k;

	dev_init(&d);
	netif = world_netif(w->s, &d, TG_LINK_ETHERNET, 0, 1500);
	ck_assert_int_eq(tg_addr_add(w->s, netif, &here, 24, w->now_ns), 0);
	tw_step(w, 10 * NS_PER_SEC); /* what announces the address is over */
	ck_assert_int_eq(tg_sock_open(w->s, TG_STREAM, 0, 0, &k), 0);
	ck_assert_int_eq(tg_sock_connect(w->s, k, &peer, w->now_ns), -TG_EINPROGRESS);
	tg_step(w->s, w->now_ns);
	arp_reply_in(netif);
	tg_step(w->s, w->now_ns);
	tw_step(w, 6900 * NS_PER_MS); /* the SYN goes after 0, 1, 3 s */
	ck_assert_uint_eq(asked(&d), 0);
	tw_step(w, 200 * NS_PER_MS); /* and after 7 s */
	ck_assert_uint_eq(asked(&d), 1);
	arp_reply_in(netif);
	tw_step(w, 8 * NS_PER_SEC);
	ck_assert_uint_eq(asked(&d), 2);
	ck_assert_int_eq(tg_sock_close(w->s, k, w->now_ns), 0);
	tw_free(w);
	dev_clear(&d);
	w = tw_new(NULL);
}
END_TEST

static Suite *tcp_calls_suite(void)
{
	Suite *suite = suite_create("tcp calls");
	TCase *t = tcase_create("rfc 9293 3.10");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_send_without_connection);
	tcase_add_test(t, test_commit_nothing);
	tcase_add_test(t, test_listen_without_memory);
	tcase_add_test(t, test_listen_again);
	tcase_add_test(t, test_listen_backlog);
	tcase_add_test(t, test_listen_connected);
	tcase_add_test(t, test_listen_told);
	tcase_add_test(t, test_connect_told);
	tcase_add_test(t, test_connect_iss);
	tcase_add_test(t, test_connect_without_memory);
	tcase_add_test(t, test_abort_listener);
	tcase_add_loop_test(t, test_abort_cause, 0, 2);
	tcase_add_test(t, test_consume_nothing);
	tcase_add_test(t, test_cookie_traced);
	tcase_add_test(t, test_negative_advice);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_calls_suite)
