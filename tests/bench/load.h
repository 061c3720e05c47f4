/* The load generator's options and its modes: see load.c. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct load_options {
	struct sockaddr_in peer, from; /* from: any, if not given */
	uint64_t warm_ns, time_ns;
	uint64_t bytes; /* bulk: stop after so many instead of after a time; 0: by time */
	unsigned conns;
	uint16_t size, segs; /* datagrams: payload, and how many in one call */
	bool busy;           /* spin instead of sleeping */
	const char *cc;      /* congestion control of our sockets; NULL: the kernel's default */
};

/* Each prints one line of JSON and returns 0, or says on stderr what failed and returns 1. */
int load_send(const struct load_options *o);
int load_recv(const struct load_options *o);
int load_ping(const struct load_options *o);
int load_cycle(const struct load_options *o);
int load_hold(const struct load_options *o);
int load_udp_send(const struct load_options *o);
int load_udp_recv(const struct load_options *o);

int load_fail(const char *what);
#endif
