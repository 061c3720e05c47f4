/* The transcript's matrix of wrong calls: every call of tapglass_sockets.h with a descriptor that
 * is none, was closed, is a file's or a queue's; with sockets of the wrong type or in the wrong
 * state; with wrong lengths, addresses and pointers. After each row the socket is looked at: a call
 * that failed has changed nothing. */
#include "transcript.h"

#include <netinet/udp.h>

/* What can be seen of a socket. */
static void look(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	int v[6] = {0}, r;

	static const int names[] = {SO_TYPE, SO_REUSEADDR, SO_KEEPALIVE, SO_ACCEPTCONN, SO_ERROR};

	memset(&a, 0, sizeof(a));
	r = S(getsockname)(fd, (struct sockaddr *)&a, &len);
	printf("    name %d %x %s", r, ntohl(a.sin_addr.s_addr), a.sin_port ? "port" : "-");
	len = sizeof(a);
	r = S(getpeername)(fd, (struct sockaddr *)&a, &len);
	printf(" peer %d", r);
	for (int i = 0; i < 5; i++) {
		len = sizeof(int);
		S(getsockopt)(fd, SOL_SOCKET, names[i], &v[i], &len);
		printf(" %d", v[i]);
	}
	r = S(fcntl)(fd, F_GETFL);
	printf(" flags %x ready %x\n", r & (O_NONBLOCK | O_ACCMODE),
		ready(fd, POLLIN | POLLPRI | POLLOUT | POLLRDHUP, 0));
}

/* Every call, each with arguments that are right if the descriptor is. */
static void every_call(const char *what, int fd)
{
	struct sockaddr_in a = at("127.0.0.1", 9);
	socklen_t len = sizeof(a);
	char b[4] = "";
	struct iovec v = {b, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	struct mmsghdr mm = {.msg_hdr = m};
	struct epoll_event ev = {.events = EPOLLIN};
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int on = 0, n = 0;

	printf("-- every call: %s\n", what);
	DO(S(bind)(fd, (struct sockaddr *)&a, sizeof(a)));
	DO(S(listen)(fd, 1));
	DO(S(accept)(fd, NULL, NULL));
	DO(S(accept4)(fd, NULL, NULL, SOCK_NONBLOCK));
	DO(S(connect)(fd, (struct sockaddr *)&a, sizeof(a)));
	DO(S(send)(fd, b, 1, MSG_DONTWAIT | MSG_NOSIGNAL));
	DO(S(recv)(fd, b, 1, MSG_DONTWAIT));
	DO(S(sendto)(fd, b, 1, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&a, sizeof(a)));
	DO(S(recvfrom)(fd, b, 1, MSG_DONTWAIT, (struct sockaddr *)&a, &len));
	DO(S(sendmsg)(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL));
	DO(S(recvmsg)(fd, &m, MSG_DONTWAIT));
	DO(S(sendmmsg)(fd, &mm, 1, MSG_DONTWAIT | MSG_NOSIGNAL));
	DO(S(sendmmsg)(fd, &mm, 0, MSG_DONTWAIT));
	DO(S(recvmmsg)(fd, &mm, 1, MSG_DONTWAIT, NULL));
	DO(S(recvmmsg)(fd, &mm, 0, MSG_DONTWAIT, NULL));
	DO(S(shutdown)(fd, SHUT_RD));
	DO(S(shutdown)(fd, 77));
	len = sizeof(a);
	DO(S(getsockname)(fd, (struct sockaddr *)&a, &len));
	DO(S(getpeername)(fd, (struct sockaddr *)&a, &len));
	len = sizeof(on);
	DO(S(getsockopt)(fd, SOL_SOCKET, SO_TYPE, &on, &len));
	on = 0;
	DO(S(setsockopt)(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)));
	DO(S(ioctl)(fd, SIOCATMARK, &n));
	DO(S(ioctl)(fd, SIOCOUTQ, &n));
	DO(S(poll)(&p, 1, 0));
	DO(p.revents);
	DO(S(epoll_wait)(fd, &ev, 1, 0));
	DO(S(epoll_ctl)(fd, EPOLL_CTL_ADD, fd, &ev));
}

