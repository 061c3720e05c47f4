/* What the programs of tests/bench have in common: the ports of the services, the datagram that
 * asks for a flood, the clock. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <string.h>
#include <time.h>

#define PORT_ECHO    7
#define PORT_DISCARD 9
#define PORT_HTTP    80
#define PORT_CHARGEN 19
#define PORT_UDP_COUNT                                                                             \
	5009 /* answers any datagram with how many the discard port has had, decimal */
#define PORT_UDP_SOURCE 5019 /* floods who asks by a struct flood_ask */

#define FLOOD_MAGIC  0x74676664u
#define FLOOD_MS_MAX 10000u
#define HTTP_BYTES   1024u /* of each answer */
#define UDP_BYTES    65536u

/* Both ends are on one machine: native byte order. */
struct flood_ask {
	uint32_t magic;
	uint32_t duration_ms;
	uint16_t dgram_bytes;
	uint16_t segs; /* datagrams in one call, cut by the device (USO); 1: singly */
};

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* True if it is one, with values that a service may obey. */
static inline int flood_ask_get(struct flood_ask *ask, const void *data, size_t n)
{
	if (n < sizeof(*ask))
		return 0;
	memcpy(ask, data, sizeof(*ask));
	return ask->magic == FLOOD_MAGIC && ask->duration_ms <= FLOOD_MS_MAX && ask->segs >= 1 &&
	       ask->dgram_bytes >= 1 && (uint32_t)ask->segs * ask->dgram_bytes < UDP_BYTES - 512;
}
#endif
