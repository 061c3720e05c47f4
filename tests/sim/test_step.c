/* Random runs of the stepper's lab: calls at both ends, frames dropped, doubled, swapped, spoilt
 * and delayed, impairments, time travel, lines of events kept and gone on with. What is predicted
 * of an event is what happens, whole effects compared; a position of a line has one hash, however
 * it is reached; what is impossible is refused in words and changes nothing. timeout: 300
 *
 *   test_step                        the usual number of seeds
 *   test_step --seed N
 *
 * TG_TEST_BRIEF in the environment: a tenth of the usual number. TAP lines, exit status 1 if one
 * failed. */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "sim.h"
#include "tapglass_step.h"

#define USUAL     1000u
#define POSITIONS 3500u
#define LINES     (TG_STEP_BRANCHES + 1)
#define SOCKS     24u
#define HISTORY   (32u << 20)

/* A line of events as the test knows it. */
struct line {
	char name[TG_STEP_NAME_BYTES];
	uint64_t last;
	uint64_t hash[POSITIONS];
};

static struct line line[LINES], was; /* [0]: the present one; was: before the last act */
static uint32_t n_lines;
static struct tg_step_options opt;
static struct tg_stepper *w;
static struct tg_step_effects before, after;
static struct sim_rng rng;
static struct {
	uint8_t end;
	tg_sock k;
} sock[SOCKS];
static uint32_t n_socks;
static char wrong[300];
static uint32_t passed, failed;
static uint64_t n_events, n_predicted, n_refused, n_travels, n_switches, n_acts[TG_ACT_COUNT];
static uint64_t forgotten, snapshots;
static bool forgetful; /* in a run that is long for its history */

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

/* The first thing that is wrong counts. */
static void fail(const char *what)
{
	if (!wrong[0])
		snprintf(wrong, sizeof(wrong), "position %" PRIu64 " of %" PRIu64 " in %s: %s",
			tg_stepper_position(w), tg_stepper_last(w), tg_stepper_line(w), what);
}

