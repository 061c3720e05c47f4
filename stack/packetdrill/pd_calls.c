/* The packetdrill adapter: socket calls. The rules are sock/'s; here are pointers, addresses and
 * descriptors.
 *
 * A descriptor is a real one of the kernel's, a duplicate of a file that is nothing but ours:
 * packetdrill itself closes what a script leaves open. Descriptors that are not ours (files that a
 * script opened, pipes) go on to the kernel. */
#define _GNU_SOURCE
#include "packetdrill/pd.h"
#include "port/bsd_port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECES_MAX 1024

/* Options that packetdrill asks for and that have no counterpart here: told as zeros. */
#define OPT_SO_MEMINFO        55
#define OPT_SO_MEMINFO_BYTES  36u
#define OPT_TCP_CC_INFO       26
#define OPT_TCP_CC_INFO_BYTES 20u

/* ---- Descriptors ----------------------------------------------------------------------------- */

/* Does the number still lead to our file? */
static bool is_placeholder(const struct pd *p, int fd)
{
	struct stat ours, it;

	return fstat(p->reserve_fd, &ours) == 0 && fstat(fd, &it) == 0 &&
	       ours.st_dev == it.st_dev && ours.st_ino == it.st_ino;
}

void pd_free_fd(void *ctx, int fd)
{
	const struct pd *p = ctx;

	if (is_placeholder(p, fd))
		close(fd);
}

