/* Random worlds, each host recorded and its journal replayed: the same results, frames, trace and
 * counters, bit for bit. Then one small journal cut at every byte, each of its bytes changed, and
 * changed with the hashes made good again: the replay says what is wrong, and survives it.
 * timeout: 300
 *
 *   test_replay                      the usual number of seeds, then the damage
 *   test_replay --seed N
 *
 * TG_TEST_BRIEF in the environment: a tenth of the usual number. TAP lines, exit status 1 if one
 * failed. */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/chain.h"
#include "sim.h"
#include "tapglass_journal.h"

#define USUAL        1000u
#define JOURNAL_MAX  (256u << 20)
#define RESERVED_MAX (512ull << 20)

struct book {
	struct tg_recorder r;
	uint8_t *data;
	size_t bytes, room;
};

static struct plan plan;
static struct book book[SIM_HOSTS];
static struct tg_replay replay;
static uint32_t passed, failed;
static uint8_t *mem, *scratch;

static uint8_t *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

static bool book_write(void *arg, const void *data, size_t n)
{
	struct book *b = arg;

	if (b->bytes + n > b->room) {
		b->room = (b->bytes + n) * 2;
		b->data = realloc(b->data, b->room);
		if (!b->data)
			abort();
	}
	memcpy(b->data + b->bytes, data, n);
	b->bytes += n;
	return true;
}

static void created(unsigned h, struct tg *s)
{
	struct book *b = &book[h];

	b->bytes = 0;
	b->r = (struct tg_recorder){.write = book_write, .arg = b, .max_bytes = JOURNAL_MAX};
	if (tg_record_start(&b->r, s, "test") != 0)
		sim_fail("the recording of host %u does not start", h);
}

/* Runs the plan with every host recorded. */
static bool run_recorded(void)
{
	plan.snapshot_event = 0;
	world_created = created;
	if (!world_begin(&plan, false))
		return false;
	world_created = NULL;
	while (world_event())
		;
	if (!sim->failed)
		world_finish();
	for (unsigned h = 0; h < plan.n_hosts; h++)
		if (tg_record_stop(&book[h].r) != TG_RECORD_STOPPED)
			sim_fail("the recording of host %u ended by itself", h);
	return !sim->failed;
}

/* Replays to the end; the state that it ends in. */
static enum tg_replay_state run_replay(const uint8_t *data, size_t bytes)
{
	enum tg_replay_state st;

	if (!tg_replay_open(&replay, data, bytes))
		return (enum tg_replay_state)replay.state;
	if (replay.reserved_bytes > RESERVED_MAX)
		return TG_REPLAY_DAMAGED;
	madvise(mem, RESERVED_MAX, MADV_DONTNEED);
	if (!tg_replay_begin(&replay, mem, scratch))
		return (enum tg_replay_state)replay.state;
	do
		st = tg_replay_next(&replay);
	while (st == TG_REPLAY_MORE);
	return st;
}

static bool verdict(bool good, const char *what, uint64_t n)
{
	printf("%s - %s %" PRIu64 "\n", good ? "ok" : "not ok", what, n);
	passed += good;
	failed += !good;
	return good;
}

static bool same(unsigned h)
{
	const struct host *host = &sim->host[h];
	enum tg_replay_state st = run_replay(book[h].data, book[h].bytes);

	if (st == TG_REPLAY_END && replay.ended == TG_RECORD_STOPPED && replay.checks > 0 &&
		replay.calls == book[h].r.calls && replay.frames_out >= host->emitted_frames &&
		memcmp(tg_counters(host->s), tg_counters(replay.s), sizeof(struct tg_counters)) ==
			0)
		return true;
	printf("# host %u, call %" PRIu64 " (%s), offset %" PRIu64 " of %zu: %s: %" PRIx64
	       " instead of %" PRIx64 "\n",
		h, replay.calls, tg_record_call((enum tg_record_type)replay.last), replay.at,
		book[h].bytes, replay.why ? replay.why : "-", replay.got, replay.wanted);
	return false;
}

static void run_seed(uint64_t seed)
{
	bool good;

	plan_draw(&plan, seed);
	good = run_recorded();
	if (!good)
		printf("# %s\n", sim->why);
	for (unsigned h = 0; good && h < plan.n_hosts; h++)
		good = same(h);
	verdict(good, "recorded and replayed: seed", seed);
}

/* ---- Damage ---- */

static void small_world(void)
{
	struct flow_plan *f;
	bool good;

	plan_default(&plan, 7);
	f = plan_add_flow(&plan, 0, 1, 700, 300);
	f->end[0].in_place = 3;
	good = run_recorded() && same(0) && same(1);
	verdict(good, "a small world, bytes", book[0].bytes);
	printf("# %" PRIu64 " calls, %" PRIu64 " frames, %" PRIu64 " checks\n", replay.calls,
		replay.frames_out, replay.checks);
}

static void cut_everywhere(size_t stride)
{
	size_t bad = 0, good_until = 0;

	for (size_t n = 0; n < book[0].bytes; n += stride) {
		uint8_t *copy = malloc(n ? n : 1); /* of that size, for the sanitizer's eyes */
		enum tg_replay_state st;

		memcpy(copy, book[0].data, n);
		st = run_replay(copy, n);
		if (st != TG_REPLAY_CUT && st != TG_REPLAY_DAMAGED)
			bad++;
		if (n > 100000 / stride && st == TG_REPLAY_DAMAGED)
			bad++;
		/* What comes before the cut is replayed. */
		if (replay.at > n || replay.at < good_until)
			bad++;
		good_until = replay.at;
		free(copy);
	}
	verdict(bad == 0, "cut at every byte, wrong answers:", bad);
}

