/* Thousands of random worlds. timeout: 300
 *
 *   test_seeds                      the seeds of seeds.txt, then the usual number of new ones
 *   test_seeds --seed N [-v]        one; -v prints the trace of all hosts
 *   test_seeds --seeds FIRST COUNT
 *
 * TG_TEST_BRIEF in the environment: a tenth of the usual number. TAP lines, exit status 1 if one
 * failed. */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define USUAL 8000u
#define LIST  "tests/sim/seeds.txt"

static struct plan plan;
static uint32_t passed, failed;

/* Every seed is repeated in one way. */
static enum run_mode mode_of(uint64_t seed)
{
	if (plan.snapshot_event)
		return RUN_SNAPSHOT;
	return seed % 8 == 0 ? RUN_TWICE : seed % 8 == 1 ? RUN_FAST_PATH : RUN_ONCE;
}

static void run_seed(uint64_t seed, bool verbose)
{
	char repeat[100];
	uint64_t hash;

	snprintf(repeat, sizeof(repeat), "test_seeds --seed %" PRIu64 " -v", seed);
	plan_draw(&plan, seed);
	if (!run_plan(&plan, mode_of(seed), verbose, repeat, &hash)) {
		failed++;
		return;
	}
	passed++;
	printf("ok - seed %" PRIu64 " hash %016" PRIx64 "\n", seed, hash);
}

/* The seeds that once showed a fault: one a line, # begins a comment. */
static void run_list(void)
{
	FILE *f = fopen(LIST, "r");
	char line[300];

	if (!f) {
		printf("not ok - %s cannot be read: run from the top of the source\n", LIST);
		failed++;
		return;
	}
	while (fgets(line, sizeof(line), f))
		if (line[0] >= '0' && line[0] <= '9')
			run_seed(strtoull(line, NULL, 10), false);
	fclose(f);
}

int main(int argc, char **argv)
{
	uint64_t first = 1, count = getenv("TG_TEST_BRIEF") ? USUAL / 10 : USUAL;
	bool verbose = false, given = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-v") == 0) {
			verbose = true;
		} else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
			first = strtoull(argv[++i], NULL, 0);
			count = 1;
			given = true;
		} else if (strcmp(argv[i], "--seeds") == 0 && i + 2 < argc) {
			first = strtoull(argv[++i], NULL, 0);
			count = strtoull(argv[++i], NULL, 0);
			given = true;
		} else {
			fprintf(stderr,
				"usage: test_seeds [--seed N | --seeds FIRST COUNT] [-v]\n");
			return 2;
		}
	}
	if (!given)
		run_list();
	for (uint64_t s = first; s < first + count; s++)
		run_seed(s, verbose);
	check_print_coverage();
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
