/* The transcript's finer points: datagrams put together, edges, peeks, groups, times. */
#include "transcript.h"

#include <netinet/udp.h>

static void cork_of_udp(void)
{
	struct sockaddr_in any = at("127.0.0.1", 0), to, other = at("127.0.0.1", 9), none = {0};
	int a = S(socket)(AF_INET, SOCK_DGRAM, 0), b = S(socket)(AF_INET, SOCK_DGRAM, 0), v = 1;
	static char big[65000];
	socklen_t len = sizeof(v);
	char buf[32];

	S(bind)(b, (struct sockaddr *)&any, sizeof(any));
	to = at("127.0.0.1", port_of(b));
	DO(S(sendto)(a, "one", 3, MSG_MORE, (struct sockaddr *)&to, sizeof(to)));
	DO(ready(b, POLLIN, 20));
	/* The address of what follows is not looked at. */
	DO(S(sendto)(a, "two", 3, MSG_MORE, (struct sockaddr *)&other, sizeof(other)));
	DO(S(send)(a, "three", 5, 0));
	DO(S(recv)(b, buf, 32, 0));
	show_bytes("together", buf, 11);
	DO(S(sendto)(a, "", 0, MSG_MORE, (struct sockaddr *)&to, sizeof(to)));
	DO(S(send)(a, "x", 1, 0));
	DO(S(sendto)(a, "begun", 5, MSG_MORE, (struct sockaddr *)&to, sizeof(to)));
	DO(S(sendto)(a, "", 0, 0, (struct sockaddr *)&none, sizeof(none)));
	DO(S(recv)(b, buf, 32, 0));
	/* The option. */
	DO(S(setsockopt)(a, SOL_UDP, UDP_CORK, &v, 2));
	DO(S(setsockopt)(a, SOL_UDP, UDP_CORK, &v, sizeof(v)));
	v = 7;
	DO(S(getsockopt)(a, SOL_UDP, UDP_CORK, &v, &len));
	DO(v);
	DO(S(sendto)(a, "four", 4, 0, (struct sockaddr *)&to, sizeof(to)));
	DO(S(send)(a, "five", 4, 0));
	DO(ready(b, POLLIN, 20));
	v = 0;
	DO(S(setsockopt)(a, SOL_UDP, UDP_CORK, &v, sizeof(v)));
	DO(S(recv)(b, buf, 32, 0));
	show_bytes("uncorked", buf, 8);
	DO(S(send)(a, "x", 1, 0));
	/* Too much: all of it is lost. */
	DO(S(sendto)(a, big, 65000, MSG_MORE, (struct sockaddr *)&to, sizeof(to)));
	DO(S(sendto)(a, big, 508, MSG_MORE, (struct sockaddr *)&to, sizeof(to)));
	DO(S(send)(a, "x", 1, 0));
	DO(S(recv)(b, buf, 32, MSG_DONTWAIT));
	DO(S(sendto)(a, big, 65000, MSG_MORE, (struct sockaddr *)&to, sizeof(to)));
	DO(S(sendto)(a, big, 507, 0, (struct sockaddr *)&to, sizeof(to)));
	DO(S(recv)(b, buf, 32, MSG_TRUNC));
	/* Shut in between. */
	DO(S(connect)(a, (struct sockaddr *)&to, sizeof(to)));
	DO(S(send)(a, "half", 4, MSG_MORE));
	DO(S(shutdown)(a, SHUT_WR));
	DO(S(send)(a, "rest", 4, MSG_NOSIGNAL));
	DO(S(recv)(b, buf, 32, MSG_DONTWAIT));
	DO(S(close)(a));
	/* Closed in between. */
	a = S(socket)(AF_INET, SOCK_DGRAM, 0);
	DO(S(sendto)(a, "lost", 4, MSG_MORE, (struct sockaddr *)&to, sizeof(to)));
	DO(S(close)(a));
	DO(S(recv)(b, buf, 32, MSG_DONTWAIT));
	DO(S(getsockopt)(b, SOL_UDP, 99, &v, &len));
	DO(S(setsockopt)(b, SOL_UDP, 99, &v, sizeof(v)));
	DO(S(close)(b));
}