/* Where the records begin. */
static size_t *starts;
static size_t n_starts;

static void find_starts(void)
{
	size_t at = 0;
	uint32_t payload;

	starts = malloc((book[0].bytes / 16 + 1) * sizeof(*starts));
	for (n_starts = 0; at < book[0].bytes; n_starts++) {
		starts[n_starts] = at;
		memcpy(&payload, book[0].data + at, sizeof(payload));
		at += 16 + payload;
	}
}

static void change_everywhere(size_t stride)
{
	uint8_t *copy = malloc(book[0].bytes);
	size_t bad = 0, rec = 0;

	memcpy(copy, book[0].data, book[0].bytes);
	for (size_t n = 0; n < book[0].bytes; n += stride) {
		enum tg_replay_state st;

		while (rec + 1 < n_starts && starts[rec + 1] <= n)
			rec++;
		copy[n] ^= (uint8_t)(1u << n % 8);
		st = run_replay(copy, book[0].bytes);
		copy[n] ^= (uint8_t)(1u << n % 8);
		/* A changed length may lead beyond the end. */
		if (st != TG_REPLAY_DAMAGED && !(st == TG_REPLAY_CUT && n - starts[rec] < 4))
			bad++;
		if (rec > 0 && replay.at != starts[rec])
			bad++;
	}
	free(copy);
	verdict(bad == 0, "a bit changed in every byte, wrong answers:", bad);
}

/* The hash of the record at `at`, as the format has it: head and words, then each string, on the
 * hash of the record before. False: its lengths lead beyond it. */
static bool record_hash(const uint8_t *at, uint64_t *h)
{
	const uint8_t *bytes, *end;
	uint32_t payload, n = at[5] + (uint32_t)at[6];
	uint64_t len;

	memcpy(&payload, at, sizeof(payload));
	if (n * 8 > payload)
		return false;
	bytes = at + 8 + n * 8;
	end = at + 8 + payload;
	*h = chain_hash(chain_hash(*h, at, 8), at + 8, n * 8);
	for (unsigned k = 0; k < at[6]; k++, bytes += len) {
		memcpy(&len, at + 8 + (at[5] + k) * 8u, sizeof(len));
		if (len > (size_t)(end - bytes))
			return false;
		if (len)
			*h = chain_hash(*h, bytes, len);
	}
	return true;
}

/* Makes the hashes good from record `from` on. */
static void reseal(uint8_t *copy, size_t from)
{
	uint64_t h = 0;

	for (size_t i = 0; i < n_starts; i++) {
		uint8_t *chain = copy + (i + 1 < n_starts ? starts[i + 1] : book[0].bytes) - 8;

		if (i >= from && !record_hash(copy + starts[i], &h))
			return;
		if (i >= from)
			memcpy(chain, &h, sizeof(h));
		memcpy(&h, chain, sizeof(h));
	}
}

/* Journals by who means harm: whatever they say, the replay ends in one of its states. */
static void lies(uint32_t count)
{
	uint8_t *copy = malloc(book[0].bytes);
	struct sim_rng rng = {99};
	uint32_t states[5] = {0};

	for (uint32_t i = 0; i < count; i++) {
		size_t rec = sim_below(&rng, (uint32_t)n_starts), len;
		uint32_t payload, changes = sim_between(&rng, 1, 3);

		memcpy(copy, book[0].data, book[0].bytes);
		memcpy(&payload, copy + starts[rec], sizeof(payload));
		len = payload;
		while (changes-- > 0) {
			size_t at = starts[rec] + 8 + sim_below(&rng, (uint32_t)len);
			uint32_t how = sim_below(&rng, 3);

			if (rec == 0) /* the magic words are no secret, the rest is of interest */
				at = starts[rec] + 8 + 24 + sim_below(&rng, (uint32_t)len - 24);
			copy[at] = (uint8_t)(how == 0 ? 0xff : how == 1 ? 0 : sim_u64(&rng));
		}
		if (sim_chance(&rng, 10))
			copy[starts[rec] + 4] = (uint8_t)sim_below(&rng, TG_RECORD_COUNT + 1);
		reseal(copy, rec);
		states[run_replay(copy, book[0].bytes)]++;
	}
	printf("# ended: %u, cut: %u, damaged: %u, different: %u\n", states[TG_REPLAY_END],
		states[TG_REPLAY_CUT], states[TG_REPLAY_DAMAGED], states[TG_REPLAY_DIFFERENT]);
	verdict(states[TG_REPLAY_MORE] == 0 && states[TG_REPLAY_DIFFERENT] > 0, "lies:", count);
	free(copy);
}

int main(int argc, char **argv)
{
	bool brief = getenv("TG_TEST_BRIEF") != NULL;
	uint64_t first = 1, count = brief ? USUAL / 10 : USUAL;

	mem = map(RESERVED_MAX);
	scratch = map(TG_RECORD_BYTES_MAX);
	if (argc == 3 && strcmp(argv[1], "--seed") == 0) {
		first = strtoull(argv[2], NULL, 0);
		count = 1;
	} else if (argc > 1) {
		fprintf(stderr, "usage: test_replay [--seed N]\n");
		return 2;
	}
	for (uint64_t s = first; s < first + count; s++)
		run_seed(s);
	if (count > 1) {
		small_world();
		find_starts();
		cut_everywhere(brief ? 7 : 1);
		change_everywhere(brief ? 7 : 1);
		lies(brief ? 500 : 5000);
		free(starts);
	}
	for (unsigned h = 0; h < SIM_HOSTS; h++)
		free(book[h].data);
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
