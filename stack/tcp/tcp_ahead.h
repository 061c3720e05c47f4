/* Fetching ahead (tcp_ahead.c), as the rest of tcp/ sees it; what the host's reader begins with is
 * in tcp_user.h. Each has the processor fetch something, and does nothing else. */
#ifndef TG_TCP_AHEAD_H
#define TG_TCP_AHEAD_H

#include "core/core.h"

struct tcp_conn;

/* The chains of n segments, TCP_AHEAD_MAX at most, and what in them may be theirs: found[i], or
 * NULL. */
void tcp_ahead_find(
	const struct tg *s, const uint32_t *hash, const struct hnode **found, unsigned n);
/* What setting a deadline of n connections reads and changes. */
void tcp_ahead_timers(struct tcp_conn *const *c, unsigned n);
/* The record whose timer is about to fire. */
void tcp_ahead_timer(const struct timer *t);

#endif
