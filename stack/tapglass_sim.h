/* Whole networks in virtual time: hosts that each run an instance, routers, links with rates,
 * queues and losses, and flows of TCP over them, described by a text. The same text gives the same
 * figures, bit for bit. No operating system, no allocation: the caller gives memory and text.
 * tests/sim/net/README.md describes the language. */
#ifndef TAPGLASS_SIM_H
#define TAPGLASS_SIM_H

#include "tapglass.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TG_SIM_NAME_BYTES 16u
#define TG_SIM_NODES_MAX  64u
#define TG_SIM_LINKS_MAX  64u
#define TG_SIM_FLOWS_MAX  256u
#define TG_SIM_EXPECT_MAX 64u

/* One flow: bytes from a to b over one connection. Rates over the time measured, the rest over its
 * whole life. */
struct tg_sim_flow {
	char name[TG_SIM_NAME_BYTES];
	const char *cc;            /* congestion control of its sender */
	uint64_t start_ns, end_ns; /* end: the last octet was read, or it failed; UINT64_MAX: not
				      ended */
	uint64_t asked_bytes;      /* UINT64_MAX: as many as go */
	uint64_t delivered_bytes;  /* read at b */
	uint64_t goodput_bps;      /* bits a second */
	uint64_t srtt_ns, min_rtt_ns;
	uint32_t cwnd_bytes; /* at the end */
	uint32_t segs_out, retransmits, timeouts;
	int error;     /* positive errno that ended it, 0 none */
	bool complete; /* everything asked for was read, then the end of the stream */
};

/* One direction of a link. Counters over the time measured. */
struct tg_sim_link {
	char from[TG_SIM_NAME_BYTES], to[TG_SIM_NAME_BYTES];
	uint64_t rate_bps;            /* 0 unlimited */
	uint64_t packets, bytes;      /* left the queue */
	uint64_t queue_drops, losses; /* by a full queue or CoDel; by the loss model or an outage */
	uint64_t marks, too_big;
	uint64_t queue_max_bytes;
	uint64_t wait_max_ns, wait_mean_ns; /* in the queue */
	uint32_t used_ppm;                  /* of its rate; 0 if unlimited */
};

enum tg_sim_verdict {
	TG_SIM_OK,
	TG_SIM_FAILED, /* an expectation does not hold */
	TG_SIM_ERROR   /* the text is not understood, or memory is short */
};

struct tg_sim_expect {
	uint32_t line;
	bool holds;
	uint64_t got; /* the value found, in bits a second, ns, bytes, ppm */
};

struct tg_sim_report {
	uint32_t n_flows, n_links, n_expects; /* links: two for each */
	struct tg_sim_flow flow[TG_SIM_FLOWS_MAX];
	struct tg_sim_link link[2 * TG_SIM_LINKS_MAX];
	struct tg_sim_expect expect[TG_SIM_EXPECT_MAX];
	uint64_t from_ns, to_ns; /* the time measured */
	uint64_t end_ns;         /* when it was over */
	uint64_t steps;          /* turns of the clock */
	uint32_t jain_ppm;       /* Jain's index of the flows' goodputs */
	uint32_t error_line;     /* of an error */
	char message[160];
};

struct tg_sim_options {
	/* Page-aligned, zero, reserved rather than committed; cut into equal parts for the hosts
	 * and the network. Some 100 MiB a host do for ordinary networks, four times what is in
	 * flight for fast and long ones. Left as the run left it. */
	void *mem;
	size_t mem_bytes;
	const char *cc; /* congestion control of hosts that name none; NULL: the default */
	uint64_t seed;  /* where the text names none */
};

/* Runs the network that text describes. The verdict; *r is filled in. */
TG_API enum tg_sim_verdict tg_sim_run(
	const struct tg_sim_options *o, const char *text, size_t n, struct tg_sim_report *r);

#ifdef __cplusplus
}
#endif
#endif
