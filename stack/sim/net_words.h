/* Words and numbers of the network simulator's language. All return false after a complaint, which
 * stands in the report with its line. */
#ifndef TG_SIM_NET_WORDS_H
#define TG_SIM_NET_WORDS_H

#include "base/base.h"
#include "tapglass_sim.h"

struct net_text {
	const char *at, *end; /* not yet read of the line */
	const char *next, *limit;
	uint32_t line;
	struct tg_sim_report *r;
};

bool net_fail(struct net_text *t, const char *why);
/* The next line, comments (#) cut off. False: there is none. */
bool net_line(struct net_text *t);
bool net_more(struct net_text *t); /* something is left on the line */
bool net_end(struct net_text *t);
/* Takes the word if it comes next. */
bool net_word(struct net_text *t, const char *word);
bool net_next_is_number(struct net_text *t);
bool net_name(struct net_text *t, char out[TG_SIM_NAME_BYTES]);
bool net_count(struct net_text *t, uint64_t min, uint64_t max, uint64_t *out);
bool net_ppm(struct net_text *t, uint32_t *out);  /* 1.5%, .001% */
bool net_time(struct net_text *t, uint64_t *out); /* 5s, 20ms, 100us, 7ns */
bool net_rate(struct net_text *t, uint64_t *out); /* 10mbit */
bool net_size(struct net_text *t, uint64_t *out); /* 64kb, 10mb (powers of ten), 4mib, 1448b */
bool net_span(struct net_text *t, uint64_t *from, uint64_t *to); /* 1s..2.5s */
/* An algorithm by name; false: there is none. */
bool net_cc(const char *name, uint8_t *out);
/* What a host may differ in: to the end of the line. */
bool net_host_options(struct net_text *t, struct tg_config *c);

#endif
