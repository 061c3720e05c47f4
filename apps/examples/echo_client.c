/* Sends standard input, shows what comes back: echo_client ADDRESS PORT */
#include "tapglass_sockets.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	int c = tg_socket(AF_INET, SOCK_STREAM, 0);
	char line[1024], back[1024];
	ssize_t n;

	if (argc != 3 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: echo_client ADDRESS PORT\n");
		return 2;
	}
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	if (tg_connect(c, (struct sockaddr *)&to, sizeof(to)) < 0) {
		perror("connect");
		return 1;
	}
	while ((n = read(0, line, sizeof(line))) > 0) {
		if (tg_send(c, line, (size_t)n, 0) < 0 ||
			tg_recv(c, back, (size_t)n, MSG_WAITALL) != n ||
			write(1, back, (size_t)n) != n)
			return 1;
	}
	return tg_close(c) < 0;
}
