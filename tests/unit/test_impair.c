/* sim/impair: each impairment alone against what it promises, all together against what never
 * changes: nothing early, nothing late, bounded, the same from the same seed, no memory left
 * behind. */
#include "sim/impair.h"
#include "sim_support.h"
#include "wire/ip4.h"

#define ARENA_BYTES (32u << 20)
#define MS          NS_PER_MS

static struct arena *a;
static struct impair m;
static struct impair_config c;

static void setup(void)
{
	a = unit_arena(ARENA_BYTES, 0);
	memset(&c, 0, sizeof(c));
	tg_impair_default(&c.opt);
	c.link = TG_LINK_ETHERNET;
	c.max_bytes = ARENA_BYTES / 2;
	for (uint8_t i = 0; i < sizeof(c.seed); i++)
		c.seed[i] = i;
}
static void start(void)
{
	ck_assert(impair_init(&m, a, &c));
}
static void teardown(void)
{
	impair_fini(&m);
	ck_assert_uint_eq(m.held_bytes, 0);
	ck_assert(unit_arena_empty(a));
	unit_arena_free(a, ARENA_BYTES);
}

/* Puts frame number i, of n bytes; the number stands behind the link header. */
static void put(uint32_t i, uint32_t n, uint64_t now_ns)
{
	static uint8_t b[2000];
	struct tg_frame f;

	memset(b, 0, sizeof(b));
	memcpy(b + ETH_HDR_BYTES, &i, sizeof(i));
	segment_frame_of_bytes(&f, c.link, b, n, TG_GSO_NONE, 0, TG_CSUM_UNKNOWN);
	impair_put(&m, &f, i, now_ns);
}
/* Number of the packet that leaves at now_ns, -1: none. */
static int64_t get(uint64_t now_ns)
{
	uint64_t next = impair_next(&m);
	struct impair_pkt *k = impair_pop(&m, now_ns);
	int64_t i;

	UNIT_CHECK((k != NULL) == (next <= now_ns)); /* the deadline is exact */
	if (!k)
		return -1;
	UNIT_CHECK(k->due_ns == next && k->csum == TG_CSUM_UNKNOWN && k->gso == TG_GSO_NONE);
	i = (int64_t)k->tag;
	impair_free(&m, k);
	return i;
}

START_TEST (without_impairments_frames_stay_whole) {
	static uint8_t b[SEGMENT_MAX_BYTES];
	uint32_t n = sim_frame(b, TG_LINK_ETHERNET, IP_PROTO_TCP, 64000, 0, NULL);
	struct tg_frame f;
	struct impair_pkt *k;

	start();
	segment_frame_of_bytes(&f, TG_LINK_ETHERNET, b, n, TG_GSO_TCP4, 1448, TG_CSUM_PARTIAL);
	impair_put(&m, &f, 9, 5);
	ck_assert_uint_eq(impair_next(&m), 5);
	k = impair_pop(&m, 5);
	ck_assert_ptr_nonnull(k);
	ck_assert(k->gso == TG_GSO_TCP4 && k->gso_size == 1448 && k->csum == TG_CSUM_PARTIAL);
	ck_assert(k->bytes == n && k->tag == 9);
	ck_assert_mem_eq(k->data, b, n);
	impair_free(&m, k);
	ck_assert_uint_eq(impair_next(&m), NEVER_NS);
}
END_TEST

START_TEST (impaired_frames_are_cut) {
	static uint8_t b[SEGMENT_MAX_BYTES];
	uint32_t n = sim_frame(b, TG_LINK_ETHERNET, IP_PROTO_TCP, 64000, 0, NULL), count = 0;
	struct tg_frame f;
	struct impair_pkt *k;

	c.opt.delay_ns = 1;
	start();
	segment_frame_of_bytes(&f, TG_LINK_ETHERNET, b, n, TG_GSO_TCP4, 1448, TG_CSUM_PARTIAL);
	impair_put(&m, &f, 100, 0);
	for (; (k = impair_pop(&m, 1)) != NULL; count++) {
		ck_assert(k->gso == TG_GSO_NONE && k->csum == TG_CSUM_UNKNOWN);
		ck_assert_uint_eq(k->tag, 100 + count);
		ck_assert(k->bytes <= 1514 && sim_packet_ok(k->data, k->bytes, TG_LINK_ETHERNET));
		impair_free(&m, k);
	}
	ck_assert_uint_eq(count, 45);
	ck_assert_uint_eq(m.stats.passed, 45);
}
END_TEST

