/* Fetching ahead (tg_input_ahead): it reads nothing beyond a frame, whatever the frame, and changes
 * neither the instance nor the packets. That runs are the same with it is tests/diff's. */
#include "tcp_support.h"

#define MANY  3u
#define CONNS 5u

static struct tcp_world *w;
static unsigned ether, made; /* connections */
static struct dev other;
static void *before, *after;
static size_t image_bytes;

static void begin(void)
{
	struct tg_config c;

	world_config(&c);
	c.tcp.many_conns = MANY;
	w = tw_new(&c);
	w->syn_opts = tw_all_opts();
	dev_init(&other);
	ether = world_netif(w->s, &other, TG_LINK_ETHERNET, 0, 1500);
	before = after = NULL;
	made = 0;
}

static void end(void)
{
	free(before);
	free(after);
	dev_clear(&other);
	tw_free(w);
}

static void establish(unsigned n)
{
	while (n--)
		tw_establish(w, (uint16_t)(TW_FAR + made++), seq_of(TW_IRS));
}

/* A packet in memory of its own, not a byte longer than the frame. */
static struct tg_pkt *packet(const uint8_t *b, uint32_t n)
{
	struct tg_pkt *p = malloc(sizeof(*p) + n);

	ck_assert_ptr_nonnull(p);
	memset(p, 0, sizeof(*p));
	p->data = tg_pkt_block(p);
	p->len = p->room = n;
	memcpy(p->data, b, n);
	return p;
}

static void remember(void)
{
	image_bytes = tg_snapshot_bytes(w->s);
	before = malloc(image_bytes);
	after = malloc(image_bytes);
	ck_assert_uint_eq(tg_snapshot_save(w->s, before, image_bytes), image_bytes);
}

static void nothing_changed(void)
{
	ck_assert_uint_eq(tg_snapshot_save(w->s, after, image_bytes), image_bytes);
	ck_assert_mem_eq(before, after, image_bytes);
}

/* By both kinds of link, and by one that is not there. */
static void look_at(const uint8_t *b, uint32_t n)
{
	struct tg_pkt *p = packet(b, n), was = *p;

	tg_input_ahead(w->s, w->netif, &p, 1);
	tg_input_ahead(w->s, ether, &p, 1);
	tg_input_ahead(w->s, 77, &p, 1);
	ck_assert_mem_eq(p, &was, sizeof(was));
	ck_assert_mem_eq(p->data, b, n);
	free(p);
}

/* A segment of the last connection; its length. */
static uint32_t segment(uint8_t *b)
{
	struct tcp_seg g = tw_seg(w);

	return tw_build(b, TW_US, &g, "text", 4);
}

START_TEST (pays_from_so_many_connections_on) {
	ck_assert_uint_eq(tg_input_ahead_max(w->s), 1);
	establish(MANY - 1);
	ck_assert_uint_eq(tg_input_ahead_max(w->s), 1);
	establish(1);
	ck_assert_uint_gt(tg_input_ahead_max(w->s), 1);
	tg_sock_abort(w->s, w->conn, w->now_ns);
	ck_assert_uint_eq(tg_input_ahead_max(w->s), 1);
}
END_TEST

START_TEST (frames_of_any_length_and_kind) {
	uint8_t b[200], eth[220] = {0};
	uint32_t n;

	establish(CONNS);
	n = segment(b);
	memcpy(eth + 14, b, n);
	eth[12] = 8;
	remember();
	for (uint32_t cut = 0; cut <= n; cut++)
		look_at(b, cut);
	for (uint32_t cut = 0; cut <= n + 14; cut++)
		look_at(eth, cut);
	for (unsigned v = 0; v < 256; v++) { /* version and header length: IPv6, options */
		b[0] = (uint8_t)v;
		look_at(b, n);
	}
	b[0] = 0x45;
	for (unsigned proto = 0; proto < 256; proto++) {
		b[9] = (uint8_t)proto;
		look_at(b, n);
	}
	b[9] = IP_PROTO_TCP;
	b[6] = 0x20; /* a fragment, the first */
	look_at(b, n);
	b[6] = 0;
	b[7] = 1; /* and a later one */
	look_at(b, n);
	nothing_changed();
}
END_TEST

START_TEST (garbage) {
	struct unit_rng r = {(uint64_t)_i + 1};
	uint8_t b[100];

	establish(CONNS);
	remember();
	for (unsigned k = 0; k < 2000; k++) {
		uint32_t n = unit_below(&r, sizeof(b) + 1);

		for (uint32_t i = 0; i < n; i++)
			b[i] = (uint8_t)unit_below(&r, 256);
		if (n && unit_below(&r, 2))
			b[0] = 0x45;
		look_at(b, n);
	}
	nothing_changed();
}
END_TEST

START_TEST (a_device_fills_in_the_impossible) {
	uint8_t b[200];
	struct tg_pkt *p;

	establish(CONNS);
	p = packet(b, segment(b));
	remember();
	p->len++;
	tg_input_ahead(w->s, w->netif, &p, 1);
	p->len = UINT32_MAX;
	tg_input_ahead(w->s, w->netif, &p, 1);
	p->data = (uint8_t *)p;
	p->len = 60;
	tg_input_ahead(w->s, w->netif, &p, 1);
	nothing_changed();
	free(p);
}
END_TEST

/* More packets than it looks at, of connections at rest and awake, of half-open ones and of none.
 */
START_TEST (connections_of_all_kinds) {
	struct tg_pkt *p[200];
	struct tcp_seg g = {.dst_port = TW_PORT, .flags = TCP_ACK, .wnd = 65535};
	uint8_t b[200];

	establish(CONNS);
	tw_step(w, 60 * NS_PER_SEC);
	ck_assert(tw_record(w, w->conn)->resting);
	tw_establish(w, TW_FAR + CONNS, seq_of(TW_IRS));
	ck_assert_int_eq(tg_sock_send(w->s, w->conn, "text", 4, 0, w->now_ns), 4);
	tg_step(w->s, w->now_ns);
	tw_syn(w, TW_FAR + CONNS + 1, seq_of(TW_IRS));
	remember();
	for (unsigned i = 0; i < ARRAY_LEN(p); i++) {
		g.src_port = (uint16_t)(TW_FAR + i % (CONNS + 4));
		p[i] = packet(b, tw_build(b, TW_US, &g, "", 0));
	}
	tg_input_ahead(w->s, w->netif, p, ARRAY_LEN(p));
	tg_input_ahead(w->s, w->netif, p, 0);
	nothing_changed();
	for (unsigned i = 0; i < ARRAY_LEN(p); i++)
		free(p[i]);
}
END_TEST

static Suite *ahead_suite(void)
{
	Suite *suite = suite_create("ahead");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, pays_from_so_many_connections_on);
	tcase_add_test(t, frames_of_any_length_and_kind);
	tcase_add_loop_test(t, garbage, 0, 4);
	tcase_add_test(t, a_device_fills_in_the_impossible);
	tcase_add_test(t, connections_of_all_kinds);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(ahead_suite)
