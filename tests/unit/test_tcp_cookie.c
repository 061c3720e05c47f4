/* SYN cookies (RFC 4987 3.6): nothing is remembered of a SYN, all that was agreed comes back, and
 * nothing but a fresh cookie of this 4-tuple makes a connection. */
#include "tcp_support.h"

#define TICK_NS (64 * NS_PER_SEC)

static struct tcp_world *w;

static void begin(uint8_t syncookies, uint32_t max_half_open)
{
	struct tg_config c;

	world_config(&c);
	c.tcp.syncookies = syncookies;
	c.tcp.max_half_open = max_half_open;
	c.tcp.ecn = 1;
	w = tw_new(&c);
	w->listener = tw_listen(w, TW_PORT, 4);
}

static void setup(void)
{
	begin(2, 4);
}

static void teardown(void)
{
	tw_end(w);
}

/* The SYN-ACK that a SYN draws. */
static struct tcp_seg syn(uint16_t port, struct seq irs, uint8_t flags, const struct tcp_opts *o)
{
	struct tcp_seg g = {.src_port = port,
		.dst_port = TW_PORT,
		.seq = irs,
		.flags = (uint8_t)(TCP_SYN | flags),
		.wnd = 65535,
		.opts = *o};

	tw_in(w, &g, NULL, 0);
	tg_step(w->s, w->now_ns);
	g = tw_last(w);
	ck_assert_uint_eq(g.flags & (TCP_SYN | TCP_ACK), TCP_SYN | TCP_ACK);
	ck_assert(seq_eq(g.ack, seq_add(irs, 1)));
	return g;
}

/* The peer's ACK of that one. */
static struct tcp_seg answer(const struct tcp_seg *syn_ack, uint32_t tsval)
{
	struct tcp_seg g = {.src_port = syn_ack->dst_port,
		.dst_port = TW_PORT,
		.seq = syn_ack->ack,
		.ack = seq_add(syn_ack->seq, 1),
		.flags = TCP_ACK,
		.wnd = 1000};

	if (syn_ack->opts.has & TCP_HAS_TS) {
		g.opts.has = TCP_HAS_TS;
		g.opts.tsval = tsval;
		g.opts.tsecr = syn_ack->opts.tsval;
	}
	return g;
}

static bool accepted(void)
{
	if (tg_sock_accept(w->s, w->listener, 0, &w->conn, w->now_ns) < 0)
		return false;
	w->c = tw_record(w, w->conn);
	ck_assert_int_eq(w->c->state, TG_ESTABLISHED);
	return true;
}

static void hang_up(void)
{
	ck_assert_int_eq(tg_sock_abort(w->s, w->conn, w->now_ns), 0);
	w->conn = 0;
}

/* ---- Memory ---- */

START_TEST (test_no_memory_per_syn) {
	struct tcp_opts o = tw_all_opts();
	uint64_t before;

	syn(1, seq_of(0), 0, &o);
	tw_step(w, NS_PER_MS);
	before = tw_in_use(w);
	for (uint32_t i = 0; i < 20000; i++)
		syn((uint16_t)(1 + i), seq_of(i * 77777), 0, &o);
	tw_step(w, NS_PER_MS);
	ck_assert_uint_eq(tw_in_use(w), before);
	ck_assert_uint_eq(w->s->tcp->half_open.n_used, 0);
	ck_assert_uint_eq(tg_counters(w->s)->tcp_syncookies_sent, 20001);
}
END_TEST

/* Without memory for a record a SYN gets a cookie, and its ACK, once there is some, a connection.
 */
