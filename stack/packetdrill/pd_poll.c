/* The packetdrill adapter: poll, epoll, pipe and splice.
 *
 * Left out: a descriptor of the kernel's that becomes ready does not end a poll that sleeps on
 * stack sockets; it is looked at before and after. An epoll set watches stack sockets alone. */
#define _GNU_SOURCE
#include "packetdrill/pd.h"
#include "port/bsd_port.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SPLICE_BYTES 65536u
#define EPOLL_BATCH  64

/* ---- poll ------------------------------------------------------------------------------------ */

/* The kernel's descriptors among p, at once. */
static int poll_kernel(struct pollfd *f, const bool *ours, nfds_t n)
{
	int count = 0;

	for (nfds_t i = 0; i < n; i++) {
		struct pollfd one = f[i];

		if (ours[i])
			continue;
		if (poll(&one, 1, 0) < 0)
			return -errno;
		f[i].revents = one.revents;
		count += one.revents != 0;
	}
	return count;
}

/* The stack's, the kernel's left out. */
static int poll_stack(struct pd *p, struct pollfd *f, const bool *ours, nfds_t n, int timeout_ms)
{
	struct bsd_pollfd b[BSD_POLL_MAX];
	int r;

	for (nfds_t i = 0; i < n; i++)
		b[i] = (struct bsd_pollfd){ours[i] ? f[i].fd : -1, f[i].events, 0};
	pd_enter(p);
	r = (int)pd_leave(p, bsd_poll(&p->b, b, (unsigned)n, timeout_ms));
	for (nfds_t i = 0; i < n && r >= 0; i++)
		if (ours[i])
			f[i].revents = b[i].revents;
	return r;
}

static int do_poll(void *u, struct pollfd *f, nfds_t n, int timeout_ms)
{
	struct pd *p = u;
	bool ours[BSD_POLL_MAX];
	int kernel, stack;

	if (n > BSD_POLL_MAX)
		return bsd_fail(EINVAL);
	if (!f && n)
		return bsd_fail(EFAULT);
	if (!p->s)
		return bsd_fail(EINVAL);
	for (nfds_t i = 0; i < n; i++)
		ours[i] = pd_is_ours(p, f[i].fd);
	kernel = poll_kernel(f, ours, n);
	if (kernel < 0)
		return bsd_fail(-kernel);
	stack = poll_stack(p, f, ours, n, kernel ? 0 : timeout_ms);
	if (stack < 0 || kernel || stack)
		return stack < 0 ? stack : stack + kernel;
	kernel = poll_kernel(f, ours, n);
	return kernel < 0 ? bsd_fail(-kernel) : kernel;
}

/* ---- epoll ----------------------------------------------------------------------------------- */

static int do_epoll_create(void *u, int size)
{
	struct pd *p = u;

	if (size <= 0 || !p->s)
		return bsd_fail(EINVAL);
	pd_enter(p);
	return (int)pd_leave(p, bsd_epoll_create(&p->b));
}

static int not_a_set(int epfd)
{
	pd_not_ours(epfd);
	if (errno == ENOTSOCK)
		errno = EINVAL;
	return -1;
}

static int do_epoll_ctl(void *u, int epfd, int op, int fd, struct epoll_event *ev)
{
	struct pd *p = u;
	struct bsd_epoll_event e = {0};

	if (!pd_is_ours(p, epfd))
		return not_a_set(epfd);
	if (!ev && op != EPOLL_CTL_DEL)
		return bsd_fail(EFAULT);
	if (!pd_is_ours(p, fd))
		return bsd_fail(fcntl(fd, F_GETFD) < 0 ? EBADF : EPERM);
	if (ev)
		e = (struct bsd_epoll_event){ev->events, ev->data.u64};
	pd_enter(p);
	return (int)pd_leave(p, bsd_epoll_ctl(&p->b, epfd, op, fd, &e));
}

