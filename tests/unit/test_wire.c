/* sim/wire: two whole instances joined, in virtual time. Frames arrive when they should and as they
 * were sent, large ones whole; a full wire says busy and is writable later; the MTU is a black
 * hole; the same seed gives the same world, also after a snapshot. */
#define _DEFAULT_SOURCE
#include <sys/mman.h>

#include "sim/wire.h"
#include "sim_support.h"

#define INSTANCE_BYTES (64u << 20)
#define MS             NS_PER_MS

struct world {
	void *mem[2], *wire_mem;
	struct tg *s[2];
	tg_sock k[2];
	struct wire *w;
	uint64_t now_ns;
};

static struct world x;
static struct wire_config c;
static uint64_t observed_hash;
static uint32_t observed[2][2], large;

static void observe(void *arg, unsigned end, bool from_end, const struct tg_frame *f, uint64_t tag,
	uint64_t now_ns)
{
	static const struct sipkey key = {3, 4};
	uint8_t b[SEGMENT_MAX_BYTES];

	ck_assert_ptr_eq(arg, &x);
	observed[end][from_end]++;
	large += f->gso != TG_GSO_NONE && !from_end;
	segment_gather(f, 0, f->bytes, b);
	observed_hash = (observed_hash << 1 | observed_hash >> 63) ^ siphash(&key, b, f->bytes);
	observed_hash += now_ns + tag * 17 + end;
}

static void *map(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		-1, 0);

	ck_assert(p != MAP_FAILED);
	return p;
}

static void setup(void)
{
	wire_config_default(&c);
	for (uint8_t i = 0; i < sizeof(c.seed); i++)
		c.seed[i] = i;
	c.observe = observe;
	c.arg = &x;
	memset(&x, 0, sizeof(x));
	memset(observed, 0, sizeof(observed));
	observed_hash = large = 0;
}

/* Brings both ends up: a UDP socket on port 7 each, bound, and (end 0) connected to the other. */
static void start(void)
{
	struct tg_config cfg;
	struct tg_addr a = {.port = 7};

	x.wire_mem = map(WIRE_MEM_BYTES);
	x.w = wire_create(x.wire_mem, WIRE_MEM_BYTES, &c);
	ck_assert_ptr_nonnull(x.w);
	for (unsigned e = 0; e < 2; e++) {
		struct tg_netif_config n = {.name = "eth0", .mtu = 1500};
		struct tg_ip ip = tg_ip4(192, 0, 2, (uint8_t)(1 + e));
		int netif;

		tg_config_default(&cfg);
		cfg.seed[0] = (uint8_t)(1 + e);
		x.mem[e] = map(INSTANCE_BYTES);
		x.s[e] = tg_create(&cfg, x.mem[e], INSTANCE_BYTES, 0);
		ck_assert_ptr_nonnull(x.s[e]);
		n.mac[0] = 2;
		n.mac[5] = (uint8_t)(1 + e);
		wire_netif_config(x.w, e, &n);
		netif = tg_netif_add(x.s[e], &n, 0);
		ck_assert_int_gt(netif, 0);
		wire_attach(x.w, e, x.s[e], (unsigned)netif);
		ck_assert_int_eq(tg_addr_add(x.s[e], (unsigned)netif, &ip, 24, 0), 0);
		ck_assert_int_eq(tg_sock_open(x.s[e], TG_DGRAM, 0, 0, &x.k[e]), 0);
		ck_assert_int_eq(tg_sock_bind(x.s[e], x.k[e], &a), 0);
	}
	a.ip = tg_ip4(192, 0, 2, 2);
	ck_assert_int_eq(tg_sock_connect(x.s[0], x.k[0], &a, 0), 0);
}

static void teardown(void)
{
	for (unsigned e = 0; e < 2; e++) {
		if (x.mem[e])
			munmap(x.mem[e], INSTANCE_BYTES);
	}
	if (x.wire_mem)
		munmap(x.wire_mem, WIRE_MEM_BYTES);
}

static void step(void)
{
	wire_set_now(x.w, x.now_ns);
	for (unsigned e = 0; e < 2; e++)
		tg_step(x.s[e], x.now_ns);
}