#define WANT(e)                                                                                    \
	do {                                                                                       \
		if (!(e))                                                                          \
			fail(#e);                                                                  \
	} while (0)

/* ---- What the test knows --------------------------------------------------------------------- */

static void note(const struct tg_step_event *ev)
{
	struct line *l = &line[0];

	if (ev->number >= POSITIONS) {
		fail("too many events for this test");
		return;
	}
	if (ev->number <= l->last)
		WANT(l->hash[ev->number] == after.hash);
	l->hash[ev->number] = after.hash;
	l->last = max_u64(l->last, ev->number);
	WANT(tg_stepper_hash(w) == after.hash);
	WANT(tg_stepper_position(w) == ev->number);
}

static struct line *find(const char *name)
{
	for (uint32_t i = 1; i < n_lines; i++)
		if (strcmp(line[i].name, name) == 0)
			return &line[i];
	return NULL;
}

/* The lines that were kept, as the stepper tells them: one that is new is the present one as it
 * was. */
static void check_branches(void)
{
	uint64_t forked_at, last;
	const char *name;
	uint32_t n = 0;

	for (; tg_stepper_branch(w, n, &name, &forked_at, &last); n++) {
		struct line *l = find(name);

		if (!l && n_lines < LINES) {
			l = &line[n_lines++];
			*l = was;
			snprintf(l->name, sizeof(l->name), "%s", name);
		}
		if (!l) {
			fail("a line that nobody kept");
			return;
		}
		WANT(last == l->last);
		WANT(forked_at <= last && forked_at <= line[0].last);
		for (uint64_t p = tg_stepper_first(w); p <= forked_at; p++)
			WANT(line[0].hash[p] == l->hash[p]);
	}
	WANT(n == n_lines - 1);
	WANT(strcmp(tg_stepper_line(w), line[0].name) == 0);
	WANT(tg_stepper_last(w) == line[0].last);
}

/* ---- One thing after the other --------------------------------------------------------------- */

static bool step(void)
{
	struct tg_step_event next, ev;
	uint64_t here = tg_stepper_hash(w);
	bool told = tg_stepper_predict(w, &before), happened;

	WANT(tg_stepper_hash(w) == here);
	tg_stepper_next(w, &next);
	happened = tg_stepper_step(w, &ev, &after);
	WANT(happened == told);
	WANT(ev.kind == next.kind && ev.end == next.end && ev.time_ns == next.time_ns);
	WANT(ev.frame_bytes == next.frame_bytes && ev.timers == next.timers);
	if (!happened) {
		WANT(ev.kind == TG_STEP_NOTHING);
		return false;
	}
	WANT(memcmp(&before, &after, sizeof(before)) == 0);
	n_events++;
	n_predicted++;
	note(&ev);
	return true;
}

static void act(struct tg_step_action *a)
{
	uint64_t here = tg_stepper_hash(w), at = tg_stepper_position(w);
	bool past = at < tg_stepper_last(w);
	struct tg_step_event ev;
	const char *why = "?";
	int64_t r;

	was = line[0];
	r = tg_stepper_act(w, a, &ev, &after, &why);
	if (why) {
		n_refused++;
		WANT(r < 0 && strlen(why) > 15);
		WANT(tg_stepper_hash(w) == here && tg_stepper_position(w) == at);
		return;
	}
	n_acts[a->act]++;
	n_events++;
	WANT(ev.number == at + 1 && ev.act == a->act && ev.text[0]);
	WANT(after.result == r);
	line[0].last = at;
	note(&ev);
	if (past)
		check_branches();
	if (r > 0 && n_socks < SOCKS &&
		(a->act == TG_ACT_CONNECT || a->act == TG_ACT_LISTEN || a->act == TG_ACT_ACCEPT)) {
		sock[n_socks].end = a->end;
		sock[n_socks++].k = (tg_sock)r;
	}
}

static void call(void)
{
	static const uint8_t acts[] = {TG_ACT_CONNECT, TG_ACT_LISTEN, TG_ACT_ACCEPT, TG_ACT_ACCEPT,
		TG_ACT_SEND, TG_ACT_SEND, TG_ACT_SEND, TG_ACT_RECV, TG_ACT_RECV, TG_ACT_SHUTDOWN,
		TG_ACT_CLOSE, TG_ACT_ABORT, TG_ACT_SETOPT};
	struct tg_step_action a;
	uint32_t i = n_socks ? sim_below(&rng, n_socks) : 0;
	static uint8_t data[TG_STEP_DATA_MAX];

	memset(&a, 0, sizeof(a));
	a.act = acts[sim_below(&rng, ARRAY_LEN(acts))];
	a.end = (uint8_t)sim_below(&rng, 2);
	if (n_socks && sim_chance(&rng, 95))
		a.end = sock[i].end;
	a.sock = n_socks ? sock[i].k : sim_u64(&rng);
	if (a.act == TG_ACT_CONNECT)
		a.end = (uint8_t)sim_below(&rng, 2);
	a.addr.port = (uint16_t)(80 + sim_below(&rng, 2));
	if (a.act == TG_ACT_CONNECT)
		a.addr.ip = tg_ip4(10, 0, 0, (uint8_t)(2 - a.end));
	a.bytes = sim_below(
		&rng, sim_chance(&rng, forgetful ? 70 : 20) ? TG_STEP_DATA_MAX + 5 : 4000);
	if (sim_chance(&rng, 50)) {
		memset(data, (int)sim_below(&rng, 256), a.bytes % sizeof(data));
		a.data = data;
		a.bytes = a.bytes % sizeof(data);
	}
	if (a.act == TG_ACT_SHUTDOWN)
		a.how = (int)sim_below(&rng, 4);
	a.option = sim_chance(&rng, 50) ? TG_TCP_NODELAY : TG_SO_KEEPALIVE;
	a.value = sim_below(&rng, 2);
	act(&a);
}

static void hand(void)
{
	static const uint8_t acts[] = {TG_ACT_DELIVER, TG_ACT_DROP, TG_ACT_DUP, TG_ACT_SWAP,
		TG_ACT_CORRUPT, TG_ACT_DELAY, TG_ACT_ADVANCE};
	struct tg_step_frame f[2];
	struct tg_step_action a;
	uint32_t n = 0;

	memset(&a, 0, sizeof(a));
	while (tg_stepper_queue(w, n, &f[0]))
		n++;
	a.act = acts[sim_below(&rng, ARRAY_LEN(acts))];
	for (unsigned i = 0; i < 2; i++)
		if (!n || !tg_stepper_queue(w, sim_below(&rng, n), &f[i]))
			f[i] = (struct tg_step_frame){.id = sim_below(&rng, 50), .bytes = 1};
	a.frame_id = f[0].id;
	a.frame_id2 = f[1].id;
	a.offset = sim_below(&rng, f[0].bytes + 1);
	a.ns = sim_below(&rng, 100) * NS_PER_MS;
	act(&a);
}

static void travel(void)
{
	uint64_t first = tg_stepper_first(w), last = tg_stepper_last(w), p;
	const char *why;

	p = first + sim_below(&rng, (uint32_t)(last - first) + 1);
	n_travels++;
	WANT(tg_stepper_goto(w, p, &why));
	WANT(tg_stepper_position(w) == p);
	WANT(tg_stepper_hash(w) == line[0].hash[p]);
	if (sim_chance(&rng, 5) && first) {
		WANT(!tg_stepper_goto(w, first - 1, &why) && why);
		WANT(tg_stepper_position(w) == p);
	}
}

static void fork_here(void)
{
	char name[TG_STEP_NAME_BYTES];
	uint64_t at = tg_stepper_position(w);
	const char *why;

	was = line[0];
	snprintf(name, sizeof(name), "n%u", sim_below(&rng, 40));
	if (!tg_stepper_fork(w, name, &why)) {
		WANT(why && (at == tg_stepper_last(w) || find(name) || strstr(why, "room") ||
				    strcmp(name, line[0].name) == 0));
		return;
	}
	line[0].last = at;
	check_branches();
	WANT(find(name) != NULL);
}

static void switch_to(void)
{
	static struct line there;
	uint64_t forked_at, last;
	const char *name, *why;
	struct line *l;

	if (!tg_stepper_branch(w, sim_below(&rng, TG_STEP_BRANCHES), &name, &forked_at, &last))
		return;
	l = find(name);
	there = *l;
	was = line[0];
	if (!tg_stepper_switch(w, there.name, &why)) {
		WANT(why && (strstr(why, "room") || strstr(why, "forgotten")));
		return;
	}
	n_switches++;
	*l = was; /* the present line is kept under its name */
	line[0] = there;
	WANT(tg_stepper_position(w) == there.last);
	WANT(tg_stepper_hash(w) == there.hash[there.last]);
	check_branches();
}

/* ---- A run ----------------------------------------------------------------------------------- */

static bool make_lab(uint64_t seed)
{
	const char *why;

	rng = (struct sim_rng){seed};
	madvise(opt.mem, TG_STEP_MEM_BYTES, MADV_DONTNEED);
	madvise(opt.history, HISTORY, MADV_DONTNEED);
	tg_config_default(&opt.config);
	opt.config.trace_records = 512;
	opt.config.seed[0] = (uint8_t)seed;
	opt.config.seed[1] = 1;
	opt.config.tcp.timestamps = sim_chance(&rng, 70);
	opt.config.tcp.sack = sim_chance(&rng, 80);
	opt.config.tcp.pacing = sim_chance(&rng, 30);
	opt.config.tcp.ecn = (uint8_t)sim_below(&rng, 3);
	opt.config.tcp.cc = sim_chance(&rng, 50) ? TG_CC_CUBIC : TG_CC_RENO;
	opt.latency_ns = sim_chance(&rng, 10) ? 0 : sim_below(&rng, 50) * NS_PER_MS;
	opt.mtu = sim_chance(&rng, 70) ? 1500 : sim_between(&rng, 576, 9000);
	opt.link = sim_chance(&rng, 30) ? TG_LINK_ETHERNET : TG_LINK_IP;
	/* Some have to forget. */
	forgetful = sim_chance(&rng, 5);
	opt.history_bytes = forgetful ? sim_between(&rng, 6u << 19, 8u << 19) : HISTORY;
	for (unsigned e = 0; e < 2; e++) {
		tg_impair_default(&opt.impair[e]);
		if (!sim_chance(&rng, 40))
			continue;
		opt.impair[e].drop_ppm = sim_below(&rng, 200000);
		opt.impair[e].dup_ppm = sim_below(&rng, 100000);
		opt.impair[e].reorder_ppm = sim_below(&rng, 200000);
		opt.impair[e].corrupt_ppm = sim_below(&rng, 100000);
		opt.impair[e].jitter_ns = sim_below(&rng, 5000000);
		opt.impair[e].rate_bps = sim_chance(&rng, 30) ? 2000000 : 0;
	}
	w = tg_step_lab(&opt, &why);
	if (!w) {
		snprintf(wrong, sizeof(wrong), "%s", why);
		return false;
	}
	n_lines = 1;
	n_socks = 0;
	memset(&line[0], 0, sizeof(line[0]));
	snprintf(line[0].name, sizeof(line[0].name), "%s", tg_stepper_line(w));
	line[0].hash[0] = tg_stepper_hash(w);
	return true;
}

static void one_thing(void)
{
	uint32_t what = sim_below(&rng, 100);

	if (tg_stepper_last(w) + 5 > POSITIONS)
		return;
	if (forgetful && !sim_chance(&rng, 2))
		what = sim_below(&rng, 85);
	if (what < 60)
		step();
	else if (what < 78)
		call();
	else if (what < 90)
		hand();
	else if (what < 95)
		travel();
	else if (what < 98)
		fork_here();
	else
		switch_to();
}

/* Back to the start, and all of it once more. */
static void once_more(void)
{
	uint64_t last = tg_stepper_last(w), first = tg_stepper_first(w);
	const char *why;

	forgotten += first > 0;
	snapshots += tg_snapshot_bytes(tg_stepper_instance(w, 0));
	for (uint64_t p = last + 1; p-- > first && !wrong[0];) {
		WANT(tg_stepper_goto(w, p, &why));
		WANT(tg_stepper_hash(w) == line[0].hash[p]);
		p -= p > first + 10 ? sim_below(&rng, 8) : 0;
	}
	WANT(tg_stepper_goto(w, first, &why));
	while (tg_stepper_position(w) < last && !wrong[0])
		WANT(step());
}

static void run_seed(uint64_t seed)
{
	wrong[0] = 0;
	if (make_lab(seed)) {
		uint32_t things = forgetful ? 1000 : sim_between(&rng, 50, 400);

		for (uint32_t i = 0; i < things && !wrong[0]; i++)
			one_thing();
		once_more();
	}
	if (wrong[0])
		printf("# %s\n", wrong);
	printf("%s - a random lab: seed %" PRIu64 "\n", wrong[0] ? "not ok" : "ok", seed);
	passed += !wrong[0];
	failed += wrong[0] != 0;
}

int main(int argc, char **argv)
{
	uint64_t first = 1, count = getenv("TG_TEST_BRIEF") ? USUAL / 10 : USUAL;
	struct timespec t0, t1;
	double took;

	tg_step_options_default(&opt);
	opt.mem = map(TG_STEP_MEM_BYTES);
	opt.mem_bytes = TG_STEP_MEM_BYTES;
	opt.history = map(HISTORY);
	if (argc == 3 && strcmp(argv[1], "--seed") == 0) {
		first = strtoull(argv[2], NULL, 0);
		count = 1;
	} else if (argc > 1) {
		fprintf(stderr, "usage: test_step [--seed N]\n");
		return 2;
	}
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (uint64_t s = first; s < first + count; s++)
		run_seed(s);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	took = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;
	printf("# %" PRIu64 " events, %" PRIu64 " predicted, %" PRIu64 " refused, %" PRIu64
	       " travels, %" PRIu64 " switches, %" PRIu64 " pasts forgotten\n",
		n_events, n_predicted, n_refused, n_travels, n_switches, forgotten);
	printf("# %.0f events predicted and done a second, %" PRIu64 " octets an instance\n",
		(double)n_predicted / took, snapshots / count);
	for (unsigned a = 1; a < TG_ACT_COUNT; a++)
		printf("# %s: %" PRIu64 "\n", tg_step_act_name(a), n_acts[a]);
	if (count > 1) {
		bool all = n_switches && n_refused;

		for (unsigned a = 1; a < TG_ACT_COUNT; a++)
			all = all && n_acts[a];
		printf("%s - everything was tried\n", all ? "ok" : "not ok");
		failed += !all;
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
