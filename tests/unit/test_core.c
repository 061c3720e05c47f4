/* core/: making an instance, verdicts, the reader's reserve, the trace, snapshots. */
#include "core_support.h"

/* ---- Creation ---- */

START_TEST (create_refuses_the_impossible) {
	struct tg_config c;
	uint8_t *mem = world_memory();

	world_config(&c);
	ck_assert_ptr_null(core_create(&c, mem + 1, WORLD_BYTES - 4096, 0));
	ck_assert_ptr_null(core_create(&c, mem, 4096, 0));
	ck_assert_ptr_null(core_create(NULL, mem, WORLD_BYTES, 0));
	c.trace_records = 3;
	ck_assert_ptr_null(core_create(&c, mem, WORLD_BYTES, 0));
	world_config(&c);
	memset(c.seed, 0, sizeof(c.seed));
	ck_assert_ptr_null(core_create(&c, mem, WORLD_BYTES, 0));
	world_config(&c);
	c.tcp.port_first = 2000;
	c.tcp.port_last = 1000;
	ck_assert_ptr_null(core_create(&c, mem, WORLD_BYTES, 0));
	world_config(&c);
	ck_assert_ptr_nonnull(core_create(&c, mem, 8u << 20, 0));
	munmap(mem, WORLD_BYTES);
}
END_TEST

START_TEST (netif_add_checks) {
	struct tg *s = world_core();
	struct tg_netif_config c = {
		.name = "a", .mtu = 1500, .transmit = dev_transmit, .link = TG_LINK_IP};

	ck_assert_int_eq(tg_netif_add(s, &c, 0), 1);
	ck_assert_int_eq(tg_netif_add(s, &c, 0), -TG_EEXIST);
	c.name[0] = 'b';
	c.mtu = 67;
	ck_assert_int_eq(tg_netif_add(s, &c, 0), -TG_EINVAL);
	c.mtu = 65536;
	ck_assert_int_eq(tg_netif_add(s, &c, 0), -TG_EINVAL);
	c.mtu = 1500;
	c.link = TG_LINK_ETHERNET; /* no address */
	ck_assert_int_eq(tg_netif_add(s, &c, 0), -TG_EINVAL);
	c.mac[0] = 1; /* a group's */
	ck_assert_int_eq(tg_netif_add(s, &c, 0), -TG_EINVAL);
	c.link = TG_LINK_IP;
	c.transmit = NULL;
	ck_assert_int_eq(tg_netif_add(s, &c, 0), -TG_EINVAL);
	c.transmit = dev_transmit;
	c.caps = TG_CAP_TSO4; /* without checksums it is worth nothing */
	ck_assert_int_eq(tg_netif_add(s, &c, 0), 2);
	ck_assert_uint_eq(s->netif[2].c.caps, 0);
	for (c.name[0] = 'c'; c.name[0] < 'h'; c.name[0]++)
		ck_assert_int_gt(tg_netif_add(s, &c, 0), 0);
	ck_assert_int_eq(tg_netif_add(s, &c, 0), -TG_ENOMEM);
	world_end(s);
}
END_TEST

/* ---- Verdicts ---- */

static struct unit_rng rng;
static unsigned seen_flags, n_ip, n_arp;
static struct tg_pkt *kept[64];
static unsigned n_kept;

static void random_ip(struct tg *s, struct netif *n, struct tg_pkt *p)
{
	(void)n;
	n_ip++;
	seen_flags = p->flags;
	switch (unit_below(&rng, 3)) {
	case 0: pkt_deliver(s, p); break;
	case 1: pkt_drop(s, p, (enum tg_drop)(1 + unit_below(&rng, TG_DROP_COUNT - 1))); break;
	default:
		pkt_delivered(s);
		p = pkt_keep(s, p);
		if (p && n_kept < ARRAY_LEN(kept))
			kept[n_kept++] = p;
		else
			tg_pkt_free(s, p);
		break;
	}
}

static void take_ip(struct tg *s, struct netif *n, struct tg_pkt *p)
{
	(void)n;
	n_ip++;
	seen_flags = p->flags;
	pkt_deliver(s, p);
}

