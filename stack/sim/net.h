/* Networks in virtual time: what the parts of the network simulator share. See tapglass_sim.h. */
#ifndef TG_SIM_NET_H
#define TG_SIM_NET_H

#include "base/arena.h"
#include "base/list.h"
#include "base/siphash.h"
#include "tapglass_inspect.h"
#include "tapglass_sim.h"

#define NET_OUTAGES_MAX 8u
#define NET_PORT_FIRST  5001u /* flow i listens on this + i */

/* A packet on its way. Of TCP only the headers are kept: payload is zeros, and is written when it
 * arrives. */
struct net_pkt {
	struct list node;
	uint64_t due_ns;   /* at the far end */
	uint64_t enter_ns; /* into the queue */
	uint32_t bytes;    /* of the IP packet */
	uint32_t kept;     /* of them in data */
	bool csum_ok;      /* the transport's checksum was not computed */
	uint8_t data[];
};

/* CoDel, RFC 8289. */
struct net_codel {
	uint64_t first_above_ns, drop_next_ns;
	uint32_t count, last_count;
	bool dropping;
};

struct net_dir_config {
	uint64_t rate_bps, delay_ns, jitter_ns;
	uint32_t queue_pkts;
	bool codel, ecn;
	uint64_t target_ns, interval_ns;
	uint32_t loss_ppm, dup_ppm;
	/* Gilbert-Elliott: good to bad, bad to good, loss in bad, loss in good. */
	uint32_t ge_p_ppm, ge_r_ppm, ge_bad_ppm, ge_good_ppm;
	uint32_t reorder_ppm;
	uint64_t reorder_ns; /* so much later */
	uint32_t mtu;        /* bytes of an IP packet, 0: no limit */
	bool silent;         /* what is too big vanishes */
	uint32_t n_outages;
	struct {
		uint64_t from_ns, to_ns;
	} outage[NET_OUTAGES_MAX];
};

struct net_dir {
	struct net_dir_config c;
	uint16_t from, to; /* nodes */
	struct list queue; /* not yet begun to be sent */
	struct list line;  /* on the way, by due time */
	uint32_t queue_pkts;
	uint64_t queue_bytes;
	uint64_t free_ns; /* the sender has sent all that it began */
	uint64_t last_due_ns;
	bool bad; /* state of the loss model */
	struct net_codel codel;
	struct rng rng;
	uint64_t wait_sum_ns;
	struct tg_sim_link *out; /* counters */
};

struct net_node {
	char name[TG_SIM_NAME_BYTES];
	bool router;
	struct tg *s; /* NULL: a router */
	int netif;
	struct tg_ip ip;
	uint16_t via[TG_SIM_NODES_MAX]; /* direction towards each node; NET_NO_WAY: none */
	struct tg_config cfg;
	bool due; /* has had input or a call: to be stepped */
	struct net *net;
};
#define NET_NO_WAY UINT16_MAX

struct net_flow {
	uint16_t from, to; /* nodes */
	tg_sock listener, sender, receiver;
	uint64_t start_ns, stop_ns; /* no writing after stop */
	uint64_t asked_bytes, written_bytes;
	uint64_t chunk_bytes, every_ns; /* a write of so much each so often; 0: as much as goes */
	uint64_t next_ns;               /* next write, or the start */
	uint64_t allowed_bytes;         /* written_bytes may reach this */
	uint64_t measured_bytes;
	bool started, shut, done;
	struct tg_sim_flow *out;
};

enum net_quantity {
	NET_Q_GOODPUT,
	NET_Q_RETRANSMITS,
	NET_Q_TIMEOUTS,
	NET_Q_TIME,
	NET_Q_DELIVERED,
	NET_Q_ERROR,
	NET_Q_COMPLETE,
	NET_Q_JAIN,
	NET_Q_USED,
	NET_Q_DROPS,
	NET_Q_WAIT
};
enum net_compare { NET_EQ, NET_NE, NET_LT, NET_LE, NET_GT, NET_GE };

struct net_expect {
	uint32_t line;
	uint16_t flow, dir; /* whichever the quantity is of */
	uint8_t what;       /* enum net_quantity */
	uint8_t compare;    /* enum net_compare */
	uint64_t value;
};

struct net {
	struct arena *arena;
	struct tg_sim_report *r;
	uint64_t now_ns, end_ns;
	uint64_t from_ns, to_ns; /* measured */
	uint8_t seed[32];
	uint32_t n_nodes, n_dirs, n_flows, n_expects;
	struct net_node node[TG_SIM_NODES_MAX];
	struct net_dir dir[2 * TG_SIM_LINKS_MAX];
	struct net_flow flow[TG_SIM_FLOWS_MAX];
	struct net_expect expect[TG_SIM_EXPECT_MAX];
};

static inline bool net_measuring(const struct net *n)
{
	return n->now_ns >= n->from_ns && n->now_ns < n->to_ns;
}

/* net_parse.c: fills nodes, links, flows, expectations. False: r->error_line and message say why.
 */
bool net_parse(struct net *n, const struct tg_sim_options *o, const char *text, size_t bytes);

/* net_link.c. A frame that instance `from` transmits; a packet that a router passes on (taken). */
void net_transmit(struct net *n, struct net_dir *d, const struct tg_frame *f);
void net_forward(struct net *n, struct net_dir *d, struct net_pkt *k);
void net_dir_init(struct net *n, uint32_t i);
/* When it has something to do, and doing it: packets that arrive go to net_arrive. */
uint64_t net_dir_next(const struct net_dir *d);
void net_dir_run(struct net *n, struct net_dir *d);
void net_pkt_free(struct net *n, struct net_pkt *k);

/* net_codel.c: takes the packet to be sent next off the queue; drops and marks on the way. */
struct net_pkt *net_codel_pop(struct net *n, struct net_dir *d);
struct net_pkt *net_queue_pop(struct net_dir *d);
void net_codel_drop(struct net *n, struct net_dir *d, struct net_pkt *k);

/* net_node.c. False: memory is short. */
bool net_nodes_start(struct net *n, const struct tg_sim_options *o);
void net_arrive(struct net *n, uint32_t node, struct net_pkt *k);
void net_find_ways(struct net *n);

/* net_flow.c */
bool net_flows_start(struct net *n);
uint64_t net_flow_next(const struct net_flow *f);
void net_flow_run(struct net *n, struct net_flow *f);
void net_flow_event(struct net *n, uint32_t node, const struct tg_event *e);
void net_flow_finish(struct net *n, struct net_flow *f);

#endif