static void cork_of_raw(void)
{
	struct sockaddr_in to = at("127.0.0.1", 0);
	int a = S(socket)(AF_INET, SOCK_RAW, 201), b = S(socket)(AF_INET, SOCK_RAW, 201), v = 1;
	char buf[64];

	DO(S(sendto)(a, "ab", 2, MSG_MORE, (struct sockaddr *)&to, sizeof(to)));
	DO(ready(b, POLLIN, 20));
	DO(S(send)(a, "x", 1, MSG_MORE));
	DO(S(sendto)(a, "cd", 2, MSG_MORE, (struct sockaddr *)&to, sizeof(to)));
	DO(S(sendto)(a, "ef", 2, 0, (struct sockaddr *)&to, sizeof(to)));
	DO(S(recv)(b, buf, 64, 0));
	show_bytes("together", buf + 20, 6);
	DO(S(recv)(b, buf, 64, MSG_DONTWAIT));
	DO(S(setsockopt)(a, SOL_UDP, UDP_CORK, &v, sizeof(v)));
	DO(S(close)(a));
	DO(S(close)(b));
}

static int wait_edge(int ep)
{
	struct epoll_event out[4];
	int n = S(epoll_wait)(ep, out, 4, 100);

	return n == 1 ? (int)out[0].events : n;
}

static void edges_of_streams(int ep)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
	struct sockaddr_in a;
	int c, s, port, l = listener(&port), d;
	char buf[8];

	pair(&c, &s);
	S(epoll_ctl)(ep, EPOLL_CTL_ADD, s, &ev);
	DO(S(send)(c, "ab", 2, 0));
	DO(wait_edge(ep));
	DO(wait_edge(ep));
	DO(S(send)(c, "cd", 2, 0)); /* more, with some unread */
	DO(wait_edge(ep));
	DO(S(recv)(s, buf, 1, 0));
	DO(wait_edge(ep));
	DO(S(send)(c, "ef", 2, 0));
	DO(wait_edge(ep));
	ev.events = EPOLLOUT | EPOLLET;
	DO(S(epoll_ctl)(ep, EPOLL_CTL_MOD, s, &ev));
	DO(wait_edge(ep));
	DO(S(send)(c, "gh", 2, 0)); /* not what is watched for */
	DO(wait_edge(ep));
	ev.events = EPOLLIN | EPOLLOUT | EPOLLET;
	DO(S(epoll_ctl)(ep, EPOLL_CTL_MOD, s, &ev));
	DO(wait_edge(ep));
	DO(S(send)(c, "ij", 2, 0));
	DO(wait_edge(ep));
	DO(S(shutdown)(c, SHUT_WR)); /* the end, with some unread */
	DO(wait_edge(ep));
	DO(wait_edge(ep));
	ev.events = EPOLLIN | EPOLLET | EPOLLRDHUP | EPOLLONESHOT;
	DO(S(epoll_ctl)(ep, EPOLL_CTL_MOD, s, &ev));
	DO(wait_edge(ep));
	DO(S(close)(s));
	nap(20);
	DO(wait_edge(ep));
	S(close)(c);
	/* Each connection to a listener. */
	ev.events = EPOLLIN | EPOLLET;
	S(epoll_ctl)(ep, EPOLL_CTL_ADD, l, &ev);
	a = at("127.0.0.1", port);
	c = S(socket)(AF_INET, SOCK_STREAM, 0);
	DO(S(connect)(c, (struct sockaddr *)&a, sizeof(a)));
	DO(wait_edge(ep));
	DO(wait_edge(ep));
	d = S(socket)(AF_INET, SOCK_STREAM, 0);
	DO(S(connect)(d, (struct sockaddr *)&a, sizeof(a)));
	DO(wait_edge(ep));
	S(close)(c);
	S(close)(d);
	S(close)(l);
}

static void edges_of_datagrams(int ep)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
	struct sockaddr_in any = at("127.0.0.1", 0), to;
	int a = S(socket)(AF_INET, SOCK_DGRAM, 0), b = S(socket)(AF_INET, SOCK_DGRAM, 0);
	char buf[8];

	S(bind)(b, (struct sockaddr *)&any, sizeof(any));
	to = at("127.0.0.1", port_of(b));
	S(epoll_ctl)(ep, EPOLL_CTL_ADD, b, &ev);
	for (int i = 0; i < 3; i++) {
		DO(S(sendto)(a, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)));
		DO(wait_edge(ep));
		DO(wait_edge(ep));
	}
	DO(S(recv)(b, buf, 8, 0));
	DO(wait_edge(ep));
	S(close)(a);
	S(close)(b);
}

