/* A world for the simulator's tests: two or three hosts, wires between them, traffic and
 * invariants, all drawn from one seed and all in virtual time.
 *
 * The whole state of a run is `struct world` (no pointers to the outside but to the fixed memory of
 * its hosts and wires), the hosts' instances and the wires: three copies make a snapshot.
 * sim_plan.c draws what is to happen, sim_world.c makes it happen, sim_flow.c and sim_dgram.c are
 * the applications, sim_frame.c judges every frame on the wire by a parser of its own, sim_tcp.c
 * the segments in it, sim_check.c state, trace, counters and memory; sim_run.c runs a plan and
 * compares hashes. */
#ifndef TG_SIM_H
#define TG_SIM_H

#include <inttypes.h>
#include <stdio.h>

#include "base/base.h"
#include "sim/wire.h"
#include "tapglass_inspect.h"

#define SIM_HOSTS  3u
#define SIM_WIRES  2u
#define SIM_FLOWS  1000u
#define SIM_CONNS  8192u /* serial numbers of connections that the replay of states knows */
#define SIM_LISTEN 4u    /* listeners of a host: ports SIM_PORT and up */
#define SIM_PORT   1000u
#define SIM_BOUND  2000u /* ports that applications choose */
#define SIM_UDP    7000u
#define SIM_MINUTE (60 * NS_PER_SEC)

/* ---- Random numbers (splitmix64) ---- */

struct sim_rng {
	uint64_t v;
};

static inline uint64_t sim_mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}
static inline uint64_t sim_u64(struct sim_rng *r)
{
	return sim_mix(r->v += 0x9e3779b97f4a7c15ull);
}
/* In [0, n), n > 0. */
static inline uint32_t sim_below(struct sim_rng *r, uint32_t n)
{
	return (uint32_t)((sim_u64(r) >> 32) * n >> 32);
}
static inline uint32_t sim_between(struct sim_rng *r, uint32_t lo, uint32_t hi)
{
	return lo + sim_below(r, hi - lo + 1);
}
static inline bool sim_chance(struct sim_rng *r, uint32_t percent)
{
	return sim_below(r, 100) < percent;
}

/* ---- The plan: everything that a run depends on ---- */

enum finish {
	FINISH_SHUTDOWN, /* SHUT_WR after the last byte, reads to the end, closes */
	FINISH_LAST,     /* closes when it has read the end of the peer's stream */
	FINISH_EARLY,    /* closes after its last byte, whatever the peer still has to say */
	FINISH_ABORT,    /* aborts after so many bytes */
	FINISH_RESET     /* linger 0 */
};

enum open_kind { OPEN_LISTENER, OPEN_CROSSING, OPEN_REFUSED };

struct end_plan {
	uint64_t key; /* of the bytes that this end sends */
	uint32_t bytes;
	uint32_t write_max, read_max; /* bytes a call */
	uint32_t pause_bytes; /* 0: never; else after so many bytes read it sleeps pause_ns */
	uint32_t pauses;      /* at most so many times; 0: no limit */
	uint64_t pause_ns, think_ns; /* think: between writes */
	uint32_t abort_bytes;
	uint64_t impatient_ns;    /* closes or aborts if it is not connected by then; 0: waits */
	uint64_t max_rate;        /* TG_SO_MAX_PACING_RATE, 0: none; of end 0 */
	uint64_t user_timeout_ns; /* 0: the configuration's R2 */
	uint8_t finish, in_place; /* bit 0: writes, bit 1: reads with spans; bit 2: peeks first */
	uint8_t cc;               /* enum tg_cc, TG_CC_COUNT: the host's; of end 0 */
	bool nodelay, more, keepalive, close_together;
};

struct flow_plan {
	uint64_t start_ns;
	uint16_t port; /* of end 0; 0: an ephemeral one */
	uint8_t kind, host[2], listener;
	struct end_plan end[2];
};

