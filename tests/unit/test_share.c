/* Several instances with one address: a link deals the frames of a peer out among them at random,
 * and all of it arrives where it belongs: connections both ways, datagrams, fragments, errors, ARP.
 * Each instance is recorded, and its journal replayed: a frame passed on is an input like others.
 */
#include "core_support.h"

#include "ip/ip_private.h"

#define PEER_IP   0x0a000001u
#define SHARED_IP 0x0a000002u
#define MANY      4u
#define CONNS     24u /* each way */
#define SINGLE    5000
#define ECHO      7
#define SEND      20000u
#define JOURNAL   (64u << 20)

static const uint8_t mac_peer[6] = {2, 0, 0, 0, 0, 1}, mac_shared[6] = {2, 0, 0, 0, 0, 2};

struct node {
	struct tg *s;
	unsigned index, netif;
	tg_sock listener, udp, single, raw;
	struct tg_recorder rec;
	uint8_t *journal;
	size_t journal_bytes;
	unsigned arp_replies, resets, frames;
	uint16_t ids[64]; /* of fragments sent */
	unsigned n_ids;
};

static struct {
	struct node peer, in[MANY];
	unsigned n;
	uint64_t now_ns;
	struct unit_rng rng;
	int stuck;     /* frames go to this instance; -1: at random */
	bool refuse;   /* pass says no */
	unsigned lose; /* or one time in so many; 0: never */
} w;

/* ---- The link -------------------------------------------------------------------------------- */

static void input(struct node *to, const uint8_t *b, uint32_t n, const struct tg_pkt *like,
	const struct tg_frame *f)
{
	struct tg_pkt *p = tg_pkt_alloc(to->s, n);

	ck_assert_ptr_nonnull(p);
	memcpy(p->data, b, n);
	p->len = n;
	if (like) {
		p->gso = like->gso;
		p->gso_size = like->gso_size;
		p->csum = like->csum;
		p->passed = like->passed;
	} else if (f) {
		p->gso = f->gso;
		p->gso_size = f->gso_size;
		p->csum = f->csum_partial ? TG_CSUM_PARTIAL : TG_CSUM_UNKNOWN;
	}
	tg_input(to->s, to->netif, p, w.now_ns);
}

static void note(struct node *from, const uint8_t *b, uint32_t n)
{
	struct ip4_hdr h;

	from->frames++;
	if (b[12] == 8 && b[13] == 6 && b[21] == ARP_REPLY)
		from->arp_replies++;
	if (b[12] != 8 || b[13] != 0 || ip4_parse(b + 14, n - 14, &h) != TG_DROP_NONE)
		return;
	if (h.proto == IP_PROTO_TCP && b[14 + h.hdr_bytes + 13] & 4)
		from->resets++;
	if (h.mf && !h.frag_off && from->n_ids < 64)
		from->ids[from->n_ids++] = h.id;
}

static bool transmit(void *dev, const struct tg_frame *f)
{
	static uint8_t b[70000];
	struct node *from = dev;
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->n_spans; i++) {
		memcpy(b + n, f->span[i].base, f->span[i].len);
		n += f->span[i].len;
	}
	note(from, b, n);
	if (from != &w.peer)
		input(&w.peer, b, n, NULL, f);
	else
		input(&w.in[w.stuck >= 0 ? (unsigned)w.stuck : unit_below(&w.rng, w.n)], b, n, NULL,
			f);
	return true;
}

static bool pass(void *dev, unsigned to, const struct tg_pkt *p)
{
	struct node *from = dev;

	UNIT_CHECK(p->passed == 1 || p->passed == 2);
	if (w.refuse || (w.lose && unit_below(&w.rng, w.lose) == 0))
		return false;
	for (unsigned i = 0; i < w.n; i++)
		if (to == i || (to == TG_PASS_ALL && i != from->index))
			input(&w.in[i], p->data, p->len, p, NULL);
	return true;
}

