/* The instance: everything that belongs to no single protocol. Time, keys, memory, network
 * interfaces, packets, the events of sockets, the queue of senders, the trace and the counters.
 *
 * Protocols hang themselves in: an EtherType handler each for ARP and IPv4, one `struct transport`
 * for each of TCP, UDP and raw, so that everything calls downwards only. */
#ifndef TG_CORE_H
#define TG_CORE_H

#include "base/arena.h"
#include "base/csum.h"
#include "base/htab.h"
#include "base/list.h"
#include "base/siphash.h"
#include "base/wheel.h"
#include "tapglass.h"
#include "tapglass_inspect.h"
#include "tapglass_journal.h"
#include "wire/eth.h"

#define CORE_NETIFS_MAX   8u
#define CORE_CTLQ_MAX     512u       /* control frames waiting per interface */
#define CORE_STEP_BYTES   (2u << 20) /* what one tg_step sends at most before it returns */
#define CORE_TURN_BYTES   131072u    /* what one sender sends in a turn of the round robin */
#define CORE_RESERVE_PKTS 3u         /* large blocks that only reading may use */
#define CORE_CTLQ_BYTES   (4u << 20) /* memory of control frames waiting per interface */
#define CORE_LOQ_MAX      1024u      /* loopback frames between two steps */
#define CORE_LOQ_BYTES    (4u << 20)
#define CORE_TRACE_MAX    16384u /* records of the trace ring at most */
#define CORE_NETIF_NONE   0xffffu
#define CORE_SHARE_MAX    64u  /* instances with the same addresses */
#define CORE_PASSQ_MAX    256u /* frames for the others of them, between two steps */
#define CORE_PASSQ_BYTES  (8u << 20)

/* Purposes of keys derived from the seed. */
enum key_purpose {
	KEY_RNG,
	KEY_DEMUX,
	KEY_ISN,
	KEY_PORT,
	KEY_TS,
	KEY_IPID,
	KEY_ARP,
	KEY_UDP,
	KEY_COOKIE
};

/* ---- Timers ---------------------------------------------------------------------------------- */

/* A timer of a module: the owner embeds it and gets it back when it fires. The function is found by
 * `kind` in the instance's table, so that records stay small and free of code addresses. */
struct timer {
	struct wheel_node w;
	uint32_t kind; /* enum timer_kind */
};
enum timer_kind {
	TIMER_TCP_CONN,
	TIMER_TCP_SYN,
	TIMER_TCP_TW,
	TIMER_ARP,
	TIMER_REASM,
	TIMER_IP_ADDR, /* announcements */
	TIMER_IP_PMTU, /* learnt path MTUs run out */
	TIMER_KINDS
};

/* ---- Senders: who has something to send ------------------------------------------------------ */

enum tx_result {
	TX_OK,     /* taken */
	TX_MORE,   /* turn used up, there is more */
	TX_BUSY,   /* the device is busy: nothing (more) was taken, ask again later */
	TX_WAIT,   /* parked until the next hop's address is known */
	TX_DROPPED /* not sent and never will be: no route, too big ... (see tx->error) */
};

enum sender_kind { SENDER_TCP, SENDER_UDP, SENDER_RAW, SENDER_KINDS };

/* Embedded in whoever sends. On s->senders (or a busy interface's list) while it has something to
 * send, on a neighbour's list while it is parked, else on none. */
struct sender {
	struct list node;
	uint8_t kind;
	bool queued; /* on s->senders or on an interface's list of blocked senders */
};

/* ---- Endpoints: what the user holds ---------------------------------------------------------- */

/* The user's side of a socket of any transport, first member of its record. */
struct endpoint {
	struct list evq; /* on s->events while pending != 0 */
	uint64_t cookie;
	uint32_t index, gen; /* of the handle; index 0: no handle (never had one, or closed) */
	uint8_t type;        /* enum tg_type */
	uint8_t level;       /* TG_IN ... as last computed */
	uint8_t pending;     /* edges not yet reported */
	bool each;           /* TG_SO_EVENT_EACH */
	int16_t error;       /* pending error, a positive errno; 0 none */
	uint16_t proto;      /* the owner's */
};

