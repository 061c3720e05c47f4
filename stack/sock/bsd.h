/* BSD sockets over the core interface, once for everybody: descriptors, blocking, options,
 * messages' flags, poll. No operating system: who can wait supplies a hook, the rest gets
 * -TG_EAGAIN.
 *
 * All results are those of the POSIX calls, with an error as its negative Linux number. Addresses
 * are struct tg_addr; option values, ioctl arguments and poll bits have Linux's layouts and
 * numbers. Left out so far: Unix sockets, messages with control data, epoll, duplicated
 * descriptors. */
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

#define BSD_SOL_IP     0
#define BSD_SOL_SOCKET 1
#define BSD_SOL_TCP    6
#define BSD_SOL_UDP    17

#define BSD_SO_REUSEADDR  2
#define BSD_SO_TYPE       3
#define BSD_SO_ERROR      4
#define BSD_SO_BROADCAST  6
#define BSD_SO_SNDBUF     7
#define BSD_SO_RCVBUF     8
#define BSD_SO_KEEPALIVE  9
#define BSD_SO_LINGER     13
#define BSD_SO_RCVLOWAT   18
#define BSD_SO_RCVTIMEO   20
#define BSD_SO_SNDTIMEO   21
#define BSD_SO_ACCEPTCONN 30
#define BSD_SO_PROTOCOL   38
#define BSD_SO_DOMAIN     39

#define BSD_TCP_NODELAY      1
#define BSD_TCP_MAXSEG       2
#define BSD_TCP_CORK         3
#define BSD_TCP_KEEPIDLE     4
#define BSD_TCP_KEEPINTVL    5
#define BSD_TCP_KEEPCNT      6
#define BSD_TCP_QUICKACK     12
#define BSD_TCP_USER_TIMEOUT 18

#define BSD_IP_TOS 1
#define BSD_IP_TTL 2

#define BSD_MSG_OOB      0x01
#define BSD_MSG_PEEK     0x02
#define BSD_MSG_TRUNC    0x20
#define BSD_MSG_DONTWAIT 0x40
#define BSD_MSG_WAITALL  0x100
#define BSD_MSG_NOSIGNAL 0x4000
#define BSD_MSG_MORE     0x8000

#define BSD_O_RDWR     0x2
#define BSD_O_NONBLOCK 0x800
#define BSD_F_GETFL    3
#define BSD_F_SETFL    4

#define BSD_FIONREAD 0x541b /* also SIOCINQ */
#define BSD_FIONBIO  0x5421
#define BSD_SIOCOUTQ 0x5411 /* also TIOCOUTQ */

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

/* What a blocked call waits for: any of the events (TG_IN ...) on the socket. */
struct bsd_want {
	tg_sock sock;
	unsigned events;
};

struct bsd_file {
	tg_sock sock; /* 0: descriptor free */
	uint8_t type; /* enum tg_type */
	bool nonblock;
	bool connecting; /* a connect was begun and its outcome not yet told */
	uint64_t rcv_timeout_ns, snd_timeout_ns; /* 0: none */
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
};

/* Makes an empty set; files is cleared. */
void bsd_init(struct bsd *b, struct tg *s, struct bsd_file *files, int n_files, int first_fd);
/* The core's socket behind fd; 0: none. */
tg_sock bsd_sock(const struct bsd *b, int fd);
bool bsd_any_ready(const struct tg *s, const struct bsd_want *w, unsigned n);

/* ---- The calls: POSIX arguments and results -------------------------------------------------- */

/* Lowest free descriptor. -TG_EAFNOSUPPORT, -TG_EPROTONOSUPPORT, -TG_EINVAL, -TG_EMFILE,
 * -TG_ENOMEM. */
int bsd_socket(struct bsd *b, int domain, int type, int protocol);
int bsd_bind(struct bsd *b, int fd, const struct tg_addr *a);
int bsd_listen(struct bsd *b, int fd, int backlog);
/* peer may be NULL. flags: BSD_SOCK_NONBLOCK of the new descriptor. */
int bsd_accept(struct bsd *b, int fd, struct tg_addr *peer, int flags);
int bsd_connect(struct bsd *b, int fd, const struct tg_addr *a);
int64_t bsd_send(struct bsd *b, int fd, const void *data, size_t n, int flags);
int64_t bsd_recv(struct bsd *b, int fd, void *data, size_t n, int flags);
/* to NULL: as bsd_send. from NULL: not wanted. */
int64_t bsd_sendto(
	struct bsd *b, int fd, const void *data, size_t n, int flags, const struct tg_addr *to);
int64_t bsd_recvfrom(struct bsd *b, int fd, void *data, size_t n, int flags, struct tg_addr *from);
int64_t bsd_read(struct bsd *b, int fd, void *data, size_t n);
int64_t bsd_write(struct bsd *b, int fd, const void *data, size_t n);
int bsd_shutdown(struct bsd *b, int fd, int how);
int bsd_close(struct bsd *b, int fd);
int bsd_fcntl(struct bsd *b, int fd, int cmd, int arg);
/* arg: int for all requests. -TG_EINVAL for others. */
int bsd_ioctl(struct bsd *b, int fd, unsigned long request, int *arg);
int bsd_getsockname(struct bsd *b, int fd, struct tg_addr *a);
int bsd_getpeername(struct bsd *b, int fd, struct tg_addr *a);
/* *len: room, then what was written. -TG_ENOPROTOOPT, -TG_EINVAL. */
int bsd_getsockopt(struct bsd *b, int fd, int level, int name, void *val, uint32_t *len);
int bsd_setsockopt(struct bsd *b, int fd, int level, int name, const void *val, uint32_t len);
#define BSD_POLL_MAX 64u
/* At most BSD_POLL_MAX entries (-TG_EINVAL). timeout_ms < 0: for ever. */
int bsd_poll(struct bsd *b, struct bsd_pollfd *p, unsigned n, int timeout_ms);

#endif
