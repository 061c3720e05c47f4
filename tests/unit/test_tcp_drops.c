/* Every reason for which TCP discards a segment, each brought about by a sequence of frames made by
 * hand: the last one is counted under exactly that reason, once. */
#include "tcp_support.h"

static struct tcp_world *w;

static uint64_t all_drops(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < TG_DROP_COUNT; i++)
		n += tg_counters(w->s)->drops[i];
	return n;
}

/* The frame is dropped for this reason and no other one is counted. */
#define DROPS(reason, frame)                                                                       \
	do {                                                                                       \
		uint64_t before_ = tw_drops(w, reason), all_ = all_drops();                        \
		frame;                                                                             \
		ck_assert_uint_eq(tw_drops(w, reason), before_ + 1);                               \
		ck_assert_uint_eq(all_drops(), all_ + 1);                                          \
		world_check(w->s);                                                                 \
		tg_step(w->s, w->now_ns);                                                          \
	} while (0)

static void setup(void)
{
	w = tw_new(NULL);
}

static void teardown(void)
{
	tw_end(w);
}

static struct tcp_seg segment(uint8_t flags, uint32_t seq, uint32_t ack)
{
	return (struct tcp_seg){.src_port = TW_FAR,
		.dst_port = TW_PORT,
		.flags = flags,
		.seq = seq_of(seq),
		.ack = seq_of(ack),
		.wnd = 65535};
}

static void send_seg(uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct tcp_seg g = segment(flags, seq, ack);

	tw_in(w, &g, NULL, 0);
}

/* A segment of the connection: offsets to what is exact, n bytes of text. */
static void conn_seg(uint8_t flags, int32_t seq, int32_t ack, uint32_t n)
{
	static const uint8_t text[70000];
	struct tcp_seg g = tw_seg(w);

	g.flags = flags;
	g.seq = seq_add(g.seq, (uint32_t)seq);
	g.ack = seq_add(g.ack, (uint32_t)ack);
	tw_in(w, &g, text, n);
}

static void establish(uint8_t has)
{
	w->syn_opts = tw_all_opts();
	w->syn_opts.has = has;
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
}

/* ---- The header ---- */

START_TEST (test_header) {
	struct tcp_seg g = segment(TCP_SYN, 1, 0);
	uint8_t b[128];
	uint32_t n = tw_build(b, TW_US, &g, "text", 4);
	struct ip4_hdr ip;

	b[n - 1] ^= 1;
	DROPS(TG_DROP_TCP_CSUM, tw_raw_in(w, b, n));
	ck_assert_uint_eq(tg_counters(w->s)->tcp_in_errs, 1);

	/* From here on without a checksum to stumble over: the device vouches. */
	n = tw_build(b, TW_US, &g, NULL, 0);
	ck_assert_int_eq(ip4_parse(b, n, &ip), TG_DROP_NONE);
	for (unsigned bad = 0; bad < 3; bad++) {
		static const enum tg_drop why[] = {
			TG_DROP_TCP_OFFSET, TG_DROP_TCP_SHORT, TG_DROP_TCP_OPTIONS};
		struct tg_pkt *p = tg_pkt_alloc(w->s, 128);

		g.opts = tw_all_opts();
		p->len = tw_build(p->data, TW_US, &g, NULL, 0);
		p->csum = TG_CSUM_VALID;
		if (bad == 0)
			p->data[20 + 12] = 0xf0; /* 60 bytes of header are not there */
		if (bad == 1) {
			ip.total_bytes = 20 + 19;
			ip4_emit(p->data, &ip);
			p->len = 39;
		}
		if (bad == 2)
			p->data[40 + 1] = 0; /* the MSS option's length */
		DROPS(why[bad], tg_input(w->s, w->netif, p, w->now_ns));
	}
}
END_TEST

START_TEST (test_broadcast) {
	struct tcp_seg g = segment(TCP_SYN, 1, 0);

	w->listener = tw_listen(w, TW_PORT, 1);
	DROPS(TG_DROP_TCP_BROADCAST, tw_in_at(w, 0x0a0000ff, &g, NULL, 0)); /* [9293 MUST-57] */
	DROPS(TG_DROP_TCP_BROADCAST, tw_in_at(w, 0xffffffff, &g, NULL, 0));
	ck_assert_uint_eq(w->dev.n, 0);
}
END_TEST

/* ---- CLOSED, LISTEN ---- */