int pd_new_fd(void *ctx)
{
	struct pd *p = ctx;
	int fd = fcntl(p->reserve_fd, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return -errno;
	/* Somebody closed a placeholder behind our back: its number is still a socket's. */
	while (fd < PD_FDS && p->files[fd].open_at) {
		int next = fcntl(p->reserve_fd, F_DUPFD_CLOEXEC, fd + 1);

		close(fd);
		if (next < 0)
			return -errno;
		fd = next;
	}
	if (fd < PD_FDS)
		return fd;
	close(fd);
	return -EMFILE;
}

bool pd_is_ours(struct pd *p, int fd)
{
	bool ours;

	pthread_mutex_lock(&p->lock);
	ours = p->s && fd >= 0 && fd < PD_FDS && p->files[fd].open_at;
	pthread_mutex_unlock(&p->lock);
	return ours;
}

int pd_not_ours(int fd)
{
	if (fcntl(fd, F_GETFD) >= 0) /* which says EBADF itself */
		errno = ENOTSOCK;
	return -1;
}

/* ---- Making, naming, ending ------------------------------------------------------------------ */

static int do_socket(void *u, int domain, int type, int protocol)
{
	struct pd *p = u;

	pd_enter(p);
	return (int)pd_leave(p, p->s ? bsd_socket(&p->b, domain, type, protocol) : -EINVAL);
}

static int do_bind(void *u, int fd, const struct sockaddr *addr, socklen_t len)
{
	struct pd *p = u;
	struct tg_addr a;
	bool none;
	int r;

	if (!pd_is_ours(p, fd))
		return pd_not_ours(fd);
	pd_enter(p);
	r = bsd_addr_in(addr, len, &a, &none);
	if (r == 0 && none)
		r = len < 16 ? -EINVAL : -EAFNOSUPPORT;
	return (int)pd_leave(p, r < 0 ? r : bsd_bind(&p->b, fd, &a));
}

static int do_listen(void *u, int fd, int backlog)
{
	struct pd *p = u;

	if (!pd_is_ours(p, fd))
		return pd_not_ours(fd);
	pd_enter(p);
	return (int)pd_leave(p, bsd_listen(&p->b, fd, backlog));
}

static int do_accept(void *u, int fd, struct sockaddr *addr, socklen_t *len)
{
	struct pd *p = u;
	struct tg_addr peer;
	int r, e;

	if (!pd_is_ours(p, fd))
		return pd_not_ours(fd);
	pd_enter(p);
	r = bsd_accept(&p->b, fd, &peer, 0);
	e = r >= 0 && addr ? bsd_addr_out(&peer, addr, len) : 0;
	if (e < 0) {
		bsd_close(&p->b, r);
		r = e;
	}
	return (int)pd_leave(p, r);
}

static int do_connect(void *u, int fd, const struct sockaddr *addr, socklen_t len)
{
	struct pd *p = u;
	struct tg_addr a;
	bool none;
	int r;

	if (!pd_is_ours(p, fd))
		return pd_not_ours(fd);
	pd_enter(p);
	r = bsd_addr_in(addr, len, &a, &none);
	return (int)pd_leave(p, r < 0 ? r : bsd_connect(&p->b, fd, none ? NULL : &a));
}

static int do_shutdown(void *u, int fd, int how)
{
	struct pd *p = u;

	if (!pd_is_ours(p, fd))
		return pd_not_ours(fd);
	pd_enter(p);
	return (int)pd_leave(p, bsd_shutdown(&p->b, fd, how));
}

static int do_close(void *u, int fd)
{
	struct pd *p = u;

	if (!pd_is_ours(p, fd))
		return close(fd);
	pd_enter(p);
	return (int)pd_leave(p, bsd_close(&p->b, fd));
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static ssize_t do_recvfrom(
	void *u, int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *len)
{
	struct pd *p = u;
	struct bsd_iov v = {buf, n};
	struct bsd_msg m = {.iov = &v, .n_iov = 1};
	int64_t r;

	if (!pd_is_ours(p, fd))
		return pd_not_ours(fd);
	pd_enter(p);
	r = !buf && n ? -EFAULT : bsd_recvmsg(&p->b, fd, &m, flags);
	if (r >= 0 && from && m.has_addr) {
		int e = bsd_addr_out(&m.info.peer, from, len);

		r = e < 0 ? e : r;
	} else if (r >= 0 && from && len) {
		*len = 0;
	}
	return pd_leave(p, r);
}

static ssize_t do_recv(void *u, int fd, void *buf, size_t n, int flags)
{
	return do_recvfrom(u, fd, buf, n, flags, NULL, NULL);
}

static ssize_t do_recvmsg(void *u, int fd, struct msghdr *m, int flags)
{
	struct pd *p = u;

	if (!pd_is_ours(p, fd))
		return pd_not_ours(fd);
	pd_enter(p);
	return pd_leave(p, bsd_recv_msghdr(&p->b, fd, m, flags));
}

static ssize_t do_read(void *u, int fd, void *buf, size_t n)
{
	return pd_is_ours(u, fd) ? do_recv(u, fd, buf, n, 0) : read(fd, buf, n);
}

static ssize_t do_readv(void *u, int fd, const struct iovec *v, int n)
{
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = (size_t)n};

	if (!pd_is_ours(u, fd))
		return readv(fd, v, n);
	return n < 0 || n > PIECES_MAX ? bsd_fail(EINVAL) : do_recvmsg(u, fd, &m, 0);
}

static ssize_t do_sendto(void *u, int fd, const void *buf, size_t n, int flags,
	const struct sockaddr *to, socklen_t len)
{
	struct pd *p = u;
	struct tg_addr a;
	bool none = true;
	int64_t r = 0;

	if (!pd_is_ours(p, fd))
		return pd_not_ours(fd);
	pd_enter(p);
	if (!buf && n)
		r = -EFAULT;
	else if (to)
		r = bsd_addr_in(to, len, &a, &none);
	if (r == 0)
		r = bsd_sendto(&p->b, fd, buf, n, flags, none ? NULL : &a);
	return pd_leave(p, r);
}

static ssize_t do_send(void *u, int fd, const void *buf, size_t n, int flags)
{
	return do_sendto(u, fd, buf, n, flags, NULL, 0);
}

static ssize_t do_sendmsg(void *u, int fd, const struct msghdr *m, int flags)
{
	struct pd *p = u;

	if (!pd_is_ours(p, fd))
		return pd_not_ours(fd);
	pd_enter(p);
	return pd_leave(p, bsd_send_msghdr(&p->b, fd, m, flags));
}

static ssize_t do_write(void *u, int fd, const void *buf, size_t n)
{
	return pd_is_ours(u, fd) ? do_send(u, fd, buf, n, 0) : write(fd, buf, n);
}

static ssize_t do_writev(void *u, int fd, const struct iovec *v, int n)
{
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = (size_t)n};

	if (!pd_is_ours(u, fd))
		return writev(fd, v, n);
	return n < 0 || n > PIECES_MAX ? bsd_fail(EINVAL) : do_sendmsg(u, fd, &m, 0);
}