/* Lets the world run until nothing is due before `until`. */
static void run(uint64_t until_ns)
{
	for (;;) {
		uint64_t t;

		step();
		t = min_u64(tg_next_deadline(x.s[0]), tg_next_deadline(x.s[1]));
		t = min_u64(t, wire_next_deadline(x.w));
		if (t > until_ns)
			break;
		x.now_ns = max_u64(t, x.now_ns);
		wire_run(x.w, x.now_ns);
	}
	x.now_ns = until_ns;
}

/* End 0 sends a datagram of n bytes. */
static int64_t say(uint32_t n)
{
	static uint8_t b[65536];

	for (uint32_t i = 0; i < n; i++)
		b[i] = sim_byte(i);
	return tg_sock_send(x.s[0], x.k[0], b, n, 0, x.now_ns);
}
/* Datagrams that have come to end 1, all of n bytes and whole. */
static uint32_t hear(uint32_t n)
{
	static uint8_t b[65536];
	uint32_t count = 0;

	for (int64_t got; (got = tg_sock_recv(x.s[1], x.k[1], b, sizeof(b), 0, x.now_ns)) >= 0;
		count++) {
		UNIT_CHECK(got == n);
		for (uint32_t i = 0; i < n; i++)
			UNIT_CHECK(b[i] == sim_byte(i));
	}
	return count;
}

START_TEST (arrives_when_due) {
	struct wire_stats st;

	c.latency_ns = 3 * MS;
	start();
	run(100 * MS);                   /* announcements */
	ck_assert_int_eq(say(100), 100); /* ARP there and back, then the datagram */
	run(x.now_ns + 9 * MS - 1);
	ck_assert_uint_eq(hear(100), 0);
	run(x.now_ns + 1);
	ck_assert_uint_eq(hear(100), 1);
	ck_assert_int_eq(say(1000), 1000);
	run(x.now_ns + 3 * MS);
	ck_assert_uint_eq(hear(1000), 1);
	ck_assert_uint_eq(wire_in_flight(x.w), 0);
	wire_get_stats(x.w, 0, &st);
	ck_assert_uint_eq(st.sent, st.delivered);
	ck_assert_uint_eq(st.delivered, observed[1][false]);
	ck_assert_uint_eq(st.sent, observed[0][true]);
}
END_TEST

/* A stream between the two: all of it arrives, in frames larger than the MTU if (and only if) the
 * wire takes them. */
static void stream(uint32_t total)
{
	struct tg_addr a = {.port = 80};
	tg_sock l, from, to = 0;
	uint32_t sent = 0, got = 0;
	uint8_t b[4000];

	ck_assert_int_eq(tg_sock_open(x.s[1], TG_STREAM, 0, 0, &l), 0);
	ck_assert_int_eq(tg_sock_bind(x.s[1], l, &a), 0);
	ck_assert_int_eq(tg_sock_listen(x.s[1], l, 5, x.now_ns), 0);
	a.ip = tg_ip4(192, 0, 2, 2);
	ck_assert_int_eq(tg_sock_open(x.s[0], TG_STREAM, 0, 0, &from), 0);
	ck_assert_int_eq(tg_sock_connect(x.s[0], from, &a, x.now_ns), -TG_EINPROGRESS);
	for (int round = 0; round < 100000 && got < total; round++) {
		int64_t n;

		run(x.now_ns + MS);
		if (!to && tg_sock_accept(x.s[1], l, 0, &to, x.now_ns) < 0)
			continue;
		for (;;) {
			uint32_t want = min_u32(sizeof(b), total - sent);

			for (uint32_t i = 0; i < want; i++)
				b[i] = sim_byte(sent + i);
			n = want ? tg_sock_send(x.s[0], from, b, want, 0, x.now_ns) : 0;
			if (n <= 0)
				break;
			sent += (uint32_t)n;
		}
		while ((n = tg_sock_recv(x.s[1], to, b, sizeof(b), 0, x.now_ns)) > 0) {
			for (uint32_t i = 0; i < n; i++)
				UNIT_CHECK(b[i] == sim_byte(got + i));
			got += (uint32_t)n;
		}
	}
	ck_assert_uint_eq(got, total);
}

