/* An echo server for many clients in one thread, by readiness: events_server PORT */
#include "tapglass_sockets.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

static void watch(int ep, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	tg_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

/* Echoes what is there. A client that does not read is let go rather than waited for. */
static void serve(int fd)
{
	char buf[4096];
	ssize_t n = tg_recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n <= 0 || tg_send(fd, buf, (size_t)n, MSG_DONTWAIT) != n)
		tg_close(fd);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	int l = tg_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = tg_epoll_create1(0);
	struct epoll_event ready[64];

	at.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 4001));
	if (tg_bind(l, (struct sockaddr *)&at, sizeof(at)) < 0 || tg_listen(l, 512) < 0) {
		perror("events_server");
		return 1;
	}
	watch(ep, l);
	for (;;) {
		int n = tg_epoll_wait(ep, ready, 64, -1), c;

		for (int i = 0; i < n; i++) {
			if (ready[i].data.fd != l)
				serve(ready[i].data.fd);
			else if ((c = tg_accept(l, NULL, NULL)) >= 0)
				watch(ep, c);
		}
	}
}
