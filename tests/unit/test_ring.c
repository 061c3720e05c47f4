/* The ring between two queues: what goes in comes out, in order, whatever its size and wherever the
 * end of the memory is; a full one says so; two threads at once (CONFIG=tsan as well), one of which
 * sleeps as hosts do. And the hosts around it: calls into another's loop. */
#define _GNU_SOURCE
#include "port/host.h"
#include "port/ring.h"
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#define ROOM 65536u

static void fill(uint8_t *b, uint32_t n, uint32_t seed)
{
	for (uint32_t i = 0; i < n; i++)
		b[i] = (uint8_t)(seed * 31 + i * 7);
}

static struct ring_frame frame_of(uint32_t seed, uint32_t bytes)
{
	return (struct ring_frame){.bytes = bytes,
		.gso_size = (uint16_t)seed,
		.gso = (uint8_t)(seed % 3),
		.csum = (uint8_t)(seed % 2),
		.passed = 1};
}

static void take_and_check(struct ring *r, uint32_t seed, uint32_t bytes)
{
	static uint8_t got[ROOM], want[ROOM];
	struct ring_frame f, g = frame_of(seed, bytes);

	UNIT_CHECK(ring_peek(r, &f));
	UNIT_CHECK(memcmp(&f, &g, sizeof(f)) == 0);
	ring_take(r, &f, got);
	fill(want, bytes, seed);
	UNIT_CHECK(memcmp(got, want, bytes) == 0);
}

/* Against a plain list of what is in it. */
START_TEST (test_random) {
	static uint8_t b[ROOM];
	struct unit_rng rng;
	struct ring *r = ring_new(ROOM);
	struct ring_frame f;
	uint32_t first = 0, next = 0, size[4096];
	uint64_t used = 0, refused = 0;

	unit_rng_start(&rng, _i);
	ck_assert_ptr_nonnull(r);
	ck_assert(ring_is_empty(r));
	ck_assert(!ring_peek(r, &f));
	for (unsigned step = 0; step < 20000; step++) {
		uint32_t bytes = unit_below(&rng, unit_below(&rng, 8) ? 1600 : 40000);
		uint64_t room = 16 + ((uint64_t)bytes + 15) / 16 * 16;

		if (unit_below(&rng, 2)) {
			f = frame_of(next, bytes);
			fill(b, bytes, next);
			UNIT_CHECK(ring_put(r, &f, b) == (used + room <= ROOM));
			if (used + room <= ROOM) {
				size[next++ % 4096] = bytes;
				used += room;
			} else {
				refused++;
			}
		} else if (first < next) {
			bytes = size[first % 4096];
			take_and_check(r, first++, bytes);
			used -= 16 + ((uint64_t)bytes + 15) / 16 * 16;
		}
		UNIT_CHECK(ring_is_empty(r) == (first == next));
	}
	ck_assert_uint_gt(refused, 0);
	ring_free(r);
}
END_TEST

/* What is never to fit is refused for good. */
START_TEST (test_too_large) {
	static uint8_t b[ROOM];
	struct ring *r = ring_new(ROOM);
	struct ring_frame f = frame_of(0, ROOM - 16), g;

	ck_assert(ring_put(r, &f, b));
	ck_assert(ring_peek(r, &g));
	ring_take(r, &g, NULL);
	f.bytes++;
	ck_assert(!ring_put(r, &f, b));
	ring_free(r);
}
END_TEST

struct pair {
	struct ring *r;
	uint32_t n;
};

static void *putter(void *arg)
{
	static uint8_t b[4096];
	struct pair *p = arg;

	for (uint32_t i = 0; i < p->n;) {
		struct ring_frame f = frame_of(i, i * 37 % 3000);

		fill(b, f.bytes, i);
		if (ring_put(p->r, &f, b))
			i++;
		else
			sched_yield();
	}
	return NULL;
}

START_TEST (test_two_threads) {
	struct pair p = {ring_new(ROOM), getenv("TG_TEST_BRIEF") ? 10000 : 100000};
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, putter, &p), 0);
	for (uint32_t i = 0; i < p.n;) {
		if (ring_is_empty(p.r)) {
			sched_yield();
			continue;
		}
		take_and_check(p.r, i, i * 37 % 3000);
		i++;
	}
	pthread_join(t, NULL);
	ring_free(p.r);
}
END_TEST

/* ---- Hosts ----------------------------------------------------------------------------------- */

#define HOSTS  3u
#define ROUNDS 3000u

/* A host whose link is a TAP that is gone: frames come by the rings alone. */
struct world {
	struct tg_host *h[HOSTS];
	struct tg *s[HOSTS];
	uint32_t taken[HOSTS];
};

static struct tap_link *fake_link(struct tg_host *h, struct tg *s, unsigned queue)
{
	struct tg_link_options o;
	struct tap_link *l = tap_link_new(h, s);

