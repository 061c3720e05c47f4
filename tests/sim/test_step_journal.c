/* Random worlds, each host recorded, and its journal opened in the stepper: stepped to the end,
 * back to the start, and forward again, the same at every event; what is predicted is what happens;
 * positions in between are gone to. Then a journal that was cut, and one that is none.
 * timeout: 300
 *
 *   test_step_journal                the usual number of seeds
 *   test_step_journal --seed N
 *
 * TG_TEST_BRIEF in the environment: a tenth of the usual number. TAP lines, exit status 1 if one
 * failed. */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/chain.h"
#include "sim.h"
#include "tapglass_step.h"

#define USUAL        1000u
#define JOURNAL_MAX  (256u << 20)
#define RESERVED_MAX (512ull << 20)
#define HISTORY      (384ull << 20)
#define EVENTS_MAX   400000u /* of a journal; the rest of a longer one is left */

struct book {
	struct tg_recorder r;
	uint8_t *data;
	size_t bytes, room;
};

static struct plan plan;
static struct book book[SIM_HOSTS];
static struct tg_step_options opt;
static size_t mem_bytes;
static uint64_t hash[EVENTS_MAX + 1];
static uint64_t events, predictions, snapshot_bytes;
static struct tg_step_effects before, after;
static uint32_t passed, failed;

static void *map(size_t bytes)
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

static bool verdict(bool good, const char *what, uint64_t n)
{
	printf("%s - %s %" PRIu64 "\n", good ? "ok" : "not ok", what, n);
	passed += good;
	failed += !good;
	return good;
}

static struct tg_stepper *open_book(const uint8_t *data, size_t bytes, const char **why)
{
	size_t need = tg_step_journal_bytes(data, bytes);

	*why = "not a journal";
	if (need > mem_bytes)
		return NULL;
	madvise(opt.mem, mem_bytes, MADV_DONTNEED);
	return tg_step_journal(&opt, data, bytes, why);
}

/* To the end; every few events the hash is kept, and a prediction tried. */
static const char *forward(struct tg_stepper *w, struct sim_rng *rng, struct tg_step_event *ev)
{
	uint64_t n = 0;

	hash[0] = tg_stepper_hash(w);
	while (n < EVENTS_MAX) {
		bool look = n < 200 || sim_below(rng, 64) == 0;
		bool told = look && tg_stepper_predict(w, &before);

		predictions += told;
		if (!tg_stepper_step(w, ev, look ? &after : NULL))
			return NULL;
		events++;
		n++;
		if (ev->number != n)
			return "events are not numbered in order";
		if (look && !told)
			return "there is no room for a prediction";
		if (look && memcmp(&before, &after, sizeof(before)) != 0)
			return "what happened is not what was predicted";
		hash[n] = look || n % 16 == 0 ? tg_stepper_hash(w) : 0;
	}
	return NULL;
}

static const char *again(struct tg_stepper *w, uint64_t from, uint64_t to)
{
	struct tg_step_event ev;
	const char *why;

	if (!tg_stepper_goto(w, from, &why))
		return why;
	for (uint64_t n = from;; n++) {
		if (hash[n] && tg_stepper_hash(w) != hash[n])
			return "an event does otherwise than before";
		if (n == to)
			return NULL;
		if (!tg_stepper_step(w, &ev, NULL) || ev.number != n + 1)
			return "an event is missing";
	}
}

static const char *same(unsigned h, struct sim_rng *rng)
{
	struct tg_step_event ev, past;
	const char *why, *wrong;
	struct tg_stepper *w = open_book(book[h].data, book[h].bytes, &why);
	uint64_t last;

	if (!w)
		return why;
	wrong = forward(w, rng, &ev);
	if (wrong)
		return wrong;
	last = tg_stepper_last(w);
	snapshot_bytes += tg_snapshot_bytes(tg_stepper_instance(w, 0));
	if (last < EVENTS_MAX && (ev.kind != TG_STEP_END || !strstr(ev.text, "the end")))
		return "it does not end well";
	if (last < 10 || tg_stepper_first(w) != 0 || !tg_stepper_past(w, last, &past))
		return "the past is lost";
	wrong = again(w, 0, last);
	for (unsigned i = 0; i < 5 && !wrong; i++) {
		uint64_t from = sim_below(rng, (uint32_t)last + 1);

		wrong = again(w, from, from + sim_below(rng, (uint32_t)(last - from) + 1));
	}
	return wrong;
}

