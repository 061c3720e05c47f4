/* Hierarchical timer wheel: O(1) to arm, re-arm and stop, whatever the number of timers. Ticks of
 * 2^16 ns (65.5 us) and 64 slots on each of 8 levels cover all 64 bits of time. Deadlines
 * themselves are exact: a timer never fires early, and wheel_pop(now) hands out all with deadline
 * <= now by deadline, equal ones in the order of arming. A 64-bit occupancy map per level makes the
 * next deadline cheap. Moving on costs time per occupied slot passed and per timer in it, at most 8
 * times in a timer's life; idle time of any length costs nothing. */
#ifndef TG_WHEEL_H
#define TG_WHEEL_H

#include "base/list.h"

#define WHEEL_TICK_SHIFT 16
#define WHEEL_SLOT_BITS  6
#define WHEEL_SLOTS      (1u << WHEEL_SLOT_BITS)
#define WHEEL_LEVELS     8

struct wheel_node {
	struct list node;
	uint64_t deadline_ns; /* NEVER_NS while not armed */
};

struct wheel {
	uint64_t now_ns; /* position: every slot that begins up to here was opened */
	/* A bit per slot that holds something. A slot of level l stands for 64^l ticks; its nodes
	 * agree with now_ns in all digits (of 6 bits) above l and are greater in digit l. */
	uint64_t occupied[WHEEL_LEVELS];
	struct list slot[WHEEL_LEVELS][WHEEL_SLOTS];
	struct list due; /* nodes of the opened tick and of the past, by deadline */
	uint64_t count;  /* armed nodes */
};

void wheel_init(struct wheel *w, uint64_t now_ns);
void wheel_node_init(struct wheel_node *n);

static inline bool wheel_armed(const struct wheel_node *n)
{
	return n->deadline_ns != NEVER_NS;
}

/* Arms or re-arms n. A deadline in the past is due at the next wheel_pop, also when that is part of
 * a loop over wheel_pop: who re-arms for a time already reached is handed out again. NEVER_NS
 * stops. O(1), but for a deadline within the current tick O(timers of this tick with a later one).
 */
void wheel_arm(struct wheel *w, struct wheel_node *n, uint64_t deadline_ns);
void wheel_stop(struct wheel *w, struct wheel_node *n);

/* Has the processor fetch what arming or stopping n would change besides n. */
static inline void wheel_prefetch(const struct wheel_node *n)
{
	prefetch(n->node.next);
	prefetch(n->node.prev);
}

/* Next timer due at now_ns, taken off the wheel (not armed any more), or NULL. Call until NULL; the
 * timers that it returns may arm, stop or (once stopped) free any others in between. A now_ns
 * before that of an earlier call does no harm: nothing later than it is handed out. */
struct wheel_node *wheel_pop(struct wheel *w, uint64_t now_ns);

/* The one that so many calls of wheel_pop would hand out before it, of those whose tick was
 * reached; NULL: there are not so many. O(skip). */
struct wheel_node *wheel_due(const struct wheel *w, unsigned skip);

/* No timer is due before this. Exact if the earliest timer's slot holds at most 8 or its tick was
 * reached; otherwise the time at which the slot begins, early by less than its length. NEVER_NS if
 * nothing is armed. */
uint64_t wheel_next(const struct wheel *w);

#endif
