/* The transcript's datagrams and raw packets. */
#include "transcript.h"

static void errors_of_icmp(void)
{
	struct sockaddr_in a = at("127.0.0.1", 9), from;
	char buf[64], control[256];
	struct iovec v = {buf, sizeof(buf)};
	struct msghdr m = {.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct sock_extended_err ee;
	int c = S(socket)(AF_INET, SOCK_DGRAM, 0), on = 1;

	DO(S(connect)(c, (struct sockaddr *)&a, sizeof(a)));
	DO(S(send)(c, "nobody", 6, 0));
	nap(20);
	DO(ready(c, POLLIN | POLLOUT, 100));
	DO(S(recv)(c, buf, 8, 0));
	DO(S(recv)(c, buf, 8, MSG_DONTWAIT));
	DO(S(send)(c, "nobody", 6, 0));
	nap(20);
	DO(S(send)(c, "nobody", 6, 0));
	DO(S(close)(c));
	c = S(socket)(AF_INET, SOCK_DGRAM, 0);
	DO(S(setsockopt)(c, SOL_IP, IP_RECVERR, &on, sizeof(on)));
	DO(S(recvmsg)(c, &m, MSG_ERRQUEUE));
	DO(S(sendto)(c, "quoted", 6, 0, (struct sockaddr *)&a, sizeof(a)));
	nap(20);
	DO(ready(c, POLLIN, 100));
	DO(S(recvmsg)(c, &m, MSG_ERRQUEUE));
	show_bytes("quote", buf, 6);
	show_addr("destination", &from, m.msg_namelen);
	DO(m.msg_flags);
	DO((long)m.msg_controllen);
	memcpy(&ee, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(ee));
	DO(ee.ee_errno == ECONNREFUSED && ee.ee_origin == SO_EE_ORIGIN_ICMP);
	DO(ee.ee_type * 100 + ee.ee_code);
	DO(S(recvmsg)(c, &m, MSG_ERRQUEUE));
	DO(ready(c, POLLIN, 0));
	DO(S(close)(c));
}

static void control_messages(int a, int b, const struct sockaddr_in *to)
{
	char buf[64], control[256];
	struct iovec v = {buf, sizeof(buf)}, out[2] = {{(char *)"pie", 3}, {(char *)"ces", 3}};
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = 256};
	struct msghdr o = {.msg_name = (void *)(uintptr_t)to,
		.msg_namelen = sizeof(*to),
		.msg_iov = out,
		.msg_iovlen = 2};
	struct mmsghdr many[3];
	int on = 1, tos = 0x10, ttl = 33;

	DO(S(setsockopt)(b, SOL_IP, IP_PKTINFO, &on, sizeof(on)));
	DO(S(setsockopt)(b, SOL_IP, IP_RECVTTL, &on, sizeof(on)));
	DO(S(setsockopt)(b, SOL_IP, IP_RECVTOS, &on, sizeof(on)));
	DO(S(setsockopt)(a, SOL_IP, IP_TOS, &tos, sizeof(tos)));
	DO(S(setsockopt)(a, SOL_IP, IP_TTL, &ttl, sizeof(ttl)));
	DO(S(sendmsg)(a, &o, 0));
	DO(S(recvmsg)(b, &m, 0));
	show_bytes("pieces", buf, 6);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		printf("    control %d/%d len %zu", c->cmsg_level, c->cmsg_type, c->cmsg_len);
		printf(" first byte %d\n", *CMSG_DATA(c));
	}
	DO(S(sendmsg)(a, &o, 0));
	m.msg_controllen = 20;
	v.iov_len = 2;
	DO(S(recvmsg)(b, &m, 0));
	DO(m.msg_flags);
	m.msg_control = NULL;
	m.msg_controllen = 0;
	for (int i = 0; i < 3; i++)
		many[i] = (struct mmsghdr){.msg_hdr = o};
	DO(S(sendmmsg)(a, many, 3, 0));
	v.iov_len = sizeof(buf);
	for (int i = 0; i < 3; i++)
		many[i] = (struct mmsghdr){.msg_hdr = m};
	DO(S(recvmmsg)(b, many, 3, MSG_WAITFORONE, NULL));
	DO(many[2].msg_len);
	DO(S(recvmmsg)(b, many, 3, MSG_DONTWAIT, NULL));
}