static bool keep(void *arg, const void *data, size_t n)
{
	struct node *x = arg;

	if (x->journal_bytes + n > JOURNAL)
		return false;
	memcpy(x->journal + x->journal_bytes, data, n);
	x->journal_bytes += n;
	return true;
}

static void node_start(struct node *x, unsigned index, unsigned count, uint32_t ip, uint32_t caps)
{
	struct tg_netif_config c = {.name = "t", .mtu = 1500, .caps = caps, .transmit = transmit};
	struct tg_ip a = tg_ip4_of(ip);
	struct tg_config cfg;

	world_config(&cfg);
	cfg.seed[0] = (uint8_t)(ip + index);
	cfg.share.index = (uint8_t)index;
	cfg.share.count = (uint8_t)count;
	memset(cfg.share.key, 7, sizeof(cfg.share.key));
	x->index = index;
	x->s = tg_create(&cfg, world_memory(), WORLD_BYTES, w.now_ns);
	ck_assert_ptr_nonnull(x->s);
	x->journal = mmap(NULL, JOURNAL, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	x->rec = (struct tg_recorder){.write = keep, .arg = x, .max_bytes = JOURNAL};
	ck_assert_int_eq(tg_record_start(&x->rec, x->s, "test"), 0);
	memcpy(c.mac, x == &w.peer ? mac_peer : mac_shared, 6);
	c.dev = x;
	c.pass = x == &w.peer ? NULL : pass;
	x->netif = (unsigned)tg_netif_add(x->s, &c, w.now_ns);
	ck_assert_int_eq(tg_addr_add(x->s, x->netif, &a, 24, w.now_ns), 0);
}

static void start(unsigned n, uint32_t caps)
{
	memset(&w, 0, sizeof(w));
	unit_rng_start(&w.rng, (int)(n * 16 + caps));
	w.n = n;
	w.stuck = -1;
	w.now_ns = 1000;
	node_start(&w.peer, 0, 1, PEER_IP, caps);
	for (unsigned i = 0; i < n; i++)
		node_start(&w.in[i], i, n, SHARED_IP, caps);
}

static void run(uint64_t ns)
{
	uint64_t end = w.now_ns + ns;

	while (w.now_ns < end) {
		w.now_ns += 100000;
		tg_step(w.peer.s, w.now_ns);
		for (unsigned i = 0; i < w.n; i++)
			tg_step(w.in[i].s, w.now_ns);
	}
}

static void node_end(struct node *x)
{
	tg_record_stop(&x->rec);
	world_end(x->s);
	munmap(x->journal, JOURNAL);
}

static void finish(void)
{
	node_end(&w.peer);
	for (unsigned i = 0; i < w.n; i++)
		node_end(&w.in[i]);
}

static uint64_t passed_on(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < w.n; i++)
		sum += tg_counters(w.in[i].s)->frames_passed_on;
	return sum;
}

/* ---- Applications ---------------------------------------------------------------------------- */

static tg_sock open_at(struct tg *s, enum tg_type type, uint16_t port)
{
	struct tg_addr a = {.port = port};
	tg_sock k;

	ck_assert_int_eq(tg_sock_open(s, type, type == TG_RAW ? IP_PROTO_ICMP : 0, port, &k), 0);
	if (port)
		ck_assert_int_eq(tg_sock_bind(s, k, &a), 0);
	if (port && type == TG_STREAM)
		ck_assert_int_eq(tg_sock_listen(s, k, 64, w.now_ns), 0);
	return k;
}

static void serve(struct node *x)
{
	x->listener = open_at(x->s, TG_STREAM, ECHO);
	x->udp = open_at(x->s, TG_DGRAM, ECHO);
}

static void echo_stream(struct tg *s, tg_sock k)
{
	uint8_t b[4096];
	int64_t n;

	while ((n = tg_sock_recv(s, k, b, sizeof(b), 0, w.now_ns)) > 0)
		ck_assert_int_eq(tg_sock_send(s, k, b, (size_t)n, 0, w.now_ns), n);
}

