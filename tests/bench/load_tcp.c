/* The load generator's TCP modes: see load.c. Connections end by RST (SO_LINGER 0), so that a run
 * leaves nothing behind, but for `cycle`, where the close is part of what is measured. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <linux/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define CHUNK_BYTES   131072u
#define CONNS_MAX     1024u
#define WAIT_S        3
#define SAMPLES_MAX   (4u << 20)
#define SAMPLES_MIN   200u /* fewer are no distribution: a run on a busy machine goes on for them */
#define LATE_NS_MAX   4000000000u
#define DRAIN_NS_MAX  20000000000u
#define CYCLE_ERR_MAX 20u

static char chunk[CHUNK_BYTES * 2];
static uint32_t sample_ns[SAMPLES_MAX];

/* Connected, or -1. */
static int dial(const struct load_options *o)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval wait = {WAIT_S, 0};

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if ((o->from.sin_addr.s_addr &&
		    bind(fd, (const struct sockaddr *)&o->from, sizeof(o->from))) ||
		(o->cc && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, o->cc,
				  (socklen_t)strlen(o->cc))) ||
		connect(fd, (const struct sockaddr *)&o->peer, sizeof(o->peer))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void hang_up(int fd)
{
	struct linger l = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(fd);
}

struct bulk {
	int fd[CONNS_MAX];
	unsigned n;
	int ep;
	bool sends;
	uint64_t moved; /* octets handed to the kernel, or taken from it */
};

static bool bulk_open(struct bulk *b, const struct load_options *o, bool sends)
{
	memset(b, 0, sizeof(*b));
	errno = EINVAL;
	if (o->conns > CONNS_MAX)
		return false;
	b->sends = sends;
	b->ep = epoll_create1(EPOLL_CLOEXEC);
	if (b->ep < 0)
		return false;
	while (b->n < o->conns) {
		struct epoll_event e = {.events = sends ? EPOLLOUT : EPOLLIN};
		int fd = dial(o);

		if (fd < 0)
			return false;
		e.data.fd = fd;
		b->fd[b->n++] = fd;
		if (epoll_ctl(b->ep, EPOLL_CTL_ADD, fd, &e))
			return false;
	}
	return true;
}

static void bulk_close(struct bulk *b)
{
	for (unsigned i = 0; i < b->n; i++)
		hang_up(b->fd[i]);
	close(b->ep);
}

/* Acknowledged so far, octets; retransmitted segments are added to *retrans. */
static uint64_t acked(const struct bulk *b, unsigned *retrans)
{
	uint64_t sum = 0;

	*retrans = 0;
	for (unsigned i = 0; i < b->n; i++) {
		struct tcp_info ti;
		socklen_t n = sizeof(ti);

		memset(&ti, 0, sizeof(ti));
		if (getsockopt(b->fd[i], IPPROTO_TCP, TCP_INFO, &ti, &n) == 0) {
			sum += ti.tcpi_bytes_acked;
			*retrans += ti.tcpi_total_retrans;
		}
	}
	/* the SYN counts as one in there */
	return sum > b->n ? sum - b->n : 0;
}

/* Moves what can be moved at once on one connection; false: it broke. */
static bool move(struct bulk *b, int fd, int flags, size_t most)
{
	ssize_t k = b->sends ? send(fd, chunk, most < CHUNK_BYTES ? most : CHUNK_BYTES, flags)
			     : recv(fd, chunk, sizeof(chunk), flags);

	if (k > 0)
		b->moved += (uint64_t)k;
	return k > 0 || (k < 0 && (flags & MSG_DONTWAIT) && errno == EAGAIN);
}

/* One call on a single connection, which blocks; a round over those that are ready otherwise. */
static bool bulk_round(struct bulk *b, size_t most)
{
	struct epoll_event e[64];
	int n;

	if (b->n == 1)
		return move(b, b->fd[0], 0, most);
	n = epoll_wait(b->ep, e, 64, WAIT_S * 1000);
	if (n == 0)
		errno = ETIMEDOUT;
	for (int i = 0; i < n; i++) {
		if (!move(b, e[i].data.fd, MSG_DONTWAIT, most))
			return false;
	}
	return n > 0;
}

static bool bulk_until(struct bulk *b, uint64_t end_ns)
{
	while (now_ns() < end_ns) {
		if (!bulk_round(b, CHUNK_BYTES))
			return false;
	}
	return true;
}

static uint64_t counted(const struct bulk *b, unsigned *retrans)
{
	uint64_t n = acked(b, retrans);

	return b->sends ? n : b->moved;
}

static bool bulk_by_time(struct bulk *b, const struct load_options *o, uint64_t *bytes,
	uint64_t *ns, unsigned *retrans)
{
	uint64_t start, before;

	if (!bulk_until(b, now_ns() + o->warm_ns))
		return false;
	start = now_ns();
	before = counted(b, retrans);
	if (!bulk_until(b, start + o->time_ns))
		return false;
	*bytes = counted(b, retrans) - before;
	*ns = now_ns() - start;
	return true;
}

