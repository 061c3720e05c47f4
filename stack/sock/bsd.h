/* BSD sockets over the core interface, once for everybody: descriptors, blocking, options,
 * messages' flags, poll. No operating system: who can wait supplies a hook, the rest gets
 * -TG_EAGAIN.
 *
 * All results are those of the POSIX calls, with an error as its negative Linux number. Addresses
 * are struct tg_addr; option values, ioctl arguments and poll bits have Linux's layouts and
 * numbers. A descriptor leads to an open file, which duplicates and calls under way share: it ends
 * with the last of them, so that closing under a blocked call is harmless, as on Linux.
 *
 * Left out: Unix sockets, passing of descriptors, SIGPIPE and SIGURG (no signal is ever sent). */
#ifndef TG_SOCK_BSD_H
#define TG_SOCK_BSD_H

#include "base/base.h"
#include "tapglass.h"

/* ---- Linux's numbers ------------------------------------------------------------------------- */

#define BSD_AF_UNSPEC 0
#define BSD_AF_INET   2

#define BSD_SOCK_STREAM   1
#define BSD_SOCK_DGRAM    2
#define BSD_SOCK_RAW      3
#define BSD_SOCK_NONBLOCK 0x800
#define BSD_SOCK_CLOEXEC  0x80000

#define BSD_IPPROTO_MAX 263 /* numbers above 255 are Linux's own */

#define BSD_SOL_IP     0
#define BSD_SOL_SOCKET 1
#define BSD_SOL_TCP    6
#define BSD_SOL_UDP    17

#define BSD_UDP_CORK    1
#define BSD_UDP_SEGMENT 103
#define BSD_UDP_GRO     104

#define BSD_SO_REUSEADDR       2
#define BSD_SO_TYPE            3
#define BSD_SO_ERROR           4
#define BSD_SO_BROADCAST       6
#define BSD_SO_SNDBUF          7
#define BSD_SO_RCVBUF          8
#define BSD_SO_KEEPALIVE       9
#define BSD_SO_LINGER          13
#define BSD_SO_OOBINLINE       10
#define BSD_SO_PRIORITY        12
#define BSD_SO_REUSEPORT       15
#define BSD_SO_RCVLOWAT        18
#define BSD_SO_SNDLOWAT        19
#define BSD_SO_RCVTIMEO        20
#define BSD_SO_SNDTIMEO        21
#define BSD_SO_ACCEPTCONN      30
#define BSD_SO_PROTOCOL        38
#define BSD_SO_DOMAIN          39
#define BSD_SO_MAX_PACING_RATE 47

#define BSD_SOMAXCONN 4096

#define BSD_TCP_NODELAY       1
#define BSD_TCP_MAXSEG        2
#define BSD_TCP_CORK          3
#define BSD_TCP_KEEPIDLE      4
#define BSD_TCP_KEEPINTVL     5
#define BSD_TCP_KEEPCNT       6
#define BSD_TCP_DEFER_ACCEPT  9
#define BSD_TCP_INFO          11
#define BSD_TCP_QUICKACK      12
#define BSD_TCP_CONGESTION    13
#define BSD_CA_NAME_MAX       16u
#define BSD_TCP_USER_TIMEOUT  18
#define BSD_TCP_NOTSENT_LOWAT 25

#define BSD_IP_TOS            1
#define BSD_IP_TTL            2
#define BSD_IP_HDRINCL        3
#define BSD_IP_PKTINFO        8
#define BSD_IP_MTU_DISCOVER   10
#define BSD_IP_RECVERR        11
#define BSD_IP_RECVTTL        12
#define BSD_IP_RECVTOS        13
#define BSD_IP_MTU            14
#define BSD_IP_MULTICAST_IF   32
#define BSD_IP_MULTICAST_TTL  33
#define BSD_IP_MULTICAST_LOOP 34
#define BSD_IP_ADD_MEMBERSHIP 35