/* What the events of a server's instance ask for. */
static void echo_all(struct node *x)
{
	static uint8_t b[65536];
	struct tg_dgram d;
	struct tg_event e;
	tg_sock k;
	int64_t n;

	while (tg_event(x->s, &e)) {
		if (e.sock == x->listener || (x->single && e.sock == x->single)) {
			while (tg_sock_accept(x->s, e.sock, 1, &k, w.now_ns) == 0)
				echo_stream(x->s, k);
		} else if (e.sock == x->udp) {
			while ((n = tg_sock_recvfrom(
					x->s, x->udp, b, sizeof(b), 0, &d, w.now_ns)) >= 0) {
				d.ttl = d.tos = 0;
				tg_sock_sendto(x->s, x->udp, b, (size_t)n, 0, &d, w.now_ns);
			}
		} else if (e.cookie == 1) {
			echo_stream(x->s, e.sock);
		}
	}
}

struct client {
	struct tg *s;
	tg_sock k;
	uint32_t sent, got;
	uint8_t seed;
};

static uint8_t byte_at(const struct client *c, uint32_t i)
{
	return (uint8_t)(c->seed + i * 7 + i / 251);
}

static void client_open(struct client *c, struct tg *s, uint32_t ip, uint16_t port)
{
	struct tg_addr to = {tg_ip4_of(ip), port};

	memset(c, 0, sizeof(*c));
	c->s = s;
	c->seed = (uint8_t)unit_below(&w.rng, 256);
	c->k = open_at(s, TG_STREAM, 0);
	ck_assert_int_eq(tg_sock_connect(s, c->k, &to, w.now_ns), -TG_EINPROGRESS);
}

static void client_work(struct client *c)
{
	uint8_t b[3000];
	int64_t n = 0;

	while (c->sent < SEND && n >= 0) {
		uint32_t want = SEND - c->sent < sizeof(b) ? SEND - c->sent : (uint32_t)sizeof(b);

		for (uint32_t i = 0; i < want; i++)
			b[i] = byte_at(c, c->sent + i);
		n = tg_sock_send(c->s, c->k, b, want, 0, w.now_ns);
		UNIT_CHECK(n > 0 || n == -TG_EAGAIN || n == -TG_ENOTCONN);
		c->sent += n > 0 ? (uint32_t)n : 0;
	}
	while ((n = tg_sock_recv(c->s, c->k, b, sizeof(b), 0, w.now_ns)) > 0) {
		for (int64_t i = 0; i < n; i++)
			UNIT_CHECK(b[i] == byte_at(c, c->got++));
	}
}

static void work(struct client *c, unsigned n, uint64_t rounds)
{
	for (uint64_t r = 0; r < rounds; r++) {
		run(2000000);
		echo_all(&w.peer);
		for (unsigned i = 0; i < w.n; i++)
			echo_all(&w.in[i]);
		for (unsigned i = 0; i < n; i++)
			client_work(&c[i]);
	}
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void replay_one(struct node *x)
{
	static struct tg_replay r;
	void *mem, *scratch = malloc(TG_RECORD_BYTES_MAX);
	enum tg_replay_state st;

	ck_assert_int_eq(tg_record_stop(&x->rec), TG_RECORD_STOPPED);
	ck_assert(tg_replay_open(&r, x->journal, x->journal_bytes));
	mem = world_memory();
	ck_assert(tg_replay_begin(&r, mem, scratch));
	do
		st = tg_replay_next(&r);
	while (st == TG_REPLAY_MORE);
	ck_assert_msg(st == TG_REPLAY_END, "%d %s", st, r.why);
	munmap(mem, WORLD_BYTES);
	free(scratch);
}

static void check_ports(const struct client *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct tg_addr a;

		ck_assert_int_eq(tg_sock_local_addr(c[i].s, c[i].k, &a), 0);
		ck_assert_uint_eq(a.port % w.n, i % w.n);
	}
}

