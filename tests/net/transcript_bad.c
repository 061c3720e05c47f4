/* The transcript's bad calls: descriptors, lengths, addresses, states; options; queues. */
#include "transcript.h"

static void bad_descriptors(int fd)
{
	struct sockaddr_in a = at("127.0.0.1", 1);
	socklen_t len = sizeof(a);
	char b[4];
	int v = 0;

	DO(S(bind)(fd, (struct sockaddr *)&a, sizeof(a)));
	DO(S(listen)(fd, 1));
	DO(S(accept)(fd, NULL, NULL));
	DO(S(connect)(fd, (struct sockaddr *)&a, sizeof(a)));
	DO(S(send)(fd, b, 1, 0));
	DO(S(recv)(fd, b, 1, 0));
	DO(S(sendto)(fd, b, 1, 0, (struct sockaddr *)&a, sizeof(a)));
	DO(S(shutdown)(fd, SHUT_RD));
	DO(S(getsockname)(fd, (struct sockaddr *)&a, &len));
	DO(S(getpeername)(fd, (struct sockaddr *)&a, &len));
	len = sizeof(v);
	DO(S(getsockopt)(fd, SOL_SOCKET, SO_TYPE, &v, &len));
	DO(S(setsockopt)(fd, SOL_SOCKET, SO_REUSEADDR, &v, sizeof(v)));
}

void bad_calls(void)
{
	struct sockaddr_in a = at("127.0.0.1", 0);
	int file = open("/dev/null", O_RDWR), s = S(socket)(AF_INET, SOCK_STREAM, 0), v = 1;
	int u = S(socket)(AF_INET, SOCK_DGRAM, 0);
	socklen_t len = sizeof(v);
	char b[4];

	puts("== bad calls");
	bad_descriptors(-1);
	bad_descriptors(999);
	bad_descriptors(file);
	DO(S(read)(-1, b, 1));
	DO(S(close)(-1));
	DO(S(dup)(-1));
	DO(S(fcntl)(-1, F_GETFL));
	DO(S(socket)(AF_INET, 77, 0));
	DO(S(socket)(AF_INET, SOCK_SEQPACKET, 0));
	DO(S(socket)(99, SOCK_STREAM, 0));
	DO(S(socket)(AF_INET, SOCK_STREAM, IPPROTO_UDP));
	DO(S(socket)(AF_INET, SOCK_DGRAM, IPPROTO_TCP));
	DO(S(socket)(AF_INET, SOCK_STREAM, 999));
	DO(S(bind)(s, NULL, 16));
	DO(S(bind)(s, (struct sockaddr *)&a, 3));
	DO(S(bind)(s, (struct sockaddr *)&a, 15));
	DO(S(bind)(s, (struct sockaddr *)&a, 500));
	a.sin_family = AF_INET6;
	DO(S(bind)(s, (struct sockaddr *)&a, sizeof(a)));
	DO(S(connect)(s, (struct sockaddr *)&a, sizeof(a)));
	DO(S(connect)(u, (struct sockaddr *)&a, sizeof(a)));
	DO(S(sendto)(u, b, 1, 0, (struct sockaddr *)&a, sizeof(a)));
	a = at("8.8.8.8", 0);
	DO(S(bind)(s, (struct sockaddr *)&a, sizeof(a)));
	a = at("127.0.0.1", 1);
	DO(S(connect)(s, (struct sockaddr *)&a, 1));
	DO(S(connect)(s, (struct sockaddr *)&a, 8));
	DO(S(connect)(s, NULL, 16));
	DO(S(sendto)(u, b, 1, 0, (struct sockaddr *)&a, 8));
	a = at("224.0.0.1", 1);
	DO(S(connect)(s, (struct sockaddr *)&a, sizeof(a)));
	a = at("8.8.8.8", 1);
	DO(S(connect)(s, (struct sockaddr *)&a, sizeof(a)));
	DO(S(sendto)(u, b, 1, 0, (struct sockaddr *)&a, sizeof(a)));
	DO(S(shutdown)(s, SHUT_WR));
	DO(S(shutdown)(s, 9));
	DO(S(accept4)(s, NULL, NULL, 0x7f));
	DO(S(accept)(s, NULL, NULL));
	DO(S(ioctl)(s, SIOCGIFCONF + 0x5555, b));
	DO(S(ioctl)(u, SIOCATMARK, b));
	DO(S(getsockopt)(s, SOL_SOCKET, 9999, &v, &len));
	DO(S(getsockopt)(s, 9999, 1, &v, &len));
	DO(S(getsockopt)(u, 9999, 1, &v, &len));
	DO(S(getsockopt)(u, SOL_TCP, TCP_NODELAY, &v, &len));
	DO(S(setsockopt)(u, SOL_TCP, TCP_NODELAY, &v, sizeof(v)));
	DO(S(setsockopt)(s, SOL_SOCKET, 9999, &v, sizeof(v)));
	DO(S(setsockopt)(s, SOL_SOCKET, SO_TYPE, &v, sizeof(v)));
	DO(S(setsockopt)(s, SOL_SOCKET, SO_ERROR, &v, sizeof(v)));
	DO(S(setsockopt)(s, SOL_SOCKET, SO_REUSEADDR, &v, 2));
	DO(S(setsockopt)(s, SOL_TCP, TCP_NODELAY, &v, 2));
	DO(S(setsockopt)(s, SOL_TCP, 9999, &v, sizeof(v)));
	DO(S(setsockopt)(s, SOL_IP, 9999, &v, sizeof(v)));
	DO(S(setsockopt)(s, SOL_SOCKET, SO_REUSEADDR, NULL, sizeof(v)));
	DO(S(setsockopt)(s, SOL_IP, IP_HDRINCL, &v, sizeof(v)));
	DO(S(poll)(NULL, 0, 0));
	DO(S(close)(s));
	DO(S(close)(u));
	close(file);
}

