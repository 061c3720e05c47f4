/* Whose segment it is, whose port: the look-up of connections against a plain list, the rules of
 * bind and listen as Linux has them, ephemeral ports to the last, and the numbers that are keyed by
 * the 4-tuple: ISN (RFC 9293 3.4.1, RFC 6528), timestamp offset (RFC 7323 7.1). Also that text goes
 * through the loopback interface, whose segments fill a whole datagram. */
#include "tcp_support.h"

static struct tcp_world *w;

static void setup(void)
{
	w = tw_new(NULL);
}

static void teardown(void)
{
	tw_end(w);
}

static tg_sock open_sock(bool reuse)
{
	tg_sock k;

	ck_assert_int_eq(tg_sock_open(w->s, TG_STREAM, 0, 0, &k), 0);
	ck_assert_int_eq(tg_sock_setopt(w->s, k, TG_SO_REUSEADDR, reuse, w->now_ns), 0);
	return k;
}

static int bind_to(tg_sock k, uint32_t ip, uint16_t port)
{
	struct tg_addr a = {{{0}}, port};

	if (ip)
		a.ip = tg_ip4_of(ip);
	return tg_sock_bind(w->s, k, &a);
}

static int listen_on(tg_sock k)
{
	return tg_sock_listen(w->s, k, 4, w->now_ns);
}

static void shut(tg_sock k)
{
	ck_assert_int_eq(tg_sock_abort(w->s, k, w->now_ns), 0);
}

/* ---- Demultiplexing ---- */

struct tuple {
	struct tg_ip laddr, raddr;
	uint16_t lport, rport;
	struct tcp_conn *c;
};

static struct tcp_conn *lookup(const struct tuple *t)
{
	uint32_t h = tcp_tuple_hash(w->s, &t->laddr, t->lport, &t->raddr, t->rport);

	return tcp_find_conn(w->s, &t->laddr, t->lport, &t->raddr, t->rport, h);
}

static struct tuple random_tuple(struct unit_rng *r)
{
	return (struct tuple){.laddr = tg_ip4_of(TW_US - unit_below(r, 2)),
		.raddr = tg_ip4_of(TW_PEER + 7 + unit_below(r, 4)),
		.lport = (uint16_t)unit_below(r, 20),
		.rport = (uint16_t)unit_below(r, 20)};
}

static struct tuple *find_tuple(struct tuple *list, uint32_t n, const struct tuple *t)
{
	for (uint32_t i = 0; i < n; i++)
		if (ip_equal(&list[i].laddr, &t->laddr) && ip_equal(&list[i].raddr, &t->raddr) &&
			list[i].lport == t->lport && list[i].rport == t->rport)
			return &list[i];
	return NULL;
}

START_TEST (test_demux) {
	static struct tuple list[4000];
	struct unit_rng r;
	uint32_t n = 0;

	unit_rng_start(&r, _i);
	for (int i = 0; i < 10000; i++) {
		struct tuple t = random_tuple(&r), *known = find_tuple(list, n, &t);

		UNIT_CHECK(lookup(&t) == (known ? known->c : NULL));
		UNIT_CHECK(tcp_tuple_in_use(w->s, &t.laddr, t.lport, &t.raddr, t.rport) ==
			   (known != NULL));
		if (known && unit_below(&r, 2)) {
			tcp_unhash_conn(w->s, known->c);
			tcp_conn_free(w->s, known->c);
			*known = list[--n];
			UNIT_CHECK(!lookup(&t));
		} else if (!known && n < ARRAY_LEN(list)) {
			t.c = tcp_conn_new(w->s, 0);
			UNIT_CHECK(t.c);
			t.c->laddr = t.laddr;
			t.c->raddr = t.raddr;
			t.c->lport = t.lport;
			t.c->rport = t.rport;
			UNIT_CHECK(tcp_hash_conn(w->s, t.c,
				tcp_tuple_hash(
					w->s, &t.c->laddr, t.c->lport, &t.c->raddr, t.c->rport)));
			list[n++] = t;
		}
		UNIT_CHECK(w->s->tcp->n_conns == n);
	}
	while (n)
		tcp_conn_free(w->s, list[--n].c);
	/* The table's directory stays as large as it was. */
	UNIT_CHECK(tw_in_use(w) - w->idle_bytes <= 1024);
	w->idle_bytes = tw_in_use(w);
}
END_TEST