START_TEST (test_closed) {
	DROPS(TG_DROP_TCP_CLOSED, send_seg(TCP_SYN, 100, 0));
	ck_assert_uint_eq(tw_last(w).flags, TCP_RST | TCP_ACK);
	ck_assert_uint_eq(tw_last(w).ack.v, 101);
	DROPS(TG_DROP_TCP_CLOSED, send_seg(TCP_ACK, 100, 200));
	ck_assert_uint_eq(tw_last(w).seq.v, 200);
	w->dev.n = 0;
	DROPS(TG_DROP_TCP_CLOSED_RST, send_seg(TCP_RST, 100, 0));
	DROPS(TG_DROP_TCP_CLOSED_RST, send_seg(TCP_RST | TCP_ACK, 100, 1));
	ck_assert_uint_eq(w->dev.n, 0);
}
END_TEST

START_TEST (test_listen) {
	w->listener = tw_listen(w, TW_PORT, 1);
	DROPS(TG_DROP_TCP_LISTEN_RST, send_seg(TCP_RST, 100, 0));
	DROPS(TG_DROP_TCP_LISTEN_OTHER, send_seg(TCP_FIN, 100, 0));
	DROPS(TG_DROP_TCP_LISTEN_OTHER, send_seg(0, 100, 0));
	ck_assert_uint_eq(w->dev.n, 0);
	DROPS(TG_DROP_TCP_LISTEN_ACK, send_seg(TCP_ACK, 100, 200));
	ck_assert_uint_eq(tw_last(w).flags, TCP_RST);
	DROPS(TG_DROP_TCP_LISTEN_ACK, send_seg(TCP_SYN | TCP_ACK, 100, 200));
}
END_TEST

START_TEST (test_half_open_full) {
	struct tg_config cfg;

	/* A full table makes room; without memory for it there is none to make. */
	world_config(&cfg);
	cfg.tcp.syncookies = 0;
	tw_free(w);
	w = tw_new(&cfg);
	w->listener = tw_listen(w, TW_PORT, 1);
	tg_memory_fail_after(w->s, 1, 1);
	DROPS(TG_DROP_TCP_HALF_OPEN_FULL, send_seg(TCP_SYN, 100, 0));
	tg_memory_fail_after(w->s, 0, 0);
}
END_TEST

START_TEST (test_syn_cookie) {
	struct tg_config cfg;
	struct seq iss;

	world_config(&cfg);
	cfg.tcp.syncookies = 2;
	tw_free(w);
	w = tw_new(&cfg);
	w->listener = tw_listen(w, TW_PORT, 1);
	iss = tw_syn(w, TW_FAR, seq_of(99));
	DROPS(TG_DROP_TCP_SYN_COOKIE, send_seg(TCP_ACK, 100, iss.v + 1000));
	ck_assert_uint_eq(tw_last(w).flags, TCP_RST);
	DROPS(TG_DROP_TCP_LISTEN_ACK, send_seg(TCP_SYN | TCP_ACK, 100, iss.v + 1));
}
END_TEST

START_TEST (test_accept_full) {
	struct seq iss;

	w->listener = tw_listen(w, TW_PORT, 1);
	iss = tw_syn(w, TW_FAR + 1, seq_of(99));
	tw_in(w,
		&(struct tcp_seg){.src_port = TW_FAR + 1,
			.dst_port = TW_PORT,
			.flags = TCP_ACK,
			.seq = seq_of(100),
			.ack = seq_add(iss, 1)},
		NULL, 0);
	iss = tw_syn(w, TW_FAR, seq_of(99));
	DROPS(TG_DROP_TCP_ACCEPT_FULL, send_seg(TCP_ACK, 100, iss.v + 1));
	/* The entry stays: with room in the queue the next ACK completes it. */
	ck_assert_int_eq(tg_sock_accept(w->s, w->listener, 0, &w->conn, w->now_ns), 0);
	tg_sock_abort(w->s, w->conn, w->now_ns);
	send_seg(TCP_ACK, 100, iss.v + 1);
	ck_assert_int_eq(tg_sock_accept(w->s, w->listener, 0, &w->conn, w->now_ns), 0);
}
END_TEST

/* ---- SYN-RECEIVED, SYN-SENT ---- */