START_TEST (test_memory_fails) {
	struct tcp_opts o = tw_all_opts();
	struct tcp_seg g;

	teardown();
	begin(1, 1000);
	tg_memory_fail_after(w->s, 2, 0); /* the first is the packet's */
	g = syn(TW_FAR, seq_of(5), 0, &o);
	ck_assert_uint_eq(tg_counters(w->s)->tcp_syncookies_sent, 1);
	g = answer(&g, 1100);
	tg_memory_fail_after(w->s, 2, 1);
	tw_in(w, &g, NULL, 0);
	ck_assert_uint_eq(tw_drops(w, TG_DROP_NO_MEMORY), 1);
	tg_memory_fail_after(w->s, 0, 0);
	tw_in(w, &g, NULL, 0);
	ck_assert(accepted());
}
END_TEST

/* ---- What comes back ---- */

static uint16_t rounded(uint16_t mss)
{
	static const uint16_t kept[] = {8960, 1460, 1440, 1400, 1300, 1220, 536, TCP_MSS_MIN};

	for (unsigned i = 0; i < ARRAY_LEN(kept); i++)
		if (mss >= kept[i])
			return kept[i];
	return TCP_MSS_MIN;
}

/* _i: the peer's shift, 15 for none. */
START_TEST (test_options) {
	static const uint16_t mss[] = {1, 48, 535, 536, 1219, 1220, 1300, 1400, 1439, 1440, 1459,
		1460, 1461, 8959, 8960, 65535};

	for (unsigned k = 0; k < ARRAY_LEN(mss) * 4; k++) {
		bool sack = k & 1, ecn = k & 2;
		struct tcp_opts o = {
			.has = TCP_HAS_MSS | TCP_HAS_TS, .mss = mss[k / 4], .tsval = 1000};
		uint32_t now;
		struct tg_ip us = tg_ip4_of(TW_US), far = tg_ip4_of(TW_PEER);
		struct tcp_seg a, g;

		o.has |= (uint8_t)((sack ? TCP_HAS_SACK_PERM : 0) | (_i < 15 ? TCP_HAS_WSCALE : 0));
		o.wscale = (uint8_t)_i;
		tw_step(w, 17 * NS_PER_MS);
		a = syn(TW_FAR, seq_of(k * 1000003), ecn ? TCP_ECE | TCP_CWR : 0, &o);
		now = tcp_ts_now(w->s, tcp_ts_offset(w->s, &us, TW_PORT, &far, TW_FAR));
		ck_assert_uint_lt(now - a.opts.tsval, 128); /* never later than the clock */
		ck_assert_int_eq((a.flags & TCP_ECE) != 0, ecn);
		ck_assert_int_eq((a.opts.has & TCP_HAS_SACK_PERM) != 0, sack);
		ck_assert_int_eq((a.opts.has & TCP_HAS_WSCALE) != 0, _i < 15);
		g = answer(&a, 1001);
		tw_in(w, &g, "text", 4);
		ck_assert(accepted());
		ck_assert_uint_eq(w->c->mss_peer, rounded(mss[k / 4]));
		ck_assert_int_eq(w->c->ws_ok, _i < 15);
		ck_assert_uint_eq(w->c->snd_wscale, _i < 15 ? (unsigned)_i : 0);
		ck_assert_uint_eq(
			w->c->rcv_wscale, a.opts.has & TCP_HAS_WSCALE ? a.opts.wscale : 0);
		ck_assert_uint_eq(w->c->snd.wnd, 1000u << (_i < 15 ? (unsigned)_i : 0));
		ck_assert_int_eq(w->c->sack_ok, sack);
		ck_assert_int_eq(w->c->ecn_ok, ecn);
		ck_assert(w->c->ts_ok);
		ck_assert_uint_eq(w->c->ts_recent, 1001);
		ck_assert_uint_eq(w->c->rcvq.bytes, 4);
		hang_up();
	}
}
END_TEST

/* ---- What does not ---- */