/* [9293 MUST-42] the listener with the very address comes before the one with any. */
START_TEST (test_find_listener) {
	struct tg_ip us = tg_ip4_of(TW_US), lo = tg_ip4_of(0x7f000001), other = tg_ip4_of(TW_PEER);
	tg_sock a = open_sock(false), b = open_sock(false);

	ck_assert_int_eq(bind_to(a, TW_US, 80), 0);
	ck_assert_int_eq(bind_to(b, 0x7f000001, 80), 0);
	ck_assert_ptr_null(tcp_find_listener(w->s, &us, 80));
	ck_assert_int_eq(listen_on(a), 0);
	ck_assert_int_eq(listen_on(b), 0);
	ck_assert_ptr_eq(tcp_find_listener(w->s, &us, 80), tw_record(w, a));
	ck_assert_ptr_eq(tcp_find_listener(w->s, &lo, 80), tw_record(w, b));
	ck_assert_ptr_null(tcp_find_listener(w->s, &other, 80));
	ck_assert_ptr_null(tcp_find_listener(w->s, &us, 81));
	shut(a);
	shut(b);
	a = open_sock(false);
	ck_assert_int_eq(bind_to(a, 0, 80), 0);
	ck_assert_int_eq(listen_on(a), 0);
	ck_assert_ptr_eq(tcp_find_listener(w->s, &us, 80), tw_record(w, a));
	shut(a);
}
END_TEST

/* ---- bind and listen ---- */

/* Two sockets, the second with its address, the first with its own; what Linux says. */
START_TEST (test_bind_conflicts) {
	static const struct {
		uint32_t first, second;
		bool same; /* the addresses meet */
	} pairs[] = {{TW_US, TW_US, true}, {0, TW_US, true}, {TW_US, 0, true}, {0, 0, true},
		{TW_US, 0x7f000001, false}};

	for (unsigned i = 0; i < ARRAY_LEN(pairs); i++) {
		for (unsigned k = 0; k < 8; k++) {
			bool reuse1 = k & 1, reuse2 = k & 2, listening = k & 4;
			bool clash = pairs[i].same && (!reuse1 || !reuse2 || listening);
			tg_sock a = open_sock(reuse1), b = open_sock(reuse2);

			ck_assert_int_eq(bind_to(a, pairs[i].first, 80), 0);
			if (listening)
				ck_assert_int_eq(listen_on(a), 0);
			ck_assert_int_eq(
				bind_to(b, pairs[i].second, 80), clash ? -TG_EADDRINUSE : 0);
			if (!clash && !listening) { /* both may be bound, one may listen */
				ck_assert_int_eq(listen_on(a), 0);
				ck_assert_int_eq(listen_on(b), pairs[i].same ? -TG_EADDRINUSE : 0);
			}
			shut(a);
			/* The port is free again, and a refused bind left nothing behind. */
			if (clash)
				ck_assert_int_eq(bind_to(b, pairs[i].second, 80), 0);
			shut(b);
		}
	}
}
END_TEST

/* [9293 MUST-43] */
START_TEST (test_bind_errors) {
	struct tg_addr peer = {tg_ip4_of(TW_PEER), 9}, local;
	tg_sock a = open_sock(false), b = open_sock(false);

	ck_assert_int_eq(bind_to(a, TW_PEER, 80), -TG_EADDRNOTAVAIL);
	ck_assert_int_eq(bind_to(a, TW_US, 80), 0);
	ck_assert_int_eq(bind_to(a, TW_US, 81), -TG_EINVAL);
	/* A bind that was refused does not choose the source address. */
	ck_assert_int_eq(bind_to(b, 0x7f000001, 0), 0);
	shut(b);
	b = open_sock(false);
	ck_assert_int_eq(bind_to(b, TW_US, 80), -TG_EADDRINUSE);
	ck_assert_int_eq(tg_sock_local_addr(w->s, b, &local), 0);
	ck_assert(ip_is_any(&local.ip) && local.port == 0);
	ck_assert_int_eq(tg_sock_connect(w->s, b, &peer, w->now_ns), -TG_EINPROGRESS);
	ck_assert_int_eq(tg_sock_bind(w->s, b, &peer), -TG_EADDRNOTAVAIL);
	shut(a);
	shut(b);
}
END_TEST