struct host_plan {
	struct tg_config cfg;
	uint32_t mtu, caps;
	bool announce;
	uint32_t backlog;
	uint64_t accept_pause_ns;
	uint64_t fail_from_ns, fail_until_ns; /* memory failures ordered; 0: none */
	uint32_t fail_countdown, fail_period;
	uint64_t close_listener_ns, reopen_listener_ns; /* listener 0; 0: never */
	uint32_t udp_count, ping_count, udp_max;
	uint64_t udp_gap_ns, ping_gap_ns;
	uint32_t udp_cut_percent; /* of the datagrams go several in one call */
	bool udp_gro;             /* and may be received so */
};

struct wire_plan {
	struct tg_impair impair[2];
	uint64_t latency_ns;
	uint32_t mtu;                         /* longer packets vanish */
	bool frag_needed;                     /* or are answered by ICMP */
	uint64_t dark_from_ns, dark_until_ns; /* everything is lost; 0: never */
	uint32_t storm_ppm;                   /* loss instead of darkness, 0: all */
};

struct plan {
	uint64_t seed;
	uint32_t n_hosts, n_flows;
	bool lossy; /* something may be lost: ARP may fail, a SYN may time out */
	bool very_lossy;
	bool batch; /* all that is due is delivered before a step, or one frame at a time */
	bool memory_fails;
	uint64_t snapshot_event; /* 0: none */
	struct host_plan host[SIM_HOSTS];
	struct wire_plan wire[SIM_WIRES];
	struct flow_plan flow[SIM_FLOWS];
};

/* Draws the plan of a seed. */
void plan_draw(struct plan *p, uint64_t seed);
/* What plan_draw starts from: two hosts, a clean wire, everything as tg_config_default has it. */
void plan_default(struct plan *p, uint64_t seed);
/* One more flow, end 0 on host a opening to listener 0 of host b, with so many bytes each way. */
struct flow_plan *plan_add_flow(
	struct plan *p, unsigned a, unsigned b, uint32_t a_bytes, uint32_t b_bytes);

/* ---- The world ---- */

/* One direction of a flow as seen on the wire. */
struct seg_track {
	bool syn, fin, acked, syn_wscale, rst, syn_sack, syn_ts;
	uint8_t wscale;
	uint16_t mss;
	uint32_t iss, end_max, ack_max, edge_max, fin_seq;
	bool again; /* an old SYN has begun another connection after this end's had ended */
};

enum end_state { END_IDLE, END_WAITING, END_CONNECTING, END_OPEN, END_DONE };

struct flow_end {
	tg_sock k;
	struct sim_rng rng;
	uint64_t wake_ns; /* NEVER_NS: only events wake it */
	uint32_t sent, received, paused_at, pauses;
	int error;
	uint16_t port;
	uint8_t host, state;
	bool can_read, can_write, shut, eof, cut; /* cut: it closed before all was sent */
	bool have_edge;
	uint32_t edge;          /* RCV.NXT + RCV.WND as last seen in its status */
	struct seg_track track; /* what it sent */
};

struct flow {
	struct flow_end end[2];
	bool started, done;
	bool disturbed; /* by an application, a listener or an ordered failure: need not be
			   delivered */
	uint64_t started_ns, disturbed_ns, done_ns;
	uint32_t next; /* with the same port of end 0: index + 1 */
};

struct listener {
	tg_sock k;
	uint64_t wake_ns;
	bool can_accept;
};

struct host {
	struct tg *s;
	unsigned netif[SIM_WIRES];
	struct listener listener[SIM_LISTEN];
	tg_sock udp, raw;
	bool udp_readable, raw_readable, failing;
	uint32_t udp_sent, udp_received, pings_sent, pings_answered;
	uint64_t udp_next_ns, ping_next_ns;
	uint64_t trace_cursor, emitted_frames;
	int64_t curr_estab;  /* by replay of the trace */
	uint64_t base_bytes; /* of memory in use after set-up, what is kept for reuse deducted */
	uint8_t conn_state[SIM_CONNS];
};

struct world {
	struct plan plan;
	struct host host[SIM_HOSTS];
	struct wire *wire[SIM_WIRES];
	uint64_t wire_sent[SIM_WIRES][2];
	struct flow flow[SIM_FLOWS];
	uint16_t port_flow[SIM_HOSTS][65536]; /* newest flow whose end 0 has that port: index + 1 */
	uint32_t n_done, n_started, check_at, check_edge_at;
	uint64_t now_ns, events, same_time, progress_ns, hash;
	bool failed, draining, verbose, dark[SIM_WIRES];
	char why[400];
};

