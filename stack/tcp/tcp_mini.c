/* The table of compact records: 60 bytes a record and 4 a bucket, one of these for two records, so
 * that with the pages' book keeping one costs less than 64, whatever their number. Records lie
 * in pages and are named by index, which keeps links at 4 bytes; buckets grow one at a time (linear
 * hashing), so that no insertion pays for a rehash. FIFOs of records with equal lifetimes replace a
 * timer each. All memory goes back when the last record does, or all but a
 * page. */
#include "tcp/tcp.h"

#define PER_PAGE   (ARENA_PAGE_BYTES / (uint32_t)sizeof(struct tcp_mini))
#define HEADS_PAGE (ARENA_PAGE_BYTES / (uint32_t)sizeof(uint32_t))
#define QUEUE_NONE 0xffu
#define QUEUE_FREE 0xfeu

_Static_assert(
	sizeof(struct tcp_mini) == 60, "with its share of buckets and pages not more than 64");

static uint32_t clock_ms(const struct tg *s)
{
	return (uint32_t)((s->now_ns - s->tcp->born_ns) / NS_PER_MS);
}

static uint32_t quarter_second(const struct tg *s)
{
	return clock_ms(s) >> 8 & 15;
}

static struct tcp_mini *record(const struct mini_table *t, uint32_t i)
{
	return &t->page[(i - 1) / PER_PAGE][(i - 1) % PER_PAGE];
}

struct tcp_mini *mini_at(const struct mini_table *t, uint32_t index)
{
	struct tcp_mini *m;

	if (index == 0 || index > t->n_made)
		return NULL;
	m = record(t, index);
	return m->queue == QUEUE_FREE ? NULL : m;
}

/* A record does not know its index. Pages are page-aligned, and behind its records each keeps its
 * own number. */
uint32_t mini_index(const struct mini_table *t, const struct tcp_mini *m)
{
	const struct tcp_mini *first =
		(const struct tcp_mini *)(const void *)((uintptr_t)m &
							~(uintptr_t)(ARENA_PAGE_BYTES - 1));
	uint32_t page;

	memcpy(&page, (const uint8_t *)first + PER_PAGE * sizeof(struct tcp_mini), sizeof(page));
	ASSERT(page < t->n_pages && t->page[page] == first);
	return page * PER_PAGE + (uint32_t)(m - first) + 1;
}

/* ---- Hashing ---- */

uint32_t mini_hash(const struct tg *s, const struct tcp_mini *m)
{
	struct tg_ip laddr, raddr;

	if (!ip_addr_at(s, m->laddr, &laddr))
		memset(&laddr, 0, sizeof(laddr));
	memcpy(&raddr, m->raddr, sizeof(raddr));
	return tcp_tuple_hash(s, &laddr, m->lport, &raddr, m->rport);
}

/* Linear hashing: the buckets [0, n_buckets); those that the next doubling has not reached yet take
 * two shares. */
static uint32_t bucket_of(uint32_t n_buckets, uint32_t hash)
{
	uint32_t mask = n_buckets - 1;
	uint32_t b;

	mask |= mask >> 1;
	mask |= mask >> 2;
	mask |= mask >> 4;
	mask |= mask >> 8;
	mask |= mask >> 16;
	b = hash & mask;
	return b < n_buckets ? b : b & mask >> 1;
}

static uint32_t *head_of(const struct mini_table *t, uint32_t bucket)
{
	return &t->bucket[bucket / HEADS_PAGE][bucket % HEADS_PAGE];
}

/* A directory of pages with room for one more than `used`: the old one if it is large enough, else
 * a copy of twice the size. NULL: no memory, the old one stays. */
static void *grown_dir(struct tg *s, void *dir, uint32_t *cap, uint32_t used)
{
	uint32_t want = *cap ? *cap * 2 : 16;
	void *bigger;

	if (used < *cap)
		return dir;
	bigger = core_alloc(s, want * sizeof(void *));
	if (!bigger)
		return NULL;
	if (*cap)
		memcpy(bigger, dir, *cap * sizeof(void *));
	core_free(s, dir, *cap * sizeof(void *));
	*cap = want;
	return bigger;
}

