/* Tells the time by UDP (RFC 868: seconds since 1900, 32 bits): time_server PORT */
#include "tapglass_sockets.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECONDS_1900_TO_1970 2208988800u

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET}, from;
	int s = tg_socket(AF_INET, SOCK_DGRAM, 0);
	char request[16];

	at.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 37));
	if (tg_bind(s, (struct sockaddr *)&at, sizeof(at)) < 0) {
		perror("time_server");
		return 1;
	}
	for (;;) {
		socklen_t len = sizeof(from);
		uint32_t now;

		if (tg_recvfrom(s, request, sizeof(request), 0, (struct sockaddr *)&from, &len) < 0)
			continue;
		now = htonl((uint32_t)time(NULL) + SECONDS_1900_TO_1970);
		tg_sendto(s, &now, sizeof(now), 0, (struct sockaddr *)&from, len);
	}
}