/* For those only that are no socket: the file would take part. */
static void calls_of_files(int fd)
{
	char b[4] = "";
	struct iovec v = {b, 1};
	fd_set set;
	struct timeval none = {0, 0};
	int n = 0;

	DO(S(read)(fd, b, 1));
	DO(S(write)(fd, b, 1));
	DO(S(readv)(fd, &v, 1));
	DO(S(writev)(fd, &v, 1));
	DO(S(dup)(fd));
	DO(S(fcntl)(fd, F_GETFL));
	DO(S(fcntl)(fd, F_SETFL, 0));
	DO(S(fcntl)(fd, F_GETFD));
	DO(S(fcntl)(fd, F_SETFD, 0));
	DO(S(ioctl)(fd, FIONREAD, &n));
	DO(S(close)(fd));
	if (fd < 0 || fd > 60) /* the kernel looks no further than its table goes */
		return;
	FD_ZERO(&set);
	FD_SET(fd, &set);
	DO(S(select)(fd + 1, &set, NULL, NULL, &none));
}

static void no_sockets(void)
{
	int file = open("/dev/null", O_RDWR), ep = S(epoll_create1)(0), closed, pipes[2];

	closed = S(socket)(AF_INET, SOCK_STREAM, 0);
	S(close)(closed);
	every_call("-1", -1);
	calls_of_files(-1);
	every_call("a number that nobody has", 900);
	calls_of_files(900);
	every_call("closed", closed);
	calls_of_files(closed);
	every_call("INT_MAX", 0x7fffffff);
	every_call("a file", file);
	if (pipe(pipes) == 0)
		every_call("a pipe", pipes[0]);
	every_call("a queue", ep);
	close(pipes[0]);
	close(pipes[1]);
	close(file);
	S(close)(ep);
}

/* ---- Types and states ------------------------------------------------------------------------ */

static void row(const char *what, int fd)
{
	printf("-- %s\n", what);
	look(fd);
	every_call(what, fd);
	look(fd);
	S(close)(fd);
}

