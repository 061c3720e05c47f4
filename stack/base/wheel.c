/* Hierarchical timer wheel: see wheel.h.
 *
 * Cut a tick number into 8 digits of 6 bits. A node lies on the level of the highest digit in which
 * its tick differs from the present one, in the slot of its own digit there. So the lowest occupied
 * slot of the lowest occupied level holds the earliest node, all lower levels are empty by the time
 * it is opened, and its nodes move down in the order of arming: that is why equal deadlines fire in
 * that order. A level-0 slot is sorted when it is opened; deadlines inside a tick stay exact. */
#include "base/wheel.h"

#define SLOT_MASK (WHEEL_SLOTS - 1)
#define SORT_BINS 40u /* the sort takes 2^40 nodes */
#define NEXT_SCAN 8u  /* nodes that wheel_next looks at before it settles for the slot */

_Static_assert(WHEEL_SLOT_BITS *WHEEL_LEVELS + WHEEL_TICK_SHIFT == 64, "every deadline has a slot");

static struct wheel_node *node_of(struct list *l)
{
	return list_entry(l, struct wheel_node, node);
}

static uint64_t deadline_of(const struct list *l)
{
	return ((const struct wheel_node *)(const void *)l)->deadline_ns;
}
_Static_assert(offsetof(struct wheel_node, node) == 0, "deadline_of");

/* Two chains (by next, ended by NULL), each in order, into one; `a` goes first where equal. */
static struct list *merge(struct list *a, struct list *b)
{
	struct list *out = NULL, **end = &out;

	while (a && b) {
		struct list **least = deadline_of(b) < deadline_of(a) ? &b : &a;

		*end = *least;
		end = &(*least)->next;
		*least = *end;
	}
	*end = a ? a : b;
	return out;
}

/* Stable merge sort by deadline, without memory of its own. */
static void sort_by_deadline(struct list *head)
{
	struct list *bin[SORT_BINS] = {NULL}, *rest = head->next, *out = NULL, *n;

	head->prev->next = NULL;
	while ((n = rest) != NULL) {
		unsigned i = 0;

		rest = n->next;
		n->next = NULL;
		for (; bin[i] && i < SORT_BINS - 1; i++) {
			n = merge(bin[i], n);
			bin[i] = NULL;
		}
		bin[i] = merge(bin[i], n);
	}
	for (unsigned i = 0; i < SORT_BINS; i++)
		out = merge(bin[i], out);
	list_init(head);
	while ((n = out) != NULL) {
		out = n->next;
		list_push_back(head, n);
	}
}

/* Keeps `due` in order: behind everything with the same deadline or an earlier one. */
static void due_insert(struct wheel *w, struct wheel_node *n)
{
	struct list *at = w->due.prev;

	if (!list_empty(&w->due) && n->deadline_ns < deadline_of(w->due.next))
		at = &w->due;
	while (at != &w->due && deadline_of(at) > n->deadline_ns)
		at = at->prev;
	list_insert_after(at, &n->node);
}

/* Into the slot for its tick, which lies ahead of the present one. */
static void slot_insert(struct wheel *w, struct wheel_node *n)
{
	uint64_t tick = n->deadline_ns >> WHEEL_TICK_SHIFT;
	uint64_t differ = tick ^ (w->now_ns >> WHEEL_TICK_SHIFT);
	unsigned level = (63u - (unsigned)__builtin_clzll(differ)) / WHEEL_SLOT_BITS;
	unsigned slot = (unsigned)(tick >> (level * WHEEL_SLOT_BITS)) & SLOT_MASK;

	w->occupied[level] |= 1ull << slot;
	list_push_back(&w->slot[level][slot], &n->node);
}

static bool tick_reached(const struct wheel *w, const struct wheel_node *n)
{
	return n->deadline_ns >> WHEEL_TICK_SHIFT <= w->now_ns >> WHEEL_TICK_SHIFT;
}