/* A queue that watches the kernel's descriptors along with sockets, and is watched itself. */
static void queue_of_all(int ep)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = 3}, out[4];
	int pipes[2], file = open("/dev/null", O_RDWR), c, s, outer = S(epoll_create1)(0);
	struct pollfd p = {.fd = ep, .events = POLLIN};
	char b[4];

	if (pipe(pipes) < 0)
		return;
	pair(&c, &s);
	DO(S(epoll_ctl)(ep, EPOLL_CTL_ADD, pipes[0], &ev));
	DO(S(epoll_ctl)(ep, EPOLL_CTL_ADD, pipes[0], &ev));
	DO(S(epoll_ctl)(ep, EPOLL_CTL_ADD, file, &ev));
	DO(S(epoll_ctl)(ep, EPOLL_CTL_ADD, ep, &ev));
	ev.data.u32 = 4;
	DO(S(epoll_ctl)(ep, EPOLL_CTL_ADD, s, &ev));
	DO(S(epoll_ctl)(outer, EPOLL_CTL_ADD, ep, &ev));
	DO(S(epoll_wait)(ep, out, 4, 0));
	DO(S(epoll_wait)(outer, out, 4, 0));
	DO(S(poll)(&p, 1, 0));
	DO(write(pipes[1], "x", 1));
	DO(S(epoll_wait)(ep, out, 4, 1000));
	DO(out[0].data.u32 * 100 + out[0].events);
	DO(S(poll)(&p, 1, 0));
	DO(S(epoll_wait)(outer, out, 4, 1000));
	DO(S(send)(c, "y", 1, 0));
	DO(ready(s, POLLIN, 1000));
	DO(S(epoll_wait)(ep, out, 4, 1000));
	DO(read(pipes[0], b, 1));
	DO(S(epoll_wait)(ep, out, 4, 1000));
	DO(out[0].data.u32 * 100 + out[0].events);
	DO(S(poll)(&p, 1, 0));
	DO(S(epoll_wait)(outer, out, 4, 1000));
	DO(S(recv)(s, b, 1, 0));
	DO(S(poll)(&p, 1, 0));
	DO(S(epoll_wait)(ep, out, 4, 0));
	ev.events = EPOLLOUT;
	DO(S(epoll_ctl)(ep, EPOLL_CTL_MOD, pipes[0], &ev));
	DO(S(epoll_ctl)(ep, EPOLL_CTL_DEL, pipes[0], NULL));
	DO(S(epoll_ctl)(ep, EPOLL_CTL_DEL, pipes[0], NULL));
	DO(S(epoll_ctl)(ep, EPOLL_CTL_DEL, file, NULL));
	DO(S(epoll_ctl)(ep, EPOLL_CTL_MOD, file, &ev));
	DO(S(close)(outer));
	S(close)(c);
	S(close)(s);
	close(pipes[0]);
	close(pipes[1]);
	close(file);
}

static void *send_later(void *arg)
{
	nap(60);
	S(send)(*(int *)arg, "later", 5, 0);
	return NULL;
}