static int datagram(void)
{
	return S(socket)(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
}

static int stream(void)
{
	return S(socket)(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
}

static void states(void)
{
	struct sockaddr_in any = at("127.0.0.1", 0), a;
	struct linger reset = {1, 0};
	int port, l, c, s, fd;

	row("fresh stream", stream());
	fd = stream();
	S(bind)(fd, (struct sockaddr *)&any, sizeof(any));
	row("bound stream", fd);
	fd = listener(&port);
	S(fcntl)(fd, F_SETFL, O_NONBLOCK);
	row("listener", fd);
	pair(&c, &s);
	S(fcntl)(c, F_SETFL, O_NONBLOCK);
	row("connected stream", c);
	S(close)(s);
	pair(&c, &s);
	S(fcntl)(c, F_SETFL, O_NONBLOCK);
	S(shutdown)(c, SHUT_WR);
	nap(10);
	row("stream that has sent its end", c);
	S(close)(s);
	pair(&c, &s);
	S(fcntl)(c, F_SETFL, O_NONBLOCK);
	S(close)(s);
	nap(10);
	row("stream that the peer has closed", c);
	pair(&c, &s);
	S(fcntl)(c, F_SETFL, O_NONBLOCK);
	S(setsockopt)(s, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	S(close)(s);
	nap(10);
	row("stream that was reset", c);
	l = listener(&port);
	S(close)(l);
	a = at("127.0.0.1", port);
	fd = stream();
	S(connect)(fd, (struct sockaddr *)&a, sizeof(a));
	nap(10);
	row("stream that was refused", fd);
	row("fresh datagram socket", datagram());
	fd = datagram();
	S(bind)(fd, (struct sockaddr *)&any, sizeof(any));
	row("bound datagram socket", fd);
	fd = datagram();
	S(connect)(fd, (struct sockaddr *)&a, sizeof(a));
	row("connected datagram socket", fd);
	fd = datagram();
	S(connect)(fd, (struct sockaddr *)&a, sizeof(a));
	S(shutdown)(fd, SHUT_RDWR);
	row("shut datagram socket", fd);
	row("raw socket", S(socket)(AF_INET, SOCK_RAW | SOCK_NONBLOCK, 203));
	row("raw socket of whole packets",
		S(socket)(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_RAW));
}

/* ---- Lengths, addresses, pointers ------------------------------------------------------------ */

static void lengths_of_addresses(const char *what, int fd)
{
	static const socklen_t lens[] = {0, 1, 2, 8, 15, 17, 128, 129, 0x7fffffff, 0xffffffff};
	struct sockaddr_storage a = {.ss_family = AF_INET6};
	char b = 0;

	printf("-- lengths of addresses: %s\n", what);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		socklen_t len = lens[i];

		printf("    %u\n", len);
		/* Of another family, so that no right length does anything. */
		DO(S(bind)(fd, (struct sockaddr *)&a, len));
		DO(S(connect)(fd, (struct sockaddr *)&a, len));
		DO(S(sendto)(fd, &b, 1, MSG_NOSIGNAL, (struct sockaddr *)&a, len));
		if (len <= sizeof(a)) {
			DO(S(getsockname)(fd, (struct sockaddr *)&a, &len));
			DO((long)len);
			a.ss_family = AF_INET6;
		}
	}
	DO(S(bind)(fd, NULL, 0));
	DO(S(connect)(fd, NULL, 0));
	DO(S(bind)(fd, NULL, 16));
	DO(S(connect)(fd, NULL, 16));
	DO(S(sendto)(fd, NULL, 1, MSG_NOSIGNAL, NULL, 0));
	DO(S(sendto)(fd, &b, 1, MSG_NOSIGNAL, NULL, 16));
	DO(S(getsockname)(fd, NULL, NULL));
	DO(S(getpeername)(fd, NULL, NULL));
	look(fd);
}

static void wrong_addresses(const char *what, int fd)
{
	static const char ips[][16] = {"0.0.0.1", "240.0.0.1", "255.255.255.255", "224.0.0.1",
		"192.0.2.77", "127.255.255.255"};
	char b = 0;

	printf("-- addresses: %s\n", what);
	for (size_t i = 0; i < sizeof(ips) / sizeof(ips[0]); i++) {
		struct sockaddr_in a = at(ips[i], 7);

		printf("    %s\n", ips[i]);
		DO(S(connect)(fd, (struct sockaddr *)&a, sizeof(a)));
		DO(S(sendto)(fd, &b, 1, MSG_NOSIGNAL, (struct sockaddr *)&a, sizeof(a)));
		a.sin_port = 0;
		if (i != 2 && i != 3 && i != 5) /* which may be bound to, with effect */
			DO(S(bind)(fd, (struct sockaddr *)&a, sizeof(a)));
	}
	look(fd);
}

static void wrong_messages(int fd)
{
	char b[4] = "", control[64];
	struct iovec v = {b, 1}, null = {NULL, 4}, huge = {b, (size_t)-1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	struct cmsghdr *c = (struct cmsghdr *)(void *)control;
	static struct iovec many[1025], *volatile nowhere;
	int ttl = 300;

	DO(S(sendmsg)(fd, NULL, 0));
	DO(S(recvmsg)(fd, NULL, 0));
	DO(S(sendmmsg)(fd, NULL, 1, 0));
	DO(S(recvmmsg)(fd, NULL, 1, MSG_DONTWAIT, NULL));
	m.msg_iov = NULL;
	DO(S(sendmsg)(fd, &m, 0));
	m.msg_iov = &huge;
	DO(S(sendmsg)(fd, &m, 0));
	m.msg_iov = &null;
	DO(S(sendmsg)(fd, &m, 0));
	m.msg_iov = many;
	m.msg_iovlen = 1025;
	DO(S(sendmsg)(fd, &m, 0));
	DO(S(recvmsg)(fd, &m, 0));
	DO(S(writev)(fd, many, 1025));
	DO(S(readv)(fd, many, 1025));
	DO(S(readv)(fd, nowhere, 1));
	m.msg_iov = &v;
	m.msg_iovlen = 1;
	memset(control, 0, sizeof(control));
	m.msg_control = control;
	m.msg_controllen = CMSG_SPACE(sizeof(int));
	c->cmsg_level = SOL_IP;
	c->cmsg_type = IP_TTL;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &ttl, sizeof(ttl));
	DO(S(sendmsg)(fd, &m, 0));
	c->cmsg_type = 99;
	DO(S(sendmsg)(fd, &m, 0));
	c->cmsg_len = 3;
	DO(S(sendmsg)(fd, &m, 0));
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	DO(S(sendmsg)(fd, &m, 0));
	DO(S(recv)(fd, NULL, 4, MSG_DONTWAIT));
	DO(S(send)(fd, NULL, 4, 0));
	look(fd);
}

static void wrong_options(int fd)
{
	static const int levels[] = {SOL_SOCKET, SOL_IP, SOL_TCP, SOL_UDP, 41, -1};
	int v = 1;
	socklen_t len;

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		printf("    level %d\n", levels[i]);
		len = sizeof(v);
		DO(S(getsockopt)(fd, levels[i], -1, &v, &len));
		DO(S(getsockopt)(fd, levels[i], 2000, &v, &len));
		DO(S(setsockopt)(fd, levels[i], -1, &v, sizeof(v)));
		DO(S(setsockopt)(fd, levels[i], 2000, &v, sizeof(v)));
	}
	len = (socklen_t)-1;
	DO(S(getsockopt)(fd, SOL_SOCKET, SO_TYPE, &v, &len));
	DO(S(getsockopt)(fd, SOL_SOCKET, SO_TYPE, &v, NULL));
	len = sizeof(v);
	DO(S(getsockopt)(fd, SOL_SOCKET, SO_TYPE, NULL, &len));
	len = 0;
	DO(S(getsockopt)(fd, SOL_SOCKET, SO_TYPE, &v, &len));
	DO((long)len);
	DO(S(setsockopt)(fd, SOL_SOCKET, SO_KEEPALIVE, &v, 0));
	DO(S(setsockopt)(fd, SOL_SOCKET, SO_KEEPALIVE, &v, 3));
	DO(S(setsockopt)(fd, SOL_SOCKET, SO_KEEPALIVE, &v, (socklen_t)-1));
	DO(S(setsockopt)(fd, SOL_IP, IP_TTL, &v, 0));
	DO(S(setsockopt)(fd, SOL_SOCKET, SO_LINGER, &v, sizeof(v)));
	DO(S(setsockopt)(fd, SOL_SOCKET, SO_RCVTIMEO, &v, sizeof(v)));
	DO(S(setsockopt)(fd, SOL_SOCKET, SO_RCVTIMEO, NULL, 16));
	DO(S(fcntl)(fd, 9999, 0));
	DO(S(ioctl)(fd, FIONREAD, NULL));
	DO(S(ioctl)(fd, FIONBIO, NULL));
	look(fd);
}

static void wrong_waiting(void)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int ep = S(epoll_create1)(0), s = datagram();
	struct timeval negative = {-1, 0};
	volatile int minus_one = -1;
	volatile nfds_t too_many = (nfds_t)-1;
	struct pollfd p = {.fd = s, .events = POLLIN};

	DO(S(epoll_create1)(-1));
	DO(S(epoll_ctl)(ep, EPOLL_CTL_ADD, s, NULL));
	DO(S(epoll_ctl)(ep, EPOLL_CTL_MOD, s, &ev));
	DO(S(epoll_ctl)(ep, EPOLL_CTL_DEL, s, &ev));
	DO(S(epoll_ctl)(ep, 0, s, &ev));
	DO(S(epoll_ctl)(ep, EPOLL_CTL_ADD, 900, &ev));
	DO(S(epoll_ctl)(-1, EPOLL_CTL_ADD, s, &ev));
	DO(S(epoll_ctl)(s, EPOLL_CTL_ADD, ep, &ev));
	DO(S(epoll_wait)(ep, &ev, 0, 0));
	DO(S(epoll_wait)(ep, &ev, minus_one, 0));
	DO(S(epoll_wait)(s, &ev, 1, 0));
	DO(S(poll)(&p, too_many, 0));
	DO(S(select)(-1, NULL, NULL, NULL, NULL));
	DO(S(select)(0, NULL, NULL, NULL, &negative));
	S(close)(s);
	S(close)(ep);
}