#define BSD_MSG_OOB      0x01
#define BSD_MSG_PEEK     0x02
#define BSD_MSG_TRUNC    0x20
#define BSD_MSG_CTRUNC   0x08
#define BSD_MSG_DONTWAIT 0x40
#define BSD_MSG_EOR      0x80
#define BSD_MSG_WAITALL  0x100
#define BSD_MSG_ERRQUEUE 0x2000
#define BSD_MSG_NOSIGNAL 0x4000
#define BSD_MSG_MORE     0x8000

#define BSD_O_RDWR     0x2
#define BSD_O_NONBLOCK 0x800
#define BSD_F_GETFD    1
#define BSD_F_SETFD    2
#define BSD_F_GETFL    3
#define BSD_F_SETFL    4

#define BSD_FIONREAD    0x541b /* also SIOCINQ */
#define BSD_FIONBIO     0x5421
#define BSD_SIOCOUTQ    0x5411 /* also TIOCOUTQ */
#define BSD_SIOCATMARK  0x8905
#define BSD_SIOCOUTQNSD 0x894b /* not sent yet */

#define BSD_POLLIN     0x001
#define BSD_POLLPRI    0x002
#define BSD_POLLOUT    0x004
#define BSD_POLLERR    0x008
#define BSD_POLLHUP    0x010
#define BSD_POLLNVAL   0x020
#define BSD_POLLRDNORM 0x040
#define BSD_POLLRDBAND 0x080
#define BSD_POLLWRNORM 0x100
#define BSD_POLLWRBAND 0x200
#define BSD_POLLRDHUP  0x2000

#define BSD_EPOLL_CTL_ADD 1
#define BSD_EPOLL_CTL_DEL 2
#define BSD_EPOLL_CTL_MOD 3
#define BSD_EPOLLONESHOT  (1u << 30)
#define BSD_EPOLLET       (1u << 31)

struct bsd_linger {
	int32_t onoff, linger_s;
};
struct bsd_timeval {
	int64_t sec, usec;
};
struct bsd_pollfd {
	int32_t fd;
	int16_t events, revents;
};

/* ---- A set of descriptors -------------------------------------------------------------------- */

struct bsd_epoll;
struct bsd_watch;

/* One place of the set, for two things that have nothing to do with one another: the descriptor of
 * that number, and an open file. */
struct bsd_file {
	uint32_t open_at; /* the descriptor: 1 + place of its open file; 0: free */
	bool cloexec;     /* kept for F_GETFD, means nothing else */

	/* The open file. */
	uint8_t type;              /* enum tg_type; 0: an epoll set */
	uint32_t refs;             /* descriptors and calls under way; 0: place free */
	uint32_t fds;              /* descriptors alone */
	tg_sock sock;              /* 0: an epoll set */
	struct bsd_epoll *ep;      /* or NULL */
	struct bsd_watch *watches; /* of the epoll sets that watch it */
	uint8_t proto;             /* of a raw socket */
	bool nonblock;
	bool connecting; /* a connect was begun and its outcome not yet told */
	bool recv_pktinfo, recv_ttl, recv_tos;
	struct tg_ip mc_source; /* IP_MULTICAST_IF as it was given; zero: no address */
	uint64_t rcv_timeout_ns, snd_timeout_ns; /* 0: none */
};

/* What a blocked call waits for: any of the events (TG_IN ...) on the open file. */
struct bsd_want {
	struct bsd_file *file;
	unsigned events;
	uint32_t
		beyond_bytes; /* TG_IN alone is not enough: more than so many have to be readable */
};

struct bsd {
	struct tg *s;
	struct bsd_file *files; /* the caller's, n_files of them */
	int n_files, first_fd;  /* descriptors are first_fd ... first_fd + n_files - 1 */
	void *ctx;              /* of the hooks */
	/* Monotonic ns. */
	uint64_t (*now)(void *ctx);
	/* Returns true when one of the n wants may have come true (bsd_any_ready says), false when
	 * deadline_ns (UINT64_MAX: none) has passed or waiting is impossible. NULL: never waits.
	 * May step the instance and let others use it. */
	bool (*wait)(void *ctx, const struct bsd_want *w, unsigned n, uint64_t deadline_ns);
	/* Numbers of descriptors. NULL: the lowest that is free. The number, or -TG_EMFILE. */
	int (*new_fd)(void *ctx);
	void (*free_fd)(void *ctx, int fd);
	/* Something may have become ready in an epoll set. NULL: nobody waits. */
	void (*epoll_rose)(void *ctx, struct bsd_file *ep);
};