/* Of 20,000 packets with a chance of 10 %, five standard deviations around 2,000. */
static void about_a_tenth(uint64_t n)
{
	ck_assert_msg(n > 1788 && n < 2212, "%llu", (unsigned long long)n);
}

START_TEST (drops) {
	int64_t last = -1, i;
	uint32_t got = 0;

	c.opt.drop_ppm = 100000;
	start();
	for (uint32_t k = 0; k < 20000; k++) {
		put(k, 60, k);
		if ((i = get(k)) >= 0) {
			ck_assert(i > last);
			last = i;
			got++;
		}
	}
	about_a_tenth(m.stats.dropped);
	ck_assert_uint_eq(got + m.stats.dropped, 20000);
	ck_assert_uint_eq(m.stats.passed, got);
}
END_TEST

START_TEST (duplicates) {
	uint32_t got = 0;

	c.opt.dup_ppm = 100000;
	start();
	for (uint32_t k = 0; k < 20000; k++) {
		put(k, 60, k);
		for (int64_t i; (i = get(k)) >= 0; got++)
			ck_assert_int_eq(i, k);
	}
	about_a_tenth(m.stats.duplicated);
	ck_assert_uint_eq(got, 20000 + m.stats.duplicated);
}
END_TEST

START_TEST (flips_one_bit_behind_the_link_header) {
	uint8_t hit[60] = {0}, zero[60] = {0};

	c.opt.corrupt_ppm = 1000000;
	start();
	for (uint32_t k = 0; k < 5000; k++) {
		struct tg_frame f;
		struct impair_pkt *p;
		int bits = 0;

		segment_frame_of_bytes(
			&f, c.link, zero, sizeof(zero), TG_GSO_NONE, 0, TG_CSUM_UNKNOWN);
		impair_put(&m, &f, 0, k);
		p = impair_pop(&m, k);
		ck_assert_ptr_nonnull(p);
		for (uint32_t i = 0; i < p->bytes; i++) {
			hit[i] |= p->data[i];
			bits += __builtin_popcount(p->data[i]);
		}
		ck_assert_int_eq(bits, 1);
		impair_free(&m, p);
	}
	for (uint32_t i = 0; i < sizeof(hit); i++)
		ck_assert_uint_eq(hit[i], i < ETH_HDR_BYTES ? 0 : 0xff);
	ck_assert_uint_eq(m.stats.corrupted, 5000);
}
END_TEST

START_TEST (delays_and_keeps_order) {
	uint64_t last = 0, least = NEVER_NS, most = 0;

	c.opt.delay_ns = 20 * MS;
	c.opt.jitter_ns = 5 * MS;
	start();
	for (uint32_t k = 0; k < 1000; k++) { /* far enough apart for order not to matter */
		uint64_t t = k * 100 * MS, due;

		put(k, 60, t);
		due = impair_next(&m);
		least = min_u64(least, due - t);
		most = max_u64(most, due - t);
		ck_assert_int_eq(get(due - 1), -1);
		ck_assert_int_eq(get(due), k);
	}
	ck_assert(least >= 15 * MS && least < 16 * MS && most <= 25 * MS && most > 24 * MS);
	for (uint32_t k = 0; k < 1000; k++)
		put(k, 60, 200000 * MS + k * 1000);
	for (uint32_t k = 0; k < 1000; k++) {
		uint64_t due = impair_next(&m);

		ck_assert(due >= last && due <= 200000 * MS + k * 1000 + 25 * MS);
		last = due;
		ck_assert_int_eq(get(due), k);
	}
}
END_TEST

START_TEST (rate_and_its_queue) {
	uint64_t t = 1000 * MS;

	c.opt.rate_bps = 10000000; /* 1,000 bytes take 0.8 ms */
	c.opt.queue_pkts = 10;
	start();
	for (uint32_t k = 0; k < 15; k++)
		put(k, 1000, t);
	ck_assert_uint_eq(m.stats.queue_drops, 5);
	for (uint32_t k = 0; k < 10; k++) {
		ck_assert_uint_eq(impair_next(&m), t + (k + 1) * 800000);
		ck_assert_int_eq(get(impair_next(&m)), k);
	}
	/* What has left makes room; the idle link is not ahead of its time. */
	put(20, 1000, t + 100 * MS);
	ck_assert_uint_eq(impair_next(&m), t + 100 * MS + 800000);
	ck_assert_int_eq(get(t + 101 * MS), 20);
	/* Not faster than asked: 3 bit/s of 60 bytes is 160 s exactly, 7 bit/s is rounded up. */
	c.opt.rate_bps = 7;
	ck_assert(impair_set(&m, &c.opt));
	put(21, 60, t + 200 * MS);
	ck_assert_uint_eq(impair_next(&m), t + 200 * MS + 68571428572);
}
END_TEST