/* Off its list; the slot's bit goes with its last node. */
static void take_off(struct wheel *w, struct wheel_node *n)
{
	struct list *head = n->node.next;
	bool last = head == n->node.prev;

	list_del(&n->node);
	if (last && head != &w->due) {
		size_t i = ((uintptr_t)head - (uintptr_t)w->slot) / sizeof(struct list);

		w->occupied[i / WHEEL_SLOTS] &= ~(1ull << i % WHEEL_SLOTS);
	}
	n->deadline_ns = NEVER_NS;
	w->count--;
}

/* The slot with the earliest nodes, and the time at which it begins. False: all slots are empty. */
static bool first_slot(const struct wheel *w, unsigned *level, unsigned *slot, uint64_t *start_ns)
{
	for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
		unsigned shift = WHEEL_TICK_SHIFT + l * WHEEL_SLOT_BITS;

		if (!w->occupied[l])
			continue;
		*level = l;
		*slot = (unsigned)__builtin_ctzll(w->occupied[l]);
		/* now_ns with the digit replaced and everything below it zero. */
		*start_ns = w->now_ns >> shift;
		*start_ns = ((*start_ns & ~(uint64_t)SLOT_MASK) | *slot) << shift;
		return true;
	}
	return false;
}

/* Moves on to the first slot that holds something, if it begins by now_ns, and deals its nodes out
 * to `due` and to the levels below. */
static bool open_next(struct wheel *w, uint64_t now_ns)
{
	unsigned level = 0, slot = 0;
	uint64_t start_ns = 0;
	struct list opened, *l;

	if (!first_slot(w, &level, &slot, &start_ns) || start_ns > now_ns)
		return false;
	ASSERT(start_ns > w->now_ns);
	w->now_ns = start_ns;
	w->occupied[level] &= ~(1ull << slot);
	list_init(&opened);
	list_splice_back(&opened, &w->slot[level][slot]);
	while ((l = list_pop_front(&opened)) != NULL) {
		if (tick_reached(w, node_of(l)))
			list_push_back(&w->due, l);
		else
			slot_insert(w, node_of(l));
	}
	if (w->due.next != w->due.prev)
		sort_by_deadline(&w->due);
	return true;
}

void wheel_init(struct wheel *w, uint64_t now_ns)
{
	memset(w, 0, sizeof(*w));
	w->now_ns = now_ns;
	list_init(&w->due);
	for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
		for (unsigned s = 0; s < WHEEL_SLOTS; s++)
			list_init(&w->slot[l][s]);
	}
}

void wheel_node_init(struct wheel_node *n)
{
	list_init(&n->node);
	n->deadline_ns = NEVER_NS;
}

void wheel_arm(struct wheel *w, struct wheel_node *n, uint64_t deadline_ns)
{
	wheel_stop(w, n);
	if (deadline_ns == NEVER_NS)
		return;
	n->deadline_ns = deadline_ns;
	w->count++;
	if (tick_reached(w, n))
		due_insert(w, n);
	else
		slot_insert(w, n);
}

void wheel_stop(struct wheel *w, struct wheel_node *n)
{
	if (wheel_armed(n))
		take_off(w, n);
}

struct wheel_node *wheel_pop(struct wheel *w, uint64_t now_ns)
{
	struct wheel_node *n;

	while (list_empty(&w->due) && open_next(w, now_ns))
		;
	if (list_empty(&w->due) || deadline_of(w->due.next) > now_ns) {
		w->now_ns = max_u64(w->now_ns, now_ns);
		return NULL;
	}
	n = node_of(w->due.next);
	take_off(w, n);
	return n;
}

struct wheel_node *wheel_due(const struct wheel *w, unsigned skip)
{
	struct list *at = w->due.next;

	while (at != &w->due && skip--)
		at = at->next;
	return at == &w->due ? NULL : node_of(at);
}

uint64_t wheel_next(const struct wheel *w)
{
	unsigned level = 0, slot = 0, seen = 0;
	uint64_t start_ns = 0, least = NEVER_NS;

	if (!list_empty(&w->due))
		return deadline_of(w->due.next);
	if (!first_slot(w, &level, &slot, &start_ns))
		return NEVER_NS;
	list_for_each (it, &w->slot[level][slot]) {
		if (seen++ == NEXT_SCAN)
			return start_ns;
		least = min_u64(least, deadline_of(it));
	}
	return least;
}
