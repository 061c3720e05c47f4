/* groups TEXT: sends TEXT to the group 239.1.2.3, port 4000, with a TTL of 5, and by broadcast to
 * port 4001, from a stack socket on TAPGLASS_LINK; prints what its own sockets get of that. */
#include "tapglass_sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static int receiver(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = tg_socket(AF_INET, SOCK_DGRAM, 0);

	tg_bind(fd, (struct sockaddr *)&a, sizeof(a));
	return fd;
}

static void hear(const char *what, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char buf[100];
	ssize_t n = tg_poll(&p, 1, 300) == 1 ? tg_recv(fd, buf, sizeof(buf), 0) : -1;

	printf("%s: %.*s\n", what, n > 0 ? (int)n : 7, n > 0 ? buf : "nothing");
}

static void send_to(int fd, const char *ip, int port, const char *text)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	inet_pton(AF_INET, ip, &a.sin_addr);
	if (tg_sendto(fd, text, strlen(text), 0, (struct sockaddr *)&a, sizeof(a)) < 0)
		perror(ip);
}

int main(int argc, char **argv)
{
	struct in_addr us = {htonl(0xc0000202)}, lo = {htonl(INADDR_LOOPBACK)};
	int fd = tg_socket(AF_INET, SOCK_DGRAM, 0), all = receiver(4000), cast = receiver(4001);
	int ttl = 5, on = 1, off = 0;
	const char *text = argc > 1 ? argv[1] : "hello";

	tg_setsockopt(fd, SOL_IP, IP_MULTICAST_IF, &us, sizeof(us));
	tg_setsockopt(fd, SOL_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl));
	tg_setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	send_to(fd, "239.1.2.3", 4000, text);
	hear("group", all);
	send_to(fd, "224.0.0.1", 4000, text);
	hear("all hosts", all);
	tg_setsockopt(fd, SOL_IP, IP_MULTICAST_LOOP, &off, sizeof(off));
	send_to(fd, "224.0.0.1", 4000, text);
	hear("all hosts, no loop", all);
	tg_setsockopt(fd, SOL_IP, IP_MULTICAST_LOOP, &on, sizeof(on));
	tg_setsockopt(fd, SOL_IP, IP_MULTICAST_IF, &lo, sizeof(lo));
	send_to(fd, "224.0.0.1", 4000, "stays here");
	hear("loopback", all);
	send_to(fd, "192.0.2.255", 4001, text);
	hear("broadcast", cast);
	return 0;
}
