/* Linear hashing: see htab.h. With n buckets and p the power of two with p <= n < 2p, a hash
 * belongs to bucket hash mod 2p if that exists, else to hash mod p. One insertion splits at most
 * two buckets, one removal merges at most four. The smallest table is one segment. */
#include "base/htab.h"

#define DIR_CAP_MIN 4u
/* Buckets for each node: with one, every third search would go past another's node, which is a miss
 * of the cache. */
#define ROOMY     2u
#define SEG_BYTES (HTAB_SEG_BUCKETS * sizeof(struct hnode *))

/* The largest power of two <= n, n > 0. */
static uint32_t pow2_floor(uint32_t n)
{
	return 0x80000000u >> __builtin_clz(n);
}

static uint32_t bucket_of(const struct htab *t, uint32_t hash)
{
	uint32_t p = pow2_floor(t->n_buckets);
	uint32_t b = hash & (2 * p - 1);

	return b < t->n_buckets ? b : b - p;
}

static struct hnode **bucket_head(const struct htab *t, uint32_t bucket)
{
	return &t->dir[bucket / HTAB_SEG_BUCKETS][bucket % HTAB_SEG_BUCKETS];
}

/* Memory for the segment that begins at bucket n_buckets. False: none, nothing changed. */
static bool seg_add(struct htab *t, struct arena *a)
{
	uint32_t i = t->n_buckets / HTAB_SEG_BUCKETS;
	struct hnode **seg;

	if (i == t->dir_cap) {
		uint32_t cap = i ? i * 2 : DIR_CAP_MIN;
		struct hnode ***dir = arena_alloc(a, cap * sizeof(*dir));

		if (!dir)
			return false;
		if (t->dir)
			memcpy(dir, t->dir, i * sizeof(*dir));
		arena_free(a, t->dir, t->dir_cap * sizeof(*dir));
		t->dir = dir;
		t->dir_cap = cap;
	}
	seg = arena_alloc(a, SEG_BYTES);
	if (!seg)
		return false;
	memset(seg, 0, SEG_BYTES);
	t->dir[i] = seg;
	return true;
}

/* One bucket more: takes what belongs to it out of the bucket it shared so far. Both chains keep
 * their order. */
static void split(struct htab *t, struct arena *a)
{
	uint32_t last = t->n_buckets;
	struct hnode **from, **to, *n;

	if (last == UINT32_MAX / 2 || (last % HTAB_SEG_BUCKETS == 0 && !seg_add(t, a)))
		return;
	from = bucket_head(t, last - pow2_floor(last));
	to = bucket_head(t, last);
	t->n_buckets++;
	while ((n = *from) != NULL) {
		if (bucket_of(t, n->hash) == last) {
			*from = n->next;
			n->next = NULL;
			*to = n;
			to = &n->next;
		} else {
			from = &n->next;
		}
	}
}

/* One bucket fewer: the last one's chain goes behind that of the bucket it came from. */
static void merge(struct htab *t, struct arena *a)
{
	uint32_t last = t->n_buckets - 1;
	struct hnode **end = bucket_head(t, last - pow2_floor(last));

	while (*end)
		end = &(*end)->next;
	*end = *bucket_head(t, last);
	*bucket_head(t, last) = NULL;
	t->n_buckets = last;
	if (last % HTAB_SEG_BUCKETS == 0) {
		arena_free(a, t->dir[last / HTAB_SEG_BUCKETS], SEG_BYTES);
		t->dir[last / HTAB_SEG_BUCKETS] = NULL;
	}
}

void htab_init(struct htab *t)
{
	memset(t, 0, sizeof(*t));
}

void htab_free(struct htab *t, struct arena *a)
{
	for (uint32_t b = 0; b < t->n_buckets; b += HTAB_SEG_BUCKETS)
		arena_free(a, t->dir[b / HTAB_SEG_BUCKETS], SEG_BYTES);
	arena_free(a, t->dir, t->dir_cap * sizeof(*t->dir));
	htab_init(t);
}

bool htab_insert(struct htab *t, struct arena *a, struct hnode *n)
{
	struct hnode **head;

	if (t->n_buckets == 0) {
		if (!seg_add(t, a)) {
			htab_free(t, a);
			return false;
		}
		t->n_buckets = HTAB_SEG_BUCKETS;
	}
	head = bucket_head(t, bucket_of(t, n->hash));
	n->next = *head;
	*head = n;
	t->n_nodes++;
	for (unsigned i = 0; i < ROOMY && ROOMY * t->n_nodes > t->n_buckets; i++)
		split(t, a);
	return true;
}

void htab_remove(struct htab *t, struct arena *a, struct hnode *n)
{
	struct hnode **at;

	ASSERT(t->n_nodes > 0);
	at = bucket_head(t, bucket_of(t, n->hash));
	while (*at != n) {
		ASSERT(*at != NULL);
		at = &(*at)->next;
	}
	*at = n->next;
	n->next = NULL;
	t->n_nodes--;
	for (unsigned i = 0; i < 2 * ROOMY; i++) {
		if (t->n_buckets > HTAB_SEG_BUCKETS && t->n_nodes < t->n_buckets / (2 * ROOMY))
			merge(t, a);
	}
}

void htab_replace(struct htab *t, struct hnode *n, struct hnode *to)
{
	struct hnode **at = bucket_head(t, bucket_of(t, n->hash));

	while (*at != n)
		at = &(*at)->next;
	to->hash = n->hash;
	to->next = n->next;
	*at = to;
}

struct hnode *htab_chain(const struct htab *t, uint32_t hash)
{
	return t->n_buckets ? *bucket_head(t, bucket_of(t, hash)) : NULL;
}

void htab_prefetch(const struct htab *t, uint32_t hash)
{
	if (t->n_buckets)
		prefetch(bucket_head(t, bucket_of(t, hash)));
}

struct hnode *htab_next(const struct htab *t, const struct hnode *prev)
{
	uint32_t b = prev ? bucket_of(t, prev->hash) + 1 : 0;

	if (prev && prev->next)
		return prev->next;
	for (; b < t->n_buckets; b++) {
		if (*bucket_head(t, b))
			return *bucket_head(t, b);
	}
	return NULL;
}
