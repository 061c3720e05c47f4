/* Marks on the branches that RFCs ask for: see tapglass_rules.h. A mark says that the rule decided,
 * and by which numbers. */
#ifndef TG_CORE_RULE_H
#define TG_CORE_RULE_H

#include "core/core.h"
#include "tapglass_rules.h"

struct rule_book {
	uint32_t n;
	bool seen[TG_RULE_COUNT];
	uint32_t moves[TG_STATE_COUNT][TG_STATE_COUNT]; /* bits: causes they were made for */
	struct tg_rule_hit hit[TG_RULE_HITS];
};

/* Whose rule it is; all zero: of no connection. */
struct rule_of {
	uint32_t conn, iss, irs;
};

void rule_note(const struct tg *s, const struct rule_of *of, enum tg_rule rule,
	const uint32_t *number, uint32_t n);

/* A length of time as the numbers of rules have it: microseconds, at most 71 minutes. */
static inline uint32_t rule_us(uint64_t ns)
{
	return (uint32_t)min_u64(ns / NS_PER_US, UINT32_MAX);
}

/* RULE_OF(s, of, NAME, numbers...): NAME of TG_RULE_LIST, `of` a struct rule_of, at least one
 * number. */
#define RULE_OF(s, of, NAME, ...)                                                                  \
	do {                                                                                       \
		if ((s)->rules) {                                                                  \
			const uint32_t rule_numbers_[] = {__VA_ARGS__};                            \
			const struct rule_of rule_of_ = (of);                                      \
			_Static_assert(sizeof(rule_numbers_) <= TG_RULE_NUMBERS * 4, "numbers");   \
			rule_note((s), &rule_of_, TG_RULE_##NAME, rule_numbers_,                   \
				sizeof(rule_numbers_) / 4);                                        \
		}                                                                                  \
	} while (0)

#endif