/* Handles: a table of 16-byte slots in pages. */
struct handle_table {
	struct handle_slot **dir; /* pages of slots */
	uint32_t dir_cap, n_slots, free_head, n_used;
};

/* Gives e a handle; 0 or -TG_EMFILE, -TG_ENOMEM. */
int handle_open(struct tg *s, struct endpoint *e, tg_sock *out);
void handle_close(struct tg *s, struct endpoint *e);
/* e's record has moved to `to`, which is a copy of it. */
void handle_move(struct tg *s, struct endpoint *e, struct endpoint *to);
/* NULL if stale. */
struct endpoint *handle_find(const struct tg *s, tg_sock k);
static inline tg_sock handle_of(const struct endpoint *e)
{
	return e->index ? (tg_sock)e->gen << 32 | e->index : 0;
}
/* Has the processor fetch the slot of e's handle. */
void handle_prefetch(const struct tg *s, const struct endpoint *e);
/* Endpoint with the lowest index >= from, or NULL: for tables. */
struct endpoint *handle_next(const struct tg *s, uint32_t from);

void endpoint_init(struct endpoint *e, enum tg_type type, uint64_t cookie);
/* The readiness of e is now `level`: queues an event for bits that rose from 0 to 1. */
void endpoint_set_level(struct tg *s, struct endpoint *e, unsigned level);
/* There is more of what the bits of the level say: an event all the same, if the user asked for
 * that (TG_SO_EVENT_EACH). */
void endpoint_again(struct tg *s, struct endpoint *e, unsigned bits);
/* Takes e off the event queue (before its memory goes). */
void endpoint_fini(struct endpoint *e);

/* ---- Packets on their way up ----------------------------------------------------------------- */

#define PKT_RESERVE 0x01 /* from the reader's reserve: must not be kept past tg_input */
#define PKT_GROUP   0x02 /* link destination was a group address */
#define PKT_BCAST   0x04 /* link destination was the broadcast address */

/* What a transport gets to know about the network layer; it never sees an IP header. */
struct ip_info {
	struct tg_ip src, dst;
	uint32_t pseudo_sum; /* partial checksum of the pseudo-header, the length included */
	uint16_t netif;
	uint8_t ttl, tos, proto;
	bool group; /* dst is a broadcast or multicast address, or the link's was */
};

/* An ICMP error about something that we sent: the quoted addresses in our orientation. */
struct ip_error {
	struct tg_ip local, remote; /* quoted source and destination */
	const uint8_t *quote;       /* transport header as quoted, at least 8 bytes */
	uint32_t quote_bytes;
	const uint8_t *datagram; /* the same from its IP header on */
	uint32_t datagram_bytes;
	uint8_t proto; /* of the quote */
	int error; /* positive errno: TG_ECONNREFUSED, TG_EHOSTUNREACH, TG_ENETUNREACH, TG_EMSGSIZE,
		      TG_EPROTO ... */
	bool hard; /* protocol or port unreachable [9293 SHLD-26] */
	bool fatal;   /* what Linux tells a connected datagram socket of unasked */
	uint16_t mtu; /* fragmentation needed: next hop's MTU, 0 unknown; else 0 */
	uint8_t icmp_type, icmp_code;
	struct tg_ip from; /* who sent the ICMP message */
};

struct transport {
	uint8_t proto; /* IP protocol number */
	/* Takes p: p->data at the transport header, p->len its bytes. Ends in pkt_deliver, pkt_drop
	 * or keeping it after pkt_delivered. */
	void (*input)(struct tg *s, struct tg_pkt *p, const struct ip_info *i);
	/* Returns false when no live flow matches the quote. */
	bool (*error)(struct tg *s, const struct ip_error *e);
	/* Is there a connection here, or a connected socket, that p belongs to, and no other? NULL:
	 * there never is. p as for input, unchecked. */
	bool (*claims)(struct tg *s, const struct tg_pkt *p, const struct ip_info *i);
};

/* ---- Packets on their way down --------------------------------------------------------------- */

#define TX_HEAD_BYTES 192u
#define TX_BODY_SPANS 4u

/* One packet (or super-frame) on its way from a transport to the device; lives on the caller's
 * stack. The transport writes its header at head + off, len head_bytes; layers below prepend
 * theirs. */
