/* A client that opens many TCP connections through the host's kernel, for tests/net.
 *   load hold HOST PORT N    N at once, each echoed one message three times, then closed
 *   load cycle HOST PORT N   N one after another, each echoed one message
 * Exit status 0 if every byte came back. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES 64u
#define WAIT_MS       20000

static struct sockaddr_in peer;

static int fail(const char *what, long at)
{
	fprintf(stderr, "load: %s (connection %ld): %s\n", what, at, strerror(errno));
	return 1;
}

static void fill(char *m, long conn, int round)
{
	memset(m, 'a' + round, MESSAGE_BYTES);
	snprintf(m, MESSAGE_BYTES, "%d of connection %ld", round, conn);
}

/* Reads exactly one message and compares it. */
static bool expect(int fd, const char *want)
{
	char got[MESSAGE_BYTES];
	size_t n = 0;

	while (n < sizeof(got)) {
		struct pollfd p = {fd, POLLIN, 0};
		ssize_t r;

		if (poll(&p, 1, WAIT_MS) != 1) {
			errno = ETIMEDOUT;
			return false;
		}
		r = recv(fd, got + n, sizeof(got) - n, 0);
		if (r <= 0) {
			errno = r ? errno : EPIPE;
			return false;
		}
		n += (size_t)r;
	}
	errno = EBADMSG;
	return memcmp(got, want, sizeof(got)) == 0;
}

static int cycle(long n)
{
	for (long i = 0; i < n; i++) {
		char m[MESSAGE_BYTES];
		char end;
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			return fail("socket", i);
		if (connect(fd, (const struct sockaddr *)&peer, sizeof(peer)) != 0)
			return fail("connect", i);
		fill(m, i, (int)(i % 20));
		if (send(fd, m, sizeof(m), MSG_NOSIGNAL) != (ssize_t)sizeof(m))
			return fail("send", i);
		if (!expect(fd, m))
			return fail("receive", i);
		/* Every other one lets the stack close first. */
		if (i % 2 && (shutdown(fd, SHUT_WR) != 0 || recv(fd, &end, 1, 0) != 0))
			return fail("orderly end", i);
		close(fd);
	}
	return 0;
}

static int connect_all(int *fd, long n)
{
	for (long i = 0; i < n; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (fd[i] < 0)
			return fail("socket", i);
		if (connect(fd[i], (const struct sockaddr *)&peer, sizeof(peer)) != 0 &&
			errno != EINPROGRESS)
			return fail("connect", i);
	}
	for (long i = 0; i < n; i++) {
		struct pollfd p = {fd[i], POLLOUT, 0};
		int err = 0;
		socklen_t len = sizeof(err);

		if (poll(&p, 1, WAIT_MS) != 1)
			return fail("connect: no answer", i);
		getsockopt(fd[i], SOL_SOCKET, SO_ERROR, &err, &len);
		errno = err;
		if (err)
			return fail("connect", i);
	}
	return 0;
}

static int hold(long n)
{
	int *fd = calloc((size_t)n, sizeof(*fd));
	int bad = fd ? connect_all(fd, n) : fail("memory", 0);
	char m[MESSAGE_BYTES];

	for (int round = 0; round < 3 && !bad; round++) {
		for (long i = 0; i < n && !bad; i++) {
			fill(m, i, round);
			if (send(fd[i], m, sizeof(m), MSG_NOSIGNAL) != (ssize_t)sizeof(m))
				bad = fail("send", i);
		}
		for (long i = 0; i < n && !bad; i++) {
			fill(m, i, round);
			if (!expect(fd[i], m))
				bad = fail("receive", i);
		}
	}
	for (long i = 0; i < n && !bad; i++)
		close(fd[i]);
	free(fd);
	return bad;
}

int main(int argc, char **argv)
{
	struct rlimit lim;
	struct timespec a, b;
	long n;
	int bad;

	if (argc != 5 || inet_pton(AF_INET, argv[2], &peer.sin_addr) != 1)
		return 2;
	peer.sin_family = AF_INET;
	peer.sin_port = htons((uint16_t)atoi(argv[3]));
	n = atol(argv[4]);
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	clock_gettime(CLOCK_MONOTONIC, &a);
	bad = strcmp(argv[1], "hold") == 0 ? hold(n) : cycle(n);
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%ld connections in %.2f s\n", n,
		(double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
	return bad;
}
