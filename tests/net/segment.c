/* segment [--plain] [--pcap FILE]: on a TAP, tg0, as 192.0.2.2, a stack socket on port 7 that takes
 * what comes together by UDP_GRO and gives it back in the same pieces by UDP_SEGMENT; prints, for
 * each call that received, "BYTES in SIZE" (SIZE 0: one datagram). The datagram "end" ends it.
 * --plain: a device without offloads. */
#include "tapglass_host.h"
#include "tapglass_sockets.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>

#define PORT 7

static int make_host(struct tg_host *h, bool plain, struct tg_capture *capture)
{
	struct tg_ip host = tg_ip4(192, 0, 2, 1), ip = tg_ip4(192, 0, 2, 2);
	struct tg *s = h ? tg_host_instance(h) : NULL;
	struct tg_link_options o;
	struct tg_host_error err;
	int netif;

	if (!s)
		return -1;
	tg_link_options_default(&o);
	o.plain = plain;
	o.capture = capture;
	netif = tg_host_tap(h, s, "tg0", &host, 24, &o, &err);
	if (netif < 0) {
		tg_host_print_error(&err);
		return -1;
	}
	return tg_addr_add(s, (unsigned)netif, &ip, 24, tg_host_now());
}

/* What each datagram holds of those that came together; 0: it is one. */
static uint16_t size_of_each(struct msghdr *m)
{
	int size = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
			memcpy(&size, CMSG_DATA(c), sizeof(size));
	return (uint16_t)size;
}

static ssize_t give_back(int fd, struct msghdr *m, uint16_t size)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(size))] = {0};
	struct cmsghdr *c;

	m->msg_control = control;
	m->msg_controllen = sizeof(control);
	c = CMSG_FIRSTHDR(m);
	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(c), &size, sizeof(size));
	return tg_sendmsg(fd, m, 0);
}

static int serve(struct tg_host *h)
{
	static char buf[65536];
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)}, from;
	int fd = tg_host_socket(h, AF_INET, SOCK_DGRAM, 0), on = 1;
	ssize_t n;

	if (fd < 0 || tg_setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on)) ||
		tg_bind(fd, (struct sockaddr *)&at, sizeof(at))) {
		perror("socket");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	do {
		_Alignas(struct cmsghdr) char control[64];
		struct iovec v = {buf, sizeof(buf)};
		struct msghdr m = {.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &v,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control)};
		uint16_t size;

		n = tg_recvmsg(fd, &m, 0);
		if (n < 0) {
			perror("recvmsg");
			return 1;
		}
		size = size_of_each(&m);
		printf("%zd in %u\n", n, (unsigned)size);
		fflush(stdout);
		v.iov_len = (size_t)n;
		if (give_back(fd, &m, size) != n)
			perror("sendmsg");
	} while (n != 3 || memcmp(buf, "end", 3) != 0);
	return 0;
}

int main(int argc, char **argv)
{
	struct tg_host *h = tg_host_new();
	struct tg_capture *capture = NULL;
	struct tg_host_error err;
	bool plain = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--plain") == 0)
			plain = true;
		else if (strcmp(argv[i], "--pcap") == 0 && i + 1 < argc)
			capture = tg_capture_open(argv[++i], &err);
	}
	if (make_host(h, plain, capture) < 0 || serve(h))
		return 1;
	tg_host_free(h);
	return capture ? -tg_capture_close(capture) : 0;
}