START_TEST (test_syn_received) {
	struct seq iss;
	struct tcp_seg g;

	w->syn_opts = tw_all_opts();
	w->listener = tw_listen(w, TW_PORT, 1);
	iss = tw_syn(w, TW_FAR, seq_of(99));
	g = segment(TCP_ACK, 100, iss.v + 1);
	DROPS(TG_DROP_TCP_NO_TS, tw_in(w, &g, NULL, 0)); /* [7323-T3] */
	g.opts = (struct tcp_opts){.has = TCP_HAS_TS, .tsval = 999};
	DROPS(TG_DROP_TCP_PAWS, tw_in(w, &g, NULL, 0));
	g.opts.tsval = 1000;
	g.ack = seq_add(iss, 2);
	DROPS(TG_DROP_TCP_ACK_HALF_OPEN, tw_in(w, &g, NULL, 0));
	ck_assert_uint_eq(tw_last(w).flags, TCP_RST);
	g.ack = iss;
	DROPS(TG_DROP_TCP_ACK_HALF_OPEN, tw_in(w, &g, NULL, 0));
	g.flags = 0;
	DROPS(TG_DROP_TCP_NO_ACK, tw_in(w, &g, NULL, 0));
	g.flags = TCP_SYN;
	g.seq = seq_of(99);
	DROPS(TG_DROP_TCP_OLD, tw_in(w, &g, NULL, 0)); /* the SYN again */
	ck_assert_uint_eq(tw_last(w).flags, TCP_SYN | TCP_ACK);
	g.flags = TCP_ACK;
	g.seq = seq_of(100 + 65536); /* the window is one of whole units of its scale */
	DROPS(TG_DROP_TCP_BEYOND_WINDOW, tw_in(w, &g, NULL, 0));
	g.flags = TCP_RST;
	DROPS(TG_DROP_TCP_RST_OUTSIDE, tw_in(w, &g, NULL, 0));
	g.seq = seq_of(101);
	DROPS(TG_DROP_TCP_RST_CHALLENGE, tw_in(w, &g, NULL, 0));
	g.flags = TCP_SYN;
	DROPS(TG_DROP_TCP_SYN_CHALLENGE, tw_in(w, &g, NULL, 0));
	/* [9293 3.10.7.4-4] back in LISTEN */
	DROPS(TG_DROP_TCP_LISTEN_ACK, send_seg(TCP_ACK, 100, iss.v + 1));
}
END_TEST

START_TEST (test_syn_sent) {
	struct tg_addr peer = {tg_ip4_of(TW_PEER), 9};
	struct tcp_seg g;

	ck_assert_int_eq(tg_sock_open(w->s, TG_STREAM, 0, 0, &w->conn), 0);
	ck_assert_int_eq(tg_sock_connect(w->s, w->conn, &peer, w->now_ns), -TG_EINPROGRESS);
	tg_step(w->s, w->now_ns);
	w->c = tw_record(w, w->conn);
	g = tw_seg(w);
	g.seq = seq_of(500);
	g.flags = TCP_ACK;
	g.ack = w->c->iss;
	DROPS(TG_DROP_TCP_SYN_SENT_ACK, tw_in(w, &g, NULL, 0));
	ck_assert_uint_eq(tw_last(w).flags, TCP_RST);
	g.ack = seq_add(w->c->iss, 2);
	DROPS(TG_DROP_TCP_SYN_SENT_ACK, tw_in(w, &g, NULL, 0));
	g.flags = TCP_RST | TCP_ACK;
	DROPS(TG_DROP_TCP_SYN_SENT_RST, tw_in(w, &g, NULL, 0));
	g.flags = TCP_RST;
	DROPS(TG_DROP_TCP_SYN_SENT_RST, tw_in(w, &g, NULL, 0));
	g.flags = TCP_ACK;
	g.ack = seq_add(w->c->iss, 1);
	DROPS(TG_DROP_TCP_SYN_SENT_OTHER, tw_in(w, &g, NULL, 0));
	g.flags = TCP_FIN;
	DROPS(TG_DROP_TCP_SYN_SENT_OTHER, tw_in(w, &g, NULL, 0));
	ck_assert_int_eq(w->c->state, TG_SYN_SENT);
}
END_TEST

/* ---- The eight steps ---- */

START_TEST (test_timestamps) {
	struct tcp_seg g;

	establish(TCP_HAS_TS);
	g = tw_seg(w);
	g.opts.has = 0;
	DROPS(TG_DROP_TCP_NO_TS, tw_in(w, &g, NULL, 0));
	g = tw_seg(w);
	g.opts.tsval--;
	DROPS(TG_DROP_TCP_PAWS, tw_in(w, &g, NULL, 0));
	ck_assert_uint_eq(tg_counters(w->s)->tcp_paws_rejected, 1);
	/* [7323-P3] after 24 days the old number tells nothing */
	w->c->ts_recent_ns = w->now_ns - 25ull * 86400 * NS_PER_SEC;
	tw_in(w, &g, NULL, 0);
	ck_assert_uint_eq(tw_drops(w, TG_DROP_TCP_PAWS), 1);
}
END_TEST