static int do_epoll_wait(void *u, int epfd, struct epoll_event *out, int max, int timeout_ms)
{
	struct pd *p = u;
	struct bsd_epoll_event e[EPOLL_BATCH];
	int r;

	if (!pd_is_ours(p, epfd))
		return not_a_set(epfd);
	if (max <= 0)
		return bsd_fail(EINVAL);
	pd_enter(p);
	r = bsd_epoll_wait(&p->b, epfd, e, max < EPOLL_BATCH ? max : EPOLL_BATCH, timeout_ms);
	for (int i = 0; i < r; i++)
		out[i] = (struct epoll_event){.events = e[i].events, .data.u64 = e[i].data};
	return (int)pd_leave(p, r);
}

/* ---- pipe and splice ------------------------------------------------------------------------- */

static int do_pipe(void *u, int fd[2])
{
	(void)u;
	return pipe(fd);
}

/* Writes what fits now. */
static ssize_t write_now(int fd, const void *buf, size_t n)
{
	int flags = fcntl(fd, F_GETFL), error;
	ssize_t r;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -1;
	r = write(fd, buf, n);
	error = errno;
	fcntl(fd, F_SETFL, flags);
	errno = error;
	return r;
}

/* What the pipe did not take stays in the socket. */
static ssize_t socket_to_pipe(struct pd *p, int from, int to, size_t n, unsigned flags)
{
	uint8_t buf[SPLICE_BYTES];
	int wait = flags & SPLICE_F_NONBLOCK ? BSD_MSG_DONTWAIT : 0;
	ssize_t r;

	pd_enter(p);
	r = pd_leave(p, bsd_recv(&p->b, from, buf, n, BSD_MSG_PEEK | wait));
	if (r > 0)
		r = write_now(to, buf, (size_t)r);
	if (r <= 0)
		return r;
	pd_enter(p);
	return pd_leave(p, bsd_recv(&p->b, from, buf, (size_t)r, BSD_MSG_DONTWAIT));
}

/* What the socket did not take stays in the pipe. */
static ssize_t pipe_to_socket(struct pd *p, int from, int to, size_t n, unsigned flags)
{
	uint8_t buf[SPLICE_BYTES];
	int wait = flags & SPLICE_F_NONBLOCK ? BSD_MSG_DONTWAIT : 0;
	int more = flags & SPLICE_F_MORE ? BSD_MSG_MORE : 0;
	int copy[2], error;
	ssize_t r;

	if (pipe(copy) < 0)
		return -1;
	r = tee(from, copy[1], n, flags & SPLICE_F_NONBLOCK);
	if (r > 0)
		r = read(copy[0], buf, (size_t)r);
	error = errno;
	close(copy[0]);
	close(copy[1]);
	errno = error;
	if (r <= 0)
		return r;
	pd_enter(p);
	r = pd_leave(p, bsd_send(&p->b, to, buf, (size_t)r, wait | more));
	return r <= 0 ? r : read(from, buf, (size_t)r);
}

static ssize_t splice_kernel(
	int from, loff_t *off_in, int to, loff_t *off_out, size_t n, unsigned flags)
{
	/* packetdrill passes pointers to the offsets even where a script says 0. */
	return splice(from, off_in && *off_in ? off_in : NULL, to,
		off_out && *off_out ? off_out : NULL, n, flags);
}

static int do_splice(
	void *u, int from, loff_t *off_in, int to, loff_t *off_out, size_t n, unsigned flags)
{
	bool in = pd_is_ours(u, from), out = pd_is_ours(u, to);

	if (!in && !out)
		return (int)splice_kernel(from, off_in, to, off_out, n, flags);
	if (in && out)
		return bsd_fail(EINVAL);
	if ((in && off_in && *off_in) || (out && off_out && *off_out))
		return bsd_fail(ESPIPE);
	n = n < SPLICE_BYTES ? n : SPLICE_BYTES;
	if (!n)
		return 0;
	return (int)(in ? socket_to_pipe(u, from, to, n, flags)
			: pipe_to_socket(u, from, to, n, flags));
}

void pd_poll_table(struct packetdrill_interface *ifc)
{
	ifc->poll = do_poll;
	ifc->epoll_create = do_epoll_create;
	ifc->epoll_ctl = do_epoll_ctl;
	ifc->epoll_wait = do_epoll_wait;
	ifc->pipe = do_pipe;
	ifc->splice = do_splice;
}