/* Makes an empty set; files is cleared. */
void bsd_init(struct bsd *b, struct tg *s, struct bsd_file *files, int n_files, int first_fd);
/* The core's socket behind fd; 0: none. */
tg_sock bsd_sock(const struct bsd *b, int fd);
bool bsd_any_ready(const struct bsd *b, const struct bsd_want *w, unsigned n);

/* The open file behind fd, held until bsd_put; NULL: *err is -TG_EBADF, or -TG_ENOTSOCK for an
 * epoll set. */
struct bsd_file *bsd_get(struct bsd *b, int fd, int *err);
/* Any open file, epoll sets included. */
struct bsd_file *bsd_get_any(struct bsd *b, int fd, int *err);
void bsd_put(struct bsd *b, struct bsd_file *f);

/* Sockets made here carry this bit and the place of their open file as the cookie of their events.
 * bsd_event is to be called with each such event; it returns the open file, for waking who waits
 * for it. NULL: not one of these. */
#define BSD_COOKIE (1ull << 63)
struct bsd_file *bsd_event(struct bsd *b, const struct tg_event *e);

/* ---- The calls: POSIX arguments and results -------------------------------------------------- */

/* Lowest free descriptor. -TG_EAFNOSUPPORT, -TG_EPROTONOSUPPORT, -TG_EINVAL, -TG_EMFILE,
 * -TG_ENOMEM. */
int bsd_socket(struct bsd *b, int domain, int type, int protocol);
int bsd_bind(struct bsd *b, int fd, const struct tg_addr *a);
int bsd_listen(struct bsd *b, int fd, int backlog);
/* peer may be NULL. flags: BSD_SOCK_NONBLOCK of the new descriptor. */
int bsd_accept(struct bsd *b, int fd, struct tg_addr *peer, int flags);
/* a NULL: AF_UNSPEC, the connection is dissolved. */
int bsd_connect(struct bsd *b, int fd, const struct tg_addr *a);
int64_t bsd_send(struct bsd *b, int fd, const void *data, size_t n, int flags);
int64_t bsd_recv(struct bsd *b, int fd, void *data, size_t n, int flags);
/* to NULL: as bsd_send. from NULL: not wanted. */
int64_t bsd_sendto(
	struct bsd *b, int fd, const void *data, size_t n, int flags, const struct tg_addr *to);
int64_t bsd_recvfrom(struct bsd *b, int fd, void *data, size_t n, int flags, struct tg_addr *from);
int64_t bsd_read(struct bsd *b, int fd, void *data, size_t n);
int64_t bsd_write(struct bsd *b, int fd, const void *data, size_t n);

struct bsd_iov {
	void *base;
	size_t len;
};
/* A message in both directions. Datagrams of several pieces go through bounce. */
struct bsd_msg {
	struct bsd_iov *iov;
	unsigned n_iov;
	uint8_t *bounce; /* bounce_bytes, needed if n_iov is not 1 */
	size_t bounce_bytes;
	bool has_addr;          /* info.peer is to be used (sending), was set (receiving) */
	struct tg_dgram info;   /* sending: peer, local, ttl, tos */
	unsigned flags;         /* received: BSD_MSG_TRUNC, BSD_MSG_OOB, BSD_MSG_ERRQUEUE */
	bool pktinfo, ttl, tos; /* received: the socket wants to know these */
};
int64_t bsd_sendmsg(struct bsd *b, int fd, struct bsd_msg *m, int flags);
int64_t bsd_recvmsg(struct bsd *b, int fd, struct bsd_msg *m, int flags);

/* Takes the pending error (0 or negative errno), puts one there (a positive errno). */
int bsd_take_error(struct bsd *b, int fd);
void bsd_put_error(struct bsd *b, int fd, int error);