START_TEST (large_frames_pass_whole) {
	start();
	stream(2000000);
	ck_assert_uint_gt(large, 10);
}
END_TEST

START_TEST (without_offloads_frames_are_small) {
	c.caps = 0;
	start();
	stream(300000);
	ck_assert_uint_eq(large, 0);
}
END_TEST

START_TEST (impaired_stream_arrives_whole) {
	struct wire_stats st;

	for (unsigned e = 0; e < 2; e++)
		c.impair[e] = (struct tg_impair){.drop_ppm = 20000,
			.dup_ppm = 10000,
			.reorder_ppm = 20000,
			.corrupt_ppm = 10000,
			.delay_ns = 2 * MS,
			.jitter_ns = MS,
			.queue_pkts = 1000};
	start();
	stream(1000000);
	ck_assert_uint_eq(large, 0); /* packets, not super-frames */
	wire_get_stats(x.w, 0, &st);
	ck_assert(st.impair.dropped && st.impair.duplicated && st.impair.reordered);
	ck_assert(st.impair.corrupted && st.sent < st.delivered);
}
END_TEST

START_TEST (full_wire_is_busy_then_writable) {
	struct wire_stats st;
	uint32_t heard = 0;

	c.latency_ns = 10 * MS;
	start();
	run(100 * MS);
	say(1);
	run(x.now_ns + 100 * MS);
	hear(1);
	for (uint32_t i = 0; i < 2 * WIRE_QUEUE_FRAMES; i++)
		ck_assert_int_eq(say(10), 10);
	step();
	ck_assert_uint_eq(wire_in_flight(x.w), WIRE_QUEUE_FRAMES);
	wire_get_stats(x.w, 0, &st);
	ck_assert_uint_ge(st.busy, 1);
	ck_assert(!wire_take_writable(x.w, 0)); /* still full */
	for (int i = 0; i < 4; i++) {
		x.now_ns += 10 * MS;
		wire_run(x.w, x.now_ns);
		ck_assert(i > 0 || wire_take_writable(x.w, 0));
		step();
		heard += hear(10);
	}
	ck_assert(!wire_take_writable(x.w, 0)); /* nothing is refused any more */
	ck_assert_uint_eq(heard, 2 * WIRE_QUEUE_FRAMES);
}
END_TEST

START_TEST (mtu_swallows) {
	struct wire_stats st;

	c.mtu = 1000;
	start();
	run(100 * MS);
	say(972); /* 1,000 with its headers */
	run(x.now_ns + MS);
	ck_assert_uint_eq(hear(972), 1);
	say(973);
	run(x.now_ns + MS);
	ck_assert_uint_eq(hear(973), 0);
	wire_get_stats(x.w, 0, &st);
	ck_assert_uint_eq(st.oversize, 1);
}
END_TEST

START_TEST (unplugged_end_loses) {
	struct wire_stats st;

	start();
	run(100 * MS);
	say(10);
	run(x.now_ns + MS);
	ck_assert_uint_eq(hear(10), 1);
	wire_attach(x.w, 1, NULL, 0);
	say(10);
	run(x.now_ns + MS);
	ck_assert_uint_eq(hear(10), 0);
	wire_get_stats(x.w, 0, &st);
	ck_assert_uint_eq(st.unplugged, 1);
}
END_TEST

START_TEST (impairments_change_under_way) {
	struct tg_impair i;

	start();
	run(100 * MS);
	say(10);
	run(x.now_ns + MS);
	ck_assert_uint_eq(hear(10), 1);
	tg_impair_default(&i);
	i.drop_ppm = 1000000;
	ck_assert(wire_set_impair(x.w, 0, &i));
	say(10);
	run(x.now_ns + MS);
	ck_assert_uint_eq(hear(10), 0);
	i.drop_ppm = 0;
	i.delay_ns = 50 * MS;
	ck_assert(wire_set_impair(x.w, 0, &i));
	say(10);
	run(x.now_ns + 50 * MS - 1);
	ck_assert_uint_eq(hear(10), 0);
	run(x.now_ns + 1);
	ck_assert_uint_eq(hear(10), 1);
}
END_TEST