/* _i: 2 to 4 instances, plain frames and large ones, then plain ones with a full ring now and then.
 */
START_TEST (test_shuffled) {
	static struct client c[2 * CONNS + 4];
	unsigned n = 2 + (unsigned)_i % 3;
	bool lossy = _i >= 6;

	start(n, _i < 3 || lossy ? 0 : TG_CAP_CSUM | TG_CAP_TSO4 | TG_CAP_USO4);
	w.lose = lossy ? 20 : 0;
	serve(&w.peer);
	for (unsigned i = 0; i < n; i++)
		serve(&w.in[i]);
	w.in[0].single = open_at(w.in[0].s, TG_STREAM, SINGLE);
	for (unsigned i = 0; i < CONNS; i++) {
		client_open(&c[i], w.in[i % n].s, PEER_IP, ECHO);
		client_open(&c[CONNS + i], w.peer.s, SHARED_IP, ECHO);
	}
	for (unsigned i = 0; i < 4; i++)
		client_open(&c[2 * CONNS + i], w.peer.s, SHARED_IP, SINGLE);
	work(c, 2 * CONNS + 4, lossy ? 6000 : 600);
	for (unsigned i = 0; i < 2 * CONNS + 4; i++)
		ck_assert_msg(c[i].got == SEND, "client %u got %u", i, c[i].got);
	check_ports(c, CONNS);
	ck_assert_uint_gt(passed_on(), 0);
	for (unsigned i = 0; i < n; i++) {
		ck_assert_uint_gt(tg_counters(w.in[i].s)->tcp_passive_opens, 0);
		ck_assert_uint_eq(w.in[i].resets, 0);
		ck_assert(lossy == (tg_counters(w.in[i].s)->discards[TG_DROP_PASS_QUEUE_FULL] > 0));
	}
	for (unsigned i = 0; i < n; i++)
		replay_one(&w.in[i]);
	finish();
}
END_TEST

/* Datagrams small and in fragments, to a port that all have, to the port of one, both ways. */
START_TEST (test_datagrams) {
	static uint8_t out[5000], back[5000];
	struct tg_dgram d = {.peer = {tg_ip4_of(PEER_IP), ECHO}};
	unsigned n = 3, sent = 0, got = 0;

	start(n, 0);
	serve(&w.peer);
	for (unsigned i = 0; i < n; i++)
		serve(&w.in[i]);
	unit_bytes(&w.rng, out, sizeof(out));
	for (unsigned i = 0; i < n + 1; i++) {
		struct tg *s = i < n ? w.in[i].s : w.peer.s;
		tg_sock k = open_at(s, TG_DGRAM, 0);

		tg_sock_setopt(s, k, TG_IP_MTU_DISCOVER, TG_PMTU_DONT, w.now_ns);
		if (i == n)
			d.peer.ip = tg_ip4_of(SHARED_IP);
		for (unsigned r = 0; r < 20; r++) {
			uint32_t bytes = 1 + unit_below(&w.rng, sizeof(out));
			int64_t m = -1;

			ck_assert_int_eq(tg_sock_sendto(s, k, out, bytes, 0, &d, w.now_ns), bytes);
			sent++;
			for (unsigned t = 0; t < 8 && m < 0; t++) {
				work(NULL, 0, 1);
				m = tg_sock_recvfrom(s, k, back, sizeof(back), 0, NULL, w.now_ns);
			}
			got += m == bytes && memcmp(out, back, bytes) == 0;
		}
	}
	ck_assert_uint_eq(got, sent);
	/* Identifications of different instances lie in different parts. */
	for (unsigned i = 0; i < n; i++) {
		ck_assert_uint_gt(w.in[i].n_ids, 0);
		for (unsigned k = 0; k < w.in[i].n_ids; k++)
			ck_assert_uint_eq(w.in[i].ids[k] / (65536 / n), i);
	}
	for (unsigned i = 0; i < n; i++)
		replay_one(&w.in[i]);
	finish();
}
END_TEST

