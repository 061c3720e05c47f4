/* Packet scripts in the stepper: each stepped through to its end, which is the verdict of an
 * uninterrupted run; what is predicted of an event is what happens; every position that is gone to
 * afterwards is the same as before. Then some with the user's hand in them.
 * timeout: 300
 *
 *   test_step_script                all of tests/drill/rfc9293, a part of tests/drill's rest
 *   test_step_script FILE ...       these
 *
 * TG_TEST_BRIEF in the environment: a part. TAP lines, exit status 1 if one failed. */
#define _DEFAULT_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "sim.h"
#include "tapglass_step.h"

#define HISTORY   (16u << 20)
#define DRILL_MEM (64u << 20)
#define POSITIONS 20000u

static uint32_t passed, failed;
static uint64_t events, predictions, n_acts;
static uint64_t hash[POSITIONS];
static struct tg_step_options opt;
static uint8_t *scratch, *mem;
static struct tg_step_effects before, after;
static struct sim_rng rng = {1};

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

static bool verdict(bool good, const char *name, const char *what)
{
	if (!good)
		printf("not ok - %s: %s\n", name, what);
	passed += good;
	failed += !good;
	return good;
}

/* One event, which does what was predicted. NULL: it did; else what is wrong. */
static const char *step(struct tg_stepper *w, struct tg_step_event *ev)
{
	struct tg_step_event next;
	uint64_t here = tg_stepper_hash(w);

	tg_stepper_next(w, &next);
	predictions += tg_stepper_predict(w, &before);
	if (tg_stepper_hash(w) != here)
		return "predicting changed the world";
	if (!tg_stepper_step(w, ev, &after))
		return ev->kind == TG_STEP_END ? NULL : "it ends with no end";
	events++;
	if (memcmp(&before, &after, sizeof(before)) != 0)
		return "what happened is not what was predicted";
	if (next.kind != ev->kind || next.time_ns != ev->time_ns || next.line != ev->line ||
		memcmp(next.text, ev->text, sizeof(next.text)) != 0)
		return "what happened is not what came next";
	if (ev->number >= POSITIONS)
		return "too many events for this test";
	hash[ev->number] = after.hash;
	return NULL;
}

static const char *to_end(struct tg_stepper *w, struct tg_step_event *ev)
{
	const char *wrong;

	hash[0] = tg_stepper_hash(w);
	do
		wrong = step(w, ev);
	while (!wrong && ev->kind != TG_STEP_END);
	return wrong;
}

/* Random positions, and forwards from there. */
static const char *wander(struct tg_stepper *w, unsigned times)
{
	uint64_t last = tg_stepper_last(w), p;
	const char *why;

	for (unsigned i = 0; i < times; i++) {
		p = sim_below(&rng, (uint32_t)last + 1);
		if (!tg_stepper_goto(w, p, &why))
			return why;
		if (tg_stepper_position(w) != p || tg_stepper_hash(w) != hash[p])
			return "a position is another one than it was";
	}
	return tg_stepper_goto(w, last, &why) ? NULL : why;
}

static struct tg_stepper *open_script(const char *text, size_t n, const char **why)
{
	struct tg_drill_options d;
	struct tg_drill_result r;

	madvise(opt.mem, opt.mem_bytes, MADV_DONTNEED);
	tg_drill_options_default(&d);
	return tg_step_script(&opt, &d, text, n, &r, why);
}

/* A call on one of the script's sockets, or on one of the user's own. */
static struct tg_step_action random_call(struct tg_stepper *w)
{
	static const uint8_t acts[] = {TG_ACT_SEND, TG_ACT_SEND, TG_ACT_RECV, TG_ACT_CLOSE,
		TG_ACT_SHUTDOWN, TG_ACT_ABORT, TG_ACT_CONNECT, TG_ACT_LISTEN, TG_ACT_ACCEPT};
	struct tg_step_action a;
	struct tg_tcb t = {.sock = 1};
	uint64_t cursor = 0;
	uint32_t skip = sim_below(&rng, 3);

	memset(&a, 0, sizeof(a));
	do
		if (!tg_tcb_next(tg_stepper_instance(w, 0), &cursor, &t))
			break;
	while (skip-- > 0);
	a.act = acts[sim_below(&rng, ARRAY_LEN(acts))];
	a.sock = t.sock;
	a.bytes = sim_below(&rng, 3000);
	a.data = sim_chance(&rng, 50) ? scratch : NULL;
	a.how = a.act == TG_ACT_SHUTDOWN ? TG_SHUT_WR : 0;
	a.addr = (struct tg_addr){tg_ip4(192, 0, 2, 1), (uint16_t)sim_between(&rng, 1, 9000)};
	if (a.act == TG_ACT_LISTEN)
		memset(&a.addr.ip, 0, sizeof(a.addr.ip));
	return a;
}

