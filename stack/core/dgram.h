/* The half of a datagram socket that knows no network layer: bounded queues of datagrams in both
 * directions, readiness, the pending error, options. UDP and raw sockets embed it.
 *
 * Queues are charged with the memory that a datagram takes, not with its bytes. A datagram is
 * copied into a record of its own size when that takes at most half of what its packet's block
 * takes, and always out of the reader's reserve; else the block is kept. */
#ifndef TG_DGRAM_H
#define TG_DGRAM_H

#include "core/core.h"

struct dgram {
	struct dgram *next;
	struct tg_pkt *p;     /* holds the bytes; NULL: they follow this record */
	const uint8_t *data;  /* info.bytes of them; sending: those that have not gone yet */
	uint32_t alloc_bytes; /* of this record */
	uint32_t charge_bytes;
	struct tg_dgram info; /* peer: sender or destination; bytes: the datagram's length; segment:
				 0, or what each of the datagrams in it holds */
};

/* How many datagrams of `segment` bytes (0: one of any size) `bytes` are. */
static inline uint32_t dgram_pieces(uint32_t bytes, uint32_t segment)
{
	return segment && bytes > segment ? (bytes - 1) / segment + 1 : 1;
}

struct dgram_queue {
	struct dgram *head, *tail;
	uint32_t count, charge_bytes, payload_bytes;
};

/* Embedded as the first member of a socket's record. */
struct dsock {
	struct endpoint e;
	struct sender x;
	struct dgram_queue rx, tx, errq;
	struct dgram *corked;       /* is being put together (TG_MSG_MORE); NULL: none */
	struct tg_addr local, peer; /* all zero: not bound, not connected */
	uint32_t rcvbuf_bytes, sndbuf_bytes;
	uint8_t ttl, tos;
	uint8_t pmtu;    /* enum tg_pmtu */
	uint8_t mc_ttl;  /* TG_IP_MULTICAST_TTL */
	bool mc_loop;    /* TG_IP_MULTICAST_LOOP */
	uint16_t mc_via; /* TG_IP_MULTICAST_IF */
	bool connected, shut_rd, shut_wr, broadcast, reuse, reuseport;
	bool recverr; /* ICMP errors go to errq */
	bool cork;    /* TG_UDP_CORK */
	/* Kept for who asks; they mean nothing here, as on Linux. */
	bool keepalive, oobinline;
	uint32_t rcvlowat;
	int64_t linger_ns;
	bool orphan; /* closed by the user; lives until its send queue is empty */
};

#define DSOCK_BUF_MIN 1152u /* bytes: the least that TG_SO_RCVBUF and TG_SO_SNDBUF set */
#define DSOCK_BUF_MAX (256u << 20)
#define DSOCK_ORPHANS 1024u /* closed sockets with datagrams to send, of UDP and of raw each */

void dsock_init(struct tg *s, struct dsock *d, enum tg_type type, enum sender_kind kind,
	uint16_t proto, uint64_t cookie);
/* Drops both queues, and takes the endpoint and the sender off every list. */
void dsock_fini(struct tg *s, struct dsock *d);
/* Drops one queue. */
void dgram_clear(struct tg *s, struct dgram_queue *q);

/* Computes the readiness anew and reports its edges. */
void dsock_update_level(struct tg *s, struct dsock *d);
/* Sets the pending error, a positive errno. */
void dsock_set_error(struct tg *s, struct dsock *d, int error);
/* An ICMP error about a datagram to `peer` that began with quote[0 .. bytes): queued if the user
 * wants it. What does not fit is lost, as on Linux. */
void dsock_queue_error(struct tg *s, struct dsock *d, const struct ip_error *e,
	const struct tg_addr *peer, const uint8_t *quote, uint32_t bytes);
/* Takes the pending error: 0 or negative errno. */
int dsock_take_error(struct tg *s, struct dsock *d);

/* Appends a received datagram, data[0 .. info->bytes). keep: the packet the bytes lie in, if the
 * socket may keep it: then *keep is NULL afterwards if it did; else keep is NULL. */
enum dsock_push { DSOCK_TAKEN, DSOCK_FULL, DSOCK_NO_MEMORY };
enum dsock_push dsock_receive(struct tg *s, struct dsock *d, const uint8_t *data,
	const struct tg_dgram *info, struct tg_pkt **keep);
/* Appends a copy of a datagram to be sent and asks for a turn. 0, -TG_EAGAIN, -TG_ENOMEM. */
int dsock_send(struct tg *s, struct dsock *d, const void *data, const struct tg_dgram *info);
/* Adds n bytes to the datagram that is being put together; the first call begins one, to be sent as
 * info says. If more is false, that was all of it: it is sent like by dsock_send. most: what a
 * datagram may hold. On -TG_EMSGSIZE, -TG_EAGAIN, -TG_ENOMEM nothing of it is left, as on Linux. */
int dsock_cork(struct tg *s, struct dsock *d, const void *data, size_t n, size_t most,
	const struct tg_dgram *info, bool more);
/* Sends what has been put together so far, if anything; or drops it. */
void dsock_uncork(struct tg *s, struct dsock *d);
void dsock_cork_drop(struct tg *s, struct dsock *d);
/* Flags and state that forbid sending: 0 or negative errno; takes a pending error.
 * State does not forbid to go on with a datagram that has been begun. */
int dsock_may_send(struct tg *s, struct dsock *d, unsigned flags);
/* TTL, TOS and interface of a datagram to info->peer: what `to` (NULL: nothing) says, else the
 * socket. */
void dsock_choose(
	const struct dsock *d, const struct tg_dgram *to, bool group, struct tg_dgram *info);
/* As tg_sock_recvfrom. */
int64_t dsock_recvfrom(
	struct tg *s, struct dsock *d, void *data, size_t n, unsigned flags, struct tg_dgram *from);
/* As tg_sock_shutdown. */
int dsock_shutdown(struct tg *s, struct dsock *d, int how);
int dsock_setopt(struct tg *s, struct dsock *d, enum tg_option opt, int64_t v);
int dsock_getopt(const struct dsock *d, enum tg_option opt, int64_t *v);
void dsock_row(const struct dsock *d, struct tg_sock_row *out);

/* A sender's turn: hands the queue's datagrams to emit, one after another, until the budget is used
 * up or emit says that the rest has to wait. t is an empty packet, for emit to fill and to send;
 * what is accepted of it goes off the datagram. */
enum tx_result dsock_turn(struct tg *s, struct dsock *d, uint32_t budget_bytes,
	enum tx_result (*emit)(struct tg *s, struct dsock *d, const struct dgram *m, struct tx *t));

#endif
