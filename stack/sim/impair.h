/* The impairing device: one direction of a link that drops, duplicates, reorders, corrupts, delays
 * and throttles packets as `struct tg_impair` says, from a seed. Large frames are cut and checksums
 * completed before (sim/segment), packets leave it unverified, so that corruption is really caught.
 * With nothing to impair it is a plain queue that keeps large frames whole. Time is an argument;
 * memory comes from an arena and is bounded. */
#ifndef TG_SIM_IMPAIR_H
#define TG_SIM_IMPAIR_H

#include "base/arena.h"
#include "base/csum.h"
#include "base/list.h"
#include "base/siphash.h"
#include "tapglass_host.h"

/* A reordered packet lets 1 to 3 later ones pass, but waits at most so long past its own time. */
#define IMPAIR_REORDER_MAX     3u
#define IMPAIR_REORDER_HOLD_NS (5 * NS_PER_MS)
/* Packets held back for reordering at once; beyond it a packet keeps its place. */
#define IMPAIR_HELD_MAX 16u
/* Upper limit of queue_pkts. */
#define IMPAIR_QUEUE_MAX 100000u

/* A packet in the device. The taker frees it with impair_free. */
struct impair_pkt {
	struct list node;
	uint64_t due_ns;
	uint64_t order; /* counts entries of this direction */
	uint64_t tag; /* of the caller's: impair_put's first_tag + number of the packet in its frame
		       */
	uint32_t bytes;
	uint16_t gso_size; /* these three as in struct tg_pkt */
	uint8_t gso;
	uint8_t csum;
	uint8_t data[];
};

struct impair_config {
	struct tg_impair opt;
	uint8_t seed[32];
	uint32_t purpose; /* tells the generators of several directions with one seed apart */
	enum tg_link link;
	uint64_t latency_ns; /* added to every packet, impaired or not */
	uint64_t max_bytes;  /* of memory, everything held included; more is dropped */
	csum_fn *sum;        /* NULL: the portable one */
	/* May be NULL. Told of every decision, and of the tag of the packet. */
	void (*decided)(void *arg, enum tg_impair_what what, uint64_t tag, uint64_t now_ns);
	void *arg;
};

struct impair {
	struct impair_config c;
	struct arena *arena;
	struct rng rng;
	struct list line; /* struct impair_pkt by due time, which is also the order of leaving */
	struct impair_pkt *held[IMPAIR_HELD_MAX];
	uint8_t behind[IMPAIR_HELD_MAX]; /* later packets that held[i] still lets pass */
	uint32_t n_held, n_line;
	uint64_t last_due_ns;  /* nothing that keeps its place is due before */
	uint64_t link_free_ns; /* the throttle has sent all it took */
	uint64_t *departures;  /* ring of the times at which packets leave the throttle's queue */
	uint32_t dep_head, dep_count, dep_cap;
	uint64_t held_bytes, order;
	struct tg_impair_stats stats;
	bool active;
};

/* Puts m into its first state. The arena has to outlive it. False: the arena has no room for the
 * queue. */
bool impair_init(struct impair *m, struct arena *a, const struct impair_config *c);
/* Other impairments from now on; what is under way stays as it is. False: no room, nothing was
 * changed. */
bool impair_set(struct impair *m, const struct tg_impair *opt);
/* Frees all that it holds. */
void impair_fini(struct impair *m);

/* Takes a copy of frame f at now_ns (not before any earlier now_ns). Never busy: what it has no
 * room for is dropped and counted. */
void impair_put(struct impair *m, const struct tg_frame *f, uint64_t first_tag, uint64_t now_ns);
/* The next packet that is due at now_ns, or NULL. */
struct impair_pkt *impair_pop(struct impair *m, uint64_t now_ns);
void impair_free(struct impair *m, struct impair_pkt *k);
/* When the next packet is due, exactly; UINT64_MAX: it holds none. */
uint64_t impair_next(const struct impair *m);
/* Packets held, memory charged for them. */
uint32_t impair_count(const struct impair *m);

#endif
