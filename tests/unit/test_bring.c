/* The block ring against one flat array of everything ever written. */
#include "base/bring.h"
#include "unit.h"

#define RESERVED (16u << 20)
#define STREAM   (6u << 20)

static uint8_t stream[STREAM]; /* byte i of the stream, for a given seed */
static uint8_t scratch[STREAM];

struct world {
	struct arena *a;
	struct bring r;
	uint64_t head, tail;
};

static uint8_t home[ARENA_BLOCK_4K]; /* of every second run's ring */

static void world_open(struct world *w, struct unit_rng *r, int run)
{
	unit_rng_start(r, run);
	for (size_t i = 0; i + 8 <= STREAM; i += 8) {
		uint64_t v = unit_u64(r);

		memcpy(stream + i, &v, 8);
	}
	memset(w, 0, sizeof(*w));
	w->a = unit_arena(RESERVED, 0);
	bring_init(&w->r, run % 2 ? home : NULL);
}

static void world_close(struct world *w)
{
	bring_free(&w->r, w->a);
	UNIT_CHECK(w->r.n_blocks == 0 && w->r.blocks == w->r.few && bring_charge(&w->r) == 0);
	UNIT_CHECK(unit_arena_empty(w->a));
	unit_arena_free(w->a, RESERVED);
}

static void check_state(const struct world *w)
{
	struct arena_stats s;

	UNIT_CHECK(w->r.head == w->head && w->r.tail == w->tail);
	UNIT_CHECK(bring_len(&w->r) == w->tail - w->head);
	arena_get_stats(w->a, &s);
	UNIT_CHECK(s.in_use == bring_charge(&w->r));
	if (w->r.home && w->r.n_blocks && w->r.first_bytes == ARENA_BLOCK_4K)
		UNIT_CHECK(w->r.blocks[w->r.first] == w->r.home);
	if (w->head == w->tail && w->r.reserved_bytes == 0)
		UNIT_CHECK(w->r.n_blocks <= 2);
	/* no more than a first block in front and two blocks behind what is kept */
	UNIT_CHECK(bring_charge(&w->r) <= (w->tail - w->head) + 4096 + 4 * 65536);
}

/* Reads [off, off + n) by spans, at most `max` at a time, and compares. */
static void check_bytes(const struct world *w, uint64_t off, size_t n, unsigned max)
{
	struct bring_span span[8];

	while (n) {
		size_t got, sum = 0;
		unsigned k = bring_spans(&w->r, off, n, span, max, &got);

		UNIT_CHECK(k > 0 && k <= max && got > 0 && got <= n);
		for (unsigned i = 0; i < k; i++) {
			UNIT_CHECK(span[i].len > 0);
			UNIT_CHECK(memcmp(span[i].base, stream + off + sum, span[i].len) == 0);
			sum += span[i].len;
		}
		UNIT_CHECK(sum == got);
		off += got;
		n -= got;
	}
}

static void do_write(struct world *w, struct unit_rng *r)
{
	size_t n = unit_below(r, unit_below(r, 4) ? 3000 : 200000);
	size_t done = bring_write(&w->r, w->a, stream + w->tail, n);

	UNIT_CHECK(done <= n);
	w->tail += done;
}

static void do_reserve(struct world *w, struct unit_rng *r)
{
	size_t want = unit_below(r, unit_below(r, 4) ? 3000 : 200000), given = 0, n;
	struct bring_span span[2], again[2];
	unsigned k = bring_reserve(&w->r, w->a, want, span);

	for (unsigned i = 0; i < k; i++)
		given += span[i].len;
	UNIT_CHECK(given <= want && w->r.reserved_bytes == given);
	if (unit_below(r, 3) == 0) {
		UNIT_CHECK(bring_reserve(&w->r, w->a, given, again) == k);
		for (unsigned i = 0; i < k; i++)
			UNIT_CHECK(again[i].base == span[i].base && again[i].len == span[i].len);
	}
	n = unit_below(r, 3) ? given : unit_below(r, (uint32_t)given + 1);
	if (unit_below(r, 2)) { /* acknowledged in between: the room must stay */
		size_t drop = unit_below(r, 2) ? w->tail - w->head
					       : unit_below(r, (uint32_t)(w->tail - w->head) + 1);

		bring_drop(&w->r, w->a, drop);
		w->head += drop;
	}
	if (k > 0)
		memcpy(span[0].base, stream + w->tail, n < span[0].len ? n : span[0].len);
	if (k > 1 && n > span[0].len)
		memcpy(span[1].base, stream + w->tail + span[0].len, n - span[0].len);
	bring_commit(&w->r, n);
	w->tail += n;
}

static void do_drop(struct world *w, struct unit_rng *r)
{
	uint64_t len = w->tail - w->head;
	size_t n = unit_below(r, 8) == 0 ? len : unit_below(r, (uint32_t)len + 1);

	bring_drop(&w->r, w->a, n);
	w->head += n;
	if (w->head == w->tail)
		UNIT_CHECK(
			w->r.n_blocks == 0 && w->r.blocks == w->r.few && bring_charge(&w->r) == 0);
}

static void run(struct world *w, struct unit_rng *r, uint64_t fail_every)
{
	for (int step = 0; w->tail + 400000 < STREAM; step++) {
		uint64_t len = w->tail - w->head;

		if (fail_every && step % 16 == 0)
			arena_fail_after(w->a, 1 + unit_below(r, 4), fail_every);
		switch (unit_below(r, 5)) {
		case 0: do_write(w, r); break;
		case 1: do_reserve(w, r); break;
		case 2: do_drop(w, r); break;
		default:
			if (len) {
				uint64_t off = unit_below(r, (uint32_t)len);

				check_bytes(w, w->head + off,
					unit_below(r, (uint32_t)(len - off) + 1),
					1 + unit_below(r, 8));
			}
		}
		check_state(w);
	}
	check_bytes(w, w->head, w->tail - w->head, 8);
}

