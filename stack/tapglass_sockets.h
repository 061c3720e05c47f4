/* BSD sockets of Tapglass: the POSIX names with a tg_ prefix, with the same arguments, structures,
 * constants and errno, and the behaviour of Linux. Any thread may call any function at any time.
 *
 * A descriptor is a real number of this process, reserved from the kernel: it never collides with a
 * file's, and tg_poll and tg_select take both kinds. Functions that make sense for files (read,
 * write, readv, writev, close, dup, fcntl, ioctl) hand a file's descriptor to the kernel.
 *
 * No signal is ever sent: writing to a connection that is gone gives EPIPE without SIGPIPE (whether
 * MSG_NOSIGNAL is given or not), urgent data raise POLLPRI without SIGURG; blocking calls go on
 * after a signal. Descriptors do not survive fork or exec.
 *
 * A pointer that leads nowhere is noticed only if it is NULL (EFAULT).
 *
 * Different from Linux: groups are not joined (IP_ADD_MEMBERSHIP is refused with ENOPROTOOPT), as
 * there is no IGMP to tell the network of it; sending to groups works, with IP_MULTICAST_TTL, _LOOP
 * and _IF, and what goes to all hosts (224.0.0.1) or is broadcast reaches this host's sockets too.
 * Pieces of UDP_SEGMENT have DF set like other datagrams that fit the path, where Linux leaves it
 * to routers to fragment them. TCP_DEFER_ACCEPT answers the handshake at once: when its time is up,
 * the connection is accepted without a last question to the peer. A tg_epoll set takes four
 * descriptors; who watches one by the kernel's own poll may be woken for nothing. */
#ifndef TAPGLASS_SOCKETS_H
#define TAPGLASS_SOCKETS_H

#include "tapglass.h"
#include "tapglass_host.h"

#include <poll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct epoll_event;
struct mmsghdr;
struct timespec;

/* ---- Where sockets live ---------------------------------------------------------------------- */

/* The process's default host, made by the first call: one instance with loopback alone, unless the
 * environment says TAPGLASS_LINK=TAP,ADDRESS/PREFIX[,GATEWAY] (tg0,192.0.2.2/24,192.0.2.1). A
 * program may attach links to it before the first socket. NULL: errno says why (the link's error
 * was printed). */
TG_API struct tg_host *tg_host_default(void);
/* The instance of a host in which its BSD sockets are: the first one that was added to it; made if
 * there is none. NULL: errno. */
TG_API struct tg *tg_host_instance(struct tg_host *h);
/* tg_socket on a host of the program's own, whose loop then runs in a thread of its own
 * (tg_host_start_thread). The host must outlive its sockets. */
TG_API int tg_host_socket(struct tg_host *h, int domain, int type, int protocol);

/* ---- The calls ------------------------------------------------------------------------------- */

TG_API int tg_socket(int domain, int type, int protocol);
TG_API int tg_bind(int fd, const struct sockaddr *addr, socklen_t len);
TG_API int tg_listen(int fd, int backlog);
TG_API int tg_accept(int fd, struct sockaddr *addr, socklen_t *len);
TG_API int tg_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
TG_API int tg_connect(int fd, const struct sockaddr *addr, socklen_t len);

TG_API ssize_t tg_send(int fd, const void *buf, size_t n, int flags);
TG_API ssize_t tg_recv(int fd, void *buf, size_t n, int flags);
TG_API ssize_t tg_sendto(
	int fd, const void *buf, size_t n, int flags, const struct sockaddr *to, socklen_t to_len);
TG_API ssize_t tg_recvfrom(
	int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *from_len);
/* Control messages: IP_PKTINFO, IP_TTL, IP_TOS both ways, UDP_SEGMENT sent, UDP_GRO received,
 * IP_RECVERR with MSG_ERRQUEUE. */
TG_API ssize_t tg_sendmsg(int fd, const struct msghdr *m, int flags);
TG_API ssize_t tg_recvmsg(int fd, struct msghdr *m, int flags);
TG_API int tg_sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags);
/* timeout: looked at after each message, as on Linux; what is left of it is written back. */
TG_API int tg_recvmmsg(int fd, struct mmsghdr *v, unsigned n, int flags, struct timespec *timeout);
TG_API ssize_t tg_read(int fd, void *buf, size_t n);
TG_API ssize_t tg_write(int fd, const void *buf, size_t n);
TG_API ssize_t tg_readv(int fd, const struct iovec *v, int n);
TG_API ssize_t tg_writev(int fd, const struct iovec *v, int n);

TG_API int tg_shutdown(int fd, int how);
TG_API int tg_close(int fd);
TG_API int tg_dup(int fd);
TG_API int tg_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
TG_API int tg_getpeername(int fd, struct sockaddr *addr, socklen_t *len);
TG_API int tg_getsockopt(int fd, int level, int name, void *val, socklen_t *len);
TG_API int tg_setsockopt(int fd, int level, int name, const void *val, socklen_t len);
/* F_GETFL, F_SETFL (O_NONBLOCK), F_GETFD, F_SETFD (kept, without effect). */
TG_API int tg_fcntl(int fd, int cmd, ...);
/* FIONREAD, FIONBIO, SIOCOUTQ, SIOCOUTQNSD, SIOCATMARK. */
TG_API int tg_ioctl(int fd, unsigned long request, ...);

/* Stack sockets and the kernel's descriptors together. */
TG_API int tg_poll(struct pollfd *p, nfds_t n, int timeout_ms);
TG_API int tg_select(int n, fd_set *rd, fd_set *wr, fd_set *ex, struct timeval *timeout);

/* A set watches sockets of any host, descriptors of the kernel's, and other sets. */
TG_API int tg_epoll_create1(int flags);
TG_API int tg_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev);
TG_API int tg_epoll_wait(int epfd, struct epoll_event *out, int max, int timeout_ms);

#ifdef __cplusplus
}
#endif
#endif