static bool knows_peer(struct tg *s)
{
	struct tg_arp_row row;
	uint64_t cursor = 0;

	while (tg_table_arp(s, &cursor, &row))
		if (tg_ip4_value(&row.addr) == PEER_IP && memcmp(row.mac, mac_peer, 6) == 0)
			return true;
	return false;
}

static void say_hello(struct tg *s, uint32_t ip)
{
	struct tg_dgram d = {.peer = {tg_ip4_of(ip), 9}};
	tg_sock k = open_at(s, TG_DGRAM, 0);

	tg_sock_sendto(s, k, "x", 1, 0, &d, w.now_ns);
	run(50000000);
}

/* Of a request all learn, one answers; of an answer that comes by another queue, all learn. */
START_TEST (test_arp) {
	unsigned replies = 0;

	for (unsigned turn = 0; turn <= MANY; turn++) {
		start(MANY, 0);
		w.stuck = turn < MANY ? (int)(turn + 1) % (int)MANY : -1;
		say_hello(turn < MANY ? w.in[turn].s : w.peer.s, turn < MANY ? PEER_IP : SHARED_IP);
		for (unsigned i = 0; i < MANY; i++) {
			replies += w.in[i].arp_replies;
			ck_assert(knows_peer(w.in[i].s));
		}
		if (turn < MANY) /* what waited for the answer went out */
			ck_assert_uint_eq(w.in[turn].frames, 2);
		finish();
	}
	ck_assert_uint_eq(replies, 1);
}
END_TEST

/* An error goes where the quoted datagram came from, whichever queue it comes by; what nobody has a
 * socket for is answered, once. */
START_TEST (test_errors) {
	struct tg_addr to = {tg_ip4_of(PEER_IP), 99};
	struct tg_dgram d = {.peer = {tg_ip4_of(SHARED_IP), 99}};
	struct client c;
	tg_sock k;

	start(MANY, 0);
	for (unsigned i = 0; i < MANY * MANY; i++) {
		struct tg *s = w.in[i / MANY].s;

		w.stuck = (int)(i % MANY);
		w.now_ns += 200000000; /* for the rate limit */
		k = open_at(s, TG_DGRAM, 0);
		ck_assert_int_eq(tg_sock_connect(s, k, &to, w.now_ns), 0);
		ck_assert_int_eq(tg_sock_send(s, k, "x", 1, 0, w.now_ns), 1);
		run(20000000);
		ck_assert_int_eq(tg_sock_recv(s, k, &d, 1, 0, w.now_ns), -TG_ECONNREFUSED);
		tg_sock_close(s, k, w.now_ns);
		/* The same of a port that any of them may have. */
		k = open_at(s, TG_DGRAM, 53);
		ck_assert_int_eq(tg_sock_connect(s, k, &to, w.now_ns), 0);
		ck_assert_int_eq(tg_sock_send(s, k, "x", 1, 0, w.now_ns), 1);
		run(20000000);
		ck_assert_int_eq(tg_sock_recv(s, k, &d, 1, 0, w.now_ns), -TG_ECONNREFUSED);
		tg_sock_close(s, k, w.now_ns);
		/* Refused connections both ways. */
		client_open(&c, s, PEER_IP, 99);
		run(20000000);
		ck_assert(tg_sock_ready(s, c.k) & TG_ERR);
		tg_sock_close(s, c.k, w.now_ns);
		client_open(&c, w.peer.s, SHARED_IP, 99);
		run(20000000);
		ck_assert(tg_sock_ready(w.peer.s, c.k) & TG_ERR);
		tg_sock_close(w.peer.s, c.k, w.now_ns);
		k = open_at(w.peer.s, TG_DGRAM, 0);
		to.ip = tg_ip4_of(SHARED_IP);
		ck_assert_int_eq(tg_sock_connect(w.peer.s, k, &to, w.now_ns), 0);
		tg_sock_send(w.peer.s, k, "x", 1, 0, w.now_ns);
		run(20000000);
		ck_assert_int_eq(tg_sock_recv(w.peer.s, k, &d, 1, 0, w.now_ns), -TG_ECONNREFUSED);
		tg_sock_close(w.peer.s, k, w.now_ns);
		to.ip = tg_ip4_of(PEER_IP);
	}
	for (unsigned i = 1; i < MANY; i++)
		ck_assert_uint_eq(tg_counters(w.in[i].s)->icmp_out_dest_unreachs, 0);
	finish();
}
END_TEST