START_TEST (random_operations_match_a_flat_array) {
	struct unit_rng r;
	struct world w;

	world_open(&w, &r, _i);
	run(&w, &r, 0);
	world_close(&w);
}
END_TEST

START_TEST (random_operations_while_memory_fails) {
	struct arena_stats s;
	struct unit_rng r;
	struct world w;

	world_open(&w, &r, _i);
	run(&w, &r, 2 + (unsigned)_i);
	arena_get_stats(w.a, &s);
	UNIT_CHECK(s.failures > 10);
	world_close(&w);
}
END_TEST

START_TEST (grows_without_copying_and_keeps_addresses) {
	struct bring_span first, now;
	struct unit_rng r;
	struct world w;
	size_t got;

	world_open(&w, &r, _i);
	UNIT_CHECK(bring_charge(&w.r) == 0);
	UNIT_CHECK(bring_write(&w.r, w.a, stream, 1) == 1);
	UNIT_CHECK(bring_charge(&w.r) == 4096 && w.r.n_blocks == 1);
	UNIT_CHECK(bring_spans(&w.r, 0, 1, &first, 1, &got) == 1 && got == 1);
	UNIT_CHECK(bring_write(&w.r, w.a, stream + 1, (5u << 20) - 1) == (5u << 20) - 1);
	UNIT_CHECK(bring_spans(&w.r, 0, 5u << 20, &now, 1, &got) == 1 && got == 4096);
	UNIT_CHECK(now.base == first.base && w.r.n_blocks == 1 + 80);
	w.tail = 5u << 20;
	check_bytes(&w, 0, 5u << 20, 8);
	bring_drop(&w.r, w.a, 4095);
	UNIT_CHECK(w.r.n_blocks == 81);
	bring_drop(&w.r, w.a, 1);
	UNIT_CHECK(w.r.n_blocks == 80 && w.r.first_bytes == 65536);
	w.head = 4096;
	check_bytes(&w, 4096, (5u << 20) - 4096, 3);
	world_close(&w);
}
END_TEST

START_TEST (a_reserve_holds_its_room_until_commit) {
	struct bring_span span[2];
	struct unit_rng r;
	struct world w;

	world_open(&w, &r, _i);
	UNIT_CHECK(bring_reserve(&w.r, w.a, 0, span) == 0 && w.r.n_blocks == 0);
	UNIT_CHECK(bring_reserve(&w.r, w.a, 100000, span) == 2);
	UNIT_CHECK(span[0].len == 4096 && span[1].len == 65536);
	bring_drop(&w.r, w.a, 0);
	UNIT_CHECK(w.r.n_blocks == 2);
	memcpy(span[0].base, stream, 4096);
	memcpy(span[1].base, stream + 4096, 65536);
	UNIT_CHECK_ASSERTS(bring_commit(&w.r, 4096 + 65537));
	bring_commit(&w.r, 4096 + 65536);
	UNIT_CHECK_ASSERTS(bring_commit(&w.r, 1));
	w.tail = 4096 + 65536;
	check_bytes(&w, 0, w.tail, 2);
	/* given up: held until the next drop, also one of nothing */
	UNIT_CHECK(bring_reserve(&w.r, w.a, 10, span) == 1 && w.r.n_blocks == 3);
	bring_commit(&w.r, 0);
	bring_drop(&w.r, w.a, 0);
	UNIT_CHECK(w.r.n_blocks == 2);
	UNIT_CHECK_ASSERTS(bring_drop(&w.r, w.a, w.tail + 1));
	w.r.head = 0;
	world_close(&w);
}
END_TEST

START_TEST (the_stream_is_endless) {
	struct unit_rng r;
	struct world w;

	/* Offsets go on beyond 2^32; the directory is reused. */
	world_open(&w, &r, _i);
	w.r.head = w.r.tail = w.r.base = w.head = w.tail = (1ull << 32) - 100000;
	for (int i = 0; i < 100; i++) {
		size_t got, n = 30000;
		struct bring_span span[4];

		memset(scratch, i, n);
		UNIT_CHECK(bring_write(&w.r, w.a, scratch, n) == n);
		if (i >= 10) {
			unsigned k = bring_spans(&w.r, w.r.head, n, span, 4, &got);

			UNIT_CHECK(k > 0 && got == n);
			for (unsigned j = 0; j < k; j++)
				UNIT_CHECK(span[j].base[0] == i - 10 &&
					   span[j].base[span[j].len - 1] == i - 10);
			bring_drop(&w.r, w.a, n);
		}
		UNIT_CHECK(w.r.dir_cap <= 8);
	}
	UNIT_CHECK(w.r.tail > 1ull << 32);
	world_close(&w);
}
END_TEST

static Suite *bring_suite(void)
{
	Suite *s = suite_create("bring");
	TCase *t = tcase_create("bring");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, random_operations_match_a_flat_array, 0, 6);
	tcase_add_loop_test(t, random_operations_while_memory_fails, 0, 4);
	tcase_add_test(t, grows_without_copying_and_keeps_addresses);
	tcase_add_test(t, a_reserve_holds_its_room_until_commit);
	tcase_add_test(t, the_stream_is_endless);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(bring_suite)