/* A connection that came to nothing leaves neither address nor port of its own choice behind. */
START_TEST (test_after_refusal) {
	struct tg_addr peer = {tg_ip4_of(TW_PEER), 9}, local;
	struct tcp_seg g;
	tg_sock k = open_sock(false);

	for (int bound = 0; bound < 2; bound++) {
		if (bound)
			ck_assert_int_eq(bind_to(k, 0, 4444), 0);
		ck_assert_int_eq(tg_sock_connect(w->s, k, &peer, w->now_ns), -TG_EINPROGRESS);
		tg_step(w->s, w->now_ns);
		w->c = tw_record(w, k);
		g = tw_seg(w);
		g.flags = TCP_RST | TCP_ACK;
		tw_in(w, &g, NULL, 0);
		ck_assert_int_eq(w->c->state, TG_CLOSED);
		ck_assert_int_eq(tg_sock_local_addr(w->s, k, &local), 0);
		ck_assert(ip_is_any(&local.ip));
		ck_assert_uint_eq(local.port, bound ? 4444 : 0);
	}
	ck_assert_int_eq(listen_on(k), 0);
	local.ip = tg_ip4_of(0x7f000001);
	ck_assert_ptr_eq(tcp_find_listener(w->s, &local.ip, 4444), w->c);
	shut(k);
}
END_TEST

/* What is left of a connection keeps its port from a bind without REUSEADDR, TIME-WAIT too. */
START_TEST (test_bind_after_close) {
	struct tcp_seg g;
	tg_sock a;

	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	tg_sock_close(w->s, w->listener, w->now_ns);
	w->listener = 0;
	for (int step = 0; step < 2; step++) {
		a = open_sock(false);
		ck_assert_int_eq(bind_to(a, 0, TW_PORT), -TG_EADDRINUSE);
		shut(a);
		a = open_sock(true);
		ck_assert_int_eq(bind_to(a, 0, TW_PORT), 0);
		ck_assert_int_eq(listen_on(a), 0);
		shut(a);
		if (step)
			break;
		tg_sock_shutdown(w->s, w->conn, TG_SHUT_WR, w->now_ns);
		tg_step(w->s, w->now_ns);
		g = tw_seg(w);
		g.flags |= TCP_FIN;
		tw_in(w, &g, NULL, 0);
		ck_assert_int_eq(w->c->state, TG_TIME_WAIT);
		tg_sock_close(w->s, w->conn, w->now_ns);
		w->conn = 0;
	}
	tw_step(w, 61 * NS_PER_SEC);
	a = open_sock(false);
	ck_assert_int_eq(bind_to(a, 0, TW_PORT), 0);
	shut(a);
}
END_TEST

/* ---- Ephemeral ports ---- */

START_TEST (test_exhaustion) {
	struct tg_addr peer = {tg_ip4_of(TW_PEER), 9}, other = {tg_ip4_of(TW_PEER), 10}, local;
	bool seen[100] = {false};
	struct tg_config cfg;
	tg_sock k[100], more;

	world_config(&cfg);
	cfg.tcp.port_first = 50000;
	cfg.tcp.port_last = 50099;
	tw_free(w);
	w = tw_new(&cfg);
	for (unsigned i = 0; i < 100; i++) {
		k[i] = open_sock(false);
		ck_assert_int_eq(tg_sock_connect(w->s, k[i], &peer, w->now_ns), -TG_EINPROGRESS);
		ck_assert_int_eq(tg_sock_local_addr(w->s, k[i], &local), 0);
		ck_assert(local.port >= 50000 && local.port <= 50099);
		ck_assert(!seen[local.port - 50000]);
		seen[local.port - 50000] = true;
	}
	more = open_sock(false);
	ck_assert_int_eq(tg_sock_connect(w->s, more, &peer, w->now_ns), -TG_EADDRNOTAVAIL);
	ck_assert_int_eq(bind_to(more, 0, 0), -TG_EADDRINUSE);
	/* Towards another peer each port is good once more. */
	ck_assert_int_eq(tg_sock_connect(w->s, more, &other, w->now_ns), -TG_EINPROGRESS);
	shut(more);
	shut(k[42]);
	more = open_sock(false);
	ck_assert_int_eq(tg_sock_connect(w->s, more, &peer, w->now_ns), -TG_EINPROGRESS);
	shut(more);
	for (unsigned i = 0; i < 100; i++)
		if (i != 42)
			shut(k[i]);
}
END_TEST

/* [6056 3.3.3] The whole range: what is left is found at once, and that nothing is left costs few
 * looks. */