/* No room at the other instance, or in the queue to it: a named reason, counted. */
START_TEST (test_no_room) {
	struct client c[8];
	uint64_t full = 0;

	start(2, 0);
	serve(&w.in[0]);
	serve(&w.in[1]);
	w.stuck = 0;
	w.refuse = true;
	for (unsigned i = 0; i < 8; i++)
		client_open(&c[i], w.peer.s, SHARED_IP, ECHO);
	run(20000000);
	full = tg_counters(w.in[0].s)->discards[TG_DROP_PASS_QUEUE_FULL];
	ck_assert_uint_gt(full, 0);
	ck_assert_uint_eq(tg_counters(w.in[0].s)->frames_passed_on, 0);
	ck_assert_uint_eq(tg_counters(w.in[1].s)->frames_in, 0);
	ck_assert_str_eq(tg_drop_name(TG_DROP_PASS_QUEUE_FULL), "pass_queue_full");
	/* Room again: the peer's retransmissions mend it. */
	w.refuse = false;
	work(c, 8, 3000);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_uint_eq(c[i].got, SEND);
	/* Between two steps there is room for so many. */
	for (unsigned i = 0; i < CORE_PASSQ_MAX + 10; i++) {
		uint8_t b[14 + ARP_BYTES];
		struct arp_msg m = {.op = ARP_REQUEST, .spa = PEER_IP, .tpa = SHARED_IP};

		memcpy(m.sha, mac_peer, 6);
		eth_emit(b, mac_shared, mac_peer, ETH_TYPE_ARP);
		arp_emit(b + 14, &m);
		input(&w.in[0], b, sizeof(b), NULL, NULL);
	}
	ck_assert_uint_eq(tg_counters(w.in[0].s)->discards[TG_DROP_PASS_QUEUE_FULL], full + 10);
	ck_assert_uint_le(tg_next_deadline(w.in[0].s), w.now_ns);
	finish();
}
END_TEST

START_TEST (test_config) {
	struct tg_config c;
	void *mem = world_memory();

	world_config(&c);
	ck_assert_uint_eq(c.share.count, 1);
	c.share.index = 1;
	ck_assert_ptr_null(tg_create(&c, mem, WORLD_BYTES, 0));
	c.share.count = 65;
	ck_assert_ptr_null(tg_create(&c, mem, WORLD_BYTES, 0));
	c.share.count = 64;
	c.tcp.port_first = c.tcp.port_last - 62;
	ck_assert_ptr_null(tg_create(&c, mem, WORLD_BYTES, 0));
	c.tcp.port_first--;
	ck_assert_ptr_nonnull(tg_create(&c, mem, WORLD_BYTES, 0));
	munmap(mem, WORLD_BYTES);
}
END_TEST

static Suite *share_suite(void)
{
	Suite *s = suite_create("share");
	TCase *t = tcase_create("share");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_shuffled, 0, 9);
	tcase_add_test(t, test_datagrams);
	tcase_add_test(t, test_arp);
	tcase_add_test(t, test_errors);
	tcase_add_test(t, test_no_room);
	tcase_add_test(t, test_config);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(share_suite)