/* With the user's hand in it: nothing is lost or stuck, and the same again gives the same. */
static const char *meddle(const char *text, size_t n)
{
	const char *why, *wrong = NULL;
	struct tg_stepper *w = open_script(text, n, &why);
	struct tg_step_event ev = {0};
	struct tg_step_frame f;

	for (unsigned i = 0; w && i < 60 && !wrong && ev.kind != TG_STEP_END; i++) {
		struct tg_step_action a = {.act = TG_ACT_ADVANCE, .ns = sim_below(&rng, 1000)};

		if (tg_stepper_queue(w, 0, &f)) {
			uint32_t how = sim_below(&rng, 4);

			a.act = how == 0   ? TG_ACT_DROP
				: how == 1 ? TG_ACT_DUP
				: how == 2 ? TG_ACT_CORRUPT
					   : TG_ACT_ADVANCE;
			a.frame_id = f.id;
			a.offset = sim_below(&rng, f.bytes);
		}
		if (sim_chance(&rng, 40))
			a = random_call(w);
		if (sim_chance(&rng, 30)) {
			tg_stepper_act(w, &a, &ev, &after, &why);
			n_acts += !why;
			if (!why && ev.number < POSITIONS)
				hash[ev.number] = after.hash;
		} else {
			wrong = step(w, &ev);
		}
		if (!wrong && sim_chance(&rng, 10) && tg_stepper_last(w))
			wrong = wander(w, 1);
	}
	return wrong ? wrong : w ? wander(w, 3) : why;
}

static void run_script(const char *name, const char *text, size_t n)
{
	static struct tg_drill_result r;
	struct tg_drill_options d;
	struct tg_step_event ev;
	struct tg_stepper *w;
	const char *why = NULL, *wrong;
	enum tg_drill_verdict v;

	tg_drill_options_default(&d);
	d.mem = mem;
	d.mem_bytes = DRILL_MEM;
	d.scratch = scratch;
	d.scratch_bytes = TG_DRILL_SCRATCH_BYTES;
	madvise(mem, DRILL_MEM, MADV_DONTNEED);
	v = tg_drill_run(&d, text, n, &r);
	w = open_script(text, n, &why);
	if (!w) {
		verdict(v == TG_DRILL_ERROR, name, why);
		return;
	}
	wrong = to_end(w, &ev);
	if (!wrong && (strcmp(ev.text, "passed") == 0) != (v == TG_DRILL_PASSED))
		wrong = ev.text;
	if (!wrong && tg_stepper_last(w) == 0)
		wrong = "no event";
	if (!wrong)
		wrong = wander(w, 5);
	if (!wrong)
		wrong = meddle(text, n);
	verdict(wrong == NULL, name, wrong);
}

static void run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text = malloc(1 << 20);
	size_t n;

	if (!f || !text)
		abort();
	n = fread(text, 1, 1 << 20, f);
	fclose(f);
	run_script(path, text, n);
	free(text);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void run_folder(const char *folder, unsigned stride)
{
	struct dirent **entry;
	char path[512];
	int n = scandir(folder, &entry, NULL, by_name);
	unsigned seen = 0;

	for (int i = 0; i < n; i++) {
		size_t len = strlen(entry[i]->d_name);

		if (len > 4 && strcmp(entry[i]->d_name + len - 4, ".pkt") == 0 &&
			seen++ % stride == 0) {
			snprintf(path, sizeof(path), "%s/%s", folder, entry[i]->d_name);
			run_file(path);
		}
		free(entry[i]);
	}
	verdict(n > 2, folder, "no such folder");
	if (n >= 0)
		free(entry);
}

int main(int argc, char **argv)
{
	bool brief = getenv("TG_TEST_BRIEF") != NULL;
	struct timespec t0, t1;

	tg_step_options_default(&opt);
	opt.mem = map(TG_STEP_MEM_BYTES);
	opt.mem_bytes = TG_STEP_MEM_BYTES;
	opt.history = map(HISTORY);
	opt.history_bytes = HISTORY;
	mem = map(DRILL_MEM);
	scratch = map(TG_DRILL_SCRATCH_BYTES);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (int i = 1; i < argc; i++)
		run_file(argv[i]);
	if (argc == 1) {
		static const char *const rest[] = {"rfc5681", "rfc8985", "rfc5961", "rfc7323",
			"language", "sockets", "keepalive", "icmp", "udp"};
		char path[64];

		run_folder("tests/drill/rfc9293", brief ? 10 : 1);
		for (size_t i = 0; i < ARRAY_LEN(rest); i++) {
			snprintf(path, sizeof(path), "tests/drill/%s", rest[i]);
			run_folder(path, brief ? 20 : 2);
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &t1);
	printf("%s - stepped through, events: %" PRIu64 "\n", failed ? "not ok" : "ok", events);
	verdict(argc > 1 || n_acts > 50, "by hand", "too few acts were possible");
	printf("# %" PRIu64 " acts, %" PRIu64
	       " predictions, %.0f events predicted and done a second\n",
		n_acts, predictions,
		(double)events / ((double)(t1.tv_sec - t0.tv_sec) +
					 (double)(t1.tv_nsec - t0.tv_nsec) / 1e9));
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