START_TEST (test_steps_1_to_5) {
	uint32_t wnd;

	establish(0);
	wnd = seq_dist(w->c->rcv.adv, w->c->rcv.nxt);
	DROPS(TG_DROP_TCP_OLD, conn_seg(TCP_ACK, -1, 0, 0));
	DROPS(TG_DROP_TCP_OLD, conn_seg(TCP_ACK, -100, 0, 100));
	DROPS(TG_DROP_TCP_BEYOND_WINDOW, conn_seg(TCP_ACK, (int32_t)wnd, 0, 1));
	DROPS(TG_DROP_TCP_RST_OUTSIDE, conn_seg(TCP_RST, (int32_t)wnd, 0, 0));
	DROPS(TG_DROP_TCP_RST_OUTSIDE, conn_seg(TCP_RST, -1, 0, 0));
	DROPS(TG_DROP_TCP_RST_CHALLENGE, conn_seg(TCP_RST, 1, 0, 0));
	DROPS(TG_DROP_TCP_SYN_CHALLENGE, conn_seg(TCP_SYN, 0, 0, 0));
	DROPS(TG_DROP_TCP_SYN_CHALLENGE, conn_seg(TCP_SYN | TCP_ACK, 5, 0, 0));
	DROPS(TG_DROP_TCP_NO_ACK, conn_seg(0, 0, 0, 10));
	DROPS(TG_DROP_TCP_NO_ACK, conn_seg(TCP_FIN, 0, 0, 0));
	DROPS(TG_DROP_TCP_ACK_FUTURE, conn_seg(TCP_ACK, 0, 1, 0));
	DROPS(TG_DROP_TCP_ACK_OLD, conn_seg(TCP_ACK, 0, -65537, 0)); /* [5961-5] */
	ck_assert_int_eq(w->c->state, TG_ESTABLISHED);
}
END_TEST

START_TEST (test_zero_window) {
	struct tcp_seg g;
	uint8_t b;

	establish(0);
	tg_sock_setopt(w->s, w->conn, TG_SO_RCVBUF, 2048, w->now_ns);
	while (seq_dist(w->c->rcv.adv, w->c->rcv.nxt)) {
		conn_seg(TCP_ACK, 0, 0, min_u32(1000, seq_dist(w->c->rcv.adv, w->c->rcv.nxt)));
		tg_step(w->s, w->now_ns);
	}
	/* [9293 MUST-66] the exact number: its ACK counts, its text does not */
	g = tw_seg(w);
	g.wnd = 1234;
	DROPS(TG_DROP_TCP_BEYOND_WINDOW, tw_in(w, &g, "x", 1));
	ck_assert_uint_eq(w->c->snd.wnd, 1234);
	ck_assert_int_eq(tg_sock_recv(w->s, w->conn, &b, 1, 0, w->now_ns), 1);
}
END_TEST

START_TEST (test_text) {
	establish(0);
	conn_seg(TCP_ACK | TCP_FIN, 0, 0, 10);
	ck_assert_int_eq(w->c->state, TG_CLOSE_WAIT);
	DROPS(TG_DROP_TCP_TEXT_AFTER_FIN, conn_seg(TCP_ACK, 0, 0, 10));
}
END_TEST

START_TEST (test_text_after_close) {
	establish(0);
	tg_sock_close(w->s, w->conn, w->now_ns);
	w->conn = 0;
	tg_step(w->s, w->now_ns);
	DROPS(TG_DROP_TCP_TEXT_AFTER_CLOSE, conn_seg(TCP_ACK, 0, 0, 10));
	ck_assert(tw_last(w).flags & TCP_RST); /* [9293 SHLD-3] */
}
END_TEST

START_TEST (test_ooo_limit) {
	establish(TCP_HAS_SACK_PERM);
	tg_sock_setopt(w->s, w->conn, TG_SO_RCVBUF, 4 << 20, w->now_ns);
	for (int32_t i = 0; i < (int32_t)TCP_OOO_RANGES_MAX; i++) {
		conn_seg(TCP_ACK, 2 + 2 * i, 0, 1);
		tg_step(w->s, w->now_ns);
	}
	ck_assert_uint_eq(all_drops(), 0);
	DROPS(TG_DROP_TCP_OOO_LIMIT, conn_seg(TCP_ACK, 2 + 2 * (int32_t)TCP_OOO_RANGES_MAX, 0, 1));
	/* What adds to a range that exists is still taken, and so is what is in order. */
	conn_seg(TCP_ACK, 3, 0, 1);
	conn_seg(TCP_ACK, 0, 0, 1);
	ck_assert_uint_eq(all_drops(), 1);
}
END_TEST