/* From the first octet to the acknowledgement (or arrival) of the last. */
static bool bulk_by_bytes(struct bulk *b, const struct load_options *o, uint64_t *bytes,
	uint64_t *ns, unsigned *retrans)
{
	uint64_t start = now_ns();

	while (b->moved < o->bytes) {
		uint64_t left = o->bytes - b->moved;

		if (!bulk_round(b, left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES))
			return false;
	}
	while (counted(b, retrans) < b->moved) {
		if (now_ns() - start > DRAIN_NS_MAX) {
			errno = ETIMEDOUT;
			return false;
		}
		poll(NULL, 0, 0);
	}
	*bytes = b->moved;
	*ns = now_ns() - start;
	return true;
}

static int bulk(const struct load_options *o, bool sends)
{
	static struct bulk b;
	uint64_t bytes = 0, ns = 1;
	unsigned retrans = 0;
	bool good;

	if (!bulk_open(&b, o, sends)) {
		load_fail("connect");
		bulk_close(&b);
		return 1;
	}
	good = o->bytes ? bulk_by_bytes(&b, o, &bytes, &ns, &retrans)
			: bulk_by_time(&b, o, &bytes, &ns, &retrans);
	if (!good)
		load_fail(sends ? "send" : "recv");
	bulk_close(&b);
	if (good)
		printf("{\"value\":%.4f,\"bytes\":%llu,\"seconds\":%.4f,\"retrans\":%u,\"total\":%"
		       "llu}\n",
			(double)bytes * 8 / (double)ns, (unsigned long long)bytes, (double)ns / 1e9,
			retrans, (unsigned long long)b.moved);
	return !good;
}

int load_send(const struct load_options *o)
{
	return bulk(o, true);
}

int load_recv(const struct load_options *o)
{
	return bulk(o, false);
}

/* One octet; false: it did not come within the time. */
static bool octet(int fd, bool busy)
{
	uint64_t begin = busy ? now_ns() : 0;
	char x;

	for (;;) {
		ssize_t k = recv(fd, &x, 1, busy ? MSG_DONTWAIT : 0);

		if (k == 1)
			return true;
		if (k == 0 || errno != EAGAIN || !busy)
			return false;
		if (now_ns() - begin > WAIT_S * 1000000000ull) {
			errno = ETIMEDOUT;
			return false;
		}
	}
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void print_percentiles(uint32_t n, double per_sec, uint64_t total)
{
	qsort(sample_ns, n, sizeof(sample_ns[0]), by_value);
	printf("{\"value\":%.3f,\"p50\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"min\":%.3f,\"n\":%u,"
	       "\"per_sec\":%.1f,\"total\":%llu}\n",
		sample_ns[n / 2] / 1e3, sample_ns[n / 2] / 1e3,
		sample_ns[(uint64_t)n * 99 / 100] / 1e3, sample_ns[(uint64_t)n * 999 / 1000] / 1e3,
		sample_ns[0] / 1e3, n, per_sec, (unsigned long long)total);
}

int load_ping(const struct load_options *o)
{
	uint64_t start = now_ns() + o->warm_ns, end = start + o->time_ns, t = now_ns();
	uint64_t late = end + LATE_NS_MAX, total = 0;
	uint32_t n = 0;
	int fd = dial(o);

	if (fd < 0)
		return load_fail("connect");
	while ((t < end || (n < SAMPLES_MIN && t < late)) && n < SAMPLES_MAX) {
		uint64_t sent = now_ns();

		if (send(fd, "x", 1, 0) != 1 || !octet(fd, o->busy)) {
			load_fail("ping");
			hang_up(fd);
			return 1;
		}
		t = now_ns();
		total++;
		if (sent >= start)
			sample_ns[n++] = (uint32_t)(t - sent);
	}
	hang_up(fd);
	if (n == 0) {
		errno = ETIMEDOUT;
		return load_fail("no answer within the time");
	}
	print_percentiles(n, (double)n / ((double)(t - start) / 1e9), total);
	return 0;
}

static bool cycle_once(const struct load_options *o)
{
	int fd = dial(o);
	bool good;

	if (fd < 0)
		return false;
	good = send(fd, "x", 1, 0) == 1 && octet(fd, o->busy);
	close(fd);
	return good;
}

int load_cycle(const struct load_options *o)
{
	uint64_t start = now_ns() + o->warm_ns, end = start + o->time_ns, t = now_ns(), n = 0,
		 total = 0;
	unsigned errors = 0;

	while (t < end || n == 0) {
		bool good = cycle_once(o);

		if (!good && ++errors > CYCLE_ERR_MAX)
			return load_fail("connect, send, recv");
		total += good;
		if (t >= start)
			n += good;
		t = now_ns();
	}
	printf("{\"value\":%.1f,\"n\":%llu,\"errors\":%u,\"total\":%llu}\n",
		(double)n / ((double)(t - start) / 1e9), (unsigned long long)n, errors,
		(unsigned long long)total);
	return 0;
}

/* One octet has gone there and come back. */
static bool greet(int fd)
{
	return fd >= 0 && send(fd, "x", 1, 0) == 1 && octet(fd, false);
}

int load_hold(const struct load_options *o)
{
	struct rlimit files;
	struct pollfd in = {STDIN_FILENO, POLLIN, 0};

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	for (unsigned i = 0; i < o->conns; i++) {
		if (!greet(dial(o)))
			return load_fail("connect, send, recv");
	}
	printf("{\"value\":%u,\"total\":%u}\n", o->conns, o->conns);
	fflush(stdout);
	poll(&in, 1, (int)(o->time_ns / 1000000u));
	return 0;
}