/* One bit of the acknowledgment is wrong; the last three may name another MSS. */
START_TEST (test_single_bits) {
	struct tcp_opts o = {.has = TCP_HAS_MSS, .mss = 536};
	struct tcp_seg a = syn(TW_FAR, seq_of(99), 0, &o), g;

	for (unsigned bit = 3; bit < 32; bit++) {
		g = answer(&a, 0);
		g.ack = seq_of(g.ack.v ^ 1u << bit);
		tw_in(w, &g, NULL, 0);
		ck_assert(!accepted());
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		g = answer(&a, 0);
		g.seq = seq_of(g.seq.v ^ 1u << bit);
		tw_in(w, &g, NULL, 0);
		ck_assert(!accepted());
	}
	ck_assert_uint_eq(tw_drops(w, TG_DROP_TCP_SYN_COOKIE), 29 + 32);
	ck_assert_uint_eq(tg_counters(w->s)->tcp_syncookies_failed, 29 + 32);
	g = answer(&a, 0);
	tw_in(w, &g, NULL, 0);
	ck_assert(accepted());
}
END_TEST

START_TEST (test_guesses) {
	struct tcp_opts o = {.has = TCP_HAS_MSS, .mss = 1460};
	struct unit_rng rng;

	unit_rng_start(&rng, _i);
	syn(TW_FAR, seq_of(99), 0, &o);
	for (unsigned i = 0; i < 30000; i++) {
		struct tcp_seg g = {.src_port = (uint16_t)(2 + unit_below(&rng, 60000)),
			.dst_port = TW_PORT,
			.seq = seq_of((uint32_t)unit_u64(&rng)),
			.ack = seq_of((uint32_t)unit_u64(&rng)),
			.flags = TCP_ACK};

		tw_in(w, &g, NULL, 0);
		ck_assert(!accepted());
		if (i % 200 == 0)
			tg_step(w->s, w->now_ns);
	}
}
END_TEST

/* ---- Time ---- */

/* Every age, over the end of a generation of keys and the wrap of the tick's eight bits. */
START_TEST (test_age) {
	struct tcp_opts o = {.has = TCP_HAS_MSS, .mss = 1460};
	uint64_t tick = (_i ? 255 : 31) + 256; /* the last of a generation */
	struct seq before = seq_of(0);

	for (uint64_t late = 0; late < 4; late++) {
		struct tcp_seg a, g;

		tw_step(w, tick * TICK_NS - w->now_ns);
		a = syn(TW_FAR, seq_of(7), 0, &o);
		if (late) /* with time the numbers grow [9293 3.4.1] */
			ck_assert(seq_gt(a.seq, before));
		before = a.seq;
		tw_step(w, late * TICK_NS);
		syn(TW_FAR + 1, seq_of(7), 0, &o); /* cookies go on being sent */
		g = answer(&a, 0);
		tw_in(w, &g, NULL, 0);
		ck_assert_int_eq(accepted(), late < 2);
		if (late < 2)
			hang_up();
		tick += 16;
	}
}
END_TEST

/* The cookie's SYN-ACK was late, the SYN came again and found room: the cookie's ACK is as good. */
START_TEST (test_entry_made_meanwhile) {
	struct tcp_opts o = tw_all_opts();
	struct tcp_seg first, a, b, g;

	teardown();
	begin(1, 1);
	first = syn(TW_FAR, seq_of(1), 0, &o);
	a = syn(TW_FAR + 1, seq_of(7), 0, &o);
	ck_assert_uint_eq(tg_counters(w->s)->tcp_syncookies_sent, 1);
	g = answer(&first, 1001);
	g.flags = TCP_RST | TCP_ACK;
	tw_in(w, &g, NULL, 0);
	b = syn(TW_FAR + 1, seq_of(7), 0, &o);
	ck_assert(!seq_eq(a.seq, b.seq));
	ck_assert_uint_eq(w->s->tcp->half_open.n_used, 1);
	g = answer(&a, 1001);
	tw_in(w, &g, NULL, 0);
	ck_assert_uint_eq(w->s->tcp->half_open.n_used, 0);
	ck_assert(accepted());
	ck_assert(seq_eq(w->c->iss, a.seq));
}
END_TEST

/* ---- One by one ---- */

static bool is_set(const struct sipkey *k)
{
	return k->k0 && k->k1 && k->k0 != k->k1;
}