int bsd_shutdown(struct bsd *b, int fd, int how);
/* Blocks as TG_SO_LINGER says. */
int bsd_close(struct bsd *b, int fd);
int bsd_dup(struct bsd *b, int fd);
int bsd_fcntl(struct bsd *b, int fd, int cmd, int arg);
/* arg: int for all requests. -TG_ENOTTY for others. */
int bsd_ioctl(struct bsd *b, int fd, unsigned long request, int *arg);
int bsd_getsockname(struct bsd *b, int fd, struct tg_addr *a);
int bsd_getpeername(struct bsd *b, int fd, struct tg_addr *a);
/* *len: room, then what was written. -TG_ENOPROTOOPT, -TG_EINVAL. */
int bsd_getsockopt(struct bsd *b, int fd, int level, int name, void *val, uint32_t *len);
int bsd_setsockopt(struct bsd *b, int fd, int level, int name, const void *val, uint32_t len);
#define BSD_POLL_MAX 64u
/* At most BSD_POLL_MAX entries (-TG_EINVAL). timeout_ms < 0: for ever. */
int bsd_poll(struct bsd *b, struct bsd_pollfd *p, unsigned n, int timeout_ms);
/* Bits of poll for the readiness of an open file, and events to wait for. */
int16_t bsd_poll_bits(const struct bsd *b, const struct bsd_file *f, int16_t asked);
unsigned bsd_poll_events(int16_t asked);

/* ---- Queues of readiness: epoll -------------------------------------------------------------- */

struct bsd_epoll_event {
	uint32_t events; /* BSD_POLL* bits, BSD_EPOLLET, BSD_EPOLLONESHOT */
	uint64_t data;
};
int bsd_epoll_create(struct bsd *b);
/* Watches sockets alone. -TG_EEXIST, -TG_ENOENT, -TG_EINVAL, -TG_EBADF, -TG_ENOMEM. Edges
 * (BSD_EPOLLET) are as on Linux: whatever arrives is one, however much was there unread. */
int bsd_epoll_ctl(struct bsd *b, int epfd, int op, int fd, const struct bsd_epoll_event *ev);
int bsd_epoll_wait(struct bsd *b, int epfd, struct bsd_epoll_event *out, int max, int timeout_ms);

/* ---- Between the files ----------------------------------------------------------------------- */

static inline uint64_t bsd_now(const struct bsd *b)
{
	return b->now ? b->now(b->ctx) : 0;
}
static inline uint64_t bsd_deadline(const struct bsd *b, uint64_t timeout_ns)
{
	return timeout_ns ? sat_add_u64(bsd_now(b), timeout_ns) : NEVER_NS;
}
/* Waits until the file has one of the events; false: give up with -TG_EAGAIN. */
bool bsd_wait_for(
	struct bsd *b, struct bsd_file *f, unsigned events, bool dontwait, uint64_t deadline_ns);
/* A descriptor for a new open file: *fd and the file, refs 1. NULL: *fd is the error. */
struct bsd_file *bsd_new(struct bsd *b, int *fd);
static inline uint64_t bsd_cookie(const struct bsd *b, const struct bsd_file *f)
{
	return BSD_COOKIE | (uint64_t)(f - b->files);
}
/* Something happened to f (events: TG_IN ...): tells the epoll sets that watch it for that. */
void bsd_epoll_notify(struct bsd *b, struct bsd_file *f, unsigned events);
/* f ends: no set watches it any more; if it is a set, it watches nothing. */
void bsd_epoll_forget(struct bsd *b, struct bsd_file *f);
/* Is there something that bsd_epoll_wait would give? */
bool bsd_epoll_ready(const struct bsd *b, const struct bsd_epoll *ep);
/* The open file of fd, which is one, without holding it. */
struct bsd_file *bsd_file_at(const struct bsd *b, int fd);
/* TCP_INFO in Linux's layout. 0 or a negative errno. */
int bsd_tcp_info(struct bsd *b, const struct bsd_file *f, void *val, uint32_t *len);

#endif
