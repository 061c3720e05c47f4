/* The core interface of Tapglass: an instance, its network interfaces, sockets and events.
 *
 * The core never blocks, does no I/O, reads no clock and has no globals: time is an argument
 * (monotonic nanoseconds), memory is given at creation, frames go in through tg_input and come out
 * through a device's transmit function, called from tg_step alone. The same calls with the same
 * arguments give the same bytes. One thread at a time may be inside an instance.
 *
 * Results are 0 or more for success and negative error numbers (-TG_EAGAIN ...) with Linux's
 * values. */
#ifndef TAPGLASS_H
#define TAPGLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tapglass_config.h"

#if defined(__GNUC__)
#define TG_API __attribute__((visibility("default")))
#else
#define TG_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct tg;

/* ---- Errors: Linux's numbers (checked against the host's in port/) ------------------------- */

enum tg_errno {
	TG_EPERM = 1,
	TG_ENOENT = 2,
	TG_EBADF = 9,
	TG_EAGAIN = 11,
	TG_ENOMEM = 12,
	TG_EACCES = 13,
	TG_EFAULT = 14,
	TG_EBUSY = 16,
	TG_EEXIST = 17,
	TG_ENODEV = 19,
	TG_EINVAL = 22,
	TG_EMFILE = 24,
	TG_ENOTTY = 25,
	TG_EPIPE = 32,
	TG_EDOM = 33,
	TG_ENOTSOCK = 88,
	TG_EDESTADDRREQ = 89,
	TG_EMSGSIZE = 90,
	TG_EPROTOTYPE = 91,
	TG_ENOPROTOOPT = 92,
	TG_EPROTONOSUPPORT = 93,
	TG_ESOCKTNOSUPPORT = 94,
	TG_EOPNOTSUPP = 95,
	TG_EAFNOSUPPORT = 97,
	TG_EADDRINUSE = 98,
	TG_EADDRNOTAVAIL = 99,
	TG_ENETDOWN = 100,
	TG_ENETUNREACH = 101,
	TG_ECONNABORTED = 103,
	TG_ECONNRESET = 104,
	TG_ENOBUFS = 105,
	TG_EISCONN = 106,
	TG_ENOTCONN = 107,
	TG_ETIMEDOUT = 110,
	TG_ECONNREFUSED = 111,
	TG_EHOSTUNREACH = 113,
	TG_EALREADY = 114,
	TG_EINPROGRESS = 115,
	TG_EPROTO = 71
};

/* ---- Addresses ------------------------------------------------------------------------------ */

/* 16 opaque bytes; IPv4 as ::ffff:a.b.c.d. All zero: any address. */
struct tg_ip {
	uint8_t b[16];
};
struct tg_addr {
	struct tg_ip ip;
	uint16_t port; /* host order */
};

