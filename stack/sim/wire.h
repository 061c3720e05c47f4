/* A virtual Ethernet (or plain IP) wire between two instances, in virtual time: what one end
 * transmits is input to the other when it is due. In each direction stands an impairing device
 * (sim/impair); where that has nothing to do, large frames pass whole.
 *
 * Use, with t the world's time:
 *
 *	w = wire_create(mem, WIRE_MEM_BYTES, &cfg);
 *	struct tg_netif_config c = {.name = "eth0", .mac = ..., .mtu = 1500};
 *	wire_netif_config(w, 0, &c);			// link, caps, transmit, dev
 *	wire_attach(w, 0, a, (unsigned)tg_netif_add(a, &c, t));	// the same with end 1 and b
 *	for (;;) {
 *		wire_set_now(w, t);
 *		tg_step(a, t);
 *		tg_step(b, t);
 *		t = min(tg_next_deadline(a), tg_next_deadline(b), wire_next_deadline(w));
 *		wire_run(w, t);				// then tg_step both again
 *	}
 *
 * All its state, itself included, lies in the memory given: a snapshot of that (wire_snapshot_*)
 *and of both instances is a snapshot of the world. Everything depends on the arguments alone. */
#ifndef TG_SIM_WIRE_H
#define TG_SIM_WIRE_H

#include "sim/impair.h"

struct wire;

/* Memory that serves well: page-aligned, zero, reserved rather than committed. At least
 * WIRE_MEM_MIN_BYTES. */
#define WIRE_MEM_BYTES     (64u << 20)
#define WIRE_MEM_MIN_BYTES (8u << 20)
/* An unimpaired direction holds so many frames; then transmit says busy. */
#define WIRE_QUEUE_FRAMES 256u

/* What happens on the wire at one end. from_end: transmitted by it, else delivered to it. f is
 * valid during the call; delivered packets have n_spans 1. tag: the same for all copies of one
 * packet (of a large frame: that of its first packet). */
typedef void wire_observe_fn(void *arg, unsigned end, bool from_end, const struct tg_frame *f,
	uint64_t tag, uint64_t now_ns);

struct wire_config {
	enum tg_link link;
	uint32_t caps;    /* TG_CAP_*: what both ends may leave to the wire */
	uint32_t mtu;     /* longer IP packets vanish (a black hole); 0: no limit */
	bool frag_needed; /* they are answered by ICMP, from their destination's address [1191 4] */
	uint64_t latency_ns;        /* of every frame, in addition to the impairments */
	struct tg_impair impair[2]; /* [e]: what end e transmits */
	uint8_t seed[32];
	csum_fn *sum;             /* NULL: the portable one */
	wire_observe_fn *observe; /* may be NULL, like the next */
	void (*decided)(void *arg, unsigned from_end, enum tg_impair_what what, uint64_t tag,
		uint64_t now_ns);
	void *arg; /* of both */
};
/* Ethernet, all offloads, no limit, no latency, no impairments, a seed of zeros. */
void wire_config_default(struct wire_config *c);

/* NULL: too little memory. There is nothing to destroy; the memory is the caller's. */
struct wire *wire_create(void *mem, size_t bytes, const struct wire_config *c);

/* Fills link, caps, transmit and dev for the instance at `end` (0 or 1). */
void wire_netif_config(struct wire *w, unsigned end, struct tg_netif_config *c);
/* Instance s is at `end` and knows it as interface netif; s NULL: unplugged. What arrives for an
 * end without an instance is lost and counted. */
void wire_attach(struct wire *w, unsigned end, struct tg *s, unsigned netif);

/* The time of transmissions from now on: before every tg_step of either end. Never goes back. */
void wire_set_now(struct wire *w, uint64_t now_ns);
/* When the next frame is due, exactly; UINT64_MAX: none. */
uint64_t wire_next_deadline(const struct wire *w);
/* Delivers the frame that is due first, of either direction, if it is due at now_ns; sets *end (may
 * be NULL) to the end that got it. False: none is due. */
bool wire_deliver_one(struct wire *w, uint64_t now_ns, unsigned *end);
/* Delivers all frames that are due at now_ns, in order; returns how many. */
uint32_t wire_run(struct wire *w, uint64_t now_ns);
/* True once after a transmission of `end` was refused and there is room again: tg_step it. */
bool wire_take_writable(struct wire *w, unsigned end);

/* Frames held, both directions. */
uint32_t wire_in_flight(const struct wire *w);
struct wire_stats {
	uint64_t sent;      /* frames that this end transmitted, large ones counting as one */
	uint64_t delivered; /* packets that were input at the other end */
	uint64_t busy;      /* transmissions refused */
	uint64_t oversize;  /* packets longer than the MTU */
	uint64_t no_memory; /* the receiving instance was out of packets */
	uint64_t unplugged; /* nobody there */
	struct tg_impair_stats impair;
};
/* Of what end transmitted. */
void wire_get_stats(const struct wire *w, unsigned from_end, struct wire_stats *out);
/* Replaces the impairments of what `end` transmits; packets under way stay as they are. */
bool wire_set_impair(struct wire *w, unsigned from_end, const struct tg_impair *i);

size_t wire_snapshot_bytes(const struct wire *w);
size_t wire_snapshot_save(const struct wire *w, void *buf, size_t cap);
bool wire_snapshot_restore(struct wire *w, const void *buf, size_t bytes);

#endif