/* One more bucket: takes its share of the chain that held it so far. Without memory chains just get
 * longer. */
static void split_bucket(struct tg *s, struct mini_table *t)
{
	uint32_t b = t->n_buckets, next, *from, *to;

	if (b % HEADS_PAGE == 0) {
		uint32_t **dir = grown_dir(s, t->bucket, &t->bucket_cap, b / HEADS_PAGE);
		uint32_t *page;

		if (!dir)
			return;
		t->bucket = dir;
		page = core_alloc(s, ARENA_PAGE_BYTES);
		if (!page)
			return;
		memset(page, 0, ARENA_PAGE_BYTES);
		t->bucket[b / HEADS_PAGE] = page;
	}
	t->n_buckets++;
	if (b == 0)
		return;
	to = head_of(t, b);
	*to = 0;
	from = head_of(t, bucket_of(b, b));
	next = *from;
	*from = 0;
	while (next) {
		struct tcp_mini *m = record(t, next);
		uint32_t i = next, *h = bucket_of(t->n_buckets, mini_hash(s, m)) == b ? to : from;

		next = m->chain;
		m->chain = *h;
		*h = i;
	}
}

/* ---- Records ---- */

static bool make_page(struct tg *s, struct mini_table *t)
{
	struct tcp_mini **dir = grown_dir(s, t->page, &t->page_cap, t->n_pages);
	struct tcp_mini *page;

	if (!dir)
		return false;
	t->page = dir;
	page = core_alloc(s, ARENA_PAGE_BYTES);
	if (!page)
		return false;
	memset(page, 0, ARENA_PAGE_BYTES);
	memcpy((uint8_t *)page + PER_PAGE * sizeof(struct tcp_mini), &t->n_pages,
		sizeof(t->n_pages));
	t->page[t->n_pages++] = page;
	return true;
}

static uint32_t take_record(struct tg *s, struct mini_table *t)
{
	uint32_t i = t->free_head;

	if (i) {
		t->free_head = record(t, i)->chain;
		return i;
	}
	if (t->n_made == t->n_pages * PER_PAGE && !make_page(s, t))
		return 0;
	return ++t->n_made;
}

struct tcp_mini *mini_find(
	const struct tg *s, const struct mini_table *t, const struct mini_key *k, uint32_t hash)
{
	uint32_t i;

	(void)s;
	if (t->n_used == 0)
		return NULL;
	for (i = *head_of(t, bucket_of(t->n_buckets, hash)); i; i = record(t, i)->chain) {
		struct tcp_mini *m = record(t, i);

		if (m->rport == k->rport && m->lport == k->lport && m->laddr == k->laddr &&
			memcmp(m->raddr, k->raddr.b, sizeof(m->raddr)) == 0)
			return m;
	}
	return NULL;
}

static void free_all(struct tg *s, struct mini_table *t)
{
	bool keeps = t->keeps;

	for (uint32_t i = 0; i < t->n_pages; i++)
		core_free(s, t->page[i], ARENA_PAGE_BYTES);
	for (uint32_t i = 0; i * HEADS_PAGE < t->n_buckets; i++)
		core_free(s, t->bucket[i], ARENA_PAGE_BYTES);
	core_free(s, t->page, t->page_cap * sizeof(void *));
	core_free(s, t->bucket, t->bucket_cap * sizeof(void *));
	memset(t, 0, sizeof(*t));
	t->keeps = keeps;
}

void mini_trim(struct tg *s, struct mini_table *t)
{
	if (t->n_used == 0)
		free_all(s, t);
}

struct tcp_mini *mini_add(
	struct tg *s, struct mini_table *t, const struct mini_key *k, uint32_t hash)
{
	struct tcp_mini *m;
	uint32_t i, *h;