START_TEST (test_exhaustion_is_cheap) {
	enum { RANGE = 60999 - 32768 + 1 };
	static tg_sock k[RANGE];
	struct tg_addr peer = {tg_ip4_of(TW_PEER), 9}, local;
	uint32_t before;
	tg_sock more;

	for (unsigned i = 0; i < RANGE; i++) {
		k[i] = open_sock(false);
		ck_assert_int_eq(tg_sock_connect(w->s, k[i], &peer, w->now_ns), -TG_EINPROGRESS);
	}
	before = w->s->tcp->port_counter;
	more = open_sock(false);
	ck_assert_int_eq(tg_sock_connect(w->s, more, &peer, w->now_ns), -TG_EADDRNOTAVAIL);
	ck_assert_uint_le(w->s->tcp->port_counter - before, TCP_PORT_TRIES);
	for (unsigned i = 0; i < 20; i++) { /* the only one that is free */
		unsigned which = i * 1009;

		ck_assert_int_eq(tg_sock_local_addr(w->s, k[which], &local), 0);
		shut(k[which]);
		ck_assert_int_eq(tg_sock_connect(w->s, more, &peer, w->now_ns), -TG_EINPROGRESS);
		k[which] = more;
		ck_assert_int_eq(tg_sock_local_addr(w->s, more, &peer), 0);
		ck_assert_uint_eq(peer.port, local.port);
		peer = (struct tg_addr){tg_ip4_of(TW_PEER), 9};
		more = open_sock(false);
	}
	shut(more);
	for (unsigned i = 0; i < RANGE; i++)
		shut(k[i]);
	w->idle_bytes = tw_in_use(w); /* the tables' directories stay as large as they were */
}
END_TEST

/* [6191 4, 9293 MAY-2] An active OPEN that ends our TIME-WAIT begins beyond its numbers. */
START_TEST (test_time_wait_taken_over) {
	struct tg_ip us = tg_ip4_of(_i ? 0x7f000001 : TW_US);
	struct tg_ip far = tg_ip4_of(_i ? 0x7f000001 : TW_PEER);
	struct tg_addr peer = {far, 9}, local = {us, 50000};
	struct mini_key key = {far, 9, 50000, (uint16_t)ip_addr_index(w->s, &us)};
	struct tg_config cfg;
	struct tcp_mini *m;
	struct seq beyond;
	tg_sock k;

	world_config(&cfg);
	cfg.tcp.tw_reuse = _i ? 2 : 1; /* 2: on loopback only */
	tw_free(w);
	w = tw_new(&cfg);
	m = mini_add(w->s, &w->s->tcp->time_wait, &key, tcp_tuple_hash(w->s, &us, 50000, &far, 9));
	m->flags |= MINI_TS;
	m->snd_nxt = seq_add(tcp_isn(w->s, &us, 50000, &far, 9), 10000000);
	tcp_port_get(w->s, 50000);
	mini_enqueue(w->s, &w->s->tcp->time_wait, m, 0, 2 * cfg.tcp.msl_ns);
	tw_step(w, NS_PER_SEC - NS_PER_MS);
	k = open_sock(true);
	ck_assert_int_eq(tg_sock_bind(w->s, k, &local), 0);
	ck_assert_int_eq(tg_sock_connect(w->s, k, &peer, w->now_ns), -TG_EADDRNOTAVAIL);
	tw_step(w, 2 * NS_PER_MS);
	ck_assert_uint_eq(w->s->tcp->time_wait.n_used, 1);
	beyond = seq_add(m->snd_nxt, 65536);
	ck_assert_int_eq(tg_sock_connect(w->s, k, &peer, w->now_ns), -TG_EINPROGRESS);
	ck_assert(seq_eq(tw_record(w, k)->iss, beyond));
	ck_assert_uint_eq(w->s->tcp->time_wait.n_used, 0);
	ck_assert_uint_eq(tcp_port_find(w->s, 50000)->users, 1);
	shut(k);
}
END_TEST