static void run_seed(uint64_t seed)
{
	struct sim_rng rng = {seed};
	const char *wrong = NULL;

	plan_draw(&plan, seed);
	if (!run_recorded())
		wrong = sim->why;
	/* One of the hosts: the others' turn comes with other seeds. */
	if (!wrong)
		wrong = same((unsigned)(seed % plan.n_hosts), &rng);
	if (wrong)
		printf("# %s\n", wrong);
	verdict(!wrong, "recorded and stepped through: seed", seed);
}

static void bad_files(void)
{
	const struct tg_step_action a = {.act = TG_ACT_ADVANCE, .ns = 1};
	struct tg_step_event ev;
	struct tg_stepper *w;
	const char *why;
	uint64_t n = 0;

	plan_default(&plan, 7);
	plan_add_flow(&plan, 0, 1, 700, 300);
	verdict(run_recorded(), "a small world", 7);
	w = open_book(book[0].data, book[0].bytes * 2 / 3, &why);
	while (w && tg_stepper_step(w, &ev, NULL))
		n++;
	verdict(w && n > 5 && ev.kind == TG_STEP_END && strstr(ev.text, "good up to here"),
		"a journal that was cut is good up to there, events:", n);
	if (w)
		verdict(tg_stepper_act(w, &a, NULL, NULL, &why) < 0 && why && strstr(why, "fixed"),
			"the user cannot do otherwise", n);
	w = open_book(book[0].data + 8, book[0].bytes - 8, &why);
	verdict(!w && why, "a file that is none", 0);
}

/* The hashes of all records made good, as the format has them; false: a length leads beyond the
 * end. */
static bool reseal(uint8_t *copy, size_t bytes)
{
	uint64_t h = 0, len;
	uint32_t payload, n;

	for (size_t at = 0; at < bytes; at += 16 + payload) {
		const uint8_t *data;

		memcpy(&payload, copy + at, sizeof(payload));
		n = copy[at + 5] + (uint32_t)copy[at + 6];
		if (payload > bytes - at - 16 || n * 8 > payload)
			return false;
		h = chain_hash(chain_hash(h, copy + at, 8), copy + at + 8, n * 8);
		data = copy + at + 8 + n * 8;
		for (unsigned k = 0; k < copy[at + 6]; k++, data += len) {
			memcpy(&len, copy + at + 8 + (copy[at + 5] + k) * 8u, sizeof(len));
			if (len > (size_t)(copy + at + 8 + payload - data))
				return false;
			h = len ? chain_hash(h, data, len) : h;
		}
		memcpy(copy + at + 8 + payload, &h, sizeof(h));
	}
	return true;
}

/* A run that is long for its history: the log forgets, but every position can be gone to. */
static void short_history(void)
{
	struct sim_rng rng = {1};
	struct tg_step_event ev;
	struct tg_stepper *w;
	const char *why, *wrong = NULL;
	uint64_t last = 0;

	opt.history_bytes = 5u << 20;
	plan_default(&plan, 7);
	for (unsigned i = 0; i < 800; i++)
		plan_add_flow(&plan, 0, 1, 700, 300)->start_ns = i * 100 * NS_PER_MS;
	verdict(run_recorded(), "a longer world", 7);
	w = open_book(book[0].data, book[0].bytes, &why);
	if (w)
		wrong = forward(w, &rng, &ev);
	last = w ? tg_stepper_last(w) : 0;
	if (!wrong && (!w || tg_stepper_past(w, 1, &ev) || !tg_stepper_past(w, last, &ev)))
		wrong = "nothing was forgotten, or all";
	if (!wrong && tg_stepper_first(w) != 0)
		wrong = "the start is out of reach";
	for (unsigned i = 0; i < 20 && !wrong; i++) {
		uint64_t from = i ? sim_below(&rng, (uint32_t)last) : 0;

		wrong = again(w, from, i > 2 ? from + 1 : last);
	}
	if (wrong)
		printf("# %s\n", wrong);
	verdict(!wrong, "positions that the log has forgotten, of", last);
	opt.history_bytes = HISTORY;
}

