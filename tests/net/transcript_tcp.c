/* The transcript's streams: connections, states, half-closes, ends, urgent data. */
#include "transcript.h"

void tcp_basics(void)
{
	struct sockaddr_in a = at("127.0.0.1", 0), peer;
	socklen_t len = sizeof(peer);
	char buf[64];
	int l, c, s, n = 0;

	puts("== tcp basics");
	l = S(socket)(AF_INET, SOCK_STREAM, 0);
	DO(S(bind)(l, (struct sockaddr *)&a, sizeof(a)));
	DO(S(bind)(l, (struct sockaddr *)&a, sizeof(a)));
	DO(S(listen)(l, 4));
	DO(S(listen)(l, 8));
	a.sin_port = htons((uint16_t)port_of(l));
	DO(ready(l, POLLIN, 0));
	c = S(socket)(AF_INET, SOCK_STREAM, 0);
	DO(ready(c, POLLIN | POLLOUT, 0));
	DO(S(send)(c, "x", 1, MSG_NOSIGNAL));
	DO(S(recv)(c, buf, 1, 0));
	DO(S(getpeername)(c, (struct sockaddr *)&peer, &len));
	DO(S(connect)(c, (struct sockaddr *)&a, sizeof(a)));
	DO(S(connect)(c, (struct sockaddr *)&a, sizeof(a)));
	DO(ready(l, POLLIN, 1000));
	DO(ready(c, POLLIN | POLLOUT | POLLRDHUP, 0));
	len = sizeof(peer);
	s = S(accept)(l, (struct sockaddr *)&peer, &len);
	DO(s >= 0);
	show_addr("accept", &peer, len);
	len = sizeof(peer);
	DO(S(getpeername)(c, (struct sockaddr *)&peer, &len));
	show_addr("peer", &peer, len);
	len = 4;
	DO(S(getsockname)(c, (struct sockaddr *)&peer, &len));
	DO((long)len);
	DO(S(send)(c, "hello world", 11, 0));
	DO(ready(s, POLLIN, 1000));
	DO(S(ioctl)(s, FIONREAD, &n));
	DO(n);
	DO(S(recv)(s, buf, 5, MSG_PEEK));
	DO(S(recv)(s, buf, 5, 0));
	show_bytes("got", buf, 5);
	DO(S(recv)(s, buf, sizeof(buf), MSG_DONTWAIT));
	DO(S(recv)(s, buf, sizeof(buf), MSG_DONTWAIT));
	DO(S(recv)(s, buf, 0, MSG_DONTWAIT));
	DO(S(send)(s, "", 0, 0));
	DO(S(write)(s, "abcdef", 6));
	DO(S(recv)(c, buf, 6, MSG_WAITALL));
	DO(S(recv)(c, buf, 6, MSG_DONTWAIT | MSG_WAITALL));
	DO(S(ioctl)(c, SIOCOUTQ, &n));
	DO(n);
	DO(S(accept)(c, NULL, NULL));
	DO(S(listen)(c, 1));
	DO(S(fcntl)(l, F_SETFL, O_NONBLOCK));
	DO(S(fcntl)(l, F_GETFL));
	DO(S(accept)(l, NULL, NULL));
	DO(S(send)(l, "x", 1, MSG_NOSIGNAL));
	DO(S(recv)(l, buf, 1, 0));
	DO(S(ioctl)(l, FIONREAD, &n));
	DO(S(connect)(l, (struct sockaddr *)&a, sizeof(a)));
	DO(S(shutdown)(s, SHUT_WR));
	DO(S(shutdown)(s, SHUT_WR));
	DO(ready(c, POLLIN | POLLOUT | POLLRDHUP, 1000));
	DO(S(recv)(c, buf, 8, 0));
	DO(S(recv)(c, buf, 8, 0));
	DO(S(send)(s, "x", 1, MSG_NOSIGNAL));
	DO(S(send)(c, "still", 5, 0));
	DO(S(recv)(s, buf, 8, 0));
	DO(S(close)(c));
	DO(S(recv)(s, buf, 8, 0));
	DO(ready(s, POLLIN | POLLOUT | POLLRDHUP, 100));
	DO(S(close)(s));
	DO(S(close)(l));
}