static bool same(const struct sipkey *a, const struct sipkey *b)
{
	return a->k0 == b->k0 && a->k1 == b->k1;
}

/* [4987 3.6] Nothing in a cookie can be foreseen: base and master are keys of their own, and so is
 * that of every generation, the first one too. */
START_TEST (test_keys) {
	struct tcp_opts o = {.has = TCP_HAS_MSS, .mss = 1460};
	const struct tcp_cookies *k = &w->s->tcp->cookies;
	struct sipkey seen[4];
	struct tcp_seg a;
	uint32_t top = 0;

	ck_assert_uint_lt(w->now_ns, 16 * TICK_NS);
	ck_assert(is_set(&k->base) && is_set(&k->master) && !same(&k->base, &k->master));
	for (unsigned i = 0; i < ARRAY_LEN(seen); i++) {
		tw_step(w, i * 16 * TICK_NS + NS_PER_SEC - w->now_ns % (16 * TICK_NS));
		syn(TW_FAR, seq_of(7), 0, &o);
		seen[i] = k->key[(w->now_ns / TICK_NS / 16) & 1];
		ck_assert(is_set(&seen[i]) && !same(&seen[i], &k->master));
		for (unsigned n = 0; n < i; n++)
			ck_assert(!same(&seen[i], &seen[n]));
	}
	/* the ticks' eight bits do not stand there in the open */
	for (uint16_t i = 0; i < 16; i++) {
		a = syn((uint16_t)(TW_FAR + i), seq_of(0), 0, &o);
		top |= 1u << (a.seq.v >> 27);
	}
	ck_assert_uint_gt(top & (top - 1), 0);
}
END_TEST

/* The clock, never later, and less than a turn of the bits behind it. */
START_TEST (test_tsval) {
	struct tcp_mini m;

	memset(&m, 0, sizeof(m));
	for (unsigned bits = 0; bits < 64; bits++) {
		m.flags = MINI_TS;
		m.flags |= (bits & 0x0f) == 15 ? 0 : MINI_WS;
		m.flags |= bits & 0x10 ? MINI_SACK : 0;
		m.syn.scales = bits & 0x0f;
		m.syn.ecn = (bits & 0x20) != 0;
		for (uint32_t now = 0u - 200; now != 200; now++) {
			uint32_t ts = tcp_cookie_tsval(&m, now);

			ck_assert_uint_eq(ts & 63, bits);
			ck_assert_uint_lt(now - ts, 64);
		}
	}
}
END_TEST

/* A port that never sent a cookie expects none, not even in the first tick of all. */
START_TEST (test_not_expected) {
	struct tcp_port port = {.port = TW_PORT};

	w->s->now_ns = 1;
	ck_assert(!tcp_cookie_expected(w->s, &port));
	port.cookie_tick = 1;
	ck_assert(tcp_cookie_expected(w->s, &port));
	w->s->now_ns = 2 * TICK_NS - 1;
	ck_assert(tcp_cookie_expected(w->s, &port));
	w->s->now_ns = 2 * TICK_NS;
	ck_assert(!tcp_cookie_expected(w->s, &port));
	w->s->now_ns = w->now_ns;
}
END_TEST

