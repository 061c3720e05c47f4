/* What the fixed worlds of test_scenarios.c share: each file of them has a table. */
#ifndef TG_SIM_SCENARIOS_H
#define TG_SIM_SCENARIOS_H

#include "sim.h"

#define MBIT 1000000ull

struct scenario {
	const char *name;
	uint64_t seed;
	void (*draw)(void);
	bool (*bound)(void); /* NULL: complete delivery is all */
};

struct scenarios {
	const struct scenario *all;
	unsigned n;
};

extern const struct scenarios scenarios_loss, scenarios_path;

extern struct plan plan; /* of the one that runs */

/* The first wire's impairments, of each direction. */
void both_ways(struct tg_impair **a, struct tg_impair **b);
/* From the beginning to the last progress, in virtual time. */
double seconds(void);
/* Of either of the first two hosts. */
bool no_retransmission(void);

#endif