void tcp_states(void)
{
	struct sockaddr_in a = at("127.0.0.1", 0), none = {.sin_family = AF_UNSPEC};
	int port, l = listener(&port), c, e = 0, d;
	socklen_t len = sizeof(e);
	char buf[8];

	puts("== tcp states");
	a.sin_port = htons((uint16_t)port);
	c = S(socket)(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP);
	DO(S(fcntl)(c, F_GETFL));
	DO(S(connect)(c, (struct sockaddr *)&a, sizeof(a)));
	DO(ready(c, POLLOUT, 1000));
	DO(S(getsockopt)(c, SOL_SOCKET, SO_ERROR, &e, &len));
	DO(e);
	DO(S(connect)(c, (struct sockaddr *)&a, sizeof(a)));
	DO(S(connect)(c, (struct sockaddr *)&a, sizeof(a)));
	DO(S(recv)(c, buf, 8, 0));
	DO(S(connect)(c, (struct sockaddr *)&none, sizeof(none)));
	DO(S(send)(c, "x", 1, MSG_NOSIGNAL));
	DO(S(recv)(c, buf, 8, 0));
	DO(S(close)(c));
	DO(S(close)(l));
	/* Nobody listens now. */
	c = S(socket)(AF_INET, SOCK_STREAM, 0);
	DO(S(connect)(c, (struct sockaddr *)&a, sizeof(a)));
	DO(S(getsockopt)(c, SOL_SOCKET, SO_ERROR, &e, &len));
	DO(e);
	DO(S(send)(c, "x", 1, MSG_NOSIGNAL));
	DO(S(recv)(c, buf, 8, 0));
	DO(S(connect)(c, (struct sockaddr *)&a, sizeof(a)));
	DO(S(close)(c));
	c = S(socket)(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	DO(S(connect)(c, (struct sockaddr *)&a, sizeof(a)));
	DO(ready(c, POLLIN | POLLOUT, 1000));
	DO(S(connect)(c, (struct sockaddr *)&a, sizeof(a)));
	DO(ready(c, POLLIN | POLLOUT, 0));
	DO(S(close)(c));
	c = S(socket)(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	DO(S(connect)(c, (struct sockaddr *)&a, sizeof(a)));
	DO(ready(c, POLLIN | POLLOUT, 1000));
	DO(S(getsockopt)(c, SOL_SOCKET, SO_ERROR, &e, &len));
	DO(e == ECONNREFUSED);
	DO(S(getsockopt)(c, SOL_SOCKET, SO_ERROR, &e, &len));
	DO(e);
	DO(S(shutdown)(c, SHUT_RDWR));
	DO(S(close)(c));
	/* Two descriptors, one socket. */
	pair(&c, &l);
	d = S(dup)(c);
	DO(d >= 0 && d != c);
	DO(S(close)(c));
	DO(S(send)(d, "dup", 3, 0));
	DO(S(recv)(l, buf, 8, 0));
	DO(S(close)(d));
	DO(S(recv)(l, buf, 8, 0));
	DO(S(close)(l));
	DO(S(close)(l));
}

static void with_linger(int seconds)
{
	struct linger lin = {1, seconds};
	char buf[8];
	int c, s;

	pair(&c, &s);
	DO(S(setsockopt)(c, SOL_SOCKET, SO_LINGER, &lin, sizeof(lin)));
	DO(S(send)(c, "data", 4, 0));
	DO(S(close)(c));
	nap(20);
	DO(S(recv)(s, buf, 8, 0));
	DO(S(recv)(s, buf, 8, 0));
	DO(S(send)(s, "x", 1, MSG_NOSIGNAL));
	nap(20);
	DO(S(send)(s, "x", 1, MSG_NOSIGNAL));
	DO(S(close)(s));
}

static void *recv_later(void *arg)
{
	static char buf[8];
	int *fd = arg;

	return (void *)(intptr_t)S(recv)(*fd, buf, 8, 0);
}

static void *accept_later(void *arg)
{
	int r = S(accept)(*(int *)arg, NULL, NULL);

	return (void *)(intptr_t)(r < 0 ? -errno : r);
}

static void end_under_blocked_calls(void)
{
	int c, s, port, l = listener(&port);
	pthread_t t;
	void *r;

	pair(&c, &s);
	pthread_create(&t, NULL, recv_later, &s);
	nap(30);
	DO(S(shutdown)(s, SHUT_RD));
	pthread_join(t, &r);
	DO((long)(intptr_t)r);
	pthread_create(&t, NULL, accept_later, &l);
	nap(30);
	DO(S(shutdown)(l, SHUT_RD));
	pthread_join(t, &r);
	DO((long)(intptr_t)r == -EINVAL);
	DO(S(close)(l));
	DO(S(close)(c));
	DO(S(close)(s));
}

void tcp_ends(void)
{
	struct timeval tv = {0, 40000};
	struct iovec v[3] = {{(char *)"one", 3}, {(char *)"", 0}, {(char *)"three", 5}};
	char buf[16], buf2[16];
	struct iovec in[2] = {{buf, 4}, {buf2, 16}};
	volatile int minus_one = -1;
	int c, s, e;
	socklen_t len = sizeof(e);

	puts("== tcp ends");
	with_linger(0);
	with_linger(2);
	/* Unread data make the close a reset. */
	pair(&c, &s);
	DO(S(send)(c, "unread", 6, 0));
	nap(10);
	DO(S(close)(s));
	nap(20);
	DO(ready(c, POLLIN | POLLOUT | POLLRDHUP, 100));
	DO(S(recv)(c, buf, 8, 0));
	DO(S(recv)(c, buf, 8, 0));
	DO(S(send)(c, "x", 1, MSG_NOSIGNAL));
	DO(S(getsockopt)(c, SOL_SOCKET, SO_ERROR, &e, &len));
	DO(e);
	DO(S(shutdown)(c, SHUT_WR));
	DO(S(close)(c));
	/* Times. */
	pair(&c, &s);
	DO(S(setsockopt)(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	DO(S(recv)(s, buf, 8, 0));
	DO(S(writev)(c, v, 3));
	nap(10);
	DO(S(readv)(s, in, 2));
	show_bytes("first", buf, 4);
	show_bytes("second", buf2, 4);
	DO(S(writev)(c, v, 0));
	DO(S(writev)(c, v, minus_one));
	DO(S(send)(c, "1234", 4, 0));
	DO(S(recv)(s, buf, 8, MSG_WAITALL));
	DO(S(shutdown)(s, 7));
	DO(S(shutdown)(s, SHUT_RD));
	DO(S(recv)(s, buf, 8, 0));
	DO(S(send)(s, "on", 2, 0));
	DO(S(recv)(c, buf, 8, 0));
	DO(ready(s, POLLIN | POLLOUT | POLLRDHUP, 0));
	DO(S(shutdown)(s, SHUT_WR));
	DO(ready(s, POLLIN | POLLOUT | POLLRDHUP, 0));
	DO(S(close)(c));
	DO(S(close)(s));
	/* A buffer that fills. */
	pair(&c, &s);
	DO(S(fcntl)(c, F_SETFL, O_NONBLOCK));
	for (int i = 0; i < 10000; i++)
		if (S(send)(c, buf, sizeof(buf), MSG_NOSIGNAL) < 0)
			break;
	/* Until probes of the peer's window change nothing any more. */
	for (int quiet = 0; quiet < 3; quiet++) {
		while (S(send)(c, buf, sizeof(buf), 0) > 0 || ready(c, POLLOUT, 20) == POLLOUT)
			quiet = 0;
		nap(150);
	}
	DO(S(send)(c, "x", 1, 0));
	DO(ready(c, POLLOUT, 0));
	DO(S(setsockopt)(c, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)));
	DO(S(fcntl)(c, F_SETFL, 0));
	DO(S(send)(c, "x", 1, 0));
	DO(S(close)(s));
	nap(20);
	DO(S(send)(c, "x", 1, MSG_NOSIGNAL));
	DO(S(close)(c));
	end_under_blocked_calls();
}

void tcp_urgent(void)
{
	int c, s, on = 1, mark = 0, n = 0;
	char buf[16];

	puts("== tcp urgent");
	pair(&c, &s);
	DO(S(recv)(s, buf, 1, MSG_OOB));
	DO(S(send)(c, "abc", 3, 0));
	DO(S(send)(c, "xY", 2, MSG_OOB));
	DO(S(send)(c, "def", 3, 0));
	nap(100); /* the last piece waits for an ACK (Nagle), which may be delayed */
	DO(ready(s, POLLIN | POLLPRI, 100));
	/* [9293 MUST-33] */
	DO(S(ioctl)(s, SIOCATMARK, &mark));
	DO(mark);
	DO(S(ioctl)(s, FIONREAD, &n));
	DO(n);
	DO(S(recv)(s, buf, 16, 0));
	show_bytes("before the mark", buf, 4);
	DO(S(ioctl)(s, SIOCATMARK, &mark));
	DO(mark);
	DO(S(recv)(s, buf, 1, MSG_OOB | MSG_PEEK));
	DO(S(recv)(s, buf, 1, MSG_OOB));
	show_bytes("urgent", buf, 1);
	DO(S(recv)(s, buf, 1, MSG_OOB));
	DO(ready(s, POLLIN | POLLPRI, 0));
	DO(S(recv)(s, buf, 16, 0));
	show_bytes("behind", buf, 3);
	DO(S(ioctl)(s, SIOCATMARK, &mark));
	DO(mark);
	DO(S(setsockopt)(s, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)));
	DO(S(send)(c, "gh", 2, 0));
	DO(S(send)(c, "I", 1, MSG_OOB));
	nap(30);
	DO(S(recv)(s, buf, 1, MSG_OOB));
	DO(S(recv)(s, buf, 16, 0));
	DO(S(ioctl)(s, SIOCATMARK, &mark));
	DO(mark);
	DO(S(recv)(s, buf, 16, 0));
	show_bytes("in line", buf, 1);
	DO(S(close)(c));
	DO(S(close)(s));
}