struct tx {
	uint8_t head[TX_HEAD_BYTES];
	/* Not beside head_bytes: stored one by one and loaded as a pair they would be waited for.
	 */
	uint16_t off;
	uint16_t l4_off; /* where the transport header begins in head */
	uint16_t head_bytes;
	uint16_t csum_offset; /* of the checksum field within the transport header */
	struct tg_span body[TX_BODY_SPANS];
	uint32_t n_body, body_bytes;
	uint16_t gso_size; /* 0: one packet */
	uint8_t gso;       /* enum tg_gso */
	bool csum; /* transport checksum to be completed: the field is to get the pseudo-header's
		      sum, then the device or core/gso does the rest. ip_output fills that sum in.
		    */
	uint32_t accepted; /* out: payload bytes that went, with TX_OK (all of them unless a device
			      without offloads became busy between segments) */
	int error;         /* out, with TX_DROPPED: positive errno */
};

static inline void tx_init(struct tx *t)
{
	t->off = 96; /* room for link and network headers */
	t->head_bytes = 0;
	t->l4_off = 96;
	t->csum_offset = 0;
	t->n_body = 0;
	t->body_bytes = 0;
	t->gso_size = 0;
	t->gso = TG_GSO_NONE;
	t->csum = false;
	t->accepted = 0;
	t->error = 0;
}
static inline uint8_t *tx_prepend(struct tx *t, uint32_t n)
{
	t->off = (uint16_t)(t->off - n);
	t->head_bytes = (uint16_t)(t->head_bytes + n);
	return t->head + t->off;
}
static inline void tx_add_body(struct tx *t, const void *base, uint32_t len)
{
	t->body[t->n_body++] = (struct tg_span){base, len};
	t->body_bytes += len;
}

/* ---- Network interfaces ---------------------------------------------------------------------- */

struct netif {
	struct tg_netif_config c;
	uint16_t index;
	bool used, loopback;
	bool busy; /* transmit returned false during the last step: stays until the next one begins
		    */
	struct tg_pkt *ctl_head,
		*ctl_tail; /* frames complete from the link header on, waiting for tg_step */
	uint32_t ctl_count, ctl_bytes;
	struct tg_pkt *pass_head, *pass_tail; /* frames for other instances, for whom: mark */
	uint32_t pass_count, pass_bytes;
	struct list blocked; /* struct sender: met the device busy, oldest first */
};

/* ---- The instance ---------------------------------------------------------------------------- */

enum core_verdict { VERDICT_OPEN, VERDICT_DELIVERED, VERDICT_DROPPED };

struct tg {
	struct arena *arena;
	struct tg_config cfg;
	uint64_t now_ns;     /* of the call in progress */
	uint64_t frame;      /* number of the last frame received */
	uint64_t cur_frame;  /* of the frame being processed, 0 outside tg_input */
	uint8_t verdict;     /* of the frame in process: enum core_verdict */
	uint16_t cur_frames; /* how many of the wire it is: see tg_pkt.merged */
	uint32_t conn_serial;
	struct rng rng;
	csum_fn *csum;

	bool many; /* cfg.tcp.many_conns are reached: see tcp/tcp_ahead.c */

	struct wheel wheel;
	void (*timer_fn[TIMER_KINDS])(struct tg *s, struct timer *t);
	/* Has the processor fetch what that will need. NULL: nothing worth it. */
	void (*timer_ahead_fn[TIMER_KINDS])(const struct timer *t);

	struct list senders; /* struct sender: have something to send */
	enum tx_result (*sender_fn[SENDER_KINDS])(
		struct tg *s, struct sender *x, uint32_t budget_bytes);

	struct list events; /* struct endpoint with pending edges */
	struct handle_table handles;

	struct netif netif[CORE_NETIFS_MAX];
	uint32_t n_netifs;
	uint32_t busy_netif; /* that made the sender's turn in progress end in TX_BUSY, or
				CORE_NETIF_NONE */
	struct tg_pkt *lo_head, *lo_tail; /* loopback frames to be received by the next step */
	uint32_t lo_count, lo_bytes;
	struct tg_pkt *reserve; /* CORE_RESERVE_PKTS large blocks */
	struct tg_pkt *warm;    /* the large block freed last, for the next frame; NULL: in use */

