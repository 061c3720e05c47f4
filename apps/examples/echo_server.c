/* An echo server, one client after another: echo_server PORT */
#include "tapglass_sockets.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	int l = tg_socket(AF_INET, SOCK_STREAM, 0), c, on = 1;
	char buf[4096];
	ssize_t n;

	at.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 7));
	tg_setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (tg_bind(l, (struct sockaddr *)&at, sizeof(at)) < 0 || tg_listen(l, 16) < 0) {
		perror("echo_server");
		return 1;
	}
	while ((c = tg_accept(l, NULL, NULL)) >= 0) {
		while ((n = tg_recv(c, buf, sizeof(buf), 0)) > 0)
			if (tg_send(c, buf, (size_t)n, 0) < 0)
				break;
		tg_close(c);
	}
	perror("accept");
	return 1;
}
