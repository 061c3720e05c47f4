/* Helpers that every unit test shares. Each test_*.c is a program of its own: it defines one suite
 * and ends with UNIT_MAIN(x_suite). CK_FORK, CK_RUN_CASE and the like of libcheck are honoured.
 *
 * Random tests take their seed from unit_rng_start; a failing check prints it, and TG_UNIT_SEED set
 * to it runs the same again. */
#ifndef TG_UNIT_H
#define TG_UNIT_H

#include <check.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdlib.h>

#include "base/arena.h"

struct unit_rng {
	uint64_t state;
};

/* The seed in use; 0 in tests without one. */
extern uint64_t unit_seed;

/* Starts the generator of run number `run` (the loop index of a loop test). */
void unit_rng_start(struct unit_rng *r, int run);
uint64_t unit_u64(struct unit_rng *r);
/* In [0, n), n > 0. */
uint32_t unit_below(struct unit_rng *r, uint32_t n);
void unit_bytes(struct unit_rng *r, void *to, size_t n);

/* An arena on lazily committed zero memory. Aborts if there is none. */
struct arena *unit_arena(size_t reserved_bytes, size_t budget_bytes);
/* Gives the memory back; checks the book keeping first. */
void unit_arena_free(struct arena *a, size_t reserved_bytes);
/* Nothing is allocated. */
bool unit_arena_empty(const struct arena *a);

/* While set, a failed ASSERT of the stack jumps here instead of aborting. */
extern jmp_buf *unit_assert_catch;

/* Unlike ck_assert it costs nothing while it holds, so it may stand in inner loops. */
#define UNIT_CHECK(e)                                                                              \
	do {                                                                                       \
		if (!(e))                                                                          \
			ck_abort_msg("%s [TG_UNIT_SEED=%" PRIu64 "]", #e, unit_seed);              \
	} while (0)

/* `statement` must run into one of the stack's own assertions. */
#define UNIT_CHECK_ASSERTS(statement)                                                              \
	do {                                                                                       \
		jmp_buf unit_env;                                                                  \
		unit_assert_catch = &unit_env;                                                     \
		if (setjmp(unit_env) == 0) {                                                       \
			statement;                                                                 \
			unit_assert_catch = NULL;                                                  \
			ck_abort_msg("no assertion: %s", #statement);                              \
		}                                                                                  \
		unit_assert_catch = NULL;                                                          \
	} while (0)

#define UNIT_MAIN(suite_fn)                                                                        \
	int main(void)                                                                             \
	{                                                                                          \
		SRunner *sr = srunner_create(suite_fn());                                          \
		int failed;                                                                        \
                                                                                                   \
		srunner_run_all(sr, CK_ENV);                                                       \
		failed = srunner_ntests_failed(sr);                                                \
		srunner_free(sr);                                                                  \
		return failed ? EXIT_FAILURE : EXIT_SUCCESS;                                       \
	}

#endif