	void (*ip4_input)(struct tg *s, struct netif *n, struct tg_pkt *p);
	void (*arp_input)(struct tg *s, struct netif *n, struct tg_pkt *p);
	/* Raw sockets get their copy of every datagram first: see raw_input in raw/raw.h. NULL:
	 * there are none. */
	bool (*raw_input)(struct tg *s, const struct tg_pkt *p, const struct ip_info *i);
	/* Tells them of an ICMP error; false: it concerns none. NULL: there are none. */
	bool (*raw_error)(struct tg *s, const struct ip_error *e);
	const struct transport *transports[8];
	uint32_t n_transports;

	/* The modules' own state, allocated by their init functions. */
	struct ip_state *ip;
	struct tcp_state *tcp;
	struct udp_state *udp;
	struct raw_state *raw;

	struct tg_recorder *recorder; /* writes the journal; NULL: nobody does */
	struct rule_book *rules;      /* rules gone through; NULL: nobody asks (core/rule.h) */

	struct tg_counters counters;
	struct tg_trace *trace; /* ring of cfg.trace_records, NULL: off */
	uint64_t trace_head;    /* records written since creation */
};

/* core.c */
/* An instance without any protocol: memory, keys, timers, interface 0 (loopback, no address yet).
 * NULL as tg_create. */
struct tg *core_create(
	const struct tg_config *c, void *mem, size_t reserved_bytes, uint64_t now_ns);
static inline void *core_alloc(struct tg *s, size_t n)
{
	return arena_alloc(s->arena, n);
}
static inline void core_free(struct tg *s, void *p, size_t n)
{
	arena_free(s->arena, p, n);
}
/* Time ends here, after 292 years: what lies beyond counts as this, so that there is always room
 * for a deadline that has not been reached. */
#define CORE_TIME_MAX_NS (1ull << 63)
/* Every call of the user's that brings the time enters through here: time never goes backwards. */
static inline void core_enter(struct tg *s, uint64_t now_ns)
{
	s->now_ns = max_u64(s->now_ns, min_u64(now_ns, CORE_TIME_MAX_NS));
}
/* The key of one purpose, derived from the seed; keep it, deriving takes time. */
struct sipkey core_key(const struct tg *s, enum key_purpose purpose);
/* Registers t (static) under its protocol number. 0, -TG_EEXIST, -TG_ENOMEM (table full). */
int core_add_transport(struct tg *s, const struct transport *t);
const struct transport *core_find_transport(const struct tg *s, uint8_t proto);

/* Arms or re-arms t: s->timer_fn[t->kind] is called once, by the first tg_step at or after
 * deadline_ns. */
void timer_init(struct timer *t, enum timer_kind kind);
void timer_arm(struct tg *s, struct timer *t, uint64_t deadline_ns);
void timer_stop(struct tg *s, struct timer *t);

/* x has something to send: it gets a turn in the next tg_step. Takes it off a neighbour's list;
 * keeps its place if it waits for its turn already. May be called from within x's own turn.
 *
 * A turn ends with TX_MORE: x goes to the end of the queue; TX_BUSY (as netif_transmit said): it
 * waits at the head until the device takes frames again; TX_WAIT: the network layer parked it;
 * TX_OK, TX_DROPPED: it has nothing (more) to send, and may have been freed. */
void sender_ready(struct tg *s, struct sender *x);
void sender_init(struct sender *x, enum sender_kind kind);
void sender_stop(struct sender *x);

/* pkt.c: verdicts. Each received frame ends in exactly one of these. Outside of tg_input pkt_drop
 * counts as a discard. What was kept from an earlier frame never gets a second verdict: pkt_discard
 * or tg_pkt_free. */
void pkt_drop(struct tg *s, struct tg_pkt *p, enum tg_drop why); /* frees p (may be NULL) */
/* The same; returns the trace record for details to be added (flags, seq, ack, len, conn, ports),
 * NULL without a trace. */
