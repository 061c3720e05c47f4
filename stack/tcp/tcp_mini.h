/* Compact records: half-open connections and TIME-WAIT. The table of them is tcp_mini.c's; what
 * they mean is tcp_syn.c's and tcp_tw.c's. */
#ifndef TG_TCP_MINI_H
#define TG_TCP_MINI_H

#include "base/seq.h"
#include "ip/ip.h"

#define MINI_WS     0x01 /* window scaling agreed */
#define MINI_TS     0x02
#define MINI_SACK   0x04
#define MINI_RESENT 0x08 /* the SYN-ACK went out more than once: no RTT sample */
#define MINI_SLOT_SHIFT                                                                            \
	4 /* above: the quarter second in which a bare ACK was last answered, modulo 16 */

/* [4987 3.4] 60 bytes; with its 4-byte bucket 64. Indexes instead of pointers; 0 is none. */
struct tcp_mini {
	uint32_t chain, fifo_prev, fifo_next;
	uint8_t raddr[16];
	uint16_t rport, lport;
	uint16_t laddr; /* index of the local address (ip_addr_at) */
	uint8_t flags;  /* MINI_* */
	uint8_t queue;  /* FIFO it stands in: of a half-open one its retransmissions so far */
	uint32_t ts_recent;
	uint32_t deadline_ms; /* since the instance was made, modulo 2^32 */
	struct seq snd_nxt;   /* half-open: ISS */
	struct seq rcv_nxt;   /* half-open: IRS + 1 */
	union {
		struct {                  /* half-open */
			uint16_t mss;     /* peer's */
			uint8_t scales;   /* peer's shift, and ours in the upper half */
			uint8_t ecn;      /* the SYN was an ECN-setup one, and so is our answer */
			uint32_t sent_us; /* when the SYN-ACK last went out, modulo 2^32 */
		} syn;
		struct {              /* TIME-WAIT */
			uint16_t wnd; /* window field to send */
			uint16_t pad;
			uint32_t owner; /* handle index of the socket that is still open, 0 none */
		} tw;
	};
};

#define MINI_QUEUES 32u

static inline uint8_t mini_snd_wscale(const struct tcp_mini *m)
{
	return m->syn.scales & 15;
}
static inline uint8_t mini_rcv_wscale(const struct tcp_mini *m)
{
	return m->syn.scales >> 4;
}

struct mini_table {
	struct tcp_mini **page; /* of records; record i is page[i / per page][i % per page] */
	uint32_t **bucket;      /* pages of heads */
	uint32_t n_pages, page_cap, bucket_cap, n_buckets, n_used, n_made, free_head;
	uint32_t head[MINI_QUEUES], tail[MINI_QUEUES]; /* FIFOs by deadline */
	uint32_t in_use; /* a bit for each FIFO that holds something */
	bool keeps; /* a page of records stays when the last one goes, until mini_trim: a server's
		       half-open connections come and go one at a time */
};

struct mini_key {
	struct tg_ip raddr;
	uint16_t rport, lport, laddr;
};
struct tcp_mini *mini_find(
	const struct tg *s, const struct mini_table *t, const struct mini_key *k, uint32_t hash);
struct tcp_mini *mini_add(
	struct tg *s, struct mini_table *t, const struct mini_key *k, uint32_t hash);
/* hash: of its 4-tuple. */
void mini_del(struct tg *s, struct mini_table *t, struct tcp_mini *m, uint32_t hash);
/* Gives back the memory of a table without records. */
void mini_trim(struct tg *s, struct mini_table *t);
void mini_enqueue(
	struct tg *s, struct mini_table *t, struct tcp_mini *m, uint8_t queue, uint64_t after_ns);
struct tcp_mini *mini_first(const struct mini_table *t, uint8_t queue);
bool mini_due(const struct tg *s, const struct tcp_mini *m);
uint64_t mini_deadline_ns(const struct tg *s, const struct tcp_mini *m);
/* May m answer one more bare ACK or reset? One in a quarter of a second: two ends that disagree
 * would else answer one another for ever. */
bool mini_may_ack(const struct tg *s, struct tcp_mini *m);
uint32_t mini_hash(const struct tg *s, const struct tcp_mini *m);
struct tcp_mini *mini_at(const struct mini_table *t, uint32_t index); /* NULL: a free record */
uint32_t mini_index(const struct mini_table *t, const struct tcp_mini *m);

#endif