/* A packet held back lets 1 to 3 later ones pass, and waits 5 ms at most. */
START_TEST (reorders) {
	uint32_t place = 0, late = 0, seen[5000] = {0};
	uint64_t t = 0;

	c.opt.reorder_ppm = 100000;
	c.opt.delay_ns = 1 * MS;
	start();
	for (uint32_t k = 0; k < 5000; k++) {
		put(k, 60, t);
		t += 10000;
		for (int64_t i; (i = get(t)) >= 0; place++) {
			/* How far from its place? Others may be held at the same time. */
			ck_assert(i <= place + 3 + IMPAIR_HELD_MAX);
			ck_assert(place <= i + IMPAIR_REORDER_MAX + IMPAIR_HELD_MAX);
			late += place > i;
			seen[i]++;
		}
	}
	while (impair_next(&m) != NEVER_NS) {
		t = impair_next(&m);
		ck_assert(t <= 5000 * 10000ull + 6 * MS);
		seen[get(t)]++;
	}
	for (uint32_t k = 0; k < 5000; k++)
		ck_assert_uint_eq(seen[k], 1);
	ck_assert(m.stats.reordered > 400 && m.stats.reordered < 600);
	ck_assert(late > 300);
	/* Alone it comes after its time and the hold. */
	c.opt.reorder_ppm = 1000000;
	ck_assert(impair_set(&m, &c.opt));
	put(1, 60, t + 100 * MS);
	ck_assert_uint_eq(impair_next(&m), t + 101 * MS + IMPAIR_REORDER_HOLD_NS);
	ck_assert_int_eq(get(t + 106 * MS), 1);
}
END_TEST

START_TEST (memory_is_bounded) {
	uint32_t got = 0;

	c.opt.delay_ns = MS;
	c.max_bytes = 100 * arena_capacity(sizeof(struct impair_pkt) + 1514);
	start();
	for (uint32_t k = 0; k < 150; k++)
		put(k, 1514, 0);
	ck_assert_uint_eq(impair_count(&m), 100);
	ck_assert_uint_eq(m.stats.queue_drops, 50);
	ck_assert(m.held_bytes <= c.max_bytes);
	while (get(MS) >= 0)
		got++;
	ck_assert_uint_eq(got, 100);
	arena_fail_after(a, 1, 0);
	put(1, 60, MS);
	ck_assert_uint_eq(m.stats.queue_drops, 51);
	arena_fail_after(a, 1, 0);
	c.opt.rate_bps = 8;
	ck_assert(!impair_set(&m, &c.opt));
	ck_assert_uint_eq(m.c.opt.rate_bps, 0);
}
END_TEST

static uint64_t decisions;
static void count_decision(void *arg, enum tg_impair_what what, uint64_t tag, uint64_t now_ns)
{
	(void)tag;
	(void)now_ns;
	ck_assert_ptr_eq(arg, &decisions);
	decisions += 1ull << 12 * what % 60;
}

/* Everything at once: a hash of what came out when. */
static uint64_t mixed_run(struct unit_rng *r)
{
	static const struct sipkey key = {1, 2};
	uint64_t h = 0, t = 0, in = 0, out = 0;
	const struct tg_impair_stats *s = &m.stats;

	for (uint32_t k = 0; k < 3000; k++) {
		t += unit_below(r, 400000);
		put(k, 60 + unit_below(r, 1400), t);
		in++;
		for (;;) {
			uint64_t next = impair_next(&m);
			struct impair_pkt *p = impair_pop(&m, t);

			UNIT_CHECK((p != NULL) == (next <= t));
			if (!p)
				break;
			h ^= siphash(&key, p->data, p->bytes) + p->due_ns * 31 + out++;
			h = h << 1 | h >> 63;
			impair_free(&m, p);
		}
	}
	UNIT_CHECK(in + s->duplicated == out + s->dropped + s->queue_drops + impair_count(&m));
	UNIT_CHECK(s->passed == out);
	return h;
}