static void peeks(void)
{
	char buf[16] = "", buf2[16] = "";
	struct iovec in[2] = {{buf, 3}, {buf2, 16}};
	struct msghdr m = {.msg_iov = in, .msg_iovlen = 2};
	struct timeval tv = {0, 50000};
	int c, s, low = 4;
	pthread_t t;

	pair(&c, &s);
	DO(S(send)(c, "abcde", 5, 0));
	nap(20);
	DO(S(recvmsg)(s, &m, MSG_PEEK));
	show_bytes("first piece", buf, 3);
	show_bytes("second piece", buf2, 2);
	DO(S(recv)(s, buf, 16, MSG_PEEK | MSG_WAITALL | MSG_DONTWAIT));
	pthread_create(&t, NULL, send_later, &c);
	DO(S(recv)(s, buf, 10, MSG_PEEK | MSG_WAITALL));
	show_bytes("all", buf, 10);
	pthread_join(t, NULL);
	DO(S(setsockopt)(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	DO(S(recv)(s, buf, 16, MSG_PEEK | MSG_WAITALL));
	DO(S(recv)(s, buf, 4, MSG_WAITALL));
	DO(S(recv)(s, buf, 16, MSG_PEEK | MSG_TRUNC));
	DO(S(recv)(s, buf, 16, MSG_WAITALL));
	DO(S(recv)(s, buf, 16, MSG_PEEK));
	tv.tv_sec = 5;
	DO(S(setsockopt)(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	DO(S(setsockopt)(s, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)));
	DO(S(send)(c, "12", 2, 0));
	nap(10);
	DO(ready(s, POLLIN, 0));
	DO(S(recv)(s, buf, 16, MSG_PEEK));
	pthread_create(&t, NULL, send_later, &c);
	DO(S(recv)(s, buf, 16, 0));
	pthread_join(t, NULL);
	DO(S(shutdown)(c, SHUT_WR));
	nap(10);
	DO(S(recv)(s, buf, 16, MSG_PEEK | MSG_WAITALL));
	DO(S(recv)(s, buf, 16, MSG_WAITALL));
	DO(S(recv)(s, buf, 16, MSG_PEEK | MSG_WAITALL));
	S(close)(c);
	S(close)(s);
}

static void many_with_time(void)
{
	struct sockaddr_in any = at("127.0.0.1", 0), to, nobody;
	int a = S(socket)(AF_INET, SOCK_DGRAM, 0), b = S(socket)(AF_INET, SOCK_DGRAM, 0);
	char bufs[4][8];
	struct iovec v[4];
	struct mmsghdr m[4];
	struct timespec t = {5, 0}, bad = {0, 1000000000}, negative = {-1, 0}, none = {0, 0};

	memset(m, 0, sizeof(m));
	for (int i = 0; i < 4; i++) {
		v[i] = (struct iovec){bufs[i], 8};
		m[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1};
	}
	S(bind)(b, (struct sockaddr *)&any, sizeof(any));
	to = at("127.0.0.1", port_of(b));
	for (int i = 0; i < 4; i++)
		S(sendto)(a, "12345", 5, 0, (struct sockaddr *)&to, sizeof(to));
	nap(10);
	DO(S(recvmmsg)(b, m, 4, 0, &bad));
	DO(S(recvmmsg)(b, m, 4, 0, &negative));
	DO(S(recvmmsg)(b, m, 1, 0, &none)); /* no time: one all the same */
	DO(S(recvmmsg)(b, m, 2, 0, &t));
	DO(t.tv_sec);
	DO(t.tv_nsec > 0);
	DO(S(recvmmsg)(b, m, 4, 0, &none));
	DO(none.tv_sec + none.tv_nsec);
	DO(S(recvmmsg)(b, m, 4, MSG_DONTWAIT, &t));
	DO(S(recvmmsg)(b, m, 0, 0, NULL));
	DO(S(recvmmsg)(-1, m, 4, 0, &bad));
	DO(S(recvmmsg)(-1, m, 4, 0, NULL));
	/* An error that waits comes first, of any call. */
	nobody = at("127.0.0.1", 9);
	DO(S(connect)(a, (struct sockaddr *)&nobody, sizeof(nobody)));
	DO(S(send)(a, "x", 1, 0));
	nap(20);
	DO(S(recvmmsg)(a, m, 4, MSG_DONTWAIT, NULL));
	DO(S(recvmmsg)(a, m, 4, MSG_DONTWAIT, NULL));
	DO(S(sendmmsg)(b, m, 2, 0));
	S(close)(a);
	S(close)(b);
}

static void groups(void)
{
	int u = S(socket)(AF_INET, SOCK_DGRAM, 0), s = S(socket)(AF_INET, SOCK_STREAM, 0), v = 1;
	int r = S(socket)(AF_INET, SOCK_RAW, 202);
	struct in_addr a = {htonl(INADDR_LOOPBACK)}, none = {0}, foreign = {htonl(0x08080808)};
	struct ip_mreqn n = {.imr_address = {htonl(INADDR_LOOPBACK)}};
	struct ip_mreq join = {.imr_multiaddr = {htonl(0x08080808)}};
	socklen_t len = sizeof(v);
	uint8_t byte = 7;

	DO(S(getsockopt)(u, SOL_IP, IP_MULTICAST_TTL, &v, &len));
	DO(v);
	DO(S(setsockopt)(u, SOL_IP, IP_MULTICAST_TTL, &byte, 1));
	DO(S(setsockopt)(u, SOL_IP, IP_MULTICAST_TTL, &byte, 0));
	DO(S(getsockopt)(u, SOL_IP, IP_MULTICAST_TTL, &v, &len));
	DO(v);
	v = 0;
	DO(S(setsockopt)(u, SOL_IP, IP_MULTICAST_TTL, &v, sizeof(v)));
	v = -1;
	DO(S(setsockopt)(u, SOL_IP, IP_MULTICAST_TTL, &v, sizeof(v)));
	DO(S(setsockopt)(s, SOL_IP, IP_MULTICAST_TTL, &v, sizeof(v)));
	DO(S(getsockopt)(u, SOL_IP, IP_MULTICAST_LOOP, &v, &len));
	DO(v);
	v = 0;
	DO(S(setsockopt)(u, SOL_IP, IP_MULTICAST_LOOP, &v, sizeof(v)));
	DO(S(setsockopt)(u, SOL_IP, IP_MULTICAST_LOOP, &v, 0));
	DO(S(getsockopt)(u, SOL_IP, IP_MULTICAST_LOOP, &v, &len));
	DO(v);
	DO(S(setsockopt)(u, SOL_IP, IP_MULTICAST_IF, &a, sizeof(a)));
	len = sizeof(v);
	DO(S(getsockopt)(u, SOL_IP, IP_MULTICAST_IF, &v, &len));
	DO(v == (int)htonl(INADDR_LOOPBACK));
	DO(S(setsockopt)(u, SOL_IP, IP_MULTICAST_IF, &foreign, sizeof(foreign)));
	DO(S(setsockopt)(u, SOL_IP, IP_MULTICAST_IF, &none, sizeof(none)));
	DO(S(getsockopt)(u, SOL_IP, IP_MULTICAST_IF, &v, &len));
	DO(v);
	DO(S(setsockopt)(u, SOL_IP, IP_MULTICAST_IF, &n, sizeof(n)));
	n.imr_ifindex = 1; /* lo, there and here */
	DO(S(setsockopt)(r, SOL_IP, IP_MULTICAST_IF, &n, sizeof(n)));
	n.imr_ifindex = 77;
	DO(S(setsockopt)(u, SOL_IP, IP_MULTICAST_IF, &n, sizeof(n)));
	DO(S(setsockopt)(u, SOL_IP, IP_MULTICAST_IF, &n, 2));
	DO(S(setsockopt)(s, SOL_IP, IP_MULTICAST_IF, &a, sizeof(a)));
	DO(S(setsockopt)(s, SOL_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join)));
	S(close)(u);
	S(close)(s);
	S(close)(r);
}

static void deferred(void)
{
	int port, l = listener(&port), c, s, v;
	socklen_t len = sizeof(v);
	struct sockaddr_in a = at("127.0.0.1", port);
	struct timeval tv = {3, 0};
	char buf[8];

	for (int i = 0; i < 6; i++) {
		static const int seconds[] = {2, 3, 4, 7, 100, 1};

		DO(S(setsockopt)(l, SOL_TCP, TCP_DEFER_ACCEPT, &seconds[i], sizeof(int)));
		DO(S(getsockopt)(l, SOL_TCP, TCP_DEFER_ACCEPT, &v, &len));
		DO(v);
	}
	c = S(socket)(AF_INET, SOCK_STREAM, 0);
	DO(S(connect)(c, (struct sockaddr *)&a, sizeof(a)));
	DO(ready(l, POLLIN, 100));
	/* The time is up: it is accepted as it is. */
	DO(S(setsockopt)(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	s = S(accept)(l, NULL, NULL);
	DO(s >= 0);
	DO(S(recv)(s, buf, 8, MSG_DONTWAIT));
	DO(S(send)(c, "late", 4, 0));
	DO(S(recv)(s, buf, 8, 0));
	S(close)(c);
	S(close)(s);
	/* Text comes first. */
	c = S(socket)(AF_INET, SOCK_STREAM, 0);
	DO(S(connect)(c, (struct sockaddr *)&a, sizeof(a)));
	DO(S(send)(c, "soon", 4, 0));
	DO(ready(l, POLLIN, 500));
	s = S(accept)(l, NULL, NULL);
	DO(S(recv)(s, buf, 8, MSG_DONTWAIT));
	S(close)(c);
	S(close)(s);
	S(close)(l);
}

void finer_points(void)
{
	int ep = S(epoll_create1)(0);

	puts("== finer points");
	cork_of_udp();
	cork_of_raw();
	edges_of_streams(ep);
	edges_of_datagrams(ep);
	queue_of_all(ep);
	S(close)(ep);
	peeks();
	many_with_time();
	groups();
	deferred();
}