/* ---- Options --------------------------------------------------------------------------------- */

static int do_fcntl(void *u, int fd, int cmd, ...)
{
	struct pd *p = u;
	va_list ap;
	int arg;

	va_start(ap, cmd);
	arg = va_arg(ap, int);
	va_end(ap);
	if (!pd_is_ours(p, fd))
		return fcntl(fd, cmd, arg);
	pd_enter(p);
	return (int)pd_leave(p, bsd_fcntl(&p->b, fd, cmd, arg));
}

static int do_ioctl(void *u, int fd, unsigned long request, ...)
{
	struct pd *p = u;
	va_list ap;
	int *arg;

	va_start(ap, request);
	arg = va_arg(ap, int *);
	va_end(ap);
	if (!pd_is_ours(p, fd))
		return ioctl(fd, request, arg);
	pd_enter(p);
	return (int)pd_leave(p, arg ? bsd_ioctl(&p->b, fd, request, arg) : -EFAULT);
}

/* Zeros, as many as the option has at most; 0 bytes: it is none of these. */
static uint32_t zeros_of(int level, int name)
{
	if (level == SOL_SOCKET && name == OPT_SO_MEMINFO)
		return OPT_SO_MEMINFO_BYTES;
	return level == BSD_SOL_TCP && name == OPT_TCP_CC_INFO ? OPT_TCP_CC_INFO_BYTES : 0;
}

static int do_getsockopt(void *u, int fd, int level, int name, void *val, socklen_t *len)
{
	struct pd *p = u;
	uint32_t zeros = zeros_of(level, name);
	int r;

	if (!pd_is_ours(p, fd))
		return pd_not_ours(fd);
	pd_enter(p);
	if (!len || (!val && *len)) {
		r = -EFAULT;
	} else if (zeros) {
		*len = *len < zeros ? *len : zeros;
		memset(val, 0, *len);
		r = 0;
	} else {
		r = bsd_getsockopt(&p->b, fd, level, name, val, len);
	}
	return (int)pd_leave(p, r);
}

static int do_setsockopt(void *u, int fd, int level, int name, const void *val, socklen_t len)
{
	struct pd *p = u;
	int r;

	if (!pd_is_ours(p, fd))
		return pd_not_ours(fd);
	pd_enter(p);
	if (len > INT32_MAX)
		r = -EINVAL;
	else
		r = !val && len ? -EFAULT : bsd_setsockopt(&p->b, fd, level, name, val, len);
	return (int)pd_leave(p, r);
}

void pd_calls_table(struct packetdrill_interface *ifc)
{
	ifc->socket = do_socket;
	ifc->bind = do_bind;
	ifc->listen = do_listen;
	ifc->accept = do_accept;
	ifc->connect = do_connect;
	ifc->read = do_read;
	ifc->readv = do_readv;
	ifc->recv = do_recv;
	ifc->recvfrom = do_recvfrom;
	ifc->recvmsg = do_recvmsg;
	ifc->write = do_write;
	ifc->writev = do_writev;
	ifc->send = do_send;
	ifc->sendto = do_sendto;
	ifc->sendmsg = do_sendmsg;
	ifc->fcntl = do_fcntl;
	ifc->ioctl = do_ioctl;
	ifc->close = do_close;
	ifc->shutdown = do_shutdown;
	ifc->getsockopt = do_getsockopt;
	ifc->setsockopt = do_setsockopt;
}