/* A world in which the two know each other, and from then on much goes wrong. */
static void start_lossy(void)
{
	const struct tg_impair bad = {.drop_ppm = 100000,
		.dup_ppm = 50000,
		.reorder_ppm = 50000,
		.corrupt_ppm = 50000,
		.delay_ns = 3 * MS,
		.jitter_ns = 2 * MS,
		.rate_bps = 5000000,
		.queue_pkts = 20};

	start();
	run(100 * MS);
	say(10);
	run(x.now_ns + MS);
	ck_assert_uint_eq(hear(10), 1);
	ck_assert(wire_set_impair(x.w, 0, &bad) && wire_set_impair(x.w, 1, &bad));
}

static uint64_t chatter(uint64_t from_ns)
{
	for (uint32_t i = 0; i < 300; i++) {
		say(i * 11);
		run(from_ns + i * MS);
	}
	return observed_hash;
}

START_TEST (same_world_twice) {
	uint64_t h[2];

	for (int i = 0; i < 2; i++) {
		setup();
		start_lossy();
		h[i] = chatter(x.now_ns);
		ck_assert_uint_gt(observed[1][false], 100);
		teardown();
		memset(&x, 0, sizeof(x));
	}
	ck_assert_uint_eq(h[0], h[1]);
}
END_TEST

START_TEST (snapshot_of_the_world) {
	void *image[3];
	size_t n[3];
	uint64_t before_hash, before_ns, h[2];

	start_lossy();
	chatter(x.now_ns);
	ck_assert_uint_gt(wire_in_flight(x.w), 0);
	for (unsigned e = 0; e < 2; e++) {
		n[e] = tg_snapshot_bytes(x.s[e]);
		image[e] = malloc(n[e]);
		ck_assert_uint_eq(tg_snapshot_save(x.s[e], image[e], n[e]), n[e]);
	}
	n[2] = wire_snapshot_bytes(x.w);
	image[2] = malloc(n[2]);
	ck_assert_uint_eq(wire_snapshot_save(x.w, image[2], n[2]), n[2]);
	before_hash = observed_hash;
	before_ns = x.now_ns;
	h[0] = chatter(x.now_ns);
	for (unsigned e = 0; e < 2; e++)
		ck_assert(tg_snapshot_restore(x.s[e], image[e], n[e]));
	ck_assert(wire_snapshot_restore(x.w, image[2], n[2]));
	observed_hash = before_hash;
	x.now_ns = before_ns;
	h[1] = chatter(x.now_ns);
	ck_assert_uint_eq(h[0], h[1]);
	for (int i = 0; i < 3; i++)
		free(image[i]);
}
END_TEST

START_TEST (too_little_memory) {
	void *mem = map(WIRE_MEM_MIN_BYTES);

	ck_assert_ptr_null(wire_create(mem, WIRE_MEM_MIN_BYTES - 1, &c));
	ck_assert_ptr_nonnull(wire_create(mem, WIRE_MEM_MIN_BYTES, &c));
	munmap(mem, WIRE_MEM_MIN_BYTES);
}
END_TEST

static Suite *wire_suite(void)
{
	Suite *s = suite_create("wire");
	TCase *t = tcase_create("wire");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, arrives_when_due);
	tcase_add_test(t, large_frames_pass_whole);
	tcase_add_test(t, without_offloads_frames_are_small);
	tcase_add_test(t, impaired_stream_arrives_whole);
	tcase_add_test(t, full_wire_is_busy_then_writable);
	tcase_add_test(t, mtu_swallows);
	tcase_add_test(t, unplugged_end_loses);
	tcase_add_test(t, impairments_change_under_way);
	tcase_add_test(t, same_world_twice);
	tcase_add_test(t, snapshot_of_the_world);
	tcase_add_test(t, too_little_memory);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(wire_suite)