START_TEST (same_seed_same_fate) {
	struct unit_rng r;
	uint64_t h[3];

	c.opt = (struct tg_impair){.drop_ppm = 50000, .dup_ppm = 50000, .reorder_ppm = 50000};
	c.opt.corrupt_ppm = 20000;
	c.opt.delay_ns = 5 * MS;
	c.opt.jitter_ns = 2 * MS;
	c.opt.rate_bps = 30000000;
	c.opt.queue_pkts = 50;
	c.decided = count_decision;
	c.arg = &decisions;
	for (int i = 0; i < 3; i++) {
		c.purpose = i == 2;
		decisions = 0;
		start();
		unit_rng_start(&r, _i);
		h[i] = mixed_run(&r);
		ck_assert_uint_eq(decisions & 0xfff, m.stats.dropped);
		ck_assert_uint_eq(decisions >> 12 & 0xfff, m.stats.duplicated);
		ck_assert_uint_eq(decisions >> 24 & 0xfff, m.stats.reordered);
		ck_assert_uint_eq(decisions >> 36 & 0xfff, m.stats.corrupted);
		ck_assert_uint_eq(decisions >> 48, m.stats.queue_drops);
		if (i < 2)
			impair_fini(&m);
	}
	ck_assert_uint_eq(h[0], h[1]);
	ck_assert_uint_ne(h[0], h[2]);
}
END_TEST

/* Puts an IPv4 packet with that TOS; what leaves keeps a good header checksum. Its TOS then. */
static uint8_t marked_tos(uint8_t tos, uint64_t now_ns)
{
	struct ip4_hdr h = {.src = 1 << 24,
		.dst = 2 << 24,
		.hdr_bytes = IP4_HDR_BYTES,
		.total_bytes = 100,
		.ttl = 64,
		.tos = tos,
		.proto = 253};
	uint8_t b[ETH_HDR_BYTES + 100] = {0};
	const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	struct impair_pkt *k;
	struct tg_frame f;

	eth_emit(b, mac, mac, ETH_TYPE_IP4);
	ip4_emit(b + ETH_HDR_BYTES, &h);
	segment_frame_of_bytes(&f, c.link, b, sizeof(b), TG_GSO_NONE, 0, TG_CSUM_UNKNOWN);
	impair_put(&m, &f, 0, now_ns);
	k = impair_pop(&m, now_ns + NS_PER_SEC);
	ck_assert_ptr_nonnull(k);
	ck_assert_int_eq(ip4_parse(k->data + ETH_HDR_BYTES, 100, &h), TG_DROP_NONE);
	impair_free(&m, k);
	return h.tos;
}

/* [3168 5] ECT packets are marked, others are not; by chance, or when the queue is long. */
START_TEST (marks) {
	c.opt.ce_ppm = 1000000;
	start();
	ck_assert_uint_eq(marked_tos(0xa2, 0), 0xa3);
	ck_assert_uint_eq(marked_tos(0xa1, 0), 0xa3);
	ck_assert_uint_eq(marked_tos(0xa0, 0), 0xa0);
	ck_assert_uint_eq(m.stats.marked, 2);
	impair_fini(&m);
	c.opt.ce_ppm = 0;
	c.opt.rate_bps = 8000; /* a packet takes 114 ms */
	c.opt.ce_pkts = 2;
	start();
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(marked_tos(2, 1), i < 2 ? 2 : 3);
	ck_assert_uint_eq(m.stats.marked, 2);
}
END_TEST

static Suite *impair_suite(void)
{
	Suite *s = suite_create("impair");
	TCase *t = tcase_create("impair");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, without_impairments_frames_stay_whole);
	tcase_add_test(t, impaired_frames_are_cut);
	tcase_add_test(t, drops);
	tcase_add_test(t, duplicates);
	tcase_add_test(t, flips_one_bit_behind_the_link_header);
	tcase_add_test(t, delays_and_keeps_order);
	tcase_add_test(t, rate_and_its_queue);
	tcase_add_test(t, reorders);
	tcase_add_test(t, memory_is_bounded);
	tcase_add_test(t, marks);
	tcase_add_loop_test(t, same_seed_same_fate, 0, 5);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(impair_suite)
