/* The transcript's datagrams that are sent, and received, several in one call. */
#include "transcript.h"

#include <netinet/udp.h>

/* Sends n bytes with a control message of this level, type and length (CMSG_LEN's argument). */
static long send_with(int fd, const struct sockaddr_in *to, size_t n, int level, int type,
	const void *data, size_t bytes, int flags)
{
	static char text[70000];
	_Alignas(struct cmsghdr) char control[64] = {0};
	struct iovec v = {text, n};
	struct msghdr m = {.msg_name = (void *)(uintptr_t)to,
		.msg_namelen = to ? sizeof(*to) : 0,
		.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(bytes)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i / 100);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(c), data, bytes);
	return S(sendmsg)(fd, &m, flags);
}

/* All that waits: lengths, first and last bytes, control messages. */
static void receive_all(int fd, size_t room, size_t control_room)
{
	static unsigned char buf[70000];
	_Alignas(struct cmsghdr) char control[128];
	struct iovec v = {buf, room};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control};
	ssize_t n;
	int size;

	nap(5);
	m.msg_controllen = control_room;
	while ((n = S(recvmsg)(fd, &m, MSG_DONTWAIT)) >= 0) {
		printf("    %zd bytes %d..%d flags %x control %zu", n, n ? buf[0] : -1,
			n ? buf[(size_t)n < room ? (size_t)n - 1 : room - 1] : -1,
			(unsigned)m.msg_flags, m.msg_controllen);
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
			memcpy(&size, CMSG_DATA(c), sizeof(size));
			printf(" %d/%d len %zu %d", c->cmsg_level, c->cmsg_type, c->cmsg_len,
				c->cmsg_len < CMSG_LEN(sizeof(size)) ? -1 : size);
		}
		puts("");
		m.msg_controllen = control_room;
	}
}

static void segment_options(int a)
{
	static const int values[] = {-1, 0, 1, 1000, 65535, 65536, 1 << 30};
	int t = S(socket)(AF_INET, SOCK_STREAM, 0), w = S(socket)(AF_INET, SOCK_RAW, 200), v = 9;
	socklen_t len = sizeof(v);

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		v = values[i];
		DO(S(setsockopt)(a, SOL_UDP, UDP_SEGMENT, &v, sizeof(v)));
		DO(S(getsockopt)(a, SOL_UDP, UDP_SEGMENT, &v, &len));
		DO(v);
		v = values[i];
		DO(S(setsockopt)(a, SOL_UDP, UDP_GRO, &v, sizeof(v)));
		DO(S(getsockopt)(a, SOL_UDP, UDP_GRO, &v, &len));
		DO(v);
	}
	DO(S(setsockopt)(a, SOL_UDP, UDP_SEGMENT, &v, 2));
	DO(S(setsockopt)(a, SOL_UDP, UDP_GRO, &v, 2));
	len = 2;
	DO(S(getsockopt)(a, SOL_UDP, UDP_SEGMENT, &v, &len));
	DO(len);
	len = sizeof(v);
	DO(S(setsockopt)(t, SOL_UDP, UDP_SEGMENT, &v, sizeof(v)));
	DO(S(getsockopt)(t, SOL_UDP, UDP_SEGMENT, &v, &len));
	DO(S(setsockopt)(t, SOL_UDP, UDP_GRO, &v, sizeof(v)));
	DO(S(setsockopt)(w, SOL_UDP, UDP_SEGMENT, &v, sizeof(v)));
	DO(S(getsockopt)(w, SOL_UDP, UDP_GRO, &v, &len));
	v = 0;
	S(setsockopt)(a, SOL_UDP, UDP_SEGMENT, &v, sizeof(v));
	S(setsockopt)(a, SOL_UDP, UDP_GRO, &v, sizeof(v));
	S(close)(t);
	S(close)(w);
}

/* Up to `most` bytes: beyond 65,494 Linux's loopback device takes pieces apart by itself. */
static void segment_sizes(int a, int b, const struct sockaddr_in *to, size_t most)
{
	static const struct {
		int segment;
		size_t bytes;
	} s[] = {{100, 0}, {100, 1}, {100, 99}, {100, 100}, {100, 101}, {100, 199}, {100, 200},
		{100, 201}, {1, 127}, {1, 128}, {1, 129}, {10, 1280}, {10, 1281}, {65535, 10},
		{1400, 60000}, {1400, 65508}, {40000, 65000}, {65507, 65507}, {65507, 65508},
		{40000, 65507}, {65535, 65507}};
	uint16_t v;

	for (size_t i = 0; i < sizeof(s) / sizeof(s[0]); i++) {
		if (s[i].bytes > most)
			continue;
		S(setsockopt)(a, SOL_UDP, UDP_SEGMENT, &s[i].segment, sizeof(int));
		printf("  %zu in pieces of %d\n", s[i].bytes, s[i].segment);
		v = 0; /* in one, whatever the option says */
		if (s[i].bytes % 2)
			DO(send_with(a, to, s[i].bytes, SOL_UDP, UDP_SEGMENT, &v, sizeof(v), 0));
		DO(send_with(a, to, s[i].bytes, SOL_IP, IP_TTL, &(int){9}, sizeof(int), 0));
		receive_all(b, 70000, 128);
		v = (uint16_t)s[i].segment;
		S(setsockopt)(a, SOL_UDP, UDP_SEGMENT, &(int){7}, sizeof(int));
		DO(send_with(a, to, s[i].bytes, SOL_UDP, UDP_SEGMENT, &v, sizeof(v), 0));
		receive_all(b, 70000, 128);
	}
}