extern struct world *sim;

/* Who else wants to know: each frame handed to a wire, each trace record. NULL: nobody. */
struct sim_watch {
	void (*frame)(unsigned host, unsigned wire, const struct tg_frame *f);
	void (*record)(unsigned host, const struct tg_trace *t);
};
extern struct sim_watch sim_watch;

/* The run fails; the first reason counts. */
void sim_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define SIM_CHECK(e)                                                                               \
	do {                                                                                       \
		if (!(e))                                                                          \
			sim_fail("%s:%d: %s", __FILE__, __LINE__, #e);                             \
	} while (0)

void sim_hash(const void *data, size_t n);
static inline void sim_progress(void)
{
	sim->progress_ns = sim->now_ns;
}
static inline struct tg_ip host_ip(unsigned host, unsigned wire)
{
	return tg_ip4(10, 0, (uint8_t)wire, (uint8_t)(host + 1));
}
/* The wire that joins two hosts. */
static inline unsigned wire_of(unsigned a, unsigned b)
{
	return (a > b ? a : b) - 1;
}
/* Writes, or compares with, bytes [at, at + n) of the stream with that key. */
void stream_fill(uint64_t key, uint64_t at, uint8_t *out, uint32_t n);
bool stream_equal(uint64_t key, uint64_t at, const uint8_t *data, uint32_t n);

/* sim_world.c */
bool world_begin(const struct plan *p, bool verbose);
/* If not NULL, called with each instance that world_begin makes, before anything is done to it. */
extern void (*world_created)(unsigned host, struct tg *s);
/* One event. False: there is nothing more to do, or the run failed. */
bool world_event(void);
void world_finish(void);
bool world_save(void);
void world_restore(void);

/* sim_flow.c */
void flow_start(uint32_t i);
void flow_event(uint32_t i, unsigned end, unsigned events);
void flow_wake(uint32_t i, unsigned end);
/* Something that excuses the flow from being delivered has happened. */
void flow_disturb(uint32_t i);
/* And it ends now. */
void flow_give_up(uint32_t i);
void flow_check_done(uint32_t i);
/* Its passive end is socket k. */
void flow_accepted(uint32_t i, tg_sock k);
uint64_t flows_next_ns(void);
void flows_run(void);

/* sim_listen.c */
void listener_open(unsigned host, unsigned which);
void listener_close(unsigned host, unsigned which);
void listener_event(unsigned host, unsigned which);
uint64_t listeners_next_ns(void);
void listeners_run(void);

/* sim_dgram.c */
void dgram_open(unsigned host);
void dgram_close(unsigned host);
void dgram_event(unsigned host, bool raw);
uint64_t dgram_next_ns(void);
void dgram_run(void);

/* sim_frame.c, sim_tcp.c */
void frame_seen(unsigned host, unsigned wire, const struct tg_frame *f);
struct seen_ip {
	unsigned host, peer; /* peer SIM_HOSTS: not a host of the world */
	uint32_t mtu, gso_size;
	bool ect; /* ECT(0) */
	const uint8_t *l4;
	uint32_t l4_bytes;
};
void segment_seen(const struct seen_ip *ip);

/* sim_check.c */
void check_trace(unsigned host);
void check_counters(unsigned host);
/* All events have been taken: what is ready has been told. */
void check_edges(void);
void check_some_sockets(uint32_t how_many);
void check_end(void);
/* What the runs of this process came across, as comments. */
void check_print_coverage(void);
uint64_t memory_in_use(unsigned host);
bool sockets_left(unsigned host);

/* sim_run.c */
enum run_mode { RUN_ONCE, RUN_TWICE, RUN_SNAPSHOT, RUN_FAST_PATH };
/* Runs p and compares hashes as the mode says. False: failed; why and how to repeat it were printed
 * to out. *hash gets that of the first run. */
bool run_plan(
	const struct plan *p, enum run_mode mode, bool verbose, const char *repeat, uint64_t *hash);

#endif
