/* The three ways to sum (base/csum.h): one word at a time, 64-bit words, AVX2. All lengths up to
 * 4096 at all alignments of a cache line, over random bytes and bytes chosen for their carries; and
 * the same bytes in pieces, each summed by another one and joined with csum_shift and csum_join.
 * Equal means equal after folding, 0 and 0xffff told apart. timeout: 300
 *
 *   test_csum */
#include "base/csum.h"

#include <stdlib.h>

#include "diff.h"

#define LENGTHS 4097u
#define ALIGN   64u

struct way {
	const char *name;
	csum_fn *add;
};

static const struct way ways[] = {
	{"scalar", csum_add_scalar},
	{"wide", csum_add_wide},
#if defined(__x86_64__)
	{"avx2", csum_add_avx2},
#endif
};

static _Alignas(64) uint8_t buf[LENGTHS + 2 * ALIGN];
static uint32_t n_ways, passed, failed;

static void verdict(const char *name, bool good)
{
	printf("%s - %s\n", good ? "ok" : "not ok", name);
	passed += good;
	failed += !good;
}

/* Whether all agree on [at, at + len) from that sum on. */
static bool agree(uint32_t at, uint32_t len, uint32_t sum)
{
	uint16_t want = csum_fold(ways[0].add(buf + at, len, sum));

	for (uint32_t i = 1; i < n_ways; i++) {
		uint16_t got = csum_fold(ways[i].add(buf + at, len, sum));

		if (got == want)
			continue;
		printf("# %s: %u bytes at %u from %08x: %04x, scalar %04x\n", ways[i].name, len, at,
			sum, got, want);
		return false;
	}
	return true;
}

/* ---- What is summed ---- */

enum { RANDOM, ONES, ZEROS, LOW_ONES, HIGH_ONES, SPARSE, CARRIES, KINDS };
static const char *const kinds[KINDS] = {"random bytes", "all ones", "zeros", "00 ff", "ff 00",
	"few bits", "words that carry into every width"};

static uint8_t byte_of(unsigned kind, uint32_t i, struct sim_rng *r)
{
	switch (kind) {
	case RANDOM: return (uint8_t)sim_u64(r);
	case ONES: return 0xff;
	case LOW_ONES: return i & 1 ? 0xff : 0;
	case HIGH_ONES: return i & 1 ? 0 : 0xff;
	case SPARSE: return (uint8_t)(sim_chance(r, 1) ? 1u << sim_below(r, 8) : 0);
	case CARRIES: /* 2^64 - 1, then 1: the sum wraps at 16, 32 and 64 bits in turn */
		return i / 8 % 2 ? i % 8 == 0 : 0xff;
	default: return 0;
	}
}

static void fill(unsigned kind)
{
	struct sim_rng r = {0xc5 + kind};

	for (uint32_t i = 0; i < sizeof(buf); i++)
		buf[i] = byte_of(kind, i, &r);
}

static void lengths_and_alignments(unsigned kind, uint32_t step)
{
	static const uint32_t starts[] = {0, 0xffff, 0xffff0000, 0xffffffff, 1, 0xfffe0001};
	bool good = true;

	fill(kind);
	for (uint32_t at = 0; at < ALIGN; at++)
		for (uint32_t len = at % step; len < LENGTHS; len += step)
			good &= agree(at, len, starts[(at + len / step) % ARRAY_LEN(starts)]);
	verdict(kinds[kind], good);
}

/* ---- Pieces ---- */

/* The sum of [at, at + len) from pieces that random ways add up. */
static uint32_t sum_of_pieces(uint32_t at, uint32_t len, struct sim_rng *r)
{
	uint32_t sum = 0, done = 0;

	while (done < len) {
		uint32_t most = sim_chance(r, 50) ? 40 : len - done;
		uint32_t n = 1 + sim_below(r, min_u32(most, len - done));
		uint32_t part = ways[sim_below(r, n_ways)].add(buf + at + done, n, 0);

		sum = csum_join(sum, done & 1 ? csum_shift(part) : part);
		done += n;
	}
	return sum;
}

static void pieces(unsigned kind, uint32_t rounds)
{
	struct sim_rng r = {0x9135 + kind};
	char name[80];
	bool good = true;

	fill(kind);
	for (uint32_t i = 0; i < rounds; i++) {
		uint32_t at = sim_below(&r, ALIGN), len = sim_below(&r, LENGTHS);
		uint16_t want = csum_fold(csum_add_scalar(buf + at, len, 0));
		uint16_t got = csum_fold(sum_of_pieces(at, len, &r));

		if (got == want)
			continue;
		printf("# %u bytes at %u: %04x in pieces, %04x whole\n", len, at, got, want);
		good = false;
	}
	snprintf(name, sizeof(name), "%s, in pieces", kinds[kind]);
	verdict(name, good);
}

int main(void)
{
	bool brief = getenv("TG_TEST_BRIEF") != NULL;

	n_ways = ARRAY_LEN(ways);
#if defined(__x86_64__)
	if (!__builtin_cpu_supports("avx2")) {
		n_ways--;
		printf("ok - this processor has no AVX2 # SKIP\n");
	}
#endif
	for (unsigned k = 0; k < KINDS; k++) {
		lengths_and_alignments(k, brief ? 7 : 1);
		pieces(k, brief ? 500 : 20000);
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
