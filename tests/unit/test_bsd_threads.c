/* BSD sockets from many threads at once: 64 of them connect, echo, close under one another, while
 * others wait in the same sockets. Meant for ThreadSanitizer (CONFIG=tsan) as well.
 * timeout: 300 */
#define _GNU_SOURCE
#include "tapglass_sockets.h"
#include "unit.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define CLIENTS   24
#define ACCEPTERS 8
#define VICTIMS   23
#define CLOSERS   8
#define SHARED    16
#define KEPT      8
#define CLOSES                                                                                     \
	1500 /* by each: with the clients' they stay below the number of ephemeral ports, which    \
		TIME-WAIT keeps */

static struct sockaddr_in server_at;
static struct sockaddr_in silent_at;
static int listener, silent, rounds;
static atomic_int echoed, wrong, interrupted;
static atomic_int shared[SHARED];
static atomic_bool over;

static bool brief(void)
{
	return getenv("TG_TEST_BRIEF") != NULL;
}

static void set_times(int fd)
{
	struct timeval tv = {5, 0};

	tg_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	tg_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static int connected(void)
{
	int fd = tg_socket(AF_INET, SOCK_STREAM, 0);

	set_times(fd);
	if (tg_connect(fd, (struct sockaddr *)&server_at, sizeof(server_at)) == 0)
		return fd;
	tg_close(fd);
	return -1;
}

/* Echoes until the client ends. */
static void *acceptor(void *arg)
{
	char buf[8192];
	int fd;

	(void)arg;
	while ((fd = tg_accept(listener, NULL, NULL)) >= 0) {
		ssize_t n;

		set_times(fd);
		while ((n = tg_recv(fd, buf, sizeof(buf), 0)) > 0)
			if (tg_send(fd, buf, (size_t)n, 0) != n)
				break;
		tg_close(fd);
	}
	return NULL;
}

static void *client(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	char out[3000], in[3000];

	for (int i = 0; i < rounds; i++) {
		size_t n = 1 + (size_t)rand_r(&seed) % sizeof(out);
		int fd = connected();

		memset(out, (int)(seed & 0xff), n);
		if (fd < 0 || tg_send(fd, out, n, 0) != (ssize_t)n ||
			tg_recv(fd, in, n, MSG_WAITALL) != (ssize_t)n || memcmp(in, out, n) != 0)
			atomic_fetch_add(&wrong, 1);
		else
			atomic_fetch_add(&echoed, 1);
		tg_close(fd);
	}
	return NULL;
}

/* Accepts and says nothing; ends the oldest when there are more than a few. */
static void *keeper(void *arg)
{
	int kept[KEPT], fd;
	unsigned n = 0;

	(void)arg;
	memset(kept, -1, sizeof(kept));
	while ((fd = tg_accept(silent, NULL, NULL)) >= 0) {
		set_times(fd); /* a victim may wait in it, by a number that it knew before */
		tg_close(kept[n % KEPT]);
		kept[n++ % KEPT] = fd;
	}
	for (unsigned i = 0; i < KEPT; i++)
		tg_close(kept[i]);
	return NULL;
}

/* Uses sockets that somebody else closes meanwhile: whatever comes of it, it returns. */
static void *victim(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	char buf[64];

	while (!atomic_load(&over)) {
		int fd = atomic_load(&shared[(unsigned)rand_r(&seed) % SHARED]);
		struct pollfd p = {.fd = fd, .events = POLLIN};

		switch (rand_r(&seed) % 5) {
		case 0: tg_recv(fd, buf, sizeof(buf), 0); break;
		case 1: tg_poll(&p, 1, 20); break;
		case 2: tg_send(fd, "hello", 5, MSG_DONTWAIT); break;
		case 3: tg_getsockopt(fd, SOL_SOCKET, SO_ERROR, buf, &(socklen_t){4}); break;
		default: tg_close(tg_dup(fd)); break;
		}
		atomic_fetch_add(&interrupted, 1);
	}
	return NULL;
}

/* A place gets a new socket, and the old one, in which others wait, ends. */
static void *closer(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	struct timeval tv = {0, 30000};

	for (int i = 0; i < CLOSES && !atomic_load(&over); i++) {
		int dgram = rand_r(&seed) % 2, fd, old;

		/* Non-blocking until its time-out is set: a victim with a stale number may be
		 * faster, and closing does not wake who waits, as on Linux. */
		fd = tg_socket(AF_INET, (dgram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
		tg_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		tg_fcntl(fd, F_SETFL, 0);
		tg_connect(fd, (struct sockaddr *)&silent_at, sizeof(silent_at));
		old = atomic_exchange(&shared[(unsigned)rand_r(&seed) % SHARED], fd);
		if (rand_r(&seed) % 2)
			tg_shutdown(old, SHUT_RDWR);
		tg_close(old);
	}
	return NULL;
}

static int listening(struct sockaddr_in *a)
{
	int fd = tg_socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(*a);

	*a = (struct sockaddr_in){.sin_family = AF_INET};
	a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(tg_bind(fd, (struct sockaddr *)a, len), 0);
	ck_assert_int_eq(tg_listen(fd, 512), 0);
	ck_assert_int_eq(tg_getsockname(fd, (struct sockaddr *)a, &len), 0);
	return fd;
}

static void start(pthread_t *t, int n, void *(*fn)(void *))
{
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, fn, (void *)(intptr_t)(i + 1)), 0);
}

static void join(const pthread_t *t, int n)
{
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(pthread_join(t[i], NULL), 0);
}

START_TEST (test_64_threads) {
	pthread_t c[CLIENTS], a[ACCEPTERS], v[VICTIMS], k[CLOSERS], silence;

	rounds = brief() ? 20 : 100;
	for (int i = 0; i < SHARED; i++)
		atomic_store(&shared[i], -1);
	listener = listening(&server_at);
	silent = listening(&silent_at);
	start(&silence, 1, keeper);
	start(a, ACCEPTERS, acceptor);
	start(v, VICTIMS, victim);
	start(k, CLOSERS, closer);
	start(c, CLIENTS, client);
	join(c, CLIENTS);
	atomic_store(&over, true);
	join(k, CLOSERS);
	for (int i = 0; i < SHARED; i++)
		tg_close(atomic_load(&shared[i]));
	join(v, VICTIMS);
	/* Who waits in accept is told by the end of the listener. */
	tg_shutdown(listener, SHUT_RDWR);
	join(a, ACCEPTERS);
	tg_shutdown(silent, SHUT_RDWR);
	join(&silence, 1);
	tg_close(listener);
	tg_close(silent);
	/* A number that was closed may be a client's by the time that a victim uses it, which then
	 * takes its bytes: as with files. */
	ck_assert_int_eq(atomic_load(&echoed) + atomic_load(&wrong), CLIENTS * rounds);
	ck_assert_int_gt(atomic_load(&echoed), CLIENTS * rounds / 10 * 9);
	ck_assert_int_gt(atomic_load(&interrupted), 0);
}
END_TEST

/* The same without those who close: every byte comes back. */
START_TEST (test_echoes) {
	pthread_t c[64 - ACCEPTERS], a[ACCEPTERS];

	rounds = brief() ? 10 : 100;
	atomic_store(&wrong, 0);
	atomic_store(&echoed, 0);
	listener = listening(&server_at);
	start(a, ACCEPTERS, acceptor);
	start(c, 64 - ACCEPTERS, client);
	join(c, 64 - ACCEPTERS);
	tg_shutdown(listener, SHUT_RDWR);
	join(a, ACCEPTERS);
	tg_close(listener);
	ck_assert_int_eq(atomic_load(&wrong), 0);
	ck_assert_int_eq(atomic_load(&echoed), (64 - ACCEPTERS) * rounds);
}
END_TEST

/* SO_REUSEPORT spreads connections over all who listen. */
START_TEST (test_reuseport) {
	struct sockaddr_in at = {.sin_family = AF_INET};
	int l[4], on = 1, got[4] = {0};
	socklen_t len = sizeof(at);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < 4; i++) {
		l[i] = tg_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		tg_setsockopt(l[i], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
		ck_assert_int_eq(tg_bind(l[i], (struct sockaddr *)&at, sizeof(at)), 0);
		ck_assert_int_eq(tg_listen(l[i], 128), 0);
		tg_getsockname(l[i], (struct sockaddr *)&at, &len);
	}
	for (int i = 0; i < 100; i++) {
		int c = tg_socket(AF_INET, SOCK_STREAM, 0);

		ck_assert_int_eq(tg_connect(c, (struct sockaddr *)&at, sizeof(at)), 0);
		tg_close(c);
	}
	for (int i = 0; i < 4; i++) {
		int c;

		while ((c = tg_accept(l[i], NULL, NULL)) >= 0) {
			got[i]++;
			tg_close(c);
		}
		tg_close(l[i]);
	}
	ck_assert_int_eq(got[0] + got[1] + got[2] + got[3], 100);
	for (int i = 0; i < 4; i++)
		ck_assert_int_gt(got[i], 5);
}
END_TEST

/* A listener that defers accepts what has spoken first. */
START_TEST (test_defer_accept) {
	int c[2], a, s = 1;
	char buf[8];

	listener = listening(&server_at);
	tg_fcntl(listener, F_SETFL, O_NONBLOCK);
	ck_assert_int_eq(tg_setsockopt(listener, IPPROTO_TCP, 9, &s, sizeof(s)), 0);
	c[0] = connected();
	c[1] = connected();
	ck_assert_int_eq(tg_accept(listener, NULL, NULL), -1);
	ck_assert_int_eq(tg_send(c[1], "second", 6, 0), 6);
	a = tg_accept(listener, NULL, NULL);
	ck_assert_int_ge(a, 0);
	ck_assert_int_eq(tg_recv(a, buf, 8, 0), 6);
	tg_close(a);
	/* Who says nothing is let in when the time is over. */
	tg_fcntl(listener, F_SETFL, 0);
	a = tg_accept(listener, NULL, NULL);
	ck_assert_int_ge(a, 0);
	tg_close(a);
	tg_close(c[0]);
	tg_close(c[1]);
	tg_close(listener);
}
END_TEST

/* The next test starts it again. */
static void stop_loop(void)
{
	tg_host_stop_thread(tg_host_default());
}

static Suite *threads_suite(void)
{
	Suite *s = suite_create("bsd threads");
	TCase *c = tcase_create("threads");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, NULL, stop_loop);
	tcase_add_test(c, test_64_threads);
	tcase_add_test(c, test_echoes);
	tcase_add_test(c, test_reuseport);
	tcase_add_test(c, test_defer_accept);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(threads_suite)
