/* Answers each line with its length; a thread for each client: threads_server PORT */
#include "tapglass_sockets.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *serve(void *arg)
{
	int c = (int)(intptr_t)arg, len = 0, size;
	char byte, text[32];

	while (tg_recv(c, &byte, 1, 0) == 1) {
		if (byte != '\n') {
			len++;
			continue;
		}
		size = snprintf(text, sizeof(text), "%d\n", len);
		len = 0;
		if (tg_send(c, text, (size_t)size, 0) != size)
			break;
	}
	tg_close(c);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	int l = tg_socket(AF_INET, SOCK_STREAM, 0), c;
	pthread_t t;

	at.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 4000));
	if (tg_bind(l, (struct sockaddr *)&at, sizeof(at)) < 0 || tg_listen(l, 64) < 0) {
		perror("threads_server");
		return 1;
	}
	while ((c = tg_accept(l, NULL, NULL)) >= 0) {
		if (pthread_create(&t, NULL, serve, (void *)(intptr_t)c) == 0)
			pthread_detach(t);
		else
			tg_close(c);
	}
	return 1;
}