START_TEST (test_rcv_memory) {
	struct tg_pkt *p;
	struct tcp_seg g;

	establish(0);
	/* A frame in the reader's reserve may not be kept, and there is no memory for a copy. */
	for (int32_t seq = 0; seq <= 100; seq += 100) {
		tg_memory_fail_after(w->s, 1, 1);
		p = tg_pkt_alloc(w->s, 128);
		ck_assert_ptr_nonnull(p);
		ck_assert(p->flags & PKT_RESERVE);
		g = tw_seg(w);
		g.seq = seq_add(g.seq, (uint32_t)seq);
		p->len = tw_build(p->data, TW_US, &g, "0123456789", 10);
		DROPS(TG_DROP_TCP_RCV_MEMORY, tg_input(w->s, w->netif, p, w->now_ns));
		tg_memory_fail_after(w->s, 0, 0);
	}
	ck_assert_uint_eq(w->c->rcvq.bytes, 0);
	ck_assert_ptr_null(w->c->ooo);
}
END_TEST

START_TEST (test_no_memory) {
	struct seq iss;
	struct tcp_seg g;
	uint8_t b[64];
	struct tg_pkt *p = NULL;

	w->listener = tw_listen(w, TW_PORT, 1);
	iss = tw_syn(w, TW_FAR, seq_of(99));
	g = segment(TCP_ACK, 100, iss.v + 1);
	p = tg_pkt_alloc(w->s, sizeof(b));
	p->len = tw_build(p->data, TW_US, &g, NULL, 0);
	tg_memory_fail_after(w->s, 1, 1);
	DROPS(TG_DROP_NO_MEMORY, tg_input(w->s, w->netif, p, w->now_ns));
	tg_memory_fail_after(w->s, 0, 0);
	/* The half-open entry has stayed. */
	tw_in(w, &g, NULL, 0);
	ck_assert_int_eq(tg_sock_accept(w->s, w->listener, 0, &w->conn, w->now_ns), 0);
}
END_TEST

START_TEST (test_time_wait) {
	struct tcp_seg g;

	establish(0);
	tg_sock_shutdown(w->s, w->conn, TG_SHUT_WR, w->now_ns);
	tg_step(w->s, w->now_ns);
	conn_seg(TCP_ACK, 0, 0, 0);
	ck_assert_int_eq(w->c->state, TG_FIN_WAIT_2);
	conn_seg(TCP_ACK | TCP_FIN, 0, 0, 0);
	ck_assert_int_eq(w->c->state, TG_TIME_WAIT);
	g = tw_seg(w);
	DROPS(TG_DROP_TCP_TIME_WAIT, tw_in(w, &g, NULL, 0));
	DROPS(TG_DROP_TCP_TIME_WAIT, tw_in(w, &g, "late", 4));
	g.flags = TCP_RST;
	g.seq = seq_add(g.seq, 1);
	DROPS(TG_DROP_TCP_RST_CHALLENGE, tw_in(w, &g, NULL, 0));
	g.seq = seq_sub(g.seq, 2);
	DROPS(TG_DROP_TCP_RST_OUTSIDE, tw_in(w, &g, NULL, 0));
	g.flags = TCP_SYN;
	DROPS(TG_DROP_TCP_SYN_CHALLENGE, tw_in(w, &g, NULL, 0));
	ck_assert_int_eq(w->c->state, TG_TIME_WAIT);
}
END_TEST

/* No received frame ends this way: the impairing device says so of what it throws away itself. */
static Suite *tcp_drops_suite(void)
{
	Suite *suite = suite_create("tcp drops");
	TCase *t = tcase_create("reasons");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_header);
	tcase_add_test(t, test_broadcast);
	tcase_add_test(t, test_closed);
	tcase_add_test(t, test_listen);
	tcase_add_test(t, test_half_open_full);
	tcase_add_test(t, test_syn_cookie);
	tcase_add_test(t, test_accept_full);
	tcase_add_test(t, test_syn_received);
	tcase_add_test(t, test_syn_sent);
	tcase_add_test(t, test_timestamps);
	tcase_add_test(t, test_steps_1_to_5);
	tcase_add_test(t, test_zero_window);
	tcase_add_test(t, test_text);
	tcase_add_test(t, test_text_after_close);
	tcase_add_test(t, test_ooo_limit);
	tcase_add_test(t, test_rcv_memory);
	tcase_add_test(t, test_no_memory);
	tcase_add_test(t, test_time_wait);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_drops_suite)
