/* Differential tests: the same world run twice, in two ways that must not matter, and compared. The
 * worlds are those of tests/sim: sim_plan.c draws them, sim_world.c runs them. */
#ifndef TG_DIFF_H
#define TG_DIFF_H

#include "../sim/sim.h"

/* What a run came to. */
struct outcome {
	uint64_t hash;       /* every trace record, and every frame as it was handed to the wire */
	uint64_t wire_hash;  /* every packet on the wire, after segmentation, with its moment and
				direction */
	uint64_t state_hash; /* every change of state, with its moment and its cause */
	uint64_t bytes_hash; /* what each end of each flow sent and received, and how it ended */
	uint64_t packets, supers, delivered_bytes;
	struct tg_counters counters[SIM_HOSTS];
	bool failed;
	char why[400];
};

/* Runs a plan to its end. */
void outcome_of(const struct plan *p, struct outcome *out);

/* Which of the two outcomes' hashes counts is the test's business; this says so and prints a TAP
 * line. what: NULL if they agree. */
bool diff_report(uint64_t seed, const char *repeat, const char *what, const struct outcome *a,
	const struct outcome *b);

/* The first counter in which they differ, those named in `except` (a list that ends with NULL) left
 * out; NULL: none. */
const char *counters_differ(
	const struct tg_counters *a, const struct tg_counters *b, const char *const *except);

/* Runs `one` for the seeds of the command line (--seed N, --seeds FIRST COUNT), else for `usual` of
 * them, a tenth of that with TG_TEST_BRIEF set. The exit status. */
int diff_main(int argc, char **argv, uint64_t first, uint64_t usual, bool (*one)(uint64_t seed));

#endif