static void take_arp(struct tg *s, struct netif *n, struct tg_pkt *p)
{
	(void)n;
	n_arp++;
	seen_flags = p->flags;
	pkt_deliver(s, p);
}

static void no_verdict(struct tg *s, struct netif *n, struct tg_pkt *p)
{
	(void)n;
	tg_pkt_free(s, p);
}

static void two_verdicts(struct tg *s, struct netif *n, struct tg_pkt *p)
{
	(void)n;
	pkt_delivered(s);
	pkt_drop(s, p, TG_DROP_IP_SHORT);
}

static uint32_t frame_to(uint8_t *b, const uint8_t dst[6], uint16_t type, uint32_t body)
{
	eth_emit(b, dst, peer_mac, type);
	memset(b + ETH_HDR_BYTES, 0x45, body);
	return ETH_HDR_BYTES + body;
}

/* [1122-I10] */
START_TEST (verdicts_add_up) {
	struct tg *s = world_core();
	struct dev d;
	uint8_t b[2000];

	dev_init(&d);
	unit_rng_start(&rng, _i);
	n_kept = 0;
	world_netif(s, &d, TG_LINK_ETHERNET, 0, 1500);
	world_netif(s, &d, TG_LINK_IP, 0, 1500);
	s->ip4_input = random_ip;
	s->arp_input = take_arp;
	for (int i = 0; i < 3000; i++) {
		uint32_t len = unit_below(&rng, 1900);

		if (unit_below(&rng, 8) == 0)
			tg_memory_fail_after(s, 1 + unit_below(&rng, 3), unit_below(&rng, 3));
		unit_bytes(&rng, b, len);
		if (unit_below(&rng, 2) && len >= 14) {
			static const uint16_t types[] = {
				ETH_TYPE_IP4, ETH_TYPE_ARP, ETH_TYPE_IP6, 0x0800, 60};

			memcpy(b, dev_mac, 6);
			b[6] &= 0xfe;
			b[12] = (uint8_t)(types[unit_below(&rng, 5)] >> 8);
			b[13] = (uint8_t)types[unit_below(&rng, 5)];
		}
		world_input(s, unit_below(&rng, 4), b, len);
		world_check(s);
		if (n_kept == ARRAY_LEN(kept))
			while (n_kept)
				tg_pkt_free(s, kept[--n_kept]);
	}
	ck_assert_uint_eq(tg_counters(s)->frames_in, 3000);
	ck_assert_uint_gt(tg_counters(s)->drops[TG_DROP_NETIF_NONE], 0);
	world_end(s);
}
END_TEST

START_TEST (verdict_missing_or_double_asserts) {
	struct tg *s = world_core();
	struct dev d;
	uint8_t b[64] = {0x45};

	dev_init(&d);
	world_netif(s, &d, TG_LINK_IP, 0, 1500);
	s->ip4_input = no_verdict;
	UNIT_CHECK_ASSERTS(world_input(s, 1, b, 20));
	s->cur_frame = 0;
	s->ip4_input = two_verdicts;
	UNIT_CHECK_ASSERTS(world_input(s, 1, b, 20));
	munmap(s->arena, WORLD_BYTES);
}
END_TEST

