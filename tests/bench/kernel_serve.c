/* The services of the benchmarks on the kernel's own sockets, one thread over epoll: what the stack
 * is compared with, over a veth pair.
 *
 *   kernel_serve [--busy US]
 *
 * TCP: echo, discard, chargen. UDP: discard, its count, and datagrams on request (bench.h). --busy:
 * poll for so long after the last activity before sleeping. Runs until it is killed. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define FDS_MAX     65536
#define CHUNK_BYTES 131072u
#define BUF_BYTES   (4 << 20)
#define EVENTS      64
#define BATCH       32u

enum kind {
	NONE,
	LISTEN_ECHO,
	LISTEN_DISCARD,
	LISTEN_CHARGEN,
	ECHO,
	DISCARD,
	CHARGEN,
	SINK,
	COUNT,
	SOURCE
};

static uint8_t kinds[FDS_MAX];
static char chunk[CHUNK_BYTES * 2], out[CHUNK_BYTES];
static uint64_t sunk; /* datagrams the discard port has had */
static int ep;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void add(int fd, enum kind k)
{
	struct epoll_event e = {.events = k == CHARGEN ? EPOLLIN | EPOLLOUT : EPOLLIN};

	if (fd < 0 || fd >= FDS_MAX)
		die("socket");
	e.data.fd = fd;
	kinds[fd] = (uint8_t)k;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e))
		die("epoll_ctl");
}

static void serve(int type, uint16_t port, enum kind k)
{
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
	int bytes = BUF_BYTES;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (type == SOCK_DGRAM && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) ||
		(type == SOCK_STREAM && listen(fd, 4096)))
		die("bind, listen");
	add(fd, k);
}

static void welcome(int listener, enum kind k)
{
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
		add(fd, k);
	}
}

static bool again(ssize_t k)
{
	return k > 0 || (k < 0 && errno == EAGAIN);
}

/* False: the connection is over. */
static bool stream(int fd, uint32_t events)
{
	ssize_t k;

	switch ((enum kind)kinds[fd]) {
	case ECHO:
		k = recv(fd, chunk, CHUNK_BYTES, 0);
		return k > 0 ? send(fd, chunk, (size_t)k, MSG_NOSIGNAL) > 0 : again(k);
	case DISCARD: return again(recv(fd, chunk, sizeof(chunk), 0));
	case CHARGEN:
		if ((events & ~(uint32_t)EPOLLOUT) && !again(recv(fd, chunk, CHUNK_BYTES, 0)))
			return false;
		return !(events & EPOLLOUT) || again(send(fd, out, sizeof(out), MSG_NOSIGNAL));
	case NONE:
	case LISTEN_ECHO:
	case LISTEN_DISCARD:
	case LISTEN_CHARGEN:
	case SINK:
	case COUNT:
	case SOURCE: break;
	}
	return false;
}

static void sink(int fd)
{
	static char buf[BATCH][2048];
	struct iovec iov[BATCH];
	struct mmsghdr m[BATCH];
	int n;

	memset(m, 0, sizeof(m));
	for (unsigned i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){buf[i], sizeof(buf[i])};
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(fd, m, BATCH, 0, NULL);
	sunk += n > 0 ? (uint64_t)n : 0;
}

static void count(int fd)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char text[32];

	if (recvfrom(fd, chunk, CHUNK_BYTES, 0, (struct sockaddr *)&from, &len) < 0)
		return;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)sunk);
	sendto(fd, text, strlen(text), 0, (struct sockaddr *)&from, len);
}

/* Datagrams to whoever asked for them, for as long as he asked: nothing else is served meanwhile.
 */
static void source(int fd)
{
	struct sockaddr_in to;
	socklen_t len = sizeof(to);
	struct flood_ask ask;
	struct iovec iov = {out, 0};
	struct mmsghdr m[BATCH];
	ssize_t n = recvfrom(fd, chunk, CHUNK_BYTES, 0, (struct sockaddr *)&to, &len);
	uint64_t end;
	int seg;

	if (n < 0 || !flood_ask_get(&ask, chunk, (size_t)n))
		return;
	iov.iov_len = (size_t)ask.dgram_bytes * ask.segs;
	seg = ask.segs > 1 ? ask.dgram_bytes : 0;
	setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &seg, sizeof(seg));
	memset(m, 0, sizeof(m));
	for (unsigned i = 0; i < BATCH; i++) {
		m[i].msg_hdr.msg_iov = &iov;
		m[i].msg_hdr.msg_iovlen = 1;
		m[i].msg_hdr.msg_name = &to;
		m[i].msg_hdr.msg_namelen = len;
	}
	end = now_ns() + (uint64_t)ask.duration_ms * 1000000u;
	while (now_ns() < end)
		sendmmsg(fd, m, BATCH, MSG_DONTWAIT);
}

static void event(int fd, uint32_t events)
{
	switch ((enum kind)kinds[fd]) {
	case LISTEN_ECHO: welcome(fd, ECHO); break;
	case LISTEN_DISCARD: welcome(fd, DISCARD); break;
	case LISTEN_CHARGEN: welcome(fd, CHARGEN); break;
	case SINK: sink(fd); break;
	case COUNT: count(fd); break;
	case SOURCE: source(fd); break;
	case NONE:
	case ECHO:
	case DISCARD:
	case CHARGEN:
		if (!stream(fd, events)) {
			kinds[fd] = NONE;
			close(fd);
		}
		break;
	}
}

int main(int argc, char **argv)
{
	uint64_t busy_ns = 0, active_ns = 0;
	struct epoll_event e[EVENTS];

	if (argc == 3 && strcmp(argv[1], "--busy") == 0) {
		busy_ns = strtoull(argv[2], NULL, 10) * 1000u;
	} else if (argc != 1) {
		fputs("usage: kernel_serve [--busy US]\n", stderr);
		return 2;
	}
	ep = epoll_create1(EPOLL_CLOEXEC);
	serve(SOCK_STREAM, PORT_ECHO, LISTEN_ECHO);
	serve(SOCK_STREAM, PORT_DISCARD, LISTEN_DISCARD);
	serve(SOCK_STREAM, PORT_CHARGEN, LISTEN_CHARGEN);
	serve(SOCK_DGRAM, PORT_DISCARD, SINK);
	serve(SOCK_DGRAM, PORT_UDP_COUNT, COUNT);
	serve(SOCK_DGRAM, PORT_UDP_SOURCE, SOURCE);
	puts("ready");
	fflush(stdout);
	for (;;) {
		bool spin = busy_ns && now_ns() - active_ns < busy_ns;
		int n = epoll_wait(ep, e, EVENTS, spin ? 0 : -1);

		for (int i = 0; i < n; i++)
			event(e[i].data.fd, e[i].events);
		if (n > 0 && busy_ns)
			active_ns = now_ns();
	}
}
