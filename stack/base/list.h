/* Intrusive circular doubly linked list. A head is a `struct list` too. */
#ifndef TG_LIST_H
#define TG_LIST_H

#include "base/base.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l;
	l->prev = l;
}
/* True for an empty head, and for a node that is on no list. */
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}
static inline void list_insert_between(struct list *n, struct list *prev, struct list *next)
{
	n->prev = prev;
	n->next = next;
	prev->next = n;
	next->prev = n;
}
static inline void list_push_back(struct list *head, struct list *n)
{
	list_insert_between(n, head->prev, head);
}
static inline void list_push_front(struct list *head, struct list *n)
{
	list_insert_between(n, head, head->next);
}
static inline void list_insert_after(struct list *pos, struct list *n)
{
	list_insert_between(n, pos, pos->next);
}
/* Takes a node off its list and leaves it empty; harmless on a node that is on none. */
static inline void list_del(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}
/* `to` takes n's place; n is left empty. */
static inline void list_replace(struct list *n, struct list *to)
{
	list_init(to);
	if (list_empty(n))
		return;
	list_insert_after(n, to);
	list_del(n);
}
static inline struct list *list_pop_front(struct list *head)
{
	struct list *n = head->next;

	if (n == head)
		return NULL;
	list_del(n);
	return n;
}
/* Moves everything on `from` to the end of `to`. */
static inline void list_splice_back(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_for_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
/* Survives removal of `it` itself (and of nothing else). */
#define list_for_each_safe(it, tmp, head)                                                          \
	for (struct list *it = (head)->next, *tmp = it->next; it != (head);                        \
		it = tmp, tmp = it->next)
#define list_entry(p, type, field) container_of(p, type, field)

#endif