START_TEST (ethernet_dispatch) {
	static const uint8_t bcast[6] = {255, 255, 255, 255, 255, 255},
			     group[6] = {0x33, 0x33, 0, 0, 0, 1};
	const uint64_t *drops;
	struct tg *s = world_core();
	struct dev d;
	struct tg_pkt *p;
	uint8_t b[100];
	unsigned n;

	dev_init(&d);
	n = world_netif(s, &d, TG_LINK_ETHERNET, 0, 1500);
	drops = tg_counters(s)->drops;
	s->ip4_input = take_ip;
	s->arp_input = take_arp;
	n_ip = n_arp = 0;
	world_input(s, n, b, frame_to(b, dev_mac, ETH_TYPE_IP4, 30));
	ck_assert(n_ip == 1 && seen_flags == 0);
	world_input(s, n, b, frame_to(b, bcast, ETH_TYPE_ARP, 30));
	ck_assert(n_arp == 1 && seen_flags == (PKT_GROUP | PKT_BCAST));
	world_input(s, n, b, frame_to(b, group, ETH_TYPE_IP4, 30));
	ck_assert(n_ip == 2 && seen_flags == PKT_GROUP);
	world_input(s, n, b, frame_to(b, group, ETH_TYPE_IP6, 30));
	ck_assert_uint_eq(drops[TG_DROP_IP6_IGNORED], 1);
	world_input(s, n, b, frame_to(b, peer_mac, ETH_TYPE_IP4, 30));
	ck_assert_uint_eq(drops[TG_DROP_ETH_NOT_US], 1);
	world_input(s, n, b, frame_to(b, dev_mac, 0x88cc, 30));
	ck_assert_uint_eq(drops[TG_DROP_ETH_TYPE], 1);
	world_input(s, n, b, 13);
	ck_assert_uint_eq(drops[TG_DROP_ETH_SHORT], 1);
	world_input(s, 7, b, 40);
	ck_assert_uint_eq(drops[TG_DROP_NETIF_NONE], 1);
	p = tg_pkt_alloc(s, 100);
	p->len = TG_PKT_SMALL + 1;
	tg_input(s, n, p, 0);
	p = tg_pkt_alloc(s, 100);
	p->data = (uint8_t *)p;
	p->len = 20;
	tg_input(s, n, p, 0);
	ck_assert_uint_eq(drops[TG_DROP_FRAME_TOO_LONG], 2);
	world_end(s);
}
END_TEST

/* ---- Packets ---- */

START_TEST (reserve_keeps_reading_alive) {
	struct tg *s = world_core();
	struct tg_pkt *p[CORE_RESERVE_PKTS], *q, *warm;

	tg_memory_fail_after(s, 1, 1);
	ck_assert_ptr_null(pkt_alloc(s, 10));
	warm = tg_pkt_alloc(s, TG_PKT_LARGE); /* there is one for the next frame */
	ck_assert(warm && warm->flags == 0);
	for (unsigned i = 0; i < CORE_RESERVE_PKTS; i++) {
		p[i] = tg_pkt_alloc(s, TG_PKT_LARGE);
		ck_assert_ptr_nonnull(p[i]);
		ck_assert_uint_eq(p[i]->flags, PKT_RESERVE);
	}
	ck_assert_ptr_null(tg_pkt_alloc(s, 10));
	ck_assert_ptr_null(tg_pkt_alloc(s, TG_PKT_LARGE + 1));
	/* Nothing of the reserve is kept when there is no memory for a copy: it comes back. */
	ck_assert_ptr_null(pkt_keep(s, p[0]));
	p[0] = tg_pkt_alloc(s, 10);
	ck_assert_ptr_nonnull(p[0]);
	tg_memory_fail_after(s, 0, 0);
	memset(p[0]->data, 7, 1000);
	p[0]->len = 1000;
	q = pkt_keep(s, p[0]);
	ck_assert(q && q->len == 1000 && q->data[999] == 7 && !(q->flags & PKT_RESERVE));
	ck_assert_uint_eq(pkt_charge(q), 2048);
	ck_assert_uint_eq(pkt_tailroom(q), TG_PKT_SMALL - 1000);
	tg_pkt_free(s, q);
	for (unsigned i = 1; i < CORE_RESERVE_PKTS; i++)
		tg_pkt_free(s, p[i]);
	tg_pkt_free(s, warm);
	ck_assert_ptr_eq(tg_pkt_alloc(s, TG_PKT_LARGE), warm);
	tg_pkt_free(s, warm);
	world_end(s);
}
END_TEST

START_TEST (small_data_leaves_large_blocks) {
	struct tg *s = world_core();
	struct tg_pkt *p = pkt_alloc(s, TG_PKT_LARGE);

	p->data += 100;
	p->len = TG_PKT_SMALL;
	p->data[p->len - 1] = 9;
	p = pkt_keep(s, p);
	ck_assert(p->room == TG_PKT_SMALL && p->data[p->len - 1] == 9);
	tg_pkt_free(s, p);
	p = pkt_alloc(s, TG_PKT_LARGE);
	p->len = TG_PKT_SMALL + 1;
	ck_assert_ptr_eq(pkt_keep(s, p), p);
	tg_pkt_free(s, p);
	world_end(s);
}
END_TEST

/* ---- Trace ---- */