static void sharing(void)
{
	struct sockaddr_in any = at("127.0.0.1", 0);
	int a = S(socket)(AF_INET, SOCK_DGRAM, 0), b = S(socket)(AF_INET, SOCK_DGRAM, 0), on = 1;

	DO(S(bind)(a, (struct sockaddr *)&any, sizeof(any)));
	any.sin_port = htons((uint16_t)port_of(a));
	DO(S(bind)(b, (struct sockaddr *)&any, sizeof(any)));
	DO(S(setsockopt)(b, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	DO(S(bind)(b, (struct sockaddr *)&any, sizeof(any)));
	DO(S(setsockopt)(a, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	DO(S(bind)(b, (struct sockaddr *)&any, sizeof(any)));
	any.sin_addr.s_addr = htonl(0x08080808);
	any.sin_port = 0;
	DO(S(close)(b));
	b = S(socket)(AF_INET, SOCK_DGRAM, 0);
	DO(S(bind)(b, (struct sockaddr *)&any, sizeof(any)));
	any = at("127.255.255.255", 9);
	DO(S(sendto)(b, "x", 1, 0, (struct sockaddr *)&any, sizeof(any)));
	DO(S(close)(a));
	DO(S(close)(b));
}

void udp_all(void)
{
	struct sockaddr_in any = at("127.0.0.1", 0), to, from, none = {.sin_family = AF_UNSPEC};
	int a = S(socket)(AF_INET, SOCK_DGRAM, 0), b = S(socket)(AF_INET, SOCK_DGRAM, 0), n = 0;
	socklen_t len = sizeof(from);
	static char big[70000];
	char buf[16];

	puts("== udp");
	DO(ready(a, POLLIN | POLLOUT, 0));
	DO(S(send)(a, "x", 1, 0));
	DO(S(recv)(a, buf, 1, MSG_DONTWAIT));
	DO(S(shutdown)(a, SHUT_RD));
	DO(S(listen)(a, 1));
	DO(S(accept)(a, NULL, NULL));
	DO(S(bind)(b, (struct sockaddr *)&any, sizeof(any)));
	to = at("127.0.0.1", port_of(b));
	DO(S(sendto)(a, "datagram", 8, 0, (struct sockaddr *)&to, sizeof(to)));
	DO(port_of(a) != 0);
	DO(ready(b, POLLIN, 100));
	DO(S(ioctl)(b, FIONREAD, &n));
	DO(n);
	DO(S(recvfrom)(b, buf, 4, MSG_PEEK, (struct sockaddr *)&from, &len));
	show_addr("from", &from, len);
	DO(S(recv)(b, buf, 4, MSG_PEEK | MSG_TRUNC));
	DO(S(recv)(b, buf, 4, 0));
	DO(S(recv)(b, buf, 4, MSG_DONTWAIT));
	DO(S(sendto)(a, "", 0, 0, (struct sockaddr *)&to, sizeof(to)));
	DO(S(recv)(b, buf, 4, 0));
	DO(S(sendto)(a, big, 65507, 0, (struct sockaddr *)&to, sizeof(to)));
	DO(S(recv)(b, big, sizeof(big), 0));
	DO(S(sendto)(a, big, 65508, 0, (struct sockaddr *)&to, sizeof(to)));
	DO(S(sendto)(a, big, 70000, 0, (struct sockaddr *)&to, sizeof(to)));
	to.sin_port = 0;
	DO(S(sendto)(a, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)));
	to.sin_port = htons((uint16_t)port_of(b));
	DO(S(sendto)(a, "x", 1, MSG_OOB, (struct sockaddr *)&to, sizeof(to)));
	control_messages(a, b, &to);
	DO(S(connect)(a, (struct sockaddr *)&to, sizeof(to)));
	DO(S(send)(a, "connected", 9, 0));
	DO(S(recv)(b, buf, 16, 0));
	DO(S(shutdown)(a, SHUT_WR));
	DO(S(send)(a, "x", 1, MSG_NOSIGNAL));
	DO(S(connect)(a, (struct sockaddr *)&none, sizeof(none)));
	DO(S(getpeername)(a, (struct sockaddr *)&from, &len));
	DO(S(close)(a));
	DO(S(close)(b));
	errors_of_icmp();
	sharing();
}

static uint16_t checksum(const void *data, size_t n)
{
	const uint8_t *b = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)(b[i] << 8 | b[i + 1]);
	sum = (sum >> 16) + (sum & 0xffff);
	return htons((uint16_t) ~(sum + (sum >> 16)));
}

void raw_all(void)
{
	int a = S(socket)(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	int b = S(socket)(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	int u = S(socket)(AF_INET, SOCK_RAW, 200), w = S(socket)(AF_INET, SOCK_RAW, IPPROTO_RAW);
	struct icmphdr echo = {.type = ICMP_ECHO, .un.echo = {.id = 77, .sequence = 1}};
	struct sockaddr_in to = at("127.0.0.1", 0), from;
	socklen_t len = sizeof(from);
	uint8_t buf[128], whole[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 17, 200};
	int on = 1;

	puts("== raw");
	DO(S(socket)(AF_INET, SOCK_RAW, 0));
	DO(ready(a, POLLIN | POLLOUT, 0));
	echo.checksum = checksum(&echo, sizeof(echo));
	DO(S(sendto)(a, &echo, sizeof(echo), 0, (struct sockaddr *)&to, sizeof(to)));
	nap(20);
	/* Both get the request and the reply, from the IP header on. */
	for (int i = 0; i < 2; i++) {
		DO(S(recvfrom)(a, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len));
		show_addr("from", &from, len);
		DO(buf[0]);
		DO(buf[9] * 1000 + buf[20]);
		DO(S(recv)(b, buf, sizeof(buf), 0));
	}
	DO(S(recv)(b, buf, sizeof(buf), MSG_DONTWAIT));
	DO(S(send)(u, "x", 1, 0));
	DO(S(connect)(u, (struct sockaddr *)&to, sizeof(to)));
	DO(S(send)(u, "proto200", 8, 0));
	DO(S(recv)(u, buf, sizeof(buf), 0));
	show_bytes("payload", buf + 20, 8);
	DO(S(recv)(u, buf, 4, MSG_DONTWAIT));
	memcpy(whole + 20, "included", 8);
	whole[12] = 127, whole[15] = 1, whole[16] = 127, whole[19] = 1;
	DO(S(sendto)(w, whole, 28, 0, (struct sockaddr *)&to, sizeof(to)));
	DO(S(recv)(u, buf, sizeof(buf), 0));
	DO(buf[8]);
	show_bytes("payload", buf + 20, 8);
	DO(S(sendto)(w, whole, 10, 0, (struct sockaddr *)&to, sizeof(to)));
	DO(S(setsockopt)(u, SOL_IP, IP_HDRINCL, &on, sizeof(on)));
	DO(S(send)(u, whole, 28, 0));
	DO(S(recv)(u, buf, sizeof(buf), 0));
	DO(S(recv)(w, buf, sizeof(buf), MSG_DONTWAIT));
	DO(S(listen)(a, 1));
	DO(S(close)(a));
	DO(S(close)(b));
	DO(S(close)(u));
	DO(S(close)(w));
}
