/* Runs worlds and tells how they differ: see diff.h. */
#include "diff.h"

#include <stdlib.h>

#include "sim/segment.h"

static struct outcome *now;

static uint64_t mix_bytes(uint64_t h, const uint8_t *b, uint32_t n)
{
	uint64_t v;

	h = sim_mix(h ^ n);
	for (; n >= 8; n -= 8, b += 8) {
		memcpy(&v, b, 8);
		h = (h ^ v) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 32;
	}
	v = 0;
	memcpy(&v, b, n);
	return sim_mix(h ^ v);
}

/* One frame that a host handed to its wire, as the packets that the wire carries. */
static void seen_frame(unsigned host, unsigned wire, const struct tg_frame *f)
{
	static uint8_t packet[SEGMENT_MAX_BYTES];
	struct segmenter g;
	uint32_t n;

	now->supers += f->gso != TG_GSO_NONE;
	segment_begin(&g, TG_LINK_ETHERNET, f, csum_add_wide);
	while ((n = segment_next(&g, packet)) > 0) {
		uint64_t head[] = {now->wire_hash, sim->now_ns, host, wire};

		now->wire_hash = mix_bytes(mix_bytes(0, (uint8_t *)head, sizeof(head)), packet, n);
		now->packets++;
	}
}

static void seen_record(unsigned host, const struct tg_trace *t)
{
	uint64_t r[] = {now->state_hash, host, t->time_ns, t->conn, t->a, t->b, t->reason};

	if (t->kind == TG_TRACE_STATE)
		now->state_hash = mix_bytes(0, (uint8_t *)r, sizeof(r));
}

static void sum_up(void)
{
	for (uint32_t i = 0; i < 2 * sim->plan.n_flows; i++) {
		const struct flow_end *e = &sim->flow[i / 2].end[i % 2];
		uint64_t r[] = {
			now->bytes_hash, e->sent, e->received, (uint64_t)e->error, e->eof, e->cut};

		now->bytes_hash = mix_bytes(0, (uint8_t *)r, sizeof(r));
		now->delivered_bytes += e->received;
	}
	for (unsigned h = 0; h < sim->plan.n_hosts; h++)
		now->counters[h] = *tg_counters(sim->host[h].s);
	now->hash = sim->hash;
	now->failed = sim->failed;
	memcpy(now->why, sim->why, sizeof(now->why));
}

void outcome_of(const struct plan *p, struct outcome *out)
{
	memset(out, 0, sizeof(*out));
	now = out;
	sim_watch = (struct sim_watch){seen_frame, seen_record};
	if (!world_begin(p, false)) {
		out->failed = true;
		snprintf(out->why, sizeof(out->why), "the world could not be made");
		return;
	}
	while (world_event())
		;
	if (!sim->failed)
		world_finish();
	sum_up();
}

bool diff_report(uint64_t seed, const char *repeat, const char *what, const struct outcome *a,
	const struct outcome *b)
{
	if (a->failed || b->failed)
		what = a->failed ? a->why : b->why;
	if (!what) {
		printf("ok - seed %" PRIu64 ": %" PRIu64 " packets, %" PRIu64 " bytes\n", seed,
			a->packets, a->delivered_bytes);
		return true;
	}
	printf("not ok - seed %" PRIu64 ": %s\n# repeat: %s --seed %" PRIu64 "\n", seed, what,
		repeat, seed);
	printf("# all %016" PRIx64 " %016" PRIx64 ", packets %016" PRIx64 " (%" PRIu64
	       ") %016" PRIx64 " (%" PRIu64 ")\n# states %016" PRIx64 " %016" PRIx64
	       ", bytes %016" PRIx64 " %016" PRIx64 "\n",
		a->hash, b->hash, a->wire_hash, a->packets, b->wire_hash, b->packets, a->state_hash,
		b->state_hash, a->bytes_hash, b->bytes_hash);
	fflush(stdout);
	return false;
}

const char *counters_differ(
	const struct tg_counters *a, const struct tg_counters *b, const char *const *except)
{
	static const struct {
		const char *name;
		size_t offset;
	} all[] = {
#define X(name) {#name, offsetof(struct tg_counters, name)},
		TG_COUNTER_LIST(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		const char *const *e = except;

		while (*e && strcmp(*e, all[i].name) != 0)
			e++;
		if (!*e && memcmp((const uint8_t *)a + all[i].offset,
				   (const uint8_t *)b + all[i].offset, sizeof(uint64_t)) != 0)
			return all[i].name;
	}
	if (memcmp(a->drops, b->drops, sizeof(a->drops)) != 0)
		return "drops";
	return memcmp(a->discards, b->discards, sizeof(a->discards)) != 0 ? "discards" : NULL;
}

int diff_main(int argc, char **argv, uint64_t first, uint64_t usual, bool (*one)(uint64_t seed))
{
	uint64_t count = getenv("TG_TEST_BRIEF") ? usual / 10 : usual;
	uint32_t passed = 0, failed = 0;

	if (argc == 3 && strcmp(argv[1], "--seed") == 0) {
		first = strtoull(argv[2], NULL, 0);
		count = 1;
	} else if (argc == 4 && strcmp(argv[1], "--seeds") == 0) {
		first = strtoull(argv[2], NULL, 0);
		count = strtoull(argv[3], NULL, 0);
	} else if (argc != 1) {
		fprintf(stderr, "usage: %s [--seed N | --seeds FIRST COUNT]\n", argv[0]);
		return 2;
	}
	for (uint64_t s = first; s < first + count; s++) {
		bool good = one(s);

		passed += good;
		failed += !good;
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