START_TEST (trace_ring_counts_what_was_lost) {
	struct tg *s = world_core();
	struct tg_trace t;
	uint64_t cursor = 0, lost = 0, n = 0;

	ck_assert(!tg_trace_next(s, &cursor, &t, &lost));
	for (uint32_t i = 0; i < 5000; i++)
		trace_add(s, TG_TRACE_TIMER)->seq = i;
	while (tg_trace_next(s, &cursor, &t, &lost))
		ck_assert_uint_eq(t.seq, 5000 - 4096 + n++);
	ck_assert_uint_eq(n, 4096);
	ck_assert_uint_eq(lost, 5000 - 4096);
	pkt_discard(s, NULL, TG_DROP_IP_TOO_BIG);
	ck_assert(tg_trace_next(s, &cursor, &t, &lost));
	ck_assert(t.kind == TG_TRACE_DROP && t.reason == TG_DROP_IP_TOO_BIG);
	cursor += 100; /* as after a restore */
	ck_assert(!tg_trace_next(s, &cursor, &t, &lost));
	ck_assert_uint_eq(cursor, 5001);
	world_end(s);
}
END_TEST

/* ---- Snapshots ---- */

/* A world that makes traffic of its own: random input, senders, timers, a device that is busy at
 * times. */
static void live(struct tg *s, struct dev *d, struct unit_rng *r, unsigned rounds)
{
	uint8_t b[300];

	for (unsigned i = 0; i < rounds; i++) {
		uint32_t len = unit_below(r, 300);

		unit_bytes(r, b, len);
		world_input(s, 1, b, len);
		if (unit_below(r, 2)) {
			struct tg_pkt *p = world_control(s, (uint8_t)rng_u64(&s->rng));

			netif_queue(s, &s->netif[unit_below(r, 2)], p);
		}
		d->room = unit_below(r, 3);
		tg_step(s, s->now_ns + unit_below(r, 1000000));
	}
}

START_TEST (snapshot_continues_identically) {
	struct tg *s = world_core();
	struct unit_rng r, saved_rng;
	struct dev d;
	void *image;
	size_t bytes;
	uint64_t hash, frames, head, dev_hash;

	dev_init(&d);
	unit_rng_start(&r, _i);
	rng = r;
	n_kept = 0;
	world_netif(s, &d, TG_LINK_ETHERNET, 0, 1500);
	s->ip4_input = take_ip;
	s->arp_input = take_arp;
	live(s, &d, &r, 200);
	bytes = tg_snapshot_bytes(s);
	image = malloc(bytes);
	ck_assert_uint_eq(tg_snapshot_save(s, image, bytes - 1), 0);
	ck_assert_uint_eq(tg_snapshot_save(s, image, bytes), bytes);
	saved_rng = r;
	dev_hash = d.hash;
	live(s, &d, &r, 200);
	hash = d.hash;
	frames = s->frame;
	head = s->trace_head;
	ck_assert(!tg_snapshot_restore(s, image, bytes - 1));
	ck_assert(tg_snapshot_restore(s, image, bytes));
	ck_assert_uint_lt(s->frame, frames);
	r = saved_rng;
	d.hash = dev_hash;
	live(s, &d, &r, 200);
	ck_assert(d.hash == hash && s->frame == frames && s->trace_head == head);
	free(image);
	dev_clear(&d);
	world_end(s);
}
END_TEST

static Suite *core_suite(void)
{
	Suite *su = suite_create("core");
	TCase *tc = tcase_create("core");

	tcase_add_test(tc, create_refuses_the_impossible);
	tcase_add_test(tc, netif_add_checks);
	tcase_add_loop_test(tc, verdicts_add_up, 0, 5);
	tcase_add_test(tc, verdict_missing_or_double_asserts);
	tcase_add_test(tc, ethernet_dispatch);
	tcase_add_test(tc, reserve_keeps_reading_alive);
	tcase_add_test(tc, small_data_leaves_large_blocks);
	tcase_add_test(tc, trace_ring_counts_what_was_lost);
	tcase_add_loop_test(tc, snapshot_continues_identically, 0, 5);
	suite_add_tcase(su, tc);
	return su;
}

UNIT_MAIN(core_suite)
