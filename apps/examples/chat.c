/* Two people type at one another: chat PORT waits for the other, chat ADDRESS PORT calls him. One
 * poll over the terminal and the socket. */
#include "tapglass_sockets.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int meet(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	int s = tg_socket(AF_INET, SOCK_STREAM, 0);

	at.sin_port = htons((uint16_t)atoi(argv[argc - 1]));
	if (argc == 3) {
		inet_pton(AF_INET, argv[1], &at.sin_addr);
		return tg_connect(s, (struct sockaddr *)&at, sizeof(at)) < 0 ? -1 : s;
	}
	if (tg_bind(s, (struct sockaddr *)&at, sizeof(at)) < 0 || tg_listen(s, 1) < 0)
		return -1;
	return tg_accept(s, NULL, NULL);
}

int main(int argc, char **argv)
{
	struct pollfd p[2] = {{.fd = 0, .events = POLLIN}, {.events = POLLIN}};
	char buf[1024];
	ssize_t n;

	p[1].fd = argc == 2 || argc == 3 ? meet(argc, argv) : -1;
	if (p[1].fd < 0) {
		perror("chat");
		return 1;
	}
	while (tg_poll(p, 2, -1) > 0) {
		if (p[0].revents) {
			n = read(0, buf, sizeof(buf));
			if (n > 0 && tg_send(p[1].fd, buf, (size_t)n, 0) < 0)
				break;
			if (n <= 0) { /* the end here: the other may go on */
				tg_shutdown(p[1].fd, SHUT_WR);
				p[0].fd = -1;
			}
		}
		if (p[1].revents) {
			n = tg_recv(p[1].fd, buf, sizeof(buf), 0);
			if (n <= 0 || write(1, buf, (size_t)n) != n)
				break;
		}
	}
	return tg_close(p[1].fd) < 0;
}