/* Sets, reads back, prints both. */
static void option(int fd, int level, int name, int v, const char *what)
{
	socklen_t len = sizeof(v);
	int r = S(setsockopt)(fd, level, name, &v, sizeof(v));

	printf("    %s set %d", what, v);
	say("setsockopt", r);
	v = -77;
	r = S(getsockopt)(fd, level, name, &v, &len);
	printf("    %s is %d len %u", what, v, len);
	say("getsockopt", r);
}

#define OPT(fd, level, name, v) option(fd, level, name, v, #name)

void options(void)
{
	int s = S(socket)(AF_INET, SOCK_STREAM, 0), u = S(socket)(AF_INET, SOCK_DGRAM, 0), v;
	struct timeval tv = {1, 500000}, bad = {0, 1000000};
	struct linger lin = {1, 5};
	char name[16] = "reno";
	socklen_t len = sizeof(tv);
	uint8_t byte;

	puts("== options");
	OPT(s, SOL_SOCKET, SO_REUSEADDR, 5);
	OPT(s, SOL_SOCKET, SO_REUSEPORT, 1);
	OPT(s, SOL_SOCKET, SO_KEEPALIVE, 1);
	OPT(s, SOL_SOCKET, SO_OOBINLINE, 1);
	OPT(s, SOL_SOCKET, SO_BROADCAST, 1);
	OPT(s, SOL_SOCKET, SO_RCVLOWAT, 10);
	OPT(s, SOL_SOCKET, SO_RCVLOWAT, 0);
	OPT(s, SOL_SOCKET, SO_SNDBUF, 50000);
	OPT(s, SOL_SOCKET, SO_SNDBUF, 1);
	OPT(s, SOL_SOCKET, SO_RCVBUF, 50000);
	OPT(s, SOL_SOCKET, SO_RCVBUF, 1);
	OPT(s, SOL_SOCKET, SO_SNDLOWAT, 5);
	OPT(s, SOL_SOCKET, SO_ACCEPTCONN, 1);
	OPT(s, SOL_SOCKET, SO_DOMAIN, 1);
	OPT(s, SOL_SOCKET, SO_PROTOCOL, 1);
	OPT(s, SOL_SOCKET, SO_TYPE, 1);
	OPT(s, SOL_TCP, TCP_NODELAY, 7);
	OPT(s, SOL_TCP, TCP_CORK, 1);
	OPT(s, SOL_TCP, TCP_CORK, 0);
	OPT(s, SOL_TCP, TCP_KEEPIDLE, 30);
	OPT(s, SOL_TCP, TCP_KEEPIDLE, 0);
	OPT(s, SOL_TCP, TCP_KEEPIDLE, 32768);
	OPT(s, SOL_TCP, TCP_KEEPINTVL, 7);
	OPT(s, SOL_TCP, TCP_KEEPINTVL, -1);
	OPT(s, SOL_TCP, TCP_KEEPCNT, 3);
	OPT(s, SOL_TCP, TCP_KEEPCNT, 128);
	OPT(s, SOL_TCP, TCP_USER_TIMEOUT, 4500);
	OPT(s, SOL_TCP, TCP_USER_TIMEOUT, -1);
	OPT(s, SOL_TCP, TCP_NOTSENT_LOWAT, 262144);
	OPT(s, SOL_TCP, TCP_NOTSENT_LOWAT, -1);
	OPT(s, SOL_TCP, TCP_NOTSENT_LOWAT, 0);
	OPT(u, SOL_TCP, TCP_NOTSENT_LOWAT, 5);
	OPT(s, SOL_TCP, TCP_MAXSEG, 10);
	OPT(s, SOL_TCP, TCP_DEFER_ACCEPT, 0);
	OPT(s, SOL_IP, IP_TTL, 42);
	OPT(s, SOL_IP, IP_TTL, 0);
	OPT(s, SOL_IP, IP_TTL, 256);
	OPT(s, SOL_IP, IP_TTL, -1);
	OPT(s, SOL_IP, IP_TOS, 0x10);
	OPT(s, SOL_IP, IP_TOS, 0x13);
	OPT(u, SOL_SOCKET, SO_BROADCAST, 1);
	OPT(u, SOL_SOCKET, SO_RCVBUF, 30000);
	OPT(u, SOL_SOCKET, SO_KEEPALIVE, 1);
	OPT(u, SOL_IP, IP_TOS, 0x13);
	OPT(u, SOL_IP, IP_RECVERR, 3);
	OPT(u, SOL_IP, IP_PKTINFO, 1);
	OPT(u, SOL_IP, IP_RECVTTL, 1);
	OPT(u, SOL_IP, IP_RECVTOS, 1);
	OPT(u, SOL_IP, IP_MULTICAST_TTL, 4);
	OPT(u, SOL_IP, IP_MULTICAST_TTL, 256);
	DO(S(setsockopt)(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	DO(S(getsockopt)(s, SOL_SOCKET, SO_RCVTIMEO, &tv, &len));
	DO(tv.tv_sec * 1000 + tv.tv_usec / 1000);
	DO(S(setsockopt)(s, SOL_SOCKET, SO_RCVTIMEO, &bad, sizeof(bad)));
	DO(S(setsockopt)(s, SOL_SOCKET, SO_RCVTIMEO, &tv, 4));
	DO(S(setsockopt)(s, SOL_SOCKET, SO_LINGER, &lin, sizeof(lin)));
	len = sizeof(lin);
	DO(S(getsockopt)(s, SOL_SOCKET, SO_LINGER, &lin, &len));
	DO(lin.l_onoff * 100 + lin.l_linger);
	DO(S(setsockopt)(s, SOL_SOCKET, SO_LINGER, &lin, 4));
	DO(S(setsockopt)(s, SOL_TCP, TCP_CONGESTION, name, 4));
	len = sizeof(name);
	DO(S(getsockopt)(s, SOL_TCP, TCP_CONGESTION, name, &len));
	show_bytes("congestion", name, 4);
	DO(S(setsockopt)(s, SOL_TCP, TCP_CONGESTION, "nosuch", 6));
	byte = 9;
	DO(S(setsockopt)(s, SOL_IP, IP_TTL, &byte, 1));
	len = 1;
	DO(S(getsockopt)(s, SOL_IP, IP_TTL, &byte, &len));
	DO(byte * 10L + (long)len);
	len = 2;
	v = 0;
	DO(S(getsockopt)(s, SOL_SOCKET, SO_TYPE, &v, &len));
	DO(v * 10L + (long)len);
	DO(S(fcntl)(s, F_GETFD));
	DO(S(fcntl)(s, F_SETFD, FD_CLOEXEC));
	DO(S(fcntl)(s, F_GETFD));
	v = 1;
	DO(S(ioctl)(s, FIONBIO, &v));
	DO(S(fcntl)(s, F_GETFL));
	DO(S(close)(s));
	DO(S(close)(u));
}

static void epoll_rounds(int ep, int c, int s)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = 1}, out[4];
	char buf[8];

	DO(S(epoll_ctl)(ep, EPOLL_CTL_ADD, s, &ev));
	DO(S(epoll_ctl)(ep, EPOLL_CTL_ADD, s, &ev));
	DO(S(epoll_ctl)(ep, EPOLL_CTL_MOD, c, &ev));
	DO(S(epoll_ctl)(ep, EPOLL_CTL_DEL, c, NULL));
	DO(S(epoll_ctl)(ep, 77, s, &ev));
	DO(S(epoll_ctl)(ep, EPOLL_CTL_ADD, -1, &ev));
	DO(S(epoll_wait)(ep, out, 4, 0));
	DO(S(send)(c, "ab", 2, 0));
	DO(S(epoll_wait)(ep, out, 4, 1000));
	DO(out[0].events);
	DO(S(recv)(s, buf, 1, 0));
	DO(S(epoll_wait)(ep, out, 4, 0));
	ev.events = EPOLLIN | EPOLLET;
	DO(S(epoll_ctl)(ep, EPOLL_CTL_MOD, s, &ev));
	DO(S(epoll_wait)(ep, out, 4, 0));
	DO(S(epoll_wait)(ep, out, 4, 0));
	DO(S(recv)(s, buf, 8, 0));
	DO(S(send)(c, "c", 1, 0));
	DO(S(epoll_wait)(ep, out, 4, 1000));
	DO(S(epoll_wait)(ep, out, 4, 0));
	ev.events = EPOLLIN | EPOLLONESHOT;
	DO(S(epoll_ctl)(ep, EPOLL_CTL_MOD, s, &ev));
	DO(S(epoll_wait)(ep, out, 4, 100));
	DO(S(epoll_wait)(ep, out, 4, 0));
	DO(S(epoll_ctl)(ep, EPOLL_CTL_MOD, s, &ev));
	DO(S(epoll_wait)(ep, out, 4, 100));
	DO(S(epoll_wait)(ep, out, 0, 0));
	DO(S(epoll_wait)(s, out, 1, 0));
	ev.events = EPOLLIN | EPOLLRDHUP;
	DO(S(epoll_ctl)(ep, EPOLL_CTL_MOD, s, &ev));
	DO(S(close)(c));
	nap(20);
	DO(S(epoll_wait)(ep, out, 4, 100));
	DO(out[0].events);
	DO(S(close)(s));
	DO(S(epoll_wait)(ep, out, 4, 0));
}