static void segment_messages(int a, int b, const struct sockaddr_in *to)
{
	int w = S(socket)(AF_INET, SOCK_RAW, 200), big = 100;
	uint16_t v = 100;

	DO(send_with(a, to, 300, SOL_UDP, UDP_SEGMENT, &big, sizeof(big), 0));
	DO(send_with(a, to, 300, SOL_UDP, UDP_SEGMENT, &v, 1, 0));
	DO(send_with(a, to, 300, SOL_UDP, UDP_GRO, &v, sizeof(v), 0));
	DO(send_with(a, to, 300, SOL_UDP, 99, &v, sizeof(v), 0));
	DO(send_with(a, NULL, 300, SOL_UDP, UDP_SEGMENT, &v, sizeof(v), 0));
	DO(send_with(w, to, 300, SOL_UDP, UDP_SEGMENT, &v, sizeof(v), 0));
	DO(send_with(a, to, 300, SOL_TCP, UDP_SEGMENT, &v, sizeof(v), 0));
	receive_all(b, 70000, 128);
	S(close)(w);
}

static void segment_corked(int a, int b, const struct sockaddr_in *to)
{
	int one = 1, none = 0, e = 0;
	socklen_t len = sizeof(e);
	uint16_t v = 100;

	DO(send_with(a, to, 150, SOL_UDP, UDP_SEGMENT, &v, sizeof(v), MSG_MORE));
	v = 10;
	DO(send_with(a, to, 100, SOL_UDP, UDP_SEGMENT, &v, sizeof(v), 0));
	receive_all(b, 70000, 128);
	v = 1;
	DO(send_with(a, to, 150, SOL_UDP, UDP_SEGMENT, &v, sizeof(v), MSG_MORE));
	DO(S(send)(a, "x", 1, 0));
	receive_all(b, 70000, 128);
	S(setsockopt)(a, SOL_UDP, UDP_CORK, &one, sizeof(one));
	DO(send_with(a, to, 150, SOL_UDP, UDP_SEGMENT, &v, sizeof(v), 0));
	DO(S(setsockopt)(a, SOL_UDP, UDP_CORK, &none, sizeof(none)));
	DO(S(getsockopt)(a, SOL_SOCKET, SO_ERROR, &e, &len));
	DO(e);
	S(setsockopt)(a, SOL_UDP, UDP_CORK, &one, sizeof(one));
	v = 2;
	DO(send_with(a, to, 151, SOL_UDP, UDP_SEGMENT, &v, sizeof(v), 0));
	DO(S(setsockopt)(a, SOL_UDP, UDP_CORK, &none, sizeof(none)));
	receive_all(b, 70000, 128);
}

/* As one, as far as the other side wants it so. */
static void segment_together(int a, int b, const struct sockaddr_in *to)
{
	int on = 1, off = 0, waiting;
	uint16_t v = 100;

	S(setsockopt)(b, SOL_UDP, UDP_GRO, &on, sizeof(on));
	segment_sizes(a, b, to, 65000);
	DO(send_with(a, to, 250, SOL_UDP, UDP_SEGMENT, &v, sizeof(v), 0));
	DO(S(ioctl)(b, FIONREAD, &waiting));
	DO(waiting);
	receive_all(b, 150, 128); /* cut short */
	DO(send_with(a, to, 250, SOL_UDP, UDP_SEGMENT, &v, sizeof(v), 0));
	receive_all(b, 70000, 20); /* no room for the size, or for all of it */
	DO(send_with(a, to, 250, SOL_UDP, UDP_SEGMENT, &v, sizeof(v), 0));
	receive_all(b, 70000, 18);
	DO(send_with(a, to, 250, SOL_UDP, UDP_SEGMENT, &v, sizeof(v), 0));
	receive_all(b, 70000, 0);
	S(setsockopt)(b, SOL_IP, IP_RECVTTL, &on, sizeof(on));
	DO(send_with(a, to, 250, SOL_UDP, UDP_SEGMENT, &v, sizeof(v), 0));
	receive_all(b, 70000, 128);
	DO(send_with(a, to, 250, SOL_UDP, UDP_SEGMENT, &v, sizeof(v), 0));
	S(setsockopt)(b, SOL_UDP, UDP_GRO, &off, sizeof(off));
	receive_all(b, 70000, 128);
}

void segments(void)
{
	struct sockaddr_in any = at("127.0.0.1", 0), to;
	int a = S(socket)(AF_INET, SOCK_DGRAM, 0), b = S(socket)(AF_INET, SOCK_DGRAM, 0);

	puts("== udp in pieces");
	S(bind)(b, (struct sockaddr *)&any, sizeof(any));
	to = at("127.0.0.1", port_of(b));
	segment_options(a);
	segment_messages(a, b, &to);
	segment_sizes(a, b, &to, 70000);
	segment_corked(a, b, &to);
	segment_together(a, b, &to);
	DO(S(connect)(a, (struct sockaddr *)&to, sizeof(to)));
	S(setsockopt)(a, SOL_UDP, UDP_SEGMENT, &(int){3}, sizeof(int));
	DO(S(send)(a, "connected", 9, 0));
	DO(S(write)(a, "connected", 8));
	receive_all(b, 70000, 128);
	S(close)(a);
	S(close)(b);
}