/* Takes the frame's octets off an INPUT record, which still says that there are so many: what is
 * read then was never written. Returns the bytes that are left. */
static size_t strip(uint8_t *copy, size_t bytes, uint32_t which)
{
	uint32_t payload, words;

	for (size_t at = 0; at + 16 < bytes; at += 16 + payload) {
		memcpy(&payload, copy + at, sizeof(payload));
		words = copy[at + 5] * 8u;
		if (copy[at + 4] != TG_RECORD_INPUT || which-- > 0)
			continue;
		memmove(copy + at + 8 + words, copy + at + 8 + payload, bytes - at - 8 - payload);
		memcpy(copy + at, &words, sizeof(words));
		copy[at + 6] = 0;
		return bytes - (payload - words);
	}
	return bytes;
}

/* Journals by who means harm: stepped and predicted to whatever end they have. */
static void lies(uint32_t count)
{
	uint8_t *copy = malloc(book[0].bytes);
	struct sim_rng rng = {99};
	uint64_t ends = 0, refused = 0, steps = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct tg_step_event ev = {.kind = TG_STEP_NOTHING};
		struct tg_stepper *w;
		const char *why;
		size_t bytes;

		memcpy(copy, book[0].data, book[0].bytes);
		for (uint32_t k = sim_between(&rng, 1, 3); k-- > 0;)
			copy[sim_below(&rng, (uint32_t)book[0].bytes)] =
				(uint8_t)(sim_chance(&rng, 50) ? 0xff : sim_u64(&rng));
		bytes = i % 4 ? book[0].bytes : strip(copy, book[0].bytes, sim_below(&rng, 8));
		if (!reseal(copy, bytes))
			continue;
		w = open_book(copy, bytes, &why);
		refused += w == NULL;
		while (w && (tg_stepper_predict(w, &before), tg_stepper_step(w, &ev, &after)))
			steps += memcmp(&before, &after, sizeof(before)) == 0;
		ends += ev.kind == TG_STEP_END;
		/* And once more. */
		if (w && tg_stepper_goto(w, 0, &why))
			while (tg_stepper_step(w, &ev, NULL))
				;
	}
	free(copy);
	printf("# %" PRIu64 " ended, %" PRIu64 " refused, %" PRIu64 " steps as predicted\n", ends,
		refused, steps);
	verdict(ends > count / 10 && steps > ends, "lies:", count);
}

int main(int argc, char **argv)
{
	uint64_t first = 1, count = getenv("TG_TEST_BRIEF") ? USUAL / 10 : USUAL;
	struct timespec t0, t1;

	tg_step_options_default(&opt);
	mem_bytes = RESERVED_MAX + TG_RECORD_BYTES_MAX + (8u << 20);
	opt.mem = map(mem_bytes);
	opt.mem_bytes = mem_bytes;
	opt.history = map(HISTORY);
	opt.history_bytes = HISTORY;
	if (argc == 3 && strcmp(argv[1], "--seed") == 0) {
		first = strtoull(argv[2], NULL, 0);
		count = 1;
	} else if (argc > 1) {
		fprintf(stderr, "usage: test_step_journal [--seed N]\n");
		return 2;
	}
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (uint64_t s = first; s < first + count; s++)
		run_seed(s);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	if (count > 1) {
		short_history();
		bad_files();
		lies((uint32_t)count);
	}
	printf("# %" PRIu64 " events, %" PRIu64 " predictions, %" PRIu64
	       " octets an instance, %.1f s\n",
		events, predictions, snapshot_bytes / count,
		(double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9);
	for (unsigned h = 0; h < SIM_HOSTS; h++)
		free(book[h].data);
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