void queues(void)
{
	struct timeval tv = {0, 20000};
	struct pollfd p[3];
	int c, s, pipes[2], ep;
	fd_set rd, wr;
	char b;

	puts("== queues");
	if (pipe(pipes) < 0)
		return;
	pair(&c, &s);
	p[0] = (struct pollfd){.fd = s, .events = POLLIN};
	p[1] = (struct pollfd){.fd = pipes[0], .events = POLLIN};
	p[2] = (struct pollfd){.fd = -5, .events = POLLIN};
	DO(S(poll)(p, 3, 10));
	DO(write(pipes[1], "x", 1));
	DO(S(poll)(p, 3, 1000));
	DO(p[0].revents * 100 + p[1].revents * 10 + p[2].revents);
	DO(S(send)(c, "y", 1, 0));
	nap(10);
	DO(S(poll)(p, 3, 1000));
	DO(read(pipes[0], &b, 1));
	p[1].fd = 999;
	DO(S(poll)(p, 3, 1000));
	DO(p[1].revents);
	FD_ZERO(&rd);
	FD_ZERO(&wr);
	FD_SET(s, &rd);
	FD_SET(pipes[0], &rd);
	FD_SET(s, &wr);
	DO(S(select)(64, &rd, &wr, NULL, &tv));
	DO(FD_ISSET(s, &rd) + FD_ISSET(pipes[0], &rd) * 10 + FD_ISSET(s, &wr) * 100);
	DO(S(recv)(s, &b, 1, 0));
	FD_ZERO(&rd);
	FD_SET(s, &rd);
	DO(S(select)(64, &rd, NULL, NULL, &tv));
	DO(S(select)(-1, &rd, NULL, NULL, &tv));
	FD_ZERO(&rd);
	FD_SET(40, &rd);
	tv.tv_usec = 0;
	DO(S(select)(1000, &rd, NULL, NULL, &tv));
	ep = S(epoll_create1)(0);
	DO(ep >= 0);
	DO(S(epoll_create1)(77));
	epoll_rounds(ep, c, s);
	DO(S(send)(ep, "x", 1, 0));
	DO(S(close)(ep));
	close(pipes[0]);
	close(pipes[1]);
}