/* [6056 3.3.4] the ports that follow one another depend on the peer and on the seed. */
START_TEST (test_port_choice) {
	struct tg_addr peer = {tg_ip4_of(TW_PEER), 9}, local;
	uint32_t ports[2][8];
	struct tg_config cfg;

	for (unsigned run = 0; run < 2; run++) {
		world_config(&cfg);
		cfg.seed[0] ^= (uint8_t)run;
		tw_free(w);
		w = tw_new(&cfg);
		for (unsigned i = 0; i < 8; i++) {
			tg_sock k = open_sock(false);

			peer.ip = tg_ip4_of(TW_PEER + (i ? 5 + i : 0));
			tg_sock_connect(w->s, k, &peer, w->now_ns);
			tg_sock_local_addr(w->s, k, &local);
			ports[run][i] = local.port;
			UNIT_CHECK(i == 0 || local.port != ports[run][i - 1] + 1);
			shut(k);
		}
	}
	UNIT_CHECK(memcmp(ports[0], ports[1], sizeof(ports[0])) != 0);
}
END_TEST

/* ---- Keyed numbers ---- */

/* [9293 MUST-9] */
START_TEST (test_isn) {
	struct tg_ip us = tg_ip4_of(TW_US), them = tg_ip4_of(TW_PEER), z = tg_ip4_of(TW_PEER + 9);
	struct tcp_state *t = w->s->tcp;
	struct seq a, b;
	uint32_t high = 0;

	/* [9293 MUST-8] 4 us a tick; the keyed part stays for this 4-tuple */
	a = tcp_isn(w->s, &us, 80, &them, 9);
	w->s->now_ns += 3999;
	ck_assert_uint_le(seq_dist(tcp_isn(w->s, &us, 80, &them, 9), a), 1);
	w->s->now_ns += 1;
	ck_assert_uint_eq(seq_dist(tcp_isn(w->s, &us, 80, &them, 9), a), 1);
	w->s->now_ns += NS_PER_SEC - 4000;
	ck_assert_uint_eq(seq_dist(tcp_isn(w->s, &us, 80, &them, 9), a), 250000);
	/* [9293 SHLD-1] others are elsewhere, by every part of the 4-tuple and by the key */
	a = tcp_isn(w->s, &us, 80, &them, 9);
	ck_assert(!seq_eq(a, tcp_isn(w->s, &us, 81, &them, 9)));
	ck_assert(!seq_eq(a, tcp_isn(w->s, &us, 80, &them, 10)));
	ck_assert(!seq_eq(a, tcp_isn(w->s, &us, 80, &z, 9)));
	ck_assert(!seq_eq(a, tcp_isn(w->s, &them, 80, &them, 9)));
	ck_assert(!seq_eq(a, tcp_isn(w->s, &us, 9, &them, 80)));
	t->key_isn.k0 ^= 1;
	ck_assert(!seq_eq(a, tcp_isn(w->s, &us, 80, &them, 9)));
	/* They fill the space: of 4096 neighbours about half have the top bit. */
	for (uint16_t i = 0; i < 4096; i++) {
		b = tcp_isn(w->s, &us, 80, &them, i);
		high += b.v >> 31;
	}
	ck_assert_uint_gt(high, 1850);
	ck_assert_uint_lt(high, 2250);
	w->s->cfg.tcp.isn_fixed = true;
	w->s->cfg.tcp.isn = 77;
	ck_assert_uint_eq(tcp_isn(w->s, &us, 80, &them, 9).v, 77);
}
END_TEST

/* [7323-P4] */
START_TEST (test_ts_offset) {
	struct tg_ip us = tg_ip4_of(TW_US), them = tg_ip4_of(TW_PEER);
	uint32_t a = tcp_ts_offset(w->s, &us, 80, &them, 9), now = tcp_ts_now(w->s, a);

	w->s->now_ns += 100 * NS_PER_MS;
	/* The next incarnation goes on where this one was; other 4-tuples are elsewhere. */
	ck_assert_uint_eq(tcp_ts_offset(w->s, &us, 80, &them, 9), a);
	ck_assert_uint_eq(tcp_ts_now(w->s, a) - now, 100);
	ck_assert_uint_ne(tcp_ts_offset(w->s, &us, 80, &them, 10), a);
	ck_assert_uint_ne(tcp_ts_offset(w->s, &us, 81, &them, 9), a);
	ck_assert_uint_ne(tcp_isn(w->s, &us, 80, &them, 9).v, a);
}
END_TEST

/* ---- The ends of segment sizes ---- */

/* The smallest MTU leaves 16 bytes beside timestamps, and room for the newest SACK block alone. No
 * frame is larger, ACKs included. */
