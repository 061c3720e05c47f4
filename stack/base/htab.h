/* Hash table by linear hashing: chains of intrusive nodes, grown and shrunk by one bucket at a
 * time, so that no insertion ever pays for a rehash, at a million entries either. The caller hashes
 * (SipHash, keyed) and compares. Iteration order is a function of the hashes and of the order of
 * calls, never of addresses. */
#ifndef TG_HTAB_H
#define TG_HTAB_H

#include "base/arena.h"

struct hnode {
	struct hnode *next;
	uint32_t hash;
};

#define HTAB_SEG_BUCKETS 512u /* one 4 KiB page of bucket heads */

struct htab {
	struct hnode ***dir; /* segments of bucket heads */
	uint32_t dir_cap;    /* entries in dir */
	uint32_t n_buckets;  /* in use; a bucket count between two powers of two is ordinary */
	uint32_t n_nodes;
};

/* No memory is taken until the first insertion. */
void htab_init(struct htab *t);
/* Frees the table's own memory; the nodes are the caller's. */
void htab_free(struct htab *t, struct arena *a);
/* False when there is no memory for the first bucket; later growth that fails only makes the chains
 * longer. n->hash is set by the caller. */
bool htab_insert(struct htab *t, struct arena *a, struct hnode *n);
void htab_remove(struct htab *t, struct arena *a, struct hnode *n);
/* `to` takes the place of n, with n's hash. */
void htab_replace(struct htab *t, struct hnode *n, struct hnode *to);
/* Head of the chain that may hold `hash`; follow ->next and compare hash and key. */
struct hnode *htab_chain(const struct htab *t, uint32_t hash);
/* Has the processor fetch the head of that chain. */
void htab_prefetch(const struct htab *t, uint32_t hash);
/* Every node once, in bucket order: pass NULL first, then the last one returned. O(1) amortised.
 * The table must not change in between. */
struct hnode *htab_next(const struct htab *t, const struct hnode *prev);

#endif