/* All that a record needs is in it, whatever lay in its memory before. */
START_TEST (test_record) {
	struct tcp_opts o = {.has = TCP_HAS_MSS, .mss = 1460};
	struct ip_info ip = {.src = tg_ip4_of(TW_PEER), .dst = tg_ip4_of(TW_US)};
	struct tcp_seg a = syn(TW_FAR, seq_of(7), 0, &o);
	struct tcp_rx r;
	struct tcp_mini m, none;

	memset(&r, 0, sizeof(r));
	memset(&none, 0, sizeof(none));
	r.s = w->s;
	r.ip = &ip;
	r.g = answer(&a, 0);
	memset(&m, 0xff, sizeof(m));
	ck_assert(tcp_cookie_read(w->s, &r, &m));
	ck_assert_int_eq(memcmp(m.raddr, ip.src.b, sizeof(m.raddr)), 0);
	ck_assert_uint_eq(m.rport, TW_FAR);
	ck_assert_uint_eq(m.lport, TW_PORT);
	ck_assert_int_eq(m.laddr, ip_addr_index(w->s, &ip.dst));
	ck_assert_uint_eq(m.flags, MINI_RESENT); /* [6298 3] no round trip is taken from it */
	ck_assert_uint_eq(m.queue, 0);
	ck_assert_uint_eq(m.ts_recent, 0);
	ck_assert(seq_eq(m.snd_nxt, a.seq) && seq_eq(m.rcv_nxt, seq_of(8)));
	ck_assert_uint_eq(m.syn.mss, 1460);
	ck_assert_uint_eq(m.syn.scales, 0);
	ck_assert_uint_eq(m.syn.ecn, 0);
}
END_TEST

/* A peer that writes options into the timestamp it echoes gets none that is switched off here; of
 * timestamps that are nothing is read. _i: TCP_HAS_... */
START_TEST (test_forged_options) {
	static const uint8_t off[] = {TCP_HAS_WSCALE, TCP_HAS_SACK_PERM, TCP_HAS_TS, 0};
	struct tcp_opts o = tw_all_opts();
	struct tg_config cfg;
	struct tcp_seg a, g;

	teardown();
	world_config(&cfg);
	cfg.tcp.syncookies = 2;
	cfg.tcp.ecn = off[_i] ? 1 : 0;
	cfg.tcp.window_scaling = off[_i] != TCP_HAS_WSCALE;
	cfg.tcp.sack = off[_i] != TCP_HAS_SACK_PERM;
	cfg.tcp.timestamps = off[_i] != TCP_HAS_TS;
	w = tw_new(&cfg);
	w->listener = tw_listen(w, TW_PORT, 4);
	a = syn(TW_FAR, seq_of(7), TCP_ECE | TCP_CWR, &o);
	g = answer(&a, 1001);
	g.opts.has = TCP_HAS_TS;
	g.opts.tsval = 0xf0001001; /* far from none at all */
	g.opts.tsecr = off[_i] == TCP_HAS_TS ? 0x12345678 : ((a.opts.tsval - 64) & ~63u) | 0x37;
	tw_in(w, &g, NULL, 0);
	ck_assert(accepted());
	ck_assert_int_eq(w->c->ts_ok, off[_i] != TCP_HAS_TS);
	ck_assert_int_eq(w->c->ws_ok, off[_i] != TCP_HAS_TS && off[_i] != TCP_HAS_WSCALE);
	ck_assert_int_eq(w->c->sack_ok, off[_i] != TCP_HAS_TS && off[_i] != TCP_HAS_SACK_PERM);
	ck_assert_int_eq(w->c->ecn_ok, off[_i] != TCP_HAS_TS && off[_i] != 0);
	ck_assert_uint_eq(w->c->ts_recent, off[_i] == TCP_HAS_TS ? 0 : 0xf0001001);
}
END_TEST

static Suite *tcp_cookie_suite(void)
{
	Suite *suite = suite_create("tcp cookie");
	TCase *t = tcase_create("cookies");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_no_memory_per_syn);
	tcase_add_test(t, test_memory_fails);
	tcase_add_loop_test(t, test_options, 0, 16);
	tcase_add_test(t, test_single_bits);
	tcase_add_loop_test(t, test_guesses, 0, getenv("TG_TEST_BRIEF") ? 1 : 4);
	tcase_add_loop_test(t, test_age, 0, 2);
	tcase_add_test(t, test_entry_made_meanwhile);
	tcase_add_test(t, test_keys);
	tcase_add_test(t, test_tsval);
	tcase_add_test(t, test_not_expected);
	tcase_add_test(t, test_record);
	tcase_add_loop_test(t, test_forged_options, 0, 4);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_cookie_suite)