static void wrong_sockets(void)
{
	static const int wrong[][3] = {{AF_INET, -1, 0}, {AF_INET, 11, 0}, {AF_INET, 4, 0},
		{AF_INET, SOCK_STREAM, -1}, {AF_INET, SOCK_STREAM, 256},
		{AF_INET, SOCK_STREAM, IPPROTO_ICMP}, {AF_INET, SOCK_DGRAM, 17 + 256},
		{AF_INET, SOCK_RAW, 263}, {AF_INET, SOCK_STREAM | 0x1000000, 0},
		{-1, SOCK_STREAM, 0}, {0, SOCK_STREAM, 0}, {46, SOCK_STREAM, 0}};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		printf("    %d %d %d\n", wrong[i][0], wrong[i][1], wrong[i][2]);
		DO(S(socket)(wrong[i][0], wrong[i][1], wrong[i][2]));
	}
}

void wrong_calls(void)
{
	int s = stream(), u = datagram(), r = S(socket)(AF_INET, SOCK_RAW | SOCK_NONBLOCK, 204);

	puts("== wrong calls");
	wrong_sockets();
	no_sockets();
	states();
	lengths_of_addresses("stream", s);
	lengths_of_addresses("datagrams", u);
	lengths_of_addresses("raw", r);
	wrong_addresses("stream", s);
	S(close)(s);
	s = stream();
	wrong_addresses("datagrams", u);
	wrong_addresses("raw", r);
	wrong_messages(u);
	wrong_messages(r);
	wrong_options(s);
	wrong_options(u);
	wrong_options(r);
	wrong_waiting();
	S(close)(s);
	S(close)(u);
	S(close)(r);
}