/* [9293 SHLD-6] */
START_TEST (test_smallest_mtu) {
	static const uint8_t text[1000];
	struct tcp_seg g;
	uint32_t most = 0;

	w->s->netif[w->netif].c.mtu = 68;
	w->s->netif[w->netif].c.caps = 0;
	w->syn_opts = tw_all_opts();
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	for (uint32_t i = 1; i < 6; i += 2) {
		g = tw_seg(w);
		g.seq = seq_add(g.seq, i);
		tw_in(w, &g, "x", 1);
	}
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(tw_last(w).opts.n_sack, 1);
	ck_assert(seq_eq(tw_last(w).opts.sack[0].end, seq_add(w->c->rcv.nxt, 6)));
	w->dev.n = 0;
	ck_assert_int_eq(tg_sock_send(w->s, w->conn, text, sizeof(text), 0, w->now_ns), 1000);
	tw_step(w, NS_PER_MS);
	ck_assert_uint_gt(w->dev.n, 0);
	for (uint32_t i = 0; i < w->dev.n; i++)
		most = max_u32(most, w->dev.frame[i].len);
	ck_assert_uint_eq(most, 68);
	ck_assert_uint_eq(tg_counters(w->s)->tcp_retrans_segs, 0);
}
END_TEST

/* [9293 MUST-58, MUST-59] All of what has arrived is processed before the one ACK goes. */
START_TEST (test_batch) {
	static const uint8_t text[1000];
	struct tcp_seg g;

	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	tg_step(w->s, w->now_ns);
	w->dev.n = 0;
	for (uint32_t i = 0; i < 6; i++) {
		g = tw_seg(w);
		tw_in(w, &g, text, sizeof(text));
	}
	ck_assert_uint_eq(w->dev.n, 0);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(w->dev.n, 1);
	ck_assert(seq_eq(tw_last(w).ack, w->c->rcv.nxt));
	ck_assert_uint_eq(seq_dist(w->c->rcv.nxt, seq_of(TW_IRS)), 6001);
}
END_TEST

/* [9293 MUST-44] */
START_TEST (test_loopback) {
	static uint8_t sent[300000], got[300000];
	struct tg_addr a = {tg_ip4_of(_i ? TW_US : 0x7f000001), TW_PORT};
	struct unit_rng r;
	uint32_t n_sent = 0, n_got = 0;
	tg_sock k;

	unit_rng_start(&r, _i);
	unit_bytes(&r, sent, sizeof(sent));
	w->listener = tw_listen(w, TW_PORT, 1);
	k = open_sock(false);
	ck_assert_int_eq(tg_sock_connect(w->s, k, &a, w->now_ns), -TG_EINPROGRESS);
	tw_step(w, 10 * NS_PER_MS);
	ck_assert_int_eq(tg_sock_accept(w->s, w->listener, 0, &w->conn, w->now_ns), 0);
	for (int i = 0; i < 1000 && n_got < sizeof(got); i++) {
		int64_t n =
			tg_sock_send(w->s, k, sent + n_sent, sizeof(sent) - n_sent, 0, w->now_ns);

		n_sent += n > 0 ? (uint32_t)n : 0;
		tw_step(w, 10 * NS_PER_MS);
		n = tg_sock_recv(w->s, w->conn, got + n_got, sizeof(got) - n_got, 0, w->now_ns);
		n_got += n > 0 ? (uint32_t)n : 0;
	}
	ck_assert_uint_eq(n_got, sizeof(got));
	ck_assert_mem_eq(sent, got, sizeof(got));
	ck_assert_uint_eq(tg_counters(w->s)->tcp_retrans_segs, 0);
	shut(k);
}
END_TEST

static Suite *tcp_ports_suite(void)
{
	Suite *suite = suite_create("tcp ports");
	TCase *t = tcase_create("ports");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_demux, 0, 3);
	tcase_add_test(t, test_find_listener);
	tcase_add_test(t, test_bind_conflicts);
	tcase_add_test(t, test_bind_errors);
	tcase_add_test(t, test_after_refusal);
	tcase_add_test(t, test_bind_after_close);
	tcase_add_test(t, test_exhaustion);
	tcase_add_test(t, test_exhaustion_is_cheap);
	tcase_add_loop_test(t, test_time_wait_taken_over, 0, 2);
	tcase_add_test(t, test_port_choice);
	tcase_add_test(t, test_isn);
	tcase_add_test(t, test_ts_offset);
	tcase_add_test(t, test_smallest_mtu);
	tcase_add_test(t, test_batch);
	tcase_add_loop_test(t, test_loopback, 0, 2);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_ports_suite)