	if (2ull * t->n_buckets <= t->n_used)
		split_bucket(s, t);
	i = t->n_buckets ? take_record(s, t) : 0;
	if (i == 0) {
		if (t->n_used == 0)
			free_all(s, t);
		return NULL;
	}
	m = record(t, i);
	memset(m, 0, sizeof(*m));
	memcpy(m->raddr, k->raddr.b, sizeof(m->raddr));
	m->rport = k->rport;
	m->lport = k->lport;
	m->laddr = k->laddr;
	m->queue = QUEUE_NONE;
	m->flags = (uint8_t)((quarter_second(s) + 8) << MINI_SLOT_SHIFT);
	h = head_of(t, bucket_of(t->n_buckets, hash));
	m->chain = *h;
	*h = i;
	t->n_used++;
	return m;
}

static void leave_queue(struct mini_table *t, struct tcp_mini *m)
{
	if (m->queue == QUEUE_NONE)
		return;
	if (m->fifo_prev)
		record(t, m->fifo_prev)->fifo_next = m->fifo_next;
	else
		t->head[m->queue] = m->fifo_next;
	if (m->fifo_next)
		record(t, m->fifo_next)->fifo_prev = m->fifo_prev;
	else
		t->tail[m->queue] = m->fifo_prev;
	if (!t->head[m->queue])
		t->in_use &= ~(1u << m->queue);
	m->queue = QUEUE_NONE;
	m->fifo_next = 0;
	m->fifo_prev = 0;
}

void mini_del(struct tg *s, struct mini_table *t, struct tcp_mini *m, uint32_t hash)
{
	uint32_t i = mini_index(t, m);
	uint32_t *link = head_of(t, bucket_of(t->n_buckets, hash));

	while (*link != i) {
		ASSERT(*link);
		link = &record(t, *link)->chain;
	}
	*link = m->chain;
	leave_queue(t, m);
	m->queue = QUEUE_FREE;
	m->chain = t->free_head;
	t->free_head = i;
	if (--t->n_used == 0 && !(t->keeps && t->n_pages == 1 && t->n_buckets <= HEADS_PAGE))
		free_all(s, t);
}

/* ---- Queues by deadline ---- */

void mini_enqueue(
	struct tg *s, struct mini_table *t, struct tcp_mini *m, uint8_t queue, uint64_t after_ns)
{
	uint32_t i = mini_index(t, m);

	leave_queue(t, m);
	/* Rounded up: never early. */
	m->deadline_ms =
		(uint32_t)((s->now_ns - s->tcp->born_ns + after_ns + NS_PER_MS - 1) / NS_PER_MS);
	m->queue = queue;
	m->fifo_prev = t->tail[queue];
	if (m->fifo_prev)
		record(t, m->fifo_prev)->fifo_next = i;
	else
		t->head[queue] = i;
	t->tail[queue] = i;
	t->in_use |= 1u << queue;
}

struct tcp_mini *mini_first(const struct mini_table *t, uint8_t queue)
{
	return t->head[queue] ? record(t, t->head[queue]) : NULL;
}

bool mini_may_ack(const struct tg *s, struct tcp_mini *m)
{
	uint8_t slot = (uint8_t)(quarter_second(s) << MINI_SLOT_SHIFT);
	uint8_t mask = (uint8_t)(0xffu << MINI_SLOT_SHIFT);

	if ((m->flags & mask) == slot)
		return false;
	m->flags = (uint8_t)((m->flags & ~mask) | slot);
	return true;
}

bool mini_due(const struct tg *s, const struct tcp_mini *m)
{
	return (int32_t)(clock_ms(s) - m->deadline_ms) >= 0;
}

uint64_t mini_deadline_ns(const struct tg *s, const struct tcp_mini *m)
{
	int32_t left_ms = (int32_t)(m->deadline_ms - clock_ms(s));
	uint64_t whole_ms = (s->now_ns - s->tcp->born_ns) / NS_PER_MS;

	return s->tcp->born_ns + (whole_ms + (uint64_t)(left_ms > 0 ? left_ms : 0)) * NS_PER_MS;
}