static inline struct tg_ip tg_ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct tg_ip){{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}};
}
/* v: IPv4 address in host order. */
static inline struct tg_ip tg_ip4_of(uint32_t v)
{
	return tg_ip4((uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v);
}
/* The IPv4 address in host order; 0 for "any". */
static inline uint32_t tg_ip4_value(const struct tg_ip *ip)
{
	return (uint32_t)ip->b[12] << 24 | (uint32_t)ip->b[13] << 16 | (uint32_t)ip->b[14] << 8 |
	       ip->b[15];
}
/* Parses dotted decimal; false if it is not exactly that. */
TG_API bool tg_ip_parse(const char *text, struct tg_ip *out);
/* Writes "a.b.c.d" (at most 16 bytes with the NUL) and returns buf. */
TG_API char *tg_ip_format(const struct tg_ip *ip, char buf[16]);

/* ---- Instance ------------------------------------------------------------------------------- */

/* "cubic", "reno"; NULL from TG_CC_COUNT on. */
TG_API const char *tg_cc_name(unsigned cc);

TG_API void tg_config_default(struct tg_config *c);

/* Makes an instance in [mem, mem + reserved_bytes): page-aligned, zero, exclusively its own and
 * untouched by others until it is done with; the caller frees it, which is all it takes to destroy
 * the instance. 8 MiB do for a small one. The configuration is copied. A loopback interface "lo"
 * with 127.0.0.1/8 is interface 0. NULL: too little memory, or impossible values in the
 * configuration. */
TG_API struct tg *tg_create(
	const struct tg_config *c, void *mem, size_t reserved_bytes, uint64_t now_ns);

/* ---- Devices -------------------------------------------------------------------------------- */

#define TG_CAP_CSUM 0x1 /* completes TCP and UDP checksums in frames it sends */
#define TG_CAP_TSO4 0x2 /* cuts TCP over IPv4 to gso_size */
#define TG_CAP_USO4 0x4 /* cuts UDP over IPv4 to gso_size */
/* Besides TG_CAP_TSO4: takes TCP over IPv4 in frames whose IP packet has up to TG_BIG_BYTES. One of
 * more than 65,535 has a total length of 0 in its header: what the frame has is meant (BIG TCP). */
#define TG_CAP_BIG4  0x8
#define TG_BIG_BYTES 196608u

enum tg_link { TG_LINK_ETHERNET, TG_LINK_IP };

enum tg_gso { TG_GSO_NONE, TG_GSO_TCP4, TG_GSO_UDP4 };

struct tg_span {
	const void *base;
	uint32_t len;
};
#define TG_FRAME_SPANS 6u

/* A frame on its way out; everything in it is valid during the call only. */
struct tg_frame {
	struct tg_span span[TG_FRAME_SPANS];
	uint32_t n_spans;
	uint32_t bytes;     /* sum of the spans */
	uint16_t hdr_bytes; /* link, IP and transport headers, all within span[0] */
	uint16_t gso_size;  /* payload bytes a segment, with gso != NONE */
	uint8_t gso;        /* enum tg_gso */
	bool csum_partial;  /* complete it: sum from csum_start to the end, store at csum_start +
			       csum_offset,  where the pseudo-header's sum already is */
	uint16_t csum_start, csum_offset; /* bytes from the start of the frame */
};

struct tg_pkt;
#define TG_PASS_ALL 0xffu

struct tg_netif_config {
	char name[16];
	enum tg_link link;
	uint8_t mac[6];
	uint32_t mtu;  /* bytes of an IP packet, 68 to 65,535 */
	uint32_t caps; /* TG_CAP_* */
	/* Sends a frame, during tg_step only. False: busy, nothing was taken; it is offered again
	 * by a later tg_step, to be called when the device is writable. */
	bool (*transmit)(void *dev, const struct tg_frame *f);
	void *dev;
	bool announce; /* send ARP announcements for addresses added (RFC 5227 2.3) */
	/* Hands a received frame to instance `to` of those that share the addresses (TG_PASS_ALL:
	 * to each of the others), whose device copies it into a packet for tg_input: bytes, gso,
	 * gso_size, csum and passed. During tg_step only, p is valid during the call. False: no
	 * room, it is dropped. NULL: nothing is passed on. */
	bool (*pass)(void *dev, unsigned to, const struct tg_pkt *p);
};

/* Index (1 and up), or -TG_EINVAL, -TG_ENOMEM, -TG_EEXIST (name taken). */
TG_API int tg_netif_add(struct tg *s, const struct tg_netif_config *c, uint64_t now_ns);
/* Adds an address with its on-link prefix (and the route to it). -TG_EINVAL, -TG_EEXIST,
 * -TG_ENOMEM, -TG_ENODEV. */
TG_API int tg_addr_add(
	struct tg *s, unsigned netif, const struct tg_ip *ip, unsigned prefix_len, uint64_t now_ns);
/* Route to dest/prefix_len through gateway (NULL: on link). Longest prefix wins, then lowest
 * metric. */
TG_API int tg_route_add(struct tg *s, const struct tg_ip *dest, unsigned prefix_len,
	const struct tg_ip *gateway, unsigned netif, unsigned metric, uint64_t now_ns);
TG_API int tg_route_del(struct tg *s, const struct tg_ip *dest, unsigned prefix_len,
	const struct tg_ip *gateway, unsigned netif, uint64_t now_ns);

/* ---- Received packets ------------------------------------------------------------------------ */

enum tg_csum { TG_CSUM_UNKNOWN, TG_CSUM_VALID, TG_CSUM_PARTIAL };

/* A received frame: one contiguous block of the instance's memory. The device fills in what stands
 * above the line. */
struct tg_pkt {
	uint8_t *data;     /* first byte of the frame; may be moved up within the block */
	uint32_t len;      /* bytes of the frame */
	uint16_t gso_size; /* not 0: several segments in one, of so much payload each */
	uint8_t gso;       /* enum tg_gso */
	uint8_t csum;      /* enum tg_csum, of the transport's checksum */
	uint16_t merged;   /* not 0: its reader made it of so many frames of the wire, each of
			    * gso_size but the last; they are counted and traced one by one */
	/* ---- */
	uint16_t pad16;      /* private */
	uint32_t room;       /* bytes from tg_pkt_block() to the end of the block */
	uint64_t frame;      /* private */
	struct tg_pkt *next; /* private */
	uint8_t *net;        /* private */
	uint32_t mark;       /* private */
	uint8_t flags;       /* private */
	uint8_t passed;      /* as `pass` had it; 0: from the link itself */
	uint8_t pad[10];     /* private */
};
/* Room for a frame in the two kinds of blocks, bytes. */
#define TG_PKT_SMALL (2048u - (uint32_t)sizeof(struct tg_pkt))
#define TG_PKT_LARGE (69632u - (uint32_t)sizeof(struct tg_pkt))

/* A packet with room for bytes (at most TG_PKT_LARGE), data at the start of its room, len 0. When
 * memory is short it comes from a reserve that the core never keeps past tg_input, so that reading
 * goes on. NULL only if that is out as well. */
TG_API struct tg_pkt *tg_pkt_alloc(struct tg *s, uint32_t bytes);
TG_API void tg_pkt_free(struct tg *s, struct tg_pkt *p);
static inline uint8_t *tg_pkt_block(struct tg_pkt *p)
{
	return (uint8_t *)(p + 1);
}

/* A frame has arrived on a network interface. Takes p, whatever comes of it. */
TG_API void tg_input(struct tg *s, unsigned netif, struct tg_pkt *p, uint64_t now_ns);
/* Fetching ahead: these packets will be input next, in this order. Has the processor fetch what
 * tg_input will need of their connections, for all of them at the same time; with very many
 * connections, which no cache holds, that is most of what input takes. A hint: nothing of the
 * instance or of the packets changes, whatever they are. */
TG_API void tg_input_ahead(const struct tg *s, unsigned netif, struct tg_pkt *const *p, unsigned n);
/* How many packets are worth gathering for that, if so many have come already: no packet gains by
 * waiting. 1: as things are, none. */
TG_API unsigned tg_input_ahead_max(const struct tg *s);
/* Runs due timers, delivers loopback frames, then sends what is to be sent, up to a budget: ask
 * tg_next_deadline afterwards. The only function that calls transmit. */
TG_API void tg_step(struct tg *s, uint64_t now_ns);
/* When tg_step has to be called next, ns: a time not after now if there is work at once, UINT64_MAX
 * if only input or a call can bring work. May be early, never late. What a busy device holds up
 * does not count. */
TG_API uint64_t tg_next_deadline(const struct tg *s);

/* ---- Sockets --------------------------------------------------------------------------------- */

/* Index and generation; 0 is never one. A stale one gives -TG_EBADF. */
typedef uint64_t tg_sock;

enum tg_type { TG_STREAM = 1, TG_DGRAM = 2, TG_RAW = 3 };

#define TG_IN    0x01 /* receive, accept or end of stream would not block */
#define TG_PRI   0x02 /* urgent data */
#define TG_OUT   0x04 /* send would not block */
#define TG_ERR   0x08 /* an error waits (tg_error) */
#define TG_HUP   0x10 /* both directions are shut */
#define TG_RDHUP 0x20 /* the peer will send no more */

#define TG_SHUT_RD   0
#define TG_SHUT_WR   1
#define TG_SHUT_RDWR 2

/* A new socket. protocol: 0, or of a raw socket the IP protocol. cookie comes back in events.
 * -TG_EMFILE (max_sockets), -TG_ENOMEM, -TG_EPROTONOSUPPORT. */
TG_API int tg_sock_open(
	struct tg *s, enum tg_type type, int protocol, uint64_t cookie, tg_sock *out);
/* -TG_EADDRINUSE, -TG_EADDRNOTAVAIL, -TG_EINVAL (bound already). Port 0: an ephemeral one. */
TG_API int tg_sock_bind(struct tg *s, tg_sock k, const struct tg_addr *a);
/* Passive OPEN. Binds to an ephemeral port if need be. Called again it sets the backlog.
 * -TG_EADDRINUSE, -TG_EINVAL (connected), -TG_EOPNOTSUPP. */
TG_API int tg_sock_listen(struct tg *s, tg_sock k, uint32_t backlog, uint64_t now_ns);
/* Active OPEN: -TG_EINPROGRESS, then TG_OUT (or TG_ERR). Of a datagram socket: sets (a->ip any:
 * clears) the peer, 0. -TG_EALREADY, -TG_EISCONN, -TG_ENETUNREACH, -TG_EADDRNOTAVAIL (ports used
 * up), -TG_EACCES (broadcast), -TG_EINVAL, -TG_ENOMEM. */
TG_API int tg_sock_connect(struct tg *s, tg_sock k, const struct tg_addr *peer, uint64_t now_ns);
/* Takes an established connection off the accept queue. -TG_EAGAIN, -TG_EINVAL (no listener). */
TG_API int tg_sock_accept(struct tg *s, tg_sock k, uint64_t cookie, tg_sock *out, uint64_t now_ns);

/* Streams: queues up to n bytes; returns how many, -TG_EAGAIN (buffer full), -TG_EPIPE (shut),
 * -TG_ENOTCONN, -TG_ENOMEM, or the pending error (ECONNRESET, ETIMEDOUT ...). Connected
 * datagram sockets: one datagram, whole or -TG_EMSGSIZE. flags: TG_MSG_*. */
TG_API int64_t tg_sock_send(
	struct tg *s, tg_sock k, const void *data, size_t n, unsigned flags, uint64_t now_ns);
/* Streams: takes up to n bytes; 0 is the end of the stream. Datagrams: as tg_sock_recvfrom.
 * -TG_EAGAIN, -TG_ENOTCONN, or the pending error. */
TG_API int64_t tg_sock_recv(
	struct tg *s, tg_sock k, void *data, size_t n, unsigned flags, uint64_t now_ns);
#define TG_MSG_OOB      0x01u
#define TG_MSG_PEEK     0x02u
#define TG_MSG_TRUNC    0x20u   /* return the datagram's real length */
#define TG_MSG_ERRQUEUE 0x2000u /* datagrams: take from the queue of errors, see tg_dgram */
#define TG_MSG_MORE     0x8000u /* more will follow at once: hold back a partial segment */

/* Writing in place: up to two spans behind what is queued; returns their number, the room is at
 * most the free send buffer. -TG_EAGAIN and the errors of tg_sock_send. Nothing is sent before
 * tg_sock_commit(n). */
struct tg_mspan {
	void *base;
	uint32_t len;
};
TG_API int tg_sock_reserve(struct tg *s, tg_sock k, size_t want, struct tg_mspan out[2]);
TG_API int tg_sock_commit(struct tg *s, tg_sock k, size_t n, unsigned flags, uint64_t now_ns);
/* Reading in place: spans of received bytes in order, at most max of them; returns their number, 0
 * at the end of the stream, -TG_EAGAIN and the errors of tg_sock_recv. Valid until
 * tg_sock_consume(n) takes n bytes off, or the next tg_sock_recv or tg_sock_close of this socket,
 * tg_input or tg_step.
 */
TG_API int tg_sock_peek(struct tg *s, tg_sock k, struct tg_span *out, unsigned max);
TG_API int tg_sock_consume(struct tg *s, tg_sock k, size_t n, uint64_t now_ns);

/* What a datagram carries besides its bytes. */
struct tg_dgram {
	struct tg_addr peer; /* sender (receiving), destination (sending) */
	struct tg_ip local;  /* destination it was sent to; sending: source, or any */
	uint16_t netif;      /* arrived on */
	uint16_t via;        /* sending: 1 + interface to leave through; 0: as routed */
	uint8_t ttl, tos;    /* received; sending: 0 = the socket's */
	int32_t segment;     /* sending: as TG_UDP_SEGMENT, 0 = the socket's, -1 = one datagram;
				received: as TG_UDP_GRO says */
	uint32_t bytes;      /* real length, which may exceed what was returned */
	bool broadcast;      /* arrived by broadcast or multicast */
	/* Of the queue of errors: what ICMP said about a datagram sent to peer, whose beginning is
	 * the data. */
	int16_t error; /* positive errno */
	uint8_t icmp_type, icmp_code;
	uint16_t mtu;          /* with TG_EMSGSIZE */
	struct tg_ip offender; /* who said so */
};
/* -TG_EMSGSIZE (also: a piece that the path does not carry), -TG_EAGAIN (send queue full),
 * -TG_EDESTADDRREQ, -TG_EISCONN never (as Linux), -TG_EACCES (broadcast without TG_SO_BROADCAST),
 * -TG_ENETUNREACH, -TG_EINVAL (also: more than TG_UDP_PIECES pieces), -TG_ENOMEM, or the pending
 * error. */
TG_API int64_t tg_sock_sendto(struct tg *s, tg_sock k, const void *data, size_t n, unsigned flags,
	const struct tg_dgram *to, uint64_t now_ns);
/* Returns the bytes copied (at most n; the rest of the datagram is gone, from->bytes tells),
 * -TG_EAGAIN or the pending error. from may be NULL. */
TG_API int64_t tg_sock_recvfrom(struct tg *s, tg_sock k, void *data, size_t n, unsigned flags,
	struct tg_dgram *from, uint64_t now_ns);

/* SHUT_WR sends FIN behind what is queued. -TG_ENOTCONN, -TG_EINVAL. */
TG_API int tg_sock_shutdown(struct tg *s, tg_sock k, int how, uint64_t now_ns);
/* CLOSE (RFC 9293 3.10.4): the handle is gone at once; queued data and FIN are still delivered,
 * unless unread data makes it a reset [9293 SHLD-3] or TG_SO_LINGER is 0. -TG_EBADF. */
TG_API int tg_sock_close(struct tg *s, tg_sock k, uint64_t now_ns);
/* ABORT (RFC 9293 3.10.5): RST, everything dropped, handle gone. */
TG_API int tg_sock_abort(struct tg *s, tg_sock k, uint64_t now_ns);

/* Options: integers; times in ns. */
enum tg_option {
	TG_SO_ERROR, /* get: the pending error (positive), cleared */
	TG_SO_REUSEADDR,
	TG_SO_BROADCAST,
	TG_SO_KEEPALIVE,
	TG_SO_SNDBUF,
	TG_SO_RCVBUF,
	TG_SO_LINGER, /* ns; -1: off; 0: close is abort */
	TG_SO_RCVLOWAT,
	TG_TCP_NODELAY,
	TG_TCP_CORK,
	TG_TCP_MAXSEG,
	TG_TCP_QUICKACK,
	TG_TCP_KEEPIDLE,
	TG_TCP_KEEPINTVL,
	TG_TCP_KEEPCNT,
	TG_TCP_USER_TIMEOUT, /* ns; 0: the configuration's R2 [9293 MUST-21] */
	TG_IP_TTL,
	TG_IP_TOS,
	TG_SO_INQ,
	TG_SO_OUTQ, /* get: bytes readable; bytes not acknowledged */
	TG_SO_TYPE,
	TG_SO_ACCEPTCONN,
	TG_TCP_USER_COOKIE, /* the cookie of events */
	TG_SO_REUSEPORT,    /* several sockets on one address and port: spread by a hash */
	TG_SO_OOBINLINE,    /* urgent octets stay in the stream; else one is taken by TG_MSG_OOB */
	TG_SO_ATMARK,       /* get: what is read next is the urgent octet */
	TG_SO_BOUND,        /* get: the port was chosen by tg_sock_bind */
	TG_TCP_CONGESTION,  /* enum tg_cc */
	TG_SO_MAX_PACING_RATE, /* bytes a second, of text; 0: no cap */
	TG_TCP_DEFER_ACCEPT,   /* ns; of a listener: accept waits so long for the first octets */
	TG_IP_HDRINCL,         /* raw: what is sent begins with the IP header */
	TG_IP_RECVERR,      /* datagrams: ICMP errors are queued for TG_MSG_ERRQUEUE; streams: all
			       are told at once */
	TG_IP_MTU_DISCOVER, /* enum tg_pmtu */
	TG_IP_MTU,          /* get: of the path to the peer, bytes; -TG_ENOTCONN without one */
	TG_SO_EVENT_EACH,   /* an event also for what arrives while there is some unread already */
	TG_UDP_CORK,        /* what is sent is put together in one datagram until this is off */
	/* Of what datagram sockets send to groups. Groups are not joined: nothing is received from
	 * them but what is sent to all hosts, 224.0.0.1. */
	TG_IP_MULTICAST_TTL,  /* 1 unless set; 0: does not leave this host */
	TG_IP_MULTICAST_LOOP, /* 1 unless set: this host's own sockets get it as well */
	TG_IP_MULTICAST_IF,   /* 1 + interface to leave through; 0: as routed */
	/* Text not sent yet, bytes, from which on send takes none but what fills up the last
	 * segment; TG_OUT means less than half of it. 0: the configuration's. As Linux's
	 * TCP_NOTSENT_LOWAT: what is queued late is fresh, and still in the cache when it goes. */
	TG_TCP_NOTSENT_LOWAT,
	/* Bytes, 0 to 65,535: what is sent goes as datagrams of so much each, the last one of the
	 * rest, each of them with the addresses, TTL and TOS of all. They are never fragmented. 0:
	 * one datagram. */
	TG_UDP_SEGMENT,
	/* What the device received as several datagrams of one flow in one is read in one call;
	 * tg_dgram.segment is what each of them holds, the last one the rest. 0: one datagram. */
	TG_UDP_GRO
};
#define TG_UDP_PIECES 128u /* that one call sends by TG_UDP_SEGMENT */

/* What DF is for [1191 3]; Linux's numbers. */
enum tg_pmtu {
	TG_PMTU_DONT,      /* never set: routers fragment */
	TG_PMTU_WANT,      /* set on what fits the path; a larger datagram is fragmented here */
	TG_PMTU_DO,        /* always set: a larger datagram is refused, -TG_EMSGSIZE */
	TG_PMTU_PROBE,     /* always set, the interface's MTU counts, not what was learnt */
	TG_PMTU_INTERFACE, /* never set; the interface's MTU counts, larger is refused */
	TG_PMTU_OMIT       /* never set; the interface's MTU counts, larger is fragmented */
};
/* -TG_ENOPROTOOPT, -TG_EINVAL. */
TG_API int tg_sock_setopt(
	struct tg *s, tg_sock k, enum tg_option opt, int64_t value, uint64_t now_ns);
TG_API int tg_sock_getopt(struct tg *s, tg_sock k, enum tg_option opt, int64_t *value);
/* -TG_ENOTCONN. */
TG_API int tg_sock_peer_addr(const struct tg *s, tg_sock k, struct tg_addr *out);
TG_API int tg_sock_local_addr(const struct tg *s, tg_sock k, struct tg_addr *out);

/* What a sender waits for. */
enum tg_wait {
	TG_WAIT_APP,    /* for the user: all that was given is sent */
	TG_WAIT_CWND,   /* congestion control [5681-1] */
	TG_WAIT_RWND,   /* the peer's window, or enough of it [9293 MUST-38] */
	TG_WAIT_NAGLE,  /* for a full segment, or for an ACK; TG_TCP_CORK is such a wait too */
	TG_WAIT_PACING, /* for its time */
	TG_WAIT_NONE    /* for nothing: its turn, the device, the neighbour's address */
};

/* STATUS (RFC 9293 3.10.6). */
struct tg_tcp_info {
	uint8_t state; /* enum tg_state of tapglass_inspect.h */
	uint8_t rcv_wscale, snd_wscale;
	bool ts, sack, wscale, in_recovery, in_loss;
	bool in_cwr;        /* cwnd was reduced for a congestion mark on what is in flight */
	bool ecn, ecn_seen; /* agreed; text came with ECT or CE [3168] */
	bool disorder;      /* duplicates or SACK blocks, but no recovery yet */
	uint8_t backoff, probes;
	uint32_t conn; /* serial number, as in the trace */
	uint32_t iss, snd_una, snd_nxt, snd_wnd, irs, rcv_nxt, rcv_wnd;
	uint32_t mss_snd, mss_rcv, pmtu;
	uint32_t cwnd_bytes, ssthresh_bytes, flight_bytes;
	uint64_t rto_ns, srtt_ns, rttvar_ns, min_rtt_ns;
	uint32_t unsent_bytes, unacked_bytes, unread_bytes;
	uint32_t sacked_bytes, lost_bytes, retrans_bytes; /* of what is in flight */
	uint64_t bytes_sent, bytes_acked, bytes_received, bytes_retrans;
	uint32_t segs_out, segs_in, retransmits, dsack_dups;
	uint32_t sacked_segs;
	uint32_t reordering_segs, reord_seen; /* furthest overtaking seen, 3 at least; how often */
	uint8_t reo_wnd_mult;                 /* of RACK, in quarters of the least RTT [8985 5.3] */
	bool probing;                         /* a tail loss probe is unanswered */
	uint64_t rexmit_deadline_ns;          /* UINT64_MAX: not armed */
	uint64_t pacing_rate, max_pacing_rate; /* bytes a second; 0: none */
	uint8_t cc;                            /* enum tg_cc */
	uint8_t waits;                         /* enum tg_wait */
};
/* -TG_EOPNOTSUPP for other than streams. */
TG_API int tg_tcp_status(const struct tg *s, tg_sock k, struct tg_tcp_info *out);

/* ---- Events ---------------------------------------------------------------------------------- */

struct tg_event {
	tg_sock sock;
	uint64_t cookie;
	/* TG_IN ... that rose from 0 to 1 since the last event of this socket; with
	 * TG_SO_EVENT_EACH, also those of which there is more now. */
	unsigned events;
};
/* Takes the next event; false: none. Edges: read, write or accept until -TG_EAGAIN, or ask
 * tg_sock_ready. */
TG_API bool tg_event(struct tg *s, struct tg_event *out);
/* Level: TG_IN ... as of now; TG_ERR | TG_HUP for a stale handle. */
TG_API unsigned tg_sock_ready(const struct tg *s, tg_sock k);

#ifdef __cplusplus
}
#endif
#endif
