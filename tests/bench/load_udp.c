/* The load generator's UDP modes: see load.c. What counts is what arrived where it was going: the
 * discard service's own count (port 5009), or what we received. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define BATCH     32u
#define BUF_BYTES (4 << 20)
#define QUIET_MS  100 /* so long nothing: that was all */
#define COUNT_MS  500
#define FIRST_MS  2000
#define TRIES     5
#define SETTLE_US 30000 /* what is under way arrives, before the count is read */

static char payload[UDP_BYTES];

static int udp_open(const struct load_options *o, uint16_t port)
{
	struct sockaddr_in to = o->peer;
	int bytes = BUF_BYTES, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	to.sin_port = htons(port);
	if (fd < 0)
		return -1;
	/* beyond rmem_max only with the privilege; what is granted will do */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* How many datagrams the discard service has had. */
static bool count_get(const struct load_options *o, uint64_t *count)
{
	int fd = udp_open(o, PORT_UDP_COUNT);
	struct pollfd p = {fd, POLLIN, 0};
	char text[32] = "";

	for (int i = 0; fd >= 0 && i < TRIES && !text[0]; i++) {
		if (send(fd, "?", 1, 0) == 1 && poll(&p, 1, COUNT_MS) == 1 &&
			recv(fd, text, sizeof(text) - 1, 0) < 0)
			text[0] = 0;
	}
	close(fd);
	*count = strtoull(text, NULL, 10);
	if (!text[0])
		errno = ETIMEDOUT;
	return text[0];
}

/* Datagrams for so long, as fast as the kernel takes them: how many. */
static uint64_t flood(int fd, const struct load_options *o, uint64_t duration_ns)
{
	struct iovec iov = {payload, (size_t)o->size * o->segs};
	struct mmsghdr m[BATCH];
	uint64_t sent = 0, end = now_ns() + duration_ns;

	memset(m, 0, sizeof(m));
	for (unsigned i = 0; i < BATCH; i++) {
		m[i].msg_hdr.msg_iov = &iov;
		m[i].msg_hdr.msg_iovlen = 1;
	}
	while (now_ns() < end) {
		int k = sendmmsg(fd, m, BATCH, 0);

		if (k > 0)
			sent += (uint64_t)k * o->segs;
		else if (errno != ENOBUFS && errno != EAGAIN && errno != ECONNREFUSED)
			break;
	}
	return sent;
}

int load_udp_send(const struct load_options *o)
{
	int fd = udp_open(o, ntohs(o->peer.sin_port)), seg = o->size;
	uint64_t first = 0, before = 0, after = 0, sent, start, ns;

	if (fd < 0 || (o->segs > 1 && setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &seg, sizeof(seg))))
		return load_fail("socket");
	if (!count_get(o, &first))
		return load_fail("the service's count");
	flood(fd, o, o->warm_ns);
	usleep(SETTLE_US);
	if (!count_get(o, &before))
		return load_fail("the service's count");
	start = now_ns();
	sent = flood(fd, o, o->time_ns);
	ns = now_ns() - start;
	usleep(SETTLE_US);
	if (!sent || !count_get(o, &after))
		return load_fail(sent ? "the service's count" : "send");
	close(fd);
	printf("{\"value\":%.1f,\"sent_per_sec\":%.1f,\"delivered\":%llu,\"sent\":%llu,"
	       "\"total\":%llu}\n",
		(double)(after - before) * 1e9 / (double)ns, (double)sent * 1e9 / (double)ns,
		(unsigned long long)(after - before), (unsigned long long)sent,
		(unsigned long long)(after - first));
	return 0;
}

/* What waits, as datagrams: with UDP_GRO several may come in one. -1: nothing for so long. */
static int64_t take(int fd, uint16_t size, int wait_ms)
{
	static char buf[BATCH][UDP_BYTES];
	struct iovec iov[BATCH];
	struct mmsghdr m[BATCH];
	struct pollfd p = {fd, POLLIN, 0};
	int64_t got = 0;
	int n;

	memset(m, 0, sizeof(m));
	for (unsigned i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){buf[i], sizeof(buf[i])};
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(fd, m, BATCH, MSG_DONTWAIT, NULL);
	if (n <= 0)
		return poll(&p, 1, wait_ms) == 1 ? 0 : -1;
	for (int i = 0; i < n; i++)
		got += ((int64_t)m[i].msg_len + size - 1) / size;
	return got;
}

int load_udp_recv(const struct load_options *o)
{
	struct flood_ask ask = {
		FLOOD_MAGIC, (uint32_t)((o->warm_ns + o->time_ns) / 1000000u), o->size, o->segs};
	int one = 1, fd = udp_open(o, ntohs(o->peer.sin_port));
	uint64_t first = 0, last = 0, count = 0, total = 0;
	int64_t n;

	if (fd < 0 || (o->segs > 1 && setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one))))
		return load_fail("socket");
	if (send(fd, &ask, sizeof(ask), 0) != (ssize_t)sizeof(ask))
		return load_fail("send");
	while ((n = take(fd, o->size, first ? QUIET_MS : FIRST_MS)) >= 0) {
		uint64_t t = now_ns();

		first = first || n == 0 ? first : t;
		total += (uint64_t)n;
		if (n == 0 || t < first + o->warm_ns)
			continue;
		count += (uint64_t)n;
		last = t;
		if (t > first + o->warm_ns + 2 * o->time_ns)
			break;
	}
	close(fd);
	if (count == 0 || last <= first + o->warm_ns) {
		errno = ETIMEDOUT;
		return load_fail("no datagrams");
	}
	printf("{\"value\":%.1f,\"received\":%llu,\"total\":%llu}\n",
		(double)count * 1e9 / (double)(last - first - o->warm_ns),
		(unsigned long long)count, (unsigned long long)total);
	return 0;
}