	ck_assert_ptr_nonnull(l);
	memcpy(l->tap.name, "t", 2);
	l->tap.mtu = 1500;
	tg_link_options_default(&o);
	o.queue = queue;
	o.queues = HOSTS;
	ck_assert_int_eq(tap_link_start(l, &o), 1);
	return l;
}

static void world_start(struct world *w)
{
	struct tg_ip ip = tg_ip4_of(0x0a000002);

	for (unsigned i = 0; i < HOSTS; i++) {
		struct tg_config c;

		w->taken[i] = 0;
		w->h[i] = tg_host_new();
		ck_assert_int_eq(tg_host_config(&c), 0);
		c.share.index = (uint8_t)i;
		c.share.count = HOSTS;
		ck_assert_int_eq(tg_host_add(w->h[i], &c, 64u << 20, NULL, &w->s[i]), 0);
		fake_link(w->h[i], w->s[i], i);
		ck_assert_int_eq(tg_addr_add(w->s[i], 1, &ip, 24, tg_host_now()), 0);
	}
	ck_assert_int_eq(tg_host_join(w->h, HOSTS, true), 0);
	ck_assert(!tg_host_steered(w->h[0]));
	ck_assert_int_eq(tg_host_join(w->h, HOSTS, true), -EINVAL);
}

/* A datagram to a port of the ephemeral range, at the instance whose it is not. */
static void misplace(void *arg)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 2}, far[6] = {2, 0, 0, 0, 0, 9};
	struct world *w = arg;
	struct tg_pkt *p = tg_pkt_alloc(w->s[1], 60);
	uint8_t *b = p->data;
	uint32_t sum = 0;

	memset(b, 0, 60);
	memcpy(b, mac, 6);
	memcpy(b + 6, far, 6);
	b[12] = 8;
	memcpy(b + 14, (uint8_t[]){0x45, 0, 0, 29, 0, 0, 0x40, 0, 64, 17}, 10);
	memcpy(b + 26, (uint8_t[]){10, 0, 0, 1, 10, 0, 0, 2}, 8);
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)b[14 + i] << 8 | b[15 + i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	b[24] = (uint8_t)(sum >> 8);
	b[25] = (uint8_t)sum;
	/* 33,000 = 0 mod 3, 33,002 = 2 mod 3 */
	memcpy(b + 34, (uint8_t[]){0, 9, 33000 >> 8, 33000 & 0xff, 0, 9, 0, 0}, 8);
	if (w->taken[1]++ & 1)
		b[37] += 2;
	p->len = 43;
	tg_input(w->s[1], 1, p, tg_host_now());
}

struct look {
	struct tg *s;
	struct tg_counters c;
};

static void look(void *arg)
{
	struct look *l = arg;

	l->c = *tg_counters(l->s);
}

START_TEST (test_hosts) {
	static struct world w;
	struct look l[HOSTS];
	uint64_t end;

	world_start(&w);
	for (unsigned i = 0; i < HOSTS; i++)
		ck_assert_int_eq(tg_host_spawn(w.h[i], _i ? 50000 : 0), 0);
	ck_assert_int_eq(tg_host_spawn(w.h[0], 0), -EINVAL);
	for (unsigned r = 0; r < ROUNDS; r++)
		tg_host_call(w.h[1], misplace, &w);
	end = tg_host_now() + 20000000000u;
	do {
		for (unsigned i = 0; i < HOSTS; i++) {
			l[i].s = w.s[i];
			tg_host_call(w.h[i], look, &l[i]);
		}
	} while (l[0].c.frames_in < ROUNDS && tg_host_now() < end);
	/* Half of them were 0's at once; the others went by 2, which has no socket either. */
	ck_assert_uint_eq(l[1].c.frames_passed_on, ROUNDS);
	ck_assert_uint_eq(l[2].c.frames_in, ROUNDS / 2);
	ck_assert_uint_eq(l[2].c.frames_passed_on, ROUNDS / 2);
	ck_assert_uint_eq(l[0].c.frames_in, ROUNDS);
	ck_assert_uint_eq(l[0].c.drops[TG_DROP_UDP_NO_PORT], ROUNDS);
	for (unsigned i = 0; i < HOSTS; i++)
		ck_assert_int_eq(tg_host_reap(w.h[i]), 0);
	for (unsigned i = 0; i < HOSTS; i++)
		tg_host_free(w.h[i]);
}
END_TEST

static Suite *ring_suite(void)
{
	Suite *s = suite_create("ring");
	TCase *t = tcase_create("ring");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_random, 0, 4);
	tcase_add_test(t, test_too_large);
	tcase_add_test(t, test_two_threads);
	tcase_add_loop_test(t, test_hosts, 0, 2);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(ring_suite)