struct tg_trace *pkt_drop_record(struct tg *s, struct tg_pkt *p, enum tg_drop why);
void pkt_deliver(struct tg *s, struct tg_pkt *p); /* counts as delivered, frees p */
void pkt_delivered(struct tg *s);                 /* counts as delivered, p was kept */
/* Not a verdict: something that was held, or was to be sent, comes to nothing. Counted in discards,
 * traced. Frees p (may be NULL). */
void pkt_discard(struct tg *s, struct tg_pkt *p, enum tg_drop why);
/* Moves p's data pointer n bytes up. */
static inline void pkt_pull(struct tg_pkt *p, uint32_t n)
{
	p->data += n;
	p->len -= n;
}
/* Frames of the wire that p was made of. */
static inline uint32_t pkt_frames(const struct tg_pkt *p)
{
	return p->merged > 1 ? p->merged : 1;
}
/* Bytes of memory that p takes: what a queue is charged. */
static inline uint32_t pkt_charge(const struct tg_pkt *p)
{
	return p->room + (uint32_t)sizeof(struct tg_pkt);
}
static inline uint32_t pkt_tailroom(const struct tg_pkt *p)
{
	return p->room - (uint32_t)(p->data - (const uint8_t *)(p + 1)) - p->len;
}
/* A packet that may be kept: never from the reserve. bytes up to TG_PKT_LARGE. NULL: no memory. */
struct tg_pkt *pkt_alloc(struct tg *s, uint32_t bytes);
/* p, fit to be kept: itself, or a copy (with csum, gso and frame) if it is of the reserve or wastes
 * a large block on what a small one holds. Takes p. NULL: no memory, p was freed. p->net is not
 * carried over into a copy. */
struct tg_pkt *pkt_keep(struct tg *s, struct tg_pkt *p);

/* record.c: to the recorder, if there is one. */
void record_call(struct tg *s, const struct tg_record *r);
/* Of a frame handed to another instance, as journals have it. */
uint64_t record_pass_hash(const struct tg_pkt *p);
/* Names p in a journal: where it lies. */
static inline uint64_t record_pkt_id(const struct tg *s, const struct tg_pkt *p)
{
	return p ? (uint64_t)((uintptr_t)p - (uintptr_t)s) : 0;
}

/* netif.c */
/* Sends t, complete from the link header on, now: software segmentation and checksums as the device
 * needs. Only during tg_step. */
enum tx_result netif_transmit(struct tg *s, struct netif *n, struct tx *t);
/* Queues a control frame (complete from the link header on, checksums included, a contiguous
 * block), taken. It goes out by the next tg_step before any data; on the loopback interface it is
 * received by the next tg_step. False: queue full or no memory, p was freed and counted as
 * TG_DROP_IP_QUEUE_FULL or TG_DROP_NO_MEMORY in discards. */
bool netif_queue(struct tg *s, struct netif *n, struct tg_pkt *p);

/* pass.c: p, whole from the link header on, is for another instance that shares our addresses (or,
 * a copy of it, TG_PASS_ALL): queued for the next tg_step. Takes p. False: there is no room, and p
 * is gone; counted as a discard. */
bool netif_pass(struct tg *s, struct netif *n, struct tg_pkt *p, unsigned to);
/* Is the ephemeral port one that this instance may choose? */
static inline bool core_port_is_own(const struct tg *s, uint16_t port)
{
	return port % s->cfg.share.count == s->cfg.share.index;
}

/* gso.c: completes the transport checksum of t (pseudo-header's sum in the field, gso_size 0) in
 * software; t->csum is false after it. For who copies t into a control frame. */
void tx_finish_csum(struct tg *s, struct tx *t);

/* The calls themselves, as tapglass.h describes them: sock/boundary.c has the public functions. */
void core_input(struct tg *s, unsigned netif, struct tg_pkt *p, uint64_t now_ns);
void core_step(struct tg *s, uint64_t now_ns);
int netif_add(struct tg *s, const struct tg_netif_config *c, uint64_t now_ns);
bool core_event(struct tg *s, struct tg_event *out);

/* trace.c: a record to fill in, time, frame and kind set; NULL when the trace is off. */
struct tg_trace *trace_add(struct tg *s, enum tg_trace_kind kind);

#endif
