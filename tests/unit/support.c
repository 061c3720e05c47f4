/* What unit.h declares: the assertion hook, a small generator, arenas on mapped memory. */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <sys/mman.h>

#include "unit.h"

uint64_t unit_seed;
jmp_buf *unit_assert_catch;

_Noreturn void tg_assert_fail(const char *expr, const char *file, int line)
{
	if (unit_assert_catch)
		longjmp(*unit_assert_catch, 1);
	fprintf(stderr, "%s:%d: assertion failed: %s [TG_UNIT_SEED=%" PRIu64 "]\n", file, line,
		expr, unit_seed);
	abort();
}

void unit_rng_start(struct unit_rng *r, int run)
{
	const char *given = getenv("TG_UNIT_SEED");

	unit_seed = given ? strtoull(given, NULL, 0) : 0x7461706cu + (uint64_t)run;
	r->state = unit_seed;
}

/* splitmix64 */
uint64_t unit_u64(struct unit_rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint32_t unit_below(struct unit_rng *r, uint32_t n)
{
	return (uint32_t)((unit_u64(r) >> 32) * n >> 32);
}

void unit_bytes(struct unit_rng *r, void *to, size_t n)
{
	uint8_t *b = to;

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)unit_u64(r);
}

struct arena *unit_arena(size_t reserved_bytes, size_t budget_bytes)
{
	void *mem = mmap(NULL, reserved_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct arena *a = mem == MAP_FAILED ? NULL : arena_init(mem, reserved_bytes, budget_bytes);

	if (!a) {
		fprintf(stderr, "no memory for a test arena of %zu bytes\n", reserved_bytes);
		abort();
	}
	return a;
}

void unit_arena_free(struct arena *a, size_t reserved_bytes)
{
	arena_check(a);
	munmap(a, reserved_bytes);
}

bool unit_arena_empty(const struct arena *a)
{
	struct arena_stats s;

	arena_get_stats(a, &s);
	/* a page of each size may be kept */
	return s.in_use == 0 && s.pages <= 24 * ARENA_PAGE_BYTES && s.allocs == s.frees;
}
