/* Handles and readiness events of sockets.
 *
 * A handle is an index into a table of 16-byte slots and the slot's generation, which moves on when
 * the handle is closed: a stale handle finds a slot of another generation. Slots come in pages and
 * are kept, because their generations have to outlive the sockets.
 *
 * Events are edges: a bit that rose from 0 to 1 puts the endpoint on the instance's list, once. So
 * does, if the user wants it, more of what had made it rise. */
#include "core/core_impl.h"

struct handle_slot {
	struct endpoint *e; /* NULL: free */
	uint32_t gen;
	uint32_t next_free; /* index of the next free slot, 0: none */
};

#define SLOTS_PER_PAGE ((uint32_t)(ARENA_PAGE_BYTES / sizeof(struct handle_slot)))
#define DIR_FIRST      16u /* entries of the first directory */

_Static_assert(sizeof(struct handle_slot) == 16, "slot");

static struct handle_slot *slot_at(const struct handle_table *t, uint32_t index)
{
	return &t->dir[index / SLOTS_PER_PAGE][index % SLOTS_PER_PAGE];
}

/* Makes room for one more page in the directory. */
static bool dir_grow(struct tg *s, struct handle_table *t)
{
	uint32_t cap = t->dir_cap ? t->dir_cap * 2 : DIR_FIRST;
	struct handle_slot **dir;

	if (t->n_slots / SLOTS_PER_PAGE < t->dir_cap)
		return true;
	dir = core_alloc(s, cap * sizeof(*dir));
	if (!dir)
		return false;
	if (t->dir)
		memcpy(dir, t->dir, t->dir_cap * sizeof(*dir));
	core_free(s, t->dir, t->dir_cap * sizeof(*dir));
	t->dir = dir;
	t->dir_cap = cap;
	return true;
}

/* Adds a page of free slots, lowest index first on the free list. */
static bool table_grow(struct tg *s, struct handle_table *t)
{
	struct handle_slot *page;
	uint32_t first = t->n_slots;

	if (!dir_grow(s, t))
		return false;
	page = core_alloc(s, ARENA_PAGE_BYTES);
	if (!page)
		return false;
	memset(page, 0, ARENA_PAGE_BYTES);
	t->dir[first / SLOTS_PER_PAGE] = page;
	t->n_slots += SLOTS_PER_PAGE;
	for (uint32_t i = SLOTS_PER_PAGE; i-- > 0;) {
		page[i].gen = 1;
		if (first + i == 0) /* index 0 is no handle */
			continue;
		page[i].next_free = t->free_head;
		t->free_head = first + i;
	}
	return true;
}

bool handle_init(struct tg *s)
{
	return table_grow(s, &s->handles);
}

int handle_open(struct tg *s, struct endpoint *e, tg_sock *out)
{
	struct handle_table *t = &s->handles;
	struct handle_slot *slot;

	ASSERT(e->index == 0);
	if (t->n_used >= s->cfg.max_sockets)
		return -TG_EMFILE;
	if (!t->free_head && !table_grow(s, t))
		return -TG_ENOMEM;
	e->index = t->free_head;
	slot = slot_at(t, e->index);
	t->free_head = slot->next_free;
	t->n_used++;
	slot->e = e;
	e->gen = slot->gen;
	*out = handle_of(e);
	/* The user has not seen anything yet: what is ready already is an edge. */
	if (e->level) {
		unsigned level = e->level;

		e->level = 0;
		endpoint_set_level(s, e, level);
	}
	return 0;
}

void handle_close(struct tg *s, struct endpoint *e)
{
	struct handle_table *t = &s->handles;
	struct handle_slot *slot;

	endpoint_fini(e);
	if (!e->index)
		return;
	slot = slot_at(t, e->index);
	ASSERT(slot->e == e && slot->gen == e->gen);
	slot->e = NULL;
	slot->gen++;
	slot->next_free = t->free_head;
	t->free_head = e->index;
	t->n_used--;
	e->index = 0;
}

void handle_move(struct tg *s, struct endpoint *e, struct endpoint *to)
{
	list_replace(&e->evq, &to->evq);
	if (to->index)
		slot_at(&s->handles, to->index)->e = to;
}

struct endpoint *handle_find(const struct tg *s, tg_sock k)
{
	uint32_t index = (uint32_t)k, gen = (uint32_t)(k >> 32);
	const struct handle_slot *slot;

	if (index == 0 || index >= s->handles.n_slots)
		return NULL;
	slot = slot_at(&s->handles, index);
	return slot->gen == gen ? slot->e : NULL;
}

void handle_prefetch(const struct tg *s, const struct endpoint *e)
{
	prefetch(slot_at(&s->handles, e->index));
}

struct endpoint *handle_next(const struct tg *s, uint32_t from)
{
	for (uint32_t i = max_u32(from, 1); i < s->handles.n_slots; i++) {
		struct endpoint *e = slot_at(&s->handles, i)->e;

		if (e)
			return e;
	}
	return NULL;
}

/* ---- Events ---- */

void endpoint_init(struct endpoint *e, enum tg_type type, uint64_t cookie)
{
	memset(e, 0, sizeof(*e));
	list_init(&e->evq);
	e->cookie = cookie;
	e->type = (uint8_t)type;
}

static void queue_event(struct tg *s, struct endpoint *e, unsigned bits)
{
	if (!bits || !e->index)
		return;
	if (!e->pending)
		list_push_back(&s->events, &e->evq);
	e->pending |= (uint8_t)bits;
}

void endpoint_set_level(struct tg *s, struct endpoint *e, unsigned level)
{
	unsigned rose = level & ~(unsigned)e->level;

	e->level = (uint8_t)level;
	queue_event(s, e, rose);
}

void endpoint_again(struct tg *s, struct endpoint *e, unsigned bits)
{
	if (e->each)
		queue_event(s, e, bits & e->level);
}

void endpoint_fini(struct endpoint *e)
{
	list_del(&e->evq);
	e->pending = 0;
}

bool core_event(struct tg *s, struct tg_event *out)
{
	struct list *l = list_pop_front(&s->events);
	struct endpoint *e;

	if (!l)
		return false;
	e = list_entry(l, struct endpoint, evq);
	out->sock = handle_of(e);
	out->cookie = e->cookie;
	out->events = e->pending;
	e->pending = 0;
	return true;
}
